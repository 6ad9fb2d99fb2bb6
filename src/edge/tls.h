/*
 * What an edge shows in TLS: the certificates that core told it of, made into a struct tls_server
 * for each protocol name, and the signatures of its handshakes, asked of core. There is no private
 * key in this process (doc/access.md, 2).
 *
 * A new set of certificates is for handshakes that begin from then on; those under way and sessions
 * go on with theirs. While core is away the last set stays: who resumes needs no core, other
 * handshakes wait for it as edge_ask does and fail then.
 *
 * What yields here says so; the signing does, on the handshake's own fiber.
 */
#ifndef EDGE_TLS_H
#define EDGE_TLS_H

#include "edge/edge.h"
#include "sys/tls.h"

/* For a handshake that begins now; lent until this turn ends, stream_tls_begin holds it on its own.
 * NULL: there is no certificate for this protocol here, so TLS is not offered and a listener in TLS
 * closes. */
struct tls_server *edge_tls(struct edge *edge, enum listen_protocol protocol);

/* --- Sessions, of every protocol ------------------------------------------------------------- */

/* Before anything else (RFC 8314 3). False: no TLS here, and nothing can be said. */
bool edge_session_begin_tls(struct edge_session *session);
/* Behind the last reply in clear text. May yield: until that has left, or the deadline. False as
 * above, or it did not leave. */
bool edge_session_start_tls(struct edge_session *session, int64_t deadline);
/* "TLSv1.3", for the log; empty in clear text. */
struct str edge_session_tls_version(const struct edge_session *session);
/* To the log: why the handshake failed. */
void edge_session_tls_failed(const struct edge_session *session, struct str protocol);

/* --- For edge.c and core.c ------------------------------------------------------------------- */

struct err edge_tls_open(struct edge *edge);
/* Every session must have ended. */
void edge_tls_close(struct edge *edge);
/* tls.client_certificates may have changed. */
void edge_tls_configure(struct edge *edge);

/* What core tells. A set that cannot be used is logged, and the one before stays. */
void edge_tls_identity(struct edge *edge, const struct msg_identity *identity);
void edge_tls_identities(struct edge *edge, const struct msg_identities *end);
void edge_tls_ticket_keys(struct edge *edge, const struct msg_ticket_keys *keys);
/* The link ended: half a set is forgotten, and what a later core knows is to be heard of first. */
void edge_tls_core_gone(struct edge *edge);

#endif
