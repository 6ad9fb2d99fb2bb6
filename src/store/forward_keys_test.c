#include "store/forward_keys.h"

#include "base/test.h"
#include "store/store_rig_test.h"

static int store_setup(void **state)
{
    static struct store_rig store;
    store = (struct store_rig){.commits = 0};
    store_rig_take_body(&store, state);
    store_rig_open(&store);
    *state = &store;
    return 0;
}

static int store_teardown(void **state)
{
    store_rig_close(*state);
    return 0;
}

static struct forward_keys taken(struct store_rig *store)
{
    struct forward_keys keys = {.made = 0};
    assert_false(err_is(forward_keys_take(store->engine, &store->rig.fake->world, &keys)));
    return keys;
}

static void days_pass(struct store_rig *store, int64_t days)
{
    fake_wall_jump(store->rig.fake, days * 24 * 3600 * US_PER_SECOND);
}

static void made_once_and_kept(void **state)
{
    struct store_rig *store = *state;
    struct forward_keys first = taken(store), second = taken(store);
    assert_int_equal(store->commits, 1);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_false(first.srs.has_before);
    assert_memory_not_equal(first.srs.now, first.loop.now, SRS_KEY);
}

/* What was made just before the change must be recognised SRS_DAYS later. */
static void renewed_when_old_and_the_one_before_stays(void **state)
{
    struct store_rig *store = *state;
    struct forward_keys first = taken(store);
    days_pass(store, 29);
    struct forward_keys same = taken(store);
    assert_memory_equal(&first, &same, sizeof(first));
    days_pass(store, 1);
    struct forward_keys next = taken(store);
    assert_true(next.srs.has_before && next.loop.has_before);
    assert_memory_equal(next.srs.before, first.srs.now, SRS_KEY);
    assert_memory_equal(next.loop.before, first.loop.now, LOOP_KEY);
    assert_memory_not_equal(next.srs.now, first.srs.now, SRS_KEY);
    days_pass(store, SRS_DAYS);
    struct forward_keys later = taken(store);
    assert_memory_equal(&next, &later, sizeof(next));
    /* A clock set back renews nothing. */
    days_pass(store, -100);
    later = taken(store);
    assert_memory_equal(&next, &later, sizeof(next));
}

static void what_is_not_durable_is_not_given(void **state)
{
    struct store_rig *store = *state;
    struct forward_keys keys = {.made = 7};
    store->fail_in = 1;
    struct err e = forward_keys_take(store->engine, &store->rig.fake->world, &keys);
    assert_int_equal(e.code, ERR_TRY_LATER);
    assert_int_equal(keys.made, 7);
}

static void damaged_ones_are_made_anew(void **state)
{
    struct store_rig *store = *state;
    struct forward_keys keys = {.made = 0};
    struct op op = {.kind = OP_PUT,
                    .partition = {PARTITION_FORWARD, 0},
                    .key = STR("k"),
                    .value = STR("\1nonsense")};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_int_equal(forward_keys_decode(op.value, &keys).code, ERR_STORE_DAMAGED);
    assert_false(err_is(engine_commit_wait(store->engine, &commit)));
    keys = taken(store);
    assert_true(keys.made > 0);
    assert_false(keys.srs.has_before);
    struct forward_keys again = taken(store);
    assert_memory_equal(&keys, &again, sizeof(keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FIBER(made_once_and_kept, store_setup, store_teardown),
        ON_FIBER(renewed_when_old_and_the_one_before_stays, store_setup, store_teardown),
        ON_FIBER(what_is_not_durable_is_not_given, store_setup, store_teardown),
        ON_FIBER(damaged_ones_are_made_anew, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
