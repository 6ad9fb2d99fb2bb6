/*
 * What becomes of one recipient of an envelope: what RCPT is answered with, and what `veredus
 * explain send` tells, found by the same function. Inside src/core only.
 */
#ifndef CORE_ENVELOPE_H
#define CORE_ENVELOPE_H

#include "core/policy.h"
#include "core/transaction.h"

struct envelope_question {
    struct str recipient; /* addr_print form; must live as long as what is found */
    struct str server;    /* our IP address that the client connected to; empty: none */
    uint64_t size;        /* of the message, or 0 */
};

struct envelope_found {
    struct addr addr;
    struct policy policy;
    bool back; /* to a rewritten sender (forwarding.h) */
    struct resolved resolved;
};

/* May yield. An error is what its sender is told; ERR_DESTINATION_DENIED has the words as detail.
 * Of the transaction: its client, log-in and reverse-path. Texts are the arena's. */
struct err envelope_find(struct core *core, const struct transaction *transaction,
                         const struct envelope_question *question, struct arena *arena,
                         struct envelope_found *found_r);

#endif
