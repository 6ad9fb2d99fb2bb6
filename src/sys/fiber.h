/*
 * Fibers: a stack of its own for a handler, so that it can be written top to bottom and wait in the
 * middle. A connection that waits for its client has no fiber; one is taken when a whole command
 * has arrived and given back at its end.
 *
 * Stacks are 64 KB (256 KB under AddressSanitizer) above a guard page, kept in a pool by loop, last
 * used first, until the pool is closed. At most `cap` run at once; what is started beyond that (or
 * when the system has no memory for one more stack) waits its turn, in order.
 *
 * "May yield" in a header means: parks the calling fiber, so everything may have changed when the
 * call returns. It must be called on a fiber.
 */
#ifndef SYS_FIBER_H
#define SYS_FIBER_H

#include "sys/loop.h"

struct fiber;
struct fiber_pool;

enum {
    /* Two mappings each, of the 65,530 that Linux allows a process. */
    FIBER_CAP_LIMIT = 30000
};

/* A handler to run. The caller's memory (in the session struct), ours until the handler begins:
 * the handler may free it, or start it again. */
struct fiber_start {
    TAILQ_ENTRY(fiber_start) link;
    void (*run)(void *arg);
    void *arg;
};

/* 1 <= cap <= FIBER_CAP_LIMIT. NULL: no memory. */
struct fiber_pool *fiber_pool_open(struct loop *loop, size_t cap);
/* No fiber may be running or waiting to run. */
void fiber_pool_close(struct fiber_pool *pool);
size_t fiber_pool_running(const struct fiber_pool *pool);

/* Runs start->run(start->arg) on a fiber: at once and until its first wait when called from the
 * loop; at the loop's next task when called on a fiber; later when the pool is at its cap. */
void fiber_run(struct fiber_pool *pool, struct fiber_start *start);

/* The fiber we are on, or NULL on the loop's stack. */
struct fiber *fiber_current(void);

/* Yields until fiber_wake. A wake that came before the park is not lost: use struct wait. */
void fiber_park(void);
/* Queues the fiber to go on in this turn. Once per park. From the loop or from a fiber of it. */
void fiber_wake(struct fiber *fiber);

/* One thing to wait for, set once: the usual way to wait. Lives on the waiting fiber's stack. */
struct wait {
    struct fiber *fiber;
    bool done;
};

/* May yield: returns once wait_over was called, at once if it was called already. Must be called on
 * a fiber. */
void wait_for(struct wait *wait);
/* Never yields. A second call before the waiter went on does nothing. */
void wait_over(struct wait *wait);

/* May yield. Returns at or after `at` (mono). */
void fiber_sleep_until(struct loop *loop, int64_t at);

#endif
