/*
 * The guard under a clock of the test's own: what it counts, when it says later, whom it bans.
 */
#include "core/guard.h"

#include "base/test.h"
#include "sys/world.h"

#define MINUTE (60 * NS_PER_SECOND)

static struct guard *guard;
static struct conf conf;
static struct arena arena;
static struct guard_now now;

static void settings(const char *text)
{
    struct conf_trouble trouble;
    assert_false(
        err_is(conf_parse(str_from(text), STR("guard"), STR("/"), &arena, &conf, &trouble)));
    buf_done(&trouble.text);
}

static int up(void **state)
{
    static const unsigned char key[SIPHASH_KEY] = "a key of the day";
    (void)state;
    arena_init(&arena, 64 << 20);
    settings("");
    guard = guard_open(&conf, key);
    now = (struct guard_now){.mono = NS_PER_SECOND, .wall = INT64_C(1800000000) * US_PER_SECOND};
    return guard ? 0 : -1;
}

static int down(void **state)
{
    (void)state;
    guard_close(guard);
    arena_done(&arena);
    return 0;
}

static void pass(int64_t ns)
{
    now.mono += ns;
    now.wall += ns / 1000;
}

static struct network network(const char *text)
{
    struct network n;
    assert_true(network_parse(str_from(text), &n));
    return n;
}

static enum guard_verdict asked(const char *client, const char *name, bool known,
                                struct guard_attempt *attempt)
{
    return guard_ask(guard, now, network(client), str_from(name), known, attempt).verdict;
}

/* One attempt with a wrong password; what the guard said before it. */
static enum guard_verdict tried(const char *client, const char *name)
{
    struct guard_attempt attempt;
    enum guard_verdict verdict = asked(client, name, false, &attempt);
    if (verdict == GUARD_ALLOWED)
        guard_failed(guard, now, &attempt);
    return verdict;
}

/* How many of `count` attempts were looked at. */
static size_t looked_at(const char *client, const char *name, size_t count)
{
    size_t allowed = 0;
    while (count-- > 0)
        allowed += tried(client, name) == GUARD_ALLOWED;
    return allowed;
}

static int64_t wait_of(const char *client, const char *name)
{
    struct guard_attempt attempt;
    struct guard_answer answer =
        guard_ask(guard, now, network(client), str_from(name), false, &attempt);
    if (answer.verdict == GUARD_ALLOWED)
        guard_let_go(guard, &attempt);
    return answer.verdict == GUARD_LATER ? answer.wait : 0;
}

static void an_address_is_told_later_at_its_limit(void **state)
{
    (void)state;
    assert_int_equal(looked_at("192.0.2.1", "a", 4), 4);
    assert_int_equal(wait_of("192.0.2.1", "a"), 0);
    assert_int_equal(looked_at("192.0.2.1", "b", 3), 1); /* another name, the same address */
    assert_int_equal(wait_of("192.0.2.1", "c"), MINUTE);
    assert_int_equal(wait_of("192.0.2.2", "c"), 0);
    assert_int_equal(looked_at("2001:db8:1:2::1", "d", 3), 3);
    assert_int_equal(looked_at("2001:db8:1:2:ffff::2", "d", 3), 2); /* one /64 */
    assert_int_equal(looked_at("2001:db8:1:3::2", "e", 1), 1);
}

static void it_backs_off_for_twice_as_long_each_time(void **state)
{
    (void)state;
    int64_t expected = MINUTE;
    looked_at("192.0.2.1", "a", 5);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(wait_of("192.0.2.1", "a"), expected);
        pass(expected - 1);
        assert_int_equal(wait_of("192.0.2.1", "a"), 1);
        pass(1);
        assert_int_equal(looked_at("192.0.2.1", "a", 3), 1); /* a single one, then longer */
        expected = 2 * expected < 60 * MINUTE ? 2 * expected : 60 * MINUTE;
    }
}

/* Who waits until the count has faded has all guesses of a limit again, but backs off longer. */
static void waiting_does_not_reset_the_back_off(void **state)
{
    (void)state;
    size_t guesses = 0;
    int64_t end = now.mono + 24 * 60 * MINUTE;
    while (now.mono < end) {
        guesses += looked_at("192.0.2.1", "a", 6);
        pass(wait_of("192.0.2.1", "a") + 10 * MINUTE);
    }
    assert_in_range(guesses, 5, 5 * 27);
    pass(3 * 60 * MINUTE);
    looked_at("192.0.2.1", "a", 5);
    assert_int_equal(wait_of("192.0.2.1", "a"), MINUTE);
}

static void failures_fade(void **state)
{
    (void)state;
    looked_at("192.0.2.1", "a", 4);
    pass(2 * MINUTE);
    assert_int_equal(looked_at("192.0.2.1", "a", 1), 1);
    assert_int_equal(wait_of("192.0.2.1", "a"), 0); /* four again */
    pass(10 * MINUTE);
    assert_int_equal(looked_at("192.0.2.1", "a", 9), 5);
    /* However often it is asked meanwhile. */
    looked_at("192.0.2.9", "b", 4);
    for (int i = 0; i < 2 * 60 * 100; i++) {
        pass(NS_PER_SECOND / 100);
        assert_int_equal(wait_of("192.0.2.9", "b"), 0);
    }
    assert_int_equal(looked_at("192.0.2.9", "b", 9), 2);
}

static void a_network_is_told_later_at_its_limit(void **state)
{
    (void)state;
    size_t allowed = 0;
    char client[NETWORK_TEXT];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(client, sizeof(client), "192.0.2.%u", i);
        allowed += looked_at(client, client, 1);
    }
    assert_int_equal(allowed, 50);
    assert_int_equal(looked_at("192.0.3.1", "x", 1), 1);
}

static void a_name_is_told_later_from_everywhere(void **state)
{
    (void)state;
    size_t allowed = 0;
    char client[NETWORK_TEXT];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(client, sizeof(client), "10.%u.%u.1", i / 250, i % 250);
        allowed += looked_at(client, "alice@example.test", 1);
    }
    assert_int_equal(allowed, 20);
    assert_int_equal(guard_sizes(guard).bans, 0);
    /* Its owner, from where the account is known. */
    struct guard_attempt attempt;
    assert_int_equal(asked("192.0.2.1", "alice@example.test", false, &attempt), GUARD_LATER);
    assert_int_equal(asked("192.0.2.1", "alice@example.test", true, &attempt), GUARD_ALLOWED);
    guard_let_go(guard, &attempt);
    assert_int_equal(looked_at("192.0.2.1", "bob@example.test", 1), 1);
}

/* Many at once are no more guesses than one after the other. */
static void those_in_flight_count(void **state)
{
    (void)state;
    struct guard_attempt attempts[6];
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(asked("192.0.2.1", "a", false, &attempts[i]), GUARD_ALLOWED);
    assert_int_equal(asked("192.0.2.1", "a", false, &attempts[5]), GUARD_WAIT);
    guard_let_go(guard, &attempts[0]); /* right: it counts for nothing */
    assert_int_equal(asked("192.0.2.1", "a", false, &attempts[0]), GUARD_ALLOWED);
    guard_failed(guard, now, &attempts[1]);
    assert_int_equal(asked("192.0.2.1", "a", false, &attempts[5]), GUARD_WAIT);
    for (size_t i = 0; i < 5; i++)
        if (i != 1)
            guard_failed(guard, now, &attempts[i]);
    assert_int_equal(asked("192.0.2.1", "a", false, &attempts[5]), GUARD_LATER);
}

static bool is_fresh(const char *client)
{
    struct guard_attempt attempt;
    assert_int_equal(asked(client, "nobody else", false, &attempt), GUARD_ALLOWED);
    bool fresh = attempt.fresh;
    guard_right(guard, &attempt);
    return fresh;
}

static void who_tried_in_vain_is_not_fresh(void **state)
{
    (void)state;
    struct guard_attempt attempt;
    assert_true(is_fresh("192.0.2.1"));
    assert_true(is_fresh("192.0.2.1")); /* it was right */
    assert_int_equal(asked("192.0.2.1", "a", false, &attempt), GUARD_ALLOWED);
    assert_true(attempt.fresh);
    guard_let_go(guard, &attempt); /* nobody looked, and it may have been a guess */
    assert_int_equal(asked("192.0.2.1", "a", false, &attempt), GUARD_ALLOWED);
    assert_false(attempt.fresh);
    guard_let_go(guard, &attempt);
    assert_int_equal(asked("192.0.2.9", "a", false, &attempt), GUARD_ALLOWED);
    assert_false(attempt.fresh); /* a neighbour */
    guard_let_go(guard, &attempt);
    assert_true(is_fresh("198.51.100.1"));
    pass(10 * MINUTE);
    assert_true(is_fresh("192.0.2.1"));
}

/* One's own password, said again and again between two guesses, makes nobody fresh. */
static void guesses_make_nobody_fresh(void **state)
{
    (void)state;
    assert_int_equal(tried("192.0.2.1", "a"), GUARD_ALLOWED);
    assert_false(is_fresh("192.0.2.1"));
    assert_false(is_fresh("192.0.2.1"));
    pass(2 * MINUTE);
    assert_true(is_fresh("192.0.2.1"));
}

/* What is told "later" is a try, too: else a flood would be fresh for ever. */
static void who_is_told_later_is_not_fresh(void **state)
{
    (void)state;
    struct guard_attempt attempt;
    settings("login { failures_per_account = 1 }");
    assert_int_equal(tried("192.0.2.1", "a"), GUARD_ALLOWED);
    assert_int_equal(asked("198.51.100.1", "a", false, &attempt), GUARD_LATER);
    assert_false(is_fresh("198.51.100.1"));
    assert_true(is_fresh("203.0.113.1"));
}

/* Who waits for another's outcome asks twice, and tried once. */
static void who_waits_stays_fresh(void **state)
{
    (void)state;
    struct guard_attempt first, second;
    settings("login { failures_per_account = 1 }");
    assert_int_equal(asked("192.0.2.1", "a", false, &first), GUARD_ALLOWED);
    assert_int_equal(asked("198.51.100.1", "a", false, &second), GUARD_WAIT);
    guard_right(guard, &first);
    assert_int_equal(asked("198.51.100.1", "a", false, &second), GUARD_ALLOWED);
    assert_true(second.fresh);
    guard_right(guard, &second);
}

static void who_goes_on_is_banned_and_for_longer_each_time(void **state)
{
    (void)state;
    int64_t expected = 60 * MINUTE;
    for (int times = 1; times < 8; times++) {
        size_t refused = 0;
        enum guard_verdict verdict;
        while ((verdict = tried("192.0.2.1", "a")) != GUARD_BANNED)
            refused += verdict == GUARD_LATER;
        assert_int_equal(refused, 49);
        struct guard_attempt attempt;
        struct guard_answer answer =
            guard_ask(guard, now, network("192.0.2.1"), STR("b"), true, &attempt);
        assert_int_equal(answer.verdict, GUARD_BANNED);
        assert_false(answer.new_ban);
        assert_int_equal(answer.wait, expected);
        assert_int_equal(answer.ban.times, times);
        assert_int_equal(looked_at("192.0.2.2", "c", 1), 1);
        pass(expected);
        expected = 2 * expected < 1440 * MINUTE ? 2 * expected : 1440 * MINUTE;
    }
}

/* A name's back-off is the work of strangers: nobody is banned for meeting it. */
static void nobody_is_banned_for_a_name(void **state)
{
    (void)state;
    char client[NETWORK_TEXT];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(client, sizeof(client), "10.0.%u.1", i);
        looked_at(client, "alice", 1);
    }
    assert_int_equal(looked_at("192.0.2.1", "alice", 1000), 0);
    assert_int_equal(guard_sizes(guard).bans, 0);
    assert_int_equal(looked_at("192.0.2.1", "bob", 1), 1);
}

static void this_machine_is_not_counted(void **state)
{
    (void)state;
    char name[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "user%u", i);
        assert_int_equal(looked_at(i % 2 ? "127.0.0.1" : "::1", name, 1), 1);
    }
    assert_int_equal(looked_at("127.0.0.1", "alice", 30), 20); /* names are */
    assert_int_equal(guard_sizes(guard).bans, 0);
}

static void a_ban_may_be_lifted(void **state)
{
    (void)state;
    while (tried("192.0.2.1", "a") != GUARD_BANNED)
        continue;
    struct network own = network("192.0.2.1");
    assert_true(guard_lift(guard, &own));
    assert_false(guard_lift(guard, &own));
    assert_int_equal(looked_at("192.0.2.1", "b", 6), 5); /* as if nothing had been */
    struct ban dropped, wide = {.network = network("198.51.100.0/24"),
                                .until = now.wall + 100 * US_PER_SECOND,
                                .by_hand = true};
    assert_false(guard_ban(guard, now, &wide, &dropped));
    assert_int_equal(tried("198.51.100.77", "a"), GUARD_BANNED);
    assert_false(guard_expire(guard, now.wall, &dropped));
    pass(100 * NS_PER_SECOND);
    assert_int_equal(tried("198.51.100.77", "a"), GUARD_ALLOWED);
    assert_true(guard_expire(guard, now.wall, &dropped));
    assert_true(network_eq(&dropped.network, &wide.network));
    assert_false(guard_expire(guard, now.wall, &dropped));
}

/* A ban that was kept over a restart makes the next one longer. */
static void a_ban_is_remembered_over_a_restart(void **state)
{
    (void)state;
    struct ban dropped, kept = {.network = network("192.0.2.1"),
                                .since = now.wall - US_PER_SECOND,
                                .until = now.wall + 600 * US_PER_SECOND,
                                .times = 2};
    assert_false(guard_ban(guard, now, &kept, &dropped));
    assert_int_equal(tried("192.0.2.1", "a"), GUARD_BANNED);
    pass(10 * MINUTE);
    while (tried("192.0.2.1", "a") != GUARD_BANNED)
        continue;
    struct network own = network("192.0.2.1");
    assert_int_equal(bans_of(guard_bans(guard), &own)->times, 3);
}

/* More of everything than there is room for; who guesses most is still known. */
static void the_tables_are_bounded(void **state)
{
    (void)state;
    struct guard_attempt held;
    assert_int_equal(asked("192.0.2.77", "held", false, &held), GUARD_ALLOWED);
    looked_at("192.0.2.1", "alice", 5);
    for (unsigned i = 0; i < 3 * GUARD_ADDRESSES; i++) {
        char client[NETWORK_TEXT];
        snprintf(client, sizeof(client), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        struct guard_attempt attempt;
        if (asked(client, client, false, &attempt) == GUARD_ALLOWED)
            guard_let_go(guard, &attempt);
    }
    struct guard_sizes sizes = guard_sizes(guard);
    assert_int_equal(sizes.addresses, GUARD_ADDRESSES);
    assert_int_equal(sizes.networks, 1173);
    assert_int_equal(sizes.names, GUARD_NAMES);
    assert_true(wait_of("192.0.2.1", "x") > 0);
    guard_failed(guard, now, &held); /* its place was kept for it */
    for (unsigned i = 0; i < BANS_MOST + 10; i++) {
        struct ban dropped, ban = {.until = now.wall + i, .times = 1};
        char client[NETWORK_TEXT];
        snprintf(client, sizeof(client), "11.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        ban.network = network(client);
        assert_int_equal(guard_ban(guard, now, &ban, &dropped), i >= BANS_MOST);
    }
    assert_int_equal(guard_sizes(guard).bans, BANS_MOST);
}

static void settings_hold_from_now_on(void **state)
{
    (void)state;
    settings("login {\n failures_per_address = 2\n back_off = 10s\n unlimited_from = 10.0.0.0/8\n"
             "}\n");
    guard_configure(guard, &conf);
    assert_int_equal(looked_at("192.0.2.1", "a", 3), 2);
    assert_int_equal(wait_of("192.0.2.1", "a"), 10 * NS_PER_SECOND);
    assert_int_equal(looked_at("10.0.0.1", "b", 10), 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_told_later_at_its_limit),
        TEST(it_backs_off_for_twice_as_long_each_time),
        TEST(waiting_does_not_reset_the_back_off),
        TEST(failures_fade),
        TEST(a_network_is_told_later_at_its_limit),
        TEST(a_name_is_told_later_from_everywhere),
        TEST(those_in_flight_count),
        TEST(who_tried_in_vain_is_not_fresh),
        TEST(guesses_make_nobody_fresh),
        TEST(who_is_told_later_is_not_fresh),
        TEST(who_waits_stays_fresh),
        TEST(who_goes_on_is_banned_and_for_longer_each_time),
        TEST(nobody_is_banned_for_a_name),
        TEST(this_machine_is_not_counted),
        TEST(a_ban_may_be_lifted),
        TEST(a_ban_is_remembered_over_a_restart),
        TEST(the_tables_are_bounded),
        TEST(settings_hold_from_now_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
