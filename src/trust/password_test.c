#include "base/test.h"

#include "trust/password.h"

static const unsigned char salt[PASSWORD_SALT] = "0123456789abcde";

static bool right(struct str password, struct str hash)
{
    struct arena arena;
    arena_init(&arena, PASSWORD_SCRATCH);
    bool is_right = password_verify(password, hash, &arena);
    assert_false(arena_over(&arena));
    arena_done(&arena);
    return is_right;
}

static void a_hash_takes_its_password_and_no_other(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, PASSWORD_SCRATCH);
    struct str hash;
    assert_false(err_is(password_hash(STR("密码 with spaces"), salt, &arena, &hash)));
    assert_true(str_starts(hash, STR("$y$")));
    assert_true(password_hash_is_known(hash));
    assert_true(right(STR("密码 with spaces"), hash));
    assert_false(right(STR("密码 with space"), hash));
    assert_false(right(STR(""), hash));
    assert_false(right(STR("密码 with spaces\0x"), hash));
    arena_done(&arena);
}

static void hashes_from_elsewhere_are_taken(void **state)
{
    (void)state;
    /* Of the password "secret". */
    const struct str hashes[] = {
        STR("$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTI"
            "Tsuk0Ry5qulYz."),
        STR("$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
        STR("$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHQ$5n+dqKA654HpeA9ZUkM9fgOil+sHaLHsKpxAaxMk/"
            "T4"),
    };
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        assert_true(password_hash_is_known(hashes[i]));
        assert_true(right(STR("secret"), hashes[i]));
        assert_false(right(STR("Secret"), hashes[i]));
    }
}

static void unknown_forms_and_unbearable_costs_are_refused(void **state)
{
    (void)state;
    const struct str hashes[] = {
        STR(""),
        STR("secret"),
        STR("$1$salt$qJH7.N4xYta3aEG/dfqo/0"),
        STR("$6$rounds=999999999$salt$hash"),
        STR("$y$jFT$saltsaltsalt$hash"),
        STR("$2b$31$abcdefghijklmnopqrstuuKJd2uGmO3uhMmAlVRMSfVsmWLg1Z2iG"),
        STR("$argon2id$v=19$m=99999999,t=3,p=4$c2FsdHNhbHQ$aGFzaA"),
        STR("$argon2id$v=19$m=65536,t=3$c2FsdHNhbHQ$aGFzaA"),
    };
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        assert_false(password_hash_is_known(hashes[i]));
        assert_false(right(STR("secret"), hashes[i]));
    }
}

static void lengths_at_the_limit(void **state)
{
    (void)state;
    struct arena arena;
    char text[PASSWORD_MAX + 1];
    memset(text, 'x', sizeof(text));
    struct str hash;
    arena_init(&arena, 2 * PASSWORD_SCRATCH);
    assert_false(err_is(password_hash(str_make(text, PASSWORD_MAX), salt, &arena, &hash)));
    assert_true(right(str_make(text, PASSWORD_MAX), hash));
    assert_int_equal(password_hash(str_make(text, PASSWORD_MAX + 1), salt, &arena, &hash).code,
                     ERR_USAGE);
    assert_int_equal(password_hash(STR(""), salt, &arena, &hash).code, ERR_USAGE);
    arena_done(&arena);
}

static void a_made_up_password_is_readable(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024);
    unsigned char random[PASSWORD_SALT];
    for (unsigned i = 0; i < 256; i++) {
        memset(random, (int)i, sizeof(random));
        struct str made = password_make(random, &arena);
        assert_int_equal(made.n, 19);
        assert_int_equal(made.p[4], '-');
        for (size_t c = 0; c < made.n; c++)
            assert_null(memchr("01ilo", made.p[c], 5));
        arena_reset(&arena);
    }
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_takes_its_password_and_no_other),
        cmocka_unit_test(hashes_from_elsewhere_are_taken),
        cmocka_unit_test(unknown_forms_and_unbearable_costs_are_refused),
        cmocka_unit_test(lengths_at_the_limit),
        cmocka_unit_test(a_made_up_password_is_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
