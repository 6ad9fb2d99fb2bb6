/*
 * The octets of a message as a session takes them, and what happens at the message's end: the
 * judgement, COMMIT, and the reply that promises.
 */
#ifndef EDGE_SMTP_MESSAGE_H
#define EDGE_SMTP_MESSAGE_H

#include "edge/smtp/session.h"

/* The octets of a message are to come. ERR_OVER_LIMIT: there is no memory for it. */
struct err smtp_message_begin(struct smtp_session *s, bool chunked, bool binary);

/* May yield. S5, S6: take of what is pending. */
void smtp_data_octets(struct smtp_session *s);
void smtp_chunk_octets(struct smtp_session *s);

/* May yield. S5 or S7 -> S2: the message is whole. Commits it, or not, and replies. */
void smtp_message_end(struct smtp_session *s);

/* A bare CR or LF: 521, closes (catalogue S01). */
void smtp_message_bare(struct smtp_session *s);

/* Memory for waiting messages is short, and none comes more slowly: 421, closes. Also from the turn
 * of another session. */
void smtp_message_cut(struct smtp_session *s);

/* Far beyond the size limit: 552, closes; below that the rest is swallowed first. */
void smtp_message_absurd(struct smtp_session *s);

#endif
