/*
 * From one segment to the next: when the old one is full, and when it may not be written to any
 * more because a group failed in it.
 *
 * Both are the same step. The new segment's header says where the old one ended; when it is
 * durable, that end is final, and commits of the failed group may be told that they failed. Where
 * no segment can be made, the store is read-only and a timer tries again: so it comes back by
 * itself when the cause is gone. A segment's number is used up by a try.
 */
#include "store/local/engine_local.h"

enum {
    /* Octets of a spare that are filled at once. Each step is a sync of its own, so small ones cost
     * flushes, and large ones hold the disk before a group. */
    STEP_LEAST = 64 * 1024,
    STEP_USUAL = 256 * 1024,
    STEPS_LEAST = 4, /* in which a short segment is filled all the same */
    STEP_MOST = 4 * 1024 * 1024,
};

static void make_run(struct job *job)
{
    struct local *local = job->arg;
    segment_make_run(&local->make);
}

void rotate_start(struct local *local)
{
    struct segment_header header = {
        .sequence = local->sequence_next++,
        .previous = local->segment->sequence,
        .previous_end = local->at,
        .first_group = local->group_next,
        .made = world_wall(local->world),
    };
    world_random(local->world, &header.salt, sizeof(header.salt));
    local->making = true;
    segment_make_begin(&local->segments, &header, &local->make);
    lane_submit(&local->commits, &local->make_job);
}

static void read_only_begin(struct local *local, struct err e)
{
    local->read_only_err = e.code == ERR_DISK_FULL
                               ? e
                               : err_detail(ERR_STORE_READ_ONLY, STR("no segment can be made"));
    local_say(local, "no new segment can be made: ", e);
    commit_waiting_fail(local, local->read_only_err);
    if (local->state == LOCAL_CLOSING) {
        /* The process ends and no reply may follow: what SHUTTING_DOWN means is "not known". */
        local->refused_err = err_make(ERR_SHUTTING_DOWN);
        commit_refused_report(local);
        return;
    }
    if (local->state != LOCAL_DAMAGED)
        local->state = LOCAL_READ_ONLY;
    timer_set(local->loop, &local->retry, local->loop->now + LOCAL_RETRY_AFTER);
}

static void make_done(struct job *job)
{
    struct local *local = job->arg;
    must_be(local, LOCAL_MAGIC);
    local->making = false;
    struct segment *segment = segment_make_end(&local->segments, &local->make);
    if (!segment) {
        read_only_begin(local, local->make.err);
        local_look_quiet(local);
        return;
    }
    if (local->segment->file_size < local->at)
        local->segment->file_size = local->at; /* it grew */
    segment_unpin(&local->segments, local->segment);
    local->segment = segment;
    local->salt = local->make.header.salt;
    local->at = SEGMENT_HEADER_SIZE;
    local->sealed = false;
    local->status.syncs++;
    if (local->state == LOCAL_READ_ONLY) {
        local->state = LOCAL_SERVING;
        local->why[0] = '\0';
    }
    commit_refused_report(local);
    background_look(local);
    commit_go_on(local);
}

static void retry_run(struct timer *timer)
{
    struct local *local = timer->arg;
    must_be(local, LOCAL_MAGIC);
    if (!local->making && (local->state == LOCAL_READ_ONLY || local->sealed))
        rotate_start(local);
}

/*
 * One file is filled ahead: a new segment is then one small write and a rename. It is filled as the
 * log goes on, in small steps, and whole well before its time: filled at once it would hold the
 * disk, and groups, for a third of a second. A log that grows its file waits twice as long for each
 * group; it gets its spare as soon as can be.
 */
static uint64_t spare_wanted(const struct local *local)
{
    if (local->segment->file_size < local->settings.segment_size)
        return local->spare.end;
    uint64_t wanted = local->at + local->at / 2;
    return wanted < local->spare.end ? wanted : local->spare.end;
}

static uint64_t step_for(const struct local *local, uint64_t missing)
{
    uint64_t share = local->settings.segment_size / STEPS_LEAST;
    uint64_t least = share < STEP_LEAST ? STEP_LEAST : share > STEP_USUAL ? STEP_USUAL : share;
    return missing < least ? least : missing > STEP_MOST ? STEP_MOST : missing;
}

static void spare_run(struct job *job)
{
    struct local *local = job->arg;
    segment_spare_run(&local->spare);
}

static void spare_done(struct job *job)
{
    struct local *local = job->arg;
    must_be(local, LOCAL_MAGIC);
    local->sparing = false;
    if (err_is(local->spare.err) || segment_spare_whole(&local->spare)) {
        segment_spare_end(&local->segments, &local->spare);
        local->spare_failed = err_is(local->spare.err);
        local->spare_begun = false;
    }
    rotate_spare(local);
    local_look_quiet(local);
}

static void spare_begin(struct local *local)
{
    local->spare_tried_for = local->segment->sequence;
    local->spare_begun = true;
    segment_spare_begin(&local->segments, local->settings.prefill, &local->spare);
}

void rotate_spare(struct local *local)
{
    if (local->sparing || local->state != LOCAL_SERVING ||
        segments_spares(&local->segments) >= LOCAL_SPARES)
        return;
    /* One try a segment; without a spare a segment is made from nothing. */
    if (local->spare_failed && local->spare_tried_for == local->segment->sequence)
        return;
    if (!local->spare_begun)
        spare_begin(local);
    uint64_t wanted = spare_wanted(local);
    if (wanted <= local->spare.filled)
        return;
    local->spare.step = step_for(local, wanted - local->spare.filled);
    local->sparing = true;
    lane_submit(&local->applier, &local->spare_job);
}

struct err rotate_recycle(struct local *local, struct segment *segment, size_t keep_spares)
{
    bool ends_early = local->settings.prefill && segment->file_size < local->settings.segment_size;
    return segment_recycle(&local->segments, segment, ends_early ? 0 : keep_spares);
}

void rotate_open(struct local *local)
{
    local->retry = (struct timer){.run = retry_run, .arg = local};
    local->make_job = (struct job){.run = make_run, .done = make_done, .arg = local};
    local->spare_job = (struct job){.run = spare_run, .done = spare_done, .arg = local};
}

void rotate_close(struct local *local)
{
    must(!local->making && !local->sparing);
    if (local->spare_begun)
        segment_spare_leave(&local->spare);
    timer_clear(local->loop, &local->retry);
}
