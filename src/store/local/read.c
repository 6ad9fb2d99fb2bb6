/*
 * Answers: entries, numbers, blobs.
 *
 * Entries are read on the loop without yielding: the overlays are in memory and the index is mapped
 * memory, hot records only. Blobs are read from the log with RWF_NOWAIT first; only what the page
 * cache has not goes to the reader lane, so the loop never waits for a disk.
 *
 * A blob's place is looked up, its segment pinned, and only then may the fiber yield: so the place
 * cannot become another segment's meanwhile. What was read must carry the blob's id, the segment's
 * number and fitting sums; if it does not, the place is looked up once more (the blob may have
 * moved or gone), and then it is damage.
 */
#include <errno.h>

#include "base/crc.h"
#include "store/local/engine_local.h"

/* --- Layers ---------------------------------------------------------------------------------- */

struct err read_begin(struct local *local, struct layers *layers_r)
{
    *layers_r = (struct layers){
        .overlays = {&local->active, &local->frozen},
        .count = 2,
        .index = local->index,
    };
    return local->index->ops->view_begin(local->index, &layers_r->view);
}

struct err read_end(struct local *local, struct layers *layers)
{
    bool damaged = local->index->ops->damaged(layers->view);
    local->index->ops->view_end(local->index, layers->view);
    layers->view = NULL;
    if (!damaged)
        return err_none();
    struct err e = err_detail(ERR_STORE_DAMAGED, STR("a row of the index does not match its sum"));
    local_is_damaged(local, "", e);
    return e;
}

/* --- Entries --------------------------------------------------------------------------------- */

static struct err entry_copy(struct arena *arena, struct str key, struct str value,
                             struct entry *entry_r)
{
    struct str octets;
    if (!value_entry_decode(value, &entry_r->blob, &octets))
        return err_make(ERR_STORE_DAMAGED);
    entry_r->key = arena_str(arena, key);
    entry_r->value = arena_str(arena, octets);
    return arena_over(arena) ? err_make(ERR_OVER_LIMIT) : err_none();
}

struct err local_get(struct engine *engine, struct partition partition, struct str key,
                     struct arena *arena, struct entry *entry_r)
{
    struct local *local = local_of(engine);
    struct layers layers;
    if (key.n > ENGINE_KEY_MAX)
        return err_make(ERR_NOT_FOUND);
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    struct index_key entry = key_entry(partition, key);
    struct str value;
    if (layers_get(&layers, index_key_str(&entry), &value))
        e = entry_copy(arena, key, value, entry_r);
    else
        e = err_make(ERR_NOT_FOUND);
    struct err damage = read_end(local, &layers);
    return err_is(damage) ? damage : e;
}

/* Entries found so far; the array lies in the arena and is taken anew where it is too short. */
struct found {
    struct arena *arena;
    struct entry *entries;
    size_t count, cap;
};

enum {
    FOUND_FIRST = 32
};

static struct entry *found_room(struct found *found, size_t limit)
{
    if (found->count < found->cap)
        return &found->entries[found->count];
    size_t cap = found->cap ? found->cap * 2 : FOUND_FIRST;
    if (cap > limit)
        cap = limit;
    struct entry *more = arena_take_array(found->arena, cap, sizeof(*more));
    if (!more)
        return NULL;
    if (found->count > 0)
        memcpy(more, found->entries, found->count * sizeof(*more));
    found->entries = more;
    found->cap = cap;
    return &found->entries[found->count];
}

static struct err scan_layers(const struct layers *layers, struct partition partition,
                              struct str from, struct str until, size_t limit, struct found *found)
{
    struct index_key prefix = key_entry(partition, STR(""));
    struct index_key begin = key_entry(partition, from);
    struct layers_walk walk;
    struct str key, value;
    layers_seek(&walk, layers, index_key_str(&begin), index_key_str(&prefix));
    while (found->count < limit && layers_next(&walk, &key, &value)) {
        key = str_from_index(key, prefix.n);
        if (until.p && str_cmp(key, until) >= 0)
            break;
        struct entry *entry = found_room(found, limit);
        if (!entry)
            return err_make(ERR_OVER_LIMIT);
        struct err e = entry_copy(found->arena, key, value, entry);
        if (err_is(e))
            return e;
        found->count++;
    }
    return err_none();
}

struct err local_scan(struct engine *engine, struct partition partition, struct str from,
                      struct str until, size_t limit, struct arena *arena, struct entry **entries_r,
                      size_t *count_r)
{
    struct local *local = local_of(engine);
    struct found found = {.arena = arena};
    struct layers layers;
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    e = scan_layers(&layers, partition, str_head(from, ENGINE_KEY_MAX + 1), until, limit, &found);
    struct err damage = read_end(local, &layers);
    *entries_r = found.entries;
    *count_r = found.count;
    return err_is(damage) ? damage : e;
}

struct err local_numbers(struct engine *engine, struct partition partition,
                         struct numbers *numbers_r)
{
    struct local *local = local_of(engine);
    *numbers_r = (struct numbers){1, 1};
    struct layers layers;
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    struct index_key key = key_numbers(partition);
    struct str value;
    if (layers_get(&layers, index_key_str(&key), &value) && !value_numbers_decode(value, numbers_r))
        e = err_make(ERR_STORE_DAMAGED);
    struct err damage = read_end(local, &layers);
    return err_is(damage) ? damage : e;
}

/* --- Blobs ----------------------------------------------------------------------------------- */

/* One reading of a blob's octets: pure I/O, on the loop (nowait) or on a lane. */
struct blob_reading {
    struct world *world;
    int file;      /* the segment */
    int body_file; /* where the body has its own; else -1 */
    blob_id blob;
    struct place place;
    enum {
        READ_BODY,  /* n octets from `at` on */
        READ_HEAD,  /* all of it */
        READ_WHOLE, /* all n octets that the blob has in its segment, its header too */
    } what;
    uint64_t at;
    char *to;
    size_t n;
    char *room; /* for the body: a chunk, and the sums where they are not in the blob's header */
    bool nowait;
    /* ERR_NONE; ERR_TRY_LATER: it would have waited; ERR_STORE_DAMAGED ... */
    struct err err;
};

static struct err would_wait(void)
{
    return err_make(ERR_TRY_LATER);
}

static struct err damaged(const char *what)
{
    return err_detail(ERR_STORE_DAMAGED, str_from(what));
}

static struct err read_octets(const struct blob_reading *reading, int file, void *to, size_t n,
                              uint64_t at)
{
    const struct world_ops *ops = reading->world->ops;
    ssize_t got = reading->nowait ? ops->file_read_nowait(reading->world, file, to, n, at)
                                  : ops->file_read(reading->world, file, to, n, at);
    if (got == -EAGAIN || (reading->nowait && got >= 0 && (size_t)got < n))
        return would_wait();
    if (got < 0)
        return err_os((int)-got, STR("reading a blob"));
    return (size_t)got == n ? err_none() : damaged("a file ends too early");
}

static size_t header_size(const struct place *place)
{
    return BLOB_HEADER_SIZE + (place->external ? 0 : chunk_count(place->body)) * CHUNK_SUM_SIZE;
}

/* Header and sums must be this blob's. */
static struct err header_take(const struct blob_reading *reading, struct str octets,
                              struct blob_header *header_r)
{
    const struct place *place = &reading->place;
    if (!blob_header_decode(octets, header_r) || header_r->blob != reading->blob ||
        header_r->segment != place->segment || header_r->head != place->head ||
        header_r->body != place->body || header_r->external != place->external)
        return damaged("a blob's header does not match");
    return err_none();
}

static struct err read_blob_header(const struct blob_reading *reading, unsigned char *octets,
                                   struct blob_header *header_r)
{
    size_t n = header_size(&reading->place);
    struct err e = read_octets(reading, reading->file, octets, n, reading->place.offset);
    return err_is(e) ? e : header_take(reading, str_make(octets, n), header_r);
}

static struct err read_head(const struct blob_reading *reading, const struct blob_header *header)
{
    struct err e = read_octets(reading, reading->file, reading->to, header->head,
                               reading->place.offset + blob_head_at(header));
    if (err_is(e))
        return e;
    uint32_t sum = crc32c(blob_seed(reading->blob), str_make(reading->to, header->head));
    return sum == header->head_sum ? err_none() : damaged("a blob's head does not match its sum");
}

/* Where a body's octets and sums lie. */
struct body_source {
    int file;
    uint64_t body_at;
    struct str sums; /* of the chunks from first_chunk on */
    uint64_t first_chunk;
};

/* The part of chunk `index` that was asked for, through `chunk` where it is not all of it. */
static struct err read_chunk(const struct blob_reading *reading, const struct body_source *source,
                             uint64_t index, char *chunk)
{
    uint64_t begin = index * CHUNK_SIZE;
    uint64_t left = reading->place.body - begin;
    size_t n = left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE;
    uint64_t from = reading->at > begin ? reading->at : begin;
    uint64_t until = reading->at + reading->n < begin + n ? reading->at + reading->n : begin + n;
    bool whole = from == begin && until == begin + n;
    char *to = reading->to + (from - reading->at);
    char *into = whole ? to : chunk;
    struct err e = read_octets(reading, source->file, into, n, source->body_at + begin);
    if (err_is(e))
        return e;
    struct wire_in sums =
        wire_in(str_from_index(source->sums, (index - source->first_chunk) * CHUNK_SUM_SIZE));
    if (crc32c(blob_seed(reading->blob), str_make(into, n)) != wire_get_u32(&sums))
        return damaged("a body does not match its sum");
    if (!whole)
        memcpy(to, chunk + (from - begin), until - from);
    return err_none();
}

static struct err read_chunks(const struct blob_reading *reading, const struct body_source *source)
{
    struct err e = err_none();
    uint64_t until = reading->at + reading->n;
    for (uint64_t i = reading->at / CHUNK_SIZE; i * CHUNK_SIZE < until && !err_is(e); i++)
        e = read_chunk(reading, source, i, reading->room);
    return e;
}

static struct err read_body_file(const struct blob_reading *reading)
{
    uint64_t first = reading->at / CHUNK_SIZE;
    uint64_t count = chunk_count(reading->at + reading->n) - first;
    size_t n = count * CHUNK_SUM_SIZE;
    char *sums = reading->room + CHUNK_SIZE;
    struct err e = read_octets(reading, reading->body_file, sums, n,
                               body_sums_at(reading->place.body) + first * CHUNK_SUM_SIZE);
    struct body_source source = {reading->body_file, 0, str_make(sums, n), first};
    return err_is(e) ? e : read_chunks(reading, &source);
}

static struct err read_body(const struct blob_reading *reading, const struct blob_header *header)
{
    if (reading->n == 0)
        return err_none();
    if (header->external)
        return read_body_file(reading);
    struct body_source source = {reading->file, reading->place.offset + blob_body_at(header),
                                 header->sums, 0};
    return read_chunks(reading, &source);
}

static struct err read_whole(const struct blob_reading *reading)
{
    struct blob_header header;
    struct str octets = str_make(reading->to, reading->n);
    struct err e =
        read_octets(reading, reading->file, reading->to, reading->n, reading->place.offset);
    if (!err_is(e))
        e = header_take(reading, str_head(octets, header_size(&reading->place)), &header);
    if (err_is(e))
        return e;
    return blob_octets_fit(octets, &header) ? e : damaged("a blob does not match its sums");
}

enum {
    /* Header and sums of the largest body that lies in the log. */
    BLOB_HEADER_ROOM = BLOB_HEADER_SIZE + (ENGINE_BODY_INLINE_MAX / CHUNK_SIZE + 1) * CHUNK_SUM_SIZE
};

static struct err blob_reading_do(const struct blob_reading *reading)
{
    unsigned char octets[BLOB_HEADER_ROOM];
    struct blob_header header;
    if (!reading->place.external && reading->place.body > ENGINE_BODY_INLINE_MAX)
        return damaged("a blob is larger than it may be");
    if (reading->what == READ_WHOLE)
        return read_whole(reading);
    struct err e = read_blob_header(reading, octets, &header);
    if (err_is(e))
        return e;
    return reading->what == READ_HEAD ? read_head(reading, &header) : read_body(reading, &header);
}

static void blob_reading_run(void *arg)
{
    struct blob_reading *reading = arg;
    reading->err = blob_reading_do(reading);
}

/* Inline if the page cache has it, else on the reader lane. May yield. */
static struct err blob_reading_wait(struct local *local, struct blob_reading *reading)
{
    reading->nowait = true;
    blob_reading_run(reading);
    if (reading->err.code != ERR_TRY_LATER)
        return reading->err;
    reading->nowait = false;
    lane_call(&local->reader, blob_reading_run, reading);
    return reading->err;
}

static struct err place_find(struct local *local, blob_id blob, struct place *place_r)
{
    struct layers layers;
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    struct index_key key = key_place(blob);
    struct str value;
    if (!layers_get(&layers, index_key_str(&key), &value))
        e = err_make(ERR_NOT_FOUND);
    else if (!value_place_decode(value, place_r))
        e = err_make(ERR_STORE_DAMAGED);
    struct err damage = read_end(local, &layers);
    return err_is(damage) ? damage : e;
}

static struct err blob_read_at_place(struct local *local, struct blob_reading *reading)
{
    struct segment *segment = segment_find(&local->segments, reading->place.segment);
    if (!segment)
        return damaged("the segment of a blob is missing");
    struct err e = segment_pin(&local->segments, segment);
    if (err_is(e))
        return e;
    reading->file = segment->file;
    struct body_use use = {.file = -1};
    if (reading->place.external && reading->what == READ_BODY)
        e = body_take(local, reading->blob, &use);
    reading->body_file = use.file;
    if (!err_is(e))
        e = blob_reading_wait(local, reading);
    if (use.file >= 0)
        body_give(local, &use);
    segment_unpin(&local->segments, segment);
    return e;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->segment == b->segment && a->offset == b->offset;
}

/* Reads what `reading` asks for; its place is filled in already. May yield. */
static struct err blob_read_anywhere(struct local *local, struct blob_reading *reading)
{
    struct err e = blob_read_at_place(local, reading);
    if (!err_is(e))
        return e;
    struct place before = reading->place;
    struct err again = place_find(local, reading->blob, &reading->place);
    if (err_is(again))
        return again;
    if (!same_place(&before, &reading->place))
        e = blob_read_at_place(local, reading);
    /* A body file that is not there while its blob lives is damage, not "no such blob". */
    return e.code == ERR_NOT_FOUND ? damaged("the file of a body is missing") : e;
}

struct err local_blob_size(struct engine *engine, blob_id blob, uint64_t *head_r, uint64_t *body_r)
{
    struct place place;
    struct err e = place_find(local_of(engine), blob, &place);
    if (err_is(e))
        return e;
    *head_r = place.head;
    *body_r = place.body;
    return e;
}

static struct err reading_open(struct local *local, blob_id blob, struct blob_reading *reading_r)
{
    *reading_r = (struct blob_reading){
        .world = local->world,
        .blob = blob,
    };
    return place_find(local, blob, &reading_r->place);
}

struct err local_blob_head(struct engine *engine, blob_id blob, struct arena *arena,
                           struct str *head_r)
{
    struct local *local = local_of(engine);
    struct blob_reading reading;
    struct err e = reading_open(local, blob, &reading);
    if (err_is(e))
        return e;
    reading.what = READ_HEAD;
    reading.n = reading.place.head;
    reading.to = arena_take(arena, reading.n);
    if (!reading.to)
        return err_make(ERR_OVER_LIMIT);
    e = blob_read_anywhere(local, &reading);
    *head_r = str_make(reading.to, reading.n);
    return e;
}

struct err local_blob_read(struct engine *engine, blob_id blob, uint64_t at, void *to, size_t n)
{
    struct local *local = local_of(engine);
    struct blob_reading reading;
    struct err e = reading_open(local, blob, &reading);
    if (err_is(e))
        return e;
    if (n > reading.place.body || at > reading.place.body - n)
        return err_detail(ERR_OVER_LIMIT, STR("the range is not within the body"));
    size_t room = CHUNK_SIZE + (n / CHUNK_SIZE + 2) * CHUNK_SUM_SIZE;
    reading.at = at;
    reading.to = to;
    reading.n = n;
    reading.room = spares_take(&local->spare_records, room);
    if (!reading.room)
        return err_make(ERR_NO_MEMORY);
    e = blob_read_anywhere(local, &reading);
    spares_give(&local->spare_records, reading.room, room);
    return e;
}

struct err local_blob_whole(struct engine *engine, blob_id blob, size_t most, struct arena *arena,
                            struct str *head_r, struct str *body_r)
{
    struct local *local = local_of(engine);
    struct blob_reading reading;
    struct err e = reading_open(local, blob, &reading);
    if (err_is(e))
        return e;
    const struct place *place = &reading.place;
    if (place->external || place->head > most || place->body > most - place->head)
        return err_make(ERR_OVER_LIMIT);
    size_t head_at = header_size(place);
    size_t head = place->head, body = (size_t)place->body;
    reading.what = READ_WHOLE;
    reading.n = head_at + head + body;
    reading.to = arena_take(arena, reading.n);
    if (!reading.to)
        return err_make(ERR_NO_MEMORY);
    e = blob_read_anywhere(local, &reading);
    *head_r = str_make(reading.to + head_at, head);
    *body_r = str_make(reading.to + head_at + head, body);
    return e;
}
