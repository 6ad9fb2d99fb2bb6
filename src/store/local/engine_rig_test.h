/*
 * For the engine's tests: a local engine in a fake world, driven from the test. rig_do runs a
 * function on a fiber of the engine's role until it returns; rig_crash kills the role and cuts the
 * power; rig_open opens the store that is left.
 *
 * What a killed engine had allocated is kept reachable in `graves`, so that only real leaks count.
 */
#ifndef STORE_LOCAL_ENGINE_RIG_TEST_H
#define STORE_LOCAL_ENGINE_RIG_TEST_H

#include "base/test.h"
#include "store/local/engine_local.h"
#include "sys/fake/call.h"

enum {
    RIG_GRAVES = 8192,
    RIG_SEGMENT = 256 * 1024,
    RIG_VIEWS = 16,
};

/*
 * The map as an index that outlives a killed engine, as a file does: the views that were open then
 * are ended by rig_kill, as the kernel would.
 */
struct rig_index {
    struct index index;
    struct index_ops ops;
    struct index *inner;
    struct index_view *views[RIG_VIEWS];
};

static inline struct index *rig_index_inner(struct index *index)
{
    return ((struct rig_index *)index)->inner;
}

static inline struct err rig_index_write(struct index *index, const struct index_change *changes,
                                         size_t count, struct log_position position)
{
    struct index *inner = rig_index_inner(index);
    return inner->ops->write(inner, changes, count, position);
}

static inline struct err rig_index_view_begin(struct index *index, struct index_view **view_r)
{
    struct rig_index *rig_index = (struct rig_index *)index;
    struct err e = rig_index->inner->ops->view_begin(rig_index->inner, view_r);
    for (size_t i = 0; !err_is(e) && i < RIG_VIEWS; i++)
        if (!rig_index->views[i]) {
            rig_index->views[i] = *view_r;
            break;
        }
    return e;
}

static inline void rig_index_view_end(struct index *index, struct index_view *view)
{
    struct rig_index *rig_index = (struct rig_index *)index;
    for (size_t i = 0; i < RIG_VIEWS; i++)
        if (rig_index->views[i] == view)
            rig_index->views[i] = NULL;
    rig_index->inner->ops->view_end(rig_index->inner, view);
}

static inline struct err rig_index_check(struct index *index)
{
    struct index *inner = rig_index_inner(index);
    return inner->ops->check(inner);
}

static inline struct err rig_index_reset(struct index *index)
{
    struct index *inner = rig_index_inner(index);
    return inner->ops->reset(inner);
}

static inline void rig_index_close(struct index *index)
{
    struct index *inner = rig_index_inner(index);
    inner->ops->close(inner);
    free(index);
}

static inline struct index *rig_index_open(void)
{
    struct rig_index *rig_index = calloc(1, sizeof(*rig_index));
    assert_non_null(rig_index);
    assert_false(err_is(index_map_open(&rig_index->inner)));
    rig_index->ops = *rig_index->inner->ops;
    rig_index->ops.write = rig_index_write;
    rig_index->ops.view_begin = rig_index_view_begin;
    rig_index->ops.view_end = rig_index_view_end;
    rig_index->ops.check = rig_index_check;
    rig_index->ops.reset = rig_index_reset;
    rig_index->ops.close = rig_index_close;
    rig_index->index.ops = &rig_index->ops;
    return &rig_index->index;
}

static inline void rig_index_end_views(struct index *index)
{
    struct rig_index *rig_index = (struct rig_index *)index;
    if (index->ops->close != rig_index_close)
        return; /* the test's own */
    for (size_t i = 0; i < RIG_VIEWS; i++)
        if (rig_index->views[i])
            rig_index_view_end(index, rig_index->views[i]);
}

static void *graves[RIG_GRAVES];
static size_t grave_count;

struct rig {
    struct fake_world *fake;
    struct fake_disk *disk;
    struct fake_random random;
    struct fake_settings weather;
    struct local_settings settings;
    int role;
    bool dead; /* the role was killed by a fault */
    /* Counted from the call of local_open on: the role dies at this call (0: never), and this fault
     * is added. */
    uint64_t kill_at;
    struct fake_fault *fault;
    struct loop *loop;
    struct fiber_pool *fibers;
    struct index *index; /* outlives a crash, unless the test drops it */
    struct engine *engine;
    struct err opened;
    void (*replayed)(void *arg, struct str tag, const struct op *ops, size_t count);
    void *replayed_arg;
};

static inline void rig_bury(void *what)
{
    if (grave_count < RIG_GRAVES)
        graves[grave_count++] = what;
}

struct rig_call {
    struct rig *rig;
    void (*run)(struct rig *, void *);
    void *arg;
    struct fiber_start start;
    bool done;
};

static inline void rig_call_run(void *arg)
{
    struct rig_call *call = arg;
    call->run(call->rig, call->arg);
    call->done = true;
    fake_stop(call->rig->fake);
}

/* False: the role died, or hangs. */
static inline bool rig_do(struct rig *rig, void (*run)(struct rig *, void *), void *arg)
{
    struct rig_call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    *call = (struct rig_call){.rig = rig, .run = run, .arg = arg};
    call->start = (struct fiber_start){.run = rig_call_run, .arg = call};
    fake_role_enter(rig->fake, rig->role);
    fiber_run(rig->fibers, &call->start);
    fake_role_enter(rig->fake, 0);
    if (!fake_role_alive(rig->fake, rig->role)) {
        fake_kill_role(rig->fake, rig->role);
        rig->dead = true;
    }
    while (!call->done && !rig->dead) {
        int64_t until = world_mono(&rig->fake->world) + 100 * NS_PER_SECOND;
        enum fake_end end = fake_run(rig->fake, until);
        rig->dead = !fake_role_alive(rig->fake, rig->role);
        if (end != FAKE_STOPPED)
            break;
    }
    bool done = call->done;
    if (done)
        free(call);
    else
        rig_bury(call);
    return done;
}

static inline void rig_open_run(struct rig *rig, void *arg)
{
    (void)arg;
    int root = fake_root(rig->fake, rig->role, rig->disk);
    rig->opened = local_open(rig->loop, root, rig->index, &rig->settings, true, rig->replayed,
                             rig->replayed_arg, &rig->engine);
}

/* Starts the role and opens the store; rig->opened says how it went. */
static inline bool rig_open(struct rig *rig)
{
    rig->role = fake_role_open(rig->fake, "core");
    rig->dead = false;
    fake_role_enter(rig->fake, rig->role);
    rig->loop = calloc(1, sizeof(*rig->loop));
    assert_non_null(rig->loop);
    assert_int_equal(loop_init(rig->loop, &rig->fake->world), 0);
    rig->fibers = fiber_pool_open(rig->loop, 64);
    assert_non_null(rig->fibers);
    fake_role_enter(rig->fake, 0);
    rig->engine = NULL;
    if (!rig->index)
        rig->index = rig_index_open();
    if (rig->kill_at)
        fake_kill_role_at(rig->fake, rig->role, rig->kill_at);
    if (rig->fault)
        fake_fault_add(rig->fake, rig->fault);
    bool done = rig_do(rig, rig_open_run, NULL);
    if (done && err_is(rig->opened))
        rig->index = NULL; /* it was taken over */
    return done && !rig->dead && !err_is(rig->opened);
}

static inline void rig_init(struct rig *rig, uint64_t seed)
{
    *rig = (struct rig){0};
    rig->disk = fake_disk_open(NULL);
    rig->fake = fake_world_open(seed, &rig->weather);
    fake_random_init(&rig->random, seed, "test");
    local_settings_default(&rig->settings);
    rig->settings.segment_size = RIG_SEGMENT;
    rig->settings.least_free = 0;
}

static inline void rig_close_run(struct rig *rig, void *arg)
{
    (void)arg;
    engine_close(rig->engine);
    rig->engine = NULL;
    rig->index = NULL;
}

/* The role's end; nothing is left running. */
static inline void rig_end_role(struct rig *rig)
{
    fake_role_enter(rig->fake, rig->role);
    loop_turn(rig->loop); /* what the engine left to be ended behind it */
    fiber_pool_close(rig->fibers);
    loop_done(rig->loop);
    free(rig->loop);
    fake_role_enter(rig->fake, 0);
    fake_kill_role(rig->fake, rig->role);
    rig->loop = NULL;
}

static inline void rig_kill(struct rig *rig)
{
    rig_bury(rig->engine);
    rig_bury(rig->loop);
    rig_bury(rig->fibers);
    if (!rig->dead)
        fake_kill_role(rig->fake, rig->role);
    rig->dead = true;
    rig->engine = NULL;
    rig->loop = NULL;
    if (rig->index)
        rig_index_end_views(rig->index);
}

/* False: it was killed meanwhile (and rig_kill is done). */
static inline bool rig_try_close(struct rig *rig)
{
    if (rig->dead || !rig_do(rig, rig_close_run, NULL) || rig->dead) {
        rig_kill(rig);
        return false;
    }
    rig_end_role(rig);
    return true;
}

static inline void rig_close(struct rig *rig)
{
    assert_true(rig_try_close(rig));
}

/* kill -9 and power cut. */
static inline void rig_crash(struct rig *rig)
{
    rig_kill(rig);
    fake_disk_crash(rig->disk, fake_pick_random(&rig->random), FAKE_TEAR_ANY);
}

static inline void rig_done(struct rig *rig)
{
    fake_world_close(rig->fake);
    fake_disk_close(rig->disk);
    if (rig->index)
        rig->index->ops->close(rig->index);
}

#endif
