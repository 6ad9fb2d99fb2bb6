/*
 * Two views of one state: one is walked, in the other things are looked up. Everything but the
 * entries follows from other rows, so each table is checked against the one it follows from:
 * entries name blobs, owners are entries turned round, places are of owned blobs, sums are over
 * places. A walk that mended something is done again, as the sums follow from what was mended.
 */
#include "store/local/body_file.h"
#include "store/local/fsck.h"

enum {
    READ_SIZE = 256 * 1024,
    HEAD_CAP = ENGINE_HEAD_MAX + 4096,
    BLOB_KEY_SIZE = 9,
    VIEW_TRIES = 1000,
    KEY_SHOWN = 100,
};

struct check {
    struct fsck *fsck;
    struct index *index;
    struct index_view *walked, *side;
    struct store_counts counts; /* as counted */
    blob_id highest;
    char *octets; /* READ_SIZE */
};

static struct str lookup(struct check *check, const struct index_key *key, bool *found_r)
{
    struct str value = {0};
    *found_r = check->index->ops->get(check->side, index_key_str(key), &value);
    return value;
}

/* "partition 3/7, key ..." for findings; the caller's buf holds it. */
static struct str entry_shown(struct str key, struct buf *to)
{
    if (key.n < 1 + PARTITION_KEY_SIZE) {
        buf_put(to, STR("(a short key)"));
        return buf_str(to);
    }
    const unsigned char *p = (const unsigned char *)key.p;
    buf_printf(to, "partition %u/%llu, key ", p[1], (unsigned long long)key_get_u64(p + 2));
    buf_put_escaped(to, str_from_index(key, 1 + PARTITION_KEY_SIZE), KEY_SHOWN);
    return buf_str(to);
}

/* --- Entries and owners ------------------------------------------------------------------------
 */

static struct index_key owner_of_entry(struct str entry_key, blob_id blob)
{
    struct index_key key = key_owners_of(blob);
    struct str rest = str_from_index(entry_key, 1);
    must(rest.n <= sizeof key.p - key.n);
    memcpy(key.p + key.n, rest.p, rest.n);
    key.n += rest.n;
    return key;
}

static void dangling(struct check *check, struct str shown, blob_id blob)
{
    struct index_key place_key = key_place(blob);
    unsigned char octets[VALUE_PLACE_SIZE];
    value_place_encode(&(struct place){0}, octets);
    fsck_found(check->fsck, check->fsck->repair, "%.*s: its blob %016llx is nowhere",
               STR_FMT(shown), (unsigned long long)blob);
    fsck_row(check->fsck, index_key_str(&place_key), str_make(octets, sizeof octets));
}

static void entry_blob_check(struct check *check, struct str key, struct str shown, blob_id blob)
{
    struct index_key owner = owner_of_entry(key, blob);
    struct index_key place = key_place(blob);
    bool found;
    (void)lookup(check, &owner, &found);
    if (!found) {
        fsck_found(check->fsck, check->fsck->repair,
                   "%.*s: it is not among the owners of its blob %016llx", STR_FMT(shown),
                   (unsigned long long)blob);
        fsck_row(check->fsck, index_key_str(&owner), STR(""));
    }
    (void)lookup(check, &place, &found);
    if (!found)
        dangling(check, shown, blob);
}

static void entry_check(struct check *check, struct str key, struct str value)
{
    blob_id blob;
    struct str octets;
    check->counts.entries++;
    bool ours = key.n >= 1 + PARTITION_KEY_SIZE &&
                key.n - 1 - PARTITION_KEY_SIZE <= ENGINE_KEY_MAX &&
                value_entry_decode(value, &blob, &octets);
    if (ours && blob == 0)
        return;
    struct buf words = BUF_INIT(1024);
    struct str shown = entry_shown(key, &words);
    if (ours)
        entry_blob_check(check, key, shown, blob);
    else
        fsck_found(check->fsck, false, "%.*s: no entry could have been written so", STR_FMT(shown));
    buf_done(&words);
}

/* The entry an owner's row speaks of; false: the row makes no sense. */
static bool owner_entry(struct str key, struct index_key *entry_r)
{
    struct str rest = str_from_index(key, BLOB_KEY_SIZE);
    if (rest.n < PARTITION_KEY_SIZE || rest.n >= sizeof entry_r->p)
        return false;
    entry_r->p[0] = TABLE_ENTRY;
    memcpy(entry_r->p + 1, rest.p, rest.n);
    entry_r->n = 1 + rest.n;
    return true;
}

static void owner_check(struct check *check, struct str key)
{
    blob_id blob = 0;
    struct index_key entry = {.n = 0};
    bool found = false;
    struct str value = {0};
    if (owner_entry(key, &entry))
        value = lookup(check, &entry, &found);
    if (found && value_entry_decode(value, &blob, &value) &&
        blob == key_get_u64((const unsigned char *)key.p + 1))
        return;
    struct buf words = BUF_INIT(1024);
    struct str shown = entry_shown(index_key_str(&entry), &words);
    fsck_found(check->fsck, check->fsck->repair, "a blob has an owner that does not own it: %.*s",
               STR_FMT(shown));
    fsck_row(check->fsck, key, str_null());
    buf_done(&words);
}

/* --- Places ------------------------------------------------------------------------------------
 */

static bool has_owner(struct check *check, blob_id blob)
{
    struct index_key prefix = key_owners_of(blob);
    struct str key, value;
    return check->index->ops->seek(check->side, index_key_str(&prefix), &key, &value) &&
           str_starts(key, index_key_str(&prefix));
}

/* Was its body read with its record, when the log was? Then header and head show that the place is
 * this blob's. */
static bool body_was_read(struct check *check, const struct place *place)
{
    const struct segment *segment = segment_find(&check->fsck->local->segments, place->segment);
    return !place->external && segment && !segment->damaged && place->offset < segment->read_to &&
           place->in_log <= segment->read_to - place->offset;
}

/* Reads all of the blob that was not read yet. ERR_NOT_FOUND: it went meanwhile. */
static struct err blob_check(struct check *check, blob_id blob, const struct place *place)
{
    struct engine *engine = &check->fsck->local->engine;
    struct arena arena;
    struct str head;
    arena_init(&arena, HEAD_CAP);
    struct err e = local_blob_head(engine, blob, &arena, &head);
    arena_done(&arena);
    int file;
    if (!err_is(e) && place->external) {
        e = body_file_open(check->fsck->local->world, check->fsck->local->folder, blob, place->body,
                           &file);
        if (!err_is(e))
            (void)check->fsck->local->world->ops->close(check->fsck->local->world, file);
        if (e.code == ERR_NOT_FOUND)
            e = err_detail(ERR_STORE_DAMAGED, STR("its body file is missing"));
    }
    uint64_t end = body_was_read(check, place) ? 0 : place->body;
    for (uint64_t at = 0; at < end && !err_is(e); at += READ_SIZE) {
        uint64_t left = end - at;
        e = local_blob_read(engine, blob, at, check->octets,
                            left < READ_SIZE ? (size_t)left : READ_SIZE);
    }
    return e;
}

static void place_sum(struct check *check, const struct place *place)
{
    struct segment *segment = segment_find(&check->fsck->local->segments, place->segment);
    check->counts.blobs++;
    check->counts.external += place->external ? place->body : 0;
    if (segment) {
        segment->seen_live += place->in_log;
        segment->seen_blobs++;
    }
}

static struct err place_damaged(struct check *check, blob_id blob, struct place place,
                                const char *why)
{
    struct segment *segment = segment_find(&check->fsck->local->segments, place.segment);
    if (segment)
        segment->damaged = true;
    struct err e = fsck_set_aside(check->fsck, blob, &place, why);
    struct index_key key = key_place(blob);
    unsigned char octets[VALUE_PLACE_SIZE];
    value_place_encode(&place, octets);
    if (!err_is(e))
        fsck_row(check->fsck, index_key_str(&key), str_make(octets, sizeof octets));
    return e;
}

/* May yield. */
static struct err place_check(struct check *check, struct str key, struct str value)
{
    struct place place;
    if (key.n != BLOB_KEY_SIZE || !value_place_decode(value, &place)) {
        fsck_found(check->fsck, check->fsck->repair, "a row of places makes no sense");
        fsck_row(check->fsck, key, str_null());
        return err_none();
    }
    blob_id blob = key_get_u64((const unsigned char *)key.p + 1);
    check->highest = blob > check->highest ? blob : check->highest;
    place_sum(check, &place);
    if (!has_owner(check, blob)) {
        fsck_found(check->fsck, check->fsck->repair, "blob %016llx has a place and no owner",
                   (unsigned long long)blob);
        fsck_row(check->fsck, key, str_null());
        return err_none();
    }
    if (place.segment == 0 || check->fsck->quiet)
        return err_none();
    struct err e = blob_check(check, blob, &place);
    if (e.code == ERR_NOT_FOUND || !err_is(e))
        return err_none();
    if (e.code != ERR_STORE_DAMAGED && e.code != ERR_DISK_FAILED)
        return e;
    char why[200];
    (void)snprintf(why, sizeof why, "%.*s", STR_FMT(e.detail));
    return place_damaged(check, blob, place, why);
}

/* --- Sums --------------------------------------------------------------------------------------
 */

/* A row of a segment that has none of the blobs it counts is found here; one that is missing, by
 * sums_check. */
static void segment_check(struct check *check, struct str key, struct str value)
{
    struct segment_use use = {0};
    bool whole = key.n == BLOB_KEY_SIZE && value_segment_decode(value, &use);
    uint64_t sequence = whole ? key_get_u64((const unsigned char *)key.p + 1) : 0;
    struct segment *segment = segment_find(&check->fsck->local->segments, sequence);
    if (segment)
        segment->seen_row = true;
    if (whole && segment && segment->seen_live == use.live && segment->seen_blobs == use.blobs &&
        use.blobs > 0)
        return;
    if (whole && !segment)
        fsck_found(check->fsck, check->fsck->repair, "segment %llu is missing, with %llu blobs",
                   (unsigned long long)sequence, (unsigned long long)use.blobs);
    else
        fsck_found(check->fsck, check->fsck->repair,
                   "segment %llu: what lives in it is counted wrong", (unsigned long long)sequence);
    if (segment)
        segment->seen_row = false; /* written by sums_check */
    fsck_row(check->fsck, key, str_null());
}

static void sums_check(struct check *check, bool told)
{
    struct segment *segment;
    TAILQ_FOREACH (segment, &check->fsck->local->segments.list, link) {
        if (segment->seen_row || segment->seen_blobs == 0)
            continue;
        struct index_key key = key_segment(segment->sequence);
        unsigned char octets[VALUE_SEGMENT_SIZE];
        value_segment_encode(
            &(struct segment_use){.live = segment->seen_live, .blobs = segment->seen_blobs},
            octets);
        bool found;
        (void)lookup(check, &key, &found);
        if (!found && !told)
            fsck_found(check->fsck, check->fsck->repair,
                       "segment %llu: what lives in it is not counted",
                       (unsigned long long)segment->sequence);
        fsck_row(check->fsck, index_key_str(&key), str_make(octets, sizeof octets));
    }
}

static void counts_check(struct check *check)
{
    struct index_key key = key_counts();
    struct store_counts stored = {.blob_next = 1};
    bool found;
    struct str value = lookup(check, &key, &found);
    bool whole = !found || value_counts_decode(value, &stored);
    if (whole && stored.entries == check->counts.entries && stored.blobs == check->counts.blobs &&
        stored.external == check->counts.external && stored.blob_next > check->highest)
        return;
    fsck_found(check->fsck, check->fsck->repair, "entries or blobs are counted wrong");
    check->counts.blob_next =
        stored.blob_next > check->highest ? stored.blob_next : check->highest + 1;
    unsigned char octets[VALUE_COUNTS_SIZE];
    value_counts_encode(&check->counts, octets);
    fsck_row(check->fsck, index_key_str(&key), str_make(octets, sizeof octets));
}

/* --- The walk ----------------------------------------------------------------------------------
 */

/* Two views of the same state. */
static struct err views_open(struct check *check)
{
    const struct index_ops *ops = check->index->ops;
    for (unsigned i = 0; i < VIEW_TRIES; i++) {
        struct err e = ops->view_begin(check->index, &check->walked);
        if (err_is(e))
            return e;
        e = ops->view_begin(check->index, &check->side);
        if (err_is(e)) {
            ops->view_end(check->index, check->walked);
            return e;
        }
        struct log_position a = ops->position(check->walked);
        struct log_position b = ops->position(check->side);
        if (a.segment == b.segment && a.offset == b.offset)
            return err_none();
        ops->view_end(check->index, check->side);
        ops->view_end(check->index, check->walked);
    }
    return err_make(ERR_TRY_LATER);
}

static void segments_forget(struct local *local)
{
    struct segment *segment;
    TAILQ_FOREACH (segment, &local->segments.list, link) {
        segment->seen_live = segment->seen_blobs = 0;
        segment->seen_row = false;
    }
}

/* May yield. */
static struct err row_check(struct check *check, struct str key, struct str value)
{
    switch (key.p[0]) {
    case TABLE_ENTRY:
        entry_check(check, key, value);
        return err_none();
    case TABLE_OWNER:
        owner_check(check, key);
        return err_none();
    case TABLE_PLACE:
        return place_check(check, key, value);
    case TABLE_SEGMENT:
        segment_check(check, key, value);
        return err_none();
    case TABLE_META:
    case TABLE_NUMBERS:
        return err_none();
    default:
        fsck_found(check->fsck, check->fsck->repair, "a row of an unknown table");
        fsck_row(check->fsck, key, str_null());
        return err_none();
    }
}

static struct err walk(struct check *check)
{
    const struct index_ops *ops = check->index->ops;
    struct str key, value;
    struct err e = err_none();
    bool more = ops->seek(check->walked, str_null(), &key, &value);
    for (; more && !err_is(e); more = ops->next(check->walked, &key, &value))
        e = row_check(check, key, value);
    if (ops->damaged(check->walked) || ops->damaged(check->side))
        return err_detail(ERR_STORE_DAMAGED, STR("a row of the index does not match its sum"));
    if (!err_is(e)) {
        sums_check(check, false);
        counts_check(check);
    }
    return e;
}

struct err fsck_index(struct fsck *fsck)
{
    struct check check = {.fsck = fsck, .index = fsck->local->index};
    check.octets = malloc(READ_SIZE);
    struct err e = check.octets ? views_open(&check) : err_make(ERR_NO_MEMORY);
    if (!err_is(e)) {
        segments_forget(fsck->local);
        e = walk(&check);
        check.index->ops->view_end(check.index, check.side);
        check.index->ops->view_end(check.index, check.walked);
    }
    free(check.octets);
    return e;
}
