/*
 * Asking core about recipients: one question for all RCPT commands that a client has pipelined. The
 * answers wait in the transaction until each command's turn comes.
 */
#ifndef EDGE_SMTP_RESOLVE_H
#define EDGE_SMTP_RESOLVE_H

#include "edge/smtp/session.h"

/* May yield. What `asked` borrows lives in the transaction's arena, and so does what answer_r
 * borrows. */
struct err smtp_resolve(struct smtp_session *s, const struct msg_address *asked,
                        struct msg_answer *answer_r);

/*
 * May yield. Names the recipients to the core that is there now, in a new transaction: core went
 * away since they were accepted, or some were accepted without it (known.h). An error where it does
 * not accept every one of them.
 */
struct err smtp_resolve_again(struct smtp_session *s);

/* May COMMIT name the recipients' addresses itself? Where core was not asked for any of them. */
bool smtp_may_name_addresses(const struct smtp_session *s);

/* Core refuses whom the client was told to be accepted: for the trace, and known no more. */
void smtp_refused_after_all(struct smtp_session *s, size_t recipient, enum err_code error,
                            struct str text);

#endif
