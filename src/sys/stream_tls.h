/*
 * Between sys/stream.c and sys/stream_tls.c; nobody else includes this.
 */
#ifndef SYS_STREAM_TLS_H
#define SYS_STREAM_TLS_H

#include "sys/stream_pool.h"
#include "sys/tls_session.h"

/* STREAM_TLS_ON: its session. */
struct tls_session *stream_tls_session(const struct stream *stream);
/* In STREAM_TLS_HANDSHAKE, on the loop: its handle is ready for something. */
void stream_tls_ready(struct stream *stream);
/* The stream goes, or has no more use for its TLS. */
void stream_tls_leave(struct stream *stream);
void stream_tls_wipe(struct stream *stream);

/* In stream.c. */
void stream_want(struct stream *stream, unsigned what, bool on);
void stream_send_output(struct stream *stream);
void stream_break_off(struct stream *stream);
/* May yield until the handshake is over, more than `await_above` octets are pending, or the stream
 * ended; false: `deadline` passed before. */
bool stream_wait(struct stream *stream, int64_t deadline);

#endif
