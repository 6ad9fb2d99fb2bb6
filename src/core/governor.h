/*
 * The governor: limits of routes (conf.def), kept by making mail wait before the host at the other
 * end refuses it, or locks the account out. Messages and recipients are counted by the hour and the
 * day as windows that slide (store/sending.h), written with the commit of each result, and read
 * again at a restart.
 *
 * What is under way counts from when it was given; what never reached the host is given back. When
 * four fifths of a limit are used, the rest is spread over its time, so that one burst does not
 * leave the others nothing.
 */
#ifndef CORE_GOVERNOR_H
#define CORE_GOVERNOR_H

#include "conf/routes.h"
#include "core/core.h"
#include "store/sending.h"

struct governor;

/* NULL: no memory. */
struct governor *governor_new(void);
void governor_free(struct governor *governor);

struct governor_answer {
    size_t recipients; /* that may go now, as one message; 0: none */
    int64_t until;     /* then: wall, when to ask again */
};

/* May yield. Has counted them. An error: nothing is known of the route, and nothing may go. */
struct err governor_take(struct core *core, const struct conf_route *route,
                         const struct route_limits *limits, size_t recipients,
                         struct governor_answer *answer_r);
/* Never yields, as all that follow. One message of so many recipients that were counted at `then`
 * did not go. */
void governor_take_back(struct governor *governor, struct str name, size_t recipients,
                        int64_t then);
/* A message that an earlier core gave. */
void governor_add(struct governor *governor, struct str name, size_t recipients, int64_t now);
/* What is known of the route goes into the commit; one of ROUTE_USE_OPS. Nothing for a route
 * without counts. */
void governor_ops(struct governor *governor, struct str name, struct arena *arena,
                  struct op_list *ops);

/* For an operator. */
struct governor_row {
    struct route_use use;
    int64_t until; /* wall; until when mail waits, 0: it does not */
};
/* May yield. */
struct err governor_row(struct core *core, struct str name, struct governor_row *row_r);

#endif
