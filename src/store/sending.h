/*
 * What an account sent lately, as the limits and the brake of submission need it (core/sending.h):
 * recipients by the hour for a day and by the day for the days on which it sent, and whether it is
 * held. One small entry, written with the commit of each message that a user submits, so a restart
 * forgets nothing and nothing is counted that was not accepted.
 *
 * Partition ACCOUNT/account
 *   's' -> struct sending
 *
 * Times are microseconds since 1970; hours and days are those of UTC. A clock that was set back
 * counts as standing still.
 */
#ifndef STORE_SENDING_H
#define STORE_SENDING_H

#include "store/engine.h"
#include "store/op_list.h"

enum {
    SENDING_HOURS = 25, /* the one that runs, and a day */
    SENDING_DAYS = 14,
    SENDING_WHY_MAX = 200, /* octets */
};

struct sending {
    uint32_t hour;                 /* since 1970: of hours[0] */
    uint32_t hours[SENDING_HOURS]; /* recipients; the newest first */
    uint32_t day;                  /* since 1970: of today */
    uint32_t today;
    uint32_t days[SENDING_DAYS]; /* before today, those on which it sent; the newest first */
    uint32_t day_count;
    int64_t held;     /* since when; 0: it is not */
    int64_t released; /* when an operator let it go on; 0: never, or held since */
    char why[SENDING_WHY_MAX];
    uint32_t why_length;
};

static inline struct str sending_why(const struct sending *sending)
{
    return str_make(sending->why, sending->why_length);
}

/* The time is `now`. */
void sending_move(struct sending *sending, int64_t now);
/* Recipients more, after sending_move. */
void sending_add(struct sending *sending, uint32_t recipients);
/* Those added at `then` were none. */
void sending_take_back(struct sending *sending, int64_t then, uint32_t recipients);

/* Recipients of the last hour, and of the last 24, after sending_move to `now`: the bucket that is
 * partly in counts in proportion. */
uint64_t sending_last_hour(const struct sending *sending, int64_t now);
uint64_t sending_last_day(const struct sending *sending, int64_t now);
/* The mean of the days, rounded up; 0: it never sent before today. */
uint64_t sending_habit(const struct sending *sending);

/* What is longer than SENDING_WHY_MAX is cut. */
void sending_hold(struct sending *sending, int64_t since, struct str why);
void sending_release(struct sending *sending, int64_t now);

/* --- Kept ------------------------------------------------------------------------------------ */

enum {
    SENDING_OPS = 2 /* of sending_ops */
};

/* May yield. All zeroes for an account that never sent. ERR_STORE_DAMAGED. */
struct err sending_read(struct engine *engine, uint64_t account, struct arena *arena,
                        struct sending *sending_r);
/* Writes it, as it is now. The commit is a CONFLICT where the account is there no more. */
void sending_ops(uint64_t account, const struct sending *sending, struct arena *arena,
                 struct op_list *ops);

/* --- Of routes ------------------------------------------------------------------------------- */

/*
 * What went by a route lately (core/governor.h), counted in the same hours; a route has neither a
 * brake nor a habit.
 *
 * Partition QUEUE/0
 *   'r' name of the block -> struct route_use
 */
struct route_use {
    struct sending messages, recipients;
};

enum {
    ROUTE_USE_OPS = 1
};

/* May yield. All zeroes for a route that nothing went by. ERR_STORE_DAMAGED. */
struct err route_use_read(struct engine *engine, struct str name, struct arena *arena,
                          struct route_use *use_r);
void route_use_ops(struct str name, const struct route_use *use, struct arena *arena,
                   struct op_list *ops);

#endif
