/*
 * Every call that may take memory is made with nobody charged. Views are remembered, because a
 * killed role cannot end them, and an open view keeps old versions alive.
 */
#include "index_kept.h"

#include "base/must.h"
#include "sys/fake/memory.h"

enum {
    VIEWS = 64 /* open at a time */
};

struct kept {
    struct index index;
    struct index_ops ops;
    struct index *inner;
    struct index_view *views[VIEWS];
};

static struct kept *kept_of(struct index *index)
{
    return (struct kept *)(void *)index;
}

static struct err kept_write(struct index *index, const struct index_change *changes, size_t count,
                             struct log_position position)
{
    struct index *inner = kept_of(index)->inner;
    struct fake_memory *charged = fake_memory_charge(NULL);
    struct err e = inner->ops->write(inner, changes, count, position);
    fake_memory_charge(charged);
    return e;
}

static struct err kept_view_begin(struct index *index, struct index_view **view_r)
{
    struct kept *kept = kept_of(index);
    struct fake_memory *charged = fake_memory_charge(NULL);
    struct err e = kept->inner->ops->view_begin(kept->inner, view_r);
    fake_memory_charge(charged);
    size_t i = 0;
    while (!err_is(e) && i < VIEWS && kept->views[i])
        i++;
    must(i < VIEWS);
    if (!err_is(e))
        kept->views[i] = *view_r;
    return e;
}

static void kept_view_end(struct index *index, struct index_view *view)
{
    struct kept *kept = kept_of(index);
    size_t i = 0;
    while (i < VIEWS && kept->views[i] != view)
        i++;
    must(i < VIEWS);
    kept->views[i] = NULL;
    kept->inner->ops->view_end(kept->inner, view);
}

static struct err kept_check(struct index *index)
{
    struct index *inner = kept_of(index)->inner;
    return inner->ops->check(inner);
}

void kept_index_abandon(struct index *index)
{
    struct kept *kept = kept_of(index);
    for (size_t i = 0; i < VIEWS; i++)
        if (kept->views[i])
            kept_view_end(index, kept->views[i]);
}

struct index *kept_index_open(void)
{
    struct fake_memory *charged = fake_memory_charge(NULL);
    struct kept *kept = calloc(1, sizeof(*kept));
    must(kept && !err_is(index_map_open(&kept->inner)));
    fake_memory_charge(charged);
    kept->ops = *kept->inner->ops;
    kept->ops.write = kept_write;
    kept->ops.view_begin = kept_view_begin;
    kept->ops.view_end = kept_view_end;
    kept->ops.check = kept_check;
    kept->ops.close = kept_index_abandon;
    kept->index.ops = &kept->ops;
    return &kept->index;
}

void kept_index_free(struct index *index)
{
    struct kept *kept = kept_of(index);
    kept_index_abandon(index);
    kept->inner->ops->close(kept->inner);
    free(kept);
}
