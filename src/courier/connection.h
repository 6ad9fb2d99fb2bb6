/*
 * struct connection: a connection to another server that has greeted us and said what it can do.
 * While a job has it, its fiber drives it; between two jobs it rests (rest.h).
 */
#ifndef COURIER_CONNECTION_H
#define COURIER_CONNECTION_H

#include "courier/route.h"
#include "courier/talk.h"
#include "format/capabilities.h"

/* RFC 5321 4.5.3.2. All that comes before a message is one phase with a limit of its own. */
#define WITHIN_GREETING (300 * NS_PER_SECOND)
#define WITHIN_HELLO (300 * NS_PER_SECOND)
#define WITHIN_QUIT (10 * NS_PER_SECOND)
#define LIMIT_HELLO (600 * NS_PER_SECOND)
#define CONNECT_APART (250 * NS_PER_MS) /* RFC 8305 5 */

struct collector_turn;
TAILQ_HEAD(collector_turns, collector_turn);

#define CONNECTION_MAGIC MAGIC('C', 'O', 'N', 'N')

struct connection {
    uint32_t magic;
    TAILQ_ENTRY(connection) link; /* resting, leaving, or of who collects */
    struct courier *courier;
    struct talk talk;
    struct peer_address ends;
    struct capabilities can;
    char *host;        /* its name */
    char *destination; /* whose jobs it may serve (rest.h); NULL: none but this */
    bool lmtp;
    bool logged_in;
    bool used; /* it has served a job before this one */
    bool resting, leaving;
    uint64_t collection; /* of who collects his mail by it (collected.h); 0: we have made it */
    bool taken;          /* so, and a job has it; */
    struct collector_turns turns; /* those that wait for it */
    bool last;                    /* so, and none comes behind that */
    uint32_t messages;            /* transactions, also those that failed */
    struct timer idle;            /* while it rests */
    char tls[96];                 /* for the facts; empty: in clear */
};

/*
 * May yield: calls the addresses and says hello to the first that answers; what failed and what was
 * met are taken out of them. NULL: the job has a note of why. *ours_r: one of them is our own.
 */
struct connection *connection_open(struct job *job, const struct route_host *host,
                                   struct route_addresses *addresses, bool *ours_r);

/* Why this address of the host is not called, as far as the address tells: a literal. Empty: it is;
 * whether it is our own shows when it is called. Never yields. */
struct str connection_forbids(const struct job *job, const struct route_host *host,
                              struct str address);

/* One that the other side made: the handle is the caller's where NULL says that there is no memory.
 * It is paused. Never yields. */
struct connection *connection_given(struct courier *courier, int handle, struct str host);
/* May yield: greeting and hello of such a one; False: the job has a note of why. */
bool connection_greeted(struct job *job, struct connection *connection);

/* Closes at once. Never yields, as the next one. */
void connection_cut(struct connection *connection);
/* Says QUIT and goes when the other side has. */
void connection_leave(struct connection *connection);

/* What may be put on it still, by our setting and its own (LIMITS, RFC 9422). */
bool connection_has_room(const struct connection *connection, const struct conf *conf);

#endif
