/* The local engine where calls fail: refused commits, full disks, a slow or broken index; large
 * bodies and tags. */
#include <errno.h>

#include "store/local/engine_put_test.h"

/* --- Large bodies ---------------------------------------------------------------------------- */

static void upload(struct rig *rig, blob_id blob, size_t n, struct upload **upload_r)
{
    char part[5000];
    assert_false(err_is(engine_upload_open(rig->engine, blob, upload_r)));
    for (size_t done = 0; done < n;) {
        size_t now = n - done < sizeof(part) ? n - done : sizeof(part);
        for (size_t i = 0; i < now; i++)
            part[i] = (char)((done + i) % 253);
        assert_false(err_is(engine_upload_write(rig->engine, *upload_r, str_make(part, now))));
        done += now;
    }
    assert_false(err_is(engine_upload_finish(rig->engine, *upload_r)));
}

enum {
    LARGE = 700001
};

static void large_body(struct rig *rig, void *arg)
{
    (void)arg;
    struct upload *open;
    blob_id dropped = engine_blob_new(rig->engine);
    upload(rig, dropped, 300000, &open);
    engine_upload_drop(rig->engine, &open);
    assert_null(open);
    struct blob_put blob = {.blob = engine_blob_new(rig->engine), .head = STR("head")};
    upload(rig, blob.blob, LARGE, &blob.upload);
    struct op op = {.kind = OP_PUT, .partition = inbox, .key = STR("large"), .blob = blob.blob};
    struct commit commit = {.ops = &op, .op_count = 1, .blobs = &blob, .blob_count = 1};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
    assert_null(blob.upload);
}

/* Nobody gave it back: a file and a handle for each large message that was refused. */
static void refused_large_body(struct rig *rig, void *arg)
{
    const char *conflicts = arg;
    size_t handles = fake_role_handles(rig->fake, rig->role);
    struct fake_fault fault = {.kind = FAKE_FILE_SYNC, .role = rig->role, .error = -EIO};
    struct blob_put blob = {.blob = engine_blob_new(rig->engine)};
    upload(rig, blob.blob, LARGE, &blob.upload);
    struct op ops[] = {
        {.kind = OP_PUT, .partition = inbox, .key = STR("large"), .blob = blob.blob},
        {.kind = OP_NEED_PRESENT, .partition = inbox, .key = STR("nowhere")},
    };
    struct commit commit = {
        .ops = ops, .op_count = conflicts ? 2 : 1, .blobs = &blob, .blob_count = 1};
    fault.nth = 1;
    if (!conflicts)
        fake_fault_add(rig->fake, &fault);
    struct err e = engine_commit_wait(rig->engine, &commit);
    if (!conflicts)
        fake_fault_remove(rig->fake, &fault);
    assert_int_equal(e.code, conflicts ? ERR_CONFLICT : ERR_DISK_FAILED);
    assert_null(blob.upload);
    /* After a failed sync there is one segment more. */
    assert_int_equal(fake_role_handles(rig->fake, rig->role), handles + !conflicts);
}

static void large_is_there(struct rig *rig, void *arg)
{
    (void)arg;
    uint64_t head, body;
    char part[10000];
    assert_false(err_is(engine_blob_size(rig->engine, 2, &head, &body)));
    assert_int_equal(head, 4);
    assert_int_equal(body, LARGE);
    for (size_t at = 0; at < LARGE;) {
        size_t n = LARGE - at < sizeof(part) ? LARGE - at : sizeof(part);
        assert_int_equal(engine_blob_read(rig->engine, 2, at, part, n).code, ERR_NONE);
        for (size_t i = 0; i < n; i++)
            assert_int_equal((unsigned char)part[i], (at + i) % 253);
        at += n;
    }
}

static void large_goes(struct rig *rig, void *arg)
{
    (void)arg;
    uint64_t head, body;
    struct op op = {.kind = OP_REMOVE, .partition = inbox, .key = STR("large")};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
    assert_int_equal(engine_blob_size(rig->engine, 2, &head, &body).code, ERR_NOT_FOUND);
}

static bool body_file_exists(struct rig *rig, const char *name)
{
    return fake_disk_size(rig->disk, str_from(name)) >= 0;
}

static void a_refused_commit_gives_its_upload_back(void **state)
{
    (void)state;
    static char conflicts[] = "conflicts";
    struct rig rig;
    rig_init(&rig, 12);
    rig.settings.prefill = false; /* else the first segment is left, too */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, refused_large_body, conflicts));
    assert_true(fake_disk_size(rig.disk, STR("bodies/0000000000000001")) < 0);
    assert_true(rig_do(&rig, refused_large_body, NULL));
    assert_true(fake_disk_size(rig.disk, STR("bodies/0000000000000002")) < 0);
    rig_close(&rig);
    rig_done(&rig);
}

static void large_bodies_have_files_of_their_own(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 11);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, large_body, NULL));
    rig_crash(&rig);
    assert_true(body_file_exists(&rig, "bodies/0000000000000002"));
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, large_is_there, NULL));
    rig_close(&rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, large_goes, NULL));
    rig_crash(&rig); /* the removal is in the log, the file may be there yet */
    assert_true(rig_open(&rig));
    rig_close(&rig);
    assert_false(body_file_exists(&rig, "bodies/0000000000000002"));
    assert_false(body_file_exists(&rig, "bodies/0000000000000001"));
    rig_done(&rig);
}

/* --- Failing calls --------------------------------------------------------------------------- */

static void refused_body(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(err_is(put(rig, "a", "1")));
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND); /* the spare is made */
    struct fake_fault sync = {.kind = FAKE_FILE_SYNC, .role = rig->role, .nth = 1, .error = -EIO};
    struct fake_fault name = {
        .kind = FAKE_FILE_RENAME, .role = rig->role, .nth = 1, .times = 2, .error = -ENOSPC};
    fake_fault_add(rig->fake, &sync);
    fake_fault_add(rig->fake, &name);
    int64_t before = rig->loop->now;
    struct op ops[] = {{.kind = OP_APPEND, .partition = inbox, .key = STR("b")}};
    struct commit commit = {.ops = ops, .op_count = 1};
    assert_int_equal(engine_commit_wait(rig->engine, &commit).code, ERR_DISK_FAILED);
    /* Only when its end was durable: at the third try. */
    assert_true(rig->loop->now >= before + 2 * LOCAL_RETRY_AFTER);
    assert_int_equal(sync.fired, 1);
    assert_int_equal(name.fired, 2);
    fake_fault_remove(rig->fake, &sync);
    fake_fault_remove(rig->fake, &name);
    assert_int_equal(ops[0].uid, 0);
    struct numbers numbers;
    assert_false(err_is(engine_numbers(rig->engine, inbox, &numbers)));
    assert_int_equal(numbers.uid_next, 2);
    assert_false(err_is(put(rig, "c", "1")));
    assert_false(status_of(rig).read_only);
}

static void refused_is_not_there(struct rig *rig, void *arg)
{
    (void)arg;
    assert_true(has(rig, "a") && has(rig, "c"));
    assert_false(has(rig, "b"));
    struct numbers numbers;
    assert_false(err_is(engine_numbers(rig->engine, inbox, &numbers)));
    assert_true(numbers.uid_next >= 1);
}

static void a_refused_group_waits_until_that_is_final(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 12);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, refused_body, NULL));
    rig_crash(&rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, refused_is_not_there, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void read_only_body(struct rig *rig, void *arg)
{
    (void)arg;
    static char value[30000];
    struct fake_fault name = {
        .kind = FAKE_FILE_RENAME, .role = rig->role, .nth = 1, .times = 1000, .error = -EROFS};
    fake_fault_add(rig->fake, &name);
    memset(value, 'x', sizeof(value) - 1);
    struct err e = err_none();
    for (int i = 0; i < 20 && !err_is(e); i++)
        e = put(rig, "a", value);
    assert_int_equal(e.code, ERR_STORE_READ_ONLY);
    assert_true(status_of(rig).read_only);
    assert_true(has(rig, "a"));
    assert_int_equal(put(rig, "b", "1").code, ERR_STORE_READ_ONLY);
    fake_fault_remove(rig->fake, &name);
    fiber_sleep_until(rig->loop, rig->loop->now + LOCAL_RETRY_AFTER + NS_PER_SECOND);
    assert_false(status_of(rig).read_only);
    assert_string_equal(status_of(rig).why, "");
    assert_int_equal(put(rig, "b", "1").code, ERR_NONE);
}

/* A test's body on a fiber of an engine in a fresh store. */
static void on_engine(struct rig *rig, void (*body)(struct rig *, void *))
{
    assert_true(rig_open(rig));
    assert_true(rig_do(rig, body, NULL));
    rig_close(rig);
    rig_done(rig);
}

static void read_only_ends_by_itself(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 13);
    rig.settings.prefill = false; /* else the first segment is left before the fault */
    on_engine(&rig, read_only_body);
}

struct unknown {
    struct fake_fault sync, name;
    struct commit commit;
    struct op op;
    struct err err;
    bool done;
    bool lie; /* of the sync: what is not on the disk counts as written */
};

static void unknown_done(struct commit *commit, struct err e)
{
    struct unknown *unknown = commit->arg;
    unknown->err = e;
    unknown->done = true;
}

static void unknown_body(struct rig *rig, void *arg)
{
    struct unknown *unknown = arg;
    unknown->sync = (struct fake_fault){
        .kind = FAKE_FILE_SYNC, .role = rig->role, .nth = 1, .error = -EIO, .lie = unknown->lie};
    unknown->name = (struct fake_fault){
        .kind = FAKE_FILE_RENAME, .role = rig->role, .nth = 1, .times = 1000, .error = -EROFS};
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND);
    fake_fault_add(rig->fake, &unknown->sync);
    fake_fault_add(rig->fake, &unknown->name);
    unknown->op = (struct op){.kind = OP_PUT, .partition = inbox, .key = STR("a")};
    unknown->commit = (struct commit){.ops = &unknown->op, .op_count = 1, .done = unknown_done};
    unknown->commit.arg = unknown;
    engine_commit(rig->engine, &unknown->commit);
    fiber_sleep_until(rig->loop, rig->loop->now + 10 * NS_PER_SECOND);
    assert_false(unknown->done);
}

/* The close once hung on a commit whose refusal could not be made final. */
static void what_cannot_be_refused_for_good_is_not_known_at_the_close(void **state)
{
    (void)state;
    struct rig rig;
    struct unknown unknown = {.done = false};
    rig_init(&rig, 18);
    rig.settings.prefill = false; /* else the first segment is left before the fault */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, unknown_body, &unknown));
    rig_close(&rig);
    assert_true(unknown.done);
    assert_int_equal(unknown.err.code, ERR_SHUTTING_DOWN);
    fake_fault_remove(rig.fake, &unknown.sync);
    fake_fault_remove(rig.fake, &unknown.name);
    assert_true(rig_open(&rig));
    rig_close(&rig);
    rig_done(&rig);
}

/* Three commits: one that flies, one that is ordered on top of it, one that fails its turn there.
 */
struct stacked {
    bool fails; /* the one that flies */
    struct op ops[4];
    struct commit commits[3];
    struct err errs[3];
    size_t left;
    struct wait wait;
};

static void stacked_done(struct commit *commit, struct err e)
{
    struct stacked *stacked = commit->arg;
    stacked->errs[commit - stacked->commits] = e;
    if (--stacked->left == 0)
        wait_over(&stacked->wait);
}

static void stacked_commit(struct rig *rig, struct stacked *stacked, size_t which, size_t op,
                           size_t count)
{
    stacked->commits[which] = (struct commit){
        .ops = &stacked->ops[op], .op_count = count, .done = stacked_done, .arg = stacked};
    stacked->left++;
    engine_commit(rig->engine, &stacked->commits[which]);
}

static void stacked_body(struct rig *rig, void *arg)
{
    struct stacked *stacked = arg;
    const struct local *local = local_of(rig->engine);
    struct fake_fault sync = {.kind = FAKE_FILE_SYNC, .role = rig->role, .nth = 1, .error = -EIO};
    assert_false(err_is(put(rig, "a", "1")));
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND); /* the spare is made */
    if (stacked->fails)
        fake_fault_add(rig->fake, &sync);
    struct op below = {.kind = OP_APPEND, .partition = inbox, .key = STR("b")};
    struct op above = {.kind = OP_APPEND, .partition = inbox, .key = STR("c")};
    stacked->ops[0] = below;
    stacked->ops[1] = above;
    stacked->ops[2] =
        (struct op){.kind = OP_NEED_ABSENT, .partition = inbox, .key = STR("b\0\0\0\1")};
    stacked->ops[3] = (struct op){.kind = OP_PUT, .partition = inbox, .key = STR("d")};
    stacked_commit(rig, stacked, 0, 0, 1);
    while (!local->flying)
        fiber_sleep_until(rig->loop, rig->loop->now);
    stacked_commit(rig, stacked, 1, 1, 1);
    stacked_commit(rig, stacked, 2, 2, 2);
    while (local->flying && local->next->part_count == 0)
        fiber_sleep_until(rig->loop, rig->loop->now);
    assert_non_null(local->flying);
    assert_int_equal(stacked->left, 3); /* nobody was told anything yet */
    wait_for(&stacked->wait);
    if (stacked->fails)
        fake_fault_remove(rig->fake, &sync);
}

static bool appended(struct rig *rig, struct str key)
{
    struct arena arena;
    struct entry entry;
    arena_init(&arena, 10000);
    struct err e = engine_get(rig->engine, inbox, key, &arena, &entry);
    arena_done(&arena);
    return !err_is(e);
}

static void stacked_is_there(struct rig *rig, void *arg)
{
    const struct stacked *stacked = arg;
    assert_true(has(rig, "a"));
    assert_int_equal(appended(rig, STR("b\0\0\0\1")), !stacked->fails);
    assert_true(appended(rig, STR("c\0\0\0\2")));
    assert_int_equal(has(rig, "d"), stacked->fails);
}

static void stacked_goes(bool fails, const enum err_code errs[3], const uint32_t uids[2])
{
    struct rig rig;
    struct stacked stacked = {.fails = fails};
    rig_init(&rig, 12);
    rig.settings.prefill = false; /* else a segment is begun between the groups */
    fake_world_settings(rig.fake)->job_most = NS_PER_SECOND;
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, stacked_body, &stacked));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(stacked.errs[i].code, errs[i]);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(stacked.ops[i].uid, uids[i]);
    rig_crash(&rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, stacked_is_there, &stacked));
    rig_close(&rig);
    rig_done(&rig);
}

static void a_group_on_top_of_one_that_fails_goes_back(void **state)
{
    (void)state;
    static const enum err_code well[] = {ERR_NONE, ERR_NONE, ERR_CONFLICT};
    static const enum err_code not_well[] = {ERR_DISK_FAILED, ERR_NONE, ERR_NONE};
    stacked_goes(false, well, (const uint32_t[]){1, 2});
    /* The UID of the one that failed is not given again. */
    stacked_goes(true, not_well, (const uint32_t[]){0, 2});
}

static void the_unknown_counts(struct rig *rig, void *arg)
{
    (void)arg;
    assert_true(has(rig, "a"));
    assert_false(err_is(put(rig, "b", "1")));
}

static void both_are_there(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(status_of(rig).read_only);
    assert_true(has(rig, "a") && has(rig, "b"));
}

/*
 * After a failed sync the kernel showed the group to the next process, and a second sync claimed
 * success: the group was promised, others followed it, and the next power cut left a hole in the
 * log.
 */
static void what_a_failed_sync_left_is_written_again_before_it_counts(void **state)
{
    (void)state;
    struct rig rig;
    struct unknown unknown = {.lie = true};
    rig_init(&rig, 19);
    rig.settings.prefill = false; /* else the first segment is left before the fault */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, unknown_body, &unknown));
    rig_kill(&rig);
    assert_false(unknown.done);
    fake_fault_remove(rig.fake, &unknown.sync);
    fake_fault_remove(rig.fake, &unknown.name);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, the_unknown_counts, NULL));
    rig_crash(&rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, both_are_there, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void goes_on_elsewhere(struct rig *rig, void *arg)
{
    (void)arg;
    assert_true(has(rig, "a"));
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND); /* a file is filled ahead */
    assert_false(err_is(put(rig, "b", "1")));
    assert_true(local_of(rig->engine)->segment->sequence > 1);
}

/* What a killed process had written and not synced is promised by the next one, whose own groups
 * may lie in another file. */
static void what_was_not_synced_is_before_the_log_goes_on_elsewhere(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig rig;
        struct unknown unknown = {.lie = false};
        rig_init(&rig, seed);
        rig.settings.prefill = false; /* else the first segment is left before the fault */
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, unknown_body, &unknown));
        rig_kill(&rig);
        fake_fault_remove(rig.fake, &unknown.sync);
        fake_fault_remove(rig.fake, &unknown.name);
        rig.settings.prefill = true; /* and now it is left */
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, goes_on_elsewhere, NULL));
        rig_crash(&rig);
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, both_are_there, NULL));
        rig_close(&rig);
        rig_done(&rig);
    }
}

static void full_body(struct rig *rig, void *arg)
{
    (void)arg;
    blob_id blob;
    assert_false(err_is(put(rig, "a", "1")));
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND);
    fake_disk_set_capacity(rig->disk, fake_disk_used(rig->disk) + 500000);
    fiber_sleep_until(rig->loop, rig->loop->now + LOCAL_FREE_AGE);
    assert_int_equal(put(rig, "b", "1").code, ERR_DISK_FULL);
    assert_int_equal(put_body(rig, "b", &blob).code, ERR_DISK_FULL);
    assert_true(status_of(rig).full);
    assert_true(str_find(str_from(status_of(rig).why), STR("least_free")) >= 0);
    assert_true(has(rig, "a"));
    struct op op = {.kind = OP_REMOVE, .partition = inbox, .key = STR("a")};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_int_equal(engine_commit_wait(rig->engine, &commit).code, ERR_NONE);
    fake_disk_set_capacity(rig->disk, 0);
    fiber_sleep_until(rig->loop, rig->loop->now + LOCAL_FREE_AGE);
    assert_false(status_of(rig).full);
    assert_string_equal(status_of(rig).why, "");
    assert_int_equal(put(rig, "b", "1").code, ERR_NONE);
}

static void a_full_disk_still_takes_removals(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 14);
    rig.settings.least_free = 1000000;
    on_engine(&rig, full_body);
}

/* --- An index that is watched, slow or broken ------------------------------------------------ */

struct spy {
    struct index index;
    struct index *inner;
    struct index_ops ops;
    bool broken;
    int writes;
    bool submitted; /* a round, and its write has not begun */
    struct local *local;
    int turn; /* counted by a task at each turn's end */
    int last_done_turn;
    struct task count;
    struct loop *loop;
};

static struct spy *the_spy;

static struct err spy_write(struct index *index, const struct index_change *changes, size_t count,
                            struct log_position position)
{
    (void)index;
    the_spy->writes++;
    if (the_spy->broken)
        return err_make(ERR_DISK_FAILED);
    the_spy->submitted = false;
    return the_spy->inner->ops->write(the_spy->inner, changes, count, position);
}

static struct err spy_view_begin(struct index *index, struct index_view **view_r)
{
    (void)index;
    return the_spy->inner->ops->view_begin(the_spy->inner, view_r);
}

static void spy_view_end(struct index *index, struct index_view *view)
{
    (void)index;
    the_spy->inner->ops->view_end(the_spy->inner, view);
}

static void spy_close(struct index *index)
{
    (void)index;
    the_spy->inner->ops->close(the_spy->inner);
}

static void spy_init(struct spy *spy, struct rig *rig)
{
    *spy = (struct spy){0};
    assert_false(err_is(index_map_open(&spy->inner)));
    spy->ops = *spy->inner->ops;
    spy->ops.write = spy_write;
    spy->ops.view_begin = spy_view_begin;
    spy->ops.view_end = spy_view_end;
    spy->ops.close = spy_close;
    spy->index.ops = &spy->ops;
    rig->index = &spy->index;
    the_spy = spy;
}

static void broken_index_body(struct rig *rig, void *arg)
{
    struct spy *spy = arg;
    static char value[3000];
    memset(value, 'x', sizeof(value) - 1);
    spy->broken = true;
    struct err e = err_none();
    char key[8];
    int taken = 0;
    for (; taken < 200 && !err_is(e); taken++) {
        (void)snprintf(key, sizeof(key), "%d", taken);
        e = put(rig, key, value);
    }
    assert_int_equal(e.code, ERR_STORE_READ_ONLY);
    assert_true(taken > 30 && taken < 60); /* overlay_hard is 100,000 */
    assert_true(has(rig, "0"));
    assert_true(spy->writes > 0);
    assert_true(str_find(str_from(status_of(rig).why), STR("index")) >= 0);
    spy->broken = false;
    fiber_sleep_until(rig->loop, rig->loop->now + 2 * LOCAL_RETRY_AFTER);
    assert_int_equal(put(rig, "more", value).code, ERR_NONE);
    assert_false(err_is(local_apply_now(rig->engine)));
    assert_int_equal(status_of(rig).overlay_bytes, 0);
    assert_string_equal(status_of(rig).why, "");
}

static void the_overlay_has_a_cap(void **state)
{
    (void)state;
    struct rig rig;
    struct spy spy;
    rig_init(&rig, 15);
    rig.settings.overlay_soft = 20000;
    rig.settings.overlay_hard = 100000;
    spy_init(&spy, &rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, broken_index_body, &spy));
    rig_close(&rig);
    rig_done(&rig);
}

static void many_values_body(struct rig *rig, void *arg)
{
    static char value[3000];
    (void)arg;
    memset(value, 'x', sizeof(value) - 1);
    char key[8];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(put(rig, key, value).code, ERR_NONE);
    }
}

/* Commits once waited for the applier by asking again in every turn. */
static void waiting_for_a_slow_index_is_idle(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 19);
    rig.settings.overlay_soft = 20000;
    rig.settings.overlay_hard = 30000;
    fake_world_settings(rig.fake)->job_most = NS_PER_SECOND / 5;
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, many_values_body, NULL));
    assert_true(rig.fake->steps < 3000);
    rig_close(&rig);
    rig_done(&rig);
}

static void turn_ends(struct task *task)
{
    struct spy *spy = task->arg;
    spy->turn++;
    loop_at_turn_end(spy->loop, task);
}

static void note_done(struct commit *commit, struct err e)
{
    struct pair *pair = commit->arg;
    the_spy->last_done_turn = the_spy->turn;
    assert_false(err_is(e));
    wait_over(pair->wait);
}

/* A thread might begin at once. */
static int round_submitted(struct fake_hook *hook, const struct fake_call *call)
{
    struct spy *spy = hook->arg;
    if (call->kind == FAKE_LANE_SUBMIT && spy->local->applying && !spy->submitted) {
        spy->submitted = true;
        assert_true(spy->last_done_turn < spy->turn);
    }
    return 0;
}

static void turns_body(struct rig *rig, void *arg)
{
    struct spy *spy = arg;
    spy->loop = rig->loop;
    spy->count = (struct task){.run = turn_ends, .arg = spy};
    loop_at_turn_end(rig->loop, &spy->count);
    spy->local = local_of(rig->engine);
    struct fake_hook hook = {.before = round_submitted, .arg = spy};
    fake_hook_add(rig->fake, &hook);
    for (int i = 0; i < 200; i++) {
        struct wait wait = {0};
        struct pair pair = {.wait = &wait};
        pair.op = (struct op){.kind = OP_PUT, .partition = inbox, .key = STR("k")};
        pair.op.value = STR("v");
        pair.commit = (struct commit){.ops = &pair.op, .op_count = 1, .done = note_done};
        pair.commit.arg = &pair;
        engine_commit(rig->engine, &pair.commit);
        wait_for(&wait);
        if (i % 3 == 0)
            assert_false(err_is(local_apply_now(rig->engine)));
    }
    task_cancel(rig->loop, &spy->count);
    fake_hook_remove(rig->fake, &hook);
}

/* Core finds the tokens of what it has not answered yet in the log's tail. */
static void nothing_is_applied_in_the_turn_of_its_reply(void **state)
{
    (void)state;
    struct rig rig;
    struct spy spy;
    rig_init(&rig, 16);
    rig.settings.overlay_soft = 1;
    spy_init(&spy, &rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, turns_body, &spy));
    rig_close(&rig);
    assert_true(spy.writes > 50);
    rig_done(&rig);
}

/* --- Tags ------------------------------------------------------------------------------------ */

static void tags_body(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(err_is(put_tagged(rig, "a", "1", "first")));
    assert_false(err_is(local_apply_now(rig->engine)));
    assert_false(err_is(put_tagged(rig, "b", "1", "second")));
    assert_false(err_is(put_tagged(rig, "c", "1", NULL)));
    struct op op = {.kind = OP_APPEND, .partition = inbox, .key = STR("m")};
    struct commit commit = {.ops = &op, .op_count = 1, .tag = STR("third")};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
}

static void tag_seen(void *arg, struct str tag, const struct op *ops, size_t count)
{
    struct buf *seen = arg;
    buf_printf(seen, "%.*s:%zu:%.*s:%u ", STR_FMT(tag), count, STR_FMT(ops[0].key), ops[0].uid);
}

static void tags_above_the_index_are_shown(void **state)
{
    (void)state;
    struct rig rig;
    struct buf seen = BUF_INIT(1000);
    rig_init(&rig, 17);
    rig.replayed = tag_seen;
    rig.replayed_arg = &seen;
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, tags_body, NULL));
    rig_crash(&rig);
    assert_int_equal(seen.n, 0);
    assert_true(rig_open(&rig));
    assert_str(buf_str(&seen), STR("second:1:b:0 third:1:m:1 "));
    rig_close(&rig);
    buf_done(&seen);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_bodies_have_files_of_their_own),
        cmocka_unit_test(a_refused_commit_gives_its_upload_back),
        cmocka_unit_test(a_refused_group_waits_until_that_is_final),
        cmocka_unit_test(a_group_on_top_of_one_that_fails_goes_back),
        cmocka_unit_test(read_only_ends_by_itself),
        cmocka_unit_test(what_cannot_be_refused_for_good_is_not_known_at_the_close),
        cmocka_unit_test(what_a_failed_sync_left_is_written_again_before_it_counts),
        cmocka_unit_test(what_was_not_synced_is_before_the_log_goes_on_elsewhere),
        cmocka_unit_test(a_full_disk_still_takes_removals),
        cmocka_unit_test(the_overlay_has_a_cap),
        cmocka_unit_test(waiting_for_a_slow_index_is_idle),
        cmocka_unit_test(nothing_is_applied_in_the_turn_of_its_reply),
        cmocka_unit_test(tags_above_the_index_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
