/*
 * Who may come in, seen from outside: rates, networks, lists, and proxies in front.
 */
#include "edge/smtp/stage_test.h"

#include "base/test.h"
#include "edge/proxied.h"

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
    };
    return cmocka_run_group_tests_name("smtp_admission", tests, NULL, NULL);
}
