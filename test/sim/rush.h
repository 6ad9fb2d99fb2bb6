/*
 * A rush: letters of different priority for one destination, while that is paused, so that they
 * stand in its line when it may be sent to again (law_fair.h, 2).
 */
#ifndef SIM_RUSH_H
#define SIM_RUSH_H

struct sim;
struct letter;
struct fake_random;

enum {
    RUSH_LETTERS = 6
};

#define RUSH_DOMAIN "alias.test"

/* In calm weather. */
void rush_pause(struct sim *sim);
/* One of them, before it is given to its host. */
void rush_make(struct letter *letter, struct fake_random *random);
void rush_resume(struct sim *sim);

#endif
