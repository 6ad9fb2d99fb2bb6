/*
 * For tests: keys and certificates of any kind, made by OpenSSL alone.
 */
#ifndef TRUST_KEY_RIG_TEST_H
#define TRUST_KEY_RIG_TEST_H

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/test.h"
#include "trust/certificate.h"

enum {
    RIG_DAY = 24 * 3600
};

/* 2026-11-21T00:00:00Z */
#define RIG_NOW INT64_C(1795219200000000)

static inline struct str rig_pem(BIO *bio, struct arena *arena)
{
    char *octets;
    long n = BIO_get_mem_data(bio, &octets);
    struct str pem = arena_str(arena, str_make(octets, (size_t)n));
    assert_non_null(pem.p);
    BIO_free(bio);
    return pem;
}

static inline struct str rig_key_pem(EVP_PKEY *pkey, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1);
    return rig_pem(bio, arena);
}

static inline struct str rig_x509_pem(X509 *x509, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_X509(bio, x509) == 1);
    return rig_pem(bio, arena);
}

static inline struct str rig_join(struct str one, struct str two, struct arena *arena)
{
    char *both = arena_take(arena, one.n + two.n);
    assert_non_null(both);
    memcpy(both, one.p, one.n);
    memcpy(both + one.n, two.p, two.n);
    return str_make(both, one.n + two.n);
}

/* For `common`, and `alternative` as in openssl.cnf (NULL: none); signed by `signer`'s name and
 * key, or by itself where that is NULL. From RIG_NOW on for 90 days. */
static inline X509 *rig_x509(EVP_PKEY *pkey, const char *common, const char *alternative,
                             X509 *signer, EVP_PKEY *signer_key)
{
    X509 *x509 = X509_new();
    time_t from = (time_t)(RIG_NOW / 1000000);
    X509_NAME *subject = X509_get_subject_name(x509);
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 7);
    X509_time_adj_ex(X509_getm_notBefore(x509), 0, 0, &from);
    X509_time_adj_ex(X509_getm_notAfter(x509), 90, 0, &from);
    if (common)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common, -1,
                                   -1, 0);
    X509_set_issuer_name(x509, signer ? X509_get_subject_name(signer) : subject);
    X509_set_pubkey(x509, pkey);
    if (alternative) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
        assert_non_null(extension);
        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(x509, signer_key ? signer_key : pkey, EVP_sha256()) > 0);
    return x509;
}

/* A key and its own certificate as PEM, for `alternative`. Takes the key. */
struct rig_pair {
    struct str chain, key;
};

static inline struct rig_pair rig_pair(EVP_PKEY *pkey, const char *alternative, struct arena *arena)
{
    assert_non_null(pkey);
    X509 *x509 = rig_x509(pkey, "rig", alternative, NULL, NULL);
    struct rig_pair pair = {.chain = rig_x509_pem(x509, arena), .key = rig_key_pem(pkey, arena)};
    X509_free(x509);
    EVP_PKEY_free(pkey);
    return pair;
}

#endif
