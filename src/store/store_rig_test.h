/*
 * For tests of what stands on top of the engine: the memory engine (the local engine over the fake
 * world's disk), and a test that runs on a fiber of its role, so that it may wait. Commits can be
 * made to fail: the n-th from now with `fail_in` (TRY_LATER) or `conflict_in` (CONFLICT), all of
 * them where the number is negative.
 *
 * `meanwhile` is what somebody else does between a check and its commit. It may wait.
 *
 * A struct that the tests of a file share begins with a struct store_rig.
 */
#ifndef STORE_STORE_RIG_TEST_H
#define STORE_STORE_RIG_TEST_H

#include "store/local/engine_rig_test.h"

enum {
    STORE_RIG_SEGMENT = 16 * 1024 * 1024 /* the largest commits fit */
};

struct store_rig {
    struct rig rig;
    struct engine *engine;
    int fail_in, conflict_in;
    void (*meanwhile)(struct store_rig *); /* runs once, before the next commit */
    unsigned commits;
    const struct engine_ops *own;
    struct engine_ops hooked;
    void (*body)(void **state);
    void *state;
};

/* The one whose commits are watched; tests run one after another. */
static struct store_rig *store_rig_open_now;

struct failed_commit {
    struct task task;
    struct commit *commit;
    enum err_code code;
};

static inline void failed_commit_done(struct task *task)
{
    struct failed_commit *failed = task->arg;
    failed->commit->done(failed->commit, err_make(failed->code));
    free(failed);
}

static inline bool is_due(int *in)
{
    if (*in > 0)
        return --*in == 0;
    return *in < 0;
}

static inline void watched_commit(struct engine *engine, struct commit *commit)
{
    struct store_rig *store = store_rig_open_now;
    void (*meanwhile)(struct store_rig *) = store->meanwhile;
    store->meanwhile = NULL;
    if (meanwhile)
        meanwhile(store);
    enum err_code code = is_due(&store->fail_in)       ? ERR_TRY_LATER
                         : is_due(&store->conflict_in) ? ERR_CONFLICT
                                                       : ERR_NONE;
    store->commits++;
    if (code == ERR_NONE) {
        store->own->commit(engine, commit);
        return;
    }
    struct failed_commit *failed = calloc(1, sizeof(*failed));
    assert_non_null(failed);
    *failed = (struct failed_commit){
        .task = {.run = failed_commit_done, .arg = failed}, .commit = commit, .code = code};
    loop_soon(store->rig.loop, &failed->task);
}

static inline void store_rig_open(struct store_rig *store)
{
    rig_init(&store->rig, 1);
    store->rig.settings.segment_size = STORE_RIG_SEGMENT;
    assert_true(rig_open(&store->rig));
    store->engine = store->rig.engine;
    store->own = store->engine->ops;
    store->hooked = *store->own;
    store->hooked.commit = watched_commit;
    store->engine->ops = &store->hooked;
    store_rig_open_now = store;
}

static inline void store_rig_close(struct store_rig *store)
{
    /* A failed check jumped off the fiber: nothing here can be closed any more, and what failed is
     * printed after this. */
    if (fiber_current())
        return;
    store->engine->ops = store->own;
    rig_close(&store->rig);
    rig_done(&store->rig);
    store_rig_open_now = NULL;
}

static inline void store_rig_body(struct rig *rig, void *arg)
{
    (void)rig;
    struct store_rig *store = arg;
    store->body(&store->state);
}

/* Runs a test's body on a fiber. */
static inline void store_rig_do(struct store_rig *store, void (*body)(void **state), void *state)
{
    store->body = body;
    store->state = state;
    assert_true(rig_do(&store->rig, store_rig_body, store));
}

/* The test function of all: the body came as the initial state and was kept by the setup. */
static inline void store_rig_test(void **state)
{
    struct store_rig *store = *state;
    store_rig_do(store, store->body, store);
}

#define ON_FIBER(test, setup, teardown)                                                            \
    {                                                                                              \
#test, store_rig_test, setup, teardown, (void *)(uintptr_t)(test)                          \
    }

/* In a setup, before *state is set. */
static inline void store_rig_take_body(struct store_rig *store, void **state)
{
    store->body = (void (*)(void **))(uintptr_t)*state;
}

#endif
