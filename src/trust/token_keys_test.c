#include "base/test.h"

#include "trust/token_inside.h"
#include "trust/token_rig_test.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct str printed(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct str printed(const char *format, ...)
{
    struct buf buf = buf_in(&arena, RIG_TEXT_MAX);
    va_list args;
    va_start(args, format);
    assert_true(buf_vprintf(&buf, format, args));
    va_end(args);
    return buf_built(&buf);
}

/* What is said of this set, "" of a good one; how many of its keys are taken. */
static struct str said(struct str set, size_t *count_r)
{
    struct token_keys *keys = NULL;
    struct err e = token_keys_parse(set, &arena, &keys);
    *count_r = err_is(e) ? 0 : token_keys_count(keys);
    token_keys_done(keys);
    if (!err_is(e))
        return STR("");
    assert_int_equal(e.code, ERR_CONFIG);
    assert_true(e.detail.n > 0);
    return e.detail;
}

static struct str said_of_list(struct str list, size_t *count_r)
{
    return said(printed("{\"keys\":[%.*s]}", STR_FMT(list)), count_r);
}

static void assert_bad(const char *list)
{
    size_t count;
    assert_true(said_of_list(str_from(list), &count).n > 0);
}

/* An odd number of this many bits. */
static struct str number(size_t bits)
{
    size_t n = (bits + 7) / 8;
    unsigned char *octets = arena_take(&arena, n);
    assert_non_null(octets);
    memset(octets, 0x55, n);
    octets[0] = (unsigned char)(1 << (bits - 1) % 8);
    octets[n - 1] |= 1;
    return rig_base64url(str_make(octets, n), &arena);
}

static struct str rsa_said(struct str n, const char *e)
{
    size_t count;
    return said_of_list(printed("{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"%s\"}", STR_FMT(n), e),
                        &count);
}

static void rsa_keys_at_the_limit(void **state)
{
    (void)state;
    assert_true(rsa_said(number(TOKEN_RSA_LEAST - 1), "AQAB").n > 0);
    assert_str(rsa_said(number(TOKEN_RSA_LEAST), "AQAB"), STR(""));
    assert_str(rsa_said(number(TOKEN_RSA_LEAST + 1), "AQAB"), STR(""));
    assert_str(rsa_said(number(TOKEN_RSA_MOST - 1), "AQAB"), STR(""));
    assert_str(rsa_said(number(TOKEN_RSA_MOST), "AQAB"), STR(""));
    assert_true(rsa_said(number(TOKEN_RSA_MOST + 1), "AQAB").n > 0);
    assert_true(rsa_said(number(100000), "AQAB").n > 0);
    struct str good = number(TOKEN_RSA_LEAST);
    assert_str(rsa_said(good, "Aw"), STR(""));     /* 3 */
    assert_str(rsa_said(good, "_____w"), STR("")); /* 2^32 - 1 */
    assert_true(rsa_said(good, "AQAAAAE").n > 0);  /* 2^32 + 1 */
    assert_true(rsa_said(good, "AQ").n > 0);       /* 1 */
    assert_true(rsa_said(good, "AA").n > 0);       /* 0 */
    assert_true(rsa_said(good, "BA").n > 0);       /* 4 */
    assert_true(rsa_said(good, "").n > 0);
    assert_true(rsa_said(good, "AQAB=").n > 0);
    assert_true(rsa_said(STR("AQAB"), "AQAB").n > 0);
}

#define P256 "\"kty\":\"EC\",\"crv\":\"P-256\","
#define P256_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
#define P256_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define ED25519 "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" RIG_ED25519_X "\""

static void keys_that_are_wrong_are_told(void **state)
{
    (void)state;
    size_t count;
    assert_str(said_of_list(STR("{" P256 P256_X P256_Y "}"), &count), STR(""));
    assert_str(said_of_list(STR("{" ED25519 "}"), &count), STR(""));
    const char *const wrong[] = {
        "1",
        "\"key\"",
        "[]",
        "{}",
        "{\"kty\":1}",
        "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"alg\":\"HS256\"}",
        "{" ED25519 "},{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}",
        "{" P256 P256_X P256_Y ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}",
        /* No point of the curve: a bit of y. */
        "{" P256 P256_X "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}",
        "{" P256 P256_X "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{" P256 P256_X "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI\"}",
        "{" P256 P256_X "\"y\":1}",
        "{" P256 P256_Y "}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\"," P256_X P256_Y "}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHUR\"}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\"}",
        "{" ED25519 ",\"kid\":1}",
        "{" ED25519 ",\"kid\":\"\"}",
        "{" ED25519 ",\"kid\":\"a\"},{" P256 P256_X P256_Y ",\"kid\":\"a\"}",
        "{" ED25519 ",\"kty\":\"OKP\"}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_bad(wrong[i]);
}

static void other_keys_are_passed_over(void **state)
{
    (void)state;
    size_t count;
    const char *const others[] = {
        "{\"kty\":\"XYZ\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-521\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\"}",
        "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\"}",
        "{\"kty\":\"RSA\",\"alg\":\"HS256\"}",
        "{\"kty\":\"RSA\",\"alg\":\"none\"}",
        "{\"kty\":\"RSA\",\"alg\":1}",
        "{" P256 P256_X P256_Y ",\"alg\":\"ES384\"}",
        "{" ED25519 ",\"alg\":\"RS256\"}",
        "{" ED25519 ",\"use\":\"enc\"}",
        "{" ED25519 ",\"use\":1}",
        "{" ED25519 ",\"key_ops\":[\"encrypt\",1]}",
        "{" ED25519 ",\"key_ops\":\"verify\"}",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_bad(others[i]); /* of nothing else there is no use */
        assert_str(said_of_list(printed("%s,{" ED25519 "}", others[i]), &count), STR(""));
        assert_int_equal(count, 1);
    }
    assert_str(said_of_list(STR("{" ED25519 ",\"use\":\"sig\",\"key_ops\":[\"verify\"]}"), &count),
               STR(""));
}

static void a_key_without_alg_has_the_usual_one(void **state)
{
    (void)state;
    struct token_keys *keys;
    struct str set =
        printed("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"AQAB\"},{" P256 P256_X P256_Y
                "},{" ED25519 "}]}",
                STR_FMT(number(TOKEN_RSA_LEAST)));
    assert_int_equal(token_keys_parse(set, &arena, &keys).code, ERR_NONE);
    const char *const algorithms[] = {"RS256", "ES256", "EdDSA"};
    for (size_t i = 0; i < 3; i++) {
        struct token_head head = {.algorithm = str_from(algorithms[i]), .key = STR("")};
        assert_ptr_equal(token_key_find(keys, &head), &keys->list[i]);
    }
    const char *const others[] = {"RS384", "RS512", "PS256", "ES384", "HS256", "none", ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct token_head head = {.algorithm = str_from(others[i]), .key = STR("")};
        assert_null(token_key_find(keys, &head));
    }
    token_keys_done(keys);
}

static void sets_at_the_limit(void **state)
{
    (void)state;
    size_t count;
    const char *const wrong[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{" ED25519 "}],\"keys\":[]}",
        "{\"keys\":[{" ED25519 "}]}x",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(said(str_from(wrong[i]), &count).n > 0);
    for (size_t n = TOKEN_KEYS_MAX - 1; n <= TOKEN_KEYS_MAX + 1; n++) {
        struct buf buf = buf_in(&arena, RIG_TEXT_MAX);
        for (size_t i = 0; i < n; i++)
            buf_printf(&buf, "%s{" ED25519 ",\"kid\":\"%zu\"}", i ? "," : "", i);
        assert_int_equal(said_of_list(buf_built(&buf), &count).n == 0, n <= TOKEN_KEYS_MAX);
        assert_int_equal(count, n <= TOKEN_KEYS_MAX ? n : 0);
    }
    for (size_t n = TOKEN_KEYS_OCTETS - 1; n <= TOKEN_KEYS_OCTETS + 1; n++) {
        struct str set = STR("{\"keys\":[{" ED25519 "}]}");
        char *text = arena_take(&arena, n);
        assert_non_null(text);
        memset(text, ' ', n);
        memcpy(text, set.p, set.n);
        assert_int_equal(said(str_make(text, n), &count).n == 0, n <= TOKEN_KEYS_OCTETS);
    }
    for (size_t n = TOKEN_KEY_ID_MAX - 1; n <= TOKEN_KEY_ID_MAX + 1; n++) {
        char id[TOKEN_KEY_ID_MAX + 1];
        memset(id, 'k', sizeof(id));
        struct str list = printed("{" ED25519 ",\"kid\":\"%.*s\"}", (int)n, id);
        assert_int_equal(said_of_list(list, &count).n == 0, n <= TOKEN_KEY_ID_MAX);
    }
}

static void a_full_arena_is_no_memory(void **state)
{
    (void)state;
    struct str set =
        STR("{\"keys\":[{" ED25519 ",\"kid\":\"a\"},{" P256 P256_X P256_Y ",\"kid\":\"b\"}]}");
    bool done = false;
    for (size_t cap = 1; !done; cap += 16) {
        struct arena small;
        struct token_keys *keys = NULL;
        arena_init(&small, cap);
        struct err e = token_keys_parse(set, &small, &keys);
        done = !err_is(e);
        assert_true(done || e.code == ERR_NO_MEMORY);
        token_keys_done(keys);
        arena_done(&small);
        assert_true(cap < 1 << 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_keys_at_the_limit),
        cmocka_unit_test(keys_that_are_wrong_are_told),
        cmocka_unit_test(other_keys_are_passed_over),
        cmocka_unit_test(a_key_without_alg_has_the_usual_one),
        cmocka_unit_test(sets_at_the_limit),
        cmocka_unit_test(a_full_arena_is_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
