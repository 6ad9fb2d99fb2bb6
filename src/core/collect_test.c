/*
 * Collections: who may have what, one job at a time and line, and nothing lost with their ends.
 */
#include "core/collect.h"

#include "core/courier_rig_test.h"

static const char conf[] =
    "smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 retry_first = 1h expire = 4h "
    "warn_after = 3h }"
    "route office { to = { office.test, .office.test } collect = bob@example.test }"
    "route branch { to = branch.test collect = { bob@example.test, alice@example.test } }";
static const char reloaded[] =
    "smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 retry_first = 1h }"
    "route office { to = office.test tls = off }";

static struct edge_end *sub;

static int setup_collect(void **state)
{
    (void)state;
    open_house(conf);
    sub = house_edge(&house, ROLE_SUB);
    return 0;
}

static uint64_t log_in(const char *user)
{
    struct msg answer, login = {.kind = MSG_login,
                                .login = {.protocol = LISTEN_SUBMISSION,
                                          .encrypted = 1,
                                          .mechanism = SASL_PLAIN,
                                          .client = STR("192.0.2.1"),
                                          .user = str_from(user),
                                          .password = STR("secret")}};
    assert_false(err_is(house_ask(sub, login, &answer)));
    assert_int_equal(answer.logged_in.error, ERR_NONE);
    return answer.logged_in.handle;
}

/* "a.test b.test"; empty: all. */
static int collects(uint64_t login, const char *domains)
{
    struct msg_text_line lines[8];
    struct str rest = str_from(domains);
    struct msg answer;
    struct msg question = {.kind = MSG_collect,
                           .collect = {.login = login,
                                       .client = STR("192.0.2.1"),
                                       .port = 4321,
                                       .helo = STR("office.test"),
                                       .domains = lines}};
    while (rest.n)
        lines[question.collect.domains_count++].text = str_cut(&rest, ' ');
    assert_false(err_is(house_ask(sub, question, &answer)));
    if (answer.collect_answer.reply == 250) {
        assert_int_equal(answer.collect_answer.line, sub->last_line);
        assert_int_equal(answer.collect_answer.line, courier->last_line);
    }
    house_settle(&house);
    return answer.collect_answer.reply;
}

static struct destination *line(const char *name)
{
    struct destination *found = schedule_destination(&house.core.queue->schedule, str_from(name));
    assert_non_null(found);
    return found;
}

static void not_tried(const struct msg_job *job)
{
    over_with(job, JOB_NOT_TRIED, 0, STR(""), STR(""), JOB_NO_TROUBLE, false);
}

static void ended(void)
{
    const struct msg msg = {.kind = MSG_collection_ended,
                            .collection_ended = {.collection = courier->last_line}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
}

static void it_waits_until_its_owner_comes_and_goes_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        (void)send_one("carol@office.test");
    house_pass(&house, 7200 * NS_PER_SECOND);
    assert_int_equal(job_count, 0);
    assert_int_equal(waiting(), 3);
    assert_int_equal(collects(log_in("bob@example.test"), "office.test"), 250);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(job_count, i + 1);
        assert_int_equal(job_at(i)->collection, courier->last_line);
        assert_int_equal(courier->lines_over, 0);
        over_sent(job_at(i));
    }
    assert_int_equal(waiting(), 0);
    assert_int_equal(courier->lines_over, 1);
    assert_int_equal(house.core.queue->collection_count, 0);
}

static void it_is_warned_about_and_expires(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@office.test");
    house_pass(&house, 5 * 3600 * NS_PER_SECOND);
    assert_int_equal(job_count, 0);
    assert_int_equal(waiting(), 0);
    assert_told(message, "time was over before it could be tried");
    assert_says(newest("alice"), "carol@office.test");
}

static void etrn_does_not_send_it(void **state)
{
    (void)state;
    struct msg answer;
    const struct msg question = {.kind = MSG_etrn,
                                 .etrn = {.client = STR("192.0.2.7"), .name = STR("office.test")}};
    (void)send_one("carol@office.test");
    assert_false(err_is(house_ask(mx, question, &answer)));
    assert_int_equal(answer.etrn_answer.reply, 458);
    assert_int_equal(job_count, 0);
}

static void what_others_send_goes_as_ever(void **state)
{
    (void)state;
    (void)send_one("carol@far.test");
    assert_int_equal(job_count, 1);
    assert_int_equal(job_at(0)->collection, 0);
}

static void only_what_is_his(void **state)
{
    (void)state;
    uint64_t bob = log_in("bob@example.test"), alice = log_in("alice@example.test");
    (void)send_one("carol@office.test");
    (void)send_one("carol@a.office.test");
    (void)send_one("carol@branch.test");
    assert_int_equal(collects(alice, "office.test"), 450);
    assert_int_equal(collects(alice, "branch.test office.test"), 450);
    assert_int_equal(collects(alice, "far.test"), 450);
    assert_int_equal(collects(bob, "b.office.test"), 453);
    assert_int_equal(job_count, 0);
    assert_int_equal(collects(alice, ""), 250);
    assert_int_equal(job_count, 1);
    assert_true(str_eq(job_at(0)->domain, STR("branch.test")));
    over_sent(job_at(0));
    assert_int_equal(collects(alice, ""), 453);
    /* Lines of one collection each have one under way; their courier sorts them. */
    assert_int_equal(collects(bob, ""), 250);
    assert_int_equal(job_count, 3);
    assert_int_equal(job_at(1)->collection, job_at(2)->collection);
}

static void nobody_who_has_not_logged_in(void **state)
{
    (void)state;
    (void)send_one("carol@office.test");
    assert_int_equal(collects(4711, ""), 451);
    assert_int_equal(job_count, 0);
}

static void one_collects_a_line_at_a_time(void **state)
{
    (void)state;
    uint64_t bob = log_in("bob@example.test"), alice = log_in("alice@example.test");
    (void)send_one("carol@branch.test");
    (void)send_one("carol@branch.test");
    assert_int_equal(collects(bob, "branch.test"), 250);
    assert_int_equal(collects(alice, "branch.test"), 450);
    assert_int_equal(job_count, 1);
    ended();
    /* Its job may still be on its way. */
    assert_int_equal(collects(alice, "branch.test"), 450);
    over_sent(job_at(0));
    assert_int_equal(job_count, 1);
    assert_int_equal(collects(alice, "branch.test"), 250);
    assert_int_equal(job_count, 2);
}

static void what_did_not_come_to_its_connection_was_not_tried(void **state)
{
    (void)state;
    uint64_t bob = log_in("bob@example.test");
    uint64_t message = send_one("carol@office.test");
    assert_int_equal(collects(bob, ""), 250);
    not_tried(job_at(0));
    assert_int_equal(job_count, 1); /* the collection is no more */
    assert_int_equal(line("@office/office.test")->collection, 0);
    assert_int_equal(line("@office/office.test")->due, 1);
    assert_int_equal(collects(bob, ""), 250);
    over_sent(job_at(1));
    assert_told(message, "Sent to <carol@office.test>");
    assert_int_equal(waiting(), 0);
}

static void a_client_in_trouble_is_left_and_may_come_again(void **state)
{
    (void)state;
    uint64_t bob = log_in("bob@example.test");
    (void)send_one("carol@office.test");
    (void)send_one("carol@office.test");
    assert_int_equal(collects(bob, ""), 250);
    over_with(job_at(0), JOB_LATER, 0, STR("4.4.2"), STR("the connection was lost"),
              JOB_TROUBLE_BUSY, false);
    assert_int_equal(job_count, 1);
    assert_int_equal(courier->lines_over, 1);
    assert_int_equal(line("@office/office.test")->troubles, 1);
    assert_int_equal(collects(bob, ""), 250); /* at once: its quiet time is for those we call */
    assert_int_equal(line("@office/office.test")->troubles, 0);
    assert_int_equal(job_count, 2);
}

static void a_courier_that_dies_ends_it(void **state)
{
    (void)state;
    uint64_t bob = log_in("bob@example.test");
    (void)send_one("carol@office.test");
    assert_int_equal(collects(bob, ""), 250);
    edge_end_leave(courier);
    assert_int_equal(house.core.queue->collection_count, 0);
    assert_int_equal(collects(bob, ""), 450); /* its job is looked for yet */
    house_pass(&house, 20 * NS_PER_SECOND);
    assert_int_equal(collects(bob, ""), 451); /* no courier */
    edge_end_connect(courier);
    courier_ready(NULL, 0);
    assert_int_equal(job_count, 1);
    assert_int_equal(collects(bob, ""), 250);
    assert_int_equal(job_count, 2);
}

static void what_is_held_or_paused_is_not_handed_over(void **state)
{
    (void)state;
    uint64_t bob = log_in("bob@example.test");
    struct schedule *schedule = &house.core.queue->schedule;
    (void)send_one("carol@office.test");
    schedule_hold(schedule, schedule_next(schedule, NULL), 1, 0);
    assert_int_equal(collects(bob, ""), 453);
    schedule_hold(schedule, schedule_next(schedule, NULL), 0, 0);
    assert_true(schedule_pause(schedule, STR("@office/office.test"), true));
    assert_int_equal(collects(bob, ""), 453);
    assert_int_equal(job_count, 0);
}

static void reload(struct rig *rig, void *arg)
{
    struct conf_trouble trouble;
    (void)rig;
    assert_false(
        err_is(conf_parse(str_from(arg), STR("x"), STR(""), &house.arena, &house.conf, &trouble)));
    buf_done(&trouble.text);
    core_configure(&house.core, &house.conf);
}

static void a_reload_sends_what_is_collected_no_more(void **state)
{
    (void)state;
    (void)send_one("carol@office.test");
    assert_int_equal(job_count, 0);
    assert_true(rig_do(&house.rig, reload, (void *)(uintptr_t)reloaded));
    house_settle(&house);
    assert_int_equal(job_count, 1);
    assert_int_equal(job_at(0)->collection, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_collect, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_waits_until_its_owner_comes_and_goes_one_by_one),
        TEST(it_is_warned_about_and_expires),
        TEST(etrn_does_not_send_it),
        TEST(what_others_send_goes_as_ever),
        TEST(only_what_is_his),
        TEST(nobody_who_has_not_logged_in),
        TEST(one_collects_a_line_at_a_time),
        TEST(what_did_not_come_to_its_connection_was_not_tried),
        TEST(a_client_in_trouble_is_left_and_may_come_again),
        TEST(a_courier_that_dies_ends_it),
        TEST(what_is_held_or_paused_is_not_handed_over),
        TEST(a_reload_sends_what_is_collected_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
