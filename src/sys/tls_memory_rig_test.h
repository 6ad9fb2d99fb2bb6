/*
 * OpenSSL's memory from our malloc, so that it is counted and fails, too. It is told at the very
 * start, so a test that counts is a program of its own.
 */
#ifndef SYS_TLS_MEMORY_RIG_TEST_H
#define SYS_TLS_MEMORY_RIG_TEST_H

#include <stdlib.h>

static inline void *library_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n ? malloc(n) : NULL;
}

static inline void *library_realloc(void *at, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n > 0)
        return realloc(at, n);
    free(at);
    return NULL;
}

#endif
