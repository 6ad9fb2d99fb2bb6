#include "trust/scram_hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/must.h"

bool sasl_is_scram(enum sasl_mechanism mechanism)
{
    return mechanism == SASL_SCRAM_SHA_1 || mechanism == SASL_SCRAM_SHA_256 ||
           mechanism == SASL_SCRAM_SHA_256_PLUS;
}

size_t scram_length(enum sasl_mechanism mechanism)
{
    must(sasl_is_scram(mechanism));
    return mechanism == SASL_SCRAM_SHA_1 ? 20 : 32;
}

static const EVP_MD *hash_of_mechanism(enum sasl_mechanism mechanism)
{
    return mechanism == SASL_SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

bool scram_salted(enum sasl_mechanism mechanism, struct str password, struct str salt,
                  uint32_t rounds, unsigned char *to)
{
    return PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p,
                             (int)salt.n, (int)rounds, hash_of_mechanism(mechanism),
                             (int)scram_length(mechanism), to) == 1;
}

bool scram_sign(enum sasl_mechanism mechanism, const unsigned char *key, struct str what,
                unsigned char *to)
{
    return HMAC(hash_of_mechanism(mechanism), key, (int)scram_length(mechanism),
                (const unsigned char *)what.p, what.n, to, NULL) != NULL;
}

bool scram_digest(enum sasl_mechanism mechanism, const unsigned char *what, unsigned char *to)
{
    return EVP_Digest(what, scram_length(mechanism), to, NULL, hash_of_mechanism(mechanism),
                      NULL) == 1;
}
