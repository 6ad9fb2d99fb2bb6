/*
 * Setting aside. Nothing that was found damaged is overwritten or removed: a body file moves to
 * quarantine/, and so does a whole segment once everything whole in it was carried to the log's
 * end. A checkpoint then makes sure that a lost index is never built from damaged records again.
 */
#include "store/local/body_file.h"
#include "store/local/fsck.h"
#include "store/local/quarantine.h"

enum {
    KEY_SHOWN = 200,
};

static void owners_tell(struct fsck *fsck, blob_id blob)
{
    struct index *index = fsck->local->index;
    struct index_key prefix = key_owners_of(blob);
    struct index_view *view;
    struct str key, value;
    if (err_is(index->ops->view_begin(index, &view)))
        return;
    bool more = index->ops->seek(view, index_key_str(&prefix), &key, &value);
    for (; more && str_starts(key, index_key_str(&prefix));
         more = index->ops->next(view, &key, &value)) {
        if (key.n < prefix.n + PARTITION_KEY_SIZE)
            continue;
        const unsigned char *p = (const unsigned char *)key.p + prefix.n;
        struct str name = str_from_index(key, prefix.n + PARTITION_KEY_SIZE);
        buf_printf(&fsck->list, "  referred to by partition %u/%llu, key \"", p[0],
                   (unsigned long long)key_get_u64(p + 1));
        buf_put_escaped(&fsck->list, name, KEY_SHOWN);
        buf_put(&fsck->list, STR("\"\n"));
    }
    index->ops->view_end(index, view);
}

/* A file that is not there is no error. */
static struct err body_keep(struct local *local, blob_id blob)
{
    char name[BODY_NAME_MAX];
    struct str from = body_name(blob, name);
    struct err e = quarantine_move(local->world, local->folder, from,
                                   str_from_index(from, (size_t)str_last_index(from, '/') + 1));
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err fsck_keep_body(struct fsck *fsck, blob_id blob)
{
    buf_printf(&fsck->list, "body file %016llx: the commit that names it may be lost\n",
               (unsigned long long)blob);
    return body_keep(fsck->local, blob);
}

struct err fsck_set_aside(struct fsck *fsck, blob_id blob, struct place *place, const char *why)
{
    fsck_found(fsck, fsck->repair, "blob %016llx (segment %llu, octet %llu): %s",
               (unsigned long long)blob, (unsigned long long)place->segment,
               (unsigned long long)place->offset, why);
    if (!fsck->repair)
        return err_none();
    struct err e = err_none();
    buf_printf(&fsck->list, "blob %016llx, segment %llu, octet %llu, %llu octets: %s\n",
               (unsigned long long)blob, (unsigned long long)place->segment,
               (unsigned long long)place->offset, (unsigned long long)place->in_log, why);
    owners_tell(fsck, blob);
    if (place->external)
        e = body_keep(fsck->local, blob);
    *place = (struct place){.head = place->head, .body = place->body};
    return e;
}

/* --- Emptying damaged segments -----------------------------------------------------------------
 */

struct living {
    blob_id blob;
    struct place place;
};

/* What lives in the segment, as the index has it. *living_r is to be freed. */
static struct err living_collect(struct local *local, uint64_t sequence, struct living **living_r,
                                 size_t *count_r)
{
    struct index_view *view;
    struct str key, value;
    const char table = TABLE_PLACE;
    size_t cap = 0;
    *living_r = NULL;
    *count_r = 0;
    struct err e = local->index->ops->view_begin(local->index, &view);
    if (err_is(e))
        return e;
    bool more = local->index->ops->seek(view, str_make(&table, 1), &key, &value);
    for (; more && key.p[0] == table && !err_is(e);
         more = local->index->ops->next(view, &key, &value)) {
        struct place place;
        if (!value_place_decode(value, &place) || place.segment != sequence)
            continue;
        if (*count_r == cap) {
            cap = cap ? cap * 2 : 64;
            struct living *grown = reallocarray(*living_r, cap, sizeof *grown);
            if (!grown) {
                e = err_make(ERR_NO_MEMORY);
                break;
            }
            *living_r = grown;
        }
        (*living_r)[(*count_r)++] =
            (struct living){.blob = key_get_u64((const unsigned char *)key.p + 1), .place = place};
    }
    local->index->ops->view_end(local->index, view);
    return e;
}

/* Carries one blob that was found whole to the log's end. */
static struct err living_move(struct local *local, struct segment *segment,
                              const struct living *living)
{
    char *octets = malloc(living->place.in_log + 1);
    struct record_blob blob;
    if (!octets)
        return err_make(ERR_NO_MEMORY);
    ssize_t n = local->world->ops->file_read(local->world, segment->file, octets,
                                             living->place.in_log, living->place.offset);
    struct err e = err_none();
    blob.octets = str_make(octets, living->place.in_log);
    if (n < 0)
        e = err_os((int)-n, STR("segment"));
    else if ((uint64_t)n != living->place.in_log ||
             !blob_header_decode(blob.octets, &blob.header) || blob.header.blob != living->blob)
        e = err_detail(ERR_STORE_DAMAGED, STR("a blob changed while it was read"));
    if (!err_is(e))
        e = record_wait(local, RECORD_MOVE, str_null(), &blob, 1);
    free(octets);
    return e;
}

static struct err segment_carry(struct local *local, struct segment *segment)
{
    struct living *living = NULL;
    size_t count = 0;
    struct err e = living_collect(local, segment->sequence, &living, &count);
    if (!err_is(e))
        e = segment_pin(&local->segments, segment);
    if (!err_is(e)) {
        for (size_t i = 0; i < count && !err_is(e); i++)
            e = living_move(local, segment, &living[i]);
        segment_unpin(&local->segments, segment);
    }
    free(living);
    return e;
}

/* From here on the log goes on in a segment behind every damaged one, and the index too. */
static struct err log_step_on(struct local *local)
{
    if (local->segment->damaged) {
        local->sealed = true;
        commit_go_on(local);
    }
    return record_wait(local, RECORD_MOVE, str_null(), NULL, 0);
}

static bool any_damaged(struct local *local)
{
    struct segment *segment;
    TAILQ_FOREACH (segment, &local->segments.list, link)
        if (segment->damaged)
            return true;
    return false;
}

static struct err damaged_keep(struct fsck *fsck, struct log_position checkpoint)
{
    struct local *local = fsck->local;
    struct segment *segment = TAILQ_FIRST(&local->segments.list);
    struct err e = err_none();
    while (segment && !err_is(e)) {
        struct segment *next = TAILQ_NEXT(segment, link);
        if (segment->damaged && segment_may_go(local, segment, checkpoint)) {
            char name[SEGMENT_NAME_MAX];
            buf_printf(&fsck->list, "segment kept as quarantine/%.*s\n",
                       STR_FMT(segment_name(segment->sequence, name)));
            e = segment_quarantine(&local->segments, segment, local->folder);
        } else if (segment->damaged) {
            fsck_found(fsck, false, "segment %llu is damaged and could not be emptied",
                       (unsigned long long)segment->sequence);
        }
        segment = next;
    }
    return e;
}

struct err fsck_empty_damaged(struct fsck *fsck)
{
    struct local *local = fsck->local;
    struct log_position checkpoint;
    struct segment *segment;
    if (!any_damaged(local))
        return err_none();
    struct err e = log_step_on(local);
    TAILQ_FOREACH (segment, &local->segments.list, link)
        if (segment->damaged && !err_is(e))
            e = segment_carry(local, segment);
    if (!err_is(e))
        e = apply_wait(local);
    if (!err_is(e))
        e = checkpoint_write(local, &checkpoint);
    return err_is(e) ? e : damaged_keep(fsck, checkpoint);
}

struct err fsck_list_write(struct fsck *fsck)
{
    struct local *local = fsck->local;
    if (fsck->list.n == 0)
        return err_none();
    struct buf name = BUF_INIT(QUARANTINE_NAME_MAX);
    buf_printf(&name, "list-%lld", (long long)world_wall(local->world));
    struct err e =
        quarantine_write(local->world, local->folder, buf_str(&name), buf_str(&fsck->list));
    buf_done(&name);
    return e;
}
