/*
 * Why so strict about TLS 1.2: its signed octets have no label in front, and 64 + 32 or 96 of them
 * are the asker's to choose. Chosen well they could be another structure that the key's holder
 * would never sign: with P-384 there is room for a request for a certificate, or for a small
 * certificate, whose odd octets hide in a long serial number. The mark in the server's random and
 * the head of the parameters are fixed and stand in the middle (octets 56 to 67), and y of a point
 * on the curve follows from its x, so at most 56 octets in front and 48 behind are free. That is
 * too little on either side. The tail of TLS 1.3's octets is free too, but its label is 98 octets.
 *
 * EC points are looked at by EC_POINT: importing them as a key costs ten times as much.
 */
#include "trust/tls_sign.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/must.h"
#include "trust/certificate_inside.h"

enum {
    NAMED_CURVE = 3,     /* ECCurveType (RFC 8422 5.4) */
    POINT_WHOLE = 4,     /* x and y follow (RFC 8422 5.4.1) */
    PARAMETERS_HEAD = 4, /* octets: curve type, group, length of the point */
};

enum way {
    WAY_ECDSA,
    WAY_PKCS1,
    WAY_PSS
};

/* SignatureScheme (RFC 8446 4.2.3). */
struct scheme {
    uint16_t number;
    enum way way;
    unsigned digest; /* of struct private_key's */
    bool in_13;
    enum key_kind kind_in_13; /* an ECDSA scheme names the curve there; in 1.2 it does not */
};

static const struct scheme schemes[] = {
    {.number = 0x0401, .way = WAY_PKCS1, .digest = 0}, /* rsa_pkcs1_sha256 */
    {.number = 0x0501, .way = WAY_PKCS1, .digest = 1},
    {.number = 0x0601, .way = WAY_PKCS1, .digest = 2},
    {.number = 0x0804, .way = WAY_PSS, .digest = 0, .in_13 = true, .kind_in_13 = KEY_RSA},
    {.number = 0x0805, .way = WAY_PSS, .digest = 1, .in_13 = true, .kind_in_13 = KEY_RSA},
    {.number = 0x0806, .way = WAY_PSS, .digest = 2, .in_13 = true, .kind_in_13 = KEY_RSA},
    {.number = 0x0403, .way = WAY_ECDSA, .digest = 0, .in_13 = true, .kind_in_13 = KEY_P256},
    {.number = 0x0503, .way = WAY_ECDSA, .digest = 1, .in_13 = true, .kind_in_13 = KEY_P384},
    {.number = 0x0603, .way = WAY_ECDSA, .digest = 2},
};

static const struct scheme *scheme_find(const struct tls_sign *what, enum key_kind kind)
{
    bool tls_13 = what->randoms.n == 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const struct scheme *scheme = &schemes[i];
        if (scheme->number != what->scheme)
            continue;
        bool fits = (scheme->way == WAY_ECDSA) == (kind != KEY_RSA);
        return fits && (!tls_13 || (scheme->in_13 && scheme->kind_in_13 == kind)) ? scheme : NULL;
    }
    return NULL;
}

static struct err broken(struct str why)
{
    return err_detail(ERR_BUS_BROKEN, why);
}

/* --- TLS 1.3 --------------------------------------------------------------------------------- */

/* The hash is the cipher suite's, whatever the scheme's digest is: SHA-256 or SHA-384. */
static struct err print_13(const struct tls_sign *what, struct buf *to)
{
    static const char label[] = "                                "
                                "                                "
                                "TLS 1.3, server CertificateVerify"; /* and its NUL */
    if (what->what.n != 32 && what->what.n != 48)
        return broken(STR("a transcript hash has 32 or 48 octets"));
    buf_put(to, str_make(label, sizeof(label)));
    buf_put(to, what->what);
    return err_none();
}

/* --- TLS 1.2 --------------------------------------------------------------------------------- */

struct group {
    enum tls_group number;
    int curve; /* NID; 0: any octets are a point */
    size_t point;
};

static const struct group groups[] = {
    {.number = TLS_X25519, .point = 32},
    {.number = TLS_P256, .curve = NID_X9_62_prime256v1, .point = 65},
    {.number = TLS_P384, .curve = NID_secp384r1, .point = 97},
};

static bool is_on_curve(const struct group *group, struct str point)
{
    if (!group->curve)
        return true;
    if (point.p[0] != POINT_WHOLE)
        return false;
    EC_GROUP *curve = EC_GROUP_new_by_curve_name(group->curve);
    EC_POINT *at = curve ? EC_POINT_new(curve) : NULL;
    bool is = at && EC_POINT_oct2point(curve, at, (const unsigned char *)point.p, point.n, NULL);
    EC_POINT_free(at);
    EC_GROUP_free(curve);
    ERR_clear_error();
    return is;
}

/* ECParameters and ECPoint of the server's key exchange, with nothing behind. */
static bool parameters_are_whole(struct str parameters)
{
    const unsigned char *octets = (const unsigned char *)parameters.p;
    if (parameters.n < PARAMETERS_HEAD || octets[0] != NAMED_CURVE)
        return false;
    unsigned number = (unsigned)octets[1] << 8 | octets[2];
    struct str point = str_from_index(parameters, PARAMETERS_HEAD);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if ((unsigned)groups[i].number == number)
            return octets[3] == groups[i].point && point.n == groups[i].point &&
                   is_on_curve(&groups[i], point);
    return false;
}

static struct err print_12(const struct tls_sign *what, struct buf *to)
{
    if (what->randoms.n != TLS_SIGN_RANDOMS)
        return broken(STR("two randoms have 64 octets"));
    if (!str_ends(what->randoms, STR("DOWNGRD\1")))
        return broken(STR("a server's random without its mark"));
    if (!parameters_are_whole(what->what))
        return broken(STR("no ServerECDHParams of a group we offer"));
    buf_put(to, what->randoms);
    buf_put(to, what->what);
    return err_none();
}

struct err tls_signed_print(const struct tls_sign *what, enum key_kind kind, struct buf *to)
{
    if (!scheme_find(what, kind))
        return broken(STR("a scheme that does not fit the key"));
    struct err e = what->randoms.n == 0 ? print_13(what, to) : print_12(what, to);
    return !err_is(e) && buf_over(to) ? err_make(ERR_NO_MEMORY) : e;
}

/* --- Signing --------------------------------------------------------------------------------- */

static bool context_set(EVP_PKEY_CTX *context, enum way way)
{
    return way != WAY_PSS ||
           (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool octets_sign(const struct private_key *key, const struct scheme *scheme,
                        struct str octets, unsigned char *signature_r, size_t *length_r)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL;
    *length_r = TLS_SIGN_MAX;
    bool made =
        context &&
        EVP_DigestSignInit(context, &inner, key->digests[scheme->digest], NULL, key->pkey) == 1 &&
        context_set(inner, scheme->way) &&
        EVP_DigestSign(context, signature_r, length_r, (const unsigned char *)octets.p, octets.n) ==
            1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return made;
}

struct err tls_sign(const struct private_key *key, const struct tls_sign *what,
                    unsigned char signature_r[TLS_SIGN_MAX], size_t *length_r)
{
    char room[TLS_SIGNED_MAX];
    struct buf octets = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    must_be(key, PRIVATE_KEY_MAGIC);
    struct err e = tls_signed_print(what, key->kind, &octets);
    if (err_is(e))
        return e;
    const struct scheme *scheme = scheme_find(what, key->kind);
    return octets_sign(key, scheme, buf_str(&octets), signature_r, length_r)
               ? err_none()
               : err_make(ERR_NO_MEMORY);
}
