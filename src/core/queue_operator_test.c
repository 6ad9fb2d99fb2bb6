/*
 * What an operator does to the queue: the commands as they are typed, in a core that sends.
 */
#include "core/operator_rig_test.h"

static void over_not_tried(const struct msg_job *job)
{
    over_with(job, JOB_NOT_TRIED, 0, STR(""), STR(""), JOB_NO_TROUBLE, false);
}

static void over_dead(const struct msg_job *job)
{
    over_with(job, JOB_LATER, 0, STR("4.4.1"), STR("no connection"), JOB_TROUBLE_CONNECT, false);
}

/* Many entries, each of a domain of its own; none of them goes. */
static void fill(size_t messages, size_t domains)
{
    static char names[100][32];
    const char *recipients[100];
    for (size_t i = 0; i < domains; i++) {
        snprintf(names[i], sizeof(names[i]), "x@d%zu.test", i);
        recipients[i] = names[i];
    }
    typed("queue pause");
    for (size_t i = 0; i < messages; i++)
        send_from("alice@example.test", recipients, domains);
}

/* --- Looking --- */

static void a_line_says_why_it_waits(void **state)
{
    (void)state;
    assert_str(typed("queue list"), STR(""));
    send_one("carol@far.test");
    assert_says(typed("queue list"), "state: under-way, why: it is being sent");
    over_later(job_at(0));
    struct str line = typed("queue list");
    assert_int_equal(lines_of(line), 1);
    assert_says(line, ".0  age: ");
    assert_says(line, "from: alice@example.test, to: carol@far.test, state: waiting, "
                      "why: the other server said: later, "
                      "last: 451 4.7.1 greylisted (mx.far.test), tries: 1, next: 2");
    typing.json = true;
    line = typed("queue list");
    json_t *object = json_loadb(line.p, line.n, 0, NULL);
    typing.json = false;
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "reason")), "deferred");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "last"), "code")),
                     451);
    assert_string_equal(json_string_value(json_array_get(json_object_get(object, "recipients"), 0)),
                        "carol@far.test");
    json_decref(object);
}

static void a_dead_destination_is_named_with_its_trouble(void **state)
{
    (void)state;
    send_one("carol@dead.test");
    send_one("dora@dead.test");
    over_dead(job_at(0));
    over_dead(job_at(1));
    send_one("erna@dead.test");
    assert_says(typed("queue list --recipient erna*"),
                "state: due, why: its destination is in trouble: no connection, next: 2");
    assert_int_equal(lines_of(typed("queue list --state due")), 1);
    assert_int_equal(lines_of(typed("queue list --reason quiet")), 1);
    assert_int_equal(lines_of(typed("queue list --reason trouble --state waiting")), 2);
    assert_says(typed("queue top"), "dead.test  entries: 3, due: 1, window: 1, quiet_until: 2");
    assert_says(typed("queue top"), "trouble: connect, failed: 2");
}

static void filters_are_taken_together(void **state)
{
    (void)state;
    typed("queue pause");
    send_from("alice@example.test", (const char *[]){"carol@far.test", "dora@far.test"}, 2);
    house_pass(&house, 7200 * NS_PER_SECOND);
    send_from("bob@example.test", (const char *[]){"carol@near.test"}, 1);
    assert_int_equal(lines_of(typed("queue list")), 2);
    assert_int_equal(lines_of(typed("queue list --sender alice@example.test")), 1);
    assert_int_equal(lines_of(typed("queue list --sender ALICE@*")), 1);
    assert_int_equal(lines_of(typed("queue list --sender alice")), 0);
    assert_int_equal(lines_of(typed("queue list --sender <>")), 0);
    assert_int_equal(lines_of(typed("queue list --recipient dora@far.test")), 1);
    assert_int_equal(lines_of(typed("queue list --recipient carol@*")), 2);
    assert_int_equal(lines_of(typed("queue list --recipient *near*")), 1);
    assert_int_equal(lines_of(typed("queue list --recipient carol@* --domain far.test")), 1);
    assert_int_equal(lines_of(typed("queue list --older 1h")), 1);
    assert_int_equal(lines_of(typed("queue list --younger 1h")), 1);
    assert_int_equal(lines_of(typed("queue list --older 1h --younger 1h")), 0);
    assert_int_equal(lines_of(typed("queue list --limit 1")), 1);
    assert_int_equal(lines_of(typed("queue list --reason paused")), 2);
    assert_int_equal(lines_of(typed("queue list --account bob@example.test")), 0);
    assert_says(typed("queue top --by sender"), "alice@example.test  entries: 1, recipients: 2,");
    assert_int_equal(lines_of(typed("queue top --by domain --limit 1")), 1);
    assert_says(typed("queue top --by account"), "(nobody here)  entries: 2");
    assert_says(typed("queue top --by reason"), "paused  entries: 2");
}

static void an_entry_is_shown_whole(void **state)
{
    (void)state;
    const char *recipient = "carol@far.test";
    uint64_t message =
        send_asking("alice@example.test", &recipient, 1, DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY);
    over_later(job_at(0));
    struct str shown = typed_about("queue show #", message);
    assert_says(shown, "\nrecipients       carol@far.test, NOTIFY=FAILURE,DELAY: 451 4.7.1 "
                       "greylisted (mx.far.test)\n");
    assert_says(shown, "\nret              HDRS\nenvid            QQ 314\n");
    assert_says(shown, "\ntrace            veredus trace ");
    shown = typed_about("queue show # --message", message);
    assert_true(str_starts(shown, STR("Received: from c.example")));
    assert_true(str_ends(shown, STR("\r\nSubject: hello\r\n\r\nbody\r\n")));
    assert_true(str_ends(typed_about("queue show # --head", message), STR("hello\r\n\r\n")));
    assert_str(typed_about("queue show # --body", message), STR("body\r\n"));
}

/* The columns that scripts cut, and the two last lines that they look for. */
static void mailq_prints_what_scripts_expect(void **state)
{
    (void)state;
    assert_str(typed("queue list --mailq"), STR("Mail queue is empty\n"));
    uint64_t message =
        send_from("alice@example.test", (const char *[]){"carol@far.test", "dora@far.test"}, 2);
    over_later(job_at(0));
    send_from("", (const char *[]){"erna@near.test"}, 1);
    char id[MESSAGE_ID_TEXT], begin[64];
    message_id_print(message, id);
    snprintf(begin, sizeof(begin), "%.*s.0  ", (int)sizeof(id), id);
    struct str told = typed("queue list --mailq");
    assert_true(str_starts(
        told, STR("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n")));
    assert_says(told, begin);
    assert_says(told, "  alice@example.test\n");
    assert_says(told, "(host mx.far.test said: 451 4.7.1 greylisted)\n");
    assert_says(told, "\n                                         carol@far.test\n"
                      "                                         dora@far.test\n\n");
    assert_says(told, ".0* ");
    assert_says(told, "  MAILER-DAEMON\n");
    assert_true(str_ends(told, STR("\n\n-- 0 Kbytes in 2 Requests.\n")));
}

/* Lines come while others are still looked for, and a reader who goes ends it. */
static void a_list_is_a_stream(void **state)
{
    (void)state;
    fill(50, 6);
    assert_int_equal(waiting(), 300);
    struct str all = typed("queue list");
    assert_int_equal(lines_of(all), 300);
    assert_in_range(typing.pieces, 2, 300);
    typing.leaves = true;
    assert_int_equal(lines_of(typed("queue list")), 1);
    typing.leaves = false;
}

/* --- Holding --- */

static void what_is_held_waits_until_it_is_released(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    over_later(job_at(0));
    assert_str(typed_about("queue hold # --why looked-at", message), STR("held 1 entry\n"));
    assert_says(typed("queue list"), "state: held, why: held by an operator: looked-at");
    house_pass(&house, 24 * 3600 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    core_again();
    house_pass(&house, 24 * 3600 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    assert_str(typed_about("queue hold # --why looked-at", message),
               STR("held 0 entries; 1 stays as it was\n"));
    assert_str(typed("queue release --state held"), STR("released 1 entry\n"));
    assert_int_equal(job_count, 2);
    over_sent(job_at(1));
    assert_told(message, "User 1000 holds what is queued for far.test: looked-at.");
    assert_told(message, "User 1000 released what is queued for far.test.");
}

/* Days on hold are not the sender's: it is tried before it is given up. */
static void what_is_held_does_not_expire(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    over_later(job_at(0));
    typed_about("queue hold #", message);
    house_pass(&house, house.conf.sending.expire + 3600 * NS_PER_SECOND);
    assert_int_equal(waiting(), 1);
    typed_about("queue release #", message);
    assert_int_equal(job_count, 2);
    over_later(job_at(1));
    assert_int_equal(waiting(), 1);
    house_pass(&house, 2 * 3600 * NS_PER_SECOND);
    over_later(job_at(2));
    assert_int_equal(waiting(), 0);
}

/* --- By the clock --- */

#define A_MINUTE (60 * NS_PER_SECOND)

/* To the second before the conf's time is over for what was sent just now; it is over within the
 * minute behind it. */
static void pass_until_before(int64_t since, int64_t time)
{
    house_pass(&house, since + time - NS_PER_SECOND - house.rig.loop->now);
}

static void wait_for_the_warning_and_the_end(void)
{
    int64_t since = house.rig.loop->now;
    pass_until_before(since, house.conf.sending.warn_after);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    house_pass(&house, A_MINUTE + 2 * NS_PER_SECOND);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    assert_says(newest("alice@example.test"), "Action: delayed");
    pass_until_before(since, house.conf.sending.expire);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    house_pass(&house, A_MINUTE + 2 * NS_PER_SECOND);
    assert_int_equal(house_count(box, "alice@example.test"), 2);
    assert_says(newest("alice@example.test"), "Status: 5.4.7");
}

static void what_is_paused_expires(void **state)
{
    (void)state;
    typed("queue pause far.test");
    uint64_t message = send_one("carol@far.test");
    wait_for_the_warning_and_the_end();
    assert_int_equal(job_count, 0);
    assert_int_equal(waiting(), 0);
    assert_told(message, "its time was over before it could be tried");
}

static void what_a_quiet_destination_keeps_expires(void **state)
{
    (void)state;
    struct schedule *schedule = &house.core.queue->schedule;
    send_one("carol@far.test");
    over_dead(job_at(0));
    struct destination *destination = schedule_destination(schedule, STR("far.test"));
    schedule_sleep(schedule, destination, INT64_MAX / 2);
    wait_for_the_warning_and_the_end();
    assert_int_equal(job_count, 1);
    assert_int_equal(waiting(), 0);
    assert_says(newest("alice@example.test"), "no connection");
}

static void what_is_under_way_is_not_judged(void **state)
{
    (void)state;
    send_one("carol@far.test");
    send_one("carol@far.test");
    send_one("dora@far.test"); /* stands behind them all the time */
    assert_int_equal(job_count, 2);
    wait_for_the_warning_and_the_end();
    assert_says(newest("alice@example.test"), "dora@far.test");
    assert_int_equal(waiting(), 2);
    over_sent(job_at(0));
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
    assert_int_equal(house_count(box, "alice@example.test"), 2);
}

static void the_held_are_not_judged(void **state)
{
    (void)state;
    typed("queue pause");
    uint64_t message = send_one("carol@far.test");
    typed_about("queue hold #", message);
    house_pass(&house, house.conf.sending.expire + 3600 * NS_PER_SECOND);
    assert_int_equal(waiting(), 1);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
}

static void many_expire_in_the_same_minute(void **state)
{
    (void)state;
    fill(2, 100);
    house_pass(&house, house.conf.sending.expire + A_MINUTE + NS_PER_SECOND);
    assert_int_equal(waiting(), 0);
    assert_int_equal(job_count, 0);
    assert_int_equal(house_count(box, "alice@example.test"), 400); /* a warning and a report */
}

/* What a step of the wall clock brings to its end has an hour, to be tried once. */
static void a_step_of_the_clock_ends_nothing_untried(void **state)
{
    (void)state;
    typed("queue pause far.test");
    send_one("carol@far.test");
    house_pass(&house, 2 * 3600 * NS_PER_SECOND);
    fake_wall_jump(house.rig.fake, 2 * house.conf.sending.expire / 1000);
    house_pass(&house, 3500 * NS_PER_SECOND);
    assert_int_equal(waiting(), 1);
    house_pass(&house, 300 * NS_PER_SECOND);
    assert_int_equal(waiting(), 0);
}

static void stand_in_line(struct rig *rig, void *arg)
{
    struct schedule *schedule = &house.core.queue->schedule;
    size_t count = *(size_t *)arg;
    (void)rig;
    for (size_t i = 0; i < count; i++) {
        const struct schedule_facts facts = {.message = 1 + i,
                                             .destination = STR("far.test"),
                                             .sender = STR("alice@example.test"),
                                             .next = INT64_MAX,
                                             .judge = UINT32_MAX};
        assert_non_null(schedule_add(schedule, &facts));
    }
}

static void the_sweep_is_made_in_slices(void **state)
{
    (void)state;
    size_t count = (size_t)20 * QUEUE_SWEEP_SLICE, before;
    house_pass(&house, 3600 * NS_PER_SECOND + 5 * NS_PER_SECOND);
    before = house.core.queue->sweep.slices;
    house_pass(&house, A_MINUTE);
    assert_int_equal(house.core.queue->sweep.slices, before + 1);
    assert_true(rig_do(&house.rig, stand_in_line, &count));
    house_pass(&house, A_MINUTE);
    assert_int_equal(house.core.queue->sweep.slices, before + 1 + 20);
}

/* As if there had been no memory for it. */
static void forget(struct rig *rig, void *arg)
{
    struct queue *queue = house.core.queue;
    (void)rig;
    schedule_remove(&queue->schedule, schedule_find(&queue->schedule, *(uint64_t *)arg, 0));
    queue->missing = true;
}

static void what_found_no_memory_is_looked_for_again(void **state)
{
    (void)state;
    typed("queue pause");
    uint64_t lost = send_one("carol@far.test");
    send_one("dora@far.test");
    assert_true(rig_do(&house.rig, forget, &lost));
    typed("queue resume");
    assert_int_equal(job_count, 1);
    over_sent(job_at(0));
    house_pass(&house, 3 * A_MINUTE);
    assert_int_equal(job_count, 2);
    assert_false(house.core.queue->missing);
    over_sent(job_at(1));
    house_pass(&house, 3 * A_MINUTE);
    assert_int_equal(job_count, 2);
    assert_int_equal(waiting(), 0);
}

static void what_is_under_way_is_held_when_it_is_back(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    assert_says(typed_about("queue hold #", message), "held 1 entry, 1 of them under way");
    assert_int_equal(dropped, 1);
    over_not_tried(job_at(0));
    assert_says(typed("queue list"), "state: held");
    house_pass(&house, 3600 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    typed_about("queue release #", message);
    assert_int_equal(job_count, 2);
    over_later(job_at(1));
    assert_says(typed("queue list"), "tries: 1,"); /* what was dropped was none */
}

/* It was held for good as soon as the operator was told so. */
static void what_is_held_under_way_is_held_behind_a_crash(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    typed_about("queue hold #", message);
    core_again();
    house_pass(&house, 3600 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    assert_says(typed("queue list"), "state: held");
}

/* --- Removing --- */

static void what_is_removed_is_gone_and_the_trace_says_who(void **state)
{
    (void)state;
    uint64_t message =
        send_from("alice@example.test", (const char *[]){"carol@far.test", "dora@far.test"}, 2);
    over_later(job_at(0));
    assert_str(typed_about("queue remove # --why spam", message), STR("removed 1 entry\n"));
    assert_int_equal(waiting(), 0);
    assert_told(message, "Removed from the queue by user 1000 (spam): <carol@far.test>, 2 in all.");
    house_pass(&house, 24 * 3600 * NS_PER_SECOND);
    core_again();
    assert_int_equal(waiting(), 0);
    assert_int_equal(job_count, 1);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    (void)typed_about("queue remove #", message);
    assert_int_equal(typing.code, ADMIN_UNAVAILABLE);
}

static void whose_message_is_removed_may_be_told(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    over_later(job_at(0));
    assert_str(typed_about("queue remove # --report --why too-old", message),
               STR("removed 1 entry\n"));
    assert_int_equal(waiting(), 0);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    struct str report = newest("alice@example.test");
    assert_says(report, "Action: failed\r\nStatus: 5.3.0\r\n");
    assert_says(report, "An administrator of this server removed the message");
    assert_says(report, "removed from the queue by the operator: too-old");
    assert_told(message, "A report about <carol@far.test> (1 in all) went to");
}

static void what_is_removed_under_way_arrives_or_is_dropped(void **state)
{
    (void)state;
    uint64_t one = send_one("carol@far.test"), two = send_one("dora@far.test");
    assert_says(typed("queue remove --all --why spam"), "removed 2 entries, 2 of them under way");
    assert_int_equal(dropped, 2);
    over_sent(job_at(0));
    over_later(job_at(1));
    assert_int_equal(waiting(), 0);
    assert_told(one, "User 1000 removed it from the queue (spam) while it was under way");
    assert_told(one, "Sent to <carol@far.test>");
    assert_told(two, "Not sent to <dora@far.test>: 5.3.0 removed from the queue by the operator: "
                     "spam.");
    assert_int_equal(house_count(box, "alice@example.test"), 0);
}

/* Its reason is told in the trace, and to its sender: it is that of the removal. */
static void what_is_removed_under_way_keeps_its_reason(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    typed_about("queue hold # --why later", message);
    typed_about("queue remove # --why spam", message);
    typed_about("queue hold # --why again", message);
    typed_about("queue release #", message);
    over_later(job_at(0));
    assert_int_equal(waiting(), 0);
    assert_told(message, "removed from the queue by the operator: spam");
}

static void what_is_removed_under_way_is_not_sent_behind_a_crash(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    typed_about("queue remove # --report", message);
    core_again();
    assert_int_equal(job_count, 1);
    assert_int_equal(waiting(), 0);
    assert_says(newest("alice@example.test"), "removed from the queue by the operator\r\n");
}

/* --- Retrying, other ways --- */

static void a_retry_is_made_at_once_and_calms_the_destination(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@dead.test");
    over_dead(job_at(0));
    send_one("dora@dead.test");
    assert_int_equal(job_count, 1);
    assert_str(typed("queue retry --recipient dora@*"), STR("made due 1 entry\n"));
    assert_int_equal(job_count, 2);
    over_dead(job_at(1));
    assert_str(typed_about("queue retry #", message), STR("made due 1 entry\n"));
    assert_int_equal(job_count, 3);
    assert_int_equal(job_at(2)->message, message);
    assert_says(typed_about("queue retry #", message), "made due 0 entries; 1 stay");
    over_later(job_at(2));
    typed_about("queue hold #", message);
    assert_says(typed_about("queue retry #", message), "made due 0 entries; 1 stay");
}

static void an_entry_goes_another_way(void **state)
{
    (void)state;
    uint64_t message = send_one("carol@far.test");
    over_later(job_at(0));
    typed_about("queue reroute # --to relay.test:26", message);
    assert_str(job_at(1)->route, STR("relay.test:26"));
    assert_says(typed("queue top"), "relay.test:26  entries: 1, under_way: 1");
    typed_about("queue reroute # --to lmtp:[::1]:24", message); /* it is under way */
    assert_int_equal(dropped, 1);
    over_not_tried(job_at(1));
    assert_str(job_at(2)->route, STR("lmtp:[::1]:24"));
    over_later(job_at(2));
    typed_about("queue reroute # --to mx", message);
    assert_str(job_at(3)->route, STR(""));
    assert_says(typed("queue top"), "far.test  entries: 1, under_way: 1");
    over_later(job_at(3));
    core_again();
    typed_about("queue reroute # --to configured", message);
    assert_int_equal(job_count, 5);
    assert_told(message, "User 1000 sends what is queued for far.test another way: relay.test:26.");
}

static void pauses_outlive_a_restart(void **state)
{
    (void)state;
    assert_str(typed("queue pause far.test"), STR("paused destination far.test\n"));
    send_one("carol@far.test");
    assert_int_equal(job_count, 0);
    assert_says(typed("queue list"), "why: its destination is paused");
    assert_says(typed("queue top"), "far.test  entries: 1, due: 1, window: 2, paused");
    core_again();
    assert_int_equal(job_count, 0);
    assert_str(typed("queue resume far.test"), STR("resumed destination far.test\n"));
    assert_int_equal(job_count, 1);
    assert_str(typed("queue pause"), STR("paused queue: all destinations\n"));
    send_one("carol@near.test");
    assert_int_equal(job_count, 1);
    typed("queue resume");
    assert_int_equal(job_count, 2);
}

/* More than a batch, while they come back from their tries. */
static void all_are_changed_in_batches(void **state)
{
    (void)state;
    fill(50, 6);
    assert_str(typed("queue hold --all"), STR("held 300 entries\n"));
    assert_int_equal(house.core.queue->schedule.held, 300);
    assert_str(typed("queue release --domain d3.test"), STR("released 50 entries\n"));
    assert_str(typed("queue remove --state held --limit 101"), STR("removed 101 entries\n"));
    assert_str(typed("queue remove --all"), STR("removed 199 entries\n"));
    assert_int_equal(waiting(), 0);
    assert_str(typed("queue list"), STR(""));
}

static void mistakes_are_told(void **state)
{
    (void)state;
    send_one("carol@far.test");
    assert_says(complaint("queue hold", 64), "say which entries");
    assert_says(complaint("queue remove --limit 3", 64), "say which entries");
    assert_says(complaint("queue remove --all --sender x@y.test", 64), "--all stands alone");
    assert_says(complaint("queue hold 12", 64), "expected an id like");
    assert_says(complaint("queue hold 01j9x3k2m7q4r.x", 64), "expected an id like");
    assert_says(complaint("queue hold 01j9x3k2m7q4r", 69), "no such entry");
    assert_says(complaint("queue retry 01j9x3k2m7q4r.7 --recipient carol@*", 69), "q4r.7\"");
    assert_says(complaint("queue show 01j9x3k2m7q4r.0", 69), "no such entry");
    assert_says(complaint("queue show 01j9x3k2m7q4r --head --body", 64), "is enough");
    assert_says(complaint("queue list --state asleep", 64), "expected waiting, due");
    assert_says(complaint("queue list --older soon", 64), "expected a time");
    assert_says(complaint("queue list --limit 0", 64), "expected a number");
    assert_says(complaint("queue list --account nobody@example.test", 67), "no such account");
    assert_says(complaint("queue top --by size", 64), "expected destination, sender");
    assert_says(complaint("queue reroute --all", 64), "expected --to host:port");
    assert_says(complaint("queue reroute --all --to relay.test", 64),
                "configured, not \"relay.test");
    assert_says(complaint("queue reroute --all --to @relay", 68), "no route block has this name");
    assert_says(complaint("queue reroute --all --to relay.test:0", 64), "expected --to host:port");
    assert_says(complaint("queue reroute --all --to ::1:25", 64), "expected --to host:port");
    assert_says(complaint("queue resume far.test", 67), "that is not paused");
    assert_says(complaint("queue pause @far.test", 65), "no domain can have");
    assert_int_equal(waiting(), 1);
}

static void patterns_are_matched_whole(void **state)
{
    (void)state;
    assert_true(queue_pattern_fits(STR("a*c*e"), STR("abcCCde")));
    assert_true(queue_pattern_fits(STR("*"), STR("")));
    assert_true(queue_pattern_fits(STR("**x"), STR("xyx")));
    assert_false(queue_pattern_fits(STR("*x"), STR("xy")));
    assert_false(queue_pattern_fits(STR(""), STR("x")));
    assert_false(queue_pattern_fits(STR("ab"), STR("abc")));
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOUSE(a_line_says_why_it_waits),
        IN_HOUSE(a_dead_destination_is_named_with_its_trouble),
        IN_HOUSE(filters_are_taken_together),
        IN_HOUSE(an_entry_is_shown_whole),
        IN_HOUSE(mailq_prints_what_scripts_expect),
        IN_HOUSE(a_list_is_a_stream),
        IN_HOUSE(what_is_held_waits_until_it_is_released),
        IN_HOUSE(what_is_held_does_not_expire),
        IN_HOUSE(what_is_paused_expires),
        IN_HOUSE(what_a_quiet_destination_keeps_expires),
        IN_HOUSE(what_is_under_way_is_not_judged),
        IN_HOUSE(the_held_are_not_judged),
        IN_HOUSE(many_expire_in_the_same_minute),
        IN_HOUSE(a_step_of_the_clock_ends_nothing_untried),
        IN_HOUSE(the_sweep_is_made_in_slices),
        IN_HOUSE(what_found_no_memory_is_looked_for_again),
        IN_HOUSE(what_is_under_way_is_held_when_it_is_back),
        IN_HOUSE(what_is_held_under_way_is_held_behind_a_crash),
        IN_HOUSE(what_is_removed_is_gone_and_the_trace_says_who),
        IN_HOUSE(whose_message_is_removed_may_be_told),
        IN_HOUSE(what_is_removed_under_way_arrives_or_is_dropped),
        IN_HOUSE(what_is_removed_under_way_keeps_its_reason),
        IN_HOUSE(what_is_removed_under_way_is_not_sent_behind_a_crash),
        IN_HOUSE(a_retry_is_made_at_once_and_calms_the_destination),
        IN_HOUSE(an_entry_goes_another_way),
        IN_HOUSE(pauses_outlive_a_restart),
        IN_HOUSE(all_are_changed_in_batches),
        IN_HOUSE(mistakes_are_told),
        cmocka_unit_test(patterns_are_matched_whole),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&typing.out);
    buf_done(&typing.err);
    return failed;
}
