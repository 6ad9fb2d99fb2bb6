/* What is decoded is printed again to the octets it came from; rows are counted, not believed. */
#include "base/must.h"
#include "store/local/checkpoint_part.h"
#include "store/local/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint_part part;
    if (!checkpoint_part_get(str_make(data, size), &part))
        return 0;
    enum {
        FIXED = 4 * 8 + 4 * 4 + 4
    };
    struct buf again = BUF_INIT(size + RECORD_ALIGN);
    checkpoint_part_put(&again, &part);
    must(!buf_over(&again) && size >= FIXED + part.octets.n);
    must(memcmp(again.p, data, FIXED + part.octets.n) == 0);
    buf_done(&again);
    struct wire_in rows = wire_in(part.octets);
    struct str key, value;
    size_t octets = 0;
    while (checkpoint_row_get(&rows, &key, &value))
        octets += key.n + value.n + 8;
    must(octets <= part.octets.n);
    return 0;
}
