/*
 * Who may come in, and how fast he may go on, seen from outside: rates, networks, lists, proxies in
 * front, the tarpit.
 */
#include "edge/smtp/stage_test.h"

#include "base/test.h"
#include "edge/proxied.h"
#include "edge/smtp/pace.h"
#include "format/xclient.h"

enum {
    REPLIES_MAX = 1 << 16,
    MANY = 64,
};

static struct stage stage;
static struct buf replies;
static struct fake_client *clients[MANY];
static size_t client_count;

static void on_stage(const char *conf)
{
    stage_open(&stage, str_from(conf), NULL, 1, STAGE_SLABS);
    buf_init(&replies, REPLIES_MAX);
    client_count = 0;
}

static void off_stage(void)
{
    while (client_count > 0)
        fake_client_done(clients[--client_count]);
    stage_close(&stage);
    buf_done(&replies);
}

static struct fake_client *from(const char *address)
{
    assert_true(client_count < MANY);
    return clients[client_count++] = stage_connect(&stage, false, address);
}

static struct str say(struct fake_client *client, struct str text)
{
    buf_clear(&replies);
    stage_send(&stage, client, text, SIZE_MAX, &replies);
    return buf_str(&replies);
}

static struct str hears(struct fake_client *client)
{
    buf_clear(&replies);
    stage_receive(client, &replies);
    return buf_str(&replies);
}

static bool is_in(const char *address)
{
    return str_starts(hears(from(address)), STR("220 "));
}

static void who_is_denied_gets_a_line(void **state)
{
    (void)state;
    on_stage("smtp { deny_from = 192.0.2.0/24 allow_from = 192.0.2.7 }");
    assert_str(hears(from("192.0.2.1")), STR("554 5.7.1 localhost Access denied\r\n"));
    assert_true(is_in("192.0.2.7"));
    assert_true(is_in("192.0.3.1"));
    assert_int_equal(stage.core.refusals, 1);
    off_stage();
}

static void new_sessions_are_so_many_in_a_time(void **state)
{
    (void)state;
    on_stage("smtp { new_sessions_per_address = 3 unlimited_from = 192.0.2.9 }");
    for (int i = 0; i < 3; i++)
        assert_true(is_in("192.0.2.1"));
    assert_true(str_starts(hears(from("192.0.2.1")), STR("421 4.7.0 ")));
    assert_true(is_in("192.0.2.2"));
    for (int i = 0; i < 5; i++)
        assert_true(is_in("192.0.2.9"));
    stage_pass(&stage, EDGE_NEW_WITHIN);
    assert_true(is_in("192.0.2.1"));
    off_stage();
}

static void a_network_has_new_sessions_in_common(void **state)
{
    (void)state;
    on_stage("smtp { new_sessions_per_network = 2 }");
    assert_true(is_in("2001:db8::1"));
    assert_true(is_in("2001:db8::2"));
    assert_false(is_in("2001:db8::3"));
    assert_true(is_in("2001:db8:0:1::1"));
    off_stage();
}

static void a_network_has_so_many_sessions(void **state)
{
    (void)state;
    on_stage("smtp { sessions_per_network = 2 }");
    struct fake_client *first = from("192.0.2.1");
    assert_true(str_starts(hears(first), STR("220 ")));
    assert_true(is_in("192.0.2.2"));
    assert_false(is_in("192.0.2.3"));
    assert_true(is_in("192.0.3.1"));
    say(first, STR("QUIT\r\n"));
    fake_client_finish(first);
    stage_settle(&stage);
    assert_true(is_in("192.0.2.4"));
    off_stage();
}

/* --- Proxies --- */

static struct fake_client *through_proxy(const char *header)
{
    struct fake_client *client = from("203.0.113.1");
    assert_str(hears(client), STR(""));
    stage_send(&stage, client, str_from(header), 1, &replies);
    return client;
}

static const struct edge_session *last_session(void)
{
    return TAILQ_LAST(&stage.edge.sessions, edge_sessions);
}

static void a_proxy_says_whose_the_connection_is(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24");
    buf_clear(&replies);
    through_proxy("PROXY TCP4 198.51.100.7 192.0.2.2 56324 25\r\n");
    assert_true(str_starts(buf_str(&replies), STR("220 ")));
    assert_string_equal(last_session()->client->text, "198.51.100.7");
    assert_string_equal(last_session()->server, "192.0.2.2");
    assert_int_equal(last_session()->port, 56324);
    off_stage();
}

/* Also where the client speaks at once: its octets are nobody's but the session's. */
static void what_follows_the_header_is_the_sessions(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24");
    struct fake_client *client = from("203.0.113.1");
    say(client, STR("PROXY TCP4 198.51.100.7 192.0.2.2 56324 25\r\nEHLO x\r\n"));
    assert_true(str_starts(buf_str(&replies), STR("554 ")));
    off_stage();
}

static void limits_are_those_of_the_client_behind_it(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24 smtp { deny_from = 198.51.100.7 "
             "unlimited_from = 203.0.113.1 new_sessions_per_address = 1 }");
    buf_clear(&replies);
    through_proxy("PROXY TCP4 198.51.100.7 192.0.2.2 56324 25\r\n");
    assert_true(str_starts(buf_str(&replies), STR("554 5.7.1 ")));
    buf_clear(&replies);
    through_proxy("PROXY TCP4 198.51.100.8 192.0.2.2 56324 25\r\n");
    assert_true(str_starts(buf_str(&replies), STR("220 ")));
    buf_clear(&replies);
    through_proxy("PROXY TCP4 198.51.100.8 192.0.2.2 56325 25\r\n");
    assert_true(str_starts(buf_str(&replies), STR("421 ")));
    off_stage();
}

static void the_proxys_own_checks_are_its_own(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24");
    through_proxy("PROXY UNKNOWN\r\n");
    assert_string_equal(last_session()->client->text, "203.0.113.1");
    off_stage();
}

static void without_a_header_a_proxy_is_refused(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24");
    assert_true(str_starts(say(from("203.0.113.1"), STR("EHLO x\r\n")), STR("521 5.5.1 ")));
    assert_int_equal(stage.edge.session_count, 0);
    struct fake_client *silent = from("203.0.113.1");
    stage_pass(&stage, PROXIED_WAIT);
    assert_true(str_starts(hears(silent), STR("521 5.5.1 ")));
    assert_int_equal(stage.edge.proxied_count, 0);
    off_stage();
}

static void nobody_else_is_believed(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24");
    struct fake_client *client = from("192.0.2.1");
    assert_true(str_starts(hears(client), STR("220 ")));
    assert_true(
        str_starts(say(client, STR("PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n")), STR("521 5.5.1 ")));
    assert_int_equal(stage.edge.session_count, 1); /* closing */
    assert_string_equal(last_session()->client->text, "192.0.2.1");
    off_stage();
}

static void a_proxy_that_goes_away_is_forgotten(void **state)
{
    (void)state;
    on_stage("proxy_from = 203.0.113.0/24");
    struct fake_client *client = from("203.0.113.1");
    stage_send(&stage, client, STR("PROXY TCP4 19"), SIZE_MAX, &replies);
    assert_int_equal(stage.edge.proxied_count, 1);
    fake_client_finish(client);
    stage_settle(&stage);
    assert_int_equal(stage.edge.proxied_count, 0);
    off_stage();
}

/* --- XCLIENT, XFORWARD --- */

#define TRUSTED "203.0.113.1"
#define ENVELOPE "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"

static bool has(struct str replies_, const char *text)
{
    return str_find(replies_, str_from(text)) >= 0;
}

static struct fake_client *filter(const char *conf)
{
    on_stage(conf);
    struct fake_client *client = from(TRUSTED);
    assert_true(str_starts(hears(client), STR("220 ")));
    return client;
}

static void a_filter_says_whose_the_session_is(void **state)
{
    (void)state;
    struct fake_client *client = filter("hostname = mx.example.test\n"
                                        "smtp { xclient_from = 203.0.113.1 }");
    assert_true(has(say(client, STR("EHLO filter.example\r\n")),
                    "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
                    "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"));
    assert_str(say(client, STR("XCLIENT ADDR=198.51.100.7 PORT=4711 DESTADDR=192.0.2.25 "
                               "NAME=spike.example HELO=spike LOGIN=bob\r\n")),
               STR("220 mx.example.test ESMTP Veredus\r\n"));
    assert_string_equal(last_session()->client->text, "198.51.100.7");
    assert_string_equal(last_session()->server, "192.0.2.25");
    assert_int_equal(last_session()->port, 4711);
    assert_int_equal(edge_client_sessions(&stage.edge, TRUSTED), 0);
    assert_int_equal(edge_client_sessions(&stage.edge, "198.51.100.7"), 1);
    /* EHLO is forgotten, and so is the trust */
    assert_true(str_starts(say(client, STR("MAIL FROM:<>\r\n")), STR("503 5.5.1 ")));
    assert_false(has(say(client, STR("EHLO spike\r\n")), "XCLIENT"));
    say(client, STR("MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"
                    "DATA\r\n"));
    say(client, STR("Subject: x\r\n\r\n.\r\n"));
    assert_true(has(buf_str(&stage.core.received), "from spike ([198.51.100.7])"));
    off_stage();
}

static void nobody_else_stands_for_another(void **state)
{
    static const char *const asked[] = {"XCLIENT ADDR=127.0.0.1\r\n", "XFORWARD ADDR=127.0.0.1\r\n",
                                        "XCLIENT\r\n", "xclient nonsense\r\n"};
    (void)state;
    on_stage("smtp { xclient_from = 203.0.113.1 }");
    struct fake_client *client = from("192.0.2.1");
    assert_false(has(say(client, STR("EHLO x\r\n")), "250-X"));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_str(say(client, str_from(asked[i])), STR("550 5.7.0 Not allowed\r\n"));
    say(client, STR("MAIL FROM:<>\r\n"));
    assert_str(say(client, str_from(asked[0])), STR("550 5.7.0 Not allowed\r\n"));
    assert_string_equal(last_session()->client->text, "192.0.2.1");
    assert_int_equal(stage.core.refusals, 5);
    off_stage();
}

static void who_was_spoken_for_is_not_believed(void **state)
{
    (void)state;
    struct fake_client *client = filter("smtp { xclient_from = 203.0.113.0/24 }");
    assert_true(str_starts(say(client, STR("XCLIENT ADDR=203.0.113.2\r\n")), STR("220 ")));
    assert_true(str_starts(say(client, STR("XCLIENT ADDR=127.0.0.1\r\n")), STR("550 5.7.0 ")));
    assert_true(str_starts(say(client, STR("XFORWARD ADDR=127.0.0.1\r\n")), STR("550 5.7.0 ")));
    assert_string_equal(last_session()->client->text, "203.0.113.2");
    off_stage();
}

static void whose_it_is_is_said_before_a_message(void **state)
{
    (void)state;
    struct fake_client *client = filter("smtp { xclient_from = 203.0.113.1 }");
    say(client, STR(ENVELOPE));
    assert_true(str_starts(say(client, STR("XCLIENT ADDR=192.0.2.1\r\n")), STR("503 5.5.1 ")));
    assert_true(str_starts(say(client, STR("XFORWARD ADDR=192.0.2.1\r\n")), STR("503 5.5.1 ")));
    say(client, STR("RSET\r\n"));
    assert_true(str_starts(say(client, STR("XCLIENT PORT=99999\r\n")), STR("501 5.5.4 ")));
    assert_true(str_starts(say(client, STR("XCLIENT ADDR=[UNAVAILABLE]\r\n")), STR("501 5.5.4 ")));
    assert_true(str_starts(say(client, STR("XCLIENT ADDR=192.0.2.1\r\n")), STR("220 ")));
    off_stage();
}

static struct fake_client *stands_for(const char *address)
{
    char line[80];
    struct fake_client *client = from(TRUSTED);
    (void)snprintf(line, sizeof line, "XCLIENT ADDR=%s\r\n", address);
    hears(client);
    say(client, str_from(line));
    return client;
}

static void limits_are_those_of_who_is_spoken_for(void **state)
{
    (void)state;
    on_stage("smtp { xclient_from = 203.0.113.1 deny_from = 198.51.100.7 "
             "unlimited_from = 203.0.113.1 sessions_per_network = 3 "
             "sessions_per_address = 2 }");
    stands_for("198.51.100.7");
    assert_true(str_starts(buf_str(&replies), STR("554 5.7.1 ")));
    stands_for("192.0.2.1");
    assert_true(str_starts(buf_str(&replies), STR("220 ")));
    struct fake_client *second = stands_for("192.0.2.1");
    assert_true(str_starts(buf_str(&replies), STR("220 ")));
    stands_for("192.0.2.1");
    assert_true(str_starts(buf_str(&replies), STR("421 4.7.0 ")));
    say(second, STR("QUIT\r\n"));
    fake_client_finish(second);
    stage_settle(&stage);
    assert_int_equal(edge_client_sessions(&stage.edge, "192.0.2.1"), 2);
    off_stage();
}

static void a_message_is_passed_on_with_facts(void **state)
{
    (void)state;
    struct fake_client *client = filter("smtp { xclient_from = 203.0.113.1 }");
    say(client, STR("EHLO x\r\n"));
    assert_str(say(client, STR("XFORWARD ADDR=198.51.100.7 NAME=a+22b\r\n")),
               STR("250 2.0.0 OK\r\n"));
    say(client, STR("XFORWARD IDENT=4711 PORT=[UNAVAILABLE]\r\n"));
    say(client, STR("MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"));
    say(client, STR("text\r\n.\r\n"));
    assert_true(has(buf_str(&stage.core.facts), "client=\"203.0.113.1\""));
    assert_true(has(buf_str(&stage.core.facts),
                    " forwarded_name=\"a\\\"b\" forwarded_addr=\"198.51.100.7\" "
                    "forwarded_ident=\"4711\""));
    assert_false(has(buf_str(&stage.core.received), "198.51.100.7"));
    /* of this message alone */
    say(client, STR("MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"));
    say(client, STR("text\r\n.\r\n"));
    assert_false(has(buf_str(&stage.core.facts), "forwarded"));
    assert_int_equal(stage.core.messages, 2);
    off_stage();
}

static void facts_have_an_end(void **state)
{
    char line[XCLIENT_VALUE_MAX + 20] = "XFORWARD NAME=";
    (void)state;
    struct fake_client *client = filter("smtp { xclient_from = 203.0.113.1 }");
    memset(line + strlen(line), 'x', XCLIENT_VALUE_MAX);
    memcpy(line + 14 + XCLIENT_VALUE_MAX, "\r\n", 3);
    size_t each = strlen(" forwarded_name=\"\"") + XCLIENT_VALUE_MAX, fit = 0;
    while (str_starts(say(client, str_from(line)), STR("250 ")))
        fit++;
    assert_int_equal(fit, (SMTP_FORWARDED_MAX + 1) / each);
    assert_true(str_starts(buf_str(&replies), STR("452 4.5.3 ")));
    off_stage();
}

/* --- The pace --- */

static void messages_are_so_many_in_a_minute(void **state)
{
    (void)state;
    on_stage("smtp { messages_per_minute = 3 unlimited_from = 192.0.2.9 }");
    struct fake_client *first = from("192.0.2.1"), *second = from("192.0.2.1");
    say(first, STR("HELO x\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n"));
    say(second, STR("HELO x\r\nMAIL FROM:<>\r\nRSET\r\n"));
    assert_str(say(second, STR("MAIL FROM:<>\r\n")),
               STR("450 4.7.1 Too many messages from your address; try again later\r\n"));
    assert_true(str_starts(say(second, STR("RCPT TO:<bob@example.test>\r\n")), STR("503 ")));
    assert_true(has(say(from("192.0.2.2"), STR("HELO x\r\nMAIL FROM:<>\r\n")), "250 2.1.0"));
    struct fake_client *friend = from("192.0.2.9");
    say(friend, STR("HELO x\r\n"));
    for (int i = 0; i < 5; i++)
        assert_true(has(say(friend, STR("MAIL FROM:<>\r\nRSET\r\n")), "250 2.1.0"));
    stage_pass(&stage, PACE_MESSAGES_IN / 3);
    assert_true(str_starts(say(second, STR("MAIL FROM:<>\r\n")), STR("250 2.1.0")));
    off_stage();
}

static void one_host_has_one_pace(void **state)
{
    (void)state;
    on_stage("smtp { messages_per_minute = 1 }");
    assert_true(has(say(from("2001:db8::1"), STR("HELO x\r\nMAIL FROM:<>\r\n")), "250 2.1.0"));
    assert_true(has(say(from("2001:db8::2"), STR("HELO x\r\nMAIL FROM:<>\r\n")), "450 4.7.1"));
    assert_true(has(say(from("2001:db8:0:1::1"), STR("HELO x\r\nMAIL FROM:<>\r\n")), "250 2.1.0"));
    off_stage();
}

#define GUESS "RCPT TO:<nobody@example.test>\r\n"
#define UNKNOWN "550 5.1.1 No such mailbox here\r\n"

/* One that has guessed as often as is free. */
static struct fake_client *guesser(const char *address)
{
    struct fake_client *client = from(address);
    say(client, STR("HELO x\r\nMAIL FROM:<>\r\n"));
    assert_str(say(client, STR(GUESS GUESS)), STR(UNKNOWN UNKNOWN));
    return client;
}

#define TARPIT "smtp { tarpit_after = 2 tarpit = 5s unlimited_from = 192.0.2.9 "

static void guesses_get_slow(void **state)
{
    (void)state;
    on_stage(TARPIT "}");
    struct fake_client *client = guesser("192.0.2.1");
    assert_str(say(client, STR(GUESS "RCPT TO:<bob@example.test>\r\n")), STR(""));
    assert_int_equal(fiber_pool_running(stage.fibers), 0);
    stage_pass(&stage, 5 * NS_PER_SECOND - 1);
    assert_str(hears(client), STR(""));
    stage_pass(&stage, 1);
    assert_str(hears(client), STR(UNKNOWN "250 2.1.5 Recipient OK\r\n"));
    off_stage();
}

static void another_session_is_no_faster(void **state)
{
    (void)state;
    on_stage(TARPIT "}");
    guesser("192.0.2.1");
    struct fake_client *again = from("192.0.2.1"), *other = from("192.0.2.2"),
                       *friend = from("192.0.2.9");
    say(again, STR("HELO x\r\nMAIL FROM:<>\r\n"));
    assert_str(say(again, STR(GUESS)), STR(""));
    say(other, STR("HELO x\r\nMAIL FROM:<>\r\n"));
    assert_str(say(other, STR(GUESS)), STR(UNKNOWN));
    say(friend, STR("HELO x\r\nMAIL FROM:<>\r\n"));
    for (int i = 0; i < 5; i++)
        assert_str(say(friend, STR(GUESS)), STR(UNKNOWN));
    off_stage();
}

static void guesses_by_vrfy_get_slow(void **state)
{
    (void)state;
    on_stage(TARPIT "verify = open }");
    struct fake_client *client = guesser("192.0.2.1");
    assert_str(say(client, STR("VRFY nobody\r\n")), STR(""));
    stage_pass(&stage, 5 * NS_PER_SECOND);
    assert_true(str_starts(hears(client), STR("550 5.1.1 ")));
    assert_str(say(client, STR("EXPN nobody\r\n")), STR(""));
    off_stage();
}

/* Each costs its time, however many come at once. */
static void pipelined_guesses_get_slow_each(void **state)
{
    (void)state;
    on_stage(TARPIT "}");
    struct fake_client *client = guesser("192.0.2.1");
    assert_str(say(client, STR(GUESS GUESS GUESS "NOOP\r\n")), STR(""));
    for (int i = 0; i < 2; i++) {
        stage_pass(&stage, 5 * NS_PER_SECOND);
        assert_str(hears(client), STR(UNKNOWN));
    }
    stage_pass(&stage, 5 * NS_PER_SECOND);
    assert_str(hears(client), STR(UNKNOWN "250 2.0.0 OK\r\n"));
    off_stage();
}

static void a_slow_session_ends_by_errors(void **state)
{
    (void)state;
    on_stage(TARPIT "errors = 3 }");
    struct fake_client *client = guesser("192.0.2.1");
    assert_true(has(say(client, STR(GUESS)), UNKNOWN "421 4.7.0 "));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    fake_client_finish(client);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
    off_stage();
}

static void a_slow_session_is_stopped(void **state)
{
    (void)state;
    on_stage(TARPIT "}");
    struct fake_client *client = guesser("192.0.2.1");
    assert_str(say(client, STR(GUESS)), STR(""));
    struct edge_session *session = TAILQ_FIRST(&stage.edge.sessions);
    session->protocol->stop(session);
    stage_settle(&stage);
    assert_true(has(hears(client), UNKNOWN "421 4.3.2 "));
    fake_client_finish(client);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
    off_stage();
}

static void a_slow_client_goes_away(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        on_stage(TARPIT "}");
        struct fake_client *client = guesser("192.0.2.1");
        assert_str(say(client, STR(GUESS GUESS)), STR(""));
        if (way == 0)
            fake_client_finish(client);
        else
            fake_client_reset(client);
        stage_pass(&stage, 10 * NS_PER_SECOND);
        assert_int_equal(stage.edge.session_count, 0);
        off_stage();
    }
}

static void a_tarpit_may_be_off(void **state)
{
    (void)state;
    on_stage("smtp { tarpit_after = 1 tarpit = 0s }");
    struct fake_client *client = guesser("192.0.2.1");
    assert_str(say(client, STR(GUESS)), STR(UNKNOWN));
    off_stage();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_denied_gets_a_line),
        cmocka_unit_test(new_sessions_are_so_many_in_a_time),
        cmocka_unit_test(a_network_has_new_sessions_in_common),
        cmocka_unit_test(a_network_has_so_many_sessions),
        cmocka_unit_test(a_proxy_says_whose_the_connection_is),
        cmocka_unit_test(what_follows_the_header_is_the_sessions),
        cmocka_unit_test(limits_are_those_of_the_client_behind_it),
        cmocka_unit_test(the_proxys_own_checks_are_its_own),
        cmocka_unit_test(without_a_header_a_proxy_is_refused),
        cmocka_unit_test(nobody_else_is_believed),
        cmocka_unit_test(a_proxy_that_goes_away_is_forgotten),
        cmocka_unit_test(a_filter_says_whose_the_session_is),
        cmocka_unit_test(nobody_else_stands_for_another),
        cmocka_unit_test(who_was_spoken_for_is_not_believed),
        cmocka_unit_test(whose_it_is_is_said_before_a_message),
        cmocka_unit_test(limits_are_those_of_who_is_spoken_for),
        cmocka_unit_test(a_message_is_passed_on_with_facts),
        cmocka_unit_test(facts_have_an_end),
        cmocka_unit_test(messages_are_so_many_in_a_minute),
        cmocka_unit_test(one_host_has_one_pace),
        cmocka_unit_test(guesses_get_slow),
        cmocka_unit_test(another_session_is_no_faster),
        cmocka_unit_test(guesses_by_vrfy_get_slow),
        cmocka_unit_test(pipelined_guesses_get_slow_each),
        cmocka_unit_test(a_slow_session_ends_by_errors),
        cmocka_unit_test(a_slow_session_is_stopped),
        cmocka_unit_test(a_slow_client_goes_away),
        cmocka_unit_test(a_tarpit_may_be_off),
    };
    return cmocka_run_group_tests_name("smtp_admission", tests, NULL, NULL);
}
