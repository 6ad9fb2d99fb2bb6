/*
 * Logging in, for every protocol of an edge: which mechanisms a session offers, one SASL exchange
 * (RFC 4422) from its first line to its end, and a name with a password (USER and PASS). SMTP (RFC
 * 4954), POP3 (RFC 5034) and IMAP frame it alike: lines of base64, "*" cancels, "=" is an empty
 * initial response; they differ only in the words around them.
 *
 * The edge reads what the mechanism's client says, looks at SCRAM's nonce and channel binding, and
 * asks core; core decides (doc/access.md 3). What is in session->login afterwards is core's handle.
 *
 * An exchange is a struct of its own: the session keeps it between two lines and holds no fiber. It
 * has an arena, which is wiped with it. It ends by itself with the step that says so, or by
 * edge_exchange_drop.
 */
#ifndef EDGE_LOGIN_H
#define EDGE_LOGIN_H

#include "edge/edge.h"

enum {
    EDGE_LOGIN_LINE_MAX = 12288 + 2, /* octets of a line with its CR LF (RFC 4954 4) */
    EDGE_LOGIN_FAILURES = 3,         /* then the session ends */
};

struct edge_exchange;

/* --- What a session offers ------------------------------------------------------------------- */

bool edge_session_is_encrypted(const struct edge_session *session);
/* Is the mechanism offered, and accepted, in this session as it is now? */
bool edge_login_offers(const struct edge_session *session, enum sasl_mechanism mechanism);
/* The same for USER and PASS. */
bool edge_login_offers_passwords(const struct edge_session *session);
/* A space and a name for each mechanism that is offered; nothing where none is. */
void edge_login_mechanisms_print(const struct edge_session *session, struct buf *to);

/* --- An exchange ----------------------------------------------------------------------------- */

enum edge_exchange_step {
    EDGE_EXCHANGE_CHALLENGE, /* `challenge` is to be said; another line comes */
    EDGE_EXCHANGE_DONE,      /* session->login is set */
    EDGE_EXCHANGE_FAILED,    /* for `error` */
};

struct edge_exchange_says {
    enum edge_exchange_step step;
    struct str challenge; /* in base64; may be empty. The exchange's, until the next line */
    enum err_code error;
    struct str text; /* for the reply, behind the error's own; a literal; may be empty */
};

/* "AUTH mechanism [initial]": initial.p NULL where there is none. May yield. Where another line is
 * to come the exchange is in *exchange_r, else that is NULL. Nobody must have logged in yet. */
struct edge_exchange_says edge_exchange_begin(struct edge_session *session, struct str mechanism,
                                              struct str initial,
                                              struct edge_exchange **exchange_r);
/* The client's next line, without its end. May yield. *exchange is NULL after its end. */
struct edge_exchange_says edge_exchange_line(struct edge_exchange **exchange, struct str line);
/* The session ends, or wants no more of it. NULL is allowed. Never yields. */
void edge_exchange_drop(struct edge_exchange **exchange);

/* USER and PASS. May yield. The caller wipes the password. */
struct err edge_login_password(struct edge_session *session, struct str user, struct str password);

/* A program of this host, whose user the kernel named. May yield. */
struct err edge_login_local(struct edge_session *session);

/* --- Afterwards ------------------------------------------------------------------------------ */

/* Somebody logged in, core did not take it back, and it is the core that knows of it. */
static inline bool edge_login_is_valid(const struct edge_session *session)
{
    return session->login.handle && !session->login.over && session->edge->core_up &&
           session->edge->core_since == session->login.core_since;
}

#endif
