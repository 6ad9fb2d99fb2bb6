/*
 * struct bans: networks that are turned away until a time. Core keeps one, tells its bans to the
 * edges, and each edge keeps one of its own for the look at every connection: that costs one hash
 * for each prefix length in use, most often two.
 *
 * Bounded: beyond `most` the one that ends first goes, those of an operator last. What strangers
 * choose is hashed under a key. Times are the owner's, of one clock of its choice. Pure; never
 * yields.
 */
#ifndef TRUST_BANS_H
#define TRUST_BANS_H

#include "base/network.h"
#include "base/siphash.h"

struct ban {
    struct network network;
    int64_t since, until;
    uint32_t times; /* how often this network was banned in a row, this one too */
    bool by_hand;   /* an operator's */
};

struct bans;

enum {
    BANS_MOST = 20000
};

/* NULL: no memory. */
struct bans *bans_open(size_t most, const unsigned char key[SIPHASH_KEY]);
void bans_close(struct bans *bans);

/* The ban that an address (or network) lies in at `now`; of several the one that ends last. NULL:
 * none. What is given back is valid until the next change. */
const struct ban *bans_find(const struct bans *bans, const struct network *network, int64_t now);
/* That of this very network, over or not. */
const struct ban *bans_of(const struct bans *bans, const struct network *network);

/* Adds it, or puts it in place of that of the same network. true: another had to go, dropped_r. */
bool bans_put(struct bans *bans, const struct ban *ban, struct ban *dropped_r);
/* false: there was none. */
bool bans_remove(struct bans *bans, const struct network *network);
void bans_clear(struct bans *bans);

/* All of them, over or not, in no order: 0 .. count - 1. Removing one moves the last into its
 * place. */
size_t bans_count(const struct bans *bans);
const struct ban *bans_at(const struct bans *bans, size_t index);

#endif
