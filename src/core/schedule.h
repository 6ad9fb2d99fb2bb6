/*
 * The schedule: which entry of the queue is to go next. In memory, made anew from the entries at
 * each start (doc/sending.md, 2: states Q1 to Q4). It knows names, times and destinations, and
 * nothing of messages; it does no I/O and asks no clock, so `now` is always the caller's: `wall`
 * microseconds since 1970 for what is kept (when an entry is to go), `mono` nanoseconds for what is
 * not (how long a destination stays quiet).
 *
 * Fairness. Each destination has a line; within it priorities come first, then senders take turns:
 * an entry's turn is one behind the last one of its sender, and not before the turn that is being
 * served at its priority. Destinations with something due take turns, too, one entry each. Where
 * mail has gone out before it has places of its own, whatever becomes of ten thousand others; those
 * in trouble have at most a quarter of what there is for the others. Of those of which nothing is
 * known yet every other turn is that of the newest one that had none yet, the others are for the
 * oldest of these and for who had one, in turn; and once half of all that is for them is under way
 * they go one by one: so who comes next need not wait until some of ten thousand dead ones have
 * been given up.
 *
 * A destination's window is how many entries may be under way to it. Success opens it by one,
 * trouble halves it and keeps the destination quiet for a time that doubles; then one entry is
 * tried, and success ends the trouble.
 *
 * What waits for its time does so at its destination, so that who is there now can be given it
 * (schedule_rouse) without a look at anybody else's.
 *
 * Nothing yields. Memory: 104 octets an entry, 64 more for each sender in a line, 464 a
 * destination. Nothing but schedule_done and schedule_set_window takes longer where there is more.
 */
#ifndef CORE_SCHEDULE_H
#define CORE_SCHEDULE_H

#include <sys/queue.h>

#include <bsd/sys/tree.h>

#include "base/must.h"
#include "base/str.h"
#include "bus/messages.h"

enum {
    SCHEDULE_WINDOW_FIRST = 2,
    SCHEDULE_IDLE_KEPT = 10000, /* destinations that nothing is queued for, and are remembered */
    SCHEDULE_PRIORITIES = 19,   /* -9 to 9 */
};

#define SCHEDULE_QUIET_FIRST (INT64_C(30) * 1000000000) /* ns */
#define SCHEDULE_QUIET_MOST (INT64_C(1800) * 1000000000)
/* In how long the second half of the unproven's places is given out: longer than a question of the
 * DNS takes to be given up. */
#define SCHEDULE_FILL (INT64_C(30) * 1000000000)

enum scheduled_state {
    SCHEDULED_WAITS,     /* Q1 */
    SCHEDULED_DUE,       /* Q2 */
    SCHEDULED_UNDER_WAY, /* Q3 */
    SCHEDULED_HELD,      /* Q4 */
    SCHEDULED_CHANGING,  /* Q5 */
};

struct destination;

struct scheduled {
    RB_ENTRY(scheduled) by_name;
    RB_ENTRY(scheduled) by_turn; /* at its destination: in the times (Q1) or in the line (Q2) */
    uint64_t message;
    uint32_t number;
    uint32_t sender; /* a hash of who sends: whose turn it is */
    int64_t key;     /* Q1: when, wall; Q2: its turn */
    struct destination *destination;
    uint32_t judge; /* when it expires or its sender is to be told that it waits, whichever comes
                       first: seconds since 1970; UINT32_MAX: never */
    enum scheduled_state state : 8;
    int8_t priority;
    uint8_t holds;        /* enum queue_hold (store/queue.h) */
    uint8_t standing : 2; /* Q3: enum destination_standing, when it left */
    bool died : 1;        /* its courier died with it since it was tried last */
    bool moved : 1;       /* Q3, Q5: an operator sends it another way */
    bool writing : 1;     /* Q3: a change of its record is on its way to the disk */
    bool later : 1;       /* its sender wants it to go at its time, and not before */
};

RB_HEAD(scheduled_names, scheduled);
/* One link, two orders: an entry is in the times or in a line, never in both. */
RB_HEAD(scheduled_times, scheduled);
RB_HEAD(scheduled_line, scheduled);

/* Which list a destination is in. */
enum destination_place {
    DESTINATION_RESTS, /* nothing is due, or all it may have is under way, or it is paused */
    DESTINATION_READY,
    DESTINATION_QUIET, /* in trouble, until `quiet_until` */
    DESTINATION_IDLE,  /* it has no entry at all */
};

struct schedule_sender;
RB_HEAD(schedule_senders, schedule_sender);

struct destination {
    RB_ENTRY(destination) by_name;
    TAILQ_ENTRY(destination) link;      /* ready (one list for each standing) or idle */
    RB_ENTRY(destination) by_time;      /* quiet */
    RB_ENTRY(destination) by_next;      /* while something waits */
    struct scheduled_times times;       /* Q1 */
    int64_t next;                       /* wall: when the first of those comes due */
    struct scheduled_line line;         /* Q2 */
    struct schedule_senders senders;    /* that have something in the line */
    int64_t turns[SCHEDULE_PRIORITIES]; /* the one of each priority that was served last */
    size_t entries, due, under_way;
    uint32_t window;
    uint32_t troubles;   /* in a row */
    int64_t quiet_until; /* mono; while troubles > 0 or it sleeps */
    int64_t roused;      /* mono: when it was last; 0: never */
    bool sleeps;         /* a limit of its route is reached; no trouble */
    bool collected;      /* nothing goes but to who collects it: */
    uint64_t collection; /* who is there now (collect.h); 0: nobody */
    uint32_t most;       /* of its window, by its route; 0: schedule's */
    enum destination_place place;
    bool paused;
    bool answers;          /* it said something to a message since the start */
    bool went;             /* it had a turn */
    uint64_t sent, failed; /* since the start */
    uint16_t trouble;      /* enum job_trouble, the last */
    uint16_t name_length;
    char name[];
};

TAILQ_HEAD(destination_list, destination);
RB_HEAD(quiet_destinations, destination);
RB_HEAD(waiting_destinations, destination);
RB_HEAD(destinations, destination);

#define SCHEDULE_MAGIC MAGIC('S', 'C', 'H', 'D')

struct schedule {
    uint32_t magic;
    struct scheduled_names names;
    struct waiting_destinations waiting; /* by the first that comes due */
    struct destinations destinations;    /* by name */
    struct destination_list ready[DESTINATION_STANDINGS];
    struct destination_list fresh; /* ready and untried, and had no turn; the newest last */
    struct destination_list idle;  /* the longest idle first */
    size_t idle_count;
    struct quiet_destinations quiet;
    size_t entries, due, under_way, held;
    size_t under_way_to[DESTINATION_STANDINGS];
    int64_t pace;  /* mono: no further untried destination before */
    unsigned turn; /* of those that are untried */
    uint32_t window_most;
    int64_t quiet_first, quiet_most; /* ns */
    bool paused;                     /* all of it */
    int64_t mono;                    /* as it was told last */
};

void schedule_init(struct schedule *schedule, uint32_t window_most);
void schedule_done(struct schedule *schedule);

/* What is to be known of an entry. */
struct schedule_facts {
    uint64_t message;
    uint32_t number;
    struct str destination; /* its domain, or the name of its route; at most 300 octets */
    struct str sender;      /* who takes turns: an account's id or a reverse-path, any octets */
    int64_t next;           /* wall */
    uint32_t judge;
    int8_t priority;
    uint8_t holds;
    bool tried; /* in vain: a destination of which nothing is known is in doubt by that */
    bool later; /* its sender wants it to go at `next`, and not before */
};

/* In Q1 or Q4. One of that name that is there already stays as it is, and is given back. NULL: no
 * memory. */
struct scheduled *schedule_add(struct schedule *schedule, const struct schedule_facts *facts);
struct scheduled *schedule_find(struct schedule *schedule, uint64_t message, uint32_t number);
/* In any state; it is freed. */
void schedule_remove(struct schedule *schedule, struct scheduled *one);

/*
 * What has come due by now moves into the lines, at most `most` entries, and destinations that were
 * quiet for long enough are ready. True: there is more, and others should have their turn before it
 * is looked at. What comes next is by the time that was told here last.
 */
bool schedule_clock(struct schedule *schedule, int64_t wall, int64_t mono, size_t most);
/* How many may be under way. */
struct schedule_places {
    size_t proven;   /* to destinations that have answered */
    size_t unproven; /* to all others */
};
/* The next one to go, now under way (Q3); NULL: none may go now. */
struct scheduled *schedule_take(struct schedule *schedule, struct schedule_places places);
/* Q1, Q2, Q4 -> Q3, out of turn: somebody has it already. False: it is in Q3 or Q5. */
bool schedule_claim(struct schedule *schedule, struct scheduled *one);
/* Q1, Q2, Q4 -> Q5: nobody else sends or changes it until it is back or gone. False: it is in Q3 or
 * Q5. */
bool schedule_grasp(struct schedule *schedule, struct scheduled *one);
/* Q3, Q5 -> Q1 (or Q4, where it is held), to go at `next`. */
void schedule_back(struct schedule *schedule, struct scheduled *one, int64_t next);
/* Who holds it from now on; none: -> Q1 at `next`. One that is in Q3 or Q5 is held when it is back.
 */
void schedule_hold(struct schedule *schedule, struct scheduled *one, uint8_t holds, int64_t next);
/* Q5: it goes elsewhere. False: no memory, nothing changed. */
bool schedule_reroute(struct schedule *schedule, struct scheduled *one, struct str destination);

/* What an entry that was under way to the destination brought. Answered: "later", to all of its
 * recipients: that is theirs, and no trouble of the destination; its window stays as it is. */
void schedule_answered(struct schedule *schedule, struct destination *destination);
void schedule_succeeded(struct schedule *schedule, struct destination *destination);
/* chance: 0 to 999, for the jitter of its time. */
void schedule_troubled(struct schedule *schedule, struct destination *destination, uint16_t trouble,
                       int64_t mono, unsigned chance);
/* Nothing goes until then, though there is no trouble. */
void schedule_sleep(struct schedule *schedule, struct destination *destination, int64_t until);
/* At most so many under way, whatever its window; 0: as any. */
void schedule_limit(struct schedule *schedule, struct destination *destination, uint32_t most);

/*
 * Somebody says that the destination takes mail now: what waits comes due, but for what its sender
 * wants later, and a destination in trouble is tried at once, with one as ever. Looks at `most` of
 * those that wait, behind *after (zeroed to begin), and counts in *roused what it moved. True:
 * there is more.
 */
struct schedule_after {
    int64_t key;
    uint64_t message;
    uint32_t number;
};
bool schedule_rouse(struct schedule *schedule, struct destination *destination, int64_t mono,
                    size_t most, struct schedule_after *after, size_t *roused);
/* Is what waits for it collected, and not sent? */
void schedule_collected(struct schedule *schedule, struct destination *destination, bool collected);
/* Somebody is there to collect it, and is given one at a time; 0: he has gone. */
void schedule_collect(struct schedule *schedule, struct destination *destination,
                      uint64_t collection);
/* An operator: it may be tried at once. */
void schedule_calm(struct schedule *schedule, struct destination *destination);

/* Empty name: all. A destination that is paused is remembered though it has no entries. */
bool schedule_pause(struct schedule *schedule, struct str name, bool paused);
/* NULL: nothing was ever queued for it, or it was forgotten. */
struct destination *schedule_destination(struct schedule *schedule, struct str name);
/* The next one by name; NULL begins, and ends. */
struct destination *schedule_next_destination(struct schedule *schedule,
                                              struct destination *before);
/* The first behind that name, which need not be there (any more); NULL: none. 0, 0 is before all.
 */
struct scheduled *schedule_behind(struct schedule *schedule, uint64_t message, uint32_t number);
struct destination *schedule_destination_behind(struct schedule *schedule, struct str name);
struct scheduled *schedule_next(struct schedule *schedule, struct scheduled *before);
/* What those with something in its line take in memory, for tests. */
size_t schedule_senders_octets(struct destination *destination);
void schedule_set_window(struct schedule *schedule, uint32_t window_most);
/* How long an entry waits behind its first try, and at most, in ns: a destination in trouble is not
 * quiet for longer than that, or the trace would promise a try that does not come. */
void schedule_set_retries(struct schedule *schedule, int64_t first, int64_t most);

/* How many microseconds from now the clock changes what may go; INT64_MAX: it never does. What is
 * ready and finds no place waits for one. */
int64_t schedule_until(const struct schedule *schedule, int64_t wall, int64_t mono);

static inline struct str destination_name(const struct destination *destination)
{
    return str_make(destination->name, destination->name_length);
}

#endif
