/*
 * What TLS reports count (RFC 8460 4.3): each connection to a host of a domain's MX, and each host
 * that its policy forbade to call; which policy that was, and whether what it demands came about.
 * Core hears of them with the job's results (job_over): a message that rides on a connection that
 * rested makes none, so the fast path pays nothing.
 *
 * Not counted are hosts that a route block names, whom no policy of the domain speaks of; what
 * fails of a demand of our own (REQUIRETLS, a route's tls); a connection in clear behind a
 * handshake that failed, which counts already; and mail for which TLS is optional (RFC 8689 3), as
 * TLS reports on their way are. Nothing yields;
 * memory is the job's arena's, and where that is full nothing is counted.
 */
#ifndef COURIER_SESSIONS_H
#define COURIER_SESSIONS_H

#include "courier/connection.h"
#include "courier/policy.h"
#include "format/tls_report.h"

enum {
    SESSIONS_MAX = 16,        /* of a job; further ones are not counted */
    SESSION_LINES_MAX = 2048, /* octets of a policy; whole lines of it */
    SESSION_REASON_MAX = 128, /* octets */
};

/* What is said of the sessions with a host. */
struct session_policy {
    enum tls_report_policy_type type;
    struct str domain, lines;
    /* What fails of it whatever the host does: it could not be fetched, say. */
    enum tls_result trouble;
    struct str why;
    bool tested; /* MTA-STS that is kept to no host, but reported about (RFC 8461 5) */
};

/* Behind policy_find, `known` its answer. NULL: sessions with this host are not counted. A host
 * that was forbidden is counted here. */
const struct session_policy *session_policy(struct job *job, const struct route *route,
                                            const struct route_host *host,
                                            const struct tls_policy *policy, bool known);

/* How STARTTLS went: `result` is the handshake's verdict, or why there was none. */
void session_over(struct job *job, const struct connection *connection, bool in_tls,
                  enum tls_result result, struct str words);

#endif
