/*
 * Log-ins and mailboxes, as mailbox edges see them.
 */
#include "base/test.h"

#define HOUSE_SETTINGS "hostname = mx.example.test\n"
#include "core/house_test.h"
#include "store/message_head.h"
#include "store/trace.h"

static void a_wrong_password_and_nobody_are_one(void **state)
{
    (void)state;
    static const struct {
        struct str user, password;
        enum err_code error;
    } rows[] = {
        {STR_INIT("bob@example.test"), STR_INIT("wrong"), ERR_LOGIN_FAILED},
        {STR_INIT("nobody@example.test"), STR_INIT("secret"), ERR_LOGIN_FAILED},
        {STR_INIT("dave@example.test"), STR_INIT("wrong"), ERR_LOGIN_FAILED},
        {STR_INIT("dave@example.test"), STR_INIT("secret"), ERR_LOGIN_DISABLED},
        {STR_INIT("*)(uid=*"), STR_INIT("secret"), ERR_LOGIN_FAILED},
        {STR_INIT("a' OR 1=1--"), STR_INIT("secret"), ERR_LOGIN_FAILED},
        {STR_INIT("../bob@example.test"), STR_INIT("secret"), ERR_LOGIN_FAILED},
        {STR_INIT("bob\0@example.test"), STR_INIT("secret"), ERR_LOGIN_FAILED},
        {STR_INIT(""), STR_INIT(""), ERR_LOGIN_FAILED},
        {STR_INIT("BOB@EXAMPLE.TEST"), STR_INIT("secret"), ERR_NONE},
    };
    static const char *const clients[] = {"192.0.2.7", "198.51.100.7"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct asking asking;
        struct msg question = {.kind = MSG_login,
                               .login = {.protocol = LISTEN_POP3,
                                         .client = str_from(clients[i % 2]),
                                         .user = rows[i].user,
                                         .password = rows[i].password}};
        size_t jobs = 0, waiting = 0;
        house_ask_begin(&asking, box, question);
        while (!asking.done && fake_step(house.rig.fake, INT64_MAX / 2)) {
            jobs += house.core.hashes.waiting > waiting;
            waiting = house.core.hashes.waiting;
        }
        assert_int_equal(asking.answer.logged_in.error, rows[i].error);
        /* Who is let in may hear of it when a better hash of his is being made already. */
        assert_in_range(jobs, 1, rows[i].error == ERR_NONE ? 2 : 1);
        assert_true((asking.answer.logged_in.handle != 0) == (rows[i].error == ERR_NONE));
    }
}

/* It read "login ... error=NONE". */
static void a_log_in_that_went_well_has_no_error_in_the_log(void **state)
{
    (void)state;
    house_enter(box, "bob@example.test");
    struct str log = fake_log(house.rig.fake);
    assert_true(str_find(log, STR(" login user=")) >= 0);
    assert_true(str_find(log, STR("error=")) < 0);
    struct msg answer;
    struct msg question = {.kind = MSG_login,
                           .login = {.protocol = LISTEN_POP3,
                                     .client = STR("192.0.2.7"),
                                     .user = STR("bob@example.test"),
                                     .password = STR("wrong")}};
    assert_false(err_is(house_ask(box, question, &answer)));
    log = fake_log(house.rig.fake);
    assert_true(str_find(log, STR(" login_failed user=")) >= 0);
    assert_true(str_find(log, STR("error=LOGIN_FAILED")) >= 0);
}

static void a_handle_is_its_edges_own(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_BOX);
    house_deliver(mx, 1, "bob@example.test", TEXT, 1);
    uint64_t handle = house_enter(box, "bob@example.test");
    assert_true(handle > UINT32_MAX); /* nobody's guess */
    assert_int_equal(house_rows(other, handle, 0).error, ERR_NOT_ALLOWED);
    assert_int_equal(house_rows(box, handle + 1, 0).error, ERR_NOT_ALLOWED);
    assert_int_equal(house_rows(box, handle, 0).rows_count, 1);
    edge_end_tell(box, &(struct msg){.kind = MSG_logout, .logout = {.handle = handle}});
    assert_int_equal(house_rows(box, handle, 0).error, ERR_NOT_ALLOWED);
    /* Not before the mailbox was opened. */
    handle = house_enter(box, "bob@example.test");
    assert_int_equal(house_rows(box, handle, 5).error, ERR_COMMAND_ORDER);
    assert_int_equal(house_fetch(box, handle, 1, 0, 1, SLAB_SIZE, NULL).error, ERR_NOT_FOUND);
}

/* Slabs of every kind of size, from every kind of offset: always the same octets. */
static void fetches_of_every_shape(void **state)
{
    (void)state;
    struct buf all = BUF_INIT(READ_MAX), some = BUF_INIT(READ_MAX);
    char body[5 * SLAB_SIZE + 77];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    house_deliver(mx, 1, "bob@example.test", str_make(body, sizeof(body)), 1);
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    house_read(box, handle, 1, &all);
    assert_true(str_ends(buf_str(&all), str_make(body, sizeof(body))));
    static const uint32_t each[] = {1, 100, SLAB_SIZE - 1, SLAB_SIZE};
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        for (uint64_t at = 0; at <= all.n; at += 997) {
            buf_clear(&some);
            struct msg_fetched got = house_fetch(box, handle, 1, at, 3, each[i], &some);
            assert_int_equal(got.error, ERR_NONE);
            assert_int_equal(got.total, all.n);
            assert_true(got.octets > 0 || at == all.n);
            assert_true(str_starts(str_from_index(buf_str(&all), (size_t)at), buf_str(&some)));
        }
    }
    /* Pieces end where chunks end, so that no chunk is read twice. */
    for (uint64_t at = 0; at < all.n;) {
        struct msg_fetched got = house_fetch(box, handle, 1, at, 3, SLAB_SIZE, &some);
        at += got.octets;
        assert_true(at == all.n || (at - got.prefix) % SLAB_SIZE == 0);
    }
    assert_int_equal(house_fetch(box, handle, 1, all.n + 1, 1, 1, &some).octets, 0);
    assert_int_equal(house_fetch(box, handle, 1, UINT64_MAX, 1, 1, &some).octets, 0);
    assert_int_equal(house_fetch(box, handle, 1, 0, 0, 1, &some).octets, 0);
    struct msg_slab wild = {.index = CORE_SLABS, .length = 1};
    refused_with_a_cut(
        box, (struct msg){.kind = MSG_fetch,
                          .fetch = {.handle = handle, .uid = 1, .slabs = &wild, .slabs_count = 1}});
    buf_done(&all);
    buf_done(&some);
}

static enum err_code expunge(uint64_t handle, uint32_t from, uint32_t until, bool more)
{
    struct msg_uid uids[100];
    size_t count = 0;
    for (uint32_t uid = from; uid < until; uid++)
        uids[count++].uid = uid;
    struct msg answer;
    struct msg question = {
        .kind = MSG_expunge,
        .expunge = {.handle = handle, .uids = uids, .uids_count = count, .more = more}};
    assert_false(err_is(house_ask(box, question, &answer)));
    return (enum err_code)answer.expunged.error;
}

/* Whole messages behind each other, up to the first that is not plain. */
static void ahead_ask(uint64_t handle, uint32_t from, size_t count, size_t slabs, size_t expected)
{
    struct msg_slab list[64];
    struct msg_uid uids[64];
    struct msg answer;
    for (size_t i = 0; i < slabs; i++)
        list[i] = (struct msg_slab){.index = (uint32_t)(slabs - i), .length = SLAB_SIZE};
    for (size_t i = 0; i < count; i++)
        uids[i].uid = from + (uint32_t)i;
    struct msg question = {.kind = MSG_fetch_ahead,
                           .fetch_ahead = {.handle = handle,
                                           .uids = uids,
                                           .uids_count = count,
                                           .slabs = list,
                                           .slabs_count = slabs}};
    assert_false(err_is(house_ask(box, question, &answer)));
    assert_int_equal(answer.fetched_ahead.messages_count, expected);
    struct buf got = BUF_INIT(READ_MAX), one = BUF_INIT(READ_MAX);
    uint32_t octets[64];
    for (size_t i = 0; i < expected; i++)
        octets[i] = answer.fetched_ahead.messages[i].octets;
    for (size_t i = 0; i < slabs; i++)
        buf_put(&got, str_make(box->slabs + list[i].index * (size_t)SLAB_SIZE, SLAB_SIZE));
    struct str rest = buf_str(&got);
    for (size_t i = 0; i < expected; i++) {
        buf_clear(&one);
        house_read(box, handle, uids[i].uid, &one);
        assert_str(str_head(rest, octets[i]), buf_str(&one));
        rest = str_from_index(rest, octets[i]);
    }
    buf_done(&got);
    buf_done(&one);
}

static void some_are_fetched_ahead(void **state)
{
    (void)state;
    char body[60 * 1024];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    for (uint64_t i = 0; i < 6; i++)
        house_deliver(mx, 1 + i, "bob@example.test", str_make(body + i, 10000), 1);
    house_deliver(mx, 7, "bob@example.test", str_make(body, sizeof(body)), 1);
    uint64_t handle = house_enter(box, "bob@example.test");
    ahead_ask(handle, 1, 3, 4, 0); /* not before the mailbox was opened */
    house_rows(box, handle, 0);
    ahead_ask(handle, 1, 6, 4, 6);
    ahead_ask(handle, 1, 6, 2, 3);
    ahead_ask(handle, 5, 3, 4, 2); /* the last one does not fit behind the others, */
    ahead_ask(handle, 7, 1, 4, 1); /* but alone */
    ahead_ask(handle, 5, 3, 6, 3);
    ahead_ask(handle, 6, 4, 64, 2); /* 8 is not there */
    ahead_ask(handle, 1, 0, 4, 0);
    ahead_ask(handle, 1, 3, 0, 0);
    ahead_ask(handle + 1, 1, 3, 4, 0); /* nobody's */
    /* A slow disk: a chunk may take a second. */
    fake_world_settings(house.rig.fake)->cold = 1000000;
    fake_world_settings(house.rig.fake)->job_most = NS_PER_SECOND;
    ahead_ask(handle, 1, 6, 4, 1);
    fake_world_settings(house.rig.fake)->cold = 0;
    assert_int_equal(expunge(handle, 2, 3, false), ERR_NONE);
    ahead_ask(handle, 1, 6, 4, 1);
    struct msg_slab wild = {.index = CORE_SLABS, .length = 1};
    struct msg_uid uid = {.uid = 1};
    refused_with_a_cut(box, (struct msg){.kind = MSG_fetch_ahead,
                                         .fetch_ahead = {.handle = handle,
                                                         .uids = &uid,
                                                         .uids_count = 1,
                                                         .slabs = &wild,
                                                         .slabs_count = 1}});
}

/* An edge re-encodes it by its summary, and asks for that first. */
static void a_binary_message_is_not_fetched_ahead(void **state)
{
    (void)state;
    house_deliver(mx, 1, "bob@example.test", TEXT, 1);
    struct offer offer;
    struct msg answer;
    house_resolve_one(mx, 2, "bob@example.test");
    offer_make(&offer, mx, 2, TEXT, 1, 2);
    offer.msg.commit.body_type = BODY_BINARYMIME;
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    house_deliver(mx, 3, "bob@example.test", TEXT, 3);
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    ahead_ask(handle, 1, 3, 4, 1);
    ahead_ask(handle, 2, 2, 4, 0);
    ahead_ask(handle, 3, 1, 4, 1);
}

/* What an edge asks for half way through a message, when it sees that it must re-encode it. */
static void the_summary_of_what_is_being_read(void **state)
{
    (void)state;
    static char body[3 * SLAB_SIZE];
    memset(body, 'x', sizeof(body));
    struct offer offer;
    struct msg answer;
    house_resolve_one(mx, 1, "bob@example.test");
    offer_make(&offer, mx, 1, str_make(body, sizeof(body)), 1, 1);
    struct str summary =
        str_make(mx->slabs + offer.summary[0].index * (size_t)SLAB_SIZE, offer.summary[0].length);
    assert_int_equal(offer.msg.commit.summary_count, 1);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    struct buf got = BUF_INIT(READ_MAX);
    struct msg_fetched first = house_fetch(box, handle, 1, 0, 1, SLAB_SIZE, &got);
    struct msg_slab slab = {.index = 3, .length = SLAB_SIZE};
    struct msg question = {
        .kind = MSG_fetch,
        .fetch = {.handle = handle, .uid = 1, .part = 1, .slabs = &slab, .slabs_count = 1}};
    assert_false(err_is(house_ask(box, question, &answer)));
    assert_int_equal(answer.fetched.total, summary.n);
    assert_int_equal(answer.fetched.prefix, 0);
    assert_str(str_make(box->slabs + 3 * (size_t)SLAB_SIZE, answer.fetched.octets), summary);
    house_read(box, handle, 1, &got);
    assert_int_equal(got.n, first.prefix + sizeof(body));
    buf_done(&got);
}

/* What one log-in reads now is not a piece of what it read last. */
static void two_messages_are_read_in_turns(void **state)
{
    (void)state;
    static char body[7 * SLAB_SIZE];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    struct str texts[2] = {str_make(body, 5 * SLAB_SIZE), str_make(body + 1, 6 * SLAB_SIZE)};
    house_deliver(mx, 1, "bob@example.test", texts[0], 1);
    struct offer offer;
    struct msg answer;
    house_resolve_one(mx, 2, "bob@example.test");
    offer_make(&offer, mx, 2, texts[1], 1, 2);
    offer.msg.commit.received = STR("Received: from another.example\r\n");
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    struct buf got[2] = {BUF_INIT(READ_MAX), BUF_INIT(READ_MAX)};
    uint64_t prefix[2];
    for (uint32_t i = 0; i < 20; i++) {
        struct buf *to = &got[i % 2];
        struct msg_fetched fetched = house_fetch(box, handle, 1 + i % 2, to->n, 1, SLAB_SIZE, to);
        assert_int_equal(fetched.error, ERR_NONE);
        assert_int_equal(fetched.total, fetched.prefix + texts[i % 2].n);
        prefix[i % 2] = fetched.prefix;
    }
    assert_true(prefix[0] != prefix[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(got[i].n, prefix[i] + texts[i].n);
        assert_true(str_ends(buf_str(&got[i]), texts[i]));
        buf_done(&got[i]);
    }
}

static void nothing_goes_before_the_last_page(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 20; i++)
        house_deliver(mx, i, "bob@example.test", TEXT, i);
    uint64_t handle = house_enter(box, "bob@example.test");
    assert_int_equal(expunge(handle, 1, 3, false), ERR_COMMAND_ORDER);
    house_rows(box, handle, 0);
    assert_int_equal(expunge(handle, 1, 6, true), ERR_NONE);
    assert_int_equal(expunge(handle, 4, 11, true), ERR_NONE);
    assert_int_equal(house_count(box, "bob@example.test"), 20);
    assert_int_equal(expunge(handle, 30, 31, false), ERR_NONE);
    assert_int_equal(house_count(box, "bob@example.test"), 10);
    /* What is gone already is no error; a new set begins. */
    assert_int_equal(expunge(handle, 5, 12, false), ERR_NONE);
    assert_int_equal(house_count(box, "bob@example.test"), 9);
}

/* Two at once on one handle: the second one changed the list the first was reading. */
static void two_expunges_at_once(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 10; i++)
        house_deliver(mx, i, "bob@example.test", TEXT, i);
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    struct msg_uid uids[] = {{1}, {2}, {3}, {4}, {5}, {6}};
    struct asking one, other;
    struct msg question = {.kind = MSG_expunge,
                           .expunge = {.handle = handle, .uids = uids, .uids_count = 4}};
    house_ask_begin(&one, box, question);
    question.expunge.uids = uids + 2;
    house_ask_begin(&other, box, question);
    house_pass(&house, NS_PER_SECOND);
    assert_true(one.done && other.done);
    assert_int_equal(one.answer.expunged.error, ERR_NONE);
    assert_int_equal(other.answer.expunged.error, ERR_NONE);
    assert_int_equal(house_count(box, "bob@example.test"), 4);
}

static void removed_messages_give_their_room_back(void **state)
{
    (void)state;
    char body[1024];
    memset(body, 'x', sizeof(body));
    house_deliver(mx, 1, "carol@example.test", str_make(body, sizeof(body)), 1);
    uint64_t handle = house_enter(box, "carol@example.test");
    house_rows(box, handle, 0);
    assert_int_equal(expunge(handle, 1, 2, false), ERR_NONE);
    house_deliver(mx, 2, "carol@example.test", TEXT, 2);
    struct buf none = BUF_INIT(READ_MAX);
    assert_int_equal(house_fetch(box, handle, 1, 0, 1, 100, &none).error, ERR_NOT_FOUND);
    buf_done(&none);
}

struct story {
    uint64_t message;
    struct buf text;
};

static void story_read(struct rig *rig, void *arg)
{
    struct story *story = arg;
    struct trace_event *events;
    size_t count;
    assert_int_equal(trace_by_message(rig->engine, story->message, world_wall(&rig->fake->world),
                                      &house.arena, &events, &count)
                         .code,
                     ERR_NONE);
    for (size_t i = 0; i < count; i++) {
        trace_print(&events[i], &story->text);
        buf_put(&story->text, STR("\n"));
    }
}

/* What the trace tells of a message has these words. */
static bool is_told(uint64_t message, const char *words)
{
    struct story story = {.message = message, .text = BUF_INIT(READ_MAX)};
    assert_true(rig_do(&house.rig, story_read, &story));
    bool told = str_find(buf_str(&story.text), str_from(words)) >= 0;
    buf_done(&story.text);
    return told;
}

static void the_trace_tells_who_removed_a_copy(void **state)
{
    (void)state;
    struct offer offer;
    struct msg answer;
    house_resolve_one(mx, 1, "two@example.test");
    offer_make(&offer, mx, 1, TEXT, 1, 1);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    uint64_t message = answer.committed.message;
    uint64_t other = house_deliver(mx, 2, "bob@example.test", TEXT, 2).message;
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    assert_true(is_told(message, " Accepted from 192.0.2.1 (c.example) by ESMTP: "));
    assert_false(is_told(message, "Removed"));
    assert_int_equal(expunge(handle, 1, 2, false), ERR_NONE);
    assert_true(is_told(message, " Removed from INBOX of bob@example.test (UID 1) by POP3 from "
                                 "192.0.2.7.\n"));
    assert_false(is_told(message, "INBOX of alice@example.test (UID"));
    assert_false(is_told(other, "Removed"));
}

/* Puts as many messages into bob's INBOX as one session may remove. */
static void inbox_fill(struct rig *rig, void *arg)
{
    uint64_t *first = arg;
    struct arena arena;
    struct account bob;
    arena_init(&arena, 64 << 20);
    assert_false(
        err_is(directory_login(&house.core.directory, STR("bob@example.test"), &arena, &bob)));
    struct op_list ops = op_list_take(&arena, MAILBOX_EXPUNGE_MAX * MAILBOX_DELIVERY_OPS);
    for (size_t i = 0; i < MAILBOX_EXPUNGE_MAX; i++) {
        struct mailbox_message message = {.size = 1, .message = core_message_id(&house.core)};
        *first = i == 0 ? message.message : *first;
        mailbox_delivery_ops(bob.id, bob.inbox, &message, &arena, &ops, NULL);
    }
    assert_false(ops.over);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_int_equal(engine_commit_wait(rig->engine, &commit).code, ERR_NONE);
    arena_done(&arena);
}

static void as_many_go_at_once_as_a_session_may_mark(void **state)
{
    (void)state;
    enum {
        PAGE = 8000
    };
    static struct msg_uid uids[PAGE];
    uint64_t first = 0;
    assert_true(rig_do(&house.rig, inbox_fill, &first));
    uint64_t handle = house_enter(box, "bob@example.test");
    house_rows(box, handle, 0);
    for (uint32_t from = 0; from < MAILBOX_EXPUNGE_MAX; from += PAGE) {
        uint32_t left = MAILBOX_EXPUNGE_MAX - from, count = left < PAGE ? left : PAGE;
        for (uint32_t i = 0; i < count; i++)
            uids[i].uid = from + i + 1;
        struct msg answer;
        struct msg question = {
            .kind = MSG_expunge,
            .expunge = {.handle = handle, .uids = uids, .uids_count = count, .more = count < left}};
        assert_false(err_is(house_ask(box, question, &answer)));
        assert_int_equal(answer.expunged.error, ERR_NONE);
    }
    assert_int_equal(house_count(box, "bob@example.test"), 0);
    assert_true(is_told(first, "Removed from INBOX of bob@example.test (UID 1) by POP3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_password_and_nobody_are_one),
        TEST(a_log_in_that_went_well_has_no_error_in_the_log),
        TEST(a_handle_is_its_edges_own),
        TEST(fetches_of_every_shape),
        TEST(some_are_fetched_ahead),
        TEST(a_binary_message_is_not_fetched_ahead),
        TEST(the_summary_of_what_is_being_read),
        TEST(two_messages_are_read_in_turns),
        TEST(nothing_goes_before_the_last_page),
        TEST(two_expunges_at_once),
        TEST(removed_messages_give_their_room_back),
        TEST(the_trace_tells_who_removed_a_copy),
        TEST(as_many_go_at_once_as_a_session_may_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
