/*
 * What core makes rewritten senders (trust/srs.h) and marks against loops (trust/loop_marker.h)
 * with: two keys of each, made once, kept, and changed on a schedule. What was made with a key is
 * recognised until the one behind it is replaced, too: FORWARD_KEYS_EVERY at least, which is longer
 * than a rewritten sender is taken back (SRS_DAYS).
 *
 * Partition FORWARD/0
 *   'k' -> the keys and when the newer ones were made
 *
 * The record is versioned (FORMAT 1).
 */
#ifndef STORE_FORWARD_KEYS_H
#define STORE_FORWARD_KEYS_H

#include "store/engine.h"
#include "sys/world.h"
#include "trust/loop_marker.h"
#include "trust/srs.h"

/* Microseconds. */
#define FORWARD_KEYS_EVERY ((int64_t)30 * 24 * 3600 * US_PER_SECOND)

struct forward_keys {
    int64_t made; /* microseconds since 1970; 0: not read yet */
    struct srs_keys srs;
    struct loop_keys loop;
};

/*
 * May yield. The keys as they are to be from now on: made where there are none, and renewed where
 * they are FORWARD_KEYS_EVERY old; then they are durable before they are given. A clock that was
 * set back renews nothing. Without an answer keys_r is what it was: errors of the engine.
 */
struct err forward_keys_take(struct engine *engine, struct world *world,
                             struct forward_keys *keys_r);

/* Of tests. ERR_STORE_DAMAGED. */
void forward_keys_encode(const struct forward_keys *keys, struct buf *to);
struct err forward_keys_decode(struct str record, struct forward_keys *keys_r);

#endif
