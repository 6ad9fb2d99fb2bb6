/* fsck: each kind of damage is found, mended where it can be, and no message is dropped. */
#include "store/local/fsck_rig_test.h"

enum {
    FLIPS = 1000,
    FILES_MOST = 64,
};

struct row_change {
    struct index_key key;
    struct str value;
};

static void row_write_run(struct rig *rig, void *arg)
{
    struct row_change *row = arg;
    struct local *local = local_of(rig->engine);
    struct index_change change = {.key = index_key_str(&row->key), .value = row->value};
    assert_false(err_is(local->index->ops->write(local->index, &change, 1, local->applied)));
}

static void row_write(struct rig *rig, struct index_key key, struct str value)
{
    struct row_change row = {.key = key, .value = value};
    assert_true(rig_do(rig, row_write_run, &row));
}

/* --- Tests -------------------------------------------------------------------------------------
 */

static void a_healthy_store_has_no_findings(void **state)
{
    (void)state;
    struct rig rig;
    store_open(&rig);
    assert_int_equal(fsck_findings(&rig), 0);
    store_reopen_without_index(&rig);
    assert_int_equal(fsck_findings(&rig), 0);
    assert_int_equal(reading_of(&rig).right, KEYS);
    store_close(&rig);
}

static void a_store_that_nothing_was_written_to_has_no_findings(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    assert_true(rig_open(&rig));
    assert_int_equal(fsck_findings(&rig), 0);
    rig_close(&rig);
    assert_true(rig_open(&rig));
    assert_int_equal(fsck_findings(&rig), 0);
    store_close(&rig);
}

/* --- What is read ------------------------------------------------------------------------------
 */

struct read_count {
    struct fake_hook hook;
    uint64_t octets;
};

static void count_read(struct fake_hook *hook, const struct fake_call *call)
{
    struct read_count *count = hook->arg;
    if ((call->kind == FAKE_FILE_READ || call->kind == FAKE_FILE_READ_NOWAIT) && call->result > 0)
        count->octets += (uint64_t)call->result;
}

static void bodies_are_read_once_with_their_records(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t large = 0;
    uint64_t small = 0;
    store_open(&rig);
    for (unsigned key = 0; key < KEYS; key++)
        *(body_size(key) > ENGINE_BODY_INLINE_MAX ? &large : &small) += body_size(key);
    struct read_count count = {.hook = {.after = count_read, .arg = &count}};
    fake_hook_add(rig.fake, &count.hook);
    assert_int_equal(fsck_findings(&rig), 0);
    fake_hook_remove(rig.fake, &count.hook);
    /* A quarter more for heads and sums; each body of the log again would be all of it again. */
    assert_true(count.octets < large + small + small / 4);
    store_close(&rig);
}

/* In octets of a blob in the log: its header, its head, its body. */
static void a_damaged_body_is_set_aside_and_its_entry_stays(void **state)
{
    (void)state;
    const uint64_t octets[] = {10, 50, 70, 200};
    for (size_t i = 0; i < 4; i++) {
        struct rig rig;
        store_open(&rig);
        flip_at_blob(&rig, 3, octets[i]);
        assert_true(fsck_findings(&rig) > 0);
        assert_int_equal(reading_of(&rig).damaged, 1);
        (void)fsck_mends(&rig);
        struct reading reading = reading_of(&rig);
        assert_int_equal(reading.damaged, 1);
        assert_int_equal(reading.right, KEYS - 1);
        /* Also where the index is lost, and after a crash. */
        store_reopen_without_index(&rig);
        assert_int_equal(fsck_findings(&rig), 0);
        reading = reading_of(&rig);
        assert_int_equal(reading.damaged, 1);
        assert_int_equal(reading.right, KEYS - 1);
        store_close(&rig);
    }
}

static void a_damaged_segment_is_kept_in_quarantine(void **state)
{
    (void)state;
    struct rig rig;
    blob_id blob;
    char path[PATH_ROOM];
    store_open(&rig);
    struct place place = place_of(&rig, 3, &blob);
    flip_at_blob(&rig, 3, 100);
    (void)fsck_mends(&rig);
    char name[SEGMENT_NAME_MAX];
    struct str file = segment_name(place.segment, name);
    int n = snprintf(path, sizeof path, "quarantine/%.*s", STR_FMT(file));
    assert_true(fake_disk_size(rig.disk, str_make(path, (size_t)n)) > 0);
    store_close(&rig);
}

static void a_damaged_record_whose_commit_is_in_the_index_loses_nothing(void **state)
{
    (void)state;
    struct rig rig;
    store_open(&rig);
    char path[PATH_ROOM];
    flip(&rig, segment_path(1, path), (SEGMENT_HEADER_SIZE + 20) * 8); /* a record's header */
    assert_true(fsck_findings(&rig) > 0);
    (void)fsck_mends(&rig);
    assert_int_equal(reading_of(&rig).right, KEYS);
    store_reopen_without_index(&rig);
    assert_int_equal(reading_of(&rig).right, KEYS);
    store_close(&rig);
}

static void damage_in_a_body_file_is_set_aside(void **state)
{
    (void)state;
    const uint64_t at[] = {5, LARGE + 20, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct rig rig;
        blob_id blob;
        char name[BODY_NAME_MAX];
        store_open(&rig);
        (void)place_of(&rig, 19, &blob);
        struct str path = body_name(blob, name);
        if (at[i] != UINT64_MAX)
            flip(&rig, path, at[i] * 8);
        else
            flip(&rig, path, (uint64_t)fake_disk_size(rig.disk, path) * 8 - 200);
        assert_true(fsck_findings(&rig) > 0);
        (void)fsck_mends(&rig);
        assert_true(fake_disk_size(rig.disk, path) < 0);
        assert_int_equal(reading_of(&rig).right, KEYS - 1);
        store_close(&rig);
    }
}

static void remove_file_run(struct rig *rig, void *arg)
{
    struct local *local = local_of(rig->engine);
    struct str *path = arg;
    local->world->ops->file_remove(local->world, local->folder, *path);
}

static void a_missing_body_file_is_found(void **state)
{
    (void)state;
    struct rig rig;
    blob_id blob;
    char name[BODY_NAME_MAX];
    store_open(&rig);
    (void)place_of(&rig, 19, &blob);
    struct str path = body_name(blob, name);
    assert_true(rig_do(&rig, remove_file_run, &path));
    (void)fsck_mends(&rig);
    assert_int_equal(reading_of(&rig).damaged, 1);
    store_close(&rig);
}

static void leak_run(struct rig *rig, void *arg)
{
    (void)arg;
    struct local *local = local_of(rig->engine);
    struct body_writer writer;
    assert_false(err_is(body_open(&writer, local->world, local->folder, 999999)));
    assert_false(err_is(body_write(&writer, STR("nobody's"))));
    assert_false(err_is(body_finish(&writer)));
    body_close(&writer, true);
}

static void a_leaked_body_file_is_removed(void **state)
{
    (void)state;
    struct rig rig;
    char name[BODY_NAME_MAX];
    store_open(&rig);
    assert_true(rig_do(&rig, leak_run, NULL));
    assert_int_equal(fsck_mends(&rig), 1);
    assert_true(fake_disk_size(rig.disk, body_name(999999, name)) < 0);
    store_close(&rig);
}

static void lose_segment_run(struct rig *rig, void *arg)
{
    struct local *local = local_of(rig->engine);
    struct str *path = arg;
    local->world->ops->file_remove(local->world, local->folder, *path);
    local->world->ops->folder_sync(local->world, local->segments.folder);
}

static void a_missing_segment_is_found_and_its_messages_stay(void **state)
{
    (void)state;
    struct rig rig;
    char octets[PATH_ROOM];
    store_open(&rig);
    struct str path = segment_path(1, octets);
    assert_true(rig_do(&rig, lose_segment_run, &path));
    rig_crash(&rig); /* the index survives */
    assert_true(rig_open(&rig));
    assert_true(fsck_findings(&rig) > 0);
    (void)fsck_mends(&rig);
    struct reading reading = reading_of(&rig);
    assert_int_equal(reading.gone, 0);
    assert_true(reading.damaged > 0 && reading.right > 0);
    assert_int_equal(reading.damaged + reading.right, KEYS);
    store_reopen_without_index(&rig);
    assert_int_equal(fsck_findings(&rig), 0);
    assert_int_equal(reading_of(&rig).damaged, reading.damaged);
    store_close(&rig);
}

/* Rows of the index that are wrong: what the log says comes back. */
static void wrong_rows_of_the_index_are_mended_from_the_log(void **state)
{
    (void)state;
    enum {
        LOST_ENTRY,
        WRONG_ENTRY,
        LOST_OWNER,
        WRONG_OWNER,
        LOST_PLACE,
        LEAKED_PLACE,
        WRONG_USE,
        LOST_USE,
        WRONG_COUNTS,
        KINDS
    };
    for (int kind = 0; kind < KINDS; kind++) {
        struct rig rig;
        blob_id blob;
        char name[16];
        unsigned char octets[64] = {0};
        store_open(&rig);
        struct place place = place_of(&rig, 5, &blob);
        struct index_key entry = key_entry(inbox, key_of(5, name));
        if (kind == LOST_ENTRY)
            row_write(&rig, entry, str_null());
        if (kind == WRONG_ENTRY)
            row_write(&rig, entry, STR("\1\0\0\0\0\0\0\0value"));
        if (kind == LOST_OWNER)
            row_write(&rig, key_owner(blob, inbox, key_of(5, name)), str_null());
        if (kind == WRONG_OWNER)
            row_write(&rig, key_owner(blob, inbox, key_of(6, name)), STR(""));
        if (kind == LOST_PLACE)
            row_write(&rig, key_place(blob), str_null());
        value_place_encode(&place, octets);
        if (kind == LEAKED_PLACE)
            row_write(&rig, key_place(77777), str_make(octets, VALUE_PLACE_SIZE));
        if (kind == WRONG_USE)
            row_write(&rig, key_segment(place.segment), STR("\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"));
        if (kind == LOST_USE)
            row_write(&rig, key_segment(place.segment), str_null());
        memset(octets, 9, sizeof octets);
        if (kind == WRONG_COUNTS)
            row_write(&rig, key_counts(), str_make(octets, VALUE_COUNTS_SIZE));
        assert_true(fsck_findings(&rig) > 0);
        (void)fsck_mends(&rig);
        assert_int_equal(reading_of(&rig).right, KEYS);
        store_close(&rig);
    }
}

/* LMDB under the engine, its file damaged behind its back. */
static void a_damaged_lmdb_index_is_built_again(void **state)
{
    (void)state;
    struct rig rig;
    char folder[] = "/tmp/veredus-fsck-XXXXXX";
    char path[PATH_ROOM];
    char page[4096];
    rig_init(&rig, 3);
    rig.settings.prefill = false;
    assert_non_null(mkdtemp(folder));
    assert_false(err_is(index_lmdb_open(str_from(folder), 0, &rig.index)));
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, fill, NULL));
    assert_int_equal(fsck_findings(&rig), 0);
    (void)snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    memset(page, 0xa5, sizeof page);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    for (long at = 2 * (long)sizeof page; at < size; at += 2 * (long)sizeof page) {
        fseek(file, at, SEEK_SET);
        fwrite(page, 1, sizeof page, file);
    }
    fclose(file);
    assert_true(fsck_findings(&rig) > 0);
    (void)fsck_mends(&rig);
    assert_int_equal(reading_of(&rig).right, KEYS);
    store_close(&rig);
    remove(path);
    (void)snprintf(path, sizeof path, "%s/lock.mdb", folder);
    remove(path);
    assert_int_equal(remove(folder), 0);
}

/* --- A thousand flipped bits -------------------------------------------------------------------
 */

struct files {
    char paths[FILES_MOST][PATH_ROOM];
    uint64_t bits[FILES_MOST];
    size_t count;
    const char *folder;
};

static void note_file(void *arg, struct str name, uint64_t size)
{
    struct files *files = arg;
    assert_true(files->count < FILES_MOST);
    (void)snprintf(files->paths[files->count], PATH_ROOM, "%s/%.*s", files->folder, STR_FMT(name));
    files->bits[files->count++] = size * 8;
}

static void list_files(struct rig *rig, void *arg)
{
    struct files *files = arg;
    struct local *local = local_of(rig->engine);
    const struct world_ops *ops = local->world->ops;
    const char *folders[] = {"log", "bodies"};
    for (size_t i = 0; i < 2; i++) {
        files->folder = folders[i];
        int folder = ops->folder_open(local->world, local->folder, str_from(folders[i]), false);
        assert_true(folder >= 0);
        assert_int_equal(ops->folder_list(local->world, folder, note_file, files), 0);
        ops->close(local->world, folder);
    }
}

static void rig_on(struct rig *rig, struct fake_disk *disk, uint64_t seed)
{
    rig_init(rig, seed);
    fake_disk_close(rig->disk);
    rig->disk = disk;
    rig->settings.prefill = false;
}

/* Every flip is harmless, or told; and told or not, nothing wrong is served. */
static void flipped_bits_are_harmless_or_found(void **state)
{
    (void)state;
    struct rig base;
    struct files files = {0};
    unsigned told = 0;
    unsigned refused = 0;
    store_open(&base);
    assert_true(rig_do(&base, list_files, &files));
    rig_close(&base);
    for (unsigned i = 0; i < FLIPS; i++) {
        struct rig rig;
        rig_on(&rig, fake_disk_clone(base.disk), i);
        assert_true(rig_open(&rig));
        size_t file = fake_random_below(&rig.random, files.count);
        uint64_t bit = fake_random_below(&rig.random, files.bits[file]);
        if (i % 4 == 0 && bit > 8 * 8192) /* the parts that are small and matter most */
            bit %= 8 * 8192;
        flip(&rig, str_from(files.paths[file]), bit);
        /* With an index from before the damage. */
        struct reading reading = reading_of(&rig);
        assert_int_equal(reading.gone, 0);
        bool found = fsck_findings(&rig) > 0;
        assert_true(found || reading.right == KEYS);
        told += found;
        bool mended = found && i % 5 == 0;
        if (mended) {
            (void)fsck_mends(&rig);
            assert_int_equal(reading_of(&rig).gone, 0);
        }
        rig_close(&rig);
        /* The index is lost too: read from the damaged log. */
        if (rig_open(&rig)) {
            reading = reading_of(&rig);
            found = fsck_findings(&rig) > 0;
            assert_true(found || mended || reading.right == KEYS);
            assert_false(found && mended);
            assert_true(found || reading.gone == 0);
            rig_close(&rig);
        } else {
            assert_int_equal(rig.opened.code, ERR_STORE_DAMAGED);
            refused++;
            rig_end_role(&rig);
        }
        rig_done(&rig);
    }
    print_message("%u of %u flips were told, %u stores not opened\n", told, FLIPS, refused);
    assert_true(told > FLIPS / 4);
    rig_done(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_store_has_no_findings),
        cmocka_unit_test(a_store_that_nothing_was_written_to_has_no_findings),
        cmocka_unit_test(bodies_are_read_once_with_their_records),
        cmocka_unit_test(a_damaged_body_is_set_aside_and_its_entry_stays),
        cmocka_unit_test(a_damaged_segment_is_kept_in_quarantine),
        cmocka_unit_test(a_damaged_record_whose_commit_is_in_the_index_loses_nothing),
        cmocka_unit_test(damage_in_a_body_file_is_set_aside),
        cmocka_unit_test(a_missing_body_file_is_found),
        cmocka_unit_test(a_leaked_body_file_is_removed),
        cmocka_unit_test(a_missing_segment_is_found_and_its_messages_stay),
        cmocka_unit_test(wrong_rows_of_the_index_are_mended_from_the_log),
        cmocka_unit_test(a_damaged_lmdb_index_is_built_again),
        cmocka_unit_test(flipped_bits_are_harmless_or_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
