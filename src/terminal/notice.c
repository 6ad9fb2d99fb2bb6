/*
 * The text was cleaned by whoever had the message. It is cleaned here all the same: this is the
 * last door before a screen, and nobody behind it is believed.
 */
#include "terminal/notice.h"

#include "format/date.h"

enum {
    SENDER_MOST = 254, /* octets of a path (RFC 5321 4.5.3.1.3) */
};

/* Line ends of its own: a program that draws on its whole screen has the terminal add none. */
static void line_put(struct buf *to, const char *bar, struct str line, bool utf8)
{
    buf_put(to, str_from(bar));
    if (utf8)
        buf_put(to, line);
    else
        screen_put_ascii(to, line);
    buf_put(to, STR("\r\n"));
}

static void lines_put(struct buf *to, const char *bar, struct str text, bool utf8)
{
    struct buf clean = BUF_INIT(SCREEN_OCTETS);
    screen_put(&clean, text);
    struct str left = buf_str(&clean);
    while (left.n)
        line_put(to, bar, str_cut(&left, '\n'), utf8);
    buf_done(&clean);
}

void notice_put(struct buf *to, const struct notice *notice)
{
    struct buf head = BUF_INIT(SCREEN_LINE_OCTETS);
    buf_put(&head, STR("Message from <"));
    buf_put(&head, str_head(notice->sender, SENDER_MOST));
    buf_put(&head, STR(">, "));
    date_print_rfc3339(&head, notice->time);
    buf_putc(&head, ':');
    buf_put(to, STR("\r\n\a"));
    lines_put(to, "", buf_str(&head), notice->utf8);
    lines_put(to, "| ", notice->text, notice->utf8);
    line_put(to, "", STR("End of the message."), notice->utf8);
    buf_done(&head);
}
