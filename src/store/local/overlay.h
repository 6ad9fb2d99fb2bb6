/*
 * The overlay: rows that are newer than the index, tombstones included; and struct layers, several
 * overlays above one index view read as if they were one map.
 *
 * Every stage of a commit is an overlay of its own: what a commit changes, what its group changes,
 * what is durable and waits for the applier, what the applier writes just now. So nothing has to be
 * undone: a stage that fails is dropped, one that succeeds is moved into the one below it, and
 * moving cannot fail.
 *
 * Memory: each row by itself, owned by its overlay, from the spares the overlay was given; it goes
 * back to those of the overlay it is in at its end. A frozen overlay is read by the applier's
 * thread (overlay_rows); the loop may find and walk in it meanwhile, but changes nothing.
 */
#ifndef STORE_LOCAL_OVERLAY_H
#define STORE_LOCAL_OVERLAY_H

#include <bsd/sys/tree.h>

#include "base/spares.h"
#include "store/engine.h"
#include "store/local/index.h"

struct row {
    struct row *chain; /* the next one of its slot */
    union {
        RB_ENTRY(row) tree;    /* once it is ordered */
        TAILQ_ENTRY(row) list; /* until then */
    };
    uint32_t hash;
    uint32_t key_n;
    uint32_t value_n;
    bool removed; /* a tombstone: hides the row in the layers below */
    bool ordered;
    char octets[];
};

RB_HEAD(row_tree, row);
TAILQ_HEAD(row_list, row);

/* A body file whose blob has no owner any more. */
struct doomed {
    STAILQ_ENTRY(doomed) link;
    blob_id blob;
};

STAILQ_HEAD(doomed_list, doomed);

enum {
    OVERLAY_FEW = 32 /* slots that cost no memory of their own; a delivery has a dozen rows */
};

struct overlay {
    struct row **slots; /* a hash table of all rows */
    size_t slot_count;  /* a power of two */
    struct row *few[OVERLAY_FEW];
    struct row_tree ordered; /* those that were there when somebody walked last */
    struct row_list unordered;
    size_t count;
    uint64_t octets; /* of memory */
    struct doomed_list doomed;
    struct spares *spares;
};

/* The spares are borrowed; NULL: malloc. */
void overlay_init(struct overlay *overlay, struct spares *spares);
/* Gives every row back; usable afterwards. */
void overlay_clear(struct overlay *overlay);
/* Writes or replaces; value.p == NULL leaves a tombstone. False: no memory, nothing changed. */
bool overlay_put(struct overlay *overlay, struct str key, struct str value);
/* The value is the parts one after the other; none: a tombstone. The row, or NULL: no memory. */
struct row *overlay_put_parts(struct overlay *overlay, struct str key, const struct str *parts,
                              size_t count);
bool overlay_doom(struct overlay *overlay, blob_id blob);
/* Moves every row of `from` over those of `to`; `from` is empty then. Cannot fail. */
void overlay_move(struct overlay *to, struct overlay *from);

/* Drops every row (and what is doomed) but those whose keys begin so. Cannot fail. */
void overlay_keep_only(struct overlay *overlay, struct str prefix);

static inline struct str row_key(const struct row *row)
{
    return str_make(row->octets, row->key_n);
}

/* str_null for a tombstone. */
static inline struct str row_value(const struct row *row)
{
    return row->removed ? str_null() : str_make(row->octets + row->key_n, row->value_n);
}

/* The first row >= from. What came since the last walk is put in order first. */
struct row *overlay_seek(struct overlay *overlay, struct str from);
struct row *overlay_next(struct row *row);
/* All rows, in key order, into an array of overlay->count. */
void overlay_rows(const struct overlay *overlay, const struct row **rows);

enum {
    LAYERS_MAX = 5 /* a commit's own, its group's, the flying group's, two that are durable */
};

/* Overlays, newest first, above an index view (NULL: none). */
struct layers {
    struct overlay *overlays[LAYERS_MAX];
    size_t count;
    struct index *index;
    struct index_view *view;
};

/* False: not there, or removed. *value_r is borrowed until a layer changes or the view ends. */
bool layers_get(const struct layers *layers, struct str key, struct str *value_r);
/* In the first overlay alone. */
bool layers_get_first(const struct layers *layers, struct str key, struct str *value_r);

/* Walks the keys that begin with `prefix`, in order, tombstones left out. It has to know where it
 * ends: behind the last of them the tombstones of others may lie in thousands. Uses the view's one
 * cursor: one walk at a time, and layers_get meanwhile is allowed (it does not move the cursor). */
struct layers_walk {
    const struct layers *layers;
    struct str prefix;
    struct row *rows[LAYERS_MAX];
    struct str index_key, index_value;
    bool index_has;
    bool index_given;
};

/* The first of them >= from, which begins so, too. The prefix is borrowed while the walk goes on.
 */
void layers_seek(struct layers_walk *walk, const struct layers *layers, struct str from,
                 struct str prefix);
/* False at the end. */
bool layers_next(struct layers_walk *walk, struct str *key_r, struct str *value_r);

#endif
