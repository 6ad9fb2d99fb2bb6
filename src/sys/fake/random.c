/*
 * xoshiro256** because it is small, fast, and written down exactly (Blackman and Vigna); splitmix64
 * spreads the seed. Below n by multiplication: the bias at our sizes of n is far under what any run
 * could see, and there is no loop whose length depends on luck.
 */
#include "sys/fake/random.h"

#include "base/must.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void fake_random_init(struct fake_random *random, uint64_t seed, const char *stream)
{
    uint64_t state = fake_mix_bytes(seed, str_from(stream));
    for (int i = 0; i < 4; i++)
        random->s[i] = splitmix(&state);
}

uint64_t fake_random_next(struct fake_random *random)
{
    uint64_t *s = random->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t fake_random_below(struct fake_random *random, uint64_t n)
{
    must(n > 0);
    return (uint64_t)((unsigned __int128)fake_random_next(random) * n >> 64);
}

bool fake_random_chance(struct fake_random *random, uint32_t per_million)
{
    return per_million > 0 && fake_random_below(random, FAKE_ALWAYS) < per_million;
}

void fake_random_fill(struct fake_random *random, void *to, size_t n)
{
    char *p = to;
    while (n > 0) {
        uint64_t word = fake_random_next(random);
        size_t part = n < sizeof(word) ? n : sizeof(word);
        memcpy(p, &word, part);
        p += part;
        n -= part;
    }
}

uint64_t fake_pick_below(struct fake_pick pick, uint64_t n)
{
    must(n > 0);
    uint64_t choice = n == 1 ? 0 : pick.below(pick.arg, n);
    must(choice < n);
    return choice;
}

static uint64_t random_below(void *arg, uint64_t n)
{
    return fake_random_below(arg, n);
}

struct fake_pick fake_pick_random(struct fake_random *random)
{
    return (struct fake_pick){.below = random_below, .arg = random};
}

static uint64_t every_below(void *arg, uint64_t n)
{
    struct fake_every *every = arg;
    if (every->depth == FAKE_EVERY_DEPTH) {
        every->cut = true;
        return 0;
    }
    size_t i = every->depth++;
    if (i < every->known) {
        must(every->at[i].limit == n);
        return every->at[i].choice;
    }
    every->at[i].choice = 0;
    every->at[i].limit = n;
    return 0;
}

struct fake_pick fake_pick_every(struct fake_every *every)
{
    return (struct fake_pick){.below = every_below, .arg = every};
}

bool fake_every_next(struct fake_every *every)
{
    size_t n = every->depth;
    while (n > 0 && every->at[n - 1].choice + 1 == every->at[n - 1].limit)
        n--;
    every->depth = 0;
    every->known = n;
    if (n == 0)
        return false;
    every->at[n - 1].choice++;
    return true;
}

/* Every octet that is written or sent goes through here. */
static inline uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

uint64_t fake_mix(uint64_t hash, uint64_t value)
{
    return mix(hash, value);
}

uint64_t fake_mix_bytes(uint64_t hash, struct str bytes)
{
    uint64_t word = 0;
    size_t whole = bytes.n - bytes.n % sizeof(word), left = bytes.n - whole;
    hash = mix(hash, bytes.n);
    for (size_t i = 0; i < whole; i += sizeof(word)) {
        memcpy(&word, bytes.p + i, sizeof(word));
        hash = mix(hash, word);
    }
    if (left == 0)
        return hash;
    word = 0;
    memcpy(&word, bytes.p + whole, left);
    return mix(hash, word);
}
