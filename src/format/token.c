/*
 * These are the only places that know quoting and comments, so that two parsers of one field
 * cannot disagree about where it ends.
 */
#include "format/token.h"

struct str fws_trim(struct str s)
{
    while (s.n && is_fws(s.p[0]))
        s = str_from_index(s, 1);
    while (s.n && is_fws(s.p[s.n - 1]))
        s.n--;
    return s;
}

void cfws_skip(struct str *rest)
{
    size_t depth = 0, i = 0;
    for (; i < rest->n; i++) {
        char c = rest->p[i];
        if (c == '(')
            depth++;
        else if (depth && c == ')')
            depth--;
        else if (depth && c == '\\' && i + 1 < rest->n)
            i++;
        else if (!depth && !is_fws(c))
            break;
    }
    *rest = str_from_index(*rest, i);
}

static bool is_token_char(char c)
{
    return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

struct str token_take(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && is_token_char(rest->p[n]))
        n++;
    struct str token = str_head(*rest, n);
    *rest = str_from_index(*rest, n);
    return token;
}

struct str quoted_take(struct str *rest)
{
    size_t i = 1;
    for (; i < rest->n && rest->p[i] != '"'; i++)
        if (rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
    struct str text = str_make(rest->p + 1, i - 1);
    *rest = str_from_index(*rest, i + 1);
    return text;
}

size_t quoted_plain(struct str quoted, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < quoted.n; i++) {
        char c = quoted.p[i];
        if (c == '\r' && i + 1 < quoted.n && quoted.p[i + 1] == '\n') {
            i++;
            continue;
        }
        if (c == '\\' && i + 1 < quoted.n)
            c = quoted.p[++i];
        to[n++] = c;
    }
    return n;
}
