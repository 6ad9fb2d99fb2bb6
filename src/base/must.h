/*
 * must(x): x is true unless we made a mistake. It stays on in release, prints where it broke and
 * ends the process; the parent starts the role again and nothing acknowledged is lost.
 *
 * A stranger's bytes, a full disk or a dead peer can never make a must() fail: those are errors
 * (base/err.h), and errors are values.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#include <stdint.h>

_Noreturn void must_failed(const char *what, const char *file, int line);

#define must(x) (__builtin_expect(!!(x), 1) ? (void)0 : must_failed(#x, __FILE__, __LINE__))

/* Long-lived structs begin with a magic number, checked wherever a void pointer comes back. */
#define MAGIC(a, b, c, d)                                                                          \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

#define must_be(object, expected) must((object) && (object)->magic == (expected))

#endif
