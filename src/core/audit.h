/*
 * struct audit: the way into the audit's chain (store/audit.h) for everything that core decides.
 * Events are gathered for a moment and go to the disk together, so that a storm at the door costs a
 * few commits a second; where the disk does not take them they wait, as many as there is room for,
 * and what is lost beyond that is counted and told in the chain itself.
 *
 * One in a process that has the store open: core's, or a command's while no server runs.
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "store/audit.h"
#include "sys/fiber.h"
#include "sys/log.h"

enum {
    AUDIT_QUEUED_MAX = 20000, /* events that wait */
    AUDIT_QUEUED_OCTETS = 8 << 20,
    AUDIT_BATCH = 500, /* events of one commit */
};
#define AUDIT_GATHER (50 * NS_PER_MS)
#define AUDIT_AGAIN NS_PER_SECOND /* after a failed commit */

struct audit_waiter;

#define AUDIT_MAGIC MAGIC('A', 'U', 'D', 'I')

struct audit {
    uint32_t magic;
    struct engine *engine;
    struct loop *loop;
    struct fiber_pool *fibers;
    struct log *log; /* NULL: none */
    struct audit_head head;
    struct buf queue;  /* events that wait, behind each other: struct audit_waiting, its record */
    size_t queue_from; /* before it they are written */
    TAILQ_HEAD(, audit_waiter) waiters;
    size_t queued;
    uint64_t told, kept; /* events, since it was opened */
    uint64_t lost;
    struct timer due;
    struct fiber_start start;
    struct wait *ended;
    bool running, failing;
};

/* On a fiber; may yield. What is passed outlives it. */
struct err audit_open(struct audit *audit, struct loop *loop, struct fiber_pool *fibers,
                      struct engine *engine, struct log *log);
/* On a fiber; may yield: what waits is written first, if it can be. The engine is still open. */
void audit_close(struct audit *audit);

/* Never yields. Texts are copied. */
void audit_tell(struct audit *audit, const struct trace_event *event);
/* May yield: tells, and returns when it is durable, or cannot be now. */
struct err audit_keep(struct audit *audit, const struct trace_event *event);

#endif
