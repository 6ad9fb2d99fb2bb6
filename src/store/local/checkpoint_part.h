/*
 * The deltas of a checkpoint record (doc/format.md): a piece of the index as rows, and what is
 * needed to know whether all pieces are there. Pure. What is decoded borrows from the input.
 */
#ifndef STORE_LOCAL_CHECKPOINT_PART_H
#define STORE_LOCAL_CHECKPOINT_PART_H

#include "base/wire.h"
#include "store/local/index.h"

enum {
    CHECKPOINT_PART_SOFT = 1024 * 1024, /* octets of rows after which a part is closed */
    CHECKPOINT_PART_MAX = CHECKPOINT_PART_SOFT + INDEX_KEY_MAX + INDEX_VALUE_MAX + 64,
};

struct checkpoint_part {
    uint64_t serial;              /* of the checkpoint: higher is newer */
    struct log_position position; /* what it is a picture of */
    uint32_t part;                /* from 0 */
    bool last;
    uint64_t rows_before; /* in the parts before this one */
    uint32_t sum;         /* CRC32C of the rows' octets of all parts up to this one */
    uint32_t rows;
    struct str octets; /* the rows: key, value */
};

/* Appends it, padded to a multiple of 8. */
void checkpoint_part_put(struct buf *to, const struct checkpoint_part *part);
/* A row of part->octets. */
void checkpoint_row_put(struct buf *rows, struct str key, struct str value);

/* False: damaged. The rows are looked at by checkpoint_row_get. */
bool checkpoint_part_get(struct str deltas, struct checkpoint_part *part_r);
/* Takes the next row off; false: damaged. */
bool checkpoint_row_get(struct wire_in *rows, struct str *key_r, struct str *value_r);

#endif
