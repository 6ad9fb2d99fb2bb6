/*
 * Nothing here runs by the clock: a compaction is thought of when a segment was filled, because
 * only then can there be one more to free. So an idle server stays idle, and a simulated one too.
 */
#include "store/local/background.h"

enum {
    LEAST_SEGMENTS = 4,    /* worth of dead octets before a compaction starts by itself */
    CHECKPOINTS_WORTH = 4, /* and so many times the octets of a checkpoint */
    ROWS_OF_A_BLOB = 2,    /* its place and an owner */
    ROW_GUESS = 100,       /* octets of a row in a checkpoint */
};

/* A pool is closed on the loop's stack; engine_close runs on a fiber. */
struct pool_end {
    struct task task;
    struct fiber_pool *fibers;
};

struct err background_begin(struct local *local)
{
    struct background *background = &local->background;
    while (background->busy) {
        struct apply_waiter waiter = {.wait = {0}};
        TAILQ_INSERT_TAIL(&background->waiters, &waiter, link);
        wait_for(&waiter.wait);
    }
    if (local->state == LOCAL_CLOSING) {
        local_look_quiet(local);
        return err_make(ERR_SHUTTING_DOWN);
    }
    background->busy = true;
    return err_none();
}

void background_end(struct local *local)
{
    struct background *background = &local->background;
    must(background->busy);
    background->busy = false;
    struct apply_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&background->waiters))) {
        TAILQ_REMOVE(&background->waiters, waiter, link);
        wait_over(&waiter->wait);
    }
    local_look_quiet(local);
}

bool background_is_quiet(const struct local *local)
{
    return !local->background.busy && !local->background.compacting &&
           TAILQ_EMPTY(&local->background.waiters);
}

/* Octets that must come free before a compaction starts by itself. How long a checkpoint will be is
 * guessed from the index until one was written. */
static uint64_t worth_it(struct local *local)
{
    struct local_status status;
    local_status(&local->engine, &status);
    uint64_t checkpoint = (status.entries + ROWS_OF_A_BLOB * status.blobs) * ROW_GUESS;
    if (local->background.checkpoint_octets > 0)
        checkpoint = local->background.checkpoint_octets;
    uint64_t least = LEAST_SEGMENTS * local->settings.segment_size;
    return least > CHECKPOINTS_WORTH * checkpoint ? least : CHECKPOINTS_WORTH * checkpoint;
}

static void compaction_run(void *arg)
{
    struct local *local = arg;
    struct background *background = &local->background;
    if (!err_is(background_begin(local))) {
        struct err e = compact_run(local, true, worth_it(local));
        if (err_is(e) && e.code != ERR_SHUTTING_DOWN)
            local_say(local, "compaction: ", e);
        background->compacting = false;
        background_end(local);
    }
    background->compacting = false;
    local_look_quiet(local);
}

/* When first needed. What closing needs is taken here, so that it cannot fail. */
static bool fibers_open(struct local *local)
{
    struct background *background = &local->background;
    if (!background->end && !(background->end = calloc(1, sizeof *background->end)))
        return false;
    background->fibers = fiber_pool_open(local->loop, 1);
    return background->fibers != NULL;
}

void background_look(struct local *local)
{
    struct background *background = &local->background;
    if (background->compacting || background->busy || local->state != LOCAL_SERVING ||
        local->segments.count <= LEAST_SEGMENTS)
        return;
    if (!background->fibers && !fibers_open(local))
        return;
    background->compacting = true;
    background->compaction = (struct fiber_start){.run = compaction_run, .arg = local};
    fiber_run(background->fibers, &background->compaction);
}

void background_open(struct local *local)
{
    TAILQ_INIT(&local->background.waiters);
}

static void pool_end_run(struct task *task)
{
    struct pool_end *end = task->arg;
    fiber_pool_close(end->fibers);
    free(end);
}

void background_close(struct local *local)
{
    struct fiber_pool *fibers = local->background.fibers;
    struct pool_end *end = local->background.end;
    if (!fibers) {
        free(end);
        return;
    }
    must(background_is_quiet(local));
    *end = (struct pool_end){.task = {.run = pool_end_run, .arg = end}, .fibers = fibers};
    loop_soon(local->loop, &end->task);
}

/* --- Segments --------------------------------------------------------------------------------- */

/* The end is known where the segment behind it in the list is the one behind it in the chain. */
static struct err segment_end(struct local *local, struct segment *segment, struct scan *scan)
{
    struct segment *next = TAILQ_NEXT(segment, link);
    struct segment_header header;
    scan->end = segment->file_size > local->settings.segment_size ? segment->file_size
                                                                  : local->settings.segment_size;
    if (segment == local->segment) {
        scan->end = local->at;
        scan->end_known = true;
    }
    if (!next || segment == local->segment)
        return err_none();
    struct err e = segment_read_header(&local->segments, next, &header);
    if (!err_is(e) && header.previous == segment->sequence) {
        scan->end = header.previous_end;
        scan->end_known = true;
    }
    return e.code == ERR_STORE_DAMAGED ? err_none() : e;
}

struct err segment_scan_begin(struct local *local, struct segment *segment, struct scan *scan)
{
    struct segment_header header;
    struct err e = segment_read_header(&local->segments, segment, &header);
    if (!err_is(e))
        e = segment_pin(&local->segments, segment);
    if (err_is(e))
        return e;
    scan_init(scan, local->world, segment->file, &header, 0, false);
    e = segment_end(local, segment, scan);
    if (err_is(e))
        segment_unpin(&local->segments, segment);
    return e;
}

void segment_scan_end(struct local *local, struct segment *segment, struct scan *scan)
{
    scan_done(scan);
    segment_unpin(&local->segments, segment);
}
