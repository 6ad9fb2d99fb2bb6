/*
 * struct sha256: the digest of FIPS 180-4, fed in pieces. The state is a value: nothing is taken
 * and nothing is to be given back. Never yields.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <openssl/sha.h>

#include "base/str.h"

enum {
    SHA256_SIZE = SHA256_DIGEST_LENGTH
};

struct sha256 {
    SHA256_CTX state;
};

void sha256_init(struct sha256 *sha256);
void sha256_feed(struct sha256 *sha256, struct str s);
/* Once; init begins anew. */
void sha256_end(struct sha256 *sha256, unsigned char digest_r[SHA256_SIZE]);

#endif
