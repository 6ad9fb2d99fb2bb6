/*
 * Core: the role that promises. It alone opens the store, knows the accounts and says "durable".
 * It reads no stranger's byte as text: edges send it typed messages (bus/messages.def) and opaque
 * bodies, and it checks each as if its sender had been taken over.
 *
 *   peer.c       one link to an edge or a command: what it may name, and the table of what is asked
 *   envelope.c   resolve, verify: who are these recipients
 *   accept.c     commit: a message becomes durable in its mailboxes
 *   submission.c, sending.c   mail from users: as whom, and how much
 *   queue.c      mail for others: when and by whom it is sent
 *   showing.c    SEND, SOML, SAML: messages onto terminals; terminals.c: the role that has them
 *   upload.c     bodies above 256 KB
 *   resent.c     clients whose connection broke after our 250
 *   login.c      who is this: the order of an attempt; login_*.c its mechanisms
 *   guard.c      who guesses
 *   mailbox.c, fetch.c   what a mailbox session asks
 *   tls_counts.c, tls_reports.c   what became of TLS to others, told to them
 *   route.c      which way it goes; governor.c: how much by it
 *   secrets.c    what to log in with there; tokens.c: what is renewed
 *   keys.c       private keys: certificates for the edges, signatures of handshakes
 *   signing.c    signatures on what is sent (DKIM); signing_keys.c makes their keys
 *   forwarding.c mail that is sent on: its sender, its way back, its mark against loops
 *   audit.c      what was decided, for the record
 *   admin.c      the operator's commands; control.c: their socket
 *
 * One loop, one thread; the engine's and the password lane's threads run jobs only.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <sys/queue.h>

#include "base/arena.h"
#include "base/spares.h"
#include "bus/link.h"
#include "conf/held.h"
#include "core/audit.h"
#include "core/login_desk.h"
#include "core/resent.h"
#include "core/sending.h"
#include "core/terminals.h"
#include "role/dns.h"
#include "store/directory.h"
#include "store/engine.h"
#include "store/forward_keys.h"
#include "sys/fiber.h"
#include "sys/log.h"
#include "sys/worker.h"

enum {
    CORE_FIBERS = 4096,
    CORE_SLABS = 2048,           /* of each edge: 32 MB of addresses, touched last used first */
    REQUEST_ARENA = 1024 * 1024, /* what one question may take */
    REQUESTS_KEPT = 256,         /* spare ones, so that a question does not call malloc */
    TRANSACTIONS_KEPT = 256,     /* the same */
};

struct governor;
struct keys;
struct peer;
struct queue;
struct request;
struct secrets;
struct signing;
struct sts_upkeep;
struct tokens;
struct tls_counts;

/* Of core/tls_reports.h. */
struct tls_reporting {
    struct fiber_start start;
    bool running;
    struct wait *over; /* core_close waits for it */
    int64_t next;      /* seconds since 1970: nothing is due before; 0: nobody knows */
};

#define CORE_MAGIC MAGIC('C', 'O', 'R', 'E')

struct core {
    uint32_t magic;
    struct world *world;
    struct loop *loop;
    struct fiber_pool *fibers;
    struct log *log;
    const struct conf *conf; /* held */
    struct engine *engine;
    struct directory directory;
    struct partition_watch directory_watch;
    struct dns_client dns;
    struct terminals terminals;
    struct keys *keys; /* of TLS; NULL: none */
    struct signing *signing;
    struct secrets *secrets; /* of routes; NULL: none */
    struct tokens *tokens;   /* the same */
    struct forward_keys forward;
    struct lane hashes; /* password hashes: one thread a processor */
    struct login_desk desk;
    struct resent *resent;
    struct senders senders;
    struct queue *queue;
    LIST_HEAD(, sts_question) sts_questions; /* to couriers */
    struct sts_upkeep *sts_upkeep;
    struct tls_counts *tls_counts;
    struct tls_reporting tls_reporting;
    struct governor *governor; /* of routes; goes with the queue */
    struct audit audit;
    int64_t audit_logged;    /* mono: when its head last went into the log */
    LIST_HEAD(, peer) peers; /* whose link is open */
    size_t peer_count;       /* and those that linger */
    struct wait *emptied;    /* core_close waits for the last one */
    TAILQ_HEAD(request_list, request) spare_requests;
    size_t spare_request_count;
    LIST_HEAD(transaction_list, transaction) spare_transactions;
    size_t spare_transaction_count;
    struct spares spares; /* memory of what lives for one request */
    uint64_t last_message;
    struct timer duty;
    struct fiber_start duty_start;
    bool duty_running;
    struct wait *duty_over; /* core_close waits for it */
};

/*
 * Puts core together around an open engine; everything is borrowed and must outlive it. After this
 * peers may be added. On a fiber. The simulator and tests use it as the server does.
 */
struct err core_open(struct core *core, struct loop *loop, struct fiber_pool *fibers,
                     struct log *log, const struct conf *conf, struct engine *engine,
                     struct resent *resent);
/* Cuts all peers and waits for what they had begun; the engine stays open. On a fiber. */
void core_close(struct core *core);
/* From now on; running requests keep what they looked at. What is no request looks at core->conf
 * anew behind each yield. */
void core_configure(struct core *core, const struct conf *conf);

/* The next message id: rising, and never given twice on this machine unless its clock is set back
 * to the same microsecond. */
uint64_t core_message_id(struct core *core);

/* The role's entry: "veredus role core". Returns the exit code. */
int core_main(void);

#endif
