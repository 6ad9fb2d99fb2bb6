/*
 * Fibers and the loop take turns on one thread: a fiber is entered from the loop's stack only, and
 * parks back to it. There is no switch from fiber to fiber, so a chain of wake-ups costs stack
 * nowhere and the loop's order is the only order.
 *
 * A finished fiber stays in its own little loop (fiber_main) and waits for the next handler:
 * nothing is rebuilt between two commands. The pool gives the last one back first, whose stack is
 * warm.
 *
 * Stacks are mapped one by one, so that each has an inaccessible page below it: an overflow is a
 * crash at once and not another session's data. That costs two mappings a fiber, and the kernel's
 * limit of 65,530 of them is the reason for FIBER_CAP_LIMIT; sessions that wait hold no fiber.
 */
#include "sys/fiber.h"

#include <sys/mman.h>

#include "sys/fiber_switch.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

#ifdef UNDER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

enum {
    GUARD_SIZE = 4096,
#ifdef UNDER_ASAN
    STACK_SIZE = 256 * 1024
#else
    STACK_SIZE = 64 * 1024
#endif
};

#define FIBER_MAGIC MAGIC('F', 'I', 'B', 'R')
#define POOL_MAGIC MAGIC('F', 'P', 'O', 'L')

/*
 * IDLE     in the pool's list; its stack waits in fiber_main for a handler
 * RUNNING  on the processor
 * PARKED   waits for fiber_wake
 * WOKEN    its task is queued
 */
enum fiber_state {
    FIBER_IDLE,
    FIBER_RUNNING,
    FIBER_PARKED,
    FIBER_WOKEN
};

struct fiber {
    uint32_t magic;
    enum fiber_state state;
    struct fiber_pool *pool;
    struct fiber_place place;
    struct task task; /* resumes it */
    LIST_ENTRY(fiber) idle;
    void (*run)(void *arg);
    void *arg;
    char *stack; /* lowest usable byte; the guard is below */
    void *asan_stack;
};

LIST_HEAD(fiber_list, fiber);
TAILQ_HEAD(start_list, fiber_start);

struct fiber_pool {
    uint32_t magic;
    struct loop *loop;
    struct fiber_place loop_place;
    struct fiber_list idle;
    struct start_list waiting;
    struct task admit; /* starts what waits */
    size_t cap, made, running;
    bool closing;
    void *asan_stack; /* the loop's, while a fiber runs */
    const void *asan_bottom;
    size_t asan_size;
};

/* One of the two mutable globals of the program. */
static _Thread_local struct fiber *current;

struct fiber *fiber_current(void)
{
    return current;
}

/* AddressSanitizer must be told of each change of stacks, before and after it. */

static void asan_leave_loop(struct fiber *fiber)
{
#ifdef UNDER_ASAN
    __sanitizer_start_switch_fiber(&fiber->pool->asan_stack, fiber->stack, STACK_SIZE);
#else
    (void)fiber;
#endif
}

static void asan_back_on_loop(struct fiber_pool *pool)
{
#ifdef UNDER_ASAN
    __sanitizer_finish_switch_fiber(pool->asan_stack, NULL, NULL);
#else
    (void)pool;
#endif
}

static void asan_leave_fiber(struct fiber *fiber, bool for_ever)
{
#ifdef UNDER_ASAN
    __sanitizer_start_switch_fiber(for_ever ? NULL : &fiber->asan_stack, fiber->pool->asan_bottom,
                                   fiber->pool->asan_size);
#else
    (void)fiber;
    (void)for_ever;
#endif
}

static void asan_back_on_fiber(struct fiber *fiber)
{
#ifdef UNDER_ASAN
    __sanitizer_finish_switch_fiber(fiber->asan_stack, &fiber->pool->asan_bottom,
                                    &fiber->pool->asan_size);
#else
    (void)fiber;
#endif
}

/* What a parked fiber alone points to is not leaked. */
static void asan_stack_made(struct fiber *fiber)
{
#ifdef UNDER_ASAN
    __lsan_register_root_region(fiber->stack, STACK_SIZE);
#else
    (void)fiber;
#endif
}

static void asan_stack_gone(struct fiber *fiber)
{
#ifdef UNDER_ASAN
    __lsan_unregister_root_region(fiber->stack, STACK_SIZE);
    __asan_unpoison_memory_region(fiber->stack, STACK_SIZE);
#else
    (void)fiber;
#endif
}

/* From the loop into the fiber; returns when it parks or has finished. */
static void enter(struct fiber *fiber)
{
    struct fiber_pool *pool = fiber->pool;
    must(!current);
    current = fiber;
    fiber->state = FIBER_RUNNING;
    asan_leave_loop(fiber);
    fiber_place_switch(&pool->loop_place, &fiber->place);
    asan_back_on_loop(pool);
    current = NULL;
}

/* From the fiber back to the loop; returns when it is entered again. */
static void leave(struct fiber *fiber, enum fiber_state state)
{
    fiber->state = state;
    asan_leave_fiber(fiber, fiber->pool->closing);
    fiber_place_switch(&fiber->place, &fiber->pool->loop_place);
    asan_back_on_fiber(fiber);
}

static void give_back(struct fiber *fiber)
{
    struct fiber_pool *pool = fiber->pool;
    LIST_INSERT_HEAD(&pool->idle, fiber, idle);
    pool->running--;
    if (!TAILQ_EMPTY(&pool->waiting))
        loop_soon(pool->loop, &pool->admit);
}

static void fiber_main(void *arg)
{
    struct fiber *fiber = arg;
    asan_back_on_fiber(fiber);
    while (!fiber->pool->closing) {
        fiber->run(fiber->arg);
        give_back(fiber);
        leave(fiber, FIBER_IDLE);
    }
    leave(fiber, FIBER_IDLE);
    must(false);
}

static void resume(struct task *task)
{
    struct fiber *fiber = task->arg;
    must_be(fiber, FIBER_MAGIC);
    must(fiber->state == FIBER_WOKEN);
    enter(fiber);
}

static bool stack_open(struct fiber *fiber)
{
    char *at = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED)
        return false;
    if (mprotect(at + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) < 0) {
        munmap(at, GUARD_SIZE + STACK_SIZE);
        return false;
    }
    fiber->stack = at + GUARD_SIZE;
    asan_stack_made(fiber);
    return true;
}

static bool fiber_make(struct fiber_pool *pool)
{
    struct fiber *fiber = calloc(1, sizeof(*fiber));
    if (!fiber || !stack_open(fiber)) {
        free(fiber);
        return false;
    }
    fiber->magic = FIBER_MAGIC;
    fiber->pool = pool;
    fiber->task.run = resume;
    fiber->task.arg = fiber;
    fiber_place_begin(&fiber->place, fiber->stack, STACK_SIZE, fiber_main, fiber);
    LIST_INSERT_HEAD(&pool->idle, fiber, idle);
    pool->made++;
    return true;
}

/* With the pool closing, the stack runs to its end once more, so that AddressSanitizer lets go. */
static void fiber_unmake(struct fiber *fiber)
{
    LIST_REMOVE(fiber, idle);
    enter(fiber);
    asan_stack_gone(fiber);
    munmap(fiber->stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
    fiber->magic = 0;
    free(fiber);
}

static bool can_run(struct fiber_pool *pool)
{
    return pool->running < pool->cap && (!LIST_EMPTY(&pool->idle) || fiber_make(pool));
}

/* Nothing of `start` is used once the handler runs. */
static void run_first(struct fiber_pool *pool)
{
    struct fiber_start *start = TAILQ_FIRST(&pool->waiting);
    struct fiber *fiber = LIST_FIRST(&pool->idle);
    TAILQ_REMOVE(&pool->waiting, start, link);
    LIST_REMOVE(fiber, idle);
    fiber->run = start->run;
    fiber->arg = start->arg;
    pool->running++;
    enter(fiber);
}

static void admit(struct task *task)
{
    struct fiber_pool *pool = task->arg;
    must_be(pool, POOL_MAGIC);
    while (!TAILQ_EMPTY(&pool->waiting) && can_run(pool))
        run_first(pool);
}

void fiber_run(struct fiber_pool *pool, struct fiber_start *start)
{
    must_be(pool, POOL_MAGIC);
    bool first = TAILQ_EMPTY(&pool->waiting);
    TAILQ_INSERT_TAIL(&pool->waiting, start, link);
    if (current)
        loop_soon(pool->loop, &pool->admit);
    else if (first && can_run(pool))
        run_first(pool);
}

struct fiber_pool *fiber_pool_open(struct loop *loop, size_t cap)
{
    must(cap >= 1 && cap <= FIBER_CAP_LIMIT);
    struct fiber_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->magic = POOL_MAGIC;
    pool->loop = loop;
    pool->cap = cap;
    pool->admit.run = admit;
    pool->admit.arg = pool;
    LIST_INIT(&pool->idle);
    TAILQ_INIT(&pool->waiting);
    /* One is always there, so what waits for memory is woken by its end. */
    if (!fiber_make(pool)) {
        free(pool);
        return NULL;
    }
    return pool;
}

void fiber_pool_close(struct fiber_pool *pool)
{
    must_be(pool, POOL_MAGIC);
    must(pool->running == 0 && TAILQ_EMPTY(&pool->waiting) && !current);
    pool->closing = true;
    while (!LIST_EMPTY(&pool->idle)) {
        fiber_unmake(LIST_FIRST(&pool->idle));
        pool->made--;
    }
    must(pool->made == 0);
    task_cancel(pool->loop, &pool->admit);
    pool->magic = 0;
    free(pool);
}

size_t fiber_pool_running(const struct fiber_pool *pool)
{
    return pool->running;
}

void fiber_park(void)
{
    must(current);
    leave(current, FIBER_PARKED);
}

void fiber_wake(struct fiber *fiber)
{
    must_be(fiber, FIBER_MAGIC);
    must(fiber->state == FIBER_PARKED);
    fiber->state = FIBER_WOKEN;
    loop_soon(fiber->pool->loop, &fiber->task);
}

void wait_for(struct wait *wait)
{
    if (wait->done)
        return;
    wait->fiber = current;
    fiber_park();
    must(wait->done);
}

void wait_over(struct wait *wait)
{
    if (wait->done)
        return;
    wait->done = true;
    if (wait->fiber)
        fiber_wake(wait->fiber);
}

static void slept(struct timer *timer)
{
    wait_over(timer->arg);
}

void fiber_sleep_until(struct loop *loop, int64_t at)
{
    struct wait wait = {.fiber = NULL};
    struct timer timer = {.run = slept, .arg = &wait};
    timer_set(loop, &timer, at);
    wait_for(&wait);
}
