/*
 * A certificate nobody vouches for, for trying and for servers whose clients look at fingerprints.
 * It is as plain as one from an authority: not itself one (CA:FALSE), for signatures of handshakes
 * only, so that its key can vouch for nothing else.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "trust/certificate_inside.h"

enum {
    COMMON_NAME_MAX = 64,  /* RFC 5280 A.1, ub-common-name */
    SECONDS_BEFORE = 3600, /* clocks differ */
    X509_VERSION_OF_THREE = 2,
};
#define US_A_SECOND INT64_C(1000000)

static bool extension_add(X509 *x509, int which, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, which, value);
    bool added = extension && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* Built as values and not as text: a name is never read as a configuration. */
static bool names_add(X509 *x509, const struct str *names, size_t count)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    bool added = all != NULL;
    for (size_t i = 0; i < count && added; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        added = name && text && ASN1_STRING_set(text, names[i].p, (int)names[i].n) == 1 &&
                sk_GENERAL_NAME_push(all, name) > 0;
        if (added) {
            GENERAL_NAME_set0_value(name, GEN_DNS, text);
        } else {
            GENERAL_NAME_free(name);
            ASN1_IA5STRING_free(text);
        }
    }
    added = added && X509_add1_ext_i2d(x509, NID_subject_alt_name, all, 0, 0) == 1;
    GENERAL_NAMES_free(all);
    return added;
}

/* The first name that fits a common name, for people; clients look at the others. */
static bool subject_set(X509 *x509, const struct str *names, size_t count)
{
    X509_NAME *subject = X509_get_subject_name(x509);
    struct str common = STR("mail server");
    for (size_t i = count; i-- > 0;)
        if (names[i].n <= COMMON_NAME_MAX)
            common = names[i];
    return X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_UTF8STRING,
                                      (const unsigned char *)common.p, (int)common.n, -1, 0) == 1 &&
           X509_set_issuer_name(x509, subject) == 1;
}

/* Positive, and at most 20 octets (RFC 5280 4.1.2.2). */
static bool serial_set(X509 *x509, const unsigned char serial[CERTIFICATE_SERIAL])
{
    unsigned char octets[CERTIFICATE_SERIAL];
    memcpy(octets, serial, sizeof(octets));
    octets[0] = (octets[0] & 0x7f) | 0x40;
    BIGNUM *number = BN_bin2bn(octets, sizeof(octets), NULL);
    bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
    BN_free(number);
    return set;
}

static bool times_set(X509 *x509, int64_t now)
{
    time_t from = (time_t)(now / US_A_SECOND) - SECONDS_BEFORE;
    return X509_time_adj_ex(X509_getm_notBefore(x509), 0, 0, &from) &&
           X509_time_adj_ex(X509_getm_notAfter(x509), CERTIFICATE_DAYS, 0, &from);
}

static X509 *x509_make(EVP_PKEY *pkey, const struct str *names, size_t count, int64_t now,
                       const unsigned char serial[CERTIFICATE_SERIAL])
{
    X509 *x509 = X509_new();
    if (x509 && X509_set_version(x509, X509_VERSION_OF_THREE) == 1 && serial_set(x509, serial) &&
        times_set(x509, now) && subject_set(x509, names, count) &&
        X509_set_pubkey(x509, pkey) == 1 &&
        extension_add(x509, NID_basic_constraints, "critical,CA:FALSE") &&
        extension_add(x509, NID_key_usage, "critical,digitalSignature") &&
        extension_add(x509, NID_ext_key_usage, "serverAuth") && names_add(x509, names, count) &&
        X509_sign(x509, pkey, EVP_sha256()) > 0)
        return x509;
    X509_free(x509);
    return NULL;
}

static struct str printed(BIO *bio, struct arena *arena)
{
    char *octets = NULL;
    long n = BIO_get_mem_data(bio, &octets);
    struct str kept = arena_str(arena, str_make(octets, (size_t)n));
    OPENSSL_cleanse(octets, (size_t)n);
    return kept;
}

static bool pair_print(X509 *x509, EVP_PKEY *pkey, struct arena *arena, struct str *chain_r,
                       struct str *key_r)
{
    BIO *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_secmem());
    bool made = chain && key && PEM_write_bio_X509(chain, x509) == 1 &&
                PEM_write_bio_PKCS8PrivateKey(key, pkey, NULL, NULL, 0, NULL, NULL) == 1;
    if (made) {
        *chain_r = printed(chain, arena);
        *key_r = printed(key, arena);
        made = chain_r->p && key_r->p;
    }
    BIO_free(chain);
    BIO_free(key);
    return made;
}

struct err certificate_make(const struct str *names, size_t count, int64_t now,
                            const unsigned char serial[CERTIFICATE_SERIAL], struct arena *arena,
                            struct str *chain_r, struct str *key_r)
{
    if (count == 0 || count > CERTIFICATE_NAMES_MAX)
        return err_detail(ERR_USAGE, STR("a certificate is for 1 to 100 host names"));
    for (size_t i = 0; i < count; i++)
        if (!certificate_name_is_host(names[i]))
            return err_detail(ERR_USAGE, STR("that is no host name"));
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x509 = pkey ? x509_make(pkey, names, count, now, serial) : NULL;
    bool made = x509 && pair_print(x509, pkey, arena, chain_r, key_r);
    X509_free(x509);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return err_make(made ? ERR_NONE : ERR_NO_MEMORY);
}
