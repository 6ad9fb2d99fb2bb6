/*
 * Everything turns on the first LF: what stands before it is looked at only when it has come, so an
 * answer never depends on where the network cut.
 */
#include "edge/line.h"

enum line_found line_find(struct str pending, size_t most, bool lenient, struct str *line_r,
                          size_t *used_r)
{
    struct str head = str_head(pending, most);
    ssize_t lf = str_index(head, '\n');
    if (lf < 0)
        return head.n == most ? LINE_LONG : LINE_MORE;
    bool crlf = lf > 0 && head.p[lf - 1] == '\r';
    *line_r = str_head(head, (size_t)lf - crlf);
    *used_r = (size_t)lf + 1;
    if (!lenient && (!crlf || str_index(*line_r, '\r') >= 0))
        return LINE_BARE;
    return LINE_WHOLE;
}

enum line_found line_skip(struct str pending, bool lenient, size_t *used_r)
{
    ssize_t lf = str_index(pending, '\n');
    if (lf < 0) {
        /* A CR at the end may be half of a CR LF. */
        bool half = pending.n > 0 && pending.p[pending.n - 1] == '\r';
        *used_r = pending.n - half;
        return LINE_MORE;
    }
    *used_r = (size_t)lf + 1;
    bool crlf = lf > 0 && pending.p[lf - 1] == '\r';
    return crlf || lenient ? LINE_WHOLE : LINE_BARE;
}
