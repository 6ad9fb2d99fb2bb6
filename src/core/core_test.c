/*
 * Core as its edges see it, honest and taken-over ones.
 */
#include "base/test.h"

#include "core/control.h"
#include "core/transaction.h"

#define HOUSE_SETTINGS "hostname = mx.example.test\nsmtp { verify_from = \"192.0.2.9\" }\n"
#include "core/house_test.h"

/* --- resolve --- */

static void recipients_are_who_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *recipient;
        enum err_code error;
        int reply;
    } rows[] = {
        {"bob@example.test", ERR_NONE, 250},
        {"BOB+tag@Example.Test", ERR_NONE, 250},
        {"two@example.test", ERR_NONE, 250},
        {"team@example.test", ERR_NONE, 250},
        {"nobody@example.test", ERR_MAILBOX_UNKNOWN, 550},
        {"bob@else.example", ERR_RELAY_DENIED, 550},
        {"bob%else.example@example.test", ERR_MAILBOX_UNKNOWN, 550},
        {"postmaster@[192.0.2.25]", ERR_NONE, 250},
        {"bob@[192.0.2.25]", ERR_MAILBOX_UNKNOWN, 550},
        {"postmaster@[192.0.2.26]", ERR_RELAY_DENIED, 550},
        {"dave@example.test", ERR_MAILBOX_DISABLED, 550},
        {"old@example.test", ERR_MAILBOX_MOVED, 551},
        {"away@example.test", ERR_NONE, 250},
    };
    uint32_t token = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct msg_answer answer = house_resolve_one(mx, 1, rows[i].recipient);
        assert_int_equal(answer.error, rows[i].error);
        assert_int_equal(answer.reply, rows[i].reply);
        assert_int_equal(answer.token, rows[i].error ? 0 : ++token);
    }
    assert_str(house_resolve_one(mx, 1, "old@example.test").text, STR("new@else.example"));
    assert_int_equal(house_resolve_one(mx, 2, "no address at all").error, ERR_ADDRESS_SYNTAX);
}

static void a_full_mailbox_is_told_at_rcpt(void **state)
{
    (void)state;
    char body[1024];
    memset(body, 'x', sizeof(body));
    house_deliver(mx, 1, "carol@example.test", str_make(body, sizeof(body)), 1);
    assert_int_equal(house_resolve_one(mx, 2, "carol@example.test").error, ERR_QUOTA_FULL_LATER);
    assert_int_equal(house_resolve_one(mx, 2, "team@example.test").error, ERR_NONE);
}

static void transactions_have_a_limit(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= PEER_TRANSACTIONS_MAX; i++) {
        struct msg_address bob = {.text = STR("bob@example.test")};
        struct msg msg = {.kind = MSG_resolve,
                          .resolve = {.transaction = i,
                                      .client = STR("192.0.2.1"),
                                      .recipients = &bob,
                                      .recipients_count = 1}};
        msg_set_call(&msg, (uint32_t)i + 1000000);
        struct asking asking;
        house_ask_begin(&asking, mx, msg);
        house_settle(&house);
        assert_true(asking.done);
        assert_int_equal(asking.answer.resolved.answers[0].error, ERR_NONE);
    }
    assert_int_equal(house_resolve_one(mx, 1, "bob@example.test").error, ERR_NONE);
    assert_int_equal(house_resolve_one(mx, 99999999, "bob@example.test").error, ERR_OVER_LIMIT);
    edge_end_tell(mx, &(struct msg){.kind = MSG_forget, .forget = {.transaction = 1}});
    house_settle(&house);
    assert_int_equal(house_resolve_one(mx, 99999999, "bob@example.test").error, ERR_NONE);
}

/* An answer of 1,000 long paths is longer than a packet; the link must not die of it. */
static void answers_fit_a_packet(void **state)
{
    (void)state;
    const char *recipients[1000];
    for (size_t i = 0; i < 1000; i++)
        recipients[i] = "old@example.test";
    struct msg_resolved resolved = house_resolve(mx, 1, recipients, 1000);
    assert_int_equal(resolved.answers[999].error, ERR_MAILBOX_MOVED);
    assert_true(mx->up);
}

static void who_may_not_verify_learns_nothing(void **state)
{
    (void)state;
    struct msg answer;
    struct msg question = {.kind = MSG_verify,
                           .verify = {.client = STR("192.0.2.1"), .text = STR("bob")}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    assert_int_equal(answer.verified.error, ERR_ACCESS_DENIED);
    question.verify.client = STR("192.0.2.9");
    assert_false(err_is(house_ask(mx, question, &answer)));
    assert_int_equal(answer.verified.reply, 250);
    assert_str(answer.verified.lines[0].text, STR("<bob@example.test>"));
    question.verify.expand = 1;
    question.verify.text = STR("team");
    assert_false(err_is(house_ask(mx, question, &answer)));
    assert_int_equal(answer.verified.lines_count, 3);
}

/* --- commit --- */

static void a_message_comes_back_byte_for_byte(void **state)
{
    (void)state;
    struct buf all = BUF_INIT(READ_MAX);
    house_deliver(mx, 1, "bob@example.test", TEXT, 1);
    uint64_t handle = house_enter(box, "bob@example.test");
    struct msg_mailbox_rows rows = house_rows(box, handle, 0);
    assert_int_equal(rows.rows_count, 1);
    house_read(box, handle, rows.rows[0].uid, &all);
    assert_int_equal(all.n, rows.rows[0].size);
    assert_str(buf_str(&all), STR("Return-Path: <x@c.example>\r\n"
                                  "Delivered-To: bob@example.test\r\n"
                                  "Received: from c.example\r\n"
                                  "Subject: hello\r\n\r\nA message.\r\n"));
    buf_done(&all);
}

static void each_account_gets_one_copy(void **state)
{
    (void)state;
    const char *const recipients[] = {"bob@example.test", "two@example.test", "team@example.test",
                                      "bob+x@example.test"};
    struct offer offer;
    struct msg answer;
    house_resolve(mx, 1, recipients, 4);
    offer_make(&offer, mx, 1, TEXT, 4, 1);
    offer.recipients[3].token = 1; /* a token twice counts once */
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    assert_int_equal(answer.committed.outcomes_count, 4);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    assert_int_equal(house_count(box, "carol@example.test"), 1);
}

/* carol is full: the others get the message, and alice, who owns the list, a notice. */
static void a_full_member_is_told_to_the_owner(void **state)
{
    (void)state;
    char body[1024];
    struct buf notice = BUF_INIT(READ_MAX);
    memset(body, 'x', sizeof(body));
    house_deliver(mx, 1, "carol@example.test", str_make(body, sizeof(body)), 1);
    house_deliver(mx, 2, "team@example.test", TEXT, 2);
    assert_int_equal(house_count(box, "carol@example.test"), 1);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    assert_int_equal(house_count(box, "alice@example.test"), 2);
    uint64_t handle = house_enter(box, "alice@example.test");
    house_rows(box, handle, 0);
    house_read(box, handle, 2, &notice);
    assert_true(str_starts(buf_str(&notice), STR("Return-Path: <>\r\n")));
    assert_true(str_find(buf_str(&notice), STR("\r\n  carol@example.test\r\n")) > 0);
    buf_done(&notice);
}

static void many_lists(struct rig *rig, void *arg)
{
    (void)rig;
    (void)arg;
    for (int i = 0; i < 25; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "list%d@example.test", i);
        struct addr list = house_addr(&house, name), owner = house_addr(&house, "two@example.test");
        struct member_change carol = {.member = house_addr(&house, "carol@example.test")};
        struct mailing_list settings = {.expandable = false};
        assert_false(err_is(directory_list_add(&house.core.directory, &list, &settings, &owner,
                                               &carol, 1, &house.arena)));
    }
}

/* The notices of many lists outgrew the room for their events, and core ended. */
static void many_lists_with_full_members(void **state)
{
    (void)state;
    char body[1024], names[25][32];
    const char *recipients[16];
    struct offer offer;
    struct msg answer;
    memset(body, 'x', sizeof(body));
    house_deliver(mx, 1, "carol@example.test", str_make(body, sizeof(body)), 1);
    assert_true(rig_do(&house.rig, many_lists, NULL));
    for (int i = 0; i < 16; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "list%d@example.test", i);
        recipients[i] = names[i];
    }
    house_resolve(mx, 2, recipients, 16);
    offer_make(&offer, mx, 2, TEXT, 16, 2);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    assert_int_equal(house_count(box, "alice@example.test"), 1); /* carol was met once */
}

static void nobody_reports(void *arg, struct str line)
{
    (void)arg;
    (void)line;
}

/* Two lists of 6,000 members each, and one of 1,000, whose names are more than a packet holds. */
static void long_lists(struct rig *rig, void *arg)
{
    struct buf text = BUF_INIT(16 << 20);
    struct directory_applied applied;
    struct arena arena;
    (void)rig;
    (void)arg;
    arena_init(&arena, 512 << 20);
    for (int i = 0; i < 12000; i++)
        buf_printf(&text, "account \"m%d@example.test\" { name = \"%0100d\" }\n", i, i);
    static const struct {
        const char *name;
        int from, until;
    } lists[] = {{"long0", 0, 6000}, {"long1", 6000, 12000}, {"wide", 0, 1000}};
    for (size_t list = 0; list < 3; list++) {
        buf_printf(&text, "list \"%s@example.test\" {\nexpandable = yes\n", lists[list].name);
        buf_put(&text, STR("owner = \"bob@example.test\"\n"));
        for (int i = lists[list].from; i < lists[list].until; i++)
            buf_printf(&text, "member = \"m%d@example.test\"\n", i);
        buf_put(&text, STR("}\n"));
    }
    struct err e = directory_apply(&house.core.directory, buf_str(&text), false, nobody_reports,
                                   NULL, &arena, &applied);
    if (err_is(e))
        print_error("%.*s\n", STR_FMT(e.detail));
    assert_false(err_is(e));
    buf_done(&text);
    arena_done(&arena);
}

/* More copies than one head can name ended core. */
static void lists_longer_than_a_head(void **state)
{
    (void)state;
    static const char *const recipients[] = {"long0@example.test", "long1@example.test"};
    struct offer offer;
    struct msg answer;
    assert_true(rig_do(&house.rig, long_lists, NULL));
    house_resolve(mx, 1, recipients, 2);
    offer_make(&offer, mx, 1, TEXT, 2, 1);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_TOO_MANY_RECIPIENTS);
    house_deliver(mx, 2, "long0@example.test", TEXT, 2);
    /* EXPN: too many members, too many octets. */
    static const char *const asked[] = {"long0", "wide"};
    for (size_t i = 0; i < 2; i++) {
        struct msg question = {
            .kind = MSG_verify,
            .verify = {.client = STR("192.0.2.9"), .text = str_from(asked[i]), .expand = 1}};
        assert_false(err_is(house_ask(mx, question, &answer)));
        assert_int_equal(answer.verified.error, ERR_OVER_LIMIT);
        assert_int_equal(answer.verified.lines_count, 0);
    }
}

/* A commit that no honest edge sends; the link is cut and nothing was stored. */
static void impossible_commits(void **state)
{
    (void)state;
    enum {
        TOKEN_0,
        TOKEN_OTHER,
        NOBODY,
        SLAB_RANGE,
        SLAB_LENGTH,
        SIZE_SMALLER,
        SIZE_LARGER,
        DIGEST,
        TRY,
        RECEIVED,
        BODY_TYPE,
        EXTRA,
        EXTRA_OVERFLOWS,
        UPLOAD,
        SUMMARY_RANGE,
        TRANSACTION,
        KINDS,
    };
    static char received[4097];
    for (int kind = 0; kind < KINDS; kind++) {
        struct offer offer;
        house_resolve_one(mx, 1, "bob@example.test");
        offer_make(&offer, mx, 1, TEXT, 1, (uint64_t)kind);
        struct msg_commit *commit = &offer.msg.commit;
        offer.recipients[0].token = kind == TOKEN_0 ? 0 : kind == TOKEN_OTHER ? 2 : 1;
        commit->recipients_count = kind != NOBODY;
        offer.body[0].index = kind == SLAB_RANGE ? CORE_SLABS : 0;
        offer.body[0].length += kind == SLAB_LENGTH ? SLAB_SIZE : 0;
        commit->size += kind == SLAB_LENGTH ? SLAB_SIZE : kind == SIZE_LARGER;
        commit->size -= kind == SIZE_SMALLER;
        commit->digest.n -= kind == DIGEST;
        commit->token.n -= kind == TRY;
        if (kind == RECEIVED)
            commit->received = str_make(received, sizeof(received));
        commit->body_type = kind == BODY_TYPE ? 3 : 0;
        commit->served_extra = kind == EXTRA             ? 7 * commit->size + 257
                               : kind == EXTRA_OVERFLOWS ? -commit->size
                                                         : 0;
        commit->upload = kind == UPLOAD ? 77 : 0;
        offer.summary[0].index = kind == SUMMARY_RANGE ? UINT32_MAX : 20;
        commit->transaction = kind == TRANSACTION ? 2 : 1;
        refused_with_a_cut(mx, offer.msg);
        assert_int_equal(house_count(box, "bob@example.test"), 0);
    }
}

static void a_transaction_is_its_edges_own(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_MX);
    struct offer offer;
    house_resolve_one(mx, 5, "bob@example.test");
    offer_make(&offer, other, 5, TEXT, 1, 1);
    refused_with_a_cut(other, offer.msg);
    assert_int_equal(house_count(box, "bob@example.test"), 0);
    assert_true(mx->up);
}

static void a_commit_ends_its_transaction(void **state)
{
    (void)state;
    struct offer offer;
    house_deliver(mx, 1, "bob@example.test", TEXT, 1);
    offer_make(&offer, mx, 1, TEXT, 1, 2);
    refused_with_a_cut(mx, offer.msg);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
}

/* --- COMMIT with addresses --- */

static void offer_by_address(struct offer *offer, uint64_t transaction, uint64_t message,
                             const char *const *names, size_t count)
{
    struct msg_address *list = arena_take_array(&house.arena, count, sizeof(struct msg_address));
    assert_non_null(list);
    for (size_t i = 0; i < count; i++)
        list[i].text = str_from(names[i]);
    offer_make(offer, mx, transaction, TEXT, 0, message);
    struct msg_commit *commit = &offer->msg.commit;
    commit->message = message;
    commit->addresses = list;
    commit->addresses_count = count;
    commit->transmission = TRANSMISSION_ESMTP;
    commit->client = STR("192.0.2.1");
    commit->server = STR("192.0.2.25");
    commit->helo = STR("c.example");
    commit->reverse_path = STR("x@c.example");
}

static struct msg_committed commit_by_address(uint64_t message, const char *one, const char *other)
{
    const char *names[] = {one, other};
    struct offer offer;
    struct msg answer;
    offer_by_address(&offer, 1000 + message % 1000, message, names, other ? 2 : 1);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    return answer.committed;
}

static void addresses_are_resolved_at_commit(void **state)
{
    (void)state;
    uint64_t id = house_deliver(mx, 1, "bob@example.test", TEXT, 1).next;
    assert_true(id != 0);
    struct msg_committed committed =
        commit_by_address(id, "bob@example.test", "alice@example.test");
    assert_int_equal(committed.error, ERR_NONE);
    assert_int_equal(committed.message, id);
    assert_true(committed.next > id);
    assert_int_equal(committed.outcomes_count, 2);
    assert_int_equal(committed.outcomes[1].token, 2);
    assert_int_equal(house_count(box, "bob@example.test"), 2);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
}

static void an_address_that_is_refused_refuses_the_message(void **state)
{
    (void)state;
    uint64_t id = house_deliver(mx, 1, "alice@example.test", TEXT, 1).next;
    struct msg_committed committed =
        commit_by_address(id, "bob@example.test", "nobody@example.test");
    assert_int_equal(committed.error, ERR_TRY_LATER);
    assert_int_equal(committed.next, 0);
    assert_int_equal(committed.outcomes_count, 2);
    assert_int_equal(committed.outcomes[0].error, ERR_NONE);
    assert_int_equal(committed.outcomes[1].error, ERR_MAILBOX_UNKNOWN);
    id = house_deliver(mx, 2, "alice@example.test", TEXT, 2).next;
    assert_int_equal(commit_by_address(id, "x@elsewhere.example", NULL).error, ERR_TRY_LATER);
    assert_int_equal(house_count(box, "bob@example.test"), 0);
}

static const struct transaction *transaction_of(uint64_t number)
{
    struct peer *peer;
    struct transaction *found = NULL;
    LIST_FOREACH (peer, &house.core.peers, link_in_core)
        if (!found)
            found = transaction_find(peer, number);
    return found;
}

/* What a sender asks for waits beside the recipients for whoever does it. */
static void what_is_asked_for_is_kept(void **state)
{
    (void)state;
    struct mail_options mail = {.hold_until = 1700000000, .hold_for = 60, .priority = -2};
    struct rcpt_options rcpt = {.notify = DSN_NOTIFY_NEVER, .orcpt = STR("rfc822;b@c.example")};
    struct msg_address list[2] = {
        {.text = STR("bob@example.test")},
        {.text = STR("alice@example.test"), .asked = rcpt_options_keep(&rcpt, &house.arena)}};
    struct msg answer, question = {.kind = MSG_resolve,
                                   .resolve = {.transaction = 5,
                                               .transmission = TRANSMISSION_ESMTP,
                                               .client = STR("192.0.2.1"),
                                               .asked = mail_options_keep(&mail, &house.arena),
                                               .recipients = list,
                                               .recipients_count = 2}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    const struct transaction *transaction = transaction_of(5);
    assert_non_null(transaction);
    assert_int_equal(transaction->options.hold_until, 1700000000);
    assert_int_equal(transaction->options.priority, -2);
    assert_str(transaction->asked, question.resolve.asked);
    assert_int_equal(transaction->recipients[0].asked.n, 0);
    assert_str(transaction->recipients[1].asked, list[1].asked);
}

/* Once, by whom it was given to, and not one that was made up. */
static void only_an_id_that_was_given(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_MX);
    uint64_t others = house_deliver(other, 1, "alice@example.test", TEXT, 1).next;
    uint64_t id = house_deliver(mx, 1, "alice@example.test", TEXT, 2).next;
    assert_int_equal(commit_by_address(others, "bob@example.test", NULL).error, ERR_NOT_FOUND);
    assert_int_equal(commit_by_address(id + 1, "bob@example.test", NULL).error, ERR_NOT_FOUND);
    assert_int_equal(commit_by_address(0, "bob@example.test", NULL).error, ERR_NOT_FOUND);
    assert_int_equal(house_count(box, "bob@example.test"), 0);
    assert_int_equal(commit_by_address(id, "bob@example.test", NULL).error, ERR_NONE);
    assert_int_equal(commit_by_address(id, "bob@example.test", NULL).error, ERR_NOT_FOUND);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
}

static void so_many_ids_are_kept(void **state)
{
    (void)state;
    uint64_t ids[PEER_IDS_MAX + 1];
    for (size_t i = 0; i <= PEER_IDS_MAX; i++)
        ids[i] = house_deliver(mx, 1 + i, "alice@example.test", TEXT, 1 + i).next;
    assert_int_equal(commit_by_address(ids[0], "bob@example.test", NULL).error, ERR_NOT_FOUND);
    assert_int_equal(commit_by_address(ids[1], "bob@example.test", NULL).error, ERR_NONE);
    assert_int_equal(commit_by_address(ids[PEER_IDS_MAX], "bob@example.test", NULL).error,
                     ERR_NONE);
}

static void impossible_commits_with_addresses(void **state)
{
    (void)state;
    enum {
        TOKENS,
        A_TRANSACTION,
        NO_TRANSMISSION,
        KINDS
    };
    static const char *const bob = "bob@example.test";
    for (int kind = 0; kind < KINDS; kind++) {
        struct offer offer;
        uint64_t id = house_deliver(mx, 1, "alice@example.test", TEXT, (uint64_t)kind + 1).next;
        house_resolve_one(mx, 2, "bob@example.test");
        offer_by_address(&offer, kind == A_TRANSACTION ? 2 : 3, id, &bob, 1);
        offer.recipients[0].token = 1;
        offer.msg.commit.recipients_count = kind == TOKENS;
        if (kind == NO_TRANSMISSION)
            offer.msg.commit.transmission = TRANSMISSION_COUNT;
        refused_with_a_cut(mx, offer.msg);
        assert_int_equal(house_count(box, "bob@example.test"), 0);
    }
}

/* What was summed is what was stored, whatever the edge writes into the slabs meanwhile. */
static void slabs_that_change_in_flight(void **state)
{
    (void)state;
    struct buf all = BUF_INIT(READ_MAX);
    char body[40000];
    for (int i = 0; i < 50; i++) {
        struct offer offer;
        struct asking asking;
        memset(body, 'a', sizeof(body));
        house_resolve_one(mx, 1, "bob@example.test");
        offer_make(&offer, mx, 1, str_make(body, sizeof(body)), 1, (uint64_t)i);
        house_ask_begin(&asking, mx, offer.msg);
        for (int step = 0; !asking.done; step++) {
            memset(mx->slabs + (size_t)(step % 3) * SLAB_SIZE, 'b' + step % 20, 100);
            if (!fake_step(house.rig.fake, world_mono(&house.rig.fake->world)))
                house_pass(&house, NS_PER_MS);
        }
        assert_int_equal(asking.answer.committed.error, ERR_NONE);
    }
    uint64_t handle = house_enter(box, "bob@example.test");
    assert_int_equal(house_rows(box, handle, 0).rows_count, 50);
    for (uint32_t uid = 1; uid <= 50; uid++) {
        buf_clear(&all);
        house_read(box, handle, uid, &all);
    }
    buf_done(&all);
}

/* As if it were of another role; core knows which one it is. */
static void cut_for_lying(struct edge_end *edge, enum bus_role as, struct msg msg)
{
    edge->link.own = as;
    edge_end_tell(edge, &msg);
    house_settle(&house);
    assert_true(edge->ended);
    edge_end_connect(edge);
}

static void messages_of_another_role(void **state)
{
    (void)state;
    static const struct {
        enum bus_role of;
        enum msg_kind kind;
    } rows[] = {
        {ROLE_BOX, MSG_login},    {ROLE_BOX, MSG_logout},       {ROLE_BOX, MSG_mailbox_open},
        {ROLE_BOX, MSG_fetch},    {ROLE_BOX, MSG_expunge},      {ROLE_CLI, MSG_admin},
        {ROLE_CORE, MSG_welcome}, {ROLE_CLI, MSG_admin_input},  {ROLE_PARENT, MSG_setup},
        {ROLE_CORE, MSG_fetched}, {ROLE_PARENT, MSG_configure}, {ROLE_PARENT, MSG_stop},
        {ROLE_MX, MSG_resolve},   {ROLE_MX, MSG_forget},        {ROLE_MX, MSG_commit},
        {ROLE_MX, MSG_verify},    {ROLE_MX, MSG_upload_open},   {ROLE_MX, MSG_upload_data},
        {ROLE_MX, MSG_seen},      {ROLE_MX, MSG_tries},         {ROLE_MX, MSG_ask_commit},
        {ROLE_MX, MSG_refused},   {ROLE_BOX, MSG_fetch_ahead},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct msg msg = {.kind = rows[i].kind};
        if (msg_carries(msg.kind))
            continue;
        cut_for_lying(rows[i].of == ROLE_MX ? box : mx, rows[i].of, msg);
    }
    refused_with_a_cut(mx, (struct msg){.kind = MSG_hello});
    refused_with_a_cut(
        mx, (struct msg){.kind = MSG_resolve, .resolve = {.transmission = TRANSMISSION_COUNT}});
    refused_with_a_cut(
        mx, (struct msg){.kind = MSG_resolve, .resolve = {.asked = STR("\1\3\0\0\0\0")}});
    struct msg_address asked = {.text = STR("bob@example.test"), .asked = STR("\1\3\0")};
    refused_with_a_cut(mx, (struct msg){.kind = MSG_resolve,
                                        .resolve = {.recipients = &asked, .recipients_count = 1}});
}

/* --- Uploads --- */

static struct err upload_piece(struct edge_end *edge, uint64_t upload, uint32_t index,
                               uint32_t length)
{
    struct msg_slab slab = {.index = index, .length = length};
    struct msg answer;
    struct msg question = {.kind = MSG_upload_data,
                           .upload_data = {.upload = upload, .slabs = &slab, .slabs_count = 1}};
    struct err e = house_ask(edge, question, &answer);
    return err_is(e) ? e : err_make((enum err_code)answer.upload_taken.error);
}

static void upload_open(uint64_t upload)
{
    edge_end_tell(mx, &(struct msg){.kind = MSG_upload_open, .upload_open = {.upload = upload}});
}

static struct err upload_commit(uint64_t upload, uint64_t size, struct msg *answer)
{
    struct offer offer;
    house_resolve_one(mx, 1, "bob@example.test");
    offer_make(&offer, mx, 1, TEXT, 1, upload);
    offer.msg.commit.upload = upload;
    offer.msg.commit.size = size;
    offer.msg.commit.body_count = 0;
    return house_ask(mx, offer.msg, answer);
}

static void a_large_body_is_an_upload(void **state)
{
    (void)state;
    struct buf all = BUF_INIT(READ_MAX);
    struct msg answer;
    upload_open(7);
    for (int i = 0; i < 20; i++) {
        memset(mx->slabs, 'a' + i, SLAB_SIZE);
        assert_false(err_is(upload_piece(mx, 7, 0, SLAB_SIZE - 1)));
    }
    assert_false(err_is(upload_commit(7, 20 * (SLAB_SIZE - 1), &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    uint64_t handle = house_enter(box, "bob@example.test");
    struct msg_mailbox_rows rows = house_rows(box, handle, 0);
    house_read(box, handle, 1, &all);
    assert_int_equal(all.n, rows.rows[0].size);
    for (size_t i = 0, at = all.n - 20 * (SLAB_SIZE - 1); at < all.n; i++, at++)
        assert_int_equal(all.p[at], 'a' + (int)(i / (SLAB_SIZE - 1)));
    buf_done(&all);
    /* It went with the commit. */
    refused_with_a_cut(mx, (struct msg){.kind = MSG_upload_data, .upload_data = {.upload = 7}});
}

static void an_upload_is_dropped_in_the_middle(void **state)
{
    (void)state;
    struct msg answer;
    struct asking asking;
    struct msg_slab slab = {.index = 0, .length = SLAB_SIZE};
    upload_open(7);
    assert_false(err_is(upload_piece(mx, 7, 0, SLAB_SIZE)));
    struct msg question = {.kind = MSG_upload_data,
                           .upload_data = {.upload = 7, .slabs = &slab, .slabs_count = 1}};
    house_ask_begin(&asking, mx, question);
    edge_end_tell(mx, &(struct msg){.kind = MSG_upload_drop, .upload_drop = {.upload = 7}});
    house_settle(&house);
    assert_true(asking.done);
    assert_int_equal(upload_commit(7, 2 * SLAB_SIZE, &answer).code, ERR_BUS_BROKEN);
    edge_end_connect(mx);
    /* And with its edge. */
    upload_open(8);
    assert_false(err_is(upload_piece(mx, 8, 0, SLAB_SIZE)));
    edge_end_leave(mx);
    edge_end_connect(mx);
    assert_int_equal(upload_piece(mx, 8, 0, 1).code, ERR_BUS_BROKEN);
    edge_end_connect(mx);
    /* The same number twice, number 0, a slab out of range. */
    upload_open(9);
    refused_with_a_cut(mx, (struct msg){.kind = MSG_upload_open, .upload_open = {.upload = 0}});
    upload_open(9);
    refused_with_a_cut(mx, (struct msg){.kind = MSG_upload_open, .upload_open = {.upload = 9}});
    upload_open(9);
    assert_int_equal(upload_piece(mx, 9, CORE_SLABS, 1).code, ERR_BUS_BROKEN);
    house_settle(&house);
    edge_end_connect(mx);
}

static void an_upload_has_the_size_it_has(void **state)
{
    (void)state;
    struct msg answer;
    upload_open(7);
    assert_false(err_is(upload_piece(mx, 7, 0, 1000)));
    assert_int_equal(upload_commit(7, 1001, &answer).code, ERR_BUS_BROKEN);
    edge_end_connect(mx);
    assert_int_equal(house_count(box, "bob@example.test"), 0);
}

/* A commit of an upload while a piece of it is still on its way to the disk. */
static void an_upload_is_taken_too_early(void **state)
{
    (void)state;
    struct asking piece, commit;
    struct offer offer;
    struct msg_slab slab = {.index = 0, .length = SLAB_SIZE};
    house_resolve_one(mx, 1, "bob@example.test");
    upload_open(7);
    assert_false(err_is(upload_piece(mx, 7, 0, SLAB_SIZE)));
    offer_make(&offer, mx, 1, TEXT, 1, 7);
    offer.msg.commit.upload = 7;
    offer.msg.commit.size = 2 * SLAB_SIZE;
    offer.msg.commit.body_count = 0;
    house_ask_begin(&piece, mx,
                    (struct msg){.kind = MSG_upload_data,
                                 .upload_data = {.upload = 7, .slabs = &slab, .slabs_count = 1}});
    house_ask_begin(&commit, mx, offer.msg);
    house_pass(&house, NS_PER_SECOND);
    assert_true(piece.done && commit.done);
    if (mx->ended)
        edge_end_connect(mx);
    /* All of it, or the link was cut and nothing is there. */
    assert_int_equal(house_count(box, "bob@example.test"), !err_is(commit.e));
}

/* --- Commands --- */

/* Else the operator's end would take core for one that hangs. */
static void a_command_that_takes_long_shows_that_it_lives(void **state)
{
    (void)state;
    struct fake_world *fake = house.rig.fake;
    struct edge_end *cli = house_edge(&house, ROLE_CLI);
    struct msg_text_line words[] = {
        {.text = STR("account")}, {.text = STR("add")}, {.text = STR("erin@example.test")}};
    struct msg question = {.kind = MSG_admin, .admin = {.arguments = words, .arguments_count = 3}};
    struct asking asking;
    int64_t begun = world_mono(&fake->world);
    fake_world_settings(fake)->job_most = 1000 * NS_PER_SECOND;
    house_ask_begin(&asking, cli, question);
    while (!asking.done && fake_step(fake, INT64_MAX / 2))
        ;
    int64_t took = world_mono(&fake->world) - begun;
    assert_true(asking.done);
    assert_int_equal(asking.answer.admin_done.exit_code, 0);
    assert_true(took > CONTROL_PULSE);
    assert_int_equal(cli->pulses, took / CONTROL_PULSE);
    fake_world_settings(fake)->job_most = 0;
    house_pass(&house, 1000 * NS_PER_SECOND); /* what else is on the lanes ends, too */
    assert_int_equal(cli->pulses, took / CONTROL_PULSE);
}

/* They answer RCPT by themselves for those whom it accepted. */
static void mx_edges_are_told_that_the_directory_changed(void **state)
{
    (void)state;
    size_t changes = mx->changes;
    house_deliver(mx, 1, "bob@example.test", TEXT, 1);
    house_settle(&house);
    assert_int_equal(mx->changes, changes);
    assert_true(rig_do(&house.rig, many_lists, NULL));
    house_settle(&house);
    assert_true(mx->changes > changes);
    assert_int_equal(box->changes, 0);
}

/* --- Ends --- */

static void an_edge_goes_with_commits_in_flight(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 20; i++) {
        struct offer offer;
        struct asking asking;
        house_resolve_one(mx, i, "bob@example.test");
        offer_make(&offer, mx, i, TEXT, 1, i);
        house_ask_begin(&asking, mx, offer.msg);
        for (uint64_t step = 0; step < 3 * i; step++)
            (void)fake_step(house.rig.fake, world_mono(&house.rig.fake->world));
        edge_end_leave(mx);
        house_pass(&house, NS_PER_SECOND);
        edge_end_connect(mx);
    }
    assert_true(house_count(box, "bob@example.test") <= 20);
    assert_int_equal(house.core.peer_count, 2);
}

static void core_ends_with_commits_in_flight(void **state)
{
    (void)state;
    struct offer offer;
    struct asking asking;
    house_resolve_one(mx, 1, "bob@example.test");
    offer_make(&offer, mx, 1, TEXT, 1, 1);
    house_ask_begin(&asking, mx, offer.msg);
    house_stop(&house);
    house_settle(&house);
    assert_true(asking.done);
    assert_int_equal(asking.e.code, ERR_BUS_BROKEN);
    house_start(&house);
    edge_end_connect(mx);
    edge_end_connect(box);
    house_deliver(mx, 1, "bob@example.test", TEXT, 2);
}

/* Core ends while its minute's duty is under way. */
static void the_duty_ends_before_core_does(void **state)
{
    (void)state;
    for (int steps = 0; steps < 12; steps++) {
        house_pass(&house, 60 * NS_PER_SECOND - 1);
        for (int i = 0; i < steps; i++)
            (void)fake_step(house.rig.fake, world_mono(&house.rig.fake->world) + 1);
        house_stop(&house);
        house_settle(&house);
        house_start(&house);
    }
    edge_end_connect(mx);
    edge_end_connect(box);
}

/* --- Configurations --- */

static void configure(size_t *living)
{
    const struct conf *conf;
    assert_false(err_is(conf_held_read(STR("smtp { hops = 40 }"), living, &conf)));
    core_configure(&house.core, conf);
    conf_let_go(conf);
}

/* Each stayed for as long as core. */
static void a_configuration_goes_with_the_last_request_that_may_look_at_it(void **state)
{
    (void)state;
    struct asking asking;
    const struct msg question = {.kind = MSG_login,
                                 .login = {.protocol = LISTEN_POP3,
                                           .client = STR("192.0.2.7"),
                                           .user = STR("bob"),
                                           .password = STR("secret")}};
    size_t living = 0;
    configure(&living);
    house_ask_begin(&asking, box, question);
    while (!house.core.desk.gate.hashes)
        (void)fake_step(house.rig.fake, INT64_MAX);
    for (int i = 0; i < 3; i++)
        configure(&living);
    assert_false(asking.done);
    assert_int_equal(living, 4);
    while (!asking.done)
        house_pass(&house, NS_PER_SECOND / 10);
    house_pass(&house, 5 * NS_PER_SECOND);
    assert_int_equal(living, 1);
    for (int i = 0; i < 100; i++)
        configure(&living);
    assert_int_equal(living, 1);
    core_configure(&house.core, &house.conf);
    assert_int_equal(living, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recipients_are_who_they_are),
        TEST(a_full_mailbox_is_told_at_rcpt),
        TEST(transactions_have_a_limit),
        TEST(answers_fit_a_packet),
        TEST(who_may_not_verify_learns_nothing),
        TEST(a_message_comes_back_byte_for_byte),
        TEST(each_account_gets_one_copy),
        TEST(a_full_member_is_told_to_the_owner),
        TEST(many_lists_with_full_members),
        TEST(lists_longer_than_a_head),
        TEST(impossible_commits),
        TEST(a_transaction_is_its_edges_own),
        TEST(a_commit_ends_its_transaction),
        TEST(addresses_are_resolved_at_commit),
        TEST(what_is_asked_for_is_kept),
        TEST(an_address_that_is_refused_refuses_the_message),
        TEST(only_an_id_that_was_given),
        TEST(so_many_ids_are_kept),
        TEST(impossible_commits_with_addresses),
        TEST(slabs_that_change_in_flight),
        TEST(messages_of_another_role),
        TEST(a_large_body_is_an_upload),
        TEST(an_upload_is_dropped_in_the_middle),
        TEST(an_upload_has_the_size_it_has),
        TEST(an_upload_is_taken_too_early),
        TEST(a_command_that_takes_long_shows_that_it_lives),
        TEST(mx_edges_are_told_that_the_directory_changed),
        TEST(an_edge_goes_with_commits_in_flight),
        TEST(core_ends_with_commits_in_flight),
        TEST(the_duty_ends_before_core_does),
        TEST(a_configuration_goes_with_the_last_request_that_may_look_at_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
