/*
 * Hash tables: uthash, with a hash function of ours in place of its own (which clang's
 * -Wimplicit-fallthrough refuses). For keys that no stranger chooses; what strangers choose goes
 * into trees (sys/tree.h), since anybody can find collisions of a CRC.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/crc.h"

#define HASH_FUNCTION(key, length, value) ((value) = crc32c(0, str_make((key), (length))))

#include <uthash.h>

#endif
