#include "sys/fake/tls_chain.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
    ROOT_KEY = KEY_P384,
    MIDDLE_KEY = KEY_P256_OTHER,
    STRANGER_KEY = KEY_P256_OTHER,
    DAY = 24 * 60 * 60,
    RECORD_MOST = 4096,
};

static void extension(X509 *x, X509 *issuer, int what, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, what, value);
    must(e && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static X509 *begin(int key, const char *common_name, int from, int until)
{
    static long serial;
    X509 *x = X509_new();
    must(x && X509_set_version(x, X509_VERSION_3));
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), (long)from * DAY);
    X509_gmtime_adj(X509_getm_notAfter(x), (long)until * DAY);
    if (common_name)
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                   (const unsigned char *)common_name, -1, -1, 0);
    X509_set_pubkey(x, fixture_key(key));
    return x;
}

static void sign(X509 *x, X509 *issuer, int key)
{
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    must(X509_sign(x, fixture_key(key), EVP_sha256()) > 0);
}

static X509 *authority(const char *name, int key, X509 *issuer, int issuer_key)
{
    X509 *x = begin(key, name, -10, 3650);
    extension(x, x, NID_basic_constraints, "critical,CA:TRUE");
    extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(x, issuer ? issuer : x, issuer_key);
    return x;
}

static X509 *root(void)
{
    static X509 *made;
    if (!made)
        made = authority("Authority of the test", ROOT_KEY, NULL, ROOT_KEY);
    return made;
}

static X509 *middle(void)
{
    static X509 *made;
    if (!made)
        made = authority("Intermediate of the test", MIDDLE_KEY, root(), ROOT_KEY);
    return made;
}

static X509 *stranger(void)
{
    static X509 *made;
    if (!made)
        made = authority("Authority of nobody", STRANGER_KEY, NULL, STRANGER_KEY);
    return made;
}

static X509 *leaf(const struct chain_settings *settings, X509 *issuer, int issuer_key)
{
    bool usual = settings->from == 0 && settings->until == 0;
    X509 *x = begin(settings->key, settings->common_name, usual ? -1 : settings->from,
                    usual ? 30 : settings->until);
    if (settings->names)
        extension(x, issuer ? issuer : x, NID_subject_alt_name, settings->names);
    if (settings->for_clients)
        extension(x, issuer ? issuer : x, NID_ext_key_usage, "clientAuth");
    sign(x, issuer ? issuer : x, issuer ? issuer_key : settings->key);
    return x;
}

static void links_make(struct chain *chain, const struct chain_settings *settings)
{
    switch (settings->issuer) {
    case BY_AUTHORITY:
        chain->certificates[0] = leaf(settings, root(), ROOT_KEY);
        chain->certificates[1] = root();
        break;
    case BY_INTERMEDIATE:
        chain->certificates[0] = leaf(settings, middle(), MIDDLE_KEY);
        chain->certificates[1] = middle();
        chain->certificates[2] = root();
        break;
    case BY_STRANGER:
        chain->certificates[0] = leaf(settings, stranger(), STRANGER_KEY);
        chain->certificates[1] = stranger();
        break;
    case BY_ITSELF:
        chain->certificates[0] = leaf(settings, NULL, 0);
        break;
    }
}

void chain_make(struct chain *chain, const struct chain_settings *settings)
{
    *chain = (struct chain){.key = settings->key};
    links_make(chain, settings);
    for (size_t i = 0; i < CHAIN_LINKS && chain->certificates[i]; i++) {
        unsigned char *der = NULL;
        bool is_root = chain->certificates[i] == root();
        if (i > 0 && (settings->alone || (is_root && !settings->with_root)))
            break;
        int n = i2d_X509(chain->certificates[i], &der);
        must(n > 0);
        chain->ders[chain->count++] = str_make(der, (size_t)n);
    }
}

void chain_done(struct chain *chain)
{
    X509_free(chain->certificates[0]);
    for (size_t i = 0; i < chain->count; i++)
        OPENSSL_free((void *)(uintptr_t)chain->ders[i].p);
}

void chain_show(const struct chain *chain, struct house *house)
{
    struct tls_server_settings settings = house_settings(house);
    struct tls_identity identity = {.key = (uint32_t)chain->key,
                                    .standard = true,
                                    .chain = chain->ders,
                                    .chain_count = chain->count};
    tls_server_release(house->server);
    must(!err_is(tls_server_new(&settings, &identity, 1, &house->server)));
}

static struct str pem_out(BIO *to)
{
    char *octets;
    long n = BIO_get_mem_data(to, &octets);
    char *copy = malloc((size_t)n);
    must(copy);
    memcpy(copy, octets, (size_t)n);
    BIO_free(to);
    return str_make(copy, (size_t)n);
}

struct str chain_pem(X509 *certificate)
{
    BIO *to = BIO_new(BIO_s_mem());
    must(to && PEM_write_bio_X509(to, certificate) == 1);
    return pem_out(to);
}

struct str chain_key_pem(int key)
{
    BIO *to = BIO_new(BIO_s_mem());
    must(to && PEM_write_bio_PKCS8PrivateKey(to, fixture_key(key), NULL, NULL, 0, NULL, NULL) == 1);
    return pem_out(to);
}

struct str chain_authority(void)
{
    static struct str made;
    if (!made.p)
        made = chain_pem(root());
    return made;
}

struct tls_tlsa chain_record(X509 *certificate, int usage, int selector, int matching,
                             unsigned char *to)
{
    unsigned char octets[RECORD_MOST], *at = octets;
    int n = selector ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &at)
                     : i2d_X509(certificate, &at);
    unsigned size = (unsigned)n;
    must(n > 0 && n <= RECORD_MOST);
    if (matching == 0)
        memcpy(to, octets, size);
    else
        must(EVP_Digest(octets, (size_t)n, to, &size, matching == 1 ? EVP_sha256() : EVP_sha512(),
                        NULL) == 1);
    return (struct tls_tlsa){.usage = (uint8_t)usage,
                             .selector = (uint8_t)selector,
                             .matching = (uint8_t)matching,
                             .data = str_make(to, size)};
}
