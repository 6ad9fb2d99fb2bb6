/*
 * The smallest world a loop can turn in: a clock that the test moves by hand, and waiting that
 * jumps to the deadline. Nothing else may be called.
 */
#ifndef SYS_HAND_WORLD_H
#define SYS_HAND_WORLD_H

#include "sys/loop.h"

struct hand_world {
    struct world world;
    int64_t now;
    int waits;
};

static int64_t hand_mono(struct world *world)
{
    return ((struct hand_world *)world)->now;
}

static int hand_loop_begin(struct world *world, struct loop *loop)
{
    (void)world;
    (void)loop;
    return 0;
}

static void hand_loop_end(struct world *world, struct loop *loop)
{
    (void)world;
    (void)loop;
}

static void hand_wait(struct world *world, struct loop *loop, int64_t deadline)
{
    (void)loop;
    struct hand_world *hand = (struct hand_world *)world;
    must(deadline != INT64_MAX);
    if (deadline > hand->now)
        hand->now = deadline;
    hand->waits++;
}

static const struct world_ops hand_ops = {
    .mono = hand_mono,
    .loop_begin = hand_loop_begin,
    .loop_end = hand_loop_end,
    .wait = hand_wait,
};

#endif
