/*
 * struct suspects: counts of failures by key (an address, a network, a name), each with the time
 * for which it backs off. The memory is taken when the table is opened and never more: where it is
 * full, of the oldest few the one that failed least is forgotten. Keys are hashes of 64 bits under
 * a key that nobody knows, so no one can choose two that meet.
 *
 * Counts fade evenly, and not while the suspect backs off. Times are mono. Never yields.
 */
#ifndef CORE_SUSPECTS_H
#define CORE_SUSPECTS_H

#include "base/str.h"

enum {
    SUSPECT_FAILURE = 1000, /* one failure in `level` */
};

struct suspect {
    uint64_t key;
    int64_t faded;      /* until when `level` is brought up to date */
    int64_t until;      /* backs off before this */
    int64_t tried;      /* the last try that did not turn out right; 0: there is none */
    uint32_t level;     /* failures that have not faded */
    uint32_t refused;   /* while it backed off */
    uint16_t back_offs; /* in a row: each is twice as long */
    uint16_t bans;      /* in a row */
    uint16_t pending;   /* asked, and not decided: it is not forgotten */
    uint32_t next;      /* of its chain; places are counted from 1 */
    uint32_t older, newer;
};

/* How counts fade, and how long a suspect backs off: settings, given with each call. */
struct suspect_limits {
    uint32_t failures;               /* so many make it back off */
    int64_t within;                  /* after which nothing is left of them */
    int64_t back_off, back_off_most; /* the first time, and at most */
};

struct suspects;

/* NULL: no memory. */
struct suspects *suspects_open(size_t most);
void suspects_close(struct suspects *suspects);

/* That of a key, as of now, or NULL: nothing is known. */
struct suspect *suspects_find(struct suspects *suspects, uint64_t key, int64_t now,
                              const struct suspect_limits *limits);
/* That of a key, new where there was none. NULL where every place is pending. */
struct suspect *suspects_take(struct suspects *suspects, uint64_t key, int64_t now,
                              const struct suspect_limits *limits);

/* One more failure. true: it backs off from now on. */
bool suspect_failed(struct suspect *suspect, int64_t now, const struct suspect_limits *limits);

size_t suspects_count(const struct suspects *suspects);

#endif
