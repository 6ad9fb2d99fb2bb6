#include "base/test.h"

#include <pthread.h>
#include <signal.h>

#include "sys/fiber.h"
#include "sys/worker.h"

enum {
    JOBS = 500
};

struct order {
    struct loop loop;
    struct lane lane;
    struct job jobs[JOBS];
    int ran[JOBS + 1], ran_count; /* the lane's thread */
    int done_count;
    bool out_of_order;
    bool again;
};

static void note_run(struct job *job)
{
    struct order *o = job->arg;
    o->ran[o->ran_count++] = (int)(job - o->jobs);
}

static void note_done(struct job *job)
{
    struct order *o = job->arg;
    if (job - o->jobs != o->done_count % JOBS)
        o->out_of_order = true;
    o->done_count++;
    if (o->again && o->done_count == JOBS)
        lane_submit(&o->lane, &o->jobs[0]);
    if (o->done_count == JOBS)
        loop_stop(&o->loop);
}

static void order_open(struct order *o)
{
    memset(o, 0, sizeof(*o));
    assert_int_equal(loop_init(&o->loop, world_real()), 0);
    assert_int_equal(lane_init(&o->lane, &o->loop, "order", 1), 0);
    for (int i = 0; i < JOBS; i++) {
        o->jobs[i] = (struct job){.run = note_run, .done = note_done, .arg = o};
        lane_submit(&o->lane, &o->jobs[i]);
    }
}

static void order_check(struct order *o)
{
    assert_false(o->out_of_order);
    assert_int_equal(o->lane.waiting, 0);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(o->ran[i], i);
}

static void jobs_of_one_thread_run_in_order(void **state)
{
    (void)state;
    static struct order o;
    order_open(&o);
    loop_run(&o.loop);
    assert_int_equal(o.done_count, JOBS);
    order_check(&o);
    lane_done(&o.lane);
    loop_done(&o.loop);
}

static void the_end_of_a_lane_finishes_its_jobs(void **state)
{
    (void)state;
    static struct order o;
    order_open(&o);
    o.again = true;
    lane_done(&o.lane);
    assert_int_equal(o.done_count, JOBS + 1);
    loop_done(&o.loop);
}

struct caller {
    struct lane *lane;
    struct fiber_start start;
    int *left;
    struct loop *loop;
    sigset_t blocked;
    char name[16];
    pthread_t thread;
    uint64_t square;
};

static void work(void *arg)
{
    struct caller *c = arg;
    c->square *= c->square;
    c->thread = pthread_self();
    pthread_getname_np(c->thread, c->name, sizeof(c->name));
    pthread_sigmask(SIG_SETMASK, NULL, &c->blocked);
}

static void call_work(void *arg)
{
    struct caller *c = arg;
    lane_call(c->lane, work, c);
    if (--*c->left == 0)
        loop_stop(c->loop);
}

static void fibers_wait_for_their_calls(void **state)
{
    (void)state;
    enum {
        CALLERS = 20
    };
    struct loop loop;
    struct lane lane;
    struct caller c[CALLERS];
    int left = CALLERS;
    assert_int_equal(loop_init(&loop, world_real()), 0);
    assert_int_equal(lane_init(&lane, &loop, "fifteen-letters", 4), 0);
    struct fiber_pool *pool = fiber_pool_open(&loop, 8);
    assert_non_null(pool);
    for (size_t i = 0; i < CALLERS; i++) {
        c[i] = (struct caller){.lane = &lane, .left = &left, .loop = &loop, .square = i};
        c[i].start = (struct fiber_start){.run = call_work, .arg = &c[i]};
        fiber_run(pool, &c[i].start);
    }
    loop_run(&loop);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(c[i].square, i * i);
        assert_false(pthread_equal(c[i].thread, pthread_self()));
        assert_string_equal(c[i].name, "fifteen-letters");
        assert_true(sigismember(&c[i].blocked, SIGTERM) && sigismember(&c[i].blocked, SIGCHLD));
    }
    fiber_pool_close(pool);
    lane_done(&lane);
    loop_done(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_one_thread_run_in_order),
        cmocka_unit_test(the_end_of_a_lane_finishes_its_jobs),
        cmocka_unit_test(fibers_wait_for_their_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
