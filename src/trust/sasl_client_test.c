/*
 * What we say to servers when we log in, against the RFCs' examples and our own server's side.
 */
#include "trust/sasl_client.h"

#include "base/test.h"

#include "base/buf.h"
#include "format/encodings.h"

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

static struct sasl_identity someone(const char *user, const char *secret)
{
    return (struct sasl_identity){.user = str_from(user),
                                  .secret = str_from(secret),
                                  .host = STR("s.test"),
                                  .port = 587,
                                  .encrypted = true};
}

static struct str of_base64(const char *text)
{
    struct str all = str_from(text);
    struct buf buf = buf_in(&arena, 2 * all.n);
    assert_true(base64_parse(all, &buf));
    return buf_built(&buf);
}

static struct sasl_client client;

static struct str begun(enum sasl_mechanism mechanism, const struct sasl_identity *identity)
{
    struct str first;
    struct str random = of_base64("fyko+d2lbbFgONRv9qkxdawL");
    assert_int_equal(sasl_client_begin(&client, mechanism, identity, false,
                                       (const unsigned char *)random.p, &arena, &first)
                         .code,
                     ERR_NONE);
    return first;
}

static struct str answered(struct str challenge)
{
    struct str answer;
    assert_int_equal(sasl_client_step(&client, challenge, &arena, &answer).code, ERR_NONE);
    return answer;
}

static void refused(struct str challenge)
{
    struct str answer;
    assert_int_equal(sasl_client_step(&client, challenge, &arena, &answer).code, ERR_SASL_SYNTAX);
}

/* --- Examples -------------------------------------------------------------------------------- */

static void plain_and_login(void **state)
{
    (void)state;
    const struct sasl_identity tim = someone("tim", "tanstaaftanstaaf"); /* RFC 4616 4 */
    assert_str(begun(SASL_PLAIN, &tim), STR("\0tim\0tanstaaftanstaaf"));
    assert_true(sasl_client_end(&client, str_null()));
    refused(STR("more?"));
    assert_null(begun(SASL_LOGIN, &tim).p);
    assert_false(sasl_client_end(&client, str_null())); /* 235 before a name was asked for */
    assert_str(answered(STR("Username:")), STR("tim"));
    assert_str(answered(STR("Password:")), STR("tanstaaftanstaaf"));
    assert_true(sasl_client_end(&client, str_null()));
    refused(STR("Password:"));
}

static void cram_md5(void **state)
{
    (void)state;
    const struct sasl_identity tim = someone("tim", "tanstaaftanstaaf"); /* RFC 2195 2 */
    assert_null(begun(SASL_CRAM_MD5, &tim).p);
    assert_str(answered(STR("<1896.697170952@postoffice.reston.mci.net>")),
               STR("tim b913a602c7eda7a495b4e6e7334d3890"));
    assert_true(sasl_client_end(&client, str_null()));
    refused(STR("<again>"));
    begun(SASL_CRAM_MD5, &tim);
    refused(STR(""));
}

static void tokens(void **state)
{
    (void)state;
    struct sasl_identity user =
        someone("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29t");
    user.host = STR("server.example.com"); /* RFC 7628 4.1 */
    user.port = 143;
    user.is_token = true;
    assert_str(begun(SASL_OAUTHBEARER, &user),
               STR("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer "
                   "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29t\1\1"));
    assert_str(answered(STR("{\"status\":\"invalid_token\"}")), STR("\1"));
    refused(STR("{}"));
    user.user = STR("a,b=c");
    assert_true(str_starts(begun(SASL_OAUTHBEARER, &user), STR("n,a=a=2Cb=3Dc,\1")));
    assert_str(begun(SASL_XOAUTH2, &user),
               STR("user=a,b=c\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29t\1\1"));
    assert_str(answered(STR("{\"status\":\"401\"}")), STR(""));
}

static void scram_of_the_rfc(void **state)
{
    (void)state;
    const struct sasl_identity user = someone("user", "pencil"); /* RFC 5802 5 */
    assert_str(begun(SASL_SCRAM_SHA_1, &user), STR("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"));
    assert_str(answered(STR("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i="
                            "4096")),
               STR("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p="
                   "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="));
    assert_false(sasl_client_end(&client, str_null())); /* it has proved nothing */
    assert_false(sasl_client_end(&client, STR("v=rmF9pqV8S7suAoZWja4dJRkFsKR=")));
    assert_str(answered(STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")), STR(""));
    assert_true(sasl_client_end(&client, str_null()));
    begun(SASL_SCRAM_SHA_1, &user);
    (void)answered(STR("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"));
    assert_true(sasl_client_end(&client, STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")));
}

/* --- With our own server's side ----------------------------------------------------------------
 */

static void both_sides(enum sasl_mechanism mechanism, const struct sasl_identity *identity,
                       const char *typed)
{
    const unsigned char salt[SCRAM_SALT] = {1, 2, 3}, random[SCRAM_NONCE] = {4, 5, 6};
    struct scram_keys keys;
    struct scram_first first;
    struct scram_final final;
    struct str server_final;
    assert_false(err_is(scram_first_parse(begun(mechanism, identity), &arena, &first)));
    assert_false(err_is(scram_keys_make(mechanism, str_from(typed), salt, 4096, &keys)));
    struct str server_first = scram_server_first(first.nonce, random, salt, 4096, &arena);
    assert_false(err_is(scram_final_parse(answered(server_first), &arena, &final)));
    assert_true(scram_proves(mechanism, &keys, first.bare, server_first, final.without_proof,
                             final.proof, &arena, &server_final));
    if (mechanism == SASL_SCRAM_SHA_256_PLUS) {
        assert_int_equal(first.binding, SCRAM_BINDS);
        assert_true(str_ends(final.binding, identity->binding));
    }
    assert_str(answered(server_final), STR(""));
    assert_true(sasl_client_end(&client, str_null()));
}

static void scram_with_our_server(void **state)
{
    (void)state;
    struct sasl_identity user =
        someone("a,=b", "p\xc2\xadw"); /* a soft hyphen is mapped to nothing */
    both_sides(SASL_SCRAM_SHA_1, &user, "pw");
    both_sides(SASL_SCRAM_SHA_256, &user, "pw");
    user.binding_type = STR("tls-exporter");
    user.binding = STR("0123456789abcdef0123456789abcdef");
    both_sides(SASL_SCRAM_SHA_256_PLUS, &user, "pw");
}

static void other_first_messages_are_refused(void **state)
{
    (void)state;
    const struct sasl_identity user = someone("user", "pencil");
    static const char *const bad[] = {
        "",
        "r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096",     /* nothing of the server's */
        "r=Fyko+d2lbbFgONRv9qkxdawL3,s=QSXCR+Q6sek8bf92,i=4096",    /* another's nonce */
        "r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXCR+Q6sek8bf92,i=4095",    /* too cheap to guess by */
        "r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXCR+Q6sek8bf92,i=2000001", /* too dear for us */
        "r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXCR+Q6sek8bf92,i=99999999999999999999",
        "r=fyko+d2lbbFgONRv9qkxdawL3,s=*,i=4096",
        "r=fyko+d2lbbFgONRv9qkxdawL3,i=4096,s=QSXCR+Q6sek8bf92",
        "m=x,r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXCR+Q6sek8bf92,i=4096",
        "e=unknown-user",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begun(SASL_SCRAM_SHA_1, &user);
        refused(str_from(bad[i]));
    }
    begun(SASL_SCRAM_SHA_1, &user);
    (void)answered(STR("r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXCR+Q6sek8bf92,i=4096"));
    refused(STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
}

static void names_that_would_say_more(void **state)
{
    (void)state;
    struct sasl_identity user = someone("user", "x");
    struct str first, random = of_base64("fyko+d2lbbFgONRv9qkxdawL");
    const struct str bad[] = {STR("a\0b"), STR("a\1b"), STR("")};
    for (size_t i = 0; i < 3; i++) {
        user.secret = bad[i];
        assert_int_equal(sasl_client_begin(&client, SASL_PLAIN, &user, false,
                                           (const unsigned char *)random.p, &arena, &first)
                             .code,
                         ERR_SASL_SYNTAX);
    }
}

/* --- Which ----------------------------------------------------------------------------------- */

#define M(name) (1u << SASL_##name)

static void the_strongest_that_both_can(void **state)
{
    (void)state;
    struct sasl_identity user = someone("u", "p");
    unsigned all = (1u << SASL_MECHANISMS) - 1;
    assert_int_equal(sasl_client_choose(&user, all, 0), SASL_SCRAM_SHA_256);
    assert_int_equal(sasl_client_choose(&user, M(PLAIN) | M(LOGIN), 0), SASL_PLAIN);
    assert_int_equal(sasl_client_choose(&user, M(CRAM_MD5) | M(PLAIN), 0), SASL_CRAM_MD5);
    assert_int_equal(sasl_client_choose(&user, all, M(LOGIN)), SASL_LOGIN);
    assert_int_equal(sasl_client_choose(&user, M(XOAUTH2) | M(EXTERNAL), 0), SASL_MECHANISMS);
    assert_int_equal(sasl_client_choose(&user, 0, 0), SASL_MECHANISMS);
    user.binding_type = STR("tls-exporter");
    assert_int_equal(sasl_client_choose(&user, all, 0), SASL_SCRAM_SHA_256_PLUS);
    user.is_token = true;
    assert_int_equal(sasl_client_choose(&user, all, 0), SASL_OAUTHBEARER);
    assert_int_equal(sasl_client_choose(&user, M(XOAUTH2) | M(PLAIN), 0), SASL_XOAUTH2);
    assert_int_equal(sasl_client_choose(&user, M(PLAIN), 0), SASL_MECHANISMS);
}

/* S09: what shows a secret does not leave this machine in clear. */
static void nothing_is_shown_in_clear(void **state)
{
    (void)state;
    struct sasl_identity user = someone("u", "p");
    user.encrypted = false;
    assert_int_equal(sasl_client_choose(&user, M(PLAIN) | M(LOGIN), 0), SASL_MECHANISMS);
    assert_int_equal(sasl_client_choose(&user, M(PLAIN) | M(CRAM_MD5), 0), SASL_CRAM_MD5);
    assert_int_equal(sasl_client_choose(&user, M(PLAIN) | M(SCRAM_SHA_1), 0), SASL_SCRAM_SHA_1);
    user.in_machine = true;
    assert_int_equal(sasl_client_choose(&user, M(PLAIN), 0), SASL_PLAIN);
    user.in_machine = false;
    user.is_token = true;
    assert_int_equal(sasl_client_choose(&user, M(XOAUTH2) | M(OAUTHBEARER), 0), SASL_MECHANISMS);
}

int main(void)
{
#define GIVEN(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        GIVEN(plain_and_login),
        GIVEN(cram_md5),
        GIVEN(tokens),
        GIVEN(scram_of_the_rfc),
        GIVEN(scram_with_our_server),
        GIVEN(other_first_messages_are_refused),
        GIVEN(names_that_would_say_more),
        GIVEN(the_strongest_that_both_can),
        GIVEN(nothing_is_shown_in_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
