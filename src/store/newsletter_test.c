/* Issues on the disk, and the key of their links. */
#include "base/test.h"

#include "store/directory_given_test.h"
#include "store/newsletter.h"
#include "store/unsubscribe_key.h"

static void put(struct given *given, const struct newsletter *issue, struct blob_put *blob)
{
    struct op_list ops = op_list_take(&given->arena, NEWSLETTER_OPS);
    newsletter_put_ops(issue, &given->arena, &ops);
    struct commit commit = {
        .ops = ops.ops, .op_count = ops.count, .blobs = blob, .blob_count = blob ? 1 : 0};
    assert_false(err_is(engine_commit_wait(given->store.engine, &commit)));
}

static void an_issue_is_kept_and_ends(void **state)
{
    struct given *given = *state;
    struct engine *engine = given->store.engine;
    struct newsletter read;
    uint64_t *ids, head, body;
    size_t count;
    struct iovec text = {.iov_base = (char[]){'x'}, .iov_len = 1};
    struct blob_put blob = {.blob = engine_blob_new(engine), .body = &text, .body_parts = 1};
    struct newsletter issue = {
        .id = 7, .blob = blob.blob, .list = STR("news@example.test"), .after = STR("")};
    assert_int_equal(newsletter_read(engine, 7, &given->arena, &read).code, ERR_NOT_FOUND);
    put(given, &issue, &blob);
    issue.after = STR("bob@far.test");
    issue.sent = 50;
    put(given, &issue, NULL);
    assert_false(err_is(newsletter_read(engine, 7, &given->arena, &read)));
    assert_str(read.list, issue.list);
    assert_str(read.after, issue.after);
    assert_int_equal(read.sent, 50);
    assert_int_equal(read.blob, blob.blob);
    assert_false(err_is(newsletters_find(engine, &given->arena, &ids, &count)));
    assert_true(count == 1 && ids[0] == 7);
    /* Its message lives as long as it does. */
    assert_false(err_is(engine_blob_size(engine, blob.blob, &head, &body)));
    struct op_list ops = op_list_take(&given->arena, NEWSLETTER_OPS);
    newsletter_remove_ops(7, &given->arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_false(err_is(engine_commit_wait(engine, &commit)));
    assert_int_equal(engine_blob_size(engine, blob.blob, &head, &body).code, ERR_NOT_FOUND);
    assert_false(err_is(newsletters_find(engine, &given->arena, &ids, &count)));
    assert_int_equal(count, 0);
}

static void a_key_is_made_once(void **state)
{
    struct given *given = *state;
    struct engine *engine = given->store.engine;
    unsigned char one[UNSUBSCRIBE_KEY], two[UNSUBSCRIBE_KEY];
    assert_int_equal(unsubscribe_key(engine, &given->world, false, one).code, ERR_NOT_FOUND);
    assert_false(err_is(unsubscribe_key(engine, &given->world, true, one)));
    assert_false(err_is(unsubscribe_key(engine, &given->world, true, two)));
    assert_memory_equal(one, two, sizeof(one));
    assert_false(err_is(unsubscribe_key(engine, &given->world, false, two)));
    assert_memory_equal(one, two, sizeof(one));
}

static struct str after(struct given *given, struct str member, size_t limit)
{
    struct addr addr;
    struct mailing_list list;
    struct str *members;
    size_t count;
    struct buf text = buf_in(&given->arena, 4096);
    assert_false(err_is(addr_of(given, STR("news@example.test"), &addr)));
    assert_false(err_is(directory_list_find(&given->directory, &addr, &given->arena, &list)));
    assert_false(err_is(directory_members_after(&given->directory, &list, member, limit,
                                                &given->arena, &members, &count)));
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%.*s", i ? "," : "", STR_FMT(members[i]));
    return buf_str(&text);
}

static void members_come_in_slices(void **state)
{
    struct given *given = *state;
    static const char *const members[] = {"a@b.test", "C@b.test", "d@b.test", "a@z.test"};
    domain_add(given, STR("example.test"));
    account_add(given, STR("owner@example.test"), STR("Owner"));
    list_add(given, STR("news@example.test"), STR("owner@example.test"), false);
    assert_str(after(given, STR(""), 9), STR(""));
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        assert_int_equal(member_add(given, STR("news@example.test"), str_from(members[i])),
                         ERR_NONE);
    assert_str(after(given, STR(""), 9), STR("a@b.test,C@b.test,d@b.test,a@z.test"));
    assert_str(after(given, STR(""), 2), STR("a@b.test,C@b.test"));
    assert_str(after(given, STR("C@b.test"), 2), STR("d@b.test,a@z.test"));
    assert_str(after(given, STR("a@z.test"), 2), STR(""));
    /* Who came last may have left meanwhile. */
    member_remove(given, STR("news@example.test"), STR("c@b.test"));
    assert_str(after(given, STR("C@b.test"), 1), STR("d@b.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(an_issue_is_kept_and_ends),
        WITH_DIRECTORY(a_key_is_made_once),
        WITH_DIRECTORY(members_come_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
