/*
 * Hash tables: uthash, with XXH3 in place of its own function (which clang's -Wimplicit-fallthrough
 * refuses). For keys that no stranger chooses; what strangers choose goes into trees (sys/tree.h),
 * since anybody can find collisions of a function without a secret.
 *
 * Where there is no memory HASH_ADD adds nothing, and whoever adds asks HASH_ADDED. (Left to
 * itself uthash ends the process.)
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/str.h"

/* A few nanoseconds for keys of some twenty octets. */
static inline uint32_t hash_of(struct str key)
{
    return (uint32_t)XXH3_64bits(key.p, key.n);
}

#define HASH_FUNCTION(key, length, value) ((value) = hash_of(str_make((key), (length))))

#define HASH_NONFATAL_OOM 1

#include <uthash.h>

#define HASH_ADDED(element) ((element)->hh.tbl != NULL)

#endif
