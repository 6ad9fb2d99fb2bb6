/*
 * fsck where the log above the index cannot be read: a segment's header is damaged, or its file is
 * gone. The store serves again afterwards, everything that is left is right, and what is lost is
 * told.
 */
#include "store/local/fsck_rig_test.h"

enum {
    APPLIED = 10,               /* keys in the index; the rest is in the log only */
    CHAIN_SEGMENT = 128 * 1024, /* so few that no compaction begins, which would apply all */
    SEGMENTS_MOST = 64,
    EXTRA = KEYS + 1, /* a key that is put after the repair */
    LIST_ROOM = 16 * 1024,
};

static const struct partition counted = {PARTITION_MAILBOX, 2};

/* --- A store whose index is far behind ---------------------------------------------------------
 */

static uint32_t uid_next(struct rig *rig)
{
    struct numbers numbers;
    assert_false(err_is(engine_numbers(rig->engine, counted, &numbers)));
    return numbers.uid_next;
}

/* Each message also takes a UID. */
static void append(struct rig *rig)
{
    struct op op = {.kind = OP_APPEND, .partition = counted, .key = STR("m"), .value = STR("v")};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
}

static void fill_behind(struct rig *rig, void *arg)
{
    for (unsigned key = 0; key < KEYS; key++) {
        if (key == APPLIED)
            assert_false(err_is(local_apply_now(rig->engine)));
        key_put(rig, key);
        append(rig);
    }
    *(uint32_t *)arg = uid_next(rig);
}

static uint64_t newest_of(struct rig *rig)
{
    char path[PATH_ROOM];
    uint64_t newest = 0;
    for (uint64_t i = 1; i < SEGMENTS_MOST; i++)
        if (fake_disk_size(rig->disk, segment_path(i, path)) >= 0)
            newest = i;
    return newest;
}

/* Closed by a power cut. *uid_r: the next UID of `counted`. */
static void behind_make(struct rig *rig, uint32_t *uid_r)
{
    rig_init(rig, 3);
    rig->settings.prefill = false;
    rig->settings.segment_size = CHAIN_SEGMENT;
    rig->settings.apply_every = 1000000 * NS_PER_SECOND;
    assert_true(rig_open(rig));
    assert_true(rig_do(rig, fill_behind, uid_r));
    rig_crash(rig);
    assert_int_equal(newest_of(rig), 4);
}

static void overwrite(struct rig *rig, uint64_t sequence, uint64_t at, size_t n)
{
    static const char zeroes[2 * SEGMENT_HEADER_SIZE];
    char path[PATH_ROOM];
    assert_true(n <= sizeof zeroes);
    assert_int_equal(
        fake_disk_poke(rig->disk, segment_path(sequence, path), str_make(zeroes, n), at), 0);
}

static void file_lose(struct rig *rig, struct str path)
{
    struct world *world = &rig->fake->world;
    int role = fake_role_open(rig->fake, "hand");
    fake_role_enter(rig->fake, role);
    int root = fake_root(rig->fake, role, rig->disk);
    int folder = world->ops->folder_open(world, root, STR("log"), false);
    assert_true(folder >= 0);
    assert_int_equal(world->ops->file_remove(world, root, path), 0);
    assert_int_equal(world->ops->folder_sync(world, folder), 0);
    fake_role_enter(rig->fake, 0);
    fake_kill_role(rig->fake, role);
}

static void segment_lose(struct rig *rig, uint64_t sequence)
{
    char path[PATH_ROOM];
    file_lose(rig, segment_path(sequence, path));
}

static void index_drop(struct rig *rig)
{
    rig->index->ops->close(rig->index);
    rig->index = NULL;
}

/* --- Looking -----------------------------------------------------------------------------------
 */

struct listed {
    struct str begins;
    char name[PATH_ROOM];
};

static void note_name(void *arg, struct str name, uint64_t size)
{
    struct listed *listed = arg;
    (void)size;
    if (str_starts(name, listed->begins))
        (void)snprintf(listed->name, sizeof listed->name, "quarantine/%.*s", STR_FMT(name));
}

static void quarantine_look(struct rig *rig, void *arg)
{
    struct local *local = local_of(rig->engine);
    const struct world_ops *ops = local->world->ops;
    int folder = ops->folder_open(local->world, local->folder, STR("quarantine"), false);
    if (folder < 0)
        return;
    assert_int_equal(ops->folder_list(local->world, folder, note_name, arg), 0);
    ops->close(local->world, folder);
}

/* "": nothing in quarantine/ begins so. */
static struct listed quarantined(struct rig *rig, struct str begins)
{
    struct listed listed = {.begins = begins};
    assert_true(rig_do(rig, quarantine_look, &listed));
    return listed;
}

static bool list_says(struct rig *rig, struct str words)
{
    struct listed list = quarantined(rig, STR("list-"));
    char octets[LIST_ROOM];
    ssize_t n =
        list.name[0] ? fake_disk_peek(rig->disk, str_from(list.name), octets, sizeof octets, 0) : 0;
    return n > 0 && str_find(str_make(octets, (size_t)n), words) >= 0;
}

static void put_extra(struct rig *rig, void *arg)
{
    (void)arg;
    key_put(rig, EXTRA);
    append(rig);
}

static void look_uid(struct rig *rig, void *arg)
{
    *(uint32_t *)arg = uid_next(rig);
}

/* Read-only until it is mended, and untouched without --repair; then it serves, and fsck is content
 * now, after the next start, and after the index was lost. */
static struct reading mends_and_serves(struct rig *rig)
{
    assert_true(rig_open(rig));
    assert_true(local_of(rig->engine)->status.damaged);
    uint64_t hash = fake_disk_hash(rig->disk);
    assert_true(fsck_findings(rig) > 0);
    assert_true(fake_disk_hash(rig->disk) == hash);
    (void)fsck_mends(rig);
    struct reading reading = reading_of(rig);
    assert_true(rig_do(rig, put_extra, NULL));
    assert_int_equal(fsck_findings(rig), 0);
    rig_crash(rig);
    for (int i = 0; i < 2; i++) {
        assert_true(rig_open(rig));
        assert_false(local_of(rig->engine)->status.damaged);
        assert_int_equal(fsck_findings(rig), 0);
        struct reading again = reading_of(rig);
        assert_int_equal(again.right, reading.right);
        assert_int_equal(again.gone, reading.gone);
        if (i == 0)
            rig_close(rig);
    }
    return reading;
}

/* --- Headers -----------------------------------------------------------------------------------
 */

/* One octet in each field. */
static void a_flipped_octet_in_a_header_loses_nothing(void **state)
{
    (void)state;
    const uint64_t octets[] = {3, 8, 10, 13, 16, 24, 27, 32, 33, 40, 46, 50, 56, 59, 61};
    for (size_t i = 0; i < sizeof octets / sizeof octets[0]; i++) {
        for (unsigned back = 0; back < 3; back++) {
            struct rig rig;
            uint32_t uid, after;
            char path[PATH_ROOM];
            behind_make(&rig, &uid);
            flip(&rig, segment_path(newest_of(&rig) - back, path), octets[i] * 8 + i % 8);
            struct reading reading = mends_and_serves(&rig);
            assert_int_equal(reading.right, KEYS);
            assert_true(rig_do(&rig, look_uid, &after));
            assert_int_equal(after, uid + 1);
            assert_true(quarantined(&rig, STR("header-")).name[0]);
            assert_false(list_says(&rig, STR("missing")));
            store_close(&rig);
        }
    }
}

static void every_header_at_once_without_an_index_loses_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct rig rig;
        uint32_t uid;
        char path[PATH_ROOM];
        behind_make(&rig, &uid);
        for (uint64_t i = newest_of(&rig); i > 0; i--) {
            if (kind == 0)
                overwrite(&rig, i, 0, SEGMENT_HEADER_SIZE);
            else
                flip(&rig, segment_path(i, path), (32 + i % 8) * 8);
        }
        index_drop(&rig);
        assert_int_equal(mends_and_serves(&rig).right, KEYS);
        store_close(&rig);
    }
}

/* Header and first record: the salt is not known then, and what only this segment had is kept as
 * the file that it is. So is the body file of key 39, whose commit is in the newest. */
static void a_segment_whose_salt_is_lost_is_kept_whole(void **state)
{
    (void)state;
    for (unsigned back = 0; back < 3; back++) {
        struct rig rig;
        uint32_t uid, after;
        char path[PATH_ROOM];
        behind_make(&rig, &uid);
        uint64_t lost = newest_of(&rig) - back;
        overwrite(&rig, lost, 0, SEGMENT_HEADER_SIZE + RECORD_HEADER_SIZE);
        struct reading reading = mends_and_serves(&rig);
        assert_true(reading.gone > 0 && reading.right > APPLIED);
        struct listed kept = quarantined(&rig, str_from_index(segment_path(lost, path), 4));
        assert_true(kept.name[0]);
        assert_int_equal(quarantined(&rig, STR("0000000000000028")).name[0] != 0, back == 0);
        assert_true(rig_do(&rig, look_uid, &after));
        assert_true(after > uid);
        store_close(&rig);
    }
}

/* As if it had just been made; but what it may have held is not taken for never written. */
static void a_newest_segment_without_records_is_mended(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t uid;
    char path[PATH_ROOM];
    behind_make(&rig, &uid);
    uint64_t newest = newest_of(&rig);
    int64_t size = fake_disk_size(rig.disk, segment_path(newest, path));
    for (int64_t at = 0; at < size; at += SEGMENT_HEADER_SIZE)
        overwrite(&rig, newest, (uint64_t)at,
                  size - at < SEGMENT_HEADER_SIZE ? (size_t)(size - at) : SEGMENT_HEADER_SIZE);
    struct reading reading = mends_and_serves(&rig);
    assert_int_equal(reading.damaged, 0);
    assert_true(list_says(&rig, STR("the commit that names it may be lost")));
    store_close(&rig);
}

/* The newest checkpoint lies in the segment, and what it stands for was freed. */
static void checkpoint_run(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(err_is(local_checkpoint(rig->engine)));
}

static void a_checkpoint_behind_a_damaged_header_is_used(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t uid;
    behind_make(&rig, &uid);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, checkpoint_run, NULL));
    rig_crash(&rig);
    segment_lose(&rig, 1); /* as if it had been freed */
    segment_lose(&rig, 2);
    overwrite(&rig, newest_of(&rig), 0, SEGMENT_HEADER_SIZE);
    index_drop(&rig);
    struct reading reading = mends_and_serves(&rig);
    assert_int_equal(reading.gone, 0);
    assert_true(reading.right > 0 && reading.damaged > 0);
    store_close(&rig);
}

/* --- Missing segments --------------------------------------------------------------------------
 */

static void a_missing_segment_above_the_index_is_told(void **state)
{
    (void)state;
    for (unsigned back = 1; back < 3; back++) {
        struct rig rig;
        uint32_t uid, after;
        behind_make(&rig, &uid);
        segment_lose(&rig, newest_of(&rig) - back);
        struct reading reading = mends_and_serves(&rig);
        assert_true(reading.gone > 0 && reading.right > APPLIED);
        assert_int_equal(reading.damaged, 0);
        assert_true(list_says(&rig, STR("a segment is missing")));
        /* No UID is given twice. */
        assert_true(rig_do(&rig, look_uid, &after));
        assert_true(after > uid);
        store_close(&rig);
    }
}

/* Behind a missing segment, and its number is not known from the octets either. */
static void a_missing_segment_behind_a_lost_header_is_told(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t uid;
    behind_make(&rig, &uid);
    uint64_t newest = newest_of(&rig);
    segment_lose(&rig, newest - 1);
    overwrite(&rig, newest, 0, SEGMENT_HEADER_SIZE);
    struct reading reading = mends_and_serves(&rig);
    assert_true(reading.gone > 0 && reading.right > APPLIED);
    assert_true(list_says(&rig, STR("a segment is missing")));
    store_close(&rig);
}

/* An index without a position and no segment: but for the spare that looks like a new store. */
static void a_log_that_is_gone_with_its_index_is_told(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t uid;
    behind_make(&rig, &uid);
    for (uint64_t i = newest_of(&rig); i > 0; i--)
        segment_lose(&rig, i);
    index_drop(&rig);
    assert_int_equal(mends_and_serves(&rig).gone, KEYS);
    assert_true(list_says(&rig, STR("a segment is missing")));
    assert_true(list_says(&rig, STR("the commit that names it may be lost")));
    store_close(&rig);
}

static void apply_run(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(err_is(local_apply_now(rig->engine)));
}

/* The index' position lies in the segment that is gone: the log went on in the one before it, from
 * its beginning, over what lived there. */
static void nothing_is_written_over_when_the_newest_segment_is_missing(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        struct rig rig;
        uint32_t uid;
        behind_make(&rig, &uid);
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, apply_run, NULL));
        rig_crash(&rig);
        for (uint64_t i = newest_of(&rig), until = all ? 1 : i; i >= until; i--)
            segment_lose(&rig, i);
        struct reading reading = mends_and_serves(&rig);
        assert_int_equal(reading.gone, 0);
        assert_true(reading.damaged > 0);
        assert_int_equal(reading.right > 0, !all);
        assert_true(list_says(&rig, STR("a segment is missing")));
        store_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_octet_in_a_header_loses_nothing),
        cmocka_unit_test(every_header_at_once_without_an_index_loses_nothing),
        cmocka_unit_test(a_segment_whose_salt_is_lost_is_kept_whole),
        cmocka_unit_test(a_newest_segment_without_records_is_mended),
        cmocka_unit_test(a_checkpoint_behind_a_damaged_header_is_used),
        cmocka_unit_test(a_missing_segment_above_the_index_is_told),
        cmocka_unit_test(a_missing_segment_behind_a_lost_header_is_told),
        cmocka_unit_test(a_log_that_is_gone_with_its_index_is_told),
        cmocka_unit_test(nothing_is_written_over_when_the_newest_segment_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
