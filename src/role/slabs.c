/*
 * A stack of free indexes and a bit for each slab that is out. A ring was weighed: it would touch
 * every page of the pool in turn, and shared memory once touched stays.
 */
#include "role/slabs.h"

enum {
    SLABS_MOST = 1 << 20 /* 16 GB: a larger pool is a mistake */
};

struct slab_waiter {
    TAILQ_ENTRY(slab_waiter) link;
    struct wait wait;
    struct timer timer;
    uint32_t *indexes;
    size_t count;
    enum err_code error;
};

struct slabs {
    struct world *world;
    struct loop *loop;
    char *base;
    uint32_t count;
    uint32_t free_count;
    uint32_t *free; /* the last is given next */
    bool *taken;
    uint32_t most_out;
    bool retired;
    TAILQ_HEAD(, slab_waiter) waiters;
};

static void slabs_free(struct slabs *slabs)
{
    if (slabs->base)
        slabs->world->ops->shm_unmap(slabs->world, slabs->base, (size_t)slabs->count * SLAB_SIZE);
    free(slabs->free);
    free(slabs->taken);
    free(slabs);
}

static void fill(struct slabs *slabs)
{
    /* Lowest first: the stack is built from the end. */
    for (uint32_t i = 0; i < slabs->count; i++)
        slabs->free[i] = slabs->count - 1 - i;
    slabs->free_count = slabs->count;
}

struct slabs *slabs_open(struct world *world, struct loop *loop, int handle, uint32_t count)
{
    struct slabs *slabs = calloc(1, sizeof *slabs);
    bool sane = count > 0 && count <= SLABS_MOST;
    if (slabs && sane) {
        *slabs = (struct slabs){.world = world, .loop = loop, .count = count};
        TAILQ_INIT(&slabs->waiters);
        slabs->free = calloc(count, sizeof *slabs->free);
        slabs->taken = calloc(count, sizeof *slabs->taken);
        slabs->base = world->ops->shm_map(world, handle, (size_t)count * SLAB_SIZE);
    }
    world->ops->close(world, handle);
    if (slabs && slabs->base && slabs->free && slabs->taken) {
        fill(slabs);
        return slabs;
    }
    if (slabs)
        slabs_free(slabs);
    return NULL;
}

uint32_t slabs_out(const struct slabs *slabs)
{
    return slabs->count - slabs->free_count;
}

uint32_t slabs_left(const struct slabs *slabs)
{
    return slabs->retired ? 0 : slabs->free_count;
}

uint32_t slabs_most_out(const struct slabs *slabs)
{
    return slabs->most_out;
}

bool slabs_short(const struct slabs *slabs)
{
    return slabs->retired || slabs->free_count <= slabs->count / 2 || !TAILQ_EMPTY(&slabs->waiters);
}

/* All or none. */
static bool take(struct slabs *slabs, size_t count, uint32_t *indexes_r)
{
    if (slabs->retired || slabs->free_count < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        indexes_r[i] = slabs->free[--slabs->free_count];
        slabs->taken[indexes_r[i]] = true;
    }
    if (slabs_out(slabs) > slabs->most_out)
        slabs->most_out = slabs_out(slabs);
    return true;
}

bool slabs_take(struct slabs *slabs, uint32_t *index_r)
{
    return TAILQ_EMPTY(&slabs->waiters) && take(slabs, 1, index_r);
}

static void waiter_over(struct slabs *slabs, struct slab_waiter *waiter, enum err_code error)
{
    TAILQ_REMOVE(&slabs->waiters, waiter, link);
    timer_clear(slabs->loop, &waiter->timer);
    waiter->error = error;
    wait_over(&waiter->wait);
}

/* Who came first is served first, and keeps those behind it waiting until it is. */
static void serve(struct slabs *slabs)
{
    struct slab_waiter *first;
    while ((first = TAILQ_FIRST(&slabs->waiters)) && take(slabs, first->count, first->indexes))
        waiter_over(slabs, first, ERR_NONE);
}

struct timed_out {
    struct slabs *slabs;
    struct slab_waiter *waiter;
};

static void waited_enough(struct timer *timer)
{
    struct timed_out *out = timer->arg;
    waiter_over(out->slabs, out->waiter, ERR_TRY_LATER);
    serve(out->slabs);
}

struct err slabs_wait_all(struct slabs *slabs, size_t count, int64_t deadline, uint32_t *indexes_r)
{
    must(count > 0);
    if (TAILQ_EMPTY(&slabs->waiters) && take(slabs, count, indexes_r))
        return err_none();
    if (slabs->retired)
        return err_make(ERR_BUS_BROKEN);
    if (count > slabs->count)
        return err_make(ERR_TRY_LATER);
    struct slab_waiter waiter = {.indexes = indexes_r, .count = count, .error = ERR_NONE};
    struct timed_out out = {.slabs = slabs, .waiter = &waiter};
    waiter.timer = (struct timer){.run = waited_enough, .arg = &out};
    TAILQ_INSERT_TAIL(&slabs->waiters, &waiter, link);
    timer_set(slabs->loop, &waiter.timer, deadline);
    wait_for(&waiter.wait);
    return err_make(waiter.error);
}

struct err slabs_wait(struct slabs *slabs, int64_t deadline, uint32_t *index_r)
{
    return slabs_wait_all(slabs, 1, deadline, index_r);
}

void slabs_give(struct slabs *slabs, uint32_t index)
{
    must(index < slabs->count && slabs->taken[index]);
    slabs->taken[index] = false;
    slabs->free[slabs->free_count++] = index;
    serve(slabs);
    if (slabs->retired && slabs_out(slabs) == 0)
        slabs_free(slabs);
}

void slabs_retire(struct slabs *slabs)
{
    slabs->retired = true;
    while (!TAILQ_EMPTY(&slabs->waiters))
        waiter_over(slabs, TAILQ_FIRST(&slabs->waiters), ERR_BUS_BROKEN);
    if (slabs_out(slabs) == 0)
        slabs_free(slabs);
}

char *slabs_at(struct slabs *slabs, uint32_t index)
{
    must(index < slabs->count && slabs->taken[index]);
    return slabs->base + (size_t)index * SLAB_SIZE;
}
