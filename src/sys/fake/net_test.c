#include "base/test.h"

#include <errno.h>

#include "base/must.h"
#include "sys/fake/fake.h"

/* ---- A server that echoes, on the calls of the world alone ---- */

enum {
    PENDING_LIMIT = 1024
};

struct echo {
    struct loop loop;
    struct world *world;
    struct watch listener, connection;
    char pending[PENDING_LIMIT];
    size_t from, to;
    bool ended, open;
    int error;
    struct peer_address peer;
};

static void echo_close(struct echo *echo)
{
    watch_end(&echo->loop, &echo->connection);
    echo->world->ops->close(echo->world, echo->connection.handle);
    echo->open = false;
}

static void echo_write(struct echo *echo)
{
    struct iovec part = {.iov_base = echo->pending + echo->from, .iov_len = echo->to - echo->from};
    ssize_t n = echo->world->ops->send(echo->world, echo->connection.handle, &part, 1);
    if (n < 0 && n != -EAGAIN) {
        echo->error = (int)n;
        echo_close(echo);
        return;
    }
    if (n > 0)
        echo->from += (size_t)n;
    if (echo->from == echo->to)
        echo->from = echo->to = 0;
}

static void echo_ready(struct watch *watch, unsigned ready)
{
    struct echo *echo = watch->arg;
    if ((ready & READY_READ) && echo->to < PENDING_LIMIT && !echo->ended) {
        ssize_t n = echo->world->ops->recv(echo->world, watch->handle, echo->pending + echo->to,
                                           PENDING_LIMIT - echo->to);
        if (n < 0 && n != -EAGAIN) {
            echo->error = (int)n;
            echo_close(echo);
            return;
        }
        echo->ended = n == 0;
        echo->to += n > 0 ? (size_t)n : 0;
    }
    if (echo->from < echo->to)
        echo_write(echo);
    if (!echo->open)
        return;
    if (echo->ended && echo->to == 0) {
        echo_close(echo);
        return;
    }
    unsigned want = echo->from < echo->to ? READY_WRITE : 0;
    watch_want(&echo->loop, watch,
               want | (echo->to < PENDING_LIMIT && !echo->ended ? READY_READ : 0));
}

static void echo_accept(struct watch *watch, unsigned ready)
{
    struct echo *echo = watch->arg;
    assert_int_equal(ready, READY_READ);
    int handle = echo->world->ops->accept(echo->world, watch->handle, &echo->peer);
    assert_true(handle >= 0);
    echo->connection =
        (struct watch){.handle = handle, .want = READY_READ, .ready = echo_ready, .arg = echo};
    echo->open = true;
    assert_int_equal(watch_begin(&echo->loop, &echo->connection), 0);
}

static struct echo *echo_open(struct fake_world *fake, int role)
{
    struct echo *echo = calloc(1, sizeof(*echo));
    must(echo);
    int listener = fake_listen(fake, role, "echo");
    int before = fake_role_enter(fake, role);
    echo->world = &fake->world;
    assert_int_equal(loop_init(&echo->loop, &fake->world), 0);
    echo->listener =
        (struct watch){.handle = listener, .want = READY_READ, .ready = echo_accept, .arg = echo};
    assert_int_equal(watch_begin(&echo->loop, &echo->listener), 0);
    fake_role_enter(fake, before);
    return echo;
}

/* ---- A client that sends much and reads it back ---- */

enum {
    SENT = 20000
};

struct talk {
    struct fake_world *fake;
    char sent[SENT], got[SENT + 1];
    size_t sent_n, got_n;
    int calls;
    enum fake_client_state state;
};

static void talk_on(struct fake_client *client, void *arg)
{
    struct talk *talk = arg;
    talk->calls++;
    talk->got_n += fake_client_recv(client, talk->got + talk->got_n, SENT + 1 - talk->got_n);
    talk->sent_n +=
        fake_client_send(client, str_make(talk->sent + talk->sent_n, SENT - talk->sent_n));
    if (talk->sent_n == SENT)
        fake_client_finish(client);
    talk->state = fake_client_state(client);
}

static const struct peer_address peer = {.text = "192.0.2.7", .port = 4321, .uid = -1, .pid = -1};

/* The whole life of one connection; returns the run's hash. */
static uint64_t talk_through(uint64_t seed, const struct fake_settings *settings, struct talk *talk)
{
    struct fake_world *fake = fake_world_open(seed, settings);
    struct echo *echo = echo_open(fake, fake_role_open(fake, "echo"));
    *talk = (struct talk){.fake = fake};
    for (size_t i = 0; i < SENT; i++)
        talk->sent[i] = (char)(i * 7 + i / 256);
    struct fake_client *client = fake_connect(fake, "echo", &peer);
    assert_non_null(client);
    fake_client_watch(client, talk_on, talk);
    talk_on(client, talk);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    assert_str(str_from(echo->peer.text), STR("192.0.2.7"));
    if (talk->state == FAKE_CLIENT_ENDED)
        assert_false(echo->open);
    fake_client_done(client);
    uint64_t hash = fake->hash;
    fake_world_close(fake);
    free(echo);
    return hash;
}

static const struct fake_settings rough = {
    .split = FAKE_ALWAYS, .delay_most = 50 * NS_PER_MS, .pipe_capacity = 3000};

static void any_splitting_gives_the_same_bytes(void **state)
{
    (void)state;
    struct talk *talk = calloc(1, sizeof(*talk));
    must(talk);
    for (uint64_t seed = 0; seed < 20; seed++) {
        talk_through(seed, seed ? &rough : NULL, talk);
        assert_int_equal(talk->state, FAKE_CLIENT_ENDED);
        assert_int_equal(talk->got_n, SENT);
        assert_memory_equal(talk->got, talk->sent, SENT);
    }
    free(talk);
}

static void one_seed_is_one_run(void **state)
{
    (void)state;
    struct talk *talk = calloc(1, sizeof(*talk));
    must(talk);
    uint64_t first = talk_through(1, &rough, talk);
    assert_true(talk_through(1, &rough, talk) == first);
    assert_true(talk_through(2, &rough, talk) != first);
    free(talk);
}

static void bad_weather_ends_some_connections(void **state)
{
    (void)state;
    struct talk *talk = calloc(1, sizeof(*talk));
    must(talk);
    struct fake_settings settings = rough;
    settings.reset = 20000;
    settings.vanish = 20000;
    int reset = 0, hung = 0, whole = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        talk_through(seed, &settings, talk);
        reset += talk->state == FAKE_CLIENT_RESET;
        hung += talk->state == FAKE_CLIENT_OPEN;
        whole += talk->state == FAKE_CLIENT_ENDED;
        assert_memory_equal(talk->got, talk->sent, talk->got_n);
    }
    assert_true(reset > 0 && hung > 0);
    assert_int_equal(reset + hung + whole, 60);
    free(talk);
}

/* The server waits to write into a pipe that is full; then the network gets wider. */
static void who_waited_for_a_narrow_pipe_is_woken_by_a_wide_one(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, &(struct fake_settings){.pipe_capacity = 4});
    struct echo *echo = echo_open(fake, fake_role_open(fake, "echo"));
    struct fake_client *client = fake_connect(fake, "echo", &peer);
    char got[8];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fake_client_send(client, STR("1234")), 4);
        assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    }
    fake_world_settings(fake)->pipe_capacity = 1000;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fake_client_recv(client, got, sizeof(got)), 4);
        assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    }
    fake_client_done(client);
    fake_world_close(fake);
    free(echo);
}

/* ---- The calls, one by one ---- */

struct pair {
    struct fake_world *fake;
    struct world *world;
    const struct world_ops *ops;
    struct fake_client *client;
    int handle;
};

static struct pair pair_open(const struct fake_settings *settings)
{
    struct pair p = {.fake = fake_world_open(1, settings)};
    p.world = &p.fake->world;
    p.ops = p.world->ops;
    int listener = fake_listen(p.fake, 0, "x");
    struct peer_address got;
    assert_int_equal(p.ops->accept(p.world, listener, &got), -EAGAIN);
    p.client = fake_connect(p.fake, "x", &peer);
    p.handle = p.ops->accept(p.world, listener, &got);
    assert_true(p.handle >= 0);
    assert_int_equal(got.port, 4321);
    return p;
}

static void pair_close(struct pair *p)
{
    if (p->client)
        fake_client_done(p->client);
    fake_world_close(p->fake);
}

static void go_on(struct pair *p)
{
    assert_int_equal(fake_run(p->fake, INT64_MAX - 1), FAKE_IDLE);
}

static ssize_t send_text(struct pair *p, struct str text)
{
    struct iovec part = {.iov_len = text.n};
    memcpy(&part.iov_base, &text.p, sizeof(text.p));
    return p->ops->send(p->world, p->handle, &part, 1);
}

static void both_ends_of_a_pair_are_ours(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    int pair[2];
    char got[8];
    assert_int_equal(p.ops->stream_pair(p.world, pair), 0);
    int accepted = p.handle;
    p.handle = pair[0];
    assert_int_equal(send_text(&p, STR("hi")), 2);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, pair[1], got, sizeof got), 2);
    assert_int_equal(p.ops->close(p.world, pair[0]), 0);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, pair[1], got, sizeof got), 0);
    assert_int_equal(p.ops->close(p.world, pair[1]), 0);
    p.handle = accepted;
    pair_close(&p);
}

static void bytes_arrive_with_a_step(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    char c[8];
    assert_int_equal(fake_client_send(p.client, STR("hello")), 5);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), -EAGAIN);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, 2), 2);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), 3);
    fake_client_finish(p.client);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), 0);
    assert_int_equal(send_text(&p, STR("bye")), 3);
    assert_int_equal(p.ops->finish(p.world, p.handle), 0);
    assert_int_equal(send_text(&p, STR("bye")), -EPIPE);
    go_on(&p);
    assert_int_equal(fake_client_waiting(p.client), 3);
    assert_int_equal(fake_client_state(p.client), FAKE_CLIENT_OPEN);
    assert_int_equal(fake_client_recv(p.client, c, sizeof(c)), 3);
    assert_int_equal(fake_client_state(p.client), FAKE_CLIENT_ENDED);
    pair_close(&p);
}

static void a_client_that_does_not_read_stops_the_server(void **state)
{
    (void)state;
    struct pair p = pair_open(&(struct fake_settings){.pipe_capacity = 4});
    assert_int_equal(send_text(&p, STR("12345")), 4);
    assert_int_equal(send_text(&p, STR("5")), -EAGAIN);
    go_on(&p);
    assert_int_equal(send_text(&p, STR("5")), -EAGAIN);
    char c;
    assert_int_equal(fake_client_recv(p.client, &c, 1), 1);
    assert_int_equal(send_text(&p, STR("56")), 1);
    assert_int_equal(fake_client_send(p.client, STR("12345")), 4);
    pair_close(&p);
}

static void a_reset_keeps_what_arrived(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    char c[8];
    fake_client_send(p.client, STR("one"));
    go_on(&p);
    fake_client_send(p.client, STR("two"));
    fake_client_reset(p.client);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), 3);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), -ECONNRESET);
    assert_int_equal(send_text(&p, STR("x")), -ECONNRESET);
    pair_close(&p);
}

static void closing_with_unread_bytes_resets(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    fake_client_send(p.client, STR("unread"));
    go_on(&p);
    assert_int_equal(send_text(&p, STR("421 bye\r\n")), 9);
    p.ops->close(p.world, p.handle);
    assert_int_equal(fake_client_state(p.client), FAKE_CLIENT_RESET);
    assert_int_equal(fake_client_waiting(p.client), 0);
    pair_close(&p);
}

static void a_client_that_left_resets_what_is_sent_to_it(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    char c;
    fake_client_done(p.client);
    p.client = NULL;
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, p.handle, &c, 1), 0);
    assert_int_equal(send_text(&p, STR("x")), 1);
    go_on(&p);
    assert_int_equal(send_text(&p, STR("x")), -ECONNRESET);
    pair_close(&p);
}

static void a_vanished_client_says_nothing(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    char c;
    fake_client_vanish(p.client);
    fake_client_send(p.client, STR("x"));
    assert_int_equal(send_text(&p, STR("x")), 1);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, p.handle, &c, 1), -EAGAIN);
    assert_int_equal(fake_client_waiting(p.client), 0);
    fake_client_done(p.client);
    p.client = NULL;
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, p.handle, &c, 1), -EAGAIN);
    pair_close(&p);
}

static void the_backlog_is_bounded(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, &(struct fake_settings){.backlog = 2});
    assert_null(fake_connect(fake, "x", &peer));
    fake_listen(fake, 0, "x");
    assert_non_null(fake_connect(fake, "x", &peer));
    assert_non_null(fake_connect(fake, "x", &peer));
    assert_null(fake_connect(fake, "x", &peer));
    fake_world_close(fake);
}

/* ---- Calls of a role ---- */

static struct fake_client *called;
static struct peer_address caller;

static void is_called(struct fake_host *host, struct fake_client *client,
                      const struct peer_address *from)
{
    assert_ptr_equal(host->arg, &caller);
    called = client;
    caller = *from;
}

static struct pair call_open(struct fake_host *host, int64_t delay)
{
    struct pair p = {.fake = fake_world_open(1, NULL)};
    p.world = &p.fake->world;
    p.ops = p.world->ops;
    *host = (struct fake_host){
        .address = "192.0.2.25", .port = 25, .delay = delay, .called = is_called, .arg = &caller};
    fake_host_add(p.fake, host);
    return p;
}

static int call_to(struct pair *p, const char *address, uint16_t port)
{
    struct connect_to to = {.address = str_from(address), .port = port};
    p->handle = p->ops->connect(p->world, &to);
    return p->handle;
}

static void a_host_is_called_and_answers(void **state)
{
    (void)state;
    struct fake_host host;
    struct pair p = call_open(&host, 3 * NS_PER_SECOND);
    struct peer_address ends;
    char c[8];
    int64_t before = world_mono(p.world);
    assert_true(call_to(&p, "192.0.2.25", 25) >= 0);
    assert_int_equal(p.ops->connected(p.world, p.handle, &ends), -EAGAIN);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), -EAGAIN);
    assert_int_equal(send_text(&p, STR("early")), -EAGAIN);
    assert_int_equal(p.ops->finish(p.world, p.handle), -ENOTCONN);
    go_on(&p);
    assert_true(world_mono(p.world) == before + 3 * NS_PER_SECOND);
    assert_int_equal(p.ops->connected(p.world, p.handle, &ends), 0);
    assert_str(str_from(ends.text), STR("192.0.2.25"));
    assert_str(str_from(ends.server), STR(FAKE_OWN_V4));
    assert_int_equal(ends.port, 25);
    assert_str(str_from(caller.text), STR(FAKE_OWN_V4));
    assert_str(str_from(caller.server), STR("192.0.2.25"));
    assert_int_equal(host.calls, 1);
    assert_int_equal(send_text(&p, STR("EHLO")), 4);
    assert_int_equal(fake_client_send(called, STR("220")), 3);
    go_on(&p);
    assert_int_equal(fake_client_recv(called, c, sizeof(c)), 4);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), 3);
    fake_client_reset(called);
    assert_int_equal(p.ops->connected(p.world, p.handle, &ends), -ECONNRESET);
    p.ops->close(p.world, p.handle);
    pair_close(&p);
}

static void what_does_not_answer_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint16_t port;
        enum fake_host_way way;
        int at_once, later;
    } rows[] = {
        {"192.0.2.25", 25, FAKE_HOST_REFUSES, 0, -ECONNREFUSED},
        {"192.0.2.25", 25, FAKE_HOST_UNREACHABLE, 0, -EHOSTUNREACH},
        {"192.0.2.25", 25, FAKE_HOST_SILENT, 0, -EAGAIN},
        {"192.0.2.25", 26, FAKE_HOST_ANSWERS, 0, -EHOSTUNREACH},
        {"192.0.2.26", 25, FAKE_HOST_ANSWERS, 0, -EHOSTUNREACH},
        {"mail.test", 25, FAKE_HOST_ANSWERS, -EINVAL, 0},
        {FAKE_OWN_V4, 25, FAKE_HOST_ANSWERS, -ELOOP, 0},
        {FAKE_OWN_V6, 25, FAKE_HOST_ANSWERS, -ELOOP, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_host host;
        struct pair p = call_open(&host, 0);
        struct peer_address ends;
        host.way = rows[i].way;
        int handle = call_to(&p, rows[i].address, rows[i].port);
        assert_int_equal(handle < 0 ? handle : 0, rows[i].at_once);
        go_on(&p);
        if (handle >= 0)
            assert_int_equal(p.ops->connected(p.world, handle, &ends), rows[i].later);
        assert_int_equal(host.calls, 0);
        pair_close(&p);
    }
}

static void who_calls_may_say_where_from(void **state)
{
    (void)state;
    struct fake_host host;
    struct pair p = call_open(&host, 0);
    struct connect_to to = {.address = STR("192.0.2.25"), .port = 25, .from = STR("198.51.100.7")};
    p.handle = p.ops->connect(p.world, &to);
    assert_true(p.handle >= 0);
    go_on(&p);
    assert_str(str_from(caller.text), STR("198.51.100.7"));
    to.from = STR("2001:db8::7");
    assert_int_equal(p.ops->connect(p.world, &to), -EADDRNOTAVAIL);
    to.from = STR("198.51.100.7");
    to.address = STR("198.51.100.7");
    assert_int_equal(p.ops->connect(p.world, &to), -ELOOP);
    to.may_be_ours = true;
    assert_true(p.ops->connect(p.world, &to) >= 0);
    fake_client_done(called);
    fake_host_remove(&host);
    pair_close(&p);
}

/* One role calls another one, or itself. */
static void a_call_may_lead_to_a_listener(void **state)
{
    (void)state;
    struct fake_host host;
    struct pair p = call_open(&host, 0);
    struct peer_address from;
    char c[8];
    int listener = fake_listen(p.fake, 0, "smtp");
    host.listener = "smtp";
    assert_true(call_to(&p, "192.0.2.25", 25) >= 0);
    assert_int_equal(p.ops->accept(p.world, listener, &from), -EAGAIN);
    go_on(&p);
    int other = p.ops->accept(p.world, listener, &from);
    assert_true(other >= 0);
    assert_str(str_from(from.text), STR(FAKE_OWN_V4));
    assert_str(str_from(from.server), STR("192.0.2.25"));
    assert_int_equal(send_text(&p, STR("there")), 5);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, other, c, sizeof(c)), 5);
    p.ops->close(p.world, other);
    go_on(&p);
    assert_int_equal(p.ops->recv(p.world, p.handle, c, sizeof(c)), 0);
    pair_close(&p);
}

static void a_listener_that_is_full_refuses_calls(void **state)
{
    (void)state;
    struct fake_host host;
    struct pair p = call_open(&host, 0);
    struct peer_address ends;
    fake_world_settings(p.fake)->backlog = 1;
    fake_listen(p.fake, 0, "smtp");
    host.listener = "smtp";
    int first = call_to(&p, "192.0.2.25", 25), second = call_to(&p, "192.0.2.25", 25);
    go_on(&p);
    assert_int_equal(p.ops->connected(p.world, first, &ends) +
                         p.ops->connected(p.world, second, &ends),
                     -ECONNREFUSED);
    pair_close(&p);
}

/* Whoever hangs up before there is an answer is not heard of. */
static void a_call_may_be_given_up(void **state)
{
    (void)state;
    struct fake_host host;
    struct pair p = call_open(&host, NS_PER_SECOND);
    assert_true(call_to(&p, "192.0.2.25", 25) >= 0);
    p.ops->close(p.world, p.handle);
    go_on(&p);
    assert_int_equal(host.calls, 0);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_splitting_gives_the_same_bytes),
        cmocka_unit_test(one_seed_is_one_run),
        cmocka_unit_test(bad_weather_ends_some_connections),
        cmocka_unit_test(who_waited_for_a_narrow_pipe_is_woken_by_a_wide_one),
        cmocka_unit_test(both_ends_of_a_pair_are_ours),
        cmocka_unit_test(bytes_arrive_with_a_step),
        cmocka_unit_test(a_client_that_does_not_read_stops_the_server),
        cmocka_unit_test(a_reset_keeps_what_arrived),
        cmocka_unit_test(closing_with_unread_bytes_resets),
        cmocka_unit_test(a_client_that_left_resets_what_is_sent_to_it),
        cmocka_unit_test(a_vanished_client_says_nothing),
        cmocka_unit_test(the_backlog_is_bounded),
        cmocka_unit_test(a_host_is_called_and_answers),
        cmocka_unit_test(what_does_not_answer_says_why),
        cmocka_unit_test(who_calls_may_say_where_from),
        cmocka_unit_test(a_call_may_lead_to_a_listener),
        cmocka_unit_test(a_listener_that_is_full_refuses_calls),
        cmocka_unit_test(a_call_may_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
