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

struct task {
    TAILQ_ENTRY(task) link;
    void (*run)(struct task *);
    void *arg;
    bool queued;
};

struct timer {
    RB_ENTRY(timer) link;
    int64_t at; /* mono */
    uint64_t order;
    void (*run)(struct timer *);
    void *arg;
    bool set;
};

TAILQ_HEAD(task_list, task);
RB_HEAD(timer_tree, timer);

#define LOOP_MAGIC MAGIC('L', 'O', 'O', 'P')

struct loop {
    uint32_t magic;
    struct world *world;
    void *backend;
    int64_t now; /* mono, read once a turn and after each wait */
    struct task_list tasks;
    struct task_list ends;
    struct timer_tree timers;
    uint64_t timers_set; /* orders timers with equal deadlines */
    bool stopping;
};

int loop_init(struct loop *loop, struct world *world); /* 0 or -errno */
void loop_done(struct loop *loop);

/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* One turn without waiting: tasks, due timers, turn-end tasks. For the simulator, which waits
 * itself. */
void loop_turn(struct loop *loop);
/* When the next timer is due: 0 if a task waits now, INT64_MAX if nothing is set. */
int64_t loop_next(const struct loop *loop);

/* In this turn, or the next if called from a turn-end task. Queuing twice queues once. */
void loop_soon(struct loop *loop, struct task *task);
/* At the end of this turn, once. */
void loop_at_turn_end(struct loop *loop, struct task *task);
void task_cancel(struct loop *loop, struct task *task);

/* Sets or moves. A deadline in the past is due at once. */
void timer_set(struct loop *loop, struct timer *timer, int64_t at);
void timer_clear(struct loop *loop, struct timer *timer);

/* `watch` holds handle, want, ready, arg. 0 or -errno. */
int watch_begin(struct loop *loop, struct watch *watch);
void watch_want(struct loop *loop, struct watch *watch, unsigned want);
void watch_end(struct loop *loop, struct watch *watch);

#endif
