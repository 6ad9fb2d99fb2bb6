/* The octets as text, and again as numbers of characters, two octets each, since few octets are
 * UTF-8 by chance. Property: what was prepared is UTF-8, within the limits, and prepared again is
 * the same; a new password is what a log-in with the same octets brings; a password at a log-in is
 * never refused.
 */
#include "base/buf.h"
#include "base/must.h"
#include "trust/password.h"
#include "trust/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void name_check(struct str text, struct arena *arena)
{
    struct str once, twice;
    struct err e = prepare_name(text, arena, &once);
    must(!err_is(e) || e.code == ERR_SASL_SYNTAX);
    if (err_is(e))
        return;
    must(str_is_utf8(once) && once.n && once.n <= PREPARE_MAX);
    must(!err_is(prepare_name(once, arena, &twice)) && str_eq(once, twice));
}

static void password_check(struct str text, struct arena *arena)
{
    struct str query, stored, again;
    must(!err_is(prepare_password(text, arena, &query)));
    must(!err_is(prepare_password(query, arena, &again)) && str_eq(query, again));
    struct err e = prepare_new_password(text, arena, &stored);
    must(!err_is(e) || (e.code == ERR_USAGE && e.detail.n));
    if (err_is(e))
        return;
    must(str_eq(query, stored) && stored.n && stored.n <= PASSWORD_MAX);
    must(!err_is(prepare_new_password(stored, arena, &again)) && str_eq(stored, again));
}

/* Surrogates are no characters: those numbers go to the planes above. */
static void character_put(struct buf *buf, uint32_t c)
{
    if (c >= 0xd800 && c < 0xe000)
        c = 0x10000 + (c - 0xd800) * 0x100;
    if (c >= 0x10000) {
        buf_putc(buf, (char)(0xf0 | c >> 18));
        buf_putc(buf, (char)(0x80 | (c >> 12 & 63)));
    } else {
        buf_putc(buf, (char)(0xe0 | c >> 12));
    }
    buf_putc(buf, (char)(0x80 | (c >> 6 & 63)));
    buf_putc(buf, (char)(0x80 | (c & 63)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    name_check(str_make(data, n), &arena);
    password_check(str_make(data, n), &arena);
    struct buf text = BUF_INIT(4 * n + 4);
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint32_t c = (uint32_t)data[i] << 8 | data[i + 1];
        if (c >= 0x800)
            character_put(&text, c);
        else
            buf_putc(&text, (char)(c & 0x7f));
    }
    name_check(buf_str(&text), &arena);
    password_check(buf_str(&text), &arena);
    buf_done(&text);
    arena_done(&arena);
    return 0;
}
