/*
 * Streaming, because a body passes in pieces; the states hold what a piece may cut. base64 is done
 * quantum by quantum into room that is taken once for a piece.
 */
#include "format/encodings.h"

#include "base/must.h"

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* base64, out */

void base64_encode_init(struct base64_encode *encode, bool lines)
{
    *encode = (struct base64_encode){.lines = lines};
}

uint64_t base64_encoded_size(uint64_t n, bool lines)
{
    uint64_t digits = (n / 3 + (n % 3 != 0)) * 4;
    uint64_t breaks = lines ? digits / ENCODED_LINE + (digits % ENCODED_LINE != 0) : 0;
    return digits + 2 * breaks;
}

static char *quantum_put(struct base64_encode *encode, char *to, const unsigned char from[3])
{
    *to++ = digits64[from[0] >> 2];
    *to++ = digits64[(from[0] & 3) << 4 | from[1] >> 4];
    *to++ = digits64[(from[1] & 15) << 2 | from[2] >> 6];
    *to++ = digits64[from[2] & 63];
    encode->column += 4;
    if (encode->lines && encode->column == ENCODED_LINE) {
        *to++ = '\r';
        *to++ = '\n';
    }
    if (encode->column == ENCODED_LINE)
        encode->column = 0;
    return to;
}

void base64_encode_feed(struct base64_encode *encode, struct str bytes, struct buf *buf)
{
    uint64_t most = base64_encoded_size(bytes.n + encode->kept_n, true);
    char *start = buf_room(buf, most);
    if (!start)
        return;
    char *to = start;
    unsigned char quantum[3];
    size_t n = encode->kept_n;
    memcpy(quantum, encode->kept, n);
    for (size_t i = 0; i < bytes.n; i++) {
        quantum[n++] = (unsigned char)bytes.p[i];
        if (n == 3) {
            to = quantum_put(encode, to, quantum);
            n = 0;
        }
    }
    memcpy(encode->kept, quantum, n);
    encode->kept_n = (uint8_t)n;
    buf_added(buf, (size_t)(to - start));
}

void base64_encode_end(struct base64_encode *encode, struct buf *buf)
{
    unsigned char quantum[3] = {0};
    char text[6];
    memcpy(quantum, encode->kept, encode->kept_n);
    if (encode->kept_n) {
        char *end = quantum_put(encode, text, quantum);
        text[3] = '=';
        if (encode->kept_n == 1)
            text[2] = '=';
        buf_put(buf, str_make(text, (size_t)(end - text)));
    }
    if (encode->lines && encode->column)
        buf_put(buf, STR("\r\n"));
    base64_encode_init(encode, encode->lines);
}

void base64_print(struct buf *buf, struct str bytes)
{
    struct base64_encode encode;
    base64_encode_init(&encode, false);
    base64_encode_feed(&encode, bytes, buf);
    base64_encode_end(&encode, buf);
}

/* base64, in */

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void base64_decode_init(struct base64_decode *decode)
{
    *decode = (struct base64_decode){0};
}

/* The octets of a quantum of `digits` digits, most significant first. */
static size_t quantum_octets(uint32_t bits, unsigned digits, char to[3])
{
    bits <<= 6 * (4 - digits);
    to[0] = (char)(bits >> 16);
    to[1] = (char)(bits >> 8);
    to[2] = (char)bits;
    return digits ? digits - 1 : 0;
}

void base64_decode_feed(struct base64_decode *decode, struct str text, struct buf *buf)
{
    char *start = buf_room(buf, text.n / 4 * 3 + 3);
    if (!start)
        return;
    char *to = start;
    for (size_t i = 0; i < text.n && !decode->ended; i++) {
        int value = digit_value(text.p[i]);
        decode->ended = text.p[i] == '=';
        if (value < 0) {
            decode->malformed |=
                !decode->ended && text.p[i] != '\r' && text.p[i] != '\n' && !is_blank(text.p[i]);
            continue;
        }
        decode->bits = decode->bits << 6 | (uint32_t)value;
        if (++decode->digits == 4) {
            to += quantum_octets(decode->bits, 4, to);
            decode->bits = decode->digits = 0;
        }
    }
    buf_added(buf, (size_t)(to - start));
}

void base64_decode_end(struct base64_decode *decode, struct buf *buf)
{
    char octets[3];
    decode->malformed |= decode->digits == 1 || (decode->digits && !decode->ended);
    buf_put(buf, str_make(octets, quantum_octets(decode->bits, decode->digits, octets)));
    decode->bits = decode->digits = 0;
}

bool base64_parse(struct str text, struct buf *buf)
{
    if (text.n % 4)
        return false;
    size_t padding = text.n && text.p[text.n - 1] == '=';
    padding += padding && text.p[text.n - 2] == '=';
    struct str digits = str_head(text, text.n - padding);
    for (size_t i = 0; i < digits.n; i++)
        if (digit_value(digits.p[i]) < 0)
            return false;
    /* The bits that the padding leaves unused. */
    static const int unused[] = {0, 3, 15};
    if (padding && digit_value(digits.p[digits.n - 1]) & unused[padding])
        return false;
    struct base64_decode decode;
    base64_decode_init(&decode);
    base64_decode_feed(&decode, digits, buf);
    base64_decode_end(&decode, buf);
    return !buf_over(buf);
}

static int url_digit_value(char c)
{
    if (c == '+' || c == '/')
        return -1;
    return c == '-' ? 62 : c == '_' ? 63 : digit_value(c);
}

bool base64url_parse(struct str text, struct buf *buf)
{
    /* The bits of the last digit that are none of an octet's; one digit alone has too few. */
    static const unsigned unused[] = {0, 63, 15, 3};
    unsigned last = (unsigned)(text.n % 4);
    char *start = buf_room(buf, text.n / 4 * 3 + 3);
    if (!start || last == 1)
        return false;
    char *to = start;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = url_digit_value(text.p[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3)
            to += quantum_octets(bits, 4, to);
    }
    if (bits & unused[last])
        return false;
    to += quantum_octets(bits, last, to);
    buf_added(buf, (size_t)(to - start));
    return true;
}

/* quoted-printable, out */

void quoted_printable_encode_init(struct quoted_printable_encode *encode)
{
    *encode = (struct quoted_printable_encode){0};
}

/* A word that is not cut, behind a soft break where the line has no room for it and a '='. */
static void unit_put(struct quoted_printable_encode *encode, struct str unit, struct buf *buf)
{
    if (encode->column + unit.n > ENCODED_LINE - 1) {
        buf_put(buf, STR("=\r\n"));
        encode->column = 0;
    }
    buf_put(buf, unit);
    encode->column = (uint8_t)(encode->column + unit.n);
}

static void escaped_put(struct quoted_printable_encode *encode, char c, struct buf *buf)
{
    static const char hex[] = "0123456789ABCDEF";
    char unit[3] = {'=', hex[(unsigned char)c >> 4], hex[c & 15]};
    unit_put(encode, str_make(unit, 3), buf);
}

/* What comes next stands first in its line, perhaps behind a soft break. */
static bool begins_line(const struct quoted_printable_encode *encode)
{
    return encode->column == 0 || encode->column == ENCODED_LINE - 1;
}

static void blank_put(struct quoted_printable_encode *encode, bool at_end, struct buf *buf)
{
    char blank = encode->blank;
    encode->blank = 0;
    if (blank && at_end)
        escaped_put(encode, blank, buf);
    else if (blank)
        unit_put(encode, str_make(&blank, 1), buf);
}

static void line_break_put(struct quoted_printable_encode *encode, struct buf *buf)
{
    blank_put(encode, true, buf);
    buf_put(buf, STR("\r\n"));
    encode->column = 0;
    encode->cr = false;
}

static void octet_put(struct quoted_printable_encode *encode, char c, struct buf *buf)
{
    if (encode->cr && c == '\n') {
        line_break_put(encode, buf);
        return;
    }
    if (encode->cr) {
        blank_put(encode, false, buf);
        escaped_put(encode, '\r', buf);
        encode->cr = false;
    }
    if (c == '\r') {
        encode->cr = true;
        return;
    }
    blank_put(encode, false, buf);
    if (is_blank(c))
        encode->blank = c;
    else if (c > 0x20 && c < 0x7f && c != '=' && !(c == '-' && begins_line(encode)))
        unit_put(encode, str_make(&c, 1), buf);
    else
        escaped_put(encode, c, buf);
}

void quoted_printable_encode_feed(struct quoted_printable_encode *encode, struct str bytes,
                                  struct buf *buf)
{
    for (size_t i = 0; i < bytes.n; i++)
        octet_put(encode, bytes.p[i], buf);
}

void quoted_printable_encode_end(struct quoted_printable_encode *encode, struct buf *buf)
{
    if (encode->cr) {
        blank_put(encode, false, buf);
        escaped_put(encode, '\r', buf);
    }
    blank_put(encode, true, buf);
    quoted_printable_encode_init(encode);
}

/* quoted-printable, in */

static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void quoted_printable_decode_init(struct quoted_printable_decode *decode)
{
    *decode = (struct quoted_printable_decode){0};
}

static void held_put(struct quoted_printable_decode *decode, struct buf *buf)
{
    buf_put(buf, str_make(decode->held, decode->held_n));
    decode->held_n = 0;
}

/* What a held escape and the next octet make. False: no escape, the octet is still to be taken. */
static bool escape_take(struct quoted_printable_decode *decode, char c, struct buf *buf)
{
    char last = decode->held[decode->held_n - 1];
    if (c == '\n' && (last == '=' || last == '\r' || is_blank(last))) {
        decode->held_n = 0; /* a soft line break */
        return true;
    }
    if (decode->held_n == 2 && hex_value(last) >= 0 && hex_value(c) >= 0) {
        buf_putc(buf, (char)(hex_value(last) * 16 + hex_value(c)));
        decode->held_n = 0;
        return true;
    }
    bool goes_on = (last == '=' && hex_value(c) >= 0) ||
                   ((last == '=' || is_blank(last)) && (is_blank(c) || c == '\r'));
    if (!goes_on || decode->held_n == sizeof(decode->held)) {
        decode->malformed = true;
        held_put(decode, buf);
        return false;
    }
    decode->held[decode->held_n++] = c;
    return true;
}

static void text_take(struct quoted_printable_decode *decode, char c, struct buf *buf)
{
    if (c == '\r' || c == '\n')
        decode->held_n =
            0; /* blanks at the end of a line were added on the way: RFC 2045 6.7 (3) */
    else if (!is_blank(c) || decode->held_n == sizeof(decode->held))
        held_put(decode, buf);
    if (c == '=' || is_blank(c))
        decode->held[decode->held_n++] = c;
    else
        buf_putc(buf, c);
}

void quoted_printable_decode_feed(struct quoted_printable_decode *decode, struct str text,
                                  struct buf *buf)
{
    for (size_t i = 0; i < text.n; i++) {
        bool escape = decode->held_n && decode->held[0] == '=';
        if (!escape || !escape_take(decode, text.p[i], buf))
            text_take(decode, text.p[i], buf);
    }
}

void quoted_printable_decode_end(struct quoted_printable_decode *decode, struct buf *buf)
{
    if (decode->held_n && decode->held[0] == '=') {
        decode->malformed = true;
        held_put(decode, buf);
    }
    decode->held_n = 0;
}
