/*
 * Why nothing is replaced or left out: whoever says a charset means it, and a letter with question
 * marks in it is worse than one that is not sent.
 */
#include "cli/charset.h"

#include <errno.h>
#include <iconv.h>
#include <langinfo.h>
#include <locale.h>

#include "format/words.h"

enum {
    PIECE = 64 * 1024, /* octets that are converted at once */
    NAME_MAX_OCTETS = 64,
};

#define MARK "\xEF\xBB\xBF" /* U+FEFF */

struct str charset_of_locale(void)
{
    if (!setlocale(LC_CTYPE, ""))
        return STR("");
    struct str name = str_from(nl_langinfo(CODESET));
    bool says_nothing = str_eq(name, STR("ANSI_X3.4-1968")) || str_eq_nocase(name, STR("UTF-8"));
    return says_nothing ? STR("") : name;
}

/* By the name that mail uses (gb2312 is read as GB18030), or the library's own. */
static iconv_t open_named(struct str name)
{
    char room[NAME_MAX_OCTETS];
    struct str known = charset_name(name);
    if (known.p)
        name = known;
    if (name.n == 0 || name.n >= sizeof room || str_index(name, '/') >= 0) /* "//TRANSLIT" */
        return (iconv_t)-1;
    memcpy(room, name.p, name.n);
    room[name.n] = '\0';
    return iconv_open("UTF-8", room);
}

static size_t lines_in(struct str text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    return lines;
}

/* What is left of a piece is put in front of the next. At the end an escape sequence may follow. */
static enum charset_end convert(iconv_t handle, struct str text, struct buf *to, size_t *line_r)
{
    char room[PIECE];
    char *in = (char *)(uintptr_t)text.p;
    size_t left = text.n;
    bool flushed = false;
    while (!flushed) {
        char *out = room;
        size_t space = sizeof room;
        flushed = left == 0;
        size_t done = iconv(handle, flushed ? NULL : &in, flushed ? NULL : &left, &out, &space);
        bool full = done == (size_t)-1 && errno == E2BIG;
        buf_put(to, str_make(room, sizeof room - space));
        if (done == (size_t)-1 && !full) {
            *line_r = lines_in(str_head(text, text.n - left));
            return CHARSET_WRONG;
        }
        flushed = flushed && !full;
    }
    return buf_over(to) ? CHARSET_NO_ROOM : CHARSET_FINE;
}

static void mark_drop(struct buf *to, size_t from)
{
    struct str made = str_from_index(buf_str(to), from);
    if (!str_starts(made, STR(MARK)))
        return;
    memmove(to->p + from, to->p + from + STR(MARK).n, made.n - STR(MARK).n);
    buf_cut(to, to->n - STR(MARK).n);
}

enum charset_end charset_convert(struct str name, struct str text, struct buf *to, size_t *line_r)
{
    size_t from = to->n;
    iconv_t handle = open_named(name);
    *line_r = 0;
    if (handle == (iconv_t)-1)
        return CHARSET_UNKNOWN;
    enum charset_end end = convert(handle, text, to, line_r);
    iconv_close(handle);
    if (end == CHARSET_FINE)
        mark_drop(to, from);
    return end;
}
