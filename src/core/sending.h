/*
 * struct senders: what each account sent lately (store/sending.h), held against the limits and the
 * brake of the section `submission`.
 *
 * The numbers of who is sending are in memory, and include what is on its way to the disk, so two
 * messages at once cannot both be the last one that is allowed. They are written with the commit of
 * each message; an account that is in nobody's hands may be forgotten and is read again.
 *
 * The brake: an account that would send to more recipients within an hour than
 * submission.brake_least, and than brake_factor times its habit, is held at once and until an
 * operator releases it; what waits of it to be sent elsewhere is held with it (queue_account.c).
 * Its owner and the postmaster get a message. Who was released is not braked
 * for a day: the operator has looked, and the limits still hold. What comes by a log-in from a
 * network that is new to the account is held against brake_new_least and brake_new_factor instead,
 * with all that the account sent in that hour from anywhere.
 */
#ifndef CORE_SENDING_H
#define CORE_SENDING_H

#include <sys/queue.h>

#include "base/hash.h"
#include "store/sending.h"
#include "sys/world.h"

struct conf;
struct core;

/* A user of this host stands among the accounts with this and his uid; in memory alone. */
#define SENDER_LOCAL (UINT64_C(1) << 63)

enum {
    SENDERS_KEPT = 10000 /* in memory, that nobody uses */
};

struct sender {
    UT_hash_handle hh;
    TAILQ_ENTRY(sender) link; /* of those that nobody uses, the longest unused first */
    uint64_t account;
    size_t users;
    struct sending sending;
};

struct senders {
    struct engine *engine;
    struct world *world;
    struct sender *all;
    TAILQ_HEAD(, sender) unused;
    size_t unused_count;
};

void senders_init(struct senders *senders, struct engine *engine, struct world *world);
/* Nobody uses any. */
void senders_done(struct senders *senders);

/* May yield. The caller uses it until senders_give. */
struct err senders_take(struct senders *senders, uint64_t account, struct sender **sender_r);
void senders_give(struct senders *senders, struct sender *sender);

/* Is it on hold? Of one that somebody uses; of others it may be unknown, and false. */
bool senders_holds(struct senders *senders, uint64_t account);

/* How many recipients more it may send to now, the brake left out. ERR_SENDING_HELD. */
struct err sender_left(struct senders *senders, struct sender *sender, const struct conf *conf,
                       uint64_t *left_r);

enum sender_verdict {
    SENDER_MAY, /* they are counted from now on */
    SENDER_IS_HELD,
    SENDER_LIMIT,
    SENDER_BRAKE, /* the caller is to hold it: sender_brake */
};

/* A message that is to be sent. */
struct sender_load {
    uint32_t recipients;
    bool from_new_network; /* by a log-in from one that is new to the account */
    bool local;            /* by a program of this host: it has limits and no habit */
};

/* What sender_add would say; nothing is counted. */
enum sender_verdict sender_would(struct sender *sender, const struct conf *conf,
                                 const struct sender_load *load, int64_t now);
/* `now` is when, for sender_take_back. */
enum sender_verdict sender_add(struct senders *senders, struct sender *sender,
                               const struct conf *conf, const struct sender_load *load,
                               int64_t now);
/* It was not accepted after all. */
void sender_take_back(struct sender *sender, uint32_t recipients, int64_t then);

/* May yield. Held from now on, also where it cannot be made durable; tells the owner, the
 * postmaster, the log and the audit. `address`: of the account. */
void sender_brake(struct core *core, struct sender *sender, struct str address,
                  const struct sender_load *load);

/* May yield. By an operator, for this reason; why.p NULL releases. */
struct err senders_hold(struct senders *senders, uint64_t account, struct str why,
                        struct arena *arena);

#endif
