/*
 * Quoted-printable is for people who look at a raw message: it pays where most of the text can be
 * read then. Chinese text cannot, and is a third longer in it than in base64.
 */
#include "format/transfer.h"

#include "format/encodings.h"

enum {
    READABLE = 6 /* one octet in so many may be above 127 */
};

void transfer_look(struct transfer_look *look, struct str octets)
{
    look->size += octets.n;
    for (size_t i = 0; i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        look->unfit |= c == 0 || look->cr != (c == '\n');
        look->above_ascii += c > 0x7f;
        look->cr = c == '\r';
        look->line = c == '\n' || c == '\r' ? 0 : look->line + 1;
        if (look->line > look->longest)
            look->longest = look->line;
    }
}

bool transfer_is_lines(const struct transfer_look *look)
{
    return !look->unfit && !look->cr && look->longest <= TRANSFER_LINE_MAX;
}

enum transfer transfer_choose(const struct transfer_look *look)
{
    if (transfer_is_lines(look) && look->above_ascii == 0)
        return TRANSFER_7BIT;
    bool readable = look->above_ascii <= look->size / READABLE && !look->unfit && !look->cr;
    return readable ? TRANSFER_QUOTED_PRINTABLE : TRANSFER_BASE64;
}

struct str transfer_word(enum transfer transfer)
{
    static const struct str words[] = {
        [TRANSFER_7BIT] = STR_INIT("7bit"),
        [TRANSFER_8BIT] = STR_INIT("8bit"),
        [TRANSFER_QUOTED_PRINTABLE] = STR_INIT("quoted-printable"),
        [TRANSFER_BASE64] = STR_INIT("base64"),
    };
    return words[transfer];
}

static void quoted_printable_put(struct buf *buf, struct str octets)
{
    struct quoted_printable_encode encode;
    quoted_printable_encode_init(&encode);
    quoted_printable_encode_feed(&encode, octets, buf);
    quoted_printable_encode_end(&encode, buf);
}

static void base64_put(struct buf *buf, struct str octets)
{
    struct base64_encode encode;
    base64_encode_init(&encode, true);
    base64_encode_feed(&encode, octets, buf);
    base64_encode_end(&encode, buf);
}

void transfer_put(struct buf *buf, struct str octets, enum transfer transfer)
{
    if (transfer == TRANSFER_QUOTED_PRINTABLE)
        quoted_printable_put(buf, octets);
    else if (transfer == TRANSFER_BASE64)
        base64_put(buf, octets);
    else
        buf_put(buf, octets);
}
