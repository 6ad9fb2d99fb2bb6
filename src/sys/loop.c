/*
 * The turn is ours, only the waiting is the world's: so tasks, timers and their order are the same
 * in the server and in the simulator, and one seed gives one run.
 *
 * Timers sit in a red-black tree: sessions set and clear one per command, mostly without it ever
 * firing, in any order. A wheel would be cheaper per call, but fires late or needs cascades, and
 * its order within a slot is not the deadlines' order.
 *
 * No phase of a turn can starve another by feeding itself, but the tasks: they run until none is
 * left, because a fiber that wakes a fiber that wakes a fiber belongs to one turn, and its output
 * into one send. What they can do in a turn is bounded by what arrived in it.
 */
#include "sys/loop.h"

static int timer_order(const struct timer *a, const struct timer *b)
{
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return 0;
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(timer_tree, timer, link, timer_order, __attribute__((unused)) static)

int loop_init(struct loop *loop, struct world *world)
{
    must_be(world, WORLD_MAGIC);
    *loop = (struct loop){.magic = LOOP_MAGIC, .world = world};
    TAILQ_INIT(&loop->tasks);
    TAILQ_INIT(&loop->ends);
    RB_INIT(&loop->timers);
    loop->now = world_mono(world);
    return world->ops->loop_begin(world, loop);
}

void loop_done(struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    loop->world->ops->loop_end(loop->world, loop);
    loop->magic = 0;
}

/* The earliest due timer that was set before this phase began. */
static struct timer *due_timer(struct loop *loop, uint64_t set_before)
{
    struct timer *timer;
    RB_FOREACH (timer, timer_tree, &loop->timers) {
        if (timer->at > loop->now)
            return NULL;
        if (timer->order < set_before)
            return timer;
    }
    return NULL;
}

static void run_timers(struct loop *loop)
{
    uint64_t set_before = loop->timers_set;
    struct timer *timer;
    while ((timer = due_timer(loop, set_before))) {
        timer_clear(loop, timer);
        timer->run(timer);
    }
}

static void run_first(struct loop *loop, struct task_list *list)
{
    struct task *task = TAILQ_FIRST(list);
    task_cancel(loop, task);
    task->run(task);
}

static void run_tasks(struct loop *loop)
{
    while (!TAILQ_EMPTY(&loop->tasks))
        run_first(loop, &loop->tasks);
}

/* A mark behind the last one, so that what they queue waits for the next turn. */
static void run_ends(struct loop *loop)
{
    struct task mark = {.run = NULL};
    loop_at_turn_end(loop, &mark);
    while (TAILQ_FIRST(&loop->ends) != &mark)
        run_first(loop, &loop->ends);
    task_cancel(loop, &mark);
}

void loop_turn(struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    loop->now = world_mono(loop->world);
    run_timers(loop);
    run_tasks(loop);
    run_ends(loop);
}

void loop_run(struct loop *loop)
{
    loop_turn(loop);
    while (!loop->stopping) {
        loop->world->ops->wait(loop->world, loop, loop_next(loop));
        loop_turn(loop);
    }
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

int64_t loop_next(const struct loop *loop)
{
    if (!TAILQ_EMPTY(&loop->tasks) || !TAILQ_EMPTY(&loop->ends))
        return 0;
    int64_t at = INT64_MAX;
    for (const struct timer *t = RB_ROOT(&loop->timers); t; t = RB_LEFT(t, link))
        at = t->at;
    return at;
}

static void queue(struct task_list *list, struct task *task)
{
    if (task->queued)
        return;
    task->queued = list;
    TAILQ_INSERT_TAIL(list, task, link);
}

void loop_soon(struct loop *loop, struct task *task)
{
    queue(&loop->tasks, task);
}

void loop_at_turn_end(struct loop *loop, struct task *task)
{
    queue(&loop->ends, task);
}

void task_cancel(struct loop *loop, struct task *task)
{
    if (!task->queued)
        return;
    must(task->queued == &loop->tasks || task->queued == &loop->ends);
    TAILQ_REMOVE(task->queued, task, link);
    task->queued = NULL;
}

void timer_set(struct loop *loop, struct timer *timer, int64_t at)
{
    timer_clear(loop, timer);
    timer->at = at;
    timer->order = loop->timers_set++;
    timer->set = true;
    RB_INSERT(timer_tree, &loop->timers, timer);
}

void timer_clear(struct loop *loop, struct timer *timer)
{
    if (!timer->set)
        return;
    RB_REMOVE(timer_tree, &loop->timers, timer);
    timer->set = false;
}

int watch_begin(struct loop *loop, struct watch *watch)
{
    return loop->world->ops->watch_begin(loop->world, loop, watch);
}

void watch_want(struct loop *loop, struct watch *watch, unsigned want)
{
    if (watch->want == want)
        return;
    watch->want = want;
    loop->world->ops->watch_want(loop->world, loop, watch);
}

void watch_end(struct loop *loop, struct watch *watch)
{
    loop->world->ops->watch_end(loop->world, loop, watch);
}
