/*
 * A turn of a session: what runs on the fiber when octets have arrived. It takes whole commands and
 * octets of messages in the order they came until no whole one is left.
 */
#ifndef EDGE_SMTP_TURN_H
#define EDGE_SMTP_TURN_H

#include "edge/smtp/session.h"

/* Is there something to run? On the loop's stack; cheap. */
bool smtp_turn_wanted(const struct smtp_session *s);

/* Octets came before our greeting: 554, closes. */
void smtp_early_word(struct smtp_session *s);

/* What came behind our 250 tells that it was seen. */
void smtp_note_seen(struct smtp_session *s);

/* Too many errors, a log-in that is over, our own end: says so and closes. */
void smtp_end_if_due(struct smtp_session *s);

/* May yield. */
void smtp_turn(struct smtp_session *s);

#endif
