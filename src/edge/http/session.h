/*
 * struct http_session: one connection of HTTP/1.1 (RFC 9110, 9112), as small as what is served
 * here: the MTA-STS policies of our domains. What may be asked and how it is read stands in
 * format/http_request.h; resources.c has a row for each thing that there is.
 *
 * A session is in one of these states:
 *
 *   HTTP_HANDSHAKE  TLS begins
 *   HTTP_ASKING     a request is awaited, or runs (busy)
 *   HTTP_CLOSING    the last answer is on its way
 *   HTTP_ENDED      nothing more will be said
 *
 * A request has a limit of time as a whole, so octets that drip gain nothing; whatever cannot be
 * read in one way alone is answered and ends the connection. Between requests a session is this
 * struct: no stack, no buffer. The log has a line for each session and no target of a request: what
 * stands there may be what lets its bearer in.
 */
#ifndef EDGE_HTTP_SESSION_H
#define EDGE_HTTP_SESSION_H

#include "edge/edge.h"
#include "format/http_request.h"

enum {
    HTTP_BODY_MAX = 4 << 10,    /* octets of a request's: 413 */
    HTTP_ANSWER_MAX = 36 << 10, /* octets of an answer: a policy and its head */
    HTTP_ANSWER_HEAD_MAX = 2 << 10,
};
#define HTTP_REQUESTS_IN (60 * NS_PER_SECOND) /* in which they are counted by address */

enum http_state {
    HTTP_HANDSHAKE,
    HTTP_ASKING,
    HTTP_CLOSING,
    HTTP_ENDED,
};

#define HTTP_SESSION_MAGIC MAGIC('H', 'T', 'T', 'P')

struct http_session {
    uint32_t magic;
    enum http_state state;
    struct edge_session base;
    struct stream stream;
    struct timer timer;
    struct fiber_start turn;
    struct task after;
    const char *end;  /* why it ends, for the log */
    int64_t deadline; /* mono: of the request that is awaited */
    uint32_t requests, errors;
    bool continued; /* the client was told to send its body */
    bool busy;
    bool stopping;
};

/* The rows of enum listen_protocol's LISTEN_HTTP and LISTEN_HTTPS. */
extern const struct edge_protocol http_protocol;

/* Begins a session on a connection; takes the handle over. Used by accept and by tests. */
void http_session_begin(struct edge *edge, enum listen_protocol listen, int handle,
                        const struct peer_address *peer);

/* --- For what is served ---------------------------------------------------------------------- */

struct http_request_here {
    struct http_asked asked;
    struct str body;
};

struct http_answer {
    unsigned status;
    struct str type;      /* of the body */
    struct str body;      /* empty: a line about the status */
    const char *allow;    /* 405: what may be done instead */
    const char *language; /* of the body; NULL: of none */
    bool last;            /* the connection ends behind it */
};

/* Sends it; without its body where a HEAD asked. -> HTTP_CLOSING where it is the last. */
void http_answer(struct http_session *s, const struct http_asked *asked,
                 const struct http_answer *answer);
/* May yield: finds what is asked for, and answers. */
void http_serve(struct http_session *s, const struct http_request_here *request);

#endif
