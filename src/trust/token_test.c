#include "base/test.h"

#include <openssl/hmac.h>

#include "trust/sasl.h"
#include "trust/token_inside.h"
#include "trust/token_rig_test.h"

#define NOW 1700000000

static struct arena arena;
static EVP_PKEY *ed25519, *rsa, *p256, *p384;
static struct token_keys *keys;

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

static struct str repeated(char c, size_t n)
{
    char *text = arena_take(&arena, n);
    assert_non_null(text);
    memset(text, c, n);
    return str_make(text, n);
}

static struct str number_of(EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;
    unsigned char octets[1024];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    int n = BN_bn2bin(number, octets);
    BN_free(number);
    return rig_base64url(str_make(octets, (size_t)n), &arena);
}

static struct str coordinate_of(EVP_PKEY *key, const char *name, int width)
{
    BIGNUM *number = NULL;
    unsigned char octets[64];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    assert_int_equal(BN_bn2binpad(number, octets, width), width);
    BN_free(number);
    return rig_base64url(str_make(octets, (size_t)width), &arena);
}

static struct str rsa_jwk(const char *kid, const char *alg)
{
    return printed("{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"%s\",\"alg\":\"%s\",\"n\":\"%.*s\","
                   "\"e\":\"%.*s\"}",
                   kid, alg, STR_FMT(number_of(rsa, "n")), STR_FMT(number_of(rsa, "e")));
}

static struct str ec_jwk(EVP_PKEY *key, const char *kid, const char *crv, int width)
{
    return printed("{\"kty\":\"EC\",\"crv\":\"%s\",\"kid\":\"%s\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                   crv, kid, STR_FMT(coordinate_of(key, "qx", width)),
                   STR_FMT(coordinate_of(key, "qy", width)));
}

#define ED25519_JWK                                                                                \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"" RIG_ED25519_X "\"}"

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 << 20);
    ed25519 = rig_ed25519();
    rsa = EVP_RSA_gen(2048);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    struct str set = printed(
        "{\"keys\":[" ED25519_JWK ",%.*s,%.*s,%.*s,%.*s,%.*s,%.*s,%.*s,%.*s]}",
        STR_FMT(ec_jwk(p256, "p256", "P-256", 32)), STR_FMT(ec_jwk(p384, "p384", "P-384", 48)),
        STR_FMT(rsa_jwk("rs256", "RS256")), STR_FMT(rsa_jwk("rs384", "RS384")),
        STR_FMT(rsa_jwk("rs512", "RS512")), STR_FMT(rsa_jwk("ps256", "PS256")),
        STR_FMT(rsa_jwk("ps384", "PS384")), STR_FMT(rsa_jwk("ps512", "PS512")));
    struct err e = token_keys_parse(set, &arena, &keys);
    if (err_is(e))
        print_error("%.*s\n", STR_FMT(e.detail));
    return err_is(e) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    token_keys_done(keys);
    EVP_PKEY_free(ed25519);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    arena_done(&arena);
    return 0;
}

static struct token_rules rules_now(void)
{
    return (struct token_rules){
        .issuer = STR("https://id.example.test"), .audience = STR("mail"), .now = NOW, .skew = 60};
}

#define GOOD                                                                                       \
    "\"iss\":\"https://id.example.test\",\"aud\":\"mail\",\"exp\":1700000001,"                     \
    "\"email\":\"user@example.test\""
#define HEAD "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}"

static struct err checked(struct str token, const struct token_rules *rules,
                          struct token_claims *claims)
{
    struct token_head head;
    struct err e = token_head_parse(token, &arena, &head);
    return err_is(e) ? e : token_check(keys, &head, token, rules, &arena, claims);
}

/* Of claims that are signed well: what is said of them. "" is good. */
static struct str said(struct str claims_text, const struct token_rules *rules)
{
    struct token_claims claims = {0};
    struct str token = rig_token(STR("EdDSA"), ed25519, STR(HEAD), claims_text, &arena);
    struct err e = checked(token, rules, &claims);
    if (!err_is(e))
        return STR("");
    assert_int_equal(e.code, ERR_LOGIN_FAILED);
    assert_true(e.detail.n > 0);
    return e.detail;
}

static struct str said_now(const char *claims_text)
{
    struct token_rules rules = rules_now();
    return said(str_from(claims_text), &rules);
}

static void assert_refused(struct str token, const char *detail)
{
    struct token_claims claims;
    struct token_rules rules = rules_now();
    struct err e = checked(token, &rules, &claims);
    assert_int_equal(e.code, ERR_LOGIN_FAILED);
    assert_str(e.detail, str_from(detail));
}

#define SIGNATURE "the token's signature does not hold"
#define NO_KEY "no key has the token's alg and kid"
#define NO_JWT "the token is no JWT"

/* --- Signatures --- */

static void each_algorithm_verifies(void **state)
{
    (void)state;
    const struct {
        const char *alg, *kid;
        EVP_PKEY *key;
    } rows[] = {
        {"EdDSA", "ed", ed25519}, {"ES256", "p256", p256}, {"ES384", "p384", p384},
        {"RS256", "rs256", rsa},  {"RS384", "rs384", rsa}, {"RS512", "rs512", rsa},
        {"PS256", "ps256", rsa},  {"PS384", "ps384", rsa}, {"PS512", "ps512", rsa},
    };
    struct token_rules rules = rules_now();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str head = printed("{\"alg\":\"%s\",\"kid\":\"%s\"}", rows[i].alg, rows[i].kid);
        struct str alg = str_from(rows[i].alg);
        struct str token = rig_token(alg, rows[i].key, head, STR("{" GOOD "}"), &arena);
        struct token_claims claims;
        assert_int_equal(checked(token, &rules, &claims).code, ERR_NONE);
        assert_str(claims.user, STR("user@example.test"));
        /* Signed for other claims. */
        struct str other = rig_token(alg, rows[i].key, head, STR("{" GOOD ",\"x\":1}"), &arena);
        struct str signature = str_from_index(other, (size_t)str_last_index(other, '.') + 1);
        struct str what = str_head(token, (size_t)str_last_index(token, '.'));
        assert_refused(rig_dotted(what, signature, &arena), SIGNATURE);
        /* Shorter, and empty of sense. */
        signature = str_from_index(token, what.n + 1);
        assert_refused(rig_dotted(what, str_head(signature, signature.n / 8 * 4), &arena),
                       SIGNATURE);
        assert_refused(rig_dotted(what, repeated('A', signature.n), &arena), SIGNATURE);
    }
}

/* RFC 7515 A.2 and A.3, RFC 8037 A.4: the tokens are for nobody, which is found out behind the
 * signature. */
static void signatures_of_the_rfcs_hold(void **state)
{
    (void)state;
    struct token_keys *theirs;
    assert_int_equal(
        token_keys_parse(
            STR("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
                "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
                "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
                "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
                "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
                "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
                "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
                "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE"
                "U\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"),
            &arena, &theirs)
            .code,
        ERR_NONE);
    const struct str tokens[] = {
        STR("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
            "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XO"
            "iZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--"
            "f_"
            "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
            "xi12jzDwus"
            "C-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlV"
            "mtVrBp0igcN_IoypGlUPQGe77Rw"),
        STR("eyJhbGciOiJFUzI1NiJ9."
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcG"
            "xlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxL"
            "a8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
    };
    struct token_rules rules = {.issuer = STR("joe"), .audience = STR("mail"), .now = 1300819379};
    for (size_t i = 0; i < 2; i++) {
        struct token_head head;
        struct token_claims claims;
        assert_int_equal(token_head_parse(tokens[i], &arena, &head).code, ERR_NONE);
        assert_str(head.key, STR(""));
        assert_str(token_check(theirs, &head, tokens[i], &rules, &arena, &claims).detail,
                   STR("the token's aud is not the configured audience"));
    }
    token_keys_done(theirs);
    struct str signature = token_octets(
        STR("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVv"
            "pAr_MuM0KAg"),
        &arena);
    struct token_head head = {.algorithm = STR("EdDSA"), .key = STR("ed")};
    assert_true(token_key_verifies(token_key_find(keys, &head),
                                   STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
                                   signature));
}

static void the_algorithm_is_the_keys(void **state)
{
    (void)state;
    const char *const heads[] = {
        "{\"alg\":\"none\",\"kid\":\"rs256\"}",  "{\"alg\":\"none\"}",
        "{\"alg\":\"None\",\"kid\":\"ed\"}",     "{\"alg\":\"HS256\",\"kid\":\"rs256\"}",
        "{\"alg\":\"PS256\",\"kid\":\"rs256\"}", "{\"alg\":\"RS512\",\"kid\":\"rs256\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"rs256\"}", "{\"alg\":\"ES256\",\"kid\":\"rs256\"}",
        "{\"alg\":\"rs256\",\"kid\":\"rs256\"}", "{\"alg\":\"RS256 \",\"kid\":\"rs256\"}",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        assert_refused(rig_token(STR("RS256"), rsa, str_from(heads[i]), STR("{" GOOD "}"), &arena),
                       NO_KEY);
    /* Signed as another algorithm than the key's. */
    const char *const others[] = {"PS256", "RS384", "RS512"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_refused(rig_token(str_from(others[i]), rsa,
                                 STR("{\"alg\":\"RS256\",\"kid\":\"rs256\"}"), STR("{" GOOD "}"),
                                 &arena),
                       SIGNATURE);
}

/* The public key as the secret of an HMAC: whatever the header says, it is no signature. */
static void a_public_key_is_no_secret(void **state)
{
    (void)state;
    const char *const heads[] = {"{\"alg\":\"HS256\",\"kid\":\"ed\"}", HEAD};
    const char *const details[] = {NO_KEY, SIGNATURE};
    unsigned char public[32], mac[32];
    size_t n = sizeof(public);
    assert_int_equal(EVP_PKEY_get_raw_public_key(ed25519, public, &n), 1);
    for (size_t i = 0; i < 2; i++) {
        struct str what = rig_dotted(rig_base64url(str_from(heads[i]), &arena),
                                     rig_base64url(STR("{" GOOD "}"), &arena), &arena);
        HMAC(EVP_sha256(), public, 32, (const unsigned char *)what.p, what.n, mac, NULL);
        struct str signature = rig_base64url(str_make(mac, sizeof(mac)), &arena);
        assert_refused(rig_dotted(what, signature, &arena), details[i]);
    }
}

static void a_key_is_one_of_ours(void **state)
{
    (void)state;
    const char *const heads[] = {
        "{\"alg\":\"EdDSA\",\"kid\":\"other\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"e\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"ED\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"../../../dev/null\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"ed' OR '1'='1\"}",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        assert_refused(
            rig_token(STR("EdDSA"), ed25519, str_from(heads[i]), STR("{" GOOD "}"), &arena),
            NO_KEY);
    /* A key that the token brings along is not looked at. */
    assert_refused(rig_token(STR("EdDSA"), ed25519,
                             STR("{\"alg\":\"EdDSA\",\"kid\":\"x\",\"jwk\":" ED25519_JWK
                                 ",\"jku\":\"https://evil.example.test/\"}"),
                             STR("{" GOOD "}"), &arena),
                   NO_KEY);
    EVP_PKEY *stranger = EVP_EC_gen("P-256");
    assert_refused(rig_token(STR("ES256"), stranger, STR("{\"alg\":\"ES256\",\"kid\":\"p256\"}"),
                             STR("{" GOOD "}"), &arena),
                   SIGNATURE);
    EVP_PKEY_free(stranger);
}

static void without_kid_one_key_must_have_the_algorithm(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    struct token_claims claims;
    struct str token =
        rig_token(STR("EdDSA"), ed25519, STR("{\"alg\":\"EdDSA\"}"), STR("{" GOOD "}"), &arena);
    assert_int_equal(checked(token, &rules, &claims).code, ERR_NONE);
    struct token_keys *two;
    assert_int_equal(token_keys_parse(STR("{\"keys\":[" ED25519_JWK ",{\"kty\":\"OKP\",\"crv\":"
                                          "\"Ed25519\",\"x\":\"" RIG_ED25519_X "\"}]}"),
                                      &arena, &two)
                         .code,
                     ERR_NONE);
    struct token_head head = {.algorithm = STR("EdDSA"), .key = STR("")};
    assert_str(token_check(two, &head, token, &rules, &arena, &claims).detail, STR(NO_KEY));
    token_keys_done(two);
}

static void claims_are_not_looked_at_before_the_signature(void **state)
{
    (void)state;
    EVP_PKEY *stranger = EVP_EC_gen("P-256");
    const struct str texts[] = {STR("{\"exp\":1}"), STR("no JSON"), STR("{}")};
    for (size_t i = 0; i < 3; i++)
        assert_refused(rig_token(STR("ES256"), stranger,
                                 STR("{\"alg\":\"ES256\",\"kid\":\"p256\"}"), texts[i], &arena),
                       SIGNATURE);
    EVP_PKEY_free(stranger);
}

/* An edge that was taken over says another header than is signed. */
static void an_edge_cannot_lie_about_the_header(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    struct token_claims claims;
    struct token_head head = {.algorithm = STR("EdDSA"), .key = STR("ed")};
    const char *const heads[] = {
        "{\"alg\":\"none\",\"kid\":\"ed\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"other\"}",
        "{\"alg\":\"EdDSA\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"dpop+jwt\"}",
        "{}",
        "[]",
        "x",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct str token =
            rig_token(STR("EdDSA"), ed25519, str_from(heads[i]), STR("{" GOOD "}"), &arena);
        assert_int_equal(token_check(keys, &head, token, &rules, &arena, &claims).code,
                         ERR_LOGIN_FAILED);
    }
}

/* --- The header --- */

static struct err head_said(struct str text, struct token_head *head)
{
    struct str what = rig_dotted(rig_base64url(text, &arena), STR("AAAA"), &arena);
    return token_head_parse(rig_dotted(what, STR("AAAA"), &arena), &arena, head);
}

static void headers_are_read_strictly(void **state)
{
    (void)state;
    struct token_head head;
    const char *const good[] = {
        "{\"alg\":\"RS256\",\"kid\":\"a\"}",
        "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"a\",\"x\":{\"y\":[1,2]}}",
        "{\"typ\":\"at+jwt\",\"alg\":\"RS256\",\"kid\":\"a\"}",
        "{\"typ\":\"application/at+JWT\",\"alg\":\"RS256\",\"kid\":\"a\"}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(head_said(str_from(good[i]), &head).code, ERR_NONE);
        assert_str(head.algorithm, STR("RS256"));
        assert_str(head.key, STR("a"));
    }
    const char *const wrong[] = {
        "",
        "{",
        "[]",
        "\"RS256\"",
        "{}",
        "{\"kid\":\"a\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":1}",
        "{\"alg\":null}",
        "{\"alg\":\"12345678901234567\"}",
        "{\"alg\":\"RS256\",\"alg\":\"none\"}",
        "{\"alg\":\"RS256\",\"kid\":1}",
        "{\"alg\":\"RS256\",\"kid\":null}",
        "{\"alg\":\"RS256\",\"crit\":[]}",
        "{\"alg\":\"RS256\",\"crit\":null}",
        "{\"alg\":\"RS256\",\"typ\":\"logout+jwt\"}",
        "{\"alg\":\"RS256\",\"typ\":1}",
        "{\"alg\":\"RS256\"}x",
        "{\"alg\":\"RS256\"} {}",
        "{\"alg\":\"RS\\u0000256\"}",
        "{\"alg\":\"RS256\xff\"}",
        "{\"alg\":\"RS256\",\"n\":99999999999999999999}",
        "{\"alg\":\"RS256\",\"n\":1e999}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(head_said(str_from(wrong[i]), &head).code, ERR_LOGIN_FAILED);
}

static void tokens_have_three_strict_parts(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "",
        ".",
        "..",
        "eyJ9",
        "eyJ9.AAAA",
        "eyJ9.AAAA.",
        ".AAAA.AAAA",
        "eyJ9..AAAA",
        "eyJ9.AAAA=.AAAA",
        "eyJ9.AAAA.AA==",
        "eyJ9.AAAA.AAAA.AAAA",
        "e yJ.AAAA.AAAA",
        "eyJ+.AAAA.AAAA",
        "eyJ9.AAAAA.AAAA",
        "eyJ9.AAAB.AAB",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(str_from(wrong[i]), NO_JWT);
}

static void lengths_at_the_limit(void **state)
{
    (void)state;
    struct token_head head;
    struct str h = rig_base64url(STR("{\"alg\":\"EdDSA\"}"), &arena);
    for (size_t n = TOKEN_MAX - 1; n <= TOKEN_MAX + 1; n++) {
        /* The signature takes what 4n digits of claims leave, but never a fifth digit alone. */
        size_t more = n - h.n - 2, claims = (more - 6) / 4 * 4, signature = more - claims;
        if (signature % 4 == 1) {
            claims -= 2;
            signature += 2;
        }
        struct str token = rig_dotted(rig_dotted(h, repeated('A', claims), &arena),
                                      repeated('A', signature), &arena);
        assert_int_equal(token.n, n);
        assert_int_equal(token_head_parse(token, &arena, &head).code,
                         n <= TOKEN_MAX ? ERR_NONE : ERR_LOGIN_FAILED);
    }
    /* kid, alg, a part. */
    for (size_t n = TOKEN_KEY_ID_MAX - 1; n <= TOKEN_KEY_ID_MAX + 1; n++)
        assert_int_equal(
            head_said(printed("{\"alg\":\"x\",\"kid\":\"%.*s\"}", STR_FMT(repeated('k', n))), &head)
                .code,
            n <= TOKEN_KEY_ID_MAX ? ERR_NONE : ERR_LOGIN_FAILED);
    for (size_t n = TOKEN_PART_MAX - 4; n <= TOKEN_PART_MAX + 4; n += 4) {
        struct str token = rig_dotted(rig_dotted(h, STR("AAAA"), &arena), repeated('A', n), &arena);
        assert_int_equal(token_head_parse(token, &arena, &head).code,
                         n <= TOKEN_PART_MAX ? ERR_NONE : ERR_LOGIN_FAILED);
    }
}

/* Depth and values of JSON, around each limit, in strings too, where brackets count nothing. */
static void json_at_the_limit(void **state)
{
    (void)state;
    for (size_t n = TOKEN_JSON_DEPTH - 1; n <= TOKEN_JSON_DEPTH + 1; n++) {
        struct str text = printed("{\"x\":%.*s%.*s}", STR_FMT(repeated('[', n - 1)),
                                  STR_FMT(repeated(']', n - 1)));
        json_t *json = token_json_parse(text, TOKEN_JSON_VALUES);
        assert_int_equal(json != NULL, n <= TOKEN_JSON_DEPTH);
        json_decref(json);
    }
    for (size_t n = TOKEN_JSON_VALUES - 1; n <= TOKEN_JSON_VALUES + 1; n++) {
        struct buf buf = buf_in(&arena, RIG_TEXT_MAX);
        buf_put(&buf, STR("{\"x\":[0")); /* the object, the list, and its first */
        for (size_t i = 3; i < n; i++)
            buf_put(&buf, STR(",0"));
        buf_put(&buf, STR("]}"));
        json_t *json = token_json_parse(buf_built(&buf), TOKEN_JSON_VALUES);
        assert_int_equal(json != NULL, n <= TOKEN_JSON_VALUES);
        json_decref(json);
    }
    json_t *json = token_json_parse(STR("{\"x\":\"[[[[[[[[[\\\"[[[[[\\\\\"}"), 4);
    assert_non_null(json);
    json_decref(json);
}

/* jansson would go two thousand deep on a fiber's stack. */
static void deep_json_is_counted_before_it_is_parsed(void **state)
{
    (void)state;
    assert_null(token_json_parse(repeated('[', 6000), 1 << 20));
    assert_null(token_json_parse(repeated('{', 6000), 1 << 20));
}

/* --- Claims --- */

static void a_good_token_names_its_user(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    struct token_claims claims;
    struct str token = rig_token(STR("EdDSA"), ed25519, STR(HEAD),
                                 STR("{" GOOD ",\"sub\":\"1234\",\"jti\":\"abc\"}"), &arena);
    assert_int_equal(checked(token, &rules, &claims).code, ERR_NONE);
    assert_str(claims.user, STR("user@example.test"));
    assert_str(claims.subject, STR("1234"));
    assert_str(claims.id, STR("abc"));
    assert_int_equal(claims.expires, 1700000001);
}

#define CLAIMS(times)                                                                              \
    "{\"iss\":\"https://id.example.test\",\"aud\":\"mail\",\"sub\":\"u\"," times "}"

static void times_at_the_limit(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    for (int64_t at = -1; at <= 1; at++) {
        rules.now = NOW + 60 + at; /* skew 60: until then */
        assert_int_equal(said(STR(CLAIMS("\"exp\":1700000000")), &rules).n == 0, at < 0);
        rules.now = NOW - 60 + at;
        assert_int_equal(said(STR(CLAIMS("\"exp\":1800000000,\"nbf\":1700000000")), &rules).n == 0,
                         at >= 0);
        assert_int_equal(said(STR(CLAIMS("\"exp\":1800000000,\"iat\":1700000000")), &rules).n == 0,
                         at >= 0);
    }
    rules = rules_now();
    rules.now = NOW + TOKEN_SKEW_MAX;
    rules.skew = INT64_MAX;
    assert_str(said(STR(CLAIMS("\"exp\":1700000000")), &rules), STR("the token has expired"));
    assert_str(said(STR(CLAIMS("\"exp\":1700000001")), &rules), STR(""));
    rules.skew = -5;
    rules.now = NOW - 1;
    assert_str(said(STR(CLAIMS("\"exp\":1700000000")), &rules), STR(""));
    rules.now = NOW;
    assert_str(said(STR(CLAIMS("\"exp\":1700000000")), &rules), STR("the token has expired"));
}

static void times_are_numbers(void **state)
{
    (void)state;
    assert_str(said_now(CLAIMS("\"exp\":1700000000.5")), STR(""));
    assert_str(said_now(CLAIMS("\"exp\":1.7e9")), STR(""));
    assert_str(said_now(CLAIMS("\"exp\":9007199254740991")), STR(""));
    const char *const wrong[] = {
        CLAIMS("\"x\":1"),
        CLAIMS("\"exp\":null"),
        CLAIMS("\"exp\":\"1800000000\""),
        CLAIMS("\"exp\":true"),
        CLAIMS("\"exp\":[1800000000]"),
        CLAIMS("\"exp\":9007199254740992"),
        CLAIMS("\"exp\":9223372036854775807"),
        CLAIMS("\"exp\":9223372036854775808"),
        CLAIMS("\"exp\":1e300"),
        CLAIMS("\"exp\":1e999"),
        CLAIMS("\"exp\":-1"),
        CLAIMS("\"exp\":-9223372036854775808"),
        CLAIMS("\"exp\":1800000000,\"exp\":1800000000"),
        CLAIMS("\"exp\":1800000000,\"nbf\":\"0\""),
        CLAIMS("\"exp\":1800000000,\"nbf\":null"),
        CLAIMS("\"exp\":1800000000,\"iat\":\"0\""),
        CLAIMS("\"exp\":1800000000,\"iat\":1e300"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(said_now(wrong[i]).n > 0);
}

#define FOR(iss_and_aud) "{\"exp\":1800000000,\"sub\":\"u\"," iss_and_aud "}"
#define ISS "\"iss\":\"https://id.example.test\""

static void a_token_is_of_our_issuer_and_for_us(void **state)
{
    (void)state;
    assert_str(said_now(FOR(ISS ",\"aud\":\"mail\"")), STR(""));
    assert_str(said_now(FOR(ISS ",\"aud\":[\"mail\"]")), STR(""));
    assert_str(said_now(FOR(ISS ",\"aud\":[\"a\",1,\"mail\"]")), STR(""));
    const char *const wrong[] = {
        FOR("\"aud\":\"mail\""),
        FOR("\"iss\":\"https://id.example.test/\",\"aud\":\"mail\""),
        FOR("\"iss\":\"https://id.example.tes\",\"aud\":\"mail\""),
        FOR("\"iss\":[\"https://id.example.test\"],\"aud\":\"mail\""),
        FOR("\"iss\":null,\"aud\":\"mail\""),
        FOR(ISS),
        FOR(ISS ",\"aud\":\"\""),
        FOR(ISS ",\"aud\":\"mai\""),
        FOR(ISS ",\"aud\":\"mails\""),
        FOR(ISS ",\"aud\":\"Mail\""),
        FOR(ISS ",\"aud\":\"a mail\""),
        FOR(ISS ",\"aud\":[]"),
        FOR(ISS ",\"aud\":[[\"mail\"]]"),
        FOR(ISS ",\"aud\":{\"mail\":\"mail\"}"),
        FOR(ISS ",\"aud\":null"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(said_now(wrong[i]).n > 0);
    struct token_rules rules = rules_now();
    rules.issuer = STR("");
    assert_true(said(STR(FOR("\"iss\":\"\",\"aud\":\"mail\"")), &rules).n > 0);
    rules = rules_now();
    rules.audience = STR("");
    assert_true(said(STR(FOR(ISS ",\"aud\":\"\"")), &rules).n > 0);
}

static void a_scope_is_one_of_its_words(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    rules.scope = STR("mail.send");
    const char *const good[] = {
        "{" GOOD ",\"scope\":\"mail.send\"}",
        "{" GOOD ",\"scope\":\"openid mail.send x\"}",
        "{" GOOD ",\"scp\":\"a mail.send\"}",
        "{" GOOD ",\"scp\":[\"a\",\"mail.send\"]}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_str(said(str_from(good[i]), &rules), STR(""));
    const char *const wrong[] = {
        "{" GOOD "}",
        "{" GOOD ",\"scope\":\"\"}",
        "{" GOOD ",\"scope\":\"mail.sender\"}",
        "{" GOOD ",\"scope\":\"xmail.send\"}",
        "{" GOOD ",\"scope\":[\"mail.send\"]}",
        "{" GOOD ",\"scp\":[\"a mail.send\"]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(said(str_from(wrong[i]), &rules).n > 0);
}

#define USER(claims) "{\"exp\":1800000000," ISS ",\"aud\":\"mail\"," claims "}"

static void assert_user(const char *text, const struct token_rules *rules, const char *user)
{
    struct token_claims claims;
    struct str token = rig_token(STR("EdDSA"), ed25519, STR(HEAD), str_from(text), &arena);
    assert_int_equal(checked(token, rules, &claims).code, ERR_NONE);
    assert_str(claims.user, str_from(user));
}

static void the_first_claim_there_is_names_the_user(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    assert_user(USER("\"sub\":\"s\",\"email\":\"e\",\"upn\":\"u\""), &rules, "e");
    assert_user(USER("\"sub\":\"s\",\"preferred_username\":\"p\",\"upn\":\"u\""), &rules, "p");
    assert_user(USER("\"sub\":\"s\",\"upn\":\"u\""), &rules, "u");
    assert_user(USER("\"sub\":\"用户\""), &rules, "用户");
    assert_user(USER("\"email\":\"e\",\"email_verified\":true"), &rules, "e");
    assert_user(USER("\"email\":\"e\",\"email_verified\":\"true\""), &rules, "e");
    const char *const wrong[] = {
        USER("\"x\":\"y\""),
        USER("\"email\":\"\",\"sub\":\"s\""),
        USER("\"email\":1,\"sub\":\"s\""),
        USER("\"email\":null,\"sub\":\"s\""),
        USER("\"email\":[\"e\"],\"sub\":\"s\""),
        USER("\"email\":\"e\",\"email_verified\":false"),
        USER("\"email\":\"e\",\"email_verified\":\"false\""),
        USER("\"email\":\"e\",\"email_verified\":null"),
        USER("\"email\":\"a\\u0000b\""),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(said(str_from(wrong[i]), &rules).n > 0);
    const struct str ours[] = {STR("mailbox"), STR("sub")};
    rules.user_claims = ours;
    rules.user_claim_count = 2;
    assert_user(USER("\"sub\":\"s\",\"email\":\"e\",\"mailbox\":\"m\""), &rules, "m");
    assert_user(USER("\"sub\":\"s\",\"email\":\"e\""), &rules, "s");
    assert_str(said(STR(USER("\"email\":\"e\"")), &rules), STR("the token names no user"));
    for (size_t n = SASL_NAME_MAX - 1; n <= SASL_NAME_MAX + 1; n++)
        assert_int_equal(
            said(printed(USER("\"sub\":\"%.*s\""), STR_FMT(repeated('s', n))), &rules).n == 0,
            n <= SASL_NAME_MAX);
}

static void a_full_arena_is_no_memory(void **state)
{
    (void)state;
    struct token_rules rules = rules_now();
    struct token_head head = {.algorithm = STR("EdDSA"), .key = STR("ed")};
    struct str token = rig_token(STR("EdDSA"), ed25519, STR(HEAD), STR("{" GOOD "}"), &arena);
    bool done = false;
    for (size_t cap = 1; !done; cap++) {
        struct arena small;
        struct token_claims claims;
        arena_init(&small, cap);
        struct err e = token_check(keys, &head, token, &rules, &small, &claims);
        done = !err_is(e);
        assert_true(done || e.code == ERR_NO_MEMORY);
        arena_done(&small);
        assert_true(cap < TOKEN_CHECK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_verifies),
        cmocka_unit_test(signatures_of_the_rfcs_hold),
        cmocka_unit_test(the_algorithm_is_the_keys),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(a_key_is_one_of_ours),
        cmocka_unit_test(without_kid_one_key_must_have_the_algorithm),
        cmocka_unit_test(claims_are_not_looked_at_before_the_signature),
        cmocka_unit_test(an_edge_cannot_lie_about_the_header),
        cmocka_unit_test(headers_are_read_strictly),
        cmocka_unit_test(tokens_have_three_strict_parts),
        cmocka_unit_test(lengths_at_the_limit),
        cmocka_unit_test(json_at_the_limit),
        cmocka_unit_test(deep_json_is_counted_before_it_is_parsed),
        cmocka_unit_test(a_good_token_names_its_user),
        cmocka_unit_test(times_at_the_limit),
        cmocka_unit_test(times_are_numbers),
        cmocka_unit_test(a_token_is_of_our_issuer_and_for_us),
        cmocka_unit_test(a_scope_is_one_of_its_words),
        cmocka_unit_test(the_first_claim_there_is_names_the_user),
        cmocka_unit_test(a_full_arena_is_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
