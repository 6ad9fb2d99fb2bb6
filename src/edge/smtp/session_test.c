/*
 * What transcripts cannot show: limits between sessions, memory, bad weather.
 */
#include "edge/smtp/stage_test.h"

#include "base/test.h"
#include "format/message_id.h"

enum {
    REPLIES_MAX = 1 << 20,
    IDLE_MAX = 2560, /* octets of an idle session: a little more than half of what is allowed */
};

#define LOCAL "127.0.0.1"
#define ENVELOPE                                                                                   \
    "HELO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"

static struct stage stage;
static struct buf replies;

static void on_stage(const char *conf, const struct fake_settings *settings, uint64_t seed)
{
    stage_open(&stage, str_from(conf), settings, seed, STAGE_SLABS);
    buf_init(&replies, REPLIES_MAX);
}

static void off_stage(void)
{
    stage_close(&stage);
    buf_done(&replies);
}

static struct str say(struct fake_client *client, struct str text)
{
    buf_clear(&replies);
    stage_send(&stage, client, text, SIZE_MAX, &replies);
    return buf_str(&replies);
}

static struct smtp_session *first_session(void)
{
    struct edge_session *session = TAILQ_FIRST(&stage.edge.sessions);
    return (struct smtp_session *)((char *)session - offsetof(struct smtp_session, base));
}

static void an_idle_session_is_its_struct(void **state)
{
    (void)state;
    on_stage("", NULL, 1);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    const struct smtp_session *s = first_session();
    assert_true(sizeof *s + sizeof *s->base.client <= IDLE_MAX);
    say(client, STR(ENVELOPE));
    assert_non_null(s->mail);
    say(client, STR("text\r\n.\r\n"));
    assert_null(s->mail);
    assert_null(s->stream.in);
    assert_true(TAILQ_EMPTY(&s->stream.out));
    assert_int_equal(fiber_pool_running(stage.fibers), 0);
    say(client, STR("NO"));
    assert_int_equal(s->stream.in_own, 2);
    fake_client_done(client);
    off_stage();
}

static void submission_is_for_who_logged_in(void **state)
{
    (void)state;
    on_stage("submission { sessions_per_address = 1 }", NULL, 1);
    struct fake_client *client = stage_connect_to(&stage, "submission", "192.0.2.1");
    say(client, STR("EHLO c.example\r\n"));
    assert_str(say(client, STR("MAIL FROM:<a@b.example>\r\nVRFY bob\r\nEXPN staff\r\n")),
               STR("530 5.7.0 Authentication required\r\n530 5.7.0 Authentication required\r\n"
                   "530 5.7.0 Authentication required\r\n"));
    assert_str(say(client, STR("RCPT TO:<bob@example.test>\r\n")),
               STR("503 5.5.1 Bad sequence of commands; MAIL first\r\n"));
    assert_int_equal(stage.core.resolves, 0);
    struct fake_client *second = stage_connect_to(&stage, "submission", "192.0.2.1");
    assert_true(str_starts(say(second, STR("NOOP\r\n")), STR("421 4.7.0 localhost Too many")));
    fake_client_done(client);
    fake_client_done(second);
    off_stage();
}

static void an_address_has_so_many_sessions(void **state)
{
    (void)state;
    on_stage("smtp { sessions_per_address = 2 unlimited_from = \"192.0.2.9\" }", NULL, 1);
    struct fake_client *client[8];
    for (int i = 0; i < 3; i++)
        client[i] = stage_connect(&stage, false, "192.0.2.1");
    for (int i = 3; i < 7; i++)
        client[i] = stage_connect(&stage, false, "192.0.2.9");
    client[7] = stage_connect(&stage, false, "192.0.2.2");
    for (int i = 0; i < 8; i++) {
        buf_clear(&replies);
        stage_receive(client[i], &replies);
        struct str expected = i == 2 ? STR("421 4.7.0 localhost Too many sessions") : STR("220 ");
        assert_true(str_starts(buf_str(&replies), expected));
    }
    assert_int_equal(fake_client_state(client[2]), FAKE_CLIENT_ENDED);
    assert_int_equal(stage.edge.session_count, 7);
    fake_client_done(client[0]);
    stage_settle(&stage);
    client[0] = stage_connect(&stage, false, "192.0.2.1");
    assert_true(str_starts(say(client[0], STR("NOOP\r\n")), STR("220 ")));
    for (int i = 0; i < 8; i++)
        fake_client_done(client[i]);
    off_stage();
}

static void an_edge_has_so_many_sessions(void **state)
{
    (void)state;
    on_stage("smtp { sessions = 2 }", NULL, 1);
    struct fake_client *client[3];
    for (int i = 0; i < 3; i++)
        client[i] = stage_connect(&stage, false, LOCAL);
    assert_true(str_starts(say(client[2], STR("")), STR("421 4.7.0 ")));
    for (int i = 0; i < 3; i++)
        fake_client_done(client[i]);
    off_stage();
}

/* A busy loop would end the run with FAKE_SPINS. */
static void without_descriptors_it_waits(void **state)
{
    (void)state;
    on_stage("", &(struct fake_settings){.handles = 8, .spin_most = 10000}, 1);
    struct fake_client *client[10];
    for (int i = 0; i < 10; i++)
        client[i] = stage_connect(&stage, false, LOCAL);
    uint64_t here = stage.edge.session_count;
    assert_true(here > 0 && here < 10);
    stage_pass(&stage, NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, here);
    fake_client_done(client[0]);
    stage_pass(&stage, 2 * EDGE_ACCEPT_PAUSE);
    assert_int_equal(stage.edge.session_count, here);
    assert_int_equal(stage.edge.session_total, here + 1);
    for (int i = 1; i < 10; i++)
        fake_client_done(client[i]);
    stage_pass(&stage, 10 * EDGE_ACCEPT_PAUSE);
    assert_int_equal(stage.edge.session_count, 0);
    off_stage();
}

static void the_same_octets_are_as_many_messages(void **state)
{
    (void)state;
    enum {
        TIMES = 1000
    };
    on_stage("smtp { messages = 2000 }", NULL, 1);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    for (int i = 0; i < TIMES; i++) {
        say(client, STR(ENVELOPE));
        assert_true(str_starts(say(client, STR("x\r\n.\r\n")), STR("250 2.0.0 Accepted id ")));
    }
    say(client, STR("QUIT\r\n"));
    assert_int_equal(stage.core.messages, TIMES);
    assert_int_equal(stage.core.seen, TIMES);
    fake_client_done(client);
    off_stage();
}

/* Catalogue S03. */
static void a_thousand_ways_to_cut(void **state)
{
    (void)state;
    static const struct str parts[] = {
        STR_INIT("EHLO c.example\r\nVRFY bob\r\nMAIL FROM:<a@b.example> SIZE=100\r\n"
                 "RCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"),
        STR_INIT("Subject: x\r\n\r\n..\r\nMAIL FROM:<x>\r\n.\r\nMAIL FROM:<a@b.example>\r\n"
                 "RCPT TO:<bob@example.test>\r\nBDAT 10\r\nQUIT\r\nQUITBDAT 3 LAST\r\n.\r\nNOOP\r\n"
                 "QUIT\r\n"),
    };
    struct buf whole = BUF_INIT(REPLIES_MAX);
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct fake_settings weather = {.split = seed == 0 ? 0 : 700000};
        on_stage("", &weather, seed);
        struct fake_client *client = stage_connect(&stage, false, LOCAL);
        for (size_t i = 0; i < 2; i++) {
            stage_send(&stage, client, parts[i], SIZE_MAX, &replies);
            stage_settle(&stage);
            stage_receive(client, &replies);
        }
        if (seed == 0)
            buf_put(&whole, buf_str(&replies));
        assert_str(buf_str(&replies), buf_str(&whole));
        assert_int_equal(stage.core.messages, 2);
        fake_client_done(client);
        off_stage();
    }
    buf_done(&whole);
}

/* Its end was known but not told yet, and a commit asked it again and again what had become of it,
 * without ever letting go: the edge stood still for good. */
static void a_link_that_has_just_ended_is_waited_out(void **state)
{
    (void)state;
    uint32_t slabs[STAGE_SLABS];
    on_stage("", NULL, 1);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    struct slabs *pool = stage.edge.slabs;
    for (size_t i = 0; i < STAGE_SLABS; i++)
        assert_true(slabs_take(pool, &slabs[i]));
    say(client, STR(ENVELOPE));
    assert_int_equal(say(client, STR("text\r\n.\r\n")).n, 0);
    fake_role_enter(stage.fake, stage.edge_role);
    slabs_give(pool, slabs[0]); /* the message goes on ... */
    slabs_give(pool, slabs[1]);
    link_cut(stage.edge.core, err_make(ERR_BUS_BROKEN)); /* ... and first it finds this */
    for (size_t i = 2; i < STAGE_SLABS; i++)
        slabs_give(pool, slabs[i]);
    fake_role_enter(stage.fake, 0);
    stage_settle(&stage);
    assert_int_equal(stage.core.messages, 0);
    stage_core_start(&stage);
    stage_settle(&stage);
    stage_receive(client, &replies);
    assert_true(str_starts(buf_str(&replies), STR("250 2.0.0 Accepted")));
    assert_int_equal(stage.core.messages, 1);
    fake_client_done(client);
    off_stage();
}

static void a_client_that_does_not_read_is_dropped(void **state)
{
    (void)state;
    on_stage("smtp { commands = 1000000 }", &(struct fake_settings){.pipe_capacity = 4096}, 1);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    for (int i = 0; i < 20000; i++) {
        if (fake_client_send(client, STR("HELP\r\nHELP\r\nHELP\r\n")) == 0)
            break;
        stage_settle(&stage);
    }
    assert_int_equal(stage.edge.session_count, 1);
    assert_true(first_session()->stream.unsent < 2 * STREAM_OUT_SOFT);
    stage_pass(&stage, 301 * NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 0);
    fake_client_done(client);
    off_stage();
}

static void at_the_end_sessions_are_told(void **state)
{
    (void)state;
    on_stage("", NULL, 1);
    struct fake_client *idle = stage_connect(&stage, false, LOCAL);
    struct fake_client *busy = stage_connect(&stage, false, LOCAL);
    stage.core.commit_silent = true;
    say(busy, STR(ENVELOPE));
    say(busy, STR("x\r\n.\r\n"));
    struct fiber_start start = {.run = (void (*)(void *))edge_stop, .arg = &stage.edge};
    fake_role_enter(stage.fake, stage.edge_role);
    fiber_run(stage.fibers, &start);
    fake_role_enter(stage.fake, 0);
    stage_settle(&stage);
    assert_true(str_starts(say(idle, STR("")), STR("220 ")));
    assert_true(str_find(buf_str(&replies), STR("421 4.3.2 ")) > 0);
    fake_client_done(idle);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 1);
    /* What was promised is finished: the answer comes, then the 421. */
    stage_core_die(&stage);
    stage_core_start(&stage);
    buf_clear(&replies);
    stage_receive(busy, &replies);
    assert_true(str_starts(buf_str(&replies), STR("250 2.0.0 Accepted id ")));
    assert_true(str_find(buf_str(&replies), STR("421 4.3.2 ")) > 0);
    fake_client_done(busy);
    stage_settle(&stage);
    off_stage();
}

enum {
    RECIPIENTS = 1000,
};

/* The longest path RFC 5321 allows, for each recipient. */
static void long_recipients(struct fake_client *client)
{
    char labels[226] = "";
    memset(labels, 'd', sizeof labels - 1);
    labels[62] = labels[125] = labels[188] = '.';
    say(client, STR("HELO c.example\r\nMAIL FROM:<a@b.example>\r\n"));
    for (int i = 0; i < RECIPIENTS; i++) {
        char line[300];
        int n = snprintf(line, sizeof line, "RCPT TO:<number-%03d@%s.long.example.test>\r\n", i,
                         labels);
        assert_int_equal(n, strlen("RCPT TO:<>\r\n") + 254);
        assert_true(str_starts(say(client, str_make(line, (size_t)n)), STR("250 ")));
    }
    assert_true(str_starts(say(client, STR("DATA\r\n")), STR("354 ")));
}

/* They once were one message, which no packet holds: every such mail got 451 behind a restart. */
static void the_longest_recipients_are_named_to_the_next_core(void **state)
{
    (void)state;
    on_stage("", NULL, 1);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    long_recipients(client);
    stage_core_die(&stage);
    stage_core_start(&stage);
    size_t before = stage.core.resolves;
    assert_true(str_starts(say(client, STR("text\r\n.\r\n")), STR("250 2.0.0 ")));
    assert_int_equal(stage.core.recipients, RECIPIENTS);
    assert_int_equal(stage.core.resolves - before, 4);
    fake_client_done(client);
    off_stage();
}

static void half_of_a_question_is_no_answer(void **state)
{
    (void)state;
    on_stage("", NULL, 1);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    long_recipients(client);
    stage_core_die(&stage);
    stage_core_start(&stage);
    stage.core.silent_resolve = stage.core.resolves + 3;
    assert_int_equal(say(client, STR("text\r\n.\r\n")).n, 0);
    stage_core_die(&stage);
    stage_core_start(&stage);
    stage_receive(client, &replies);
    assert_true(str_starts(buf_str(&replies), STR("451 ")));
    assert_int_equal(stage.core.messages, 0);
    fake_client_done(client);
    off_stage();
}

/* --- Bad weather ----------------------------------------------------------------------------- */

enum {
    CLIENTS = 6,
    MESSAGES = 4, /* of each client */
    SEEDS = 150,
    STEPS = 400,
    IDS = 4 * CLIENTS * MESSAGES
};

struct sender {
    struct fake_client *client;
    size_t next;  /* line of the dialogue */
    size_t *ends; /* of data that anybody sent */
    struct buf heard;
};

/* Whether the client waits for its answers is up to the storm. */
static const struct str dialogue[] = {
    STR_INIT("HELO c.example\r\n"),
    STR_INIT("MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"),
    STR_INIT("DATA\r\n"),
    STR_INIT("Subject: x\r\n\r\ntext\r\n"),
    STR_INIT(".\r\n"),
    STR_INIT("MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nBDAT 4 LAST\r\nabc\n"),
    STR_INIT("RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"),
    STR_INIT("BDAT 5\r\nabc\r\n"),
    STR_INIT("BDAT 5 LAST\r\nabc\r\n"),
    STR_INIT("QUIT\r\n"),
};

enum {
    LINES = sizeof dialogue / sizeof *dialogue
};

/* Lines that end a message. */
static bool ends_message(size_t line)
{
    return line == 4 || line == 5 || line == 8;
}

static void note_accepted(struct sender *sender, bool accepted[IDS])
{
    static const struct str word = STR_INIT("Accepted id ");
    struct str text = buf_str(&sender->heard);
    for (ssize_t at; (at = str_find(text, word)) >= 0;) {
        uint64_t id;
        text = str_from_index(text, (size_t)at + word.n);
        if (text.n < MESSAGE_ID_TEXT)
            return;
        assert_true(message_id_parse(str_head(text, MESSAGE_ID_TEXT), &id));
        /* Only what core has is promised, and to one client only. */
        assert_true(id >= 1 && id < stage.core.next_message && id < IDS);
        assert_false(accepted[id]);
        accepted[id] = true;
    }
}

static void sender_goes(struct sender *sender, bool accepted[IDS])
{
    stage_receive(sender->client, &sender->heard);
    note_accepted(sender, accepted);
    fake_client_done(sender->client);
    buf_done(&sender->heard);
    *sender = (struct sender){.heard = BUF_INIT(REPLIES_MAX), .ends = sender->ends};
}

static void sender_steps(struct sender *sender, bool accepted[IDS])
{
    if (!sender->client) {
        sender->client = stage_connect(&stage, false, LOCAL);
    } else if (sender->next == LINES || fake_client_state(sender->client) != FAKE_CLIENT_OPEN) {
        sender_goes(sender, accepted);
    } else {
        stage_receive(sender->client, &sender->heard);
        struct str line = dialogue[sender->next];
        *sender->ends += ends_message(sender->next);
        if (fake_client_send(sender->client, line) == line.n)
            sender->next++;
        else
            sender_goes(sender, accepted);
    }
}

static void anybody_steps(struct sender *senders, struct fake_random *random, bool accepted[IDS])
{
    sender_steps(&senders[fake_random_below(random, CLIENTS)], accepted);
    stage_pass(&stage, (int64_t)fake_random_below(random, 30) * NS_PER_MS);
}

/* Core stops to answer commits, with or without effect, then dies and comes back. */
static void core_falls(struct sender *senders, struct fake_random *random, bool accepted[IDS])
{
    enum {
        STEPS_BEFORE = 10
    };
    struct stage_core *core = &stage.core;
    core->commit_silent = fake_random_below(random, 4) > 0;
    core->commit_lost = core->commit_silent && fake_random_below(random, 2) > 0;
    for (int i = 0; i < STEPS_BEFORE; i++)
        anybody_steps(senders, random, accepted);
    stage_core_die(&stage);
    stage_pass(&stage, (int64_t)fake_random_below(random, 8000) * NS_PER_MS);
    core->commit_lost = false;
    stage_core_start(&stage);
}

static void one_storm(uint64_t seed)
{
    struct fake_settings weather = {
        .split = 200000, .delay_most = 20 * NS_PER_MS, .reset = 3000, .vanish = 1000};
    struct sender senders[CLIENTS];
    struct fake_random random;
    bool accepted[IDS] = {false};
    size_t ends = 0;
    on_stage("smtp { bare_newlines_from = 127.0.0.1 }", &weather, seed);
    fake_world_random(stage.fake, "storm", &random);
    for (int i = 0; i < CLIENTS; i++)
        senders[i] = (struct sender){.heard = BUF_INIT(REPLIES_MAX), .ends = &ends};
    for (int i = 0; i < STEPS && stage.core.messages < IDS / 2; i++) {
        anybody_steps(senders, &random, accepted);
        if (fake_random_below(&random, 20) == 0)
            core_falls(senders, &random, accepted);
    }
    stage_pass(&stage, 70 * NS_PER_SECOND);
    for (int i = 0; i < CLIENTS; i++) {
        if (senders[i].client)
            sender_goes(&senders[i], accepted);
    }
    assert_true(stage.core.messages <= ends);
    /* Who vanished is found out in the end; nothing is left of anybody. */
    stage_pass(&stage, 1000 * NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 0);
    assert_int_equal(slabs_out(stage.edge.slabs), 0);
    assert_int_equal(fiber_pool_running(stage.fibers), 0);
    off_stage();
}

static void nothing_is_promised_or_kept_wrongly_in_bad_weather(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        one_storm(seed);
}

static void configure(const char *text, size_t *living)
{
    const struct conf *conf;
    assert_false(err_is(conf_held_read(str_from(text), living, &conf)));
    edge_configure(&stage.edge, conf);
    conf_let_go(conf);
}

/* Each stayed for as long as the edge. */
static void a_configuration_goes_with_its_last_session(void **state)
{
    (void)state;
    size_t living = 0;
    on_stage("", NULL, 1);
    configure("hostname = first.example", &living);
    struct fake_client *client = stage_connect(&stage, false, LOCAL);
    for (int i = 0; i < 100; i++)
        configure("hostname = later.example", &living);
    assert_int_equal(living, 2);
    assert_true(str_ends(say(client, STR("NOOP\r\nQUIT\r\n")),
                         STR("221 2.0.0 first.example closing connection\r\n")));
    fake_client_done(client);
    stage_settle(&stage);
    assert_int_equal(living, 1);
    edge_configure(&stage.edge, &stage.conf);
    assert_int_equal(living, 0);
    off_stage();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_session_is_its_struct),
        cmocka_unit_test(submission_is_for_who_logged_in),
        cmocka_unit_test(an_address_has_so_many_sessions),
        cmocka_unit_test(an_edge_has_so_many_sessions),
        cmocka_unit_test(without_descriptors_it_waits),
        cmocka_unit_test(the_same_octets_are_as_many_messages),
        cmocka_unit_test(a_thousand_ways_to_cut),
        cmocka_unit_test(a_link_that_has_just_ended_is_waited_out),
        cmocka_unit_test(a_client_that_does_not_read_is_dropped),
        cmocka_unit_test(at_the_end_sessions_are_told),
        cmocka_unit_test(the_longest_recipients_are_named_to_the_next_core),
        cmocka_unit_test(half_of_a_question_is_no_answer),
        cmocka_unit_test(a_configuration_goes_with_its_last_session),
        cmocka_unit_test(nothing_is_promised_or_kept_wrongly_in_bad_weather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
