/*
 * The index under the local engine: an ordered map from short keys to short values, with the
 * position in the log up to which it is complete. Two of them: LMDB (index_lmdb.c) and a sorted map
 * in memory (index_map.c) for the memory engine. It holds nothing that cannot be rebuilt from the
 * log, and is never in the way of a 250.
 *
 * Reading, from any thread, through a view: one consistent state, as the last `write` that ended
 * left it. One thread uses a view. A view may live as long as its reader likes, but it keeps what
 * was removed since from being given back, and LMDB's map cannot grow while one is open: the loop
 * opens them for a call and never yields in between, a checkpoint for its length on a lane.
 * Writing: one lane, one `write` at a time, concurrently with views.
 *
 * Every value carries a CRC32C over key and value. What does not match is never given out: it
 * counts as not there, and `damaged` says so.
 */
#ifndef STORE_LOCAL_INDEX_H
#define STORE_LOCAL_INDEX_H

#include "base/err.h"

enum {
    INDEX_KEY_MAX = 480,
    INDEX_VALUE_MAX = 128 * 1024
};

/* The files of the LMDB index within its folder. The caller removes them to begin anew. */
#define INDEX_LMDB_DATA STR("data.mdb")
#define INDEX_LMDB_LOCK STR("lock.mdb")

struct index;
struct index_view;

/* A place in the log: everything before it is in the index. */
struct log_position {
    uint64_t segment; /* sequence number of the segment, from 1; 0: nothing yet */
    uint64_t offset;  /* octets from its start */
};

struct index_change {
    struct str key;
    struct str value; /* p == NULL: remove */
};

struct index_ops {
    /* Applies the changes in order, sets the position, all of it durable or none. Keys are of 1 to
     * INDEX_KEY_MAX octets, values at most INDEX_VALUE_MAX. Waits for the disk; on the applier's
     * lane. After a failed sync it refuses everything until it is opened again (E7). */
    struct err (*write)(struct index *, const struct index_change *, size_t count,
                        struct log_position);
    struct err (*view_begin)(struct index *, struct index_view **view_r);
    void (*view_end)(struct index *, struct index_view *);
    struct log_position (*position)(struct index_view *);
    /* false: not there. The value is borrowed until view_end. */
    bool (*get)(struct index_view *, struct str key, struct str *value_r);
    /* The first entry with key >= from; false: none. Borrowed until the next seek or view_end. */
    bool (*seek)(struct index_view *, struct str from, struct str *key_r, struct str *value_r);
    /* The entry after the last seek or next. */
    bool (*next)(struct index_view *, struct str *key_r, struct str *value_r);
    /* Something that was read through this view failed its check: what get, seek, next and position
     * said may be wrong, and means ERR_STORE_DAMAGED. */
    bool (*damaged)(struct index_view *);
    /* Reads all of it without trusting any of it: ERR_STORE_DAMAGED with what is wrong as detail (a
     * literal). No write may run. Waits for the disk. */
    struct err (*check)(struct index *);
    /* Empties it without looking at what is in it; position nothing. No view may be open and no
     * write may run. Needs the right to make files. After an error only close is allowed. */
    struct err (*reset)(struct index *);
    void (*close)(struct index *);
};

struct index {
    const struct index_ops *ops;
};

/*
 * `path` is the folder, which must exist; nothing is opened later. `map` is the least size of the
 * map in octets, 0 for the usual one (address space, not memory and not disk); it doubles as
 * needed, once no view is open. ERR_STORE_DAMAGED when the file is not ours or broken: the caller
 * removes it and rebuilds it from the log.
 */
struct err index_lmdb_open(struct str path, uint64_t map, struct index **index_r);
struct err index_map_open(struct index **index_r);

#endif
