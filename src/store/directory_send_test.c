/*
 * What accounts may send as.
 */
#include "base/test.h"

#include "store/directory_given_test.h"

enum {
    ALICE = 1,
    BOB = 2,
};

/* example.test with alice (1) and bob (2). */
static struct given *village(void **state)
{
    struct given *given = *state;
    assert_int_equal(domain_add(given, STR("example.test")), ERR_NONE);
    assert_int_equal(account_add(given, STR("alice@example.test"), STR("Alice")), ERR_NONE);
    assert_int_equal(account_add(given, STR("bob@example.test"), STR("Bob")), ERR_NONE);
    return given;
}

static struct addr address(struct given *given, struct str text)
{
    struct addr addr;
    assert_int_equal(addr_of(given, text, &addr).code, ERR_NONE);
    return addr;
}

static struct addr bob(struct given *given)
{
    return address(given, STR("bob@example.test"));
}

static void bob_disabled(struct given *given, bool disabled)
{
    struct addr addr = bob(given);
    const struct account values = {.disabled = disabled};
    assert_int_equal(
        directory_account_set(&given->directory, &addr, &values, FIELD_DISABLED, &given->arena)
            .code,
        ERR_NONE);
}

static enum err_code bob_granted(struct given *given, struct str other)
{
    return grant_add(given, STR("bob@example.test"), other);
}

static enum err_code grant_remove(struct given *given, struct str other)
{
    struct addr addr = bob(given), to = address(given, other);
    return directory_grant_remove(&given->directory, &addr, &to, &given->arena).code;
}

static bool may_send(struct given *given, uint64_t account, struct str as)
{
    struct addr addr = address(given, as);
    bool may = true;
    assert_int_equal(
        directory_may_send(&given->directory, account, &addr, &given->arena, &may).code, ERR_NONE);
    return may;
}

static void an_account_may_send_as_what_leads_to_it_alone(void **state)
{
    struct given *given = village(state);
    alias_add(given, STR("robert@example.test"), STR("bob@example.test"));
    alias_add(given, STR("bobby@example.test"), STR("robert@example.test"));
    alias_add(given, STR("both@example.test"), STR("bob@example.test alice@example.test"));
    moved_add(given, STR("old@example.test"), STR("bob@example.test"), true);
    static const struct str own[] = {
        STR_INIT("bob@example.test"),      STR_INIT("BOB@Example.Test"),
        STR_INIT("bob+shop@example.test"), STR_INIT("robert@example.test"),
        STR_INIT("bobby+x@example.test"),  STR_INIT("old@example.test"),
    };
    static const struct str others[] = {
        STR_INIT("alice@example.test"), STR_INIT("alice+bob@example.test"),
        STR_INIT("both@example.test"),  STR_INIT("nobody@example.test"),
        STR_INIT("bob@else.test"),      STR_INIT("bob@sub.example.test"),
        STR_INIT("bob@[192.0.2.1]"),    STR_INIT("postmaster@example.test"),
        STR_INIT("@example.test"),
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        assert_true(may_send(given, BOB, own[i]));
        assert_false(may_send(given, ALICE, own[i]));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(may_send(given, BOB, others[i]));
    /* The postmaster is the first account. */
    assert_true(may_send(given, ALICE, STR("postmaster@example.test")));
    const struct addr null_path = {.kind = ADDR_NULL};
    bool may = true;
    struct err e = directory_may_send(&given->directory, BOB, &null_path, &given->arena, &may);
    assert_int_equal(e.code, ERR_NONE);
    assert_false(may);
    struct addr addr = bob(given);
    e = directory_may_send(&given->directory, 77, &addr, &given->arena, &may);
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* Its owner decides who speaks for a list, not whoever joined it. */
static void a_member_of_a_list_does_not_send_as_the_list(void **state)
{
    struct given *given = village(state);
    list_add(given, STR("list@example.test"), STR("bob@example.test"), false);
    member_add(given, STR("list@example.test"), STR("bob@example.test"));
    alias_add(given, STR("news@example.test"), STR("list@example.test"));
    alias_add(given, STR("mixed@example.test"), STR("bob@example.test list@example.test"));
    assert_str(copies_of(given, STR("news@example.test")), STR("bob@example.test"));
    assert_false(may_send(given, BOB, STR("list@example.test")));
    assert_false(may_send(given, BOB, STR("news@example.test")));
    assert_false(may_send(given, BOB, STR("mixed@example.test")));
    assert_int_equal(bob_granted(given, STR("list@example.test")), ERR_NONE);
    assert_true(may_send(given, BOB, STR("LIST@example.test")));
    assert_false(may_send(given, ALICE, STR("list@example.test")));
}

static void a_catch_all_of_one_account_is_its_to_send_as(void **state)
{
    struct given *given = village(state);
    domain_add(given, STR("bob.test"));
    domain_add(given, STR("both.test"));
    alias_add(given, STR("@bob.test"), STR("bob@example.test"));
    alias_add(given, STR("@both.test"), STR("bob@example.test alice@example.test"));
    alias_add(given, STR("alice@bob.test"), STR("alice@example.test"));
    assert_true(may_send(given, BOB, STR("any.thing@bob.test")));
    assert_false(may_send(given, BOB, STR("alice@bob.test")));
    assert_true(may_send(given, ALICE, STR("alice@bob.test")));
    assert_false(may_send(given, BOB, STR("any@both.test")));
}

static void what_was_granted_is_exact(void **state)
{
    struct given *given = village(state);
    domain_add(given, STR("shop.test"));
    account_add(given, STR("carol@shop.test"), STR(""));
    assert_int_equal(bob_granted(given, STR("Alice@example.test")), ERR_NONE);
    assert_int_equal(bob_granted(given, STR("alice@EXAMPLE.test")), ERR_EXISTS);
    assert_int_equal(bob_granted(given, STR("@else.test")), ERR_NONE);
    assert_true(may_send(given, BOB, STR("alice@example.test")));
    assert_false(may_send(given, BOB, STR("alice+x@example.test")));
    assert_false(may_send(given, BOB, STR("lice@example.test")));
    assert_true(may_send(given, BOB, STR("any@ELSE.test")));
    assert_false(may_send(given, BOB, STR("@else.test")));
    assert_false(may_send(given, BOB, STR("any@sub.else.test")));
    assert_false(may_send(given, BOB, STR("any@lse.test")));
    assert_false(may_send(given, BOB, STR("carol@shop.test")));
    assert_false(may_send(given, ALICE, STR("any@else.test")));
    assert_int_equal(grant_remove(given, STR("@example.test")), ERR_NOT_FOUND);
    assert_int_equal(grant_remove(given, STR("@else.test")), ERR_NONE);
    assert_false(may_send(given, BOB, STR("any@else.test")));
    assert_true(may_send(given, BOB, STR("alice@example.test")));
}

static void a_disabled_account_sends_as_nobody(void **state)
{
    struct given *given = village(state);
    bob_granted(given, STR("info@example.test"));
    bob_disabled(given, true);
    assert_false(may_send(given, BOB, STR("bob@example.test")));
    assert_false(may_send(given, BOB, STR("info@example.test")));
    bob_disabled(given, false);
    assert_true(may_send(given, BOB, STR("bob@example.test")));
}

static void grants_are_listed_and_have_a_limit(void **state)
{
    struct given *given = village(state);
    char text[64];
    struct str *grants;
    size_t count;
    for (unsigned i = 0; i < DIRECTORY_GRANTS_MAX; i++) {
        snprintf(text, sizeof(text), "n%02u@else.test", i);
        assert_int_equal(bob_granted(given, str_from(text)), ERR_NONE);
    }
    assert_int_equal(bob_granted(given, STR("@else.test")), ERR_OVER_LIMIT);
    assert_int_equal(
        directory_grant_list(&given->directory, BOB, &given->arena, &grants, &count).code,
        ERR_NONE);
    assert_int_equal(count, DIRECTORY_GRANTS_MAX);
    assert_str(grants[0], STR("n00@else.test"));
    assert_str(grants[99], STR("n99@else.test"));
    assert_int_equal(grant_remove(given, STR("n50@else.test")), ERR_NONE);
    assert_int_equal(bob_granted(given, STR("@else.test")), ERR_NONE);
    directory_grant_list(&given->directory, ALICE, &given->arena, &grants, &count);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(an_account_may_send_as_what_leads_to_it_alone),
        WITH_DIRECTORY(a_member_of_a_list_does_not_send_as_the_list),
        WITH_DIRECTORY(a_catch_all_of_one_account_is_its_to_send_as),
        WITH_DIRECTORY(what_was_granted_is_exact),
        WITH_DIRECTORY(a_disabled_account_sends_as_nobody),
        WITH_DIRECTORY(grants_are_listed_and_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
