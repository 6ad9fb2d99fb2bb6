/* Any octets as a header. Properties: tokens have their length and lie in the header; without a
 * mark of ours there is no loop, unless there are too many; behind our mark, it is found, and it
 * changes nothing of what names the message. */
#include "base/must.h"
#include "trust/loop_marker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    TEXT_MAX = 1 << 17
};

static const struct loop_keys keys = {.now = "a key that no seed was made with"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str header = str_make(data, n);
    struct buf sent = BUF_INIT(TEXT_MAX);
    struct loop_marks marks, again;
    if (n > TEXT_MAX / 2 || (n && (data[0] == ' ' || data[0] == '\t')))
        return 0;
    loop_marks_read(header, &marks);
    must(marks.count <= LOOP_MARKS_MAX && (!marks.too_many || marks.count == LOOP_MARKS_MAX));
    for (size_t i = 0; i < marks.count; i++)
        must(marks.tokens[i].n == LOOP_TOKEN && marks.tokens[i].p >= header.p &&
             marks.tokens[i].p + LOOP_TOKEN <= header.p + n);
    must(loop_marks_found(&marks, &keys, STR("bob@ours.test")) == marks.too_many);
    loop_mark_print(&marks, &keys, STR("bob@ours.test"), &sent);
    must(sent.n <= LOOP_FIELD);
    buf_put(&sent, header);
    loop_marks_read(buf_str(&sent), &again);
    must(memcmp(again.message, marks.message, sizeof(marks.message)) == 0);
    must(loop_marks_found(&again, &keys, STR("BOB@ours.test")));
    buf_done(&sent);
    return 0;
}
