/*
 * alloc_count: counts the calls of malloc and its kin in every process and thread of a program that
 * was not built for it. Only tests preload it; the server knows nothing of it:
 *
 *     LD_PRELOAD=BUILD/test/interpose/liballoc_count.so ALLOC_COUNT=FILE veredus serve ...
 *
 * The roles inherit both with the environment. FILE holds `struct table`, made by the test as that
 * many zero octets. Every process maps it when it is loaded, before main and so before a sandbox
 * closes; what stands in it may be read at any time. A process that cannot map it ends: a test must
 * not count nothing unnoticed. Without ALLOC_COUNT nothing is counted.
 *
 * One slot for each thread, and not for each process: a role's commands run on its main thread, and
 * what LMDB takes for a round of the applier is taken on the applier's. A thread gets its slot with
 * its first call and is known by the name it gives itself. Between fork and exec a child counts as
 * its parent's thread.
 *
 * Counted are malloc, calloc, realloc, reallocarray, posix_memalign, aligned_alloc and memalign,
 * also where libc calls them (strdup, fopen), whether they succeed or not. free is not. The stacks
 * of a slot's latest calls are kept: a number alone tells nobody where to look.
 *
 * Mutable globals, because an interposed function has nowhere else to keep anything. libc's own
 * entries are called and not what dlsym finds, for dlsym may allocate.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SLOTS = 128, /* threads of all processes of a run; later ones are not counted, `used` tells */
    NAME_SIZE = 16,
    STACKS = 64,
    FRAMES = 12
};

/* test/system/allocations.py reads this. */
struct slot {
    int64_t pid;
    char role[NAME_SIZE];   /* the word behind "role" on the command line, else the first word */
    char thread[NAME_SIZE]; /* "": the main thread */
    _Atomic uint64_t calls;
    void *stacks[STACKS][FRAMES]; /* of call n in [n % STACKS], innermost first, then NULL */
};

struct table {
    _Atomic uint64_t used;
    struct slot slots[SLOTS];
};

_Static_assert(sizeof(struct slot) == 48 + 8 * STACKS * FRAMES, "allocations.py knows the layout");

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *at, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static struct table *table;
static char role[NAME_SIZE];
static int (*next_setname)(pthread_t thread, const char *name);

/* initial-exec: the usual model would allocate when a thread first looks. */
#define OF_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
OF_THREAD struct slot *own;
OF_THREAD bool counting; /* the unwinder's own calls are not the program's */

/* --- One slot for each thread ---------------------------------------------------------------- */

/* NULL: all are taken. */
static struct slot *slot_of_thread(void)
{
    if (own)
        return own;
    uint64_t i = atomic_fetch_add(&table->used, 1);
    if (i >= SLOTS)
        return NULL;
    own = &table->slots[i];
    own->pid = getpid();
    memcpy(own->role, role, sizeof(role));
    return own;
}

static void count(void)
{
    if (!table || counting)
        return;
    counting = true;
    struct slot *slot = slot_of_thread();
    if (slot) {
        void **stack = slot->stacks[slot->calls % STACKS];
        int n = backtrace(stack, FRAMES);
        memset(stack + n, 0, (size_t)(FRAMES - n) * sizeof(*stack));
        slot->calls++;
    }
    counting = false;
}

int pthread_setname_np(pthread_t thread, const char *name)
{
    if (table && pthread_equal(thread, pthread_self())) {
        struct slot *slot = slot_of_thread();
        if (slot)
            snprintf(slot->thread, sizeof(slot->thread), "%s", name);
    }
    return next_setname(thread, name);
}

/* --- What is counted ------------------------------------------------------------------------- */

void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

void *calloc(size_t many, size_t n)
{
    count();
    return __libc_calloc(many, n);
}

void *realloc(void *at, size_t n)
{
    count();
    return __libc_realloc(at, n);
}

void *reallocarray(void *at, size_t many, size_t n)
{
    size_t all;
    count();
    if (!__builtin_mul_overflow(many, n, &all))
        return __libc_realloc(at, all);
    errno = ENOMEM;
    return NULL;
}

void *memalign(size_t alignment, size_t n)
{
    count();
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    count();
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **at_r, size_t alignment, size_t n)
{
    count();
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
        return EINVAL;
    void *at = __libc_memalign(alignment, n);
    if (!at)
        return ENOMEM;
    *at_r = at;
    return 0;
}

/* --- Beginning ------------------------------------------------------------------------------- */

static _Noreturn void give_up(const char *file)
{
    fprintf(stderr, "alloc_count: %s: %s\n", file, strerror(errno));
    _exit(1);
}

static struct table *table_map(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || lseek(file, 0, SEEK_END) < (off_t)sizeof(struct table))
        give_up(path);
    void *at = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED)
        give_up(path);
    close(file);
    return at;
}

/* glibc gives a constructor what main gets. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *path = getenv("ALLOC_COUNT");
    void *frame;
    next_setname = (int (*)(pthread_t, const char *))dlsym(RTLD_NEXT, "pthread_setname_np");
    if (!path)
        return;
    backtrace(&frame, 1); /* the unwinder is loaded now: a role may open no library */
    bool is_role = argc > 2 && strcmp(argv[1], "role") == 0;
    snprintf(role, sizeof(role), "%s", argc > 1 ? argv[is_role ? 2 : 1] : "");
    table = table_map(path);
}
