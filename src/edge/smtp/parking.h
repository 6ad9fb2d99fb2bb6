/*
 * struct smtp_parking: memory of an edge for messages that come so slowly that their slabs are
 * better used by others (role/slabs.h says when). A parked message has memory of its own, of about
 * its size; one has at most SMTP_PARKED_MAX, all together SMTP_PARKING_MAX.
 *
 * Who is parked and waits for its client stands in `waiting`. When the memory is short, the slowest
 * of those looked at is cut (421, smtp_message_cut) before anybody faster is refused: speed is what
 * came of the message over the time since it began, so that a newcomer is not slow. At most
 * PARKING_LOOKED_AT are looked at, others each time.
 *
 * 1. `held` is the sum of all `room`, and never above `most`.
 * 2. In `waiting` are exactly the sessions with `parks`: none of them runs a turn, each has a mail
 *    with a parked body; so it can be cut at once, from anywhere.
 *
 * Nothing here yields.
 */
#ifndef EDGE_SMTP_PARKING_H
#define EDGE_SMTP_PARKING_H

#include <sys/queue.h>

#include "base/err.h"
#include "base/str.h"

enum {
    SMTP_PARKED_MAX = 256 * 1024,        /* octets of one message */
    SMTP_PARKING_MAX = 64 * 1024 * 1024, /* octets of all, in one edge process */
};

struct smtp_session;
TAILQ_HEAD(smtp_parkers, smtp_session);

/* A message's octets. p == NULL: it is not parked. */
struct smtp_parked {
    char *p;
    size_t n, room;
};

struct smtp_parking {
    size_t held, most;
    uint64_t cuts; /* messages that were cut for others */
    struct smtp_parkers waiting;
};

void smtp_parking_open(struct smtp_parking *parking);

/* `room` octets (1 or more, at most SMTP_PARKED_MAX, no fewer than n) for a message of this rate;
 * others may be cut for it. As it was: ERR_TOO_SLOW_NOW, nobody is slower; ERR_TRY_LATER, nobody
 * who could be cut is parked; ERR_NO_MEMORY. */
struct err smtp_parking_resize(struct smtp_parking *parking, struct smtp_parked *parked,
                               size_t room, uint64_t rate);
/* How large it may become without cutting anybody. */
size_t smtp_parking_left(const struct smtp_parking *parking, const struct smtp_parked *parked);
/* There must be room. */
void smtp_parked_put(struct smtp_parked *parked, struct str octets);
/* No harm where it is not parked. */
void smtp_parked_free(struct smtp_parking *parking, struct smtp_parked *parked);

/* A session that is parked waits for its client; it does so no longer, if it did. */
void smtp_parking_enter(struct smtp_parking *parking, struct smtp_session *s);
void smtp_parking_leave(struct smtp_parking *parking, struct smtp_session *s);

#endif
