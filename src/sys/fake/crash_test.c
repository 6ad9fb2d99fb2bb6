#include "base/test.h"

#include <errno.h>

#include "base/must.h"
#include "sys/fake/node.h"

/* ---- A disk and its files, by path ---- */

static struct fake_node *at(struct fake_disk *disk, struct str path)
{
    struct fake_node *node = NULL;
    int e = fake_node_find(disk->root, path, &node);
    return e < 0 ? NULL : node;
}

/* The test holds no handles, so a file it makes lives by its name alone. */
static struct fake_node *make(struct fake_disk *disk, struct str path, bool folder)
{
    struct fake_node *node = NULL;
    must(fake_node_create(disk, disk->root, path, folder, &node) == 0);
    return node;
}

static void put(struct fake_disk *disk, struct str path, struct str bytes, uint64_t where)
{
    struct fake_node *file = at(disk, path);
    if (!file)
        file = make(disk, path, false);
    struct iovec part = {.iov_len = bytes.n};
    memcpy(&part.iov_base, &bytes.p, sizeof(bytes.p));
    must(fake_file_write(disk, file, &part, 1, where) == 0);
}

static void settle_all(struct fake_disk *disk, struct str path)
{
    fake_file_sync(disk, at(disk, path));
    fake_folder_sync(disk, disk->root);
}

static void put_filled(struct fake_disk *disk, struct str path, char c, size_t n, uint64_t where)
{
    char bytes[4096];
    must(n <= sizeof(bytes));
    memset(bytes, c, n);
    put(disk, path, str_make(bytes, n), where);
}

/* ---- All states a crash may leave ---- */

enum {
    STATES_LIMIT = 256
};

struct states {
    uint64_t hashes[STATES_LIMIT];
    size_t count;
    size_t crashes;
};

static bool is_new(struct states *states, uint64_t hash)
{
    for (size_t i = 0; i < states->count; i++)
        if (states->hashes[i] == hash)
            return false;
    must(states->count < STATES_LIMIT);
    states->hashes[states->count++] = hash;
    return true;
}

/* Calls `check` once with each different disk. */
static size_t every_crash(const struct fake_disk *disk, enum fake_tear tear,
                          void (*check)(struct fake_disk *))
{
    struct fake_every *every = calloc(1, sizeof(*every));
    struct states *states = calloc(1, sizeof(*states));
    must(every && states);
    do {
        struct fake_disk *crashed = fake_disk_clone(disk);
        fake_disk_crash(crashed, fake_pick_every(every), tear);
        assert_int_equal(fake_disk_unsynced(crashed), 0);
        if (is_new(states, fake_disk_hash(crashed)) && check)
            check(crashed);
        states->crashes++;
        fake_disk_close(crashed);
    } while (fake_every_next(every));
    assert_false(every->cut);
    size_t count = states->count;
    free(states);
    free(every);
    return count;
}

static char byte_at(struct fake_disk *disk, struct str path, uint64_t where)
{
    char c = '?';
    assert_int_equal(fake_disk_peek(disk, path, &c, 1, where), 1);
    return c;
}

static void synced_is_the_only_state(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put(disk, STR("a"), STR("all of it"), 0);
    settle_all(disk, STR("a"));
    uint64_t before = fake_disk_hash(disk);
    assert_int_equal(every_crash(disk, FAKE_TEAR_ANY, NULL), 1);
    struct fake_random r;
    fake_random_init(&r, 1, "test");
    fake_disk_crash(disk, fake_pick_random(&r), FAKE_TEAR_ANY);
    assert_true(fake_disk_hash(disk) == before);
    fake_disk_close(disk);
}

static void two_writes_survive_in_any_combination(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 1024, 0);
    settle_all(disk, STR("a"));
    put_filled(disk, STR("a"), '1', 512, 0);
    put_filled(disk, STR("a"), '2', 512, 512);
    assert_int_equal(every_crash(disk, FAKE_TEAR_NEVER, NULL), 4);
    fake_disk_close(disk);
}

static void check_not_backwards(struct fake_disk *disk)
{
    char c = byte_at(disk, STR("a"), 0);
    assert_true(c == '0' || c == '1' || c == '2');
}

static void a_sector_shows_one_of_its_writes(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 512, 0);
    settle_all(disk, STR("a"));
    put_filled(disk, STR("a"), '1', 512, 0);
    put_filled(disk, STR("a"), '2', 512, 0);
    assert_int_equal(every_crash(disk, FAKE_TEAR_ANY, check_not_backwards), 3);
    fake_disk_close(disk);
}

static void a_write_tears_at_sectors_only(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 2048, 0);
    settle_all(disk, STR("a"));
    put_filled(disk, STR("a"), '1', 1000, 100); /* sectors 0, 1 and 2 */
    assert_int_equal(every_crash(disk, FAKE_TEAR_ANY, NULL), 8);
    assert_int_equal(every_crash(disk, FAKE_TEAR_CUT, NULL), 4);
    assert_int_equal(every_crash(disk, FAKE_TEAR_NEVER, NULL), 2);
    fake_disk_close(disk);
}

static unsigned sizes_seen;

static void check_append(struct fake_disk *disk)
{
    int64_t size = fake_disk_size(disk, STR("a"));
    assert_true(size == 512 || size == 1024);
    sizes_seen |= size == 512 ? 1 : 2;
    assert_int_equal(byte_at(disk, STR("a"), 0), '0');
    if (size == 1024 && byte_at(disk, STR("a"), 600) == 0)
        sizes_seen |= 4;
}

static void an_append_leaves_old_size_new_size_or_zeroes(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 512, 0);
    settle_all(disk, STR("a"));
    put_filled(disk, STR("a"), '1', 512, 512);
    sizes_seen = 0;
    assert_int_equal(every_crash(disk, FAKE_TEAR_NEVER, check_append), 3);
    assert_int_equal(sizes_seen, 7);
    fake_disk_close(disk);
}

static void check_truncate(struct fake_disk *disk)
{
    int64_t size = fake_disk_size(disk, STR("a"));
    assert_true(size == 2048 || size == 512 || size == 1024);
    assert_int_equal(byte_at(disk, STR("a"), 0), '0');
    /* Behind a cut that is kept nothing old comes back. */
    if (size == 1024)
        assert_int_not_equal(byte_at(disk, STR("a"), 600), '0');
    if (size == 2048)
        assert_int_equal(byte_at(disk, STR("a"), 600), '0');
}

static void a_truncation_is_kept_or_lost_whole(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 2048, 0);
    settle_all(disk, STR("a"));
    assert_int_equal(fake_file_truncate(disk, at(disk, STR("a")), 512), 0);
    put_filled(disk, STR("a"), '1', 512, 512);
    every_crash(disk, FAKE_TEAR_NEVER, check_truncate);
    fake_disk_close(disk);
}

static unsigned renames_seen;

static void check_replaced(struct fake_disk *disk)
{
    char c = byte_at(disk, STR("final"), 0);
    assert_true(c == 'o' || c == 'n');
    renames_seen |= c == 'o' ? 1 : 2;
}

static void a_rename_replaces_whole_or_not_at_all(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put(disk, STR("final"), STR("old"), 0);
    settle_all(disk, STR("final"));
    put(disk, STR("next"), STR("new"), 0);
    settle_all(disk, STR("next"));
    assert_int_equal(fake_node_rename(disk, disk->root, STR("next"), STR("final")), 0);
    renames_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_replaced);
    assert_int_equal(renames_seen, 3);
    fake_folder_sync(disk, disk->root);
    renames_seen = 0;
    assert_int_equal(every_crash(disk, FAKE_TEAR_ANY, check_replaced), 1);
    assert_int_equal(renames_seen, 2);
    fake_disk_close(disk);
}

static unsigned names_seen;

static void check_one_name(struct fake_disk *disk)
{
    bool in_a = fake_disk_size(disk, STR("a/x")) >= 0, in_b = fake_disk_size(disk, STR("b/x")) >= 0;
    assert_true(in_a != in_b);
    names_seen |= in_a ? 1 : 2;
}

static void a_move_between_folders_leaves_one_name(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    struct fake_node *a = make(disk, STR("a"), true), *b = make(disk, STR("b"), true);
    put(disk, STR("a/x"), STR("x"), 0);
    fake_file_sync(disk, at(disk, STR("a/x")));
    fake_folder_sync(disk, disk->root);
    fake_folder_sync(disk, a);
    assert_int_equal(fake_node_rename(disk, disk->root, STR("a/x"), STR("b/x")), 0);
    names_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_one_name);
    assert_int_equal(names_seen, 3);
    fake_folder_sync(disk, b);
    names_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_one_name);
    assert_int_equal(names_seen, 2);
    fake_disk_close(disk);
}

/* Its first name was never durable, and must not become so behind the second one's back. */
static void a_move_settles_where_the_file_came_from(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    make(disk, STR("a"), true);
    struct fake_node *b = make(disk, STR("b"), true);
    fake_folder_sync(disk, disk->root);
    put(disk, STR("a/x"), STR("x"), 0);
    assert_int_equal(fake_node_rename(disk, disk->root, STR("a/x"), STR("b/x")), 0);
    fake_folder_sync(disk, b);
    names_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_one_name);
    assert_int_equal(names_seen, 2);
    fake_disk_close(disk);
}

static void check_one_of_three(struct fake_disk *disk)
{
    int names = (fake_disk_size(disk, STR("a")) >= 0) + (fake_disk_size(disk, STR("b")) >= 0) +
                (fake_disk_size(disk, STR("c")) >= 0);
    assert_int_equal(names, 1);
}

static void a_file_moved_twice_has_one_name(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put(disk, STR("a"), STR("x"), 0);
    settle_all(disk, STR("a"));
    assert_int_equal(fake_node_rename(disk, disk->root, STR("a"), STR("b")), 0);
    assert_int_equal(fake_node_rename(disk, disk->root, STR("b"), STR("c")), 0);
    assert_int_equal(every_crash(disk, FAKE_TEAR_ANY, check_one_of_three), 3);
    fake_disk_close(disk);
}

static void what_is_unsynced_is_bounded(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(&(struct fake_disk_settings){.unsynced_cap = 8192});
    for (uint64_t i = 0; i < 100; i++)
        put_filled(disk, STR("a"), 'x', 4096, i * 4096);
    assert_int_equal(fake_disk_unsynced(disk), 1 + 2); /* the name, and two writes */
    fake_folder_sync(disk, disk->root);
    struct fake_random r;
    fake_random_init(&r, 1, "test");
    fake_disk_crash(disk, fake_pick_random(&r), FAKE_TEAR_ANY);
    assert_in_range(fake_disk_size(disk, STR("a")), 98 * 4096, 100 * 4096);
    assert_int_equal(byte_at(disk, STR("a"), 98 * 4096 - 1), 'x');
    for (int i = 0; i < 3000; i++) {
        make(disk, STR("b"), false);
        assert_int_equal(fake_node_remove(disk, disk->root, STR("b")), 0);
    }
    assert_int_equal(fake_disk_unsynced(disk), 4096);
    fake_disk_close(disk);
}

static unsigned file_seen;

static void check_made(struct fake_disk *disk)
{
    file_seen |= fake_disk_size(disk, STR("a")) >= 0 ? 1 : 2;
}

static void a_synced_file_without_a_synced_name_may_be_gone(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put(disk, STR("a"), STR("bytes"), 0);
    fake_file_sync(disk, at(disk, STR("a")));
    file_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_made);
    assert_int_equal(file_seen, 3);
    fake_folder_sync(disk, disk->root);
    file_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_made);
    assert_int_equal(file_seen, 1);
    fake_disk_close(disk);
}

static void a_removed_file_may_come_back_whole(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put(disk, STR("a"), STR("bytes"), 0);
    settle_all(disk, STR("a"));
    assert_int_equal(fake_node_remove(disk, disk->root, STR("a")), 0);
    assert_int_equal(fake_disk_used(disk), 0);
    file_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_made);
    assert_int_equal(file_seen, 3);
    fake_folder_sync(disk, disk->root);
    file_seen = 0;
    every_crash(disk, FAKE_TEAR_ANY, check_made);
    assert_int_equal(file_seen, 2);
    fake_disk_close(disk);
}

static void a_lying_sync_loses_what_it_was_about(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 1024, 0);
    settle_all(disk, STR("a"));
    put_filled(disk, STR("a"), '1', 512, 0);
    fake_file_lie(disk, at(disk, STR("a")));
    put_filled(disk, STR("a"), '2', 512, 512);
    fake_file_sync(disk, at(disk, STR("a")));
    assert_int_equal(byte_at(disk, STR("a"), 0), '1');
    char bytes[1024];
    assert_int_equal(fake_file_read_direct(at(disk, STR("a")), bytes, 1024, 0), 1024);
    assert_int_equal(bytes[0], '0');
    assert_int_equal(bytes[512], '2');
    fake_disk_forget_cache(disk);
    assert_int_equal(byte_at(disk, STR("a"), 0), '0');
    assert_int_equal(byte_at(disk, STR("a"), 512), '2');
    struct fake_random r;
    fake_random_init(&r, 1, "test");
    fake_disk_crash(disk, fake_pick_random(&r), FAKE_TEAR_ANY);
    assert_int_equal(byte_at(disk, STR("a"), 0), '0');
    assert_int_equal(byte_at(disk, STR("a"), 512), '2');
    fake_disk_close(disk);
}

/* ---- A random life, and a model of what each byte may be after it ---- */

enum {
    MODEL_SIZE = 3 * 4096,
    MODEL_STEPS = 60,
    MODEL_RUNS = 400
};

struct model {
    char now[MODEL_SIZE];
    bool allowed[MODEL_SIZE][256]; /* values the byte may have after a crash */
};

static void model_write(struct model *model, struct fake_disk *disk, struct fake_random *r)
{
    uint64_t from = fake_random_below(r, MODEL_SIZE - 1500);
    size_t n = 1 + (size_t)fake_random_below(r, 1500);
    char c = (char)(1 + fake_random_below(r, 200));
    put_filled(disk, STR("a"), c, n, from);
    for (uint64_t i = from; i < from + n; i++) {
        model->now[i] = c;
        model->allowed[i][(unsigned char)c] = true;
    }
}

static void model_sync(struct model *model, struct fake_disk *disk)
{
    fake_file_sync(disk, at(disk, STR("a")));
    for (size_t i = 0; i < MODEL_SIZE; i++) {
        memset(model->allowed[i], 0, sizeof(model->allowed[i]));
        model->allowed[i][(unsigned char)model->now[i]] = true;
    }
}

static void model_check(const struct model *model, const struct fake_disk *disk)
{
    char bytes[MODEL_SIZE];
    assert_int_equal(fake_disk_peek(disk, STR("a"), bytes, MODEL_SIZE, 0), MODEL_SIZE);
    for (size_t i = 0; i < MODEL_SIZE; i++)
        assert_true(model->allowed[i][(unsigned char)bytes[i]]);
}

static void what_was_synced_survives_every_crash(void **state)
{
    (void)state;
    struct model *model = calloc(1, sizeof(*model));
    must(model);
    struct fake_random r;
    fake_random_init(&r, 7, "test");
    for (int run = 0; run < MODEL_RUNS; run++) {
        struct fake_disk *disk =
            fake_disk_open(&(struct fake_disk_settings){.unsynced_cap = run % 2 ? 4096 : 0});
        make(disk, STR("a"), false);
        fake_file_zero(disk, at(disk, STR("a")), 0, MODEL_SIZE);
        settle_all(disk, STR("a"));
        memset(model, 0, sizeof(*model));
        model_sync(model, disk);
        for (int step = 0; step < MODEL_STEPS; step++) {
            if (fake_random_below(&r, 8) == 0)
                model_sync(model, disk);
            else
                model_write(model, disk, &r);
        }
        struct fake_disk *twin = fake_disk_clone(disk);
        assert_true(fake_disk_hash(twin) == fake_disk_hash(disk));
        uint64_t before = fake_disk_hash(twin);
        fake_disk_crash(disk, fake_pick_random(&r), FAKE_TEAR_ANY);
        model_check(model, disk);
        assert_true(fake_disk_hash(twin) == before);
        fake_disk_close(disk);
        fake_disk_crash(twin, fake_pick_random(&r), FAKE_TEAR_CUT);
        model_check(model, twin);
        fake_disk_close(twin);
    }
    free(model);
}

/* A hundred coin flips would never give these. */
static void random_crashes_reach_the_extremes(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    put_filled(disk, STR("a"), '0', 1, (uint64_t)100 * 512);
    settle_all(disk, STR("a"));
    uint64_t nothing = fake_disk_hash(disk);
    for (uint64_t i = 0; i < 100; i++)
        put_filled(disk, STR("a"), '1', 512, i * 512);
    uint64_t everything = fake_disk_hash(disk);
    struct fake_random r;
    fake_random_init(&r, 1, "test");
    int none = 0, all = 0, some = 0;
    for (int i = 0; i < 200; i++) {
        struct fake_disk *crashed = fake_disk_clone(disk);
        fake_disk_crash(crashed, fake_pick_random(&r), FAKE_TEAR_ANY);
        uint64_t left = fake_disk_hash(crashed);
        none += left == nothing;
        all += left == everything;
        some += left != nothing && left != everything;
        fake_disk_close(crashed);
    }
    assert_true(none > 20 && all > 20 && some > 60);
    fake_disk_close(disk);
}

static void the_budget_holds_at_its_last_page(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(
        &(struct fake_disk_settings){.capacity = (uint64_t)3 * FAKE_PAGE, .nodes = 3});
    put_filled(disk, STR("a"), '1', 4096, 0);
    put_filled(disk, STR("a"), '1', 4096, 4096);
    assert_int_equal(fake_disk_used(disk), 2 * FAKE_PAGE);
    assert_int_equal(fake_file_zero(disk, at(disk, STR("a")), 8192, 4097), -ENOSPC);
    assert_int_equal(fake_file_zero(disk, at(disk, STR("a")), 8192, 4096), 0);
    assert_int_equal(fake_file_zero(disk, at(disk, STR("a")), 12288, 1), -ENOSPC);
    put_filled(disk, STR("a"), '2', 4096, 8192); /* over written zeroes: no new page */
    make(disk, STR("b"), false);
    struct fake_node *node;
    assert_int_equal(fake_node_create(disk, disk->root, STR("c"), false, &node), -ENOSPC);
    fake_disk_set_read_only(disk, true);
    assert_int_equal(fake_node_remove(disk, disk->root, STR("a")), -EROFS);
    assert_int_equal(fake_file_truncate(disk, at(disk, STR("a")), 0), -EROFS);
    fake_disk_set_read_only(disk, false);
    assert_int_equal(fake_node_remove(disk, disk->root, STR("a")), 0);
    assert_int_equal(fake_disk_used(disk), 0);
    fake_disk_close(disk);
}

static void paths_are_walked_and_refused(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    struct fake_node *node;
    char name[FAKE_NAME_LIMIT + 1];
    memset(name, 'n', sizeof(name));
    make(disk, str_make(name, FAKE_NAME_LIMIT), true);
    assert_int_equal(fake_node_create(disk, disk->root, str_make(name, sizeof(name)), true, &node),
                     -ENAMETOOLONG);
    make(disk, STR("f"), false);
    assert_int_equal(fake_node_find(disk->root, STR("f/x"), &node), -ENOTDIR);
    assert_int_equal(fake_node_find(disk->root, STR("g/x"), &node), -ENOENT);
    assert_int_equal(fake_node_find(disk->root, STR("../x"), &node), -EINVAL);
    make(disk, STR("d"), true);
    assert_int_equal(fake_node_find(disk->root, STR("d//x"), &node), -EINVAL);
    assert_int_equal(fake_node_find(disk->root, STR(""), &node), -EINVAL);
    fake_disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_is_the_only_state),
        cmocka_unit_test(two_writes_survive_in_any_combination),
        cmocka_unit_test(a_sector_shows_one_of_its_writes),
        cmocka_unit_test(a_write_tears_at_sectors_only),
        cmocka_unit_test(an_append_leaves_old_size_new_size_or_zeroes),
        cmocka_unit_test(a_truncation_is_kept_or_lost_whole),
        cmocka_unit_test(a_rename_replaces_whole_or_not_at_all),
        cmocka_unit_test(a_move_between_folders_leaves_one_name),
        cmocka_unit_test(a_move_settles_where_the_file_came_from),
        cmocka_unit_test(a_file_moved_twice_has_one_name),
        cmocka_unit_test(what_is_unsynced_is_bounded),
        cmocka_unit_test(a_synced_file_without_a_synced_name_may_be_gone),
        cmocka_unit_test(a_removed_file_may_come_back_whole),
        cmocka_unit_test(a_lying_sync_loses_what_it_was_about),
        cmocka_unit_test(what_was_synced_survives_every_crash),
        cmocka_unit_test(random_crashes_reach_the_extremes),
        cmocka_unit_test(the_budget_holds_at_its_last_page),
        cmocka_unit_test(paths_are_walked_and_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
