/*
 * Inside the schedule only:
 *
 *   schedule.c              entries and their states, and which one goes next
 *   schedule_destination.c  what destinations have room for, and how they fare
 *   schedule_line.c         the order in which entries wait at a destination
 */
#ifndef CORE_SCHEDULE_INSIDE_H
#define CORE_SCHEDULE_INSIDE_H

#include "base/hash.h"
#include "core/schedule.h"

/* --- Orders --- */

static inline int schedule_compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static inline int scheduled_name_order(const struct scheduled *a, const struct scheduled *b)
{
    if (a->message != b->message)
        return a->message < b->message ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static inline int destination_name_order(const struct destination *a, const struct destination *b)
{
    if (a->name_length != b->name_length)
        return a->name_length < b->name_length ? -1 : 1;
    return a->name_length ? memcmp(a->name, b->name, a->name_length) : 0;
}

/* --- Destinations --- */

/* The one of that name, made where there is none; it settles when it has got its entry. NULL: no
 * memory. */
struct destination *destination_take(struct schedule *schedule, struct str name);
/* It has no entries. */
void destination_free(struct schedule *schedule, struct destination *destination);
bool destination_is_doubtful(const struct destination *destination);
enum destination_standing destination_stands(const struct destination *destination);
/* Out of whatever list it is in. Must run before `answers`, `went`, `troubles` or
 * `quiet_until` change. */
void destination_unsettle(struct schedule *schedule, struct destination *destination);
/* Into the list where it belongs now; behind whatever changes that. It is freed where it has been
 * idle for longest of too many. */
void destination_settle(struct schedule *schedule, struct destination *destination);
/* Of those that are quiet the one that is so for the shortest time; NULL: none is. */
struct destination *destination_quiet_first(const struct schedule *schedule);

/* --- Lines and times --- */

/* The turn of its priority that was served last. */
int64_t *line_turn(const struct scheduled *one);
/* Q2: its key is its turn. */
void line_enter(struct scheduled *one);
void line_leave(struct scheduled *one);
/* Whose turn it is; it has one. */
struct scheduled *line_first(struct destination *destination);
/* Q1: its key is when it comes due. */
void times_enter(struct schedule *schedule, struct scheduled *one);
void times_leave(struct schedule *schedule, struct scheduled *one);
/* Of all destinations the first that comes due; NULL: nothing waits. */
struct scheduled *times_first(const struct schedule *schedule);
/* The first behind `after`; NULL: there is none. And the one behind that. */
struct scheduled *times_behind(struct destination *destination, const struct schedule_after *after);
struct scheduled *times_next(struct scheduled *one);

#endif
