/*
 * What core lets users send: as whom, to whom and how much; and what it does to an edge that says
 * what no honest one says.
 */
#define HOUSE_SETTINGS                                                                             \
    "hostname = mx.example.test\n"                                                                 \
    "postmaster = bob@example.test\n"                                                              \
    "submission { recipients_per_hour = 6 recipients_per_day = 9 brake_least = 0 }\n"

#include "core/house_test.h"

#include "store/store_rig_test.h"

#define HOUR (3600 * NS_PER_SECOND)

static struct edge_end *sub;
static uint64_t alice, tries, transactions;

#define HOME "192.0.2.7"
#define ABROAD "198.51.100.7"

static struct msg login_from(const char *client, const char *user, enum listen_protocol protocol)
{
    return (struct msg){.kind = MSG_login,
                        .login = {.protocol = (uint8_t)protocol,
                                  .encrypted = 1,
                                  .client = str_from(client),
                                  .user = str_from(user),
                                  .password = STR("secret")}};
}

static struct msg login_of(const char *user, enum listen_protocol protocol)
{
    return login_from(HOME, user, protocol);
}

static uint64_t logged_in_by(struct edge_end *edge, struct msg question)
{
    struct msg answer;
    assert_false(err_is(house_ask(edge, question, &answer)));
    assert_int_equal(answer.logged_in.error, ERR_NONE);
    return answer.logged_in.handle;
}

static uint64_t log_in(struct edge_end *edge, const char *user, enum listen_protocol protocol)
{
    return logged_in_by(edge, login_of(user, protocol));
}

static void sub_up_with(const char *settings)
{
    house_open(&house, settings, 1);
    mx = house_edge(&house, ROLE_MX);
    box = house_edge(&house, ROLE_BOX);
    sub = house_edge(&house, ROLE_SUB);
    alice = log_in(sub, "alice@example.test", LISTEN_SUBMISSION);
}

static int sub_up(void **state)
{
    (void)state;
    sub_up_with(HOUSE_SETTINGS);
    return 0;
}

/* A user, what he says to the envelope, and what is to come of it. */
struct letter {
    uint64_t login;
    const char *from;
    const char *to[4];
    const char *authors[4];
};

static struct msg resolve_of(const struct letter *letter, uint64_t transaction)
{
    struct msg_address *list = arena_take_array(&house.arena, 4, sizeof(*list));
    size_t count = 0;
    assert_non_null(list);
    for (; count < 4 && letter->to[count]; count++)
        list[count].text = str_from(letter->to[count]);
    return (struct msg){.kind = MSG_resolve,
                        .resolve = {.transaction = transaction,
                                    .transmission = TRANSMISSION_ESMTP,
                                    .client = STR("192.0.2.7"),
                                    .server = STR("192.0.2.25"),
                                    .helo = STR("[192.0.2.7]"),
                                    .reverse_path = str_from(letter->from),
                                    .login = letter->login,
                                    .recipients = list,
                                    .recipients_count = count}};
}

static struct msg_answer resolved(const struct letter *letter, uint64_t transaction)
{
    struct msg answer;
    assert_false(err_is(house_ask(sub, resolve_of(letter, transaction), &answer)));
    return answer.resolved.answers[answer.resolved.answers_count - 1];
}

static void commit_of(const struct letter *letter, uint64_t transaction, struct offer *offer)
{
    size_t count = 0, authors = 0;
    struct msg_address *list = arena_take_array(&house.arena, 4, sizeof(*list));
    while (count < 4 && letter->to[count])
        count++;
    for (; authors < 4 && letter->authors[authors]; authors++)
        list[authors].text = str_from(letter->authors[authors]);
    /* Each body is another one: none is a repetition. */
    struct buf text = buf_in(&house.arena, 1000);
    buf_printf(&text, "Subject: %zu\r\n\r\n", (size_t)++tries);
    offer_make(offer, sub, transaction, buf_built(&text), count, tries);
    offer->msg.commit.login = letter->login;
    offer->msg.commit.authors = list;
    offer->msg.commit.authors_count = authors;
}

static struct msg_committed committed(const struct letter *letter, uint64_t transaction)
{
    struct offer offer;
    struct msg answer;
    commit_of(letter, transaction, &offer);
    assert_false(err_is(house_ask(sub, offer.msg, &answer)));
    return answer.committed;
}

/* Resolves and commits; the first error. */
static enum err_code sent(const struct letter *letter)
{
    uint64_t transaction = 1000 + ++transactions;
    struct msg_answer answer = resolved(letter, transaction);
    if (answer.error != ERR_NONE)
        return answer.error;
    return committed(letter, transaction).error;
}

static struct letter plain(void)
{
    return (struct letter){.login = alice,
                           .from = "alice@example.test",
                           .to = {"bob@example.test"},
                           .authors = {"alice@example.test"}};
}

static void cut_by(struct edge_end *edge, struct msg msg)
{
    struct msg answer;
    assert_int_equal(house_ask(edge, msg, &answer).code, ERR_BUS_BROKEN);
    house_settle(&house);
    assert_true(edge->ended);
    edge_end_connect(edge);
    alice = log_in(sub, "alice@example.test", LISTEN_SUBMISSION);
}

/* --- Who --- */

static void a_user_sends(void **state)
{
    (void)state;
    struct letter letter = plain();
    assert_int_equal(sent(&letter), ERR_NONE);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
}

static void nobody_sends_without_a_log_in(void **state)
{
    (void)state;
    struct letter letter = plain();
    letter.login = 0;
    cut_by(sub, resolve_of(&letter, 1));
    cut_by(sub, (struct msg){.kind = MSG_sender, .sender = {.login = 0}});
    cut_by(sub, login_of("alice@example.test", LISTEN_POP3));
}

static void a_log_in_is_its_link_s_and_ends(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_SUB);
    struct letter letter = plain();
    letter.login = log_in(other, "alice@example.test", LISTEN_SUBMISSION);
    assert_int_equal(resolved(&letter, 1).error, ERR_LOGIN_NEEDED);
    letter.login = alice;
    assert_int_equal(resolved(&letter, 2).error, ERR_NONE);
    edge_end_tell(sub, &(struct msg){.kind = MSG_logout, .logout = {.handle = alice}});
    house_settle(&house);
    assert_int_equal(resolved(&letter, 2).error, ERR_LOGIN_NEEDED);
    assert_int_equal(committed(&letter, 2).error, ERR_LOGIN_NEEDED);
    assert_int_equal(house_count(box, "bob@example.test"), 0);
}

static void a_transaction_is_of_one_log_in(void **state)
{
    (void)state;
    struct letter letter = plain();
    struct offer offer;
    uint64_t bob = log_in(sub, "bob@example.test", LISTEN_SUBMISSIONS);
    assert_int_equal(resolved(&letter, 1).error, ERR_NONE);
    letter.login = bob;
    cut_by(sub, resolve_of(&letter, 1));
    letter = plain();
    assert_int_equal(resolved(&letter, 1).error, ERR_NONE);
    letter.login = log_in(sub, "bob@example.test", LISTEN_SUBMISSION);
    commit_of(&letter, 1, &offer);
    cut_by(sub, offer.msg);
}

static void strangers_have_no_log_in(void **state)
{
    (void)state;
    struct letter letter = plain();
    struct offer offer;
    cut_by(mx, resolve_of(&letter, 1));
    house_resolve_one(mx, 2, "bob@example.test");
    commit_of(&letter, 2, &offer);
    offer.msg.commit.login = 0; /* but it names authors */
    cut_by(mx, offer.msg);
    house_resolve_one(mx, 3, "bob@example.test");
    commit_of(&letter, 3, &offer);
    offer.msg.commit.authors_count = 0;
    cut_by(mx, offer.msg);
    assert_int_equal(house_count(box, "bob@example.test"), 0);
}

static void a_submission_names_tokens(void **state)
{
    (void)state;
    struct letter letter = plain();
    struct offer offer;
    struct msg_address bob = {.text = STR("bob@example.test")};
    assert_int_equal(resolved(&letter, 1).error, ERR_NONE);
    uint64_t next = committed(&letter, 1).next;
    commit_of(&letter, 2, &offer);
    offer.msg.commit.recipients_count = 0;
    offer.msg.commit.addresses = &bob;
    offer.msg.commit.addresses_count = 1;
    offer.msg.commit.message = next;
    offer.msg.commit.client = STR("192.0.2.7");
    offer.msg.commit.reverse_path = STR("alice@example.test");
    cut_by(sub, offer.msg);
}

/* --- As whom --- */

static enum err_code judged(const char *path)
{
    struct msg answer;
    struct msg question = {.kind = MSG_sender,
                           .sender = {.login = alice, .reverse_path = str_from(path)}};
    assert_false(err_is(house_ask(sub, question, &answer)));
    return answer.sender_judged.error;
}

static void the_sender_is_the_user_s(void **state)
{
    (void)state;
    static const char *const others[] = {"bob@example.test",
                                         "two@example.test",
                                         "team@example.test",
                                         "nobody@example.test",
                                         "alice@else.test",
                                         "postmaster@example.test",
                                         "\"alice@example.test\"@else.test"};
    assert_int_equal(judged("alice@example.test"), ERR_NONE);
    assert_int_equal(judged("ALICE+tag@example.test"), ERR_NONE);
    assert_int_equal(judged(""), ERR_NONE);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct letter letter = plain();
        assert_int_equal(judged(others[i]), ERR_SENDER_NOT_OWNED);
        letter.from = others[i];
        assert_int_equal(resolved(&letter, 100 + i).error, ERR_SENDER_NOT_OWNED);
    }
}

static void every_author_is_the_user_s(void **state)
{
    (void)state;
    static const char *const others[] = {"bob@example.test", "alice@else.test",
                                         "team@example.test"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct letter letter = plain();
        letter.authors[1] = others[i];
        assert_int_equal(resolved(&letter, 1 + i).error, ERR_NONE);
        struct msg_committed answer = committed(&letter, 1 + i);
        assert_int_equal(answer.error, ERR_SENDER_NOT_OWNED);
        assert_str(answer.text, str_from(others[i]));
    }
    assert_int_equal(house_count(box, "bob@example.test"), 0);
    struct letter letter = plain();
    letter.authors[1] = "alice+x@example.test";
    assert_int_equal(sent(&letter), ERR_NONE);
}

static void the_null_path_has_authors_too(void **state)
{
    (void)state;
    struct letter letter = plain();
    letter.from = "";
    assert_int_equal(sent(&letter), ERR_NONE);
    letter.authors[0] = "bob@example.test";
    assert_int_equal(sent(&letter), ERR_SENDER_NOT_OWNED);
}

static void a_message_without_authors_is_no_edge_s(void **state)
{
    (void)state;
    struct letter letter = plain();
    struct offer offer;
    letter.authors[0] = NULL;
    assert_int_equal(resolved(&letter, 1).error, ERR_NONE);
    commit_of(&letter, 1, &offer);
    cut_by(sub, offer.msg);
    letter = plain();
    letter.authors[0] = "no address";
    assert_int_equal(resolved(&letter, 1).error, ERR_NONE);
    commit_of(&letter, 1, &offer);
    cut_by(sub, offer.msg);
}

/* --- Programs of this host --- */

static struct msg login_local_of(uint32_t uid)
{
    return (struct msg){.kind = MSG_login_local, .login_local = {.uid = uid}};
}

static struct letter local_letter(uint32_t uid)
{
    return (struct letter){.login = logged_in_by(sub, login_local_of(uid)),
                           .from = "cron@else.test",
                           .to = {"bob@example.test", "x@else.test"},
                           .authors = {"anybody@else.test"}};
}

static void a_program_of_this_host_sends_as_whom_it_says(void **state)
{
    (void)state;
    struct letter letter = local_letter(0);
    struct msg answer;
    struct msg question = {.kind = MSG_sender,
                           .sender = {.login = letter.login, .reverse_path = STR("x@y.example")}};
    assert_false(err_is(house_ask(sub, question, &answer)));
    assert_int_equal(answer.sender_judged.error, ERR_NONE);
    for (int i = 0; i < 10; i++) /* root has no limit */
        assert_int_equal(sent(&letter), ERR_NONE);
    assert_int_equal(house_count(box, "bob@example.test"), 10);
}

static void each_user_of_this_host_has_the_limits_of_an_account(void **state)
{
    (void)state;
    struct letter one = local_letter(1000), again = local_letter(1000), two = local_letter(1001);
    assert_int_equal(sent(&one), ERR_NONE);
    assert_int_equal(sent(&one), ERR_NONE);
    assert_int_equal(sent(&again), ERR_NONE); /* six recipients in this hour */
    assert_int_equal(sent(&again), ERR_SENDING_LIMIT);
    assert_int_equal(sent(&one), ERR_SENDING_LIMIT);
    assert_int_equal(sent(&two), ERR_NONE);
}

/* --- To whom --- */

static void users_may_send_to_others(void **state)
{
    (void)state;
    struct letter letter = plain();
    letter.to[0] = "x@else.test";
    assert_int_equal(resolved(&letter, 1).error, ERR_NONE);
}

/* --- How much --- */

/* Messages to two that are accepted before the first refusal, which is this. */
static size_t until(struct letter *letter, enum err_code refusal)
{
    letter->to[0] = "bob@example.test";
    letter->to[1] = "alice@example.test";
    for (size_t n = 0;; n++) {
        enum err_code error = sent(letter);
        if (error == ERR_NONE)
            continue;
        assert_int_equal(error, refusal);
        return n;
    }
}

static void an_hour_and_a_day_have_limits(void **state)
{
    (void)state;
    struct letter letter = plain();
    assert_int_equal(until(&letter, ERR_SENDING_LIMIT), 3);
    assert_int_equal(judged("alice@example.test"), ERR_SENDING_LIMIT);
    uint64_t bob = log_in(sub, "bob@example.test", LISTEN_SUBMISSION);
    struct letter other = {.login = bob,
                           .from = "bob@example.test",
                           .to = {"alice@example.test"},
                           .authors = {"bob@example.test"}};
    assert_int_equal(sent(&other), ERR_NONE);
    house_pass(&house, 2 * HOUR);
    assert_int_equal(until(&letter, ERR_SENDING_LIMIT), 1); /* 8 of 9 */
    letter.to[1] = NULL;
    assert_int_equal(sent(&letter), ERR_NONE);
    assert_int_equal(sent(&letter), ERR_SENDING_LIMIT);
    house_pass(&house, 25 * HOUR);
    assert_int_equal(until(&letter, ERR_SENDING_LIMIT), 3);
}

static struct store_rig watched;

static void next_commit_fails(void)
{
    struct engine *engine = house.rig.engine;
    watched = (struct store_rig){.own = engine->ops, .hooked = *engine->ops, .fail_in = 1};
    watched.rig.loop = house.rig.loop;
    watched.hooked.commit = watched_commit;
    engine->ops = &watched.hooked;
    store_rig_open_now = &watched;
}

static void commits_do_again(void)
{
    house.rig.engine->ops = watched.own;
    assert_int_equal(watched.fail_in, 0);
}

static void a_message_is_counted_where_it_is_accepted(void **state)
{
    (void)state;
    struct letter letter = plain();
    letter.authors[0] = "bob@example.test";
    for (int i = 0; i < 10; i++)
        assert_int_equal(sent(&letter), ERR_SENDER_NOT_OWNED);
    letter = plain();
    for (int i = 0; i < 10; i++) {
        uint64_t transaction = 5000 + (uint64_t)i;
        assert_int_equal(resolved(&letter, transaction).error, ERR_NONE);
        next_commit_fails();
        assert_int_equal(committed(&letter, transaction).error, ERR_TRY_LATER);
        commits_do_again();
    }
    assert_int_equal(until(&letter, ERR_SENDING_LIMIT), 3);
}

static void two_at_once_cannot_both_be_the_last(void **state)
{
    (void)state;
    struct letter letter = plain();
    struct offer offers[4];
    struct asking asking[4];
    letter.to[1] = "alice@example.test";
    struct letter first = plain(); /* to one: the last of the others has room for half of it */
    assert_int_equal(resolved(&first, 1).error, ERR_NONE);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(resolved(&letter, i + 1).error, ERR_NONE);
    for (size_t i = 0; i < 4; i++) {
        commit_of(i == 0 ? &first : &letter, i + 1, &offers[i]);
        house_ask_begin(&asking[i], sub, offers[i].msg);
    }
    house_settle(&house);
    for (int i = 0; i < 100 && !asking[3].done; i++)
        house_pass(&house, NS_PER_SECOND / 10);
    size_t accepted = 0;
    for (size_t i = 0; i < 4; i++)
        accepted += asking[i].answer.committed.error == ERR_NONE;
    assert_int_equal(accepted, 3);
}

static void restarted(void)
{
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_leave(&house.edges[i]);
    house_stop(&house);
    house_start(&house);
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_connect(&house.edges[i]);
    alice = log_in(sub, "alice@example.test", LISTEN_SUBMISSION);
}

static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    struct letter letter = plain();
    letter.to[1] = "alice@example.test";
    assert_int_equal(sent(&letter), ERR_NONE);
    assert_int_equal(sent(&letter), ERR_NONE);
    restarted();
    letter = plain();
    assert_int_equal(until(&letter, ERR_SENDING_LIMIT), 1);
}

/* --- The brake --- */

#define BRAKE_SETTINGS                                                                             \
    "hostname = mx.example.test\n"                                                                 \
    "postmaster = bob@example.test\n"                                                              \
    "submission { recipients_per_hour = 50 brake_least = 4 brake_factor = 2 }\n"

static int brake_up(void **state)
{
    (void)state;
    sub_up_with(BRAKE_SETTINGS);
    return 0;
}

static size_t notices(const char *user)
{
    struct buf text = BUF_INIT(READ_MAX);
    uint64_t handle = house_enter(box, user);
    struct msg_mailbox_rows page = house_rows(box, handle, 0);
    size_t found = 0;
    for (size_t i = 0; i < page.rows_count; i++) {
        buf_clear(&text);
        house_read(box, handle, page.rows[i].uid, &text);
        found += str_find(buf_str(&text),
                          STR("Subject: Sending from your account is on hold\r\n")) > 0 &&
                 str_find(buf_str(&text), STR("\r\n  alice@example.test\r\n")) > 0;
    }
    buf_done(&text);
    return found;
}

static void who_sends_far_more_than_usual_is_held(void **state)
{
    (void)state;
    struct letter letter = plain();
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 2);
    assert_int_equal(sent(&letter), ERR_SENDING_HELD);
    assert_int_equal(judged("alice@example.test"), ERR_SENDING_HELD);
    assert_int_equal(notices("alice@example.test"), 1);
    assert_int_equal(notices("bob@example.test"), 1);
    assert_int_equal(notices("carol@example.test"), 0);
    house_pass(&house, 30 * HOUR);
    assert_int_equal(judged("alice@example.test"), ERR_SENDING_HELD);
    restarted();
    assert_int_equal(judged("alice@example.test"), ERR_SENDING_HELD);
    assert_int_equal(notices("alice@example.test"), 1);
}

static void others_are_not_held_with_it(void **state)
{
    (void)state;
    struct letter letter = plain();
    uint64_t bob = log_in(sub, "bob@example.test", LISTEN_SUBMISSION);
    (void)until(&letter, ERR_SENDING_HELD);
    struct letter other = {.login = bob,
                           .from = "bob@example.test",
                           .to = {"alice@example.test"},
                           .authors = {"bob@example.test"}};
    assert_int_equal(sent(&other), ERR_NONE);
}

static void a_habit_allows_more(void **state)
{
    (void)state;
    struct letter letter = plain();
    letter.to[1] = "alice@example.test";
    for (int day = 0; day < 3; day++) {
        assert_int_equal(sent(&letter), ERR_NONE);
        assert_int_equal(sent(&letter), ERR_NONE);
        house_pass(&house, 24 * HOUR);
    }
    letter = plain();
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 4); /* twice 4 recipients */
}

struct hold_by_hand {
    struct str why;
    struct account account;
};

static void hold_run(struct rig *rig, void *arg)
{
    struct hold_by_hand *hold = arg;
    struct core *core = &house.core;
    struct addr addr = house_addr(&house, "alice@example.test");
    (void)rig;
    assert_false(
        err_is(directory_account_show(&core->directory, &addr, &house.arena, &hold->account)));
    assert_false(err_is(senders_hold(&core->senders, hold->account.id, hold->why, &house.arena)));
}

static void held_by_hand(const char *why)
{
    struct hold_by_hand hold = {.why = str_from(why)};
    assert_true(rig_do(&house.rig, hold_run, &hold));
}

static void an_operator_holds_and_releases(void **state)
{
    (void)state;
    struct letter letter = plain();
    assert_int_equal(sent(&letter), ERR_NONE);
    held_by_hand("looked odd");
    assert_int_equal(sent(&letter), ERR_SENDING_HELD);
    restarted();
    letter.login = alice;
    assert_int_equal(sent(&letter), ERR_SENDING_HELD);
    held_by_hand(NULL);
    assert_int_equal(sent(&letter), ERR_NONE);
    assert_int_equal(notices("alice@example.test"), 0);
}

/* Else it would be held again by the next message of the same hour. */
static void who_was_released_is_not_braked_for_a_day(void **state)
{
    (void)state;
    struct letter letter = plain();
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 2);
    held_by_hand(NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(sent(&letter), ERR_NONE);
    house_pass(&house, 48 * HOUR);
    letter.to[1] = NULL;
    for (int i = 0; i < 28; i++) /* twice its habit: 14 */
        assert_int_equal(sent(&letter), ERR_NONE);
    assert_int_equal(sent(&letter), ERR_SENDING_HELD);
}

/* --- From a network that is new to the account --- */

#define NEW_SETTINGS                                                                               \
    "hostname = mx.example.test\n"                                                                 \
    "postmaster = bob@example.test\n"                                                              \
    "submission { recipients_per_hour = 500 brake_least = 20 brake_factor = 10\n"                  \
    "             brake_new_least = 4 brake_new_factor = 2 }\n"

/* Alice was at home, and somebody else now has her password. */
static int new_up(void **state)
{
    (void)state;
    sub_up_with(NEW_SETTINGS);
    house_pass(&house, NS_PER_SECOND); /* it is noted */
    return 0;
}

static struct letter from_abroad(void)
{
    struct letter letter = plain();
    letter.login = logged_in_by(sub, login_from(ABROAD, "alice@example.test", LISTEN_SUBMISSION));
    return letter;
}

static void who_logs_in_from_a_new_network_is_held_sooner(void **state)
{
    (void)state;
    struct letter letter = from_abroad();
    struct letter home = plain();
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 2);
    assert_int_equal(sent(&letter), ERR_SENDING_HELD);
    assert_int_equal(sent(&home), ERR_SENDING_HELD); /* nobody knows who of the two she is */
    uint64_t bob = log_in(sub, "bob@example.test", LISTEN_SUBMISSION);
    struct letter other = {.login = bob,
                           .from = "bob@example.test",
                           .to = {"alice@example.test"},
                           .authors = {"bob@example.test"}};
    assert_int_equal(sent(&other), ERR_NONE);
    assert_int_equal(notices("alice@example.test"), 1);
    assert_int_equal(notices("bob@example.test"), 1);
    held_by_hand(NULL);
    assert_int_equal(sent(&letter), ERR_NONE);
}

static void a_new_network_stays_new_for_the_next_log_in(void **state)
{
    (void)state;
    (void)from_abroad();
    house_pass(&house, NS_PER_SECOND);
    struct letter letter = from_abroad(); /* it was noted meanwhile */
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 2);
}

static void a_network_is_new_no_more_on_the_third_day(void **state)
{
    (void)state;
    (void)from_abroad();
    house_pass(&house, 48 * HOUR);
    struct letter letter = from_abroad();
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 10);
}

static void at_home_nothing_is_new(void **state)
{
    (void)state;
    struct letter letter = plain();
    (void)from_abroad();
    house_pass(&house, NS_PER_SECOND);
    letter.login = log_in(sub, "alice@example.test", LISTEN_SUBMISSION);
    assert_int_equal(until(&letter, ERR_SENDING_HELD), 10);
}

/* What was sent from home in that hour counts for who comes from elsewhere. */
static void an_hour_is_one_whoever_sends_in_it(void **state)
{
    (void)state;
    struct letter home = plain(), letter = from_abroad();
    home.to[1] = "alice@example.test";
    assert_int_equal(sent(&home), ERR_NONE);
    assert_int_equal(sent(&home), ERR_NONE);
    assert_int_equal(sent(&letter), ERR_SENDING_HELD);
}

/* A burst of many messages at once: the one that is too many holds all behind it, and is told once.
 */
static void a_burst_is_one_hold_and_one_notice(void **state)
{
    enum {
        BURST = 30
    };
    (void)state;
    struct letter letter = from_abroad();
    static struct offer offers[BURST];
    static struct asking asking[BURST];
    size_t accepted = 0, held = 0;
    for (size_t i = 0; i < BURST; i++)
        assert_int_equal(resolved(&letter, i + 1).error, ERR_NONE);
    for (size_t i = 0; i < BURST; i++) {
        commit_of(&letter, i + 1, &offers[i]);
        house_ask_begin(&asking[i], sub, offers[i].msg);
    }
    house_pass(&house, 5 * NS_PER_SECOND);
    for (size_t i = 0; i < BURST; i++) {
        assert_true(asking[i].done);
        accepted += asking[i].answer.committed.error == ERR_NONE;
        held += asking[i].answer.committed.error == ERR_SENDING_HELD;
    }
    assert_int_equal(accepted, 4);
    assert_int_equal(held, BURST - 4);
    assert_int_equal(notices("alice@example.test"), 1);
    assert_int_equal(notices("bob@example.test"), 1);
}

#define SUB_TEST(name) cmocka_unit_test_setup_teardown(name, sub_up, house_down)
#define NEW_TEST(name) cmocka_unit_test_setup_teardown(name, new_up, house_down)
#define BRAKE_TEST(name) cmocka_unit_test_setup_teardown(name, brake_up, house_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SUB_TEST(a_user_sends),
        SUB_TEST(nobody_sends_without_a_log_in),
        SUB_TEST(a_log_in_is_its_link_s_and_ends),
        SUB_TEST(a_transaction_is_of_one_log_in),
        SUB_TEST(strangers_have_no_log_in),
        SUB_TEST(a_submission_names_tokens),
        SUB_TEST(the_sender_is_the_user_s),
        SUB_TEST(every_author_is_the_user_s),
        SUB_TEST(the_null_path_has_authors_too),
        SUB_TEST(a_message_without_authors_is_no_edge_s),
        SUB_TEST(a_program_of_this_host_sends_as_whom_it_says),
        SUB_TEST(each_user_of_this_host_has_the_limits_of_an_account),
        SUB_TEST(users_may_send_to_others),
        SUB_TEST(an_hour_and_a_day_have_limits),
        SUB_TEST(a_message_is_counted_where_it_is_accepted),
        SUB_TEST(two_at_once_cannot_both_be_the_last),
        SUB_TEST(a_restart_forgets_nothing),
        BRAKE_TEST(who_sends_far_more_than_usual_is_held),
        BRAKE_TEST(others_are_not_held_with_it),
        BRAKE_TEST(a_habit_allows_more),
        BRAKE_TEST(an_operator_holds_and_releases),
        BRAKE_TEST(who_was_released_is_not_braked_for_a_day),
        NEW_TEST(who_logs_in_from_a_new_network_is_held_sooner),
        NEW_TEST(a_new_network_stays_new_for_the_next_log_in),
        NEW_TEST(a_network_is_new_no_more_on_the_third_day),
        NEW_TEST(at_home_nothing_is_new),
        NEW_TEST(an_hour_is_one_whoever_sends_in_it),
        NEW_TEST(a_burst_is_one_hold_and_one_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
