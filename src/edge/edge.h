/*
 * struct edge: what all sessions of one edge process share: the loop, the fibers, the link to core,
 * the slabs, the configuration, the list of sessions and how many each client address has. An edge
 * parses strangers' bytes and holds no file, no key and no secret; what it wants it asks of core.
 *
 * The protocols (edge/smtp, edge/pop3, edge/http) stand behind struct edge_protocol: one row per
 * protocol, used when a connection was accepted and when the edge stops. A session begins with a
 * struct edge_session and is on the edge's list from its begin to edge_session_end.
 *
 * Order of life: edge_open, the protocols' own (smtp_open), edge_core_attach (and again whenever
 * core came back), edge_listen for each socket, the loop, edge_stop, edge_close.
 */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include "bus/link.h"
#include "conf/held.h"
#include "edge/door.h"
#include "role/dns.h"
#include "role/slabs.h"
#include "sys/log.h"
#include "sys/stream.h"
#include "trust/bans.h"
#include "trust/sasl.h"

enum {
    EDGE_FIBERS = 4096,       /* handlers that run or wait for core at once; for the role table */
    EDGE_READ_BUFFERS = 2048, /* of STREAM_READ_SIZE, lent to busy streams */
    EDGE_REFUSED_PER_SECOND = 50, /* `refused` messages; the rest is only counted in the log */
    EDGE_PROTOCOLS = LISTEN_PROTOCOLS,
    EDGE_SCRATCH_MAX = 8 << 20, /* octets of one scratch arena */
    EDGE_SCRATCH_KEPT = 64,     /* unused scratch arenas that keep a block */
    EDGE_ENDED_KEPT = 64,       /* log-ins that core took back before their session knew of them */
};
#define EDGE_NEW_WITHIN (10 * NS_PER_SECOND)  /* in which new sessions are counted */
#define EDGE_CORE_WAIT (5 * NS_PER_SECOND)    /* a command waits so long for core to be there */
#define EDGE_CORE_ALONE NS_PER_SECOND         /* without a link to core: when to ask for one */
#define EDGE_COMMIT_WAIT (60 * NS_PER_SECOND) /* a message whose outcome is not known */
#define EDGE_ACCEPT_PAUSE (NS_PER_SECOND / 4) /* when there are no descriptors left */
#define EDGE_STOP_WAIT (8 * NS_PER_SECOND)    /* at the end; the parent kills after 10 s */

struct edge;
struct edge_session;
struct edge_tls;

/* A client address that has sessions here. */
struct edge_client {
    RB_ENTRY(edge_client) link;
    char text[IP_TEXT];
    uint32_t sessions;
};

RB_HEAD(edge_clients, edge_client);

struct edge_listener {
    SLIST_ENTRY(edge_listener) link;
    struct edge *edge;
    enum listen_protocol protocol;
    struct watch watch;
    struct timer pause; /* after EMFILE */
    struct str address; /* as configured */
};

/* What the configuration says about a protocol's connections. */
struct edge_limits {
    uint64_t sessions;
    uint64_t sessions_per_address;
    uint64_t sessions_per_network;     /* DOOR_V4, DOOR_V6 */
    uint64_t new_sessions_per_address; /* in EDGE_NEW_WITHIN; 0: no limit, as in the next one */
    uint64_t new_sessions_per_network;
    const struct conf_networks *unlimited_from;
    const struct conf_networks *allow_from, *deny_from;
};

/* Those of a section of the configuration that has them all. */
#define EDGE_LIMITS(section)                                                                       \
    ((struct edge_limits){.sessions = (section).sessions,                                          \
                          .sessions_per_address = (section).sessions_per_address,                  \
                          .sessions_per_network = (section).sessions_per_network,                  \
                          .new_sessions_per_address = (section).new_sessions_per_address,          \
                          .new_sessions_per_network = (section).new_sessions_per_network,          \
                          .unlimited_from = &(section).unlimited_from,                             \
                          .allow_from = &(section).allow_from,                                     \
                          .deny_from = &(section).deny_from})

struct edge_protocol {
    const char *name; /* for the log */
    void (*limits)(const struct conf *conf, struct edge_limits *limits_r);
    /* Begins a session on an accepted connection and takes the handle over. It calls
     * edge_session_begin; on failure it closes the handle. */
    void (*begin)(struct edge_listener *listener, int handle, const struct peer_address *peer);
    /* The line a connection over a limit gets before it is closed, where it is not to be in TLS. */
    void (*refusal)(const struct conf *conf, enum err_code why, struct buf *line);
    /* The edge stops: end at once if idle, else after the command that runs. */
    void (*stop)(struct edge_session *session);
    /* Core took back who logged in here (login_ended): end as in `stop`. NULL: nobody can. */
    void (*logged_out)(struct edge_session *session);
};

/* Who logged in, and how (edge/login.h). */
struct edge_login {
    uint64_t handle;     /* core's name for it; 0: nobody */
    uint64_t core_since; /* the core that gave it: another one does not know it */
    bool over;           /* core took it back */
    enum sasl_mechanism mechanism;
    char *address; /* of the account, for the log; the session's memory */
};

/* What every session begins with. */
struct edge_session {
    TAILQ_ENTRY(edge_session) link;
    struct edge *edge;
    const struct edge_protocol *protocol;
    const struct conf *conf; /* the one it began with; held */
    struct edge_client *client;
    struct network network; /* the client's, where it is counted; bits 0: nowhere */
    uint16_t port;          /* the client's */
    int64_t uid;            /* of who is at the other end of a unix socket; -1 elsewhere */
    char server[IP_TEXT];   /* our address that it connected to; empty on a unix socket */
    enum listen_protocol listen;
    struct stream *stream; /* the session's own; set by its protocol */
    struct edge_login login;
    uint32_t login_failures;
};

TAILQ_HEAD(edge_sessions, edge_session);

struct edge_proxied;
TAILQ_HEAD(edge_proxied_list, edge_proxied);

struct edge_scratch;
SLIST_HEAD(edge_scratches, edge_scratch);

struct edge_line;
SLIST_HEAD(edge_lines, edge_line);

struct edge_waiter;
TAILQ_HEAD(edge_waiters, edge_waiter);

enum {
    EDGE_TRY_TOKEN = 16,     /* octets */
    EDGE_TRIES_MOST = 1000,  /* in one `seen` or `tries` */
    EDGE_TRIES_KEPT = 10000, /* ended ones that no core has kept yet; the oldest go first */
};

/* A message that core made durable, or may have, and whose client has not gone on. */
struct edge_try {
    TAILQ_ENTRY(edge_try) link;
    unsigned char token[EDGE_TRY_TOKEN];
    uint64_t message; /* 0: none */
    bool repeated;    /* core had the message from an earlier try */
    enum try_end end;
};

struct edge_ended;
TAILQ_HEAD(edge_tries, edge_try);
TAILQ_HEAD(edge_tries_ended, edge_ended);

#define EDGE_MAGIC MAGIC('E', 'D', 'G', 'E')

struct edge {
    uint32_t magic;
    struct world *world;
    struct loop *loop;
    struct log *log;
    struct fiber_pool *fibers;
    struct stream_pool *streams;
    enum bus_role role; /* ROLE_MX, ROLE_SUB, ROLE_BOX or ROLE_WEB */
    uint32_t instance;
    const struct conf *conf; /* for new sessions; held */
    const struct edge_protocol *protocols[EDGE_PROTOCOLS];
    SLIST_HEAD(, edge_listener) listeners;

    struct dns_client dns;      /* of an mx edge; others have no resolver */
    struct link *core;          /* NULL: gone */
    bool core_up;               /* welcome came */
    uint64_t core_since;        /* counts welcomes: what an earlier core was told is void */
    uint64_t directory_changes; /* counts what core told of them */
    uint64_t logins_ended[EDGE_ENDED_KEPT]; /* handles; the oldest goes first */
    size_t logins_ended_at;
    struct slabs *slabs; /* NULL while core is not up */
    struct edge_waiters waiters;
    void (*core_lost)(struct edge *edge); /* NULL, or told when the link ended */
    void *arg;                            /* core_lost's */

    struct edge_sessions sessions;
    uint64_t session_count, session_total;
    struct edge_clients clients; /* by text */
    struct bans *bans;           /* NULL: none yet (edge/bans.h) */
    struct door *door;
    struct edge_proxied_list proxied; /* wait for their PROXY header */
    size_t proxied_count;
    uint64_t transactions; /* numbers given out */
    uint64_t uploads;

    struct edge_tries tries_open;
    struct edge_tries_ended tries_ended; /* in the order of their ends */
    size_t tries_ended_count;
    struct msg_message_name seen[EDGE_TRIES_MOST];
    size_t seen_count;
    struct task seen_flush;
    struct edge_scratches scratches;
    size_t scratches_kept;
    int64_t refused_second;
    uint32_t refused_count;

    struct wait *stopping;   /* edge_stop waits for the last session */
    struct edge_lines lines; /* that no session has taken yet */
    struct edge_tls *tls;    /* edge/tls.h */
    void *smtp;              /* edge/smtp's own (struct smtp_shared) */
};

/* What is passed outlives the edge. */
struct err edge_open(struct edge *edge, struct loop *loop, struct fiber_pool *fibers,
                     struct log *log, enum bus_role role, uint32_t instance,
                     const struct conf *conf);
/* Every session must have ended. */
void edge_close(struct edge *edge);
/* For sessions that begin from now on; the others keep theirs. */
void edge_configure(struct edge *edge, const struct conf *conf);

/* --- Connections (accept.c) ------------------------------------------------------------------ */

/* Takes the listening handle over. */
struct err edge_listen(struct edge *edge, enum listen_protocol protocol, int handle,
                       struct str address);
/* A connection whose client is known: begins its session, or turns it away. Takes the handle over.
 */
void edge_admit(struct edge_listener *listener, int handle, const struct peer_address *peer);
/* A line of why, and closed; only closed where the protocol begins in TLS. */
void edge_turn_away(struct edge_listener *listener, int handle, const struct peer_address *peer,
                    enum err_code why);
/* May yield: closes the listeners and stops every session; returns when the last one has ended, or
 * after EDGE_STOP_WAIT. */
void edge_stop(struct edge *edge);

/* Puts a session that begins on the list and counts it; false: no memory. */
bool edge_session_begin(struct edge_session *session, struct edge *edge,
                        enum listen_protocol listen, const struct peer_address *peer);
/* The session is counted as another client's from now on. False: no memory, nothing changed. */
bool edge_session_move(struct edge_session *session, const struct peer_address *peer);
/*
 * Who is trusted says that this session is another client's (accept.c): the session is moved, and
 * the answer is what that client would have met at the door, but for the limit of all sessions.
 * Turning it away is the caller's. ERR_NO_MEMORY: nothing changed.
 */
enum err_code edge_session_readdress(struct edge_session *session, const struct peer_address *peer);
/* How many sessions a client address has. */
uint32_t edge_client_sessions(const struct edge *edge, const char *address);
/* Tells core of a log-in's end. The session's memory is its owner's to free afterwards. */
void edge_session_end(struct edge_session *session);

static inline struct str edge_session_client(const struct edge_session *session)
{
    return str_from(session->client->text);
}

/* --- Core (core.c) --------------------------------------------------------------------------- */

/* A new link to core; takes the handle over. Sends hello; core is up when it has answered. */
struct err edge_core_attach(struct edge *edge, int handle);
/* As if core had gone. */
void edge_core_detach(struct edge *edge);

/* May yield: until core is up, ERR_BUS_BROKEN when it is not by `deadline` (mono). */
struct err edge_core_wait(struct edge *edge, int64_t deadline);

/* May yield: asks core, waiting EDGE_CORE_WAIT for it where it is not up. What the answer borrows
 * lives in the arena. ERR_BUS_BROKEN: core is away or went away; whether it did what it was asked
 * is not known. */
struct err edge_ask(struct edge *edge, struct msg *msg, struct arena *arena, struct msg *answer_r);

/* Says something that has no answer; lost where core is not up. Never yields. */
void edge_tell(struct edge *edge, const struct msg *msg);

/* Core said yes to this log-in and took it back, both before the session could hear of it. */
bool edge_login_has_ended(const struct edge *edge, uint64_t handle);

/* The line that an answer of core's named (collect_answer): its handle is the caller's. -1: it did
 * not come. */
int edge_line_take(struct edge *edge, uint64_t line);

/* A refusal, for the trace; dropped where there are too many in a second. */
void edge_refused(struct edge *edge, const struct msg_refused *refused);

/* --- Tries (tries.c) ------------------------------------------------------------------------- */

/*
 * Core is told whether clients went on after our 250, so that it recognises a message that is sent
 * again (core/resent.h). The end of a try is kept here until core has it durable, and is told to
 * the next core otherwise; so is what is open when a core goes. None of these yields.
 */

/* The 250 is about to be said. The try is its session's, with token, message and repeated set, and
 * on the edge's list until one of the two below has taken it off: then its message is 0. */
void edge_try_open(struct edge *edge, struct edge_try *try);
/* Octets came behind the 250. */
void edge_try_seen(struct edge *edge, struct edge_try *try);
/* The session ends and none came. */
void edge_try_unseen(struct edge *edge, struct edge_try *try);

/* For core.c: everything that is open or not kept, to a new core. */
void edge_tries_tell(struct edge *edge);
void edge_tries_kept(struct edge *edge, const struct msg_tries_kept *kept);
void edge_tries_close(struct edge *edge);

/* --- Memory for what waits for core (scratch.c) ---------------------------------------------- */

/* An empty arena, with the memory of one that was given back before. NULL: no memory. */
struct arena *edge_scratch_take(struct edge *edge);
void edge_scratch_give(struct edge *edge, struct arena *arena);
/* Frees what is kept. */
void edge_scratches_close(struct edge *edge);

#endif
