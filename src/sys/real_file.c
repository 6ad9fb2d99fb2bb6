/*
 * What is done to an open file. A write is all or an error: the engine writes a group of records in
 * one call and has no use for half of it, so the loop over short counts is here, once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sys/real.h"

#ifndef FALLOC_FL_WRITE_ZEROES
#define FALLOC_FL_WRITE_ZEROES 0x80 /* Linux 6.17 */
#endif

enum {
    ZERO_PAGE = 16 * 1024,
    ZERO_PARTS = 64, /* of one write */
};

int64_t real_file_size(struct world *world, int file)
{
    (void)world;
    struct stat st;
    return fstat(file, &st) < 0 ? -errno : st.st_size;
}

/* Reads until n or the end; `flags` as for preadv2. */
static ssize_t read_all(int file, void *to, size_t n, uint64_t at, int flags)
{
    size_t got = 0;
    while (got < n) {
        struct iovec part = {(char *)to + got, n - got};
        ssize_t more = preadv2(file, &part, 1, (off_t)(at + got), flags);
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return -errno;
        if (more == 0)
            break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

ssize_t real_file_read(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    (void)world;
    return read_all(file, to, n, at, 0);
}

/* A part of the range that is not in memory makes the whole of it -EAGAIN: the caller then asks
 * again from a thread, and reads what was there a second time at the price of a copy. */
ssize_t real_file_read_nowait(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    (void)world;
    ssize_t got = read_all(file, to, n, at, RWF_NOWAIT);
    return got == -EOPNOTSUPP || got == -ENOSYS ? -EAGAIN : got;
}

struct parts {
    const struct iovec *next;
    int left;
    uint64_t at;
    size_t total;
};

/* n more bytes were written: steps over the parts they fill and says how far into the next one. */
static size_t parts_advance(struct parts *parts, size_t n)
{
    while (parts->left > 0 && n >= parts->next->iov_len) {
        n -= parts->next->iov_len;
        parts->at += parts->next->iov_len;
        parts->total += parts->next->iov_len;
        parts->next++;
        parts->left--;
    }
    return n;
}

/* The caller's parts are not ours to change, so one that was cut is finished by itself. */
static int finish_part(int file, struct parts *parts, size_t done)
{
    struct iovec part = *parts->next;
    while (done < part.iov_len) {
        ssize_t n = pwrite(file, (char *)part.iov_base + done, part.iov_len - done,
                           (off_t)(parts->at + done));
        if (n == 0)
            return -EIO;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    parts_advance(parts, part.iov_len);
    return 0;
}

ssize_t real_file_write(struct world *world, int file, const struct iovec *parts, int count,
                        uint64_t at)
{
    (void)world;
    struct parts p = {.next = parts, .left = count, .at = at};
    parts_advance(&p, 0);
    while (p.left > 0) {
        ssize_t n = pwritev(file, p.next, p.left < IOV_MAX ? p.left : IOV_MAX, (off_t)p.at);
        if (n == 0)
            return -EIO;
        if (n < 0 && errno != EINTR)
            return -errno;
        size_t done = n > 0 ? parts_advance(&p, (size_t)n) : 0;
        int failed = done > 0 ? finish_part(file, &p, done) : 0;
        if (failed)
            return failed;
    }
    return (ssize_t)p.total;
}

/* Never tried again after a failure: the kernel has then dropped what it could not write. */
int real_file_sync(struct world *world, int file)
{
    (void)world;
    return fdatasync(file) < 0 ? -errno : 0;
}

int real_folder_sync(struct world *world, int folder)
{
    (void)world;
    return fsync(folder) < 0 ? -errno : 0;
}

int real_file_truncate(struct world *world, int file, uint64_t size)
{
    (void)world;
    return ftruncate(file, (off_t)size) < 0 ? -errno : 0;
}

/* One page of zeroes, named many times: a megabyte of them would be fetched anew for each step. */
static int write_zeroes(struct world *world, int file, uint64_t at, uint64_t n)
{
    static const char zeroes[ZERO_PAGE];
    struct iovec parts[ZERO_PARTS];
    const uint64_t most = sizeof(zeroes) * ZERO_PARTS;
    while (n > 0) {
        uint64_t piece = n < most ? n : most;
        int count = 0;
        for (uint64_t left = piece; left > 0; left -= parts[count++].iov_len)
            parts[count] =
                (struct iovec){(void *)(uintptr_t)zeroes, left < ZERO_PAGE ? left : ZERO_PAGE};
        ssize_t wrote = real_file_write(world, file, parts, count, at);
        if (wrote < 0)
            return (int)wrote;
        at += piece;
        n -= piece;
    }
    return 0;
}

/* The device's own way first: no byte crosses to it, and the blocks count as written all the same.
 */
int real_file_zero(struct world *world, int file, uint64_t at, uint64_t n)
{
    if (n == 0 || fallocate(file, FALLOC_FL_WRITE_ZEROES, (off_t)at, (off_t)n) == 0)
        return 0;
    if (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG || errno == EBADF)
        return -errno;
    return write_zeroes(world, file, at, n);
}

int real_file_lock(struct world *world, int file)
{
    (void)world;
    return flock(file, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int64_t real_folder_free(struct world *world, int folder)
{
    (void)world;
    struct statvfs fs;
    return fstatvfs(folder, &fs) < 0 ? -errno : (int64_t)(fs.f_bavail * fs.f_frsize);
}
