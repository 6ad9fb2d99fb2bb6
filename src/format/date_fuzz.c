/* Property: a date that was read, printed, reads back as the same time, and in its own zone as that
 * of the same zone. */
#include "base/must.h"
#include "format/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct date one, two;
    if (!date_parse(str_make(data, n), &one))
        return 0;
    must(one.time >= 0 && one.time <= DATE_MAX);
    must(one.zone >= -DATE_ZONE_MAX && one.zone <= DATE_ZONE_MAX);
    struct buf printed = BUF_INIT(100);
    date_print(&printed, one.time, 0);
    must(date_parse(buf_str(&printed), &two) && two.time == one.time);
    buf_clear(&printed);
    date_print(&printed, one.time, one.zone);
    bool within = one.time + one.zone * 60 >= 0 && one.time + one.zone * 60 <= DATE_MAX;
    must(!within || (date_parse(buf_str(&printed), &two) && two.time == one.time));
    must(!within || two.zone == one.zone);
    buf_done(&printed);
    return 0;
}
