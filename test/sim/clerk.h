/*
 * The clerk: changes the directory by the operator's commands and reloads the configuration, while
 * mail flows. What he changes is a table (people.h) of addresses, each with some states.
 *
 * From the moment a change begins until it is acknowledged, an address may be in either state; so
 * it may after a change that core did not outlive, until the same change was made again. A letter
 * is judged by all states its recipient may have been in since it was named.
 */
#ifndef SIM_CLERK_H
#define SIM_CLERK_H

#include "house.h"
#include "people.h"

struct sim;

struct clerk_entry {
    uint64_t step;   /* of the fake world; the states from then on */
    uint32_t states; /* bit i: may be in state i */
    int64_t at;      /* mono, of that step */
};

struct clerk_history {
    struct clerk_entry *entries;
    size_t count, room;
};

struct clerk {
    struct sim *sim;
    struct fake_event next;
    struct fake_random random;
    struct clerk_history histories[PEOPLE_CHANGES];
    uint32_t changes_left;
    bool settles; /* brings everything back to its first state */
    bool idle;
    int change, state; /* that are being made; change -1: none */
    bool again;        /* it was tried, and may be half done */
    bool asked;        /* the errand is under way */
    uint64_t core_deaths;
    int exit_code;
    struct house_errand errand;
};

void clerk_open(struct clerk *clerk, struct sim *sim, uint32_t changes);
void clerk_close(struct clerk *clerk);
/* No more changes, but all that make everything what it was at first. */
void clerk_settle(struct clerk *clerk);

/* The states that a change's address may have been in at any time since this step. */
uint32_t clerk_states(const struct clerk *clerk, int change, uint64_t since);
/* The same since this time (mono). */
uint32_t clerk_states_at(const struct clerk *clerk, int change, int64_t since);

#endif
