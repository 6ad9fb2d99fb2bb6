/*
 * HMAC-SHA-256 (RFC 2104) in pieces, and the text of a hash: for what we hand out and want to know
 * again. A value; takes no memory, cannot fail, never yields.
 *
 * Who uses one key for two purposes feeds a word of the purpose first.
 */
#ifndef TRUST_KEYED_HASH_H
#define TRUST_KEYED_HASH_H

#include "base/buf.h"
#include "base/sha256.h"

enum {
    KEYED_HASH_KEY = 32, /* octets */
    KEYED_HASH = SHA256_SIZE,
};

struct keyed_hash {
    struct sha256 inner, outer;
};

void keyed_hash_begin(struct keyed_hash *hash, const unsigned char key[KEYED_HASH_KEY]);
void keyed_hash_feed(struct keyed_hash *hash, struct str octets);
/* The same with A to Z fed as a to z. */
void keyed_hash_feed_lower(struct keyed_hash *hash, struct str octets);
/* Once. */
void keyed_hash_end(struct keyed_hash *hash, unsigned char hash_r[KEYED_HASH]);

/* The first `count` characters of base32 (RFC 4648 6) of these octets, in lower case: 5 bits each;
 * 5 * count <= 8 * n. */
void base32_print(const unsigned char *octets, size_t n, size_t count, struct buf *to);

#endif
