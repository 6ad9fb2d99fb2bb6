/*
 * From a record of what was done to a folder (disk_record.h) to the disks that a power cut may have
 * left of it.
 *
 * A cut at event p: what came before p may be there, what comes from p on is not. Surely there is,
 * of a file, what was written before its last sync, or through a descriptor that syncs each write;
 * of a folder, the names as they were at its last sync. Everything else is open: each write is
 * kept, lost, or torn at its sectors of 512 octets; each change of a name is kept or lost, and once
 * one of a file is lost, so are its later ones, up to one that is durable. A rename is one change,
 * durable when either of its folders is synced. What a failed sync was to cover stays open for
 * ever.
 *
 * The states of a cut are numbered. Where at most MASK_BITS changes are open, state k < 2^changes
 * keeps those whose bit is set in k; further states, and all where more are open, draw.
 */
#ifndef CRASH_IMAGE_H
#define CRASH_IMAGE_H

#include "base/str.h"
#include "disk_record.h"

enum {
    SECTOR = 512,
    MASK_BITS = 6,
    DRAWN_STATES = 12, /* of each cut, beside those by mask */
};

struct cut {
    uint32_t at;          /* an index into events */
    uint32_t open;        /* changes that are */
    uint64_t first_state; /* number of the record's states before this cut's */
};

struct history {
    const struct disk_record *record;
    const struct disk_event **events;
    uint32_t count;
    struct cut *cuts;
    uint32_t cut_count;
    uint64_t states;
};

/* Every moment from event `from` on at which a cut could leave something that it could not a moment
 * before. The record is borrowed. */
void history_init(struct history *history, const struct disk_record *record, uint32_t from);
void history_done(struct history *history);

/* Where state number `state` (of history->states) is: its cut, and which one of the cut's. */
const struct cut *history_state(const struct history *history, uint64_t state, uint64_t *k_r);

/* Makes the folder `path` (which must not exist) as that state has it. False: it could not. */
bool image_build(const struct history *history, uint32_t at, uint64_t k, uint64_t seed,
                 const char *path);

/* The same with everything kept, up to the end: the folder as its process left it. */
bool image_build_whole(const struct history *history, const char *path);

static inline struct str event_octets(const struct disk_event *event)
{
    return str_make(event + 1, (size_t)event->n);
}

#endif
