/*
 * Collections: mail that waits until its owner comes for it (ATRN, RFC 2645), handed over on the
 * connection that he made (doc/sending.md, 12: G1 to G3). A collection is one such connection: its
 * courier, and the lines that are given to it. Inside the queue only.
 *
 * It is named by a number that is never given twice. Its courier may be gone before its end is told
 * here, so whoever keeps the number looks it up again behind each yield.
 */
#ifndef CORE_COLLECT_H
#define CORE_COLLECT_H

#include "core/queue.h"
#include "core/route.h"

enum {
    COLLECTIONS_MAX = 100,     /* at a time; each is a connection of an edge and two fibers there */
    COLLECTION_LINES_MAX = 200 /* of one; what is beyond them waits for the next time */
};

/* Where its jobs go. NULL: it has ended. */
struct peer *collection_courier(struct queue *queue, uint64_t id);

/* G2 -> G3, by whatever it was; nothing where it has ended already. `tell` its courier? */
void collection_end(struct queue *queue, uint64_t id, bool tell);
/* G2 -> G3: those that have nothing left. At the end of each turn of the queue. */
void collections_turn(struct queue *queue);
/* A courier's link ended. */
void collections_peer_gone(struct peer *peer);
/* With the queue. */
void collections_free(struct queue *queue);

#endif
