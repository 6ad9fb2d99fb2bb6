/*
 * Who has room for a message, asked again at COMMIT, when its size is known whatever the client
 * declared. Inside src/core only.
 *
 *   LMTP         each recipient has a reply of its own: who has no room is refused, the others are
 *                delivered to.
 *   SMTP         one reply answers for all: refused where nobody has room; where somebody has,
 *                everybody gets it, and a mailbox may pass its quota by that one message.
 *   list copies  refuse nobody: who has no room is left out, and the owner of the list told.
 *
 * Sizes are of bodies; what we put in front is not held against anybody. What a mailbox holds is
 * as RCPT saw it. Nothing yields.
 */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include "core/transaction.h"

/* Fills in the errors of the outcomes (one for each recipient of the commit, without errors so far)
 * and over_quota of list copies. NONE where somebody gets the message; else why nobody does. */
struct err room_judge(const struct transaction *transaction, uint64_t size,
                      struct msg_outcome *outcomes, size_t count);

#endif
