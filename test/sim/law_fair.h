/*
 * Fairness (doc/sending.md, 2): who waits for nobody's trouble but his own, judged in calm weather,
 * while the internet has its troubles still:
 *
 *  1. mail to a destination that is well, and took mail since core began, is out within
 *     FAIR_MOST of its time, whatever the servers of others do: it has answered, so it leaves at
 *     once, behind what waits in its own line. A try of such a server takes moments; whoever stands
 *     behind somebody else's trouble waits for a time-out (minutes), or for a destination to be
 *     tried again (half a minute)
 *  2. of what waits for one destination at one moment, what has priority leaves first
 */
#ifndef SIM_LAW_FAIR_H
#define SIM_LAW_FAIR_H

#include "law_order.h"

struct letter;

#define FAIR_MOST (20 * NS_PER_SECOND)

enum {
    FAIR_WAITERS = 256
};

/* One letter of the calm. */
struct fair_waiter {
    uint64_t message;
    struct str line;    /* its destination's */
    int64_t due, began; /* mono; began: its first job */
    int priority;
};

struct fair {
    struct fair_waiter waiters[FAIR_WAITERS];
    size_t count;
};

/* At the end of a run; and behind the last. */
void fair_judge(struct sim *sim, const struct order_question *question,
                const struct letter *letter);
void fair_judge_order(struct sim *sim);

#endif
