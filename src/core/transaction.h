/*
 * struct transaction: what core knows of a mail transaction between RESOLVE and COMMIT: the
 * envelope, and for each accepted recipient a token and whose mailboxes it leads to. COMMIT names
 * tokens, so an edge can deliver to nobody whom the rules did not let through.
 */
#ifndef CORE_TRANSACTION_H
#define CORE_TRANSACTION_H

#include "core/peer.h"
#include "format/mail_command.h"
#include "format/mail_options.h"
#include "format/transmission.h"
#include "store/directory.h"

struct sender;

struct accepted_recipient {
    struct addr addr; /* as the client named it */
    struct str text;  /* addr_print form */
    struct str asked; /* rcpt_options_keep; it can be read */
    struct copy *copies;
    size_t copy_count;
    struct outside *outside; /* addresses elsewhere; of a recipient who is relayed: his own */
    size_t outside_count;
    struct str moved_to; /* a 251 forward was followed; else p == NULL */
};

#define TRANSACTION_MAGIC MAGIC('T', 'R', 'A', 'N')

struct transaction {
    uint32_t magic;
    RB_ENTRY(transaction) link;        /* in the peer's */
    LIST_ENTRY(transaction) link_kept; /* in core's spare ones */
    struct core *core;
    uint64_t number; /* the edge's name for it */
    uint64_t message;
    enum transmission transmission;
    enum mail_command command;
    struct str client, helo, reverse_path;
    struct addr sender;
    struct str asked;            /* mail_options_keep */
    struct mail_options options; /* the same, read; what its texts are is in `asked` */
    uint64_t login;              /* a submission (core/submission.h): by whom; else 0 */
    uint64_t account;
    bool local;   /* a program of this host: no account, and no address that is its own */
    uint32_t uid; /* its user */
    struct str account_address;
    bool later;            /* its sender wants it delivered at a time that is still to come */
    bool from_new_network; /* the log-in's */
    struct sender *sends;  /* while its COMMIT is counted */
    int64_t counted_at;
    struct accepted_recipient *recipients; /* token t is recipients[t - 1] */
    size_t recipient_count, recipient_room;
    struct arena arena; /* all of the above */
    size_t counted;     /* octets of it that stand in the peer's sum */
    size_t holds;       /* requests that look at it; it goes with the last */
    bool over;
};

/* An id for a message whose COMMIT is to name addresses; only to this peer, and once. */
uint64_t peer_id_give(struct peer *peer);

/*
 * COMMIT with addresses is RESOLVE and COMMIT in one: begins its transaction, which is over with
 * it, and puts tokens in the place of the addresses. ERR_TRY_LATER: a recipient is refused, and so
 * is the message; outcomes_r says why. ERR_NOT_FOUND: the id is none that the peer has, and nothing
 * happened.
 */
struct err transaction_of_addresses(struct request *request, struct transaction **transaction_r,
                                    struct msg_outcome *outcomes_r);

/* Whom the i-th token of the request's COMMIT names. */
static inline const struct accepted_recipient *
transaction_recipient(const struct request *request, const struct transaction *transaction,
                      size_t i)
{
    return &transaction->recipients[request->msg.commit.recipients[i].token - 1];
}

struct transaction *transaction_find(struct peer *peer, uint64_t number);
/* Out of the peer's sight now; freed when the last hold is released. */
void transaction_end(struct peer *peer, struct transaction *transaction);
void transaction_hold(struct transaction *transaction);
void transaction_release(struct transaction *transaction);
/* Core's end: the spare ones go. */
void transactions_spare_free(struct core *core);

#endif
