/*
 * One connection's TLS, as sys/stream.c drives it: octets are read from and written to a handle of
 * the world, without waiting. Only stream_tls.c and stream.c include this.
 *
 * All but the handshake never yields. A session belongs to one caller at a time: nothing of it may
 * be called while a fiber is in its handshake, but tls_session_cut.
 */
#ifndef SYS_TLS_SESSION_H
#define SYS_TLS_SESSION_H

#include "sys/tls.h"
#include "sys/world.h"

enum {
    TLS_HANDSHAKE_MAX = 64 * 1024, /* octets the other side may send before the handshake is over */
};

struct tls_session;

/* Takes a hold on the server. NULL: no memory. */
struct tls_session *tls_session_new(struct tls_server *server, struct world *world, int handle);
/* As client: takes a hold on it. What cannot be begun (a certificate of ours that is none, TLSA
 * records of no use) fails in the handshake. NULL: no memory. */
struct tls_session *tls_session_call(struct tls_client *client, const struct tls_peer *peer,
                                     struct world *world, int handle);
void tls_session_free(struct tls_session *session);
/* The handle is another's from now on: what is in the middle of something fails. */
void tls_session_cut(struct tls_session *session);

/* A server's may yield (the signer's). 0: done. -EAGAIN: go on when the handle is ready for
 * tls_session_waits. Else it failed. */
int tls_session_handshake(struct tls_session *session);
/* READY_*: what the last -EAGAIN of a call waits for. */
unsigned tls_session_waits(const struct tls_session *session);
/* A literal. */
struct str tls_session_failure(const struct tls_session *session);
/* A client's: its caller has a reason of his own why there is no TLS; a literal. */
void tls_session_refuse(struct tls_session *session, const char *why);
void tls_session_verdict(const struct tls_session *session, struct tls_verdict *verdict_r);

/*
 * As the world's recv and send, but that -EAGAIN of either may wait for the other direction. recv:
 * at most one record, and the kernel is asked at most `asks` times. send: an -EAGAIN is to be
 * tried again with the same octets in front.
 */
ssize_t tls_session_recv(struct tls_session *session, void *to, size_t n, unsigned asks);
ssize_t tls_session_send(struct tls_session *session, struct str octets);
/* Sends what the handshake left to be sent with the first words: 0, or -EAGAIN until the handle is
 * ready to write, or it cannot be sent. Whoever sends first has no need of it. */
int tls_session_push(struct tls_session *session);
/* There may be more to recv that no readiness will tell of. */
bool tls_session_more(const struct tls_session *session);
/* From now on what was received is zeroed behind the caller. */
void tls_session_wipe(struct tls_session *session);
/* Says close_notify: 0, or -EAGAIN, or it cannot be said. Nothing is sent behind it. */
int tls_session_finish(struct tls_session *session);

void tls_session_facts(const struct tls_session *session, struct tls_facts *facts_r);
bool tls_session_binding(const struct tls_session *session, enum tls_binding which,
                         unsigned char *binding_r, size_t *length_r);

#endif
