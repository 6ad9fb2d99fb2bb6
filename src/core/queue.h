/*
 * struct queue: mail for others, from the commit that accepted it to the commit that records its
 * fate (doc/sending.md). Core's schedule (schedule.h), its entries on the disk (store/queue.h) and
 * the couriers that are at hand, put together:
 *
 *   queue.c    the clock, what goes next to whom
 *   queue_load.c     the schedule from what is on the disk
 *   errand*.c  jobs: what couriers have, ask and say (errand.h)
 *   handing.c  what is for accounts here, at its time
 *   outcome.c  results become a commit: entry, trace, report
 *   queue_change.c   what an operator makes of entries
 *   queue_account.c  entries are held with their account
 *   collect.c  who comes for his mail himself (collect.h); etrn.c: who asks that it is tried
 *   queue_sweep.c    what the clock makes of entries that nobody tries
 *   report.c   the report (a DSN) and where it goes
 *
 * At its beginning nothing is given out until each courier has said what it has under way for the
 * core before, or QUEUE_GRACE is over; entries are loaded in slices meanwhile.
 *
 * Changes of one entry are kept apart: whoever writes its record has it in Q5, or, where it is
 * under way, has set `writing`; who comes second waits.
 */
#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include "conf/conf.h"
#include "core/peer.h"
#include "core/schedule.h"
#include "store/queue.h"

#define QUEUE_GRACE (5 * NS_PER_SECOND)
/* How long jobs of a courier whose link ended wait for it to come back with them. */
#define QUEUE_ORPHANED (10 * NS_PER_SECOND)
/* How long a dot waits for its answer before it is made durable that it left. */
#define QUEUE_DOT_WAIT (200 * NS_PER_MS)

enum {
    /* Outcomes that are being made durable at a time: enough to fill a group of the log, and with
     * 100 recipients each some 15 MB. */
    QUEUE_RECORDING_MAX = 128,
    QUEUE_SWEEP_SLICE = 5000, /* entries that the sweep looks at in one turn: some ms */
    QUEUE_JUDGED_MAX = 16,    /* outcomes of the sweep that are being made durable at a time */
};

RB_HEAD(errand_tree, errand);
struct collection;
struct queue_turn;
TAILQ_HEAD(queue_turns, queue_turn);

/* A fiber that waits for its turn. */
struct queue_turn {
    TAILQ_ENTRY(queue_turn) link;
    struct wait wait;
};

struct sweep_judge {
    struct fiber_start start;
    struct queue *queue;
    struct scheduled *one; /* Q5; NULL: free */
    int64_t next;          /* wall: if its outcome cannot be recorded */
};

/* Entries in Q1 and Q2 that expire or are to be warned about though nobody tries them: those of
 * destinations that are quiet, paused or busy. All are looked at each minute, in slices. */
struct queue_sweep {
    struct timer timer;
    struct fiber_start start;
    struct sweep_judge judges[QUEUE_JUDGED_MAX];
    size_t judging;
    struct wait *room; /* the walk waits for a free judge */
    uint64_t message;  /* where the walk is */
    uint32_t number;
    bool failed;   /* an outcome was not recorded: this walk ends */
    int64_t ahead; /* us: the wall clock, of mono, when it was looked at last */
    int64_t from;  /* mono: nothing is judged before */
    size_t slices; /* since the start, for tests */
};

struct queue {
    struct core *core;
    struct schedule schedule;
    struct errand_tree jobs;
    LIST_HEAD(, collection) collections;
    size_t collection_count;
    size_t couriers; /* that take jobs */
    int64_t begun;   /* mono */
    bool closing;
    bool loaded;  /* all that was there at the start was looked at */
    bool missing; /* an entry is on the disk alone, for want of memory or an error in reading */
    bool rousing; /* a walk for ETRN goes on */
    bool soon;    /* `again` is queued */
    struct task again;
    struct timer timer;
    struct queue_sweep sweep;
    struct fiber_start load_start, follow_start;
    TAILQ_HEAD(, queue_account) accounts; /* that were held or released, and not followed yet */
    bool follows;                         /* a walk is made */
    size_t recording;                     /* outcomes, at most QUEUE_RECORDING_MAX */
    struct queue_turns unrecorded;        /* outcomes that wait to be */
    struct queue_turns early;             /* what couriers say of jobs that are still looked up */
    size_t running;                       /* fibers of its own */
    struct wait *idle;
};

/* May yield. Reads pauses, and begins to load. */
struct err queue_open(struct core *core);
/* May yield. All peers are gone. */
void queue_close(struct core *core);
void queue_configure(struct core *core);

/* Durable now: they may go. */
void queue_accepted(struct core *core, const struct queue_entry *entries, size_t count);
/* Somebody changed the schedule: what may go now goes, at the end of the turn. */
void queue_turn(struct queue *queue);

/* May yield: all that waits in a line that was roused since then (mono) comes due, in slices, until
 * `*stop`. */
void queue_rouse(struct queue *queue, struct str name, int64_t since, const bool *stop);

/* Whose MX leads to a destination; of one that names hosts, whatever no domain can be. */
struct str queue_domain(const struct destination *destination);
/* Has this courier a job for that destination? */
bool queue_courier_serves(const struct peer *peer, struct str domain);

/* Somebody put right what kept the mail of this route: its destination is tried at once. */
void queue_route_mended(struct queue *queue, struct str name);

/* A courier's link ended. */
void queue_peer_gone(struct peer *peer);

/* When the clock alone changes something about it: seconds since 1970, UINT32_MAX: never. */
uint32_t queue_judge(const struct queue_entry *entry);
/* May yield: nobody else writes the record of an entry that is under way, until queue_written. */
void queue_write(struct queue *queue, struct scheduled *one);
void queue_written(struct scheduled *one);
/* Q1, Q2, Q4: in line elsewhere, from `next` on; with no memory it stays. */
void queue_move(struct queue *queue, struct scheduled *one, struct str destination, int64_t next);
/* Q3, Q5: it is as its record says now, and waits until `next`. */
void queue_back(struct queue *queue, struct scheduled *one, const struct queue_entry *entry,
                int64_t next);
/* In the schedule; false: no memory. */
bool queue_schedule(struct queue *queue, const struct queue_entry *entry);

/* --- queue_load.c ---------------------------------------------------------------------------- */

/* On a fiber of its own, all that is there. */
void queue_load_begin(struct queue *queue);
/* May yield. */
struct err queue_pauses_load(struct queue *queue);
/* May yield: what is missing is looked for, and tried in a minute again where that fails. */
void queue_load_missing(struct queue *queue);

/* --- errand.c: inside the queue -----------------------------------------------------------------
 */

/* Q3: to this courier. An entry that cannot be given goes back. */
void errand_give(struct queue *queue, struct scheduled *one, struct peer *peer);
void errands_free(struct queue *queue);
/* Nobody wants it to be sent now: its courier does not begin, if it has not. */
void errand_drop(struct queue *queue, const struct scheduled *one);

/* --- queue_sweep.c --------------------------------------------------------------------------- */

void queue_sweep_begin(struct queue *queue);
/* No walk begins; one that is under way ends by `closing`, as a fiber of the queue. */
void queue_sweep_end(struct queue *queue);

/* --- queue_account.c ------------------------------------------------------------------------- */

/* This account was held or released: what waits of it follows soon, in slices. Never yields, as the
 * next two. */
void queue_account_changed(struct queue *queue, uint64_t account);
/* Walks that an error ended begin again. */
void queue_accounts_go_on(struct queue *queue);
void queue_accounts_free(struct queue *queue);
/* May yield. Is its account on hold? Where that cannot be read nobody knows, and it must not go. */
struct err queue_hold_read(struct queue *queue, const struct queue_entry *entry, bool *held_r);
/* May yield. An entry that a core before did not come to is followed up. */
void queue_account_compare(struct queue *queue, const struct queue_entry *entry);

/* --- outcome.c ------------------------------------------------------------------------------- */

struct outcome {
    uint64_t job;    /* whose it is; 0: no courier's */
    uint8_t trouble; /* enum job_trouble */
    bool dotted;
    bool reports;
    const struct handing *handing; /* those who were "sent" it have mailboxes here (handing.h) */
    bool here;                     /* decided by us: its destination has no part in it */
    bool quietly;  /* nothing was tried, and nothing is counted: it is due again at once */
    bool clock;    /* nothing was tried, and its time stays: it is looked at whether it expired, is
                      to be warned about, or was removed */
    int64_t given; /* wall: when the job was made */
    struct str governed; /* its route, whose counts go into the commit; empty: none */
    struct str host, facts;
    const struct msg_job_result *results;
    size_t result_count;
};

/* May yield. The fate of an entry that is in Q3 or Q5, made durable; then it waits again or is
 * gone. An error: nothing happened, and it is still under way. */
struct err outcome_record(struct queue *queue, struct scheduled *one,
                          const struct outcome *outcome);

/* May yield. An entry that is under way may be whole at the other end: durable now. */
struct err outcome_mark(struct queue *queue, struct scheduled *one);

/* May yield. An entry that is under way waits for a limit until then (wall): in its record and
 * trace, once. */
struct err outcome_limit(struct queue *queue, struct scheduled *one, int64_t until);

/* May yield: waits in this line until queue_turn_over lets its first go on. */
void queue_turn_wait(struct queue_turns *turns);
/* False: nobody waits. */
bool queue_turn_over(struct queue_turns *turns);

/* A fiber of the queue begins, and ends. */
void queue_fiber_begin(struct queue *queue);
void queue_fiber_end(struct queue *queue);

#endif
