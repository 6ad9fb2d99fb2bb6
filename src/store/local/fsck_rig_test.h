/*
 * For fsck's tests: a store with KEYS messages in it, read back octet by octet; fsck, run and
 * counted; damage by hand.
 */
#ifndef STORE_LOCAL_FSCK_RIG_TEST_H
#define STORE_LOCAL_FSCK_RIG_TEST_H

#include "store/local/body_file.h"
#include "store/local/engine_rig_test.h"
#include "store/local/fsck.h"

enum {
    KEYS = 40,
    LARGE = ENGINE_BODY_INLINE_MAX + 20000,
    PATH_ROOM = 64,
};

static const struct partition inbox = {PARTITION_MAILBOX, 1};

/* --- A filled store: key i has a body of body_size(i) octets -----------------------------------
 */

static inline size_t body_size(unsigned key)
{
    return key % 20 == 19 ? (size_t)LARGE : 300 + key * 531;
}

static inline unsigned char octet_of(unsigned key, size_t at)
{
    return (unsigned char)(((key + 1) * 2654435761U + at * 40503U) >> 7);
}

static inline struct str key_of(unsigned key, char to[16])
{
    int n = snprintf(to, 16, "key%04u", key);
    return str_make(to, (size_t)n);
}

static inline void key_put(struct rig *rig, unsigned key)
{
    char name[16];
    size_t n = body_size(key);
    unsigned char *body = malloc(n);
    for (size_t i = 0; i < n; i++)
        body[i] = octet_of(key, i);
    struct iovec part = {body, n};
    struct blob_put put = {.blob = engine_blob_new(rig->engine),
                           .head = key_of(key, name),
                           .body = &part,
                           .body_parts = 1};
    if (n > ENGINE_BODY_INLINE_MAX) {
        assert_false(err_is(engine_upload_open(rig->engine, put.blob, &put.upload)));
        assert_false(err_is(engine_upload_write(rig->engine, put.upload, str_make(body, n))));
        assert_false(err_is(engine_upload_finish(rig->engine, put.upload)));
        put.body = NULL;
        put.body_parts = 0;
    }
    struct op ops[] = {{.kind = OP_PUT,
                        .partition = inbox,
                        .key = key_of(key, name),
                        .value = STR("value"),
                        .blob = put.blob},
                       {.kind = OP_PUT,
                        .partition = {PARTITION_ACCOUNT, key},
                        .key = STR("plain"),
                        .value = STR("no blob")}};
    struct commit commit = {.ops = ops, .op_count = 2, .blobs = &put, .blob_count = 1};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
    free(body);
}

static inline void fill(struct rig *rig, void *arg)
{
    (void)arg;
    for (unsigned key = 0; key < KEYS; key++)
        key_put(rig, key);
    assert_false(err_is(local_apply_now(rig->engine)));
}

struct reading {
    unsigned right, damaged, gone;
};

/* What is served is right, whatever is broken. */
static inline void read_all(struct rig *rig, void *arg)
{
    struct reading *reading = arg;
    static unsigned char body[LARGE];
    struct arena arena;
    char name[16];
    arena_init(&arena, 1024 * 1024);
    *reading = (struct reading){0};
    for (unsigned key = 0; key < KEYS; key++) {
        struct entry entry = {0};
        struct str head = {0};
        struct err e = engine_get(rig->engine, inbox, key_of(key, name), &arena, &entry);
        if (e.code == ERR_NOT_FOUND) {
            reading->gone++;
            continue;
        }
        if (!err_is(e)) {
            assert_str(entry.value, STR("value"));
            e = engine_blob_head(rig->engine, entry.blob, &arena, &head);
        }
        if (!err_is(e)) {
            assert_str(head, key_of(key, name));
            e = engine_blob_read(rig->engine, entry.blob, 0, body, body_size(key));
        }
        for (size_t i = 0; i < body_size(key) && !err_is(e); i++)
            if (body[i] != octet_of(key, i))
                fail();
        /* NOT_FOUND: the blob's own header is damaged, so it was not seen when the log was read. */
        if (err_is(e) && e.code != ERR_STORE_DAMAGED && e.code != ERR_NOT_FOUND)
            fail_msg("%s %.*s", err_row(e.code)->name, STR_FMT(e.detail));
        reading->right += !err_is(e);
        reading->damaged += err_is(e);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* --- Calling it --------------------------------------------------------------------------------
 */

struct fsck_call {
    bool repair;
    uint64_t findings, mended;
    bool tell;
};

static inline void count_finding(void *arg, struct str what, bool mended)
{
    struct fsck_call *call = arg;
    call->mended += mended;
    if (call->tell)
        print_message("%s%.*s\n", mended ? "mended: " : "", STR_FMT(what));
}

static inline void fsck_run(struct rig *rig, void *arg)
{
    struct fsck_call *call = arg;
    call->mended = 0;
    struct err e = local_fsck(rig->engine, call->repair, count_finding, call, &call->findings);
    if (err_is(e))
        print_error("fsck: %s %.*s\n", err_row(e.code)->name, STR_FMT(e.detail));
    assert_false(err_is(e));
}

static inline uint64_t fsck_findings(struct rig *rig)
{
    struct fsck_call call = {.tell = getenv("TELL") != NULL};
    assert_true(rig_do(rig, fsck_run, &call));
    return call.findings;
}

/* Mends all that is found; the next look finds nothing. */
static inline uint64_t fsck_mends(struct rig *rig)
{
    struct fsck_call call = {.repair = true, .tell = getenv("TELL") != NULL};
    assert_true(rig_do(rig, fsck_run, &call));
    assert_true(call.findings > 0);
    assert_true(call.mended == call.findings);
    assert_int_equal(fsck_findings(rig), 0);
    return call.findings;
}

static inline struct reading reading_of(struct rig *rig)
{
    struct reading reading;
    assert_true(rig_do(rig, read_all, &reading));
    return reading;
}

static inline void store_open(struct rig *rig)
{
    rig_init(rig, 3);
    rig->settings.prefill = false;
    assert_true(rig_open(rig));
    assert_true(rig_do(rig, fill, NULL));
}

static inline void store_reopen_without_index(struct rig *rig)
{
    rig_close(rig);
    assert_true(rig_open(rig));
}

static inline void store_close(struct rig *rig)
{
    rig_close(rig);
    rig_done(rig);
}

/* --- Damage by hand ----------------------------------------------------------------------------
 */

static inline struct place place_of(struct rig *rig, unsigned key, blob_id *blob_r)
{
    struct local *local = local_of(rig->engine);
    char name[16];
    struct layers layers;
    struct place place = {0};
    struct str value, octets;
    struct index_key entry = key_entry(inbox, key_of(key, name));
    fake_role_enter(rig->fake, rig->role);
    assert_false(err_is(read_begin(local, &layers)));
    assert_true(layers_get(&layers, index_key_str(&entry), &value));
    assert_true(value_entry_decode(value, blob_r, &octets));
    struct index_key place_key = key_place(*blob_r);
    assert_true(layers_get(&layers, index_key_str(&place_key), &value));
    assert_true(value_place_decode(value, &place));
    assert_false(err_is(read_end(local, &layers)));
    fake_role_enter(rig->fake, 0);
    return place;
}

static inline void flip(struct rig *rig, struct str path, uint64_t bit)
{
    char octet;
    assert_int_equal(fake_disk_peek(rig->disk, path, &octet, 1, bit / 8), 1);
    octet = (char)(octet ^ (1 << (bit % 8)));
    assert_int_equal(fake_disk_poke(rig->disk, path, str_make(&octet, 1), bit / 8), 0);
}

static inline struct str segment_path(uint64_t sequence, char to[PATH_ROOM])
{
    char name[SEGMENT_NAME_MAX];
    struct str s = segment_name(sequence, name);
    int n = snprintf(to, PATH_ROOM, "log/%.*s", STR_FMT(s));
    return str_make(to, (size_t)n);
}

static inline void flip_at_blob(struct rig *rig, unsigned key, uint64_t octet)
{
    blob_id blob;
    char path[PATH_ROOM];
    struct place place = place_of(rig, key, &blob);
    flip(rig, segment_path(place.segment, path), (place.offset + octet) * 8 + 3);
}

#endif
