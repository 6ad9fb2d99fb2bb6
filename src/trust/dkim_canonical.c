/*
 * Nothing is held back as text: of blanks it is enough to know that there are some, of empty lines
 * how many. So the state is as small for a body of a million empty lines as for any other.
 *
 * Most of a relaxed body is canonical as it came, words with one space between them: such a run
 * goes to the sink in one piece.
 */
#include "trust/dkim_canonical.h"

#include "base/must.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* --- Header ---------------------------------------------------------------------------------- */

static void name_lower(struct str name, struct buf *to)
{
    name = str_trim(name);
    for (size_t i = 0; i < name.n; i++)
        buf_putc(to, ascii_lower(name.p[i]));
}

/* Octets in front of the next blank or CR; at least one. */
static size_t word_length(struct str s)
{
    size_t n = 1;
    while (n < s.n && !is_blank(s.p[n]) && s.p[n] != '\r')
        n++;
    return n;
}

/* One line, its words with one space between them. */
static void value_relaxed(struct str rest, struct buf *to)
{
    bool begun = false, blank = false;
    while (rest.n) {
        size_t n = 1;
        if (str_starts(rest, STR("\r\n"))) {
            n = 2;
        } else if (is_blank(rest.p[0])) {
            blank = true;
        } else {
            n = word_length(rest);
            if (blank && begun)
                buf_putc(to, ' ');
            buf_put(to, str_head(rest, n));
            begun = true;
            blank = false;
        }
        rest = str_from_index(rest, n);
    }
}

void dkim_header_canonical(enum dkim_canonical canonical, struct str whole, struct buf *to)
{
    ssize_t colon = str_index(whole, ':');
    if (canonical == DKIM_SIMPLE) {
        buf_put(to, whole);
        return;
    }
    if (colon >= 0) {
        name_lower(str_head(whole, (size_t)colon), to);
        buf_putc(to, ':');
    }
    value_relaxed(str_from_index(whole, (size_t)(colon + 1)), to);
    buf_put(to, STR("\r\n"));
}

/* --- Body ------------------------------------------------------------------------------------ */

void dkim_body_begin(struct dkim_body *body, enum dkim_canonical canonical)
{
    *body = (struct dkim_body){.canonical = canonical};
}

static void ends_put(uint64_t ends, const struct dkim_sink *sink)
{
    static const char lines[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
    const uint64_t most = (sizeof(lines) - 1) / 2;
    while (ends) {
        uint64_t now = ends < most ? ends : most;
        sink->put(sink->arg, str_make(lines, 2 * now));
        ends -= now;
    }
}

/* Octets that are neither an end of a line nor blanks at one: what was held back goes first. */
static void content_put(struct dkim_body *body, struct str octets, const struct dkim_sink *sink)
{
    ends_put(body->ends, sink);
    body->ends = 0;
    if (body->blank)
        sink->put(sink->arg, STR(" "));
    body->blank = false;
    body->any = true;
    sink->put(sink->arg, octets);
}

static size_t run_simple(struct str s)
{
    const char *cr = memchr(s.p, '\r', s.n);
    return cr ? (size_t)(cr - s.p) : s.n;
}

/* Up to a blank that is no single space between two words. */
static size_t run_relaxed(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '\r' && s.p[n] != '\t') {
        if (s.p[n] == ' ' && (n + 1 == s.n || is_blank(s.p[n + 1]) || s.p[n + 1] == '\r'))
            break;
        n++;
    }
    return n;
}

static void line_end(struct dkim_body *body)
{
    body->cr = body->blank = false;
    body->ends++;
}

/* Takes from the front; how many octets. */
static size_t body_take(struct dkim_body *body, struct str octets, const struct dkim_sink *sink)
{
    bool relaxed = body->canonical == DKIM_RELAXED;
    if (octets.p[0] == '\r') {
        body->cr = true;
        return 1;
    }
    if (relaxed && is_blank(octets.p[0])) {
        body->blank = true;
        return 1;
    }
    size_t n = relaxed ? run_relaxed(octets) : run_simple(octets);
    content_put(body, str_head(octets, n), sink);
    return n;
}

void dkim_body_feed(struct dkim_body *body, struct str octets, const struct dkim_sink *sink)
{
    while (octets.n) {
        size_t n = 1;
        if (body->cr && octets.p[0] == '\n') {
            line_end(body);
        } else {
            if (body->cr)
                content_put(body, STR("\r"), sink);
            body->cr = false;
            n = body_take(body, octets, sink);
        }
        must(n > 0);
        octets = str_from_index(octets, n);
    }
}

void dkim_body_end(struct dkim_body *body, const struct dkim_sink *sink)
{
    if (body->cr)
        content_put(body, STR("\r"), sink);
    if (body->any || body->canonical == DKIM_SIMPLE)
        sink->put(sink->arg, STR("\r\n"));
}
