/*
 * struct smtp_submitted: what a submission has beyond a message of a stranger's: its header is held
 * back until it is whole, then put right (format/submission.h), and goes on with what came behind
 * it. While it is held it is in the memory of a parked message (parking.h), so the edge's budget
 * for those bounds it, and who drips is cut; a header has SMTP_PARKED_MAX octets at most, whatever
 * smtp.header_size says.
 *
 * It is the transaction's, and so are the authors. Nothing here yields.
 */
#ifndef EDGE_SMTP_SUBMITTED_H
#define EDGE_SMTP_SUBMITTED_H

#include "bus/messages.h"
#include "format/submission.h"

struct smtp_submitted {
    struct submission_facts facts;
    struct submission_scan scan;
    bool whole;  /* the header was put right */
    bool passed; /* and went on: what comes is body */
    struct arena *kept;
    struct msg_address *authors; /* in `kept`; for commit */
    size_t author_count;
    struct arena arena; /* of the next two */
    struct str header;  /* put right, waits to go on */
    struct buf behind;  /* octets of the body that came along, and how many of them went on */
    size_t behind_gone;
};

/* The texts of the facts and `kept` must live as long as the message. NULL: no memory. */
struct smtp_submitted *smtp_submitted_new(const struct submission_facts *facts, struct arena *kept);

/* The header is whole, or all there is, and octets of the body came along. Both are copied. Errors
 * of submission_header. */
struct err smtp_submitted_put_right(struct smtp_submitted *submitted, struct str header,
                                    struct str behind);

/* Octets of the body, while the header has not gone on: what one feeding brings along. */
struct err smtp_submitted_more(struct smtp_submitted *submitted, struct str octets);

/* The next octets to go on, `most` at most; empty: all have gone. */
struct str smtp_submitted_next(struct smtp_submitted *submitted, size_t most);

/* Gives back what waits. NULL is allowed. */
void smtp_submitted_done(struct smtp_submitted *submitted);

#endif
