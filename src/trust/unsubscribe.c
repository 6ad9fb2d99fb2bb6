#include "trust/unsubscribe.h"

#include <string.h>

#include "trust/keyed_hash.h"

_Static_assert((int)UNSUBSCRIBE_KEY == (int)KEYED_HASH_KEY, "one size of keys");

enum {
    SEAL = 16,                                  /* octets of the hash in front */
    SAID_MAX = 2 * UNSUBSCRIBE_ADDRESS_MAX + 1, /* both addresses, a NUL between */
    DIGIT_BITS = 5,
};

static void seal_make(const unsigned char *key, struct str said, unsigned char hash_r[KEYED_HASH])
{
    struct keyed_hash hash;
    keyed_hash_begin(&hash, key);
    keyed_hash_feed(&hash, STR("unsubscribe, seal"));
    keyed_hash_feed(&hash, said);
    keyed_hash_end(&hash, hash_r);
}

/* To and fro. */
static void encrypt(const unsigned char *key, const unsigned char seal[SEAL], unsigned char *octets,
                    size_t n)
{
    for (size_t at = 0; at < n; at += KEYED_HASH) {
        unsigned char pad[KEYED_HASH], number = (unsigned char)(at / KEYED_HASH);
        struct keyed_hash hash;
        keyed_hash_begin(&hash, key);
        keyed_hash_feed(&hash, STR("unsubscribe, pad"));
        keyed_hash_feed(&hash, str_make(seal, SEAL));
        keyed_hash_feed(&hash, str_make(&number, 1));
        keyed_hash_end(&hash, pad);
        for (size_t i = 0; i < KEYED_HASH && at + i < n; i++)
            octets[at + i] ^= pad[i];
    }
}

static size_t digits_of(size_t octets)
{
    return (octets * 8 + DIGIT_BITS - 1) / DIGIT_BITS;
}

bool unsubscribe_print(const unsigned char key[UNSUBSCRIBE_KEY], struct str list, struct str member,
                       struct buf *to)
{
    unsigned char hash[KEYED_HASH], room[SEAL + SAID_MAX + 1]; /* the last character's other bits */
    size_t n = list.n + 1 + member.n;
    if (list.n > UNSUBSCRIBE_ADDRESS_MAX || member.n > UNSUBSCRIBE_ADDRESS_MAX)
        return false;
    memcpy(room + SEAL, list.p, list.n);
    room[SEAL + list.n] = 0;
    memcpy(room + SEAL + list.n + 1, member.p, member.n);
    seal_make(key, str_make(room + SEAL, n), hash);
    memcpy(room, hash, SEAL);
    encrypt(key, room, room + SEAL, n);
    room[SEAL + n] = 0;
    base32_print(room, SEAL + n + 1, digits_of(SEAL + n), to);
    return !buf_over(to);
}

static int digit(char c)
{
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* How many octets; 0: it is not the one way to write them. */
static size_t digits_read(struct str text, unsigned char *to, size_t most)
{
    size_t n = text.n * DIGIT_BITS / 8, at = 0;
    unsigned bits = 0, held = 0;
    if (n > most || digits_of(n) != text.n)
        return 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = digit(text.p[i]);
        if (value < 0)
            return 0;
        held = held << DIGIT_BITS | (unsigned)value;
        bits += DIGIT_BITS;
        if (bits >= 8) {
            bits -= 8;
            to[at++] = (unsigned char)(held >> bits);
        }
        held &= (1u << bits) - 1;
    }
    return held == 0 ? at : 0;
}

bool unsubscribe_read(const unsigned char key[UNSUBSCRIBE_KEY], struct str token,
                      struct arena *arena, struct str *list_r, struct str *member_r)
{
    unsigned char hash[KEYED_HASH], room[SEAL + SAID_MAX];
    size_t n = digits_read(token, room, sizeof(room));
    if (n <= SEAL)
        return false;
    encrypt(key, room, room + SEAL, n - SEAL);
    struct str said = str_make(room + SEAL, n - SEAL);
    seal_make(key, said, hash);
    ssize_t between = str_index(said, '\0');
    if (!str_eq_secret(str_make(hash, SEAL), str_make(room, SEAL)) || between < 0)
        return false;
    *list_r = arena_str(arena, str_head(said, (size_t)between));
    *member_r = arena_str(arena, str_from_index(said, (size_t)between + 1));
    return list_r->p && member_r->p;
}
