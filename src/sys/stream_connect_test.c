/*
 * Connections that we make, from a fiber: who is called when, who is not, and how what comes is
 * read.
 */
#include "base/test.h"

#include <errno.h>

#include "sys/fake/call.h"
#include "sys/stream_pool.h"

enum {
    HOSTS = 4,
    ROOM = 64 * 1024,
};

#define APART (250 * NS_PER_MS)
#define EACH (30 * NS_PER_SECOND)
#define GIVE_UP (100 * NS_PER_SECOND)

static const char *const addresses[HOSTS] = {"192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.4"};

/* A stranger's host; what it says at once, and what it heard. */
struct host {
    struct fake_host host;
    struct fake_client *client;
    struct str greeting;
    int64_t called_at;
};

struct rig {
    struct fake_world *fake;
    int role;
    struct loop loop;
    struct fiber_pool *fibers;
    struct stream_pool *pool;
    struct fiber_start start;
    struct host hosts[HOSTS];
    struct connect_to to[STREAM_CALLS];
    size_t count;
    struct destination_rules rules;
    struct stream stream;
    struct peer_address ends;
    int failures[STREAM_CALLS];
    int result, inputs;
    int64_t began, took; /* until stream_connect came back */
    bool over;
    void (*then)(struct rig *); /* on the fiber, when it is connected */
    int64_t deadline;           /* from the begin on */
};

static void host_called(struct fake_host *fake_host, struct fake_client *client,
                        const struct peer_address *caller)
{
    struct rig *rig = fake_host->arg;
    struct host *host = (struct host *)(void *)fake_host;
    (void)caller;
    assert_null(host->client);
    host->client = client;
    host->called_at = world_mono(&rig->fake->world) - rig->began;
    if (host->greeting.n > 0)
        fake_client_send(client, host->greeting);
}

static void rig_open(struct rig *rig, uint64_t seed, const struct fake_settings *settings)
{
    *rig = (struct rig){.fake = fake_world_open(seed, settings), .deadline = GIVE_UP};
    rig->role = fake_role_open(rig->fake, "courier");
    for (size_t i = 0; i < HOSTS; i++) {
        rig->hosts[i].host =
            (struct fake_host){.address = addresses[i], .called = host_called, .arg = rig};
        rig->to[i] = (struct connect_to){.address = str_from(addresses[i]), .port = 25};
        fake_host_add(rig->fake, &rig->hosts[i].host);
    }
    rig->count = 1;
    fake_role_enter(rig->fake, rig->role);
    assert_int_equal(loop_init(&rig->loop, &rig->fake->world), 0);
    rig->fibers = fiber_pool_open(&rig->loop, 4);
    rig->pool = stream_pool_open(&rig->loop, 4);
    fake_role_enter(rig->fake, 0);
}

static void rig_close(struct rig *rig)
{
    fake_role_enter(rig->fake, rig->role);
    if (rig->result == 0)
        stream_done(&rig->stream);
    stream_pool_close(rig->pool);
    fiber_pool_close(rig->fibers);
    loop_done(&rig->loop);
    assert_int_equal(fake_role_handles(rig->fake, rig->role), 0);
    fake_role_enter(rig->fake, 0);
    fake_world_close(rig->fake);
}

static void rig_input(struct stream *stream)
{
    struct rig *rig = stream->arg;
    assert_null(fiber_current());
    assert_false(stream->paused);
    rig->inputs++;
}

static void courier(void *arg)
{
    struct rig *rig = arg;
    struct stream_call call = {.loop = &rig->loop,
                               .pool = rig->pool,
                               .to = rig->to,
                               .count = rig->count,
                               .rules = &rig->rules,
                               .apart = APART,
                               .each = EACH,
                               .deadline = rig->began + rig->deadline};
    rig->result = stream_connect(&rig->stream, &call, rig_input, rig, &rig->ends, rig->failures);
    rig->took = world_mono(&rig->fake->world) - rig->began;
    if (rig->result == 0)
        assert_true(rig->stream.paused);
    if (rig->result == 0 && rig->then)
        rig->then(rig);
    rig->over = true;
}

/* Until nothing happens any more. */
static void rig_run(struct rig *rig)
{
    fake_role_enter(rig->fake, rig->role);
    rig->began = world_mono(&rig->fake->world);
    rig->start = (struct fiber_start){.run = courier, .arg = rig};
    fiber_run(rig->fibers, &rig->start);
    fake_role_enter(rig->fake, 0);
    fake_run(rig->fake, rig->began + 1000 * NS_PER_SECOND);
    assert_true(rig->over);
}

static void goes_on(struct rig *rig)
{
    fake_run(rig->fake, world_mono(&rig->fake->world) + 100 * NS_PER_SECOND);
}

/* --- Connecting --- */

static void a_host_that_answers_is_connected(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    rig.hosts[0].host.delay = 80 * NS_PER_MS;
    rig_run(&rig);
    assert_int_equal(rig.result, 0);
    assert_true(rig.took == 80 * NS_PER_MS);
    assert_str(str_from(rig.ends.text), STR("192.0.2.1"));
    assert_str(str_from(rig.ends.server), STR(FAKE_OWN_V4));
    assert_int_equal(rig.ends.port, 25);
    assert_int_equal(rig.inputs, 0);
    rig_close(&rig);
}

/* The next one is tried at once behind one that fails, and a little later beside one that is
 * silent; never more than two at a time; who answers first wins. */
static void addresses_are_tried_in_order(void **state)
{
    (void)state;
    static const struct {
        enum fake_host_way ways[HOSTS];
        int delays[HOSTS]; /* ms */
        int won;
        int called_at[HOSTS]; /* ms, of the ones that answered; -1: it did not */
        int failures[HOSTS];
    } rows[] = {
        {{FAKE_HOST_REFUSES}, {10}, 1, {-1, 10, -1, -1}, {-ECONNREFUSED}},
        {{FAKE_HOST_REFUSES, FAKE_HOST_UNREACHABLE, FAKE_HOST_REFUSES},
         {10, 20, 30},
         3,
         {-1, -1, -1, 60},
         {-ECONNREFUSED, -EHOSTUNREACH, -ECONNREFUSED}},
        {{FAKE_HOST_SILENT}, {0, 40}, 1, {-1, 290, -1, -1}, {0}},
        {{0}, {300, 40}, 1, {-1, 290, -1, -1}, {0}},
        {{0}, {280, 40}, 0, {280, -1, -1, -1}, {0}},
        {{0}, {249, 40}, 0, {249, -1, -1, -1}, {0}},
        {{FAKE_HOST_SILENT, FAKE_HOST_SILENT}, {0, 0, 5}, 2, {-1, -1, 30005, -1}, {-ETIMEDOUT, 0}},
        {{FAKE_HOST_SILENT, FAKE_HOST_REFUSES, FAKE_HOST_SILENT},
         {0, 50, 0, 5},
         3,
         {-1, -1, -1, 30005},
         {-ETIMEDOUT, -ECONNREFUSED}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        rig_open(&rig, 1, NULL);
        rig.count = HOSTS;
        for (size_t h = 0; h < HOSTS; h++) {
            rig.hosts[h].host.way = rows[i].ways[h];
            rig.hosts[h].host.delay = rows[i].delays[h] * (int64_t)NS_PER_MS;
        }
        rig_run(&rig);
        assert_int_equal(rig.result, 0);
        assert_str(str_from(rig.ends.text), str_from(addresses[rows[i].won]));
        for (int h = 0; h < HOSTS; h++) {
            assert_int_equal(rig.hosts[h].host.calls, rows[i].called_at[h] >= 0);
            if (rig.hosts[h].host.calls)
                assert_int_equal(rig.hosts[h].called_at / NS_PER_MS, rows[i].called_at[h]);
            assert_int_equal(rig.failures[h], rows[i].failures[h]);
        }
        rig_close(&rig);
    }
}

static void where_all_fail_the_last_one_is_told(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    rig.count = 2;
    rig.hosts[0].host.way = FAKE_HOST_REFUSES;
    rig.hosts[1].host.way = FAKE_HOST_UNREACHABLE;
    rig_run(&rig);
    assert_int_equal(rig.result, -EHOSTUNREACH);
    assert_int_equal(rig.failures[0], -ECONNREFUSED);
    rig_close(&rig);
}

static void nothing_is_waited_for_beyond_the_deadline(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    rig.count = 3;
    rig.deadline = 7 * NS_PER_SECOND;
    for (int i = 0; i < 3; i++)
        rig.hosts[i].host.way = FAKE_HOST_SILENT;
    rig_run(&rig);
    assert_int_equal(rig.result, -ETIMEDOUT);
    assert_true(rig.took == 7 * NS_PER_SECOND);
    assert_int_equal(rig.failures[1], -ETIMEDOUT);
    assert_int_equal(rig.failures[2], 0);
    rig_close(&rig);
}

/* Catalogue N02: no call leaves, whatever the order, and the next address is tried. */
static void forbidden_addresses_are_not_called(void **state)
{
    (void)state;
    static const char *const forbidden[] = {"127.0.0.1",        "::1",
                                            "0.0.0.0",          "::",
                                            "::ffff:127.0.0.1", "169.254.1.1",
                                            "fe80::1",          "224.0.0.1",
                                            "ff02::1",          "255.255.255.255",
                                            "localhost",        "64:ff9b::7f00:1",
                                            "10.9.8.7"};
    struct network own;
    assert_true(network_parse(STR("10.0.0.0/8"), &own));
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        struct rig rig;
        struct fake_host host = {.address = "127.0.0.1", .called = host_called, .arg = &rig};
        rig_open(&rig, 1, NULL);
        fake_host_add(rig.fake, &host);
        struct fake_fault never = {.kind = FAKE_CONNECT, .nth = 2, .error = -EIO};
        fake_fault_add(rig.fake, &never);
        rig.rules = (struct destination_rules){.own = &own, .own_count = 1};
        rig.count = 2;
        rig.to[1] = rig.to[0];
        rig.to[0].address = str_from(forbidden[i]);
        rig_run(&rig);
        assert_int_equal(rig.result, 0);
        assert_int_equal(rig.failures[0], -EPERM);
        assert_int_equal(never.seen, 1);
        assert_int_equal(host.calls, 0);
        fake_fault_remove(rig.fake, &never);
        fake_host_remove(&host);
        rig_close(&rig);
    }
}

/* What no rule names: the world knows its own addresses. */
static void our_own_address_is_not_called(void **state)
{
    (void)state;
    static const char *const own[] = {FAKE_OWN_V4, FAKE_OWN_V6};
    for (int i = 0; i < 4; i++) {
        struct rig rig;
        struct network allowed;
        struct fake_host us = {.address = own[i % 2], .listener = "smtp"};
        rig_open(&rig, 1, NULL);
        fake_listen(rig.fake, 0, "smtp");
        fake_host_add(rig.fake, &us);
        assert_true(network_parse(str_from(own[i % 2]), &allowed));
        rig.rules = (struct destination_rules){.allowed = &allowed, .allowed_count = i / 2};
        rig.to[0].address = str_from(own[i % 2]);
        rig_run(&rig);
        assert_int_equal(rig.result, i < 2 ? -ELOOP : 0);
        assert_int_equal(us.calls, i < 2 ? 0 : 1);
        rig_close(&rig);
    }
}

/* --- Reading --- */

static struct str said(const struct rig *rig)
{
    return stream_pending(&rig->stream);
}

static void reads_lines(struct rig *rig)
{
    struct stream *stream = &rig->stream;
    int64_t from = world_mono(&rig->fake->world);
    assert_int_equal(stream_await(stream, INT64_MAX), 0);
    assert_str(said(rig), STR("220 "));
    stream_take(stream, 2);
    /* What pends is not what is waited for. */
    assert_int_equal(stream_await(stream, from + NS_PER_SECOND), -ETIMEDOUT);
    assert_str(said(rig), STR("0 "));
    stream_put(stream, STR("EHLO\r\n"));
    assert_int_equal(stream_await(stream, from + 60 * NS_PER_SECOND), 0);
    assert_str(said(rig), STR("0 250"));
    assert_true(stream->paused);
    stream_take(stream, 5);
    assert_int_equal(stream_await(stream, from + 60 * NS_PER_SECOND), -EPIPE);
    assert_int_equal(stream->ended, STREAM_CLOSED_BY_PEER);
    assert_int_equal(stream_await(stream, from + 60 * NS_PER_SECOND), -EPIPE);
}

static void host_answers(struct fake_client *client, void *arg)
{
    char got[100];
    (void)arg;
    if (fake_client_recv(client, got, sizeof(got)) > 0) {
        fake_client_send(client, STR("250"));
        fake_client_finish(client);
    }
}

static void watch_host(struct fake_host *fake_host, struct fake_client *client,
                       const struct peer_address *caller)
{
    host_called(fake_host, client, caller);
    fake_client_watch(client, host_answers, fake_host->arg);
}

static void a_fiber_reads_what_comes(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    rig.hosts[0].greeting = STR("220 ");
    rig.hosts[0].host.called = watch_host;
    rig.then = reads_lines;
    rig_run(&rig);
    assert_int_equal(rig.inputs, 0);
    rig_close(&rig);
}

static void waits_for_a_reset(struct rig *rig)
{
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), 0);
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), -ECONNRESET);
    assert_str(said(rig), STR("421 "));
}

static void reset_event(struct fake_world *fake, struct fake_event *event)
{
    struct host *host = event->arg;
    (void)fake;
    fake_client_reset(host->client);
}

static void what_came_before_a_reset_is_kept(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    struct fake_event event = {.run = reset_event, .arg = &rig.hosts[0]};
    rig.hosts[0].greeting = STR("421 ");
    rig.then = waits_for_a_reset;
    fake_event_set(rig.fake, &event, world_mono(&rig.fake->world) + NS_PER_SECOND);
    rig_run(&rig);
    rig_close(&rig);
}

static void reads_a_flood(struct rig *rig)
{
    while (stream_pending(&rig->stream).n < STREAM_READ_SIZE)
        assert_int_equal(stream_await(&rig->stream, INT64_MAX), 0);
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), -ENOBUFS);
    stream_take(&rig->stream, 1);
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), 0);
}

static void an_endless_line_is_told_when_the_buffer_is_full(void **state)
{
    (void)state;
    static char flood[STREAM_READ_SIZE + 1];
    struct rig rig;
    memset(flood, 'x', sizeof(flood));
    rig_open(&rig, 1, &(struct fake_settings){.split = FAKE_ALWAYS / 3});
    rig.hosts[0].greeting = str_make(flood, sizeof(flood));
    rig.then = reads_a_flood;
    rig_run(&rig);
    rig_close(&rig);
}

static void hears_and_rests(struct rig *rig)
{
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), 0);
    stream_take(&rig->stream, said(rig).n);
    stream_resume(&rig->stream);
}

/* A connection that is kept has no fiber and no buffer, and tells that its peer says something, or
 * has gone. */
static void a_connection_that_rests_tells_what_happens(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    rig.hosts[0].greeting = STR("220 ");
    rig.then = hears_and_rests;
    rig_run(&rig);
    assert_int_equal(rig.inputs, 0);
    assert_null(rig.stream.in);
    assert_int_equal(fiber_pool_running(rig.fibers), 0);
    fake_client_send(rig.hosts[0].client, STR("421 bye"));
    goes_on(&rig);
    assert_int_equal(rig.inputs, 1);
    assert_str(said(&rig), STR("421 bye"));
    fake_client_finish(rig.hosts[0].client);
    goes_on(&rig);
    assert_int_equal(rig.inputs, 2);
    assert_int_equal(rig.stream.ended, STREAM_CLOSED_BY_PEER);
    rig_close(&rig);
}

/* What a resting connection was told of is not lost for the fiber that comes next. */
static void comes_back(void *arg)
{
    struct rig *rig = arg;
    stream_pause(&rig->stream);
    assert_str(said(rig), STR("421 "));
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), -EPIPE);
    rig->over = true;
}

static void a_fiber_may_come_back_to_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, NULL);
    rig.hosts[0].greeting = STR("220 ");
    rig.then = hears_and_rests;
    rig_run(&rig);
    fake_client_send(rig.hosts[0].client, STR("421 "));
    goes_on(&rig);
    rig.over = false;
    rig.start = (struct fiber_start){.run = comes_back, .arg = &rig};
    fake_role_enter(rig.fake, rig.role);
    fiber_run(rig.fibers, &rig.start);
    fake_role_enter(rig.fake, 0);
    fake_client_finish(rig.hosts[0].client);
    goes_on(&rig);
    assert_true(rig.over);
    rig_close(&rig);
}

static void says_goodbye(struct rig *rig)
{
    assert_int_equal(stream_await(&rig->stream, INT64_MAX), 0);
    stream_put(&rig->stream, STR("QUIT\r\n"));
    stream_resume(&rig->stream);
    stream_finish(&rig->stream);
}

static void a_fiber_may_leave_the_goodbye_to_the_stream(void **state)
{
    (void)state;
    struct rig rig;
    char got[10];
    rig_open(&rig, 1, NULL);
    rig.hosts[0].greeting = STR("220 ");
    rig.then = says_goodbye;
    rig_run(&rig);
    assert_int_equal(fake_client_recv(rig.hosts[0].client, got, sizeof(got)), 6);
    assert_int_equal(rig.inputs, 1);
    assert_int_equal(rig.stream.ended, STREAM_BROKEN); /* it lingered */
    rig_close(&rig);
}

/* --- Weather and faults --- */

enum {
    LINES = 30
};

struct talk {
    struct rig rig;
    int lines, result;
    struct buf heard;
};

static void talks(struct rig *rig)
{
    struct talk *talk = (struct talk *)(void *)rig;
    struct stream *stream = &rig->stream;
    while (talk->lines < LINES && talk->result == 0) {
        talk->result = stream_await(stream, rig->loop.now + 20 * NS_PER_SECOND);
        ssize_t end;
        while ((end = str_index(stream_pending(stream), '\n')) >= 0) {
            stream_take(stream, (size_t)end + 1);
            talk->lines++;
            stream_put(stream, STR("and this is what we say to it\n"));
        }
    }
    stream_flush(stream, rig->loop.now + 20 * NS_PER_SECOND);
}

static void answers_each(struct fake_client *client, void *arg)
{
    struct talk *talk = arg;
    char got[100];
    size_t n;
    while ((n = fake_client_recv(client, got, sizeof(got))) > 0) {
        buf_put(&talk->heard, str_make(got, n));
        for (size_t i = 0; i < n; i++)
            if (got[i] == '\n')
                fake_client_send(client, STR("one more line\n"));
    }
}

static void answers_each_line(struct fake_host *host, struct fake_client *client,
                              const struct peer_address *caller)
{
    host_called(host, client, caller);
    fake_client_watch(client, answers_each, host->arg);
}

static void talk_open(struct talk *talk, uint64_t seed, const struct fake_settings *settings)
{
    *talk = (struct talk){.heard = BUF_INIT(ROOM)};
    rig_open(&talk->rig, seed, settings);
    talk->rig.hosts[0].greeting = STR("first\n");
    talk->rig.hosts[0].host.called = answers_each_line;
    talk->rig.then = talks;
}

static void talk_close(struct talk *talk)
{
    rig_close(&talk->rig);
    buf_done(&talk->heard);
}

static void a_network_that_cuts_everything_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct talk talk;
        struct fake_settings settings = {
            .split = FAKE_ALWAYS / 2, .delay_most = NS_PER_MS, .pipe_capacity = 10 + 20 * seed};
        talk_open(&talk, seed, &settings);
        rig_run(&talk.rig);
        assert_int_equal(talk.result, 0);
        assert_int_equal(talk.lines, LINES);
        assert_int_equal(talk.heard.n, LINES * 30);
        talk_close(&talk);
    }
}

/* Each call of the world fails once: the talk goes to its end, or ends with an error; nothing
 * hangs, spins or leaks. */
static void each_call_fails_once(void **state)
{
    (void)state;
    static const enum fake_call_kind kinds[] = {FAKE_CONNECT, FAKE_CONNECTED, FAKE_WATCH_BEGIN,
                                                FAKE_RECV, FAKE_SEND};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        uint64_t fired = 1;
        for (uint64_t nth = 1; fired > 0; nth++) {
            struct talk talk;
            struct fake_fault fault = {.kind = kinds[k], .nth = nth, .error = -ECONNRESET};
            talk_open(&talk, 3, &(struct fake_settings){.split = FAKE_ALWAYS / 4});
            fault.role = talk.rig.role;
            fake_fault_add(talk.rig.fake, &fault);
            rig_run(&talk.rig);
            fired = fault.fired;
            bool whole = talk.rig.result == 0 && talk.lines == LINES;
            assert_true(whole || fired);
            if (!whole)
                assert_int_equal(talk.rig.result ? talk.rig.result : talk.result, -ECONNRESET);
            fake_fault_remove(talk.rig.fake, &fault);
            talk_close(&talk);
        }
    }
}

static void each_allocation_fails_once(void **state)
{
    (void)state;
    uint64_t taken = UINT64_MAX;
    for (uint64_t nth = 1; nth <= taken; nth++) {
        struct talk talk;
        talk_open(&talk, 3, NULL);
        struct fake_memory *memory = fake_role_memory(talk.rig.fake, talk.rig.role);
        uint64_t before = fake_memory_taken(memory);
        fake_memory_fail(memory, nth, 1);
        rig_run(&talk.rig);
        fake_memory_fail(memory, 0, 0);
        taken = fake_memory_taken(memory) - before;
        bool whole = talk.rig.result == 0 && talk.lines == LINES;
        assert_true(whole || nth <= taken);
        talk_close(&talk);
    }
    assert_true(taken < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_answers_is_connected),
        cmocka_unit_test(addresses_are_tried_in_order),
        cmocka_unit_test(where_all_fail_the_last_one_is_told),
        cmocka_unit_test(nothing_is_waited_for_beyond_the_deadline),
        cmocka_unit_test(forbidden_addresses_are_not_called),
        cmocka_unit_test(our_own_address_is_not_called),
        cmocka_unit_test(a_fiber_reads_what_comes),
        cmocka_unit_test(what_came_before_a_reset_is_kept),
        cmocka_unit_test(an_endless_line_is_told_when_the_buffer_is_full),
        cmocka_unit_test(a_connection_that_rests_tells_what_happens),
        cmocka_unit_test(a_fiber_may_come_back_to_it),
        cmocka_unit_test(a_fiber_may_leave_the_goodbye_to_the_stream),
        cmocka_unit_test(a_network_that_cuts_everything_up),
        cmocka_unit_test(each_call_fails_once),
        cmocka_unit_test(each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
