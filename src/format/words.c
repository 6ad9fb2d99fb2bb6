/*
 * Decoding collects the octets of neighbouring words of one charset and converts them together.
 * A text that only looks like an encoded word costs a scan to the next '?', which no later attempt
 * repeats, so a megabyte of "=?" stays linear.
 */
#include "format/words.h"

#include <unistr.h>

#include "format/encodings.h"
#include "format/token.h"

enum {
    LABEL_MAX = 64,
    /* Octets in an encoded word of ours: base64 of 45 is 60, with "=?utf-8?B?" and "?=" 72 of the
     * 75 that RFC 2047 2 allows. */
    WORD_OCTETS = 45,
};

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Labels as they are met in mail, and the superset under which they decode best. */
static const struct {
    struct str label, name;
} charsets[] = {
    {STR_INIT("us-ascii"), STR_INIT("US-ASCII")},
    {STR_INIT("ascii"), STR_INIT("US-ASCII")},
    {STR_INIT("utf-8"), STR_INIT("UTF-8")},
    {STR_INIT("utf8"), STR_INIT("UTF-8")},
    {STR_INIT("iso-8859-1"), STR_INIT("ISO-8859-1")},
    {STR_INIT("latin1"), STR_INIT("ISO-8859-1")},
    {STR_INIT("iso-8859-2"), STR_INIT("ISO-8859-2")},
    {STR_INIT("iso-8859-3"), STR_INIT("ISO-8859-3")},
    {STR_INIT("iso-8859-4"), STR_INIT("ISO-8859-4")},
    {STR_INIT("iso-8859-5"), STR_INIT("ISO-8859-5")},
    {STR_INIT("iso-8859-6"), STR_INIT("ISO-8859-6")},
    {STR_INIT("iso-8859-7"), STR_INIT("ISO-8859-7")},
    {STR_INIT("iso-8859-8"), STR_INIT("ISO-8859-8")},
    {STR_INIT("iso-8859-8-i"), STR_INIT("ISO-8859-8")},
    {STR_INIT("iso-8859-9"), STR_INIT("ISO-8859-9")},
    {STR_INIT("iso-8859-10"), STR_INIT("ISO-8859-10")},
    {STR_INIT("iso-8859-11"), STR_INIT("ISO-8859-11")},
    {STR_INIT("tis-620"), STR_INIT("ISO-8859-11")},
    {STR_INIT("iso-8859-13"), STR_INIT("ISO-8859-13")},
    {STR_INIT("iso-8859-14"), STR_INIT("ISO-8859-14")},
    {STR_INIT("iso-8859-15"), STR_INIT("ISO-8859-15")},
    {STR_INIT("iso-8859-16"), STR_INIT("ISO-8859-16")},
    {STR_INIT("gb18030"), STR_INIT("GB18030")},
    {STR_INIT("gb2312"), STR_INIT("GB18030")},
    {STR_INIT("gb_2312-80"), STR_INIT("GB18030")},
    {STR_INIT("gbk"), STR_INIT("GB18030")},
    {STR_INIT("x-gbk"), STR_INIT("GB18030")},
    {STR_INIT("cp936"), STR_INIT("GB18030")},
    {STR_INIT("big5"), STR_INIT("BIG5-HKSCS")},
    {STR_INIT("big5-hkscs"), STR_INIT("BIG5-HKSCS")},
    {STR_INIT("iso-2022-jp"), STR_INIT("ISO-2022-JP-2")},
    {STR_INIT("iso-2022-jp-2"), STR_INIT("ISO-2022-JP-2")},
    {STR_INIT("iso-2022-kr"), STR_INIT("ISO-2022-KR")},
    {STR_INIT("euc-jp"), STR_INIT("EUC-JP")},
    {STR_INIT("shift_jis"), STR_INIT("CP932")},
    {STR_INIT("shift-jis"), STR_INIT("CP932")},
    {STR_INIT("sjis"), STR_INIT("CP932")},
    {STR_INIT("windows-31j"), STR_INIT("CP932")},
    {STR_INIT("cp932"), STR_INIT("CP932")},
    {STR_INIT("euc-kr"), STR_INIT("CP949")},
    {STR_INIT("ks_c_5601-1987"), STR_INIT("CP949")},
    {STR_INIT("cp949"), STR_INIT("CP949")},
    {STR_INIT("koi8-r"), STR_INIT("KOI8-R")},
    {STR_INIT("koi8-u"), STR_INIT("KOI8-U")},
    {STR_INIT("windows-874"), STR_INIT("CP874")},
    {STR_INIT("windows-1250"), STR_INIT("CP1250")},
    {STR_INIT("windows-1251"), STR_INIT("CP1251")},
    {STR_INIT("windows-1252"), STR_INIT("CP1252")},
    {STR_INIT("windows-1253"), STR_INIT("CP1253")},
    {STR_INIT("windows-1254"), STR_INIT("CP1254")},
    {STR_INIT("windows-1255"), STR_INIT("CP1255")},
    {STR_INIT("windows-1256"), STR_INIT("CP1256")},
    {STR_INIT("windows-1257"), STR_INIT("CP1257")},
    {STR_INIT("windows-1258"), STR_INIT("CP1258")},
};

enum {
    CHARSETS = sizeof(charsets) / sizeof(charsets[0])
};

struct str charset_name(struct str label)
{
    for (size_t i = 0; i < CHARSETS; i++)
        if (str_eq_nocase(charsets[i].label, label))
            return charsets[i].name;
    return str_null();
}

struct str charset_names(size_t index)
{
    for (size_t i = 0; i < CHARSETS; i++) {
        bool again = i && str_eq(charsets[i].name, charsets[i - 1].name);
        if (!again && index-- == 0)
            return charsets[i].name;
    }
    return str_null();
}

/* Clean output */

static bool is_control(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static void clean_put(struct str utf8, struct buf *buf)
{
    while (utf8.n) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, (const uint8_t *)utf8.p, utf8.n);
        size_t step = n > 0 ? (size_t)n : 1;
        if (n > 0 && c == '\t')
            buf_putc(buf, ' ');
        else if (n <= 0 || is_control(c))
            buf_put(buf, str_from(REPLACEMENT));
        else
            buf_put(buf, str_head(utf8, step));
        utf8 = str_from_index(utf8, step);
    }
}

static void latin1_put(struct str bytes, struct buf *buf)
{
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        char pair[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        clean_put(c < 0x80 ? str_make(bytes.p + i, 1) : str_make(pair, 2), buf);
    }
}

static bool foreign_put(struct str name, struct str bytes,
                        const struct charset_converter *converter, struct buf *buf)
{
    /* Four octets of UTF-8 for each octet is more than any charset needs. */
    struct buf utf8 = BUF_INIT(bytes.n * 4 + 64);
    bool known = converter && converter->convert(converter->context, name, bytes, &utf8);
    if (known)
        clean_put(buf_str(&utf8), buf);
    buf_done(&utf8);
    return known;
}

void charset_decode(struct str label, struct str bytes, const struct charset_converter *converter,
                    struct buf *buf)
{
    struct str name = charset_name(label);
    if (str_eq(name, STR("ISO-8859-1")))
        latin1_put(bytes, buf);
    else if (!name.p || str_eq(name, STR("UTF-8")) || str_eq(name, STR("US-ASCII")) ||
             !foreign_put(name, bytes, converter, buf))
        clean_put(bytes, buf);
}

/* Encoded words, in */

struct encoded_word {
    struct str label;
    char encoding; /* 'b' or 'q' */
    struct str text;
    size_t length; /* of the whole word */
};

/* At the start of text: =?label*language?B or Q?text?= */
static bool word_parse(struct str text, struct encoded_word *word)
{
    if (!str_starts(text, STR("=?")))
        return false;
    struct str label = str_head(str_from_index(text, 2), LABEL_MAX);
    ssize_t end = str_index(label, '?');
    if (end <= 0)
        return false;
    label.n = (size_t)end;
    struct str rest = str_from_index(text, 2 + (size_t)end + 1);
    if (rest.n < 2 || rest.p[1] != '?')
        return false;
    word->encoding = ascii_lower(rest.p[0]);
    rest = str_from_index(rest, 2);
    end = str_index(rest, '?');
    if ((word->encoding != 'b' && word->encoding != 'q') || end < 0 || (size_t)end + 1 >= rest.n ||
        rest.p[end + 1] != '=')
        return false;
    word->label = str_cut(&label, '*');
    word->text = str_head(rest, (size_t)end);
    word->length = (size_t)(rest.p - text.p) + (size_t)end + 2;
    return true;
}

static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `mark` and two hex digits to an octet, and '_' to a space where `underscore` says so. Returns how
 * many octets were written to `to`, which has room for text.n. */
static size_t hex_plain(struct str text, char mark, bool underscore, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (underscore && c == '_')
            c = ' ';
        bool escape = c == mark && text.n - i > 2 && hex_value(text.p[i + 1]) >= 0 &&
                      hex_value(text.p[i + 2]) >= 0;
        if (escape) {
            c = (char)(hex_value(text.p[i + 1]) * 16 + hex_value(text.p[i + 2]));
            i += 2;
        }
        to[n++] = c;
    }
    return n;
}

/* Octets of neighbouring words of one charset. */
struct pending {
    struct str label;
    char *p;
    size_t n, cap;
};

static size_t base64_plain(struct str text, char *to, size_t room)
{
    struct base64_decode decode;
    struct buf plain = BUF_INIT(text.n + 4);
    base64_decode_init(&decode);
    base64_decode_feed(&decode, text, &plain);
    base64_decode_end(&decode, &plain);
    size_t n = plain.n < room ? plain.n : room;
    if (n)
        memcpy(to, plain.p, n);
    buf_done(&plain);
    return n;
}

static void pending_put(struct pending *pending, const struct charset_converter *converter,
                        struct buf *buf)
{
    if (pending->n)
        charset_decode(pending->label, str_make(pending->p, pending->n), converter, buf);
    pending->n = 0;
    pending->label = str_null();
}

static void pending_add(struct pending *pending, const struct encoded_word *word,
                        const struct charset_converter *converter, struct buf *buf)
{
    if (!str_eq_nocase(pending->label, word->label))
        pending_put(pending, converter, buf);
    pending->label = word->label;
    char *to = pending->p + pending->n;
    pending->n += word->encoding == 'b' ? base64_plain(word->text, to, pending->cap - pending->n)
                                        : hex_plain(word->text, '=', true, to);
}

static size_t blanks_at(struct str text)
{
    size_t n = 0;
    while (n < text.n && is_fws(text.p[n]))
        n++;
    return n;
}

/* Text up to the next place where an encoded word may begin. */
static struct str plain_take(struct str *rest)
{
    ssize_t at = str_find(str_from_index(*rest, 1), STR("=?"));
    struct str plain = at < 0 ? *rest : str_head(*rest, (size_t)at + 1);
    *rest = str_from_index(*rest, plain.n);
    return plain;
}

void words_decode(struct str text, const struct charset_converter *converter, struct arena *arena,
                  struct buf *buf)
{
    struct pending pending = {.p = arena_take(arena, text.n), .cap = text.n};
    if (!pending.p)
        return;
    struct str rest = text;
    while (rest.n) {
        struct encoded_word word;
        size_t blanks = pending.label.p ? blanks_at(rest) : 0;
        if (word_parse(str_from_index(rest, blanks), &word)) {
            pending_add(&pending, &word, converter, buf);
            rest = str_from_index(rest, blanks + word.length);
            continue;
        }
        pending_put(&pending, converter, buf);
        clean_put(plain_take(&rest), buf);
    }
    pending_put(&pending, converter, buf);
}

/* Encoded words, out */

/* As many whole characters as fit into one word. */
static size_t word_octets(struct str text)
{
    if (text.n <= WORD_OCTETS)
        return text.n;
    size_t n = WORD_OCTETS;
    while (n > WORD_OCTETS - 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

void words_encode(struct str text, struct buf *buf)
{
    if (str_is_printable_ascii(text) && str_find(text, STR("=?")) < 0) {
        buf_put(buf, text);
        return;
    }
    for (bool first = true; text.n; first = false) {
        size_t n = word_octets(text);
        buf_put(buf, first ? STR("=?utf-8?B?") : STR("\r\n =?utf-8?B?"));
        base64_print(buf, str_head(text, n));
        buf_put(buf, STR("?="));
        text = str_from_index(text, n);
    }
}

/* Parameters */

struct segment {
    struct str value;
    bool there;
    bool extended; /* name*N*: percent escapes */
};

/* What follows the name: "*N" or "*N*". */
static bool segment_number(struct str suffix, uint64_t *number_r, bool *extended_r)
{
    *extended_r = str_ends(suffix, STR("*")) && suffix.n > 1;
    struct str digits = str_from_index(suffix, 1);
    if (*extended_r)
        digits.n--;
    return str_to_u64(digits, number_r) && *number_r < WORDS_SEGMENTS_MAX;
}

static bool is_segment(struct str written, struct str name)
{
    return written.n > name.n + 1 && written.p[name.n] == '*' && str_starts_nocase(written, name);
}

/* By number; NULL where there is none at all. */
static struct segment *segments_collect(struct params params, struct str name, struct arena *arena)
{
    bool any = false;
    for (uint32_t i = 0; i < params.n; i++)
        any |= is_segment(params.at[i].name, name);
    if (!any)
        return NULL;
    struct segment *segments = arena_take_array(arena, WORDS_SEGMENTS_MAX, sizeof(*segments));
    for (uint32_t i = 0; segments && i < params.n; i++) {
        struct str suffix = str_from_index(params.at[i].name, name.n);
        uint64_t number;
        bool extended;
        if (!is_segment(params.at[i].name, name) || !segment_number(suffix, &number, &extended) ||
            segments[number].there)
            continue;
        segments[number] = (struct segment){params.at[i].value, true, extended};
    }
    return segments;
}

/* Cuts charset'language' off the front; without two quotes there is no charset. */
static struct str charset_cut(struct str *value)
{
    struct str rest = *value;
    struct str label = str_cut(&rest, '\'');
    if (!rest.p)
        return STR("utf-8");
    str_cut(&rest, '\'');
    if (!rest.p)
        return STR("utf-8");
    *value = rest;
    return label;
}

static bool extended_decode(struct str value, const struct charset_converter *converter,
                            struct arena *arena, struct buf *buf)
{
    struct str label = charset_cut(&value);
    char *plain = arena_take(arena, value.n);
    if (plain)
        charset_decode(label, str_make(plain, hex_plain(value, '%', false, plain)), converter, buf);
    return true;
}

static bool segments_decode(const struct segment *segments,
                            const struct charset_converter *converter, struct arena *arena,
                            struct buf *buf)
{
    size_t whole = 0, n = 0;
    for (size_t i = 0; i < WORDS_SEGMENTS_MAX && segments[i].there; i++)
        whole += segments[i].value.n;
    char *plain = arena_take(arena, whole);
    if (!plain)
        return true;
    struct str label = STR("utf-8");
    for (size_t i = 0; i < WORDS_SEGMENTS_MAX && segments[i].there; i++) {
        struct str value = segments[i].value;
        if (i == 0 && segments[i].extended)
            label = charset_cut(&value);
        if (segments[i].extended) {
            n += hex_plain(value, '%', false, plain + n);
        } else if (value.n) {
            memcpy(plain + n, value.p, value.n);
            n += value.n;
        }
    }
    charset_decode(label, str_make(plain, n), converter, buf);
    return true;
}

static bool extended_name(struct params params, struct str name, struct str *value_r)
{
    for (uint32_t i = 0; i < params.n; i++) {
        struct str written = params.at[i].name;
        if (written.n == name.n + 1 && written.p[name.n] == '*' &&
            str_starts_nocase(written, name)) {
            *value_r = params.at[i].value;
            return true;
        }
    }
    return false;
}

bool params_decode(struct params params, struct str name, const struct charset_converter *converter,
                   struct arena *arena, struct buf *buf)
{
    struct str value;
    if (extended_name(params, name, &value))
        return extended_decode(value, converter, arena, buf);
    struct segment *segments = segments_collect(params, name, arena);
    if (segments && segments[0].there)
        return segments_decode(segments, converter, arena, buf);
    value = params_get(params, name);
    if (value.p)
        words_decode(value, converter, arena, buf);
    return value.p != NULL;
}
