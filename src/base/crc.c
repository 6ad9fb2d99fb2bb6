/*
 * libisal computes it with the CPU's own instructions and falls back to tables; it takes and gives
 * the register without the final inversion, so both are inverted here.
 */
#include "base/crc.h"

#include <isa-l/crc.h>

#include "base/must.h"

uint32_t crc32c(uint32_t seed, struct str s)
{
    must(s.n <= INT32_MAX);
    if (s.n == 0)
        return seed;
    /* The library's prototype lacks a const; it only reads. */
    union {
        const char *from;
        unsigned char *to;
    } bytes = {.from = s.p};
    return ~crc32_iscsi(bytes.to, (int)s.n, ~seed);
}
