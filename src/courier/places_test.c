/* Who may have a connection, by a courier that has eight. */
#include "courier/places.h"

#include "base/test.h"
#include "courier/job.h"
#include "courier/stage_test.h"

enum {
    PLACES = 8,
    JOBS = 32,
};

/* A job that calls, is greeted when the test says so, and keeps its connection until it is told. */
struct caller {
    struct job job;
    struct msg_job order;
    struct wait greeted, over;
    bool calls, settled, refused;
};

static struct stage stage;
static struct caller callers[JOBS];

static int setup(void **state)
{
    (void)state;
    stage_open(&stage, STR("sending { connections = 8 }"), NULL, 1);
    memset(callers, 0, sizeof(callers));
    return 0;
}

static void call(void *arg)
{
    struct caller *caller = arg;
    caller->calls = place_take(&caller->job);
    caller->refused = !caller->calls;
    if (caller->refused)
        return;
    wait_for(&caller->greeted);
    place_keep(&caller->job);
    caller->settled = true;
    wait_for(&caller->over);
    place_give(&caller->job);
}

static void begin(size_t number, uint8_t standing)
{
    struct caller *caller = &callers[number];
    caller->order = (struct msg_job){.job = number, .standing = standing};
    caller->job = (struct job){.magic = JOB_MAGIC,
                               .courier = &stage.courier,
                               .order = &caller->order,
                               .start = {.run = call, .arg = caller}};
    fiber_run(stage.fibers, &caller->job.start);
    stage_settle(&stage);
}

static void begin_all(size_t from, size_t to, uint8_t standing)
{
    for (size_t i = from; i <= to; i++)
        begin(i, standing);
}

static void greeted(size_t number)
{
    wait_over(&callers[number].greeted);
    stage_settle(&stage);
}

static void over(size_t number)
{
    wait_over(&callers[number].greeted);
    wait_over(&callers[number].over);
    stage_settle(&stage);
}

static void all_over(void)
{
    for (size_t i = 0; i < JOBS; i++)
        over(i);
    assert_int_equal(places_held(&stage.courier), 0);
}

/* A test that failed left them where they were. */
static int teardown(void **state)
{
    (void)state;
    stage.courier.stops = true;
    places_end(&stage.courier);
    for (size_t i = 0; i < JOBS; i++)
        over(i);
    stage.courier.stops = false;
    stage_close(&stage);
    return 0;
}

/* The numbers of those that call. */
static const char *calling(void)
{
    static char text[JOBS * 4];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < JOBS; i++)
        if (callers[i].calls)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%zu", n ? " " : "", i);
    return text;
}

static void each_kind_has_its_share(void **state)
{
    (void)state;
    begin_all(0, 3, DESTINATION_DOUBTFUL);
    assert_string_equal(calling(), "0 1");
    begin_all(4, 9, DESTINATION_UNTRIED);
    assert_string_equal(calling(), "0 1 4 5 6 7");
    begin_all(10, 12, DESTINATION_PROVEN);
    assert_string_equal(calling(), "0 1 4 5 6 7 10 11");
    assert_int_equal(places_held(&stage.courier), PLACES);
    over(10);
    assert_string_equal(calling(), "0 1 4 5 6 7 10 11 12");
    over(0); /* one in trouble for another, */
    assert_string_equal(calling(), "0 1 2 4 5 6 7 10 11 12");
    over(4); /* and one that is unknown */
    assert_string_equal(calling(), "0 1 2 4 5 6 7 9 10 11 12");
    all_over();
}

static void who_came_last_has_every_other_place(void **state)
{
    (void)state;
    begin_all(0, 11, DESTINATION_UNTRIED);
    assert_string_equal(calling(), "0 1 2 3 4 5");
    over(0);
    assert_string_equal(calling(), "0 1 2 3 4 5 11");
    over(1);
    assert_string_equal(calling(), "0 1 2 3 4 5 6 11");
    over(2);
    assert_string_equal(calling(), "0 1 2 3 4 5 6 10 11");
    all_over();
}

/* A thousand that say nothing, say. */
static void a_call_that_nobody_answers_lends_its_place(void **state)
{
    (void)state;
    begin_all(0, 8, DESTINATION_PROVEN);
    assert_string_equal(calling(), "0 1 2 3 4 5 6 7");
    greeted(0);
    stage_pass(&stage, PLACE_CALL - 1);
    assert_string_equal(calling(), "0 1 2 3 4 5 6 7");
    stage_pass(&stage, 1);
    assert_string_equal(calling(), "0 1 2 3 4 5 6 7 8");
    assert_true(callers[0].job.place.held); /* it was greeted */
    assert_int_equal(places_held(&stage.courier), 2);
    all_over();
}

static void who_lent_a_place_has_the_next_one(void **state)
{
    (void)state;
    begin_all(0, 5, DESTINATION_UNTRIED);
    stage_pass(&stage, PLACE_CALL);
    assert_int_equal(places_held(&stage.courier), 0);
    begin_all(6, 14, DESTINATION_PROVEN); /* one more than there are places */
    greeted(0);
    greeted(6);
    assert_true(!callers[0].settled && callers[6].settled);
    over(6);
    assert_true(callers[0].settled && !callers[14].calls);
    over(0);
    assert_true(callers[14].calls);
    all_over();
}

static void a_courier_that_stops_gives_none(void **state)
{
    (void)state;
    begin_all(0, 8, DESTINATION_PROVEN);
    stage.courier.stops = true;
    places_end(&stage.courier);
    stage_settle(&stage);
    assert_true(callers[8].refused);
    begin(9, DESTINATION_PROVEN);
    assert_true(callers[9].refused);
    all_over();
    stage.courier.stops = false;
}

/* Core's word is a number. */
static void a_standing_that_there_is_not_is_the_worst(void **state)
{
    (void)state;
    begin_all(0, 2, DESTINATION_STANDINGS);
    assert_string_equal(calling(), "0 1");
    assert_int_equal(stage.courier.places[DESTINATION_DOUBTFUL], 2);
    all_over();
}

#define PLACED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(each_kind_has_its_share),
        PLACED(who_came_last_has_every_other_place),
        PLACED(a_call_that_nobody_answers_lends_its_place),
        PLACED(who_lent_a_place_has_the_next_one),
        PLACED(a_courier_that_stops_gives_none),
        PLACED(a_standing_that_there_is_not_is_the_worst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
