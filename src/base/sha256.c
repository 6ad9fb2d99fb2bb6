/*
 * OpenSSL's low-level functions, which 3.0 calls deprecated: its EVP interface finds the algorithm
 * anew and takes memory six times for each digest, more work than the digest of a short text.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/sha256.h"

#include "base/must.h"

void sha256_init(struct sha256 *sha256)
{
    must(SHA256_Init(&sha256->state) == 1);
}

void sha256_feed(struct sha256 *sha256, struct str s)
{
    must(s.n == 0 || SHA256_Update(&sha256->state, s.p, s.n) == 1);
}

void sha256_end(struct sha256 *sha256, unsigned char digest_r[SHA256_SIZE])
{
    must(SHA256_Final(digest_r, &sha256->state) == 1);
}
