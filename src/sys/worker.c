/*
 * What all worlds share; the threads are in real_lane.c, the simulator's steps in its own files.
 */
#include "sys/worker.h"

#include "sys/fiber.h"

enum {
    THREAD_NAME_LIMIT = 15 /* Linux's, without the NUL */
};

int lane_init(struct lane *lane, struct loop *loop, const char *name, int threads)
{
    must(threads >= 1 && str_from(name).n <= THREAD_NAME_LIMIT);
    *lane = (struct lane){.loop = loop, .name = name, .threads = threads};
    return loop->world->ops->lane_begin(loop->world, lane);
}

void lane_done(struct lane *lane)
{
    lane->loop->world->ops->lane_end(lane->loop->world, lane);
    must(lane->waiting == 0);
}

void lane_submit(struct lane *lane, struct job *job)
{
    lane->waiting++;
    lane->loop->world->ops->lane_submit(lane->loop->world, lane, job);
}

struct call {
    struct job job;
    struct wait wait;
    void (*run)(void *arg);
    void *arg;
};

static void call_run(struct job *job)
{
    struct call *call = job->arg;
    call->run(call->arg);
}

static void call_done(struct job *job)
{
    struct call *call = job->arg;
    wait_over(&call->wait);
}

void lane_call(struct lane *lane, void (*run)(void *arg), void *arg)
{
    struct call call = {.run = run, .arg = arg};
    call.job = (struct job){.run = call_run, .done = call_done, .arg = &call};
    lane_submit(lane, &call.job);
    wait_for(&call.wait);
}
