/*
 * struct pop3_session: one POP3 connection (RFC 1939, 2449, 3206, 6856). States are numbered in
 * doc/invariants.md, "POP3 session"; the code names the number where it moves.
 *
 * A session sees the mailbox as it was at its log-in: the rows are kept here, numbered from 1, and
 * never change. Deleted messages are marks in them until QUIT; a session that ends otherwise
 * deletes nothing. Other sessions may be open on the same mailbox: a message that one of them
 * removed keeps its number here, cannot be read any more (but where it was read ahead, ahead.h),
 * and deleting it succeeds.
 *
 * Between commands a session is this struct and its rows: no stack, no buffer.
 */
#ifndef EDGE_POP3_SESSION_H
#define EDGE_POP3_SESSION_H

#include "edge/login.h"

enum pop3_state {
    POP3_AUTHORIZATION = 1 << 0, /* P1 */
    POP3_TRANSACTION = 1 << 1,   /* P2 */
    POP3_CLOSING = 1 << 2,       /* P4: the last reply is on its way; P3 (UPDATE) is QUIT at work */
    POP3_ENDED = 1 << 3,         /* P5: nothing more will be said */
    POP3_HANDSHAKE = 1 << 4,     /* P6: TLS begins; nothing is said and nothing heard */
    POP3_EXCHANGE = 1 << 5,      /* P7: lines belong to a log-in that is under way */
    POP3_COMMANDING = POP3_AUTHORIZATION | POP3_TRANSACTION,
    POP3_LINES = POP3_COMMANDING | POP3_EXCHANGE,
};

enum {
    POP3_LINE_MAX = 1024, /* of a command with its end; RFC 2449 asks for 255 */
    POP3_USER_MAX = 320,
    POP3_MARKED_MAX = 20000, /* as many as core removes in one commit */
    POP3_READ_RATE = 1000,   /* octets a second that a client must take of a long answer */
};

/* One message of the view. */
struct pop3_row {
    uint64_t size : 63; /* octets as served */
    uint64_t deleted : 1;
    uint32_t uid;
} __attribute__((packed, aligned(4)));

#define POP3_SESSION_MAGIC MAGIC('P', 'O', 'P', '3')

struct pop3_session {
    uint32_t magic;
    enum pop3_state state;
    struct edge_session base;
    struct stream stream;
    struct timer timer;
    struct fiber_start turn;
    struct task after;
    struct edge_exchange *exchange; /* P7, else NULL */
    const char *end;                /* why it ends, for the log */
    int64_t reply_since;            /* mono: when the command that runs began, */
    uint64_t reply_from;            /* and what had been sent before it */
    char *user;                     /* what USER named, until PASS; user_length octets */
    uint16_t user_length;
    uint32_t errors;
    struct pop3_row *rows;
    uint32_t row_count;
    uint32_t uid_validity;
    uint32_t marked;        /* rows that go at QUIT */
    uint32_t read, deleted; /* counts, for the log */
    struct ahead *ahead;    /* ahead.h; NULL: nothing is read ahead */
    uint32_t retrieved;     /* number of the last RETR */
    uint8_t ahead_most;     /* messages of the last question for some ahead; 0: none in a row */
    bool greeted;           /* our greeting was said: there is none behind STLS */
    bool busy;
    bool stopping;
    bool swallowing; /* the rest of a line that was too long */
};

/* The row of enum listen_protocol's LISTEN_POP3 and LISTEN_POP3S. */
extern const struct edge_protocol pop3_protocol;

/* Begins a session on a connection; takes the handle over. Used by accept and by tests. */
void pop3_session_begin(struct edge *edge, enum listen_protocol listen, int handle,
                        const struct peer_address *peer);

/* --- For the commands ------------------------------------------------------------------------ */

/* May yield: one command line, without its end, and its reply. */
void pop3_command_line(struct pop3_session *s, struct str line);
/* The same in P7; and where the line is too long. */
void pop3_auth_line(struct pop3_session *s, struct str line);
void pop3_auth_too_long(struct pop3_session *s);

/* "+OK text", "-ERR text"; `code` (RFC 2449, 3206), such as "AUTH", may be NULL. */
void pop3_ok(struct pop3_session *s, struct str text);
void pop3_err(struct pop3_session *s, const char *code, struct str text);
/* The error's own words; the code that says whether trying again helps. */
void pop3_error(struct pop3_session *s, enum err_code error);
/* A line of a multi-line answer; it must not begin with a dot. */
void pop3_line(struct pop3_session *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* -> P4: what was replied is sent, then the connection closes. */
void pop3_close_after_reply(struct pop3_session *s, const char *end);
/* -> P5 */
void pop3_cut(struct pop3_session *s, const char *end);

/* When a client that does not read the answer to this command is given up: it has the time of an
 * idle one, and more for what it took. */
int64_t pop3_deadline(const struct pop3_session *s);
/* May yield: asks the core that gave the handle; ERR_BUS_BROKEN where another one is there now. */
struct err pop3_ask(struct pop3_session *s, struct msg *msg, struct arena *arena,
                    struct msg *answer_r);
/* Core is the one that gave the handle; where not, the session is told so and closed. */
bool pop3_core_is_ours(struct pop3_session *s);

#endif
