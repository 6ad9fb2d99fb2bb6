/*
 * What core asks of mail from users (doc/access.md, 4): who logged in, whether he may send as the
 * envelope and the header say, and how much. Asked at MAIL for the user's sake, and again at
 * resolve and commit, for no edge is believed.
 *
 * An mx edge names no log-in and no authors, a sub edge always does: who says otherwise is cut off.
 * A local log-in (core/login.h) may send as anybody; its user has an account's limits, but for
 * root. A log-in that has ended is refused (ERR_LOGIN_NEEDED): its end and the edge's question may
 * cross.
 *
 * All but submission_enter may yield.
 */
#ifndef CORE_SUBMISSION_H
#define CORE_SUBMISSION_H

#include "core/sending.h"
#include "core/transaction.h"

/* What is asked at resolve: sets whose transaction it is. ERR_BUS_BROKEN: to be cut off. */
struct err submission_enter(struct peer *peer, uint64_t login, struct transaction *transaction);

/* How many recipients its account may still send to; UINT64_MAX for an mx edge's. An error refuses
 * all of them; its detail is for the reply. */
struct err submission_left(struct transaction *transaction, uint64_t *left_r);

/* COMMIT's: log-in, envelope sender and authors. ERR_SENDER_NOT_OWNED with an address as detail. */
struct err submission_judge(struct request *request, const struct transaction *transaction);

/* The message counts from now on, unless it is one too many, until submission_counted says what
 * became of it. */
struct err submission_count(struct request *request, struct transaction *transaction);
void submission_counted(struct request *request, struct transaction *transaction, bool accepted);

#endif
