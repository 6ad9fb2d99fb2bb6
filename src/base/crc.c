/*
 * libisal computes it with the CPU's own instructions and falls back to tables; it takes and gives
 * the register without the final inversion, so both are inverted here.
 */
#include "base/crc.h"

#include <isa-l/crc.h>

#include "base/must.h"

/* The polynomial, lowest power first. */
#define CASTAGNOLI UINT32_C(0x82f63b78)

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

uint32_t crc32c_seed(uint32_t sum, struct str s)
{
    uint32_t state = ~sum;
    for (size_t i = s.n; i > 0; i--) {
        for (unsigned bit = 0; bit < 8; bit++)
            state = state >> 31 ? (state ^ CASTAGNOLI) << 1 | 1 : state << 1;
        state ^= (unsigned char)s.p[i - 1];
    }
    return ~state;
}
