/*
 * A session whose client collects its mail (ATRN, TURN): the roles are reversed, and octets pass
 * between the client, by the session's stream and so through its TLS, and the courier that is the
 * SMTP client now. Nobody here reads them.
 */
#ifndef EDGE_SMTP_REVERSED_H
#define EDGE_SMTP_REVERSED_H

#include "edge/smtp/session.h"

/* May yield, until it is over: S2 -> S12 -> S8 or S9. The 250 was said. Takes the handle of the
 * line over. */
void smtp_reverse(struct smtp_session *s, int line);

#endif
