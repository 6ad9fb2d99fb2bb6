/*
 * What of a message leaves: the targets elsewhere of those of its recipients that were not refused.
 * Inside src/core only.
 *
 *   departing_tag    what its header says about the way
 *   departing_take   whom it goes to, and what each is asked for
 *   departing_stay   those here who get it later
 *   departing_put    its entries of the queue, within the commit
 *
 * A recipient who is elsewhere himself keeps what his sender asked for, and so does the one target
 * of an alias (RFC 3461 5.2.7.2). Where an address leads to several, each is asked for what there
 * was but a report of success: the sender gets one at once, which says that it was expanded
 * (5.2.7.3 c). A list begins anew: its owner is the sender, who asked for nothing (5.2.7.1).
 */
#ifndef CORE_DEPARTING_H
#define CORE_DEPARTING_H

#include "core/outgoing.h"
#include "core/transaction.h"

struct departing {
    struct outgoing_target *targets;
    size_t count;
    struct departing_loop *loops;
    size_t loop_count;
};

/* A target that it is not sent on to: it has our mark of having been sent on for the same address
 * before (catalogue S24). */
struct departing_loop {
    const struct accepted_recipient *recipient;
    const struct outside *outside;
};

/* From a user, or from a client that may relay. */
bool departing_is_trusted(const struct core *core, const struct transaction *transaction);

/* What the message's sender was promised about this recipient. */
enum departing_kind {
    DEPARTING_STAYS,    /* it is delivered here, or to a list, which is the same to its sender */
    DEPARTING_GOES_ON,  /* to one place elsewhere, with all that is asked for */
    DEPARTING_EXPANDED, /* to several places, not all of them here */
};
enum departing_kind departing_kind(const struct accepted_recipient *recipient);

/* Has this recipient, who is here, a copy that comes later? Who is it by lists alone has not: the
 * lists have it. */
bool departing_waits(const struct transaction *transaction,
                     const struct accepted_recipient *recipient);

/* Does anything of it go elsewhere? Then its header is needed. */
bool departing_any(const struct request *request, const struct transaction *transaction);

/* "TLS-Required: No" (RFC 8689 3, 4.1) becomes one of the options that all its entries and reports
 * have, unless REQUIRETLS was said. ERR_NO_MEMORY. */
struct err departing_tag(struct transaction *transaction, struct str header);

/* May yield. What is sent on for an address here gets a mark, and where its sender is elsewhere it
 * leaves by one of ours (core/forwarding.h). `header`: the message's. ERR_NO_MEMORY; errors of the
 * engine. */
struct err departing_take(const struct request *request, struct transaction *transaction,
                          const struct msg_outcome *outcomes, struct str header,
                          struct departing *departing_r);

/* Of a message that is held (transaction->later): each copy of the delivery becomes a target, too,
 * and no row of a mailbox. ERR_NO_MEMORY. */
struct err departing_stay(const struct request *request, struct transaction *transaction,
                          const struct msg_outcome *outcomes, const struct delivery *delivery,
                          struct departing *departing);

/* An event for each loop, in the message's trace. ERR_NO_MEMORY. */
struct err departing_trace(const struct departing *departing, struct delivery *delivery);

/* `front`: octets that the blob's head puts in front of the body. Errors of outgoing_put. */
struct err departing_put(const struct request *request, const struct transaction *transaction,
                         struct delivery *delivery, const struct departing *departing, blob_id blob,
                         size_t front);

#endif
