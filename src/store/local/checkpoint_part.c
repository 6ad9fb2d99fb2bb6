/*
 * Each part says how many rows and which sum stand before its end, so the last part alone proves
 * that none is missing and none is of another checkpoint.
 */
#include "store/local/checkpoint_part.h"

#include "store/local/format.h"

void checkpoint_part_put(struct buf *to, const struct checkpoint_part *part)
{
    size_t from = to->n;
    wire_put_u64(to, part->serial);
    wire_put_u64(to, part->position.segment);
    wire_put_u64(to, part->position.offset);
    wire_put_u64(to, part->rows_before);
    wire_put_u32(to, part->part);
    wire_put_u32(to, part->last ? 1 : 0);
    wire_put_u32(to, part->sum);
    wire_put_u32(to, part->rows);
    wire_put_str(to, part->octets);
    while ((to->n - from) % RECORD_ALIGN != 0 && !buf_over(to))
        wire_put_u8(to, 0);
}

void checkpoint_row_put(struct buf *rows, struct str key, struct str value)
{
    wire_put_str(rows, key);
    wire_put_str(rows, value);
}

bool checkpoint_part_get(struct str deltas, struct checkpoint_part *part_r)
{
    struct wire_in in = wire_in(deltas);
    struct checkpoint_part part = {0};
    part.serial = wire_get_u64(&in);
    part.position.segment = wire_get_u64(&in);
    part.position.offset = wire_get_u64(&in);
    part.rows_before = wire_get_u64(&in);
    part.part = wire_get_u32(&in);
    uint32_t last = wire_get_u32(&in);
    part.last = last == 1;
    part.sum = wire_get_u32(&in);
    part.rows = wire_get_u32(&in);
    part.octets = wire_get_str(&in);
    *part_r = part;
    return !in.bad && last <= 1 && in.rest.n < RECORD_ALIGN;
}

bool checkpoint_row_get(struct wire_in *rows, struct str *key_r, struct str *value_r)
{
    *key_r = wire_get_str(rows);
    *value_r = wire_get_str(rows);
    return !rows->bad && key_r->n > 0 && key_r->n <= INDEX_KEY_MAX && value_r->n <= INDEX_VALUE_MAX;
}
