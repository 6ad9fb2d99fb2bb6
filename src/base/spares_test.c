#include "base/test.h"

#include "base/spares.h"

static void what_was_given_is_taken_again(void **state)
{
    (void)state;
    struct spares spares;
    spares_init(&spares, 1000);
    char *p = spares_take(&spares, 100);
    assert_non_null(p);
    memset(p, 'x', 100);
    spares_give(&spares, p, 100);
    assert_int_equal(spares.octets, 112); /* 64 + 3 * 16 */
    char *other = spares_take(&spares, 113);
    assert_ptr_not_equal(other, p);
    assert_ptr_equal(spares_take(&spares, 97), p);
    assert_int_equal(spares.octets, 0);
    spares_give(&spares, other, 113);
    spares_give(&spares, p, 97);
    spares_give(&spares, NULL, 97);
    spares_done(&spares);
    assert_int_equal(spares.octets, 0);
}

static void no_more_is_kept_than_the_limit(void **state)
{
    (void)state;
    struct spares spares;
    spares_init(&spares, 3 * 64);
    void *p[4];
    for (size_t i = 0; i < 4; i++)
        p[i] = spares_take(&spares, 64);
    for (size_t i = 0; i < 4; i++)
        spares_give(&spares, p[i], 64);
    assert_int_equal(spares.octets, 3 * 64);
    spares_done(&spares);
    spares_init(&spares, 63);
    spares_give(&spares, spares_take(&spares, 64), 64);
    assert_int_equal(spares.octets, 0);
}

/* Every size, also from one that keeps nothing, has the room that another one with the same list
 * counts on. */
static void every_size_has_its_room(void **state)
{
    (void)state;
    struct spares spares;
    spares_init(&spares, SIZE_MAX);
    for (size_t n = 1; n <= SPARE_LARGEST; n += n < 2000 ? 1 : n / 7) {
        char *first = spares_take(NULL, n);
        memset(first, 'x', n);
        spares_give(&spares, first, n);
        assert_true(spares.octets >= n && spares.octets <= (n < 64 ? 64 : n + n / 4 + 1));
        size_t most = spares.octets;
        char *second = spares_take(&spares, most);
        assert_ptr_equal(second, first);
        memset(second, 'x', most);
        spares_give(NULL, second, most);
    }
    spares_done(&spares);
}

static void what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    struct spares spares;
    spares_init(&spares, SIZE_MAX);
    spares_give(&spares, spares_take(&spares, SPARE_LARGEST + 1), SPARE_LARGEST + 1);
    assert_int_equal(spares.octets, 0);
    spares_give(&spares, spares_take(&spares, SPARE_LARGEST), SPARE_LARGEST);
    assert_int_equal(spares.octets, SPARE_LARGEST);
    spares_done(&spares);
}

static void spares_move_to_another(void **state)
{
    (void)state;
    struct spares from, to;
    spares_init(&from, 1000);
    spares_init(&to, 100);
    void *p = spares_take(&from, 64), *q = spares_take(&from, 200);
    spares_give(&from, p, 64);
    spares_give(&from, q, 200);
    spares_move(&to, &from);
    assert_int_equal(from.octets, 0);
    assert_int_equal(to.octets, 64 + 224);
    assert_ptr_equal(spares_take(&to, 64), p);
    assert_ptr_equal(spares_take(&to, 200), q);
    spares_give(NULL, p, 64);
    spares_give(NULL, q, 200);
    spares_done(&from);
    spares_done(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_is_taken_again),
        cmocka_unit_test(no_more_is_kept_than_the_limit),
        cmocka_unit_test(every_size_has_its_room),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(spares_move_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
