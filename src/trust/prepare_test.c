#include "base/test.h"

#include "trust/password.h"
#include "trust/prepare.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct str repeated(struct str what, size_t times)
{
    char *text = arena_take_array(&arena, times, what.n);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * what.n, what.p, what.n);
    return str_make(text, times * what.n);
}

static struct err name_error(struct str name)
{
    struct str prepared;
    return prepare_name(name, &arena, &prepared);
}

static struct str prepared_name(struct str name)
{
    struct str prepared;
    assert_int_equal(prepare_name(name, &arena, &prepared).code, ERR_NONE);
    return prepared;
}

static struct str prepared_password(struct str password)
{
    struct str prepared;
    assert_int_equal(prepare_password(password, &arena, &prepared).code, ERR_NONE);
    return prepared;
}

static struct str prepared_new(struct str password)
{
    struct str prepared;
    assert_int_equal(prepare_new_password(password, &arena, &prepared).code, ERR_NONE);
    return prepared;
}

/* RFC 4013 3 */
static void examples_of_the_rfc(void **state)
{
    (void)state;
    assert_str(prepared_name(STR("I\u00adX")), STR("IX"));
    assert_str(prepared_name(STR("user")), STR("user"));
    assert_str(prepared_name(STR("USER")), STR("USER"));
    assert_str(prepared_name(STR("\u00aa")), STR("a"));
    assert_str(prepared_name(STR("\u2168")), STR("IX"));
    assert_int_equal(name_error(STR("\x07")).code, ERR_SASL_SYNTAX);
    assert_int_equal(name_error(STR("\u06271")).code, ERR_SASL_SYNTAX);
}

static void names_have_one_form(void **state)
{
    (void)state;
    assert_str(prepared_name(STR("Zoe\u0308@example.test")), STR("Zo\u00eb@example.test"));
    assert_str(prepared_name(STR("\uff55\uff53\uff45\uff52")), STR("user")); /* full width */
    assert_str(prepared_name(STR("a\u00a0b")), STR("a b"));
    assert_str(prepared_name(STR("密码")), STR("密码"));
    assert_str(prepared_name(STR("\u0627\u0644")), STR("\u0627\u0644"));
    assert_str(prepared_name(STR("\U0001f511")), STR("\U0001f511")); /* a query */
}

static void names_that_have_no_form(void **state)
{
    (void)state;
    const struct str wrong[] = {
        STR(""),       STR("a\0b"),         STR("a\tb"),     STR("a\x7f"),  STR("\xff"),
        STR("\u00ad"), STR("a\u200eb"),     STR("\xc2\x85"), STR("\ue000"), STR("\ufdd0"),
        STR("\ufffd"), STR("\xed\xa0\x80"), STR("a\u202eb"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(name_error(wrong[i]).code, ERR_SASL_SYNTAX);
}

static void lengths_at_the_limit(void **state)
{
    (void)state;
    for (size_t n = PREPARE_MAX - 1; n <= PREPARE_MAX + 1; n++) {
        enum err_code code = n <= PREPARE_MAX ? ERR_NONE : ERR_SASL_SYNTAX;
        assert_int_equal(name_error(repeated(STR("x"), n)).code, code);
    }
    /* U+FDFA, 3 octets, becomes 33. */
    assert_int_equal(name_error(repeated(STR("\ufdfa"), PREPARE_MAX / 33)).code, ERR_NONE);
    assert_int_equal(name_error(repeated(STR("\ufdfa"), PREPARE_MAX / 33 + 1)).code,
                     ERR_SASL_SYNTAX);
}

static void a_password_at_a_log_in_is_never_refused(void **state)
{
    (void)state;
    assert_str(prepared_password(STR("plain")), STR("plain"));
    assert_str(prepared_password(STR("e\u0301")), STR("\u00e9"));
    assert_str(prepared_password(STR("e\u0301\U0001f511")), STR("\u00e9\U0001f511"));
    const struct str as_typed[] = {
        STR("tab\there"), STR("\xe9t\xe9"), STR("\u00ad"), STR("\u06271"), STR("e\u0301\x01"),
    };
    for (size_t i = 0; i < sizeof(as_typed) / sizeof(as_typed[0]); i++)
        assert_str(prepared_password(as_typed[i]), as_typed[i]);
    struct str longer = repeated(STR("\ufdfa"), PREPARE_MAX / 33 + 1);
    assert_str(prepared_password(longer), longer);
}

static void a_new_password_is_a_stored_string(void **state)
{
    (void)state;
    assert_str(prepared_new(STR("plain")), STR("plain"));
    assert_str(prepared_new(STR("e\u0301")), STR("\u00e9"));
    const struct str wrong[] = {
        STR(""),       STR("tab\there"), STR("\xe9t\xe9"),
        STR("\u00ad"), STR("\u06271"),   STR("\U0001f511"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct str prepared;
        struct err e = prepare_new_password(wrong[i], &arena, &prepared);
        assert_int_equal(e.code, ERR_USAGE);
        assert_true(e.detail.n > 0);
    }
    for (size_t n = PASSWORD_MAX - 1; n <= PASSWORD_MAX + 1; n++) {
        struct str prepared;
        assert_int_equal(prepare_new_password(repeated(STR("x"), n), &arena, &prepared).code,
                         n <= PASSWORD_MAX ? ERR_NONE : ERR_USAGE);
    }
}

static void a_full_arena_is_no_memory(void **state)
{
    (void)state;
    struct arena small;
    arena_init(&small, 1);
    struct str prepared;
    assert_int_equal(prepare_name(STR("e\u0301"), &small, &prepared).code, ERR_NO_MEMORY);
    assert_int_equal(prepare_password(STR("e\u0301"), &small, &prepared).code, ERR_NO_MEMORY);
    arena_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(names_that_have_no_form),
        cmocka_unit_test(lengths_at_the_limit),
        cmocka_unit_test(a_password_at_a_log_in_is_never_refused),
        cmocka_unit_test(a_new_password_is_a_stored_string),
        cmocka_unit_test(a_full_arena_is_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
