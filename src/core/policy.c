/*
 * Judged in core, so that an edge that was taken over cannot leave it out for others than its own
 * clients. Blocks are few and are looked for one after the other; lengths differ mostly.
 */
#include "core/policy.h"

static const struct conf_domain *block_of(const struct conf *conf, struct str domain)
{
    for (size_t i = 0; i < conf->domain_count; i++) {
        if (str_eq_nocase(conf->domains[i].name, domain))
            return &conf->domains[i];
    }
    return NULL;
}

struct policy policy_of(const struct conf *conf, const struct addr *recipient, struct str client,
                        bool user)
{
    return (struct policy){
        .domain = block_of(conf, recipient->domain), .user = user, .client = client};
}

enum err_code policy_judge(const struct policy *policy)
{
    const struct conf_domain *domain = policy->domain;
    bool denied = domain && !policy->user && conf_networks_hold(&domain->deny_from, policy->client);
    return denied && !conf_networks_hold(&domain->allow_from, policy->client) ? ERR_ACCESS_DENIED
                                                                              : ERR_NONE;
}

bool policy_is_for_all(const struct policy *policy)
{
    const struct conf_domain *domain = policy->domain;
    return !domain || (domain->deny_from.count == 0 && domain->deny_from.list_count == 0);
}

bool policy_relays(const struct conf *conf, const struct policy *policy)
{
    return policy->user || conf_networks_hold(&conf->smtp.relay_from, policy->client) ||
           (policy->domain && policy->domain->backup);
}
