/*
 * struct courier: what all jobs of one courier process share: the loop, the fibers, the link to
 * core, the slabs, the configuration, the jobs, and the connections that wait for another one. A
 * courier reads what other servers say; it holds no file, knows no account, and of mail has only
 * what it is about to send.
 *
 *   job.h          one message to recipients of one destination, from core and back to it
 *   core.c         the link to core
 *   route.h        which hosts, in which order
 *   policy.h       what each has to prove; sts.h MTA-STS, require.h what the sender demands
 *   places.h       how many connections there may be, and whose turn it is
 *   connection.h   a connection to one of them, its greeting and what it can do
 *   auth.h         logging in at a smart host; log_ins.h its thread; token.h what with
 *   talk.h         what is said, and what is answered within which time
 *   transaction.h  one message by such a connection; manners.h how hosts answered before
 *   content.h      its octets, from core to the other side
 *   rest.h         connections between two messages
 *   collected.h    connections of clients that come for their mail
 *   look.h         how our own ports look, for veredus check
 *
 * Order of life: courier_open, courier_core_attach (and again whenever core came back), the loop,
 * courier_stop, courier_close. doc/sending.md, 4 is the contract with core.
 */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include <bsd/sys/tree.h>

#include "bus/link.h"
#include "conf/held.h"
#include "role/dns.h"
#include "role/slabs.h"
#include "sys/log.h"
#include "sys/stream.h"

enum {
    /* A job's own, and its second attempt at a connection; for the role table. */
    COURIER_FIBERS = 2 * 4096,
    COURIER_READ_BUFFERS = 2048, /* of STREAM_READ_SIZE, lent to busy streams */
};
#define COURIER_CORE_WAIT (60 * NS_PER_SECOND) /* a message waits so long for the next core */
#define COURIER_CORE_ALONE NS_PER_SECOND       /* without a link to core: when to ask for one */
#define COURIER_STOP_SOON NS_PER_SECOND        /* at the end, for a job in front of its dot */
#define COURIER_STOP_WAIT (8 * NS_PER_SECOND)  /* behind it; the parent kills after 10 s */

struct job;
struct core_waiter;
struct place_waiter;
struct log_ins;
struct manners;
struct connection;
struct sts;
struct session_policy;
struct sts_found;
struct tls_policy;

RB_HEAD(job_tree, job);
TAILQ_HEAD(core_waiters, core_waiter);
TAILQ_HEAD(place_waiters, place_waiter);
TAILQ_HEAD(connections, connection);

#define COURIER_MAGIC MAGIC('C', 'R', 'I', 'R')

struct courier {
    uint32_t magic;
    struct world *world;
    struct loop *loop;
    struct log *log;
    struct fiber_pool *fibers;
    struct stream_pool *streams;
    uint32_t instance;
    const struct conf *conf; /* for new jobs; held */

    struct link *core;   /* NULL: gone */
    bool core_up;        /* welcome came */
    struct slabs *slabs; /* NULL while core is not up */
    struct core_waiters waiters;
    void (*core_lost)(struct courier *); /* NULL, or told when the link ended */
    void *arg;                           /* core_lost's */

    struct dns_client dns;   /* the resolver */
    struct tls_client *tls;  /* NULL: nothing is encrypted */
    struct log_ins *log_ins; /* where passwords are computed with; NULL: none was yet */

    struct sts *sts;         /* policies that are known */
    struct manners *manners; /* how hosts answer */

    /* For connections (places.h). */
    size_t places[DESTINATION_STANDINGS];                      /* that are taken */
    struct place_waiters place_waiters[DESTINATION_STANDINGS]; /* for one, in turn */
    struct place_waiters place_owners;                         /* for one that they lent */
    bool newest;                                               /* is next of those untried */

    struct connections resting; /* newest first (rest.h) */
    size_t resting_count;
    struct connections leaving;   /* said QUIT */
    struct connections collected; /* of clients that collect their mail (collected.h) */

    struct job_tree jobs; /* by number */
    size_t job_count;
    size_t questions;      /* of core, that are being answered (policy.h, token.h) */
    struct wait *stopping; /* courier_stop waits for the last job */
    bool stops;            /* what comes from now on is not tried */
};

/* It has jobs, or questions to answer. */
static inline bool courier_is_busy(const struct courier *courier)
{
    return courier->job_count > 0 || courier->questions > 0;
}

/* What is passed outlives the courier. `tls` is the caller's to set, and goes with the courier. */
struct err courier_open(struct courier *courier, struct loop *loop, struct fiber_pool *fibers,
                        struct log *log, uint32_t instance, const struct conf *conf);
/* For jobs that begin from now on; the others keep theirs. */
void courier_configure(struct courier *courier, const struct conf *conf);
/* May yield: begins no job any more and waits for those there are until core has recorded them, or
 * for COURIER_STOP_SOON, and for COURIER_STOP_WAIT where one is past its dot. False: some still
 * run, and the courier cannot be closed. */
bool courier_stop(struct courier *courier);
void courier_close(struct courier *courier);

/* --- Core (core.c) --------------------------------------------------------------------------- */

/* A new link to core; takes the handle over. Says hello, what is under way, and the results that
 * none has recorded. Core is up when it has answered. */
struct err courier_core_attach(struct courier *courier, int handle);
/* As if core had gone. */
void courier_core_detach(struct courier *courier);
/* May yield: until core is up; ERR_BUS_BROKEN when it is not by `deadline` (mono). */
struct err courier_core_wait(struct courier *courier, int64_t deadline);
/* Queued for the end of the turn. False: nobody is there to hear it, or it reads too slowly. */
bool courier_tell(struct courier *courier, const struct msg *msg);

#endif
