/*
 * Compaction: the live blobs of segments that are mostly dead are copied to the log's end, and the
 * segments are freed. A segment is read through in order and each blob that the index still places
 * there is carried over, octet by octet, after its sums were checked: what is damaged is never
 * carried, and its segment never freed. Places follow by ordinary groups, so a crash at any moment
 * leaves each blob at its old or its new place, whole.
 *
 * A checkpoint costs as much as the index is large, so freeing waits until it is worth one: by
 * itself compaction begins when several segments' worth of dead octets would come free.
 */
#include "store/local/background.h"

enum {
    HAUL_SOFT = 512 * 1024,  /* octets of blobs read, and at most moved, at once */
    HAUL_BLOBS = 512,        /* room for so many at first */
    SMALL_SEGMENT_SHARE = 4, /* a haul is at most so small a share of a segment */
    KEEP_SPARES = 4,         /* freed files that are kept to be written again */
    VICTIMS_MAX = 64,        /* segments emptied in one run */
    PERCENT = 100,
};

/* Octets a second that a run in the background moves. */
#define PACE INT64_C(33554432)

struct hauled {
    struct blob_header header;
    uint64_t offset; /* in the old segment */
    size_t at, size; /* in the haul's octets */
};

/* Blobs read from one segment, on their way. */
struct haul {
    struct scan scan;
    size_t soft;
    struct buf octets;
    struct hauled *blobs;
    struct record_blob *record; /* as many as blobs */
    size_t count, cap;
    bool end;
    struct err err;
};

/* --- Reading: on the reader lane -------------------------------------------------------------- */

static bool haul_room(struct haul *haul, size_t more)
{
    size_t cap = haul->cap ? haul->cap : HAUL_BLOBS;
    while (cap < haul->count + more)
        cap *= 2;
    if (cap == haul->cap)
        return true;
    struct hauled *blobs = reallocarray(haul->blobs, cap, sizeof *blobs);
    if (blobs)
        haul->blobs = blobs;
    struct record_blob *record = reallocarray(haul->record, cap, sizeof *record);
    if (record)
        haul->record = record;
    if (!blobs || !record)
        return false;
    haul->cap = cap;
    return true;
}

static struct err haul_take(struct haul *haul, const struct scanned *found)
{
    struct blob_walk walk;
    struct blob_header header;
    uint64_t at;
    if (!haul_room(haul, found->header.blobs))
        return err_make(ERR_NO_MEMORY);
    blob_walk_init(&walk, &found->header, found->record);
    while (blob_walk_next(&walk, &header, &at)) {
        uint64_t size =
            blob_size_in_log(header.head, header.external ? 0 : header.body, header.external);
        struct hauled *hauled = &haul->blobs[haul->count++];
        header.sums = str_null(); /* they stand in the octets */
        *hauled = (struct hauled){
            .header = header, .offset = found->at + at, .at = haul->octets.n, .size = size};
        if (!buf_put(&haul->octets, str_make(found->record.p + at, size)))
            return err_make(ERR_NO_MEMORY);
    }
    return walk.left == 0 ? err_none()
                          : err_detail(ERR_STORE_DAMAGED, STR("a blob to be moved is damaged"));
}

static void haul_read(void *arg)
{
    struct haul *haul = arg;
    struct scanned found;
    buf_clear(&haul->octets);
    haul->count = 0;
    while (haul->octets.n < haul->soft && !haul->end && !err_is(haul->err)) {
        switch (scan_next(&haul->scan, &found)) {
        case SCAN_RECORD:
            haul->err = haul_take(haul, &found);
            break;
        case SCAN_BODY_BAD:
        case SCAN_DAMAGED:
            haul->err = err_detail(ERR_STORE_DAMAGED, STR("a segment to be emptied is damaged"));
            break;
        case SCAN_END:
            haul->end = true;
            break;
        case SCAN_FAILED:
            haul->err = haul->scan.err;
            break;
        }
    }
}

/* --- Moving ----------------------------------------------------------------------------------- */

/* Does the blob still live where it was read from? */
static bool hauled_lives(const struct layers *layers, const struct hauled *hauled)
{
    struct index_key key = key_place(hauled->header.blob);
    struct place place;
    struct str value;
    return layers_get(layers, index_key_str(&key), &value) && value_place_decode(value, &place) &&
           place.segment == hauled->header.segment && place.offset == hauled->offset;
}

/* Keeps the living only. */
static struct err haul_sift(struct local *local, struct haul *haul)
{
    struct layers layers;
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    size_t kept = 0;
    for (size_t i = 0; i < haul->count; i++)
        if (hauled_lives(&layers, &haul->blobs[i]))
            haul->blobs[kept++] = haul->blobs[i];
    haul->count = kept;
    return read_end(local, &layers);
}

/* Writes some of the haul as one record: from blob `from` on, as many as are within its size. */
static struct err haul_write(struct local *local, struct haul *haul, size_t from, size_t *next_r)
{
    size_t octets = 0;
    size_t i = from;
    for (; i < haul->count && (i == from || octets + haul->blobs[i].size <= haul->soft); i++) {
        const struct hauled *hauled = &haul->blobs[i];
        haul->record[i - from] =
            (struct record_blob){.header = hauled->header,
                                 .octets = str_make(haul->octets.p + hauled->at, hauled->size)};
        octets += hauled->size;
    }
    *next_r = i;
    return record_wait(local, RECORD_MOVE, str_null(), haul->record, i - from);
}

static struct err haul_move(struct local *local, struct haul *haul)
{
    struct err e = haul_sift(local, haul);
    for (size_t i = 0; i < haul->count && !err_is(e);)
        e = haul_write(local, haul, i, &i);
    return e;
}

static void pace_keep(struct local *local, size_t octets)
{
    int64_t rest = (int64_t)octets * NS_PER_SECOND / PACE;
    fiber_sleep_until(local->loop, world_mono(local->world) + rest);
}

/* Moves every living blob out of the segment. */
static struct err segment_empty(struct local *local, struct segment *segment, struct haul *haul,
                                bool paced)
{
    struct err e = segment_scan_begin(local, segment, &haul->scan);
    if (err_is(e))
        return e;
    haul->end = false;
    haul->err = err_none();
    while (!haul->end && !err_is(e)) {
        lane_call(&local->reader, haul_read, haul);
        e = haul->err;
        if (!err_is(e))
            e = haul_move(local, haul);
        if (paced && !err_is(e))
            pace_keep(local, haul->octets.n);
    }
    segment_scan_end(local, segment, &haul->scan);
    return e;
}

/* --- Choosing --------------------------------------------------------------------------------- */

struct victims {
    uint64_t sequences[VICTIMS_MAX];
    size_t count;
    uint64_t dead; /* octets that would come free */
};

/* What lives in the segment now. */
static struct err segment_live(struct local *local, const struct segment *segment,
                               struct segment_use *use_r)
{
    struct index_key key = key_segment(segment->sequence);
    struct layers layers;
    struct str value;
    *use_r = (struct segment_use){0};
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    bool row = layers_get(&layers, index_key_str(&key), &value);
    bool bad = row && !value_segment_decode(value, use_r);
    e = read_end(local, &layers);
    return bad ? err_detail(ERR_STORE_DAMAGED, STR("a row of the index has a wrong size")) : e;
}

static struct err victims_choose(struct local *local, struct victims *victims_r)
{
    *victims_r = (struct victims){0};
    struct segment *segment;
    TAILQ_FOREACH (segment, &local->segments.list, link) {
        struct segment_use use;
        if (segment->sequence >= local->segment->sequence || victims_r->count == VICTIMS_MAX)
            break;
        struct err e = segment_live(local, segment, &use);
        if (err_is(e))
            return e;
        uint64_t size = segment->file_size > local->settings.segment_size
                            ? segment->file_size
                            : local->settings.segment_size;
        if (use.live >= size / PERCENT * local->settings.compact_below)
            continue;
        victims_r->sequences[victims_r->count++] = segment->sequence;
        victims_r->dead += size - use.live;
    }
    return err_none();
}

/* --- Freeing ---------------------------------------------------------------------------------- */

/* F1: no row in any layer, and none in the index alone, which a crash would go back to. */
static bool segment_is_dead(struct local *local, const struct segment *segment)
{
    struct index_key key = key_segment(segment->sequence);
    struct layers layers;
    struct str value;
    if (err_is(read_begin(local, &layers)))
        return false;
    bool row = layers_get(&layers, index_key_str(&key), &value) ||
               layers.index->ops->get(layers.view, index_key_str(&key), &value);
    return !err_is(read_end(local, &layers)) && !row;
}

bool segment_may_go(struct local *local, const struct segment *segment,
                    struct log_position checkpoint)
{
    return segment != local->segment && segment->pins == 0 &&
           segment->sequence < local->applied.segment && segment->sequence < checkpoint.segment &&
           segment_is_dead(local, segment);
}

static bool any_may_go(struct local *local)
{
    struct segment *segment;
    TAILQ_FOREACH (segment, &local->segments.list, link)
        if (segment_may_go(local, segment, local->applied))
            return true;
    return false;
}

static struct err segments_free(struct local *local, struct log_position checkpoint)
{
    struct segment *segment = TAILQ_FIRST(&local->segments.list);
    struct err e = err_none();
    while (segment && !err_is(e)) {
        struct segment *next = TAILQ_NEXT(segment, link);
        if (segment_may_go(local, segment, checkpoint))
            e = rotate_recycle(local, segment, KEEP_SPARES);
        segment = next;
    }
    return e;
}

static struct err checkpoint_and_free(struct local *local)
{
    struct log_position position;
    struct err e = apply_wait(local);
    if (err_is(e) || !any_may_go(local))
        return e;
    e = checkpoint_write(local, &position);
    return err_is(e) ? e : segments_free(local, position);
}

/* --- A run ------------------------------------------------------------------------------------ */

/* A damaged segment stays as it is and does not keep the others from being emptied. */
static struct err victims_empty(struct local *local, const struct victims *victims, bool paced)
{
    struct haul *haul = calloc(1, sizeof *haul);
    struct err damage = err_none();
    struct err e = haul ? err_none() : err_make(ERR_NO_MEMORY);
    if (haul) {
        haul->soft = HAUL_SOFT;
        if (haul->soft > local->settings.segment_size / SMALL_SEGMENT_SHARE)
            haul->soft = (size_t)(local->settings.segment_size / SMALL_SEGMENT_SHARE);
        buf_init(&haul->octets, (size_t)local->settings.segment_size + HAUL_SOFT);
    }
    for (size_t i = 0; i < victims->count && !err_is(e); i++) {
        struct segment *segment = segment_find(&local->segments, victims->sequences[i]);
        e = segment ? segment_empty(local, segment, haul, paced) : err_none();
        if (e.code == ERR_STORE_DAMAGED) {
            damage = e;
            e = err_none();
        }
    }
    if (haul) {
        buf_done(&haul->octets);
        free(haul->blobs);
        free(haul->record);
    }
    free(haul);
    return err_is(e) ? e : damage;
}

struct err compact_run(struct local *local, bool paced, uint64_t least_dead)
{
    struct victims victims;
    struct err e = apply_wait(local);
    if (!err_is(e))
        e = victims_choose(local, &victims);
    if (err_is(e) || victims.count == 0 || victims.dead < least_dead)
        return e;
    e = victims_empty(local, &victims, paced);
    if (err_is(e) && e.code != ERR_STORE_DAMAGED)
        return e;
    struct err freed = checkpoint_and_free(local);
    local->status.compactions++;
    return err_is(freed) ? freed : e;
}

struct err local_compact(struct engine *engine)
{
    struct local *local = local_of(engine);
    struct err e = background_begin(local);
    if (err_is(e))
        return e;
    e = compact_run(local, false, 0);
    background_end(local);
    return e;
}
