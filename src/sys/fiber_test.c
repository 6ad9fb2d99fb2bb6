#include "base/test.h"

#include <fenv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fiber.h"
#include "sys/hand_world.h"

struct bench {
    struct hand_world hand;
    struct loop loop;
    struct fiber_pool *pool;
};

static void bench_open(struct bench *b, size_t cap)
{
    *b = (struct bench){.hand = {.world = {WORLD_MAGIC, &hand_ops}}};
    assert_int_equal(loop_init(&b->loop, &b->hand.world), 0);
    b->pool = fiber_pool_open(&b->loop, cap);
    assert_non_null(b->pool);
}

static void bench_close(struct bench *b)
{
    fiber_pool_close(b->pool);
    loop_done(&b->loop);
}

/* One handler with places to stop at. */
struct walker {
    struct bench *bench;
    struct fiber_start start;
    struct fiber *fiber;
    int step;
    int parks;
};

static void walk(void *arg)
{
    struct walker *w = arg;
    w->fiber = fiber_current();
    for (int i = 0; i < w->parks; i++) {
        w->step++;
        fiber_park();
        assert_ptr_equal(fiber_current(), w->fiber);
    }
    w->step = -1;
}

static void walker_go(struct walker *w, struct bench *b, int parks)
{
    *w = (struct walker){.bench = b, .start = {.run = walk, .arg = w}, .parks = parks};
    fiber_run(b->pool, &w->start);
}

static void a_handler_runs_at_once_until_its_first_wait(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    struct walker w;
    walker_go(&w, &b, 2);
    assert_int_equal(w.step, 1);
    assert_null(fiber_current());
    assert_int_equal(fiber_pool_running(b.pool), 1);
    fiber_wake(w.fiber);
    assert_int_equal(w.step, 1);
    loop_turn(&b.loop);
    assert_int_equal(w.step, 2);
    fiber_wake(w.fiber);
    loop_turn(&b.loop);
    assert_int_equal(w.step, -1);
    assert_int_equal(fiber_pool_running(b.pool), 0);
    bench_close(&b);
}

static void beyond_the_cap_handlers_wait_in_order(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    struct walker w[5];
    for (int i = 0; i < 5; i++)
        walker_go(&w[i], &b, 1);
    assert_int_equal(fiber_pool_running(b.pool), 2);
    assert_int_equal(w[2].step, 0);
    fiber_wake(w[1].fiber);
    loop_turn(&b.loop);
    assert_int_equal(w[2].step, 1);
    assert_int_equal(w[3].step, 0);
    fiber_wake(w[0].fiber);
    fiber_wake(w[2].fiber);
    loop_turn(&b.loop);
    assert_int_equal(w[3].step, 1);
    assert_int_equal(w[4].step, 1);
    fiber_wake(w[3].fiber);
    fiber_wake(w[4].fiber);
    loop_turn(&b.loop);
    assert_int_equal(fiber_pool_running(b.pool), 0);
    bench_close(&b);
}

/* The last one given back is the first one used: its stack is warm. */
static void the_pool_is_last_in_first_out(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    struct walker w[2], next;
    walker_go(&w[0], &b, 1);
    walker_go(&w[1], &b, 1);
    fiber_wake(w[1].fiber);
    fiber_wake(w[0].fiber);
    loop_turn(&b.loop);
    walker_go(&next, &b, 0);
    assert_ptr_equal(next.fiber, w[0].fiber);
    bench_close(&b);
}

struct chain {
    struct bench *bench;
    struct fiber_start start;
    int depth;
    int *begun;
};

/* Frees the start it was given before it goes on: run and arg must have been taken by then. */
static void chain_link(void *arg)
{
    struct chain *c = arg;
    ++*c->begun;
    if (c->depth > 0) {
        struct chain *next = malloc(sizeof(*next));
        assert_non_null(next);
        *next = *c;
        next->depth--;
        next->start.arg = next;
        int before = *c->begun;
        fiber_run(c->bench->pool, &next->start);
        assert_int_equal(*c->begun, before);
    }
    free(c);
}

static void a_fiber_started_on_a_fiber_runs_after_it(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    int begun = 0;
    struct chain *first = malloc(sizeof(*first));
    assert_non_null(first);
    *first = (struct chain){.bench = &b, .start = {.run = chain_link}, .depth = 3, .begun = &begun};
    first->start.arg = first;
    fiber_run(b.pool, &first->start);
    assert_int_equal(begun, 1);
    loop_turn(&b.loop);
    assert_int_equal(begun, 4);
    bench_close(&b);
}

struct waiter {
    struct wait wait;
    struct fiber_start start;
    bool woke;
};

static void wait_once(void *arg)
{
    struct waiter *w = arg;
    wait_for(&w->wait);
    w->woke = true;
}

static void a_wake_before_the_wait_is_not_lost(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct waiter w = {.start = {.run = wait_once, .arg = &w}};
    wait_over(&w.wait);
    fiber_run(b.pool, &w.start);
    assert_true(w.woke);

    w = (struct waiter){.start = {.run = wait_once, .arg = &w}};
    fiber_run(b.pool, &w.start);
    assert_false(w.woke);
    wait_over(&w.wait);
    wait_over(&w.wait);
    loop_turn(&b.loop);
    assert_true(w.woke);
    bench_close(&b);
}

struct sleeper {
    struct loop *loop;
    struct fiber_start start;
    int64_t woke_at;
};

static void sleep_twice(void *arg)
{
    struct sleeper *s = arg;
    fiber_sleep_until(s->loop, 500);
    fiber_sleep_until(s->loop, 700);
    s->woke_at = s->loop->now;
    loop_stop(s->loop);
}

static void a_sleeping_fiber_wakes_at_its_time(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct sleeper s = {.loop = &b.loop, .start = {.run = sleep_twice, .arg = &s}};
    fiber_run(b.pool, &s.start);
    loop_run(&b.loop);
    assert_int_equal(s.woke_at, 700);
    assert_int_equal(b.hand.waits, 2);
    bench_close(&b);
}

enum {
    CROWD = 100,
    CROWD_ROUNDS = 100
};

struct visitor {
    struct fiber_start start;
    struct fiber *fiber;
    uint64_t sum;
    uint64_t name;
};

/* Leaves a pattern on its stack over the park and checks that nobody wrote there. */
static void visit(void *arg)
{
    struct visitor *v = arg;
    volatile uint64_t kept[256];
    for (size_t i = 0; i < 256; i++)
        kept[i] = v->name * 1000 + i;
    v->fiber = fiber_current();
    fiber_park();
    for (size_t i = 0; i < 256; i++)
        assert_true(kept[i] == v->name * 1000 + i);
    v->sum++;
}

static void ten_thousand_handlers_keep_their_stacks_apart(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, CROWD);
    struct visitor v[CROWD];
    for (size_t i = 0; i < CROWD; i++)
        v[i] = (struct visitor){.start = {.run = visit, .arg = &v[i]}, .name = i};
    for (int round = 0; round < CROWD_ROUNDS; round++) {
        for (size_t i = 0; i < CROWD; i++)
            fiber_run(b.pool, &v[(i * 7) % CROWD].start);
        for (size_t i = 0; i < CROWD; i++)
            fiber_wake(v[(i * 11) % CROWD].fiber);
        loop_turn(&b.loop);
    }
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(v[i].sum, CROWD_ROUNDS);
    bench_close(&b);
}

struct rounder {
    struct fiber_start start;
    struct fiber *fiber;
    int begun_with, after;
};

static void round_up(void *arg)
{
    struct rounder *r = arg;
    r->fiber = fiber_current();
    fesetround(FE_UPWARD);
    fiber_park();
    r->after = fegetround();
    fesetround(FE_TONEAREST);
}

static void rounding_modes_stay_with_their_fiber(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct rounder r = {.start = {.run = round_up, .arg = &r}};
    fiber_run(b.pool, &r.start);
#ifndef FIBER_UCONTEXT
    assert_int_equal(fegetround(), FE_TONEAREST);
#endif
    fesetround(FE_TONEAREST);
    fiber_wake(r.fiber);
    loop_turn(&b.loop);
    assert_int_equal(r.after, FE_UPWARD);
    assert_int_equal(fegetround(), FE_TONEAREST);
    bench_close(&b);
}

/* Writes downwards from its own frame, page by page, as deep calls would. */
static void run_over(void *arg)
{
    volatile char here = 0;
    volatile uintptr_t at = (uintptr_t)&here;
    (void)arg;
    for (size_t i = 0; i < 1024; i++) {
        at -= 1024;
        *(volatile char *)at = 1;
    }
    _exit(0);
}

static void an_overflow_ends_the_process(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        struct fiber_start start = {.run = run_over};
        fiber_run(b.pool, &start);
        _exit(0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) || WEXITSTATUS(how) != 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_runs_at_once_until_its_first_wait),
        cmocka_unit_test(beyond_the_cap_handlers_wait_in_order),
        cmocka_unit_test(the_pool_is_last_in_first_out),
        cmocka_unit_test(a_fiber_started_on_a_fiber_runs_after_it),
        cmocka_unit_test(a_wake_before_the_wait_is_not_lost),
        cmocka_unit_test(a_sleeping_fiber_wakes_at_its_time),
        cmocka_unit_test(ten_thousand_handlers_keep_their_stacks_apart),
        cmocka_unit_test(rounding_modes_stay_with_their_fiber),
        cmocka_unit_test(an_overflow_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
