/*
 * What an operator makes of entries of the queue: one commit for a batch of them, and nothing
 * changes in memory before it is durable (doc/sending.md, 2). An entry that is under way is changed
 * on the disk at once, and in memory when it comes back; its courier is told not to begin.
 *
 * Also without a server (`queue` NULL), on a store that is open here.
 */
#ifndef CORE_QUEUE_CHANGE_H
#define CORE_QUEUE_CHANGE_H

#include "core/queue.h"
#include "core/sending.h"

enum {
    QUEUE_CHANGES_MAX = 100, /* entries of one batch */
};

enum queue_wish_kind {
    WISH_HOLD,
    WISH_RELEASE, /* due at once, and an hour is left to try it; but HOLDFOR and HOLDUNTIL stay */
    WISH_RETRY,   /* due at once, and its destination is calm */
    WISH_REMOVE,
    WISH_REROUTE,
    WISH_FOLLOW, /* held with its account, or released with it, as that is now */
};

struct queue_wish {
    enum queue_wish_kind kind;
    struct str why;               /* HOLD, REMOVE; may be empty */
    struct str route;             /* REROUTE: as in struct queue_entry */
    const struct sender *account; /* FOLLOW; the caller has taken it */
    bool report;                  /* REMOVE: its sender is told; with a queue only */
    bool named;                   /* RETRY: by its name, so that it goes before HOLDUNTIL, too */
    uint32_t operator;            /* user id of who wishes */
};

struct queue_name {
    uint64_t message;
    uint32_t number;
};

struct queue_changed {
    size_t changed;
    size_t later; /* of those: were under way */
    size_t same;  /* nothing had to be changed */
    size_t kept;  /* RELEASE, of all that are there: still held with their account */
    size_t gone;  /* not there (any more) */
};

/* Whose the store is. */
struct queue_hand {
    struct queue *queue; /* NULL: no server runs */
    struct engine *engine;
    struct loop *loop;
};

/* May yield. Names rise, and are each there once. Adds to *changed. An error: nothing of this batch
 * was changed. ERR_IN_USE: somebody else has changed one of them for too long. */
struct err queue_change(const struct queue_hand *hand, const struct queue_wish *wish,
                        const struct queue_name *names, size_t count,
                        struct queue_changed *changed);

/* May yield. All that waits of this account is held, or released, as the account is now; what was
 * changed is added to *changed. An error: some may not have been reached. */
struct err queue_follow(const struct queue_hand *hand, struct senders *senders, uint64_t account,
                        struct queue_changed *changed);

/* May yield. Destinations that are paused stay so over a restart; empty: all. ERR_NOT_FOUND: to be
 * resumed, and not paused. ERR_OVER_LIMIT: QUEUE_PAUSES_MAX. */
struct err queue_pause(const struct queue_hand *hand, struct str destination, struct str why);
struct err queue_resume(const struct queue_hand *hand, struct str destination);

#endif
