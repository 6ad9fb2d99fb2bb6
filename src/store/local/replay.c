/*
 * Reading the log above the index, when the store is opened: doc/format.md, "Reading the log after
 * a crash".
 *
 * Each group is read twice: first all its records are checked, then they are applied. Octets come
 * through a window, so a log of any length needs the memory of one record. The applying is
 * order.c's, the same that ran when the commits had their turn.
 *
 * The last segment is synced behind the reading, not in front of it: a sync that follows one that
 * failed proves nothing, so what it is to prove must first be read, and written once more.
 *
 * Reading is done on the loop's own thread: nobody is served yet.
 */
#include "base/crc.h"
#include "store/local/engine_local.h"

enum {
    WINDOW = 1024 * 1024,
    OPS_CAP = 64 * 1024 * 1024, /* memory for the operations of one commit */
    VOID_DELTAS = 8,            /* no tag, no operation */
    VOID_SIZE = RECORD_HEADER_SIZE + VOID_DELTAS,
    FIRST_SPARES = 2, /* the number behind the spare that the first segment is made of */
};

/* --- The window ------------------------------------------------------------------------------ */

/* One segment, read forward. */
struct reader {
    struct world *world;
    int file;
    struct segment_header header;
    char *octets;
    size_t cap, have;
    uint64_t base; /* of octets[0] */
};

/* Up to n octets at `at`; fewer at the end of the file. Borrowed until the next call. */
static struct err reader_look(struct reader *reader, uint64_t at, size_t n, struct str *octets_r)
{
    if (at < reader->base || at + n > reader->base + reader->have) {
        size_t want = n > WINDOW ? n : WINDOW;
        if (want > reader->cap) {
            char *more = realloc(reader->octets, want);
            if (!more)
                return err_make(ERR_NO_MEMORY);
            reader->octets = more;
            reader->cap = want;
        }
        reader->have = 0;
        ssize_t got =
            reader->world->ops->file_read(reader->world, reader->file, reader->octets, want, at);
        if (got < 0)
            return err_os((int)-got, STR("reading the log"));
        reader->base = at;
        reader->have = (size_t)got;
    }
    struct str all = str_make(reader->octets, reader->have);
    *octets_r = str_head(str_from_index(all, at - reader->base), n);
    return err_none();
}

/* --- Groups ---------------------------------------------------------------------------------- */

struct seen_group {
    uint64_t number;
    uint32_t count;
    uint64_t size;
    bool valid;
    bool body_bad; /* valid but for a head or body */
};

/* The record at `at`, whole and checked; *state_r says how it is. */
static struct err record_look(struct reader *reader, uint64_t at, uint64_t limit,
                              struct str *record_r, struct record_header *header_r,
                              enum format_state *state_r)
{
    *state_r = FORMAT_BAD;
    struct err e = reader_look(reader, at, RECORD_HEADER_SIZE, record_r);
    if (err_is(e) || !record_header_decode(*record_r, reader->header.salt, header_r) ||
        header_r->segment != reader->header.sequence || header_r->size > limit - at)
        return e;
    e = reader_look(reader, at, header_r->size, record_r);
    if (!err_is(e))
        *state_r = record_check(*record_r, reader->header.salt, header_r);
    return e;
}

/* Checks the group that begins at `at`: every record, in order, of one number above `last`. */
static struct err group_look(struct reader *reader, uint64_t at, uint64_t limit, uint64_t last,
                             struct seen_group *group_r)
{
    *group_r = (struct seen_group){.count = 1};
    for (uint32_t i = 0; i < group_r->count; i++) {
        struct record_header header;
        struct str record;
        enum format_state state;
        if (limit < at + group_r->size + RECORD_HEADER_SIZE)
            return err_none();
        struct err e = record_look(reader, at + group_r->size, limit, &record, &header, &state);
        if (err_is(e))
            return e;
        if ((state != FORMAT_WHOLE && state != FORMAT_BODY_BAD) || header.index != i ||
            header.group <= last || (i > 0 && header.group != group_r->number) ||
            (i > 0 && header.count != group_r->count))
            return err_none();
        group_r->number = header.group;
        group_r->count = header.count;
        group_r->size += header.size;
        group_r->body_bad |= state == FORMAT_BODY_BAD;
    }
    group_r->valid = true;
    return err_none();
}

/* What lies behind the first octet that is not a valid group. */
struct tail {
    uint64_t lowest, highest; /* group numbers above the last valid group's; 0: none */
    bool later;               /* a group that was begun after the one that should be here */
    uint64_t next;            /* where a valid header of a group's first record was found; or 0 */
};

static void tail_note(struct tail *tail, const struct record_header *header, uint64_t at,
                      uint64_t from)
{
    if (tail->lowest == 0 || header->group < tail->lowest)
        tail->lowest = header->group;
    if (header->group > tail->highest)
        tail->highest = header->group;
    if (header->index == 0 && at > from) {
        tail->later = true;
        if (tail->next == 0)
            tail->next = at;
    }
}

/* The headers that begin in a stretch of the log at `base`. */
static void tail_stretch(struct tail *tail, const struct reader *reader, struct str octets,
                         uint64_t base, uint64_t from, uint64_t last)
{
    for (size_t i = 0; i + RECORD_HEADER_SIZE <= octets.n; i += RECORD_ALIGN) {
        struct record_header header;
        /* Most of a tail is zeroes. */
        if (octets.p[i] != 'V' ||
            !record_header_decode(str_from_index(octets, i), reader->header.salt, &header))
            continue;
        if (header.segment == reader->header.sequence && header.group > last)
            tail_note(tail, &header, base + i, from);
    }
}

static struct err tail_look(struct reader *reader, uint64_t from, uint64_t limit, uint64_t last,
                            struct tail *tail_r)
{
    *tail_r = (struct tail){0};
    for (uint64_t at = from; at + RECORD_HEADER_SIZE <= limit;) {
        struct str octets;
        size_t n = limit - at < WINDOW ? (size_t)(limit - at) : WINDOW;
        struct err e = reader_look(reader, at, n, &octets);
        if (err_is(e))
            return e;
        if (octets.n < RECORD_HEADER_SIZE)
            break;
        tail_stretch(tail_r, reader, octets, at, from, last);
        /* A header that begins in the last octets is whole in the next stretch. */
        at += format_align(octets.n - RECORD_HEADER_SIZE + 1);
    }
    if (tail_r->lowest != tail_r->highest)
        tail_r->later = true;
    return err_none();
}

/* --- Applying -------------------------------------------------------------------------------- */

/* The state of a replay that goes through all segments. */
struct replay {
    struct local *local;
    const struct replay_sink *sink;
    uint64_t last;      /* number of the newest group that counts */
    uint64_t highest;   /* number of any group that was seen */
    bool torn;          /* something of a torn group is left that must never count */
    uint64_t end;       /* of the last segment's groups */
    uint64_t newest;    /* where the last segment's last group begins */
    struct arena arena; /* of one record */
};

static size_t record_arrivals(const struct record_header *header, struct str record, uint64_t at,
                              struct arrival *to)
{
    struct blob_walk walk;
    struct blob_header blob;
    uint64_t blob_at;
    size_t count = 0;
    blob_walk_init(&walk, header, record);
    while (blob_walk_next(&walk, &blob, &blob_at))
        to[count++] = (struct arrival){
            .blob = blob.blob,
            .place = {.segment = header->segment,
                      .offset = at + blob_at,
                      .head = blob.head,
                      .body = blob.body,
                      .in_log = blob_size_in_log(blob.head, blob.body, blob.external),
                      .external = blob.external},
        };
    return count;
}

static void tell(const struct replay_sink *sink, struct str tag, struct op *ops, size_t count)
{
    if (!sink->replayed || tag.n == 0)
        return;
    /* As the caller had given them: an APPEND's UID stands beside its key. */
    for (size_t i = 0; i < count; i++)
        if (ops[i].kind == OP_APPEND && ops[i].key.n >= 4)
            ops[i].key.n -= 4;
    sink->replayed(sink->arg, tag, ops, count);
}

/* The rows of one record of a group into `rows`, which is layers->overlays[0]. */
static struct err record_rows(struct replay *replay, const struct layers *layers,
                              struct overlay *rows, const struct record_header *header,
                              struct str record, uint64_t at)
{
    struct arrival *arrivals =
        arena_take_array(&replay->arena, (size_t)header->blobs + 1, sizeof(*arrivals));
    if (!arrivals)
        return err_make(ERR_NO_MEMORY);
    size_t arrival_count = record_arrivals(header, record, at, arrivals);
    if (header->kind == RECORD_MOVE)
        return order_moves(layers, rows, arrivals, arrival_count);
    if (header->kind == RECORD_CHECKPOINT)
        return err_none();
    struct str tag;
    struct op *ops;
    size_t count;
    if (!deltas_decode(str_make(record.p + RECORD_HEADER_SIZE, header->deltas), &replay->arena,
                       &tag, &ops, &count))
        return err_detail(ERR_STORE_DAMAGED, STR("a commit's operations make no sense"));
    struct err e = order_replayed(layers, rows, ops, count, arrivals, arrival_count);
    if (!err_is(e))
        tell(replay->sink, tag, ops, count);
    return e;
}

static struct err record_apply(struct replay *replay, struct overlay *group_rows,
                               const struct record_header *header, struct str record, uint64_t at)
{
    struct layers durable;
    struct err e = read_begin(replay->local, &durable);
    if (err_is(e))
        return e;
    struct overlay rows;
    overlay_init(&rows, &replay->local->spare_rows);
    struct layers layers = {.overlays = {&rows, group_rows, durable.overlays[0]},
                            .count = 3,
                            .index = durable.index,
                            .view = durable.view};
    e = record_rows(replay, &layers, &rows, header, record, at);
    struct err damage = read_end(replay->local, &durable);
    if (err_is(damage))
        e = damage;
    if (!err_is(e))
        overlay_move(group_rows, &rows);
    overlay_clear(&rows);
    arena_reset(&replay->arena);
    return e;
}

/* The groups before this one were synced, or it would not have been begun: they may be in the index
 * before anything else is done. Of this one that is not known. */
static struct err group_apply(struct replay *replay, struct reader *reader, uint64_t at,
                              const struct seen_group *group)
{
    struct local *local = replay->local;
    struct overlay rows;
    overlay_init(&rows, &local->spare_rows);
    struct err e = err_none();
    if (local->active.octets > local->settings.overlay_hard && !local->status.damaged)
        e = apply_at_once(local);
    for (uint64_t done = 0; done < group->size && !err_is(e);) {
        struct record_header header;
        struct str record;
        enum format_state state;
        e = record_look(reader, at + done, at + group->size, &record, &header, &state);
        if (err_is(e))
            break;
        e = record_apply(replay, &rows, &header, record, at + done);
        done += header.size;
    }
    if (!err_is(e) && !group_number_put(&rows, group->number))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e))
        overlay_move(&local->active, &rows);
    overlay_clear(&rows);
    if (err_is(e))
        return e;
    local->durable = (struct log_position){reader->header.sequence, at + group->size};
    return e;
}

/* --- One segment ----------------------------------------------------------------------------- */

static void damage_found(struct replay *replay, const struct reader *reader, uint64_t at,
                         const char *what)
{
    char words[160];
    (void)snprintf(words, sizeof(words), "segment %llu, octet %llu: %s",
                   (unsigned long long)reader->header.sequence, (unsigned long long)at, what);
    local_is_damaged(replay->local, words, err_none());
}

/*
 * No valid group at *at_r. In a segment with a known end that is damage; in the last one it is
 * where the log ends, unless a later group follows. *at_r moves to where reading can go on, or to
 * `limit`.
 */
static struct err group_missing(struct replay *replay, struct reader *reader, uint64_t *at_r,
                                uint64_t limit, bool last_segment)
{
    struct tail tail;
    struct err e = tail_look(reader, *at_r, limit, replay->last, &tail);
    if (err_is(e))
        return e;
    if (tail.highest > replay->highest)
        replay->highest = tail.highest;
    if (last_segment && !tail.later) {
        replay->torn = tail.highest != 0;
        replay->end = *at_r;
        *at_r = limit;
        return e;
    }
    damage_found(replay, reader, *at_r, "a record is damaged");
    replay->end = limit;
    *at_r = tail.next ? tail.next : limit;
    return e;
}

static struct err segment_replay(struct replay *replay, struct reader *reader, uint64_t at,
                                 uint64_t limit, bool last_segment)
{
    replay->end = replay->newest = at;
    while (at < limit) {
        struct seen_group group;
        struct err e = group_look(reader, at, limit, replay->last, &group);
        /* A body that does not match in the group that was in flight: it is torn. */
        struct tail tail = {.later = true};
        if (!err_is(e) && group.valid && group.body_bad && last_segment)
            e = tail_look(reader, at + group.size, limit, group.number, &tail);
        if (!err_is(e) && (!group.valid || (group.body_bad && tail.highest == 0 && !tail.later)))
            e = group_missing(replay, reader, &at, limit, last_segment);
        else if (!err_is(e)) {
            if (group.body_bad)
                damage_found(replay, reader, at, "a body is damaged");
            e = group_apply(replay, reader, at, &group);
            replay->last = group.number;
            replay->newest = at;
            at += group.size;
            replay->end = at;
        }
        if (err_is(e))
            return e;
    }
    return err_none();
}

/* --- The chain ------------------------------------------------------------------------------- */

struct chain_link {
    struct segment *segment;
    struct segment_header header;
};

struct chain {
    struct chain_link *links; /* newest first */
    size_t count, cap;
};

static struct err chain_add(struct chain *chain, struct segments *segments, struct segment *segment)
{
    if (chain->count == chain->cap) {
        size_t cap = chain->cap ? chain->cap * 2 : 16;
        struct chain_link *more = realloc(chain->links, cap * sizeof(*more));
        if (!more)
            return err_make(ERR_NO_MEMORY);
        chain->links = more;
        chain->cap = cap;
    }
    struct chain_link *added = &chain->links[chain->count];
    added->segment = segment;
    struct err e = segment_read_header(segments, segment, &added->header);
    if (!err_is(e))
        chain->count++;
    return e;
}

bool chain_reaches(const struct segment_header *header, struct log_position from)
{
    return header->sequence <= from.segment || header->previous == 0 ||
           header->previous < from.segment ||
           (header->previous == from.segment && header->previous_end <= from.offset);
}

/* From the newest segment back to the index' position. */
static struct err chain_read(struct local *local, struct log_position from, struct chain *chain)
{
    struct segment *segment = segment_last(&local->segments);
    struct err e = err_none();
    /* The log would go on in a segment that was left long ago, over what lives there. */
    if (segment && segment->sequence < from.segment)
        return err_detail(ERR_STORE_DAMAGED, STR("the newest segment of the log is missing"));
    while (segment) {
        e = chain_add(chain, &local->segments, segment);
        if (err_is(e))
            return e;
        const struct segment_header *header = &chain->links[chain->count - 1].header;
        if (chain_reaches(header, from))
            break;
        segment = segment_find(&local->segments, header->previous);
        if (!segment)
            return err_detail(ERR_STORE_DAMAGED, STR("a segment of the log is missing"));
    }
    /* Spares behind the first are made for a log that is there already. */
    if (!segment && (from.segment != 0 || local->segments.spare_next > FIRST_SPARES))
        return err_detail(ERR_STORE_DAMAGED, STR("the log is gone"));
    if (segment && from.segment == 0 && chain->links[chain->count - 1].header.previous != 0)
        return err_detail(ERR_STORE_DAMAGED, STR("the index is lost and the log is not whole"));
    return err_none();
}

static bool chain_has(const struct chain *chain, uint64_t sequence)
{
    for (size_t i = 0; i < chain->count; i++)
        if (chain->links[i].header.sequence == sequence)
            return true;
    return false;
}

/* Segments that were made in attempts that failed. */
static void strays_recycle(struct local *local, const struct chain *chain, struct log_position from)
{
    struct segment *segment, *next;
    for (segment = TAILQ_FIRST(&local->segments.list); segment; segment = next) {
        next = TAILQ_NEXT(segment, link);
        if (segment->sequence > from.segment && !chain_has(chain, segment->sequence))
            (void)rotate_recycle(local, segment, LOCAL_SPARES);
    }
}

/* The size of segments may have been set otherwise when this one was made. */
static uint64_t last_limit(const struct local *local, const struct segment *segment)
{
    uint64_t usual = local->settings.segment_size;
    return segment->file_size > usual ? segment->file_size : usual;
}

/*
 * The log's newest group is what a process may have left whose sync failed: the kernel then shows
 * octets that the disk never got, and takes them for written. A sync alone would claim success. So
 * they are written again, from the memory in which they were checked.
 */
static struct err newest_write_again(struct replay *replay, struct reader *reader)
{
    const struct world_ops *ops = reader->world->ops;
    struct err e = err_none();
    for (uint64_t at = replay->newest; at < replay->end && !err_is(e);) {
        struct record_header header;
        struct str record;
        enum format_state state;
        e = record_look(reader, at, replay->end, &record, &header, &state);
        if (err_is(e))
            break;
        if (state != FORMAT_WHOLE)
            return err_detail(ERR_DISK_FAILED, STR("the log changed while it was read"));
        struct iovec part = {reader->octets + (at - reader->base), record.n};
        ssize_t got = ops->file_write(reader->world, reader->file, &part, 1, at);
        e = got < 0 ? err_os((int)-got, STR("writing the newest group again")) : err_none();
        at += record.n;
    }
    return e;
}

/* From here on what was read is on the disk, also what a killed process had not synced. */
static struct err last_settle(struct replay *replay, struct reader *reader)
{
    struct err e = err_none();
    if (!replay->local->status.damaged)
        e = newest_write_again(replay, reader);
    if (err_is(e))
        return e;
    int synced = reader->world->ops->file_sync(reader->world, reader->file);
    return synced < 0 ? err_os(-synced, STR("syncing the log")) : err_none();
}

/* Where groups may lie in link i: up to where its successor says it ended. */
static struct err link_replay(struct replay *replay, const struct chain *chain, size_t i,
                              struct log_position from)
{
    struct local *local = replay->local;
    const struct chain_link *at = &chain->links[i];
    bool last = i == 0;
    struct err e = segment_pin(&local->segments, at->segment);
    if (err_is(e))
        return e;
    struct reader reader = {.world = local->world, .file = at->segment->file, .header = at->header};
    if (at->header.first_group > 0 && at->header.first_group - 1 > replay->last)
        replay->last = at->header.first_group - 1;
    uint64_t begin =
        at->header.sequence == from.segment ? from.offset : (uint64_t)SEGMENT_HEADER_SIZE;
    uint64_t limit =
        last ? last_limit(local, at->segment) : chain->links[i - 1].header.previous_end;
    e = segment_replay(replay, &reader, begin, limit, last);
    if (!err_is(e) && last)
        e = last_settle(replay, &reader);
    free(reader.octets);
    if (err_is(e) || !last) {
        segment_unpin(&local->segments, at->segment);
        return e;
    }
    local->segment = at->segment;
    local->salt = at->header.salt;
    local->at = replay->end;
    return e;
}

/* --- The end --------------------------------------------------------------------------------- */

/* An empty group over what is left of a torn one, with a number above it: the torn one can never
 * count again. */
static struct err void_write(struct local *local)
{
    unsigned char octets[VOID_SIZE] = {0};
    struct delta_writer writer;
    deltas_begin(&writer, octets + RECORD_HEADER_SIZE, VOID_DELTAS, STR(""));
    deltas_end(&writer);
    struct record_header header = {
        .segment = local->segment->sequence,
        .group = local->group_next,
        .count = 1,
        .kind = RECORD_COMMIT,
        .size = VOID_SIZE,
        .deltas = VOID_DELTAS,
        .deltas_sum = crc32c(0, str_make(octets + RECORD_HEADER_SIZE, VOID_DELTAS)),
        .ordered = world_wall(local->world),
    };
    record_header_encode(&header, local->salt, octets);
    struct iovec part = {octets, sizeof(octets)};
    const struct world_ops *ops = local->world->ops;
    ssize_t got = ops->file_write(local->world, local->segment->file, &part, 1, local->at);
    if (got >= 0)
        got = ops->file_sync(local->world, local->segment->file);
    if (got < 0)
        return err_os((int)-got, STR("closing a torn tail"));
    if (!group_number_put(&local->active, local->group_next++))
        return err_make(ERR_NO_MEMORY);
    local->at += VOID_SIZE;
    local->durable = (struct log_position){local->segment->sequence, local->at};
    return err_none();
}

/* What the index knew, and what its rows say now. */
static struct err state_load(struct local *local, uint64_t *group_r)
{
    struct layers layers;
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    struct index_key group = key_group(), counts = key_counts();
    struct store_counts stored = {.blob_next = 1};
    struct str value;
    *group_r = 0;
    if (layers_get(&layers, index_key_str(&group), &value))
        (void)value_u64_decode(value, group_r);
    if (layers_get(&layers, index_key_str(&counts), &value))
        (void)value_counts_decode(value, &stored);
    local->applied = local->index->ops->position(layers.view);
    if (stored.blob_next > local->blob_next)
        local->blob_next = stored.blob_next;
    return read_end(local, &layers);
}

static struct err chain_replay(struct replay *replay, const struct chain *chain,
                               struct log_position from)
{
    struct err e = err_none();
    for (size_t i = chain->count; i > 0 && !err_is(e); i--)
        e = link_replay(replay, chain, i - 1, from);
    return e;
}

static struct err replay_end(struct replay *replay)
{
    struct local *local = replay->local;
    const struct segment *newest = segment_last(&local->segments);
    local->sequence_next = (newest ? newest->sequence : local->applied.segment) + 1;
    uint64_t highest = replay->highest > replay->last ? replay->highest : replay->last;
    local->group_next = highest + 1;
    uint64_t group;
    struct err e = state_load(local, &group);
    if (err_is(e) || local->status.damaged || !local->segment || !replay->torn)
        return e;
    /* No room behind the tail: the next segment's header says where this one ended. */
    if (local->at + VOID_SIZE > local->settings.segment_size) {
        local->sealed = true;
        return e;
    }
    return void_write(local);
}

struct err replay_log(struct local *local, const struct replay_sink *sink)
{
    struct replay replay = {.local = local, .sink = sink};
    struct err e = state_load(local, &replay.last);
    if (err_is(e))
        return e;
    arena_init(&replay.arena, OPS_CAP);
    struct log_position from = local->applied;
    local->durable = from;
    struct chain chain = {0};
    e = chain_read(local, from, &chain);
    if (!err_is(e)) {
        strays_recycle(local, &chain, from);
        e = chain_replay(&replay, &chain, from);
    }
    free(chain.links);
    arena_done(&replay.arena);
    if (!err_is(e))
        e = replay_end(&replay);
    if (e.code != ERR_STORE_DAMAGED)
        return e;
    local_is_damaged(local, "", e);
    return err_none();
}
