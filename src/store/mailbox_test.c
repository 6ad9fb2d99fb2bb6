#include "base/test.h"

#include "store/mailbox.h"
#include "store/store_rig_test.h"

enum {
    ENOUGH = 16 << 20,
    ACCOUNT = 7
};

struct given {
    struct store_rig store;
    struct engine *engine;
    struct arena arena;
    struct world world;
    struct mailbox inbox;
    blob_id last_blob;
};

static int64_t wall(struct world *world)
{
    (void)world;
    return 1700000000 * US_PER_SECOND;
}

static const struct world_ops clock_only = {.wall = wall};

static struct err commit_list(struct given *given, struct op_list *ops)
{
    struct commit commit = {.ops = ops->ops, .op_count = ops->count};
    assert_false(ops->over);
    return engine_commit_wait(given->engine, &commit);
}

/* INBOX, as the directory makes it with the account. */
static void inbox_make(void **state)
{
    struct given *given = *state;
    struct mailbox *inbox = &given->inbox;
    struct str next;
    struct partition directory = {.kind = PARTITION_DIRECTORY};
    *inbox = (struct mailbox){.account = ACCOUNT, .name = STR("INBOX")};
    assert_int_equal(
        mailbox_counter_next(str_null(), 5 * US_PER_SECOND, &given->arena, inbox, &next).code,
        ERR_NONE);
    struct op_list ops = op_list_take(&given->arena, 3);
    op_list_add(&ops, OP_PUT, directory, mailbox_counter_key(), next);
    op_list_add(&ops, OP_PUT, mailbox_account_partition(ACCOUNT),
                mailbox_name_key(inbox->name, &given->arena),
                mailbox_name_value(inbox, &given->arena));
    op_list_add(&ops, OP_PUT, mailbox_partition(inbox->id), mailbox_header_key(),
                mailbox_header_value(inbox, &given->arena));
    assert_int_equal(commit_list(given, &ops).code, ERR_NONE);
}

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.world = {WORLD_MAGIC, &clock_only}};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    given.engine = given.store.engine;
    arena_init(&given.arena, ENOUGH);
    void (*body)(void **) = given.store.body;
    store_rig_do(&given.store, inbox_make, &given);
    given.store.body = body;
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    store_rig_close(&given->store);
    return 0;
}

static uint32_t deliver(struct given *given, uint64_t size)
{
    struct mailbox_message message = {
        .blob = engine_blob_new(given->engine),
        .recipient = 3,
        .flags = FLAG_SEEN,
        .size = size,
        .internal_date = -5,
        .message = 0x99,
    };
    char octets[] = "Subject: x\r\n\r\n";
    const struct iovec body = {octets, sizeof(octets) - 1};
    struct blob_put put = {
        .blob = message.blob, .head = STR("head"), .body = &body, .body_parts = 1};
    struct op_list ops = op_list_take(&given->arena, MAILBOX_DELIVERY_OPS);
    struct op *append;
    mailbox_delivery_ops(ACCOUNT, given->inbox.id, &message, &given->arena, &ops, &append);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count, .blobs = &put, .blob_count = 1};
    assert_int_equal(engine_commit_wait(given->engine, &commit).code, ERR_NONE);
    given->last_blob = message.blob;
    return append->uid;
}

static struct usage usage_of(struct given *given)
{
    struct usage usage;
    assert_int_equal(mailbox_usage(given->engine, ACCOUNT, &given->arena, &usage).code, ERR_NONE);
    return usage;
}

static void a_delivery_gives_a_row_a_record_and_usage(void **state)
{
    struct given *given = *state;
    assert_int_equal(usage_of(given).messages, 0);
    assert_int_equal(deliver(given, UINT64_C(5) << 32), 1);
    assert_int_equal(deliver(given, 20), 2);
    struct mailbox_message message;
    assert_int_equal(
        mailbox_message(given->engine, given->inbox.id, 2, &given->arena, &message).code, ERR_NONE);
    assert_int_equal(message.uid, 2);
    assert_int_equal(message.modseq, 2);
    assert_true(message.blob == given->last_blob);
    assert_int_equal(message.recipient, 3);
    assert_int_equal(message.flags, FLAG_SEEN);
    assert_int_equal(message.size, 20);
    assert_true(message.internal_date == -5);
    assert_int_equal(message.message, 0x99);
    assert_true(usage_of(given).octets == (UINT64_C(5) << 32) + 20);
    assert_int_equal(usage_of(given).messages, 2);
    assert_int_equal(
        mailbox_message(given->engine, given->inbox.id, 3, &given->arena, &message).code,
        ERR_NOT_FOUND);
}

static void rows_come_in_pages(void **state)
{
    struct given *given = *state;
    struct mailbox_row *rows;
    size_t count;
    bool more;
    for (unsigned i = 0; i < 5; i++)
        deliver(given, 100 + i);
    assert_int_equal(
        mailbox_rows(given->engine, given->inbox.id, 0, 3, &given->arena, &rows, &count, &more)
            .code,
        ERR_NONE);
    assert_int_equal(count, 3);
    assert_true(more);
    assert_int_equal(rows[2].uid, 3);
    assert_int_equal(rows[2].size, 102);
    assert_int_equal(
        mailbox_rows(given->engine, given->inbox.id, 4, 3, &given->arena, &rows, &count, &more)
            .code,
        ERR_NONE);
    assert_int_equal(count, 2);
    assert_false(more);
    assert_int_equal(rows[0].uid, 4);
}

static void removing_what_is_gone_succeeds(void **state)
{
    struct given *given = *state;
    for (unsigned i = 0; i < 3; i++)
        deliver(given, 10);
    const uint32_t uids[] = {1, 3, 9};
    size_t count;
    struct mailbox_removed *removed;
    for (unsigned round = 0; round < 2; round++) {
        struct op_list ops = op_list_take(&given->arena, 8);
        assert_int_equal(mailbox_expunge_ops(given->engine, ACCOUNT, given->inbox.id, uids, 3,
                                             &given->arena, &ops, &removed, &count)
                             .code,
                         ERR_NONE);
        assert_int_equal(count, round ? 0 : 2);
        if (round == 0) {
            assert_int_equal(removed[1].uid, 3);
            assert_int_equal(removed[1].message, 0x99);
        }
        assert_int_equal(commit_list(given, &ops).code, ERR_NONE);
        assert_int_equal(usage_of(given).octets, 10);
        assert_int_equal(usage_of(given).messages, 1);
    }
    assert_int_equal(deliver(given, 1), 4);
}

static void two_removals_at_once_count_once(void **state)
{
    struct given *given = *state;
    deliver(given, 10);
    const uint32_t uid = 1;
    size_t count;
    struct mailbox_removed *removed;
    struct op_list one = op_list_take(&given->arena, 8), two = op_list_take(&given->arena, 8);
    mailbox_expunge_ops(given->engine, ACCOUNT, given->inbox.id, &uid, 1, &given->arena, &one,
                        &removed, &count);
    mailbox_expunge_ops(given->engine, ACCOUNT, given->inbox.id, &uid, 1, &given->arena, &two,
                        &removed, &count);
    assert_int_equal(commit_list(given, &one).code, ERR_NONE);
    assert_int_equal(commit_list(given, &two).code, ERR_CONFLICT);
    assert_int_equal(usage_of(given).messages, 0);
}

static void nothing_is_delivered_to_a_mailbox_that_went(void **state)
{
    struct given *given = *state;
    struct op_list ops = op_list_take(&given->arena, 1);
    op_list_add(&ops, OP_REMOVE, mailbox_partition(given->inbox.id), mailbox_header_key(),
                str_null());
    assert_int_equal(commit_list(given, &ops).code, ERR_NONE);
    struct mailbox_message message = {.size = 1};
    ops = op_list_take(&given->arena, MAILBOX_DELIVERY_OPS);
    mailbox_delivery_ops(ACCOUNT, given->inbox.id, &message, &given->arena, &ops, NULL);
    assert_int_equal(commit_list(given, &ops).code, ERR_CONFLICT);
    assert_int_equal(usage_of(given).messages, 0);
}

static void operations_that_do_not_fit_are_said(void **state)
{
    struct given *given = *state;
    struct mailbox_message message = {.size = 1};
    struct op_list ops = op_list_take(&given->arena, MAILBOX_DELIVERY_OPS - 1);
    mailbox_delivery_ops(ACCOUNT, given->inbox.id, &message, &given->arena, &ops, NULL);
    assert_true(ops.over);
}

static void mailboxes_are_made_once_and_never_share_numbers(void **state)
{
    struct given *given = *state;
    struct mailbox one, two, found;
    assert_int_equal(
        mailbox_create(given->engine, &given->world, ACCOUNT, STR("Sent"), &given->arena, &one)
            .code,
        ERR_NONE);
    assert_int_equal(
        mailbox_create(given->engine, &given->world, ACCOUNT, STR("Sent"), &given->arena, &two)
            .code,
        ERR_EXISTS);
    assert_int_equal(
        mailbox_create(given->engine, &given->world, ACCOUNT, STR("Archive"), &given->arena, &two)
            .code,
        ERR_NONE);
    assert_int_equal(one.uid_validity, 1700000000);
    assert_int_equal(two.uid_validity, 1700000001);
    assert_true(one.id == given->inbox.id + 1 && two.id == one.id + 1);
    assert_int_equal(mailbox_find(given->engine, ACCOUNT, STR("Sent"), &given->arena, &found).code,
                     ERR_NONE);
    assert_true(found.id == one.id && found.uid_validity == one.uid_validity);
    assert_int_equal(
        mailbox_create(given->engine, &given->world, ACCOUNT + 1, STR("Sent"), &given->arena, &two)
            .code,
        ERR_NOT_FOUND);
    struct mailbox *list;
    size_t count;
    assert_int_equal(mailbox_list(given->engine, ACCOUNT, &given->arena, &list, &count).code,
                     ERR_NONE);
    assert_int_equal(count, 3);
    assert_str(list[0].name, STR("Archive"));
}

/* What mailbox_name_parse makes of a text; "!" where it is refused. */
static struct str name_of(struct given *given, struct str text)
{
    struct str name;
    struct err e = mailbox_name_parse(text, &given->arena, &name);
    if (!err_is(e))
        return name;
    assert_int_equal(e.code, ERR_NAME_REFUSED);
    return STR("!");
}

/* Catalogue I10. */
static void names_never_look_like_paths(void **state)
{
    struct given *given = *state;
    static const struct {
        struct str text, name;
    } rows[] = {
        {STR_INIT("Sent"), STR_INIT("Sent")},
        {STR_INIT("a/b.c/..d"), STR_INIT("a/b.c/..d")},
        {STR_INIT("inbox"), STR_INIT("INBOX")},
        {STR_INIT("Inbox/x"), STR_INIT("INBOX/x")},
        {STR_INIT("inboxes"), STR_INIT("inboxes")},
        {STR_INIT("e\u0301"), STR_INIT("\u00e9")},
        {STR_INIT("收件箱"), STR_INIT("收件箱")},
        {STR_INIT(".."), STR_INIT("!")},
        {STR_INIT("../x"), STR_INIT("!")},
        {STR_INIT("x/.."), STR_INIT("!")},
        {STR_INIT("./x"), STR_INIT("!")},
        {STR_INIT("/etc/passwd"), STR_INIT("!")},
        {STR_INIT("x/"), STR_INIT("!")},
        {STR_INIT("x//y"), STR_INIT("!")},
        {STR_INIT(""), STR_INIT("!")},
        {STR_INIT("a\0b"), STR_INIT("!")},
        {STR_INIT("a\r\nb"), STR_INIT("!")},
        {STR_INIT("~root"), STR_INIT("!")},
        {STR_INIT("a*"), STR_INIT("!")},
        {STR_INIT("a%"), STR_INIT("!")},
        {STR_INIT("a\u202eb"), STR_INIT("!")},
        {STR_INIT("a\xff"), STR_INIT("!")},
        {STR_INIT("a\xc0\xae"), STR_INIT("!")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(name_of(given, rows[i].text), rows[i].name);
}

static void long_and_deep_names_are_refused(void **state)
{
    struct given *given = *state;
    static char octets[10240];
    memset(octets, 'a', sizeof(octets));
    assert_int_equal(name_of(given, str_make(octets, MAILBOX_NAME_MAX - 1)).n,
                     MAILBOX_NAME_MAX - 1);
    assert_int_equal(name_of(given, str_make(octets, MAILBOX_NAME_MAX)).n, MAILBOX_NAME_MAX);
    assert_str(name_of(given, str_make(octets, MAILBOX_NAME_MAX + 1)), STR("!"));
    assert_str(name_of(given, str_make(octets, sizeof(octets))), STR("!"));
    for (size_t i = 1; i < sizeof(octets); i += 2)
        octets[i] = '/';
    assert_int_equal(name_of(given, str_make(octets, 2 * MAILBOX_LEVELS_MAX - 1)).n,
                     2 * MAILBOX_LEVELS_MAX - 1);
    assert_str(name_of(given, str_make(octets, 2 * MAILBOX_LEVELS_MAX + 1)), STR("!"));
    assert_str(name_of(given, str_make(octets, 1999)), STR("!"));
}

#define WITH_STORE(test) ON_FIBER(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(a_delivery_gives_a_row_a_record_and_usage),
        WITH_STORE(rows_come_in_pages),
        WITH_STORE(removing_what_is_gone_succeeds),
        WITH_STORE(two_removals_at_once_count_once),
        WITH_STORE(nothing_is_delivered_to_a_mailbox_that_went),
        WITH_STORE(operations_that_do_not_fit_are_said),
        WITH_STORE(mailboxes_are_made_once_and_never_share_numbers),
        WITH_STORE(names_never_look_like_paths),
        WITH_STORE(long_and_deep_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
