/*
 * The order matters. The index is checked page by page before anything reads through it. The log
 * is read next; where it is whole, an index is built from it anew, in memory, and the real one is
 * compared with that, because the log is the truth and an entry that the index lost must come back
 * rather than its body be called leaked. Only then is the index checked against itself and against
 * the octets it places, which also works where the log has holes.
 */
#include "store/local/fsck.h"

#include <stdarg.h>

#include "store/local/body_file.h"

enum {
    WORDS_MAX = 1024,
    ROWS_MAX = 1024 * 1024 * 1024, /* octets of rows to be mended together */
    LIST_MAX = 64 * 1024 * 1024,
    ROUNDS = 4, /* of mending; each follows from the one before */
};

/* --- Findings and rows -------------------------------------------------------------------------
 */

void fsck_found(struct fsck *fsck, bool mended, const char *format, ...)
{
    if (fsck->quiet)
        return;
    fsck->findings++;
    struct buf words = BUF_INIT(WORDS_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&words, format, args);
    va_end(args);
    if (fsck->found)
        fsck->found(fsck->arg, buf_over(&words) ? STR("(a long finding)") : buf_str(&words),
                    mended);
    buf_done(&words);
}

void fsck_row(struct fsck *fsck, struct str key, struct str value)
{
    if (!fsck->repair)
        return;
    wire_put_str(&fsck->rows, key);
    wire_put_u8(&fsck->rows, value.p != NULL);
    wire_put_str(&fsck->rows, value);
    fsck->row_count++;
}

struct rows_job {
    struct local *local;
    struct index_change *changes;
    size_t count;
    struct err err;
};

static void rows_run(void *arg)
{
    struct rows_job *job = arg;
    job->err = job->local->index->ops->write(job->local->index, job->changes, job->count,
                                             job->local->applied);
}

struct err fsck_rows_write(struct fsck *fsck, bool *any_r)
{
    struct rows_job job = {.local = fsck->local, .count = fsck->row_count};
    *any_r = fsck->row_count > 0;
    if (!*any_r)
        return err_none();
    job.changes = calloc(job.count, sizeof *job.changes);
    if (!job.changes || buf_over(&fsck->rows)) {
        free(job.changes);
        return err_make(ERR_NO_MEMORY);
    }
    struct wire_in in = wire_in(buf_str(&fsck->rows));
    for (size_t i = 0; i < job.count; i++) {
        job.changes[i].key = wire_get_str(&in);
        bool there = wire_get_u8(&in) != 0;
        struct str value = wire_get_str(&in);
        job.changes[i].value = there ? str_make(value.p ? value.p : "", value.n) : str_null();
    }
    must(wire_end(&in));
    lane_call(&fsck->local->applier, rows_run, &job);
    free(job.changes);
    buf_clear(&fsck->rows);
    fsck->row_count = 0;
    return job.err;
}

/* --- The index' own file -----------------------------------------------------------------------
 */

struct index_job {
    struct index *index;
    struct err err;
};

static void check_run(void *arg)
{
    struct index_job *job = arg;
    job->err = job->index->ops->check(job->index);
}

static void reset_run(void *arg)
{
    struct index_job *job = arg;
    job->err = job->index->ops->reset(job->index);
}

struct err fsck_read_again(struct fsck *fsck)
{
    struct local *local = fsck->local;
    overlay_clear(&local->active);
    overlay_clear(&local->frozen);
    if (local->segment)
        segment_unpin(&local->segments, local->segment);
    local->segment = NULL;
    local->sealed = false;
    local->applied = local->durable = local->frozen_to = (struct log_position){0};
    local->status.damaged = false;
    local->why[0] = '\0';
    local->state = LOCAL_OPENING;
    struct err e = checkpoint_restore(local);
    if (!err_is(e))
        e = replay_log(local, &(struct replay_sink){0});
    if (!err_is(e) && !local->segment && !local->status.damaged)
        local_is_damaged(local, "the log is gone", e);
    local->state = local->status.damaged ? LOCAL_DAMAGED : LOCAL_SERVING;
    return err_is(e) || local->status.damaged ? e : apply_wait(local);
}

struct err fsck_index_reset(struct fsck *fsck)
{
    struct index_job job = {.index = fsck->local->index};
    lane_call(&fsck->local->applier, reset_run, &job);
    return job.err;
}

/* False with *e_r none: the index cannot be looked at. */
static bool index_file_check(struct fsck *fsck, struct err *e_r)
{
    struct index_job job = {.index = fsck->local->index};
    lane_call(&fsck->local->applier, check_run, &job);
    *e_r = job.err;
    if (job.err.code != ERR_STORE_DAMAGED)
        return !err_is(job.err);
    fsck_found(fsck, fsck->repair, "the index is damaged: %.*s", STR_FMT(job.err.detail));
    *e_r = err_none();
    if (!fsck->repair)
        return false;
    *e_r = fsck_index_reset(fsck);
    if (!err_is(*e_r))
        *e_r = fsck_read_again(fsck);
    return !err_is(*e_r);
}

/* --- The log -----------------------------------------------------------------------------------
 */

struct log_check {
    struct local *local;
    struct scan scan;
    struct scanned found;
    enum scan_state state;
};

/* On the reader lane: goes on to the next record that is not whole, or the end. */
static void log_check_run(void *arg)
{
    struct log_check *check = arg;
    do {
        check->state = scan_next(&check->scan, &check->found);
    } while (check->state == SCAN_RECORD);
}

static struct err segment_check(struct fsck *fsck, struct segment *segment)
{
    struct log_check check = {.local = fsck->local};
    struct err e = segment_scan_begin(fsck->local, segment, &check.scan);
    if (e.code == ERR_STORE_DAMAGED) {
        fsck_found(fsck, fsck->repair, "segment %llu: %.*s", (unsigned long long)segment->sequence,
                   STR_FMT(e.detail));
        segment->damaged = fsck->log_broken = true;
        return err_none();
    }
    if (err_is(e))
        return e;
    for (;;) {
        lane_call(&fsck->local->reader, log_check_run, &check);
        if (check.state == SCAN_END || check.state == SCAN_FAILED)
            break;
        bool body = check.state == SCAN_BODY_BAD;
        fsck_found(fsck, fsck->repair, "segment %llu, octet %llu: %s",
                   (unsigned long long)segment->sequence,
                   (unsigned long long)(body ? check.found.at : check.scan.at),
                   body ? "a body in this record is damaged" : "a record is damaged");
        segment->damaged = true;
        fsck->log_broken = true;
        if (!body && !scan_resync(&check.scan))
            break;
    }
    e = check.scan.err;
    if (!err_is(e) && !segment->damaged)
        segment->read_to = check.scan.at;
    segment_scan_end(fsck->local, segment, &check.scan);
    return e;
}

static struct err log_check(struct fsck *fsck)
{
    struct segment *segment;
    struct err e = err_none();
    TAILQ_FOREACH (segment, &fsck->local->segments.list, link) {
        segment->damaged = false;
        segment->read_to = 0;
        if (!err_is(e))
            e = segment_check(fsck, segment);
    }
    return e;
}

/* Damage above the index' position was left out when the log was read; with repair the rest
 * counts from now on. */
static struct err opened_damaged(struct fsck *fsck)
{
    struct local *local = fsck->local;
    if (!local->status.damaged)
        return err_none();
    bool mend = fsck->repair && local->segment;
    fsck_found(fsck, mend, "%s", local->why[0] ? local->why : "the store is damaged");
    fsck->log_broken = true;
    if (!mend)
        return err_none();
    local->status.damaged = false;
    local->why[0] = '\0';
    local->state = LOCAL_SERVING;
    fsck->lost = true;
    return apply_wait(local);
}

/* --- Body files --------------------------------------------------------------------------------
 */

struct bodies_job {
    struct local *local;
    struct buf blobs;
    struct err err;
};

static void bodies_run(void *arg)
{
    struct bodies_job *job = arg;
    bodies_list(job->local, &job->blobs, &job->err);
}

static struct err body_check(struct fsck *fsck, blob_id blob)
{
    bool leaked;
    if (blob == 0) {
        fsck_found(fsck, false, "a file in bodies/ is none of ours");
        return err_none();
    }
    struct err e = body_is_leaked(fsck->local, blob, &leaked);
    if (err_is(e) || !leaked)
        return e;
    fsck_found(fsck, fsck->repair, "body file %016llx belongs to nobody%s",
               (unsigned long long)blob, fsck->log_broken ? " that the log still knows" : "");
    if (!fsck->repair)
        return e;
    return fsck->log_broken ? fsck_keep_body(fsck, blob)
                            : body_remove(fsck->local->world, fsck->local->folder, blob);
}

/* Uploads that no commit took yet look as if they were leaked: so only on a store that is ours
 * alone. */
static struct err bodies_check(struct fsck *fsck)
{
    struct bodies_job bodies = {.local = fsck->local};
    lane_call(&fsck->local->reader, bodies_run, &bodies);
    struct wire_in in = wire_in(buf_str(&bodies.blobs));
    struct err e = bodies.err;
    while (in.rest.n > 0 && !err_is(e))
        e = body_check(fsck, wire_get_u64(&in));
    buf_done(&bodies.blobs);
    return e;
}

/* --- All of it ---------------------------------------------------------------------------------
 */

/* Rows are mended until nothing more follows from what was mended. */
static struct err rounds(struct fsck *fsck, bool *mended_r)
{
    struct err e = fsck_index(fsck);
    bool any = false;
    for (unsigned i = 0; i < ROUNDS && !err_is(e); i++) {
        e = fsck_rows_write(fsck, &any);
        *mended_r |= any;
        if (!any || err_is(e))
            break;
        fsck->quiet = true;
        e = fsck_index(fsck);
    }
    fsck->quiet = false;
    return e;
}

/* What the log says, and numbers that are not given again. */
static struct err rows_begin(struct fsck *fsck, bool *mended_r)
{
    bool any = false;
    struct err e = fsck->lost && fsck->repair ? fsck_numbers_leap(fsck) : err_none();
    if (!err_is(e))
        e = fsck_rows_write(fsck, &any);
    *mended_r |= any;
    return e;
}

static struct err mend_end(struct fsck *fsck, bool mended)
{
    struct log_position position;
    bool damaged = false;
    struct segment *segment;
    TAILQ_FOREACH (segment, &fsck->local->segments.list, link)
        damaged |= segment->damaged;
    struct err e = damaged ? fsck_empty_damaged(fsck) : err_none();
    if (!err_is(e) && mended && !damaged)
        e = checkpoint_write(fsck->local, &position);
    return err_is(e) ? e : fsck_list_write(fsck);
}

static struct err run(struct fsck *fsck)
{
    struct local *local = fsck->local;
    bool alone = fsck->repair || local->status.commits == 0;
    bool mended = false;
    struct err e = local->status.damaged ? err_none() : apply_wait(local);
    if (err_is(e) || !index_file_check(fsck, &e))
        return e;
    e = fsck_chain(fsck, &mended);
    if (!err_is(e))
        e = opened_damaged(fsck);
    if (!err_is(e))
        e = log_check(fsck);
    if (!err_is(e) && alone && !fsck->log_broken)
        e = fsck_compare(fsck);
    if (!err_is(e))
        e = rows_begin(fsck, &mended);
    if (!err_is(e))
        e = rounds(fsck, &mended);
    if (!err_is(e) && alone && !local->status.damaged)
        e = bodies_check(fsck);
    if (!err_is(e) && fsck->repair && !local->status.damaged)
        e = mend_end(fsck, mended);
    return e;
}

struct err local_fsck(struct engine *engine, bool repair,
                      void (*found)(void *arg, struct str what, bool mended), void *arg,
                      uint64_t *findings_r)
{
    struct fsck fsck = {.local = local_of(engine), .repair = repair, .found = found, .arg = arg};
    struct err e = background_begin(fsck.local);
    *findings_r = 0;
    if (err_is(e))
        return e;
    buf_init(&fsck.rows, ROWS_MAX);
    buf_init(&fsck.list, LIST_MAX);
    e = run(&fsck);
    background_end(fsck.local);
    buf_done(&fsck.rows);
    buf_done(&fsck.list);
    *findings_r = fsck.findings;
    return e;
}
