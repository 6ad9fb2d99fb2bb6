/*
 * Asking core about recipients: one question for all RCPT commands that a client has pipelined. The
 * answers wait in the transaction until each command's turn comes.
 */
#ifndef EDGE_SMTP_RESOLVE_H
#define EDGE_SMTP_RESOLVE_H

#include "edge/smtp/session.h"

/* May yield. `address` lives in the transaction's arena, and so does what answer_r borrows. */
struct err smtp_resolve(struct smtp_session *s, struct str address, struct msg_answer *answer_r);

/*
 * May yield. Core went away since the recipients were accepted: names the transaction to the core
 * that is there now, as a new one. ERR_TRY_LATER where it does not accept every recipient again.
 */
struct err smtp_resolve_again(struct smtp_session *s);

#endif
