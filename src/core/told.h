/*
 * What a sender is told at once, with the commit that accepts his message: of success with those it
 * was delivered to here, where that was asked for (RFC 3461 5.2), and of what was not sent on since
 * it went in a circle. It is a message of its own, and yet of the same commit (delivery->with).
 * Inside src/core only.
 *
 * Success is told to users and to clients that may relay, and to nobody else: a stranger could have
 * it sent to whom he likes (catalogue S30).
 */
#ifndef CORE_TOLD_H
#define CORE_TOLD_H

#include "core/departing.h"

/* Is there a success to be told? Then the header of the message is needed. */
bool told_any(const struct request *request, const struct transaction *transaction,
              const struct msg_outcome *outcomes);

/* May yield. Adds the report, if one is due. ERR_NO_MEMORY, errors of report_put. */
struct err told_put(const struct request *request, struct transaction *transaction,
                    const struct msg_outcome *outcomes, const struct departing *departing,
                    struct str header, struct delivery *delivery);

#endif
