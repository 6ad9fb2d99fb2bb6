/*
 * Logging in at a smart host (AUTH, RFC 4954), with what its job brought. A password goes to no
 * one who has not proved what the route asks for, and never leaves this machine in clear.
 *
 * A host that does not take the log-in says nothing about the mail: the job waits, its destination
 * is in trouble, and the note has the host's words.
 */
#ifndef COURIER_AUTH_H
#define COURIER_AUTH_H

#include "courier/connection.h"

#define WITHIN_AUTH (180 * NS_PER_SECOND)

/* Behind EHLO, in TLS or not. May yield. True: done, or the job has nobody to log in as. False: the
 * job has a note of why. */
bool auth_log_in(struct job *job, struct connection *connection);

/* Does a reply to mail by this job speak of who we are, and not of the mail: "log in first", "the
 * limit of this account"? */
bool auth_is_meant(const struct job *job, const struct reply *reply);

#endif
