/*
 * Messages that come slowly while slabs are short. The test takes slabs itself, in the place of
 * sessions whose core is slow.
 */
#include "edge/smtp/parking.h"

#include "base/test.h"
#include "edge/smtp/stage_test.h"

enum {
    REPLIES_MAX = 1 << 20,
    HALF = STAGE_SLABS / 2,
    MANY = 200, /* clients: more than there are slabs */
};

#define LOCAL "127.0.0.1"
#define ENVELOPE "HELO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"

static struct stage stage;
static struct buf replies;
static struct smtp_parking *parking;
static uint32_t taken[STAGE_SLABS];
static size_t taken_count;

static void take_slabs(size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(slabs_take(stage.edge.slabs, &taken[taken_count++]));
}

static void give_slabs(size_t count)
{
    fake_role_enter(stage.fake, stage.edge_role);
    for (size_t i = 0; i < count; i++)
        slabs_give(stage.edge.slabs, taken[--taken_count]);
    fake_role_enter(stage.fake, 0);
    stage_settle(&stage);
}

static void on_stage(const char *conf)
{
    stage_open(&stage, str_from(conf), NULL, 1, STAGE_SLABS);
    buf_init(&replies, REPLIES_MAX);
    parking = &((struct smtp_shared *)stage.edge.smtp)->parking;
    taken_count = 0;
}

static void off_stage(void)
{
    give_slabs(taken_count);
    if (stage.edge.slabs)
        assert_int_equal(slabs_out(stage.edge.slabs), 0);
    assert_int_equal(parking->held, 0);
    assert_true(TAILQ_EMPTY(&parking->waiting));
    stage_close(&stage);
    buf_done(&replies);
}

static struct str say(struct fake_client *client, struct str text)
{
    buf_clear(&replies);
    stage_send(&stage, client, text, SIZE_MAX, &replies);
    return buf_str(&replies);
}

static struct str heard(struct fake_client *client)
{
    buf_clear(&replies);
    stage_receive(client, &replies);
    return buf_str(&replies);
}

static struct fake_client *begin(struct str command)
{
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    say(client, STR(ENVELOPE));
    say(client, command);
    return client;
}

/* One that sent so many octets of its message, and then waits. */
static struct fake_client *dripper(size_t octets)
{
    struct fake_client *client = begin(STR("DATA\r\n"));
    for (size_t i = 0; i < octets; i++)
        say(client, STR("x"));
    return client;
}

static void all_gone(struct fake_client **client, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fake_client_reset(client[i]);
    stage_settle(&stage);
    for (size_t i = 0; i < count; i++)
        fake_client_done(client[i]);
}

/* `pieces` of one octet and a thousand: the text that core must then have. */
static void drip(struct fake_client *client, size_t octets, size_t piece)
{
    char text[1000];
    for (size_t sent = 0; sent < octets; sent += piece) {
        size_t n = octets - sent < piece ? octets - sent : piece;
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + (sent + i) % 26);
        say(client, str_make(text, n));
    }
}

static void assert_dripped(size_t octets)
{
    assert_int_equal(stage.core.body.n, octets);
    for (size_t i = 0; i < octets; i++)
        assert_int_equal(stage.core.body.p[i], 'a' + (int)(i % 26));
}

#define END_OF_TEXT STR("\r\n.\r\n")
enum {
    END_KEPT = 2
};

static void assert_accepted(struct str reply)
{
    assert_true(str_starts(reply, STR("250 2.0.0 Accepted")));
}

/* Drippers once held a slab each: with 2048 of them good clients hung, then got 451. */
static void drippers_do_not_keep_good_clients_waiting(void **state)
{
    (void)state;
    on_stage("");
    struct fake_client *client[MANY];
    for (size_t i = 0; i < MANY; i++)
        client[i] = dripper(1 + i % 3);
    assert_int_equal(slabs_out(stage.edge.slabs), HALF - 1);
    struct fake_client *good = begin(STR("DATA\r\n"));
    assert_accepted(say(good, STR("Subject: x\r\n\r\ntext\r\n.\r\n")));
    for (size_t i = 0; i < MANY; i++) {
        assert_accepted(say(client[i], END_OF_TEXT));
        assert_int_equal(stage.core.body.n, 1 + i % 3 + END_KEPT);
    }
    assert_int_equal(parking->cuts, 0);
    assert_int_equal(stage.core.messages, MANY + 1);
    fake_client_done(good);
    all_gone(client, MANY);
    off_stage();
}

static void slabs_are_kept_up_to_the_half(void **state)
{
    (void)state;
    on_stage("");
    for (size_t out = HALF - 2; out <= HALF; out++) {
        take_slabs(out - taken_count);
        struct fake_client *client = dripper(2);
        bool kept = out + 1 < HALF;
        assert_int_equal(slabs_out(stage.edge.slabs), out + kept);
        assert_int_equal(parking->held > 0, !kept);
        assert_accepted(say(client, END_OF_TEXT));
        fake_client_done(client);
    }
    off_stage();
}

static void what_was_parked_is_what_was_sent(void **state)
{
    (void)state;
    static const struct {
        size_t octets, piece;
    } ways[] = {
        {5000, 1},
        {SLAB_SIZE - END_KEPT - 1, 999},
        {SLAB_SIZE - END_KEPT, 999},
        {SLAB_SIZE - END_KEPT + 1, 999},
        {SMTP_PARKED_MAX - END_KEPT - 1, 1000},
        {SMTP_PARKED_MAX - END_KEPT, 1000},
        {SMTP_PARKED_MAX - END_KEPT + 1, 1000},
        {2 * SMTP_PARKED_MAX + 12345, 997},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        on_stage("smtp { header_size = 1M }");
        take_slabs(HALF);
        struct fake_client *client = begin(STR("DATA\r\n"));
        drip(client, ways[i].octets, ways[i].piece);
        assert_true(parking->held <= SMTP_PARKED_MAX);
        assert_accepted(say(client, END_OF_TEXT));
        stage.core.body.n -= END_KEPT;
        assert_dripped(ways[i].octets);
        assert_int_equal(stage.core.upload_pieces > 0,
                         ways[i].octets + END_KEPT >= SMTP_PARKED_MAX);
        fake_client_done(client);
        off_stage();
    }
}

static void chunks_are_parked_between_each_other(void **state)
{
    (void)state;
    on_stage("");
    take_slabs(HALF);
    struct fake_client *client = begin(STR(""));
    say(client, STR("BDAT 3000\r\n"));
    drip(client, 3000, 500);
    assert_int_equal(slabs_out(stage.edge.slabs), HALF);
    assert_true(parking->held >= 3000);
    say(client, STR("NOOP\r\n"));
    say(client, STR("BDAT 26 LAST\r\n"));
    assert_accepted(say(client, STR("klmnopqrstuvwxyzabcdefghij")));
    assert_dripped(3026);
    say(client, STR("MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nBDAT 4\r\nab"));
    say(client, STR("cd"));
    assert_true(parking->held >= 4);
    say(client, STR("RSET\r\n"));
    assert_int_equal(parking->held, 0);
    fake_client_done(client);
    off_stage();
}

static void bare_newlines_need_twice_the_room(void **state)
{
    (void)state;
    on_stage("smtp { bare_newlines_from = \"127.0.0.0/8\" }");
    take_slabs(HALF);
    struct fake_client *client = begin(STR("DATA\r\n"));
    for (int i = 0; i < 3000; i++)
        say(client, STR("\n"));
    say(client, STR("x"));
    assert_accepted(say(client, STR("\r\n.\r\n")));
    assert_int_equal(stage.core.body.n, 6003);
    fake_client_done(client);
    off_stage();
}

/* Body and summary are two: who has to wait for one of them does not keep the other. */
static void who_waits_for_slabs_holds_none(void **state)
{
    (void)state;
    on_stage("");
    struct fake_client *client[2] = {begin(STR("DATA\r\n")), begin(STR("DATA\r\n"))};
    take_slabs(STAGE_SLABS - 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(say(client[i], STR("text\r\n.\r\n")).n, 0);
    assert_int_equal(slabs_out(stage.edge.slabs), STAGE_SLABS - 1);
    give_slabs(1);
    assert_accepted(heard(client[0]));
    assert_accepted(heard(client[1]));
    all_gone(client, 2);
    off_stage();
}

static void slabs_that_run_out_push_back(void **state)
{
    (void)state;
    on_stage("");
    struct fake_client *client = dripper(5);
    take_slabs(STAGE_SLABS - 1);
    assert_int_equal(say(client, END_OF_TEXT).n, 0);
    stage_pass(&stage, SMTP_SLAB_WAIT - NS_PER_SECOND);
    assert_int_equal(heard(client).n, 0);
    stage_pass(&stage, NS_PER_SECOND);
    assert_true(str_starts(heard(client), STR("451 4.3.0 ")));
    fake_client_done(client);
    off_stage();
}

static void a_parked_message_survives_core(void **state)
{
    (void)state;
    on_stage("");
    take_slabs(HALF);
    struct fake_client *client = begin(STR("DATA\r\n"));
    drip(client, 100, 1);
    give_slabs(HALF);
    stage_core_die(&stage);
    stage_core_start(&stage);
    stage_settle(&stage);
    assert_accepted(say(client, END_OF_TEXT));
    stage.core.body.n -= END_KEPT;
    assert_dripped(100);
    fake_client_done(client);
    off_stage();
}

static void assert_cut(struct fake_client *client)
{
    assert_true(str_starts(heard(client), STR("421 4.4.5 localhost Too slow")));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
}

/* Three have 100 octets parked each, the later the faster; then one comes that needs 100 more. */
static void the_memory_is_for_the_fastest(size_t most, bool cut)
{
    on_stage("smtp { data_timeout = 1h }");
    take_slabs(HALF);
    parking->most = most;
    struct fake_client *client[4];
    char text[100];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 4; i++) {
        client[i] = begin(STR("DATA\r\n"));
        say(client[i], str_make(text, sizeof text));
        stage_pass(&stage, NS_PER_SECOND);
    }
    assert_int_equal(parking->cuts, cut);
    assert_int_equal(parking->held, cut ? 300 : 400);
    if (cut)
        assert_cut(client[0]);
    parking->most = SMTP_PARKING_MAX;
    for (int i = cut; i < 4; i++)
        assert_accepted(say(client[i], END_OF_TEXT));
    assert_int_equal(stage.core.messages, cut ? 3 : 4);
    all_gone(client, 4);
    off_stage();
}

static void the_slowest_is_cut_before_a_newcomer_is_refused(void **state)
{
    (void)state;
    the_memory_is_for_the_fastest(399, true);
    the_memory_is_for_the_fastest(400, false);
    the_memory_is_for_the_fastest(401, false);
}

static void the_slowest_is_cut_when_it_asks_for_more(void **state)
{
    (void)state;
    on_stage("smtp { data_timeout = 1h }");
    take_slabs(HALF);
    struct fake_client *slow = dripper(1);
    stage_pass(&stage, NS_PER_SECOND);
    struct fake_client *fast = dripper(1);
    parking->most = parking->held;
    say(slow, STR("x"));
    assert_true(str_starts(buf_str(&replies), STR("421 4.4.5 ")));
    parking->most = SMTP_PARKING_MAX;
    assert_accepted(say(fast, END_OF_TEXT));
    assert_int_equal(parking->cuts, 0);
    fake_client_done(slow);
    fake_client_done(fast);
    off_stage();
}

static void where_all_wait_for_slabs_nobody_is_cut(void **state)
{
    (void)state;
    on_stage("");
    take_slabs(STAGE_SLABS);
    struct fake_client *ready = dripper(1), *late = begin(STR("DATA\r\n"));
    assert_int_equal(say(ready, END_OF_TEXT).n, 0);
    parking->most = parking->held;
    assert_true(str_starts(say(late, STR("x\r\n.\r\n")), STR("451 4.3.0 ")));
    give_slabs(2);
    assert_accepted(heard(ready));
    fake_client_done(ready);
    fake_client_done(late);
    off_stage();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drippers_do_not_keep_good_clients_waiting),
        cmocka_unit_test(slabs_are_kept_up_to_the_half),
        cmocka_unit_test(what_was_parked_is_what_was_sent),
        cmocka_unit_test(chunks_are_parked_between_each_other),
        cmocka_unit_test(bare_newlines_need_twice_the_room),
        cmocka_unit_test(who_waits_for_slabs_holds_none),
        cmocka_unit_test(slabs_that_run_out_push_back),
        cmocka_unit_test(a_parked_message_survives_core),
        cmocka_unit_test(the_slowest_is_cut_before_a_newcomer_is_refused),
        cmocka_unit_test(the_slowest_is_cut_when_it_asks_for_more),
        cmocka_unit_test(where_all_wait_for_slabs_nobody_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
