/*
 * Records that fit no host of an insecure zone are not looked for: to ask about them there would
 * make mail to name servers that answer no TLSA question wait, for nothing that anybody could rely
 * on (RFC 7672 2.1.2). For the same reason MX records that nobody signed end it: who can change
 * them names a host of his own with records of his own.
 */
#include "courier/policy.h"

#include "courier/require.h"
#include "courier/result.h"
#include "courier/sts.h"

enum found {
    FOUND,
    FOUND_NONE,
    FOUND_UNKNOWN,
    FOUND_BOGUS, /* unknown, too */
};

static bool is_absence(struct err e)
{
    return e.code == ERR_DNS_NO_DATA || e.code == ERR_DNS_NO_NAME;
}

static enum found unknown(struct job *job, struct str asked, struct err e, struct str why)
{
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    bool bogus = e.code == ERR_DNS_BOGUS;
    if (bogus)
        buf_printf(&text,
                   "TLS failed (%.*s): ", STR_FMT(tls_result_word(TLS_RESULT_DNSSEC_INVALID)));
    buf_printf(&text, "no usable DNS answer about %.*s", STR_FMT(asked));
    if (why.n > 0) {
        buf_put(&text, STR(": "));
        buf_put_escaped(&text, why, JOB_TEXT_MAX / 2);
    }
    job_note(job, bogus ? JOB_TROUBLE_TLS : JOB_TROUBLE_DNS, NULL, buf_str(&text));
    buf_done(&text);
    return bogus ? FOUND_BOGUS : FOUND_UNKNOWN;
}

/* --- TLSA ------------------------------------------------------------------------------------ */

static enum found tlsa_find(struct job *job, struct str base, uint16_t port, struct dns_tlsas *to)
{
    struct buf name = buf_in(&job->arena, DNS_NAME_MAX);
    buf_printf(&name, "_%u._tcp.%.*s", port, STR_FMT(base));
    struct str asked = buf_built(&name);
    if (!asked.p) /* no name can be so long: nobody has records there */
        return FOUND_NONE;
    struct err e = dns_tlsa(&job->courier->dns, asked, &job->arena, to);
    if (is_absence(e) || (e.code == ERR_NONE && !to->found.secure))
        return FOUND_NONE;
    return e.code == ERR_NONE ? FOUND : unknown(job, asked, e, to->found.why);
}

/* Where an alias leads into a zone that nobody signs, is the alias itself signed (RFC 7672 2.1.3)?
 */
static enum found alias_is_secure(struct job *job, struct str name)
{
    struct dns_raw raw;
    struct err e = dns_raw(&job->courier->dns, name, DNS_CNAME, &job->arena, &raw);
    if (is_absence(e) || (e.code == ERR_NONE && !raw.found.secure))
        return FOUND_NONE;
    return e.code == ERR_NONE ? FOUND : unknown(job, name, e, raw.found.why);
}

/* The TLSA base domains to be tried, the best first (RFC 7672 2.1.3). */
static enum found bases_find(struct job *job, const struct route_host *host,
                             const struct route_addresses *addresses, struct str bases[2],
                             size_t *count_r)
{
    bool alias = !str_eq_nocase(addresses->canonical, host->name);
    enum found found = addresses->secure ? FOUND : FOUND_NONE;
    *count_r = 0;
    if (!addresses->secure && alias)
        found = alias_is_secure(job, host->name);
    if (found != FOUND)
        return found;
    if (addresses->secure && alias)
        bases[(*count_r)++] = addresses->canonical;
    bases[(*count_r)++] = host->name;
    return FOUND;
}

static enum found records_find(struct job *job, const struct route_host *host,
                               const struct route_addresses *addresses, struct str *base_r,
                               struct dns_tlsas *to)
{
    struct str bases[2];
    size_t count;
    enum found found = bases_find(job, host, addresses, bases, &count);
    if (found != FOUND)
        return found;
    found = FOUND_NONE;
    for (size_t i = 0; i < count && found == FOUND_NONE; i++) {
        *base_r = bases[i];
        found = tlsa_find(job, bases[i], host->port, to);
    }
    return found;
}

/* --- What is made of them -------------------------------------------------------------------- */

static void name_add(struct tls_policy *policy, struct str name)
{
    for (size_t i = 0; i < policy->name_count; i++)
        if (str_eq_nocase(policy->names[i], name))
            return;
    if (name.n > 0 && policy->name_count < POLICY_NAMES_MAX)
        policy->names[policy->name_count++] = name;
}

/* Those of which one is to be in a certificate that an authority of usage 2 vouches for: the base
 * domain, and where MX records led there, the domain before them (RFC 7672 3.2.2). */
static void names_make(struct tls_policy *policy, const struct route *route)
{
    name_add(policy, policy->base);
    name_add(policy, route->domain);
    name_add(policy, route->canonical);
}

static bool records_take(struct job *job, const struct dns_tlsas *found, struct tls_policy *policy)
{
    struct tls_tlsa *list = arena_take_array(&job->arena, found->count + 1, sizeof *list);
    if (!list)
        return false;
    for (size_t i = 0; i < found->count && policy->tlsa_count < TLS_TLSA_MAX; i++) {
        const struct dns_tlsa *one = &found->list[i];
        list[policy->tlsa_count] = (struct tls_tlsa){.usage = one->usage,
                                                     .selector = one->selector,
                                                     .matching = one->matching,
                                                     .data = one->data};
        policy->tlsa_count += tls_tlsa_is_usable(&list[policy->tlsa_count]);
    }
    policy->tlsa = list;
    policy->records = found->list;
    policy->record_count = found->count;
    policy->need = policy->tlsa_count > 0 ? TLS_NEED_DANE : TLS_NEED_TLS;
    return true;
}

static bool dane_find(struct job *job, const struct route *route, const struct route_host *host,
                      const struct route_addresses *addresses, struct tls_policy *policy)
{
    struct dns_tlsas found;
    enum found known = records_find(job, host, addresses, &policy->base, &found);
    if (known == FOUND_BOGUS)
        policy->failed = TLS_RESULT_DNSSEC_INVALID;
    if (known != FOUND)
        return known == FOUND_NONE;
    names_make(policy, route);
    if (records_take(job, &found, policy))
        return true;
    job_note(job, JOB_NO_TROUBLE, NULL, STR("this server is short of memory"));
    return false;
}

/* --- MTA-STS --------------------------------------------------------------------------------- */

/* Once for a job, and only where a host without DANE comes up. */
const struct sts_found *policy_sts(struct job *job, struct str domain)
{
    if (!job->sts) {
        job->sts = arena_new(&job->arena, struct sts_found);
        if (job->sts)
            sts_find(job, domain, job->fresh, job->sts);
    }
    return job->sts;
}

static bool sts_apply(struct job *job, const struct route *route, const struct route_host *host,
                      struct tls_policy *policy)
{
    const struct sts_found *found = policy_sts(job, route->domain);
    if (!found) {
        job_note(job, JOB_NO_TROUBLE, NULL, STR("this server is short of memory"));
        return false;
    }
    if (!found->any || found->policy.mode != MTA_STS_ENFORCE)
        return true;
    policy->need = TLS_NEED_PKIX;
    if (mta_sts_allows(&found->policy, host->name))
        return true;
    policy->failed = TLS_RESULT_VALIDATION_FAILURE;
    job_note(job, JOB_TROUBLE_TLS, NULL,
             STR("TLS failed (validation-failure): the MX host is none of the domain's MTA-STS "
                 "policy"));
    return false;
}

bool policy_find(struct job *job, const struct route *route, const struct route_host *host,
                 const struct route_addresses *addresses, struct tls_policy *policy_r)
{
    *policy_r = (struct tls_policy){.need = TLS_NEED_NONE};
    if (job->order->tls == CONF_ROUTE_TLS_OFF) /* the operator's word */
        return true;
    if (require_is_optional(job))
        return true;
    bool proven = host->proven && host->address.n == 0 && !host->lmtp;
    if (proven && job->conf->sending.dane && !dane_find(job, route, host, addresses, policy_r))
        return false;
    if (!require_proven(job, route, host))
        return false;
    if (policy_r->need != TLS_NEED_NONE || route->domain.n == 0 || !job->conf->sending.mta_sts)
        return true; /* DANE stands before MTA-STS (RFC 8461 2) */
    return sts_apply(job, route, host, policy_r);
}
