/*
 * Work that blocks or computes for long: disk syncs, cold reads, password hashes. A lane is a queue
 * with its own threads; jobs of a lane with one thread run in order. In the simulator a job is a
 * step that the seed schedules, on the same thread.
 *
 * A job owns its input while it runs: nothing else may touch it, and it touches nothing else but
 * the world's thread-safe calls. `done` runs on the loop.
 */
#ifndef SYS_WORKER_H
#define SYS_WORKER_H

#include "sys/loop.h"

struct job {
    TAILQ_ENTRY(job) link;
    void (*run)(struct job *);  /* on a thread of the lane; must not yield */
    void (*done)(struct job *); /* on the loop; may start or wake fibers */
    void *arg;
};

TAILQ_HEAD(job_list, job);

struct lane {
    struct loop *loop;
    const char *name; /* of the threads, at most 15 characters */
    int threads;
    size_t waiting; /* submitted and `done` not yet called; the world counts it down */
    void *backend;
};

/* 0 or -errno. */
int lane_init(struct lane *lane, struct loop *loop, const char *name, int threads);
/* Finishes what was submitted (its `done` is called, and may submit more), then ends the threads.
 * Blocks meanwhile; called from the loop. */
void lane_done(struct lane *lane);

/* The job is the lane's until its `done` is called, which may free it. Never fails, never blocks:
 * how much may wait is the caller's limit, see `waiting`. */
void lane_submit(struct lane *lane, struct job *job);
/* May yield: runs `run(arg)` on the lane and returns when it is done. */
void lane_call(struct lane *lane, void (*run)(void *arg), void *arg);

#endif
