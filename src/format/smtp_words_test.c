#include "base/test.h"

#include "format/smtp_words.h"

static struct err parse(struct str text, struct esmtp_params *params)
{
    return esmtp_params_parse(text, params);
}

static void parameters_are_split(void **state)
{
    (void)state;
    struct esmtp_params params;
    assert_false(err_is(parse(STR("  SIZE=10 BODY=8BITMIME  SMTPUTF8 X-a=b+3D"), &params)));
    assert_int_equal(params.n, 4);
    assert_str(esmtp_params_get(&params, STR("size"))->value, STR("10"));
    assert_str(esmtp_params_get(&params, STR("x-A"))->value, STR("b+3D"));
    assert_null(esmtp_params_get(&params, STR("SMTPUTF8"))->value.p);
    assert_null(esmtp_params_get(&params, STR("AUTH")));
    assert_false(err_is(parse(STR(""), &params)));
    assert_int_equal(params.n, 0);
}

/* S13, S14 */
static void malformed_parameters_are_refused(void **state)
{
    (void)state;
    static const struct str rows[] = {
        STR_INIT(" =\""),        STR_INIT(" ="),
        STR_INIT(" SIZE="),      STR_INIT("SIZE=1"),
        STR_INIT(" SIZE=1=2"),   STR_INIT(" -A=1"),
        STR_INIT(" A_B=1"),      STR_INIT(" A=\x01"),
        STR_INIT(" A=b\tC=d"),   STR_INIT(" A=\r\nB=c"),
        STR_INIT(" A=b\0c"),     STR_INIT(" A=\xff"),
        STR_INIT(" A=\xc0\xaf"), STR_INIT(" SIZE=1 size=2"),
        STR_INIT(" A\x7f"),
    };
    struct esmtp_params params;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(parse(rows[i], &params).code, ERR_COMMAND_SYNTAX);
}

static void sixty_four_parameters_are_enough(void **state)
{
    (void)state;
    struct esmtp_params params;
    for (int n = 63; n <= 65; n++) {
        struct buf text = BUF_INIT(10000);
        for (int i = 0; i < n; i++)
            buf_printf(&text, " X%d=1", i);
        assert_int_equal(parse(buf_str(&text), &params).code,
                         n > 64 ? ERR_COMMAND_SYNTAX : ERR_NONE);
        buf_done(&text);
    }
}

static void size_is_a_number(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        enum err_code code;
    } rows[] = {
        {STR_INIT("0"), ERR_NONE},
        {STR_INIT("18446744073709551615"), ERR_NONE},
        {STR_INIT("18446744073709551616"), ERR_MESSAGE_TOO_LARGE},
        {STR_INIT("99999999999999999999"), ERR_MESSAGE_TOO_LARGE},
        {STR_INIT("100000000000000000000"), ERR_PARAMETER_VALUE},
        {STR_INIT("-1"), ERR_PARAMETER_VALUE},
        {STR_INIT("1 "), ERR_PARAMETER_VALUE},
        {STR_INIT(""), ERR_PARAMETER_VALUE},
    };
    uint64_t size;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(esmtp_size_parse(rows[i].text, &size).code, rows[i].code);
}

static void xtext_carries_printable_ascii_only(void **state)
{
    (void)state;
    struct arena arena;
    struct str plain;
    arena_init(&arena, 4096);
    assert_false(err_is(xtext_parse(STR("a+2Bb+20+3dc"), &arena, &plain)));
    assert_str(plain, STR("a+b =c"));
    static const struct str rows[] = {
        STR_INIT("a+0D+0A"), STR_INIT("a+0aB"), STR_INIT("+00"), STR_INIT("+"),   STR_INIT("+2"),
        STR_INIT("+G0"),     STR_INIT("+FF"),   STR_INIT("a=b"), STR_INIT("a b"), STR_INIT("\xe4"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(xtext_parse(rows[i], &arena, &plain).code, ERR_PARAMETER_VALUE);
    struct buf printed = BUF_INIT(100);
    xtext_print(&printed, STR("a+b =c\r\n"));
    assert_str(buf_str(&printed), STR("a+2Bb+20+3Dc+0D+0A"));
    buf_done(&printed);
    arena_done(&arena);
}

static void xtext_may_carry_utf8(void **state)
{
    (void)state;
    struct arena arena;
    struct str plain;
    arena_init(&arena, 1 << 16);
    assert_false(err_is(xtext_parse_utf8(STR("+E7+94+A8+2B@x"), &arena, &plain)));
    assert_str(plain, STR("\xe7\x94\xa8+@x"));
    static const struct str rows[] = {
        STR_INIT("+E7+94"),  STR_INIT("+FF"),          STR_INIT("+C2+85"),
        STR_INIT("a+0D+0A"), STR_INIT("\xe7\x94\xa8"), STR_INIT("+C0+80"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(xtext_parse_utf8(rows[i], &arena, &plain).code, ERR_PARAMETER_VALUE);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xtext_may_carry_utf8),
        cmocka_unit_test(parameters_are_split),
        cmocka_unit_test(malformed_parameters_are_refused),
        cmocka_unit_test(sixty_four_parameters_are_enough),
        cmocka_unit_test(size_is_a_number),
        cmocka_unit_test(xtext_carries_printable_ascii_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
