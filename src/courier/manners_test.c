/* What a courier remembers of hosts. */
#include "courier/manners.h"

#include "base/test.h"

#define HOST STR("mx.far.test")

static void what_is_learned_is_known_for_a_day(void **state)
{
    (void)state;
    struct manners *manners = manners_open();
    assert_int_equal(manners_of(manners, HOST, 0), MANNER_UNKNOWN);
    manners_learn(manners, HOST, MANNER_COUNTS, 0);
    assert_int_equal(manners_of(manners, HOST, 1), MANNER_COUNTS);
    assert_int_equal(manners_of(manners, STR("mx.far.tes"), 1), MANNER_UNKNOWN);
    assert_int_equal(manners_of(manners, STR("mx.far.test.org"), 1), MANNER_UNKNOWN);
    assert_int_equal(manners_of(manners, HOST, MANNERS_KEPT - 1), MANNER_COUNTS);
    assert_int_equal(manners_of(manners, HOST, MANNERS_KEPT), MANNER_UNKNOWN);
    assert_int_equal(manners_count(manners), 0);
    manners_close(manners);
}

/* One command at a time it counts, too; that says nothing of many. */
static void who_is_alone_stays_so(void **state)
{
    (void)state;
    struct manners *manners = manners_open();
    manners_learn(manners, HOST, MANNER_COUNTS, 0);
    manners_learn(manners, HOST, MANNER_ALONE, 5);
    manners_learn(manners, HOST, MANNER_COUNTS, 10);
    assert_int_equal(manners_of(manners, HOST, MANNERS_KEPT + 4), MANNER_ALONE);
    assert_int_equal(manners_of(manners, HOST, MANNERS_KEPT + 5), MANNER_UNKNOWN);
    manners_learn(manners, HOST, MANNER_COUNTS, MANNERS_KEPT + 5);
    assert_int_equal(manners_of(manners, HOST, MANNERS_KEPT + 6), MANNER_COUNTS);
    manners_close(manners);
}

static struct str name_of(char room[32], unsigned number)
{
    int n = snprintf(room, 32, "mx%u.far.test", number);
    return str_make(room, (size_t)n);
}

static void those_met_last_are_kept(void **state)
{
    char room[32];
    (void)state;
    struct manners *manners = manners_open();
    manners_learn(manners, HOST, MANNER_ALONE, 0);
    for (unsigned i = 0; i < MANNERS_MAX - 1; i++)
        manners_learn(manners, name_of(room, i), MANNER_COUNTS, 1);
    assert_int_equal(manners_count(manners), MANNERS_MAX);
    assert_int_equal(manners_of(manners, HOST, 2), MANNER_ALONE);
    manners_learn(manners, HOST, MANNER_ALONE, 2); /* met again */
    manners_learn(manners, name_of(room, MANNERS_MAX), MANNER_COUNTS, 3);
    assert_int_equal(manners_count(manners), MANNERS_MAX);
    assert_int_equal(manners_of(manners, HOST, 4), MANNER_ALONE);
    assert_int_equal(manners_of(manners, name_of(room, 0), 4), MANNER_UNKNOWN);
    assert_int_equal(manners_of(manners, name_of(room, 1), 4), MANNER_COUNTS);
    manners_close(manners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_learned_is_known_for_a_day),
        cmocka_unit_test(who_is_alone_stays_so),
        cmocka_unit_test(those_met_last_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
