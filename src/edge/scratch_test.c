#include "base/test.h"

#include "edge/edge.h"

static void what_was_given_back_comes_first_empty_and_with_its_memory(void **state)
{
    (void)state;
    struct edge edge = {.magic = EDGE_MAGIC};
    struct arena *one = edge_scratch_take(&edge), *other = edge_scratch_take(&edge);
    assert_true(one && other && one != other);
    assert_non_null(arena_take(one, 100));
    const struct arena_block *block = one->blocks;
    edge_scratch_give(&edge, other);
    edge_scratch_give(&edge, one);
    struct arena *again = edge_scratch_take(&edge);
    assert_ptr_equal(again, one);
    assert_non_null(arena_take(again, 400)); /* the whole of its first block */
    assert_ptr_equal(again->blocks, block);
    edge_scratch_give(&edge, again);
    edge_scratches_close(&edge);
    assert_int_equal(edge.scratches_kept, 0);
}

/* One that grew to its end is no use to the next: `over` does not stay. */
static void one_that_was_full_is_as_new(void **state)
{
    (void)state;
    struct edge edge = {.magic = EDGE_MAGIC};
    struct arena *arena = edge_scratch_take(&edge);
    assert_null(arena_take(arena, EDGE_SCRATCH_MAX + 1));
    assert_true(arena_over(arena));
    assert_non_null(arena_take(arena, EDGE_SCRATCH_MAX));
    edge_scratch_give(&edge, arena);
    arena = edge_scratch_take(&edge);
    assert_false(arena_over(arena));
    assert_int_equal(arena->used, 0);
    edge_scratch_give(&edge, arena);
    edge_scratches_close(&edge);
}

static void no_more_are_kept_than_may_be(void **state)
{
    (void)state;
    enum {
        MORE = EDGE_SCRATCH_KEPT + 1
    };
    struct edge edge = {.magic = EDGE_MAGIC};
    struct arena *arenas[MORE];
    for (size_t i = 0; i < MORE; i++)
        arenas[i] = edge_scratch_take(&edge);
    for (size_t i = 0; i < MORE; i++) {
        edge_scratch_give(&edge, arenas[i]);
        assert_int_equal(edge.scratches_kept, i < EDGE_SCRATCH_KEPT ? i + 1 : EDGE_SCRATCH_KEPT);
    }
    edge_scratches_close(&edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_back_comes_first_empty_and_with_its_memory),
        cmocka_unit_test(one_that_was_full_is_as_new),
        cmocka_unit_test(no_more_are_kept_than_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
