/*
 * CRC32C (Castagnoli, RFC 3720 appendix B.4), as the log, the bodies and their chunks use it.
 * crc32c(seed, s): the sum of s, begun from `seed`; crc32c(crc32c(0, a), b) is the sum of a then b.
 */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include "base/str.h"

uint32_t crc32c(uint32_t seed, struct str s);
/* The seed from which s has this sum: there is exactly one. Slow: eight steps for each octet. */
uint32_t crc32c_seed(uint32_t sum, struct str s);

#endif
