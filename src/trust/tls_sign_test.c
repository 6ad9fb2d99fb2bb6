/*
 * Signatures are verified by OpenSSL against octets that are built here, anew.
 */
#include "trust/key_rig_test.h"

#include "trust/tls_sign.h"

enum {
    KINDS = 3
};

static struct arena arena;
static struct private_key *keys[KINDS]; /* by enum key_kind */
static EVP_PKEY *pkeys[KINDS];
static struct str points[KINDS]; /* ServerECDHParams: X25519, P-256, P-384 */
static char randoms[64];

static struct str parameters(const char *type, const char *curve, unsigned group)
{
    EVP_PKEY *share = EVP_PKEY_Q_keygen(NULL, NULL, type, curve);
    unsigned char *point = NULL;
    size_t n = EVP_PKEY_get1_encoded_public_key(share, &point);
    const char head[4] = {3, (char)(group >> 8), (char)group, (char)n};
    struct str whole = rig_join(str_make(head, 4), str_make(point, n), &arena);
    OPENSSL_free(point);
    EVP_PKEY_free(share);
    return whole;
}

static int up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    pkeys[KEY_RSA] = EVP_RSA_gen(2048);
    pkeys[KEY_P256] = EVP_EC_gen("P-256");
    pkeys[KEY_P384] = EVP_EC_gen("P-384");
    for (size_t i = 0; i < KINDS; i++)
        assert_false(err_is(private_key_parse(rig_key_pem(pkeys[i], &arena), &keys[i])));
    points[0] = parameters("X25519", NULL, 0x1d);
    points[1] = parameters("EC", "P-256", 0x17);
    points[2] = parameters("EC", "P-384", 0x18);
    memset(randoms, 'r', sizeof(randoms));
    memcpy(randoms + 56, "DOWNGRD\1", 8);
    return 0;
}

static int down(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        private_key_free(keys[i]);
        EVP_PKEY_free(pkeys[i]);
    }
    arena_done(&arena);
    return 0;
}

static bool verifies(enum key_kind kind, uint16_t scheme, struct str octets,
                     const unsigned char *signature, size_t length)
{
    const EVP_MD *digest = scheme == 0x0804 || (scheme >> 8) == 4   ? EVP_sha256()
                           : scheme == 0x0805 || (scheme >> 8) == 5 ? EVP_sha384()
                                                                    : EVP_sha512();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner;
    assert_int_equal(EVP_DigestVerifyInit(context, &inner, digest, NULL, pkeys[kind]), 1);
    if ((scheme >> 8) == 8) {
        EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST);
    }
    int good =
        EVP_DigestVerify(context, signature, length, (const unsigned char *)octets.p, octets.n);
    EVP_MD_CTX_free(context);
    return good == 1;
}

static enum err_code sign(enum key_kind kind, uint16_t scheme, struct str random, struct str what,
                          unsigned char *signature, size_t *length)
{
    struct tls_sign asked = {.scheme = scheme, .randoms = random, .what = what};
    return tls_sign(keys[kind], &asked, signature, length).code;
}

static enum err_code refusal(enum key_kind kind, uint16_t scheme, struct str random,
                             struct str what)
{
    unsigned char signature[TLS_SIGN_MAX];
    size_t length;
    return sign(kind, scheme, random, what, signature, &length);
}

static struct str octets_13(struct str hash)
{
    char head[64];
    memset(head, ' ', sizeof(head));
    struct str whole =
        rig_join(str_make(head, 64), STR("TLS 1.3, server CertificateVerify\0"), &arena);
    return rig_join(whole, hash, &arena);
}

static const uint16_t all_schemes[] = {0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806,
                                       0x0403, 0x0503, 0x0603, 0x0201, 0x0203, 0x0809,
                                       0x080a, 0x0807, 0x0808, 0x0000, 0xffff};

/* RFC 8446 4.4.3: schemes of 1.3, each with the one key it is for. */
static void handshakes_of_13(void **state)
{
    (void)state;
    static const struct {
        enum key_kind kind;
        uint16_t scheme;
    } good[] = {{KEY_RSA, 0x0804},
                {KEY_RSA, 0x0805},
                {KEY_RSA, 0x0806},
                {KEY_P256, 0x0403},
                {KEY_P384, 0x0503}};
    char hash[64];
    memset(hash, 'h', sizeof(hash));
    for (size_t kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof(all_schemes) / sizeof(all_schemes[0]); i++) {
            bool expected = false;
            for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++)
                expected |= good[k].kind == kind && good[k].scheme == all_schemes[i];
            for (size_t n = 32; n <= 48; n += 16) { /* of either cipher suite */
                unsigned char signature[TLS_SIGN_MAX];
                size_t length = 0;
                struct str what = str_make(hash, n);
                enum err_code code =
                    sign((enum key_kind)kind, all_schemes[i], str_null(), what, signature, &length);
                assert_int_equal(code, expected ? ERR_NONE : ERR_BUS_BROKEN);
                if (expected)
                    assert_true(verifies((enum key_kind)kind, all_schemes[i], octets_13(what),
                                         signature, length));
            }
        }
    }
}

/* RFC 8422 5.4 */
static void handshakes_of_12(void **state)
{
    (void)state;
    struct str random = str_make(randoms, 64);
    for (size_t kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof(all_schemes) / sizeof(all_schemes[0]); i++) {
            bool expected = kind == KEY_RSA ? i < 6 : i >= 6 && i < 9;
            for (size_t group = 0; group < KINDS; group++) {
                unsigned char signature[TLS_SIGN_MAX];
                size_t length = 0;
                enum err_code code = sign((enum key_kind)kind, all_schemes[i], random,
                                          points[group], signature, &length);
                assert_int_equal(code, expected ? ERR_NONE : ERR_BUS_BROKEN);
                if (expected)
                    assert_true(verifies((enum key_kind)kind, all_schemes[i],
                                         rig_join(random, points[group], &arena), signature,
                                         length));
            }
        }
    }
}

/* --- What is no handshake of ours --- */

static void a_transcript_hash_has_its_length(void **state)
{
    (void)state;
    char hash[200] = {0};
    for (size_t n = 0; n <= sizeof(hash); n++) {
        enum err_code code = refusal(KEY_P256, 0x0403, str_null(), str_make(hash, n));
        assert_int_equal(code, n == 32 || n == 48 ? ERR_NONE : ERR_BUS_BROKEN);
    }
}

static void randoms_are_two_and_marked(void **state)
{
    (void)state;
    char octets[128];
    struct str what = points[0];
    memset(octets, 'x', sizeof(octets));
    for (size_t n = 8; n <= sizeof(octets); n++) {
        memset(octets, 'x', sizeof(octets));
        memcpy(octets + n - 8, "DOWNGRD\1", 8);
        enum err_code code = refusal(KEY_P256, 0x0403, str_make(octets, n), what);
        assert_int_equal(code, n == 64 ? ERR_NONE : ERR_BUS_BROKEN);
    }
    for (size_t at = 56; at < 64; at++) {
        memcpy(octets, randoms, 64);
        octets[at] ^= 1;
        assert_int_equal(refusal(KEY_P256, 0x0403, str_make(octets, 64), what), ERR_BUS_BROKEN);
    }
}

static void parameters_have_one_form(void **state)
{
    (void)state;
    struct str random = str_make(randoms, 64);
    for (size_t group = 0; group < KINDS; group++) {
        char octets[128] = {0};
        size_t n = points[group].n;
        for (size_t length = 0; length <= n + 1; length++) {
            memset(octets, 0, sizeof(octets));
            memcpy(octets, points[group].p, n);
            assert_int_equal(refusal(KEY_P256, 0x0403, random, str_make(octets, length)),
                             length == n ? ERR_NONE : ERR_BUS_BROKEN);
            octets[3] = (char)(length - 4); /* one that is as long as it says */
            assert_int_equal(refusal(KEY_P256, 0x0403, random, str_make(octets, length)),
                             length == n ? ERR_NONE : ERR_BUS_BROKEN);
        }
        for (size_t at = 0; at < 5; at++) {
            for (int bit = 0; bit < 8; bit++) {
                memcpy(octets, points[group].p, n);
                octets[at] = (char)(octets[at] ^ 1 << bit);
                bool any_point = group == 0 && at == 4;
                assert_int_equal(refusal(KEY_P256, 0x0403, random, str_make(octets, n)),
                                 any_point ? ERR_NONE : ERR_BUS_BROKEN);
            }
        }
    }
}

/* The free octets of x and y would be room for another structure. */
static void a_point_is_on_its_curve(void **state)
{
    (void)state;
    struct str random = str_make(randoms, 64);
    for (size_t group = 1; group < KINDS; group++) {
        char octets[128];
        size_t n = points[group].n;
        for (size_t at = 5; at < n; at += 7) {
            memcpy(octets, points[group].p, n);
            octets[at] ^= 0x10;
            assert_int_equal(refusal(KEY_RSA, 0x0804, random, str_make(octets, n)), ERR_BUS_BROKEN);
        }
        memset(octets + 5, 0, n - 5);
        assert_int_equal(refusal(KEY_RSA, 0x0804, random, str_make(octets, n)), ERR_BUS_BROKEN);
    }
}

/* What a key's holder could be made to say elsewhere, as if it were the parts of a handshake. */
static void nothing_but_handshakes_is_signed(void **state)
{
    (void)state;
    static const struct str texts[] = {
        STR_INIT("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9"), /* a token (RFC 7515) */
        STR_INIT("\x30\x81\xa2\x02\x44"),                      /* the head of a certificate */
        STR_INIT("                                                                "
                 "TLS 1.3, client CertificateVerify"),
        STR_INIT("\x01\x00\x00\x41\x03\x03"), /* a transcript, for a client's proof in 1.2 */
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t total = 64; total <= 256; total++) {
            char octets[256] = {0};
            memcpy(octets, texts[i].p, texts[i].n);
            struct str whole = str_make(octets, total);
            for (size_t cut = 0; cut <= total; cut++)
                assert_int_equal(
                    refusal(KEY_P256, 0x0403, str_head(whole, cut), str_from_index(whole, cut)),
                    cut == 0 && (total == 32 || total == 48) ? ERR_NONE : ERR_BUS_BROKEN);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_of_13),
        cmocka_unit_test(handshakes_of_12),
        cmocka_unit_test(a_transcript_hash_has_its_length),
        cmocka_unit_test(randoms_are_two_and_marked),
        cmocka_unit_test(parameters_have_one_form),
        cmocka_unit_test(a_point_is_on_its_curve),
        cmocka_unit_test(nothing_but_handshakes_is_signed),
    };
    return cmocka_run_group_tests(tests, up, down);
}
