/*
 * Why sequences go as a whole: without its ESC, what is left of "ESC [ 2 J" is harmless and
 * unreadable. Why they end with their line: else one that never ends would hide the rest.
 */
#include "format/screen.h"

#include <unictype.h>
#include <unistr.h>

#include "format/encodings.h"
#include "format/words.h"

enum {
    ESC = 0x1b,
    BEL = 0x07,
    C1_FIRST = 0x80,
    C1_LAST = 0x9f,
    STRING_END = 0x9c, /* ST */
    REPLACEMENT = 0xfffd,
    ZWNJ = 0x200c,
    ZWJ = 0x200d,
    DECODED_MAX = 2 * SCREEN_HEAD,
};

#define MORE STR("[...]") /* as many octets as piece_put keeps for it */

/* --- Characters ------------------------------------------------------------------------------ */

/* The one at the front; REPLACEMENT for an octet of none. Returns its octets. */
static size_t character(struct str text, ucs4_t *c_r)
{
    int n = u8_mbtoucr(c_r, (const uint8_t *)text.p, text.n);
    if (n > 0)
        return (size_t)n;
    *c_r = REPLACEMENT;
    return 1;
}

static bool is_shown(ucs4_t c)
{
    if (c == ZWNJ || c == ZWJ)
        return true;
    return !uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf |
                                                    UC_CATEGORY_MASK_Cs | UC_CATEGORY_MASK_Zl |
                                                    UC_CATEGORY_MASK_Zp) &&
           !uc_is_property_not_a_character(c);
}

/* --- Escape sequences (ECMA-48 5.3, 5.4, 5.6) ------------------------------------------------ */

static size_t run_between(struct str text, size_t from, char first, char last)
{
    while (from < text.n && text.p[from] >= first && text.p[from] <= last)
        from++;
    return from;
}

/* Behind CSI: parameters, intermediates, a final octet. */
static size_t control_sequence(struct str text)
{
    size_t n = run_between(text, 0, 0x30, 0x3f);
    n = run_between(text, n, 0x20, 0x2f);
    return n < text.n && text.p[n] >= 0x40 && text.p[n] <= 0x7e ? n + 1 : n;
}

/* Behind OSC, DCS, SOS, PM, APC: up to its end, else all there is. */
static size_t control_string(struct str text)
{
    for (size_t i = 0; i < text.n;) {
        ucs4_t c;
        size_t n = character(str_from_index(text, i), &c);
        if (c == BEL || c == STRING_END)
            return i + n;
        if (c == ESC && i + 1 < text.n && text.p[i + 1] == '\\')
            return i + 2;
        i += n;
    }
    return text.n;
}

/* What stands behind an introducer, as ESC writes it: '[' for CSI and so on. */
static size_t introduced(char by, struct str text)
{
    if (by == '[')
        return control_sequence(text);
    return strchr("]PX^_", by) ? control_string(text) : 0;
}

/* Behind an ESC. */
static size_t escape_sequence(struct str text)
{
    size_t n = run_between(text, 0, 0x20, 0x2f);
    if (n == text.n || text.p[n] < 0x30 || text.p[n] > 0x7e)
        return n;
    return n > 0 ? n + 1 : 1 + introduced(text.p[0], str_from_index(text, 1));
}

/* What goes together with a character that is not shown. */
static size_t sequence(ucs4_t c, struct str behind)
{
    if (c == ESC)
        return escape_sequence(behind);
    /* A C1 is what ESC and a letter are. */
    return c >= C1_FIRST && c <= C1_LAST ? introduced((char)(c - C1_FIRST + '@'), behind) : 0;
}

/* --- Lines ----------------------------------------------------------------------------------- */

/* What of a line is shown: appended until it is over or `most` octets are full. Returns what is
 * left of it. */
static struct str line_put(struct buf *to, struct str line, size_t most)
{
    size_t start = to->n;
    while (line.n) {
        ucs4_t c;
        uint8_t octets[6];
        size_t n = character(line, &c);
        struct str behind = str_from_index(line, n);
        if (c == '\t')
            c = ' ';
        if (!is_shown(c)) {
            line = str_from_index(behind, sequence(c, behind));
            continue;
        }
        int size = u8_uctomb(octets, c, sizeof octets);
        if (size < 0 || to->n - start + (size_t)size > most)
            break;
        buf_put(to, str_make((const char *)octets, (size_t)size));
        line = behind;
    }
    return line;
}

/* One line is cut off the text, its end with it. */
static struct str line_cut(struct str *text)
{
    struct str line = str_cut(text, '\n');
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

struct page {
    struct buf *to;
    size_t start, lines;
};

/* The next piece of a line, or MORE in its place: false, and nothing may follow. */
static bool piece_put(struct page *page, struct str *line, bool more_behind)
{
    struct buf *to = page->to;
    size_t before = to->n, ends = sizeof("\n[...]\n") - 1;
    size_t used = before - page->start + ends;
    size_t room = used < SCREEN_OCTETS ? SCREEN_OCTETS - used : 0;
    *line = line_put(to, *line, room < SCREEN_LINE_OCTETS ? room : SCREEN_LINE_OCTETS);
    bool last = page->lines + 1 == SCREEN_LINES && (line->n || more_behind);
    bool fits = used <= SCREEN_OCTETS && (line->n == 0 || room >= SCREEN_LINE_OCTETS);
    if (last || !fits) {
        buf_cut(to, before);
        buf_put(to, MORE);
    }
    buf_putc(to, '\n');
    page->lines++;
    return !last && fits;
}

void screen_put(struct buf *to, struct str text)
{
    struct page page = {.to = to, .start = to->n};
    bool goes_on = true;
    while (text.n && goes_on) {
        struct str line = line_cut(&text);
        do
            goes_on = piece_put(&page, &line, text.n > 0);
        while (line.n && goes_on);
    }
}

void screen_put_ascii(struct buf *to, struct str text)
{
    while (text.n) {
        ucs4_t c;
        size_t n = character(text, &c);
        buf_putc(to, c < C1_FIRST ? (char)c : '?');
        text = str_from_index(text, n);
    }
}

/* --- Messages -------------------------------------------------------------------------------- */

static bool is_plain_text(const struct summary_part *part)
{
    struct str type, subtype;
    summary_part_type(part, &type, &subtype);
    return part->kind == PART_LEAF && str_eq_nocase(type, STR("text")) &&
           str_eq_nocase(subtype, STR("plain")) &&
           !str_eq_nocase(summary_part_word(part, CONTENT_DISPOSITION), STR("attachment"));
}

static const struct summary_part *text_part(const struct summary_view *view)
{
    for (uint32_t i = 0; i < view->part_count; i++)
        if (is_plain_text(&view->parts[i]))
            return &view->parts[i];
    return NULL;
}

static void decode(struct str encoding, struct str octets, struct buf *to)
{
    if (str_eq_nocase(encoding, STR("base64"))) {
        struct base64_decode state;
        base64_decode_init(&state);
        base64_decode_feed(&state, octets, to);
        base64_decode_end(&state, to);
    } else if (str_eq_nocase(encoding, STR("quoted-printable"))) {
        struct quoted_printable_decode state;
        quoted_printable_decode_init(&state);
        quoted_printable_decode_feed(&state, octets, to);
        quoted_printable_decode_end(&state, to);
    } else {
        buf_put(to, octets);
    }
}

/* Charsets that are ours to show as they come keep their controls, for screen_put to find. */
static void charset_put(struct str charset, struct str text, struct buf *to)
{
    struct str name = charset_name(charset);
    if (!charset.n || str_eq_nocase(name, STR("utf-8")) || str_eq_nocase(name, STR("us-ascii"))) {
        buf_put(to, text);
        return;
    }
    while (text.n) {
        charset_decode(charset, line_cut(&text), NULL, to);
        buf_putc(to, '\n');
    }
}

static void body_put(struct buf *to, const struct summary_part *part, struct str head,
                     struct arena *arena)
{
    struct str octets = str_from_index(head, part->body_offset);
    struct str charset =
        part->content ? params_get(part->content->type_params, STR("charset")) : str_null();
    struct buf decoded = buf_in(arena, DECODED_MAX);
    decode(str_trim(summary_part_word(part, CONTENT_ENCODING)), str_head(octets, part->body_length),
           &decoded);
    charset_put(charset, buf_str(&decoded), to);
}

void screen_put_message(struct buf *to, const struct summary_view *view, struct str head,
                        struct arena *arena)
{
    const struct summary_envelope *envelope = view->parts[0].envelope;
    struct str subject = envelope ? envelope->value[ENVELOPE_SUBJECT] : str_null();
    const struct summary_part *part = text_part(view);
    struct buf text = buf_in(arena, 4 * DECODED_MAX);
    if (subject.n) {
        buf_put(&text, STR("Subject: "));
        words_decode(subject, NULL, arena, &text);
        buf_putc(&text, '\n');
    }
    if (part)
        body_put(&text, part, head, arena);
    screen_put(to, buf_str(&text));
}
