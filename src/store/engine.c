/*
 * The only part of the contract that is code: waiting for a commit. It is written once on top of
 * `done`, so that no engine needs to know of fibers.
 */
#include "store/engine.h"

#include "sys/fiber.h"

struct waiting {
    struct wait wait;
    struct err result;
};

static void committed(struct commit *commit, struct err e)
{
    struct waiting *waiting = commit->arg;
    waiting->result = e;
    wait_over(&waiting->wait);
}

struct err engine_commit_wait(struct engine *engine, struct commit *commit)
{
    struct waiting waiting = {.result = err_none()};
    commit->done = committed;
    commit->arg = &waiting;
    engine_commit(engine, commit);
    wait_for(&waiting.wait);
    return waiting.result;
}
