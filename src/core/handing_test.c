/*
 * Mail that is held for a time its sender names (RFC 4865) is held for accounts here, too: nobody
 * has it before, and whatever dies, each has it once.
 */
#include "core/operator_rig_test.h"

#include "store/mailbox.h"

enum {
    AN_HOUR = 3600, /* seconds */
};

#define LATER ((AN_HOUR + 60) * NS_PER_SECOND)

static int up(void **state)
{
    (void)state;
    open_house("smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 }"
               "postmaster = bob@example.test");
    return 0;
}

/* To all of them, in an hour; what is asked for of each. */
static uint64_t send_held(const char *sender, const char *const *recipients, size_t count,
                          uint8_t notify)
{
    struct msg_address *list = arena_take_array(&house.arena, count, sizeof(*list));
    uint64_t transaction = next_transaction++;
    const struct rcpt_options options = {.notify = notify};
    const struct mail_options mail = {
        .hold_until = world_wall(&house.rig.fake->world) / US_PER_SECOND + AN_HOUR};
    for (size_t i = 0; i < count; i++)
        list[i] = (struct msg_address){.text = str_from(recipients[i]),
                                       .asked = rcpt_options_keep(&options, &house.arena)};
    struct msg_resolved resolved =
        enveloped(transaction, sender, mail_options_keep(&mail, &house.arena), list, count);
    return sent(transaction, &resolved);
}

static uint64_t held_for(const char *recipient)
{
    return send_held("carol@far.test", &recipient, 1, 0);
}

static size_t has(const char *user)
{
    return house_count(box, user);
}

/* --- The plain case --- */

static void it_is_here_at_its_time(void **state)
{
    (void)state;
    uint64_t message = held_for("bob@example.test");
    assert_int_equal(has("bob@example.test"), 0);
    assert_says(typed("queue list"), "to: bob@example.test, state: waiting, why: its sender wants "
                                     "it sent then");
    assert_says(typed("queue top"), "(here)");
    house_pass(&house, (AN_HOUR - 2) * NS_PER_SECOND);
    assert_int_equal(has("bob@example.test"), 0);
    house_pass(&house, 62 * NS_PER_SECOND);
    assert_int_equal(has("bob@example.test"), 1);
    assert_int_equal(waiting(), 0);
    assert_int_equal(job_count, 0);
    struct str got = newest("bob@example.test");
    assert_says(got, "Return-Path: <carol@far.test>\r\nDelivered-To: bob@example.test\r\n"
                     "Received: from c.example");
    assert_true(str_ends(got, text));
    assert_told(message, "Queued for example.test: <bob@example.test>, 1 in all.");
    assert_told(message, "Delivered to bob@example.test: INBOX of bob@example.test.");
    house_pass(&house, LATER);
    assert_int_equal(has("bob@example.test"), 1);
}

/* Its size is counted where it lies. */
static void usage_of_bob(struct rig *rig, void *arg)
{
    struct account account;
    struct addr addr = house_addr(&house, "bob@example.test");
    assert_false(
        err_is(directory_account_show(&house.core.directory, &addr, &house.arena, &account)));
    assert_false(err_is(mailbox_usage(rig->engine, account.id, &house.arena, arg)));
}

static void it_counts_as_what_it_is(void **state)
{
    (void)state;
    struct usage usage;
    held_for("bob@example.test");
    assert_true(rig_do(&house.rig, usage_of_bob, &usage));
    assert_int_equal(usage.octets, 0);
    house_pass(&house, LATER);
    assert_true(rig_do(&house.rig, usage_of_bob, &usage));
    assert_int_equal(usage.messages, 1);
    assert_int_equal(usage.octets, newest("bob@example.test").n);
}

/* --- Whom addresses lead to --- */

static void aliases_and_lists_lead_on(void **state)
{
    (void)state;
    const char *all[] = {"two@example.test", "team@example.test", "away@example.test",
                         "dora@far.test"};
    send_held("carol@far.test", all, 4, 0);
    assert_int_equal(has("alice@example.test"), 0);
    house_pass(&house, LATER);
    assert_int_equal(has("alice@example.test"), 1);
    assert_int_equal(has("bob@example.test"), 1);
    assert_int_equal(has("carol@example.test"), 1);
    assert_says(newest("bob@example.test"), "Delivered-To: bob@example.test");
    assert_int_equal(job_count, 2); /* dora, and away's other half */
    over_sent(job_at(0));
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

static void a_tag_stays_in_delivered_to(void **state)
{
    (void)state;
    house.core.directory.settings.plus = '+';
    held_for("bob+then@example.test");
    house_pass(&house, LATER);
    assert_says(newest("bob@example.test"), "\r\nDelivered-To: bob+then@example.test\r\n");
}

/* --- Who cannot have it --- */

static void disable(struct rig *rig, void *arg)
{
    struct addr addr = house_addr(&house, arg);
    const struct account account = {.disabled = true};
    (void)rig;
    assert_false(err_is(directory_account_set(&house.core.directory, &addr, &account,
                                              FIELD_DISABLED, &house.arena)));
}

static void who_is_disabled_by_then_is_reported(void **state)
{
    (void)state;
    const char *to = "bob@example.test";
    uint64_t message = send_held("alice@example.test", &to, 1, 0);
    assert_true(rig_do(&house.rig, disable, (void *)(uintptr_t)to));
    house_pass(&house, LATER);
    assert_int_equal(waiting(), 0);
    assert_says(newest("alice@example.test"), "Status: 5.2.1");
    assert_told(message, "Not sent to <bob@example.test>, and given up (this server: 550 5.2.1");
}

static void who_is_gone_by_then_is_reported(void **state)
{
    (void)state;
    const char *to = "carol@example.test";
    send_held("alice@example.test", &to, 1, 0);
    typed("list set team@example.test --drop carol@example.test");
    typed("alias remove away@example.test");
    assert_says(typed("account remove carol@example.test"), "removed");
    house_pass(&house, LATER);
    assert_int_equal(waiting(), 0);
    assert_says(newest("alice@example.test"), "Status: 5.1.1");
}

/* It waits for room as mail from elsewhere would, and its sender hears of it as ever. */
static void who_has_no_room_gets_it_when_he_has(void **state)
{
    (void)state;
    held_for("bob@example.test");
    send_one("bob@example.test");
    typed("account set bob@example.test --quota 200");
    house_pass(&house, LATER);
    assert_int_equal(has("bob@example.test"), 1);
    assert_says(typed("queue list"),
                "why: a mailbox here could not take it yet, last: 452 4.2.2 Mailbox full");
    typed("account set bob@example.test --quota none");
    house_pass(&house, LATER);
    assert_int_equal(has("bob@example.test"), 2);
    assert_int_equal(waiting(), 0);
}

static void who_never_has_room_is_reported(void **state)
{
    (void)state;
    const char *to = "bob@example.test";
    send_held("alice@example.test", &to, 1, 0);
    typed("account set bob@example.test --quota 10");
    house_pass(&house, LATER);
    assert_int_equal(waiting(), 0);
    assert_says(newest("alice@example.test"), "Status: 5.2.2");
}

/* --- Reports of success --- */

static void success_is_told_at_its_time(void **state)
{
    (void)state;
    const char *to[] = {"bob@example.test", "carol@example.test"};
    send_held("alice@example.test", to, 2, DSN_NOTIFY_SUCCESS);
    assert_int_equal(has("alice@example.test"), 0);
    house_pass(&house, LATER);
    assert_int_equal(has("bob@example.test"), 1);
    assert_int_equal(has("alice@example.test"), 1); /* one report of both */
    assert_says(newest("alice@example.test"), "rfc822; bob@example.test");
    assert_says(newest("alice@example.test"), "rfc822; carol@example.test");
}

/* An address that leads to two is one recipient. */
static void success_of_an_alias_is_told_once(void **state)
{
    (void)state;
    const char *to = "two@example.test";
    send_held("carol@example.test", &to, 1, DSN_NOTIFY_SUCCESS);
    house_pass(&house, LATER);
    assert_int_equal(has("alice@example.test"), 1);
    assert_int_equal(has("bob@example.test"), 1);
    assert_int_equal(has("carol@example.test"), 1);
    assert_says(newest("carol@example.test"), "Final-Recipient: rfc822; alice@example.test");
    assert_silent(newest("carol@example.test"), "rfc822; bob@example.test");
}

static void success_says_delivered(void **state)
{
    (void)state;
    const char *to = "bob@example.test";
    send_held("alice@example.test", &to, 1, DSN_NOTIFY_SUCCESS);
    house_pass(&house, LATER);
    assert_int_equal(has("alice@example.test"), 1);
    assert_says(newest("alice@example.test"), "Action: delivered");
}

/* --- The operator's hand --- */

static void an_operator_holds_and_removes_it(void **state)
{
    (void)state;
    uint64_t message = held_for("bob@example.test");
    assert_str(typed_about("queue hold #", message), STR("held 1 entry\n"));
    house_pass(&house, LATER);
    assert_int_equal(has("bob@example.test"), 0);
    assert_str(typed_about("queue release #", message), STR("released 1 entry\n"));
    assert_int_equal(has("bob@example.test"), 1);
    message = held_for("bob@example.test");
    assert_str(typed_about("queue reroute # --to mx", message),
               STR("rerouted 0 entries; 1 stays as it was\n"));
    assert_says(typed_about("queue show #", message), "bob@example.test");
    assert_str(typed_about("queue remove #", message), STR("removed 1 entry\n"));
    house_pass(&house, LATER);
    assert_int_equal(has("bob@example.test"), 1);
    message = held_for("bob@example.test");
    assert_str(typed_about("queue retry #", message), STR("made due 1 entry\n"));
    assert_int_equal(has("bob@example.test"), 2);
}

/* --- Deaths and failures --- */

static size_t commits_left;
static const struct engine_ops *own;
static struct engine_ops hooked;

static void commit_or_not(struct engine *engine, struct commit *commit)
{
    if (commits_left == 0) {
        commit->done(commit, err_make(ERR_CONFLICT));
        return;
    }
    commits_left--;
    own->commit(engine, commit);
}

/* The hour passes, and the disk takes so many commits of it. */
static void pass_with(size_t commits)
{
    struct engine *engine = house.rig.engine;
    own = engine->ops;
    hooked = *own;
    hooked.commit = commit_or_not;
    commits_left = commits;
    engine->ops = &hooked;
    house_pass(&house, LATER);
    engine->ops = own;
}

static void each_has_it_once_whatever_dies(void **state)
{
    (void)state;
    const char *to[] = {"alice@example.test", "bob@example.test", "dora@far.test"};
    for (size_t commits = 0; commits < 4; commits++) {
        size_t before = has("bob@example.test"), jobs_before = job_count;
        send_held("carol@far.test", to, 3, 0);
        core_again();
        assert_int_equal(has("bob@example.test"), before);
        pass_with(commits);
        core_again();
        house_pass(&house, LATER);
        assert_int_equal(has("bob@example.test"), before + 1);
        assert_int_equal(has("alice@example.test"), before + 1);
        assert_true(job_count > jobs_before);
        over_sent(job_at(job_count - 1));
        assert_int_equal(waiting(), 0);
        house_pass(&house, LATER);
        assert_int_equal(has("bob@example.test"), before + 1);
    }
}

static void what_could_not_be_handed_in_is_later(void **state)
{
    (void)state;
    held_for("bob@example.test");
    pass_with(0);
    assert_int_equal(has("bob@example.test"), 0);
    assert_int_equal(waiting(), 1);
    house_pass(&house, 120 * NS_PER_SECOND);
    assert_int_equal(has("bob@example.test"), 1);
    assert_int_equal(waiting(), 0);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOUSE(it_is_here_at_its_time),
        IN_HOUSE(it_counts_as_what_it_is),
        IN_HOUSE(aliases_and_lists_lead_on),
        IN_HOUSE(a_tag_stays_in_delivered_to),
        IN_HOUSE(who_is_disabled_by_then_is_reported),
        IN_HOUSE(who_is_gone_by_then_is_reported),
        IN_HOUSE(who_has_no_room_gets_it_when_he_has),
        IN_HOUSE(who_never_has_room_is_reported),
        IN_HOUSE(success_is_told_at_its_time),
        IN_HOUSE(success_of_an_alias_is_told_once),
        IN_HOUSE(success_says_delivered),
        IN_HOUSE(an_operator_holds_and_removes_it),
        IN_HOUSE(each_has_it_once_whatever_dies),
        IN_HOUSE(what_could_not_be_handed_in_is_later),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&typing.out);
    buf_done(&typing.err);
    return failed;
}
