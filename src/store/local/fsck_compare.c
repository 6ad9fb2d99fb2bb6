/*
 * A second engine state is made over the same log, with a map in memory as its index, and brought
 * to the log's end by the very code that opens a store: what it then has is what the index must
 * have. It reads only, because the log it reads was brought in order when the store was opened; it
 * runs without a break on the loop's thread, so nothing is written meanwhile.
 *
 * It needs memory for the whole index, about 250 octets a row; beyond ROWS_MOST it is left out.
 */
#include "store/local/fsck.h"

enum {
    KEY_SHOWN = 100,
};

#define ROWS_MOST UINT64_C(8000000)

static struct err shadow_open(struct local *local, struct local *shadow)
{
    *shadow = (struct local){.engine = local->engine,
                             .magic = LOCAL_MAGIC,
                             .loop = local->loop,
                             .world = local->world,
                             .folder = local->folder,
                             .lock = -1,
                             .settings = local->settings,
                             .group_next = 1,
                             .sequence_next = 1,
                             .blob_next = 1};
    apply_open(shadow);
    background_open(shadow);
    struct err e = index_map_open(&shadow->index);
    if (err_is(e))
        return e;
    e = segments_open(&shadow->segments, local->world, local->folder, local->settings.segment_size);
    shadow->segments_are_open = !err_is(e);
    return e;
}

static void shadow_close(struct local *shadow)
{
    overlay_clear(&shadow->active);
    overlay_clear(&shadow->frozen);
    spares_done(&shadow->spare_rows);
    if (shadow->segment)
        segment_unpin(&shadow->segments, shadow->segment);
    if (shadow->segments_are_open)
        segments_close(&shadow->segments);
    if (shadow->index)
        shadow->index->ops->close(shadow->index);
}

static struct err shadow_read(struct local *shadow)
{
    struct err e = checkpoint_restore(shadow);
    if (!err_is(e))
        e = replay_log(shadow, &(struct replay_sink){0});
    if (!err_is(e) && !shadow->status.damaged)
        e = apply_at_once(shadow);
    return e;
}

struct side {
    struct index *index;
    struct index_view *view;
    bool has;
    struct str key, value;
};

static struct err side_begin(struct side *side, struct index *index)
{
    side->index = index;
    struct err e = index->ops->view_begin(index, &side->view);
    if (!err_is(e))
        side->has = index->ops->seek(side->view, str_null(), &side->key, &side->value);
    return e;
}

static void side_next(struct side *side)
{
    side->has = side->index->ops->next(side->view, &side->key, &side->value);
}

/* Numbers that a failed commit burnt are in the index and not in the log; the number of the newest
 * group too may be of one that was refused. */
static bool may_differ(struct str key)
{
    struct index_key group = key_group();
    return key.p[0] == TABLE_NUMBERS || str_eq(key, index_key_str(&group));
}

static void differs(struct fsck *fsck, struct str key, struct str wanted)
{
    if (may_differ(key))
        return;
    struct buf words = BUF_INIT(1024);
    buf_put_escaped(&words, key, KEY_SHOWN);
    fsck_found(fsck, fsck->repair, "index and log disagree about row \"%.*s\"",
               STR_FMT(buf_str(&words)));
    fsck_row(fsck, key, wanted);
    buf_done(&words);
}

static void compare(struct fsck *fsck, struct side *log, struct side *index)
{
    while (log->has || index->has) {
        int order = !log->has ? 1 : !index->has ? -1 : str_cmp(log->key, index->key);
        if (order < 0) {
            differs(fsck, log->key, log->value);
            side_next(log);
        } else if (order > 0) {
            differs(fsck, index->key, str_null());
            side_next(index);
        } else {
            if (!str_eq(log->value, index->value))
                differs(fsck, log->key, log->value);
            side_next(log);
            side_next(index);
        }
    }
}

static bool reaches(struct log_position at, struct log_position wanted)
{
    return at.segment > wanted.segment ||
           (at.segment == wanted.segment && at.offset >= wanted.offset);
}

/* The index has the log's last group, and nothing of what the log does not have. Between the last
 * group and the log's end there may be the header of a segment that holds no group yet. */
static bool same_end(const struct local *shadow, struct log_position index)
{
    struct log_position end = shadow->applied;
    if (shadow->segment)
        end = (struct log_position){shadow->segment->sequence, shadow->at};
    return reaches(index, shadow->applied) && reaches(end, index);
}

static struct err sides_compare(struct fsck *fsck, struct local *shadow)
{
    struct side log, index;
    struct err e = side_begin(&log, shadow->index);
    if (err_is(e))
        return e;
    e = side_begin(&index, fsck->local->index);
    if (!err_is(e)) {
        struct index *real = fsck->local->index;
        if (same_end(shadow, real->ops->position(index.view)))
            compare(fsck, &log, &index);
        else
            fsck_found(fsck, false, "the index and the log end at different positions");
        real->ops->view_end(real, index.view);
    }
    shadow->index->ops->view_end(shadow->index, log.view);
    return e;
}

struct err fsck_compare(struct fsck *fsck)
{
    struct local *local = fsck->local;
    if (local->flying || local->making || local->applying || local->active.count > 0 ||
        local->frozen.count > 0)
        return err_none();
    struct local_status status;
    local_status(&local->engine, &status);
    if (status.entries + status.blobs > ROWS_MOST)
        return err_none();
    struct local *shadow = malloc(sizeof *shadow);
    if (!shadow)
        return err_make(ERR_NO_MEMORY);
    struct err e = shadow_open(local, shadow);
    if (!err_is(e))
        e = shadow_read(shadow);
    if (!err_is(e) && shadow->status.damaged) {
        fsck_found(fsck, fsck->repair, "from the log alone the index could not be built: %s",
                   shadow->why);
        fsck->log_broken = true;
    } else if (!err_is(e)) {
        e = sides_compare(fsck, shadow);
    }
    shadow_close(shadow);
    free(shadow);
    return e;
}
