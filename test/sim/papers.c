#include "papers.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/must.h"

enum {
    FROM = 1577836800,  /* 2020 */
    UNTIL = 2208988800, /* 2040 */
    NAMES_MAX = 100,
    SHA = 32,
    PEM_MOST = 4096,
};

static EVP_PKEY *key_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    must(key);
    return key;
}

static void extension_add(X509 *x, X509 *issuer, int what, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
    must(extension && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *begin(const char *name, EVP_PKEY *key)
{
    X509 *x = X509_new();
    must(x && X509_set_version(x, X509_VERSION_3));
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    ASN1_TIME_set(X509_getm_notBefore(x), FROM);
    ASN1_TIME_set(X509_getm_notAfter(x), UNTIL);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_pubkey(x, key);
    return x;
}

static void sign(X509 *x, const X509 *issuer, EVP_PKEY *key)
{
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    must(X509_sign(x, key, EVP_sha256()) > 0);
}

static X509 *authority_make(EVP_PKEY *key)
{
    X509 *x = begin("An authority", key);
    extension_add(x, x, NID_basic_constraints, "critical,CA:TRUE");
    extension_add(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(x, x, key);
    return x;
}

static X509 *leaf_make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    char names[NAMES_MAX];
    X509 *x = begin(name, key);
    must((size_t)snprintf(names, sizeof(names), "DNS:%s", name) < sizeof(names));
    extension_add(x, issuer ? issuer : x, NID_subject_alt_name, names);
    sign(x, issuer ? issuer : x, issuer_key);
    return x;
}

/* Takes the certificate. */
static SSL_CTX *context_make(X509 *x, EVP_PKEY *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    must(context && SSL_CTX_use_certificate(context, x) == 1 &&
         SSL_CTX_use_PrivateKey(context, key) == 1);
    X509_free(x);
    return context;
}

static SSL_CTX *forger_make(void)
{
    EVP_PKEY *key = key_make();
    SSL_CTX *context = context_make(leaf_make("nobody.test", key, NULL, key), key);
    EVP_PKEY_free(key);
    return context;
}

static void authority_tell(struct papers *papers)
{
    char *octets;
    BIO *to = BIO_new(BIO_s_mem());
    must(to && PEM_write_bio_X509(to, papers->authority) == 1);
    long n = BIO_get_mem_data(to, &octets);
    must(buf_put(&papers->authorities, str_make(octets, (size_t)n)));
    BIO_free(to);
}

void papers_open(struct papers *papers)
{
    *papers = (struct papers){.authority_key = key_make(), .authorities = BUF_INIT(PEM_MOST)};
    papers->authority = authority_make(papers->authority_key);
    authority_tell(papers);
    papers->forgers[0] = forger_make();
    papers->forgers[1] = papers_issue(papers, "nobody.test", false);
}

void papers_close(struct papers *papers)
{
    for (size_t i = 0; i < PAPERS_FORGERS; i++)
        SSL_CTX_free(papers->forgers[i]);
    buf_done(&papers->authorities);
    X509_free(papers->authority);
    EVP_PKEY_free(papers->authority_key);
}

SSL_CTX *papers_issue(const struct papers *papers, const char *name, bool old)
{
    EVP_PKEY *key = key_make();
    X509 *x = leaf_make(name, key, papers->authority, papers->authority_key);
    SSL_CTX *context = context_make(x, key);
    must(SSL_CTX_add1_chain_cert(context, papers->authority) == 1);
    must(SSL_CTX_set_max_proto_version(context, old ? TLS1_2_VERSION : 0) == 1);
    EVP_PKEY_free(key);
    return context;
}

static void record_put(unsigned char usage, unsigned char selector, const unsigned char sha[SHA],
                       struct buf *to)
{
    const unsigned char how[] = {usage, selector, 1};
    must(buf_put(to, str_make(how, sizeof(how))) && buf_put(to, str_make(sha, SHA)));
}

void papers_tlsa_own(SSL_CTX *shown, struct buf *to)
{
    unsigned char sha[SHA], *key = NULL;
    X509_PUBKEY *public = X509_get_X509_PUBKEY(SSL_CTX_get0_certificate(shown));
    int n = i2d_X509_PUBKEY(public, &key);
    must(n > 0 && EVP_Digest(key, (size_t)n, sha, NULL, EVP_sha256(), NULL) == 1);
    OPENSSL_free(key);
    record_put(3, 1, sha, to);
}

void papers_tlsa_authority(const struct papers *papers, struct buf *to)
{
    unsigned char sha[SHA];
    must(X509_digest(papers->authority, EVP_sha256(), sha, NULL) == 1);
    record_put(2, 0, sha, to);
}
