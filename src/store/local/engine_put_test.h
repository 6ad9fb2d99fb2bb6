/* For tests of the engine: entries and bodies put by one call. */
#ifndef STORE_LOCAL_ENGINE_PUT_TEST_H
#define STORE_LOCAL_ENGINE_PUT_TEST_H

#include "store/local/engine_rig_test.h"

static const struct partition inbox = {PARTITION_MAILBOX, 1};

enum {
    BODY = 40000
};

/* A commit among others that are waited for together. */
struct pair {
    struct commit commit;
    struct op op;
    int *left;
    struct wait *wait;
    struct err *err;
};

static inline struct err put_tagged(struct rig *rig, const char *key, const char *value,
                                    const char *tag)
{
    struct op op = {
        .kind = OP_PUT, .partition = inbox, .key = str_from(key), .value = str_from(value)};
    struct commit commit = {.ops = &op, .op_count = 1, .tag = str_from(tag)};
    return engine_commit_wait(rig->engine, &commit);
}

static inline struct err put(struct rig *rig, const char *key, const char *value)
{
    return put_tagged(rig, key, value, NULL);
}

static inline bool has(struct rig *rig, const char *key)
{
    struct arena arena;
    struct entry entry;
    arena_init(&arena, 100000);
    struct err e = engine_get(rig->engine, inbox, str_from(key), &arena, &entry);
    assert_true(!err_is(e) || e.code == ERR_NOT_FOUND);
    arena_done(&arena);
    return !err_is(e);
}

static inline struct local_status status_of(struct rig *rig)
{
    struct local_status status;
    local_status(rig->engine, &status);
    return status;
}

static inline struct err put_body(struct rig *rig, const char *key, blob_id *blob_r)
{
    static char body[BODY];
    for (size_t i = 0; i < BODY; i++)
        body[i] = (char)(i % 251);
    struct iovec part = {body, BODY};
    struct blob_put blob = {.blob = engine_blob_new(rig->engine),
                            .head = STR("the head"),
                            .body = &part,
                            .body_parts = 1};
    struct op op = {.kind = OP_PUT, .partition = inbox, .key = str_from(key), .blob = blob.blob};
    struct commit commit = {.ops = &op, .op_count = 1, .blobs = &blob, .blob_count = 1};
    *blob_r = blob.blob;
    return engine_commit_wait(rig->engine, &commit);
}

#endif
