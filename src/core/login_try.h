/*
 * struct login_try: one attempt to log in, by whatever mechanism, in core's order (doc/access.md,
 * 3): what the edge says is checked; the name is prepared; the guard is asked; the proof is looked
 * at; then, and only then, the account's state and services; then there is a handle.
 *
 *     login_try_init    may the link ask this at all?
 *     login_admit       whose log-in, and may it be looked at now?
 *     ...               the mechanism's own: is it proved?
 *     login_decide      once behind every login_admit that said NONE
 *     login_answer      the event, and what the edge is told
 *     login_afterwards  what nobody waits for
 */
#ifndef CORE_LOGIN_TRY_H
#define CORE_LOGIN_TRY_H

#include "core/login.h"

/* Which mechanisms a message is for, and what it says. */
struct login_said {
    unsigned mechanisms; /* a bit each */
    uint8_t protocol, mechanism;
    struct str client, user, as;
};

enum login_proof {
    PROOF_NONE, /* nobody looked */
    PROOF_WRONG,
    PROOF_RIGHT
};

struct login_try {
    struct request *request;
    struct core *core;
    enum listen_protocol protocol;
    enum sasl_mechanism mechanism;
    struct str client, user, as;
    struct network network;
    bool unlimited; /* it comes from login.unlimited_from */
    bool nameless;  /* the mechanism itself says who it is: there is no name to be guessed at */

    struct str name;   /* prepared; as typed where it cannot be */
    struct str folded; /* for the guard, and for made-up salts */
    bool exists;
    struct account account;
    bool known; /* the network is the account's own */
    struct guard_attempt attempt;

    uint8_t services; /* what the proof is good for: enum directory_service */
    uint64_t app;     /* the application password that it was; 0: none */
    struct login *login;
    struct str text; /* for logged_in: what the mechanism says at its end */
};

/* false: no edge of ours says this, and the link is cut. */
bool login_try_init(struct login_try *try, struct request *request, const struct login_said *said);

/* May yield. The account by the name that was typed. ERR_BANNED, ERR_LOGIN_BACK_OFF,
 * ERR_LOGIN_LATER, ERR_SASL_MECHANISM; errors of the disk. */
struct err login_admit(struct login_try *try);
/* The same in two: where the account is not found by the name, `account` and `exists` are set
 * between. */
struct err login_admit_begin(struct login_try *try);
struct err login_admit_end(struct login_try *try);

/* The account by the prepared name; an unknown one is no error. May yield. */
struct err login_account_find(struct login_try *try);

/* Is the mechanism offered at all? */
bool login_mechanism_is_on(const struct conf *conf, enum sasl_mechanism mechanism);

/* May yield. `failed`: why nobody looked. What the edge is to be told. */
struct err login_decide(struct login_try *try, enum login_proof proof, struct err failed);
/* The same by what came of the proof: NONE, ERR_LOGIN_FAILED (it was wrong), or why nobody looked.
 */
struct err login_decide_by(struct login_try *try, struct err proof);
void login_answer(struct login_try *try, struct err e);

/* May yield: the network is noted, and the day of an application password. */
void login_afterwards(struct login_try *try);

/* Every outcome goes through here, once: to the log and to the audit. */
void login_event(const struct login_try *try, struct err e);

/* What the account is known by; nothing where there is none. May yield. */
struct err login_credentials(struct login_try *try, struct credentials *credentials_r);

/* The password was right, and is kept in an old way, or without keys for SCRAM though it could be:
 * now it is kept anew. May yield, for long; behind the answer. (login_keep.c) */
void login_keep(struct login_try *try, struct str password);

#endif
