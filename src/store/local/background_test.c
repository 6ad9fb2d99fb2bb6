/* Checkpoints and compaction: what is freed was needed by nobody, whatever happens meanwhile. */
#include "store/local/background.h"

#include <errno.h>

#include "store/local/engine_rig_test.h"

enum {
    KEYS = 120,
    BODY_MOST = 24 * 1024,
    LARGE = ENGINE_BODY_INLINE_MAX + 5000,
    SEEDS = 60,
    LIVES = 5,  /* of one store, each ended by a crash */
    STEPS = 60, /* of one life */
    CALLS_MOST = 300,
};

static const struct partition inbox = {PARTITION_MAILBOX, 1};

/* --- A model: what each key holds --------------------------------------------------------------
 */

struct held {
    bool there;
    uint32_t seed; /* of value, head and body */
    size_t body;
    bool has_blob;
};

struct model {
    struct held keys[KEYS];
    /* A commit that was begun and not answered: old or new, and nothing between. */
    bool pending;
    unsigned pending_key;
    struct held pending_held;
    uint32_t seed;
};

static struct str key_of(unsigned key, char to[16])
{
    int n = snprintf(to, 16, "key%04u", key);
    return str_make(to, (size_t)n);
}

static unsigned char octet_of(uint32_t seed, size_t at)
{
    return (unsigned char)((seed * 2654435761U + at * 40503U) >> 7);
}

static void body_fill(unsigned char *to, uint32_t seed, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = octet_of(seed, at + i);
}

static struct err put_large(struct rig *rig, struct blob_put *put, const unsigned char *body,
                            size_t n)
{
    struct err e = engine_upload_open(rig->engine, put->blob, &put->upload);
    if (!err_is(e))
        e = engine_upload_write(rig->engine, put->upload, str_make(body, n));
    return err_is(e) ? e : engine_upload_finish(rig->engine, put->upload);
}

static struct err held_put(struct rig *rig, unsigned key, const struct held *held)
{
    char name[16];
    char value[16];
    unsigned char *body = malloc(held->body + 1);
    assert_non_null(body);
    body_fill(body, held->seed, 0, held->body);
    int n = snprintf(value, sizeof value, "v%u", held->seed);
    struct iovec part = {body, held->body};
    struct blob_put put = {.head = str_make(value, (size_t)n)};
    struct op op = {.kind = OP_PUT,
                    .partition = inbox,
                    .key = key_of(key, name),
                    .value = str_make(value, (size_t)n)};
    struct commit commit = {.ops = &op, .op_count = 1, .blobs = &put};
    struct err e = err_none();
    if (held->has_blob) {
        put.blob = op.blob = engine_blob_new(rig->engine);
        commit.blob_count = 1;
        if (held->body > ENGINE_BODY_INLINE_MAX) {
            e = put_large(rig, &put, body, held->body);
        } else {
            put.body = &part;
            put.body_parts = 1;
        }
    }
    if (!err_is(e))
        e = engine_commit_wait(rig->engine, &commit);
    free(body);
    return e;
}

static struct err held_remove(struct rig *rig, unsigned key)
{
    char name[16];
    struct op op = {.kind = OP_REMOVE, .partition = inbox, .key = key_of(key, name)};
    struct commit commit = {.ops = &op, .op_count = 1};
    return engine_commit_wait(rig->engine, &commit);
}

static void model_step(struct rig *rig, struct model *model)
{
    unsigned key = (unsigned)fake_random_below(&rig->random, KEYS);
    uint64_t what = fake_random_below(&rig->random, 20);
    struct held held = {.there = what > 6, .seed = ++model->seed, .has_blob = what > 8};
    held.body = held.has_blob ? fake_random_below(&rig->random, BODY_MOST) : 0;
    if (what == 19 && fake_random_below(&rig->random, 4) == 0)
        held.body = LARGE;
    model->pending = true;
    model->pending_key = key;
    model->pending_held = held;
    struct err e = held.there ? held_put(rig, key, &held) : held_remove(rig, key);
    model->pending = false;
    if (!err_is(e))
        model->keys[key] = held;
}

static void body_compare(struct rig *rig, blob_id blob, const struct held *held)
{
    uint64_t head;
    uint64_t n;
    assert_false(err_is(engine_blob_size(rig->engine, blob, &head, &n)));
    assert_int_equal(n, held->body);
    unsigned char *body = malloc(held->body + 1);
    unsigned char *wanted = malloc(held->body + 1);
    body_fill(wanted, held->seed, 0, held->body);
    struct err e = engine_blob_read(rig->engine, blob, 0, body, held->body);
    if (err_is(e))
        print_error("%.*s %.*s\n", STR_FMT(str_from(err_row(e.code)->name)), STR_FMT(e.detail));
    assert_false(err_is(e));
    assert_memory_equal(body, wanted, held->body);
    free(wanted);
    free(body);
}

static bool held_is(const struct held *held, bool found, struct str value)
{
    char wanted[16];
    int n = snprintf(wanted, sizeof wanted, "v%u", held->seed);
    return found == held->there && (!found || str_eq(value, str_make(wanted, (size_t)n)));
}

static void model_compare(struct rig *rig, void *arg)
{
    struct model *model = arg;
    struct arena arena;
    char name[16];
    arena_init(&arena, 1024 * 1024);
    for (unsigned key = 0; key < KEYS; key++) {
        struct entry entry = {0};
        struct err e = engine_get(rig->engine, inbox, key_of(key, name), &arena, &entry);
        assert_true(!err_is(e) || e.code == ERR_NOT_FOUND);
        if (model->pending && model->pending_key == key &&
            held_is(&model->pending_held, !err_is(e), entry.value))
            model->keys[key] = model->pending_held;
        const struct held *held = &model->keys[key];
        assert_true(held_is(held, !err_is(e), entry.value));
        assert_int_equal(entry.blob != 0, held->there && held->has_blob);
        if (entry.blob != 0)
            body_compare(rig, entry.blob, held);
        arena_reset(&arena);
    }
    model->pending = false;
    arena_done(&arena);
}

/* --- Accounting: sums over places --------------------------------------------------------------
 */

enum {
    SEGMENTS_MOST = 2000
};

struct sums {
    struct segment_use segments[SEGMENTS_MOST];
    uint64_t blobs, entries, external;
};

static void sums_make(const struct layers *layers, struct sums *sums)
{
    struct layers_walk walk;
    struct str key, value;
    layers_seek(&walk, layers, STR(""), STR(""));
    while (layers_next(&walk, &key, &value)) {
        struct place place;
        sums->entries += key.p[0] == TABLE_ENTRY;
        if (key.p[0] != TABLE_PLACE)
            continue;
        assert_true(value_place_decode(value, &place));
        assert_true(place.segment < SEGMENTS_MOST);
        sums->segments[place.segment].live += place.in_log;
        sums->segments[place.segment].blobs++;
        sums->blobs++;
        sums->external += place.external ? place.body : 0;
    }
}

static void accounting_is_exact(struct rig *rig, void *arg)
{
    (void)arg;
    struct local *local = local_of(rig->engine);
    struct sums *sums = calloc(1, sizeof *sums);
    struct layers layers;
    struct str value;
    assert_false(err_is(read_begin(local, &layers)));
    sums_make(&layers, sums);
    for (uint64_t s = 0; s < SEGMENTS_MOST; s++) {
        struct index_key key = key_segment(s);
        struct segment_use use = {0};
        if (layers_get(&layers, index_key_str(&key), &value))
            assert_true(value_segment_decode(value, &use));
        assert_true(use.live == sums->segments[s].live);
        assert_true(use.blobs == sums->segments[s].blobs);
        if (use.blobs > 0)
            assert_non_null(segment_find(&local->segments, s));
    }
    struct index_key counts_key = key_counts();
    struct store_counts counts = {0};
    if (layers_get(&layers, index_key_str(&counts_key), &value))
        assert_true(value_counts_decode(value, &counts));
    assert_true(counts.blobs == sums->blobs && counts.entries == sums->entries);
    assert_true(counts.external == sums->external);
    assert_false(err_is(read_end(local, &layers)));
    free(sums);
}

/* --- Tests -------------------------------------------------------------------------------------
 */

static void rig_lose_index(struct rig *rig)
{
    rig_bury(rig->index);
    rig->index = NULL;
}

static void fill_and_thin_out(struct rig *rig, void *arg)
{
    struct model *model = arg;
    for (unsigned key = 0; key < KEYS; key++) {
        struct held held = {.there = true, .seed = ++model->seed, .has_blob = true};
        held.body = key % 40 == 39 ? (size_t)LARGE : 20000;
        assert_false(err_is(held_put(rig, key, &held)));
        model->keys[key] = held;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        if (key % 5 == 0)
            continue;
        assert_false(err_is(held_remove(rig, key)));
        model->keys[key] = (struct held){0};
    }
}

static void compact(struct rig *rig, void *arg)
{
    struct local_status before;
    struct local_status after;
    (void)arg;
    local_status(rig->engine, &before);
    assert_false(err_is(local_compact(rig->engine)));
    local_status(rig->engine, &after);
    assert_true(after.segments < before.segments / 2);
    assert_true(after.compactions == before.compactions + 1);
    assert_true(after.checkpoints > before.checkpoints);
    assert_true(after.blobs == before.blobs && after.entries == before.entries);
}

static void compaction_frees_segments_and_keeps_what_lives(void **state)
{
    (void)state;
    struct rig rig;
    struct model model = {0};
    rig_init(&rig, 7);
    rig.settings.prefill = false;
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, fill_and_thin_out, &model));
    assert_true(rig_do(&rig, compact, NULL));
    assert_true(rig_do(&rig, model_compare, &model));
    assert_true(rig_do(&rig, accounting_is_exact, NULL));
    rig_close(&rig);

    /* The index is deleted: the checkpoint and the log behind it give it back. */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, model_compare, &model));
    assert_true(rig_do(&rig, accounting_is_exact, NULL));
    rig_crash(&rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, model_compare, &model));
    rig_close(&rig);
    rig_done(&rig);
}

static void what_is_free(struct rig *rig, void *arg)
{
    struct local_status status;
    local_status(rig->engine, &status);
    *(uint64_t *)arg = status.segments_free;
}

/* Where segments are filled ahead, one that grew is not written again: each sync of a group behind
 * its end would wait for the file system's journal as well. */
static void a_file_that_ends_early_is_no_spare_where_files_are_filled(void **state)
{
    (void)state;
    for (int prefill = 0; prefill < 2; prefill++) {
        struct rig rig;
        struct model model = {0};
        uint64_t spares = 0, free_files = 0;
        rig_init(&rig, 9);
        rig.settings.prefill = prefill;
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, fill_and_thin_out, &model));
        assert_true(rig_do(&rig, compact, NULL));
        assert_true(rig_do(&rig, what_is_free, &free_files));
        for (int i = 0; i < 100; i++) {
            char name[32];
            int n = snprintf(name, sizeof name, "log/spare-%d", i);
            int64_t size = fake_disk_size(rig.disk, str_make(name, (size_t)n));
            spares += size >= 0;
            assert_true(size < 0 || size == RIG_SEGMENT || !prefill);
        }
        assert_int_equal(spares, free_files);
        assert_true(spares > LOCAL_SPARES);
        rig_close(&rig);
        rig_done(&rig);
    }
}

/* Segments are filled and thinned out again and again: their number stays bounded by itself. */
static void churn(struct rig *rig, void *arg)
{
    struct model *model = arg;
    enum {
        ROUNDS = 30,
        MOST_SEGMENTS = 16
    };
    uint64_t most = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned key = 0; key < KEYS; key++) {
            struct held held = {.there = true, .seed = ++model->seed, .has_blob = true};
            held.body = 5000;
            assert_false(err_is(held_put(rig, key, &held)));
            model->keys[key] = held;
        }
        struct local_status status;
        local_status(rig->engine, &status);
        most = status.segments > most ? status.segments : most;
    }
    struct local_status status;
    local_status(rig->engine, &status);
    assert_true(status.bytes_logged > 50 * (uint64_t)RIG_SEGMENT);
    assert_true(status.compactions > 0);
    assert_true(most < MOST_SEGMENTS);
}

static void compaction_begins_by_itself(void **state)
{
    (void)state;
    struct rig rig;
    struct model model = {0};
    rig_init(&rig, 8);
    rig.settings.overlay_soft = 32 * 1024;
    rig.weather.job_most = NS_PER_MS; /* a pace needs time to pass */
    *fake_world_settings(rig.fake) = rig.weather;
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, churn, &model));
    assert_true(rig_do(&rig, model_compare, &model));
    assert_true(rig_do(&rig, accounting_is_exact, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void tell(void *arg, struct str what, bool mended)
{
    (void)arg;
    (void)mended;
    print_error("fsck: %.*s\n", STR_FMT(what));
}

static void fsck_is_clean(struct rig *rig, void *arg)
{
    uint64_t findings;
    (void)arg;
    assert_false(err_is(local_fsck(rig->engine, false, tell, NULL, &findings)));
    assert_int_equal(findings, 0);
}

/* --- The n-th call fails -----------------------------------------------------------------------
 */

/* A fake world's calls with one that fails; tests run one at a time, so one is enough. */
static struct {
    const struct world_ops *real;
    struct world_ops ops;
    uint64_t left; /* calls before the one that fails; 0: none fails any more */
    uint64_t calls;
} faulty;

static bool strikes(void)
{
    faulty.calls++;
    return faulty.left > 0 && --faulty.left == 0;
}

static int faulty_open(struct world *world, int folder, struct str name, unsigned how)
{
    return strikes() ? -EMFILE : faulty.real->file_open(world, folder, name, how);
}

static ssize_t faulty_read(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    return strikes() ? -EIO : faulty.real->file_read(world, file, to, n, at);
}

static ssize_t faulty_write(struct world *world, int file, const struct iovec *parts, int count,
                            uint64_t at)
{
    return strikes() ? -ENOSPC : faulty.real->file_write(world, file, parts, count, at);
}

static int faulty_sync(struct world *world, int file)
{
    return strikes() ? -EIO : faulty.real->file_sync(world, file);
}

static int faulty_folder_sync(struct world *world, int folder)
{
    return strikes() ? -EIO : faulty.real->folder_sync(world, folder);
}

static int faulty_rename(struct world *world, int folder, struct str from, struct str to)
{
    return strikes() ? -EIO : faulty.real->file_rename(world, folder, from, to);
}

static int faulty_remove(struct world *world, int folder, struct str name)
{
    return strikes() ? -EIO : faulty.real->file_remove(world, folder, name);
}

static int faulty_zero(struct world *world, int file, uint64_t at, uint64_t n)
{
    return strikes() ? -ENOSPC : faulty.real->file_zero(world, file, at, n);
}

static void compact_with_fault(struct rig *rig, void *arg)
{
    struct world *world = &rig->fake->world;
    faulty.real = world->ops;
    faulty.ops = *world->ops;
    faulty.ops.file_open = faulty_open;
    faulty.ops.file_read = faulty_read;
    faulty.ops.file_write = faulty_write;
    faulty.ops.file_sync = faulty_sync;
    faulty.ops.folder_sync = faulty_folder_sync;
    faulty.ops.file_rename = faulty_rename;
    faulty.ops.file_remove = faulty_remove;
    faulty.ops.file_zero = faulty_zero;
    faulty.left = *(uint64_t *)arg;
    faulty.calls = 0;
    world->ops = &faulty.ops;
    struct err e = local_compact(rig->engine);
    world->ops = faulty.real;
    assert_true(*(uint64_t *)arg > 0 || !err_is(e));
    /* Where it failed half way, it works now. A store that went read-only tries again by itself. */
    fiber_sleep_until(rig->loop, rig->loop->now + 2 * LOCAL_RETRY_AFTER);
    e = local_compact(rig->engine);
    assert_false(err_is(e));
}

static uint64_t one_fault(uint64_t nth)
{
    struct rig rig;
    struct model model = {0};
    rig_init(&rig, 7);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, fill_and_thin_out, &model));
    assert_true(rig_do(&rig, compact_with_fault, &nth));
    assert_true(rig_do(&rig, model_compare, &model));
    assert_true(rig_do(&rig, accounting_is_exact, NULL));
    rig_crash(&rig);
    rig_lose_index(&rig);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, model_compare, &model));
    assert_true(rig_do(&rig, fsck_is_clean, NULL));
    rig_close(&rig);
    rig_done(&rig);
    return faulty.calls;
}

static void compaction_stands_any_call_that_fails(void **state)
{
    (void)state;
    uint64_t calls = one_fault(0);
    assert_true(calls > 20);
    for (uint64_t n = 1; n <= calls; n++)
        (void)one_fault(n);
}

/* --- Everything at once ------------------------------------------------------------------------
 */

struct life {
    struct model *model;
    struct fiber_start background;
    bool background_runs;
    struct rig *rig;
    uint64_t what;
};

static void background_work(void *arg)
{
    struct life *life = arg;
    for (unsigned i = 0; i < 3 && life->rig->engine; i++) {
        if (life->what + i % 2 == 0)
            (void)local_checkpoint(life->rig->engine);
        else
            (void)local_compact(life->rig->engine);
    }
    life->background_runs = false;
}

static void live(struct rig *rig, void *arg)
{
    struct life *life = arg;
    for (unsigned i = 0; i < STEPS; i++) {
        if (!life->background_runs && fake_random_below(&rig->random, 6) == 0) {
            life->background_runs = true;
            life->background = (struct fiber_start){.run = background_work, .arg = life};
            life->what = fake_random_below(&rig->random, 2);
            fiber_run(rig->fibers, &life->background);
        }
        if (fake_random_below(&rig->random, 20) == 0)
            (void)local_apply_now(rig->engine);
        model_step(rig, life->model);
    }
    while (life->background_runs)
        fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_MS);
}

static void open_again(struct rig *rig)
{
    assert_true(rig_open(rig));
    struct local_status status;
    fake_role_enter(rig->fake, rig->role);
    local_status(rig->engine, &status);
    fake_role_enter(rig->fake, 0);
    if (status.damaged)
        print_error("damaged: %s\n", status.why);
    assert_false(status.damaged);
}

static void crash_now(struct rig *rig, bool lose_index)
{
    /* A view that was open when the role died keeps the map from ever being swept. */
    bool busy = rig->engine && local_of(rig->engine)->background.busy;
    rig_crash(rig);
    if (lose_index || busy)
        rig_lose_index(rig);
}

static void run_seed(uint64_t seed)
{
    struct rig rig;
    struct model model = {0};
    rig_init(&rig, seed);
    rig.settings.prefill = seed % 2 == 0;
    rig.settings.overlay_soft = 32 * 1024;
    rig.weather.job_most = 20 * NS_PER_MS;
    rig.weather.cold = 200000;
    *fake_world_settings(rig.fake) = rig.weather;
    open_again(&rig);
    for (unsigned i = 0; i < LIVES; i++) {
        struct life *life = calloc(1, sizeof *life);
        *life = (struct life){.model = &model, .rig = &rig};
        rig_bury(life);
        if (fake_random_below(&rig.random, 4) > 0)
            fake_kill_role_at(rig.fake, rig.role, 1 + fake_random_below(&rig.random, CALLS_MOST));
        (void)rig_do(&rig, live, life);
        crash_now(&rig, fake_random_below(&rig.random, 2) == 0);
        open_again(&rig);
        assert_true(rig_do(&rig, model_compare, &model));
        assert_true(rig_do(&rig, accounting_is_exact, NULL));
        assert_true(rig_do(&rig, fsck_is_clean, NULL));
    }
    rig_close(&rig);
    rig_done(&rig);
}

static void commits_checkpoints_compactions_and_crashes_mix(void **state)
{
    (void)state;
    const char *one = getenv("SEED");
    uint64_t seed;
    if (one && str_to_u64(str_from(one), &seed)) {
        run_seed(seed);
        return;
    }
    for (seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compaction_frees_segments_and_keeps_what_lives),
        cmocka_unit_test(a_file_that_ends_early_is_no_spare_where_files_are_filled),
        cmocka_unit_test(compaction_begins_by_itself),
        cmocka_unit_test(compaction_stands_any_call_that_fails),
        cmocka_unit_test(commits_checkpoints_compactions_and_crashes_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
