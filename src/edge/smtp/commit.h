/*
 * COMMIT: the message goes to core, and the answer says that it is durable or that it never will
 * be.
 */
#ifndef EDGE_SMTP_COMMIT_H
#define EDGE_SMTP_COMMIT_H

#include "edge/smtp/session.h"

/*
 * May yield. ERR_NONE: committed_r is core's answer, whose error may still refuse the message; what
 * it borrows lives in the transaction's arena. ERR_BUS_BROKEN: core went away and its answer is not
 * known, so neither yes nor no may be said to the client. Anything else: refused, never sent.
 */
struct err smtp_commit(struct smtp_session *s, struct msg_committed *committed_r);

#endif
