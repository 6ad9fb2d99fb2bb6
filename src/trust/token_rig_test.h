/*
 * Somebody who signs tokens: for the tests and the fuzzer of trust/token.h.
 */
#ifndef TRUST_TOKEN_RIG_TEST_H
#define TRUST_TOKEN_RIG_TEST_H

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "base/must.h"
#include "format/encodings.h"
#include "trust/token.h"

enum {
    RIG_TEXT_MAX = 1 << 20
};

static inline struct str rig_base64url(struct str octets, struct arena *arena)
{
    struct buf buf = buf_in(arena, RIG_TEXT_MAX);
    base64_print(&buf, octets);
    for (size_t i = 0; i < buf.n; i++)
        buf.p[i] = buf.p[i] == '+' ? '-' : buf.p[i] == '/' ? '_' : buf.p[i];
    while (buf.n && buf.p[buf.n - 1] == '=')
        buf_cut(&buf, buf.n - 1);
    return buf_built(&buf);
}

/* The key of RFC 8037 A.1 */
static inline EVP_PKEY *rig_ed25519(void)
{
    static const unsigned char octets[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
                                             0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                             0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
                                             0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, octets, sizeof(octets));
    must(key);
    return key;
}

#define RIG_ED25519_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

/* R and S side by side, as JWS has them. */
static inline size_t rig_ecdsa_raw(unsigned char *signature, size_t n, int width)
{
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)n);
    must(pair);
    must(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, width) == width);
    must(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + width, width) == width);
    ECDSA_SIG_free(pair);
    return 2 * (size_t)width;
}

/* As this algorithm (RFC 7518 3.1) signs. */
static inline struct str rig_signature(struct str algorithm, EVP_PKEY *key, struct str what,
                                       struct arena *arena)
{
    unsigned char signature[1024];
    size_t n = sizeof(signature);
    bool pss = str_starts(algorithm, STR("PS")), ec = str_starts(algorithm, STR("ES"));
    const EVP_MD *digest = str_ends(algorithm, STR("256"))   ? EVP_sha256()
                           : str_ends(algorithm, STR("384")) ? EVP_sha384()
                           : str_ends(algorithm, STR("512")) ? EVP_sha512()
                                                             : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL;
    must(context && EVP_DigestSignInit(context, &inner, digest, NULL, key) == 1);
    must(!pss || (EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1));
    must(EVP_DigestSign(context, signature, &n, (const unsigned char *)what.p, what.n) == 1);
    EVP_MD_CTX_free(context);
    if (ec)
        n = rig_ecdsa_raw(signature, n, str_eq(algorithm, STR("ES256")) ? 32 : 48);
    return rig_base64url(str_make(signature, n), arena);
}

static inline struct str rig_dotted(struct str a, struct str b, struct arena *arena)
{
    struct buf buf = buf_in(arena, RIG_TEXT_MAX);
    must(buf_put(&buf, a) && buf_putc(&buf, '.') && buf_put(&buf, b));
    return buf_built(&buf);
}

/* A token of this header and these claims, signed as `algorithm` says, whatever the header says. */
static inline struct str rig_token(struct str algorithm, EVP_PKEY *key, struct str head,
                                   struct str claims, struct arena *arena)
{
    struct str what = rig_dotted(rig_base64url(head, arena), rig_base64url(claims, arena), arena);
    return rig_dotted(what, rig_signature(algorithm, key, what, arena), arena);
}

#endif
