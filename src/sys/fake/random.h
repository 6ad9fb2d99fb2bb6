/*
 * Where every decision of the fake world comes from: xoshiro256** generators split from one seed by
 * name, so that a draw added in one place does not shift the draws of any other; and struct
 * fake_pick, "choose a number below n", behind which stands either a generator or an enumeration of
 * every possible answer.
 *
 * Never fails, never yields. The same seed and name give the same numbers on every machine.
 */
#ifndef SYS_FAKE_RANDOM_H
#define SYS_FAKE_RANDOM_H

#include "base/str.h"

struct fake_random {
    uint64_t s[4];
};

/* The generator called `stream` ("disk", "split") of this seed. */
void fake_random_init(struct fake_random *random, uint64_t seed, const char *stream);
uint64_t fake_random_next(struct fake_random *random);
/* 0 .. n-1; n >= 1. */
uint64_t fake_random_below(struct fake_random *random, uint64_t n);
/* True per_million times in a million. Draws nothing at 0, so that a setting turned off costs
 * nothing. */
bool fake_random_chance(struct fake_random *random, uint32_t per_million);
void fake_random_fill(struct fake_random *random, void *to, size_t n);

enum {
    FAKE_ALWAYS = 1000000 /* of a million */
};

/* Chooses 0 .. n-1. n == 1 asks nothing. */
struct fake_pick {
    uint64_t (*below)(void *arg, uint64_t n);
    void *arg;
};

uint64_t fake_pick_below(struct fake_pick pick, uint64_t n);
/* Borrows `random`. */
struct fake_pick fake_pick_random(struct fake_random *random);

/*
 * Every answer there is, one walk through the decisions after the other, last decision fastest:
 *
 *     struct fake_every every = {0};
 *     do {
 *         try_it(fake_pick_every(&every));
 *     } while (fake_every_next(&every));
 *
 * What is tried must ask the same questions when it gets the same answers. At most
 * FAKE_EVERY_DEPTH decisions a walk; those behind it get 0 and `cut` is set: then the walk was not
 * exhaustive.
 */
enum {
    FAKE_EVERY_DEPTH = 4096
};

struct fake_every {
    struct {
        uint64_t choice, limit;
    } at[FAKE_EVERY_DEPTH];
    size_t depth; /* decisions of the walk under way */
    size_t known; /* of which this many are given */
    bool cut;
};

struct fake_pick fake_pick_every(struct fake_every *every);
bool fake_every_next(struct fake_every *every); /* false: all were tried */

/* A 64-bit mix, for hashes of events. */
uint64_t fake_mix(uint64_t hash, uint64_t value);
uint64_t fake_mix_bytes(uint64_t hash, struct str bytes);

#endif
