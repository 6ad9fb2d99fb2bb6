/*
 * OpenSSL finds a key's signature by names: the key says what its signature is called, and that
 * name is looked up. Ours are called as no others are, so that what is found is ours at once; the
 * keys themselves must be called RSA and EC, since a certificate's key is compared with its private
 * one. Whoever asks the context for "RSA" shall get the default provider's, so that one is
 * preferred there, and the context is used for nothing but what a server shows.
 *
 * A key has no export: OpenSSL 3.0 would else move it to the default provider, and sign there. For
 * the comparison a public key is imported to our side, and of public keys we keep a hash.
 *
 * TLS signs in one call of digest_sign with all that is signed (libssl, CertificateVerify and
 * ServerKeyExchange), so there is no update. It asks for the length first.
 */
#include "sys/tls_key.h"

#include <openssl/bn.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/must.h"

#define KEY_MAGIC MAGIC('T', 'K', 'E', 'Y')

#define PARAM_NUMBER "veredus-number"
#define PARAM_SIGNER "veredus-signer"

struct tls_key {
    uint32_t magic;
    uint32_t number;
    const struct tls_signer *signer;                 /* NULL: a public key, to compare with */
    const struct curve *curve;                       /* NULL: RSA */
    unsigned bits, size;                             /* of a signature, at most: octets */
    bool known;                                      /* a public key is in it */
    unsigned char fingerprint[SHA256_DIGEST_LENGTH]; /* of the public key */
};

/* Keys */

static const struct curve {
    const char *name;
    unsigned bits, security, signature;
    uint16_t scheme13; /* TLS 1.3 ties it to a hash */
} curves[] = {
    {"prime256v1", 256, 128, 72, 0x0403},
    {"secp384r1", 384, 192, 104, 0x0503},
};

enum {
    CURVES = sizeof(curves) / sizeof(curves[0]),
    NAME_ROOM = 32
};

static void *key_new(void *context)
{
    (void)context;
    struct tls_key *key = calloc(1, sizeof(*key));
    if (key)
        key->magic = KEY_MAGIC;
    return key;
}

static void key_free(void *data)
{
    struct tls_key *key = data;
    must(!key || key->magic == KEY_MAGIC);
    free(key);
}

static bool octets_hash(struct tls_key *key, const void *octets, size_t n)
{
    return EVP_Digest(octets, n, key->fingerprint, NULL, EVP_sha256(), NULL) == 1;
}

/* The modulus and the exponent behind it. */
static bool rsa_hash(struct tls_key *key, const BIGNUM *modulus, const BIGNUM *exponent)
{
    unsigned char octets[2 * TLS_RSA_MOST / 8];
    int bits = BN_num_bits(modulus), all = BN_num_bytes(modulus) + BN_num_bytes(exponent);
    if (bits < TLS_RSA_LEAST || bits > TLS_RSA_MOST || all > (int)sizeof(octets))
        return false;
    key->bits = (unsigned)bits;
    key->size = (unsigned)BN_num_bytes(modulus);
    BN_bn2bin(modulus, octets);
    BN_bn2bin(exponent, octets + key->size);
    return octets_hash(key, octets, (size_t)all);
}

static bool rsa_import(struct tls_key *key, const OSSL_PARAM *params)
{
    const OSSL_PARAM *n = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N);
    const OSSL_PARAM *e = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);
    BIGNUM *modulus = NULL, *exponent = NULL;
    bool done = n && e && OSSL_PARAM_get_BN(n, &modulus) && OSSL_PARAM_get_BN(e, &exponent) &&
                rsa_hash(key, modulus, exponent);
    BN_free(modulus);
    BN_free(exponent);
    return done;
}

static const struct curve *curve_named(const OSSL_PARAM *params)
{
    char name[NAME_ROOM], *to = name;
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    if (!group || !OSSL_PARAM_get_utf8_string(group, &to, sizeof(name)))
        return NULL;
    for (size_t i = 0; i < CURVES; i++)
        if (OPENSSL_strcasecmp(name, curves[i].name) == 0)
            return &curves[i];
    return NULL;
}

/* The point alone says which curve: their octets are not as many. */
static bool elliptic_import(struct tls_key *key, const OSSL_PARAM *params)
{
    const OSSL_PARAM *public = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
    const void *point = NULL;
    size_t n = 0;
    key->curve = curve_named(params);
    if (!key->curve || !public || !OSSL_PARAM_get_octet_string_ptr(public, &point, &n))
        return false;
    key->bits = key->curve->bits;
    key->size = key->curve->signature;
    return octets_hash(key, point, n);
}

static bool number_import(struct tls_key *key, const OSSL_PARAM *params)
{
    const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, PARAM_NUMBER);
    const OSSL_PARAM *signer = OSSL_PARAM_locate_const(params, PARAM_SIGNER);
    const void *at = NULL;
    size_t n = 0;
    if (!number && !signer)
        return true;
    bool done = number && signer && OSSL_PARAM_get_uint32(number, &key->number) &&
                OSSL_PARAM_get_octet_ptr(signer, &at, &n);
    key->signer = at;
    return done;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
    struct tls_key *key = data;
    (void)selection;
    must_be(key, KEY_MAGIC);
    bool rsa = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N);
    key->known = !key->known && number_import(key, params) &&
                 (rsa ? rsa_import(key, params) : elliptic_import(key, params));
    return key->known;
}

/* What import looks at; for whom it may concern. */
static const OSSL_PARAM *key_import_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_uint32(PARAM_NUMBER, NULL),
        OSSL_PARAM_octet_ptr(PARAM_SIGNER, NULL, 0),
        OSSL_PARAM_END,
    };
    return selection & OSSL_KEYMGMT_SELECT_KEYPAIR ? types : NULL;
}

/* A number stands for the private part. */
static int key_has(const void *data, int selection)
{
    const struct tls_key *key = data;
    must_be(key, KEY_MAGIC);
    return key->known && (key->signer || !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY));
}

static int key_match(const void *data, const void *other_data, int selection)
{
    const struct tls_key *key = data, *other = other_data;
    (void)selection;
    must_be(key, KEY_MAGIC);
    must_be(other, KEY_MAGIC);
    return key->known && other->known && key->curve == other->curve &&
           memcmp(key->fingerprint, other->fingerprint, sizeof(key->fingerprint)) == 0;
}

static unsigned security_bits(const struct tls_key *key)
{
    return key->curve ? key->curve->security : (unsigned)BN_security_bits((int)key->bits, -1);
}

static bool number_tell(OSSL_PARAM params[], const char *name, unsigned value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return !param || OSSL_PARAM_set_uint(param, value);
}

static bool text_tell(OSSL_PARAM params[], const char *name, const char *value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return !param || !value || OSSL_PARAM_set_utf8_string(param, value);
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
    const struct tls_key *key = data;
    must_be(key, KEY_MAGIC);
    return number_tell(params, OSSL_PKEY_PARAM_BITS, key->bits) &&
           number_tell(params, OSSL_PKEY_PARAM_SECURITY_BITS, security_bits(key)) &&
           number_tell(params, OSSL_PKEY_PARAM_MAX_SIZE, key->size) &&
           text_tell(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256") &&
           text_tell(params, OSSL_PKEY_PARAM_GROUP_NAME, key->curve ? key->curve->name : NULL);
}

static const OSSL_PARAM *key_gettable_params(void *context)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    return known;
}

#define SIGNATURE_NAME "VEREDUS-TLS"

static const char *key_operation_name(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? SIGNATURE_NAME : NULL;
}

/* What is signed */

enum {
    SPACES = 64,
    HASH_SHORT = 32, /* SHA-256 of the transcript */
    HASH_LONG = 48,  /* SHA-384 */
    NAMED_CURVE = 3, /* ECCurveType */
    PARAMS_HEAD = 4, /* type, group, length of the point */
};

static const struct {
    uint16_t number;
    uint8_t point; /* octets */
} groups[] = {
    {0x0017, 65}, /* secp256r1 */
    {0x0018, 97}, /* secp384r1 */
    {0x001d, 32}, /* x25519 */
};

static bool is_ecdh_params(struct str params)
{
    const unsigned char *p = (const unsigned char *)params.p;
    if (params.n < PARAMS_HEAD || p[0] != NAMED_CURVE)
        return false;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (groups[i].number == (p[1] << 8 | p[2]))
            return p[3] == groups[i].point && params.n == PARAMS_HEAD + (size_t)groups[i].point;
    return false;
}

bool tls_signing_parse(struct str octets, struct tls_signing *signing_r)
{
    struct str head = STR("                                                                "
                          "TLS 1.3, server CertificateVerify\0");
    if (str_starts(octets, head)) {
        signing_r->randoms = STR("");
        signing_r->what = str_from_index(octets, head.n);
        return signing_r->what.n == HASH_SHORT || signing_r->what.n == HASH_LONG;
    }
    signing_r->randoms = str_head(octets, TLS_RANDOMS);
    signing_r->what = str_from_index(octets, TLS_RANDOMS);
    return signing_r->randoms.n == TLS_RANDOMS && is_ecdh_params(signing_r->what);
}

/* Signatures */

static const struct hash {
    const char *names[2];
    uint16_t ecdsa, rsa, pss; /* SignatureScheme (RFC 8446 4.2.3) */
} hashes[] = {
    {{"SHA2-256", "SHA256"}, 0x0403, 0x0401, 0x0804},
    {{"SHA2-384", "SHA384"}, 0x0503, 0x0501, 0x0805},
    {{"SHA2-512", "SHA512"}, 0, 0x0601, 0x0806},
};

enum {
    HASHES = sizeof(hashes) / sizeof(hashes[0])
};

struct signing {
    const struct tls_key *key;
    const struct hash *hash;
    bool pss;
};

static void *signing_new(void *context, const char *properties)
{
    (void)context;
    (void)properties;
    return calloc(1, sizeof(struct signing));
}

static void signing_free(void *context)
{
    free(context);
}

static const struct hash *hash_named(const char *name)
{
    for (size_t i = 0; name && i < HASHES; i++)
        for (size_t k = 0; k < 2; k++)
            if (OPENSSL_strcasecmp(name, hashes[i].names[k]) == 0)
                return &hashes[i];
    return NULL;
}

/* A number or its name: OpenSSL has used both. */
static bool pick(const OSSL_PARAM *param, const char *name, int number)
{
    const char *text = NULL;
    int value = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_utf8_string_ptr(param, &text) && OPENSSL_strcasecmp(text, name) == 0;
    return OSSL_PARAM_get_int(param, &value) && value == number;
}

static int signing_set_params(void *context, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    const OSSL_PARAM *salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if (padding) {
        signing->pss = pick(padding, OSSL_PKEY_RSA_PAD_MODE_PSS, RSA_PKCS1_PSS_PADDING);
        if (!signing->pss && !pick(padding, OSSL_PKEY_RSA_PAD_MODE_PKCSV15, RSA_PKCS1_PADDING))
            return 0;
    }
    return !salt || pick(salt, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, RSA_PSS_SALTLEN_DIGEST);
}

static const OSSL_PARAM *signing_settable_params(void *context, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return known;
}

static int signing_begin(void *context, const char *hash, void *data, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    const struct tls_key *key = data;
    if (!key)
        return 0;
    must_be(key, KEY_MAGIC);
    *signing = (struct signing){.key = key, .hash = hash_named(hash)};
    return key->signer && signing->hash && (!params || signing_set_params(signing, params));
}

/* 0: there is none for this. */
static uint16_t scheme_of(const struct signing *signing, bool tls13)
{
    const struct tls_key *key = signing->key;
    if (!key->curve)
        return signing->pss ? signing->hash->pss : tls13 ? 0 : signing->hash->rsa;
    return tls13 && signing->hash->ecdsa != key->curve->scheme13 ? 0 : signing->hash->ecdsa;
}

/* What others left in the thread's error queue meanwhile is not this handshake's. */
static bool ask_signer(const struct tls_key *key, const struct tls_signing *what,
                       unsigned char *signature_r, size_t *length_r)
{
    struct err e = key->signer->sign(key->signer->arg, what, signature_r, length_r);
    ERR_clear_error();
    return !err_is(e) && *length_r <= key->size;
}

static int sign(void *context, unsigned char *to, size_t *length, size_t room,
                const unsigned char *octets, size_t n)
{
    const struct signing *signing = context;
    struct tls_signing what = {.key = signing->key->number};
    unsigned char signature[TLS_SIGNATURE_MAX];
    size_t got = 0;
    if (!to) {
        *length = signing->key->size;
        return 1;
    }
    if (!tls_signing_parse(str_make(octets, n), &what))
        return 0;
    what.scheme = scheme_of(signing, what.randoms.n == 0);
    if (what.scheme == 0 || !ask_signer(signing->key, &what, signature, &got) || got > room)
        return 0;
    memcpy(to, signature, got);
    *length = got;
    return 1;
}

/* The provider */

#define FUNCTION(number, function)                                                                 \
    {                                                                                              \
        (number), (void (*)(void))(function)                                                       \
    }

static const OSSL_DISPATCH key_functions[] = {
    FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new),
    FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),
    FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),
    FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),
    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),
    FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
    FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),
    FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_name),
    {0, NULL},
};

static const OSSL_DISPATCH signature_functions[] = {
    FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_begin),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
    FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
    FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
    {0, NULL},
};

#define PROVIDER "veredus"
#define PROPERTIES "provider=" PROVIDER

static const OSSL_ALGORITHM key_algorithms[] = {
    {"RSA:rsaEncryption", PROPERTIES, key_functions, NULL},
    {"EC:id-ecPublicKey", PROPERTIES, key_functions, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM signature_algorithms[] = {
    {SIGNATURE_NAME, PROPERTIES, signature_functions, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *provider_query(void *context, int operation, int *no_cache)
{
    (void)context;
    *no_cache = 0;
    return operation == OSSL_OP_KEYMGMT     ? key_algorithms
           : operation == OSSL_OP_SIGNATURE ? signature_algorithms
                                            : NULL;
}

static int provider_begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                          const OSSL_DISPATCH **functions_r, void **context_r)
{
    static const OSSL_DISPATCH functions[] = {
        FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
        {0, NULL},
    };
    (void)core;
    *functions_r = functions;
    *context_r = (void *)(uintptr_t)handle; /* must not be NULL; nothing looks at it */
    return 1;
}

struct tls_library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *standard, *ours;
};

struct tls_library *tls_library_open(void)
{
    struct tls_library *library = calloc(1, sizeof(*library));
    if (!library)
        return NULL;
    library->context = OSSL_LIB_CTX_new();
    if (library->context && OSSL_PROVIDER_add_builtin(library->context, PROVIDER, provider_begin)) {
        library->standard = OSSL_PROVIDER_load(library->context, "default");
        library->ours = OSSL_PROVIDER_load(library->context, PROVIDER);
    }
    if (library->standard && library->ours &&
        EVP_set_default_properties(library->context, "?provider=default"))
        return library;
    tls_library_close(library);
    return NULL;
}

void tls_library_close(struct tls_library *library)
{
    if (!library)
        return;
    if (library->ours)
        OSSL_PROVIDER_unload(library->ours);
    if (library->standard)
        OSSL_PROVIDER_unload(library->standard);
    OSSL_LIB_CTX_free(library->context);
    free(library);
}

OSSL_LIB_CTX *tls_library_context(const struct tls_library *library)
{
    return library->context;
}

static EVP_PKEY *key_from(const struct tls_library *library, const EVP_PKEY *public_key,
                          OSSL_PARAM *params)
{
    const char *name = EVP_PKEY_is_a(public_key, "RSA") ? "RSA" : "EC";
    EVP_PKEY_CTX *making = EVP_PKEY_CTX_new_from_name(library->context, name, PROPERTIES);
    EVP_PKEY *key = NULL;
    if (making && EVP_PKEY_fromdata_init(making) == 1 &&
        EVP_PKEY_fromdata(making, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(making);
    return key;
}

EVP_PKEY *tls_key_new(const struct tls_library *library, const EVP_PKEY *public_key,
                      uint32_t number, const struct tls_signer *signer)
{
    void *at = (void *)(uintptr_t)signer;
    OSSL_PARAM ours[] = {
        OSSL_PARAM_construct_uint32(PARAM_NUMBER, &number),
        OSSL_PARAM_construct_octet_ptr(PARAM_SIGNER, &at, 0),
        OSSL_PARAM_construct_end(),
    };
    OSSL_PARAM *public_params = NULL, *all = NULL;
    EVP_PKEY *key = NULL;
    if (!EVP_PKEY_is_a(public_key, "RSA") && !EVP_PKEY_is_a(public_key, "EC"))
        return NULL;
    if (EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &public_params) == 1)
        all = OSSL_PARAM_merge(public_params, ours);
    if (all)
        key = key_from(library, public_key, all);
    OSSL_PARAM_free(all);
    OSSL_PARAM_free(public_params);
    return key;
}
