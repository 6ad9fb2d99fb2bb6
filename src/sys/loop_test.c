#include "base/test.h"

#include "sys/hand_world.h"

struct bench {
    struct hand_world hand;
    struct loop loop;
    char seen[64];
    size_t n;
};

struct mark {
    struct task task;
    struct timer timer;
    struct bench *bench;
    char name;
    struct mark *then;
    bool again;
};

static void see(struct mark *mark)
{
    must(mark->bench->n < sizeof(mark->bench->seen));
    mark->bench->seen[mark->bench->n++] = mark->name;
}

static void bench_open(struct bench *b)
{
    *b = (struct bench){.hand = {.world = {WORLD_MAGIC, &hand_ops}, .now = 1000}};
    assert_int_equal(loop_init(&b->loop, &b->hand.world), 0);
}

static struct str bench_seen(struct bench *b)
{
    struct str s = str_make(b->seen, b->n);
    b->n = 0;
    return s;
}

static void task_seen(struct task *task)
{
    struct mark *mark = task->arg;
    see(mark);
    if (mark->then)
        loop_soon(&mark->bench->loop, &mark->then->task);
}

static void end_seen(struct task *task)
{
    struct mark *mark = task->arg;
    see(mark);
    if (mark->again)
        loop_at_turn_end(&mark->bench->loop, task);
    if (mark->then)
        loop_soon(&mark->bench->loop, &mark->then->task);
}

static void timer_seen(struct timer *timer)
{
    struct mark *mark = timer->arg;
    see(mark);
    if (mark->again)
        timer_set(&mark->bench->loop, timer, 0);
    if (mark->then)
        timer_clear(&mark->bench->loop, &mark->then->timer);
}

static struct mark mark_make(struct bench *b, char name)
{
    return (struct mark){.bench = b, .name = name};
}

static void mark_arm(struct mark *m, void (*run)(struct task *))
{
    m->task.run = run;
    m->task.arg = m;
    m->timer.run = timer_seen;
    m->timer.arg = m;
}

static void a_turn_is_timers_then_tasks_then_ends(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct mark e = mark_make(&b, 'e'), t = mark_make(&b, 't'), u = mark_make(&b, 'u');
    struct mark d = mark_make(&b, 'd');
    mark_arm(&e, end_seen);
    mark_arm(&t, task_seen);
    mark_arm(&u, task_seen);
    mark_arm(&d, task_seen);
    t.then = &u;
    loop_at_turn_end(&b.loop, &e.task);
    loop_soon(&b.loop, &t.task);
    loop_soon(&b.loop, &t.task);
    timer_set(&b.loop, &d.timer, 1000);
    assert_int_equal(loop_next(&b.loop), 0);
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("dtue"));
    assert_true(loop_next(&b.loop) == INT64_MAX);
    loop_done(&b.loop);
}

static void what_an_end_task_queues_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct mark e = mark_make(&b, 'e'), t = mark_make(&b, 't');
    mark_arm(&e, end_seen);
    mark_arm(&t, task_seen);
    e.again = true;
    e.then = &t;
    loop_at_turn_end(&b.loop, &e.task);
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("e"));
    assert_int_equal(loop_next(&b.loop), 0);
    e.again = false;
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("te"));
    task_cancel(&b.loop, &t.task);
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR(""));
    loop_done(&b.loop);
}

static void a_cancelled_last_task_leaves_the_list_usable(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct mark e = mark_make(&b, 'e'), f = mark_make(&b, 'f'), g = mark_make(&b, 'g');
    mark_arm(&e, end_seen);
    mark_arm(&f, end_seen);
    mark_arm(&g, end_seen);
    loop_at_turn_end(&b.loop, &e.task);
    loop_at_turn_end(&b.loop, &f.task);
    task_cancel(&b.loop, &f.task);
    task_cancel(&b.loop, &f.task);
    loop_at_turn_end(&b.loop, &g.task);
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("eg"));
    loop_done(&b.loop);
}

static void timers_run_by_deadline_then_by_setting(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct mark m[4];
    for (int i = 0; i < 4; i++) {
        m[i] = mark_make(&b, (char)('a' + i));
        mark_arm(&m[i], task_seen);
    }
    timer_set(&b.loop, &m[0].timer, 1010);
    timer_set(&b.loop, &m[1].timer, 1005);
    timer_set(&b.loop, &m[2].timer, 1005);
    timer_set(&b.loop, &m[3].timer, 1011);
    timer_set(&b.loop, &m[1].timer, 1005);
    assert_true(loop_next(&b.loop) == 1005);
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR(""));
    b.hand.now = 1010;
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("cba"));
    assert_true(loop_next(&b.loop) == 1011);
    timer_clear(&b.loop, &m[3].timer);
    timer_clear(&b.loop, &m[3].timer);
    assert_true(loop_next(&b.loop) == INT64_MAX);
    loop_done(&b.loop);
}

static void a_timer_that_sets_itself_starves_nobody(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct mark a = mark_make(&b, 'a'), c = mark_make(&b, 'c'), d = mark_make(&b, 'd');
    mark_arm(&a, task_seen);
    mark_arm(&c, task_seen);
    mark_arm(&d, task_seen);
    a.again = true;
    c.then = &d;
    timer_set(&b.loop, &a.timer, 0);
    timer_set(&b.loop, &c.timer, 1);
    timer_set(&b.loop, &d.timer, 2);
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("ac"));
    a.again = false;
    loop_turn(&b.loop);
    assert_str(bench_seen(&b), STR("a"));
    loop_done(&b.loop);
}

enum {
    MODEL_TIMERS = 50,
    MODEL_STEPS = 1000
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* 1,000 random sets, clears and turns against a plain array of deadlines. */
static void timers_agree_with_a_model(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct mark m[MODEL_TIMERS];
    int64_t model[MODEL_TIMERS]; /* 0: not set */
    for (int i = 0; i < MODEL_TIMERS; i++) {
        m[i] = mark_make(&b, (char)i);
        mark_arm(&m[i], task_seen);
        model[i] = 0;
    }
    uint64_t seed = 42;
    for (int step = 0; step < MODEL_STEPS; step++) {
        size_t i = next_random(&seed) % MODEL_TIMERS;
        uint64_t what = next_random(&seed) % 8;
        if (what < 5) {
            model[i] = b.hand.now + 1 + (int64_t)(next_random(&seed) % 40);
            timer_set(&b.loop, &m[i].timer, model[i]);
        } else if (what < 7) {
            model[i] = 0;
            timer_clear(&b.loop, &m[i].timer);
        } else {
            b.hand.now += (int64_t)(next_random(&seed) % 10);
            loop_turn(&b.loop);
            struct str fired = bench_seen(&b);
            int64_t before = 0;
            for (size_t k = 0; k < fired.n; k++) {
                int64_t at = model[(size_t)fired.p[k]];
                assert_true(at != 0 && at <= b.hand.now && at >= before);
                before = at;
                model[(size_t)fired.p[k]] = 0;
            }
        }
        int64_t least = INT64_MAX;
        for (int k = 0; k < MODEL_TIMERS; k++) {
            if (model[k] && model[k] < least)
                least = model[k];
            assert_int_equal(m[k].timer.set, model[k] != 0);
        }
        assert_true(loop_next(&b.loop) == least);
    }
    loop_done(&b.loop);
}

static void stop_now(struct timer *timer)
{
    loop_stop(timer->arg);
}

static void run_ends_after_stop_and_can_run_again(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct timer stop = {.run = stop_now, .arg = &b.loop};
    timer_set(&b.loop, &stop, 5000);
    loop_run(&b.loop);
    assert_int_equal(b.hand.now, 5000);
    assert_int_equal(b.hand.waits, 1);
    timer_set(&b.loop, &stop, 6000);
    loop_run(&b.loop);
    assert_int_equal(b.hand.now, 6000);
    loop_done(&b.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_timers_then_tasks_then_ends),
        cmocka_unit_test(what_an_end_task_queues_waits_for_the_next_turn),
        cmocka_unit_test(a_cancelled_last_task_leaves_the_list_usable),
        cmocka_unit_test(timers_run_by_deadline_then_by_setting),
        cmocka_unit_test(a_timer_that_sets_itself_starves_nobody),
        cmocka_unit_test(timers_agree_with_a_model),
        cmocka_unit_test(run_ends_after_stop_and_can_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
