/*
 * What is refused is what some program behind us would misread: a name is shown by clients, turned
 * into folder names by those that mirror a mailbox, and matched with wildcards by IMAP LIST. The
 * levels "." and ".." and a leading '~' are harmless here and dangerous there (catalogue I10).
 */
#include "store/mailbox.h"

#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum {
    WRITTEN_MAX = 3 * MAILBOX_NAME_MAX /* NFD is at most three times as long in UTF-8 */
};

static struct err bad(const char *why)
{
    return err_detail(ERR_NAME_REFUSED, str_from(why));
}

static bool is_refused_char(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '*' || c == '%' || c == 0x2028 ||
           c == 0x2029 || c == 0xfeff || (c & 0xfffe) == 0xfffe || uc_is_property_bidi_control(c);
}

static bool chars_are_good(struct str name)
{
    while (name.n) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, (const uint8_t *)name.p, name.n);
        if (n <= 0 || is_refused_char(c))
            return false;
        name = str_from_index(name, (size_t)n);
    }
    return true;
}

static struct err levels_check(struct str name)
{
    unsigned levels = 0;
    struct str rest = name;
    do {
        struct str level = str_cut(&rest, '/');
        if (level.n == 0 || str_eq(level, STR(".")) || str_eq(level, STR("..")))
            return bad("a level of the mailbox name is empty, \".\" or \"..\"");
        if (++levels > MAILBOX_LEVELS_MAX)
            return bad("the mailbox name has too many levels");
    } while (rest.p);
    return err_none();
}

static struct err name_check(struct str name)
{
    if (name.n == 0 || name.n > MAILBOX_NAME_MAX)
        return bad("a mailbox name has 1 to 255 octets");
    if (!chars_are_good(name))
        return bad("the mailbox name has a control character or a wildcard");
    if (name.p[0] == '~')
        return bad("a mailbox name does not begin with '~'");
    return levels_check(name);
}

/* INBOX is the same in any case, also as the first level (RFC 9051 5.1). */
static struct str inbox_upper(struct str name, struct arena *arena)
{
    struct str rest = name;
    struct str first = str_cut(&rest, '/');
    if (!str_eq_nocase(first, STR("INBOX")))
        return arena_str(arena, name);
    char *to = arena_take(arena, name.n);
    if (!to)
        return str_null();
    memcpy(to, name.p, name.n);
    memcpy(to, "INBOX", first.n);
    return str_make(to, name.n);
}

struct err mailbox_name_parse(struct str text, struct arena *arena, struct str *name_r)
{
    if (text.n > WRITTEN_MAX)
        return bad("a mailbox name has 1 to 255 octets");
    if (!str_is_utf8(text))
        return bad("the mailbox name is not well-formed UTF-8");
    uint8_t composed[WRITTEN_MAX + 1];
    size_t n = sizeof(composed);
    uint8_t *at = u8_normalize(UNINORM_NFC, (const uint8_t *)text.p, text.n, composed, &n);
    if (at && at != composed)
        free(at);
    if (at != composed)
        return bad("a mailbox name has 1 to 255 octets");
    struct str name = str_make(composed, n);
    struct err e = name_check(name);
    if (err_is(e))
        return e;
    *name_r = inbox_upper(name, arena);
    return name_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}
