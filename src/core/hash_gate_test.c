/*
 * The gate before the hashes, over a lane of a fake world: who passes, who waits, who is told
 * later.
 */
#include "core/hash_gate.h"

#include "base/test.h"
#include "sys/fake/fake.h"

enum {
    MANY = 400,
};

struct comer {
    struct hash_gate *gate;
    enum hash_turn turn;
    struct fiber_start start;
    struct err e;
    uint64_t turn_came, place; /* in which order, and in which it was computed, from 1 */
    bool unwanted, done;
};

static struct fake_world *fake;
static struct loop loop;
static struct fiber_pool *fibers;
static struct lane lane;
static struct hash_gate gate;
static struct comer comers[MANY];
static int role;
static uint64_t turns, computed;

static int up(void **state)
{
    (void)state;
    struct fake_settings settings = {.job_most = 100 * NS_PER_MS};
    fake = fake_world_open(1, &settings);
    role = fake_role_open(fake, "core");
    fake_role_enter(fake, role);
    assert_int_equal(loop_init(&loop, &fake->world), 0);
    fibers = fiber_pool_open(&loop, MANY);
    assert_int_equal(lane_init(&lane, &loop, "hashes", 2), 0);
    hash_gate_init(&gate, &lane);
    fake_role_enter(fake, 0);
    memset(comers, 0, sizeof(comers));
    turns = computed = 0;
    return 0;
}

static int down(void **state)
{
    (void)state;
    fake_role_enter(fake, role);
    lane_done(&lane);
    fiber_pool_close(fibers);
    loop_done(&loop);
    fake_role_enter(fake, 0);
    fake_world_close(fake);
    return 0;
}

static void compute(void *arg)
{
    struct comer *comer = arg;
    comer->place = ++computed;
}

static bool wanted(void *arg)
{
    struct comer *comer = arg;
    comer->turn_came = ++turns;
    return !comer->unwanted;
}

static void come_run(void *arg)
{
    struct comer *comer = arg;
    struct hash_work work = {.wanted = wanted, .run = compute, .arg = comer};
    comer->e = hash_gate_pass(comer->gate, comer->turn, &work);
    comer->done = true;
}

static void come(struct comer *comer, enum hash_turn turn)
{
    comer->gate = &gate;
    comer->turn = turn;
    comer->start = (struct fiber_start){.run = come_run, .arg = comer};
    fake_role_enter(fake, role);
    fiber_run(fibers, &comer->start);
    fake_role_enter(fake, 0);
}

static void all_done(size_t count)
{
    (void)fake_run(fake, INT64_MAX / 2);
    for (size_t i = 0; i < count; i++)
        assert_true(comers[i].done);
}

static void no_more_run_than_there_are_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i++)
        come(&comers[i], HASH_FRESH);
    assert_int_equal(lane.waiting, 2);
    assert_int_equal(gate.running, 2);
    all_done(10);
    assert_int_equal(computed, 10);
    assert_int_equal(gate.running, 0);
    for (size_t i = 1; i < 10; i++)
        assert_false(err_is(comers[i].e));
}

static void who_would_wait_too_long_is_told_at_once(void **state)
{
    (void)state;
    size_t later = 0;
    for (size_t i = 0; i < MANY; i++) {
        come(&comers[i], HASH_FRESH);
        later += comers[i].done;
    }
    assert_in_range(later, MANY - 90, MANY - 70); /* 50 ms each, two at a time, two seconds */
    all_done(MANY);
    size_t ran = 0;
    for (size_t i = 0; i < MANY; i++)
        ran += !err_is(comers[i].e);
    assert_int_equal(ran, computed);
    assert_int_equal(gate.late, MANY - ran);
}

static void who_is_first_does_not_wait_behind_the_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < 60; i++)
        come(&comers[i], HASH_FRESH);
    come(&comers[60], HASH_FIRST);
    all_done(61);
    assert_in_range(comers[60].place, 3, 6);
}

static void who_is_fresh_waits_behind_the_first_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < 30; i++)
        come(&comers[i], HASH_USUAL);
    come(&comers[30], HASH_FRESH); /* one thread was kept */
    assert_int_equal(comers[30].turn_came, 2);
    come(&comers[31], HASH_FRESH);
    come(&comers[32], HASH_FIRST);
    for (size_t i = 33; i < MANY - 1; i++)
        come(&comers[i], HASH_FRESH); /* as many as may wait do not keep the first out */
    come(&comers[MANY - 1], HASH_FIRST);
    all_done(MANY);
    assert_int_equal(comers[32].turn_came, 3);
    assert_int_equal(comers[MANY - 1].turn_came, 4);
    assert_int_equal(comers[31].turn_came, 5);
}

static void the_others_leave_a_thread(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i++)
        come(&comers[i], HASH_USUAL);
    assert_int_equal(gate.running, 1);
    come(&comers[20], HASH_FRESH);
    assert_int_equal(gate.running, 2);
    come(&comers[21], HASH_FIRST);
    assert_int_equal(gate.running, 2);
    all_done(22);
    assert_int_equal(computed, 22);
    assert_int_equal(gate.running, 0);
    assert_int_equal(gate.running_usual, 0);
}

/* On a machine with one processor there is none to be kept. */
static void one_thread_is_everybodys(void **state)
{
    (void)state;
    lane.threads = 1;
    for (size_t i = 0; i < 10; i++)
        come(&comers[i], HASH_USUAL);
    assert_int_equal(gate.running, 1);
    all_done(10);
    assert_int_equal(computed, 10);
}

static void what_nobody_wants_any_more_is_not_computed(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i++)
        come(&comers[i], HASH_FRESH);
    for (size_t i = 2; i < 19; i++)
        comers[i].unwanted = true;
    all_done(20);
    assert_int_equal(computed, 3);
    assert_int_equal(comers[19].place, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_more_run_than_there_are_threads),
        TEST(who_would_wait_too_long_is_told_at_once),
        TEST(who_is_first_does_not_wait_behind_the_others),
        TEST(who_is_fresh_waits_behind_the_first_alone),
        TEST(the_others_leave_a_thread),
        TEST(one_thread_is_everybodys),
        TEST(what_nobody_wants_any_more_is_not_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
