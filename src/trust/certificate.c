/*
 * Why a chain must be in order: clients differ in whether they sort it, and one that does not says
 * "unknown issuer" to its user, far away from whoever mixed up the files. Here it is said at once.
 *
 * OpenSSL's error queue is left empty: its words name OpenSSL's own parts, not the operator's file.
 */
#include "trust/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/must.h"
#include "trust/certificate_inside.h"

enum {
    NAME_MAX_OCTETS = 253,
    NAME_LABEL_MAX = 63,
    SECONDS_A_DAY = 24 * 3600,
};
#define US_A_SECOND INT64_C(1000000)

static struct err wrong(struct str why)
{
    ERR_clear_error();
    return err_detail(ERR_CONFIG, why);
}

/* --- Keys, public and private ---------------------------------------------------------------- */

bool key_kind_of(EVP_PKEY *pkey, enum key_kind *kind_r, unsigned *bits_r)
{
    char group[64] = "";
    size_t length = 0;
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *kind_r = KEY_RSA;
        *bits_r = (unsigned)bits;
        return bits >= CERTIFICATE_RSA_LEAST && bits <= CERTIFICATE_RSA_MOST;
    }
    if (!EVP_PKEY_is_a(pkey, "EC") ||
        EVP_PKEY_get_group_name(pkey, group, sizeof(group), &length) != 1)
        return false;
    *kind_r = bits == 256 ? KEY_P256 : KEY_P384;
    *bits_r = (unsigned)bits;
    return strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0;
}

/* We are never there to type it. */
static int no_password(char *to, int size, int writing, void *asked)
{
    (void)to;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static EVP_PKEY *pkey_read(struct str pem, bool *encrypted_r)
{
    BIO *from = pem.n <= CERTIFICATE_FILE_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *pkey = from ? PEM_read_bio_PrivateKey(from, NULL, no_password, encrypted_r) : NULL;
    BIO_free(from);
    ERR_clear_error();
    return pkey;
}

static bool digests_fetch(struct private_key *key)
{
    static const char *const names[KEY_DIGESTS] = {"SHA256", "SHA384", "SHA512"};
    for (size_t i = 0; i < KEY_DIGESTS; i++)
        if (!(key->digests[i] = EVP_MD_fetch(NULL, names[i], NULL)))
            return false;
    return true;
}

struct err private_key_parse(struct str pem, struct private_key **key_r)
{
    bool encrypted = false;
    unsigned bits;
    EVP_PKEY *pkey = pkey_read(pem, &encrypted);
    if (encrypted)
        return wrong(STR("the private key is encrypted; it must not be"));
    if (!pkey)
        return wrong(STR("the key's file holds no private key in PEM form"));
    struct private_key *key = calloc(1, sizeof(*key));
    if (!key) {
        EVP_PKEY_free(pkey);
        return err_make(ERR_NO_MEMORY);
    }
    key->magic = PRIVATE_KEY_MAGIC;
    key->pkey = pkey;
    struct err e = err_none();
    if (!key_kind_of(pkey, &key->kind, &bits))
        e = wrong(STR("the private key is neither RSA of 2048 to 8192 bits nor EC on P-256 or "
                      "P-384"));
    else if (!digests_fetch(key))
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e))
        private_key_free(key);
    else
        *key_r = key;
    return e;
}

void private_key_free(struct private_key *key)
{
    if (!key)
        return;
    must_be(key, PRIVATE_KEY_MAGIC);
    for (size_t i = 0; i < KEY_DIGESTS; i++)
        EVP_MD_free(key->digests[i]);
    EVP_PKEY_free(key->pkey); /* wipes the numbers */
    key->magic = 0;
    free(key);
}

enum key_kind private_key_kind(const struct private_key *key)
{
    return key->kind;
}

static X509 *link_of(struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    return d2i_X509(NULL, &at, (long)der.n);
}

bool private_key_fits(const struct private_key *key, const struct certificate *certificate)
{
    X509 *x509 = link_of(certificate->links[0]);
    EVP_PKEY *public = x509 ? X509_get0_pubkey(x509) : NULL;
    bool fits = public && EVP_PKEY_eq(public, key->pkey) == 1;
    X509_free(x509);
    ERR_clear_error();
    return fits;
}

/* --- Names ----------------------------------------------------------------------------------- */

bool certificate_name_is_host(struct str name)
{
    struct str rest = name;
    if (name.n == 0 || name.n > NAME_MAX_OCTETS)
        return false;
    if (str_starts(rest, STR("*.")))
        rest = str_from_index(rest, 2);
    while (rest.p) {
        struct str label = str_cut(&rest, '.');
        if (label.n == 0 || label.n > NAME_LABEL_MAX)
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!ascii_is_alpha(label.p[i]) && !ascii_is_digit(label.p[i]) && label.p[i] != '-' &&
                label.p[i] != '_')
                return false;
    }
    return true;
}

static struct err name_add(struct certificate *certificate, struct str name, struct arena *arena)
{
    if (!certificate_name_is_host(name))
        return err_none();
    if (certificate->name_count >= CERTIFICATE_NAMES_MAX)
        return wrong(STR("the certificate is for more than 100 host names"));
    char *lower = arena_take(arena, name.n);
    if (!lower)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < name.n; i++)
        lower[i] = ascii_lower(name.p[i]);
    certificate->names[certificate->name_count++] = str_make(lower, name.n);
    return err_none();
}

static struct err names_of(X509 *x509, struct certificate *certificate, struct arena *arena)
{
    char common[NAME_MAX_OCTETS + 1];
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    struct err e = err_none();
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !err_is(e); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            e = name_add(certificate,
                         str_make(ASN1_STRING_get0_data(name->d.dNSName),
                                  (size_t)ASN1_STRING_length(name->d.dNSName)),
                         arena);
    }
    GENERAL_NAMES_free(names);
    if (names || err_is(e))
        return e;
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, common,
                                      sizeof(common));
    return n > 0 ? name_add(certificate, str_make(common, (size_t)n), arena) : err_none();
}

static struct str issuer_of(X509 *x509, struct arena *arena)
{
    static const int kinds[] = {NID_commonName, NID_organizationName};
    const X509_NAME *issuer = X509_get_issuer_name(x509);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int at = X509_NAME_get_index_by_NID(issuer, kinds[i], -1);
        unsigned char *text = NULL;
        if (at < 0)
            continue;
        int n =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, at)));
        struct str kept = n < 0 ? str_null() : arena_str(arena, str_make(text, (size_t)n));
        OPENSSL_free(text);
        return kept;
    }
    return STR("");
}

/* --- A chain --------------------------------------------------------------------------------- */

static int64_t time_of(const ASN1_TIME *time)
{
    int days = 0, seconds = 0;
    ASN1_TIME *zero = ASN1_TIME_set(NULL, 0);
    bool known = zero && ASN1_TIME_diff(&days, &seconds, zero, time) == 1;
    ASN1_TIME_free(zero);
    return known ? ((int64_t)days * SECONDS_A_DAY + seconds) * US_A_SECOND : 0;
}

static struct err facts_of(X509 *x509, struct certificate *certificate, struct arena *arena)
{
    EVP_PKEY *public = X509_get0_pubkey(x509);
    unsigned n = 0;
    if (!public || !key_kind_of(public, &certificate->kind, &certificate->bits))
        return wrong(STR("the certificate's key is neither RSA of 2048 to 8192 bits nor EC on "
                         "P-256 or P-384"));
    certificate->not_before = time_of(X509_get0_notBefore(x509));
    certificate->not_after = time_of(X509_get0_notAfter(x509));
    certificate->issuer = issuer_of(x509, arena);
    if (!certificate->issuer.p ||
        X509_digest(x509, EVP_sha256(), certificate->fingerprint, &n) != 1)
        return err_make(ERR_NO_MEMORY);
    return names_of(x509, certificate, arena);
}

/* The next PEM block of a certificate, as DER in the arena; empty: there is none left. */
static struct err block_next(BIO *from, struct arena *arena, struct str *der_r)
{
    char *name = NULL, *header = NULL;
    unsigned char *octets = NULL;
    long n = 0;
    struct err e = err_none();
    *der_r = str_make("", 0);
    while (der_r->n == 0 && !err_is(e) && PEM_read_bio(from, &name, &header, &octets, &n) == 1) {
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
            *der_r = arena_str(arena, str_make(octets, (size_t)n));
            e = err_make(der_r->p ? ERR_NONE : ERR_NO_MEMORY);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(octets, (size_t)n); /* the key may be in the same file */
    }
    unsigned long why = ERR_peek_last_error();
    ERR_clear_error();
    bool ended = ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
    if (err_is(e) || der_r->n || ended)
        return e;
    return wrong(STR("the chain's file is no PEM, or damaged"));
}

static bool link_is_signed_by(X509 *one, X509 *next)
{
    EVP_PKEY *public = X509_get0_pubkey(next);
    return public && X509_check_issued(next, one) == X509_V_OK && X509_verify(one, public) == 1;
}

struct chain_reading {
    struct certificate *certificate;
    struct arena *arena;
    X509 *last; /* the link before */
};

static struct err link_take(struct chain_reading *reading, struct str der)
{
    struct certificate *certificate = reading->certificate;
    const unsigned char *at = (const unsigned char *)der.p;
    struct err e = err_none();
    if (certificate->link_count >= CERTIFICATE_LINKS_MAX)
        return wrong(STR("the chain has more than 10 certificates"));
    X509 *x509 = d2i_X509(NULL, &at, (long)der.n);
    if (!x509 || at != (const unsigned char *)der.p + der.n)
        e = wrong(STR("a certificate of the chain cannot be read"));
    else if (!reading->last)
        e = facts_of(x509, certificate, reading->arena);
    else if (!link_is_signed_by(reading->last, x509))
        e = wrong(STR("the chain is not in order: each certificate is to be signed by the next"));
    if (err_is(e)) {
        X509_free(x509);
        return e;
    }
    X509_free(reading->last);
    reading->last = x509;
    certificate->links[certificate->link_count++] = der;
    return err_none();
}

struct err certificate_parse(struct str pem, struct arena *arena, struct certificate *certificate_r)
{
    *certificate_r = (struct certificate){.link_count = 0};
    if (pem.n > CERTIFICATE_FILE_MAX)
        return wrong(STR("the chain's file is larger than 64 KB"));
    struct chain_reading reading = {.certificate = certificate_r, .arena = arena};
    BIO *from = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
    struct str der;
    struct err e = from ? block_next(from, arena, &der) : err_make(ERR_NO_MEMORY);
    while (!err_is(e) && der.n) {
        e = link_take(&reading, der);
        if (!err_is(e))
            e = block_next(from, arena, &der);
    }
    X509_free(reading.last);
    BIO_free(from);
    ERR_clear_error();
    if (!err_is(e) && certificate_r->link_count == 0)
        return wrong(STR("the chain's file holds no certificate in PEM form"));
    return e;
}

/* --- Fingerprints ---------------------------------------------------------------------------- */

struct err certificate_fingerprint(struct str file,
                                   unsigned char fingerprint_r[CERTIFICATE_FINGERPRINT])
{
    unsigned n = 0;
    const unsigned char *at = (const unsigned char *)file.p;
    if (file.n == 0 || file.n > CERTIFICATE_FILE_MAX)
        return wrong(STR("that is no certificate"));
    BIO *from = BIO_new_mem_buf(file.p, (int)file.n);
    X509 *x509 = from ? PEM_read_bio_X509(from, NULL, NULL, NULL) : NULL;
    if (!x509)
        x509 = d2i_X509(NULL, &at, (long)file.n);
    bool made = x509 && X509_digest(x509, EVP_sha256(), fingerprint_r, &n) == 1;
    X509_free(x509);
    BIO_free(from);
    ERR_clear_error();
    return made ? err_none() : wrong(STR("that is no certificate in PEM or DER form"));
}

bool certificate_digest(struct str der, bool key_alone,
                        unsigned char digest_r[CERTIFICATE_FINGERPRINT])
{
    const unsigned char *at = (const unsigned char *)der.p;
    unsigned char *key = NULL;
    unsigned n = 0;
    X509 *x509 = d2i_X509(NULL, &at, (long)der.n);
    int octets = x509 && key_alone ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &key) : 0;
    bool made = false;
    if (x509 && !key_alone)
        made = X509_digest(x509, EVP_sha256(), digest_r, &n) == 1;
    else if (octets > 0)
        made = EVP_Digest(key, (size_t)octets, digest_r, &n, EVP_sha256(), NULL) == 1;
    OPENSSL_free(key);
    X509_free(x509);
    ERR_clear_error();
    return made && n == CERTIFICATE_FINGERPRINT;
}

struct str certificate_fingerprint_text(const unsigned char fingerprint[CERTIFICATE_FINGERPRINT],
                                        struct arena *arena)
{
    struct buf text = buf_in(arena, sizeof("SHA256:") + 2 * CERTIFICATE_FINGERPRINT);
    buf_put(&text, STR("SHA256:"));
    for (size_t i = 0; i < CERTIFICATE_FINGERPRINT; i++)
        buf_printf(&text, "%02x", fingerprint[i]);
    return buf_built(&text);
}

struct str certificate_key_text(const struct certificate *certificate, struct arena *arena)
{
    struct buf text = buf_in(arena, 32);
    if (certificate->kind == KEY_RSA)
        buf_printf(&text, "RSA %u", certificate->bits);
    else
        buf_printf(&text, "P-%u", certificate->bits);
    return buf_built(&text);
}
