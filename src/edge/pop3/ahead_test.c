/*
 * Reading ahead: what is asked of core, and that a client cannot tell.
 */
#include "edge/pop3/ahead.h"

#include "edge/pop3/client_test.h"

enum {
    ROOM = BOX_SLABS / AHEAD_SHARE * SLAB_SIZE, /* of one session alone */
    TEXT = 8 * SLAB_SIZE,
};

static char text[TEXT];

static int on_text(void **state)
{
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "a.\r\n..\r\n"[(i * i + i / 3) % 8];
    return on_stage(state);
}

/* Messages of `octets` octets, each other than its neighbours. */
static void messages(size_t count, size_t octets)
{
    for (size_t i = 0; i < count; i++) {
        size_t from = (stage.core.count * 7) % 1000;
        assert_true(from + octets <= TEXT);
        box_add(&stage, str_make(text + from, octets), octets < 6 ? octets : 6);
    }
}

static void retr(struct fake_client *client, size_t number)
{
    char command[32];
    (void)snprintf(command, sizeof(command), "RETR %zu\r\n", number);
    expect_message(client, command, stage.core.messages[number - 1].stored);
}

static void retr_all(struct fake_client *client, size_t from, size_t until)
{
    for (size_t i = from; i <= until; i++)
        retr(client, i);
}

/* --- When, and how many --- */

static void twice_as_many_each_time(void **state)
{
    (void)state;
    /* All questions, and the messages they brought, when `number` was read: the next question goes
     * out when half of what is held is taken. */
    static const struct {
        size_t number, aheads, held;
    } rows[] = {{1, 0, 0},   {2, 1, 4},   {3, 1, 4},   {4, 2, 12},  {9, 2, 12},  {10, 3, 28},
                {21, 3, 28}, {22, 4, 60}, {45, 4, 60}, {46, 5, 92}, {77, 5, 92}, {78, 6, 99}};
    size_t number = 1;
    messages(100, 100);
    struct fake_client *client = enter();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (; number <= rows[i].number; number++)
            retr(client, number);
        assert_int_equal(stage.core.aheads, rows[i].aheads);
        assert_int_equal(stage.core.read_ahead, rows[i].held);
    }
    retr_all(client, number, 100);
    assert_int_equal(stage.core.fetches, 1);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    leave(client);
}

static void only_what_follows_in_order(void **state)
{
    (void)state;
    messages(20, 100);
    struct fake_client *client = enter();
    for (size_t i = 20; i > 0; i--)
        retr(client, i);
    for (size_t i = 0; i < 9; i++)
        retr(client, 1);
    for (size_t i = 1; i < 20; i += 2)
        retr(client, i);
    assert_true(str_starts(say(client, "TOP 5 0\r\nTOP 6 0\r\nTOP 7 0\r\n"), STR("+OK")));
    assert_int_equal(stage.core.aheads, 0);
    /* Marks and other commands between them change nothing; what is marked is not read. */
    assert_true(str_starts(say(client, "DELE 4\r\nRETR 1\r\nDELE 1\r\n"), STR("+OK")));
    size_t fetches = stage.core.fetches;
    retr_all(client, 2, 3);
    say(client, "NOOP\r\nDELE 2\r\n");
    assert_int_equal(stage.core.aheads, 1);
    assert_int_equal(stage.core.read_ahead, AHEAD_FIRST);
    stage.core.messages[5].gone = true; /* too late: it is the fourth that was read */
    retr_all(client, 5, 6);
    assert_int_equal(stage.core.fetches, fetches);
    leave(client);
}

/* Another message than the next drops what is held; one further on only what is before it. */
static void leaps(void **state)
{
    (void)state;
    messages(40, 100);
    struct fake_client *client = enter();
    retr_all(client, 1, 6); /* 6 .. 13 are held */
    size_t fetches = stage.core.fetches;
    retr(client, 9);
    retr(client, 10);
    assert_int_equal(stage.core.fetches, fetches);
    assert_int_equal(stage.core.read_ahead, 4 * AHEAD_FIRST); /* 4, 8, and 4 as at first */
    assert_true(slabs_out(stage.edge.slabs) > 0);
    retr(client, 2);
    assert_int_equal(stage.core.fetches, fetches + 1);
    assert_true(ahead_is_asked(first_session())); /* for those behind 13, when 10 was asked for */
    retr_all(client, 3, 40);
    box_pass(&stage, AHEAD_KEEP);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    leave(client);
}

static void sizes_at_the_limits(void **state)
{
    (void)state;
    /* The third one, behind one that is read ahead: is it, too? Or else fetched alone? */
    static const struct {
        size_t second, third, ahead, fetches;
    } rows[] = {
        {100, AHEAD_MESSAGE_MAX - 1, 2, 0},
        {100, AHEAD_MESSAGE_MAX, 2, 0},
        {100, AHEAD_MESSAGE_MAX + 1, 1, 1},
        {ROOM - AHEAD_MESSAGE_MAX + 1, AHEAD_MESSAGE_MAX - 2, 2, 0},
        {ROOM - AHEAD_MESSAGE_MAX + 1, AHEAD_MESSAGE_MAX - 1, 2, 0},
        {ROOM - AHEAD_MESSAGE_MAX + 1, AHEAD_MESSAGE_MAX, 1, 0},
        {AHEAD_MESSAGE_MAX + 1, 100, 0, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stage.core.count = stage.core.aheads = stage.core.read_ahead = 0;
        messages(1, 100);
        messages(1, rows[i].second);
        messages(1, rows[i].third);
        struct fake_client *client = enter();
        retr_all(client, 1, 2);
        assert_int_equal(stage.core.read_ahead, rows[i].ahead);
        size_t fetches = stage.core.fetches;
        retr(client, 3);
        assert_int_equal(stage.core.fetches, fetches + rows[i].fetches);
        leave(client);
    }
}

/* --- The same octets --- */

static void borders_of_slabs(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,
                                   2,
                                   3,
                                   SLAB_SIZE - 4,
                                   5,
                                   SLAB_SIZE - 1,
                                   SLAB_SIZE,
                                   SLAB_SIZE + 1,
                                   2 * SLAB_SIZE,
                                   7,
                                   3 * SLAB_SIZE};
    enum {
        SIZES = sizeof(sizes) / sizeof(sizes[0])
    };
    for (size_t i = 0; i < 8 * (size_t)SIZES; i++)
        messages(1, sizes[(i * i + i / 5) % SIZES]);
    struct fake_client *client = enter();
    retr_all(client, 1, stage.core.count);
    assert_true(stage.core.read_ahead > stage.core.count / 2);
    retr(client, 1);
    char command[32];
    (void)snprintf(command, sizeof(command), "RETR 2\r\nTOP 3 1\r\n");
    struct str both = say(client, command);
    assert_true(str_starts(both, STR("+OK 2 octets\r\n")));
    leave(client);
}

static void pipelined(void **state)
{
    (void)state;
    struct buf commands = BUF_INIT(1 << 20), expected = BUF_INIT(1 << 20);
    messages(300, 333);
    for (size_t i = 1; i <= 300; i++) {
        buf_printf(&commands, "RETR %zu\r\n", i);
        buf_put(&expected, STR("+OK 333 octets\r\n"));
        stuffed(stage.core.messages[i - 1].stored, &expected);
    }
    struct fake_client *client = enter();
    buf_clear(&replies);
    box_send(&stage, client, buf_str(&commands), SIZE_MAX, &replies);
    assert_true(str_eq(buf_str(&replies), buf_str(&expected)));
    buf_done(&commands);
    buf_done(&expected);
    leave(client);
}

static void an_error_comes_when_it_is_asked_for(void **state)
{
    (void)state;
    messages(12, 100);
    struct fake_client *client = enter();
    stage.core.messages[3].gone = true;
    stage.core.messages[7].hidden = true;
    retr_all(client, 1, 3);
    assert_str(say(client, "RETR 4\r\n"),
               STR("-ERR [SYS/PERM] That message was removed in another session\r\n"));
    retr_all(client, 5, 7);
    stage.core.damaged_at = stage.core.fetches + 1;
    assert_true(str_starts(say(client, "RETR 8\r\n"), STR("-ERR [SYS/")));
    retr_all(client, 9, 12);
    leave(client);
}

/* The view is frozen: what was read already stays. */
static void removed_behind_it(void **state)
{
    (void)state;
    messages(6, 100);
    struct fake_client *client = enter();
    retr_all(client, 1, 2); /* 2 .. 5 are held */
    for (size_t i = 0; i < 6; i++)
        stage.core.messages[i].gone = true;
    retr_all(client, 3, 5);
    assert_str(say(client, "RETR 6\r\n"),
               STR("-ERR [SYS/PERM] That message was removed in another session\r\n"));
    leave(client);
}

/* --- What it holds --- */

static void given_back_in_time(void **state)
{
    (void)state;
    messages(20, 100);
    struct fake_client *client = enter();
    retr_all(client, 1, 2);
    assert_int_equal(slabs_out(stage.edge.slabs), 1);
    box_pass(&stage, AHEAD_KEEP / 2);
    retr(client, 3);
    box_pass(&stage, AHEAD_KEEP - 1);
    assert_int_equal(slabs_out(stage.edge.slabs), 1);
    box_pass(&stage, 1);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    assert_null(first_session()->ahead);
    /* Who is that slow begins anew. */
    size_t aheads = stage.core.aheads;
    retr_all(client, 4, 4);
    assert_int_equal(stage.core.aheads, aheads);
    retr_all(client, 5, 20);
    assert_true(stage.core.aheads > aheads);
    leave(client);
}

static void a_client_that_does_not_read_holds_none(void **state)
{
    (void)state;
    messages(1000, 8000);
    struct fake_client *client = enter();
    for (size_t i = 1; i <= 100; i++) {
        char command[32];
        int n = snprintf(command, sizeof(command), "RETR %zu\r\n", i);
        fake_client_send(client, str_make(command, (size_t)n));
    }
    box_settle(&stage);
    assert_true(slabs_out(stage.edge.slabs) > 0);
    assert_true(first_session()->busy);
    box_pass(&stage, AHEAD_KEEP);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    buf_clear(&replies);
    box_receive(&stage, client, &replies);
    leave(client);
}

static void some_slabs_are_left(void **state)
{
    (void)state;
    enum {
        CLIENTS = 60
    };
    struct fake_client *clients[CLIENTS];
    messages(20, 8000);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = enter();
        retr_all(clients[i], 1, 6);
        assert_true(slabs_left(stage.edge.slabs) >= AHEAD_SHARE - 1);
    }
    assert_true(slabs_left(stage.edge.slabs) < AHEAD_SHARE);
    for (size_t i = 0; i < CLIENTS; i++)
        retr_all(clients[i], 7, 20);
    for (size_t i = 0; i < CLIENTS; i++)
        fake_client_done(clients[i]);
    box_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
}

static void gone_in_the_middle(void **state)
{
    (void)state;
    messages(20, 100);
    struct fake_client *client = enter();
    retr_all(client, 1, 3);
    fake_client_reset(client);
    box_settle(&stage);
    leave(client);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
}

/* --- Cores that go, or are wrong --- */

static void core_goes_while_it_is_asked(void **state)
{
    (void)state;
    messages(20, 100);
    struct fake_client *client = enter();
    retr(client, 1);
    stage.core.dies_ahead = true;
    assert_true(str_starts(say(client, "RETR 2\r\n"), STR("-ERR [SYS/TEMP]")));
    leave(client);
    box_core_start(&stage);
    client = enter();
    retr_all(client, 1, 20);
    leave(client);
}

static void core_goes_while_some_is_held(void **state)
{
    (void)state;
    messages(20, 100);
    struct fake_client *client = enter();
    retr_all(client, 1, 3);
    box_core_die(&stage);
    box_core_start(&stage);
    assert_true(str_starts(say(client, "RETR 4\r\n"), STR("-ERR [SYS/TEMP]")));
    leave(client);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
}

/* --- A slow core: four are held, eight are asked for --- */

static struct fake_client *asked(void)
{
    messages(20, 100);
    struct fake_client *client = enter();
    retr_all(client, 1, 3);
    stage.core.ahead_late = true;
    retr(client, 4);
    assert_true(ahead_is_asked(first_session()));
    return client;
}

static void who_needs_it_waits(void **state)
{
    (void)state;
    struct fake_client *client = asked();
    retr(client, 5);
    assert_str(say(client, "RETR 6\r\n"), str_make("", 0));
    box_pass(&stage, 3 * AHEAD_KEEP);
    struct buf expected = BUF_INIT(REPLIES_MAX);
    stuffed(stage.core.messages[5].stored, &expected);
    box_core_go_on(&stage);
    assert_str(body_of(say(client, "")), buf_str(&expected));
    buf_done(&expected);
    retr_all(client, 7, 20);
    assert_int_equal(stage.core.fetches, 1);
    leave(client);
}

static void who_does_not_need_it_does_not(void **state)
{
    (void)state;
    struct fake_client *client = asked();
    retr(client, 20);
    retr(client, 1);
    box_pass(&stage, 3 * AHEAD_KEEP);
    assert_int_equal(slabs_out(stage.edge.slabs), 1); /* core may still write to it */
    box_core_go_on(&stage);
    box_pass(&stage, AHEAD_KEEP);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    assert_null(first_session()->ahead);
    retr_all(client, 1, 20);
    leave(client);
}

static void an_end_waits_for_the_answer(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        stage.core.count = 0;
        struct fake_client *client = asked();
        if (how == 0)
            assert_str(say(client, "QUIT\r\n"), STR("+OK Goodbye\r\n"));
        else
            fake_client_reset(client);
        fake_client_done(client);
        box_settle(&stage);
        assert_int_equal(stage.edge.session_count, 1);
        assert_int_equal(slabs_out(stage.edge.slabs), 2);
        box_pass(&stage, 3 * AHEAD_KEEP);
        assert_int_equal(stage.edge.session_count, 1);
        if (how < 2)
            box_core_go_on(&stage);
        else
            box_core_die(&stage);
        assert_int_equal(stage.edge.session_count, 0);
        if (how < 2)
            assert_int_equal(slabs_out(stage.edge.slabs), 0);
    }
}

static void an_answer_that_cannot_be_is_none(void **state)
{
    (void)state;
    messages(5, SLAB_SIZE / 4);
    struct fake_client *client = enter();
    stage.core.ahead_lies = 1; /* beyond the one slab that was offered */
    retr_all(client, 1, 2);
    assert_int_equal(stage.core.aheads, 1);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    stage.core.ahead_lies = 0;
    stage.core.ahead_most = 1;
    retr_all(client, 1, 5);
    leave(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, on_text, off_stage)
    const struct CMUnitTest tests[] = {
        TEST(twice_as_many_each_time),
        TEST(only_what_follows_in_order),
        TEST(leaps),
        TEST(sizes_at_the_limits),
        TEST(borders_of_slabs),
        TEST(pipelined),
        TEST(an_error_comes_when_it_is_asked_for),
        TEST(removed_behind_it),
        TEST(given_back_in_time),
        TEST(a_client_that_does_not_read_holds_none),
        TEST(some_slabs_are_left),
        TEST(gone_in_the_middle),
        TEST(core_goes_while_it_is_asked),
        TEST(core_goes_while_some_is_held),
        TEST(who_needs_it_waits),
        TEST(who_does_not_need_it_does_not),
        TEST(an_end_waits_for_the_answer),
        TEST(an_answer_that_cannot_be_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
