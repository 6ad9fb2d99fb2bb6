/*
 * struct loop: one role's event loop. A turn is: what became ready, the timers that are due, every
 * task that is queued (tasks queued meanwhile too), then the turn-end tasks, in which the bus and
 * the streams send what the turn produced. Nothing here blocks but the wait between turns.
 *
 * One thread runs a loop. Watches, timers and tasks are the caller's memory and are linked in; each
 * must be ended before its memory goes. No call here yields; callbacks run on the loop's own stack,
 * where yielding is forbidden: they start or wake fibers (sys/fiber.h).
 */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

#include "sys/world.h"

enum {
    READY_READ = 1,
    READY_WRITE = 2
};

/* Interest in one handle. `backend` belongs to the world. */
struct watch {
    int handle;
    unsigned want; /* READY_* */
    void (*ready)(struct watch *, unsigned ready);
    void *arg;
    void *backend;
};

TAILQ_HEAD(task_list, task);

struct task {
    TAILQ_ENTRY(task) link;
    void (*run)(struct task *);
    void *arg;
    struct task_list *queued; /* where it waits; NULL: nowhere */
};

struct timer {
    RB_ENTRY(timer) link;
    int64_t at; /* mono */
    uint64_t order;
    void (*run)(struct timer *);
    void *arg;
    bool set;
};

RB_HEAD(timer_tree, timer);

#define LOOP_MAGIC MAGIC('L', 'O', 'O', 'P')

struct loop {
    uint32_t magic;
    struct world *world;
    void *backend;
    int64_t now; /* mono, read once a turn and after each wait, before a watch is called */
    struct task_list tasks;
    struct task_list ends;
    struct timer_tree timers;
    uint64_t timers_set; /* orders timers with equal deadlines */
    bool stopping;
};

int loop_init(struct loop *loop, struct world *world); /* 0 or -errno */
void loop_done(struct loop *loop);

/* Runs turns until loop_stop; the turn in which that is called is finished. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* One turn without waiting: tasks, due timers, turn-end tasks. For the simulator, which waits
 * itself. */
void loop_turn(struct loop *loop);
/* When the next timer is due: 0 if a task waits now, INT64_MAX if nothing is set. */
int64_t loop_next(const struct loop *loop);

/* In this turn, or the next if called from a turn-end task. Queuing twice queues once. A task may
 * free itself in its own run. */
void loop_soon(struct loop *loop, struct task *task);
/* At the end of this turn, once; called from a turn-end task: at the end of the next. */
void loop_at_turn_end(struct loop *loop, struct task *task);
/* Nothing happens where it is not queued. */
void task_cancel(struct loop *loop, struct task *task);

/* Sets or moves. Timers run in the order of their deadlines, equal ones in the order they were set.
 * A deadline in the past is due at once; what a timer sets so runs in the next turn, so a timer
 * that keeps setting itself starves nobody. */
void timer_set(struct loop *loop, struct timer *timer, int64_t at);
/* Nothing happens where it is not set. */
void timer_clear(struct loop *loop, struct timer *timer);

/*
 * `watch` holds handle, want, ready, arg. 0 or -errno. Readiness is level-triggered: `ready` is
 * called each turn until what it says was dealt with or is no longer wanted. The end or an error of
 * a connection shows as ready for what is wanted. watch_end may be called in `ready`, and the
 * memory freed.
 *
 * One that watches a listening socket and gets -EMFILE or -ENFILE from accept must stop wanting it
 * for a while (a timer): the connection stays queued, and the watch would spin.
 */
int watch_begin(struct loop *loop, struct watch *watch);
void watch_want(struct loop *loop, struct watch *watch, unsigned want);
void watch_end(struct loop *loop, struct watch *watch);

#endif
