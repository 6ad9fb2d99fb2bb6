/*
 * The linker's --wrap sends each call of malloc in our objects to __wrap_malloc, and __real_malloc
 * to libc (or to AddressSanitizer in front of it).
 */
#include <errno.h>
#include <sys/mman.h>

#include "sys/fake/memory.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *at, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *at);
void *__real_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
int __real_munmap(void *at, size_t n);
void *__real_mmap64(void *at, size_t n, int protection, int flags, int file, off_t offset);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *at, size_t n);
void *__wrap_reallocarray(void *at, size_t count, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void __wrap_free(void *at);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *at, size_t n);
void *__wrap_mmap64(void *at, size_t n, int protection, int flags, int file, off_t offset);

static bool refused(void)
{
    if (fake_memory_admit())
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    if (refused())
        return NULL;
    void *at = __real_malloc(n);
    fake_memory_note(at, n, false);
    return at;
}

void *__wrap_calloc(size_t count, size_t n)
{
    if (refused())
        return NULL;
    void *at = __real_calloc(count, n);
    fake_memory_note(at, count * n, false);
    return at;
}

/* The old block stays with who had it when this fails; otherwise the new one is the caller's. */
void *__wrap_realloc(void *at, size_t n)
{
    if (refused())
        return NULL;
    void *now = __real_realloc(at, n);
    if (now || n == 0) {
        fake_memory_forget(at);
        fake_memory_note(now, n, false);
    }
    return now;
}

void *__wrap_reallocarray(void *at, size_t count, size_t n)
{
    size_t whole;
    if (__builtin_mul_overflow(count, n, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    return __wrap_realloc(at, whole);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    if (refused())
        return NULL;
    void *at = __real_aligned_alloc(alignment, n);
    fake_memory_note(at, n, false);
    return at;
}

void __wrap_free(void *at)
{
    fake_memory_forget(at);
    __real_free(at);
}

static void *mapped(void *at, size_t n)
{
    if (at != MAP_FAILED)
        fake_memory_note(at, n, true);
    return at;
}

void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    if (refused())
        return MAP_FAILED;
    return mapped(__real_mmap(at, n, protection, flags, file, offset), n);
}

void *__wrap_mmap64(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    if (refused())
        return MAP_FAILED;
    return mapped(__real_mmap64(at, n, protection, flags, file, offset), n);
}

int __wrap_munmap(void *at, size_t n)
{
    fake_memory_forget(at);
    return __real_munmap(at, n);
}
