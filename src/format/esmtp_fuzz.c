/* Properties: what was taken, printed again, is taken again with the same words; xtext of any
 * octets reads back where they are printable. */
#include "base/must.h"
#include "format/smtp_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void params_check(struct str text)
{
    struct esmtp_params one, two;
    if (err_is(esmtp_params_parse(text, &one)))
        return;
    struct buf printed = BUF_INIT(1 << 20);
    for (uint32_t i = 0; i < one.n; i++) {
        buf_putc(&printed, ' ');
        buf_put(&printed, one.at[i].key);
        if (one.at[i].value.p)
            buf_putc(&printed, '=');
        buf_put(&printed, one.at[i].value);
    }
    must(!err_is(esmtp_params_parse(buf_str(&printed), &two)) && two.n == one.n);
    for (uint32_t i = 0; i < one.n; i++)
        must(str_eq(one.at[i].key, two.at[i].key) && str_eq(one.at[i].value, two.at[i].value));
    buf_done(&printed);
}

static void xtext_check(struct str plain)
{
    struct arena arena;
    struct buf printed = BUF_INIT(1 << 20);
    struct str again;
    arena_init(&arena, 1 << 20);
    xtext_print(&printed, plain);
    struct err e = xtext_parse(buf_str(&printed), &arena, &again);
    must(err_is(e) != str_is_printable_ascii(plain));
    must(err_is(e) || str_eq(again, plain));
    if (!err_is(xtext_parse(plain, &arena, &again)))
        must(again.n <= plain.n && str_is_printable_ascii(again));
    buf_done(&printed);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 65536)
        return 0;
    params_check(str_make(data, n));
    xtext_check(str_make(data, n));
    return 0;
}
