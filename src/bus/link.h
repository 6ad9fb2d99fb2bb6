/*
 * struct link: one end of the conversation with another role, over a packet socket. Messages queue
 * during a turn and leave together at its end. Questions park the asking fiber until the answer
 * comes.
 *
 * A peer is never trusted: what does not decode, comes from a role that may not send it, or answers
 * a question nobody asked closes the link. When the link ends, every fiber that waits on it gets
 * ERR_BUS_BROKEN, then `ended` is called, once; the owner may free the link there.
 *
 * What cannot be sent because the peer does not read is kept up to LINK_OUT_MAX octets; beyond it
 * link_send says ERR_OVER_LIMIT and link_ask waits its turn (it may yield anyway).
 */
#ifndef BUS_LINK_H
#define BUS_LINK_H

#include <uthash.h>

#include "bus/messages.h"
#include "sys/fiber.h"
#include "sys/loop.h"

enum {
    LINK_OUT_MAX = 4 * 1024 * 1024
};

struct link;
struct link_call;

struct link_owner {
    /* A message that is no answer. On the loop's stack; `msg` and what it borrows are valid until
     * it returns. `passed` is a handle that came with the packet, or -1; it is the owner's now. */
    void (*got)(struct link *, const struct msg *msg, int passed);
    /* The other end is gone or was cut off. */
    void (*ended)(struct link *, struct err why);
};

#define LINK_MAGIC MAGIC('L', 'I', 'N', 'K')

struct link {
    uint32_t magic;
    struct loop *loop;
    enum bus_role own, peer;
    const struct link_owner *owner;
    void *arg;
    struct watch watch;
    struct task flush;
    struct buf out;                            /* the packet being filled */
    struct link_packet *queued, **queued_tail; /* packets the socket would not take yet */
    size_t queued_octets;
    struct link_call *calls; /* hash by call number */
    uint32_t next_call;
    bool over;
    uint64_t packets_in, packets_out, messages_in, messages_out;
};

/* Takes the handle over. `own` is the role of this end, `peer` of the other. 0 or -errno. */
int link_init(struct link *link, struct loop *loop, int handle, enum bus_role own,
              enum bus_role peer, const struct link_owner *owner, void *arg);
/* Closes it; waiting fibers get ERR_BUS_BROKEN; `ended` is not called. */
void link_done(struct link *link);

/* Queues for the end of the turn; never yields. */
struct err link_send(struct link *link, const struct msg *msg);
/* The same, in a packet of its own that carries a handle; the caller keeps its copy. */
struct err link_send_handle(struct link *link, const struct msg *msg, int handle);
/* May yield: asks and waits for the answer. Sets msg's call. What answer_r borrows lives in the
 * arena. */
struct err link_ask(struct link *link, struct msg *msg, struct arena *arena, struct msg *answer_r);

#endif
