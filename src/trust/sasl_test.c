#include "base/test.h"

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

static struct str repeated(char c, size_t n)
{
    char *text = arena_take(&arena, n);
    assert_non_null(text);
    memset(text, c, n);
    return str_make(text, n);
}

static struct str joined(struct str a, struct str b, struct str c)
{
    struct buf buf = buf_in(&arena, 1 << 16);
    assert_true(buf_put(&buf, a) && buf_put(&buf, b) && buf_put(&buf, c));
    return buf_built(&buf);
}

#define assert_good(e) assert_int_equal((e).code, ERR_NONE)
#define assert_syntax(e) assert_int_equal((e).code, ERR_SASL_SYNTAX)

static void mechanisms_are_found_by_name(void **state)
{
    (void)state;
    enum sasl_mechanism mechanism;
    for (size_t i = 0; i < SASL_MECHANISMS; i++) {
        assert_true(sasl_find(str_from(sasl_rows[i].name), &mechanism));
        assert_int_equal(mechanism, i);
        assert_str(sasl_name(mechanism), str_from(sasl_rows[i].name));
    }
    assert_true(sasl_find(STR("scram-sha-256-plus"), &mechanism));
    assert_int_equal(mechanism, SASL_SCRAM_SHA_256_PLUS);
    assert_false(sasl_find(STR("PLAI"), &mechanism));
    assert_false(sasl_find(STR(""), &mechanism));
    assert_str(sasl_name(SASL_USER_PASS), STR("USER"));
}

/* --- PLAIN --- */

static void plain_has_three_parts(void **state)
{
    (void)state;
    struct sasl_plain plain;
    assert_good(sasl_plain_parse(STR("\0tim\0tanstaaftanstaaf"), &plain)); /* RFC 4616 4 */
    assert_str(plain.as, STR(""));
    assert_str(plain.user, STR("tim"));
    assert_str(plain.password, STR("tanstaaftanstaaf"));
    assert_good(sasl_plain_parse(STR("Ursel\0Kurt\0xipj3plmq"), &plain));
    assert_str(plain.as, STR("Ursel"));
    assert_good(sasl_plain_parse(STR("\0用户\0\xff\xfe"), &plain)); /* a password is octets */
    assert_str(plain.password, STR("\xff\xfe"));
}

static void plain_refuses_other_shapes(void **state)
{
    (void)state;
    struct sasl_plain plain;
    const struct str wrong[] = {
        STR(""),
        STR("\0"),
        STR("\0\0"),
        STR("tim"),
        STR("\0tim"),
        STR("\0tim\0"),
        STR("\0\0password"),
        STR("\0tim\0pass\0word"),
        STR("a\0b\0c\0"),
        STR("\0t\xffim\0password"),
        STR("\xc0\x80\0tim\0password"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_syntax(sasl_plain_parse(wrong[i], &plain));
}

static void names_and_messages_at_the_limit(void **state)
{
    (void)state;
    struct sasl_plain plain;
    for (size_t n = SASL_NAME_MAX - 1; n <= SASL_NAME_MAX + 1; n++) {
        struct str name = repeated('u', n);
        assert_int_equal(sasl_name_is_valid(name), n <= SASL_NAME_MAX);
        enum err_code code = n <= SASL_NAME_MAX ? ERR_NONE : ERR_SASL_SYNTAX;
        struct str as_user = joined(STR("\0"), name, STR("\0pw"));
        assert_int_equal(sasl_plain_parse(as_user, &plain).code, code);
        struct str as = joined(name, STR("\0u"), STR("\0pw"));
        assert_int_equal(sasl_plain_parse(as, &plain).code, code);
    }
    for (size_t n = SASL_MESSAGE_MAX - 1; n <= SASL_MESSAGE_MAX + 1; n++) {
        struct str message = joined(STR("\0u\0"), repeated('p', n - 3), STR(""));
        assert_int_equal(message.n, n);
        assert_int_equal(sasl_plain_parse(message, &plain).code,
                         n <= SASL_MESSAGE_MAX ? ERR_NONE : ERR_SASL_SYNTAX);
    }
    assert_false(sasl_name_is_valid(STR("")));
    assert_false(sasl_name_is_valid(STR("a\0b")));
    assert_false(sasl_name_is_valid(STR("\xed\xa0\x80")));
}

/* --- CRAM-MD5 --- */

/* RFC 2195 2 */
static void cram_of_the_rfc(void **state)
{
    (void)state;
    struct str challenge =
        of_base64(STR("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"));
    struct str response = of_base64(STR("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"));
    struct str user;
    unsigned char digest[16];
    assert_good(sasl_cram_parse(response, &user, digest));
    assert_str(user, STR("tim"));
    assert_true(cram_proves(STR("tanstaaftanstaaf"), challenge, digest));
    assert_false(cram_proves(STR("tanstaaftanstaa"), challenge, digest));
    assert_false(cram_proves(STR(""), challenge, digest));
    assert_false(cram_proves(STR("tanstaaftanstaaf"), STR("<other>"), digest));
    for (size_t i = 0; i < sizeof(digest); i++) {
        digest[i] ^= 1;
        assert_false(cram_proves(STR("tanstaaftanstaaf"), challenge, digest));
        digest[i] ^= 1;
    }
}

static void cram_grammar(void **state)
{
    (void)state;
    struct str user;
    unsigned char digest[16];
    assert_good(sasl_cram_parse(STR("two words B913A602C7EDA7A495B4E6E7334D3890"), &user, digest));
    assert_str(user, STR("two words"));
    assert_int_equal(digest[0], 0xb9);
    const struct str wrong[] = {
        STR(""),
        STR(" "),
        STR("tim"),
        STR("b913a602c7eda7a495b4e6e7334d3890"),
        STR(" b913a602c7eda7a495b4e6e7334d3890"),
        STR("tim b913a602c7eda7a495b4e6e7334d389"),
        STR("tim b913a602c7eda7a495b4e6e7334d38900"),
        STR("tim b913a602c7eda7a495b4e6e7334d389g"),
        STR("tim  "),
        STR("t\0m b913a602c7eda7a495b4e6e7334d3890"),
        STR("t\xffm b913a602c7eda7a495b4e6e7334d3890"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_syntax(sasl_cram_parse(wrong[i], &user, digest));
}

static void a_cram_challenge_is_a_message_id(void **state)
{
    (void)state;
    const unsigned char random[16] = {0, 1, 2, 0xff};
    assert_str(cram_challenge(random, 1700000000000000, STR("mx.example.test"), &arena),
               STR("<000102ff000000000000000000000000.1700000000000000@mx.example.test>"));
}

/* --- Bearer tokens --- */

/* RFC 7628 4.1, 4.3 */
static void oauthbearer_of_the_rfc(void **state)
{
    (void)state;
    struct sasl_bearer bearer;
    assert_good(sasl_oauthbearer_parse(
        of_base64(STR("bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1"
                      "dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB")),
        &arena, &bearer));
    assert_str(bearer.user, STR("user@example.com"));
    assert_str(bearer.token, STR("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="));
    assert_good(sasl_oauthbearer_parse(
        of_base64(STR("bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1"
                      "dGg9AQE=")),
        &arena, &bearer));
    assert_str(bearer.token, STR(""));
}

static void oauthbearer_grammar(void **state)
{
    (void)state;
    struct sasl_bearer bearer;
    assert_good(
        sasl_oauthbearer_parse(STR("y,,\1auth=bEaReR   a.b-c_d~e+f/g=\1\1"), &arena, &bearer));
    assert_str(bearer.user, STR(""));
    assert_str(bearer.token, STR("a.b-c_d~e+f/g="));
    assert_good(
        sasl_oauthbearer_parse(STR("n,a=a=2Cb=3Dc,\1auth=Bearer t\1x=\1\1"), &arena, &bearer));
    assert_str(bearer.user, STR("a,b=c"));
    const struct str no_token[] = {
        STR("n,,\1auth=Basic dTpw\1\1"),  STR("n,,\1auth=Bearer\1\1"),
        STR("n,,\1auth=Bearer \1\1"),     STR("n,,\1auth=Bearer ==\1\1"),
        STR("n,,\1auth=Bearer a b\1\1"),  STR("n,,\1auth=Bearer a=b\1\1"),
        STR("n,,\1auth=Bearer a\tb\1\1"),
    };
    for (size_t i = 0; i < sizeof(no_token) / sizeof(no_token[0]); i++) {
        assert_good(sasl_oauthbearer_parse(no_token[i], &arena, &bearer));
        assert_str(bearer.token, STR(""));
    }
    const struct str wrong[] = {
        STR(""),
        STR("\1"),
        STR("n,,"),
        STR("n,,\1"),
        STR("n,,\1\1"),
        STR("n,,auth=Bearer t\1\1"),
        STR("n,,\1auth=Bearer t\1"),
        STR("n,,\1auth=Bearer t\1\1\1"),
        STR("n,,\1auth=Bearer t\1\1x"),
        STR("n,,\1auth=Bearer t\1auth=Bearer u\1\1"),
        STR("n,,\1auth=Bearer \xc3\xa9\1\1"),
        STR("n,,\1auth=Bearer t\1a1=x\1\1"),
        STR("n,,\1auth=Bearer t\1=x\1\1"),
        STR("n,,\1auth\1\1"),
        STR("n,,\1auth=Bearer t\0\1\1"),
        STR("n,\1auth=Bearer t\1\1"),
        STR("p=tls-exporter,,\1auth=Bearer t\1\1"),
        STR("n,user=someuser@example.com,\1auth=Bearer t\1\1"),
        STR("n,a=,\1auth=Bearer t\1\1"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_syntax(sasl_oauthbearer_parse(wrong[i], &arena, &bearer));
}

static void xoauth2_grammar(void **state)
{
    (void)state;
    struct sasl_bearer bearer;
    assert_good(sasl_xoauth2_parse(
        of_base64(STR("dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
                      "YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==")),
        &arena, &bearer));
    assert_str(bearer.user, STR("someuser@example.com"));
    assert_str(bearer.token, STR("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"));
    const struct str wrong[] = {
        STR(""),
        STR("user=u"),
        STR("user=u\1"),
        STR("user=u\1\1"),
        STR("user=u\1auth=Bearer t"),
        STR("user=u\1auth=Bearer t\1"),
        STR("auth=Bearer t\1\1"),
        STR("auth=Bearer t\1user=u\1\1"),
        STR("User=u\1auth=Bearer t\1\1"),
        STR("user=u\0\1auth=Bearer t\1\1"),
        STR("user=\xff\1auth=Bearer t\1\1"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_syntax(sasl_xoauth2_parse(wrong[i], &arena, &bearer));
}

static void bearer_messages_at_the_limit(void **state)
{
    (void)state;
    struct sasl_bearer bearer;
    for (size_t n = SASL_MESSAGE_MAX - 1; n <= SASL_MESSAGE_MAX + 1; n++) {
        enum err_code code = n <= SASL_MESSAGE_MAX ? ERR_NONE : ERR_SASL_SYNTAX;
        struct str head = STR("n,,\1auth=Bearer "), end = STR("\1\1");
        struct str message = joined(head, repeated('t', n - head.n - end.n), end);
        assert_int_equal(sasl_oauthbearer_parse(message, &arena, &bearer).code, code);
        head = STR("user=u\1auth=Bearer ");
        message = joined(head, repeated('t', n - head.n - end.n), end);
        assert_int_equal(sasl_xoauth2_parse(message, &arena, &bearer).code, code);
    }
}

static void a_full_arena_is_no_memory(void **state)
{
    (void)state;
    struct arena small;
    struct sasl_bearer bearer;
    arena_init(&small, 1);
    assert_int_equal(sasl_oauthbearer_parse(STR("n,a=u,\1auth=Bearer t\1\1"), &small, &bearer).code,
                     ERR_NO_MEMORY);
    arena_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mechanisms_are_found_by_name),
        cmocka_unit_test(plain_has_three_parts),
        cmocka_unit_test(plain_refuses_other_shapes),
        cmocka_unit_test(names_and_messages_at_the_limit),
        cmocka_unit_test(cram_of_the_rfc),
        cmocka_unit_test(cram_grammar),
        cmocka_unit_test(a_cram_challenge_is_a_message_id),
        cmocka_unit_test(oauthbearer_of_the_rfc),
        cmocka_unit_test(oauthbearer_grammar),
        cmocka_unit_test(xoauth2_grammar),
        cmocka_unit_test(bearer_messages_at_the_limit),
        cmocka_unit_test(a_full_arena_is_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
