/*
 * Ways of entries: which block holds when an entry comes due, what a courier is told of it, and
 * mail that a block refuses.
 */
#include "core/route.h"

#include "core/courier_rig_test.h"
#include "core/secrets.h"

#define OPEN "smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 }\n"

static void open_routes(const char *conf)
{
    open_house(conf);
    house.core.secrets = secrets_new();
    assert_non_null(house.core.secrets);
}

static void secret(const char *name, const char *via, const char *octets)
{
    const struct msg_route_secret told = {
        .name = str_from(name), .via = str_from(via), .secret = str_from(octets)};
    assert_false(err_is(secrets_take(house.core.secrets, &told)));
}

enum {
    CONFIGURED_MAX = 8
};

/* What reloads read; core has it to its end. */
static struct arena configured[CONFIGURED_MAX];
static size_t configured_count;

static int teardown_all(void **state)
{
    struct secrets *secrets = house.core.secrets;
    teardown(state);
    secrets_free(secrets);
    while (configured_count > 0)
        arena_done(&configured[--configured_count]);
    return 0;
}

/* --- What the edge and the courier say --- */

static void send_as(const char *sender, const char *recipient)
{
    send_from(sender, &recipient, 1);
}

static void over(const struct msg_job *job, enum job_verdict verdict, enum job_trouble trouble)
{
    over_with(job, verdict, verdict == JOB_SENT ? 250 : 450, STR(""), STR("so it is"), trouble,
              false);
}

static void goes_to(size_t i, const char *recipient, const char *route, const char *via)
{
    const struct msg_job *job = job_at(i);
    assert_int_equal(job->recipients_count, 1);
    assert_str(job->recipients[0].address, str_from(recipient));
    assert_str(job->route, str_from(route));
    assert_str(job->via, str_from(via));
}

/* A reload. */
static void configure(const char *conf)
{
    struct conf_trouble trouble;
    struct conf *next = arena_take(&house.arena, sizeof(*next));
    assert_true(configured_count < CONFIGURED_MAX);
    struct arena *arena = &configured[configured_count++];
    arena_init(arena, CONF_ARENA);
    assert_false(err_is(conf_parse(str_from(conf), STR("f"), STR("/"), arena, next, &trouble)));
    buf_done(&trouble.text);
    fake_role_enter(house.rig.fake, house.rig.role);
    core_configure(&house.core, next);
    fake_role_enter(house.rig.fake, 0);
    house_settle(&house);
}

/* --- Ways --- */

static void a_block_goes_with_the_job(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { to = far.test via = { s.test:465, [2001:db8::1]:587 } "
                     "shuffle = yes tls_names = { a.test, b.test } source = 192.0.2.25 "
                     "helo = out.test mechanisms = scram-sha-256 user = u password_file = p "
                     "tls = required }\n");
    secret("smart", "s.test:465 [2001:db8::1]:587", "pw");
    send_as("alice@example.test", "x@far.test");
    send_as("alice@example.test", "x@near.test");
    goes_to(0, "x@far.test", "@smart", "s.test:465 [2001:db8::1]:587");
    assert_str(job_at(0)->user, STR("u"));
    assert_str(job_at(0)->password, STR("pw"));
    assert_int_equal(job_at(0)->token, 0);
    const struct msg_job *job = job_at(0);
    assert_int_equal(job->shuffle, 1);
    assert_int_equal(job->lmtp, 0);
    assert_int_equal(job->tls, CONF_ROUTE_TLS_REQUIRED);
    assert_str(job->tls_names, STR("a.test b.test"));
    assert_str(job->source, STR("192.0.2.25"));
    assert_str(job->helo, STR("out.test"));
    assert_int_equal(job->mechanisms, 1u << SASL_SCRAM_SHA_256);
    goes_to(1, "x@near.test", "", "");
    assert_int_equal(job_at(1)->tls, CONF_ROUTE_TLS_AUTO);
}

/* Trouble with a smart host is that of its route, whatever the domain; by MX it is the domain's. */
static void a_route_is_a_destination(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { to = { a.test, b.test } via = s.test:25 }\n"
                     "route mx { to = c.test tls = verified }\n");
    struct schedule *schedule = &house.core.queue->schedule;
    send_as("alice@example.test", "x@a.test");
    send_as("alice@example.test", "x@c.test");
    assert_non_null(schedule_destination(schedule, STR("@smart")));
    assert_non_null(schedule_destination(schedule, STR("@mx/c.test")));
    goes_to(1, "x@c.test", "@mx/c.test", "");
    over(job_at(0), JOB_LATER, JOB_TROUBLE_LOGIN);
    send_as("alice@example.test", "x@b.test");
    assert_int_equal(job_count, 2);
    configure(OPEN "route smart { to = { a.test, b.test } via = s.test:25 }\n");
    assert_int_equal(job_count, 3); /* somebody may have mended it */
}

static void recipients_of_one_message_part(void **state)
{
    const char *all[] = {"anna@far.test", "bob@far.test", "carl@far.test"};
    (void)state;
    open_routes(OPEN "route hers { to = \"Anna@far.test\" via = s.test:25 }\n");
    send_from("alice@example.test", all, 3);
    goes_to(0, "anna@far.test", "@hers", "s.test:25");
    assert_int_equal(job_count, 1);
    over(job_at(0), JOB_SENT, JOB_NO_TROUBLE);
    assert_int_equal(job_count, 2);
    assert_int_equal(job_at(1)->recipients_count, 2);
    assert_str(job_at(1)->via, STR(""));
    over(job_at(1), JOB_SENT, JOB_NO_TROUBLE);
    assert_int_equal(house.core.queue->schedule.entries, 0);
}

/* Who was told "later" waits, and those whose turn had not come do not wait for him. */
static void turns_come_before_second_tries(void **state)
{
    const char *all[] = {"anna@far.test", "bob@far.test"};
    (void)state;
    open_routes(OPEN "route hers { to = \"anna@far.test\" via = s.test:25 }\n");
    send_from("alice@example.test", all, 2);
    over(job_at(0), JOB_LATER, JOB_NO_TROUBLE);
    goes_to(1, "bob@far.test", "", "");
    over(job_at(1), JOB_LATER, JOB_NO_TROUBLE);
    assert_int_equal(job_count, 2);
    house_pass(&house, 10 * 60 * NS_PER_SECOND);
    assert_int_equal(job_count, 3);
    over(job_at(2), JOB_SENT, JOB_NO_TROUBLE);
    assert_int_equal(job_count, 4);
    over(job_at(3), JOB_SENT, JOB_NO_TROUBLE);
    assert_int_equal(job_count, 4);
}

/* Where the first entry stands in line. */
static struct str line_of(void)
{
    return destination_name(schedule_next(&house.core.queue->schedule, NULL)->destination);
}

static void a_reload_holds_for_what_waits(void **state)
{
    (void)state;
    open_routes(OPEN "route one { to = far.test via = s.test:25 }\n");
    send_as("alice@example.test", "x@far.test");
    over(job_at(0), JOB_LATER, JOB_NO_TROUBLE);
    configure(OPEN "route two { to = far.test via = other.test:25 }\n");
    house_pass(&house, 10 * 60 * NS_PER_SECOND);
    goes_to(1, "x@far.test", "@two", "other.test:25");
    assert_str(line_of(), STR("@two"));
    over(job_at(1), JOB_LATER, JOB_NO_TROUBLE);
    configure(OPEN);
    house_pass(&house, 20 * 60 * NS_PER_SECOND);
    goes_to(2, "x@far.test", "", "");
    assert_str(line_of(), STR("far.test"));
    over(job_at(2), JOB_SENT, JOB_NO_TROUBLE);
    assert_int_equal(house.core.queue->schedule.entries, 0);
}

/* --- What to log in with --- */

#define SMART(via) OPEN "route smart { to = far.test via = " via " user = u token_file = p }\n"

/* A secret is for the hosts that it was read for: no other host gets it behind a reload. */
static void a_secret_is_for_its_hosts(void **state)
{
    (void)state;
    open_routes(SMART("s.test:465"));
    send_as("alice@example.test", "x@far.test");
    assert_int_equal(job_count, 0);
    secret("smart", "evil.test:465", "pw");
    secret("other", "s.test:465", "pw");
    configure(SMART("s.test:465"));
    house_pass(&house, 10 * 60 * NS_PER_SECOND);
    assert_int_equal(job_count, 0);
    assert_int_equal(house.core.queue->schedule.entries, 1);
    secret("smart", "s.test:465", "pw");
    configure(SMART("s.test:465"));
    house_pass(&house, 60 * 60 * NS_PER_SECOND);
    goes_to(0, "x@far.test", "@smart", "s.test:465");
    assert_str(job_at(0)->password, STR("pw"));
    assert_int_equal(job_at(0)->token, 1);
    secret("smart", "s.test:465", "");
    assert_int_equal(secrets_find(house.core.secrets, STR("smart"), STR("s.test:465")).n, 0);
    secrets_forget(house.core.secrets, house.core.conf);
    assert_int_equal(secrets_find(house.core.secrets, STR("other"), STR("s.test:465")).n, 0);
}

/* --- Limits --- */

#define MINUTE (60 * NS_PER_SECOND)

static void send_many(const char *domain, size_t count)
{
    const char *all[10];
    char texts[10][40];
    assert_true(count <= 10);
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof(texts[i]), "r%zu@%s", i, domain);
        all[i] = texts[i];
    }
    send_from("alice@example.test", all, count);
}

static void all_jobs_sent(size_t from)
{
    for (size_t i = from; i < job_count; i++)
        over(job_at(i), JOB_SENT, JOB_NO_TROUBLE);
}

static void one_message_has_so_many(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { via = s.test:25 recipients_per_message = 4 }\n");
    send_many("far.test", 10);
    all_jobs_sent(0);
    assert_int_equal(job_count, 3);
    assert_int_equal(job_at(0)->recipients_count, 4);
    assert_int_equal(job_at(1)->recipients_count, 4);
    assert_int_equal(job_at(2)->recipients_count, 2);
    assert_int_equal(house.core.queue->schedule.entries, 0);
}

/* What is more than an hour takes waits, and is not refused; the hour slides. */
static void messages_wait_for_their_hour(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { to = far.test via = s.test:25 messages_per_hour = 2 }\n");
    for (int i = 0; i < 4; i++)
        send_as("alice@example.test", "x@far.test");
    send_as("alice@example.test", "x@near.test");
    all_jobs_sent(0);
    assert_int_equal(job_count, 3); /* the other domain's among them */
    house_pass(&house, 30 * MINUTE);
    assert_int_equal(job_count, 3);
    house_pass(&house, 120 * MINUTE);
    all_jobs_sent(3);
    house_pass(&house, 180 * MINUTE);
    all_jobs_sent(4);
    assert_int_equal(job_count, 5);
    assert_int_equal(house.core.queue->schedule.entries, 0);
}

/* More recipients than a day takes: in parts, over days. */
static void a_message_goes_in_parts(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { via = s.test:25 recipients_per_day = 4 }\n"
                     "sending { expire = 20d }\n");
    send_many("far.test", 10);
    size_t done = 0, first_day;
    for (int hours = 0; hours < 24 * 14 && house.core.queue->schedule.entries > 0; hours++) {
        all_jobs_sent(done);
        done = job_count;
        if (hours == 1) {
            size_t named = 0;
            for (size_t i = 0; i < job_count; i++)
                named += job_at(i)->recipients_count;
            first_day = named;
            assert_true(first_day >= 1 && first_day <= 4);
        }
        house_pass(&house, 60 * MINUTE);
    }
    assert_int_equal(house.core.queue->schedule.entries, 0);
    size_t named = 0;
    for (size_t i = 0; i < job_count; i++)
        named += job_at(i)->recipients_count;
    assert_int_equal(named, 10);
}

/* Counts are kept: a core that begins anew does not begin to count anew. */
static void counts_outlive_core(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { to = far.test via = s.test:25 messages_per_day = 1 }\n");
    send_as("alice@example.test", "x@far.test");
    all_jobs_sent(0);
    struct secrets *secrets = house.core.secrets;
    house_stop(&house);
    house_settle(&house);
    house_start(&house);
    house.core.secrets = secrets;
    edge_end_connect(mx);
    edge_end_connect(box);
    edge_end_connect(courier);
    struct msg none = {.kind = MSG_jobs, .jobs = {.names = NULL}};
    edge_end_tell(courier, &none);
    house_settle(&house);
    send_as("alice@example.test", "another@far.test");
    house_pass(&house, MINUTE);
    assert_int_equal(job_count, 1);
    assert_int_equal(house.core.queue->schedule.entries, 1);
}

/* What never reached the host is no message of its. */
static void what_did_not_reach_it_does_not_count(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { to = far.test via = s.test:25 messages_per_day = 1 }\n");
    send_as("alice@example.test", "x@far.test");
    over(job_at(0), JOB_LATER, JOB_TROUBLE_CONNECT);
    house_pass(&house, 10 * MINUTE);
    assert_int_equal(job_count, 2);
    over(job_at(1), JOB_SENT, JOB_NO_TROUBLE);
    send_as("alice@example.test", "x@far.test");
    house_pass(&house, 10 * MINUTE);
    assert_int_equal(job_count, 2);
}

static void a_route_has_so_many_connections(void **state)
{
    (void)state;
    open_routes(OPEN "route smart { to = far.test via = s.test:25 connections = 1 }\n");
    for (int i = 0; i < 3; i++)
        send_as("alice@example.test", "x@far.test");
    assert_int_equal(job_count, 1);
    over(job_at(0), JOB_SENT, JOB_NO_TROUBLE);
    assert_int_equal(job_count, 2);
}

/* --- The postmaster --- */

#define TELLS "postmaster = bob@example.test\n" OPEN

static size_t told(void)
{
    return house_count(box, "bob@example.test");
}

/* Four of five: once in a day, whatever goes and comes, and however often core begins. */
static void the_postmaster_is_told_before_mail_waits(void **state)
{
    (void)state;
    open_routes(TELLS "route smart { to = far.test via = s.test:25 messages_per_day = 5 }\n");
    for (int i = 0; i < 3; i++)
        send_as("alice@example.test", "x@far.test");
    all_jobs_sent(0);
    assert_int_equal(told(), 0);
    send_as("alice@example.test", "x@far.test");
    all_jobs_sent(3);
    house_settle(&house);
    assert_int_equal(told(), 1);
    struct str message = newest("bob@example.test");
    assert_says(message, "Subject: Route smart nears its limit: messages a day\r\n");
    assert_says(message, "  messages a day: 4 of 5 (messages_per_day)\r\n");
    assert_says(message, "mail waits for its turn: nothing is refused or returned for it");
    send_as("alice@example.test", "x@far.test");
    house_pass(&house, 12 * 60 * MINUTE);
    assert_int_equal(told(), 1);
    struct secrets *secrets = house.core.secrets;
    house_stop(&house);
    house_settle(&house);
    house_start(&house);
    house.core.secrets = secrets;
    edge_end_connect(mx);
    edge_end_connect(box);
    edge_end_connect(courier);
    courier_ready(NULL, 0);
    send_as("alice@example.test", "x@far.test");
    house_pass(&house, 6 * 60 * MINUTE);
    assert_int_equal(told(), 1);
    house_pass(&house, 3 * 24 * 60 * MINUTE);
    size_t from = job_count;
    for (int i = 0; i < 4; i++) {
        send_as("alice@example.test", "x@far.test");
        house_pass(&house, 60 * MINUTE);
        all_jobs_sent(from);
        from = job_count;
    }
    assert_int_equal(told(), 2);
}

#define SECRET_BLOCK "route smart { to = far.test via = s.test:465 user = vps password_file = p }\n"

static void refuse_log_in(size_t i)
{
    over_with(job_at(i), JOB_LATER, 535, STR("5.7.8"), STR("who are you?"), JOB_TROUBLE_LOGIN,
              false);
}

static void a_refused_log_in_is_told_once_a_day(void **state)
{
    (void)state;
    open_routes(TELLS SECRET_BLOCK);
    secret("smart", "s.test:465", "pw");
    send_as("alice@example.test", "x@far.test");
    refuse_log_in(0);
    assert_int_equal(told(), 1);
    struct str message = newest("bob@example.test");
    assert_says(message, "Subject: Route smart: its log-in is refused, mail waits\r\n");
    assert_says(message, "\r\n  vps\r\n");
    assert_says(message, "\r\n  who are you?\r\n");
    assert_silent(message, "pw");
    size_t from = job_count;
    for (int hours = 0; hours < 23; hours++) {
        house_pass(&house, 60 * MINUTE);
        for (; from < job_count; from++)
            refuse_log_in(from);
    }
    assert_true(from > 5);
    assert_int_equal(told(), 1);
    house_pass(&house, 6 * 60 * MINUTE);
    for (; from < job_count; from++)
        refuse_log_in(from);
    assert_int_equal(told(), 2);
}

static void what_is_no_refusal_for_good_is_not_told(void **state)
{
    (void)state;
    open_routes(TELLS SECRET_BLOCK);
    secret("smart", "s.test:465", "pw");
    send_as("alice@example.test", "x@far.test");
    over_with(job_at(0), JOB_LATER, 454, STR("4.7.0"), STR("later"), JOB_TROUBLE_LOGIN, false);
    house_pass(&house, 10 * MINUTE);
    over_with(job_at(1), JOB_LATER, 535, STR(""), STR("is no log-in"), JOB_TROUBLE_BUSY, false);
    assert_int_equal(told(), 0);
}

static void he_is_told_in_his_language(void **state)
{
    (void)state;
    open_routes("language = zh\n" TELLS SECRET_BLOCK);
    secret("smart", "s.test:465", "pw");
    send_as("alice@example.test", "x@far.test");
    refuse_log_in(0);
    struct str message = newest("bob@example.test");
    assert_says(message, "Subject: =?utf-8?B?");
    assert_says(message, "经路由 smart 发送的邮件在等待");
    assert_says(message, "\r\n  who are you?\r\n");
}

/* --- Refused --- */

static void a_block_refuses_at_rcpt(void **state)
{
    const char *all[] = {"x@far.test", "x@near.test"};
    (void)state;
    open_routes(OPEN "route never { to = far.test from = example.test deny = \"Ask Anna.\" }\n");
    struct msg_resolved resolved = named(1, "alice@example.test", all, 2);
    assert_int_equal(resolved.answers[0].error, ERR_DESTINATION_DENIED);
    assert_int_equal(resolved.answers[0].reply, 550);
    assert_str(resolved.answers[0].text, STR("Ask Anna."));
    assert_int_equal(resolved.answers[1].error, ERR_NONE);
    send_as("bob@elsewhere.test", "x@far.test");
    assert_int_equal(job_count, 1);
}

static void what_waits_goes_back(void **state)
{
    (void)state;
    open_routes(OPEN);
    send_as("alice@example.test", "x@far.test");
    over(job_at(0), JOB_LATER, JOB_NO_TROUBLE);
    configure(OPEN "route never { to = far.test deny = \"Ask Anna.\" }\n");
    house_pass(&house, 10 * 60 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    assert_int_equal(house.core.queue->schedule.entries, 0);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
}

int main(void)
{
#define GIVEN(name) cmocka_unit_test_teardown(name, teardown_all)
    const struct CMUnitTest tests[] = {
        GIVEN(a_block_goes_with_the_job),
        GIVEN(a_route_is_a_destination),
        GIVEN(recipients_of_one_message_part),
        GIVEN(turns_come_before_second_tries),
        GIVEN(a_reload_holds_for_what_waits),
        GIVEN(a_block_refuses_at_rcpt),
        GIVEN(what_waits_goes_back),
        GIVEN(a_secret_is_for_its_hosts),
        GIVEN(one_message_has_so_many),
        GIVEN(messages_wait_for_their_hour),
        GIVEN(a_message_goes_in_parts),
        GIVEN(counts_outlive_core),
        GIVEN(what_did_not_reach_it_does_not_count),
        GIVEN(a_route_has_so_many_connections),
        GIVEN(the_postmaster_is_told_before_mail_waits),
        GIVEN(a_refused_log_in_is_told_once_a_day),
        GIVEN(what_is_no_refusal_for_good_is_not_told),
        GIVEN(he_is_told_in_his_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
