/*
 * What a fiber costs: one park and wake in the loop (two switches, one task), one start and end of
 * a handler, and the switch alone. Prints nanoseconds; the median of a few rounds.
 */
#include "sys/fiber.h"
#include "sys/fiber_switch.h"

enum {
    ROUNDS = 9,
    TIMES = 1000000
};

static int64_t now(void)
{
    return world_mono(world_real());
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *what, double *rounds)
{
    qsort(rounds, ROUNDS, sizeof(*rounds), by_size);
    printf("%-28s %6.1f ns (%.1f to %.1f)\n", what, rounds[ROUNDS / 2], rounds[0],
           rounds[ROUNDS - 1]);
}

static struct fiber_place here, there;

static void bounce(void *arg)
{
    (void)arg;
    for (;;)
        fiber_place_switch(&there, &here);
}

static void bench_switch(void)
{
    static char stack[65536];
    double rounds[ROUNDS];
    fiber_place_begin(&there, stack, sizeof(stack), bounce, NULL);
    for (int r = 0; r < ROUNDS; r++) {
        int64_t begun = now();
        for (int i = 0; i < TIMES; i++)
            fiber_place_switch(&here, &there);
        rounds[r] = (double)(now() - begun) / TIMES / 2;
    }
    report("one switch", rounds);
}

static struct fiber *parked;

static void park_for_ever(void *arg)
{
    bool *ending = arg;
    parked = fiber_current();
    while (!*ending)
        fiber_park();
}

static void bench_park(struct loop *loop, struct fiber_pool *pool)
{
    double rounds[ROUNDS];
    bool ending = false;
    struct fiber_start start = {.run = park_for_ever, .arg = &ending};
    fiber_run(pool, &start);
    for (int r = 0; r < ROUNDS; r++) {
        int64_t begun = now();
        for (int i = 0; i < TIMES; i++) {
            fiber_wake(parked);
            struct task *task = TAILQ_FIRST(&loop->tasks);
            task_cancel(loop, task);
            task->run(task);
        }
        rounds[r] = (double)(now() - begun) / TIMES;
    }
    ending = true;
    fiber_wake(parked);
    loop_turn(loop);
    report("wake, run, park", rounds);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void bench_start(struct fiber_pool *pool)
{
    double rounds[ROUNDS];
    struct fiber_start start = {.run = nothing};
    for (int r = 0; r < ROUNDS; r++) {
        int64_t begun = now();
        for (int i = 0; i < TIMES; i++)
            fiber_run(pool, &start);
        rounds[r] = (double)(now() - begun) / TIMES;
    }
    report("start and end of a handler", rounds);
}

int main(void)
{
    struct loop loop;
    must(loop_init(&loop, world_real()) == 0);
    struct fiber_pool *pool = fiber_pool_open(&loop, 10);
    must(pool);
    bench_switch();
    bench_park(&loop, pool);
    bench_start(pool);
    fiber_pool_close(pool);
    loop_done(&loop);
    return 0;
}
