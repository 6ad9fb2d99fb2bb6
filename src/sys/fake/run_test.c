#include "base/test.h"

#include <errno.h>

#include "base/must.h"
#include "sys/fake/call.h"
#include "sys/fiber.h"
#include "sys/worker.h"

/* ---- Timers, tasks, events ---- */

struct ticker {
    struct loop loop;
    struct timer timer;
    int ticks;
    int64_t every;
};

static void tick(struct timer *timer)
{
    struct ticker *ticker = timer->arg;
    ticker->ticks++;
    timer_set(&ticker->loop, timer, timer->at + ticker->every);
}

static void ticker_init(struct ticker *ticker, struct fake_world *fake, int64_t every)
{
    *ticker = (struct ticker){.every = every};
    assert_int_equal(loop_init(&ticker->loop, &fake->world), 0);
    ticker->timer.run = tick;
    ticker->timer.arg = ticker;
    timer_set(&ticker->loop, &ticker->timer, world_mono(&fake->world) + every);
}

static void ticker_done(struct ticker *ticker)
{
    timer_clear(&ticker->loop, &ticker->timer);
    loop_done(&ticker->loop);
}

static void time_jumps_from_timer_to_timer(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, NULL);
    struct ticker ticker;
    int64_t start = world_mono(&fake->world);
    ticker_init(&ticker, fake, 10 * NS_PER_SECOND);
    assert_int_equal(fake_run(fake, start + 10 * NS_PER_SECOND - 1), FAKE_UNTIL);
    assert_int_equal(ticker.ticks, 0);
    assert_int_equal(fake_run(fake, start + 10 * NS_PER_SECOND), FAKE_UNTIL);
    assert_int_equal(ticker.ticks, 1);
    assert_int_equal(fake_run(fake, start + 86400 * NS_PER_SECOND), FAKE_UNTIL);
    assert_int_equal(ticker.ticks, 8640);
    assert_true(world_mono(&fake->world) == start + 86400 * NS_PER_SECOND);
    assert_true(fake->steps < 20000);
    timer_clear(&ticker.loop, &ticker.timer);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    ticker_done(&ticker);
    fake_world_close(fake);
}

struct happening {
    struct fake_event event;
    int *order, *count, id;
};

static void happen(struct fake_world *fake, struct fake_event *event)
{
    struct happening *happening = event->arg;
    happening->order[(*happening->count)++] = happening->id;
    if (happening->id == 7)
        fake_stop(fake);
}

enum {
    HAPPENINGS = 8
};

static void events_happen_at_their_time(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, NULL);
    struct happening happenings[HAPPENINGS];
    int order[HAPPENINGS], count = 0;
    int64_t start = world_mono(&fake->world);
    for (int i = 0; i < HAPPENINGS; i++) {
        happenings[i] = (struct happening){.order = order, .count = &count, .id = i};
        happenings[i].event.run = happen;
        happenings[i].event.arg = &happenings[i];
        fake_event_set(fake, &happenings[i].event, start + 1000 - 10 * i);
    }
    fake_event_clear(fake, &happenings[3].event);
    fake_event_set(fake, &happenings[0].event, start + 5);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_STOPPED);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    const int expected[] = {0, 7, 6, 5, 4, 2, 1};
    assert_int_equal(count, 7);
    assert_memory_equal(order, expected, sizeof(expected));
    fake_world_close(fake);
}

static void again(struct fake_world *fake, struct fake_event *event)
{
    fake_event_set(fake, event, world_mono(&fake->world));
}

static void spinning_is_told(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, &(struct fake_settings){.spin_most = 100});
    struct fake_event event = {.run = again};
    fake_event_set(fake, &event, 0);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_SPINS);
    assert_int_equal(fake->steps, 100);
    fake_world_close(fake);
}

/* ---- Lanes ---- */

enum {
    JOBS = 20
};

struct work {
    struct job job;
    struct crew *crew;
    int id;
    bool ran;
};

struct crew {
    struct loop loop;
    struct lane lane;
    struct work work[JOBS];
    int ran[JOBS], ran_count, done_count;
};

static void work_run(struct job *job)
{
    struct work *work = job->arg;
    work->ran = true;
    work->crew->ran[work->crew->ran_count++] = work->id;
}

static void work_done(struct job *job)
{
    struct work *work = job->arg;
    must(work->ran);
    work->crew->done_count++;
}

static void crew_open(struct crew *crew, struct fake_world *fake, int threads)
{
    *crew = (struct crew){.done_count = 0};
    assert_int_equal(loop_init(&crew->loop, &fake->world), 0);
    assert_int_equal(lane_init(&crew->lane, &crew->loop, "crew", threads), 0);
    for (int i = 0; i < JOBS; i++) {
        struct work *work = &crew->work[i];
        *work = (struct work){.crew = crew, .id = i};
        work->job = (struct job){.run = work_run, .done = work_done, .arg = work};
        lane_submit(&crew->lane, &work->job);
    }
}

static bool in_order(const struct crew *crew)
{
    for (int i = 0; i < crew->ran_count; i++)
        if (crew->ran[i] != i)
            return false;
    return true;
}

static bool jobs_ran_in_order(uint64_t seed, int threads)
{
    struct fake_world *fake =
        fake_world_open(seed, &(struct fake_settings){.job_most = 5 * NS_PER_MS});
    struct crew crew;
    crew_open(&crew, fake, threads);
    assert_int_equal(crew.ran_count, 0); /* never inside submit */
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    assert_int_equal(crew.ran_count, JOBS);
    assert_int_equal(crew.done_count, JOBS);
    lane_done(&crew.lane);
    loop_done(&crew.loop);
    fake_world_close(fake);
    return in_order(&crew);
}

static void one_thread_keeps_the_order_and_more_do_not(void **state)
{
    (void)state;
    int disordered = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        assert_true(jobs_ran_in_order(seed, 1));
        disordered += !jobs_ran_in_order(seed, 3);
    }
    assert_true(disordered > 0);
}

static void a_lane_finishes_at_its_end(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, NULL);
    struct crew crew;
    crew_open(&crew, fake, 1);
    lane_done(&crew.lane);
    assert_int_equal(crew.ran_count, JOBS);
    assert_int_equal(crew.done_count, JOBS);
    assert_true(in_order(&crew));
    loop_done(&crew.loop);
    fake_world_close(fake);
}

/* ---- A loop that runs by itself ---- */

struct sleeper {
    struct loop loop;
    struct fiber_pool *pool;
    struct fiber_start start;
    struct lane lane;
    int64_t woke;
    int calls;
};

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

static void sleep_and_call(void *arg)
{
    struct sleeper *sleeper = arg;
    fiber_sleep_until(&sleeper->loop, sleeper->loop.now + 3 * NS_PER_SECOND);
    sleeper->woke = sleeper->loop.now;
    lane_call(&sleeper->lane, count_call, &sleeper->calls);
    loop_stop(&sleeper->loop);
}

static void loop_run_works_without_the_scheduler(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, &(struct fake_settings){.job_most = 1000});
    struct sleeper sleeper = {.calls = 0};
    assert_int_equal(loop_init(&sleeper.loop, &fake->world), 0);
    assert_int_equal(lane_init(&sleeper.lane, &sleeper.loop, "lane", 1), 0);
    sleeper.pool = fiber_pool_open(&sleeper.loop, 2);
    int64_t start = world_mono(&fake->world);
    sleeper.start = (struct fiber_start){.run = sleep_and_call, .arg = &sleeper};
    fiber_run(sleeper.pool, &sleeper.start);
    loop_run(&sleeper.loop);
    assert_true(sleeper.woke == start + 3 * NS_PER_SECOND);
    assert_int_equal(sleeper.calls, 1);
    fiber_pool_close(sleeper.pool);
    lane_done(&sleeper.lane);
    loop_done(&sleeper.loop);
    fake_world_close(fake);
}

/* ---- Roles that die ---- */

/* Writes one byte after the other, each synced, for ever. */
struct writer {
    struct loop loop;
    struct world *world;
    struct task task;
    int file;
};

static void write_one(struct task *task)
{
    struct writer *writer = task->arg;
    const struct world_ops *ops = writer->world->ops;
    char c = 'x';
    struct iovec part = {.iov_base = &c, .iov_len = 1};
    int64_t size = ops->file_size(writer->world, writer->file);
    if (size < 0 || ops->file_write(writer->world, writer->file, &part, 1, (uint64_t)size) < 0 ||
        ops->file_sync(writer->world, writer->file) < 0)
        return;
    loop_at_turn_end(&writer->loop, task);
}

static void writer_open(struct writer *writer, struct fake_world *fake, int role, int root)
{
    fake_role_enter(fake, role);
    *writer = (struct writer){.world = &fake->world};
    assert_int_equal(loop_init(&writer->loop, writer->world), 0);
    writer->file = writer->world->ops->file_open(writer->world, root, STR("a"),
                                                 FILE_READ | FILE_WRITE | FILE_CREATE);
    writer->task = (struct task){.run = write_one, .arg = writer};
    loop_soon(&writer->loop, &writer->task);
    fake_role_enter(fake, 0);
}

/* Each byte takes three calls; killed at the n-th, what was done before it stays done. */
static void a_role_dies_at_its_nth_call(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 12; n++) {
        struct fake_disk *disk = fake_disk_open(NULL);
        struct fake_world *fake = fake_world_open(n, NULL);
        int role = fake_role_open(fake, "writer");
        struct writer writer;
        writer_open(&writer, fake, role, fake_root(fake, role, disk));
        fake_kill_role_at(fake, role, n);
        uint64_t calls = fake_role_calls(fake, role);
        assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
        assert_false(fake_role_alive(fake, role));
        assert_int_equal(fake_disk_size(disk, STR("a")), n / 3);
        assert_int_equal(calls, 2); /* loop_begin, file_open */
        fake_world_close(fake);
        fake_disk_close(disk);
    }
}

static void a_fault_can_kill(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    struct fake_world *fake = fake_world_open(1, NULL);
    int role = fake_role_open(fake, "writer");
    struct writer writer;
    writer_open(&writer, fake, role, fake_root(fake, role, disk));
    struct fake_fault fault = {.kind = FAKE_FILE_SYNC, .role = role, .nth = 5, .error = FAKE_DIE};
    fake_fault_add(fake, &fault);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    assert_false(fake_role_alive(fake, role));
    assert_int_equal(fake_disk_size(disk, STR("a")), 5);
    assert_int_equal(fake_disk_unsynced(disk), 2); /* the name, and the last byte */
    fake_world_close(fake);
    fake_disk_close(disk);
}

static void a_killed_role_leaves_nothing_that_runs(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, &(struct fake_settings){.job_most = 1000000});
    int role = fake_role_open(fake, "crew");
    int listener = fake_listen(fake, role, "x");
    struct crew crew;
    struct watch watch = {.handle = listener, .want = READY_READ};
    fake_role_enter(fake, role);
    crew_open(&crew, fake, 2);
    assert_int_equal(watch_begin(&crew.loop, &watch), 0);
    fake_role_enter(fake, 0);
    for (int i = 0; i < 5; i++)
        assert_true(fake_step(fake, INT64_MAX - 1));
    int ran = crew.ran_count;
    fake_kill_role(fake, role);
    /* Who connects meanwhile waits for the next one. */
    struct fake_client *client =
        fake_connect(fake, "x", &(struct peer_address){.text = "192.0.2.1"});
    assert_non_null(client);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    assert_int_equal(crew.ran_count, ran);
    struct peer_address got;
    listener = fake_listen(fake, 0, "x");
    assert_true(fake->world.ops->accept(&fake->world, listener, &got) >= 0);
    fake_world_close(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_jumps_from_timer_to_timer),
        cmocka_unit_test(events_happen_at_their_time),
        cmocka_unit_test(spinning_is_told),
        cmocka_unit_test(one_thread_keeps_the_order_and_more_do_not),
        cmocka_unit_test(a_lane_finishes_at_its_end),
        cmocka_unit_test(loop_run_works_without_the_scheduler),
        cmocka_unit_test(a_role_dies_at_its_nth_call),
        cmocka_unit_test(a_fault_can_kill),
        cmocka_unit_test(a_killed_role_leaves_nothing_that_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
