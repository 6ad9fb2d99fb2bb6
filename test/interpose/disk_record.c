/*
 * Objects are found by device and inode, as descriptors, paths and renames all lead there; an inode
 * is forgotten with its last name, as the kernel may give it again. Names are resolved by fstatat
 * on the parent, before the call, under the lock: no other recorded call can come in between.
 *
 * Calls go to the kernel by syscall(2)'s own entry, found once: each of them may be one of those
 * caught here.
 *
 * Mutable globals, because an interposed function has nowhere else to keep anything.
 */
/* Each call under its plain name: no header may put another in its place. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include "disk_record.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    OBJECTS_MAX = 16384,
    FILES_MAX = 4096, /* descriptors */
    NAME_ROOM = 64,
    PERMISSIONS = 0777,
};

struct object {
    bool named;
    dev_t device;
    ino_t inode;
    char name[NAME_ROOM];
};

struct descriptor {
    uint32_t object; /* + 1; 0: not ours */
    bool durable;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disk_record *record;
static struct object objects[OBJECTS_MAX];
static struct descriptor descriptors[FILES_MAX];
static const char *failing;
static unsigned jitter_most, jitter_seed;

/* --- The record ------------------------------------------------------------------------------ */

/* The octets come from parts; with none of them `n` octets are left zero. */
static void event_add(struct disk_event event, const struct iovec *parts, int count)
{
    uint64_t room = sizeof(event) + ((event.n + 7) & ~UINT64_C(7));
    if (record->over || record->used + room > record->size) {
        record->over = 1;
        return;
    }
    unsigned char *to = record->events + record->used;
    memcpy(to, &event, sizeof(event));
    to += sizeof(event);
    uint64_t left = event.n;
    for (int i = 0; i < count && left > 0; i++) {
        size_t n = parts[i].iov_len < left ? parts[i].iov_len : (size_t)left;
        if (n > 0)
            memcpy(to, parts[i].iov_base, n);
        to += n;
        left -= n;
    }
    record->used += room;
    record->count++;
}

static void event_text(struct disk_event event, const char *text)
{
    char copy[NAME_ROOM];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    struct iovec part = {copy, strlen(copy)};
    event.n = part.iov_len;
    event_add(event, &part, 1);
}

/* --- Objects --------------------------------------------------------------------------------- */

/* -1: not below the recorded folder. */
static int object_find(const struct stat *st)
{
    for (uint32_t i = 0; i < record->objects; i++)
        if (objects[i].named && objects[i].inode == st->st_ino && objects[i].device == st->st_dev)
            return (int)i;
    return -1;
}

static int object_add(const struct stat *st, const char *name)
{
    if (record->objects == OBJECTS_MAX) {
        record->over = 1;
        return -1;
    }
    uint32_t object = record->objects++;
    objects[object] = (struct object){true, st->st_dev, st->st_ino, ""};
    (void)snprintf(objects[object].name, NAME_ROOM, "%s", name);
    return (int)object;
}

/* A name: what folder it is in, if that is ours, and what it names now. */
struct place {
    int folder;
    int object;
    const char *name;
};

static struct place place_of(int at, const char *path)
{
    char parent[PATH_MAX];
    struct place place = {-1, -1, path};
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (strlen(path) >= sizeof(parent))
        return place;
    (void)snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 1,
                   slash ? path : ".");
    place.name = slash ? slash + 1 : path;
    if (fstatat(at, parent[0] ? parent : "/", &st, 0) < 0)
        return place;
    place.folder = object_find(&st);
    if (place.folder >= 0 && fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        place.object = object_find(&st);
    return place;
}

static void object_made(const struct place *place, const struct stat *st)
{
    int object = object_add(st, place->name);
    if (object >= 0)
        event_text((struct disk_event){.kind = DISK_CREATE,
                                       .object = (uint32_t)object,
                                       .folder = (uint32_t)place->folder,
                                       .how = S_ISDIR(st->st_mode) ? DISK_FOLDER : 0},
                   place->name);
}

static struct descriptor descriptor_of(int file)
{
    return record && file >= 0 && file < FILES_MAX ? descriptors[file] : (struct descriptor){0};
}

/* --- Calls ----------------------------------------------------------------------------------- */

typedef long (*syscall_entry)(long number, ...);

static long call(long number, long a, long b, long c, long d, long e, long f)
{
    static syscall_entry entry;
    if (!entry)
        entry = (syscall_entry)dlsym(RTLD_NEXT, "syscall");
    return entry(number, a, b, c, d, e, f);
}

#define CALL(number, a, b, c, d, e)                                                                \
    call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

static void opened(int file, const struct place *place, int flags)
{
    struct stat st;
    if (file >= FILES_MAX)
        record->over = 1;
    if (file < 0 || file >= FILES_MAX || fstat(file, &st) < 0)
        return;
    if (place->folder >= 0 && place->object < 0 && (flags & O_CREAT))
        object_made(place, &st);
    descriptors[file] =
        (struct descriptor){(uint32_t)(object_find(&st) + 1), (flags & O_DSYNC) != 0};
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    if (!record)
        return (int)CALL(SYS_openat, at, path, flags, mode, 0);
    pthread_mutex_lock(&lock);
    struct place place = place_of(at, path);
    int file = (int)CALL(SYS_openat, at, path, flags, mode, 0);
    int saved = errno;
    opened(file, &place, flags);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return file;
}

/* glibc's open: the mode is there only if something may be made. */
#define OPEN(at, path, flags)                                                                      \
    do {                                                                                           \
        mode_t mode = 0;                                                                           \
        if ((flags) & (O_CREAT | O_TMPFILE)) {                                                     \
            va_list list;                                                                          \
            va_start(list, flags);                                                                 \
            mode = va_arg(list, mode_t);                                                           \
            va_end(list);                                                                          \
        }                                                                                          \
        return open_any(at, path, flags, mode);                                                    \
    } while (0)

int open(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags);
}

int openat(int at, const char *path, int flags, ...)
{
    OPEN(at, path, flags);
}

int close(int file)
{
    if (!record || file < 0 || file >= FILES_MAX)
        return (int)CALL(SYS_close, file, 0, 0, 0, 0);
    pthread_mutex_lock(&lock);
    descriptors[file] = (struct descriptor){0};
    int rc = (int)CALL(SYS_close, file, 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* It closes a descriptor that was opened here, without a call of close that could be caught. */
int closedir(DIR *listing)
{
    static int (*next)(DIR *);
    if (!next)
        next = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");
    int file = dirfd(listing);
    if (record && file >= 0 && file < FILES_MAX) {
        pthread_mutex_lock(&lock);
        descriptors[file] = (struct descriptor){0};
        pthread_mutex_unlock(&lock);
    }
    return next(listing);
}

/* Written octets are recorded as many as the kernel took. */
static void written(struct descriptor to, uint64_t at, ssize_t n, const struct iovec *parts,
                    int count)
{
    if (n > 0)
        event_add((struct disk_event){.kind = DISK_WRITE,
                                      .object = to.object - 1,
                                      .how = to.durable ? DISK_DURABLE : 0,
                                      .at = at,
                                      .n = (uint64_t)n},
                  parts, count);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at)
{
    struct descriptor to = descriptor_of(file);
    if (!to.object)
        return CALL(SYS_pwritev, file, parts, count, at, 0);
    pthread_mutex_lock(&lock);
    ssize_t n = CALL(SYS_pwritev, file, parts, count, at, 0);
    written(to, (uint64_t)at, n, parts, count);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t pwrite(int file, const void *octets, size_t n, off_t at)
{
    if (!descriptor_of(file).object)
        return CALL(SYS_pwrite64, file, octets, n, at, 0);
    struct iovec part = {.iov_len = n};
    memcpy(&part.iov_base, &octets, sizeof(octets)); /* it is only read */
    return pwritev(file, &part, 1, at);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    struct descriptor to = descriptor_of(file);
    if (!to.object)
        return CALL(SYS_writev, file, parts, count, 0, 0);
    pthread_mutex_lock(&lock);
    off_t at = lseek(file, 0, SEEK_CUR);
    ssize_t n = CALL(SYS_writev, file, parts, count, 0, 0);
    written(to, (uint64_t)at, n, parts, count);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t write(int file, const void *octets, size_t n)
{
    if (!descriptor_of(file).object)
        return CALL(SYS_write, file, octets, n, 0, 0);
    struct iovec part = {.iov_len = n};
    memcpy(&part.iov_base, &octets, sizeof(octets));
    return writev(file, &part, 1);
}

int ftruncate(int file, off_t size)
{
    struct descriptor to = descriptor_of(file);
    if (!to.object)
        return (int)CALL(SYS_ftruncate, file, size, 0, 0, 0);
    pthread_mutex_lock(&lock);
    int rc = (int)CALL(SYS_ftruncate, file, size, 0, 0, 0);
    if (rc == 0)
        event_add((struct disk_event){.kind = DISK_TRUNCATE,
                                      .object = to.object - 1,
                                      .at = (uint64_t)size},
                  NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

/* Of its many ways only the writing of zeroes is followed. */
int fallocate(int file, int mode, off_t at, off_t n)
{
    struct descriptor to = descriptor_of(file);
    if (!to.object)
        return (int)CALL(SYS_fallocate, file, mode, at, n, 0);
    pthread_mutex_lock(&lock);
    int rc = (int)CALL(SYS_fallocate, file, mode, at, n, 0);
    if (rc == 0 && mode != 0x80)
        record->over = 1;
    if (rc == 0)
        written(to, (uint64_t)at, (ssize_t)n, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static int sync_recorded(struct descriptor of)
{
    bool fails = failing && ends_with(objects[of.object - 1].name, failing);
    event_add((struct disk_event){.kind = DISK_SYNC,
                                  .object = of.object - 1,
                                  .how = fails ? DISK_FAILED : 0},
              NULL, 0);
    if (!fails)
        return 0;
    failing = NULL;
    errno = EIO;
    return -1;
}

static int sync_any(int file, long number)
{
    struct descriptor of = descriptor_of(file);
    if (!of.object)
        return (int)CALL(number, file, 0, 0, 0, 0);
    if (jitter_most > 0)
        usleep((unsigned)rand_r(&jitter_seed) % (jitter_most + 1));
    pthread_mutex_lock(&lock);
    int rc = sync_recorded(of);
    pthread_mutex_unlock(&lock);
    return rc;
}

int fdatasync(int file)
{
    return sync_any(file, SYS_fdatasync);
}

int fsync(int file)
{
    return sync_any(file, SYS_fsync);
}

/* --- Names ----------------------------------------------------------------------------------- */

static void renamed(const struct place *from, const struct place *to)
{
    if (from->folder < 0 || to->folder < 0 || from->object < 0) {
        record->over = record->over || (from->folder >= 0) != (to->folder >= 0);
        return;
    }
    if (to->object >= 0)
        objects[to->object].named = false;
    (void)snprintf(objects[from->object].name, NAME_ROOM, "%s", to->name);
    event_text((struct disk_event){.kind = DISK_RENAME,
                                   .object = (uint32_t)from->object,
                                   .folder = (uint32_t)to->folder,
                                   .at = (uint64_t)from->folder},
               to->name);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    if (!record)
        return (int)CALL(SYS_renameat, from_at, from, to_at, to, 0);
    pthread_mutex_lock(&lock);
    struct place old = place_of(from_at, from), new = place_of(to_at, to);
    int rc = (int)CALL(SYS_renameat, from_at, from, to_at, to, 0);
    if (rc == 0)
        renamed(&old, &new);
    pthread_mutex_unlock(&lock);
    return rc;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int at, const char *path, int flags)
{
    if (!record)
        return (int)CALL(SYS_unlinkat, at, path, flags, 0, 0);
    pthread_mutex_lock(&lock);
    struct place place = place_of(at, path);
    int rc = (int)CALL(SYS_unlinkat, at, path, flags, 0, 0);
    if (rc == 0 && place.folder >= 0 && place.object >= 0) {
        objects[place.object].named = false;
        event_add((struct disk_event){.kind = DISK_REMOVE,
                                      .object = (uint32_t)place.object,
                                      .folder = (uint32_t)place.folder},
                  NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    if (!record)
        return (int)CALL(SYS_mkdirat, at, path, mode, 0, 0);
    pthread_mutex_lock(&lock);
    struct place place = place_of(at, path);
    struct stat st;
    int rc = (int)CALL(SYS_mkdirat, at, path, mode, 0, 0);
    int saved = errno;
    if (rc == 0 && place.folder >= 0 && fstatat(at, path, &st, 0) == 0)
        object_made(&place, &st);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* openat2 has no wrapper: its callers come this way. */
struct open_how_head {
    uint64_t flags, mode, resolve;
};

long syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (!record || number != SYS_openat2)
        return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    const char *path;
    struct open_how_head *how;
    memcpy(&path, &a[1], sizeof(path));
    memcpy(&how, &a[2], sizeof(how));
    pthread_mutex_lock(&lock);
    struct place place = place_of((int)a[0], path);
    long file = call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int saved = errno;
    opened((int)file, &place, (int)how->flags);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return file;
}

/* The 64 variants are the same on the machines we build for, where off_t has 64 bits. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int at, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int file, const void *octets, size_t n, off_t at) __attribute__((alias("pwrite")));
ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t at)
    __attribute__((alias("pwritev")));
int ftruncate64(int file, off_t size) __attribute__((alias("ftruncate")));
int fallocate64(int file, int mode, off_t at, off_t n) __attribute__((alias("fallocate")));

/* --- Beginning and end ----------------------------------------------------------------------- */

static void file_keep(uint32_t object, const char *path)
{
    char octets[65536];
    uint64_t at = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    while (file >= 0 && (n = read(file, octets, sizeof(octets))) > 0) {
        struct iovec part = {octets, (size_t)n};
        written((struct descriptor){object + 1, true}, at, n, &part, 1);
        at += (uint64_t)n;
    }
    if (file < 0 || n < 0)
        record->over = 1;
    if (file >= 0)
        close(file);
}

/* What is there already. A store is three folders deep at most, so this is no endless descent. */
static void folder_keep(uint32_t folder, const char *path)
{
    DIR *listing = opendir(path);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char below[PATH_MAX];
        struct stat st;
        struct place place = {.folder = (int)folder, .object = -1, .name = entry->d_name};
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (lstat(below, &st) < 0)
            continue;
        uint32_t object = record->objects;
        object_made(&place, &st);
        if (S_ISDIR(st.st_mode))
            folder_keep(object, below);
        else
            file_keep(object, below);
    }
    if (listing)
        closedir(listing);
    event_add((struct disk_event){.kind = DISK_SYNC, .object = folder}, NULL, 0);
}

void disk_record_begin(struct disk_record *to, const char *folder, unsigned jitter, unsigned seed)
{
    struct stat st;
    memset(objects, 0, sizeof(objects));
    memset(descriptors, 0, sizeof(descriptors));
    to->used = to->count = 0;
    to->objects = to->over = 0;
    jitter_most = 0;
    jitter_seed = seed;
    failing = NULL;
    record = to;
    if (stat(folder, &st) < 0 || object_add(&st, "") != 0)
        record->over = 1;
    folder_keep(0, folder);
    jitter_most = jitter;
}

void disk_record_note(const void *octets, size_t n)
{
    struct iovec part = {.iov_len = n};
    memcpy(&part.iov_base, &octets, sizeof(octets));
    pthread_mutex_lock(&lock);
    if (record)
        event_add((struct disk_event){.kind = DISK_NOTE, .n = n}, &part, 1);
    pthread_mutex_unlock(&lock);
}

void disk_record_fail_sync(const char *name_end)
{
    pthread_mutex_lock(&lock);
    failing = name_end;
    pthread_mutex_unlock(&lock);
}

void disk_record_end(void)
{
    pthread_mutex_lock(&lock);
    record = NULL;
    pthread_mutex_unlock(&lock);
}
