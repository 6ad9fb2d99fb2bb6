/*
 * Why a certificate that does not verify is a miss, and no trouble that may pass: the RFC wants the
 * sender told today, who alone knows whether the message may go another way; and somebody on the
 * line who shows a certificate of his own gets no more by it than by striking out STARTTLS.
 */
#include "courier/require.h"

#include "base/destination.h"
#include "courier/policy.h"
#include "courier/result.h"
#include "courier/sts.h"
#include "format/mail_options.h"

void require_read(struct job *job)
{
    struct mail_options asked;
    if (!mail_options_read(job->order->asked, &asked) || !mail_options_possible(&asked))
        return;
    job->require.tls = asked.require_tls;
    job->require.optional = asked.tls_optional;
}

bool require_tls(const struct job *job)
{
    return job->require.tls && !job->require.relaxed && !job->require.here;
}

bool require_proof(const struct job *job)
{
    return require_tls(job) && !job->require.by_socket;
}

bool require_is_optional(const struct job *job)
{
    return job->require.optional && job->conf->sending.tls_optional;
}

/* --- Hosts ----------------------------------------------------------------------------------- */

/* By an operator's word: no MX leads to LMTP. */
static bool is_this_machine(const struct route_host *host)
{
    const struct destination_rules none = {.own = NULL};
    return str_eq_nocase(host->name, STR("localhost")) ||
           destination_judge(host->address, &none) == DESTINATION_LOOPBACK;
}

void require_begin(struct job *job, const struct route_host *host)
{
    job->require.missed = false;
    job->require.here = host->lmtp && is_this_machine(host);
    job->require.by_socket = host->local;
}

void require_miss(struct job *job, const char *status, struct str text)
{
    struct job_require *require = &job->require;
    bool nearer = !require->status || strcmp(status, REQUIRE_NO_PROMISE) == 0;
    require->missed = true;
    job_note(job, JOB_TROUBLE_TLS, NULL, text);
    if (!nearer)
        return;
    struct str kept = arena_str(&job->arena, text);
    require->status = status;
    require->text = kept.p ? kept : STR("");
    require->host = job->host;
}

void require_end(struct job *job, bool known_to_be_none)
{
    if (!job->require.missed && !known_to_be_none)
        job->require.may_come = true;
}

/* --- Names ----------------------------------------------------------------------------------- */

/* A policy that is only tested names its hosts as one that is enforced does. */
static bool is_of_policy(const struct sts_found *found, const struct route_host *host)
{
    return found->any && mta_sts_allows(&found->policy, host->name);
}

bool require_proven(struct job *job, const struct route *route, const struct route_host *host)
{
    if (!require_tls(job) || host->proven || host->is_domain || route->domain.n == 0)
        return true;
    const struct sts_found *found =
        job->conf->sending.mta_sts ? policy_sts(job, route->domain) : NULL;
    if (found && is_of_policy(found, host))
        return true;
    if (found && found->unknown) {
        job_note(job, JOB_TROUBLE_DNS, NULL,
                 STR("TLS is required (REQUIRETLS), and whether the domain has an MTA-STS policy "
                     "that names this host is not known now"));
        return false;
    }
    require_miss(
        job, REQUIRE_NO_TLS,
        STR("TLS is required (REQUIRETLS), and neither DNSSEC nor an MTA-STS policy proves "
            "that this is a mail host of the domain"));
    return false;
}

/* --- The end --------------------------------------------------------------------------------- */

bool require_relaxes(struct job *job)
{
    bool report = job->order->sender.n == 0 && !job->order->submits;
    if (!require_tls(job) || !report || !job->require.status)
        return false;
    job->require.relaxed = true;
    return true;
}

bool require_decides(struct job *job)
{
    const struct job_require *require = &job->require;
    if (!require->tls || require->relaxed || !require->status || require->may_come)
        return false;
    job->host = require->host;
    results_say(job, JOB_FAILED, require->status, require->text);
    return true;
}
