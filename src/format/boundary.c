/*
 * Trying one boundary after another could be made to take long by who knows the order. So where one
 * occurs it is made longer, by the digit that follows it least often: that leaves a sixteenth of
 * the places at most, and soon none.
 */
#include "format/boundary.h"

enum {
    DIGITS = 16
};

static const char digits[DIGITS + 1] = "0123456789abcdef";

/* Where `what` occurs; what stands behind each place is counted. */
static size_t occurrences(struct str part, struct str what, size_t followed[DIGITS])
{
    size_t n = 0;
    ssize_t at;
    while ((at = str_find(part, what)) >= 0) {
        n++;
        part = str_from_index(part, (size_t)at + what.n);
        const char *digit = part.n && part.p[0] ? strchr(digits, part.p[0]) : NULL;
        if (digit)
            followed[digit - digits]++;
    }
    return n;
}

void boundary_put(struct buf *buf, struct str unique, const struct str *parts, size_t count)
{
    char room[BOUNDARY_MAX];
    struct buf boundary = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    buf_printf(&boundary, "=_%016llx", (unsigned long long)str_hash(unique));
    for (;;) {
        size_t followed[DIGITS] = {0}, n = 0, rarest = 0;
        for (size_t i = 0; i < count; i++)
            n += occurrences(parts[i], buf_str(&boundary), followed);
        if (n == 0)
            break;
        for (size_t i = 1; i < DIGITS; i++)
            if (followed[i] < followed[rarest])
                rarest = i;
        buf_putc(&boundary, digits[rarest]);
    }
    buf_put(buf, buf_str(&boundary));
}
