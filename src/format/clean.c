/*
 * Kept characters are copied in runs: nearly every text is one run.
 */
#include "format/clean.h"

#include <unictype.h>
#include <unistr.h>

static bool is_kept(ucs4_t c, enum clean_to to)
{
    if (c >= 0x20 && c <= 0x7e)
        return to != CLEAN_XTEXT || !(c == ' ' || c == '\\' || c == '+' || c == '=');
    if (to != CLEAN_UTF8 || c < 0xa0)
        return false;
    return c != 0x2028 && c != 0x2029 && c != 0xfeff && !uc_is_property_bidi_control(c) &&
           !uc_is_property_not_a_character(c);
}

/* The character at the front, and whether it is kept. Returns its octets. */
static size_t character(struct str text, enum clean_to to, ucs4_t *c_r, bool *kept_r)
{
    int n = u8_mbtoucr(c_r, (const uint8_t *)text.p, text.n);
    if (n <= 0)
        *c_r = (unsigned char)text.p[0];
    *kept_r = n > 0 && is_kept(*c_r, to);
    return n > 0 ? (size_t)n : 1;
}

static size_t kept_run(struct str text, enum clean_to to)
{
    size_t n = 0;
    while (n < text.n) {
        ucs4_t c;
        bool kept;
        size_t step = character(str_from_index(text, n), to, &c, &kept);
        if (!kept)
            break;
        n += step;
    }
    return n;
}

void clean_put(struct buf *buf, struct str text, enum clean_to to)
{
    while (text.n) {
        size_t run = kept_run(text, to);
        buf_put(buf, str_head(text, run));
        text = str_from_index(text, run);
        if (!text.n)
            break;
        ucs4_t c;
        bool kept;
        size_t step = character(text, to, &c, &kept);
        buf_printf(buf, "\\x{%02X}", (unsigned)c);
        text = str_from_index(text, step);
    }
}

void clean_put_some(struct buf *buf, struct str text, size_t limit, enum clean_to to)
{
    if (text.n <= limit) {
        clean_put(buf, text, to);
        return;
    }
    size_t n = limit;
    while (n && limit - n < 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    clean_put(buf, str_head(text, n), to);
    buf_put(buf, STR("..."));
}

bool clean_is(struct str text, enum clean_to to)
{
    return kept_run(text, to) == text.n;
}
