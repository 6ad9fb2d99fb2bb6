/* Overlays: rows over rows, tombstones, moving; and layers against a model of the same. */
#include "store/local/overlay.h"

#include "base/test.h"

enum {
    KEYS = 40,
    ROUNDS = 300
};

static struct str key_of(int i)
{
    static char keys[KEYS][3];
    (void)snprintf(keys[i], sizeof(keys[i]), "%02d", i % 100);
    return str_make(keys[i], 2);
}

static void a_tombstone_hides_what_lies_below(void **state)
{
    (void)state;
    struct overlay below, above;
    struct str value;
    overlay_init(&below, NULL);
    overlay_init(&above, NULL);
    struct layers layers = {.overlays = {&above, &below}, .count = 2};
    assert_true(overlay_put(&below, STR("a"), STR("1")));
    assert_true(overlay_put(&below, STR("b"), STR("")));
    assert_true(layers_get(&layers, STR("a"), &value));
    assert_str(value, STR("1"));
    assert_true(layers_get(&layers, STR("b"), &value));
    assert_true(value.p && value.n == 0);
    assert_true(overlay_put(&above, STR("a"), str_null()));
    assert_false(layers_get(&layers, STR("a"), &value));
    overlay_move(&below, &above);
    assert_int_equal(above.count, 0);
    assert_int_equal(above.octets, 0);
    assert_int_equal(below.count, 2); /* the tombstone has still the index to hide */
    assert_false(layers_get(&layers, STR("a"), &value));
    overlay_clear(&below);
    assert_int_equal(below.octets, 0);
}

static void keep_only_drops_other_tables(void **state)
{
    (void)state;
    struct overlay overlay;
    overlay_init(&overlay, NULL);
    assert_true(overlay_put(&overlay, STR("e1"), STR("x")));
    assert_true(overlay_put(&overlay, STR("n1"), STR("y")));
    assert_true(overlay_put(&overlay, STR("n2"), STR("z")));
    assert_true(overlay_put(&overlay, STR("o1"), STR("x")));
    assert_true(overlay_doom(&overlay, 7));
    overlay_keep_only(&overlay, STR("n"));
    assert_int_equal(overlay.count, 2);
    assert_true(STAILQ_EMPTY(&overlay.doomed));
    assert_str(row_key(overlay_seek(&overlay, STR(""))), STR("n1"));
    overlay_clear(&overlay);
}

/* Tombstones of others lie behind what it looks for: it stops before the first. */
static void a_walk_ends_where_its_keys_end(void **state)
{
    (void)state;
    struct overlay overlay;
    struct layers_walk walk;
    struct str key, value;
    overlay_init(&overlay, NULL);
    struct layers layers = {.overlays = {&overlay}, .count = 1};
    assert_true(overlay_put(&overlay, STR("n1"), STR("y")));
    assert_true(overlay_put(&overlay, STR("n2"), str_null()));
    assert_true(overlay_put(&overlay, STR("o1"), str_null()));
    assert_true(overlay_put(&overlay, STR("p1"), STR("z")));
    layers_seek(&walk, &layers, STR("n"), STR("n"));
    assert_true(layers_next(&walk, &key, &value));
    assert_str(key, STR("n1"));
    assert_false(layers_next(&walk, &key, &value));
    assert_str(row_key(walk.rows[0]), STR("o1"));
    overlay_clear(&overlay);
}

/* xorshift: these tests need no more than numbers that go about. */
static uint64_t number(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void check_walk(const struct layers *layers, const int *model, int from, size_t prefix_n)
{
    struct layers_walk walk;
    struct str key, value, prefix = str_head(key_of(from), prefix_n);
    layers_seek(&walk, layers, key_of(from), prefix);
    for (int i = from; i < KEYS && str_starts(key_of(i), prefix); i++) {
        if (model[i] < 0)
            continue;
        assert_true(layers_next(&walk, &key, &value));
        assert_str(key, key_of(i));
        assert_int_equal(value.n, model[i]);
        assert_true(layers_get(layers, key, &value));
    }
    assert_false(layers_next(&walk, &key, &value));
}

/* Three overlays above an index; writes go to the top, and now and then a layer sinks. */
static void layers_are_one_map(void **state)
{
    (void)state;
    static const char octets[16];
    struct overlay overlays[3];
    struct index *index;
    uint64_t seed = 88172645463325252u;
    int model[KEYS];
    assert_false(err_is(index_map_open(&index)));
    for (int i = 0; i < 3; i++)
        overlay_init(&overlays[i], NULL);
    for (int i = 0; i < KEYS; i++)
        model[i] = -1;
    for (int round = 0; round < ROUNDS; round++) {
        int key = (int)(number(&seed) % KEYS), length = (int)(number(&seed) % 18) - 2;
        model[key] = length < 0 ? -1 : length;
        assert_true(overlay_put(&overlays[0], key_of(key),
                                length < 0 ? str_null() : str_make(octets, (size_t)length)));
        if (number(&seed) % 10 == 0)
            overlay_move(&overlays[1], &overlays[0]);
        if (number(&seed) % 30 == 0)
            overlay_move(&overlays[2], &overlays[1]);
        if (number(&seed) % 60 == 0) {
            struct index_change changes[KEYS];
            size_t count = 0;
            struct row *row = overlay_seek(&overlays[2], STR(""));
            for (; row; row = overlay_next(row))
                changes[count++] = (struct index_change){row_key(row), row_value(row)};
            assert_false(err_is(index->ops->write(index, changes, count,
                                                  (struct log_position){1, (uint64_t)round})));
            overlay_clear(&overlays[2]);
        }
        struct layers layers = {
            .overlays = {&overlays[0], &overlays[1], &overlays[2]}, .count = 3, .index = index};
        assert_false(err_is(index->ops->view_begin(index, &layers.view)));
        check_walk(&layers, model, (int)(number(&seed) % KEYS), 0);
        check_walk(&layers, model, (int)(number(&seed) % KEYS), 1);
        index->ops->view_end(index, layers.view);
    }
    for (int i = 0; i < 3; i++)
        overlay_clear(&overlays[i]);
    index->ops->close(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tombstone_hides_what_lies_below),
        cmocka_unit_test(keep_only_drops_other_tables),
        cmocka_unit_test(a_walk_ends_where_its_keys_end),
        cmocka_unit_test(layers_are_one_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
