/* Properties: cuts change nothing; what was used ends where the reply does; the text is clean,
 * whole characters and within its room; what was understood, printed, is understood again. */
#include "base/must.h"
#include "format/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const struct reply *a, const struct reply *b)
{
    must(a->class == b->class && a->fault == b->fault && a->code == b->code);
    must(a->lines == b->lines && a->cut == b->cut && a->unclean == b->unclean);
    must(a->status.class == b->status.class && a->status.subject == b->status.subject);
    must(a->status.detail == b->status.detail && str_eq(a->text, b->text));
}

static void text_check(struct str text, size_t room)
{
    must(text.n <= room && str_is_utf8(text));
    for (size_t i = 0; i < text.n; i++)
        must(((unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7f) || text.p[i] == '\n');
}

static void again_check(const struct reply *reply)
{
    struct buf wire = BUF_INIT(REPLY_OCTETS_MAX), text = BUF_INIT(REPLY_TEXT_MAX);
    struct reply_parser parser;
    struct str rest = reply->text;
    while (rest.p) {
        struct str line = str_cut(&rest, '\n');
        buf_printf(&wire, "%u%c", reply->code, rest.p ? '-' : ' ');
        buf_put(&wire, line);
        buf_put(&wire, STR("\r\n"));
    }
    reply_begin(&parser, &text);
    must(reply_feed(&parser, buf_str(&wire)) == wire.n && parser.ended);
    must(parser.reply.class == reply->class && str_eq(parser.reply.text, reply->text));
    must(!parser.reply.unclean);
    buf_done(&wire);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    size_t room = data[0] ? data[0] * 4u : REPLY_TEXT_MAX;
    uint32_t seed = data[1];
    struct str octets = str_make(data + 2, n - 2), rest = octets;
    struct buf one_text = BUF_INIT(room), two_text = BUF_INIT(room), line = BUF_INIT(1 << 18);
    struct reply_parser one, two;
    reply_begin(&one, &one_text);
    size_t used = reply_feed(&one, octets), pieces = 0;
    reply_begin(&two, &two_text);
    while (rest.n) {
        seed = seed * 1664525 + 1013904223;
        struct str piece = str_head(rest, 1 + (seed >> 24) % 9);
        pieces += reply_feed(&two, piece);
        rest = str_from_index(rest, piece.n);
    }
    must(used == pieces && (one.ended || used == octets.n));
    must(!one.ended || one.reply.fault || octets.p[used - 1] == '\n');
    reply_close(&one);
    reply_close(&two);
    same(&one.reply, &two.reply);
    text_check(one.reply.text, room);
    must((one.reply.class == REPLY_BROKEN) == (one.reply.fault != REPLY_FAULT_NONE));
    must(one.reply.lines <= REPLY_LINES_MAX && used <= REPLY_OCTETS_MAX);
    if (one.reply.class != REPLY_BROKEN && !one.reply.cut)
        again_check(&one.reply);
    reply_print(&line, &one.reply, 100);
    must(line.n <= 160 && str_is_utf8(buf_str(&line)));
    buf_done(&one_text);
    buf_done(&two_text);
    buf_done(&line);
    return 0;
}
