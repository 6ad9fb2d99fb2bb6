/*
 * Workloads: what is done to a store while it is recorded. One row each.
 */
#ifndef CRASH_WORKLOAD_H
#define CRASH_WORKLOAD_H

#include "image.h"
#include "trial.h"

/* What the store is at the start. */
enum workload_base {
    BASE_NOTHING,
    BASE_CUT,     /* a state of the record before: its start is recorded too */
    BASE_DAMAGED, /* the same, with damage done to it, and fsck --repair recorded */
};

struct workload {
    const char *name;
    unsigned writers;
    unsigned commits;
    unsigned body; /* octets, at most, of a body that is no upload */
    /* Of a hundred commits, so many ... */
    unsigned uploads, flags, expunges;
    /* ... and behind so many of a hundred: */
    unsigned applies, checkpoints, compactions;
    bool fails; /* a sync of the log does, once */
    enum workload_base base;
};

extern const struct workload workloads[];
extern const unsigned workload_count;

/* A state of an earlier record to begin with. */
struct workload_from {
    const struct history *history;
    uint32_t at;
    uint64_t k, seed;
};

/* In a process of its own: makes the folder `path`, does the work in it, and records it.
 * False: the store could not be opened, or what it then held was wrong. */
bool workload_run(const struct workload *workload, uint64_t seed, struct disk_record *record,
                  const char *path, const struct workload_from *from);

/* The same, recorded by nobody: on a disk whose blocks are (blocks.py). Notes go to `notes`, a
 * device or file opened past the cache, from `notes_at` on: a NOTE_BLOCK each. */
bool workload_live(const struct workload *workload, uint64_t seed, const char *path, int notes,
                   uint64_t notes_at);

#endif
