/*
 * A checkpoint is the index, row by row, as one view shows it, in records of the log. With it and
 * the log behind its position a lost index is built again without the segments before; so it is
 * what allows those to be freed (background.h, F3), and it is written only when some are to be.
 *
 * It lies in the log, not in a file of its own, because the log is what is synced, checked and
 * backed up anyway, and a checkpoint that is older than what was freed would be worse than none.
 *
 * The view stays open while the parts are written. Commits go on meanwhile, and so does the
 * applier: the picture is of one position, whatever happens behind it.
 */
#include "base/crc.h"
#include "store/local/background.h"
#include "store/local/checkpoint_part.h"

enum {
    CLEAR_KEYS = 4096,            /* rows removed from an index at once */
    PARTS_MAX = 16 * 1024 * 1024, /* of all checkpoints in the log that are looked at */
    SMALL_SEGMENT_SHARE = 8,      /* a part is at most so small a share of a segment */
};

/* --- Writing --------------------------------------------------------------------------------- */

struct dump {
    struct index *index;
    struct index_view *view;
    size_t soft; /* octets of rows in a part */
    bool begun, more;
    struct str key, value; /* where `more` */
    struct buf rows;
    uint32_t row_count;
    uint64_t octets; /* of all parts so far */
};

/* On the reader lane: the next rows, up to a part's size. */
static void dump_collect(void *arg)
{
    struct dump *dump = arg;
    const struct index_ops *ops = dump->index->ops;
    buf_clear(&dump->rows);
    dump->row_count = 0;
    if (!dump->begun)
        dump->more = ops->seek(dump->view, str_null(), &dump->key, &dump->value);
    dump->begun = true;
    while (dump->more && dump->rows.n < dump->soft) {
        checkpoint_row_put(&dump->rows, dump->key, dump->value);
        dump->row_count++;
        dump->more = ops->next(dump->view, &dump->key, &dump->value);
    }
}

static struct err part_write(struct local *local, const struct checkpoint_part *part)
{
    struct buf deltas = BUF_INIT(CHECKPOINT_PART_MAX);
    checkpoint_part_put(&deltas, part);
    struct err e = buf_over(&deltas)
                       ? err_make(ERR_NO_MEMORY)
                       : record_wait(local, RECORD_CHECKPOINT, buf_str(&deltas), NULL, 0);
    buf_done(&deltas);
    return e;
}

/* All parts of one checkpoint. */
static struct err parts_write(struct local *local, struct dump *dump, struct log_position position)
{
    struct checkpoint_part part = {.serial = local->group_next, .position = position};
    struct err e;
    do {
        lane_call(&local->reader, dump_collect, dump);
        if (buf_over(&dump->rows))
            return err_make(ERR_NO_MEMORY);
        if (dump->index->ops->damaged(dump->view))
            return err_detail(ERR_STORE_DAMAGED, STR("a row of the index is damaged"));
        part.octets = buf_str(&dump->rows);
        part.rows = dump->row_count;
        part.sum = crc32c(part.sum, part.octets);
        part.last = !dump->more;
        e = part_write(local, &part);
        part.part++;
        part.rows_before += part.rows;
        dump->octets += part.octets.n;
    } while (!err_is(e) && dump->more);
    return e;
}

struct err checkpoint_write(struct local *local, struct log_position *position_r)
{
    struct dump dump = {.index = local->index, .soft = CHECKPOINT_PART_SOFT};
    if (dump.soft > local->settings.segment_size / SMALL_SEGMENT_SHARE)
        dump.soft = (size_t)(local->settings.segment_size / SMALL_SEGMENT_SHARE);
    buf_init(&dump.rows, CHECKPOINT_PART_MAX);
    struct err e = local->index->ops->view_begin(local->index, &dump.view);
    if (err_is(e))
        return e;
    *position_r = local->index->ops->position(dump.view);
    e = parts_write(local, &dump, *position_r);
    local->index->ops->view_end(local->index, dump.view);
    buf_done(&dump.rows);
    if (!err_is(e))
        local->status.checkpoints++;
    local->background.checkpoint_octets = dump.octets;
    return e;
}

struct err local_checkpoint(struct engine *engine)
{
    struct local *local = local_of(engine);
    struct log_position position;
    struct err e = background_begin(local);
    if (err_is(e))
        return e;
    e = apply_wait(local);
    if (!err_is(e))
        e = checkpoint_write(local, &position);
    background_end(local);
    return e;
}

/* --- Finding the newest ----------------------------------------------------------------------- */

/* Where a part lies. */
struct part_place {
    uint64_t serial;
    uint32_t part;
    bool last;
    uint64_t segment, at;
    struct log_position pictured;
};

struct parts {
    struct part_place *places; /* in no order */
    size_t count, cap;
    uint64_t below; /* serials from here on were tried */
};

static bool parts_add(struct parts *parts, const struct part_place *place)
{
    if (parts->count == parts->cap) {
        size_t cap = parts->cap ? parts->cap * 2 : 64;
        struct part_place *grown =
            cap > PARTS_MAX ? NULL : reallocarray(parts->places, cap, sizeof *grown);
        if (!grown)
            return false;
        parts->places = grown;
        parts->cap = cap;
    }
    parts->places[parts->count++] = *place;
    return true;
}

/* The newest serial first, its parts in order. A group that was written twice (its first time in a
 * segment that failed) leaves two of the same kind behind each other. */
static int part_cmp(const void *a, const void *b)
{
    const struct part_place *x = a;
    const struct part_place *y = b;
    if (x->serial != y->serial)
        return x->serial < y->serial ? 1 : -1;
    return (x->part > y->part) - (x->part < y->part);
}

/* The newest checkpoint below parts->below whose parts are all here: how many, and the first. */
static size_t parts_complete(struct parts *parts, const struct part_place **first_r)
{
    if (parts->count > 0)
        qsort(parts->places, parts->count, sizeof *parts->places, part_cmp);
    size_t run = 0; /* of parts 0, 1, 2 ... that ends before i */
    for (size_t i = 0; i < parts->count; i++) {
        const struct part_place *place = &parts->places[i];
        bool goes_on = run > 0 && place[-1].serial == place->serial && place->part == run;
        run = goes_on ? run + 1 : place->part == 0;
        if (run > 0 && place->last && place->serial < parts->below) {
            *first_r = place - (run - 1);
            return run;
        }
    }
    return 0;
}

static struct err segment_parts(struct local *local, struct segment *segment, struct parts *parts)
{
    struct scan scan;
    struct scanned found;
    struct err e = segment_scan_begin(local, segment, &scan);
    if (err_is(e))
        return e;
    for (;;) {
        enum scan_state state = scan_next(&scan, &found);
        struct checkpoint_part part;
        if (state == SCAN_FAILED || state == SCAN_END)
            break;
        if (state == SCAN_DAMAGED && !scan_resync(&scan))
            break;
        if (state != SCAN_RECORD || found.header.kind != RECORD_CHECKPOINT)
            continue;
        struct str deltas = str_make(found.record.p + RECORD_HEADER_SIZE, found.header.deltas);
        if (checkpoint_part_get(deltas, &part) &&
            !parts_add(parts, &(struct part_place){.serial = part.serial,
                                                   .part = part.part,
                                                   .last = part.last,
                                                   .segment = segment->sequence,
                                                   .at = found.at,
                                                   .pictured = part.position}))
            scan.err = err_make(ERR_NO_MEMORY);
        if (err_is(scan.err))
            break;
    }
    e = scan.err;
    segment_scan_end(local, segment, &scan);
    return e;
}

/* --- Loading one ------------------------------------------------------------------------------ */

static const struct log_position no_position = {0};

/* Copies up to CLEAR_KEYS keys of the index; none: it is empty. */
static struct err keys_collect(struct index *index, struct buf *keys)
{
    struct index_view *view;
    struct err e = index->ops->view_begin(index, &view);
    if (err_is(e))
        return e;
    struct str key = {0};
    struct str value = {0};
    bool more = index->ops->seek(view, str_null(), &key, &value);
    for (size_t n = 0; more && n < CLEAR_KEYS; n++) {
        wire_put_str(keys, key);
        more = index->ops->next(view, &key, &value);
    }
    if (index->ops->damaged(view))
        e = err_detail(ERR_STORE_DAMAGED, STR("a row of the index is damaged"));
    index->ops->view_end(index, view);
    return e;
}

static struct err index_clear(struct index *index)
{
    struct buf keys = BUF_INIT((size_t)CLEAR_KEYS * (INDEX_KEY_MAX + 4));
    struct index_change *changes = calloc(CLEAR_KEYS, sizeof *changes);
    struct err e = changes ? keys_collect(index, &keys) : err_make(ERR_NO_MEMORY);
    while (!err_is(e) && keys.n > 0) {
        struct wire_in in = wire_in(buf_str(&keys));
        size_t count = 0;
        while (in.rest.n > 0 && !in.bad)
            changes[count++] = (struct index_change){.key = wire_get_str(&in)};
        e = index->ops->write(index, changes, count, no_position);
        buf_clear(&keys);
        if (!err_is(e))
            e = keys_collect(index, &keys);
    }
    free(changes);
    buf_done(&keys);
    return e;
}

static struct err rows_write(struct index *index, const struct checkpoint_part *part)
{
    struct index_change *changes = calloc((size_t)part->rows + 1, sizeof *changes);
    if (!changes)
        return err_make(ERR_NO_MEMORY);
    struct wire_in rows = wire_in(part->octets);
    struct err e = err_none();
    for (uint32_t i = 0; i < part->rows && !err_is(e); i++)
        if (!checkpoint_row_get(&rows, &changes[i].key, &changes[i].value))
            e = err_detail(ERR_STORE_DAMAGED, STR("a row of a checkpoint is damaged"));
    if (!err_is(e))
        e = index->ops->write(index, changes, part->rows,
                              part->last ? part->position : no_position);
    free(changes);
    return e;
}

/* Reads one part again and gives its rows to the index; `seen` is what its predecessor said. */
static struct err part_load(struct local *local, const struct part_place *place,
                            struct checkpoint_part *seen)
{
    struct segment *segment = segment_find(&local->segments, place->segment);
    struct scan scan;
    struct scanned found;
    struct checkpoint_part part;
    struct err e = segment_scan_begin(local, segment, &scan);
    if (err_is(e))
        return e;
    scan.at = place->at;
    e = err_detail(ERR_STORE_DAMAGED, STR("a checkpoint is damaged"));
    if (scan_next(&scan, &found) == SCAN_RECORD &&
        checkpoint_part_get(str_make(found.record.p + RECORD_HEADER_SIZE, found.header.deltas),
                            &part) &&
        part.rows_before == seen->rows_before + seen->rows &&
        part.sum == crc32c(seen->sum, part.octets) && part.rows <= part.octets.n) {
        e = rows_write(local->index, &part);
        *seen = part;
    }
    segment_scan_end(local, segment, &scan);
    return e;
}

static struct err parts_load(struct local *local, const struct part_place *first, size_t count)
{
    struct checkpoint_part seen = {0};
    struct err e = index_clear(local->index);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = part_load(local, &first[i], &seen);
    return e;
}

/* A checkpoint that turns out to be damaged is passed over for the one before it. */
static struct err newest_load(struct local *local, struct parts *parts, bool *loaded_r)
{
    const struct part_place *first = NULL;
    size_t count;
    *loaded_r = false;
    while ((count = parts_complete(parts, &first)) > 0) {
        struct err e = parts_load(local, first, count);
        *loaded_r = !err_is(e);
        if (e.code != ERR_STORE_DAMAGED)
            return e;
        parts->below = first->serial;
    }
    return err_none();
}

/* Has the index no position? A log with one segment needs no checkpoint. */
static struct err index_is_new(struct local *local, bool *new_r)
{
    struct index_view *view;
    struct err e = local->index->ops->view_begin(local->index, &view);
    if (err_is(e))
        return e;
    *new_r = local->index->ops->position(view).segment == 0;
    if (local->index->ops->damaged(view))
        e = err_detail(ERR_STORE_DAMAGED, STR("the index is damaged"));
    local->index->ops->view_end(local->index, view);
    return e;
}

static struct err newest_find(struct local *local)
{
    struct parts parts = {.below = UINT64_MAX};
    struct err e = err_none();
    bool loaded = false;
    struct segment *segment;
    TAILQ_FOREACH_REVERSE(segment, &local->segments.list, segment_list, link)
    {
        e = segment_parts(local, segment, &parts);
        if (!err_is(e))
            e = newest_load(local, &parts, &loaded);
        if (loaded || (err_is(e) && e.code != ERR_STORE_DAMAGED))
            break;
    }
    if (!loaded && (!err_is(e) || e.code == ERR_STORE_DAMAGED))
        e = index_clear(local->index);
    free(parts.places);
    return e;
}

struct err checkpoint_restore(struct local *local)
{
    bool is_new = false;
    struct err e = index_is_new(local, &is_new);
    return err_is(e) || !is_new ? e : newest_find(local);
}

struct err checkpoint_is_behind(struct local *local, struct log_position from, bool *behind_r)
{
    struct parts parts = {.below = UINT64_MAX};
    const struct part_place *first = NULL;
    struct err e = err_none();
    struct segment *segment;
    *behind_r = false;
    TAILQ_FOREACH_REVERSE(segment, &local->segments.list, segment_list, link)
    {
        e = segment_parts(local, segment, &parts);
        if (e.code == ERR_STORE_DAMAGED)
            e = err_none();
        if (err_is(e) || parts_complete(&parts, &first) > 0)
            break;
    }
    if (!err_is(e) && first)
        *behind_r =
            first->pictured.segment > from.segment ||
            (first->pictured.segment == from.segment && first->pictured.offset > from.offset);
    free(parts.places);
    return e;
}
