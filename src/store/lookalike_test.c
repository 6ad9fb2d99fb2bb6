#include "base/test.h"

#include "store/lookalike.h"

enum {
    ENOUGH = 1 << 20
};

static void names_of_one_script_are_allowed(void **state)
{
    (void)state;
    static const struct str rows[] = {
        STR_INIT("bob"),    STR_INIT("o'brien+x_1"), STR_INIT("\u00e9milie"),
        STR_INIT("用户"),   STR_INIT("田中abc"),     STR_INIT("たなか田中"),
        STR_INIT("김철수"), STR_INIT("админ"),       STR_INIT("müller.1"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(lookalike_check(rows[i]).code, ERR_NONE);
}

/* Catalogue S29. */
static void disguises_are_refused(void **state)
{
    (void)state;
    static const struct str rows[] = {
        STR_INIT("\u0430dmin"),       /* Cyrillic a before Latin */
        STR_INIT("ad\u200dmin"),      /* ZWJ */
        STR_INIT("ad\u200bmin"),      /* zero width space */
        STR_INIT("\uff41dmin"),       /* full-width a */
        STR_INIT("\ufb01nance"),      /* ligature fi */
        STR_INIT("adm\u0131n\u0430"), /* dotless i and Cyrillic a */
        STR_INIT("αdmin"),            /* Greek alpha */
        STR_INIT("admin\u00ad"),      /* soft hyphen */
        STR_INIT("\xf0\x9f\x98\x80"), /* an emoji */
        STR_INIT("admin\xff"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(lookalike_check(rows[i]).code, ERR_NAME_REFUSED);
}

static void names_that_look_alike_share_a_skeleton(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ENOUGH);
    struct str latin, cyrillic, other;
    assert_int_equal(lookalike_skeleton(STR("coca"), &arena, &latin).code, ERR_NONE);
    assert_int_equal(lookalike_skeleton(STR("\u0441\u043e\u0441\u0430"), &arena, &cyrillic).code,
                     ERR_NONE);
    assert_int_equal(lookalike_skeleton(STR("coco"), &arena, &other).code, ERR_NONE);
    assert_str(cyrillic, latin);
    assert_false(str_eq(latin, other));
    arena_done(&arena);
}

static void a_full_arena_is_an_error(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1);
    struct str skeleton;
    assert_int_equal(lookalike_skeleton(STR("bob"), &arena, &skeleton).code, ERR_OVER_LIMIT);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_one_script_are_allowed),
        cmocka_unit_test(disguises_are_refused),
        cmocka_unit_test(names_that_look_alike_share_a_skeleton),
        cmocka_unit_test(a_full_arena_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
