/*
 * Why not leave it to malloc: it has no limit of its own to keep by, and its answer to a full round
 * of small pieces given back by another thread is a lock and a search. Why lists by size and not
 * blocks by lifetime: a row of an overlay may be replaced in the next group or stay for the whole
 * round, and a block would keep the dead beside the living.
 */
#include "base/spares.h"

#include <sanitizer/asan_interface.h>

#include "base/must.h"

struct spare {
    STAILQ_ENTRY(spare) next;
};

_Static_assert(sizeof(struct spare) <= SPARE_SMALLEST, "a spare lies in what it is");

struct size {
    size_t list; /* SPARE_SIZES: it is not kept */
    size_t octets;
};

static struct size size_of(size_t n)
{
    if (n <= SPARE_SMALLEST)
        return (struct size){0, SPARE_SMALLEST};
    if (n > SPARE_LARGEST)
        return (struct size){SPARE_SIZES, n};
    /* below < n <= 2 * below, and how many quarters of `below` n needs above it. */
    size_t doublings = (size_t)__builtin_ctzl(SPARE_SMALLEST);
    size_t power = (size_t)(63 - __builtin_clzl(n - 1));
    size_t below = (size_t)1 << power;
    size_t quarters = (n - below + below / 4 - 1) / (below / 4);
    return (struct size){1 + 4 * (power - doublings) + quarters - 1,
                         below + quarters * (below / 4)};
}

void spares_init(struct spares *spares, size_t max)
{
    spares->octets = 0;
    spares->max = max;
    for (size_t i = 0; i < SPARE_SIZES; i++)
        STAILQ_INIT(&spares->lists[i]);
}

void spares_done(struct spares *spares)
{
    for (size_t i = 0; i < SPARE_SIZES; i++) {
        struct spare *spare;
        while ((spare = STAILQ_FIRST(&spares->lists[i]))) {
            STAILQ_REMOVE_HEAD(&spares->lists[i], next);
            free(spare);
        }
    }
    spares->octets = 0;
}

void *spares_take(struct spares *spares, size_t n)
{
    struct size size = size_of(n);
    struct spare *spare =
        spares && size.list < SPARE_SIZES ? STAILQ_FIRST(&spares->lists[size.list]) : NULL;
    if (!spare)
        return malloc(size.octets);
    STAILQ_REMOVE_HEAD(&spares->lists[size.list], next);
    spares->octets -= size.octets;
    ASAN_UNPOISON_MEMORY_REGION(spare, size.octets);
    return spare;
}

void spares_give(struct spares *spares, void *p, size_t n)
{
    struct size size = size_of(n);
    if (!p)
        return;
    if (!spares || size.list == SPARE_SIZES || size.octets > spares->max ||
        spares->octets > spares->max - size.octets) {
        free(p);
        return;
    }
    struct spare *spare = p;
    STAILQ_INSERT_HEAD(&spares->lists[size.list], spare, next);
    spares->octets += size.octets;
    /* Who still looks at it is found as if it had been freed. */
    ASAN_POISON_MEMORY_REGION(spare + 1, size.octets - sizeof(*spare));
}

void spares_move(struct spares *to, struct spares *from)
{
    for (size_t i = 0; i < SPARE_SIZES; i++)
        STAILQ_CONCAT(&to->lists[i], &from->lists[i]);
    to->octets += from->octets;
    from->octets = 0;
}
