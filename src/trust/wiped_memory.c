/*
 * OpenSSL wipes the numbers of a key when it is freed, but not what it decoded them from on the
 * way: DER in buffers of its own. Its allocator is the one place that sees all of them.
 */
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "trust/certificate.h"

static void *take(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(n);
}

static void give_back(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

/* realloc would leave what it moved away from. */
static void *resize(void *p, size_t n, const char *file, int line)
{
    size_t before = p ? malloc_usable_size(p) : 0;
    if (n == 0) {
        give_back(p, file, line);
        return NULL;
    }
    void *other = malloc(n);
    if (!other)
        return NULL;
    if (before)
        memcpy(other, p, before < n ? before : n);
    give_back(p, file, line);
    return other;
}

bool private_keys_leave_no_trace(void)
{
    return CRYPTO_set_mem_functions(take, resize, give_back) == 1;
}
