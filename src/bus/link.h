/*
 * struct link: one end of the conversation with another role, over a packet socket. Messages queue
 * during a turn and leave together at its end, several in a packet. Questions park the asking fiber
 * until the answer comes.
 *
 * A peer is never trusted: what does not decode, comes from a role that may not send it, answers a
 * question nobody asked or asked otherwise, or has a handle that does not belong to it cuts the
 * link. When the link ends, every fiber that waits on it gets ERR_BUS_BROKEN, then `ended` is
 * called, once, on the loop's stack and never from within a call on the link; the owner may call
 * link_done there. A fiber that was woken does not touch the link any more.
 *
 * What cannot be sent because the peer does not read is kept up to LINK_OUT_MAX octets; beyond it
 * link_send says ERR_OVER_LIMIT and link_ask waits its turn (it may yield anyway). A message that
 * is longer than a packet is ERR_OVER_LIMIT too. Octets of messages are wiped once they were sent
 * or taken: there are passwords among them.
 */
#ifndef BUS_LINK_H
#define BUS_LINK_H

#include "bus/messages.h"
#include "sys/fiber.h"
#include "sys/loop.h"

enum {
    LINK_OUT_MAX = 4 * 1024 * 1024,
    LINK_PACKETS_A_TURN = 64, /* taken from one peer before others have their turn */
};

struct link;
struct link_packet;

/* A question under way: the asker's memory, the link's own. */
struct link_call {
    RB_ENTRY(link_call) by_number;
    TAILQ_ENTRY(link_call) by_turn;
    uint32_t number;
    struct msg *question;
    struct arena *arena;
    struct msg *answer_r;
    struct err result;
    struct wait wait;
};

RB_HEAD(link_calls, link_call);
STAILQ_HEAD(link_packets, link_packet);
TAILQ_HEAD(link_waiting, link_call);

struct link_owner {
    /* A message that is no answer. On the loop's stack; `msg` and what it borrows are valid until
     * it returns. `passed` is the handle of a message that carries one, else -1; it is the owner's
     * now. link_done may be called here. */
    void (*got)(struct link *, const struct msg *msg, int passed);
    /* The other end is gone or was cut off. */
    void (*ended)(struct link *, struct err why);
    /* All that was to be sent has left, and there is room again where there was none. NULL: nobody
     * wants to know. link_done may not be called here. */
    void (*drained)(struct link *);
};

#define LINK_MAGIC MAGIC('L', 'I', 'N', 'K')

struct link {
    uint32_t magic;
    struct loop *loop;
    enum bus_role own, peer;
    const struct link_owner *owner;
    void *arg; /* the owner's */
    struct watch watch;
    struct task flush;           /* at the end of a turn with something to send */
    struct task end;             /* after a cut */
    char *in;                    /* BUS_PACKET_MAX octets */
    size_t in_most;              /* of them were ever written */
    struct arena arena;          /* lists of the message in `got` */
    struct buf out;              /* the packet being filled */
    struct link_packets queue;   /* full ones, and those the socket would not take yet */
    size_t queued;               /* octets in the queue */
    struct link_calls calls;     /* asked, by number */
    struct link_waiting waiting; /* not asked yet: no room */
    uint32_t last_call;
    bool over; /* cut: nothing more is taken or sent */
    struct err why;
    bool *done; /* told by link_done, while a callback runs */
    uint64_t packets_in, packets_out, messages_in, messages_out;
};

/* Takes the handle over. `own` is the role of this end, `peer` of the other. 0 or -errno: then the
 * handle is still the caller's. */
int link_init(struct link *link, struct loop *loop, int handle, enum bus_role own,
              enum bus_role peer, const struct link_owner *owner, void *arg);
/* Closes it; what was not sent is lost; waiting fibers get ERR_BUS_BROKEN; `ended` is not called.
 */
void link_done(struct link *link);
/* The peer misbehaved in a way only the owner can see: ends the link as if it had been seen here.
 */
void link_cut(struct link *link, struct err why);

/* Takes its place at the turn's end now: what is sent in this turn leaves before the output of
 * streams that are written to from here on. */
void link_take_place(struct link *link);
/* Queues for the end of the turn; never yields. */
struct err link_send(struct link *link, const struct msg *msg);
/* For messages that carry a handle: at once, in a packet of its own, behind all that was sent
 * before. The caller keeps its copy. ERR_OVER_LIMIT where the socket is full: nothing was sent,
 * and `drained` tells when there is room. */
struct err link_send_handle(struct link *link, const struct msg *msg, int handle);
/* May yield: asks and waits for the answer. Sets msg's call. What answer_r borrows lives in the
 * arena. */
struct err link_ask(struct link *link, struct msg *msg, struct arena *arena, struct msg *answer_r);

/* The same in two steps: begin never yields, end may, and does not where it was answered. Between
 * them `call` and all that was passed is the link's, also beyond link_done, which answers it. */
void link_ask_begin(struct link *link, struct link_call *call, struct msg *msg, struct arena *arena,
                    struct msg *answer_r);
bool link_ask_answered(const struct link_call *call);
struct err link_ask_end(struct link_call *call);

#endif
