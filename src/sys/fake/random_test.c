#include "base/test.h"

#include "base/must.h"
#include "sys/fake/random.h"

/* The same on every machine and in every build: a seed in a bug report must mean something. */
static void the_numbers_are_fixed(void **state)
{
    (void)state;
    struct fake_random r = {.s = {1, 2, 3, 4}};
    /* xoshiro256** from that state, as its authors' code gives them. */
    const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    for (int i = 0; i < 4; i++)
        assert_true(fake_random_next(&r) == expected[i]);
}

static void streams_are_independent(void **state)
{
    (void)state;
    struct fake_random a, b, again, other;
    fake_random_init(&a, 1, "a");
    fake_random_init(&b, 1, "b");
    fake_random_init(&again, 1, "a");
    fake_random_init(&other, 2, "a");
    for (int i = 0; i < 100; i++) {
        uint64_t n = fake_random_next(&a);
        assert_true(n == fake_random_next(&again));
        assert_true(n != fake_random_next(&b));
        assert_true(n != fake_random_next(&other));
    }
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct fake_random r;
    fake_random_init(&r, 1, "test");
    int seen[7] = {0};
    for (int i = 0; i < 7000; i++)
        seen[fake_random_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    struct fake_random before = r;
    assert_false(fake_random_chance(&r, 0));
    assert_memory_equal(&before, &r, sizeof(r));
    assert_true(fake_random_chance(&r, FAKE_ALWAYS));
}

static void every_walk_is_taken_once(void **state)
{
    (void)state;
    struct fake_every *every = calloc(1, sizeof(*every));
    must(every);
    bool seen[2][3][4] = {{{false}}};
    int walks = 0, short_walks = 0;
    do {
        struct fake_pick pick = fake_pick_every(every);
        uint64_t a = fake_pick_below(pick, 2);
        assert_int_equal(fake_pick_below(pick, 1), 0); /* asks nothing */
        uint64_t b = fake_pick_below(pick, 3);
        uint64_t c = a ? fake_pick_below(pick, 4) : 0;
        short_walks += !a;
        assert_false(seen[a][b][c]);
        seen[a][b][c] = true;
        walks++;
    } while (fake_every_next(every));
    assert_int_equal(walks, 3 + 12);
    assert_int_equal(short_walks, 3);
    free(every);
}

static void a_walk_too_deep_is_told(void **state)
{
    (void)state;
    struct fake_every *every = calloc(1, sizeof(*every));
    must(every);
    struct fake_pick pick = fake_pick_every(every);
    for (int i = 0; i < FAKE_EVERY_DEPTH; i++)
        fake_pick_below(pick, 2);
    assert_false(every->cut);
    fake_pick_below(pick, 2);
    assert_true(every->cut);
    free(every);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_fixed),
        cmocka_unit_test(streams_are_independent),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(every_walk_is_taken_once),
        cmocka_unit_test(a_walk_too_deep_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
