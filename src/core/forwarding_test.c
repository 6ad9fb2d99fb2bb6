#include "core/forwarding.h"

#include "core/courier_rig_test.h"

static const char closed[] = "sending { processes = 1 }";

static int setup_closed(void **state)
{
    (void)state;
    open_house(closed);
    return 0;
}

/* Sends `octets` through an mx edge; what the commit was answered. */
static enum err_code bring(const char *sender, const char *recipient, struct str octets)
{
    uint64_t transaction = next_transaction++;
    struct msg_address address = {.text = str_from(recipient)};
    struct offer offer;
    struct msg answer;
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transaction,
                                       .transmission = TRANSMISSION_ESMTP,
                                       .client = STR("192.0.2.1"),
                                       .server = STR("192.0.2.25"),
                                       .helo = STR("c.example"),
                                       .reverse_path = str_from(sender),
                                       .recipients = &address,
                                       .recipients_count = 1}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    if (answer.resolved.answers[0].error)
        return (enum err_code)answer.resolved.answers[0].error;
    offer_make(&offer, mx, transaction, octets, 1, transaction);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    house_settle(&house);
    return (enum err_code)answer.committed.error;
}

static struct str octets_of(const struct msg_job *job)
{
    struct buf octets = buf_in(&house.arena, 1 << 20);
    assert_false(err_is(fetch(job, SLAB_SIZE, &octets)));
    return buf_built(&octets);
}

struct people {
    const char *address, *to;
};

static void forward_add(struct rig *rig, void *arg)
{
    const struct people *people = arg;
    (void)rig;
    struct addr address = house_addr(&house, people->address), to = house_addr(&house, people->to);
    assert_false(
        err_is(directory_alias_add(&house.core.directory, &address, &to, 1, &house.arena)));
}

static void forward(const char *address, const char *to)
{
    struct people people = {address, to};
    assert_true(rig_do(&house.rig, forward_add, &people));
}

/* --- Senders --- */

static void a_stranger_is_sent_on_by_a_sender_of_ours(void **state)
{
    (void)state;
    forward("fwd@example.test", "me@far.test");
    assert_int_equal(bring("zoe@else.example", "fwd@example.test", text), ERR_NONE);
    struct str sender = job_at(0)->sender;
    assert_true(str_starts(sender, STR("SRS0=")));
    assert_true(str_ends(sender, STR("=else.example=zoe@example.test")));
    /* The way back: to nobody but her, of nobody but the null path. */
    char back[300];
    snprintf(back, sizeof(back), "%.*s", STR_FMT(sender));
    assert_int_equal(bring("eve@evil.example", back, text), ERR_MAILBOX_UNKNOWN);
    assert_int_equal(bring("", back, text), ERR_NONE);
    assert_int_equal(job_count, 2);
    assert_str(job_at(1)->recipients[0].address, STR("zoe@else.example"));
    assert_int_equal(job_at(1)->sender.n, 0);
    over_sent(job_at(1));
    /* What fails here and now is told to her without a detour. */
    over_failed(job_at(0));
    assert_int_equal(job_count, 3);
    assert_str(job_at(2)->recipients[0].address, STR("zoe@else.example"));
    over_sent(job_at(2));
    assert_int_equal(waiting(), 0);
}

static void forged_and_old_ones_go_nowhere(void **state)
{
    (void)state;
    forward("fwd@example.test", "me@far.test");
    assert_int_equal(bring("zoe@else.example", "fwd@example.test", text), ERR_NONE);
    char back[300];
    snprintf(back, sizeof(back), "%.*s", STR_FMT(job_at(0)->sender));
    over_sent(job_at(0));
    assert_int_equal(bring("", "SRS0=AAAAAA=AA=victim.example=joe@example.test", text),
                     ERR_MAILBOX_UNKNOWN);
    char forged[300];
    snprintf(forged, sizeof(forged), "%s", back);
    memcpy(strstr(forged, "=zoe@"), "=joe@", 5);
    assert_int_equal(bring("", forged, text), ERR_MAILBOX_UNKNOWN);
    /* At a domain that is not ours they are somebody's addresses. */
    assert_int_equal(bring("", "SRS0=AAAAAA=AA=victim.example=joe@far.test", text),
                     ERR_RELAY_DENIED);
    fake_wall_jump(house.rig.fake, (SRS_DAYS - 1) * 24 * 3600 * US_PER_SECOND);
    assert_int_equal(bring("", back, text), ERR_NONE);
    fake_wall_jump(house.rig.fake, 2 * 24 * 3600 * US_PER_SECOND);
    assert_int_equal(bring("", back, text), ERR_MAILBOX_UNKNOWN);
}

/* Nothing is rewritten whose SPF we publish ourselves, and the null path is nobody's. */
static void our_own_senders_stay(void **state)
{
    (void)state;
    forward("fwd@example.test", "me@far.test");
    assert_int_equal(bring("bob@example.test", "fwd@example.test", text), ERR_NONE);
    assert_str(job_at(0)->sender, STR("bob@example.test"));
    assert_int_equal(bring("", "fwd@example.test", text), ERR_NONE);
    assert_int_equal(job_at(1)->sender.n, 0);
    over_sent(job_at(0));
    /* 64 octets of local part are not to be passed. */
    char sender[100];
    snprintf(sender, sizeof(sender), "%060d@else.example", 7);
    assert_int_equal(bring(sender, "fwd@example.test", text), ERR_NONE);
    assert_str(job_at(2)->sender, str_from(sender));
}

/* The same key, whoever died in between. */
static void rewritten_senders_outlive_core(void **state)
{
    (void)state;
    forward("fwd@example.test", "me@far.test");
    assert_int_equal(bring("zoe@else.example", "fwd@example.test", text), ERR_NONE);
    struct srs_keys before = house.core.forward.srs;
    house_crash(&house);
    house_start(&house);
    assert_memory_equal(&before, &house.core.forward.srs, sizeof(before));
}

/* --- Loops (catalogue S24) --- */

static void what_comes_back_is_not_sent_on_again(void **state)
{
    (void)state;
    forward("fwd@example.test", "me@far.test");
    assert_int_equal(bring("zoe@else.example", "fwd@example.test", text), ERR_NONE);
    struct str sent = octets_of(job_at(0));
    assert_true(str_starts(sent, STR("Veredus-Loop: v1 ")));
    over_sent(job_at(0));
    /* All Received fields were taken away, and it is wrapped into others. */
    ssize_t from = str_find(sent, STR("From: "));
    struct buf again = buf_in(&house.arena, 1 << 20);
    buf_put(&again, STR("Delivered-To: me@far.test\r\n"));
    buf_put(&again, str_head(sent, (size_t)str_find(sent, STR("\r\n")) + 2));
    buf_put(&again, str_from_index(sent, (size_t)from));
    assert_int_equal(bring("zoe@else.example", "fwd@example.test", buf_str(&again)), ERR_MAIL_LOOP);
    assert_int_equal(job_count, 1);
    /* By another address here it may go on, and another message by the same one. */
    forward("other@example.test", "me@far.test");
    assert_int_equal(bring("zoe@else.example", "other@example.test", buf_str(&again)), ERR_NONE);
    assert_int_equal(job_count, 2);
    buf_put(&again, STR("x\r\n"));
    struct str another = STR("From: zoe@else.example\r\nSubject: another\r\n\r\nx\r\n");
    assert_int_equal(bring("zoe@else.example", "fwd@example.test", another), ERR_NONE);
    assert_int_equal(job_count, 3);
}

/* Somebody else still gets it: so it is taken, and the sender is told of the rest. */
static void of_a_circle_its_sender_is_told(void **state)
{
    (void)state;
    assert_int_equal(bring("bob@example.test", "away@example.test", text), ERR_NONE);
    struct str sent = octets_of(job_at(0));
    over_sent(job_at(0));
    assert_int_equal(house_count(box, "carol@example.test"), 1);
    assert_int_equal(bring("bob@example.test", "away@example.test", sent), ERR_NONE);
    assert_int_equal(job_count, 1);
    assert_int_equal(house_count(box, "carol@example.test"), 2);
    struct str report = newest("bob@example.test");
    assert_says(report, "Action: failed\r\nStatus: 5.4.6\r\n");
    assert_says(report, "Final-Recipient: rfc822; new@else.example\r\n");
    assert_silent(report, "carol@example.test");
}

static void a_message_by_two_ways_to_one_place_goes_once(void **state)
{
    (void)state;
    forward("one@example.test", "me@far.test");
    forward("another@example.test", "me@far.test");
    const char *const recipients[] = {"one@example.test", "another@example.test"};
    send_from("zoe@else.example", recipients, 2);
    assert_int_equal(job_count, 1);
    assert_int_equal(job_at(0)->recipients_count, 1);
}

/* --- Lists --- */

static void list_add(struct rig *rig, void *arg)
{
    (void)rig;
    (void)arg;
    struct addr list = house_addr(&house, "far@example.test"),
                owner = house_addr(&house, "alice@example.test"),
                member = house_addr(&house, "me@far.test");
    struct mailing_list facts = {.expandable = true};
    struct member_change change = {.member = member};
    assert_false(err_is(directory_list_add(&house.core.directory, &list, &facts, &owner, &change, 1,
                                           &house.arena)));
}

/* RFC 3461 5.2.7.1: it begins anew, by its owner, and marked. */
static void a_list_of_members_elsewhere_is_told_of(void **state)
{
    (void)state;
    assert_true(rig_do(&house.rig, list_add, NULL));
    const char *recipient = "far@example.test";
    uint64_t message = send_asking("zoe@else.example", &recipient, 1, DSN_NOTIFY_SUCCESS);
    assert_told(message, "The list far@example.test was expanded for <far@example.test>; its owner "
                         "is alice@example.test.");
    assert_int_equal(job_count, 1);
    assert_str(job_at(0)->sender, STR("alice@example.test"));
    assert_int_equal(asked_of(job_at(0), 0).notify, 0);
    assert_true(str_starts(octets_of(job_at(0)), STR("Veredus-Loop: v1 ")));
    over_failed(job_at(0));
    assert_says(newest("alice@example.test"), "Final-Recipient: rfc822; me@far.test\r\n");
    assert_int_equal(job_count, 1);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, setup_closed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED(a_stranger_is_sent_on_by_a_sender_of_ours),
        CLOSED(forged_and_old_ones_go_nowhere),
        CLOSED(our_own_senders_stay),
        CLOSED(rewritten_senders_outlive_core),
        CLOSED(what_comes_back_is_not_sent_on_again),
        CLOSED(of_a_circle_its_sender_is_told),
        IN_HOUSE(a_message_by_two_ways_to_one_place_goes_once),
        CLOSED(a_list_of_members_elsewhere_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
