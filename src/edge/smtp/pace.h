/*
 * How fast a client of port 25 may go on, over all its sessions with this edge (edge/door.h):
 * messages in a minute, and the tarpit for who tries names that there are not. It has no hold on
 * users who logged in, LMTP, clients in smtp.unlimited_from, or who has no IP address.
 */
#ifndef EDGE_SMTP_PACE_H
#define EDGE_SMTP_PACE_H

#include "edge/smtp/session.h"

#define PACE_MESSAGES_IN (60 * NS_PER_SECOND)
#define PACE_UNKNOWN_IN (600 * NS_PER_SECOND)

/* One message more. False: too many in a minute. Never yields. */
bool smtp_pace_message(struct smtp_session *s);

/* One name more that there is not; the reply that says so is about to be given. Too many make the
 * session slow (session.h): the turn ends with this command. Never yields. */
void smtp_pace_unknown(struct smtp_session *s);

#endif
