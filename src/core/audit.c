/*
 * Links are made when a batch is written and not when an event is told: a batch that failed is made
 * again from the head that is durable, and no link is ever of an event that was not kept.
 */
#include "core/audit.h"

#include <inttypes.h>

#include "base/must.h"

enum {
    BATCH_ARENA = 32 * 1024 * 1024,
};

/* In the queue, with its record behind it. */
struct audit_waiting {
    int64_t time;
    size_t n;
};

struct audit_waiter {
    TAILQ_ENTRY(audit_waiter) link;
    uint64_t until; /* the number of its event among those told */
    struct err result;
    struct wait wait;
};

/* --- What waits ------------------------------------------------------------------------------ */

static bool enqueue(struct audit *audit, const struct trace_event *event)
{
    struct audit_waiting waiting = {.time = event->time};
    size_t before = audit->queue.n;
    if (audit->queued >= AUDIT_QUEUED_MAX)
        return false;
    buf_put(&audit->queue, str_make(&waiting, sizeof waiting));
    audit_encode(event, &audit->queue);
    if (buf_over(&audit->queue)) {
        buf_cut(&audit->queue, before);
        audit->queue.over = false; /* the next one may be smaller, or later */
        return false;
    }
    waiting.n = audit->queue.n - before - sizeof waiting;
    memcpy(audit->queue.p + before, &waiting, sizeof waiting);
    audit->queued++;
    audit->told++;
    return true;
}

/* The one at `at`, which moves on. */
static struct audit_waiting waiting_at(const struct audit *audit, size_t *at, struct str *record_r)
{
    struct audit_waiting waiting;
    memcpy(&waiting, audit->queue.p + *at, sizeof waiting);
    *record_r = str_make(audit->queue.p + *at + sizeof waiting, waiting.n);
    *at += sizeof waiting + waiting.n;
    return waiting;
}

/* Its memory stays for the next ones; what is left moves to the front when most is written. */
static void dequeue(struct audit *audit, size_t count)
{
    struct str ignored;
    for (size_t i = 0; i < count; i++)
        waiting_at(audit, &audit->queue_from, &ignored);
    audit->queued -= count;
    audit->kept += count;
    if (audit->queue_from < audit->queue.n / 2)
        return;
    buf_drop_front(&audit->queue, audit->queue_from);
    audit->queue_from = 0;
}

/* Those whose events are durable; with an error, all. */
static void wake(struct audit *audit, struct err e)
{
    struct audit_waiter *waiter, *next;
    for (waiter = TAILQ_FIRST(&audit->waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        if (waiter->until > audit->kept && !err_is(e))
            continue;
        TAILQ_REMOVE(&audit->waiters, waiter, link);
        waiter->result = waiter->until > audit->kept ? e : err_none();
        wait_over(&waiter->wait);
    }
}

/* The gap tells of itself, as soon as there is room again. */
static void gap_tell(struct audit *audit)
{
    struct trace_event event = trace_event(TRACED_unrecorded, world_wall(audit->loop->world));
    trace_number(&event, TRACE_count, audit->lost);
    trace_text(&event, TRACE_text, STR("the disk did not take them, or they were too many"));
    if (audit->lost && enqueue(audit, &event))
        audit->lost = 0;
}

/* --- Batches --------------------------------------------------------------------------------- */

static size_t batch_make(struct audit *audit, struct audit_head *head, struct arena *arena,
                         struct op_list *ops)
{
    size_t count = 0, at = audit->queue_from;
    *head = audit->head;
    *ops = op_list_take(arena, audit_ops_count(AUDIT_BATCH));
    for (; count < AUDIT_BATCH && count < audit->queued; count++) {
        struct str record;
        struct audit_waiting waiting = waiting_at(audit, &at, &record);
        audit_add(head, waiting.time, record, arena, ops);
    }
    audit_end(&audit->head, head, arena, ops);
    return count;
}

static struct err batch_commit(struct audit *audit)
{
    struct arena arena;
    struct audit_head head;
    struct op_list ops;
    arena_init(&arena, BATCH_ARENA);
    size_t count = batch_make(audit, &head, &arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    struct err e = ops.over ? err_make(ERR_NO_MEMORY) : engine_commit_wait(audit->engine, &commit);
    arena_done(&arena);
    if (err_is(e))
        return e;
    audit->head = head;
    dequeue(audit, count);
    return e;
}

static void failed(struct audit *audit, struct err e)
{
    if (!audit->failing && audit->log)
        log_err(audit->log, "audit_not_written", e);
    audit->failing = true;
}

static struct err write_all(struct audit *audit)
{
    struct err e = err_none();
    while (audit->queued && !err_is(e)) {
        e = batch_commit(audit);
        if (!err_is(e)) {
            audit->failing = false;
            gap_tell(audit);
        } else {
            failed(audit, e);
        }
        wake(audit, e);
    }
    return e;
}

static void write_run(void *arg)
{
    struct audit *audit = arg;
    must_be(audit, AUDIT_MAGIC);
    struct err e = write_all(audit);
    audit->running = false;
    if (err_is(e))
        timer_set(audit->loop, &audit->due, audit->loop->now + AUDIT_AGAIN);
    if (audit->ended)
        wait_over(audit->ended);
}

static void write_start(struct audit *audit)
{
    if (audit->running)
        return;
    timer_clear(audit->loop, &audit->due);
    audit->running = true;
    audit->start = (struct fiber_start){.run = write_run, .arg = audit};
    fiber_run(audit->fibers, &audit->start);
}

static void write_due(struct timer *timer)
{
    struct audit *audit = timer->arg;
    must_be(audit, AUDIT_MAGIC);
    write_start(audit);
}

/* --- From outside ---------------------------------------------------------------------------- */

struct err audit_open(struct audit *audit, struct loop *loop, struct fiber_pool *fibers,
                      struct engine *engine, struct log *log)
{
    *audit = (struct audit){
        .magic = AUDIT_MAGIC, .engine = engine, .loop = loop, .fibers = fibers, .log = log};
    buf_init(&audit->queue, AUDIT_QUEUED_OCTETS);
    TAILQ_INIT(&audit->waiters);
    audit->due = (struct timer){.run = write_due, .arg = audit};
    return audit_head_read(engine, &audit->head);
}

void audit_close(struct audit *audit)
{
    must_be(audit, AUDIT_MAGIC);
    struct wait ended = {.done = !audit->running};
    audit->ended = &ended;
    wait_for(&ended);
    audit->ended = NULL;
    timer_clear(audit->loop, &audit->due);
    (void)write_all(audit);
    timer_clear(audit->loop, &audit->due);
    must(TAILQ_EMPTY(&audit->waiters));
    buf_done(&audit->queue);
    audit->magic = 0;
}

void audit_tell(struct audit *audit, const struct trace_event *event)
{
    must_be(audit, AUDIT_MAGIC);
    if (!enqueue(audit, event))
        audit->lost++;
    if (!audit->running && !audit->due.set)
        timer_set(audit->loop, &audit->due, audit->loop->now + AUDIT_GATHER);
}

struct err audit_keep(struct audit *audit, const struct trace_event *event)
{
    must_be(audit, AUDIT_MAGIC);
    struct audit_waiter waiter = {.wait = {.done = false}};
    if (!enqueue(audit, event)) {
        audit->lost++;
        return err_make(ERR_NO_MEMORY);
    }
    waiter.until = audit->told;
    TAILQ_INSERT_TAIL(&audit->waiters, &waiter, link);
    write_start(audit);
    wait_for(&waiter.wait);
    return waiter.result;
}
