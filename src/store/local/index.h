/*
 * The index under the local engine: an ordered map from short keys to short values, with the
 * position in the log up to which it is complete. Two of them: LMDB (index_lmdb.c) and a sorted map
 * in memory (index_map.c) for the memory engine. It holds nothing that cannot be rebuilt from the
 * log, and is never in the way of a 250.
 *
 * Reading: the loop's thread, through a view: one consistent state, found as the last index_write
 * left it. A view is short: no yield while one is open. Writing: one lane, one index_write at a
 * time, concurrently with views.
 */
#ifndef STORE_LOCAL_INDEX_H
#define STORE_LOCAL_INDEX_H

#include "base/err.h"

enum {
    INDEX_KEY_MAX = 480
};

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
    /* Applies the changes in order, sets the position, all of it durable or none. Waits for the
     * disk; on the applier's lane. */
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
    void (*close)(struct index *);
};

struct index {
    const struct index_ops *ops;
};

/* `path` is the folder; the map grows as needed with no view open. ERR_STORE_DAMAGED when the file
 * is not ours or broken: the caller rebuilds it from the log. */
struct err index_lmdb_open(struct str path, struct index **index_r);
struct err index_map_open(struct index **index_r);

#endif
