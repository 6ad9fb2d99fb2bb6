#include "core/told.h"

#include "core/courier_rig_test.h"

static int setup_closed(void **state)
{
    (void)state;
    open_house("sending { processes = 1 }");
    return 0;
}

/* RFC 3461 5.2.2: delivered, at once, with all that names the message to who sent it. */
static void success_here_is_told_where_it_was_asked_for(void **state)
{
    (void)state;
    const char *recipient = "bob@example.test";
    uint64_t message =
        send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    struct str report = newest("alice@example.test");
    assert_says(report, "Return-Path: <>\r\n");
    assert_says(report, "Original-Envelope-Id: QQ 314\r\n");
    assert_says(report, "Original-Recipient: rfc822;orig-bob@example.test\r\n");
    assert_says(report, "Final-Recipient: rfc822; bob@example.test\r\n");
    assert_says(report, "Action: delivered\r\nStatus: 2.0.0\r\n");
    assert_says(report, "Subject: hello\r\n");
    assert_silent(report, "body\r\n\r\n--");
    assert_told(message, "A report about <bob@example.test> (1 in all) went to "
                         "<alice@example.test>: delivered, message ");
    assert_silent(story, "Delivered to alice@example.test");
}

static void success_is_told_elsewhere_by_the_queue(void **state)
{
    (void)state;
    const char *const recipients[] = {"bob@example.test", "team@example.test"};
    send_asking("zoe@other.test", recipients, 2, DSN_NOTIFY_SUCCESS);
    assert_int_equal(job_count, 1);
    assert_str(job_at(0)->domain, STR("other.test"));
    assert_int_equal(job_at(0)->sender.n, 0);
    struct buf octets = BUF_INIT(1 << 20);
    assert_false(err_is(fetch(job_at(0), SLAB_SIZE, &octets)));
    assert_says(buf_str(&octets), "Final-Recipient: rfc822; bob@example.test\r\n");
    /* A list is where its mail arrives (5.2.7.1). */
    assert_says(buf_str(&octets), "Final-Recipient: rfc822; team@example.test\r\n");
    assert_silent(buf_str(&octets), "carol@");
    buf_done(&octets);
    over_sent(job_at(0));
    assert_int_equal(waiting(), 0);
}

/* What would go to whoever a stranger names. Catalogue S30. */
static void strangers_are_told_of_no_success(void **state)
{
    (void)state;
    const char *recipient = "bob@example.test";
    send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_SUCCESS);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    assert_int_equal(waiting(), 0);
}

static void who_asks_for_no_success_hears_of_none(void **state)
{
    (void)state;
    const char *recipient = "bob@example.test";
    send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY);
    send_asking("", &recipient, 1, DSN_NOTIFY_SUCCESS);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    assert_int_equal(waiting(), 0);
}

/* RFC 3461 5.2.3, 5.2.1: told by us where the next server does not, and by it where it does. */
static void success_elsewhere_is_told_by_whoever_speaks_of_it(void **state)
{
    (void)state;
    const char *recipient = "carol@far.test";
    send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_SUCCESS);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    assert_int_equal(asked_of(job_at(0), 0).notify, DSN_NOTIFY_SUCCESS);
    over_sent(job_at(0));
    assert_says(newest("alice@example.test"), "Action: relayed\r\n");
    send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_SUCCESS);
    struct msg_job_result result = {.verdict = JOB_SENT, .code = 250, .text = STR("ok")};
    struct msg msg = {
        .kind = MSG_job_over,
        .job_over = {
            .job = job_at(1)->job, .reports = true, .results = &result, .results_count = 1}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
    assert_int_equal(waiting(), 0);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
}

/* 5.2.7.3 c: told at once that it was expanded; who gets it further on is asked for no success. */
static void an_alias_to_several_is_expanded(void **state)
{
    (void)state;
    const char *recipient = "away@example.test";
    send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY);
    assert_says(newest("alice@example.test"), "Action: expanded\r\n");
    assert_int_equal(asked_of(job_at(0), 0).notify, DSN_NOTIFY_DELAY);
    over_sent(job_at(0));
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    /* Nothing else was asked for: of failures nothing is said, either. */
    send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_SUCCESS);
    assert_int_equal(asked_of(job_at(1), 0).notify, DSN_NOTIFY_NEVER);
    assert_int_equal(house_count(box, "alice@example.test"), 2);
    over_failed(job_at(1));
    assert_int_equal(house_count(box, "alice@example.test"), 2);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOUSE(success_here_is_told_where_it_was_asked_for),
        IN_HOUSE(success_is_told_elsewhere_by_the_queue),
        cmocka_unit_test_setup_teardown(strangers_are_told_of_no_success, setup_closed, teardown),
        IN_HOUSE(who_asks_for_no_success_hears_of_none),
        IN_HOUSE(success_elsewhere_is_told_by_whoever_speaks_of_it),
        IN_HOUSE(an_alias_to_several_is_expanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
