/*
 * Why an RSA key's record holds a SubjectPublicKeyInfo (RFC 5280 4.1.2.7) and not the RSAPublicKey
 * that RFC 6376 3.6.1 speaks of: its own example does, and so does every verifier. An Ed25519 key
 * is its 32 octets (RFC 8463 4).
 */
#include "trust/dkim_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/must.h"
#include "format/encodings.h"
#include "format/token.h"
#include "trust/dkim_tags.h"

#define DKIM_KEY_MAGIC MAGIC('D', 'K', 'E', 'Y')

enum {
    RSA_LEAST = 1024, /* RFC 8301 3.2 */
    RSA_MOST = 4096,
    ED25519_PUBLIC = 32,
    PUBLIC_MAX = 1024, /* octets of a public key */
};

struct dkim_key {
    uint32_t magic;
    enum dkim_algorithm algorithm;
    EVP_PKEY *pkey;
};

/* --- Keys ------------------------------------------------------------------------------------ */

static bool algorithm_of(EVP_PKEY *pkey, enum dkim_algorithm *algorithm_r)
{
    int kind = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
    *algorithm_r = kind == EVP_PKEY_RSA ? DKIM_RSA : DKIM_ED25519;
    return kind == EVP_PKEY_ED25519 ||
           (kind == EVP_PKEY_RSA && bits >= RSA_LEAST && bits <= RSA_MOST);
}

/* Takes pkey. */
static struct err key_new(EVP_PKEY *pkey, enum dkim_algorithm algorithm, struct dkim_key **key_r)
{
    struct dkim_key *key = calloc(1, sizeof(*key));
    if (!key) {
        EVP_PKEY_free(pkey);
        return err_make(ERR_NO_MEMORY);
    }
    *key = (struct dkim_key){.magic = DKIM_KEY_MAGIC, .algorithm = algorithm, .pkey = pkey};
    *key_r = key;
    return err_none();
}

struct err dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **key_r)
{
    EVP_PKEY *pkey = algorithm == DKIM_RSA
                         ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)DKIM_RSA_BITS)
                         : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ERR_clear_error();
    return pkey ? key_new(pkey, algorithm, key_r) : err_make(ERR_NO_MEMORY);
}

struct err dkim_key_read(struct str pkcs8, struct dkim_key **key_r)
{
    const unsigned char *at = (const unsigned char *)pkcs8.p;
    enum dkim_algorithm algorithm;
    EVP_PKEY *pkey = NULL;
    PKCS8_PRIV_KEY_INFO *info =
        pkcs8.n <= DKIM_KEY_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8.n) : NULL;
    if (info && at == (const unsigned char *)pkcs8.p + pkcs8.n)
        pkey = EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    if (pkey && algorithm_of(pkey, &algorithm))
        return key_new(pkey, algorithm, key_r);
    EVP_PKEY_free(pkey);
    return err_detail(ERR_STORE_DAMAGED, STR("a signing key that cannot be read"));
}

struct err dkim_key_write(const struct dkim_key *key, struct buf *pkcs8)
{
    unsigned char *octets = NULL;
    must_be(key, DKIM_KEY_MAGIC);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
    int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &octets) : -1;
    PKCS8_PRIV_KEY_INFO_free(info);
    bool put = n > 0 && n <= DKIM_KEY_MAX && buf_put(pkcs8, str_make(octets, (size_t)n));
    OPENSSL_clear_free(octets, n > 0 ? (size_t)n : 0);
    ERR_clear_error();
    return err_make(put ? ERR_NONE : ERR_NO_MEMORY);
}

void dkim_key_free(struct dkim_key *key)
{
    if (!key)
        return;
    must_be(key, DKIM_KEY_MAGIC);
    EVP_PKEY_free(key->pkey); /* wipes the numbers */
    key->magic = 0;
    free(key);
}

enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *key)
{
    must_be(key, DKIM_KEY_MAGIC);
    return key->algorithm;
}

/* --- Signing --------------------------------------------------------------------------------- */

static bool rsa_sign(EVP_PKEY *pkey, const unsigned char *hash, unsigned char *signature_r,
                     size_t *length_r)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    bool made = context && EVP_PKEY_sign_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                EVP_PKEY_sign(context, signature_r, length_r, hash, DKIM_HASH) == 1;
    EVP_PKEY_CTX_free(context);
    return made;
}

static bool ed25519_sign(EVP_PKEY *pkey, const unsigned char *hash, unsigned char *signature_r,
                         size_t *length_r)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool made = context && EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestSign(context, signature_r, length_r, hash, DKIM_HASH) == 1;
    EVP_MD_CTX_free(context);
    return made;
}

struct err dkim_key_sign(const struct dkim_key *key, const unsigned char hash[DKIM_HASH],
                         unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r)
{
    must_be(key, DKIM_KEY_MAGIC);
    *length_r = DKIM_SIGNATURE_MAX;
    bool made = key->algorithm == DKIM_RSA ? rsa_sign(key->pkey, hash, signature_r, length_r)
                                           : ed25519_sign(key->pkey, hash, signature_r, length_r);
    ERR_clear_error();
    return err_make(made ? ERR_NONE : ERR_NO_MEMORY);
}

/* --- The record ------------------------------------------------------------------------------ */

/* How many octets; 0: no memory. */
static size_t public_octets(const struct dkim_key *key, unsigned char octets_r[PUBLIC_MAX])
{
    size_t n = PUBLIC_MAX;
    if (key->algorithm == DKIM_ED25519)
        return EVP_PKEY_get_raw_public_key(key->pkey, octets_r, &n) == 1 ? n : 0;
    int length = i2d_PUBKEY(key->pkey, NULL);
    must(length <= PUBLIC_MAX);
    return length > 0 && i2d_PUBKEY(key->pkey, &octets_r) == length ? (size_t)length : 0;
}

struct err dkim_key_record(const struct dkim_key *key, struct buf *to)
{
    unsigned char octets[PUBLIC_MAX];
    must_be(key, DKIM_KEY_MAGIC);
    size_t n = public_octets(key, octets);
    ERR_clear_error();
    buf_printf(to, "v=DKIM1; k=%s; p=", key->algorithm == DKIM_RSA ? "rsa" : "ed25519");
    base64_print(to, str_make(octets, n));
    return err_make(n && !buf_over(to) ? ERR_NONE : ERR_NO_MEMORY);
}

void dkim_record_quote(struct str record, struct buf *to)
{
    do {
        struct str part = str_head(record, DKIM_STRING_MAX);
        record = str_from_index(record, part.n);
        buf_putc(to, '"');
        for (size_t i = 0; i < part.n; i++) {
            if (part.p[i] == '"' || part.p[i] == '\\') /* RFC 1035 5.1 */
                buf_putc(to, '\\');
            buf_putc(to, part.p[i]);
        }
        buf_put(to, record.n ? STR("\" ") : STR("\""));
    } while (record.n);
}

void dkim_record_name(struct str selector, struct str domain, struct buf *to)
{
    buf_put(to, selector);
    buf_put(to, STR("._domainkey."));
    buf_put(to, domain);
}

/* --- Checking one ---------------------------------------------------------------------------- */

static struct err wrong(struct str why)
{
    return err_detail(ERR_CONFIG, why);
}

/* Two base64 texts, white space left out of both (RFC 6376 2.10). */
static bool same_key(struct str one, struct str other)
{
    for (;;) {
        while (one.n && is_fws(one.p[0]))
            one = str_from_index(one, 1);
        while (other.n && is_fws(other.p[0]))
            other = str_from_index(other, 1);
        if (one.n == 0 || other.n == 0)
            return one.n == other.n;
        if (one.p[0] != other.p[0])
            return false;
        one = str_from_index(one, 1);
        other = str_from_index(other, 1);
    }
}

static struct str kind_of(const struct dkim_tags *tags)
{
    struct str kind = dkim_tag(tags, STR("k"));
    return kind.p ? kind : STR("rsa");
}

/* What stands in it beside the key. */
static struct err tags_check(const struct dkim_tags *seen)
{
    struct str version = dkim_tag(seen, STR("v"));
    struct str hashes = dkim_tag(seen, STR("h")), services = dkim_tag(seen, STR("s"));
    if (version.p && (!str_eq(version, STR("DKIM1")) || !str_eq(seen->list[0].name, STR("v"))))
        return wrong(STR("its v= is not DKIM1, or does not stand first"));
    if (hashes.p && !dkim_tag_lists(hashes, STR("sha256")))
        return wrong(STR("its h= does not allow sha256"));
    if (services.p && !dkim_tag_lists(services, STR("*")) &&
        !dkim_tag_lists(services, STR("email")))
        return wrong(STR("its s= does not allow email"));
    return err_none();
}

struct err dkim_record_check(struct str seen, struct str ours)
{
    struct dkim_tags tags, own;
    must(dkim_tags_parse(ours, &own));
    if (seen.n > DKIM_TXT_MAX || !dkim_tags_parse(seen, &tags))
        return wrong(STR("it is no record of DKIM"));
    struct err e = tags_check(&tags);
    struct str key = dkim_tag(&tags, STR("p"));
    if (err_is(e))
        return e;
    if (!key.p)
        return wrong(STR("it has no p="));
    if (key.n == 0)
        return wrong(STR("its p= is empty: it says that the key was withdrawn"));
    if (!str_eq(kind_of(&tags), kind_of(&own)))
        return wrong(STR("its k= is that of another kind of key"));
    return same_key(key, dkim_tag(&own, STR("p"))) ? err_none()
                                                   : wrong(STR("it holds another key"));
}
