/*
 * Why entries are taken out of the schedule before their records are read: what was read is then
 * still true when the commit lands, so a batch never fails for a result that came in between. Why
 * an entry under way is written all the same: an operator who was told that it is held or removed
 * must find it so, whatever dies meanwhile.
 */
#include "core/queue_change.h"

#include "base/must.h"
#include "core/core.h"
#include "store/trace.h"

enum {
    CHANGE_ARENA = 64 << 20,
    BUSY_MOST = 2000, /* how often one that somebody else changes is looked at again */
    TRACE_OPS = 2,    /* of a batch, beside an event for each entry */
};

#define BUSY_AGAIN (5 * NS_PER_MS)
#define RELEASED_LEFT (3600 * US_PER_SECOND)

/* One entry in hand. */
struct change {
    struct scheduled *one; /* NULL: no server runs */
    struct queue_entry entry;
    int64_t next;     /* as it was */
    bool there, gone; /* neither: it could not be read */
    bool flies;       /* it is under way */
    bool calmed;      /* it was due already: its destination alone is to be told */
    bool changed;
};

struct batch {
    const struct queue_hand *hand;
    const struct queue_wish *wish;
    struct change *changes;
    size_t count;
    int64_t now;
    struct arena arena;
    struct op_list ops;
    struct trace_growth growth;
};

/* --- Into the hand --- */

/* One that core has not loaded yet is loaded now. NULL: no such entry, or no memory. */
static struct scheduled *find(struct batch *batch, const struct queue_name *name, struct err *e_r)
{
    struct queue *queue = batch->hand->queue;
    struct scheduled *one = schedule_find(&queue->schedule, name->message, name->number);
    struct queue_entry entry;
    if (one)
        return one;
    *e_r = queue_read(batch->hand->engine, name->message, name->number, &batch->arena, &entry);
    if (!err_is(*e_r) && !queue_schedule(queue, &entry))
        *e_r = err_make(ERR_NO_MEMORY);
    return schedule_find(&queue->schedule, name->message, name->number);
}

static bool take(struct batch *batch, struct change *change, struct scheduled *one)
{
    change->one = one;
    change->flies = one->state == SCHEDULED_UNDER_WAY;
    if (!change->flies)
        return schedule_grasp(&batch->hand->queue->schedule, one);
    if (one->writing)
        return false;
    one->writing = true;
    return true;
}

/* It may be freed while we wait, so it is looked up anew each time. */
static struct err change_take(struct batch *batch, const struct queue_name *name,
                              struct change *change)
{
    struct loop *loop = batch->hand->loop;
    change->next = batch->now;
    for (size_t i = 0; batch->hand->queue && i <= BUSY_MOST; i++) {
        struct err e = err_none();
        struct scheduled *one = find(batch, name, &e);
        change->gone = e.code == ERR_NOT_FOUND;
        if (!one)
            return change->gone ? err_none() : e;
        if (take(batch, change, one))
            break;
        change->one = NULL;
        if (i == BUSY_MOST)
            return err_detail(ERR_IN_USE, STR("an entry is being changed by somebody else"));
        fiber_sleep_until(loop, loop->now + BUSY_AGAIN);
    }
    struct err e =
        queue_read(batch->hand->engine, name->message, name->number, &batch->arena, &change->entry);
    change->there = !err_is(e);
    change->gone = e.code == ERR_NOT_FOUND;
    if (change->there)
        change->next = change->entry.next;
    return change->gone ? err_none() : e;
}

/* --- What is wished --- */

/* HOLDFOR and HOLDUNTIL are the sender's, and stay. */
static void due_now(const struct batch *batch, struct queue_entry *entry, bool named)
{
    if (entry->wait != QUEUE_LATER || entry->next <= batch->now || named)
        entry->next = batch->now;
}

/* What is removed while it is under way is never sent again: it has its reason, and keeps it. */
static bool hold(struct batch *batch, struct queue_entry *entry)
{
    if (entry->flags & QUEUE_REMOVED)
        return false;
    if (entry->holds & QUEUE_HELD_BY_OPERATOR && str_eq(entry->why, batch->wish->why))
        return false;
    entry->holds |= QUEUE_HELD_BY_OPERATOR;
    entry->why = batch->wish->why;
    return true;
}

static void let_go(const struct batch *batch, struct queue_entry *entry)
{
    due_now(batch, entry, false);
    if (entry->expires < batch->now + RELEASED_LEFT)
        entry->expires = batch->now + RELEASED_LEFT;
}

static bool release(struct batch *batch, struct queue_entry *entry)
{
    if (!(entry->holds & QUEUE_HELD_BY_OPERATOR))
        return false;
    entry->holds &= (uint8_t)~QUEUE_HELD_BY_OPERATOR;
    if (!(entry->flags & QUEUE_REMOVED))
        entry->why = STR("");
    let_go(batch, entry);
    return true;
}

static bool follow(struct batch *batch, struct queue_entry *entry)
{
    bool held = batch->wish->account->sending.held != 0;
    if (held == ((entry->holds & QUEUE_HELD_WITH_ACCOUNT) != 0))
        return false;
    entry->holds ^= QUEUE_HELD_WITH_ACCOUNT;
    if (!held)
        let_go(batch, entry);
    return true;
}

static bool retry(struct batch *batch, struct change *change)
{
    struct queue_entry *entry = &change->entry;
    int64_t next = entry->next;
    if (change->flies || entry->holds || (change->one && change->one->holds))
        return false;
    change->calmed = next <= batch->now;
    if (!change->calmed)
        due_now(batch, entry, batch->wish->named);
    return entry->next != next;
}

static bool removal(struct batch *batch, struct change *change)
{
    change->entry.flags |= QUEUE_REMOVED;
    if (batch->wish->report)
        change->entry.flags |= QUEUE_RETURNED;
    change->entry.why = batch->wish->why;
    return true;
}

static bool reroute(struct batch *batch, struct queue_entry *entry)
{
    if (entry->flags & QUEUE_HERE || str_eq(entry->route, batch->wish->route))
        return false;
    entry->route = batch->wish->route;
    due_now(batch, entry, false);
    return true;
}

static bool wish_apply(struct batch *batch, struct change *change)
{
    switch (batch->wish->kind) {
    case WISH_HOLD:
        return hold(batch, &change->entry);
    case WISH_RELEASE:
        return release(batch, &change->entry);
    case WISH_RETRY:
        return retry(batch, change);
    case WISH_REMOVE:
        return removal(batch, change);
    case WISH_REROUTE:
        return reroute(batch, &change->entry);
    case WISH_FOLLOW:
        return follow(batch, &change->entry);
    }
    return false;
}

/* --- Onto the disk --- */

static enum trace_kind kind_of(const struct batch *batch, const struct change *change)
{
    static const enum trace_kind kinds[] = {[WISH_HOLD] = TRACED_queue_held,
                                            [WISH_RELEASE] = TRACED_queue_released,
                                            [WISH_REMOVE] = TRACED_dequeued,
                                            [WISH_REROUTE] = TRACED_rerouted};
    enum queue_wish_kind wish = batch->wish->kind;
    if (wish == WISH_FOLLOW)
        return change->entry.holds & QUEUE_HELD_WITH_ACCOUNT ? TRACED_held_with_account
                                                             : TRACED_released_with_account;
    return wish == WISH_REMOVE && change->flies ? TRACED_to_be_dequeued : kinds[wish];
}

static struct str why_of(const struct queue_wish *wish)
{
    struct str why = wish->account ? sending_why(&wish->account->sending) : wish->why;
    return why.n ? why : STR("no reason given");
}

static void trace_change(struct batch *batch, const struct change *change)
{
    const struct queue_wish *wish = batch->wish;
    if (wish->kind == WISH_RETRY) /* the tries say themselves */
        return;
    struct trace_event event = trace_event(kind_of(batch, change), batch->now);
    if (!wish->account)
        trace_number(&event, TRACE_operator, wish->operator);
    trace_text(&event, TRACE_text, arena_str(&batch->arena, why_of(wish)));
    trace_text(&event, TRACE_recipient, change->entry.recipients[0].address);
    trace_number(&event, TRACE_count, change->entry.recipient_count);
    trace_text(&event, TRACE_destination, change->entry.domain);
    if (wish->kind == WISH_REROUTE)
        trace_text(&event, TRACE_host, wish->route);
    trace_add(&batch->growth, change->entry.message, &event, &batch->arena, &batch->ops);
}

/* What is under way, or is to be reported, goes by its outcome. */
static bool goes_at_once(const struct batch *batch, const struct change *change)
{
    return batch->wish->kind == WISH_REMOVE && !change->flies && !batch->wish->report;
}

static struct err change_ops(struct batch *batch, const struct change *change)
{
    struct err e = err_none();
    if (goes_at_once(batch, change))
        queue_remove_ops(&change->entry, &batch->arena, &batch->ops);
    else
        e = queue_change_ops(&change->entry, &batch->arena, &batch->ops);
    trace_change(batch, change);
    return e;
}

static struct err batch_commit(struct batch *batch)
{
    size_t changed = 0;
    batch->ops = op_list_take(&batch->arena, batch->count * (QUEUE_CHANGE_OPS + 1) + TRACE_OPS);
    batch->growth = trace_growth(batch->now);
    for (size_t i = 0; i < batch->count; i++) {
        struct change *change = &batch->changes[i];
        change->changed = change->there && wish_apply(batch, change);
        changed += change->changed;
        struct err e = change->changed ? change_ops(batch, change) : err_none();
        if (err_is(e))
            return e;
    }
    if (changed == 0)
        return err_none();
    trace_grown(&batch->growth, &batch->arena, &batch->ops);
    if (batch->ops.over || arena_over(&batch->arena))
        return err_make(ERR_NO_MEMORY);
    struct commit commit = {.ops = batch->ops.ops, .op_count = batch->ops.count};
    return engine_commit_wait(batch->hand->engine, &commit);
}

/* --- Into memory --- */

/* Its hand is opened; nothing of it was changed. */
static void change_undo(struct batch *batch, struct change *change)
{
    if (!change->one)
        return;
    struct schedule *schedule = &batch->hand->queue->schedule;
    if (change->calmed)
        schedule_calm(schedule, change->one->destination);
    if (change->flies)
        queue_written(change->one);
    else if (change->gone)
        schedule_remove(schedule, change->one);
    else
        schedule_back(schedule, change->one, change->next);
}

static void report_now(struct batch *batch, struct change *change)
{
    const struct outcome outcome = {.clock = true};
    struct queue *queue = batch->hand->queue;
    struct err e = outcome_record(queue, change->one, &outcome);
    if (!err_is(e))
        return;
    /* It is removed for good already, and goes when it is looked at again. */
    log_err(queue->core->log, "outcome_not_recorded", e);
    queue_back(queue, change->one, &change->entry, change->next);
}

static void change_done(struct batch *batch, struct change *change)
{
    struct queue *queue = batch->hand->queue;
    struct scheduled *one = change->one;
    if (!one)
        return;
    one->holds = change->entry.holds;
    one->judge = queue_judge(&change->entry);
    one->moved |= batch->wish->kind == WISH_REROUTE;
    if (batch->wish->kind == WISH_RETRY)
        schedule_calm(&queue->schedule, one->destination);
    if (change->flies) {
        queue_written(one);
        if (batch->wish->kind != WISH_RELEASE && (batch->wish->kind != WISH_FOLLOW || one->holds))
            errand_drop(queue, one);
    } else if (goes_at_once(batch, change)) {
        schedule_remove(&queue->schedule, one);
    } else if (batch->wish->kind == WISH_REMOVE) {
        report_now(batch, change);
    } else {
        queue_back(queue, one, &change->entry, change->entry.next);
    }
}

static void batch_end(struct batch *batch, struct err e, struct queue_changed *changed)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct change *change = &batch->changes[i];
        if (err_is(e) || !change->changed)
            change_undo(batch, change);
        else
            change_done(batch, change);
        if (err_is(e))
            continue;
        bool done = change->changed || change->calmed;
        changed->changed += done;
        changed->later += done && change->flies;
        changed->same += change->there && !done;
        changed->gone += change->gone;
        changed->kept += change->there && batch->wish->kind == WISH_RELEASE &&
                         change->entry.holds & QUEUE_HELD_WITH_ACCOUNT;
    }
    if (batch->hand->queue)
        queue_turn(batch->hand->queue);
}

struct err queue_change(const struct queue_hand *hand, const struct queue_wish *wish,
                        const struct queue_name *names, size_t count, struct queue_changed *changed)
{
    must(count <= QUEUE_CHANGES_MAX && (!wish->report || hand->queue));
    struct batch batch = {.hand = hand, .wish = wish, .now = world_wall(hand->loop->world)};
    struct err e = err_none();
    if (hand->queue)
        queue_fiber_begin(hand->queue);
    arena_init(&batch.arena, CHANGE_ARENA);
    batch.changes = arena_take_array(&batch.arena, QUEUE_CHANGES_MAX, sizeof(struct change));
    if (!batch.changes)
        e = err_make(ERR_NO_MEMORY);
    for (; batch.count < count && !err_is(e); batch.count++)
        e = change_take(&batch, &names[batch.count], &batch.changes[batch.count]);
    if (!err_is(e))
        e = batch_commit(&batch);
    batch_end(&batch, e, changed);
    arena_done(&batch.arena);
    if (hand->queue)
        queue_fiber_end(hand->queue);
    return e;
}

/* --- Pauses --- */

static struct err pauses_count(const struct queue_hand *hand, struct arena *arena, size_t *count_r)
{
    struct queue_pause *pauses;
    return queue_pauses(hand->engine, arena, &pauses, count_r);
}

static struct err pause_commit(const struct queue_hand *hand, struct op_list *ops)
{
    if (ops->over)
        return err_make(ERR_NO_MEMORY);
    struct commit commit = {.ops = ops->ops, .op_count = ops->count};
    return engine_commit_wait(hand->engine, &commit);
}

struct err queue_pause(const struct queue_hand *hand, struct str destination, struct str why)
{
    const struct queue_pause pause = {
        .domain = destination, .why = why, .since = world_wall(hand->loop->world)};
    struct arena arena;
    size_t count = 0;
    arena_init(&arena, CHANGE_ARENA);
    struct op_list ops = op_list_take(&arena, 1);
    struct err e = pauses_count(hand, &arena, &count);
    if (!err_is(e) && count >= QUEUE_PAUSES_MAX)
        e = err_detail(ERR_OVER_LIMIT, STR("too many destinations are paused"));
    queue_pause_ops(&pause, &arena, &ops);
    if (!err_is(e))
        e = pause_commit(hand, &ops);
    if (!err_is(e) && hand->queue && !schedule_pause(&hand->queue->schedule, destination, true))
        e = err_make(ERR_NO_MEMORY);
    arena_done(&arena);
    return e;
}

struct err queue_resume(const struct queue_hand *hand, struct str destination)
{
    struct arena arena;
    arena_init(&arena, CHANGE_ARENA);
    struct op_list ops = op_list_take(&arena, 2);
    queue_resume_ops(destination, &arena, &ops);
    struct err e = pause_commit(hand, &ops);
    if (e.code == ERR_CONFLICT)
        e = err_detail(ERR_NOT_FOUND, STR("that is not paused"));
    if (!err_is(e) && hand->queue) {
        (void)schedule_pause(&hand->queue->schedule, destination, false);
        queue_turn(hand->queue);
    }
    arena_done(&arena);
    return e;
}
