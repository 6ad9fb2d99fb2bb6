/*
 * Why a walk and no third tree: what is judged by the clock alone is rare, a tree of those times
 * would take 32 octets of each entry, and a minute more is nothing to a message that waited for
 * days. A million entries are two hundred slices, between which everybody else has a turn.
 *
 * Why not at once behind a start or a step of the wall clock: what came to its end meanwhile has
 * had no try, and is to have one first. An hour is longer than any destination is quiet.
 */
#include "base/must.h"
#include "core/core.h"
#include "core/queue.h"

#define SWEEP_EVERY (60 * NS_PER_SECOND)
#define SWEEP_GRACE (3600 * NS_PER_SECOND)

/* How far the wall clock is ahead of the other one. */
static int64_t ahead(const struct core *core)
{
    return world_wall(core->world) - core->loop->now / 1000;
}

/* A machine that slept has made a step, too. */
static bool may_judge(struct queue *queue)
{
    struct queue_sweep *sweep = &queue->sweep;
    struct core *core = queue->core;
    int64_t before = sweep->ahead;
    sweep->ahead = ahead(core);
    if (sweep->ahead - before > SWEEP_GRACE / 1000)
        sweep->from = core->loop->now + SWEEP_GRACE;
    return core->loop->now >= sweep->from;
}

/* --- One entry --- */

static void judge_run(void *arg)
{
    const struct outcome outcome = {.clock = true};
    struct sweep_judge *judge = arg;
    struct queue *queue = judge->queue;
    struct queue_sweep *sweep = &queue->sweep;
    struct err e = outcome_record(queue, judge->one, &outcome);
    if (err_is(e)) {
        log_err(queue->core->log, "outcome_not_recorded", e);
        schedule_back(&queue->schedule, judge->one, judge->next);
        sweep->failed = true;
    }
    judge->one = NULL;
    sweep->judging--;
    if (sweep->room)
        wait_over(sweep->room);
    queue_turn(queue);
    queue_fiber_end(queue);
}

/* It is in nobody's hand. */
static void judge_begin(struct queue *queue, struct scheduled *one)
{
    struct queue_sweep *sweep = &queue->sweep;
    struct sweep_judge *judge = sweep->judges;
    while (judge->one)
        judge++;
    must(judge < sweep->judges + QUEUE_JUDGED_MAX);
    *judge = (struct sweep_judge){
        .queue = queue,
        .one = one,
        .next = one->state == SCHEDULED_WAITS ? one->key : world_wall(queue->core->world),
        .start = {.run = judge_run, .arg = judge}};
    must(schedule_grasp(&queue->schedule, one));
    sweep->judging++;
    queue_fiber_begin(queue);
    fiber_run(queue->core->fibers, &judge->start);
}

/* --- All of them --- */

static bool is_over(const struct scheduled *one, int64_t now)
{
    bool waits = one->state == SCHEDULED_WAITS || one->state == SCHEDULED_DUE;
    return waits && one->judge <= now;
}

/* False: that was the last one. */
static bool slice(struct queue *queue)
{
    struct queue_sweep *sweep = &queue->sweep;
    int64_t now = world_wall(queue->core->world) / US_PER_SECOND;
    struct scheduled *one = schedule_behind(&queue->schedule, sweep->message, sweep->number);
    sweep->slices++;
    for (size_t i = 0; one && i < QUEUE_SWEEP_SLICE && sweep->judging < QUEUE_JUDGED_MAX; i++) {
        struct scheduled *next = schedule_next(&queue->schedule, one);
        sweep->message = one->message;
        sweep->number = one->number;
        if (is_over(one, now))
            judge_begin(queue, one); /* on a fiber of its own, behind this slice */
        one = next;
    }
    return one != NULL;
}

/* What is behind stays for the next minute. */
static bool goes_on(struct queue *queue)
{
    return !queue->closing && !queue->sweep.failed && may_judge(queue);
}

static void others_turn(struct queue *queue)
{
    struct queue_sweep *sweep = &queue->sweep;
    struct wait room = {.done = sweep->judging < QUEUE_JUDGED_MAX};
    sweep->room = &room;
    wait_for(&room);
    sweep->room = NULL;
    fiber_sleep_until(queue->core->loop, queue->core->loop->now);
}

static void sweep_run(void *arg)
{
    struct queue *queue = arg;
    struct queue_sweep *sweep = &queue->sweep;
    struct loop *loop = queue->core->loop;
    sweep->message = 0;
    sweep->number = 0;
    sweep->failed = false;
    queue_load_missing(queue);
    while (goes_on(queue) && slice(queue))
        others_turn(queue);
    if (!queue->closing)
        timer_set(loop, &sweep->timer, loop->now + SWEEP_EVERY);
    queue_fiber_end(queue);
}

static void sweep_due(struct timer *timer)
{
    struct queue *queue = timer->arg;
    queue_accounts_go_on(queue);
    queue_fiber_begin(queue);
    queue->sweep.start = (struct fiber_start){.run = sweep_run, .arg = queue};
    fiber_run(queue->core->fibers, &queue->sweep.start);
}

void queue_sweep_begin(struct queue *queue)
{
    struct loop *loop = queue->core->loop;
    queue->sweep = (struct queue_sweep){.timer = {.run = sweep_due, .arg = queue},
                                        .ahead = ahead(queue->core),
                                        .from = loop->now + SWEEP_GRACE};
    timer_set(loop, &queue->sweep.timer, loop->now + SWEEP_EVERY);
}

void queue_sweep_end(struct queue *queue)
{
    timer_clear(queue->core->loop, &queue->sweep.timer);
}
