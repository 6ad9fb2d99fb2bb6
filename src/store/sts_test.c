#include "store/sts.h"

#include "base/test.h"
#include "store/store_rig_test.h"

struct given {
    struct store_rig store;
    struct arena arena;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.store = {.commits = 0}};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    arena_init(&given.arena, 64 << 20);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    store_rig_close(&given->store);
    return 0;
}

static const struct sts_kept one = {.domain = STR_INIT("a.example"),
                                    .id = STR_INIT("20261122"),
                                    .policy = STR_INIT("version: STSv1\nmode: enforce\n"),
                                    .mode = 2,
                                    .fetched = 1000,
                                    .until = 87400,
                                    .used = 20000};

static void assert_same(const struct sts_kept *a, const struct sts_kept *b)
{
    assert_str(a->domain, b->domain);
    assert_str(a->id, b->id);
    assert_str(a->policy, b->policy);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->fetched, b->fetched);
    assert_int_equal(a->until, b->until);
    assert_int_equal(a->used, b->used);
}

static enum err_code read_of(struct given *given, const char *domain, struct sts_kept *kept_r)
{
    return sts_kept_read(given->store.engine, str_from(domain), &given->arena, kept_r).code;
}

static void what_is_kept_is_read_replaced_and_forgotten(void **state)
{
    struct given *given = *state;
    struct engine *engine = given->store.engine;
    struct sts_kept kept, other = one;
    assert_int_equal(read_of(given, "a.example", &kept), ERR_NOT_FOUND);
    assert_false(err_is(sts_kept_write(engine, &one)));
    assert_int_equal(read_of(given, "a.example", &kept), ERR_NONE);
    assert_same(&kept, &one);
    assert_int_equal(read_of(given, "sub.a.example", &kept), ERR_NOT_FOUND);
    other.id = STR("2");
    other.policy = STR("version: STSv1\nmode: none\n");
    other.mode = 0;
    other.fetched = 2000;
    assert_false(err_is(sts_kept_write(engine, &other)));
    assert_int_equal(read_of(given, "a.example", &kept), ERR_NONE);
    assert_same(&kept, &other);
    assert_false(err_is(sts_kept_remove(engine, STR("a.example"))));
    assert_int_equal(read_of(given, "a.example", &kept), ERR_NOT_FOUND);
    assert_false(err_is(sts_kept_remove(engine, STR("a.example"))));
}

static void nobody_has_no_name_and_none_that_is_too_long(void **state)
{
    struct given *given = *state;
    struct sts_kept kept;
    char name[ENGINE_KEY_MAX + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(read_of(given, "", &kept), ERR_NOT_FOUND);
    assert_int_equal(read_of(given, name, &kept), ERR_NOT_FOUND);
}

static void the_longest_policy_has_room(void **state)
{
    struct given *given = *state;
    struct sts_kept kept, longest = one;
    char *policy = arena_take(&given->arena, STS_POLICY_MAX), id[STS_ID_MAX];
    assert_non_null(policy);
    memset(policy, 'p', STS_POLICY_MAX);
    memset(id, '9', sizeof(id));
    longest.policy = str_make(policy, STS_POLICY_MAX);
    longest.id = str_make(id, sizeof(id));
    assert_false(err_is(sts_kept_write(given->store.engine, &longest)));
    assert_int_equal(read_of(given, "a.example", &kept), ERR_NONE);
    assert_same(&kept, &longest);
}

static void what_is_not_durable_is_not_kept(void **state)
{
    struct given *given = *state;
    struct sts_kept kept;
    given->store.fail_in = 1;
    assert_int_equal(sts_kept_write(given->store.engine, &one).code, ERR_TRY_LATER);
    assert_int_equal(read_of(given, "a.example", &kept), ERR_NOT_FOUND);
}

/* --- Pages --- */

static void damage(struct given *given, const char *domain, struct str value)
{
    struct op op = {
        .kind = OP_PUT, .partition = {PARTITION_STS, 0}, .key = str_from(domain), .value = value};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_false(err_is(engine_commit_wait(given->store.engine, &commit)));
}

static void put(struct given *given, const char *domain)
{
    struct sts_kept kept = one;
    kept.domain = str_from(domain);
    assert_false(err_is(sts_kept_write(given->store.engine, &kept)));
}

/* All domains, by pages of so many. */
static struct str walked(struct given *given, size_t limit)
{
    struct buf names = buf_in(&given->arena, 1000);
    struct sts_page page = {.more = true, .last = STR("")};
    for (size_t pages = 0; page.more; pages++) {
        assert_true(pages < 20);
        assert_false(
            err_is(sts_kept_page(given->store.engine, page.last, limit, &given->arena, &page)));
        for (size_t i = 0; i < page.count; i++)
            buf_printf(&names, "%.*s ", STR_FMT(page.kept[i].domain));
    }
    return str_trim(buf_built(&names));
}

static void pages_are_all_of_them_in_order(void **state)
{
    struct given *given = *state;
    assert_str(walked(given, 2), STR(""));
    static const char *const names[] = {"c.example", "a.example", "b.example", "a.example.org",
                                        "e"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        put(given, names[i]);
    for (size_t limit = 1; limit < 8; limit++)
        assert_str(walked(given, limit), STR("a.example a.example.org b.example c.example e"));
}

/* However many there are one behind the other: the rest is found. */
static void damaged_ones_are_left_out_and_told(void **state)
{
    struct given *given = *state;
    struct sts_kept kept;
    static const char *const damaged[] = {"b1", "b2", "b3", "b4", "d1"};
    static const struct str values[] = {STR_INIT(""), STR_INIT("\1"), STR_INIT("\2nonsense"),
                                        STR_INIT("\1\3"), STR_INIT("\1\2 and so on")};
    put(given, "a");
    put(given, "c");
    for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
        damage(given, damaged[i], values[i]);
        assert_int_equal(read_of(given, damaged[i], &kept), ERR_STORE_DAMAGED);
    }
    for (size_t limit = 1; limit < 8; limit++)
        assert_str(walked(given, limit), STR("a c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FIBER(what_is_kept_is_read_replaced_and_forgotten, given_open, given_close),
        ON_FIBER(nobody_has_no_name_and_none_that_is_too_long, given_open, given_close),
        ON_FIBER(the_longest_policy_has_room, given_open, given_close),
        ON_FIBER(what_is_not_durable_is_not_kept, given_open, given_close),
        ON_FIBER(pages_are_all_of_them_in_order, given_open, given_close),
        ON_FIBER(damaged_ones_are_left_out_and_told, given_open, given_close),
    };
    return cmocka_run_group_tests_name("store_sts", tests, NULL, NULL);
}
