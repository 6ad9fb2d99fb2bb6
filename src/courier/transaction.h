/*
 * One message by a connection: MAIL, RCPT, and its content by DATA or BDAT (RFC 5321 3.3, RFC 2920,
 * RFC 3030; LMTP: RFC 2033). Where one transaction does not take all recipients (LIMITS RCPTMAX,
 * 452: RFC 5321 4.5.3.1.10), further ones follow. May yield.
 *
 * Verdicts: what was said to a recipient, to MAIL, to DATA, or to the content, by its class. 552 to
 * RCPT is "too many" unless it says that the mailbox is full (X.2.X). What breaks before the end of
 * the content left decides nothing: another host may take it. Behind it nobody knows (job->dotted).
 */
#ifndef COURIER_TRANSACTION_H
#define COURIER_TRANSACTION_H

#include "courier/connection.h"

/* RFC 5321 4.5.3.2.2 to 6. */
#define WITHIN_MAIL (300 * NS_PER_SECOND)
#define WITHIN_RCPT (300 * NS_PER_SECOND)
#define WITHIN_DATA (120 * NS_PER_SECOND)
#define WITHIN_PIECE (180 * NS_PER_SECOND)
#define WITHIN_DOT (600 * NS_PER_SECOND)
#define WITHIN_RSET (60 * NS_PER_SECOND)
/* Of whole phases, against answers that come at the last moment, each (catalogue S27). */
#define LIMIT_ENVELOPE (1200 * NS_PER_SECOND)
#define LIMIT_CONTENT (7200 * NS_PER_SECOND)
#define LIMIT_END (1200 * NS_PER_SECOND) /* LMTP: of all answers together */

enum transaction_end {
    TRANSACTION_OVER,   /* all that this host says is said; the connection can be used again */
    TRANSACTION_LAST,   /* the same, and it is of no use any more */
    TRANSACTION_MISSED, /* it has not begun: the host lacks what is required (require.h) */
    TRANSACTION_LOST, /* the connection went away, or said nonsense: undecided ones are for the next
                         host; the job has a note of why */
};

enum transaction_end transaction_run(struct job *job, struct connection *connection);

#endif
