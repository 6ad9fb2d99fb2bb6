/* What leads elsewhere, and where accounts forward their mail. */
#include "base/test.h"

#include "store/directory_given_test.h"
#include "store/directory_record.h"

/* example.test with alice, bob and carol; else.test is not here. */
static struct given *village(void **state)
{
    struct given *given = *state;
    assert_int_equal(domain_add(given, STR("example.test")), ERR_NONE);
    assert_int_equal(account_add(given, STR("alice@example.test"), STR("Alice")), ERR_NONE);
    assert_int_equal(account_add(given, STR("bob@example.test"), STR("Bob")), ERR_NONE);
    assert_int_equal(account_add(given, STR("carol@example.test"), STR("Carol")), ERR_NONE);
    return given;
}

static struct account shown(struct given *given, struct str address)
{
    struct addr addr;
    struct account account;
    assert_int_equal(addr_of(given, address, &addr).code, ERR_NONE);
    assert_int_equal(directory_account_show(&given->directory, &addr, &given->arena, &account).code,
                     ERR_NONE);
    return account;
}

/* --- Names that lead elsewhere --- */

static void an_alias_leads_elsewhere(void **state)
{
    struct given *given = village(state);
    assert_int_equal(
        alias_add(given, STR("both@example.test"), STR("bob@example.test Carol.B@Else.test")),
        ERR_NONE);
    struct resolved resolved = resolved_of(given, STR("Both+tag@example.test"));
    assert_int_equal(resolved.kind, RESOLVED_FOUND);
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_int_equal(resolved.count, 1);
    assert_int_equal(resolved.outside_count, 1);
    const struct outside *outside = &resolved.outside[0];
    assert_str(outside->text, STR("Carol.B@else.test"));
    assert_str(outside->addr.local, STR("Carol.B"));
    assert_str(outside->addr.domain, STR("else.test"));
    assert_int_equal(outside->addr.kind, ADDR_DOMAIN);
    assert_false(outside->addr.utf8);
    assert_str(outside->given, STR("Both+tag@example.test"));
    assert_null(outside->list.p);
    assert_null(outside->list_owner.p);
    assert_true(outside->forward);
    assert_false(resolved.forwarded);
}

static void whoever_leads_only_elsewhere_is_found(void **state)
{
    struct given *given = village(state);
    alias_add(given, STR("one@example.test"), STR("用户@else.test"));
    alias_add(given, STR("two@example.test"), STR("one@example.test x@[192.0.2.7]"));
    alias_add(given, STR("@example.test"), STR("rest@else.test"));
    struct resolved resolved = resolved_of(given, STR("two@example.test"));
    assert_int_equal(resolved.kind, RESOLVED_FOUND);
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_int_equal(resolved.count, 0);
    assert_int_equal(resolved.outside_count, 2);
    assert_str(resolved.outside[0].text, STR("x@[192.0.2.7]"));
    assert_int_equal(resolved.outside[0].addr.kind, ADDR_LITERAL);
    assert_str(resolved.outside[0].given, STR("two@example.test"));
    assert_str(resolved.outside[1].given, STR("one@example.test"));
    assert_true(resolved.outside[1].addr.utf8);
    assert_str(outside_of(given, STR("any.one@example.test")), STR("rest@else.test"));
    resolved = resolved_of(given, STR("Any.One@example.test"));
    assert_str(resolved.outside[0].given, STR("Any.One@example.test"));
}

static void a_list_has_members_elsewhere(void **state)
{
    struct given *given = village(state);
    list_add(given, STR("team@example.test"), STR("alice@example.test"), true);
    list_add(given, STR("crew@example.test"), STR("bob@example.test"), true);
    alias_add(given, STR("dora@example.test"), STR("dora@else.test"));
    assert_int_equal(member_add(given, STR("crew@example.test"), STR("Erin@else.test")), ERR_NONE);
    assert_int_equal(member_add(given, STR("crew@example.test"), STR("erin@else.test")),
                     ERR_EXISTS);
    member_add(given, STR("crew@example.test"), STR("carol@example.test"));
    member_add(given, STR("team@example.test"), STR("crew@example.test"));
    member_add(given, STR("team@example.test"), STR("dora@example.test"));
    struct resolved resolved = resolved_of(given, STR("team@example.test"));
    assert_int_equal(resolved.count, 1);
    assert_int_equal(resolved.outside_count, 2);
    const struct outside *erin = &resolved.outside[0], *dora = &resolved.outside[1];
    assert_str(erin->text, STR("Erin@else.test"));
    assert_str(erin->given, STR("crew@example.test"));
    assert_str(erin->list, STR("crew@example.test"));
    assert_str(erin->list_owner, STR("bob@example.test"));
    assert_false(erin->forward);
    assert_str(dora->text, STR("dora@else.test"));
    assert_str(dora->given, STR("dora@example.test"));
    assert_str(dora->list, STR("team@example.test"));
    assert_str(dora->list_owner, STR("alice@example.test"));
    assert_false(dora->forward);
    assert_int_equal(member_remove(given, STR("crew@example.test"), STR("ERIN@else.test")),
                     ERR_NONE);
    assert_str(outside_of(given, STR("crew@example.test")), STR(""));
}

static void a_moved_user_is_forwarded_elsewhere(void **state)
{
    struct given *given = village(state);
    assert_int_equal(moved_add(given, STR("old@example.test"), STR("new@else.test"), true),
                     ERR_NONE);
    struct resolved resolved = resolved_of(given, STR("old@example.test"));
    assert_int_equal(resolved.kind, RESOLVED_FOUND);
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_true(resolved.forwarded);
    assert_str(resolved.moved_to, STR("new@else.test"));
    assert_int_equal(resolved.outside_count, 1);
    assert_str(resolved.outside[0].text, STR("new@else.test"));
    assert_str(resolved.outside[0].given, STR("old@example.test"));
    assert_true(resolved.outside[0].forward);
}

static void each_address_elsewhere_occurs_once(void **state)
{
    struct given *given = village(state);
    alias_add(given, STR("one@example.test"), STR("erin@else.test dora@else.test"));
    alias_add(given, STR("two@example.test"),
              STR("Erin@Else.test one@example.test bob@example.test"));
    assert_str(outside_of(given, STR("two@example.test")), STR("Erin@else.test dora@else.test"));
    assert_str(copies_of(given, STR("two@example.test")), STR("bob@example.test"));
}

static void set_account(struct given *given, struct str address, struct account values,
                        unsigned fields)
{
    struct addr addr;
    assert_int_equal(addr_of(given, address, &addr).code, ERR_NONE);
    assert_int_equal(
        directory_account_set(&given->directory, &addr, &values, fields, &given->arena).code,
        ERR_NONE);
}

/* A mailbox that is out of use, or full, where others get the mail elsewhere. */
static void who_is_elsewhere_gets_the_mail_of_the_disabled(void **state)
{
    struct given *given = village(state);
    alias_add(given, STR("both@example.test"), STR("bob@example.test erin@else.test"));
    set_account(given, STR("bob@example.test"), (struct account){.disabled = true}, FIELD_DISABLED);
    struct resolved resolved = resolved_of(given, STR("both@example.test"));
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_true(resolved.copies[0].disabled);
    assert_int_equal(resolved.outside_count, 1);
    assert_str(copies_of(given, STR("bob@example.test")), STR("MAILBOX_DISABLED"));
    set_account(given, STR("bob@example.test"), (struct account){.quota = 1},
                FIELD_DISABLED | FIELD_QUOTA);
    given->size = 2;
    assert_str(copies_of(given, STR("both@example.test")), STR("QUOTA_FULL"));
    given->size = 0;
}

static void what_is_here_is_not_elsewhere(void **state)
{
    struct given *given = village(state);
    given->directory.settings.hostname = STR("mx.example.test");
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("nobody@example.test")),
                     ERR_NOT_FOUND);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("bob@mx.example.test")),
                     ERR_NOT_FOUND);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("@else.test")), ERR_NOT_FOUND);
    assert_int_equal(member_add(given, STR("x@example.test"), STR("bob@else.test")), ERR_NOT_FOUND);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("postmaster@mx.example.test")),
                     ERR_NONE);
    assert_str(outside_of(given, STR("x@example.test")), STR(""));
    assert_int_equal(resolved_of(given, STR("x@example.test")).copies[0].account, 1);
    /* What is asked for elsewhere is relaying, and nothing that a name here leads to. */
    struct resolved resolved = resolved_of(given, STR("bob@else.test"));
    assert_int_equal(resolved.kind, RESOLVED_RELAY);
    assert_int_equal(resolved.refusal.code, ERR_RELAY_DENIED);
    assert_int_equal(resolved.outside_count, 0);
}

static void the_owner_of_a_list_is_here(void **state)
{
    struct given *given = village(state);
    assert_int_equal(list_add(given, STR("team@example.test"), STR("bob@else.test"), true),
                     ERR_NOT_ALLOWED);
    alias_add(given, STR("owner@example.test"), STR("bob@else.test"));
    assert_int_equal(list_add(given, STR("team@example.test"), STR("owner@example.test"), true),
                     ERR_NONE);
}

static void a_domain_that_comes_takes_its_mail_over(void **state)
{
    struct given *given = village(state);
    alias_add(given, STR("both@example.test"), STR("bob@example.test erin@else.test"));
    assert_int_equal(domain_add(given, STR("else.test")), ERR_NONE);
    assert_str(outside_of(given, STR("both@example.test")), STR(""));
    assert_str(copies_of(given, STR("both@example.test")), STR("bob@example.test"));
    account_add(given, STR("erin@else.test"), STR(""));
    assert_str(copies_of(given, STR("both@example.test")), STR("bob@example.test erin@else.test"));
    assert_int_equal(remove_by(given, directory_account_remove, STR("erin@else.test")), ERR_IN_USE);
}

static void a_loop_by_way_of_elsewhere_is_nobodys_but_theirs(void **state)
{
    struct given *given = village(state);
    given->directory.settings.plus = '-';
    alias_add(given, STR("@example.test"), STR("bob@example.test"));
    alias_add(given, STR("y@example.test"), STR("y+1@example.test erin@else.test"));
    given->directory.settings.plus = '+';
    struct resolved resolved = resolved_of(given, STR("y@example.test"));
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_int_equal(resolved.outside_count, 1);
}

/* --- Asking --- */

static void verify_and_expand_speak_of_elsewhere(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    struct arena *arena = &given->arena;
    struct directory_lines lines;
    list_add(given, STR("team@example.test"), STR("alice@example.test"), true);
    member_add(given, STR("team@example.test"), STR("erin@else.test"));
    alias_add(given, STR("one@example.test"), STR("erin@else.test"));
    alias_add(given, STR("two@example.test"), STR("erin@else.test bob@example.test"));
    moved_add(given, STR("old@example.test"), STR("new@else.test"), true);
    assert_int_equal(
        forward_add(given, STR("bob@example.test"), STR("bob@else.test"), FORWARD_KEEP_NONE),
        ERR_NONE);
    assert_int_equal(directory_verify(directory, STR("one"), arena, &lines).code, ERR_NONE);
    assert_str(lines.lines[0], STR("<one@example.test>"));
    assert_false(lines.forwarded);
    assert_int_equal(directory_verify(directory, STR("two"), arena, &lines).code,
                     ERR_LIST_NOT_USER);
    assert_int_equal(directory_verify(directory, STR("old"), arena, &lines).code, ERR_NONE);
    assert_true(lines.forwarded);
    assert_str(lines.lines[0], STR("<new@else.test>"));
    assert_int_equal(directory_verify(directory, STR("bob"), arena, &lines).code, ERR_NONE);
    assert_str(lines.lines[0], STR("Bob <bob@example.test>"));
    assert_int_equal(directory_expand(directory, STR("team"), arena, &lines).code, ERR_NONE);
    assert_int_equal(lines.count, 1);
    assert_str(lines.lines[0], STR("<erin@else.test>"));
    assert_int_equal(directory_expand(directory, STR("two"), arena, &lines).code, ERR_NONE);
    assert_str(lines.lines[0], STR("<erin@else.test>"));
    assert_str(lines.lines[1], STR("Bob <bob@example.test>"));
    assert_int_equal(directory_expand(directory, STR("bob"), arena, &lines).code,
                     ERR_USER_NOT_LIST);
}

static bool bob_sends_as(struct given *given, struct str address)
{
    struct addr addr;
    bool may;
    assert_int_equal(addr_of(given, address, &addr).code, ERR_NONE);
    assert_int_equal(directory_may_send(&given->directory, 2, &addr, &given->arena, &may).code,
                     ERR_NONE);
    return may;
}

static enum err_code logs_in(struct given *given, struct str name)
{
    struct account account;
    struct err e = directory_login(&given->directory, name, &given->arena, &account);
    if (!err_is(e)) {
        assert_int_equal(account.id, 2);
        assert_null(account.forwards);
        assert_int_equal(account.forward_count, 0);
    }
    return e.code;
}

/* What an account forwards is its own matter; what an alias shares with somebody elsewhere is not
 * its alone. */
static void whose_an_address_is_does_not_change_with_forwards(void **state)
{
    struct given *given = village(state);
    alias_add(given, STR("bobby@example.test"), STR("bob@example.test"));
    alias_add(given, STR("shared@example.test"), STR("bob@example.test erin@else.test"));
    alias_add(given, STR("away@example.test"), STR("erin@else.test"));
    assert_int_equal(
        forward_add(given, STR("bob@example.test"), STR("bob@else.test"), FORWARD_KEEP_NONE),
        ERR_NONE);
    assert_int_equal(
        forward_add(given, STR("bob@example.test"), STR("carol@example.test"), FORWARD_KEEP_AS_IS),
        ERR_NONE);
    assert_true(bob_sends_as(given, STR("bob@example.test")));
    assert_true(bob_sends_as(given, STR("bobby@example.test")));
    assert_false(bob_sends_as(given, STR("shared@example.test")));
    assert_false(bob_sends_as(given, STR("away@example.test")));
    assert_false(bob_sends_as(given, STR("bob@else.test")));
    assert_int_equal(logs_in(given, STR("bob@example.test")), ERR_NONE);
    assert_int_equal(logs_in(given, STR("bobby@example.test")), ERR_NONE);
    assert_int_equal(logs_in(given, STR("shared@example.test")), ERR_LOGIN_FAILED);
    assert_int_equal(logs_in(given, STR("away@example.test")), ERR_LOGIN_FAILED);
}

/* --- Accounts that forward --- */

static void an_account_forwards_and_keeps_or_not(void **state)
{
    struct given *given = village(state);
    struct str bob = STR("bob@example.test");
    assert_int_equal(forward_add(given, bob, STR("Bob@Else.test"), FORWARD_KEEP_AS_IS), ERR_NONE);
    assert_int_equal(forward_add(given, bob, STR("bob@else.test"), FORWARD_KEEP_AS_IS), ERR_EXISTS);
    assert_int_equal(forward_add(given, bob, STR("alice@example.test"), FORWARD_KEEP_AS_IS),
                     ERR_NONE);
    assert_str(copies_of(given, bob), STR("bob@example.test alice@example.test"));
    struct resolved resolved = resolved_of(given, STR("bob+x@example.test"));
    assert_int_equal(resolved.outside_count, 1);
    assert_str(resolved.outside[0].text, STR("Bob@else.test"));
    assert_str(resolved.outside[0].given, STR("bob+x@example.test"));
    assert_true(resolved.outside[0].forward);
    assert_int_equal(forward_keep(given, bob, FORWARD_KEEP_NONE), ERR_NONE);
    assert_str(copies_of(given, bob), STR("alice@example.test"));
    assert_true(shown(given, bob).forwards_only);
    assert_int_equal(forward_keep(given, bob, FORWARD_KEEP), ERR_NONE);
    assert_str(copies_of(given, bob), STR("bob@example.test alice@example.test"));
    forward_keep(given, bob, FORWARD_KEEP_NONE);
    assert_int_equal(forward_remove(given, bob, STR("BOB@else.test")), ERR_NONE);
    assert_int_equal(forward_remove(given, bob, STR("bob@else.test")), ERR_NOT_FOUND);
    assert_str(outside_of(given, bob), STR(""));
    assert_str(copies_of(given, bob), STR("alice@example.test"));
    /* Nothing is left to go on: nothing may be lost. */
    assert_int_equal(forward_remove(given, bob, STR("alice@example.test")), ERR_NONE);
    assert_str(copies_of(given, bob), STR("bob@example.test"));
    assert_false(shown(given, bob).forwards_only);
    assert_int_equal(forward_keep(given, bob, FORWARD_KEEP_NONE), ERR_USAGE);
    assert_int_equal(forward_keep(given, bob, FORWARD_KEEP), ERR_NONE);
}

static void forwards_have_a_limit_and_need_somebody(void **state)
{
    struct given *given = village(state);
    struct str bob = STR("bob@example.test");
    char text[32];
    for (unsigned i = 0; i < DIRECTORY_FORWARDS_MAX; i++) {
        int n = snprintf(text, sizeof(text), "n%u@else.test", i);
        assert_int_equal(forward_add(given, bob, str_make(text, (size_t)n), FORWARD_KEEP),
                         ERR_NONE);
    }
    assert_int_equal(resolved_of(given, bob).outside_count, DIRECTORY_FORWARDS_MAX);
    assert_int_equal(forward_add(given, bob, STR("more@else.test"), FORWARD_KEEP), ERR_OVER_LIMIT);
    assert_int_equal(forward_remove(given, bob, STR("n5@else.test")), ERR_NONE);
    assert_str(outside_of(given, bob), STR("n0@else.test n1@else.test n2@else.test n3@else.test "
                                           "n4@else.test n6@else.test n7@else.test n8@else.test "
                                           "n9@else.test"));
    assert_int_equal(forward_add(given, bob, STR("nobody@example.test"), FORWARD_KEEP),
                     ERR_NOT_FOUND);
    assert_int_equal(forward_add(given, STR("nobody@example.test"), bob, FORWARD_KEEP),
                     ERR_NOT_FOUND);
    assert_int_equal(forward_add(given, bob, STR("more@else.test"), FORWARD_KEEP), ERR_NONE);
}

static void forwards_that_come_back_are_loops(void **state)
{
    struct given *given = village(state);
    struct str alice = STR("alice@example.test"), bob = STR("bob@example.test");
    alias_add(given, STR("both@example.test"), STR("alice@example.test bob@example.test"));
    assert_int_equal(forward_add(given, bob, STR("BOB+x@example.test"), FORWARD_KEEP),
                     ERR_ALIAS_LOOP);
    assert_int_equal(forward_add(given, bob, STR("both@example.test"), FORWARD_KEEP),
                     ERR_ALIAS_LOOP);
    assert_int_equal(forward_add(given, bob, alice, FORWARD_KEEP_NONE), ERR_NONE);
    assert_int_equal(forward_add(given, alice, bob, FORWARD_KEEP_NONE), ERR_ALIAS_LOOP);
    assert_int_equal(alias_add(given, STR("x@example.test"), bob), ERR_NONE);
    assert_int_equal(forward_add(given, alice, STR("x@example.test"), FORWARD_KEEP),
                     ERR_ALIAS_LOOP);
    assert_int_equal(forward_add(given, alice, STR("carol@example.test"), FORWARD_KEEP), ERR_NONE);
    /* An alias that is changed comes back by way of an account. */
    assert_int_equal(
        forward_add(given, STR("carol@example.test"), STR("x@example.test"), FORWARD_KEEP),
        ERR_ALIAS_LOOP);
    alias_add(given, STR("y@example.test"), STR("dora@else.test"));
    assert_int_equal(
        forward_add(given, STR("carol@example.test"), STR("y@example.test"), FORWARD_KEEP),
        ERR_NONE);
    assert_int_equal(alias_set(given, STR("y@example.test"), bob), ERR_ALIAS_LOOP);
    /* It would be one as soon as the account is enabled again. */
    set_account(given, alice, (struct account){.disabled = true}, FIELD_DISABLED);
    assert_int_equal(alias_set(given, STR("y@example.test"), bob), ERR_ALIAS_LOOP);
}

static void a_disabled_account_forwards_nothing(void **state)
{
    struct given *given = village(state);
    struct str bob = STR("bob@example.test");
    forward_add(given, bob, STR("bob@else.test"), FORWARD_KEEP_NONE);
    set_account(given, bob, (struct account){.disabled = true}, FIELD_DISABLED);
    assert_str(copies_of(given, bob), STR("MAILBOX_DISABLED"));
    assert_int_equal(resolved_of(given, bob).outside_count, 0);
    set_account(given, bob, (struct account){.disabled = false}, FIELD_DISABLED);
    assert_str(outside_of(given, bob), STR("bob@else.test"));
}

static uint64_t entries_of(struct given *given)
{
    struct local_status status;
    local_status(given->store.engine, &status);
    return status.entries;
}

static void whom_an_account_forwards_to_stays(void **state)
{
    struct given *given = village(state);
    struct str bob = STR("bob@example.test"), alice = STR("alice@example.test");
    uint64_t entries = entries_of(given);
    assert_int_equal(forward_add(given, bob, STR("alice+b@example.test"), FORWARD_KEEP), ERR_NONE);
    assert_int_equal(remove_by(given, directory_account_remove, alice), ERR_IN_USE);
    assert_int_equal(forward_remove(given, bob, STR("alice+b@example.test")), ERR_NONE);
    assert_int_equal(entries_of(given), entries);
    forward_add(given, bob, alice, FORWARD_KEEP);
    assert_int_equal(remove_by(given, directory_account_remove, bob), ERR_NONE);
    /* Nothing of Bob is left that would hold her. */
    assert_int_equal(remove_by(given, directory_account_remove, alice), ERR_NONE);
}

static void a_change_of_the_account_leaves_its_forwards(void **state)
{
    struct given *given = village(state);
    struct str bob = STR("bob@example.test");
    forward_add(given, bob, STR("bob@else.test"), FORWARD_KEEP_NONE);
    uint64_t version = shown(given, bob).credential_version;
    set_account(given, bob, (struct account){.name = STR("Robert"), .quota = 5},
                FIELD_NAME | FIELD_QUOTA);
    struct account account = shown(given, bob);
    assert_str(account.name, STR("Robert"));
    assert_int_equal(account.forward_count, 1);
    assert_str(account.forwards[0], STR("bob@else.test"));
    assert_true(account.forwards_only);
    assert_true(account.credential_version == version);
}

static void forwards_are_inside_each_other_too(void **state)
{
    struct given *given = village(state);
    char text[32], before[32] = "bob@example.test";
    for (unsigned i = 1; i <= DIRECTORY_DEPTH_MAX + 1; i++) {
        int n = snprintf(text, sizeof(text), "d%u@example.test", i);
        assert_int_equal(account_add(given, str_make(text, (size_t)n), STR("")), ERR_NONE);
        assert_int_equal(
            forward_add(given, str_make(text, (size_t)n), str_from(before), FORWARD_KEEP_NONE),
            i <= DIRECTORY_DEPTH_MAX ? ERR_NONE : ERR_OVER_LIMIT);
        memcpy(before, text, sizeof(text));
    }
    assert_str(copies_of(given, STR("d16@example.test")), STR("bob@example.test"));
}

/* --- What it costs --- */

static unsigned reads;

static struct err counted_get(struct engine *engine, struct partition partition, struct str key,
                              struct arena *arena, struct entry *entry_r)
{
    reads++;
    return store_rig_open_now->own->get(engine, partition, key, arena, entry_r);
}

static unsigned reads_for(struct given *given, struct str address)
{
    const struct engine_ops *before = given->store.engine->ops;
    struct engine_ops counting = *before;
    counting.get = counted_get;
    given->store.engine->ops = &counting;
    reads = 0;
    resolved_of(given, address);
    given->store.engine->ops = before;
    return reads;
}

static void who_forwards_nothing_costs_three_looks(void **state)
{
    struct given *given = village(state);
    assert_int_equal(reads_for(given, STR("bob@example.test")), 3);
    forward_add(given, STR("bob@example.test"), STR("bob@else.test"), FORWARD_KEEP);
    /* Of the other address the domain alone: that is elsewhere. */
    assert_int_equal(reads_for(given, STR("bob@example.test")), 4);
    assert_int_equal(reads_for(given, STR("carol@example.test")), 3);
}

/* --- Languages --- */

static void an_account_has_a_language_or_the_servers(void **state)
{
    struct given *given = village(state);
    struct str bob = STR("bob@example.test");
    assert_int_equal(resolved_of(given, bob).copies[0].language, LANGUAGE_ENGLISH);
    given->directory.settings.language = LANGUAGE_CHINESE;
    assert_int_equal(resolved_of(given, bob).copies[0].language, LANGUAGE_CHINESE);
    set_account(given, bob, (struct account){.language = ACCOUNT_LANGUAGE_ENGLISH}, FIELD_LANGUAGE);
    assert_int_equal(resolved_of(given, bob).copies[0].language, LANGUAGE_ENGLISH);
    given->directory.settings.language = LANGUAGE_ENGLISH;
    set_account(given, bob, (struct account){.language = ACCOUNT_LANGUAGE_CHINESE}, FIELD_LANGUAGE);
    assert_int_equal(resolved_of(given, bob).copies[0].language, LANGUAGE_CHINESE);
    set_account(given, bob, (struct account){.name = STR("")}, FIELD_NAME);
    struct account account = shown(given, bob);
    assert_int_equal(account.language, ACCOUNT_LANGUAGE_CHINESE);
    assert_int_equal(directory_language(&given->directory, &account), LANGUAGE_CHINESE);
}

/* --- Records --- */

/* An account of format 2, as it was written before there were forwards. */
static void an_old_record_forwards_nothing(void **state)
{
    struct given *given = *state;
    const struct name name = {.kind = NAME_ACCOUNT,
                              .account = {.id = 7,
                                          .services_off = SERVICE_POP3,
                                          .credential_version = 9,
                                          .address = STR("bob@example.test")}};
    struct str now = name_encode(&name, &given->arena);
    struct str then = arena_str(&given->arena, str_head(now, now.n - 6));
    struct name read;
    ((char *)(uintptr_t)then.p)[0] = 2;
    assert_int_equal(name_decode(then, &given->arena, &read).code, ERR_NONE);
    assert_int_equal(read.account.credential_version, 9);
    assert_int_equal(read.account.services_off, SERVICE_POP3);
    assert_int_equal(read.account.forward_count, 0);
    assert_int_equal(read.account.language, ACCOUNT_LANGUAGE_DEFAULT);
    assert_true(str_eq(name_encode(&read, &given->arena), now));
}

static void malformed_records_are_refused(void **state)
{
    struct given *given = *state;
    struct str forwards[DIRECTORY_FORWARDS_MAX + 1];
    struct name name = {.kind = NAME_ACCOUNT, .account = {.forwards = forwards}}, read;
    for (size_t i = 0; i <= DIRECTORY_FORWARDS_MAX; i++)
        forwards[i] = STR("bob@else.test");
    name.account.forward_count = DIRECTORY_FORWARDS_MAX;
    name.account.forwards_only = true;
    assert_int_equal(name_decode(name_encode(&name, &given->arena), &given->arena, &read).code,
                     ERR_NONE);
    name.account.forward_count++;
    assert_int_equal(name_decode(name_encode(&name, &given->arena), &given->arena, &read).code,
                     ERR_STORE_DAMAGED);
    name.account.forward_count = 0;
    assert_int_equal(name_decode(name_encode(&name, &given->arena), &given->arena, &read).code,
                     ERR_STORE_DAMAGED);
    name.account.forwards_only = false;
    name.account.language = ACCOUNT_LANGUAGES;
    assert_int_equal(name_decode(name_encode(&name, &given->arena), &given->arena, &read).code,
                     ERR_STORE_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(an_alias_leads_elsewhere),
        WITH_DIRECTORY(whoever_leads_only_elsewhere_is_found),
        WITH_DIRECTORY(a_list_has_members_elsewhere),
        WITH_DIRECTORY(a_moved_user_is_forwarded_elsewhere),
        WITH_DIRECTORY(each_address_elsewhere_occurs_once),
        WITH_DIRECTORY(who_is_elsewhere_gets_the_mail_of_the_disabled),
        WITH_DIRECTORY(what_is_here_is_not_elsewhere),
        WITH_DIRECTORY(the_owner_of_a_list_is_here),
        WITH_DIRECTORY(a_domain_that_comes_takes_its_mail_over),
        WITH_DIRECTORY(a_loop_by_way_of_elsewhere_is_nobodys_but_theirs),
        WITH_DIRECTORY(verify_and_expand_speak_of_elsewhere),
        WITH_DIRECTORY(whose_an_address_is_does_not_change_with_forwards),
        WITH_DIRECTORY(an_account_forwards_and_keeps_or_not),
        WITH_DIRECTORY(forwards_have_a_limit_and_need_somebody),
        WITH_DIRECTORY(forwards_that_come_back_are_loops),
        WITH_DIRECTORY(a_disabled_account_forwards_nothing),
        WITH_DIRECTORY(whom_an_account_forwards_to_stays),
        WITH_DIRECTORY(a_change_of_the_account_leaves_its_forwards),
        WITH_DIRECTORY(forwards_are_inside_each_other_too),
        WITH_DIRECTORY(who_forwards_nothing_costs_three_looks),
        WITH_DIRECTORY(an_account_has_a_language_or_the_servers),
        WITH_DIRECTORY(an_old_record_forwards_nothing),
        WITH_DIRECTORY(malformed_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
