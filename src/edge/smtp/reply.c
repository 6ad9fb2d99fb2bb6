/*
 * Lines are built on the stack and handed to the stream whole, so a limit here is a limit on the
 * wire, whatever text core or a command brought along.
 */
#include "edge/smtp/reply.h"

enum {
    QUOTED_MAX = 300 /* octets of a stranger's text in one line */
};

/* Mistakes and refusals count towards smtp.errors; our own trouble (4xx) does not, but for
 * recipients beyond the limit (catalogue S26). */
static bool counts(int code)
{
    return code >= 500 || code == 452;
}

static void put_codes(struct buf *line, int code, const char *enhanced, bool more)
{
    buf_printf(line, "%03d%c", code, more ? '-' : ' ');
    if (enhanced)
        buf_printf(line, "%s ", enhanced);
}

/* Nothing that was ever said to us, or to core, ends a line of ours. */
static void put_text(struct buf *line, struct str text)
{
    size_t from = line->n;
    buf_put(line, text);
    for (size_t i = from; i < line->n; i++) {
        unsigned char c = (unsigned char)line->p[i];
        if (c < 0x20 || c == 0x7f)
            line->p[i] = '?';
    }
}

/* Keeps a cut from leaving half a character. */
static struct str cut_to(struct str text, size_t room)
{
    if (text.n <= room)
        return text;
    while (room > 0 && ((unsigned char)text.p[room] & 0xc0) == 0x80)
        room--;
    return str_head(text, room);
}

void smtp_reply_line(struct smtp_session *s, int code, const char *enhanced, bool more,
                     struct str text)
{
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    put_codes(&line, code, enhanced, more);
    put_text(&line, cut_to(text, sizeof room - line.n - 2));
    buf_put(&line, STR("\r\n"));
    stream_put(&s->stream, buf_str(&line));
    if (!more && counts(code))
        s->errors++;
}

void smtp_reply(struct smtp_session *s, int code, const char *enhanced, struct str text)
{
    smtp_reply_line(s, code, enhanced, false, text);
}

void smtp_reply_quoting(struct smtp_session *s, int code, const char *enhanced, struct str before,
                        struct str text, struct str behind)
{
    char room[2 * SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_put(&line, before);
    buf_put_escaped(&line, text, QUOTED_MAX / 4);
    buf_put(&line, behind);
    smtp_reply(s, code, enhanced, buf_str(&line));
}

static const char *enhanced_for(const struct err_row *row, int code, char to[16])
{
    /* Core may choose another code than the row's; the classes must agree (RFC 2034 4). */
    struct buf text = {.p = to, .cap = 16, .max = 16};
    buf_printf(&text, "%d%s", code / 100, row->enhanced + 1);
    buf_putc(&text, '\0');
    return to;
}

void smtp_reply_error_text(struct smtp_session *s, enum err_code error, int code, struct str text)
{
    const struct err_row *row = err_row(error);
    char enhanced[16], room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    if (code < 400 || code > 599)
        code = row->smtp;
    if (code < 400) /* an answer that accepts where it should refuse: core's mistake, not theirs */
        row = err_row(ERR_TRY_LATER), code = row->smtp;
    if (code == 421) {
        buf_put(&line, smtp_hostname(s));
        buf_putc(&line, ' ');
    }
    buf_put(&line, str_from(row->text));
    if (text.n > 0) {
        buf_put(&line, STR("; "));
        buf_put(&line, cut_to(text, sizeof room - line.n));
    }
    smtp_reply(s, code, enhanced_for(row, code, enhanced), buf_str(&line));
}

void smtp_reply_error(struct smtp_session *s, enum err_code error)
{
    smtp_reply_error_text(s, error, 0, str_null());
}

void smtp_reply_moved(struct smtp_session *s, int code, struct str path)
{
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_put(&line, code == 251 ? STR("User not local; will forward to ")
                               : STR("User not local; please try "));
    buf_put(&line, cut_to(path, sizeof room - line.n));
    smtp_reply(s, code, code == 251 ? "2.1.5" : "5.1.6", buf_str(&line));
}

void smtp_refusal_line(const struct conf *conf, enum err_code why, struct buf *line)
{
    const struct err_row *row = err_row(why);
    struct str host = conf->server.hostname;
    put_codes(line, row->smtp, row->enhanced, false);
    buf_put(line, host.n > 0 ? host : STR("localhost"));
    buf_putc(line, ' ');
    buf_put(line, str_from(row->text));
    buf_put(line, STR("\r\n"));
}
