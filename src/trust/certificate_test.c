/*
 * Files as operators have them, whole and mixed up.
 */
#include "trust/key_rig_test.h"

#include "base/buf.h"
#include "base/sha256.h"

static struct arena arena;

static int up(void **state)
{
    (void)state;
    arena_init(&arena, 4 << 20);
    return 0;
}

static int down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void refused(struct str chain, const char *why)
{
    struct certificate certificate;
    struct err e = certificate_parse(chain, &arena, &certificate);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_str(e.detail, str_from(why));
}

static void key_refused(struct str key, const char *why)
{
    struct private_key *got;
    struct err e = private_key_parse(key, &got);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_str(e.detail, str_from(why));
}

/* --- What is made here --- */

static void a_made_pair_is_whole(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("mail.example.test"), STR_INIT("*.example.test"),
                                       STR_INIT("xn--fsqu00a.example")};
    static const unsigned char serial[CERTIFICATE_SERIAL] = {0xff, 1};
    struct str chain, key;
    struct certificate certificate;
    struct private_key *private;
    assert_false(err_is(certificate_make(names, 3, RIG_NOW, serial, &arena, &chain, &key)));
    assert_false(err_is(certificate_parse(chain, &arena, &certificate)));
    assert_false(err_is(private_key_parse(key, &private)));
    assert_true(private_key_fits(private, &certificate));
    assert_int_equal(private_key_kind(private), KEY_P256);
    assert_int_equal(certificate.link_count, 1);
    assert_int_equal(certificate.name_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_str(certificate.names[i], names[i]);
    assert_int_equal(certificate.not_before, RIG_NOW - INT64_C(3600000000));
    assert_int_equal(certificate.not_after - certificate.not_before,
                     (int64_t)CERTIFICATE_DAYS * RIG_DAY * 1000000);
    assert_str(certificate.issuer, STR("mail.example.test"));
    assert_str(certificate_key_text(&certificate, &arena), STR("P-256"));
    private_key_free(private);

    /* It vouches for nothing but handshakes. */
    BIO *bio = BIO_new_mem_buf(chain.p, (int)chain.n);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(X509_check_ca(x509), 0);
    assert_int_equal(X509_get_key_usage(x509), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(x509), XKU_SSL_SERVER);
    assert_int_equal(X509_check_host(x509, "a.example.test", 0, 0, NULL), 1);
    assert_int_equal(X509_verify(x509, X509_get0_pubkey(x509)), 1);
    assert_false(ASN1_STRING_type(X509_get0_serialNumber(x509)) & V_ASN1_NEG);
    X509_free(x509);
    BIO_free(bio);
}

static void names_that_are_none_are_not_made(void **state)
{
    (void)state;
    static const unsigned char serial[CERTIFICATE_SERIAL];
    static const struct str none[] = {STR_INIT(""),          STR_INIT("a..b"),  STR_INIT("a b"),
                                      STR_INIT("*"),         STR_INIT("a.*.b"), STR_INIT("a\0.b"),
                                      STR_INIT("a,CA:TRUE"), STR_INIT(".a")};
    struct str chain, key, many[CERTIFICATE_NAMES_MAX + 1];
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(certificate_make(&none[i], 1, RIG_NOW, serial, &arena, &chain, &key).code,
                         ERR_USAGE);
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        many[i] = STR("a.example");
    assert_int_equal(certificate_make(many, 0, RIG_NOW, serial, &arena, &chain, &key).code,
                     ERR_USAGE);
    assert_int_equal(
        certificate_make(many, CERTIFICATE_NAMES_MAX, RIG_NOW, serial, &arena, &chain, &key).code,
        ERR_NONE);
    assert_int_equal(
        certificate_make(many, CERTIFICATE_NAMES_MAX + 1, RIG_NOW, serial, &arena, &chain, &key)
            .code,
        ERR_USAGE);
}

/* --- Chains --- */

static void a_chain_is_in_order(void **state)
{
    (void)state;
    EVP_PKEY *keys[3];
    X509 *links[3];
    struct str pems[3];
    struct certificate certificate;
    for (int i = 0; i < 3; i++)
        keys[i] = EVP_EC_gen("P-256");
    links[2] = rig_x509(keys[2], "root", NULL, NULL, NULL);
    links[1] = rig_x509(keys[1], "Between & Co", NULL, links[2], keys[2]);
    links[0] = rig_x509(keys[0], "leaf", "DNS:Mail.Example.TEST", links[1], keys[1]);
    for (int i = 0; i < 3; i++)
        pems[i] = rig_x509_pem(links[i], &arena);

    struct str two = rig_join(pems[0], pems[1], &arena);
    assert_false(err_is(certificate_parse(two, &arena, &certificate)));
    assert_int_equal(certificate.link_count, 2);
    assert_str(certificate.issuer, STR("Between & Co"));
    assert_str(certificate.names[0], STR("mail.example.test"));
    assert_int_equal(certificate.not_before, RIG_NOW);
    assert_int_equal(certificate.not_after, RIG_NOW + INT64_C(90) * RIG_DAY * 1000000);
    unsigned char *der = NULL, digest[32];
    int n = i2d_X509(links[1], &der);
    assert_str(certificate.links[1], str_make(der, (size_t)n));
    OPENSSL_free(der);
    struct sha256 sha;
    sha256_init(&sha);
    sha256_feed(&sha, certificate.links[0]);
    sha256_end(&sha, digest);
    assert_memory_equal(certificate.fingerprint, digest, 32);

    struct str whole = rig_join(two, pems[2], &arena);
    assert_false(err_is(certificate_parse(whole, &arena, &certificate)));
    assert_int_equal(certificate.link_count, 3);
    /* A key, or words, in the same file. */
    struct str among = rig_join(rig_key_pem(keys[0], &arena), two, &arena);
    among = rig_join(STR("Bag Attributes\n"), among, &arena);
    assert_false(err_is(certificate_parse(among, &arena, &certificate)));
    assert_int_equal(certificate.link_count, 2);

    static const char order[] =
        "the chain is not in order: each certificate is to be signed by the next";
    refused(rig_join(pems[0], pems[2], &arena), order);
    refused(rig_join(pems[0], pems[0], &arena), order);
    refused(rig_join(pems[1], pems[0], &arena), order);
    /* The name is right, the key is not. */
    X509 *other = rig_x509(keys[0], "Between & Co", NULL, links[2], keys[2]);
    refused(rig_join(pems[0], rig_x509_pem(other, &arena), &arena), order);
    X509_free(other);
    for (int i = 0; i < 3; i++) {
        EVP_PKEY_free(keys[i]);
        X509_free(links[i]);
    }
}

static void chains_end_somewhere(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct certificate certificate;
    X509 *self = rig_x509(key, "round", NULL, NULL, NULL);
    struct str pem = rig_x509_pem(self, &arena), chain = STR("");
    for (size_t i = 1; i <= CERTIFICATE_LINKS_MAX + 1; i++) {
        chain = rig_join(chain, pem, &arena);
        if (i <= CERTIFICATE_LINKS_MAX)
            assert_false(err_is(certificate_parse(chain, &arena, &certificate)));
        else
            refused(chain, "the chain has more than 10 certificates");
    }
    char *large = arena_take(&arena, CERTIFICATE_FILE_MAX + 1);
    memset(large, '\n', CERTIFICATE_FILE_MAX + 1);
    memcpy(large, pem.p, pem.n);
    assert_false(
        err_is(certificate_parse(str_make(large, CERTIFICATE_FILE_MAX), &arena, &certificate)));
    refused(str_make(large, CERTIFICATE_FILE_MAX + 1), "the chain's file is larger than 64 KB");
    X509_free(self);
    EVP_PKEY_free(key);
}

static void damaged_files_say_so(void **state)
{
    (void)state;
    struct rig_pair pair = rig_pair(EVP_EC_gen("P-256"), "DNS:a.example", &arena);
    refused(STR(""), "the chain's file holds no certificate in PEM form");
    refused(STR("hello"), "the chain's file holds no certificate in PEM form");
    refused(pair.key, "the chain's file holds no certificate in PEM form");
    refused(str_head(pair.chain, pair.chain.n / 2), "the chain's file is no PEM, or damaged");
    refused(STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "a certificate of the chain cannot be read");
    key_refused(STR(""), "the key's file holds no private key in PEM form");
    key_refused(pair.chain, "the key's file holds no private key in PEM form");
    key_refused(str_head(pair.key, pair.key.n / 2),
                "the key's file holds no private key in PEM form");
}

/* --- Names --- */

static size_t names_of(const char *common, const char *alternative, struct certificate *certificate)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = rig_x509(key, common, alternative, NULL, NULL);
    struct err e = certificate_parse(rig_x509_pem(x509, &arena), &arena, certificate);
    X509_free(x509);
    EVP_PKEY_free(key);
    return err_is(e) ? SIZE_MAX : certificate->name_count;
}

static void names_are_those_of_hosts(void **state)
{
    (void)state;
    struct certificate certificate;
    assert_int_equal(names_of("CN.example", NULL, &certificate), 1);
    assert_str(certificate.names[0], STR("cn.example"));
    /* The common name counts for nothing where there is an alternative one of any kind. */
    assert_int_equal(names_of("cn.example", "DNS:a.example", &certificate), 1);
    assert_str(certificate.names[0], STR("a.example"));
    assert_int_equal(names_of("cn.example", "IP:192.0.2.1", &certificate), 0);
    assert_int_equal(names_of("No host, Inc.", NULL, &certificate), 0);
    assert_int_equal(
        names_of("a", "DNS:*.B.example,DNS:b..c,DNS:b*.c,email:x@y.example", &certificate), 1);
    assert_str(certificate.names[0], STR("*.b.example"));
    struct buf many = BUF_INIT(4096);
    for (int i = 0; i < CERTIFICATE_NAMES_MAX; i++)
        buf_printf(&many, "%sDNS:a%d.example", i ? "," : "", i);
    buf_putc(&many, '\0');
    assert_int_equal(names_of("a", many.p, &certificate), CERTIFICATE_NAMES_MAX);
    buf_cut(&many, many.n - 1);
    buf_put(&many, STR(",DNS:z.example"));
    buf_putc(&many, '\0');
    assert_int_equal(names_of("a", many.p, &certificate), SIZE_MAX);
    buf_done(&many);
}

/* --- Keys --- */

static void keys_of_our_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *type, *curve;
        size_t bits;
        enum key_kind kind;
        const char *text;
    } rows[] = {
        {"RSA", NULL, 2048, KEY_RSA, "RSA 2048"}, {"EC", "P-256", 0, KEY_P256, "P-256"},
        {"EC", "P-384", 0, KEY_P384, "P-384"},    {"RSA", NULL, 2047, KEY_RSA, NULL},
        {"EC", "P-521", 0, KEY_P384, NULL},       {"EC", "secp256k1", 0, KEY_P384, NULL},
        {"ED25519", NULL, 0, KEY_P256, NULL},     {"RSA-PSS", NULL, 2048, KEY_RSA, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *pkey = NULL;
        if (strcmp(rows[i].type, "RSA-PSS") == 0) {
            EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
            EVP_PKEY_keygen_init(context);
            EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048);
            EVP_PKEY_generate(context, &pkey);
            EVP_PKEY_CTX_free(context);
        } else if (rows[i].curve) {
            pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", rows[i].curve);
        } else {
            pkey = EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type, rows[i].bits);
        }
        struct str key = rig_key_pem(pkey, &arena);
        if (!rows[i].text) {
            key_refused(key, "the private key is neither RSA of 2048 to 8192 bits nor EC on P-256 "
                             "or P-384");
            EVP_PKEY_free(pkey);
            continue;
        }
        struct rig_pair pair = rig_pair(pkey, "DNS:a.example", &arena);
        struct certificate certificate;
        struct private_key *private;
        assert_false(err_is(certificate_parse(pair.chain, &arena, &certificate)));
        assert_false(err_is(private_key_parse(pair.key, &private)));
        assert_int_equal(certificate.kind, rows[i].kind);
        assert_int_equal(private_key_kind(private), rows[i].kind);
        assert_str(certificate_key_text(&certificate, &arena), str_from(rows[i].text));
        assert_true(private_key_fits(private, &certificate));
        private_key_free(private);
    }
}

static void a_key_of_another_does_not_fit(void **state)
{
    (void)state;
    struct rig_pair one = rig_pair(EVP_EC_gen("P-256"), "DNS:a.example", &arena);
    struct rig_pair two = rig_pair(EVP_EC_gen("P-256"), "DNS:a.example", &arena);
    struct rig_pair rsa = rig_pair(EVP_RSA_gen(2048), "DNS:a.example", &arena);
    struct certificate certificate;
    struct private_key *keys[3];
    assert_false(err_is(private_key_parse(one.key, &keys[0])));
    assert_false(err_is(private_key_parse(two.key, &keys[1])));
    assert_false(err_is(private_key_parse(rsa.key, &keys[2])));
    assert_false(err_is(certificate_parse(one.chain, &arena, &certificate)));
    assert_true(private_key_fits(keys[0], &certificate));
    assert_false(private_key_fits(keys[1], &certificate));
    assert_false(private_key_fits(keys[2], &certificate));
    for (int i = 0; i < 3; i++)
        private_key_free(keys[i]);
    private_key_free(NULL);
}

static void keys_in_other_dress(void **state)
{
    (void)state;
    struct private_key *private;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    /* With the curve in a block of its own in front, as `openssl ecparam -genkey` writes it. */
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio(bio, "EC PARAMETERS", "",
                  (const unsigned char *)"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10);
    PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL);
    struct str plain = rig_pem(bio, &arena);
    assert_true(str_find(plain, STR("BEGIN EC PRIVATE KEY")) > 0);
    assert_false(err_is(private_key_parse(plain, &private)));
    private_key_free(private);
    /* Encrypted, both ways. */
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, pkey, EVP_aes_128_cbc(), "pw", 2, NULL, NULL);
    key_refused(rig_pem(bio, &arena), "the private key is encrypted; it must not be");
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey_traditional(bio, pkey, EVP_aes_128_cbc(), (const unsigned char *)"pw",
                                         2, NULL, NULL);
    key_refused(rig_pem(bio, &arena), "the private key is encrypted; it must not be");
    EVP_PKEY_free(pkey);
}

/* --- Fingerprints --- */

static void fingerprints_of_files(void **state)
{
    (void)state;
    unsigned char digest[32];
    struct rig_pair pair = rig_pair(EVP_EC_gen("P-256"), "DNS:a.example", &arena);
    struct certificate certificate;
    assert_false(err_is(certificate_parse(pair.chain, &arena, &certificate)));
    assert_false(err_is(certificate_fingerprint(pair.chain, digest)));
    assert_memory_equal(digest, certificate.fingerprint, 32);
    memset(digest, 0, sizeof(digest));
    assert_false(err_is(certificate_fingerprint(certificate.links[0], digest)));
    assert_memory_equal(digest, certificate.fingerprint, 32);
    assert_int_equal(certificate_fingerprint(pair.key, digest).code, ERR_CONFIG);
    assert_int_equal(certificate_fingerprint(STR(""), digest).code, ERR_CONFIG);
    memset(digest, 0, sizeof(digest));
    digest[0] = 0xab;
    assert_str(certificate_fingerprint_text(digest, &arena),
               STR("SHA256:ab00000000000000000000000000000000000000000000000000000000000000"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_made_pair_is_whole), TEST(names_that_are_none_are_not_made),
        TEST(a_chain_is_in_order),  TEST(chains_end_somewhere),
        TEST(damaged_files_say_so), TEST(names_are_those_of_hosts),
        TEST(keys_of_our_kinds),    TEST(a_key_of_another_does_not_fit),
        TEST(keys_in_other_dress),  TEST(fingerprints_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
