/*
 * struct hand: the operator, somebody who has his hand on the queue while mail goes (`veredus
 * queue`): he holds, releases, retries, reroutes, pauses, resumes and removes what goes to one
 * domain, or all of it. What he removes counts in the law (law.c); all else is undone when he
 * settles.
 */
#ifndef SIM_HAND_H
#define SIM_HAND_H

#include "house.h"

/* Why he removes: by it the law tells what was reported from what was not. */
#define HAND_DROPS "thrown-away"
#define HAND_RETURNS "sent-back"

struct sim;

struct hand {
    struct sim *sim;
    struct fake_event next;
    struct fake_random random;
    uint32_t operations_left;
    bool settles, idle;
    bool thinks;   /* before the next one */
    bool undoes;   /* what he did: when he has done all, and at the end */
    size_t undone; /* of what settling takes */
    bool asked;    /* the errand is under way */
    uint64_t core_deaths;
    int exit_code;
    char command[128];
    struct house_errand errand;
};

void hand_open(struct hand *hand, struct sim *sim, uint32_t operations);
/* Nothing is held or paused any more. */
void hand_settle(struct hand *hand);

#endif
