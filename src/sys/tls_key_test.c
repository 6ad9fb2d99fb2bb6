/*
 * A key that is elsewhere: what it signs, and that it does nothing else. Handshakes with it are in
 * sys/tls_test.c.
 */
#include "sys/fake/tls_fixture.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "sys/tls_key.h"

enum {
    ROOM = 512
};

#define SERVER_13 "TLS 1.3, server CertificateVerify"
#define CLIENT_13 "TLS 1.3, client CertificateVerify"

/* `spaces`, a text with its NUL, and a hash of n octets. */
static struct str of_13(char *to, size_t spaces, const char *text, size_t n)
{
    size_t length = strlen(text) + 1;
    memset(to, ' ', spaces);
    memcpy(to + spaces, text, length);
    memset(to + spaces + length, 'h', n);
    return str_make(to, spaces + length + n);
}

/* Randoms, and the parameters of a group with a point of n octets. */
static struct str of_12(char *to, uint16_t group, uint8_t said, size_t n)
{
    memset(to, 'r', TLS_RANDOMS);
    to[TLS_RANDOMS] = 3;
    to[TLS_RANDOMS + 1] = (char)(group >> 8);
    to[TLS_RANDOMS + 2] = (char)group;
    to[TLS_RANDOMS + 3] = (char)said;
    memset(to + TLS_RANDOMS + 4, 'p', n);
    return str_make(to, TLS_RANDOMS + 4 + n);
}

static void a_handshake_is_taken_apart(void **state)
{
    (void)state;
    char octets[ROOM];
    struct tls_signing got;
    struct str whole = of_13(octets, 64, SERVER_13, 32);
    assert_true(tls_signing_parse(whole, &got));
    assert_int_equal(got.randoms.n, 0);
    assert_str(got.what, str_from_index(whole, 64 + 34));
    assert_true(tls_signing_parse(of_13(octets, 64, SERVER_13, 48), &got));
    assert_int_equal(got.what.n, 48);
    static const struct {
        uint16_t group;
        uint8_t point;
    } groups[] = {{23, 65}, {24, 97}, {29, 32}};
    for (size_t i = 0; i < 3; i++) {
        whole = of_12(octets, groups[i].group, groups[i].point, groups[i].point);
        assert_true(tls_signing_parse(whole, &got));
        assert_str(got.randoms, str_head(whole, TLS_RANDOMS));
        assert_str(got.what, str_from_index(whole, TLS_RANDOMS));
        assert_false(tls_signing_parse(str_head(whole, whole.n - 1), &got));
        assert_false(tls_signing_parse(
            of_12(octets, groups[i].group, groups[i].point, groups[i].point + 1u), &got));
        assert_false(tls_signing_parse(of_12(octets, groups[i].group, 33, groups[i].point), &got));
    }
}

static void nothing_else_is(void **state)
{
    (void)state;
    char octets[ROOM];
    struct tls_signing got;
    static const size_t lengths[] = {0, 20, 31, 33, 47, 49, 64};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        assert_false(tls_signing_parse(of_13(octets, 64, SERVER_13, lengths[i]), &got));
    assert_false(tls_signing_parse(of_13(octets, 64, CLIENT_13, 32), &got));
    assert_false(tls_signing_parse(of_13(octets, 63, SERVER_13, 32), &got));
    assert_false(tls_signing_parse(of_13(octets, 65, SERVER_13, 32), &got));
    static const uint16_t groups[] = {0, 19, 25, 30, 0x100, 0x1700};
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        assert_false(tls_signing_parse(of_12(octets, groups[i], 32, 32), &got));
    struct str whole = of_12(octets, 29, 32, 32);
    octets[TLS_RANDOMS] = 1; /* an explicit curve */
    assert_false(tls_signing_parse(whole, &got));
    assert_false(tls_signing_parse(STR(""), &got));
    for (size_t n = 0; n <= TLS_RANDOMS + 4; n++)
        assert_false(tls_signing_parse(str_head(whole, n), &got));
}

/* --- The key itself --- */

static struct err no_signature(void *arg, const struct tls_signing *what,
                               unsigned char *signature_r, size_t *length_r)
{
    ++*(int *)arg;
    (void)what;
    memset(signature_r, 's', 8);
    *length_r = 8;
    return err_none();
}

struct desk {
    struct tls_library *library;
    struct tls_signer signer;
    int asked;
};

static EVP_PKEY *desk_open(struct desk *desk, int key)
{
    desk->library = tls_library_open();
    desk->signer = (struct tls_signer){.sign = no_signature, .arg = &desk->asked};
    desk->asked = 0;
    assert_non_null(desk->library);
    return tls_key_new(desk->library, fixture_key(key), 7, &desk->signer);
}

static bool signs(const struct desk *desk, EVP_PKEY *key, const char *hash, struct str octets,
                  int padding)
{
    unsigned char signature[TLS_SIGNATURE_MAX];
    size_t n = sizeof(signature);
    EVP_PKEY_CTX *how = NULL;
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    bool done =
        EVP_DigestSignInit_ex(signing, &how, hash, tls_library_context(desk->library), NULL, key,
                              NULL) == 1 &&
        (!padding || EVP_PKEY_CTX_set_rsa_padding(how, padding) == 1) &&
        EVP_DigestSign(signing, signature, &n, (const unsigned char *)octets.p, octets.n) == 1;
    EVP_MD_CTX_free(signing);
    ERR_clear_error();
    return done;
}

static void it_signs_handshakes_only(void **state)
{
    (void)state;
    char octets[ROOM];
    struct desk desk;
    EVP_PKEY *key = desk_open(&desk, KEY_P256);
    assert_non_null(key);
    assert_true(signs(&desk, key, "SHA256", of_13(octets, 64, SERVER_13, 32), 0));
    assert_true(signs(&desk, key, "SHA384", of_12(octets, 29, 32, 32), 0));
    assert_int_equal(desk.asked, 2);
    assert_false(signs(&desk, key, "SHA384", of_13(octets, 64, SERVER_13, 32), 0));
    assert_false(signs(&desk, key, "SHA1", of_13(octets, 64, SERVER_13, 32), 0));
    assert_false(signs(&desk, key, "SHA512", of_12(octets, 29, 32, 32), 0));
    assert_false(signs(&desk, key, "SHA256", of_13(octets, 64, CLIENT_13, 32), 0));
    assert_false(signs(&desk, key, "SHA256", STR("eyJhbGciOiJFUzI1NiJ9.e30"), 0));
    assert_false(signs(&desk, key, "SHA256", STR(""), 0));
    assert_int_equal(desk.asked, 2);
    EVP_PKEY_free(key);
    tls_library_close(desk.library);
}

static void an_rsa_key_pads_as_tls_says(void **state)
{
    (void)state;
    char octets[ROOM];
    struct desk desk;
    EVP_PKEY *key = desk_open(&desk, KEY_RSA);
    assert_non_null(key);
    struct str tls13 = of_13(octets, 64, SERVER_13, 32);
    assert_true(signs(&desk, key, "SHA256", tls13, RSA_PKCS1_PSS_PADDING));
    assert_false(signs(&desk, key, "SHA256", tls13, RSA_PKCS1_PADDING));
    assert_false(signs(&desk, key, "SHA256", tls13, RSA_NO_PADDING));
    assert_false(signs(&desk, key, "SHA256", tls13, RSA_X931_PADDING));
    struct str tls12 = of_12(octets, 23, 65, 65);
    assert_true(signs(&desk, key, "SHA512", tls12, RSA_PKCS1_PADDING));
    assert_true(signs(&desk, key, "SHA512", tls12, RSA_PKCS1_PSS_PADDING));
    assert_int_equal(desk.asked, 3);
    EVP_PKEY_free(key);
    tls_library_close(desk.library);
}

/* Not even a public part comes out, so nothing else can be tried with it elsewhere. */
static void nothing_can_be_got_out_of_it(void **state)
{
    (void)state;
    static const int keys[] = {KEY_P256, KEY_P384, KEY_RSA};
    for (size_t i = 0; i < 3; i++) {
        struct desk desk;
        EVP_PKEY *key = desk_open(&desk, keys[i]);
        OSSL_PARAM *params = NULL;
        unsigned char out[TLS_SIGNATURE_MAX];
        size_t n = sizeof(out);
        assert_non_null(key);
        assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(fixture_key(keys[i])));
        assert_int_equal(EVP_PKEY_get_size(key), EVP_PKEY_get_size(fixture_key(keys[i])));
        assert_int_equal(EVP_PKEY_get_security_bits(key),
                         EVP_PKEY_get_security_bits(fixture_key(keys[i])));
        assert_int_equal(EVP_PKEY_eq(fixture_key(keys[i]), key), 1);
        assert_int_not_equal(EVP_PKEY_eq(fixture_key(KEY_P256_OTHER), key), 1);
        assert_int_not_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 1);
        assert_true(i2d_PrivateKey(key, NULL) <= 0);
        EVP_PKEY_CTX *raw =
            EVP_PKEY_CTX_new_from_pkey(tls_library_context(desk.library), key, NULL);
        assert_false(raw && EVP_PKEY_sign_init(raw) == 1 &&
                     EVP_PKEY_sign(raw, out, &n,
                                   (const unsigned char *)"0123456789abcdef0123456789abcdef",
                                   32) == 1);
        n = sizeof(out);
        assert_false(raw && EVP_PKEY_decrypt_init(raw) == 1 &&
                     EVP_PKEY_decrypt(raw, out, &n, out, (size_t)EVP_PKEY_get_size(key)) == 1);
        assert_false(raw && EVP_PKEY_derive_init(raw) == 1);
        EVP_PKEY_CTX_free(raw);
        ERR_clear_error();
        assert_int_equal(desk.asked, 0);
        EVP_PKEY_free(key);
        tls_library_close(desk.library);
    }
}

static void other_kinds_of_keys_are_refused(void **state)
{
    (void)state;
    static const int keys[] = {KEY_ED25519, KEY_RSA_SMALL};
    for (size_t i = 0; i < 2; i++) {
        struct desk desk;
        assert_null(desk_open(&desk, keys[i]));
        ERR_clear_error();
        tls_library_close(desk.library);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_is_taken_apart),
        cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(it_signs_handshakes_only),
        cmocka_unit_test(an_rsa_key_pads_as_tls_says),
        cmocka_unit_test(nothing_can_be_got_out_of_it),
        cmocka_unit_test(other_kinds_of_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
