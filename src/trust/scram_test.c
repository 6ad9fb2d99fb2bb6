#include "base/test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "format/encodings.h"
#include "trust/sasl.h"

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

static struct str of_base64(struct str text)
{
    struct buf buf = buf_in(&arena, 2 * text.n);
    assert_true(base64_parse(text, &buf));
    return buf_built(&buf);
}

static struct str joined(struct str a, struct str b, struct str c)
{
    struct buf buf = buf_in(&arena, 1 << 16);
    assert_true(buf_put(&buf, a) && buf_put(&buf, b) && buf_put(&buf, c));
    return buf_built(&buf);
}

static struct str repeated(char c, size_t n)
{
    char *text = arena_take(&arena, n);
    assert_non_null(text);
    memset(text, c, n);
    return str_make(text, n);
}

#define assert_good(e) assert_int_equal((e).code, ERR_NONE)
#define assert_syntax(e) assert_int_equal((e).code, ERR_SASL_SYNTAX)

/* --- Grammar --- */

static void a_first_message_is_read(void **state)
{
    (void)state;
    struct scram_first first;
    assert_good(scram_first_parse(STR("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), &arena, &first));
    assert_int_equal(first.binding, SCRAM_BINDS_NOT);
    assert_str(first.as, STR(""));
    assert_str(first.user, STR("user"));
    assert_str(first.nonce, STR("fyko+d2lbbFgONRv9qkxdawL"));
    assert_str(first.gs2, STR("n,,"));
    assert_str(first.bare, STR("n=user,r=fyko+d2lbbFgONRv9qkxdawL"));

    assert_good(scram_first_parse(STR("p=tls-exporter,a=a=2C=3D=3D2C,n=u=2Cs=3Der,r=x,t=1,Z=="),
                                  &arena, &first));
    assert_int_equal(first.binding, SCRAM_BINDS);
    assert_str(first.binding_type, STR("tls-exporter"));
    assert_str(first.as, STR("a,==2C"));
    assert_str(first.user, STR("u,s=er"));
    assert_str(first.nonce, STR("x"));
    assert_str(first.gs2, STR("p=tls-exporter,a=a=2C=3D=3D2C,"));

    assert_good(
        scram_first_parse(STR("y,,n=密码,r=!\"#$%&'()*+-./:;<=>?@[]^_`{|}~"), &arena, &first));
    assert_int_equal(first.binding, SCRAM_WOULD_BIND);
    assert_str(first.user, STR("密码"));
}

static void a_mandatory_extension_is_refused(void **state)
{
    (void)state;
    struct scram_first first;
    struct scram_final final;
    assert_syntax(scram_first_parse(STR("n,,m=x,n=user,r=abc"), &arena, &first));
    assert_syntax(scram_first_parse(STR("n,,n=user,r=abc,m=x"), &arena, &first));
    assert_syntax(scram_final_parse(STR("c=biws,r=abc,m=x,p=AAAA"), &arena, &final));
}

static void other_first_messages_are_refused(void **state)
{
    (void)state;
    const struct str wrong[] = {
        STR(""),
        STR(","),
        STR("n"),
        STR("n,"),
        STR("n,,"),
        STR("x,,n=user,r=abc"),
        STR("N,,n=user,r=abc"),
        STR("F,n,,n=user,r=abc"),
        STR("n,n=user,r=abc"),
        STR("n,x=a,n=user,r=abc"),
        STR("n,a=,n=user,r=abc"),
        STR("n,a=x=,n=user,r=abc"),
        STR("p,,n=user,r=abc"),
        STR("p=,,n=user,r=abc"),
        STR("p=tls_unique,,n=user,r=abc"),
        STR("n,,n=,r=abc"),
        STR("n,,n=us=er,r=abc"),
        STR("n,,n=us=2cer,r=abc"),
        STR("n,,n=user=,r=abc"),
        STR("n,,n=user=2,r=abc"),
        STR("n,,n=user=2D,r=abc"),
        STR("n,,n=user"),
        STR("n,,n=user,r="),
        STR("n,,n=user,r=a b"),
        STR("n,,n=user,r=\xc3\xa9"),
        STR("n,,n=user,r=a\x7f"),
        STR("n,,r=abc,n=user"),
        STR("n,,n=user,r=abc,"),
        STR("n,,n=user,r=abc,t"),
        STR("n,,n=user,r=abc,t="),
        STR("n,,n=user,r=abc,1=x"),
        STR("n,,n=user,r=abc,r=abc"),
        STR("n,,n=user,r=abc,n=other"),
        STR("n,,n=user,r=abc,a=other"),
        STR("n,,n=us\0er,r=abc"),
        STR("n,,n=us\xffr,r=abc"),
        STR("n,,n=user,r=abc,t=\xff"),
        STR("n,,n=user,r=abc,t=\0"),
    };
    struct scram_first first;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_syntax(scram_first_parse(wrong[i], &arena, &first));
}

static void a_final_message_is_read(void **state)
{
    (void)state;
    struct scram_final final;
    assert_good(scram_final_parse(STR("c=biws,r=abc+def,x=1,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
                                  &arena, &final));
    assert_str(final.binding, STR("n,,"));
    assert_str(final.nonce, STR("abc+def"));
    assert_int_equal(final.proof.n, 20);
    assert_str(final.without_proof, STR("c=biws,r=abc+def,x=1"));
    const struct str wrong[] = {
        STR(""),
        STR("c=biws"),
        STR("c=biws,r=abc"),
        STR("c=biws,p=AAAA"),
        STR("r=abc,c=biws,p=AAAA"),
        STR("c=,r=abc,p=AAAA"),
        STR("c=biw,r=abc,p=AAAA"),
        STR("c=bi ws,r=abc,p=AAAA"),
        STR("c=biws,r=,p=AAAA"),
        STR("c=biws,r=abc,p="),
        STR("c=biws,r=abc,p=AAA"),
        STR("c=biws,r=abc,p=AAB="),
        STR("c=biws,r=abc,p=AAAA,"),
        STR("c=biws,r=abc,p=AAAA,x=1"),
        STR("c=biws,r=abc,p=AAAA,p=AAAA"),
        STR("c=biws,r=abc,,p=AAAA"),
        STR("c=biws,r=abc,p=AA\0A"),
        STR("a=x,c=biws,r=abc,p=AAAA"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_syntax(scram_final_parse(wrong[i], &arena, &final));
}

static void lengths_at_the_limit(void **state)
{
    (void)state;
    struct scram_first first;
    struct scram_final final;
    for (int more = -1; more <= 1; more++) {
        enum err_code code = more <= 0 ? ERR_NONE : ERR_SASL_SYNTAX;
        struct str nonce = repeated('r', (size_t)(SASL_NONCE_MAX + more));
        struct str message = joined(STR("n,,n=u,r="), nonce, STR(""));
        assert_int_equal(scram_first_parse(message, &arena, &first).code, code);
        message = joined(STR("c=biws,r="), repeated('r', nonce.n + 32), STR(",p=AAAA"));
        assert_int_equal(scram_final_parse(message, &arena, &final).code, code);
        struct str name = repeated('n', (size_t)(SASL_NAME_MAX + more));
        message = joined(STR("n,,n="), name, STR(",r=r"));
        assert_int_equal(scram_first_parse(message, &arena, &first).code, code);
        message = joined(STR("n,a="), name, STR(",n=u,r=r"));
        assert_int_equal(scram_first_parse(message, &arena, &first).code, code);
        struct str head = STR("n,,n=u,r=r,x="), tail = STR(",p=AAAA");
        size_t n = (size_t)(SASL_MESSAGE_MAX + more);
        message = joined(head, repeated('x', n - head.n), STR(""));
        assert_int_equal(scram_first_parse(message, &arena, &first).code, code);
        head = STR("c=biws,r=r,x=");
        message = joined(head, repeated('x', n - head.n - tail.n), tail);
        assert_int_equal(scram_final_parse(message, &arena, &final).code, code);
    }
}

/* --- Computing --- */

struct exchange {
    enum sasl_mechanism mechanism;
    struct str salt; /* base64 */
    struct str bare, server_first, without_proof, proof, server_final;
};

/* User "user", password "pencil", 4096 rounds. */
static const struct exchange rfc_5802 = {
    .mechanism = SASL_SCRAM_SHA_1,
    .salt = STR_INIT("QSXCR+Q6sek8bf92"),
    .bare = STR_INIT("n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
    .server_first =
        STR_INIT("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
    .without_proof = STR_INIT("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"),
    .proof = STR_INIT("v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
    .server_final = STR_INIT("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="),
};
static const struct exchange rfc_7677 = {
    .mechanism = SASL_SCRAM_SHA_256,
    .salt = STR_INIT("W22ZaJ0SNY7soEsUEjb6gQ=="),
    .bare = STR_INIT("n=user,r=rOprNGfwEbeRWgbNEkqO"),
    .server_first = STR_INIT("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                             "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
    .without_proof = STR_INIT("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"),
    .proof = STR_INIT("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    .server_final = STR_INIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
};

/* Keys as RFC 5802 3 says, for salts of any length: the RFC's is shorter than ours. */
static struct scram_keys keys_of(const struct exchange *x)
{
    struct scram_keys keys = {0};
    size_t length = scram_length(x->mechanism);
    const EVP_MD *md = length == 20 ? EVP_sha1() : EVP_sha256();
    unsigned char salted[32], client[32];
    struct str salt = of_base64(x->salt);
    assert_int_equal(PKCS5_PBKDF2_HMAC("pencil", 6, (const unsigned char *)salt.p, (int)salt.n,
                                       4096, md, (int)length, salted),
                     1);
    HMAC(md, salted, (int)length, (const unsigned char *)"Client Key", 10, client, NULL);
    EVP_Digest(client, length, keys.stored, NULL, md, NULL);
    HMAC(md, salted, (int)length, (const unsigned char *)"Server Key", 10, keys.server, NULL);
    return keys;
}

static bool proves(const struct exchange *x, const struct scram_keys *keys, struct str proof,
                   struct str *final_r)
{
    return scram_proves(x->mechanism, keys, x->bare, x->server_first, x->without_proof, proof,
                        &arena, final_r);
}

static void exchange_holds(const struct exchange *x)
{
    struct scram_keys keys = keys_of(x);
    struct str proof = of_base64(x->proof), final = str_null();
    assert_true(proves(x, &keys, proof, &final));
    assert_str(final, x->server_final);
    char *bent = arena_take(&arena, proof.n + 1);
    assert_non_null(bent);
    for (size_t i = 0; i < 8 * proof.n; i++) {
        memcpy(bent, proof.p, proof.n);
        bent[i / 8] = (char)(bent[i / 8] ^ 1 << i % 8);
        assert_false(proves(x, &keys, str_make(bent, proof.n), &final));
    }
    memcpy(bent, proof.p, proof.n);
    assert_false(proves(x, &keys, str_make(bent, proof.n - 1), &final));
    assert_false(proves(x, &keys, str_make(bent, proof.n + 1), &final));
    assert_false(proves(x, &keys, STR(""), &final));
}

static void exchanges_of_the_rfcs(void **state)
{
    (void)state;
    exchange_holds(&rfc_5802);
    exchange_holds(&rfc_7677);
    struct exchange plus = rfc_7677;
    plus.mechanism = SASL_SCRAM_SHA_256_PLUS;
    exchange_holds(&plus);
}

static void another_message_wants_another_proof(void **state)
{
    (void)state;
    struct scram_keys keys = keys_of(&rfc_7677);
    struct str proof = of_base64(rfc_7677.proof), final;
    struct exchange x = rfc_7677;
    x.bare = STR("n=user,r=rOprNGfwEbeRWgbNEkqP");
    assert_false(proves(&x, &keys, proof, &final));
    x = rfc_7677;
    x.server_first = STR("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    assert_false(proves(&x, &keys, proof, &final));
    x = rfc_7677;
    x.without_proof = STR("c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_false(proves(&x, &keys, proof, &final));
    keys.stored[31] ^= 1;
    assert_false(proves(&rfc_7677, &keys, proof, &final));
}

static void keys_are_made_as_the_rfc_says(void **state)
{
    (void)state;
    struct exchange x = rfc_7677;
    struct str salt = of_base64(x.salt);
    const enum sasl_mechanism mechanisms[] = {SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256,
                                              SASL_SCRAM_SHA_256_PLUS};
    for (size_t i = 0; i < 3; i++) {
        x.mechanism = mechanisms[i];
        struct scram_keys expected = keys_of(&x), keys;
        assert_int_equal(salt.n, SCRAM_SALT);
        assert_good(scram_keys_make(x.mechanism, STR("pencil"), (const unsigned char *)salt.p, 4096,
                                    &keys));
        assert_memory_equal(&keys, &expected, sizeof(keys));
    }
}

static void rounds_at_the_limit(void **state)
{
    (void)state;
    const unsigned char salt[SCRAM_SALT] = {1};
    struct scram_keys keys;
    const enum sasl_mechanism mechanism = SASL_SCRAM_SHA_256;
    assert_int_equal(scram_keys_make(mechanism, STR("p"), salt, SCRAM_ROUNDS_LEAST - 1, &keys).code,
                     ERR_USAGE);
    assert_good(scram_keys_make(mechanism, STR("p"), salt, SCRAM_ROUNDS_LEAST, &keys));
    assert_good(scram_keys_make(mechanism, STR("p"), salt, SCRAM_ROUNDS_LEAST + 1, &keys));
    assert_int_equal(scram_keys_make(mechanism, STR("p"), salt, SCRAM_ROUNDS_MOST + 1, &keys).code,
                     ERR_USAGE);
}

static void a_server_first_message_is_parsable(void **state)
{
    (void)state;
    unsigned char random[SCRAM_NONCE], salt[SCRAM_SALT];
    memset(random, 0xfb, sizeof(random));
    memset(salt, 0xff, sizeof(salt));
    struct str first = scram_server_first(STR("abc"), random, salt, SCRAM_ROUNDS_MOST, &arena);
    assert_str(first,
               STR("r=abc+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7,s=/////////////////////w==,i=10000000"));
}

static void a_made_up_salt_is_steady(void **state)
{
    (void)state;
    unsigned char key[32] = {7}, one[SCRAM_SALT], two[SCRAM_SALT], expected[32];
    scram_salt_made_up(key, STR("nobody"), one);
    HMAC(EVP_sha256(), key, 32, (const unsigned char *)"nobody", 6, expected, NULL);
    assert_memory_equal(one, expected, SCRAM_SALT);
    scram_salt_made_up(key, STR("nobody"), two);
    assert_memory_equal(one, two, SCRAM_SALT);
    scram_salt_made_up(key, STR("nobodz"), two);
    assert_memory_not_equal(one, two, SCRAM_SALT);
    key[31] = 1;
    scram_salt_made_up(key, STR("nobody"), two);
    assert_memory_not_equal(one, two, SCRAM_SALT);
}

static void a_full_arena_proves_nothing(void **state)
{
    (void)state;
    struct scram_keys keys = keys_of(&rfc_7677);
    struct str proof = of_base64(rfc_7677.proof), final;
    struct arena small;
    arena_init(&small, 1);
    assert_false(scram_proves(rfc_7677.mechanism, &keys, rfc_7677.bare, rfc_7677.server_first,
                              rfc_7677.without_proof, proof, &small, &final));
    arena_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_message_is_read),
        cmocka_unit_test(a_mandatory_extension_is_refused),
        cmocka_unit_test(other_first_messages_are_refused),
        cmocka_unit_test(a_final_message_is_read),
        cmocka_unit_test(lengths_at_the_limit),
        cmocka_unit_test(exchanges_of_the_rfcs),
        cmocka_unit_test(another_message_wants_another_proof),
        cmocka_unit_test(keys_are_made_as_the_rfc_says),
        cmocka_unit_test(rounds_at_the_limit),
        cmocka_unit_test(a_server_first_message_is_parsable),
        cmocka_unit_test(a_made_up_salt_is_steady),
        cmocka_unit_test(a_full_arena_proves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
