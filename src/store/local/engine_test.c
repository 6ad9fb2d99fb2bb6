/* The local engine, one promise of store/engine.h after the other. */
#include <errno.h>

#include "store/local/engine_rig_test.h"

static const struct partition inbox = {PARTITION_MAILBOX, 1};
static const struct partition other = {PARTITION_MAILBOX, 2};

static struct err commit_ops(struct rig *rig, struct op *ops, size_t count)
{
    struct commit commit = {.ops = ops, .op_count = count};
    return engine_commit_wait(rig->engine, &commit);
}

static struct err put(struct rig *rig, struct partition partition, const char *key,
                      const char *value, blob_id blob)
{
    struct op op = {.kind = OP_PUT,
                    .partition = partition,
                    .key = str_from(key),
                    .value = str_from(value),
                    .blob = blob};
    return commit_ops(rig, &op, 1);
}

static struct err removed(struct rig *rig, struct partition partition, const char *key)
{
    struct op op = {.kind = OP_REMOVE, .partition = partition, .key = str_from(key)};
    return commit_ops(rig, &op, 1);
}

/* The value of a key, or NULL; valid until the next call. */
static const char *value_of(struct rig *rig, struct partition partition, const char *key)
{
    static char text[1000];
    struct arena arena;
    struct entry entry;
    arena_init(&arena, 100000);
    struct err e = engine_get(rig->engine, partition, str_from(key), &arena, &entry);
    assert_true(!err_is(e) || e.code == ERR_NOT_FOUND);
    (void)snprintf(text, sizeof(text), "%.*s", STR_FMT(err_is(e) ? STR("") : entry.value));
    arena_done(&arena);
    return err_is(e) ? NULL : text;
}

/* Puts a body of n octets under `key` of the inbox. */
static blob_id put_body(struct rig *rig, const char *key, size_t n)
{
    char *body = malloc(n + 1);
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)(i % 251);
    struct iovec part = {body, n};
    struct blob_put blob = {.blob = engine_blob_new(rig->engine),
                            .head = STR("the head"),
                            .body = &part,
                            .body_parts = 1};
    struct op op = {.kind = OP_PUT,
                    .partition = inbox,
                    .key = str_from(key),
                    .value = STR("v"),
                    .blob = blob.blob};
    struct commit commit = {.ops = &op, .op_count = 1, .blobs = &blob, .blob_count = 1};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
    free(body);
    return blob.blob;
}

static struct err read_body(struct rig *rig, blob_id blob, size_t at, size_t n)
{
    unsigned char *body = malloc(n + 1);
    assert_non_null(body);
    struct err e = engine_blob_read(rig->engine, blob, at, body, n);
    for (size_t i = 0; i < n && !err_is(e); i++)
        assert_int_equal(body[i], (at + i) % 251);
    free(body);
    return e;
}

/* --- Tests ----------------------------------------------------------------------------------- */

/* A test's body on a fiber of an engine in a fresh store. */
static void on_engine(void (*body)(struct rig *, void *))
{
    struct rig rig;
    rig_init(&rig, 1);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, body, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void put_get_remove_body(struct rig *rig, void *arg)
{
    (void)arg;
    assert_null(value_of(rig, inbox, "a"));
    assert_false(err_is(put(rig, inbox, "a", "one", 0)));
    assert_string_equal(value_of(rig, inbox, "a"), "one");
    assert_null(value_of(rig, other, "a"));
    assert_false(err_is(put(rig, inbox, "a", "two", 0)));
    assert_string_equal(value_of(rig, inbox, "a"), "two");
    assert_false(err_is(removed(rig, inbox, "a")));
    assert_null(value_of(rig, inbox, "a"));
    assert_false(err_is(removed(rig, inbox, "a")));
    struct local_status status;
    local_status(rig->engine, &status);
    assert_int_equal(status.entries, 0);
    assert_int_equal(status.commits, 4);
}

static void put_get_remove(void **state)
{
    (void)state;
    on_engine(put_get_remove_body);
}

static size_t scan_count(struct rig *rig, const char *from, const char *until, size_t limit,
                         char *keys_r)
{
    struct arena arena;
    struct entry *entries;
    size_t count;
    arena_init(&arena, 1000000);
    assert_false(err_is(engine_scan(rig->engine, inbox, str_from(from), str_from(until), limit,
                                    &arena, &entries, &count)));
    for (size_t i = 0; i < count; i++)
        keys_r[i] = entries[i].key.p[0];
    keys_r[count] = '\0';
    arena_done(&arena);
    return count;
}

/* Rows in the index, in the overlay, and tombstones over the index. */
static void scan_merges_body(struct rig *rig, void *arg)
{
    (void)arg;
    char keys[100];
    for (const char *k = "bdfhj"; *k; k++)
        assert_false(err_is(put(rig, inbox, (char[]){*k, 0}, "old", 0)));
    assert_false(err_is(put(rig, other, "a", "x", 0)));
    assert_false(err_is(local_apply_now(rig->engine)));
    struct local_status status;
    local_status(rig->engine, &status);
    assert_int_equal(status.overlay_bytes, 0);
    assert_false(err_is(put(rig, inbox, "c", "new", 0)));
    assert_false(err_is(put(rig, inbox, "d", "new", 0)));
    assert_false(err_is(removed(rig, inbox, "f")));
    assert_false(err_is(removed(rig, inbox, "j")));
    assert_int_equal(scan_count(rig, "", NULL, 50, keys), 4);
    assert_string_equal(keys, "bcdh");
    assert_string_equal(value_of(rig, inbox, "d"), "new");
    assert_int_equal(scan_count(rig, "c", "h", 50, keys), 2);
    assert_string_equal(keys, "cd");
    assert_int_equal(scan_count(rig, "", NULL, 2, keys), 2);
    assert_string_equal(keys, "bc");
    assert_int_equal(scan_count(rig, "z", NULL, 2, keys), 0);
    assert_false(err_is(local_apply_now(rig->engine)));
    assert_int_equal(scan_count(rig, "", NULL, 50, keys), 4);
    assert_string_equal(keys, "bcdh");
}

static void scan_merges_overlay_and_index(void **state)
{
    (void)state;
    on_engine(scan_merges_body);
}

static void needs_body(struct rig *rig, void *arg)
{
    (void)arg;
    struct op absent[] = {
        {.kind = OP_NEED_ABSENT, .partition = inbox, .key = STR("a")},
        {.kind = OP_PUT, .partition = inbox, .key = STR("a"), .value = STR("1")},
    };
    assert_int_equal(commit_ops(rig, absent, 2).code, ERR_NONE);
    assert_int_equal(commit_ops(rig, absent, 2).code, ERR_CONFLICT);
    struct op value[] = {
        {.kind = OP_PUT, .partition = inbox, .key = STR("b"), .value = STR("2")},
        {.kind = OP_NEED_VALUE, .partition = inbox, .key = STR("a"), .value = STR("0")},
    };
    assert_int_equal(commit_ops(rig, value, 2).code, ERR_CONFLICT);
    assert_null(value_of(rig, inbox, "b"));
    value[1].value = STR("1");
    assert_int_equal(commit_ops(rig, value, 2).code, ERR_NONE);
    struct op present[] = {
        {.kind = OP_NEED_PRESENT, .partition = other, .key = STR("a")},
        {.kind = OP_REMOVE, .partition = inbox, .key = STR("a")},
    };
    assert_int_equal(commit_ops(rig, present, 2).code, ERR_CONFLICT);
    assert_string_equal(value_of(rig, inbox, "a"), "1");
    present[0].partition = inbox;
    assert_int_equal(commit_ops(rig, present, 2).code, ERR_NONE);
    assert_int_equal(commit_ops(rig, present, 2).code, ERR_CONFLICT);
}

static void preconditions(void **state)
{
    (void)state;
    on_engine(needs_body);
}

static void numbers_body(struct rig *rig, void *arg)
{
    (void)arg;
    for (uint32_t i = 1; i <= 3; i++) {
        struct op ops[] = {
            {.kind = OP_APPEND,
             .partition = inbox,
             .key = STR("m"),
             .value = STR("........x"),
             .stamp = true},
            {.kind = OP_APPEND, .partition = inbox, .key = STR("m"), .value = STR("y")},
            {.kind = OP_APPEND, .partition = other, .key = STR(""), .value = STR("z")},
        };
        assert_false(err_is(commit_ops(rig, ops, 3)));
        assert_int_equal(ops[0].uid, 2 * i - 1);
        assert_int_equal(ops[1].uid, 2 * i);
        assert_int_equal(ops[2].uid, i);
        assert_int_equal(ops[0].modseq, i);
    }
    struct numbers numbers;
    assert_false(err_is(engine_numbers(rig->engine, inbox, &numbers)));
    assert_int_equal(numbers.uid_next, 7);
    assert_int_equal(numbers.modseq_next, 4);
    struct arena arena;
    struct entry entry;
    arena_init(&arena, 10000);
    assert_false(err_is(engine_get(rig->engine, inbox, str_make("m\0\0\0\5", 5), &arena, &entry)));
    assert_str(entry.value, str_make("\3\0\0\0\0\0\0\0x", 9));
    arena_done(&arena);
    struct partition never = {PARTITION_QUEUE, 9};
    assert_false(err_is(engine_numbers(rig->engine, never, &numbers)));
    assert_int_equal(numbers.uid_next, 1);
    assert_int_equal(numbers.modseq_next, 1);
}

static void numbers_are_given_in_order(void **state)
{
    (void)state;
    on_engine(numbers_body);
}

static void add_body(struct rig *rig, void *arg)
{
    (void)arg;
    unsigned char row[16] = {5,    0,    0,    0,    0,    0,    0,    0,
                             0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct op ops[] = {
        {.kind = OP_ADD, .partition = inbox, .key = STR("sum"), .value = str_make(row, 8)},
        {.kind = OP_ADD, .partition = inbox, .key = STR("sum"), .value = str_make(row, 16)},
        {.kind = OP_ADD, .partition = inbox, .key = STR("sum"), .value = str_make(row, 16)},
    };
    assert_false(err_is(commit_ops(rig, ops, 3)));
    assert_int_equal(commit_ops(rig, ops, 1).code, ERR_CONFLICT); /* fewer than there are */
    struct arena arena;
    struct entry entry;
    arena_init(&arena, 10000);
    assert_false(err_is(engine_get(rig->engine, inbox, STR("sum"), &arena, &entry)));
    row[0] = 15;
    row[8] = 0xfe;
    assert_str(entry.value, str_make(row, 16));
    arena_done(&arena);
}

static void add_sums_rows(void **state)
{
    (void)state;
    on_engine(add_body);
}

static void blobs_body(struct rig *rig, void *arg)
{
    (void)arg;
    static const size_t sizes[] = {0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        blob_id blob = put_body(rig, "a", sizes[i]);
        uint64_t head, body;
        assert_false(err_is(engine_blob_size(rig->engine, blob, &head, &body)));
        assert_int_equal(head, 8);
        assert_int_equal(body, sizes[i]);
        assert_false(err_is(read_body(rig, blob, 0, sizes[i])));
        if (sizes[i] > 3)
            assert_false(err_is(read_body(rig, blob, 1, sizes[i] - 2)));
        assert_int_equal(read_body(rig, blob, 1, sizes[i]).code, ERR_OVER_LIMIT);
        struct arena arena;
        struct str text;
        arena_init(&arena, 10000);
        assert_false(err_is(engine_blob_head(rig->engine, blob, &arena, &text)));
        assert_str(text, STR("the head"));
        arena_done(&arena);
    }
}

/* In one reading, up to a limit on head and body together. */
static void whole_body(struct rig *rig, void *arg)
{
    (void)arg;
    static const size_t sizes[] = {0, 1, CHUNK_SIZE, CHUNK_SIZE + 1, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        blob_id blob = put_body(rig, "a", sizes[i]);
        struct arena arena;
        struct str head, body;
        char *octets = calloc(1, sizes[i] + 1);
        arena_init(&arena, 120000);
        size_t all = 8 + sizes[i];
        assert_int_equal(engine_blob_whole(rig->engine, blob, all - 1, &arena, &head, &body).code,
                         ERR_OVER_LIMIT);
        for (size_t most = all; most <= all + 1; most++) {
            arena_reset(&arena);
            assert_false(err_is(engine_blob_whole(rig->engine, blob, most, &arena, &head, &body)));
            assert_str(head, STR("the head"));
            assert_false(err_is(engine_blob_read(rig->engine, blob, 0, octets, sizes[i])));
            assert_int_equal(body.n, sizes[i]);
            assert_memory_equal(body.p, octets, sizes[i]);
        }
        arena_done(&arena);
        arena_init(&arena, 40);
        assert_int_equal(engine_blob_whole(rig->engine, blob, all, &arena, &head, &body).code,
                         ERR_NO_MEMORY);
        arena_done(&arena);
        free(octets);
    }
    struct arena arena;
    struct str head, body;
    arena_init(&arena, 1000);
    assert_int_equal(engine_blob_whole(rig->engine, 99, 1000, &arena, &head, &body).code,
                     ERR_NOT_FOUND);
    arena_done(&arena);
}

static void blobs_are_read_whole(void **state)
{
    (void)state;
    on_engine(whole_body);
}

static void blobs_are_read_by_range(void **state)
{
    (void)state;
    on_engine(blobs_body);
}

static void owners_body(struct rig *rig, void *arg)
{
    (void)arg;
    uint64_t head, body;
    blob_id first = put_body(rig, "a", 10);
    assert_false(err_is(put(rig, other, "copy", "v", first)));
    blob_id second = put_body(rig, "a", 20); /* lets go of the first */
    assert_false(err_is(read_body(rig, first, 0, 10)));
    assert_false(err_is(removed(rig, other, "copy")));
    assert_int_equal(engine_blob_size(rig->engine, first, &head, &body).code, ERR_NOT_FOUND);
    assert_int_equal(put(rig, other, "copy", "v", first).code, ERR_CONFLICT);
    /* A move in one commit, removed first. */
    struct op move[] = {
        {.kind = OP_REMOVE, .partition = inbox, .key = STR("a")},
        {.kind = OP_PUT, .partition = other, .key = STR("a"), .value = STR("v"), .blob = second},
    };
    assert_false(err_is(commit_ops(rig, move, 2)));
    assert_false(err_is(read_body(rig, second, 0, 20)));
    assert_false(err_is(put(rig, other, "a", "changed", second)));
    assert_false(err_is(read_body(rig, second, 0, 20)));
    struct local_status status;
    local_status(rig->engine, &status);
    assert_int_equal(status.blobs, 1);
    assert_true(status.bytes_live > 0);
    /* What nothing was written to counted as dead. */
    assert_true(status.bytes_dead < 64 * 1024);
    assert_true(status.bytes_unused > status.bytes_dead);
    assert_false(err_is(put(rig, other, "a", "without", 0)));
    local_status(rig->engine, &status);
    assert_int_equal(status.blobs, 0);
    assert_int_equal(status.bytes_live, 0);
}

static void a_blob_lives_as_long_as_its_owners(void **state)
{
    (void)state;
    on_engine(owners_body);
}

struct many {
    struct commit commit;
    struct op op;
    char key[16];
    int *left;
    struct wait *wait;
};

static void one_of_many_done(struct commit *commit, struct err e)
{
    struct many *one = commit->arg;
    assert_false(err_is(e));
    if (--*one->left == 0)
        wait_over(one->wait);
}

enum {
    MANY = GROUP_RECORDS_MAX + 1
};

/* As many commits in one turn of the loop, each of a value of its own key. */
static void many_at_once(struct rig *rig, int count, struct str value)
{
    static struct many many[MANY];
    struct wait wait = {0};
    int left = count;
    assert_true(count <= MANY);
    for (int i = 0; i < count; i++) {
        struct many *one = &many[i];
        *one = (struct many){.left = &left, .wait = &wait};
        (void)snprintf(one->key, sizeof(one->key), "%04d", i);
        one->op = (struct op){.kind = OP_PUT, .partition = inbox, .key = str_from(one->key)};
        one->op.value = value;
        one->commit = (struct commit){.ops = &one->op, .op_count = 1, .done = one_of_many_done};
        one->commit.arg = one;
        engine_commit(rig->engine, &one->commit);
    }
    wait_for(&wait);
}

struct sync_count {
    struct fake_hook hook;
    int writes, syncs;
};

static void count_sync(struct fake_hook *hook, const struct fake_call *call)
{
    struct sync_count *count = hook->arg;
    count->writes += call->kind == FAKE_FILE_WRITE;
    count->syncs += call->kind == FAKE_FILE_SYNC;
}

static void one_sync_body(struct rig *rig, void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) { /* a spare is made; the next segment is begun, and another made */
        fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND);
        assert_false(err_is(put(rig, inbox, "first", "value", 0)));
    }
    struct sync_count count = {.hook = {.after = count_sync, .arg = &count}};
    fake_hook_add(rig->fake, &count.hook);
    many_at_once(rig, 200, STR("value"));
    fake_hook_remove(rig->fake, &count.hook);
    assert_int_equal(count.writes, 1);
    assert_int_equal(count.syncs, 1);
}

static void one_write_and_one_sync_for_a_group(void **state)
{
    (void)state;
    on_engine(one_sync_body);
}

enum {
    LARGE = 64 * 1024 /* octets of a large record */
};

/* A value, in zeroes, whose record has LARGE octets. */
static struct str large_value(void)
{
    static char octets[LARGE];
    struct op op = {.kind = OP_PUT,
                    .partition = inbox,
                    .key = STR("0000"),
                    .value = str_make(octets, LARGE - 1000)};
    struct commit commit = {.ops = &op, .op_count = 1};
    op.value.n += LARGE - RECORD_HEADER_SIZE - deltas_size(&commit);
    assert_int_equal(RECORD_HEADER_SIZE + deltas_size(&commit), LARGE);
    return op.value;
}

struct at_once {
    int commits;
    bool large;
    uint64_t room; /* for records in a segment */
    uint64_t groups, segments;
};

static void at_once_body(struct rig *rig, void *arg)
{
    const struct at_once *row = arg;
    struct local_status before, after;
    local_status(rig->engine, &before);
    many_at_once(rig, row->commits, row->large ? large_value() : STR("value"));
    local_status(rig->engine, &after);
    assert_int_equal(after.groups - before.groups, row->groups);
    assert_int_equal(local_of(rig->engine)->segment->sequence, row->segments);
}

static void groups_have_limits(void **state)
{
    (void)state;
    static const uint64_t wide = 2 * GROUP_OCTETS_MAX;
    const struct at_once rows[] = {
        {GROUP_RECORDS_MAX, false, wide, 1, 1},
        {GROUP_RECORDS_MAX + 1, false, wide, 2, 1},
        {GROUP_OCTETS_MAX / LARGE, true, wide, 1, 1},
        {GROUP_OCTETS_MAX / LARGE + 1, true, wide, 2, 1},
        {4, true, (uint64_t)4 * LARGE, 1, 1},
        {5, true, (uint64_t)4 * LARGE, 2, 2},
        {4, true, (uint64_t)4 * LARGE - RECORD_ALIGN, 2, 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct at_once row = rows[i];
        rig_init(&rig, 22);
        rig.settings.prefill = false;
        rig.settings.segment_size = SEGMENT_HEADER_SIZE + row.room;
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, at_once_body, &row));
        rig_close(&rig);
        rig_done(&rig);
    }
}

static void two_puts(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(err_is(put(rig, inbox, "a", "while nothing is filled ahead", 0)));
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND);
    assert_false(err_is(put(rig, inbox, "b", "when a file is", 0)));
}

/* Every sync of a new store's first segment waited for the file system's journal as well, until 64
 * MB were full. */
static void a_growing_segment_is_left_for_one_that_was_filled_ahead(void **state)
{
    (void)state;
    for (int prefill = 0; prefill < 2; prefill++) {
        struct rig rig;
        rig_init(&rig, 21);
        rig.settings.prefill = prefill;
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, two_puts, NULL));
        int64_t second = fake_disk_size(rig.disk, STR("log/0000000000000002.seg"));
        assert_int_equal(second, prefill ? RIG_SEGMENT : -ENOENT);
        rig_close(&rig);
        rig_done(&rig);
    }
}

enum {
    SPARE_STEP = 64 * 1024, /* what is filled at least */
    SPARES_LOOKED_FOR = 16
};

/* The size of the only spare file, or -ENOENT. */
static int64_t spare_size(struct rig *rig)
{
    for (int i = 1; i < SPARES_LOOKED_FOR; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "log/spare-%d", i);
        int64_t size = fake_disk_size(rig->disk, str_from(name));
        if (size >= 0)
            return size;
    }
    return -ENOENT;
}

static void put_octets(struct rig *rig, void *arg)
{
    static char value[ENGINE_VALUE_MAX / 2];
    size_t octets = *(size_t *)arg;
    memset(value, 'x', sizeof(value) - 1);
    for (size_t put_so_far = 0; put_so_far < octets; put_so_far += sizeof(value))
        assert_false(err_is(put(rig, inbox, "key", value, 0)));
    fiber_sleep_until(rig->loop, rig->loop->now + NS_PER_SECOND);
}

/* Filled at once it held the disk for a third of a second, and what came then waited. */
static void a_spare_is_filled_as_the_log_goes_on(void **state)
{
    (void)state;
    struct rig rig;
    size_t one = 1, some = RIG_SEGMENT / 4, more = RIG_SEGMENT / 4, most = RIG_SEGMENT / 2;
    rig_init(&rig, 22);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, two_puts, NULL)); /* in the second segment now */
    assert_true(rig_do(&rig, put_octets, &one));
    assert_int_equal(spare_size(&rig), SPARE_STEP);
    rig_crash(&rig);
    assert_true(rig_open(&rig)); /* a part of a spare is none */
    assert_true(rig_do(&rig, put_octets, &some));
    int64_t size = spare_size(&rig);
    assert_true(size > RIG_SEGMENT / 2 && size < RIG_SEGMENT);
    assert_true(rig_do(&rig, put_octets, &more));
    assert_int_equal(spare_size(&rig), RIG_SEGMENT);
    assert_true(rig_do(&rig, put_octets, &most)); /* in the third */
    assert_int_equal(fake_disk_size(rig.disk, STR("log/0000000000000003.seg")), RIG_SEGMENT);
    size = spare_size(&rig);
    assert_true(size >= SPARE_STEP && size < RIG_SEGMENT);
    rig_close(&rig);
    rig_done(&rig);
}

/* --- Body files that are read --- */

enum {
    LARGE_BODY = ENGINE_BODY_INLINE_MAX + 100000,
    RANGE = 64 * 1024,
    LARGE_BODIES = LOCAL_BODY_FILES + 6,
};

struct open_count {
    struct fake_hook hook;
    int opened, closed;
};

static void count_open(struct fake_hook *hook, const struct fake_call *call)
{
    struct open_count *count = hook->arg;
    count->opened += call->kind == FAKE_FILE_OPEN && str_starts(call->name, STR("bodies/"));
    count->closed += call->kind == FAKE_CLOSE;
}

static blob_id large_put(struct rig *rig, unsigned number)
{
    static char body[LARGE_BODY];
    char key[16];
    memset(body, (int)('a' + number % 26), sizeof body);
    (void)snprintf(key, sizeof key, "large%u", number);
    struct blob_put put = {.blob = engine_blob_new(rig->engine), .head = STR("head")};
    assert_false(err_is(engine_upload_open(rig->engine, put.blob, &put.upload)));
    assert_false(err_is(engine_upload_write(rig->engine, put.upload, str_make(body, sizeof body))));
    assert_false(err_is(engine_upload_finish(rig->engine, put.upload)));
    struct op op = {.kind = OP_PUT, .partition = inbox, .key = str_from(key), .blob = put.blob};
    struct commit commit = {.ops = &op, .op_count = 1, .blobs = &put, .blob_count = 1};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
    return put.blob;
}

static void large_read(struct rig *rig, blob_id blob, unsigned number)
{
    static char range[RANGE];
    for (uint64_t at = 0; at + RANGE <= LARGE_BODY; at += RANGE) {
        assert_false(err_is(engine_blob_read(rig->engine, blob, at, range, RANGE)));
        assert_int_equal(range[0], 'a' + number % 26);
    }
}

static void large_body(struct rig *rig, void *arg)
{
    (void)arg;
    blob_id blobs[LARGE_BODIES];
    for (unsigned i = 0; i < LARGE_BODIES; i++)
        blobs[i] = large_put(rig, i);
    struct open_count count = {.hook = {.after = count_open, .arg = &count}};
    fake_hook_add(rig->fake, &count.hook);
    large_read(rig, blobs[0], 0);
    assert_int_equal(count.opened, 1);
    /* More than are kept: those least lately used are closed. */
    for (unsigned i = 0; i < LARGE_BODIES; i++)
        large_read(rig, blobs[i], i);
    assert_int_equal(count.opened, LARGE_BODIES);
    assert_int_equal(count.closed, LARGE_BODIES - LOCAL_BODY_FILES);
    /* A round of the applier lets them go: their bodies may have died. */
    assert_false(err_is(local_apply_now(rig->engine)));
    assert_int_equal(count.closed, LARGE_BODIES);
    fake_hook_remove(rig->fake, &count.hook);
}

static void a_body_file_is_opened_once_for_all_its_ranges(void **state)
{
    (void)state;
    on_engine(large_body);
}

static void watched(struct partition_watch *watch)
{
    ++*(int *)watch->arg;
}

static void watch_body(struct rig *rig, void *arg)
{
    (void)arg;
    int in = 0, out = 0;
    struct partition_watch a = {.partition = inbox, .changed = watched, .arg = &in};
    struct partition_watch b = {.partition = other, .changed = watched, .arg = &out};
    engine_watch(rig->engine, &a);
    engine_watch(rig->engine, &b);
    assert_false(err_is(put(rig, inbox, "a", "v", 0)));
    assert_int_equal(in, 1);
    assert_int_equal(out, 0);
    engine_unwatch(rig->engine, &a);
    assert_false(err_is(put(rig, inbox, "a", "v", 0)));
    assert_false(err_is(put(rig, other, "a", "v", 0)));
    assert_int_equal(in, 1);
    assert_int_equal(out, 1);
    engine_unwatch(rig->engine, &b);
}

static void watches_wake(void **state)
{
    (void)state;
    on_engine(watch_body);
}

static void limits_body(struct rig *rig, void *arg)
{
    (void)arg;
    static char long_key[ENGINE_KEY_MAX + 1], long_value[ENGINE_VALUE_MAX + 1];
    struct op op = {.kind = OP_PUT, .partition = inbox};
    op.key = str_make(long_key, ENGINE_KEY_MAX);
    op.value = str_make(long_value, ENGINE_VALUE_MAX);
    assert_int_equal(commit_ops(rig, &op, 1).code, ERR_NONE);
    op.key.n++;
    assert_int_equal(commit_ops(rig, &op, 1).code, ERR_OVER_LIMIT);
    op.key.n--;
    op.value.n++;
    assert_int_equal(commit_ops(rig, &op, 1).code, ERR_OVER_LIMIT);
    op.kind = OP_APPEND;
    op.value.n = 1;
    assert_int_equal(commit_ops(rig, &op, 1).code, ERR_OVER_LIMIT);
    op.key.n = ENGINE_KEY_MAX - 4;
    assert_int_equal(commit_ops(rig, &op, 1).code, ERR_NONE);
    /* Five of the longest values are more than a segment of 256 KB holds. */
    struct op five[5];
    for (int i = 0; i < 5; i++)
        five[i] = (struct op){.kind = OP_PUT,
                              .partition = inbox,
                              .key = str_make(&"abcde"[i], 1),
                              .value = str_make(long_value, ENGINE_VALUE_MAX)};
    assert_int_equal(commit_ops(rig, five, 5).code, ERR_OVER_LIMIT);
    assert_int_equal(commit_ops(rig, five, 3).code, ERR_NONE);
}

static void limits(void **state)
{
    (void)state;
    on_engine(limits_body);
}

/* --- Opening again --------------------------------------------------------------------------- */

static void fill_body(struct rig *rig, void *arg)
{
    (void)arg;
    char key[8];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "k%02d", i);
        (void)put_body(rig, key, 30000);
    }
}

static void look_body(struct rig *rig, void *arg)
{
    (void)arg;
    struct arena arena;
    struct entry *entries;
    size_t count;
    arena_init(&arena, 1000000);
    assert_false(err_is(
        engine_scan(rig->engine, inbox, STR(""), str_null(), 100, &arena, &entries, &count)));
    assert_int_equal(count, 40);
    for (size_t i = 0; i < count; i++)
        assert_false(err_is(read_body(rig, entries[i].blob, 0, 30000)));
    arena_done(&arena);
    /* Numbers go on. */
    assert_int_equal(engine_blob_new(rig->engine), 41);
}

/* Through several segments; the index is kept, lost, or behind. */
static void survives(bool crash, bool lose_index, bool apply)
{
    struct rig rig;
    rig_init(&rig, 2);
    if (apply)
        rig.settings.overlay_soft = 1;
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, fill_body, NULL));
    assert_true(rig.engine && segment_last(&local_of(rig.engine)->segments)->sequence > 3);
    if (crash)
        rig_crash(&rig);
    else
        rig_close(&rig);
    if (lose_index && rig.index) {
        rig.index->ops->close(rig.index);
        rig.index = NULL;
    }
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, look_body, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void what_was_closed_is_there(void **state)
{
    (void)state;
    survives(false, true, false);
}

static void what_was_done_survives_a_power_cut(void **state)
{
    (void)state;
    survives(true, false, false);
    survives(true, false, true);
}

static void a_lost_index_is_rebuilt_from_the_log(void **state)
{
    (void)state;
    survives(true, true, false);
    survives(true, true, true);
}

static void a_second_process_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    assert_true(rig_open(&rig));
    struct rig second = rig;
    second.index = NULL;
    assert_false(rig_open(&second));
    assert_int_equal(second.opened.code, ERR_STORE_LOCKED);
    rig_end_role(&second);
    rig_close(&rig);
    rig_done(&rig);
}

static void a_later_version_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 4);
    assert_true(rig_open(&rig));
    rig_close(&rig);
    assert_int_equal(fake_disk_poke(rig.disk, STR("version"), STR("veredus store 2\n"), 0), 0);
    assert_false(rig_open(&rig));
    assert_int_equal(rig.opened.code, ERR_CONFIG);
    rig_end_role(&rig);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_get_remove),
        cmocka_unit_test(scan_merges_overlay_and_index),
        cmocka_unit_test(preconditions),
        cmocka_unit_test(numbers_are_given_in_order),
        cmocka_unit_test(add_sums_rows),
        cmocka_unit_test(blobs_are_read_by_range),
        cmocka_unit_test(blobs_are_read_whole),
        cmocka_unit_test(a_blob_lives_as_long_as_its_owners),
        cmocka_unit_test(one_write_and_one_sync_for_a_group),
        cmocka_unit_test(groups_have_limits),
        cmocka_unit_test(a_growing_segment_is_left_for_one_that_was_filled_ahead),
        cmocka_unit_test(a_spare_is_filled_as_the_log_goes_on),
        cmocka_unit_test(a_body_file_is_opened_once_for_all_its_ranges),
        cmocka_unit_test(watches_wake),
        cmocka_unit_test(limits),
        cmocka_unit_test(what_was_closed_is_there),
        cmocka_unit_test(what_was_done_survives_a_power_cut),
        cmocka_unit_test(a_lost_index_is_rebuilt_from_the_log),
        cmocka_unit_test(a_second_process_is_refused),
        cmocka_unit_test(a_later_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
