/*
 * disk_record: keeps, in order, everything a process does to the files below one folder: its own
 * system calls and those of the libraries in it, LMDB's above all. A test program that links it has
 * its calls caught, as one that is started with it as LD_PRELOAD would; without a recording begun
 * they go on to the kernel as they are.
 *
 * The record is shared memory that the caller gives, so that it outlives the process. One lock is
 * held over a call and its entry: the order of the entries is an order in which the calls happened,
 * and a sync covers exactly the writes before it. What is written through a map is not seen (LMDB's
 * lock file, whose octets nobody reads after a crash).
 */
#ifndef INTERPOSE_DISK_RECORD_H
#define INTERPOSE_DISK_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_event_kind {
    DISK_CREATE = 1, /* object got the name (the octets) in `folder` */
    DISK_WRITE,      /* the octets, from `at` on */
    DISK_TRUNCATE,   /* the size is `at` now */
    DISK_SYNC,       /* a file, or a folder and its names */
    DISK_RENAME,     /* object has the name (the octets) in `folder` now, and no other */
    DISK_REMOVE,     /* object lost its name, which was in `folder` */
    DISK_NOTE,       /* the octets are the caller's */
};

enum disk_event_how {
    DISK_FOLDER = 1, /* CREATE: a folder */
    DISK_DURABLE,    /* WRITE: by a descriptor whose writes are synced one by one */
    DISK_FAILED,     /* SYNC: the caller was told that it failed */
};

struct disk_event {
    uint32_t kind;
    uint32_t object; /* a file or folder; 0: the recorded folder itself */
    uint32_t folder;
    uint32_t how;
    uint64_t at;
    uint64_t n; /* octets that follow, then zeroes up to a multiple of 8 */
};

struct disk_record {
    uint64_t size; /* of `events` */
    uint64_t used;
    uint64_t count;
    uint32_t objects;
    uint32_t over; /* did not fit, or could not be followed: the record is worth nothing */
    unsigned char events[];
};

/* What lies in `folder` (a path) is recorded first, as made and synced; then every call, until
 * disk_record_end. Syncs come up to `jitter` microseconds late, so that threads meet. */
void disk_record_begin(struct disk_record *record, const char *folder, unsigned jitter,
                       unsigned seed);
void disk_record_note(const void *octets, size_t n);
/* The next sync of a file whose name ends so fails with EIO, once. NULL: none. */
void disk_record_fail_sync(const char *name_end);
void disk_record_end(void);

#endif
