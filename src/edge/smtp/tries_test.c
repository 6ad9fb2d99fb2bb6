/*
 * What core is told about clients that went on behind our 250 or did not, with core away, dying in
 * between, or dead for good.
 */
#include "edge/smtp/stage_test.h"

#include "base/test.h"

enum {
    REPLIES_MAX = 1 << 16
};

#define LOCAL "127.0.0.1"
#define MESSAGE "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
#define BODY "text\r\n.\r\n"

static struct stage stage;
static struct buf replies;

static int stage_up(void **state)
{
    (void)state;
    stage_open(&stage, STR(""), NULL, 1, STAGE_SLABS);
    buf_init(&replies, REPLIES_MAX);
    return 0;
}

static int stage_down(void **state)
{
    (void)state;
    stage_close(&stage);
    buf_done(&replies);
    return 0;
}

static void say(struct fake_client *client, struct str text)
{
    buf_clear(&replies);
    stage_send(&stage, client, text, SIZE_MAX, &replies);
}

/* A message of its own is accepted; the client has said nothing since. */
static struct fake_client *accepted(void)
{
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    say(client, STR("HELO c.example\r\n"));
    say(client, STR(MESSAGE));
    say(client, STR(BODY));
    assert_true(str_starts(buf_str(&replies), STR("250 2.0.0 ")));
    return client;
}

static void leave(struct fake_client *client)
{
    fake_client_done(client);
    stage_settle(&stage);
}

static void another_core(void)
{
    stage_core_die(&stage);
    stage_core_start(&stage);
}

static void unseen_while_core_is_away(void **state)
{
    (void)state;
    leave(accepted());
    assert_int_equal(stage.core.unseen, 1);
    struct fake_client *client = accepted();
    stage_core_die(&stage);
    leave(client);
    assert_int_equal(stage.core.unseen, 1);
    stage_core_start(&stage);
    assert_int_equal(stage.core.unseen, 2);
    assert_int_equal(stage.core.last_unseen, 2);
    /* Each is kept, and not said again. */
    another_core();
    assert_int_equal(stage.core.unseen, 2);
}

static void unseen_that_core_did_not_live_to_keep(void **state)
{
    (void)state;
    stage.core.keeps_nothing = true;
    leave(accepted());
    leave(accepted());
    assert_int_equal(stage.core.unseen, 2);
    another_core();
    assert_int_equal(stage.core.unseen, 4);
    stage.core.keeps_nothing = false;
    another_core();
    assert_int_equal(stage.core.unseen, 6);
    another_core();
    assert_int_equal(stage.core.unseen, 6);
}

static void what_is_open_is_named_to_the_next_core(void **state)
{
    (void)state;
    struct fake_client *goes_on = accepted(), *went_on = accepted(), *leaves = accepted();
    say(went_on, STR("NOOP\r\n"));
    assert_int_equal(stage.core.seen, 1);
    another_core();
    assert_int_equal(stage.core.still_open, 2);
    say(goes_on, STR("NOOP\r\n"));
    leave(leaves);
    assert_int_equal(stage.core.seen, 2);
    assert_int_equal(stage.core.unseen, 1);
    another_core();
    assert_int_equal(stage.core.still_open, 2);
    fake_client_done(goes_on);
    fake_client_done(went_on);
}

/* Whether that core knew the message from an earlier try is not known here. */
static void seen_while_core_is_away(void **state)
{
    (void)state;
    struct fake_client *client = accepted();
    stage_core_die(&stage);
    say(client, STR("NOOP\r\n"));
    stage_core_start(&stage);
    assert_int_equal(stage.core.seen, 1);
    assert_int_equal(stage.core.still_open, 0);
    fake_client_done(client);
}

static void seen_of_a_repetition_is_kept(void **state)
{
    (void)state;
    struct fake_client *client = accepted();
    struct edge_try *try = TAILQ_FIRST(&stage.edge.tries_open);
    try->repeated = true;
    stage.core.keeps_nothing = true;
    say(client, STR("NOOP\r\n"));
    assert_int_equal(stage.core.seen, 1);
    another_core();
    assert_int_equal(stage.core.seen, 2);
    fake_client_done(client);
}

/* Cut without a reply, because core did not come back; it may have the message. */
static void a_try_without_an_answer_is_unseen(void **state)
{
    (void)state;
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    say(client, STR("HELO c.example\r\n"));
    say(client, STR(MESSAGE));
    stage.core.commit_silent = true;
    say(client, STR(BODY));
    stage_core_die(&stage);
    stage_pass(&stage, EDGE_COMMIT_WAIT + NS_PER_SECOND);
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    stage_core_start(&stage);
    assert_int_equal(stage.core.unseen, 1);
    assert_int_equal(stage.core.last_unseen, 1);
    fake_client_done(client);
}

static void end_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct edge_try try = {.message = i + 1};
        memcpy(try.token, &i, sizeof i);
        edge_try_open(&stage.edge, &try);
        edge_try_unseen(&stage.edge, &try);
        assert_int_equal(try.message, 0);
    }
}

static void so_many_are_kept(void **state)
{
    (void)state;
    static const size_t counts[] = {EDGE_TRIES_KEPT - 1, EDGE_TRIES_KEPT, EDGE_TRIES_KEPT + 1};
    for (size_t i = 0; i < 3; i++) {
        stage.core.unseen = 0;
        stage_core_die(&stage);
        end_many(counts[i]);
        stage_core_start(&stage);
        assert_int_equal(stage.core.unseen,
                         counts[i] < EDGE_TRIES_KEPT ? counts[i] : EDGE_TRIES_KEPT);
        assert_int_equal(stage.core.last_unseen, counts[i]);
        assert_int_equal(stage.edge.tries_ended_count, 0);
    }
}

static void what_is_past_the_window_is_not_said(void **state)
{
    (void)state;
    struct fake_client *client = accepted(), *other = accepted(); /* whose timer makes time pass */
    stage.conf.smtp.resent_window = (60 * NS_PER_SECOND);
    stage_core_die(&stage);
    leave(client);
    stage_pass(&stage, (60 * NS_PER_SECOND) + NS_PER_SECOND);
    stage_core_start(&stage);
    assert_int_equal(stage.core.unseen, 0);
    assert_int_equal(stage.edge.tries_ended_count, 0);
    fake_client_done(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        TEST(unseen_while_core_is_away),
        TEST(unseen_that_core_did_not_live_to_keep),
        TEST(what_is_open_is_named_to_the_next_core),
        TEST(seen_while_core_is_away),
        TEST(seen_of_a_repetition_is_kept),
        TEST(a_try_without_an_answer_is_unseen),
        TEST(so_many_are_kept),
        TEST(what_is_past_the_window_is_not_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
