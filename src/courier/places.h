/*
 * How many connections a courier may have (doc/sending.md, 4), and whose turn it is. A job looks
 * for its hosts without one, since that costs a question of the DNS and no more, and takes a place
 * before it calls. Destinations in trouble have a quarter of all places, and together with those of
 * which nothing is known three quarters. Of the latter every other place is for the job that came
 * last, as in core's schedule.
 *
 *   none -> waits -> held -> none
 *                    held -> lent       its host has not greeted within PLACE_CALL
 *                            lent -> waits, before all others, once it has
 *
 * A connection that rests has none, and goes where its room is wanted.
 */
#ifndef COURIER_PLACES_H
#define COURIER_PLACES_H

#include "sys/loop.h"

#define PLACE_CALL (500 * NS_PER_MS)

struct courier;
struct job;

struct place {
    bool held;
    struct timer call; /* until it is lent */
};

void places_init(struct courier *courier);
/* How many are held. */
size_t places_held(const struct courier *courier);
/* May yield: until there is one for the job, which is to call with it. False: the courier stops. */
bool place_take(struct job *job);
/* May yield: its host has greeted, or its connection rested: the place is its own until it gives it
 * back. One that was lent comes again; where the courier stops there may be none. */
void place_keep(struct job *job);
/* Nothing where it has none. */
void place_give(struct job *job);
/* Nobody waits any more. */
void places_end(struct courier *courier);

#endif
