/*
 * words_encode writes a value alone; a field needs to know in which column it begins, or its first
 * line gets longer than RFC 2047 allows. So encoded words are cut here.
 */
#include "format/header_print.h"

#include "format/encodings.h"

enum {
    WORD_FRAME = 12, /* "=?utf-8?B?" and "?=" */
    WORD_OCTETS = 45 /* that become 60 of base64: a word of 72 behind its space */
};

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static void put_controlled(struct buf *buf, struct str text, char instead)
{
    char *to = buf_room(buf, text.n);
    if (!to)
        return;
    for (size_t i = 0; i < text.n; i++)
        to[i] = is_control(text.p[i]) ? instead : text.p[i];
    buf_added(buf, text.n);
}

static void fold(struct buf *buf, size_t *column)
{
    buf_put(buf, STR("\r\n"));
    *column = 0;
}

/* --- Values that are folded at spaces --- */

/* Spaces and the word behind them. */
static struct str piece_take(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] == ' ')
        n++;
    while (n < rest->n && rest->p[n] != ' ')
        n++;
    struct str piece = str_head(*rest, n);
    *rest = str_from_index(*rest, n);
    return piece;
}

/* A piece that no line can hold is cut; a space then stands in it. */
static void piece_put(struct buf *buf, struct str piece, size_t *column)
{
    while (*column + piece.n > HEADER_LINE_MAX) {
        size_t n = *column < HEADER_LINE_MAX ? HEADER_LINE_MAX - *column : 0;
        while (n > 1 && n < piece.n && ((unsigned char)piece.p[n] & 0xc0) == 0x80)
            n--;
        put_controlled(buf, str_head(piece, n), '?');
        piece = str_from_index(piece, n);
        fold(buf, column);
        buf_putc(buf, ' ');
        *column = 1;
    }
    put_controlled(buf, piece, '?');
    *column += piece.n;
}

static void folded_put(struct buf *buf, struct str value, size_t column)
{
    for (bool first = true; value.n; first = false) {
        struct str piece = piece_take(&value);
        bool blank = piece.p[piece.n - 1] == ' ';
        if (!first && !blank && piece.p[0] == ' ' && column + piece.n > HEADER_LINE)
            fold(buf, &column);
        piece_put(buf, piece, &column);
    }
}

static size_t name_put(struct buf *buf, struct str name)
{
    buf_put(buf, name);
    buf_put(buf, STR(": "));
    return name.n + 2;
}

void header_put(struct buf *buf, struct str name, struct str value)
{
    size_t column = name_put(buf, name);
    folded_put(buf, str_trim(value), column);
    buf_put(buf, STR("\r\n"));
}

/* --- Encoded words --- */

static size_t word_octets(struct str text, size_t room)
{
    size_t n = room < WORD_OCTETS ? room : WORD_OCTETS;
    if (text.n <= n)
        return text.n;
    size_t whole = n;
    while (n && whole - n < 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void words_put(struct buf *buf, struct str text, size_t *column)
{
    for (bool first = true; text.n; first = false) {
        size_t used = *column + WORD_FRAME + (first ? 0 : 1);
        size_t room = used < HEADER_WORD_LINE ? (HEADER_WORD_LINE - used) / 4 * 3 : 0;
        size_t n = word_octets(text, room);
        if (n == 0 || (room < WORD_OCTETS && !first)) {
            fold(buf, column);
            n = word_octets(text, WORD_OCTETS);
            buf_putc(buf, ' ');
            *column = 1;
        } else if (!first) {
            buf_putc(buf, ' ');
            *column += 1;
        }
        char plain[WORD_OCTETS];
        struct buf piece = {.p = plain, .cap = sizeof(plain), .max = sizeof(plain)};
        put_controlled(&piece, str_head(text, n), ' ');
        buf_put(buf, STR("=?utf-8?B?"));
        base64_print(buf, buf_str(&piece));
        buf_put(buf, STR("?="));
        *column += WORD_FRAME + (n + 2) / 3 * 4;
        text = str_from_index(text, n);
    }
}

/* Long words have no place to be folded; encoded they have. */
static bool is_plain(struct str text)
{
    if (!str_is_printable_ascii(text) || str_find(text, STR("=?")) >= 0)
        return false;
    while (text.n)
        if (piece_take(&text).n > HEADER_LINE_MAX / 2)
            return false;
    return true;
}

void header_put_text(struct buf *buf, struct str name, struct str text)
{
    size_t column = name_put(buf, name);
    text = str_trim(text);
    if (is_plain(text))
        folded_put(buf, text, column);
    else
        words_put(buf, text, &column);
    buf_put(buf, STR("\r\n"));
}

/* --- Mailboxes --- */

static bool is_atoms(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !memchr("!#$%&'*+-/=?^_`{|}~ ", c, 20))
            return false;
    }
    return true;
}

static void quoted_put(struct buf *buf, struct str text)
{
    buf_putc(buf, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_putc(buf, '\\');
        buf_putc(buf, text.p[i]);
    }
    buf_putc(buf, '"');
}

static void display_put(struct buf *buf, struct str display, size_t *column)
{
    if (!is_plain(display) || display.n > HEADER_LINE) {
        words_put(buf, display, column);
        return;
    }
    size_t before = buf->n;
    if (is_atoms(display))
        buf_put(buf, display);
    else
        quoted_put(buf, display);
    *column += buf->n - before;
}

void header_add_mailbox(struct buf *buf, bool first, struct str display, struct str address,
                        size_t *column)
{
    display = str_trim(display);
    bool named = display.n > 0;
    size_t n = address.n + (named ? display.n + 5 : 0);
    if (!first) {
        buf_putc(buf, ',');
        if (*column + 2 + n > HEADER_LINE)
            fold(buf, column);
        buf_putc(buf, ' ');
        *column += *column ? 2 : 1;
    }
    if (named) {
        display_put(buf, display, column);
        if (*column + 3 + address.n > HEADER_LINE)
            fold(buf, column);
        buf_put(buf, STR(" <"));
        *column += 2;
    }
    put_controlled(buf, address, '?');
    if (named)
        buf_putc(buf, '>');
    *column += address.n + (named ? 1 : 0);
}

void header_put_mailbox(struct buf *buf, struct str name, struct str display, struct str address)
{
    size_t column = name_put(buf, name);
    header_add_mailbox(buf, true, display, address, &column);
    buf_put(buf, STR("\r\n"));
}
