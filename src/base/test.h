/*
 * What every unit test includes: cmocka with its own prerequisites, and comparisons for struct str.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static inline void assert_str_at(struct str got, struct str expected, const char *file, int line)
{
    if (!str_eq(got, expected)) {
        print_error("got:      \"%.*s\" (%zu)\nexpected: \"%.*s\" (%zu)\n", STR_FMT(got), got.n,
                    STR_FMT(expected), expected.n);
        _fail(file, line);
    }
}

#define assert_str(got, expected) assert_str_at((got), (expected), __FILE__, __LINE__)

#endif
