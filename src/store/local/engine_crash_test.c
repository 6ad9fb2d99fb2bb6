/*
 * Random commits against a model, through kills, power cuts, failing calls and lost indexes, from
 * many seeds. The oracle is a plain list of entries: after every start it must equal what was
 * acknowledged, followed by some of the commits that were under way, whole and in order; nothing
 * that was reported as failed is ever seen again.
 */
#include <errno.h>

#include "store/local/engine_rig_test.h"

enum {
    SEEDS = 16,
    COMMITS = 2000, /* of one seed */
    EPISODE = 120,  /* commits between two starts */
    BATCH = 6,
    PARTITIONS = 3,
    KEYS = 12,
    OPS = 3,
    KEY_ROOM = 12,
    VALUE_ROOM = 80,
    ENTRIES_MAX = 4000,
};

/* --- The model ------------------------------------------------------------------------------- */

struct model_entry {
    uint64_t partition;
    char key[KEY_ROOM];
    size_t key_n;
    char value[VALUE_ROOM];
    size_t value_n;
    blob_id blob;
};

struct model {
    struct model_entry entries[ENTRIES_MAX];
    size_t count;
};

struct trial {
    struct commit commit;
    struct op ops[OPS];
    char keys[OPS][KEY_ROOM], values[OPS][VALUE_ROOM];
    struct blob_put blob;
    struct iovec body;
    struct run *run;
    bool done;
};

struct run {
    struct rig rig;
    uint64_t seed;
    struct model model;   /* what was acknowledged */
    struct trial *trials; /* of this episode, in order */
    size_t trial_count;
    size_t submitted, outstanding, committed;
    uint32_t highest_uid[PARTITIONS + 1];
    size_t starts, faults;
    size_t episode; /* commits between two starts */
};

static struct model_entry *model_find(struct model *model, uint64_t partition, struct str key)
{
    for (size_t i = 0; i < model->count; i++) {
        struct model_entry *entry = &model->entries[i];
        if (entry->partition == partition && str_eq(str_make(entry->key, entry->key_n), key))
            return entry;
    }
    return NULL;
}

static void model_put(struct model *model, uint64_t partition, struct str key, struct str value,
                      blob_id blob)
{
    struct model_entry *entry = model_find(model, partition, key);
    if (!entry) {
        assert_true(model->count < ENTRIES_MAX);
        entry = &model->entries[model->count++];
    }
    *entry = (struct model_entry){
        .partition = partition, .key_n = key.n, .value_n = value.n, .blob = blob};
    memcpy(entry->key, key.p, key.n);
    memcpy(entry->value, value.p, value.n);
}

static void model_remove(struct model *model, uint64_t partition, struct str key)
{
    struct model_entry *entry = model_find(model, partition, key);
    if (entry)
        *entry = model->entries[--model->count];
}

static void model_add(struct model *model, const struct op *op)
{
    struct model_entry *entry = model_find(model, op->partition.id, op->key);
    uint64_t sum = 0, more;
    if (entry)
        memcpy(&sum, entry->value, 8);
    memcpy(&more, op->value.p, 8);
    sum += more;
    model_put(model, op->partition.id, op->key, str_make(&sum, 8), 0);
}

static void model_append(struct model *model, const struct op *op)
{
    char key[KEY_ROOM];
    memcpy(key, op->key.p, op->key.n);
    key_put_u32((unsigned char *)key + op->key.n, op->uid);
    model_put(model, op->partition.id, str_make(key, op->key.n + 4), op->value, op->blob);
}

static void model_apply(struct model *model, const struct trial *trial)
{
    for (size_t i = 0; i < trial->commit.op_count; i++) {
        const struct op *op = &trial->ops[i];
        if (op->kind == OP_PUT)
            model_put(model, op->partition.id, op->key, op->value, op->blob);
        else if (op->kind == OP_REMOVE)
            model_remove(model, op->partition.id, op->key);
        else if (op->kind == OP_ADD)
            model_add(model, op);
        else if (op->kind == OP_APPEND)
            model_append(model, op);
    }
}

static bool model_has_blob(const struct model *model, blob_id blob)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->entries[i].blob == blob)
            return true;
    return false;
}

/* Would the commit pass its turn? */
static bool model_allows(struct model *model, const struct trial *trial)
{
    for (size_t i = 0; i < trial->commit.op_count; i++) {
        const struct op *op = &trial->ops[i];
        const struct model_entry *entry = model_find(model, op->partition.id, op->key);
        if ((op->kind == OP_NEED_ABSENT && entry) || (op->kind == OP_NEED_PRESENT && !entry))
            return false;
        if (op->blob && op->blob != trial->blob.blob && !model_has_blob(model, op->blob))
            return false;
    }
    return true;
}

/* --- Commits --------------------------------------------------------------------------------- */

static char blob_octet(blob_id blob, size_t at)
{
    return (char)(blob * 31 + at * 7 + at / 256);
}

static size_t blob_length(blob_id blob)
{
    return blob % 16 == 0 ? 20000 + blob % 20000 : blob * 37 % 900;
}

static void trial_body(struct run *run, struct trial *trial)
{
    blob_id blob = engine_blob_new(run->rig.engine);
    size_t n = blob_length(blob);
    char *body = malloc(n + 1);
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = blob_octet(blob, i);
    trial->body = (struct iovec){body, n};
    trial->blob =
        (struct blob_put){.blob = blob, .head = STR("head"), .body = &trial->body, .body_parts = 1};
    trial->commit.blobs = &trial->blob;
    trial->commit.blob_count = 1;
}

/* A blob that is referred to somewhere, or 0. */
static blob_id some_blob(struct run *run)
{
    if (run->model.count == 0)
        return 0;
    return run->model.entries[fake_random_below(&run->rig.random, run->model.count)].blob;
}

static void trial_op(struct run *run, struct trial *trial, size_t i)
{
    struct fake_random *random = &run->rig.random;
    static const enum op_kind kinds[] = {OP_PUT,         OP_PUT,          OP_PUT,
                                         OP_REMOVE,      OP_REMOVE,       OP_APPEND,
                                         OP_NEED_ABSENT, OP_NEED_PRESENT, OP_ADD};
    struct op *op = &trial->ops[i];
    *op = (struct op){.kind = kinds[fake_random_below(random, sizeof(kinds) / sizeof(kinds[0]))]};
    op->partition =
        (struct partition){PARTITION_MAILBOX, 1 + fake_random_below(random, PARTITIONS)};
    int n = snprintf(trial->keys[i], KEY_ROOM, "%c%d", op->kind == OP_ADD ? 's' : 'k',
                     (int)fake_random_below(random, KEYS));
    op->key = str_make(trial->keys[i], op->kind == OP_APPEND ? 1 : (size_t)n);
    uint64_t number = fake_random_next(random);
    memcpy(trial->values[i], &number, 8);
    size_t length = 8 + fake_random_below(random, VALUE_ROOM - 8);
    memset(trial->values[i] + 8, 'v', VALUE_ROOM - 8);
    op->value = str_make(trial->values[i], op->kind == OP_ADD ? 8 : length);
    if (op->kind == OP_PUT || op->kind == OP_APPEND)
        op->blob = trial->blob.blob ? trial->blob.blob : some_blob(run);
}

static void trial_done(struct commit *commit, struct err e)
{
    struct trial *trial = commit->arg;
    struct run *run = trial->run;
    assert_false(trial->done);
    trial->done = true;
    run->outstanding--;
    if (err_is(e))
        return;
    run->committed++;
    model_apply(&run->model, trial);
    for (size_t i = 0; i < commit->op_count; i++) {
        const struct op *op = &commit->ops[i];
        if (op->kind != OP_APPEND)
            continue;
        assert_true(op->uid > run->highest_uid[op->partition.id]);
        run->highest_uid[op->partition.id] = op->uid;
    }
}

static void trial_submit(struct run *run)
{
    struct trial *trial = &run->trials[run->trial_count++];
    *trial = (struct trial){.run = run};
    trial->commit.ops = trial->ops;
    trial->commit.op_count = 1 + fake_random_below(&run->rig.random, OPS);
    trial->commit.done = trial_done;
    trial->commit.arg = trial;
    if (fake_random_below(&run->rig.random, 3) == 0)
        trial_body(run, trial);
    for (size_t i = 0; i < trial->commit.op_count; i++)
        trial_op(run, trial, i);
    run->outstanding++;
    run->submitted++;
    engine_commit(run->rig.engine, &trial->commit);
}

/* --- Looking --------------------------------------------------------------------------------- */

static void check_body(struct run *run, blob_id blob)
{
    uint64_t head, body;
    assert_int_equal(engine_blob_size(run->rig.engine, blob, &head, &body).code, ERR_NONE);
    assert_int_equal(body, blob_length(blob));
    char *octets = malloc(body + 1);
    assert_non_null(octets);
    assert_int_equal(engine_blob_read(run->rig.engine, blob, 0, octets, body).code, ERR_NONE);
    for (size_t i = 0; i < body; i++)
        assert_int_equal(octets[i], blob_octet(blob, i));
    free(octets);
}

/* What the engine holds, as a model. */
static void engine_to_model(struct run *run, struct model *model)
{
    model->count = 0;
    for (uint64_t p = 1; p <= PARTITIONS; p++) {
        struct arena arena;
        struct entry *entries;
        size_t count;
        arena_init(&arena, 10000000);
        assert_int_equal(engine_scan(run->rig.engine, (struct partition){PARTITION_MAILBOX, p},
                                     STR(""), str_null(), ENTRIES_MAX, &arena, &entries, &count)
                             .code,
                         ERR_NONE);
        for (size_t i = 0; i < count; i++)
            model_put(model, p, entries[i].key, entries[i].value, entries[i].blob);
        arena_done(&arena);
    }
}

static bool model_same(struct model *a, struct model *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct model_entry *x = &a->entries[i];
        const struct model_entry *y = model_find(b, x->partition, str_make(x->key, x->key_n));
        if (!y || x->blob != y->blob ||
            !str_eq(str_make(x->value, x->value_n), str_make(y->value, y->value_n)))
            return false;
    }
    return true;
}

/* Every commit that was under way is there or not, whole, and none without those before it. */
static bool model_explains(struct run *run, struct model *found)
{
    if (model_same(&run->model, found))
        return true;
    for (size_t i = 0; i < run->trial_count; i++) {
        struct trial *trial = &run->trials[i];
        if (trial->done || !model_allows(&run->model, trial))
            continue;
        model_apply(&run->model, trial);
        if (model_same(&run->model, found))
            return true;
    }
    return false;
}

static size_t model_blobs(const struct model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++) {
        bool first = model->entries[i].blob != 0;
        for (size_t j = 0; j < i && first; j++)
            first = model->entries[j].blob != model->entries[i].blob;
        count += first;
    }
    return count;
}

static void check_run(struct rig *rig, void *arg)
{
    (void)rig;
    struct run *run = arg;
    struct model *found = malloc(sizeof(*found));
    assert_non_null(found);
    struct local_status status;
    local_status(run->rig.engine, &status);
    if (status.damaged)
        fail_msg("seed %llu: damaged: %s", (unsigned long long)run->seed, status.why);
    engine_to_model(run, found);
    if (!model_explains(run, found))
        fail_msg("seed %llu, start %zu: %zu entries, the model has %zu",
                 (unsigned long long)run->seed, run->starts, found->count, run->model.count);
    for (size_t i = 0; i < found->count; i++)
        if (found->entries[i].blob)
            check_body(run, found->entries[i].blob);
    for (uint64_t p = 1; p <= PARTITIONS; p++) {
        struct numbers numbers;
        assert_int_equal(
            engine_numbers(run->rig.engine, (struct partition){PARTITION_MAILBOX, p}, &numbers)
                .code,
            ERR_NONE);
        assert_true(numbers.uid_next > run->highest_uid[p]);
    }
    assert_int_equal(status.entries, found->count);
    assert_int_equal(status.blobs, model_blobs(found));
    free(found);
}

/* --- An episode ------------------------------------------------------------------------------ */

static void work_run(struct rig *rig, void *arg)
{
    struct run *run = arg;
    while (run->trial_count < run->episode) {
        size_t batch = 1 + fake_random_below(&rig->random, BATCH);
        for (size_t i = 0; i < batch && run->trial_count < run->episode; i++)
            trial_submit(run);
        if (fake_random_below(&rig->random, 4) == 0)
            (void)local_apply_now(rig->engine);
        fiber_sleep_until(rig->loop,
                          rig->loop->now + (int64_t)fake_random_below(&rig->random, 3 * NS_PER_MS));
    }
    while (run->outstanding > 0)
        fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND);
}

static void trials_clear(struct run *run)
{
    for (size_t i = 0; i < run->trial_count; i++)
        free(run->trials[i].body.iov_base);
    run->trial_count = 0;
    run->outstanding = 0;
}

static void start_fresh_trials(struct run *run)
{
    for (size_t i = 0; i < run->trial_count; i++)
        free(run->trials[i].body.iov_base);
    /* A killed engine still points to the old ones. */
    rig_bury(run->trials);
    run->trials = calloc(EPISODE, sizeof(*run->trials));
    assert_non_null(run->trials);
    run->trial_count = 0;
    run->outstanding = 0;
}

/* Opens, and again if that was cut off too; checks what is there. */
static void start(struct run *run, bool trouble)
{
    struct rig *rig = &run->rig;
    for (;;) {
        bool opened = rig_open(rig);
        run->starts++;
        if (opened && trouble && fake_random_below(&rig->random, 4) == 0) {
            rig_crash(rig); /* right after recovery */
            continue;
        }
        if (!opened)
            fail_msg("seed %llu: cannot be opened: %d %.*s", (unsigned long long)run->seed,
                     rig->opened.code, STR_FMT(rig->opened.detail));
        break;
    }
    assert_true(rig_do(rig, check_run, run));
}

static void run_init(struct run *run, uint64_t seed)
{
    rig_init(&run->rig, seed);
    run->seed = seed;
    run->episode = EPISODE;
    run->rig.weather.job_most = 2 * NS_PER_MS;
    run->rig.weather.cold = 100000;
    run->rig.settings.overlay_soft = 1000 + fake_random_below(&run->rig.random, 30000);
    run->rig.settings.apply_every = NS_PER_SECOND;
    run->rig.settings.prefill = seed % 2;
    *fake_world_settings(run->rig.fake) = run->rig.weather;
    run->trials = calloc(EPISODE, sizeof(*run->trials));
    assert_non_null(run->trials);
}

static void run_done(struct run *run)
{
    trials_clear(run);
    free(run->trials);
    rig_done(&run->rig);
}

/* Kills at a random call, half of them with a power cut. */
static void crash_seed(struct run *run, uint64_t seed)
{
    run_init(run, seed);
    struct rig *rig = &run->rig;
    while (run->committed < COMMITS) {
        start(run, true);
        start_fresh_trials(run);
        fake_kill_role_at(rig->fake, rig->role, 1 + fake_random_below(&rig->random, 300));
        if (rig_do(rig, work_run, run))
            (void)rig_try_close(rig);
        else
            rig_kill(rig);
        if (fake_random_below(&rig->random, 2) == 0)
            fake_disk_crash(rig->disk, fake_pick_random(&rig->random), FAKE_TEAR_ANY);
        if (rig->index && fake_random_below(&rig->random, 8) == 0) {
            rig->index->ops->close(rig->index);
            rig->index = NULL;
        }
    }
    start(run, false);
    start_fresh_trials(run);
    rig_close(rig);
    run_done(run);
}

/* For longer runs by hand: VEREDUS_SEED=1000 store_engine_crash_test */
static uint64_t first_seed(void)
{
    const char *text = getenv("VEREDUS_SEED");
    uint64_t seed = 1;
    (void)(text && str_to_u64(str_from(text), &seed));
    return seed;
}

static void kills_and_power_cuts(void **state)
{
    (void)state;
    struct run *run = malloc(sizeof(*run));
    assert_non_null(run);
    for (uint64_t seed = first_seed(); seed < first_seed() + SEEDS; seed++) {
        memset(run, 0, sizeof(*run));
        crash_seed(run, seed);
    }
    free(run);
}

/* --- Calls that fail ------------------------------------------------------------------------- */

static void fault_random(struct run *run, struct fake_fault *fault)
{
    static const enum fake_call_kind kinds[] = {FAKE_FILE_SYNC,   FAKE_FILE_SYNC, FAKE_FILE_WRITE,
                                                FAKE_FILE_WRITE,  FAKE_FILE_OPEN, FAKE_FOLDER_SYNC,
                                                FAKE_FILE_RENAME, FAKE_FILE_ZERO, FAKE_FILE_REMOVE,
                                                FAKE_FILE_READ,   FAKE_ANY_CALL};
    static const int errors[] = {-EIO, -ENOSPC, -EIO, -EROFS, -EMFILE, -ENOMEM};
    struct fake_random *random = &run->rig.random;
    *fault = (struct fake_fault){
        .kind = kinds[fake_random_below(random, sizeof(kinds) / sizeof(kinds[0]))],
        .role = run->rig.role,
        .nth = 1 + fake_random_below(random, 40),
        .times = 1 + fake_random_below(random, 3),
        .error = errors[fake_random_below(random, sizeof(errors) / sizeof(errors[0]))],
        .lie = fake_random_below(random, 2),
    };
}

/* What failed was told, and is not there; what was acknowledged is, now and after a power cut. */
static size_t fault_seed(struct run *run, uint64_t seed)
{
    size_t faults;
    run_init(run, seed);
    struct rig *rig = &run->rig;
    while (run->submitted < COMMITS) {
        start(run, false);
        start_fresh_trials(run);
        struct fake_fault fault;
        fault_random(run, &fault);
        fake_fault_add(rig->fake, &fault);
        if (!rig_do(rig, work_run, run))
            fail_msg("seed %llu: hangs", (unsigned long long)seed);
        fake_fault_remove(rig->fake, &fault);
        run->faults += fault.fired;
        assert_true(rig_do(rig, check_run, run));
        if (fake_random_below(&rig->random, 3) > 0)
            rig_crash(rig);
        else if (!rig_try_close(rig))
            fail_msg("seed %llu: cannot be closed", (unsigned long long)seed);
    }
    start(run, false);
    start_fresh_trials(run);
    rig_close(rig);
    faults = run->faults;
    run_done(run);
    return faults;
}

static void failing_calls(void **state)
{
    (void)state;
    size_t faults = 0;
    struct run *run = malloc(sizeof(*run));
    assert_non_null(run);
    for (uint64_t seed = first_seed(); seed < first_seed() + SEEDS; seed++) {
        memset(run, 0, sizeof(*run));
        faults += fault_seed(run, seed);
    }
    assert_true(faults > SEEDS);
    free(run);
}

/* --- Every call ------------------------------------------------------------------------------ */

enum {
    SHORT = 80, /* commits of a run that is repeated for every call it makes */
    CALLS_MAX = 2000
};

static void short_init(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof(*run));
    run_init(run, seed);
    run->episode = SHORT;
    run->rig.settings.overlay_soft = 2000;
    run->rig.settings.segment_size = 64 * 1024;
}

static void short_end(struct run *run)
{
    start(run, false);
    start_fresh_trials(run);
    assert_true(rig_do(&run->rig, work_run, run));
    assert_true(rig_do(&run->rig, check_run, run));
    rig_close(&run->rig);
    run_done(run);
}

/* What comes after the kill, before it all has to be there. */
enum after_kill {
    NOTHING,
    POWER_CUT,
    LIFE_AND_POWER_CUT, /* the next process goes on with what the killed one had not synced */
};

static void life_and_power_cut(struct run *run)
{
    start(run, false);
    start_fresh_trials(run);
    assert_true(rig_do(&run->rig, work_run, run));
    rig_crash(&run->rig);
}

/* False: it came to its end before that call. */
static bool killed_at(struct run *run, uint64_t n, enum after_kill after)
{
    struct rig *rig = &run->rig;
    short_init(run, 1000 + n);
    rig->kill_at = n;
    bool alive = rig_open(rig) && rig_do(rig, work_run, run) && rig_try_close(rig);
    if (!alive && rig->loop)
        rig_kill(rig);
    rig->kill_at = 0;
    if (after == POWER_CUT)
        fake_disk_crash(rig->disk, fake_pick_random(&rig->random), FAKE_TEAR_ANY);
    if (after == LIFE_AND_POWER_CUT)
        life_and_power_cut(run);
    short_end(run);
    return !alive;
}

static void killed_at_every_call(void **state)
{
    (void)state;
    struct run *run = malloc(sizeof(*run));
    assert_non_null(run);
    uint64_t n = 1;
    while (killed_at(run, n, NOTHING) && killed_at(run, n, POWER_CUT) &&
           killed_at(run, n, LIFE_AND_POWER_CUT) && n < CALLS_MAX)
        n++;
    assert_true(n > 60 && n < CALLS_MAX);
    free(run);
}

static bool failed_at(struct run *run, uint64_t n, int error)
{
    struct rig *rig = &run->rig;
    short_init(run, 2000 + n);
    struct fake_fault fault = {.kind = FAKE_ANY_CALL, .nth = n, .error = error};
    rig->fault = &fault;
    bool opened = rig_open(rig);
    rig->fault = NULL;
    if (opened)
        assert_true(rig_do(rig, work_run, run));
    fake_fault_remove(rig->fake, &fault);
    if (opened)
        assert_true(rig_do(rig, check_run, run));
    if (opened)
        rig_crash(rig);
    else
        rig_end_role(rig);
    short_end(run);
    return fault.fired > 0;
}

static void every_call_fails_once(void **state)
{
    (void)state;
    static const int errors[] = {-EIO, -ENOSPC, -ENOMEM};
    struct run *run = malloc(sizeof(*run));
    assert_non_null(run);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        uint64_t n = 1;
        while (failed_at(run, n, errors[i]) && n < CALLS_MAX)
            n++;
        assert_true(n > 60 && n < CALLS_MAX);
    }
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_and_power_cuts),
        cmocka_unit_test(failing_calls),
        cmocka_unit_test(killed_at_every_call),
        cmocka_unit_test(every_call_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
