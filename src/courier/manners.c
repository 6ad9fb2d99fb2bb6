/*
 * Names of hosts are strangers' words: a tree, which no choice of theirs makes slow. Those met last
 * stand first in a list, and the last of it goes where there are too many.
 */
#include "courier/manners.h"

#include <stdlib.h>

#include "base/must.h"

struct known {
    RB_ENTRY(known) by_name;
    TAILQ_ENTRY(known) link;
    enum manner manner;
    int64_t until;   /* mono */
    struct str name; /* in room, or of whom is looked for */
    char room[];
};

RB_HEAD(known_names, known);
TAILQ_HEAD(known_list, known);

struct manners {
    struct known_names names;
    struct known_list met; /* last first */
    size_t count;
};

static int known_order(const struct known *a, const struct known *b)
{
    size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
    int order = n ? memcmp(a->name.p, b->name.p, n) : 0;
    return order ? order : (a->name.n > b->name.n) - (a->name.n < b->name.n);
}

RB_GENERATE_INTERNAL(known_names, known, by_name, known_order, __attribute__((unused)) static)

struct manners *manners_open(void)
{
    struct manners *manners = calloc(1, sizeof *manners);
    if (!manners)
        return NULL;
    RB_INIT(&manners->names);
    TAILQ_INIT(&manners->met);
    return manners;
}

static void forget(struct manners *manners, struct known *known)
{
    RB_REMOVE(known_names, &manners->names, known);
    TAILQ_REMOVE(&manners->met, known, link);
    manners->count--;
    free(known);
}

void manners_close(struct manners *manners)
{
    while (manners && !TAILQ_EMPTY(&manners->met))
        forget(manners, TAILQ_FIRST(&manners->met));
    free(manners);
}

/* NULL: not met, or too long ago. */
static struct known *find(struct manners *manners, struct str host, int64_t now)
{
    struct known like = {.name = host};
    struct known *known = RB_FIND(known_names, &manners->names, &like);
    if (!known || known->until > now)
        return known;
    forget(manners, known);
    return NULL;
}

enum manner manners_of(struct manners *manners, struct str host, int64_t now)
{
    const struct known *known = find(manners, host, now);
    return known ? known->manner : MANNER_UNKNOWN;
}

static struct known *add(struct manners *manners, struct str host)
{
    struct known *known = calloc(1, sizeof *known + host.n);
    if (!known)
        return NULL;
    if (host.n)
        memcpy(known->room, host.p, host.n);
    known->name = str_make(known->room, host.n);
    RB_INSERT(known_names, &manners->names, known);
    TAILQ_INSERT_HEAD(&manners->met, known, link);
    if (++manners->count > MANNERS_MAX)
        forget(manners, TAILQ_LAST(&manners->met, known_list));
    return known;
}

void manners_learn(struct manners *manners, struct str host, enum manner manner, int64_t now)
{
    struct known *known = find(manners, host, now);
    if (known && known->manner == MANNER_ALONE && manner != MANNER_ALONE)
        return;
    if (!known)
        known = add(manners, host);
    if (!known)
        return;
    known->manner = manner;
    known->until = now + MANNERS_KEPT;
    TAILQ_REMOVE(&manners->met, known, link);
    TAILQ_INSERT_HEAD(&manners->met, known, link);
}

size_t manners_count(const struct manners *manners)
{
    return manners->count;
}
