/*
 * Written from the paper; the words are put together octet by octet, so that the value is the same
 * on any machine and the text may lie anywhere.
 */
#include "base/siphash.h"

enum {
    ROUNDS_OF_A_WORD = 2,
    ROUNDS_AT_THE_END = 4,
    WORD = 8,
};

struct state {
    uint64_t v[4];
};

static uint64_t turned(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void rounds(struct state *s, int count)
{
    for (uint64_t *v = s->v; count > 0; count--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = turned(v[1], 13) ^ v[0];
        v[3] = turned(v[3], 16) ^ v[2];
        v[0] = turned(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = turned(v[1], 17) ^ v[2];
        v[3] = turned(v[3], 21) ^ v[0];
        v[2] = turned(v[2], 32);
    }
}

static uint64_t word_of(const char *p, size_t n)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)(unsigned char)p[i] << 8 * i;
    return word;
}

static void word_take(struct state *s, uint64_t word)
{
    s->v[3] ^= word;
    rounds(s, ROUNDS_OF_A_WORD);
    s->v[0] ^= word;
}

uint64_t siphash(const unsigned char key[SIPHASH_KEY], struct str text)
{
    uint64_t low = word_of((const char *)key, WORD), high = word_of((const char *)key + WORD, WORD);
    struct state s = {{low ^ UINT64_C(0x736f6d6570736575), high ^ UINT64_C(0x646f72616e646f6d),
                       low ^ UINT64_C(0x6c7967656e657261), high ^ UINT64_C(0x7465646279746573)}};
    size_t whole = text.n - text.n % WORD;
    for (size_t at = 0; at < whole; at += WORD)
        word_take(&s, word_of(text.p + at, WORD));
    uint64_t last = text.n > whole ? word_of(text.p + whole, text.n - whole) : 0;
    word_take(&s, last | (uint64_t)text.n << 56);
    s.v[2] ^= 0xff;
    rounds(&s, ROUNDS_AT_THE_END);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
