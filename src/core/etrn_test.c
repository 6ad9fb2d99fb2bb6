/*
 * ETRN: what waits is tried now, and nobody is told more than he may know.
 */
#include "core/courier_rig_test.h"
#include "core/login.h"

static const char conf[] =
    "smtp { relay_from = \"0.0.0.0/0\" etrn_from = \"192.0.2.7\" etrn_domains = \"*\" }"
    "sending { processes = 1 retry_first = 1h }"
    "route out { to = \".routed.test\" tls = off }"
    "route host { to = \"hosted.test\" via = \"192.0.2.33:25\" }";
static const char narrow[] = "smtp { relay_from = \"192.0.2.1\" etrn_from = \"192.0.2.7\" "
                             "etrn_domains = \"far.test .far.test\" }"
                             "sending { processes = 1 retry_first = 1h }"
                             "route near { to = \"far.test\" tls = off }"
                             "route away { to = \"else.test\" tls = off }"
                             "route all { tls = off }";

static struct msg_etrn_answer ask_by(const char *client, enum etrn_scope scope, const char *name)
{
    struct msg answer;
    struct msg question = {
        .kind = MSG_etrn,
        .etrn = {.client = str_from(client), .scope = (uint8_t)scope, .name = str_from(name)}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    house_settle(&house);
    return answer.etrn_answer;
}

static int asked(enum etrn_scope scope, const char *name)
{
    return ask_by("192.0.2.7", scope, name).reply;
}

static int asked_domain(const char *name)
{
    return asked(ETRN_DOMAIN, name);
}

/* They were tried, and put off for an hour; then the house is as it was. */
static void put_off(const char *recipient, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)send_one(recipient);
        over_later(job_at(job_count - 1));
    }
}

static int setup_etrn(void **state)
{
    (void)state;
    open_house(conf);
    return 0;
}

static int setup_narrow(void **state)
{
    (void)state;
    open_house(narrow);
    return 0;
}

static void what_waits_is_tried_now_and_counted(void **state)
{
    (void)state;
    put_off("bob@far.test", 2);
    put_off("bob@sub.far.test", 1);
    size_t before = job_count;
    struct msg_etrn_answer answer = ask_by("192.0.2.7", ETRN_DOMAIN, "far.test");
    assert_int_equal(answer.reply, 253);
    assert_int_equal(answer.count, 2);
    assert_int_equal(job_count, before + 2);
    assert_true(str_eq(job_at(before)->domain, STR("far.test")));
    over_sent(job_at(before));
    over_sent(job_at(before + 1));
    assert_int_equal(waiting(), 1);
    assert_int_equal(asked_domain("nobody.test"), 251);
}

static void one_destination_is_roused_once_a_minute(void **state)
{
    (void)state;
    put_off("bob@far.test", 1);
    assert_int_equal(asked_domain("far.test"), 253);
    over_later(job_at(job_count - 1));
    size_t before = job_count;
    assert_int_equal(asked_domain("far.test"), 458);
    assert_int_equal(job_count, before);
    house_pass(&house, 59 * NS_PER_SECOND);
    assert_int_equal(asked_domain("far.test"), 458);
    house_pass(&house, 2 * NS_PER_SECOND);
    assert_int_equal(asked_domain("far.test"), 253);
    assert_int_equal(job_count, before + 1);
}

static void what_is_held_paused_or_for_later_stays(void **state)
{
    (void)state;
    put_off("bob@far.test", 2);
    struct schedule *schedule = &house.core.queue->schedule;
    schedule_hold(schedule, schedule_next(schedule, NULL), 1, 0);
    schedule_next(schedule, schedule_next(schedule, NULL))->later = true;
    size_t before = job_count;
    assert_int_equal(asked_domain("far.test"), 251);
    put_off("bob@stopped.test", 1);
    before = job_count;
    assert_true(schedule_pause(schedule, STR("stopped.test"), true));
    assert_int_equal(asked_domain("stopped.test"), 458);
    assert_true(schedule_pause(schedule, STR(""), true));
    assert_int_equal(asked_domain("stopped.test"), 458);
    assert_int_equal(job_count, before);
}

static void all_below_a_name_and_all_of_a_route(void **state)
{
    (void)state;
    put_off("bob@far.test", 1);
    put_off("bob@a.far.test", 1);
    put_off("bob@b.a.far.test", 1);
    put_off("bob@afar.test", 1);
    put_off("bob@one.routed.test", 1);
    put_off("bob@two.routed.test", 1);
    size_t before = job_count;
    assert_int_equal(asked(ETRN_BELOW, "far.test"), 250);
    assert_int_equal(job_count, before + 3);
    assert_int_equal(asked(ETRN_QUEUE, "out"), 250);
    assert_int_equal(job_count, before + 5);
    assert_int_equal(asked(ETRN_QUEUE, "nothing"), 459);
}

static void by_the_route_that_a_domain_goes(void **state)
{
    (void)state;
    put_off("bob@one.routed.test", 1);
    size_t before = job_count;
    assert_int_equal(asked_domain("one.routed.test"), 253);
    assert_int_equal(job_count, before + 1);
    /* A host's line has mail for others, too: it goes, and is not counted. */
    put_off("bob@hosted.test", 1);
    before = job_count;
    assert_int_equal(asked_domain("hosted.test"), 250);
    assert_int_equal(job_count, before + 1);
}

static void a_long_line_is_roused_in_slices(void **state)
{
    (void)state;
    put_off("bob@far.test", 1);
    struct schedule *schedule = &house.core.queue->schedule;
    for (uint64_t i = 1; i <= 1500; i++) {
        const struct schedule_facts facts = {.message = i,
                                             .destination = STR("far.test"),
                                             .next = INT64_MAX / 2,
                                             .judge = UINT32_MAX};
        assert_non_null(schedule_add(schedule, &facts));
    }
    struct destination *destination = schedule_destination(schedule, STR("far.test"));
    destination->most = 1; /* so that most of them stay in the line */
    assert_int_equal(asked_domain("far.test"), 252);
    assert_true(RB_EMPTY(&destination->times) && destination->due > 1400);
}

static void for_whom_and_what_it_is_served(void **state)
{
    (void)state;
    assert_int_equal(asked_domain("far.test"), 251);
    assert_int_equal(asked_domain("a.far.test"), 251);
    assert_int_equal(asked_domain("else.test"), 459);
    assert_int_equal(ask_by("192.0.2.1", ETRN_DOMAIN, "far.test").reply, 251);
    assert_int_equal(ask_by("192.0.2.8", ETRN_DOMAIN, "far.test").reply, 459);
    assert_int_equal(asked(ETRN_QUEUE, "near"), 250);
    assert_int_equal(asked(ETRN_QUEUE, "away"), 459);
    assert_int_equal(asked(ETRN_QUEUE, "all"), 459);
    /* Below a name, those that are served. */
    put_off("bob@far.test", 1);
    put_off("bob@else.test", 1);
    size_t before = job_count;
    assert_int_equal(asked(ETRN_BELOW, "test"), 250);
    assert_int_equal(job_count, before + 1);
}

static void users_hear_no_numbers(void **state)
{
    (void)state;
    put_off("bob@far.test", 1);
    struct edge_end *sub = house_edge(&house, ROLE_SUB);
    struct msg answer, login = {.kind = MSG_login,
                                .login = {.protocol = LISTEN_SUBMISSION,
                                          .encrypted = 1,
                                          .mechanism = SASL_PLAIN,
                                          .client = STR("192.0.2.1"),
                                          .user = STR("bob@example.test"),
                                          .password = STR("secret")}};
    struct msg question = {.kind = MSG_etrn,
                           .etrn = {.client = STR("192.0.2.7"), .name = STR("far.test")}};
    assert_false(err_is(house_ask(sub, question, &answer)));
    assert_int_equal(answer.etrn_answer.reply, 459); /* nobody has logged in */
    assert_false(err_is(house_ask(sub, login, &answer)));
    assert_int_equal(answer.logged_in.error, ERR_NONE);
    size_t before = job_count;
    question.etrn.login = answer.logged_in.handle;
    assert_false(err_is(house_ask(sub, question, &answer)));
    assert_int_equal(answer.etrn_answer.reply, 250);
    assert_int_equal(answer.etrn_answer.count, 0);
    house_settle(&house);
    assert_int_equal(job_count, before + 1);
    over_sent(job_at(before));
    question.etrn.name = STR("nobody.test");
    assert_false(err_is(house_ask(sub, question, &answer)));
    assert_int_equal(answer.etrn_answer.reply, 250);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_etrn, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_is_tried_now_and_counted),
        TEST(one_destination_is_roused_once_a_minute),
        TEST(what_is_held_paused_or_for_later_stays),
        TEST(all_below_a_name_and_all_of_a_route),
        TEST(by_the_route_that_a_domain_goes),
        TEST(a_long_line_is_roused_in_slices),
        cmocka_unit_test_setup_teardown(for_whom_and_what_it_is_served, setup_narrow, teardown),
        TEST(users_hear_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
