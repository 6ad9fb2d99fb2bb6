/*
 * A handler that asks core needs an arena of its own for the answer, for others run while it waits.
 * They are kept in a stack: a busy edge asks thousands of times a second, and malloc need not know.
 */
#include "edge/edge.h"

struct edge_scratch {
    struct arena arena; /* first: this is what is given out */
    SLIST_ENTRY(edge_scratch) link;
};

struct arena *edge_scratch_take(struct edge *edge)
{
    struct edge_scratch *scratch = SLIST_FIRST(&edge->scratches);
    if (scratch) {
        SLIST_REMOVE_HEAD(&edge->scratches, link);
        edge->scratches_kept--;
        return &scratch->arena;
    }
    scratch = malloc(sizeof *scratch);
    if (!scratch)
        return NULL;
    arena_init(&scratch->arena, EDGE_SCRATCH_MAX);
    return &scratch->arena;
}

void edge_scratch_give(struct edge *edge, struct arena *arena)
{
    struct edge_scratch *scratch = (void *)arena;
    if (edge->scratches_kept == EDGE_SCRATCH_KEPT) {
        arena_done(arena);
        free(scratch);
        return;
    }
    arena_reset(arena);
    SLIST_INSERT_HEAD(&edge->scratches, scratch, link);
    edge->scratches_kept++;
}

void edge_scratches_close(struct edge *edge)
{
    struct edge_scratch *scratch;
    while ((scratch = SLIST_FIRST(&edge->scratches))) {
        SLIST_REMOVE_HEAD(&edge->scratches, link);
        arena_done(&scratch->arena);
        free(scratch);
    }
    edge->scratches_kept = 0;
}
