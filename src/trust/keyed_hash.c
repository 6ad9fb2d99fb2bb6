/*
 * By hand and not by OpenSSL, whose HMAC takes memory and so can fail: here it is two digests.
 */
#include "trust/keyed_hash.h"

#include "base/must.h"

enum {
    BLOCK = 64 /* octets of SHA-256's */
};

void keyed_hash_begin(struct keyed_hash *hash, const unsigned char key[KEYED_HASH_KEY])
{
    unsigned char inner[BLOCK], outer[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        unsigned char octet = i < KEYED_HASH_KEY ? key[i] : 0;
        inner[i] = octet ^ 0x36;
        outer[i] = octet ^ 0x5c;
    }
    sha256_init(&hash->inner);
    sha256_feed(&hash->inner, str_make(inner, BLOCK));
    sha256_init(&hash->outer);
    sha256_feed(&hash->outer, str_make(outer, BLOCK));
    explicit_bzero(inner, BLOCK);
    explicit_bzero(outer, BLOCK);
}

void keyed_hash_feed(struct keyed_hash *hash, struct str octets)
{
    sha256_feed(&hash->inner, octets);
}

void keyed_hash_feed_lower(struct keyed_hash *hash, struct str octets)
{
    char lower[BLOCK];
    while (octets.n) {
        size_t n = octets.n < BLOCK ? octets.n : BLOCK;
        for (size_t i = 0; i < n; i++)
            lower[i] = ascii_lower(octets.p[i]);
        sha256_feed(&hash->inner, str_make(lower, n));
        octets = str_from_index(octets, n);
    }
}

void keyed_hash_end(struct keyed_hash *hash, unsigned char hash_r[KEYED_HASH])
{
    unsigned char inner[SHA256_SIZE];
    sha256_end(&hash->inner, inner);
    sha256_feed(&hash->outer, str_make(inner, sizeof(inner)));
    sha256_end(&hash->outer, hash_r);
}

void base32_print(const unsigned char *octets, size_t n, size_t count, struct buf *to)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;
    must(5 * count <= 8 * n);
    for (size_t i = 0; i < count; i++) {
        if (have < 5) {
            bits = bits << 8 | octets[at++];
            have += 8;
        }
        have -= 5;
        buf_putc(to, letters[bits >> have & 31]);
    }
}
