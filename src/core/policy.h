/*
 * What the configuration says about a recipient: who may send to his domain (domain NAME {
 * deny_from, allow_from }), and who may send through this server to another (smtp.relay_from,
 * domain NAME { backup }). Users who logged in may do both. Pure; never yields.
 */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "conf/conf.h"
#include "format/addr.h"

struct policy {
    const struct conf_domain *domain; /* its block, or NULL */
    bool user;                        /* the sender logged in */
    struct str client;                /* IP address, or empty */
};

struct policy policy_of(const struct conf *conf, const struct addr *recipient, struct str client,
                        bool user);
/* ACCESS_DENIED: not from this client. */
enum err_code policy_judge(const struct policy *policy);
/* Would the same be said to every client? */
bool policy_is_for_all(const struct policy *policy);

/* The recipient is not here: may it be relayed for this client? */
bool policy_relays(const struct conf *conf, const struct policy *policy);

#endif
