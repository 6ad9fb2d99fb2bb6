/*
 * struct smtp_session: one SMTP or LMTP connection (RFC 5321, 2033). Its states and what holds in
 * each are numbered in doc/invariants.md, "SMTP session"; the code names the number where it moves.
 *
 * The loop calls the session when octets arrive; if they hold a whole command line or belong to a
 * message, a fiber runs the turn (turn.c): it takes what is there, command by command, in order.
 * Between turns the session is this struct and, inside a transaction, a struct smtp_mail lent from
 * the pool of the edge; no stack, no buffer.
 */
#ifndef EDGE_SMTP_SESSION_H
#define EDGE_SMTP_SESSION_H

#include "edge/login.h"
#include "edge/smtp/mail.h"
#include "format/transmission.h"

enum smtp_state {
    SMTP_EARLY = 1 << 0,      /* S0: the greeting waits */
    SMTP_GREETED = 1 << 1,    /* S1: nothing but our greeting was said */
    SMTP_READY = 1 << 2,      /* S2: they said who they are; no transaction */
    SMTP_SENDER = 1 << 3,     /* S3: MAIL was accepted */
    SMTP_RCPTS = 1 << 4,      /* S4: at least one recipient was accepted */
    SMTP_DATA = 1 << 5,       /* S5: octets of the message, up to CR LF . CR LF */
    SMTP_CHUNK = 1 << 6,      /* S6: octets of a chunk, counted */
    SMTP_CHUNKED = 1 << 7,    /* S7: between two chunks of a message */
    SMTP_CLOSING = 1 << 8,    /* S8: the last reply is on its way; input is thrown away */
    SMTP_ENDED = 1 << 9,      /* S9: nothing more will be said */
    SMTP_HANDSHAKE = 1 << 10, /* S10: TLS begins; nothing is said and nothing heard */
    SMTP_EXCHANGE = 1 << 11,  /* S11: lines belong to a log-in that is under way */
    SMTP_REVERSED = 1 << 12,  /* S12: octets pass between the client and a courier */
    /* Command lines are expected; octets of a message are. */
    SMTP_COMMANDING = SMTP_GREETED | SMTP_READY | SMTP_SENDER | SMTP_RCPTS | SMTP_CHUNKED,
    SMTP_READING = SMTP_DATA | SMTP_CHUNK,
    SMTP_LINES = SMTP_COMMANDING | SMTP_EXCHANGE,
};

enum {
    SMTP_LINE_MAX = 4096, /* of a command line with its CR LF; RFC 5321 asks for 512 */
    SMTP_HELO_MAX = 255,
    SMTP_FORWARDED_MAX = 2048, /* octets of what XFORWARD told, as facts */
};

struct smtp_inquiry;

#define SMTP_SESSION_MAGIC MAGIC('S', 'M', 'T', 'P')

struct smtp_session {
    uint32_t magic;
    enum smtp_state state;
    struct edge_session base;
    struct stream stream;
    struct timer timer;               /* the deadline of what we wait for */
    struct fiber_start turn;          /* the fiber of this turn */
    struct task after;                /* back on the loop's stack when the turn is over */
    struct smtp_mail *mail;           /* S3 to S7, else NULL */
    TAILQ_ENTRY(smtp_session) parker; /* where parks */
    struct edge_exchange *exchange;   /* S11, else NULL */
    struct smtp_inquiry *inquiry;     /* NULL: the DNS is not asked about this client */
    const char *end;                  /* why it ends, for the log: "quit", "lost" ... */
    int64_t began;                    /* mono */
    int64_t phase;                    /* when the wait for this command or message began */
    uint64_t phase_in;                /* octets that had come by then */
    int64_t heard;                    /* when octets came last */
    int64_t slow_until;               /* replies wait, and nothing is heard; 0: it is not slow */
    char *forwarded;                  /* what XFORWARD told of the next message; NULL: nothing */
    struct edge_try answered; /* the message whose 250 may not have been seen; message 0: none */
    uint64_t messages, recipients, commands, transactions;
    uint32_t errors;
    uint64_t chunk_left;        /* S6: octets of the chunk to come */
    enum err_code chunk_error;  /* S6: the chunk is swallowed, then refused for this */
    enum smtp_state chunk_back; /* S6: the state behind a chunk that is swallowed */
    bool chunk_last;
    bool busy;       /* a turn runs */
    bool parks;      /* waits for its client, its message parked */
    bool extended;   /* EHLO or LHLO */
    bool swallowing; /* the rest of a line that was too long */
    bool stopping;   /* the edge ends: close after this command */
    bool normalise;  /* a client in bare_newlines_from */
    bool greeted;    /* our greeting was said: there is none behind STARTTLS */
    bool stands_in;  /* XCLIENT said whose it is */
    uint8_t helo_length;
    char helo[SMTP_HELO_MAX];
};

/* The rows of enum listen_protocol: LISTEN_SMTP and LISTEN_LMTP; LISTEN_SUBMISSION,
 * LISTEN_SUBMISSIONS and LISTEN_LOCAL, which have limits of their own. */
extern const struct edge_protocol smtp_protocol, smtp_submission_protocol;

/* Before the first connection: what the sessions of an edge share. False: no memory. */
bool smtp_open(struct edge *edge);
/* May yield. */
void smtp_close(struct edge *edge);

/* Begins a session on a connection; takes the handle over. Used by accept and by tests. */
void smtp_session_begin(struct edge *edge, enum listen_protocol listen, int handle,
                        const struct peer_address *peer);

/* --- For the commands ------------------------------------------------------------------------ */

static inline const struct conf *smtp_conf(const struct smtp_session *s)
{
    return s->base.conf;
}

static inline bool smtp_is_lmtp(const struct smtp_session *s)
{
    return s->base.listen == LISTEN_LMTP;
}

/* From users: they log in first (RFC 6409), and s->base.login says who. */
static inline bool smtp_is_submission(const struct smtp_session *s)
{
    return s->base.listen == LISTEN_SUBMISSION || s->base.listen == LISTEN_SUBMISSIONS ||
           s->base.listen == LISTEN_LOCAL;
}

/* From a program of this host: the kernel says who it is, so nobody logs in. */
static inline bool smtp_is_local(const struct smtp_session *s)
{
    return s->base.listen == LISTEN_LOCAL;
}

/* Recipients of one message. */
static inline uint64_t smtp_recipients_most(const struct smtp_session *s)
{
    const struct conf *conf = smtp_conf(s);
    return smtp_is_submission(s) && conf->submission.recipients < conf->smtp.recipients
               ? conf->submission.recipients
               : conf->smtp.recipients;
}

/* How the message of the transaction comes; there is one. */
enum transmission smtp_transmission(const struct smtp_session *s);

static inline struct str smtp_helo(const struct smtp_session *s)
{
    return str_make(s->helo, s->helo_length);
}

/* The official name of this host, for the greeting and Received. */
struct str smtp_hostname(const struct smtp_session *s);

/* The clock of a phase begins: waiting for a command, or the octets of a message. */
void smtp_phase_begin(struct smtp_session *s);

/* S1 or S2 -> S1: as if who it belongs to now had just connected. The greeting is said again. */
void smtp_session_anew(struct smtp_session *s);

/* S3 to S7 -> S2 (or S1 before a greeting); `why` for the trace where core knows the transaction.
 */
void smtp_transaction_end(struct smtp_session *s, struct str why);

/* -> S8: what was replied so far is sent, then the connection closes. */
void smtp_close_after_reply(struct smtp_session *s, const char *end);
/* -> S9: closes at once. */
void smtp_cut(struct smtp_session *s, const char *end);

#endif
