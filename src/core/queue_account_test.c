/*
 * What waits to be sent is held with the account that sent it (catalogue row S21), and goes on with
 * it, whatever dies in between.
 */
#include "core/operator_rig_test.h"

#include "core/queue_change.h"

#define SETTINGS(brake)                                                                            \
    "postmaster = bob@example.test\n"                                                              \
    "sending { processes = 1 }\n"                                                                  \
    "submission { recipients_per_hour = 1000 brake_least = " brake " }\n"

#define A_DAY (24 * 3600 * NS_PER_SECOND)

static struct edge_end *sub;
static uint64_t alice, bob, tries;

static uint64_t log_in(const char *user)
{
    struct msg answer;
    struct msg question = {.kind = MSG_login,
                           .login = {.protocol = LISTEN_SUBMISSION,
                                     .encrypted = 1,
                                     .client = STR("192.0.2.7"),
                                     .user = str_from(user),
                                     .password = STR("secret")}};
    assert_false(err_is(house_ask(sub, question, &answer)));
    assert_int_equal(answer.logged_in.error, ERR_NONE);
    return answer.logged_in.handle;
}

static void all_log_in(void)
{
    alice = log_in("alice@example.test");
    bob = log_in("bob@example.test");
}

static int open_with(const char *settings)
{
    open_house(settings);
    sub = house_edge(&house, ROLE_SUB);
    all_log_in();
    return 0;
}

static int up(void **state)
{
    (void)state;
    return open_with(SETTINGS("0"));
}

static int up_braked(void **state)
{
    (void)state;
    return open_with(SETTINGS("8"));
}

static void again(void)
{
    core_again();
    all_log_in();
}

static enum err_code resolve(uint64_t login, const char *from, const char *to, uint64_t transaction)
{
    struct msg_address *list = arena_take_array(&house.arena, 1, sizeof(*list));
    struct msg answer;
    *list = (struct msg_address){.text = str_from(to)};
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transaction,
                                       .transmission = TRANSMISSION_ESMTP,
                                       .client = STR("192.0.2.7"),
                                       .server = STR("192.0.2.25"),
                                       .helo = STR("[192.0.2.7]"),
                                       .reverse_path = str_from(from),
                                       .login = login,
                                       .recipients = list,
                                       .recipients_count = 1}};
    assert_false(err_is(house_ask(sub, question, &answer)));
    return (enum err_code)answer.resolved.answers[0].error;
}

static void offer_of(uint64_t login, const char *from, uint64_t transaction, struct offer *offer)
{
    struct msg_address *author = arena_take_array(&house.arena, 1, sizeof(*author));
    struct buf body = buf_in(&house.arena, 200);
    *author = (struct msg_address){.text = str_from(from)};
    buf_printf(&body, "From: %s\r\nSubject: %zu\r\n\r\n", from, (size_t)++tries);
    offer_make(offer, sub, transaction, buf_built(&body), 1, tries);
    offer->msg.commit.login = login;
    offer->msg.commit.authors = author;
    offer->msg.commit.authors_count = 1;
}

/* The message's id; 0: it was refused with *error_r. */
static uint64_t submit(uint64_t login, const char *from, const char *to, enum err_code *error_r)
{
    uint64_t transaction = next_transaction++;
    struct offer offer;
    struct msg answer;
    *error_r = resolve(login, from, to, transaction);
    if (*error_r != ERR_NONE)
        return 0;
    offer_of(login, from, transaction, &offer);
    assert_false(err_is(house_ask(sub, offer.msg, &answer)));
    house_settle(&house);
    *error_r = (enum err_code)answer.committed.error;
    return *error_r ? 0 : answer.committed.message;
}

static uint64_t from_alice(const char *to)
{
    enum err_code error;
    uint64_t message = submit(alice, "alice@example.test", to, &error);
    assert_int_equal(error, ERR_NONE);
    return message;
}

static size_t held(void)
{
    return lines_of(typed("queue list --state held"));
}

/* --- By hand --- */

static void what_waits_is_held_with_its_account(void **state)
{
    (void)state;
    enum err_code error;
    uint64_t message = from_alice("carol@far.test");
    over_later(job_at(0));
    (void)submit(bob, "bob@example.test", "dora@far.test", &error);
    over_later(job_at(1));
    assert_str(typed("account hold alice@example.test --why odd"),
               STR("held account alice@example.test and 1 entry of the queue\n"));
    assert_says(typed("queue list --account alice@example.test"),
                "state: held, why: sending from its account is on hold");
    assert_int_equal(held(), 1);
    house_pass(&house, A_DAY);
    assert_int_equal(job_count, 3); /* bob's, again */
    over_sent(job_at(2));
    assert_str(typed("queue release --all"),
               STR("released 0 entries; 1 stays as it was; 1 stay held with their accounts "
                   "(veredus account release)\n"));
    house_pass(&house, house.conf.sending.expire);
    assert_int_equal(held(), 1);
    assert_str(typed("account release alice@example.test"),
               STR("released account alice@example.test and 1 entry of the queue\n"));
    assert_int_equal(job_count, 4);
    over_later(job_at(3));
    assert_int_equal(waiting(), 1); /* it has an hour */
    house_pass(&house, 2 * 3600 * NS_PER_SECOND);
    over_later(job_at(4));
    assert_int_equal(waiting(), 0);
    assert_told(message, "What is queued for far.test is held with its account: odd.");
    assert_told(message, "What is queued for far.test is held with its account no more.");
}

static void an_operator_s_hold_stays(void **state)
{
    (void)state;
    uint64_t message = from_alice("carol@far.test");
    over_later(job_at(0));
    typed_about("queue hold # --why looked-at", message);
    typed("account hold alice@example.test");
    assert_says(typed("queue list"), "why: sending from its account is on hold, and it is held by "
                                     "an operator: looked-at");
    typed("account release alice@example.test");
    assert_says(typed("queue list"), "state: held, why: held by an operator: looked-at");
    house_pass(&house, A_DAY);
    assert_int_equal(job_count, 1);
    typed_about("queue release #", message);
    assert_int_equal(job_count, 2);
}

static void what_is_under_way_is_held_when_it_is_back(void **state)
{
    (void)state;
    from_alice("carol@far.test");
    assert_str(typed("account hold alice@example.test"),
               STR("held account alice@example.test and 1 entry of the queue\n"));
    assert_int_equal(dropped, 1);
    over_later(job_at(0));
    assert_int_equal(held(), 1);
    house_pass(&house, A_DAY);
    assert_int_equal(job_count, 1);
}

static void all_are_held_in_batches(void **state)
{
    (void)state;
    typed("queue pause");
    for (int i = 0; i < QUEUE_CHANGES_MAX * 5 / 2; i++)
        from_alice("carol@far.test");
    assert_str(typed("account hold alice@example.test"),
               STR("held account alice@example.test and 250 entries of the queue\n"));
    assert_int_equal(held(), 250);
    assert_str(typed("account release alice@example.test"),
               STR("released account alice@example.test and 250 entries of the queue\n"));
    assert_int_equal(held(), 0);
}

/* --- By the brake --- */

static void the_brake_holds_what_waits(void **state)
{
    (void)state;
    enum err_code error = ERR_NONE;
    size_t sent_before = 0;
    typed("queue pause");
    while (!error && sent_before < 50)
        sent_before += submit(alice, "alice@example.test", "carol@far.test", &error) != 0;
    assert_int_equal(error, ERR_SENDING_HELD);
    assert_int_equal(sent_before, 8);
    house_settle(&house);
    assert_int_equal(held(), 8);
    assert_says(newest("alice@example.test"), "veredus queue remove --account");
    (void)submit(bob, "bob@example.test", "carol@far.test", &error);
    assert_int_equal(error, ERR_NONE);
    assert_int_equal(held(), 8);
    typed("queue resume");
    assert_int_equal(job_count, 1);
    assert_str(typed("queue remove --account alice@example.test"), STR("removed 8 entries\n"));
}

/* --- Deaths in between --- */

/* The account's record alone is on the disk, as where core dies before it came to any entry. */
static struct str by_hand;

static void hold_alone(struct rig *rig, void *arg)
{
    struct core *core = &house.core;
    struct account account;
    struct addr addr = house_addr(&house, arg);
    (void)rig;
    assert_false(err_is(directory_account_show(&core->directory, &addr, &house.arena, &account)));
    assert_false(err_is(senders_hold(&core->senders, account.id, by_hand, &house.arena)));
}

static void only_the_account(const char *why)
{
    by_hand = str_from(why);
    assert_true(rig_do(&house.rig, hold_alone, (void *)(uintptr_t) "alice@example.test"));
}

static void a_hold_is_gone_on_with_behind_a_crash(void **state)
{
    (void)state;
    from_alice("carol@far.test");
    over_later(job_at(0));
    only_the_account("odd");
    assert_int_equal(held(), 0);
    again();
    assert_int_equal(held(), 1);
    house_pass(&house, A_DAY);
    assert_int_equal(job_count, 1);
    only_the_account(NULL);
    assert_int_equal(held(), 1);
    again();
    assert_int_equal(held(), 0);
    assert_int_equal(job_count, 2);
    over_sent(job_at(1));
    assert_int_equal(waiting(), 0);
}

static void an_account_that_is_removed_releases_nothing(void **state)
{
    (void)state;
    from_alice("carol@far.test");
    over_later(job_at(0));
    typed("account hold alice@example.test");
    typed("alias remove two@example.test");
    typed("list remove team@example.test");
    assert_str(typed("account remove alice@example.test"),
               STR("removed account alice@example.test\n"));
    core_again();
    house_pass(&house, A_DAY);
    assert_int_equal(job_count, 1);
    assert_int_equal(held(), 1);
    assert_str(typed("queue remove --state held"), STR("removed 1 entry\n"));
}

/* No walk has come to it, and it comes due. */
static void nothing_is_given_without_a_look_at_its_account(void **state)
{
    (void)state;
    from_alice("carol@far.test");
    over_later(job_at(0));
    only_the_account("odd");
    house_pass(&house, A_DAY);
    assert_int_equal(job_count, 1);
    assert_int_equal(held(), 1);
}

/* The disk takes so many commits more. */
static size_t commits_left;
static const struct engine_ops *own;
static struct engine_ops hooked;

static void commit_or_not(struct engine *engine, struct commit *commit)
{
    if (commits_left == 0) {
        commit->done(commit, err_make(ERR_TRY_LATER));
        return;
    }
    commits_left--;
    own->commit(engine, commit);
}

static void commits_go_by(void (*hook)(struct engine *engine, struct commit *commit))
{
    struct engine *engine = house.rig.engine;
    own = engine->ops;
    hooked = *own;
    hooked.commit = hook;
    engine->ops = &hooked;
}

static void commits_go_on(void)
{
    house.rig.engine->ops = own;
}

/* Everybody is held while a message is on its way to the disk. */
static void hold_and_commit(struct engine *engine, struct commit *commit)
{
    for (struct sender *one = house.core.senders.all; one; one = one->hh.next)
        sending_hold(&one->sending, 1, STR("odd"));
    own->commit(engine, commit);
}

static void what_is_accepted_behind_a_hold_is_held(void **state)
{
    (void)state;
    typed("queue pause");
    commits_go_by(hold_and_commit);
    from_alice("carol@far.test");
    commits_go_on();
    assert_int_equal(held(), 1);
}

/* What accounts sent, and whether they are on hold, cannot be read. */
static struct err get_no_sending(struct engine *engine, struct partition partition, struct str key,
                                 struct arena *arena, struct entry *entry_r)
{
    return str_eq(key, STR("s")) ? err_make(ERR_DISK_FAILED)
                                 : own->get(engine, partition, key, arena, entry_r);
}

static void senders_forget(void)
{
    struct senders *senders = &house.core.senders;
    senders_done(senders);
    senders_init(senders, house.rig.engine, &house.rig.fake->world);
}

static void what_may_be_on_hold_waits(void **state)
{
    (void)state;
    from_alice("carol@far.test");
    over_later(job_at(0));
    senders_forget();
    own = house.rig.engine->ops;
    hooked = *own;
    hooked.get = get_no_sending;
    house.rig.engine->ops = &hooked;
    house_pass(&house, 3600 * NS_PER_SECOND);
    assert_int_equal(job_count, 1);
    assert_int_equal(waiting(), 1);
    house.rig.engine->ops = own;
    house_pass(&house, 61 * NS_PER_SECOND);
    assert_int_equal(job_count, 2);
}

static void typed_and_died(const char *line, size_t commits)
{
    commits_left = commits;
    commits_go_by(commit_or_not);
    (void)typed(line);
    commits_go_on();
    again();
}

static void whatever_dies_all_are_held_or_none(void **state)
{
    (void)state;
    const size_t all = QUEUE_CHANGES_MAX * 3 / 2;
    typed("queue pause");
    for (size_t i = 0; i < all; i++)
        from_alice("carol@far.test");
    for (size_t commits = 0; commits < 4; commits++) {
        typed_and_died("account hold alice@example.test", commits);
        assert_int_equal(held(), commits ? all : 0);
        typed("account hold alice@example.test");
        assert_int_equal(held(), all);
        typed_and_died("account release alice@example.test", commits);
        assert_int_equal(held(), commits ? 0 : all);
        typed("account release alice@example.test");
        assert_int_equal(held(), 0);
        assert_int_equal(waiting(), all);
    }
}

/* The disk takes no more for a while: the account is held, and its entries are when there is room.
 */
static void what_could_not_be_held_is_within_a_minute(void **state)
{
    (void)state;
    typed("queue pause");
    from_alice("carol@far.test");
    commits_left = 1;
    commits_go_by(commit_or_not);
    assert_says(complaint("account hold alice@example.test", ADMIN_LATER), "later");
    assert_int_equal(held(), 0);
    commits_go_on();
    house_pass(&house, 61 * NS_PER_SECOND);
    assert_int_equal(held(), 1);
}

/* A hold that cannot be kept is none. */
static void a_hold_that_fails_is_none(void **state)
{
    (void)state;
    commits_left = 0;
    commits_go_by(commit_or_not);
    (void)complaint("account hold alice@example.test", ADMIN_LATER);
    commits_go_on();
    from_alice("carol@far.test");
    assert_int_equal(job_count, 1);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOUSE(what_waits_is_held_with_its_account),
        IN_HOUSE(an_operator_s_hold_stays),
        IN_HOUSE(what_is_under_way_is_held_when_it_is_back),
        IN_HOUSE(all_are_held_in_batches),
        cmocka_unit_test_setup_teardown(the_brake_holds_what_waits, up_braked, teardown),
        IN_HOUSE(a_hold_is_gone_on_with_behind_a_crash),
        IN_HOUSE(an_account_that_is_removed_releases_nothing),
        IN_HOUSE(nothing_is_given_without_a_look_at_its_account),
        IN_HOUSE(what_is_accepted_behind_a_hold_is_held),
        IN_HOUSE(what_may_be_on_hold_waits),
        IN_HOUSE(whatever_dies_all_are_held_or_none),
        IN_HOUSE(what_could_not_be_held_is_within_a_minute),
        IN_HOUSE(a_hold_that_fails_is_none),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&typing.out);
    buf_done(&typing.err);
    return failed;
}
