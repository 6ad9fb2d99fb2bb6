/*
 * Octets that are given out piece by piece into slabs of a peer: what stands in front of a message,
 * then its body. Inside src/core only.
 */
#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include "core/peer.h"
#include "store/engine.h"

enum {
    SOURCE_CHUNK = 16 * 1024,      /* what has a checksum of its own (engine.h) */
    SOURCE_WHOLE_MOST = 64 * 1024, /* octets of head and body that are read at once */
};

struct source {
    struct engine *engine;
    blob_id blob;
    struct str front; /* the prefix, or all there is */
    struct str body;  /* what is behind it; null: still to be read */
    uint64_t total;
    bool binary; /* parts of it may be */
};

/* May yield. The head of source->blob, and its body where both are small; in the arena. */
struct err source_blob(struct source *source, struct arena *arena, struct str *head_r,
                       uint64_t *body_octets_r);

/* The slabs that a peer offers, filled in order. */
struct slab_row {
    struct iovec *parts;
    size_t count, at; /* which part is filled next, */
    size_t filled;    /* from here on */
    uint64_t room;    /* in all that is left */
};

/* ERR_BUS_BROKEN: a slab out of range. */
struct err slab_row_take(struct request *request, const struct msg_slab *slabs, size_t count,
                         struct slab_row *row);
/* There is room for it. */
void slab_row_put(struct slab_row *row, struct str octets);

/*
 * May yield. Fills the slabs with the source's octets from `at` on, a stretch at a time, so that
 * each chunk is read and summed once, and no more than fits whole: what is given may be less than
 * was offered. Reads into memory of our own, then copies: nothing is checked where the peer can
 * change it.
 */
struct err source_fill(struct request *request, const struct source *source,
                       const struct msg_slab *slabs, size_t count, uint64_t at, uint64_t *octets_r);

#endif
