/*
 * Why not libconfuse (3.3 was tried): it stops at the first mistake and knows no nearest name, it
 * replaces ${NAME} by environment variables in every value, and its scanner keeps state in globals.
 * All that the format needs is this page.
 */
#include "conf/scan.h"

void conf_scan_init(struct scan *scan, struct str text, struct arena *arena)
{
    *scan = (struct scan){.rest = text, .line = 1, .arena = arena};
}

static void skip(struct scan *scan, size_t n)
{
    scan->rest = str_from_index(scan->rest, n);
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Blanks, ends of lines, comments. */
static void skip_space(struct scan *scan)
{
    while (scan->rest.n) {
        char c = scan->rest.p[0];
        if (c == '#') {
            ssize_t end = str_index(scan->rest, '\n');
            skip(scan, end < 0 ? scan->rest.n : (size_t)end);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            scan->line += c == '\n';
            skip(scan, 1);
        } else {
            return;
        }
    }
}

static struct token token_make(const struct scan *scan, enum token_kind kind, struct str text)
{
    return (struct token){.kind = kind, .text = text, .line = scan->line};
}

static struct token bad(struct scan *scan, size_t n, struct str what)
{
    struct token token = token_make(scan, TOKEN_BAD, what);
    skip(scan, n);
    return token;
}

static bool ends_word(char c)
{
    return is_control(c) || c == ' ' || strchr("\"'{}=,;#", c);
}

static struct token word(struct scan *scan)
{
    size_t n = 0;
    while (n < scan->rest.n && !ends_word(scan->rest.p[n]))
        n++;
    if (n == 0)
        return bad(scan, 1,
                   scan->rest.p[0] == ';' ? STR("no ; is needed") : STR("a control character"));
    struct str text = arena_str(scan->arena, str_head(scan->rest, n));
    if (!str_is_utf8(text))
        return bad(scan, n, STR("text that is not UTF-8"));
    struct token token = token_make(scan, TOKEN_WORD, text);
    skip(scan, n);
    return token;
}

/* Where the quote that was opened at 0 ends, or 0; escapes, \" and \\, count in double quotes. */
static size_t quote_end(struct str text)
{
    char quote = text.p[0];
    for (size_t i = 1; i < text.n && text.p[i] != '\n'; i++) {
        if (text.p[i] == quote)
            return i;
        if (quote == '"' && text.p[i] == '\\')
            i++;
    }
    return 0;
}

static size_t line_length(struct str text)
{
    ssize_t end = str_index(text, '\n');
    return end < 0 ? text.n : (size_t)end;
}

/* Takes the backslashes out, in place. False: one stands before something else than " or \. */
static bool unescape(char *p, size_t *n)
{
    size_t to = 0;
    for (size_t i = 0; i < *n; i++) {
        if (p[i] == '\\') {
            i++;
            if (i == *n || (p[i] != '"' && p[i] != '\\'))
                return false;
        }
        p[to++] = p[i];
    }
    *n = to;
    return true;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (is_control(text.p[i]))
            return true;
    return false;
}

static struct token quoted(struct scan *scan)
{
    size_t end = quote_end(scan->rest);
    if (!end)
        return bad(scan, line_length(scan->rest), STR("a quote that does not end on its line"));
    struct str inner = str_make(scan->rest.p + 1, end - 1);
    if (!str_is_utf8(inner) || has_control(inner))
        return bad(scan, end + 1, STR("a control character or text that is not UTF-8"));
    char *copy = arena_take(scan->arena, inner.n);
    if (!copy)
        return bad(scan, end + 1, STR("no room"));
    if (inner.n)
        memcpy(copy, inner.p, inner.n);
    if (scan->rest.p[0] == '"' && !unescape(copy, &inner.n))
        return bad(scan, end + 1, STR("a backslash before something else than \" or \\"));
    struct token token = token_make(scan, TOKEN_WORD, str_make(copy, inner.n));
    token.quoted = true;
    skip(scan, end + 1);
    return token;
}

static struct token mark(struct scan *scan, enum token_kind kind)
{
    struct token token = token_make(scan, kind, str_head(scan->rest, 1));
    skip(scan, 1);
    return token;
}

struct token conf_scan_next(struct scan *scan)
{
    skip_space(scan);
    if (scan->rest.n == 0)
        return token_make(scan, TOKEN_END, STR(""));
    switch (scan->rest.p[0]) {
    case '=':
        return mark(scan, TOKEN_EQUALS);
    case '{':
        return mark(scan, TOKEN_OPEN);
    case '}':
        return mark(scan, TOKEN_CLOSE);
    case ',':
        return mark(scan, TOKEN_COMMA);
    case '"':
    case '\'':
        return quoted(scan);
    default:
        return word(scan);
    }
}
