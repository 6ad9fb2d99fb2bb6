/*
 * Hash tables: uthash, with a hash function of ours in place of its own (which clang's
 * -Wimplicit-fallthrough refuses). For keys that no stranger chooses; what strangers choose goes
 * into trees (sys/tree.h), since anybody can find collisions of a CRC.
 *
 * Where there is no memory HASH_ADD adds nothing, and whoever adds asks HASH_ADDED. (Left to
 * itself uthash ends the process.)
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/crc.h"

#define HASH_FUNCTION(key, length, value) ((value) = crc32c(0, str_make((key), (length))))

#define HASH_NONFATAL_OOM 1

#include <uthash.h>

#define HASH_ADDED(element) ((element)->hh.tbl != NULL)

#endif
