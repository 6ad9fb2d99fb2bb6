#include "core/queue.h"

#include "core/courier_rig_test.h"

/* --- Acceptance --- */

static void mail_for_others_becomes_a_job(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    assert_int_equal(job_count, 1);
    const struct msg_job *job = job_at(0);
    assert_int_equal(job->message, message);
    assert_str(job->domain, STR("far.test"));
    assert_str(job->sender, STR("alice@example.test"));
    assert_int_equal(job->recipients_count, 1);
    assert_str(job->recipients[0].address, STR("carol@far.test"));
    struct buf octets = BUF_INIT(1 << 20);
    assert_false(err_is(fetch(job, SLAB_SIZE, &octets)));
    assert_int_equal(octets.n, job->size);
    assert_says(buf_str(&octets), "Received: from c.example\r\nFrom: alice");
    assert_true(str_ends(buf_str(&octets), STR("\r\n\r\nbody\r\n")));
    buf_done(&octets);
    over_sent(job);
    assert_int_equal(recorded, 1);
    assert_int_equal(last_recorded, job->job);
    assert_int_equal(waiting(), 0);
    assert_told(message, "Queued for far.test: <carol@far.test>, 1 in all.");
    assert_told(message, "Sent to <carol@far.test> by mx.far.test: 250 2.0.0 ok.");
}

static void who_may_not_relay_is_refused(void **state)
{
    (void)state;
    assert_int_equal(house_resolve_one(mx, 1, "carol@far.test").error, ERR_RELAY_DENIED);
}

static void without_couriers_nothing_is_taken_for_others(void **state)
{
    (void)state;
    struct msg_answer answer = house_resolve_one(mx, 1, "carol@far.test");
    assert_int_equal(answer.error, ERR_NOT_SENDING);
    assert_int_equal(answer.reply, 550);
}

/* What an edge remembers of an answer it gives to any client. */
static void that_one_may_relay_is_not_remembered_for_others(void **state)
{
    (void)state;
    assert_int_equal(house_resolve_one(mx, 1, "carol@far.test").lasts, 0);
    assert_int_equal(house_resolve_one(mx, 2, "bob@example.test").lasts, 1);
}

static void one_entry_for_each_domain_and_the_body_once(void **state)
{
    (void)state;
    const char *const recipients[] = {"a@one.test", "b@two.test", "c@one.test", "bob@example.test",
                                      "a@one.test"};
    send_from("alice@example.test", recipients, 5);
    assert_int_equal(job_count, 2);
    assert_str(job_at(0)->domain, STR("one.test"));
    assert_int_equal(job_at(0)->recipients_count, 2);
    assert_int_equal(job_at(1)->recipients_count, 1);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    over_sent(job_at(0));
    struct buf octets = BUF_INIT(1 << 20);
    assert_false(err_is(fetch(job_at(1), 100, &octets))); /* the other still has the body */
    buf_done(&octets);
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

static void a_large_body_is_given_piece_by_piece(void **state)
{
    (void)state;
    static char large[200000];
    memset(large, 'x', sizeof(large));
    memcpy(large, "Subject: l\r\n\r\n", 14);
    for (size_t i = 100; i + 2 < sizeof(large); i += 100)
        memcpy(large + i, "\r\n", 2);
    memcpy(large + sizeof(large) - 2, "\r\n", 2);
    house_deliver(mx, 1, "carol@far.test", str_make(large, sizeof(large)), 1);
    house_settle(&house);
    struct buf octets = BUF_INIT(1 << 20);
    assert_false(err_is(fetch(job_at(0), 5000, &octets)));
    assert_int_equal(octets.n, job_at(0)->size);
    struct str body = str_from_index(buf_str(&octets), octets.n - sizeof(large));
    assert_memory_equal(body.p, large, sizeof(large));
    buf_done(&octets);
    over_sent(job_at(0));
}

/* --- Results --- */

static void who_is_told_later_waits_longer_each_time(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    int64_t wait = house.conf.sending.retry_first;
    for (size_t i = 0; i < 4; i++) {
        over_later(job_at(i));
        assert_int_equal(recorded, i + 1);
        house_pass(&house, wait - wait / 8);
        assert_int_equal(job_count, i + 1);
        house_pass(&house, wait / 4);
        assert_int_equal(job_count, i + 2);
        wait *= 2;
    }
    assert_told(message, "Not sent yet to <carol@far.test> (mx.far.test: 451 4.7.1 greylisted); "
                         "next try in 1");
    over_sent(job_at(4));
    assert_int_equal(waiting(), 0);
}

static void a_failure_is_reported_to_its_sender(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    over_failed(job_at(0));
    assert_int_equal(waiting(), 0);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    struct str report = newest("alice@example.test");
    assert_says(report, "Return-Path: <>\r\n");
    assert_says(report, "Final-Recipient: rfc822;");
    assert_says(report, "carol@far.test");
    assert_says(report, "Status: 5.1.1");
    assert_says(report, "no such user");
    assert_says(report, "Subject: hello");
    assert_told(
        message,
        "Not sent to <carol@far.test>, and given up (mx.far.test: 550 5.1.1 no such user).");
    assert_told(message, "A report about <carol@far.test> (1 in all) went to <alice@example.test>");
}

static void of_several_recipients_each_has_a_fate(void **state)
{
    (void)state;
    const char *const recipients[] = {"a@far.test", "b@far.test", "c@far.test"};
    send_from("alice@example.test", recipients, 3);
    const struct msg_job *job = job_at(0);
    struct msg_job_result results[] = {
        {.number = 0, .verdict = JOB_SENT, .code = 250, .text = STR("ok")},
        {.number = 1, .verdict = JOB_FAILED, .code = 550, .text = STR("never")},
        {.number = 2, .verdict = JOB_LATER, .code = 452, .text = STR("full")},
    };
    struct msg msg = {.kind = MSG_job_over,
                      .job_over = {.job = job->job, .results = results, .results_count = 3}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
    assert_int_equal(waiting(), 1);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    house_pass(&house, house.conf.sending.retry_first * 2);
    assert_int_equal(job_count, 2);
    assert_int_equal(job_at(1)->recipients_count, 1);
    assert_str(job_at(1)->recipients[0].address, STR("c@far.test"));
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

static void a_sender_elsewhere_gets_his_report_by_the_queue(void **state)
{
    (void)state;
    const char *recipient = "carol@far.test";
    send_from("zoe@other.test", &recipient, 1);
    over_failed(job_at(0));
    assert_int_equal(job_count, 2);
    assert_str(job_at(1)->domain, STR("other.test"));
    assert_int_equal(job_at(1)->sender.n, 0);
    struct buf octets = BUF_INIT(1 << 20);
    assert_false(err_is(fetch(job_at(1), SLAB_SIZE, &octets)));
    assert_says(buf_str(&octets), "multipart/report");
    buf_done(&octets);
    /* And nobody is told of a report that fails (F14), but the postmaster. */
    size_t before = house_count(box, "alice@example.test");
    over_failed(job_at(1));
    assert_int_equal(waiting(), 0);
    assert_int_equal(job_count, 2);
    assert_int_equal(house_count(box, "alice@example.test"), before + 1);
}

static void reports_that_fail_may_be_dropped(void **state)
{
    (void)state;
    const char *recipient = "carol@far.test";
    uint64_t message = send_from("", &recipient, 1);
    over_failed(job_at(0));
    assert_int_equal(waiting(), 0);
    assert_int_equal(job_count, 1);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    assert_told(message, "Not sent to <carol@far.test>, and given up");
}

static void what_waited_too_long_goes_back(void **state)
{
    (void)state;
    send_one("carol@far.test");
    size_t i = 0;
    int64_t until = house.rig.loop->now + house.conf.sending.expire + house.conf.sending.retry_most;
    while (waiting() && house.rig.loop->now < until) {
        if (i < job_count)
            over_later(job_at(i++));
        house_pass(&house, 600 * NS_PER_SECOND);
    }
    assert_int_equal(waiting(), 0);
    struct str report = newest("alice@example.test");
    assert_says(report, "Status: 5.4.7");
    assert_says(report, "greylisted");
    /* One warning on the way, one report at the end. */
    assert_int_equal(house_count(box, "alice@example.test"), 2);
}

/* --- Destinations --- */

static void a_dead_destination_costs_one_try_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        send_one("carol@far.test");
    assert_int_equal(job_count, 2); /* the window of a new destination */
    for (size_t i = 0; i < 2; i++)
        over_with(job_at(i), JOB_LATER, 0, STR("4.4.1"), STR("nobody answers"), JOB_TROUBLE_CONNECT,
                  false);
    house_pass(&house, 20 * NS_PER_SECOND);
    assert_int_equal(job_count, 2);
    send_one("dora@live.test");
    assert_int_equal(job_count, 3);
    assert_str(job_at(2)->domain, STR("live.test"));
    house_pass(&house, 20 * NS_PER_SECOND);
    assert_int_equal(job_count, 4);
    assert_str(job_at(3)->domain, STR("far.test"));
    over_sent(job_at(3));
    assert_true(job_count > 4); /* and it goes on */
}

/* --- Deaths --- */

static void a_courier_that_dies_sends_again_what_it_had(void **state)
{
    (void)state;
    send_one("carol@far.test");
    uint64_t first = job_at(0)->job;
    edge_end_leave(courier);
    edge_end_connect(courier);
    assert_int_equal(job_count, 1); /* it may still have it */
    courier_ready(NULL, 0);
    assert_int_equal(job_count, 2);
    assert_true(job_at(1)->job != first);
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

static void a_courier_whose_link_broke_keeps_its_jobs(void **state)
{
    (void)state;
    send_one("carol@far.test");
    const struct msg_job *job = job_at(0);
    const struct msg_job_name name = {
        .job = job->job, .message = job->message, .entry = job->entry};
    edge_end_leave(courier);
    edge_end_connect(courier);
    courier_ready(&name, 1);
    assert_int_equal(job_count, 1);
    struct buf octets = BUF_INIT(1 << 20);
    assert_false(err_is(fetch(job, SLAB_SIZE, &octets)));
    buf_done(&octets);
    over_sent(job);
    assert_int_equal(waiting(), 0);
    house_pass(&house, 60 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
}

static void a_broken_link_gives_its_jobs_to_nobody_else(void **state)
{
    (void)state;
    struct edge_end *second = house_edge(&house, ROLE_COURIER);
    second->heard = heard;
    edge_end_tell(second, &(struct msg){.kind = MSG_jobs});
    house_settle(&house);
    send_one("carol@far.test");
    assert_int_equal(job_count, 1);
    struct edge_end *with = second; /* who came last is asked first */
    edge_end_leave(with);
    house_pass(&house, QUEUE_ORPHANED / 2);
    assert_int_equal(job_count, 1);
    house_pass(&house, QUEUE_ORPHANED);
    assert_int_equal(job_count, 2);
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

/* The second courier may have it under way. */
static void nothing_is_given_before_all_couriers_have_spoken(void **state)
{
    (void)state;
    send_one("carol@far.test");
    assert_int_equal(job_count, 0);
    house_pass(&house, QUEUE_GRACE + NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    over_sent(job_at(0));
}

static void a_courier_that_does_not_come_back_is_given_up(void **state)
{
    (void)state;
    send_one("carol@far.test");
    edge_end_leave(courier);
    house_pass(&house, 11 * NS_PER_SECOND);
    edge_end_connect(courier);
    courier_ready(NULL, 0);
    assert_int_equal(job_count, 2);
}

static void behind_the_dot_the_next_try_may_be_a_second_copy(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    edge_end_tell(courier, &(struct msg){.kind = MSG_job_dot, .job_dot = {.job = job_at(0)->job}});
    house_settle(&house);
    edge_end_leave(courier);
    edge_end_connect(courier);
    courier_ready(NULL, 0);
    assert_int_equal(job_count, 1); /* not at once: the other side may be at it */
    assert_told(message, "the next may be a second copy");
    house_pass(&house, house.conf.sending.retry_first * 2);
    assert_int_equal(job_count, 2);
}

/* --- Core dies --- */

static void core_again(void)
{
    house_crash(&house);
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_leave(&house.edges[i]);
    house_start(&house);
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_connect(&house.edges[i]);
}

static void nothing_is_lost_or_sent_twice_when_core_dies(void **state)
{
    (void)state;
    send_one("carol@far.test");
    send_one("dora@near.test");
    const struct msg_job *carol = job_at(0), *dora = job_at(1);
    over_sent(dora);
    const struct msg_job_name name = {
        .job = carol->job, .message = carol->message, .entry = carol->entry};
    core_again();
    house_pass(&house, NS_PER_SECOND);
    assert_int_equal(job_count, 2); /* the courier has not said yet what it has */
    courier_ready(&name, 1);
    house_pass(&house, NS_PER_SECOND);
    assert_int_equal(job_count, 2);
    assert_int_equal(waiting(), 1);
    over_sent(carol);
    assert_int_equal(waiting(), 0);
    over_sent(dora); /* its answer was lost: it is said again, and changes nothing */
    assert_int_equal(last_recorded, dora->job);
    assert_int_equal(waiting(), 0);
}

/* Carol has it, Dora is told later. */
static void carol_has_it(const struct msg_job *job)
{
    struct msg_job_result results[] = {
        {.number = 0, .verdict = JOB_SENT, .code = 250, .text = STR("ok")},
        {.number = 1, .verdict = JOB_LATER, .code = 452, .text = STR("full")}};
    edge_end_tell(courier, &(struct msg){.kind = MSG_job_over,
                                         .job_over = {.job = job->job,
                                                      .message = job->message,
                                                      .entry = job->entry,
                                                      .results = results,
                                                      .results_count = 2}});
    house_settle(&house);
}

/* By a courier that was not told that it is recorded. */
static void said_again(const struct msg_job_name *name, const struct msg_job *job)
{
    last_recorded = 0;
    courier_ready(name, 1);
    carol_has_it(job);
    assert_int_equal(last_recorded, job->job);
    assert_int_equal(waiting(), 1);
}

/* The first of the numbers was Carol's; now it is Dora's. */
static void a_result_that_is_said_again_is_nobody_elses(void **state)
{
    (void)state;
    const char *both[] = {"carol@far.test", "dora@far.test"};
    send_from("alice@example.test", both, 2);
    const struct msg_job *job = job_at(0);
    const struct msg_job_name name = {
        .job = job->job, .message = job->message, .entry = job->entry};
    carol_has_it(job);
    assert_int_equal(waiting(), 1);
    core_again();
    said_again(&name, job);
    edge_end_leave(courier);
    edge_end_connect(courier);
    said_again(&name, job);
    house_pass(&house, house.conf.sending.retry_first * 2);
    assert_int_equal(job_count, 2);
    assert_int_equal(job_at(1)->recipients_count, 1);
    assert_str(job_at(1)->recipients[0].address, STR("dora@far.test"));
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

/* A message to 100 recipients of one domain. */
static void send_to_crowd(unsigned domain)
{
    const char *recipients[QUEUE_RECIPIENTS_MAX];
    for (unsigned i = 0; i < QUEUE_RECIPIENTS_MAX; i++) {
        struct buf name = buf_in(&house.arena, 100);
        buf_printf(&name, "somebody-with-rather-a-long-name-%u@d%u.far.test%c", i, domain, '\0');
        recipients[i] = buf_built(&name).p;
    }
    send_from("alice@example.test", recipients, QUEUE_RECIPIENTS_MAX);
}

static void all_jobs_of_the_core_before_are_known_however_many(void **state)
{
    (void)state;
    enum {
        CROWDS = 60 /* whose entries are more than one question may take (REQUEST_ARENA) */
    };
    struct msg_job_name names[CROWDS];
    for (unsigned i = 0; i < CROWDS; i++)
        send_to_crowd(i);
    assert_int_equal(job_count, CROWDS);
    for (size_t i = 0; i < CROWDS; i++)
        names[i] = (struct msg_job_name){
            .job = job_at(i)->job, .message = job_at(i)->message, .entry = job_at(i)->entry};
    core_again();
    /* The results come right behind the names, before anything was looked up. */
    edge_end_tell(courier,
                  &(struct msg){.kind = MSG_jobs, .jobs = {.names = names, .names_count = CROWDS}});
    for (size_t i = 0; i < CROWDS; i++)
        over_sent(job_at(i));
    house_pass(&house, 60 * NS_PER_SECOND);
    assert_int_equal(job_count, CROWDS);
    assert_int_equal(recorded, CROWDS);
    assert_int_equal(waiting(), 0);
}

static void what_waits_goes_after_a_restart(void **state)
{
    (void)state;
    send_one("carol@far.test");
    send_one("dora@near.test");
    over_later(job_at(0));
    core_again();
    courier_ready(NULL, 0);
    assert_int_equal(job_count, 3);
    assert_str(job_at(2)->domain, STR("near.test"));
    house_pass(&house, house.conf.sending.retry_first * 2);
    assert_int_equal(job_count, 4);
    assert_str(job_at(3)->domain, STR("far.test"));
    over_sent(job_at(2));
    over_sent(job_at(3));
    assert_int_equal(waiting(), 0);
}

static int setup_closed(void **state)
{
    (void)state;
    open_house("sending { processes = 1 }");
    return 0;
}

static int setup_no_couriers(void **state)
{
    (void)state;
    open_house("smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 0 }");
    return 0;
}

static int setup_two_couriers(void **state)
{
    (void)state;
    open_house("smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 2 }");
    return 0;
}

static int setup_dropping(void **state)
{
    (void)state;
    open_house("smtp { relay_from = \"0.0.0.0/0\" } sending { double_bounce = drop }");
    return 0;
}

/* Nobody else waits for who is greylisted, and a server that says later to all is not pressed. */
static void greylisting_is_each_entry_s_own(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        send_one("carol@far.test");
    assert_int_equal(job_count, 2); /* the window of a new destination */
    over_later(job_at(0));
    over_later(job_at(1));
    assert_int_equal(job_count, 4);
    over_sent(job_at(2));
    assert_int_equal(job_count, 5);
    const struct destination *far =
        schedule_destination(&house.core.queue->schedule, STR("far.test"));
    assert_int_equal(far->window, SCHEDULE_WINDOW_FIRST + 1);
    assert_int_equal(far->sent, 1);
    assert_int_equal(far->troubles, 0);
}

static int setup_one_connection(void **state)
{
    (void)state;
    open_house("smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 connections = 1 }");
    return 0;
}

/* One connection, and three jobs that may look for a host. */
static void who_looks_for_a_host_needs_no_connection(void **state)
{
    (void)state;
    send_one("carol@one.test");
    send_one("carol@two.test");
    send_one("carol@three.test");
    assert_int_equal(job_count, 2);
    assert_int_equal(job_at(0)->standing, DESTINATION_UNTRIED);
    over_sent(job_at(0)); /* a place for the third, at once */
    assert_int_equal(job_count, 3);
    send_one("carol@four.test");
    assert_int_equal(job_count, 3);
    house_pass(&house, SCHEDULE_FILL);
    assert_int_equal(job_count, 4);
    send_one("carol@one.test"); /* it has a connection of its own, */
    send_one("dora@one.test");  /* and one only */
    assert_int_equal(job_count, 5);
    assert_str(job_at(4)->domain, STR("one.test"));
    assert_int_equal(job_at(4)->standing, DESTINATION_PROVEN);
    over_sent(job_at(4));
    assert_int_equal(job_count, 6);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOUSE(mail_for_others_becomes_a_job),
        cmocka_unit_test_setup_teardown(who_may_not_relay_is_refused, setup_closed, teardown),
        cmocka_unit_test_setup_teardown(without_couriers_nothing_is_taken_for_others,
                                        setup_no_couriers, teardown),
        IN_HOUSE(that_one_may_relay_is_not_remembered_for_others),
        IN_HOUSE(one_entry_for_each_domain_and_the_body_once),
        IN_HOUSE(a_large_body_is_given_piece_by_piece),
        IN_HOUSE(who_is_told_later_waits_longer_each_time),
        IN_HOUSE(a_failure_is_reported_to_its_sender),
        IN_HOUSE(of_several_recipients_each_has_a_fate),
        IN_HOUSE(a_sender_elsewhere_gets_his_report_by_the_queue),
        cmocka_unit_test_setup_teardown(reports_that_fail_may_be_dropped, setup_dropping, teardown),
        IN_HOUSE(what_waited_too_long_goes_back),
        IN_HOUSE(a_dead_destination_costs_one_try_at_a_time),
        IN_HOUSE(a_courier_that_dies_sends_again_what_it_had),
        IN_HOUSE(a_courier_whose_link_broke_keeps_its_jobs),
        IN_HOUSE(a_broken_link_gives_its_jobs_to_nobody_else),
        cmocka_unit_test_setup_teardown(nothing_is_given_before_all_couriers_have_spoken,
                                        setup_two_couriers, teardown),
        IN_HOUSE(a_courier_that_does_not_come_back_is_given_up),
        IN_HOUSE(behind_the_dot_the_next_try_may_be_a_second_copy),
        IN_HOUSE(nothing_is_lost_or_sent_twice_when_core_dies),
        IN_HOUSE(a_result_that_is_said_again_is_nobody_elses),
        IN_HOUSE(all_jobs_of_the_core_before_are_known_however_many),
        IN_HOUSE(what_waits_goes_after_a_restart),
        IN_HOUSE(greylisting_is_each_entry_s_own),
        cmocka_unit_test_setup_teardown(who_looks_for_a_host_needs_no_connection,
                                        setup_one_connection, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
