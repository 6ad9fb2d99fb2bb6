#include "base/test.h"

#include "store/directory_given_test.h"

/* example.test with alice, bob and carol. */
static struct given *village(void **state)
{
    struct given *given = *state;
    assert_int_equal(domain_add(given, STR("example.test")), ERR_NONE);
    assert_int_equal(account_add(given, STR("alice@example.test"), STR("Alice Liddell")), ERR_NONE);
    assert_int_equal(account_add(given, STR("bob@example.test"), STR("Bob")), ERR_NONE);
    assert_int_equal(account_add(given, STR("Carol@example.test"), STR("Bob")), ERR_NONE);
    return given;
}

static void an_address_leads_to_its_account(void **state)
{
    struct given *given = village(state);
    struct resolved resolved = resolved_of(given, STR("BOB@Example.Test"));
    assert_int_equal(resolved.kind, RESOLVED_FOUND);
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_int_equal(resolved.count, 1);
    assert_int_equal(resolved.copies[0].account, 2);
    assert_str(resolved.copies[0].address, STR("bob@example.test"));
    assert_str(resolved.copies[0].delivered_to, STR("BOB@example.test"));
    assert_null(resolved.copies[0].list.p);
    struct mailbox inbox;
    assert_int_equal(mailbox_find(given->store.engine, 2, STR("INBOX"), &given->arena, &inbox).code,
                     ERR_NONE);
    assert_int_equal(inbox.id, resolved.copies[0].mailbox);
    assert_str(copies_of(given, STR("carol@example.test")), STR("carol@example.test"));
}

static void strangers_are_unknown_or_relayed(void **state)
{
    struct given *given = village(state);
    struct resolved resolved = resolved_of(given, STR("dave@example.test"));
    assert_int_equal(resolved.kind, RESOLVED_UNKNOWN);
    assert_int_equal(resolved.refusal.code, ERR_MAILBOX_UNKNOWN);
    resolved = resolved_of(given, STR("bob@else.test"));
    assert_int_equal(resolved.kind, RESOLVED_RELAY);
    assert_int_equal(resolved.refusal.code, ERR_RELAY_DENIED);
    /* Catalogue S19 and S12: no form of writing makes one of ours of them. */
    assert_str(copies_of(given, STR("\"bob@example.test\"@else.test")), STR("RELAY_DENIED"));
    assert_str(copies_of(given, STR("bob%else.test@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_str(copies_of(given, STR("\"v@else\"@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_str(copies_of(given, STR("else!bob@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_str(copies_of(given, STR("bob@[127.0.0.1]")), STR("RELAY_DENIED"));
    assert_str(copies_of(given, STR("${run{x}}@example.test")), STR("MAILBOX_UNKNOWN"));
}

/* RFC 5321 4.5.1: refused as relaying, unless the host's name was a domain too. */
static void the_host_has_a_postmaster(void **state)
{
    struct given *given = village(state);
    assert_str(copies_of(given, STR("postmaster@mx.example.test")), STR("RELAY_DENIED"));
    given->directory.settings.hostname = STR("mx.example.test");
    assert_str(copies_of(given, STR("Postmaster@MX.example.test")),
               STR("Postmaster@mx.example.test"));
    assert_str(copies_of(given, STR("bob@mx.example.test")), STR("RELAY_DENIED"));
    assert_str(copies_of(given, STR("postmaster@else.test")), STR("RELAY_DENIED"));
}

/* RFC 1123 5.2.17: it was refused as relaying, the postmaster with it. */
static void the_address_of_the_host_has_a_postmaster(void **state)
{
    struct given *given = village(state);
    assert_str(copies_of(given, STR("postmaster@[192.0.2.25]")), STR("RELAY_DENIED"));
    given->server = STR("192.0.2.25");
    assert_str(copies_of(given, STR("Postmaster@[192.0.2.25]")), STR("Postmaster@[192.0.2.25]"));
    assert_str(copies_of(given, STR("bob@[192.0.2.25]")), STR("MAILBOX_UNKNOWN"));
    assert_str(copies_of(given, STR("postmaster@[192.0.2.26]")), STR("RELAY_DENIED"));
    assert_str(copies_of(given, STR("bob@[192.0.2.26]")), STR("RELAY_DENIED"));
    given->server = STR("2001:db8::25");
    assert_str(copies_of(given, STR("postmaster@[ipv6:2001:DB8:0::25]")),
               STR("postmaster@[IPv6:2001:db8::25]"));
    assert_str(copies_of(given, STR("bob@[IPv6:2001:db8::25]")), STR("MAILBOX_UNKNOWN"));
    assert_str(copies_of(given, STR("postmaster@[192.0.2.25]")), STR("RELAY_DENIED"));
}

static void a_tag_is_its_owners(void **state)
{
    struct given *given = village(state);
    assert_str(copies_of(given, STR("bob+shop@example.test")), STR("bob+shop@example.test"));
    assert_str(copies_of(given, STR("dave+bob@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_int_equal(alias_add(given, STR("bob+news@example.test"), STR("carol@example.test")),
                     ERR_NONE);
    assert_str(copies_of(given, STR("bob+news@example.test")), STR("carol@example.test"));
    given->directory.settings.plus = '\0';
    assert_str(copies_of(given, STR("bob+shop@example.test")), STR("MAILBOX_UNKNOWN"));
}

static void an_alias_leads_to_several_and_nests(void **state)
{
    struct given *given = village(state);
    assert_int_equal(
        alias_add(given, STR("two@example.test"), STR("bob+x@example.test alice@example.test")),
        ERR_NONE);
    assert_int_equal(alias_add(given, STR("all@example.test"),
                               STR("carol@example.test two@example.test bob@example.test")),
                     ERR_NONE);
    assert_str(copies_of(given, STR("all@example.test")),
               STR("carol@example.test bob@example.test alice@example.test"));
    assert_int_equal(alias_add(given, STR("two@example.test"), STR("bob@example.test")),
                     ERR_EXISTS);
    assert_int_equal(alias_add(given, STR("bob@example.test"), STR("alice@example.test")),
                     ERR_EXISTS);
}

static void loops_are_refused(void **state)
{
    struct given *given = village(state);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("x@example.test")),
                     ERR_ALIAS_LOOP);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("x+y@example.test")),
                     ERR_ALIAS_LOOP);
    assert_int_equal(alias_add(given, STR("a@example.test"), STR("bob@example.test")), ERR_NONE);
    assert_int_equal(alias_add(given, STR("b@example.test"), STR("a@example.test")), ERR_NONE);
    assert_int_equal(list_add(given, STR("c@example.test"), STR("bob@example.test"), true),
                     ERR_NONE);
    assert_int_equal(member_add(given, STR("c@example.test"), STR("b@example.test")), ERR_NONE);
    assert_int_equal(moved_add(given, STR("d@example.test"), STR("c@example.test"), true),
                     ERR_NONE);
    assert_int_equal(
        alias_set(given, STR("a@example.test"), STR("alice@example.test d@example.test")),
        ERR_ALIAS_LOOP);
    assert_str(copies_of(given, STR("d@example.test")), STR("bob@example.test"));
    assert_int_equal(member_add(given, STR("c@example.test"), STR("d@example.test")),
                     ERR_ALIAS_LOOP);
    assert_int_equal(alias_add(given, STR("@example.test"), STR("nobody@example.test")),
                     ERR_ALIAS_LOOP);
}

/* A tag or a catch-all can close a loop that no single change shows. */
static void a_loop_that_arose_is_caught(void **state)
{
    struct given *given = village(state);
    given->directory.settings.plus = '-';
    assert_int_equal(alias_add(given, STR("@example.test"), STR("bob@example.test")), ERR_NONE);
    assert_int_equal(alias_add(given, STR("y@example.test"), STR("y+1@example.test")), ERR_NONE);
    assert_str(copies_of(given, STR("y@example.test")), STR("bob@example.test"));
    given->directory.settings.plus = '+';
    assert_str(copies_of(given, STR("y@example.test")), STR("ALIAS_LOOP"));
}

static struct str numbered(struct given *given, const char *stem, size_t number)
{
    struct buf buf = BUF_INIT(64);
    buf_printf(&buf, "%s%zu@example.test", stem, number);
    struct str text = buf_copy(&buf, &given->arena);
    buf_done(&buf);
    return text;
}

static void depth_has_a_limit(void **state)
{
    struct given *given = village(state);
    assert_int_equal(alias_add(given, STR("d1@example.test"), STR("bob@example.test")), ERR_NONE);
    for (size_t i = 2; i <= DIRECTORY_DEPTH_MAX; i++)
        assert_int_equal(alias_add(given, numbered(given, "d", i), numbered(given, "d", i - 1)),
                         ERR_NONE);
    assert_str(copies_of(given, STR("d16@example.test")), STR("bob@example.test"));
    assert_int_equal(alias_add(given, STR("d17@example.test"), STR("d16@example.test")),
                     ERR_OVER_LIMIT);
    /* Deepened from below: no change of d16's own, so it is found when it is used. */
    assert_int_equal(alias_add(given, STR("d0@example.test"), STR("bob@example.test")), ERR_NONE);
    assert_int_equal(alias_set(given, STR("d1@example.test"), STR("d0@example.test")), ERR_NONE);
    assert_str(copies_of(given, STR("d15@example.test")), STR("bob@example.test"));
    assert_str(copies_of(given, STR("d16@example.test")), STR("ALIAS_LOOP"));
}

static void an_alias_has_a_limit(void **state)
{
    struct given *given = village(state);
    struct buf buf = BUF_INIT(1 << 16);
    for (size_t i = 0; i < DIRECTORY_TARGETS_MAX; i++)
        buf_printf(&buf, "%sbob+%zu@example.test", i ? " " : "", i);
    assert_int_equal(alias_add(given, STR("many@example.test"), buf_str(&buf)), ERR_NONE);
    buf_put(&buf, STR(" alice@example.test"));
    assert_int_equal(alias_add(given, STR("more@example.test"), buf_str(&buf)), ERR_OVER_LIMIT);
    buf_done(&buf);
    assert_str(copies_of(given, STR("many@example.test")), STR("bob+0@example.test"));
}

static uint64_t entries_of(struct given *given)
{
    struct local_status status;
    local_status(given->store.engine, &status);
    return status.entries;
}

static void two_lists_have_their_own_members(void **state)
{
    struct given *given = village(state);
    struct str team = STR("team@example.test"), crew = STR("crew@example.test");
    struct addr addr;
    struct mailing_list list;
    assert_int_equal(list_add(given, team, STR("alice@example.test"), true), ERR_NONE);
    assert_int_equal(member_add(given, team, STR("bob@example.test")), ERR_NONE);
    uint64_t entries = entries_of(given);
    assert_int_equal(list_add(given, crew, STR("alice@example.test"), true), ERR_NONE);
    assert_int_equal(member_add(given, crew, STR("carol@example.test")), ERR_NONE);
    assert_int_equal(member_add(given, crew, STR("alice@example.test")), ERR_NONE);
    assert_str(copies_of(given, team), STR("bob@example.test"));
    assert_int_equal(resolved_of(given, crew).count, 2);
    assert_false(err_is(addr_of(given, crew, &addr)));
    assert_false(err_is(directory_list_show(&given->directory, &addr, &given->arena, &list)));
    assert_int_equal(list.members, 2);
    /* With the list its members go: nothing of it is left. */
    assert_int_equal(remove_by(given, directory_list_remove, crew), ERR_NONE);
    assert_int_equal(entries_of(given), entries);
    assert_str(copies_of(given, team), STR("bob@example.test"));
}

static void a_list_delivers_to_each_member_once(void **state)
{
    struct given *given = village(state);
    assert_int_equal(list_add(given, STR("team@example.test"), STR("alice@example.test"), true),
                     ERR_NONE);
    assert_str(copies_of(given, STR("team@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_int_equal(member_add(given, STR("team@example.test"), STR("carol@example.test")),
                     ERR_NONE);
    assert_int_equal(member_add(given, STR("team@example.test"), STR("bob@example.test")),
                     ERR_NONE);
    assert_int_equal(member_add(given, STR("team@example.test"), STR("BOB@example.test")),
                     ERR_EXISTS);
    assert_int_equal(member_add(given, STR("team@example.test"), STR("bob+t@example.test")),
                     ERR_NONE);
    struct resolved resolved = resolved_of(given, STR("team@example.test"));
    assert_int_equal(resolved.count, 2);
    assert_str(resolved.copies[0].delivered_to, STR("bob@example.test"));
    assert_str(resolved.copies[1].delivered_to, STR("carol@example.test"));
    assert_str(resolved.copies[1].list, STR("team@example.test"));
    assert_str(resolved.copies[1].list_owner, STR("alice@example.test"));
    assert_int_equal(member_remove(given, STR("team@example.test"), STR("bob@example.test")),
                     ERR_NONE);
    assert_int_equal(member_remove(given, STR("team@example.test"), STR("bob@example.test")),
                     ERR_NOT_FOUND);
    assert_int_equal(remove_by(given, directory_list_remove, STR("team@example.test")), ERR_NONE);
    assert_str(copies_of(given, STR("team@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_int_equal(list_add(given, STR("team@example.test"), STR("alice@example.test"), true),
                     ERR_NONE);
    assert_str(copies_of(given, STR("team@example.test")), STR("MAILBOX_UNKNOWN"));
}

static void moved_users_are_forwarded_or_told(void **state)
{
    struct given *given = village(state);
    assert_int_equal(moved_add(given, STR("old@example.test"), STR("bob@example.test"), true),
                     ERR_NONE);
    assert_int_equal(moved_add(given, STR("gone@example.test"), STR("gone@Else.test"), false),
                     ERR_NONE);
    struct resolved resolved = resolved_of(given, STR("old@example.test"));
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_true(resolved.forwarded);
    assert_str(resolved.moved_to, STR("bob@example.test"));
    assert_str(resolved.copies[0].delivered_to, STR("bob@example.test"));
    resolved = resolved_of(given, STR("gone@example.test"));
    assert_int_equal(resolved.kind, RESOLVED_MOVED);
    assert_int_equal(resolved.refusal.code, ERR_MAILBOX_MOVED);
    assert_str(resolved.moved_to, STR("gone@else.test"));
}

static void postmaster_is_always_somebody(void **state)
{
    struct given *given = village(state);
    assert_int_equal(domain_add(given, STR("other.test")), ERR_NONE);
    assert_str(copies_of(given, STR("postmaster")), STR("alice@example.test"));
    assert_str(copies_of(given, STR("PostMaster@other.test")), STR("PostMaster@other.test"));
    assert_int_equal(resolved_of(given, STR("postmaster@other.test")).copies[0].account, 1);
    given->directory.settings.postmaster = STR("bob@example.test");
    assert_int_equal(resolved_of(given, STR("postmaster@other.test")).copies[0].account, 2);
    assert_int_equal(resolved_of(given, STR("postmaster")).copies[0].account, 2);
    assert_int_equal(alias_add(given, STR("postmaster@other.test"), STR("carol@example.test")),
                     ERR_NONE);
    assert_int_equal(resolved_of(given, STR("postmaster@other.test")).copies[0].account, 3);
    given->directory.settings.postmaster = STR("not an address");
    assert_int_equal(resolved_of(given, STR("postmaster")).copies[0].account, 1);
    assert_str(copies_of(given, STR("postmaster@else.test")), STR("RELAY_DENIED"));
}

static void a_catch_all_catches_the_rest(void **state)
{
    struct given *given = village(state);
    assert_int_equal(domain_add(given, STR("other.test")), ERR_NONE);
    assert_int_equal(alias_add(given, STR("@other.test"), STR("bob@example.test")), ERR_NONE);
    assert_str(copies_of(given, STR("any.one@other.test")), STR("bob@example.test"));
    assert_str(copies_of(given, STR("any.one@example.test")), STR("MAILBOX_UNKNOWN"));
    assert_int_equal(alias_add(given, STR("@other.test"), STR("bob@example.test")), ERR_EXISTS);
    assert_int_equal(remove_by(given, directory_alias_remove, STR("@other.test")), ERR_NONE);
    assert_str(copies_of(given, STR("any.one@other.test")), STR("MAILBOX_UNKNOWN"));
}

static void use(struct given *given, uint64_t account, uint64_t octets)
{
    struct resolved resolved = resolved_of(given, STR("bob@example.test"));
    struct mailbox_message message = {.size = octets};
    struct op_list ops = op_list_take(&given->arena, MAILBOX_DELIVERY_OPS);
    mailbox_delivery_ops(account, resolved.copies[0].mailbox, &message, &given->arena, &ops, NULL);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_int_equal(engine_commit_wait(given->store.engine, &commit).code, ERR_NONE);
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

static void quotas_and_disabling_show(void **state)
{
    struct given *given = village(state);
    set_account(given, STR("bob@example.test"), (struct account){.quota = 100}, FIELD_QUOTA);
    assert_int_equal(list_add(given, STR("team@example.test"), STR("alice@example.test"), true),
                     ERR_NONE);
    member_add(given, STR("team@example.test"), STR("bob@example.test"));
    member_add(given, STR("team@example.test"), STR("carol@example.test"));
    alias_add(given, STR("two@example.test"), STR("bob@example.test carol@example.test"));
    use(given, 2, 99);
    assert_str(copies_of(given, STR("bob@example.test")), STR("bob@example.test"));
    use(given, 2, 1);
    assert_str(copies_of(given, STR("bob@example.test")), STR("QUOTA_FULL_LATER"));
    assert_str(copies_of(given, STR("two@example.test")), STR("QUOTA_FULL_LATER"));
    struct resolved resolved = resolved_of(given, STR("team@example.test"));
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_true(resolved.copies[0].over_quota && !resolved.copies[1].over_quota);
    assert_true(resolved.copies[0].used == 100 && resolved.copies[0].quota == 100);
    set_account(given, STR("bob@example.test"), (struct account){.quota = 0}, FIELD_QUOTA);
    assert_str(copies_of(given, STR("bob@example.test")), STR("bob@example.test"));
    given->directory.settings.quota = 50;
    assert_str(copies_of(given, STR("bob@example.test")), STR("QUOTA_FULL_LATER"));
    set_account(given, STR("bob@example.test"), (struct account){.quota = QUOTA_NONE}, FIELD_QUOTA);
    assert_str(copies_of(given, STR("bob@example.test")), STR("bob@example.test"));
    set_account(given, STR("bob@example.test"), (struct account){.disabled = true}, FIELD_DISABLED);
    assert_str(copies_of(given, STR("bob@example.test")), STR("MAILBOX_DISABLED"));
    resolved = resolved_of(given, STR("two@example.test"));
    assert_int_equal(resolved.refusal.code, ERR_NONE);
    assert_true(resolved.copies[0].disabled && !resolved.copies[1].disabled);
}

/* "*@example.test" was an alias that nobody's mail reached; Bob and bob were two targets. */
static void a_star_is_no_catch_all_and_case_makes_no_second_target(void **state)
{
    struct given *given = village(state);
    struct addr addr;
    struct alias alias;
    assert_int_equal(alias_add(given, STR("*@example.test"), STR("bob@example.test")),
                     ERR_NAME_REFUSED);
    assert_int_equal(alias_add(given, STR("both@example.test"),
                               STR("bob@example.test Bob@Example.test carol@example.test")),
                     ERR_NONE);
    assert_int_equal(addr_of(given, STR("both@example.test"), &addr).code, ERR_NONE);
    assert_int_equal(directory_alias_show(&given->directory, &addr, &given->arena, &alias).code,
                     ERR_NONE);
    assert_int_equal(alias.target_count, 2);
    assert_str(alias.targets[0], STR("bob@example.test"));
}

/* Catalogue S29: twins, mixed scripts, look-alikes. */
static void disguised_names_are_refused(void **state)
{
    struct given *given = village(state);
    assert_int_equal(account_add(given, STR("coca@example.test"), STR("")), ERR_NONE);
    assert_int_equal(account_add(given, STR("cafe\u0301@example.test"), STR("")), ERR_NONE);
    assert_int_equal(account_add(given, STR("caf\u00e9@example.test"), STR("")), ERR_EXISTS);
    assert_int_equal(account_add(given, STR("CAF\u00c9@example.test"), STR("")), ERR_EXISTS);
    assert_int_equal(account_add(given, STR("\u0430dmin@example.test"), STR("")), ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("ad\u200dmin@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("\uff41dmin@example.test"), STR("")), ERR_NAME_REFUSED);
    /* Cyrillic throughout, and looks like "coca". */
    assert_int_equal(account_add(given, STR("\u0441\u043e\u0441\u0430@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(
        alias_add(given, STR("\u0441\u043e\u0441\u0430@example.test"), STR("bob@example.test")),
        ERR_NAME_REFUSED);
    assert_int_equal(domain_add(given, STR("other.test")), ERR_NONE);
    assert_int_equal(account_add(given, STR("\u0441\u043e\u0441\u0430@other.test"), STR("")),
                     ERR_NONE);
    assert_int_equal(account_add(given, STR("coca@other.test"), STR("")), ERR_NAME_REFUSED);
    /* Between ASCII names nothing is a disguise. */
    assert_int_equal(account_add(given, STR("corn@example.test"), STR("")), ERR_NONE);
    assert_int_equal(account_add(given, STR("com@example.test"), STR("")), ERR_NONE);
    assert_int_equal(remove_by(given, directory_account_remove, STR("coca@example.test")),
                     ERR_NONE);
    assert_int_equal(account_add(given, STR("\u0441\u043e\u0441\u0430@example.test"), STR("")),
                     ERR_NONE);
}

/* Catalogue O02. */
static void pipes_paths_and_includes_are_refused(void **state)
{
    struct given *given = village(state);
    assert_int_equal(account_add(given, STR("\"|/bin/sh\"@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("|x@example.test"), STR("")), ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("/etc/passwd@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("\":include:/etc/shadow\"@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("bob%else.test@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("\"bob@else.test\"@example.test"), STR("")),
                     ERR_NAME_REFUSED);
    assert_int_equal(account_add(given, STR("\"a b\"@example.test"), STR("")), ERR_NAME_REFUSED);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("/etc/passwd")),
                     ERR_ADDRESS_SYNTAX);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR(":include:/etc/shadow")),
                     ERR_ADDRESS_SYNTAX);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("\"|/bin/sh\"@example.test")),
                     ERR_NOT_FOUND);
}

static void an_address_in_chinese_is_like_any_other(void **state)
{
    struct given *given = *state;
    assert_int_equal(domain_add(given, STR("例子.测试")), ERR_NONE);
    assert_int_equal(domain_add(given, STR("XN--FSQU00A.xn--0zwm56d")), ERR_EXISTS);
    assert_int_equal(domain_add(given, STR("xn--a.test")), ERR_ADDRESS_SYNTAX);
    assert_int_equal(account_add(given, STR("用户@例子.测试"), STR("用户")), ERR_NONE);
    assert_str(copies_of(given, STR("用户@xn--fsqu00a.xn--0zwm56d")),
               STR("用户@xn--fsqu00a.xn--0zwm56d"));
    struct account account;
    assert_int_equal(directory_login(&given->directory, STR("用户"), &given->arena, &account).code,
                     ERR_NONE);
    assert_str(account.address, STR("用户@xn--fsqu00a.xn--0zwm56d"));
}

static void a_domain_in_use_stays(void **state)
{
    struct given *given = village(state);
    struct str domain = STR("example.test");
    assert_int_equal(account_add(given, STR("x@else.test"), STR("")), ERR_DOMAIN_UNKNOWN);
    assert_int_equal(directory_domain_remove(&given->directory, domain, &given->arena).code,
                     ERR_IN_USE);
    assert_int_equal(domain_add(given, STR("example.testing")), ERR_NONE);
    assert_int_equal(
        directory_domain_remove(&given->directory, STR("example.testing"), &given->arena).code,
        ERR_NONE);
    assert_int_equal(
        directory_domain_remove(&given->directory, STR("example.testing"), &given->arena).code,
        ERR_DOMAIN_UNKNOWN);
    assert_str(copies_of(given, STR("x@example.testing")), STR("RELAY_DENIED"));
}

static void a_name_others_lead_to_stays(void **state)
{
    struct given *given = village(state);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("Bob+tag@example.test")),
                     ERR_NONE);
    assert_int_equal(remove_by(given, directory_account_remove, STR("bob@example.test")),
                     ERR_IN_USE);
    assert_int_equal(list_add(given, STR("l@example.test"), STR("alice@example.test"), true),
                     ERR_NONE);
    assert_int_equal(member_add(given, STR("l@example.test"), STR("x@example.test")), ERR_NONE);
    assert_int_equal(remove_by(given, directory_alias_remove, STR("x@example.test")), ERR_IN_USE);
    assert_int_equal(remove_by(given, directory_account_remove, STR("alice@example.test")),
                     ERR_IN_USE);
    assert_int_equal(remove_by(given, directory_list_remove, STR("l@example.test")), ERR_NONE);
    assert_int_equal(remove_by(given, directory_alias_remove, STR("x@example.test")), ERR_NONE);
    assert_int_equal(remove_by(given, directory_list_remove, STR("bob@example.test")),
                     ERR_NOT_FOUND);
    assert_int_equal(remove_by(given, directory_account_remove, STR("bob@example.test")), ERR_NONE);
    assert_str(copies_of(given, STR("bob@example.test")), STR("MAILBOX_UNKNOWN"));
}

static size_t entries_between(struct given *given, struct partition partition, struct str from,
                              struct str until)
{
    struct entry *entries;
    size_t count = SIZE_MAX;
    struct err e = engine_scan(given->store.engine, partition, from, until, 10, &given->arena,
                               &entries, &count);
    return err_is(e) ? SIZE_MAX : count;
}

static size_t entries_in(struct given *given, struct partition partition)
{
    return entries_between(given, partition, STR(""), str_null());
}

static size_t notes_left(struct given *given)
{
    struct partition directory = {.kind = PARTITION_DIRECTORY};
    return entries_between(given, directory, STR("g"), STR("h"));
}

/* Nothing of an account is left, and a crash in the middle of its removal is finished later. */
static void a_removed_account_takes_its_mail_along(void **state)
{
    struct given *given = village(state);
    struct mailbox sent;
    for (unsigned i = 0; i < 1500; i++)
        use(given, 2, 1);
    assert_int_equal(
        mailbox_create(given->store.engine, &given->world, 2, STR("Sent"), &given->arena, &sent)
            .code,
        ERR_NONE);
    given->store.fail_in = 3;
    assert_int_equal(remove_by(given, directory_account_remove, STR("bob@example.test")),
                     ERR_TRY_LATER);
    assert_str(copies_of(given, STR("bob@example.test")), STR("MAILBOX_UNKNOWN"));
    given->store.fail_in = 0;
    assert_int_equal(directory_sweep(&given->directory).code, ERR_NONE);
    size_t left = entries_in(given, mailbox_account_partition(2)) +
                  entries_in(given, mailbox_partition(2)) +
                  entries_in(given, mailbox_partition(sent.id)) + notes_left(given);
    assert_int_equal(left, 0);
    assert_int_equal(account_add(given, STR("bob@example.test"), STR("Bob")), ERR_NONE);
    struct resolved resolved = resolved_of(given, STR("bob@example.test"));
    assert_int_equal(resolved.copies[0].account, 4);
    assert_int_equal(resolved.copies[0].used, 0);
}

static void verify_finds_by_mailbox_part_and_name(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    struct arena *arena = &given->arena;
    struct directory_lines lines;
    static const struct str same[] = {
        STR_INIT("alice"),         STR_INIT("ALICE@example.test"), STR_INIT("<alice@example.test>"),
        STR_INIT("alice liddell"), STR_INIT(" Alice  Liddell"),
    };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(directory_verify(directory, same[i], arena, &lines).code, ERR_NONE);
        assert_int_equal(lines.count, 1);
        assert_true(str_eq_nocase(lines.lines[0], STR("Alice Liddell <alice@example.test>")));
    }
    assert_int_equal(directory_verify(directory, same[4], arena, &lines).code, ERR_MAILBOX_UNKNOWN);
    /* Two are called Bob, but only one is bob. */
    assert_int_equal(directory_verify(directory, STR("bob"), arena, &lines).code, ERR_NONE);
    assert_int_equal(domain_add(given, STR("other.test")), ERR_NONE);
    assert_int_equal(account_add(given, STR("bob@other.test"), STR("B, \"Bobby\" Tables")),
                     ERR_NONE);
    assert_int_equal(directory_verify(directory, STR("bob"), arena, &lines).code,
                     ERR_MAILBOX_AMBIGUOUS);
    assert_int_equal(lines.count, 2);
    assert_str(lines.lines[0], STR("Bob <bob@example.test>"));
    assert_str(lines.lines[1], STR("\"B, \\\"Bobby\\\" Tables\" <bob@other.test>"));
    assert_int_equal(directory_verify(directory, STR("dave"), arena, &lines).code,
                     ERR_MAILBOX_UNKNOWN);
    assert_int_equal(directory_verify(directory, STR("b@else.test"), arena, &lines).code,
                     ERR_MAILBOX_UNKNOWN);
    assert_int_equal(directory_verify(directory, STR("*)(uid=*"), arena, &lines).code,
                     ERR_MAILBOX_UNKNOWN);
}

static void two_of_one_full_name_are_ambiguous(void **state)
{
    struct given *given = village(state);
    struct directory_lines lines;
    assert_int_equal(account_add(given, STR("b1@example.test"), STR("Bob Smith")), ERR_NONE);
    assert_int_equal(account_add(given, STR("b2@example.test"), STR("BOB smith")), ERR_NONE);
    assert_int_equal(
        directory_verify(&given->directory, STR("bob smith"), &given->arena, &lines).code,
        ERR_MAILBOX_AMBIGUOUS);
    assert_int_equal(lines.count, 2);
    set_account(given, STR("b2@example.test"), (struct account){.name = STR("Rob")}, FIELD_NAME);
    assert_int_equal(
        directory_verify(&given->directory, STR("bob smith"), &given->arena, &lines).code,
        ERR_NONE);
    assert_int_equal(directory_verify(&given->directory, STR("ROB"), &given->arena, &lines).code,
                     ERR_NONE);
}

static void verify_tells_lists_and_moved_users_apart(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    struct arena *arena = &given->arena;
    struct directory_lines lines;
    list_add(given, STR("team@example.test"), STR("alice@example.test"), true);
    alias_add(given, STR("one@example.test"), STR("bob@example.test"));
    alias_add(given, STR("two@example.test"), STR("bob@example.test alice@example.test"));
    moved_add(given, STR("old@example.test"), STR("bob@example.test"), true);
    moved_add(given, STR("gone@example.test"), STR("gone@else.test"), false);
    assert_int_equal(directory_verify(directory, STR("team"), arena, &lines).code,
                     ERR_LIST_NOT_USER);
    assert_int_equal(directory_verify(directory, STR("two"), arena, &lines).code,
                     ERR_LIST_NOT_USER);
    assert_int_equal(directory_verify(directory, STR("one"), arena, &lines).code, ERR_NONE);
    assert_str(lines.lines[0], STR("Bob <one@example.test>"));
    assert_int_equal(directory_verify(directory, STR("old"), arena, &lines).code, ERR_NONE);
    assert_true(lines.forwarded);
    assert_str(lines.lines[0], STR("<bob@example.test>"));
    assert_int_equal(directory_verify(directory, STR("gone"), arena, &lines).code,
                     ERR_MAILBOX_MOVED);
    assert_str(lines.lines[0], STR("<gone@else.test>"));
}

static void expand_shows_members_where_it_may(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    struct arena *arena = &given->arena;
    struct directory_lines lines;
    list_add(given, STR("open@example.test"), STR("alice@example.test"), true);
    list_add(given, STR("shut@example.test"), STR("alice@example.test"), false);
    member_add(given, STR("open@example.test"), STR("bob@example.test"));
    member_add(given, STR("open@example.test"), STR("shut@example.test"));
    alias_add(given, STR("two@example.test"), STR("bob@example.test alice@example.test"));
    assert_int_equal(directory_expand(directory, STR("open"), arena, &lines).code, ERR_NONE);
    assert_int_equal(lines.count, 2);
    assert_str(lines.lines[0], STR("Bob <bob@example.test>"));
    assert_str(lines.lines[1], STR("List <shut@example.test>"));
    assert_int_equal(directory_expand(directory, STR("two@example.test"), arena, &lines).code,
                     ERR_NONE);
    assert_str(lines.lines[1], STR("Alice Liddell <alice@example.test>"));
    assert_int_equal(directory_expand(directory, STR("shut"), arena, &lines).code,
                     ERR_ACCESS_DENIED);
    assert_int_equal(directory_expand(directory, STR("bob"), arena, &lines).code,
                     ERR_USER_NOT_LIST);
    assert_int_equal(directory_expand(directory, STR("nobody"), arena, &lines).code,
                     ERR_MAILBOX_UNKNOWN);
}

/* Catalogue I14. */
static void log_in_names_are_plain_text(void **state)
{
    struct given *given = village(state);
    struct directory *directory = &given->directory;
    struct account account;
    static const struct str good[] = {STR_INIT("bob"), STR_INIT("BOB"),
                                      STR_INIT("Bob@Example.TEST")};
    static const struct str bad[] = {
        STR_INIT(""),       STR_INIT("*)(uid=*"),      STR_INIT("a' OR 1=1--"),
        STR_INIT("../bob"), STR_INIT("bob\0x"),        STR_INIT("bob@"),
        STR_INIT("@"),      STR_INIT("@example.test"), STR_INIT("bob+tag@example.test"),
        STR_INIT("\xff"),   STR_INIT("\uff42ob"),      STR_INIT("bob@else.test"),
        STR_INIT("alias"),
    };
    alias_add(given, STR("alias@example.test"), STR("bob@example.test"));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(directory_login(directory, good[i], &given->arena, &account).code,
                         ERR_NONE);
        assert_int_equal(account.id, 2);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(directory_login(directory, bad[i], &given->arena, &account).code,
                         ERR_LOGIN_FAILED);
    static char octets[20000];
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = "%{x}"[i % 4];
    assert_int_equal(
        directory_login(directory, str_make(octets, sizeof(octets)), &given->arena, &account).code,
        ERR_LOGIN_FAILED);
    domain_add(given, STR("other.test"));
    account_add(given, STR("bob@other.test"), STR(""));
    assert_int_equal(directory_login(directory, STR("bob"), &given->arena, &account).code,
                     ERR_LOGIN_FAILED);
    assert_int_equal(directory_account_by_id(directory, 1, &given->arena, &account).code, ERR_NONE);
    assert_str(account.address, STR("alice@example.test"));
}

static void values_of_accounts_are_checked(void **state)
{
    struct given *given = village(state);
    struct addr addr;
    addr_of(given, STR("new@example.test"), &addr);
    struct account account = {.name = STR("a\nb")};
    assert_int_equal(directory_account_add(&given->directory, &addr, &account, &given->arena).code,
                     ERR_NAME_REFUSED);
    account = (struct account){.name = STR("a\u202eb")};
    assert_int_equal(directory_account_add(&given->directory, &addr, &account, &given->arena).code,
                     ERR_NAME_REFUSED);
    account = (struct account){.password = STR("secret")};
    assert_int_equal(directory_account_add(&given->directory, &addr, &account, &given->arena).code,
                     ERR_USAGE);
}

/* Somebody else changes the directory between the check and the commit: it is done anew. */
static void a_change_under_way_is_done_anew(void **state)
{
    struct given *given = village(state);
    given->store.conflict_in = 1;
    unsigned before = given->store.commits;
    assert_int_equal(account_add(given, STR("dave@example.test"), STR("")), ERR_NONE);
    assert_int_equal(given->store.commits - before, 2);
    given->store.conflict_in = -1;
    assert_int_equal(account_add(given, STR("erin@example.test"), STR("")), ERR_CONFLICT);
    given->store.conflict_in = 0;
    assert_str(copies_of(given, STR("erin@example.test")), STR("MAILBOX_UNKNOWN"));
}

static void somebody_takes_the_name(struct store_rig *store)
{
    struct given *given = (struct given *)store;
    assert_int_equal(alias_add(given, STR("dave@example.test"), STR("bob@example.test")), ERR_NONE);
}

/* What was checked must hold when it takes effect: here it no longer does. */
static void a_name_taken_meanwhile_is_not_taken_twice(void **state)
{
    struct given *given = village(state);
    given->store.meanwhile = somebody_takes_the_name;
    assert_int_equal(account_add(given, STR("dave@example.test"), STR("")), ERR_EXISTS);
    assert_str(copies_of(given, STR("dave@example.test")), STR("bob@example.test"));
}

static void somebody_closes_the_loop(struct store_rig *store)
{
    struct given *given = (struct given *)store;
    assert_int_equal(alias_set(given, STR("x@example.test"), STR("y@example.test")), ERR_NONE);
}

static void a_loop_made_from_both_ends_at_once_is_refused(void **state)
{
    struct given *given = village(state);
    assert_int_equal(alias_add(given, STR("x@example.test"), STR("bob@example.test")), ERR_NONE);
    assert_int_equal(alias_add(given, STR("y@example.test"), STR("bob@example.test")), ERR_NONE);
    given->store.meanwhile = somebody_closes_the_loop;
    assert_int_equal(alias_set(given, STR("y@example.test"), STR("x@example.test")),
                     ERR_ALIAS_LOOP);
    assert_str(copies_of(given, STR("y@example.test")), STR("bob@example.test"));
}

static void somebody_makes_a_mailbox(struct store_rig *store)
{
    struct given *given = (struct given *)store;
    struct mailbox mailbox;
    assert_int_equal(
        mailbox_create(store->engine, &given->world, 2, STR("Sent"), &given->arena, &mailbox).code,
        ERR_NONE);
}

static void mailboxes_made_at_once_are_two(void **state)
{
    struct given *given = village(state);
    struct mailbox sent;
    given->store.meanwhile = somebody_makes_a_mailbox;
    assert_int_equal(account_add(given, STR("dave@example.test"), STR("")), ERR_NONE);
    assert_int_equal(mailbox_find(given->store.engine, 2, STR("Sent"), &given->arena, &sent).code,
                     ERR_NONE);
    assert_true(resolved_of(given, STR("dave@example.test")).copies[0].mailbox != sent.id);
}

static void a_mailbox_made_while_its_account_goes_goes_too(void **state)
{
    struct given *given = village(state);
    given->store.meanwhile = somebody_makes_a_mailbox;
    assert_int_equal(remove_by(given, directory_account_remove, STR("bob@example.test")), ERR_NONE);
    for (uint64_t id = 4; id < 8; id++)
        assert_int_equal(entries_in(given, mailbox_partition(id)), 0);
    assert_int_equal(entries_in(given, mailbox_account_partition(2)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(an_address_leads_to_its_account),
        WITH_DIRECTORY(strangers_are_unknown_or_relayed),
        WITH_DIRECTORY(a_tag_is_its_owners),
        WITH_DIRECTORY(an_alias_leads_to_several_and_nests),
        WITH_DIRECTORY(loops_are_refused),
        WITH_DIRECTORY(a_loop_that_arose_is_caught),
        WITH_DIRECTORY(depth_has_a_limit),
        WITH_DIRECTORY(an_alias_has_a_limit),
        WITH_DIRECTORY(two_lists_have_their_own_members),
        WITH_DIRECTORY(a_list_delivers_to_each_member_once),
        WITH_DIRECTORY(moved_users_are_forwarded_or_told),
        WITH_DIRECTORY(postmaster_is_always_somebody),
        WITH_DIRECTORY(a_catch_all_catches_the_rest),
        WITH_DIRECTORY(the_host_has_a_postmaster),
        WITH_DIRECTORY(the_address_of_the_host_has_a_postmaster),
        WITH_DIRECTORY(quotas_and_disabling_show),
        WITH_DIRECTORY(a_star_is_no_catch_all_and_case_makes_no_second_target),
        WITH_DIRECTORY(disguised_names_are_refused),
        WITH_DIRECTORY(pipes_paths_and_includes_are_refused),
        WITH_DIRECTORY(an_address_in_chinese_is_like_any_other),
        WITH_DIRECTORY(a_domain_in_use_stays),
        WITH_DIRECTORY(a_name_others_lead_to_stays),
        WITH_DIRECTORY(a_removed_account_takes_its_mail_along),
        WITH_DIRECTORY(verify_finds_by_mailbox_part_and_name),
        WITH_DIRECTORY(two_of_one_full_name_are_ambiguous),
        WITH_DIRECTORY(verify_tells_lists_and_moved_users_apart),
        WITH_DIRECTORY(expand_shows_members_where_it_may),
        WITH_DIRECTORY(log_in_names_are_plain_text),
        WITH_DIRECTORY(values_of_accounts_are_checked),
        WITH_DIRECTORY(a_change_under_way_is_done_anew),
        WITH_DIRECTORY(a_name_taken_meanwhile_is_not_taken_twice),
        WITH_DIRECTORY(a_loop_made_from_both_ends_at_once_is_refused),
        WITH_DIRECTORY(mailboxes_made_at_once_are_two),
        WITH_DIRECTORY(a_mailbox_made_while_its_account_goes_goes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
