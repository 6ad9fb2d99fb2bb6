/*
 * struct spares: memory that is taken and given back all the time by one owner. What comes back is
 * kept, by size, for the next that is taken, so that a steady load calls malloc no more.
 *
 * At most `max` octets are kept; what comes beyond them goes back to the system, as does what is
 * larger than SPARE_LARGEST. Sizes are rounded up by a quarter at most, and what was taken from one
 * struct spares may be given to another one. NULL stands for one that keeps nothing.
 *
 * Not thread-safe; never yields.
 */
#ifndef BASE_SPARES_H
#define BASE_SPARES_H

#include <sys/queue.h>

#include "base/str.h"

enum {
    SPARE_SMALLEST = 64,
    SPARE_LARGEST = 512 * 1024,
    SPARE_SIZES = 1 + 4 * 13, /* four between each power of two and the next */
};

STAILQ_HEAD(spare_list, spare);

struct spares {
    struct spare_list lists[SPARE_SIZES];
    size_t octets; /* kept */
    size_t max;
};

/* Takes no memory. */
void spares_init(struct spares *spares, size_t max);
/* Gives back what is kept; it is empty and usable afterwards. */
void spares_done(struct spares *spares);

/* n octets, aligned for any type, that hold anything; NULL: the system has no memory. */
void *spares_take(struct spares *spares, size_t n) __attribute__((warn_unused_result));
/* What was taken with this n; p may be NULL. */
void spares_give(struct spares *spares, void *p, size_t n);
/* What `from` keeps goes to `to`, also beyond its max: no call of free. */
void spares_move(struct spares *to, struct spares *from);

#endif
