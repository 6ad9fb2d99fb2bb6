/*
 * struct smtp_known: recipients that core accepted a moment ago, in an answer that lasts, and ids
 * for their messages. Their RCPT is answered without core; COMMIT names their addresses, and core
 * resolves them then. So core decides, as always, and a guess that was wrong costs a refusal at the
 * end of the message. A hash of the address will do: it does not matter that a stranger can find
 * two with the same one.
 */
#ifndef EDGE_SMTP_KNOWN_H
#define EDGE_SMTP_KNOWN_H

#include "base/str.h"
#include "sys/loop.h"

enum {
    SMTP_KNOWN = 4096,            /* addresses; one that falls upon another takes its place */
    SMTP_KNOWN_SIZE = 256 * 1024, /* SIZE= of MAIL: whether there is room for more core must say */
    SMTP_KNOWN_IDS = 128,
};
#define SMTP_KNOWN_FOR (10 * NS_PER_SECOND)

struct smtp_known {
    uint64_t core_since; /* of the edge, when they were accepted */
    uint64_t changes;    /* edge->directory_changes then */
    struct {
        uint64_t hash;
        int64_t until; /* mono */
    } at[SMTP_KNOWN];
    struct {
        uint64_t id;
        int64_t until;
    } ids[SMTP_KNOWN_IDS]; /* the youngest last */
    size_t id_count;
};

struct edge;

/* `server`: our address that the client connected to; user@[literal] depends on it. */
void smtp_known_add(struct edge *edge, struct str address, struct str server);
void smtp_known_drop(struct edge *edge, struct str address, struct str server);
bool smtp_known_has(struct edge *edge, struct str address, struct str server);

/* An id that core gave ahead, in msg_committed.next; too many are dropped. */
void smtp_known_id_add(struct edge *edge, uint64_t id);
/* The youngest, which is the caller's now; 0: none. */
uint64_t smtp_known_id_take(struct edge *edge);

#endif
