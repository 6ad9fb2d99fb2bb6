/*
 * What a commit puts into the queue: the targets of a message that are not here, made into entries
 * (store/queue.h). Inside src/core only. Nothing yields.
 */
#ifndef CORE_OUTGOING_H
#define CORE_OUTGOING_H

#include "core/delivery.h"
#include "format/mail_options.h"
#include "store/queue.h"

/* What all entries of a message share; texts live as long as the delivery's arena. */
struct outgoing {
    uint64_t message;
    blob_id blob;
    uint64_t size; /* octets of Received and body */
    struct str sender;
    uint64_t account;           /* of whose user submitted it; or 0 */
    struct str account_address; /* its own; empty: none */
    uint8_t body_type;
    bool utf8;
    bool trusted;     /* from a user or smtp.relay_from */
    struct str asked; /* mail_options_keep */
    int64_t lives;    /* microseconds until it expires; 0: as configured */
};

struct outgoing_target {
    struct str address; /* addr_print form */
    struct str domain;
    struct str given;  /* what the client named, where it is another; or empty */
    struct str sender; /* where it is another than the message's: a list's owner; else p NULL */
    struct str fields; /* header fields for it alone */
    bool here;         /* an account here: it is held, and handed in at its time (QUEUE_HERE) */
    bool forward;      /* it leaves by a sender of ours (QUEUE_FORWARDED) */
    struct str asked;  /* rcpt_options_keep */
};

/* Makes entries of the targets (whose order changes) and adds them to the commit, with an event for
 * each; they are in delivery->entries then. ERR_NO_MEMORY, ERR_OVER_LIMIT. */
struct err outgoing_put(struct delivery *delivery, const struct outgoing *message,
                        struct outgoing_target *targets, size_t count);

#endif
