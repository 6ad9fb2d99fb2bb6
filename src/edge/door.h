/*
 * struct door: how often who comes. Sessions at a time by network (IPv4 /24, IPv6 /64), and how
 * many of something in a span of time by address or network: new sessions, messages, names that
 * there are not. Each edge process counts for itself.
 *
 * Bounded: of those that have no session, the one that came longest ago is forgotten first. Keys
 * are hashed under a random key, so nobody can choose two that meet. Times are mono. Never yields.
 */
#ifndef EDGE_DOOR_H
#define EDGE_DOOR_H

#include "base/network.h"
#include "base/siphash.h"

enum {
    DOOR_MOST = 50000, /* that are remembered: 6 MB */
    DOOR_V4 = 24,      /* bits of a network */
    DOOR_V6 = 64,
};

enum door_count {
    DOOR_SESSIONS, /* new ones */
    DOOR_MESSAGES,
    DOOR_UNKNOWN,  /* recipients that there are not */
    DOOR_REQUESTS, /* of HTTP */
};

struct door;

/* `most`: DOOR_MOST, or less in tests. NULL: no memory. */
struct door *door_open(size_t most, const unsigned char key[SIPHASH_KEY]);
void door_close(struct door *door);

/*
 * One more of these from there. False: it is more than `most` in `within`, and does not count. A
 * burst of `most` is let in at once, then they come evenly. Without memory for the count: true.
 */
bool door_passes(struct door *door, enum door_count what, const struct network *from, uint64_t most,
                 int64_t within, int64_t now);

/* Sessions that are open from a network. door_enter: one more; false: no memory, it does not count
 * and must not be left. */
uint32_t door_sessions(const struct door *door, const struct network *from);
bool door_enter(struct door *door, const struct network *from);
void door_leave(struct door *door, const struct network *from);

size_t door_remembered(const struct door *door);

#endif
