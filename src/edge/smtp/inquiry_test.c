/* What is asked of the DNS about a client, where time, death and change get in between. What is
 * said for it is in test/transcripts, 60 to 64. */
#include "edge/smtp/inquiry.h"

#include "base/test.h"
#include "edge/smtp/dns_stage_test.h"

static struct stage stage;
static struct dns_stage names;
static struct buf heard;

#define REFUSE "smtp { reverse_dns = refuse\nhelo_check = ignore\nsender_check = ignore\n"

static void on_stage(struct str conf, struct str *lines, size_t count)
{
    buf_init(&heard, 1 << 16);
    stage_open(&stage, conf, NULL, 1, STAGE_SLABS);
    dns_stage_open(&names, &stage);
    for (size_t i = 0; i < count; i++)
        dns_stage_add(&names, lines[i]);
}

static void off_stage(void)
{
    dns_stage_close(&names, &stage);
    buf_done(&heard);
}

static struct str say(struct fake_client *client, const char *text)
{
    buf_clear(&heard);
    stage_send(&stage, client, str_from(text), SIZE_MAX, &heard);
    return buf_str(&heard);
}

static struct str hears(struct fake_client *client, int64_t ns)
{
    buf_clear(&heard);
    stage_pass(&stage, ns);
    stage_receive(client, &heard);
    return buf_str(&heard);
}

#define MAIL "HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n"

static bool has(struct str text, const char *what)
{
    return str_find(text, str_from(what)) >= 0;
}

/* The client goes while its questions are under way: they end by themselves. */
static void a_client_goes_before_the_answers(void **state)
{
    struct str lines[] = {STR_INIT("in-addr.arpa SLOW 5")};
    (void)state;
    on_stage(STR(REFUSE "}"), lines, 1);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    fake_client_done(client);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
    assert_int_equal(fiber_pool_running(stage.fibers), 1);
    stage_pass(&stage, 6 * NS_PER_SECOND);
    assert_int_equal(fiber_pool_running(stage.fibers), 0);
    off_stage();
}

/* The edge ends with questions that nobody will answer. */
static void an_edge_ends_before_the_answers(void **state)
{
    struct str lines[] = {STR_INIT("in-addr.arpa SILENT")};
    (void)state;
    on_stage(STR(REFUSE "}"), lines, 1);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    say(client, MAIL);
    fake_client_done(client);
    off_stage();
}

/* A resolver that dies is waited for no longer than for one that is slow. */
static void a_resolver_dies(void **state)
{
    struct str lines[] = {STR_INIT("in-addr.arpa SILENT")};
    (void)state;
    on_stage(STR(REFUSE "dns_wait = 3s }"), lines, 1);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    assert_false(has(say(client, MAIL), "250 2.1.5"));
    fake_role_enter(stage.fake, names.role);
    link_done(&names.link);
    names.up = false;
    fake_role_enter(stage.fake, 0);
    assert_true(has(hears(client, 3 * NS_PER_SECOND), "250 2.1.5"));
    fake_client_done(client);
    off_stage();
}

/* What cannot be refused is not waited for. */
static void nothing_waits_where_nothing_refuses(void **state)
{
    struct str lines[] = {STR_INIT("in-addr.arpa SILENT")};
    (void)state;
    on_stage(STR(""), lines, 1);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    assert_true(has(say(client, MAIL), "250 2.1.5"));
    fake_client_done(client);
    off_stage();
}

static void postmaster_does_not_wait(void **state)
{
    struct str lines[] = {STR_INIT("in-addr.arpa SILENT")};
    (void)state;
    on_stage(STR(REFUSE "}"), lines, 1);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    say(client, "HELO x\r\nMAIL FROM:<>\r\n");
    assert_true(has(say(client, "RCPT TO:<postmaster@example.test>\r\n"), "250 2.1.5"));
    fake_client_done(client);
    off_stage();
}

static bool asks_about(const char *conf, const char *address, const char *listener)
{
    on_stage(str_from(conf), NULL, 0);
    struct fake_client *client = stage_connect_to(&stage, listener, address);
    bool asked = fake_zones_asked(names.zones) > 0;
    fake_client_done(client);
    off_stage();
    return asked;
}

static void some_are_not_asked_about(void **state)
{
    (void)state;
    assert_true(asks_about("", "192.0.2.1", "smtp"));
    assert_false(asks_about("", "192.0.2.1", "lmtp"));
    assert_false(asks_about("", "127.0.0.1", "smtp"));
    assert_false(asks_about("", "10.1.2.3", "smtp"));
    assert_true(asks_about("smtp { unchecked_from = {} }", "10.1.2.3", "smtp"));
    assert_false(asks_about("smtp { relay_from = 192.0.2.0/24 }", "192.0.2.1", "smtp"));
    assert_false(asks_about("smtp { unchecked_from = 192.0.2.1 }", "192.0.2.1", "smtp"));
    assert_false(asks_about("smtp { reverse_dns = ignore }", "192.0.2.1", "smtp"));
}

/* The answer about an earlier HELO comes late and says nothing about the new one. */
static void an_answer_about_an_earlier_name(void **state)
{
    struct str lines[] = {STR_INIT("late.example SLOW 2"), STR_INIT("mail.example A 192.0.2.1"),
                          STR_INIT("late.example A 192.0.2.99")};
    (void)state;
    on_stage(STR("smtp { reverse_dns = ignore\nhelo_check = refuse\nsender_check = ignore }"),
             lines, 3);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    say(client, "HELO nothing.late.example\r\n");
    say(client, "HELO mail.example\r\n");
    stage_pass(&stage, 5 * NS_PER_SECOND); /* A, then AAAA */
    assert_true(has(say(client, "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n"), "250 2.1.5"));
    fake_client_done(client);
    off_stage();
}

static void rings(struct timer *timer)
{
    (void)timer;
}

/* A world in which nothing is due stands still: something must be. */
static void a_list_gets_old(void)
{
    struct timer timer = {.run = rings};
    fake_role_enter(stage.fake, stage.edge_role);
    timer_set(&stage.edge_loop, &timer, stage.edge_loop.now + DNS_LIST_LASTS);
    fake_role_enter(stage.fake, 0);
    stage_pass(&stage, 2 * DNS_LIST_LASTS);
}

/* For all sessions it is tested once; again when that has lasted. */
static void a_list_is_tested_once(void **state)
{
    struct str lines[] = {STR_INIT("2.0.0.127.l.test A 127.0.0.2")};
    (void)state;
    on_stage(STR("smtp { reverse_dns = ignore\nhelo_check = ignore\nsender_check = ignore }\n"
                 "dns_list l { zone = l.test\nrefuse = yes }"),
             lines, 1);
    for (int i = 0; i < 3; i++)
        fake_client_done(stage_connect(&stage, false, "192.0.2.1"));
    assert_int_equal(fake_zones_asked(names.zones), 2 + 3);
    a_list_gets_old();
    fake_client_done(stage_connect(&stage, false, "192.0.2.1"));
    assert_int_equal(fake_zones_asked(names.zones), 2 + 3 + 2 + 1);
    off_stage();
}

/* A list that begins to list everything is ignored; when it is mended it counts again. */
static void a_list_breaks_and_is_mended(void **state)
{
    struct str lines[] = {STR_INIT("2.0.0.127.l.test A 127.0.0.2"),
                          STR_INIT("1.2.0.192.l.test A 127.0.0.2"),
                          STR_INIT("1.0.0.127.l.test A 127.0.0.2")};
    (void)state;
    on_stage(STR("smtp { reverse_dns = ignore\nhelo_check = ignore\nsender_check = ignore }\n"
                 "dns_list l { zone = l.test\nrefuse = yes }"),
             lines, 2);
    static const char *const expected[] = {"550 5.7.1", "250 2.1.5", "550 5.7.1"};
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            dns_stage_add(&names, lines[2]);
        else if (i == 2)
            fake_zones_drop(names.zones, "1.0.0.127.l.test");
        struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
        assert_true(has(say(client, MAIL), expected[i]));
        fake_client_done(client);
        a_list_gets_old();
    }
    off_stage();
}

/* XCLIENT: another client, other questions. */
static void another_client_stands_there(void **state)
{
    struct str lines[] = {STR_INIT("192.0.2.1 PTR mail.example"),
                          STR_INIT("mail.example A 192.0.2.1")};
    (void)state;
    on_stage(STR(REFUSE "xclient_from = 192.0.2.1 }"), lines, 2);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    say(client, "XCLIENT ADDR=192.0.2.2\r\n");
    assert_true(has(say(client, MAIL), "550 5.7.25"));
    fake_client_done(client);
    off_stage();
}

/* Those whose names nobody answers for take an edge's share of the resolver, and no more. */
static void an_edge_asks_its_share(void **state)
{
    struct str lines[] = {STR_INIT("in-addr.arpa SILENT")};
    struct fake_client *clients[11];
    (void)state;
    on_stage(STR(REFUSE "processes = 4 }\ndns { questions = 80 }"), lines, 1);
    for (unsigned i = 0; i < 11; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "192.0.2.%u", i);
        clients[i] = stage_connect(&stage, false, address);
        assert_int_equal(fiber_pool_running(stage.fibers), i < 10 ? i + 1 : 10);
    }
    assert_true(has(say(clients[10], MAIL), "250 2.1.5")); /* nothing is known */
    for (unsigned i = 0; i < 11; i++)
        fake_client_done(clients[i]);
    off_stage();
}

/* Whoever may say what he likes says what is on an allow list. */
static void nobody_allows_himself(void **state)
{
    struct str lines[] = {
        STR_INIT("test.good.test A 127.0.0.2"), STR_INIT("friend.example.good.test A 127.0.0.2"),
        STR_INIT("friend.example A 198.51.100.1"), STR_INIT("192.0.2.2 PTR friend.example"),
        STR_INIT("friend.example A 192.0.2.2")};
    (void)state;
    on_stage(STR(REFUSE "}\ndns_list good { zone = good.test\nkind = allow\n"
                        "of = { name, helo, sender } }"),
             lines, 5);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    assert_true(has(say(client, "HELO friend.example\r\nMAIL FROM:<a@friend.example>\r\n"
                                "RCPT TO:<bob@example.test>\r\n"),
                    "550 5.7.25"));
    fake_client_done(client);
    client = stage_connect(&stage, false, "192.0.2.2"); /* the name of its address is proven */
    say(client, MAIL);
    say(client, "DATA\r\n");
    assert_true(has(say(client, "Subject: x\r\n\r\n.\r\n"), "250 2.0.0"));
    assert_true(has(buf_str(&stage.core.facts), "found=\"score=0 allowed=good/127.0.0.2\""));
    fake_client_done(client);
    off_stage();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_goes_before_the_answers),
        cmocka_unit_test(an_edge_ends_before_the_answers),
        cmocka_unit_test(a_resolver_dies),
        cmocka_unit_test(nothing_waits_where_nothing_refuses),
        cmocka_unit_test(postmaster_does_not_wait),
        cmocka_unit_test(some_are_not_asked_about),
        cmocka_unit_test(an_answer_about_an_earlier_name),
        cmocka_unit_test(a_list_is_tested_once),
        cmocka_unit_test(a_list_breaks_and_is_mended),
        cmocka_unit_test(another_client_stands_there),
        cmocka_unit_test(an_edge_asks_its_share),
        cmocka_unit_test(nobody_allows_himself),
    };
    return cmocka_run_group_tests_name("inquiry", tests, NULL, NULL);
}
