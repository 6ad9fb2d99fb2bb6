/*
 * Whole runs are put at once: a body is mostly lines that stay as they are, and what changes is
 * looked for with memchr. A CR at the end of a piece is held until it is known what follows.
 */
#include "format/stuffing.h"

#include <string.h>

void stuffing_init(struct stuffing *stuffing, bool dots)
{
    *stuffing = (struct stuffing){.dots = dots, .line_start = true};
}

static void put(struct stuffing *stuffing, struct str s, struct buf *buf)
{
    stuffing->octets += s.n;
    if (buf)
        buf_put(buf, s);
}

/* The first CR or LF, or s.n. */
static size_t break_find(struct str s)
{
    const char *cr = s.n ? memchr(s.p, '\r', s.n) : NULL;
    size_t n = cr ? (size_t)(cr - s.p) : s.n;
    const char *lf = n ? memchr(s.p, '\n', n) : NULL;
    return lf ? (size_t)(lf - s.p) : n;
}

/* What was held of the piece before, now that `next` follows. False: `next` went with it. */
static bool held_put(struct stuffing *stuffing, char next, struct buf *buf)
{
    stuffing->cr = false;
    stuffing->line_start = next == '\n';
    put(stuffing, next == '\n' ? STR("\r\n") : STR(" "), buf);
    return next != '\n';
}

/* A CR or LF at `at`. How many octets are whole and stay; what is bare becomes a space. */
static size_t break_take(struct stuffing *stuffing, struct str octets, size_t at)
{
    bool cr = octets.p[at] == '\r';
    bool whole = cr && at + 1 < octets.n && octets.p[at + 1] == '\n';
    stuffing->cr = cr && at + 1 == octets.n;
    stuffing->line_start = whole;
    return whole ? 2 : 0;
}

void stuffing_feed(struct stuffing *stuffing, struct str octets, struct buf *buf)
{
    size_t put_to = 0, at = 0;
    if (octets.n && stuffing->cr && !held_put(stuffing, octets.p[0], buf))
        put_to = at = 1;
    while (at < octets.n) {
        if (stuffing->dots && stuffing->line_start && octets.p[at] == '.') {
            put(stuffing, str_head(str_from_index(octets, put_to), at - put_to), buf);
            put(stuffing, STR("."), buf);
            put_to = at;
        }
        size_t run = break_find(str_from_index(octets, at));
        stuffing->line_start &= run == 0;
        at += run;
        if (at == octets.n)
            break;
        size_t whole = break_take(stuffing, octets, at);
        at += whole;
        if (whole)
            continue;
        put(stuffing, str_head(str_from_index(octets, put_to), at - put_to), buf);
        if (!stuffing->cr)
            put(stuffing, STR(" "), buf);
        put_to = ++at;
    }
    put(stuffing, str_from_index(octets, put_to), buf);
}

void stuffing_end(struct stuffing *stuffing, struct buf *buf)
{
    if (stuffing->cr)
        held_put(stuffing, ' ', buf);
    if (!stuffing->line_start)
        put(stuffing, STR("\r\n"), buf);
    if (stuffing->dots)
        put(stuffing, STR(".\r\n"), buf);
    stuffing->line_start = true;
}
