/*
 * Reports: what became of an entry's recipients, told to who sent it (RFC 3461, format/dsn.h),
 * within the commit that records it. Inside src/core only.
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "core/delivery.h"
#include "format/dsn.h"
#include "store/queue.h"

/*
 * May yield. Adds the report about these recipients to the commit: copies for the sender's
 * mailboxes here, entries of the queue where he is elsewhere. The null path is told nothing: its
 * failures are the postmaster's, as sending.double_bounce says. delivery->message is the report's
 * id. `original`: of the message that is reported about; NULL: it is read from the store.
 */
struct err report_put(struct delivery *delivery, const struct queue_entry *entry,
                      const struct dsn_original *original, const struct dsn_recipient *recipients,
                      size_t count);

/*
 * May yield. Adds a message of ours, from nobody, to the commit: for a mailbox here or elsewhere,
 * where it goes whatever TLS policy there is (tls_optional), for so long (microseconds), and nobody
 * is told where it does not arrive. ERR_NOT_FOUND: there is no such mailbox here.
 */
struct err report_letter_put(struct delivery *delivery, struct str to, struct str text,
                             int64_t lives);

#endif
