/*
 * An octet at a time, with no line kept: a reply is short, and a state for each place in a line is
 * less to get wrong than a buffer of lines that may be cut anywhere. What a hostile server sends
 * without end is counted, not kept.
 */
#include "format/reply.h"

#include <unistr.h>

#include "base/must.h"

enum place {
    PLACE_CODE_1, /* the first digit comes */
    PLACE_CODE_2,
    PLACE_CODE_3,
    PLACE_BEHIND_CODE,
    PLACE_CODE_CR, /* a CR right behind the code: only LF may follow */
    PLACE_TEXT,
    PLACE_TEXT_CR,
};

void reply_begin(struct reply_parser *parser, struct buf *text)
{
    *parser = (struct reply_parser){.text = text, .text_start = text->n};
}

static void finish(struct reply_parser *parser, enum reply_fault fault)
{
    struct reply *reply = &parser->reply;
    const struct buf *text = parser->text;
    reply->fault = fault;
    reply->class = fault ? REPLY_BROKEN : (enum reply_class)(reply->code / 100);
    reply->text =
        text->n > parser->text_start ? str_from_index(buf_str(text), parser->text_start) : STR("");
    parser->ended = true;
}

/* --- The text, cleaned --- */

static void text_put(struct reply_parser *parser, struct str s)
{
    struct reply *reply = &parser->reply;
    if (!reply->cut)
        reply->cut = parser->text->n + s.n > parser->text->max || !buf_put(parser->text, s);
}

static bool is_bidi_or_separator(ucs4_t c)
{
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static void character_put(struct reply_parser *parser, ucs4_t c, struct str as_written)
{
    bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || is_bidi_or_separator(c);
    if (c == '\t')
        text_put(parser, STR(" "));
    else if (control)
        parser->reply.unclean = true;
    else
        text_put(parser, as_written);
}

/* Takes what is held, as far as it is whole characters; at the end of a line all of it. */
static void held_put(struct reply_parser *parser, bool all)
{
    while (parser->held_n) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, parser->held, parser->held_n);
        if (n == -2 && !all)
            return;
        size_t taken = n > 0 ? (size_t)n : 1;
        if (n > 0) {
            character_put(parser, c, str_make(parser->held, taken));
        } else {
            parser->reply.unclean = true;
            text_put(parser, STR("\xef\xbf\xbd"));
        }
        parser->held_n = (uint8_t)(parser->held_n - taken);
        memmove(parser->held, parser->held + taken, parser->held_n);
    }
}

static void text_octet(struct reply_parser *parser, char c)
{
    if (parser->head_n < sizeof(parser->head))
        parser->head[parser->head_n++] = c;
    must(parser->held_n < sizeof(parser->held));
    parser->held[parser->held_n++] = (unsigned char)c;
    held_put(parser, false);
}

/* --- Lines --- */

static void line_begin(struct reply_parser *parser)
{
    parser->place = PLACE_CODE_1;
    parser->code = 0;
    parser->head_n = 0;
    text_put(parser, STR("\n"));
}

static void line_end(struct reply_parser *parser)
{
    struct reply *reply = &parser->reply;
    struct status_code status;
    held_put(parser, true);
    if (status_code_parse(str_make(parser->head, parser->head_n), &status) &&
        status.class == parser->code / 100)
        reply->status = status;
    reply->lines++;
    if (parser->last)
        finish(parser, REPLY_FAULT_NONE);
    else if (reply->lines == REPLY_LINES_MAX)
        finish(parser, REPLY_FAULT_LINES);
    else
        line_begin(parser);
}

static void code_octet(struct reply_parser *parser, char c)
{
    bool first = parser->place == PLACE_CODE_1;
    if (first ? c < '2' || c > '5' : !ascii_is_digit(c)) {
        finish(parser, REPLY_FAULT_CODE);
        return;
    }
    parser->code = (uint16_t)(parser->code * 10 + (c - '0'));
    if (++parser->place != PLACE_BEHIND_CODE)
        return;
    uint16_t before = parser->reply.code;
    parser->reply.code = parser->code;
    if (before && before / 100 != parser->code / 100)
        finish(parser, REPLY_FAULT_CHANGED);
}

static void separator_octet(struct reply_parser *parser, char c)
{
    parser->last = c != '-';
    if (c == '\n')
        line_end(parser);
    else if (c == '\r')
        parser->place = PLACE_CODE_CR;
    else if (c == '-' || c == ' ' || c == '\t')
        parser->place = PLACE_TEXT;
    else
        finish(parser, REPLY_FAULT_CODE);
}

static void octet_take(struct reply_parser *parser, char c)
{
    switch ((enum place)parser->place) {
    case PLACE_CODE_1:
    case PLACE_CODE_2:
    case PLACE_CODE_3:
        code_octet(parser, c);
        return;
    case PLACE_BEHIND_CODE:
        separator_octet(parser, c);
        return;
    case PLACE_CODE_CR:
        if (c == '\n')
            line_end(parser);
        else
            finish(parser, REPLY_FAULT_CODE);
        return;
    case PLACE_TEXT:
    case PLACE_TEXT_CR:
        if (parser->place == PLACE_TEXT_CR && c != '\n')
            text_octet(parser, '\r');
        parser->place = c == '\r' ? PLACE_TEXT_CR : PLACE_TEXT;
        if (c == '\n')
            line_end(parser);
        else if (c != '\r')
            text_octet(parser, c);
        return;
    }
}

size_t reply_feed(struct reply_parser *parser, struct str octets)
{
    size_t used = 0;
    while (used < octets.n && !parser->ended) {
        if (parser->octets == REPLY_OCTETS_MAX) {
            finish(parser, REPLY_FAULT_LENGTH);
            break;
        }
        parser->octets++;
        octet_take(parser, octets.p[used++]);
    }
    return used;
}

void reply_close(struct reply_parser *parser)
{
    if (!parser->ended)
        finish(parser, REPLY_FAULT_UNENDED);
}

/* --- Enhanced status codes --- */

static bool status_number(struct str *rest, uint16_t *number_r)
{
    size_t n = 0;
    uint16_t number = 0;
    while (n < rest->n && n < 3 && ascii_is_digit(rest->p[n]))
        number = (uint16_t)(number * 10 + (rest->p[n++] - '0'));
    *rest = str_from_index(*rest, n);
    *number_r = number;
    return n > 0;
}

static bool dot_take(struct str *rest)
{
    bool dot = rest->n > 0 && rest->p[0] == '.';
    *rest = str_from_index(*rest, 1);
    return dot;
}

bool status_code_parse(struct str text, struct status_code *status_r)
{
    struct status_code status = {0};
    if (text.n == 0 || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
        return false;
    status.class = (uint8_t)(text.p[0] - '0');
    struct str rest = str_from_index(text, 1);
    if (!dot_take(&rest) || !status_number(&rest, &status.subject) || !dot_take(&rest) ||
        !status_number(&rest, &status.detail))
        return false;
    if (rest.n && rest.p[0] != ' ' && rest.p[0] != '\t')
        return false;
    *status_r = status;
    return true;
}

void status_code_print(struct buf *buf, struct status_code status)
{
    buf_printf(buf, "%u.%u.%u", status.class, status.subject, status.detail);
}

/* --- For people --- */

/* At most n octets, whole characters. */
static struct str head_of(struct str text, size_t n)
{
    if (text.n <= n)
        return text;
    while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return str_head(text, n);
}

void reply_print(struct buf *buf, const struct reply *reply, size_t limit)
{
    size_t start = buf->n;
    struct str rest = reply->text;
    if (reply->class == REPLY_BROKEN)
        buf_put(buf, str_from(reply_fault_text(reply->fault)));
    else
        buf_put_u64(buf, reply->code);
    while (rest.p) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        if (line.n == 0)
            continue;
        buf_putc(buf, ' ');
        size_t used = buf->n - start;
        struct str head = head_of(line, used < limit ? limit - used : 0);
        buf_put(buf, head);
        if (head.n < line.n) {
            buf_put(buf, STR("..."));
            return;
        }
    }
}

const char *reply_fault_text(enum reply_fault fault)
{
    switch (fault) {
    case REPLY_FAULT_NONE:
        return "a reply";
    case REPLY_FAULT_CODE:
        return "not a reply of SMTP:";
    case REPLY_FAULT_CHANGED:
        return "a reply whose lines contradict each other:";
    case REPLY_FAULT_LENGTH:
        return "a reply of too many octets:";
    case REPLY_FAULT_LINES:
        return "a reply of too many lines:";
    case REPLY_FAULT_UNENDED:
        break;
    }
    return "the connection ended within a reply:";
}
