/*
 * nth_call: makes the n-th call of a function fail, or end the process, in a role of a program that
 * was not built for it; LMDB's and libevent's calls are calls like any other. Only tests preload
 * it:
 *
 *     LD_PRELOAD=BUILD/test/sweep/libnth_call.so NTH_CALL=FILE veredus serve ...
 *
 * FILE holds `struct table`, made by the test. Every process maps it before main, and so before a
 * sandbox closes, and looks for its row: the word behind "role" on the command line, else the first
 * word. The test writes the row while the process runs:
 *
 *   armed = 0   calls are only counted, each function by itself
 *   armed = 1   of the functions in `mask` the n-th call from now, and `times` - 1 more, do nothing
 *               and fail with `error`; where `error` is 0 the process ends there, as by kill -9
 *
 * EROFS leaves alone what is opened to be read, as a file system does.
 *
 * One row for all processes and threads of a role. Between fork and exec a child counts as its
 * parent. What libc calls inside of itself (opendir's open) is not seen, but for malloc's kin.
 *
 * A row has a clock as well: `skew` is added to the monotonic time, `wall` to the other, and no
 * wait is longer than `hurry` milliseconds, so that a test need not sit out what a role waits for.
 * A process that ends here lets the parent's clock jump, to whom it has then served long enough:
 * in `jumped`, for table.py cannot add to `skew` at the same moment without losing one of the two,
 * and a clock that goes back wakes nobody.
 *
 * Mutable globals, because an interposed function has nowhere else to keep anything.
 */
#undef _FILE_OFFSET_BITS /* both names of each function are ours to define */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* table.py has the same words in the same order. */
enum call {
    CALL_read,
    CALL_write,
    CALL_writev,
    CALL_pread,
    CALL_preadv2,
    CALL_pwrite,
    CALL_pwritev,
    CALL_fdatasync,
    CALL_fsync,
    CALL_ftruncate,
    CALL_fallocate,
    CALL_fstat,
    CALL_fstatvfs,
    CALL_open,
    CALL_openat,
    CALL_renameat,
    CALL_unlinkat,
    CALL_mkdirat,
    CALL_close,
    CALL_mmap,
    CALL_munmap,
    CALL_sendmsg,
    CALL_recvmsg,
    CALL_recv,
    CALL_accept4,
    CALL_epoll_wait,
    CALL_epoll_ctl,
    CALL_eventfd,
    CALL_socketpair,
    CALL_pipe2,
    CALL_fork,
    CALL_pthread_create,
    CALL_malloc,
    CALL_calloc,
    CALL_realloc,
    CALL_posix_memalign,
    CALL_COUNT
};

enum {
    ROWS = 8,
    NAME_SIZE = 16,
    ENDED_HERE = 137, /* what a shell says of kill -9 */
    NS = 1000000000,
};

#define PARENT "serve"
#define SETTLED (INT64_C(61) * NS) /* parent.h: PARENT_SETTLED */

/* table.py reads and writes this. */
struct row {
    char role[NAME_SIZE];
    _Atomic int64_t begun; /* processes */
    _Atomic int64_t pid;   /* of the last one */
    _Atomic int64_t skew, wall, hurry;
    _Atomic int64_t jumped; /* ours alone */
    _Atomic int64_t armed, mask, nth, times, error;
    _Atomic int64_t seen; /* calls in the mask since it was armed */
    _Atomic int64_t hits; /* of those, the ones that failed */
    _Atomic int64_t hit;  /* enum call of the last one */
    _Atomic int64_t calls[CALL_COUNT];
};

struct table {
    struct row rows[ROWS];
};

_Static_assert(sizeof(struct row) == 16 + 8 * (14 + CALL_COUNT), "table.py knows the layout");

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *at, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

int seccomp_load(const void *filter);

static struct table *table;
static struct row *row;
/* libseccomp, without memory, frees twice or turns for ever, and glibc looks for users at NULL: not
 * ours to mend. */
static bool spared;

/* --- The decision ---------------------------------------------------------------------------- */

static _Noreturn void end_here(void)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(table->rows[i].role, PARENT) == 0)
            table->rows[i].jumped += SETTLED;
    syscall(SYS_exit_group, ENDED_HERE);
    __builtin_unreachable();
}

/* The error of this call, 0: let it be. */
static int fault(enum call call)
{
    if (!row || spared)
        return 0;
    row->calls[call]++;
    if (!row->armed || !(row->mask >> call & 1))
        return 0;
    int64_t nth = ++row->seen - row->nth;
    if (nth < 0 || nth >= row->times)
        return 0;
    row->hit = call;
    row->hits++;
    if (row->error == 0)
        end_here();
    return (int)row->error;
}

static bool fails(enum call call)
{
    int error = fault(call);
    if (error)
        errno = error;
    return error != 0;
}

/* --- What may fail ---------------------------------------------------------------------------- */

/* A function `name`, which counts as `call` and says `failure` with errno. */
#define FUNCTION(result, name, call, failure, parameters, arguments)                               \
    result name parameters                                                                         \
    {                                                                                              \
        static result(*next) parameters;                                                           \
        if (!next)                                                                                 \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        return fails(CALL_##call) ? failure : next arguments;                                      \
    }

FUNCTION(ssize_t, read, read, -1, (int fd, void *to, size_t n), (fd, to, n))
FUNCTION(ssize_t, write, write, -1, (int fd, const void *p, size_t n), (fd, p, n))
FUNCTION(ssize_t, writev, writev, -1, (int fd, const struct iovec *v, int n), (fd, v, n))
FUNCTION(ssize_t, pread, pread, -1, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
FUNCTION(ssize_t, pread64, pread, -1, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
FUNCTION(ssize_t, preadv64v2, preadv2, -1,
         (int fd, const struct iovec *v, int n, off64_t at, int flags), (fd, v, n, at, flags))
FUNCTION(ssize_t, pwrite, pwrite, -1, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
FUNCTION(ssize_t, pwrite64, pwrite, -1, (int fd, const void *p, size_t n, off64_t at),
         (fd, p, n, at))
FUNCTION(ssize_t, pwritev, pwritev, -1, (int fd, const struct iovec *v, int n, off_t at),
         (fd, v, n, at))
FUNCTION(ssize_t, pwritev64, pwritev, -1, (int fd, const struct iovec *v, int n, off64_t at),
         (fd, v, n, at))
FUNCTION(int, fdatasync, fdatasync, -1, (int fd), (fd))
FUNCTION(int, fsync, fsync, -1, (int fd), (fd))
FUNCTION(int, ftruncate, ftruncate, -1, (int fd, off_t n), (fd, n))
FUNCTION(int, ftruncate64, ftruncate, -1, (int fd, off64_t n), (fd, n))
FUNCTION(int, fallocate64, fallocate, -1, (int fd, int how, off64_t at, off64_t n),
         (fd, how, at, n))
FUNCTION(int, fstat64, fstat, -1, (int fd, struct stat64 *to), (fd, to))
FUNCTION(int, fstatvfs64, fstatvfs, -1, (int fd, struct statvfs64 *to), (fd, to))
FUNCTION(int, renameat, renameat, -1, (int from, const char *old, int to, const char *new),
         (from, old, to, new))
FUNCTION(int, unlinkat, unlinkat, -1, (int fd, const char *name, int flags), (fd, name, flags))
FUNCTION(int, mkdirat, mkdirat, -1, (int fd, const char *name, mode_t mode), (fd, name, mode))
FUNCTION(int, close, close, -1, (int fd), (fd))
FUNCTION(void *, mmap, mmap, MAP_FAILED, (void *p, size_t n, int may, int how, int fd, off_t at),
         (p, n, may, how, fd, at))
FUNCTION(void *, mmap64, mmap, MAP_FAILED,
         (void *p, size_t n, int may, int how, int fd, off64_t at), (p, n, may, how, fd, at))
FUNCTION(int, munmap, munmap, -1, (void *p, size_t n), (p, n))
FUNCTION(ssize_t, sendmsg, sendmsg, -1, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
FUNCTION(ssize_t, recvmsg, recvmsg, -1, (int fd, struct msghdr *m, int flags), (fd, m, flags))
FUNCTION(ssize_t, recv, recv, -1, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
FUNCTION(int, accept4, accept4, -1, (int fd, struct sockaddr *from, socklen_t *n, int flags),
         (fd, from, n, flags))
FUNCTION(int, epoll_ctl, epoll_ctl, -1, (int ep, int op, int fd, struct epoll_event *event),
         (ep, op, fd, event))
FUNCTION(int, eventfd, eventfd, -1, (unsigned from, int flags), (from, flags))
FUNCTION(int, socketpair, socketpair, -1, (int domain, int type, int protocol, int pair[2]),
         (domain, type, protocol, pair))
FUNCTION(int, pipe2, pipe2, -1, (int pair[2], int flags), (pair, flags))
FUNCTION(pid_t, fork, fork, -1, (void), ())

#define OPENING(name, call, before, given)                                                         \
    int name(before const char *path, int flags, ...)                                              \
    {                                                                                              \
        static int (*next)(before const char *, int, mode_t);                                      \
        if (!next)                                                                                 \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        bool allowed = row && row->error == EROFS && (flags & O_ACCMODE) == O_RDONLY;              \
        return !allowed && fails(CALL_##call) ? -1 : next(given path, flags, mode);                \
    }
#define FOLDER int folder,
#define THE_FOLDER folder,
#define NOTHING

OPENING(open, open, NOTHING, NOTHING)
OPENING(open64, open, NOTHING, NOTHING)
OPENING(openat, openat, FOLDER, THE_FOLDER)
OPENING(openat64, openat, FOLDER, THE_FOLDER)

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    int error = fault(CALL_pthread_create);
    return error ? error : next(thread, how, run, arg);
}

int seccomp_load(const void *filter)
{
    static int (*next)(const void *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "seccomp_load");
    spared = true;
    int failed = next(filter);
    spared = false;
    return failed;
}

int getpwnam_r(const char *name, struct passwd *user, char *room, size_t n, struct passwd **found)
{
    static int (*next)(const char *, struct passwd *, char *, size_t, struct passwd **);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "getpwnam_r");
    spared = true;
    int failed = next(name, user, room, n, found);
    spared = false;
    return failed;
}

/* --- Memory: libc's own entries, for dlsym may allocate -----------------------------------------
 */

void *malloc(size_t n)
{
    return fails(CALL_malloc) ? NULL : __libc_malloc(n);
}

void *calloc(size_t many, size_t n)
{
    return fails(CALL_calloc) ? NULL : __libc_calloc(many, n);
}

void *realloc(void *at, size_t n)
{
    return fails(CALL_realloc) ? NULL : __libc_realloc(at, n);
}

void *reallocarray(void *at, size_t many, size_t n)
{
    size_t all;
    if (!__builtin_mul_overflow(many, n, &all))
        return realloc(at, all);
    errno = ENOMEM;
    return NULL;
}

int posix_memalign(void **at_r, size_t alignment, size_t n)
{
    int error = fault(CALL_posix_memalign);
    void *at = error ? NULL : __libc_memalign(alignment, n);
    if (at)
        *at_r = at;
    return error ? error : at ? 0 : ENOMEM;
}

/* --- Time ------------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = next(clock, now);
    if (failed || !row)
        return failed;
    bool mono = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE;
    int64_t skew = mono ? row->skew + row->jumped : clock == CLOCK_REALTIME ? row->wall : 0;
    int64_t ns = (int64_t)now->tv_nsec + skew % NS;
    now->tv_sec += skew / NS + (ns >= NS) - (ns < 0);
    now->tv_nsec = (ns + NS) % NS;
    return 0;
}

int epoll_wait(int ep, struct epoll_event *events, int most, int timeout)
{
    static int (*next)(int, struct epoll_event *, int, int);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
    if (fails(CALL_epoll_wait))
        return -1;
    int hurry = row ? (int)row->hurry : 0;
    return next(ep, events, most, hurry && (timeout < 0 || timeout > hurry) ? hurry : timeout);
}

/* --- Beginning -------------------------------------------------------------------------------- */

static struct table *table_map(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *at = file < 0
                   ? MAP_FAILED
                   : mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr, "nth_call: %s: %s\n", path, strerror(errno));
        _exit(1); /* a test must not sweep nothing unnoticed */
    }
    close(file);
    return at;
}

/* glibc gives a constructor what main gets. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *path = getenv("NTH_CALL");
    if (!path || argc < 2)
        return;
    const char *role = argc > 2 && strcmp(argv[1], "role") == 0 ? argv[2] : argv[1];
    table = table_map(path);
    for (size_t i = 0; i < ROWS && !row; i++)
        if (strcmp(table->rows[i].role, role) == 0)
            row = &table->rows[i];
    if (row) {
        row->pid = getpid();
        row->begun++;
    }
}
