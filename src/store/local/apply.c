/*
 * From the overlay into the index.
 *
 * A round takes everything that is durable as it is: `active` becomes `frozen`, a new `active`
 * begins, and a thread writes the frozen rows in key order, in one transaction, with the position
 * they lead to. Rows of later groups never mix with those of the round, so the index is always
 * exactly the state of the log at its position. Readers look through both.
 *
 * A group is applied only in a turn after the one in which its `done` ran: its replies are then on
 * the bus. After a crash the roles ask what became of their transactions, and the answer is in the
 * tail of the log above the index' position: what might still be asked for must stay in that tail.
 *
 * Files of bodies that lost their last owner are removed at the start of the round that takes the
 * removal over, not at its end: a crash in between replays the removal and tries again, and leaves
 * no file behind.
 */
#include "store/local/body_file.h"
#include "store/local/engine_local.h"

static void doomed_remove(struct local *local)
{
    struct doomed *doomed;
    STAILQ_FOREACH(doomed, &local->frozen.doomed, link)
    (void)body_remove(local->world, local->folder, doomed->blob); /* else fsck finds it */
}

/* On the applier's thread: `frozen` is only read, by both sides. */
static struct err frozen_write(struct local *local)
{
    doomed_remove(local);
    size_t count = local->frozen.count;
    const struct row **rows = calloc(count + 1, sizeof(*rows));
    struct index_change *changes = calloc(count + 1, sizeof(*changes));
    struct err e = err_make(ERR_NO_MEMORY);
    if (rows && changes) {
        overlay_rows(&local->frozen, rows);
        for (size_t i = 0; i < count; i++)
            changes[i] = (struct index_change){row_key(rows[i]), row_value(rows[i])};
        e = local->index->ops->write(local->index, changes, count, local->frozen_to);
    }
    free(rows);
    free(changes);
    return e;
}

static void apply_run(struct job *job)
{
    struct local *local = job->arg;
    local->apply_result = frozen_write(local);
}

static void freeze(struct local *local)
{
    overlay_move(&local->frozen, &local->active);
    local->frozen_to = local->durable;
    local->apply_wanted = false;
    timer_clear(local->loop, &local->apply_timer);
}

static bool anything_to_apply(const struct local *local)
{
    return local->frozen.count > 0 || local->active.count > 0 ||
           local->durable.segment != local->applied.segment ||
           local->durable.offset != local->applied.offset;
}

static void round_is_over(struct local *local)
{
    struct apply_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&local->apply_waiters))) {
        TAILQ_REMOVE(&local->apply_waiters, waiter, link);
        wait_over(&waiter->wait);
    }
}

/* Some ten thousand rows are given back on the lane, not on the loop. */
static void spent_run(struct job *job)
{
    struct local *local = job->arg;
    overlay_clear(&local->spent);
}

static void spent_done(struct job *job)
{
    struct local *local = job->arg;
    must_be(local, LOCAL_MAGIC);
    local->spending = false;
    spares_move(&local->spare_rows, &local->spent_rows);
    local_look_quiet(local);
}

/* So many rows as there is room for beside the spare ones. */
static void spent_rows_limit(struct local *local)
{
    const struct spares *kept = &local->spare_rows;
    local->spent_rows.max = kept->octets < kept->max ? kept->max - kept->octets : 0;
}

static void applied_take_over(struct local *local)
{
    if (err_is(local->apply_err)) {
        /* Rows stay where they are and readers see them; the next round tries again. */
        local_say(local, "the index cannot be written: ", local->apply_err);
        return;
    }
    local->applied = local->frozen_to;
    local->status.applier_rounds++;
    if (local->spending || local->state == LOCAL_OPENING) {
        overlay_clear(&local->frozen);
        return;
    }
    overlay_move(&local->spent, &local->frozen);
    spent_rows_limit(local);
    local->spending = true;
    lane_submit(&local->applier, &local->spent_job);
}

static void apply_done(struct job *job)
{
    struct local *local = job->arg;
    must_be(local, LOCAL_MAGIC);
    local->applying = false;
    bool again = err_is(local->apply_err) && !err_is(local->apply_result);
    local->apply_err = local->apply_result;
    applied_take_over(local);
    if (again && local->state == LOCAL_SERVING)
        local->why[0] = '\0';
    bodies_close_idle(local);
    round_is_over(local);
    if (err_is(local->apply_err))
        timer_set(local->loop, &local->apply_timer, local->loop->now + LOCAL_RETRY_AFTER);
    commit_go_on(local);
}

void apply_go_on(struct local *local)
{
    if (local->applying || local->fresh || local->status.damaged)
        return;
    bool due = local->apply_wanted || local->active.octets >= local->settings.overlay_soft;
    if (!due)
        return;
    if (!anything_to_apply(local)) {
        local->apply_wanted = false;
        round_is_over(local);
        return;
    }
    /* What a failed round left behind goes first, by itself. */
    if (local->frozen.count == 0)
        freeze(local);
    local->applying = true;
    lane_submit(&local->applier, &local->apply_job);
}

static void apply_task_run(struct task *task)
{
    struct local *local = task->arg;
    must_be(local, LOCAL_MAGIC);
    apply_go_on(local);
    commit_go_on(local);
}

static void apply_timer_run(struct timer *timer)
{
    struct local *local = timer->arg;
    must_be(local, LOCAL_MAGIC);
    local->apply_wanted = true;
    apply_go_on(local);
}

/* The turn is over in which a group was reported. The flush of the bus may come behind us in the
 * same turn's end: so nothing is started here, only allowed for the next turn. */
static void turn_over_run(struct task *task)
{
    struct local *local = task->arg;
    must_be(local, LOCAL_MAGIC);
    local->fresh = false;
    if (local->apply_wanted || local->active.octets >= local->settings.overlay_soft)
        loop_soon(local->loop, &local->apply_task);
}

void apply_later(struct local *local)
{
    local->fresh = true;
    loop_at_turn_end(local->loop, &local->turn_over);
    if (!local->apply_timer.set)
        timer_set(local->loop, &local->apply_timer, local->loop->now + local->settings.apply_every);
}

static bool position_reached(struct log_position at, struct log_position wanted)
{
    return at.segment > wanted.segment ||
           (at.segment == wanted.segment && at.offset >= wanted.offset);
}

struct err apply_wait(struct local *local)
{
    struct log_position wanted = local->durable;
    while (!position_reached(local->applied, wanted)) {
        if (local->status.damaged)
            return err_make(ERR_STORE_DAMAGED);
        struct apply_waiter waiter = {.wait = {0}};
        TAILQ_INSERT_TAIL(&local->apply_waiters, &waiter, link);
        local->apply_wanted = true;
        loop_soon(local->loop, &local->apply_task);
        wait_for(&waiter.wait);
        if (err_is(local->apply_err))
            return local->apply_err;
    }
    return err_none();
}

struct err apply_at_once(struct local *local)
{
    if (!anything_to_apply(local))
        return err_none();
    freeze(local);
    local->apply_err = frozen_write(local);
    applied_take_over(local);
    return local->apply_err;
}

void apply_open(struct local *local)
{
    spares_init(&local->spare_rows, 2 * local->settings.overlay_soft);
    spares_init(&local->spent_rows, 0);
    overlay_init(&local->active, &local->spare_rows);
    overlay_init(&local->frozen, &local->spare_rows);
    overlay_init(&local->spent, &local->spent_rows);
    local->spent_job = (struct job){.run = spent_run, .done = spent_done, .arg = local};
    TAILQ_INIT(&local->apply_waiters);
    local->apply_job = (struct job){.run = apply_run, .done = apply_done, .arg = local};
    local->turn_over = (struct task){.run = turn_over_run, .arg = local};
    local->apply_task = (struct task){.run = apply_task_run, .arg = local};
    local->apply_timer = (struct timer){.run = apply_timer_run, .arg = local};
}

void apply_close(struct local *local)
{
    must(!local->applying && !local->spending);
    task_cancel(local->loop, &local->turn_over);
    task_cancel(local->loop, &local->apply_task);
    timer_clear(local->loop, &local->apply_timer);
    overlay_clear(&local->active);
    overlay_clear(&local->frozen);
    overlay_clear(&local->spent);
    spares_done(&local->spare_rows);
    spares_done(&local->spent_rows);
}
