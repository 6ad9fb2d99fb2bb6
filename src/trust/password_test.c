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
        STR("$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
        STR("$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
        STR("$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        STR("$5$rounds=1000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA"),
        STR("$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA"),
        STR("$7$96..../....saltsalt$mEbIMVKb8hr3mgAbh/5eCvv64gMR8RTBSpQN8Fz8FxB"),
        STR("{CRYPT}$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        STR("{sha256-crypt}$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        STR("{SHA512-CRYPT}$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdT"
            "ET5Ukw9Sf7eZTITsuk0Ry5qulYz."),
        STR("{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
        STR("{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHQ$5n+dqKA654HpeA9ZUkM9fgOil+"
            "sHaLHsKpxAaxMk/T4"),
    };
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        assert_true(password_hash_is_known(hashes[i]));
        assert_true(right(STR("secret"), hashes[i]));
        assert_false(right(STR("Secret"), hashes[i]));
        assert_false(password_hash_is_current(hashes[i]));
    }
}

static void a_hash_of_today_is_current(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, PASSWORD_SCRATCH);
    struct str hash;
    assert_false(err_is(password_hash(STR("secret"), salt, &arena, &hash)));
    assert_true(password_hash_is_current(hash));
    assert_false(password_hash_is_current(str_from_index(hash, 1)));
    assert_false(password_hash_is_current(STR("$y$")));
    assert_false(password_hash_is_current(STR("")));
    arena_done(&arena);
}

/* Of "e" with a combining acute, made by somebody who did not prepare it, and by us. */
static void a_password_is_right_prepared_or_as_typed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 2 * PASSWORD_SCRATCH);
    const struct str decomposed = STR("caf\x65\xcc\x81"), composed = STR("caf\xc3\xa9");
    struct str as_typed, prepared;
    assert_false(err_is(password_hash(decomposed, salt, &arena, &as_typed)));
    assert_false(err_is(password_hash(composed, salt, &arena, &prepared)));
    struct arena scratch;
    arena_init(&scratch, PASSWORD_SCRATCH);
    const struct {
        struct str typed, hash;
        bool right;
    } rows[] = {
        {composed, prepared, true},        {decomposed, prepared, true},
        {decomposed, as_typed, true},      {composed, as_typed, false},
        {STR("cafe"), prepared, false},    {decomposed, str_null(), false},
        {STR("caf\xe9"), prepared, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(password_verify_typed(rows[i].typed, rows[i].hash, &scratch),
                         rows[i].right);
        assert_false(arena_over(&scratch)); /* both hashes have room */
        arena_reset(&scratch);
    }
    arena_done(&scratch);
    arena_done(&arena);
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
        STR("$app$K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="),
        STR("{PLAIN}secret"),
        STR("{CRYPT}"),
        STR("{CRYPT}secret"),
        STR("{CRYPT}{CRYPT}$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        STR("{CRYPT"),
        STR("{MD5}$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        STR("$5$rounds=2000001$salt$hash"),
        STR("$7$KU..../....saltsalt$hash"),
        STR("$7$FU..../....saltsalt$hash"),
        STR("$7$96....3....saltsalt$hash"),
        STR("$7$96........saltsalt$hash"),
        STR("$7$96..../...$hash"),
        STR("$7$"),
        STR("$2b$31$abcdefghijklmnopqrstuuKJd2uGmO3uhMmAlVRMSfVsmWLg1Z2iG"),
        STR("$argon2id$v=19$m=99999999,t=3,p=4$c2FsdHNhbHQ$aGFzaA"),
        STR("$argon2id$v=19$m=65536,t=3$c2FsdHNhbHQ$aGFzaA"),
    };
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        assert_false(password_hash_is_known(hashes[i]));
        assert_false(right(STR("secret"), hashes[i]));
    }
}

static void costs_of_scrypt_at_the_limit(void **state)
{
    (void)state;
    /* N of 2^16, r of 32: 2^21 blocks. Digits: C is 14, E 16, F 17, U 32, V 33, K 22. */
    assert_true(password_hash_is_known(STR("$7$EU..../....salt$hash")));
    assert_false(password_hash_is_known(STR("$7$EV..../....salt$hash")));
    assert_false(password_hash_is_known(STR("$7$FU..../....salt$hash")));
    assert_true(password_hash_is_known(STR("$7$CU....2....salt$hash")));
    assert_false(password_hash_is_known(STR("$7$CU....3....salt$hash")));
    assert_false(password_hash_is_known(STR("$7$.U..../....salt$hash")));
    assert_false(password_hash_is_known(STR("$7$CU.!../....salt$hash")));
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

static void an_application_password_has_all_its_bits(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    unsigned char random[PASSWORD_APP_RANDOM] = {0};
    struct str none = password_app_make(random, &arena);
    assert_str(none, STR("2222-2222-2222-2222-2222-2222-2222"));
    for (size_t bit = 0; bit < 140; bit++) {
        random[bit / 8] = (unsigned char)(0x80 >> bit % 8);
        struct str made = password_app_make(random, &arena);
        assert_false(str_eq(made, none));
        random[bit / 8] = 0;
    }
    memset(random, 0xff, sizeof(random));
    assert_str(password_app_make(random, &arena), STR("zzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zzzz"));
    arena_done(&arena);
}

static void an_application_password_takes_its_hash_and_no_other(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct str hash = password_app_hash(STR("secret"), &arena);
    assert_str(hash, STR("$app$K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="));
    assert_true(password_app_verify(STR("secret"), hash, &arena));
    assert_false(password_app_verify(STR("secres"), hash, &arena));
    assert_false(password_app_verify(STR("secret"), str_head(hash, hash.n - 1), &arena));
    assert_false(password_app_verify(STR("secret"), str_from_index(hash, 5), &arena));
    assert_false(password_app_verify(STR("secret"), STR(""), &arena));
    assert_false(password_app_verify(STR(""), str_null(), &arena));
    struct arena small;
    arena_init(&small, 1);
    assert_null(password_app_hash(STR("secret"), &small).p);
    assert_false(password_app_verify(STR("secret"), hash, &small));
    arena_done(&small);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_takes_its_password_and_no_other),
        cmocka_unit_test(hashes_from_elsewhere_are_taken),
        cmocka_unit_test(a_hash_of_today_is_current),
        cmocka_unit_test(a_password_is_right_prepared_or_as_typed),
        cmocka_unit_test(costs_of_scrypt_at_the_limit),
        cmocka_unit_test(an_application_password_has_all_its_bits),
        cmocka_unit_test(an_application_password_takes_its_hash_and_no_other),
        cmocka_unit_test(unknown_forms_and_unbearable_costs_are_refused),
        cmocka_unit_test(lengths_at_the_limit),
        cmocka_unit_test(a_made_up_password_is_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
