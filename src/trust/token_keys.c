/*
 * A key is bound to one algorithm when it is read, and a token can only name a key: what a token
 * says of its algorithm never chooses how it is verified (RFC 8725 3.1). A key without "alg" gets
 * the one that everybody means by it; RS256 for RSA, since sets that leave it out (Azure's) sign
 * so.
 *
 * The set is the operator's file, so what is wrong in it is said instead of passed over: a key that
 * is too small, or secret, or cannot be read would otherwise be found out at the first log-in.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/must.h"
#include "trust/token_inside.h"

enum {
    MAGIC_KEYS = MAGIC('T', 'k', 'y', 's'),
    RSA_OCTETS_MAX = 2048,  /* of n and e together; TOKEN_RSA_MOST is asked later */
    RSA_EXPONENT_MOST = 32, /* bits */
    POINT_MAX = 1 + 2 * 48,
    ED25519_OCTETS = 32,
};

enum kind {
    RSA_PKCS1,
    RSA_PSS,
    ECDSA,
    EDDSA
};

struct token_algorithm {
    const char *name; /* RFC 7518 3.1, RFC 8037 3.1 */
    const char *kty;
    const char *crv; /* NULL: RSA; also OpenSSL's name of it */
    enum kind kind;
    size_t width; /* octets of a coordinate, and of half a signature */
    const EVP_MD *(*digest)(void);
};

/* The first of a kty and crv is that of keys without alg. */
static const struct token_algorithm algorithms[] = {
    {"RS256", "RSA", NULL, RSA_PKCS1, 0, EVP_sha256},
    {"RS384", "RSA", NULL, RSA_PKCS1, 0, EVP_sha384},
    {"RS512", "RSA", NULL, RSA_PKCS1, 0, EVP_sha512},
    {"PS256", "RSA", NULL, RSA_PSS, 0, EVP_sha256},
    {"PS384", "RSA", NULL, RSA_PSS, 0, EVP_sha384},
    {"PS512", "RSA", NULL, RSA_PSS, 0, EVP_sha512},
    {"ES256", "EC", "P-256", ECDSA, 32, EVP_sha256},
    {"ES384", "EC", "P-384", ECDSA, 48, EVP_sha384},
    {"EdDSA", "OKP", "Ed25519", EDDSA, 32, NULL},
};

static struct err bad(const char *why)
{
    return err_detail(ERR_CONFIG, str_from(why));
}

/* --- Keys of OpenSSL ------------------------------------------------------------------------- */

/* From what was pushed, which is given back; NULL: no good key, or no memory. */
static EVP_PKEY *key_build(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static struct err rsa_build(const BIGNUM *n, const BIGNUM *e, EVP_PKEY **key_r)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool pushed = build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
                  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
    *key_r = pushed ? key_build("RSA", build) : NULL;
    OSSL_PARAM_BLD_free(build);
    return *key_r ? err_none() : bad("an RSA key of the set cannot be used");
}

static struct err rsa_check(const BIGNUM *n, const BIGNUM *e)
{
    if (!n || !e)
        return err_make(ERR_NO_MEMORY);
    int bits = BN_num_bits(n);
    if (bits < TOKEN_RSA_LEAST)
        return bad("an RSA key of the set has less than 2048 bits");
    if (bits > TOKEN_RSA_MOST)
        return bad("an RSA key of the set has more than 8192 bits");
    if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > RSA_EXPONENT_MOST)
        return bad("an RSA key of the set has an even modulus or no good exponent");
    return err_none();
}

static struct err rsa_read(const json_t *jwk, struct arena *arena, EVP_PKEY **key_r)
{
    struct str n = token_octets(token_member(jwk, "n"), arena);
    struct str e = token_octets(token_member(jwk, "e"), arena);
    if (n.n == 0 || e.n == 0 || n.n + e.n > RSA_OCTETS_MAX)
        return bad("an RSA key of the set has no good n and e");
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    struct err error = rsa_check(modulus, exponent);
    if (!err_is(error))
        error = rsa_build(modulus, exponent, key_r);
    BN_free(modulus);
    BN_free(exponent);
    return error;
}

static struct err ec_read(const json_t *jwk, const struct token_algorithm *algorithm,
                          struct arena *arena, EVP_PKEY **key_r)
{
    struct str x = token_octets(token_member(jwk, "x"), arena);
    struct str y = token_octets(token_member(jwk, "y"), arena);
    if (x.n != algorithm->width || y.n != algorithm->width)
        return bad("an EC key of the set has no good x and y");
    unsigned char point[POINT_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, x.p, x.n);
    memcpy(point + 1 + x.n, y.p, y.n);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool pushed =
        build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->crv, 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x.n + y.n);
    *key_r = pushed ? key_build("EC", build) : NULL; /* a point that is not on its curve fails */
    OSSL_PARAM_BLD_free(build);
    return *key_r ? err_none() : bad("an EC key of the set is no point of its curve");
}

static struct err okp_read(const json_t *jwk, struct arena *arena, EVP_PKEY **key_r)
{
    struct str x = token_octets(token_member(jwk, "x"), arena);
    if (x.n != ED25519_OCTETS)
        return bad("an Ed25519 key of the set has no good x");
    *key_r = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
    return *key_r ? err_none() : bad("an Ed25519 key of the set cannot be used");
}

/* --- The set --------------------------------------------------------------------------------- */

static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *operations = json_object_get(jwk, "key_ops");
    if (use && !str_eq(token_member(jwk, "use"), STR("sig")))
        return false;
    if (!operations)
        return true;
    size_t i;
    const json_t *operation;
    json_array_foreach(operations, i, operation) if (json_is_string(operation) &&
                                                     str_eq(str_from(json_string_value(operation)),
                                                            STR("verify"))) return true;
    return false;
}

/* NULL: of a kind, or for something, that we do not know. */
static const struct token_algorithm *algorithm_of(const json_t *jwk)
{
    struct str kty = token_member(jwk, "kty"), crv = token_member(jwk, "crv");
    struct str alg = token_member(jwk, "alg");
    bool has_alg = json_object_get(jwk, "alg") != NULL;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        const struct token_algorithm *row = &algorithms[i];
        if (str_eq(kty, str_from(row->kty)) && (!row->crv || str_eq(crv, str_from(row->crv))) &&
            (!has_alg || str_eq(alg, str_from(row->name))))
            return row;
    }
    return NULL;
}

static struct err key_id_read(const json_t *jwk, const struct token_keys *keys, struct arena *arena,
                              struct str *id_r)
{
    *id_r = STR("");
    if (!json_object_get(jwk, "kid"))
        return err_none();
    struct str id = token_member(jwk, "kid");
    if (id.n == 0 || id.n > TOKEN_KEY_ID_MAX)
        return bad("a kid of the set is no text, empty or too long");
    for (size_t i = 0; i < keys->count; i++)
        if (str_eq(keys->list[i].id, id))
            return bad("two keys of the set have one kid");
    *id_r = arena_str(arena, id);
    return id_r->p ? err_none() : err_make(ERR_NO_MEMORY);
}

static struct err key_add(struct token_keys *keys, const json_t *jwk, struct arena *arena)
{
    if (!token_member(jwk, "kty").n)
        return bad("a key of the set has no kty");
    if (str_eq(token_member(jwk, "kty"), STR("oct")))
        return bad("a secret key (oct) stands in the set: tokens are checked by public keys only");
    if (json_object_get(jwk, "d"))
        return bad("a private key stands in the set: the public ones are enough");
    const struct token_algorithm *algorithm = algorithm_of(jwk);
    if (!algorithm || !is_for_signatures(jwk))
        return err_none();
    struct token_key key = {.algorithm = algorithm};
    struct err e = key_id_read(jwk, keys, arena, &key.id);
    if (err_is(e))
        return e;
    if (algorithm->kind == ECDSA)
        e = ec_read(jwk, algorithm, arena, &key.key);
    else if (algorithm->kind == EDDSA)
        e = okp_read(jwk, arena, &key.key);
    else
        e = rsa_read(jwk, arena, &key.key);
    if (!err_is(e))
        keys->list[keys->count++] = key;
    return e;
}

static struct err set_read(struct token_keys *keys, const json_t *set, struct arena *arena)
{
    const json_t *list = json_object_get(set, "keys");
    if (!json_is_array(list))
        return bad("not a JWK set: an object with a list of keys");
    if (json_array_size(list) > TOKEN_KEYS_MAX)
        return bad("the set has more than 64 keys");
    size_t i;
    const json_t *jwk;
    json_array_foreach(list, i, jwk)
    {
        struct err e = key_add(keys, jwk, arena);
        if (err_is(e))
            return e;
    }
    return keys->count ? err_none() : bad("no key of the set is one for signatures that we know");
}

struct err token_keys_parse(struct str json, struct arena *arena, struct token_keys **keys_r)
{
    if (json.n > TOKEN_KEYS_OCTETS)
        return bad("a JWK set has at most 256 KB");
    struct token_keys *keys = arena_new(arena, struct token_keys);
    if (!keys)
        return err_make(ERR_NO_MEMORY);
    keys->magic = MAGIC_KEYS;
    json_t *set = token_json_parse(json, TOKEN_KEYS_VALUES);
    struct err e = set ? set_read(keys, set, arena) : bad("not a JWK set: no JSON object");
    json_decref(set);
    ERR_clear_error();
    if (arena_over(arena))
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e))
        token_keys_done(keys);
    else
        *keys_r = keys;
    return e;
}

void token_keys_done(struct token_keys *keys)
{
    if (!keys)
        return;
    must_be(keys, MAGIC_KEYS);
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->list[i].key);
    keys->count = 0;
}

size_t token_keys_count(const struct token_keys *keys)
{
    must_be(keys, MAGIC_KEYS);
    return keys->count;
}

const struct token_key *token_key_find(const struct token_keys *keys, const struct token_head *head)
{
    must_be(keys, MAGIC_KEYS);
    const struct token_key *found = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const struct token_key *key = &keys->list[i];
        if (!str_eq(head->algorithm, str_from(key->algorithm->name)) ||
            (head->key.n && !str_eq(head->key, key->id)))
            continue;
        if (found)
            return NULL;
        found = key;
    }
    return found;
}

/* --- Signatures ------------------------------------------------------------------------------ */

enum {
    ECDSA_DER_MAX = 2 * 48 + 16
};

/* R and S side by side (RFC 7518 3.4), as OpenSSL wants them. 0: no. */
static size_t ecdsa_der(struct str signature, size_t width, unsigned char der[ECDSA_DER_MAX])
{
    if (signature.n != 2 * width)
        return 0;
    const unsigned char *octets = (const unsigned char *)signature.p;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(octets, (int)width, NULL);
    BIGNUM *s = BN_bin2bn(octets + width, (int)width, NULL);
    if (!pair || !r || !s) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    must(ECDSA_SIG_set0(pair, r, s)); /* takes both */
    int n = i2d_ECDSA_SIG(pair, NULL);
    must(n <= ECDSA_DER_MAX);
    unsigned char *at = der;
    n = i2d_ECDSA_SIG(pair, &at);
    ECDSA_SIG_free(pair);
    return n > 0 ? (size_t)n : 0;
}

static bool pss_set(EVP_PKEY_CTX *context)
{
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool token_key_verifies(const struct token_key *key, struct str what, struct str signature)
{
    const struct token_algorithm *algorithm = key->algorithm;
    unsigned char der[ECDSA_DER_MAX];
    if (algorithm->kind == ECDSA)
        signature = str_make(der, ecdsa_der(signature, algorithm->width, der));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL; /* the first's own */
    bool verifies =
        context && signature.n &&
        EVP_DigestVerifyInit(context, &inner, algorithm->digest ? algorithm->digest() : NULL, NULL,
                             key->key) == 1 &&
        (algorithm->kind != RSA_PSS || pss_set(inner)) &&
        EVP_DigestVerify(context, (const unsigned char *)signature.p, signature.n,
                         (const unsigned char *)what.p, what.n) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return verifies;
}
