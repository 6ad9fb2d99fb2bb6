/*
 * struct peer: one link to an edge or a command, and everything its owner may name: open
 * transactions, uploads, log-ins. Names are looked up per peer, so no edge reaches another's.
 *
 * A message becomes a struct request with memory of its own and runs on a fiber. When the link ends
 * the peer lingers, `gone`, until its last request returned; answers to it are then dropped.
 */
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include "base/hash.h"
#include <bsd/sys/tree.h>

#include "bus/link.h"
#include "core/core.h"

enum {
    PEER_TRANSACTIONS_MAX = 20000, /* open at a time on one link */
    PEER_UPLOADS_MAX = 2000,
    PEER_LOGINS_MAX = 20000,
    PEER_IDS_MAX = 256, /* of messages that are still to come; an older one is forgotten */
    TRANSACTION_ARENA = 64 * 1024 * 1024, /* most for one message with every list expanded */
    PEER_TRANSACTION_OCTETS =
        512 * 1024 * 1024, /* of all open ones; then recipients are told 452 */
};

struct transaction;
struct upload_slot;
struct login;
struct login_attempt;

RB_HEAD(transaction_tree, transaction);

#define PEER_MAGIC MAGIC('P', 'E', 'E', 'R')

struct peer {
    uint32_t magic;
    LIST_ENTRY(peer) link_in_core;
    struct core *core;
    struct link link;
    enum bus_role role;
    uint32_t instance; /* which edge; of a command: the user id of who gave it */
    char *slabs; /* CORE_SLABS * SLAB_SIZE octets, shared with the edge: it may change any of them
                    at any time */
    struct transaction_tree transactions; /* by number */
    size_t transaction_count;
    size_t transaction_octets;
    uint64_t ids[PEER_IDS_MAX]; /* given ahead and not used, rising */
    size_t id_count;
    struct upload_slot *uploads;
    struct login *logins;
    struct login_attempt *attempts;
    TAILQ_HEAD(, login_attempt) attempts_order; /* oldest first */
    bool takes_jobs;        /* of a courier: it has said what it has under way */
    bool adopts;            /* of a courier: that is being looked up */
    size_t jobs;            /* of a courier (core/queue.h) */
    size_t seekers;         /* of those: to destinations that had not answered */
    struct buf admin_input; /* what the next command reads */
    size_t holds;           /* the link, and every request that runs */
    bool gone;
    struct task last_task;
    struct fiber_start farewell;
};

struct request {
    TAILQ_ENTRY(request) link;
    struct fiber_start start;
    void (*serve)(struct request *);
    struct peer *peer;
    const struct conf *conf; /* held from its begin on, with those that come after it */
    struct msg msg;
    struct arena arena;
};

/* Takes the handle of a link over and serves it until it ends. */
struct err peer_add(struct core *core, int handle, enum bus_role role, uint32_t instance);
/* Cuts the link now, because the peer broke the rules or there is no memory to serve it. */
void peer_cut(struct peer *peer, struct err why);

/* Its memory stays, also when its link has ended, until all of these were released. */
/* A courier that takes jobs; NULL: none is there. */
struct peer *peer_courier(const struct core *core);
void peer_hold(struct peer *peer);
void peer_release(struct peer *peer);

/* A courier that is at work; NULL: there is none. */
struct peer *peer_courier(const struct core *core);

/* Queues an answer with the request's call number; dropped when the peer is gone. */
void request_answer(struct request *request, struct msg *answer);

/* May yield: a piece of the answer before it (admin_text); waits while the peer does not read.
 * false: the peer is gone. */
bool request_piece(struct request *request, struct msg *piece);

/*
 * The octets the peer put into `slabs`, as parts that point into shared memory: what they hold may
 * change while it is looked at, so it is copied before it is checked. false: an index or a length
 * is out of range, or the total is not `total`.
 */
bool peer_slabs(const struct peer *peer, const struct msg_slab *slabs, size_t count, uint64_t total,
                struct iovec *parts_r);
/* The same octets as a copy in the arena; str_null: out of range, or no room. */
struct str peer_slabs_copy(const struct peer *peer, const struct msg_slab *slabs, size_t count,
                           struct arena *arena);

/* What a peer may ask; each runs on a fiber and answers itself. */
void serve_resolve(struct request *);
void serve_forget(struct request *);
void serve_sender(struct request *);
void serve_verify(struct request *);
void serve_etrn(struct request *);
void serve_collect(struct request *);
void serve_collection_ended(struct request *);
void serve_refused(struct request *);
void serve_upload_open(struct request *);
void serve_upload_data(struct request *);
void serve_upload_drop(struct request *);
void serve_commit(struct request *);
void serve_ask_commit(struct request *);
void serve_seen(struct request *);
void serve_tries(struct request *);
void serve_sign(struct request *);
void serve_login(struct request *);
void serve_login_begin(struct request *);
void serve_login_proof(struct request *);
void serve_login_dropped(struct request *);
void serve_login_token(struct request *);
void serve_login_certificate(struct request *);
void serve_login_local(struct request *);
void serve_logout(struct request *);
void serve_mailbox_open(struct request *);
void serve_fetch(struct request *);
void serve_fetch_ahead(struct request *);
void serve_expunge(struct request *);
void serve_unsubscribe(struct request *);
void serve_admin_input(struct request *);
void serve_admin(struct request *);
void serve_jobs(struct request *);
void serve_job_fetch(struct request *);
void serve_job_dot(struct request *);
void serve_job_over(struct request *);
void serve_sts_learned(struct request *);

/* What a peer leaves behind when it is gone; called once, with no request running. */
void transactions_drop(struct peer *peer);
void uploads_drop(struct peer *peer);
void logins_drop(struct peer *peer);
void login_attempts_drop(struct peer *peer);

#endif
