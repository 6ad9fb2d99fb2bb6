#include "base/test.h"

#include "edge/door.h"

#define SECOND INT64_C(1000000000)

static const unsigned char key[SIPHASH_KEY] = "a key for tests";

static struct network network(const char *text)
{
    struct network parsed;
    assert_true(network_parse(str_from(text), &parsed));
    return parsed;
}

static bool comes(struct door *door, const struct network *from, int64_t now)
{
    return door_passes(door, DOOR_SESSIONS, from, 30, 10 * SECOND, now);
}

static void a_burst_passes_and_one_more_does_not(void **state)
{
    struct door *door = door_open(100, key);
    struct network from = network("192.0.2.1"), other = network("192.0.2.2");
    (void)state;
    for (int i = 0; i < 30; i++)
        assert_true(comes(door, &from, 5));
    assert_false(comes(door, &from, 5));
    assert_true(comes(door, &other, 5));
    assert_true(door_passes(door, DOOR_MESSAGES, &from, 1, SECOND, 5)); /* counted apart */
    door_close(door);
}

static void then_they_pass_evenly(void **state)
{
    struct door *door = door_open(100, key);
    struct network from = network("2001:db8::1");
    int passed = 0;
    (void)state;
    for (int i = 0; i < 30; i++)
        assert_true(comes(door, &from, 0));
    for (int64_t now = 0; now <= 100 * SECOND; now += SECOND / 10)
        passed += comes(door, &from, now);
    assert_int_equal(passed, 300); /* 3 a second */
    assert_false(comes(door, &from, 100 * SECOND));
    for (int i = 0; i < 30; i++)
        assert_true(comes(door, &from, 200 * SECOND));
    assert_false(comes(door, &from, 200 * SECOND));
    door_close(door);
}

static void sessions_are_counted_by_network(void **state)
{
    struct door *door = door_open(100, key);
    struct network from = network("192.0.2.0/24"), other = network("192.0.3.0/24");
    (void)state;
    assert_int_equal(door_sessions(door, &from), 0);
    assert_true(door_enter(door, &from));
    assert_true(door_enter(door, &from));
    assert_int_equal(door_sessions(door, &from), 2);
    assert_int_equal(door_sessions(door, &other), 0);
    door_leave(door, &from);
    door_leave(door, &from);
    assert_int_equal(door_sessions(door, &from), 0);
    door_close(door);
}

/* The oldest is forgotten, but nobody who is inside. */
static void what_is_remembered_is_bounded(void **state)
{
    struct door *door = door_open(10, key);
    struct network inside = network("192.0.2.0/24"), first = network("203.0.113.1");
    (void)state;
    assert_true(door_enter(door, &inside));
    assert_true(door_passes(door, DOOR_SESSIONS, &first, 1, SECOND, 0));
    assert_false(door_passes(door, DOOR_SESSIONS, &first, 1, SECOND, 0));
    for (unsigned char i = 0; i < 9; i++) {
        struct network other = network("198.51.100.0");
        other.octets[15] = i;
        assert_true(door_passes(door, DOOR_SESSIONS, &other, 1, SECOND, 0));
    }
    assert_int_equal(door_remembered(door), 10);
    assert_true(door_passes(door, DOOR_SESSIONS, &first, 1, SECOND, 0)); /* forgotten */
    assert_int_equal(door_sessions(door, &inside), 1);
    door_leave(door, &inside);
    door_close(door);
}

static void where_all_are_inside_nobody_is_refused(void **state)
{
    struct door *door = door_open(1, key);
    struct network inside = network("192.0.2.0/24"), other = network("203.0.113.1");
    (void)state;
    assert_true(door_enter(door, &inside));
    assert_false(door_enter(door, &other));
    assert_true(door_passes(door, DOOR_SESSIONS, &other, 1, SECOND, 0));
    assert_true(door_passes(door, DOOR_SESSIONS, &other, 1, SECOND, 0));
    door_leave(door, &inside);
    door_close(door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_one_more_does_not),
        cmocka_unit_test(then_they_pass_evenly),
        cmocka_unit_test(sessions_are_counted_by_network),
        cmocka_unit_test(what_is_remembered_is_bounded),
        cmocka_unit_test(where_all_are_inside_nobody_is_refused),
    };
    return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
