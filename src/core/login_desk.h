/*
 * struct login_desk: what all log-ins of core share: the guard, the passwords that were right
 * lately, the way to the hashes, the bans as they are kept and told. core.c opens and closes it.
 *
 * Bans are kept in PARTITION_GUARD/0:
 *   'b' network, bits -> since, until, times, by_hand
 * and told to sub and box edges behind their welcome, and whenever one begins or is lifted.
 */
#ifndef CORE_LOGIN_DESK_H
#define CORE_LOGIN_DESK_H

#include "core/guard.h"
#include "core/hash_gate.h"
#include "core/success.h"
#include "store/engine.h"
#include "trust/sasl.h"
#include "trust/token.h"

struct core;
struct peer;

struct login_waiter;
TAILQ_HEAD(login_waiters, login_waiter);

struct login_review {
    bool due, running;
    int64_t last; /* mono; 0: never */
    struct timer timer;
    struct fiber_start start;
    struct wait *ended;
};

enum {
    LOGIN_TOKEN_ARENA = 16 * TOKEN_KEYS_OCTETS /* what a set of keys may take */
};

struct login_desk {
    struct guard *guard;
    struct successes *successes;
    struct hash_gate gate;
    struct login_waiters waiters; /* until another attempt is decided */
    size_t waiting;
    struct login_review review;
    bool keeps;    /* a password is being kept anew */
    size_t chores; /* that run on fibers of their own: bans on their way to the disk */
    struct wait *no_chores;
    bool has_salt_key;
    unsigned char salt_key[32];
    struct token_keys *token_keys; /* NULL: none */
    struct arena token_arena;
};

/* After core's engine, log and lane. On a fiber; may yield. */
struct err login_desk_open(struct core *core);
/* With no peer left. On a fiber; may yield. */
void login_desk_close(struct core *core);

/* The keys that bearer tokens are checked by; text of a JWK set, empty: none. On an error the keys
 * are as they were. */
struct err login_token_keys(struct core *core, struct str json);

/* --- Bans (bans_kept.c) ---------------------------------------------------------------------- */

/* What an address did; never yields: the ban holds at once, and is on the disk a moment later.
 * `dropped`: another one that had to go for it, or NULL. */
void ban_begun(struct core *core, const struct ban *ban, const struct ban *dropped);
/* An operator's. May yield, until it is durable. */
struct err ban_set(struct core *core, const struct ban *ban);
/* NOT_FOUND. May yield. */
struct err ban_lift(struct core *core, const struct network *network);
/* To an edge that was welcomed. Never yields. */
struct err bans_tell(struct peer *peer);
/* Those that are over are removed, some at a time. May yield. */
struct err bans_expire(struct core *core);

/* The same on a store that no core has open. May yield. Times as in struct ban, wall. */
struct err bans_store_put(struct engine *engine, const struct ban *ban);
struct err bans_store_remove(struct engine *engine, const struct network *network);
/* Each that ends later than `now`, in the order of the networks; it stops at the first error. */
struct err bans_store_list(struct engine *engine, int64_t now,
                           struct err (*each)(void *arg, const struct ban *), void *arg);

#endif
