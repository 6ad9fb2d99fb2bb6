/*
 * struct login: who logged in, as core sees it: one account, and the handle by which the edge of
 * one link names it. What an edge asks of a handle reaches this account only.
 *
 * A log-in ends with its session (logout), with its link, or when the account's credentials change
 * (another credential version, removed): then the edge is told (login_ended) and the handle is void
 * at once. What runs for it at that moment finishes on the memory it holds.
 *
 * A local log-in is that of a program of this host (login_local): it has no account, ends with its
 * session or link, and is good for sending alone.
 */
#ifndef CORE_LOGIN_H
#define CORE_LOGIN_H

#include "core/mailbox.h"
#include "core/peer.h"
#include "trust/sasl.h"

struct login {
    UT_hash_handle hh;
    uint64_t handle;
    uint64_t account, inbox; /* 0: a local one's */
    uint64_t version;        /* of its credentials */
    uint32_t uid_validity;
    uint64_t open; /* mailbox that was opened, or 0 */
    enum listen_protocol protocol;
    enum sasl_mechanism mechanism;
    struct str address, client;
    bool local;             /* a program of this host: nobody's account */
    uint32_t uid;           /* its user */
    bool from_new_network;  /* of the client, for the account: directory_network_is_new */
    struct uid_set expunge; /* of the pages so far */
    struct reading reading;
    struct arena arena; /* the texts */
    size_t holds;
    bool over;
};

/* NULL: no such log-in on this link. */
struct login *login_find(struct peer *peer, uint64_t handle);
void login_hold(struct login *login);
void login_release(struct login *login);
void login_end(struct peer *peer, struct login *login);

/* A new log-in of the link, from what `login` says; its texts are copied. */
struct err login_add(struct peer *peer, const struct login *like, struct login **login_r);

/* Something in the directory changed: soon all log-ins are held against it, in slices, and at most
 * once a second however much changes. */
void logins_review(struct core *core);
/* On a fiber: nothing of it runs any more. */
void logins_review_close(struct core *core);

#endif
