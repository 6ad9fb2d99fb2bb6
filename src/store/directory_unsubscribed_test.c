/* Who unsubscribed from a list: kept, told, and not undone by what knows nothing of it. */
#include "base/test.h"

#include "store/directory_given_test.h"

#define NEWS STR("news@example.test")

static void list_of_two(void **state)
{
    assert_int_equal(domain_add(*state, STR("example.test")), ERR_NONE);
    assert_int_equal(account_add(*state, STR("owner@example.test"), STR("Owner")), ERR_NONE);
    assert_int_equal(account_add(*state, STR("alice@example.test"), STR("Alice")), ERR_NONE);
    assert_int_equal(list_add(*state, NEWS, STR("owner@example.test"), false), ERR_NONE);
    assert_int_equal(member_add(*state, NEWS, STR("alice@example.test")), ERR_NONE);
    assert_int_equal(member_add(*state, NEWS, STR("Bob@far.test")), ERR_NONE);
}

static enum err_code leave(struct given *given, struct str list, struct str member)
{
    struct addr from, who;
    struct err e = addr_of(given, list, &from);
    if (!err_is(e))
        e = addr_of(given, member, &who);
    return err_is(e) ? e.code
                     : directory_unsubscribe(&given->directory, &from, &who, UNSUBSCRIBED_BY_LINK,
                                             &given->arena)
                           .code;
}

static enum err_code changed(struct given *given, struct member_change change, struct str member)
{
    struct addr list;
    assert_false(err_is(addr_of(given, NEWS, &list)));
    assert_false(err_is(addr_of(given, member, &change.member)));
    return directory_list_set(&given->directory, &list, NULL, NULL, 0, &change, 1, &given->arena)
        .code;
}

/* "alice@example.test,Bob@far.test" */
static struct str members_of(struct given *given)
{
    struct addr addr;
    struct mailing_list list;
    struct str *members;
    size_t count;
    struct buf text = buf_in(&given->arena, 4096);
    assert_false(err_is(addr_of(given, NEWS, &addr)));
    assert_false(err_is(directory_list_show(&given->directory, &addr, &given->arena, &list)));
    assert_false(
        err_is(directory_members(&given->directory, &list, &given->arena, &members, &count)));
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%.*s", i ? "," : "", STR_FMT(members[i]));
    return buf_str(&text);
}

static struct str leavers_of(struct given *given)
{
    struct addr addr;
    struct mailing_list list;
    struct unsubscribed *leavers;
    size_t count;
    struct buf text = buf_in(&given->arena, 4096);
    assert_false(err_is(addr_of(given, NEWS, &addr)));
    assert_false(err_is(directory_list_show(&given->directory, &addr, &given->arena, &list)));
    assert_false(
        err_is(directory_unsubscribed(&given->directory, &list, &given->arena, &leavers, &count)));
    for (size_t i = 0; i < count; i++) {
        buf_put(&text, i ? STR(",") : STR(""));
        directory_unsubscribed_print(&leavers[i], &text);
    }
    return buf_str(&text);
}

#define THEN "2023-11-14T22:13:20Z "

static void who_leaves_is_no_member(void **state)
{
    list_of_two(state);
    assert_int_equal(leave(*state, NEWS, STR("bob@FAR.test")), ERR_NONE);
    assert_str(members_of(*state), STR("alice@example.test"));
    assert_str(leavers_of(*state), STR(THEN "link bob@far.test"));
    /* Once more, and who was no member. */
    assert_int_equal(leave(*state, NEWS, STR("BOB@far.test")), ERR_NONE);
    assert_int_equal(leave(*state, NEWS, STR("carol@far.test")), ERR_NONE);
    assert_str(leavers_of(*state), STR(THEN "link bob@far.test," THEN "link carol@far.test"));
    assert_int_equal(leave(*state, STR("other@example.test"), STR("a@far.test")), ERR_NOT_FOUND);
    assert_int_equal(leave(*state, STR("alice@example.test"), STR("a@far.test")), ERR_NOT_FOUND);
}

static void he_comes_back_when_somebody_says_so(void **state)
{
    list_of_two(state);
    assert_int_equal(leave(*state, NEWS, STR("bob@far.test")), ERR_NONE);
    assert_int_equal(member_add(*state, NEWS, STR("Bob@far.test")), ERR_NOT_ALLOWED);
    assert_str(members_of(*state), STR("alice@example.test"));
    struct member_change again = {.again = true};
    assert_int_equal(changed(*state, again, STR("bob@far.test")), ERR_NONE);
    assert_str(members_of(*state), STR("alice@example.test,bob@far.test"));
    assert_str(leavers_of(*state), STR(""));
    assert_int_equal(changed(*state, again, STR("bob@far.test")), ERR_EXISTS);
    assert_int_equal(changed(*state, again, STR("carol@far.test")), ERR_NONE);
}

static void an_operator_says_it_for_him(void **state)
{
    list_of_two(state);
    struct member_change leaves = {.unsubscribes = true};
    assert_int_equal(changed(*state, leaves, STR("bob@far.test")), ERR_NONE);
    assert_int_equal(changed(*state, leaves, STR("carol@far.test")), ERR_NONE);
    assert_str(members_of(*state), STR("alice@example.test"));
    assert_str(leavers_of(*state),
               STR(THEN "operator bob@far.test," THEN "operator carol@far.test"));
}

static void swallow(void *arg, struct str text)
{
    buf_put(arg, text);
}

static void no_report(void *arg, struct str line)
{
    (void)arg;
    (void)line;
}

static struct str exported(struct given *given)
{
    struct buf text = buf_in(&given->arena, 1 << 20);
    assert_false(err_is(directory_export(&given->directory, swallow, &text)));
    return buf_str(&text);
}

static enum err_code applied(struct given *given, struct str text, uint64_t *changes_r)
{
    struct directory_applied done = {0};
    struct err e =
        directory_apply(&given->directory, text, false, no_report, NULL, &given->arena, &done);
    *changes_r = done.added + done.changed;
    return e.code;
}

static void a_file_does_not_bring_him_back(void **state)
{
    list_of_two(state);
    static const char file[] =
        "list \"news@example.test\" {\n    owner = \"owner@example.test\"\n"
        "    member = \"alice@example.test\"\n    member = \"bob@far.test\"\n"
        "    member = \"dave@far.test\"\n}\n";
    uint64_t changes;
    assert_int_equal(leave(*state, NEWS, STR("bob@far.test")), ERR_NONE);
    assert_int_equal(applied(*state, str_from(file), &changes), ERR_NONE);
    assert_int_equal(changes, 1);
    assert_str(members_of(*state), STR("alice@example.test,dave@far.test"));
    assert_int_equal(applied(*state, str_from(file), &changes), ERR_NONE);
    assert_int_equal(changes, 0);
    assert_str(leavers_of(*state), STR(THEN "link bob@far.test"));
}

static void it_is_exported(void **state)
{
    list_of_two(state);
    struct addr news;
    struct given *given = *state;
    uint64_t changes;
    assert_int_equal(leave(given, NEWS, STR("bob@far.test")), ERR_NONE);
    struct str text = exported(given);
    assert_true(str_find(text, STR("    unsubscribed = \"" THEN "link bob@far.test\"\n")) > 0);
    assert_int_equal(applied(given, text, &changes), ERR_NONE);
    assert_int_equal(changes, 0);
    /* A list that is removed forgets it; the text knows it still. */
    assert_false(err_is(addr_of(given, NEWS, &news)));
    assert_false(err_is(directory_list_remove(&given->directory, &news, &given->arena)));
    assert_int_equal(list_add(given, NEWS, STR("owner@example.test"), false), ERR_NONE);
    assert_str(leavers_of(given), STR(""));
    assert_int_equal(applied(given, text, &changes), ERR_NONE);
    assert_str(leavers_of(given), STR(THEN "link bob@far.test"));
    assert_str(members_of(given), STR("alice@example.test"));
    assert_str(exported(given), text);
    /* Member and gone: gone. */
    assert_int_equal(
        applied(given,
                STR("list \"news@example.test\" {\n    owner = \"owner@example.test\"\n"
                    "    member = \"alice@example.test\"\n"
                    "    unsubscribed = \"" THEN "operator alice@example.test\"\n}\n"),
                &changes),
        ERR_NONE);
    assert_str(members_of(given), STR(""));
}

static void what_is_no_time_or_way(void **state)
{
    list_of_two(state);
    static const char *const values[] = {"",
                                         "bob@far.test",
                                         THEN "link",
                                         THEN "fax bob@far.test",
                                         "2023-11-14 link bob@far.test",
                                         THEN "link bob"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char room[512];
        struct buf text = {.p = room, .cap = sizeof room, .max = sizeof room};
        uint64_t changes;
        buf_printf(&text,
                   "list \"news@example.test\" {\n    owner = \"owner@example.test\"\n"
                   "    unsubscribed = \"%s\"\n}\n",
                   values[i]);
        assert_int_not_equal(applied(*state, buf_str(&text), &changes), ERR_NONE);
    }
    assert_str(members_of(*state), STR("alice@example.test,Bob@far.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(who_leaves_is_no_member),
        WITH_DIRECTORY(he_comes_back_when_somebody_says_so),
        WITH_DIRECTORY(an_operator_says_it_for_him),
        WITH_DIRECTORY(a_file_does_not_bring_him_back),
        WITH_DIRECTORY(it_is_exported),
        WITH_DIRECTORY(what_is_no_time_or_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
