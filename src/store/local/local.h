/*
 * The local engine: opening it, looking at it, mending it. Its files and their format are described
 * in doc/format.md; how a commit travels through it, in the head of local/commit.c.
 */
#ifndef STORE_LOCAL_H
#define STORE_LOCAL_H

#include "store/engine.h"
#include "store/local/index.h"
#include "sys/worker.h"

struct local_settings {
    uint64_t segment_size;  /* octets; 64 MB */
    uint64_t overlay_soft;  /* octets not yet applied that start the applier; 8 MB */
    uint64_t overlay_hard;  /* octets beyond which commits wait for it; 64 MB */
    int64_t apply_every;    /* ns; 10 s */
    bool prefill;           /* zero-fill segments ahead (false: grow them) */
    unsigned compact_below; /* a segment whose live share in % is lower is compacted; 50 */
    uint64_t least_free;    /* octets that must stay free on the disk; commits get DISK_FULL */
};

void local_settings_default(struct local_settings *settings);

/*
 * Opens the store in `folder` (a handle), creating it where `create`, under its lock
 * (ERR_STORE_LOCKED). Replays the log above the index. On a fiber. The index is taken over.
 * `replayed` (may be NULL) is called for every replayed commit that had a tag, oldest first: its
 * operations as they were ordered (an ADD's value is the sum). Usually that is what the last round
 * of the applier had not reached; after an index was lost it is all that the log holds.
 * Damage does not fail the open: the engine then serves what is whole, refuses commits with
 * ERR_STORE_DAMAGED and says so in local_status.
 */
struct err local_open(struct loop *loop, int folder, struct index *index,
                      const struct local_settings *settings, bool create,
                      void (*replayed)(void *arg, struct str tag, const struct op *ops,
                                       size_t count),
                      void *arg, struct engine **engine_r);

/* A setting that may change while the engine serves. Never yields. */
void local_set_least_free(struct engine *engine, uint64_t least_free);

/* How the store is. (The memory engine is the same code over the fake world's disk, with the map as
 * its index.) */
struct local_status {
    uint64_t segments, segments_free;
    /* Of the segments: bodies that somebody has, the rest of what was written, and what was not. */
    uint64_t bytes_live, bytes_dead, bytes_unused;
    uint64_t blobs, entries;
    uint64_t commits, groups, syncs, bytes_logged, applier_rounds, compactions, checkpoints;
    uint64_t overlay_bytes;
    bool read_only;
    bool full; /* less than least_free is free: commits that only take away are let through */
    bool damaged;
    char why[256]; /* what is damaged, or why it is read-only or full; "" otherwise */
};

void local_status(struct engine *engine, struct local_status *status_r);

/* For tests and the operator; all may yield. */
struct err local_apply_now(struct engine *engine);
struct err local_checkpoint(struct engine *engine);
struct err local_compact(struct engine *engine);

/*
 * Reads everything: every record, chunk and file, the index against the log, references against
 * entries. Calls `found` for each finding, in words. With `repair` mends what can be mended without
 * dropping a message: rebuilds a lost or wrong index, cuts a torn tail, removes leaked files,
 * writes damaged segment headers again, joins the log where a segment is missing (and says what is
 * lost), quarantines damaged blobs (kept aside, listed, never silently dropped: doc/format.md). On
 * a fiber, on an engine opened for it alone or while serving: then without repair, and without what
 * only an engine that committed nothing yet can be asked, the comparison with an index built from
 * the log alone and body files that belong to nobody. *findings_r counts what was wrong.
 */
struct err local_fsck(struct engine *engine, bool repair,
                      void (*found)(void *arg, struct str what, bool mended), void *arg,
                      uint64_t *findings_r);

#endif
