/*
 * SEND, SOML, SAML in core (RFC 821 3.4; doc/sending.md, 14): who may, whose terminals an address
 * leads to, and what of a message is shown there instead of being kept, or beside it.
 *
 * A terminal is a user's of this machine, and an account's by its name (struct conf_terminal). What
 * comes by a list, or goes elsewhere, is mail. Inside src/core only.
 */
#ifndef CORE_SHOWING_H
#define CORE_SHOWING_H

#include "core/delivery.h"
#include "core/transaction.h"

enum {
    SHOWINGS_MAX = 20 /* terminals that one message is shown on; the others' copies are mail */
};
#define SHOWINGS_WAIT (5 * NS_PER_SECOND) /* behind this none is begun any more */

/* Where a message was shown. */
struct showing {
    struct {
        const struct copy *copy;
        struct str user, line; /* the arena's */
    } at[SHOWINGS_MAX];
    size_t count;
};

/* A user, or a client that the configuration lets; MAIL is everybody's. */
bool showing_is_allowed(const struct core *core, const struct transaction *transaction);

/*
 * May yield, at RCPT: `e` is what MAIL would say. SEND: USER_NOT_ON where nobody behind the address
 * is; LIST_NOT_USER, NO_TERMINAL, MAILBOX_MOVED where there is no terminal to be had;
 * TOO_MANY_RECIPIENTS behind the first, so that the reply to the message is about one. What of
 * `resolved` SEND does not want goes. For SOML who is on needs no room in his mailbox. *words_r:
 * what the reply says beside OK, or str_null.
 */
struct err showing_judge(struct core *core, const struct transaction *transaction,
                         struct resolved *resolved, struct err e, struct arena *arena,
                         struct str *words_r);

/*
 * May yield: the message of the request is shown to whom of its recipients it should be, each once;
 * to nobody where an earlier core may have done so. Copies that are not to be kept are taken out of
 * the transaction. Fills in showing_r.
 */
void showing_run(const struct request *request, struct transaction *transaction,
                 struct showing *showing_r);

/* Is nothing left that has to be kept? */
bool showing_is_all(const struct transaction *transaction);

/* An event for each, in the message's trace. ERR_NO_MEMORY. */
struct err showing_trace(const struct showing *showing, struct delivery *delivery);
/* May yield: the same behind the message's own commit. Where it fails, the log has it. */
void showing_trace_late(const struct showing *showing, struct transaction *transaction);

#endif
