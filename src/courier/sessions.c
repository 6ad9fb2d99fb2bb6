/*
 * The policy is told as it was applied, not as it stands in the DNS later: who reads the report
 * learns by its text which of his policies we knew.
 */
#include "courier/sessions.h"

#include "courier/require.h"
#include "courier/sts.h"
#include "courier/tls.h"

enum {
    TLSA_LINE_MAX = 16 + 2 * 512, /* octets; a longer record is none that fits anything */
};

/* --- The policy ------------------------------------------------------------------------------ */

/* "3 1 1 1f85..." (RFC 8460 4.5), a line each. */
static struct str tlsa_lines(struct job *job, const struct tls_policy *policy)
{
    struct buf lines = buf_in(&job->arena, SESSION_LINES_MAX);
    for (size_t i = 0; i < policy->record_count; i++) {
        const struct dns_tlsa *one = &policy->records[i];
        if (lines.n + TLSA_LINE_MAX > SESSION_LINES_MAX || 2 * one->data.n + 16 > TLSA_LINE_MAX)
            break;
        buf_printf(&lines, "%s%u %u %u ", lines.n > 0 ? "\n" : "", one->usage, one->selector,
                   one->matching);
        for (size_t k = 0; k < one->data.n; k++)
            buf_printf(&lines, "%02x", (unsigned char)one->data.p[k]);
    }
    struct str built = buf_built(&lines);
    return built.p ? built : STR("");
}

/* As many whole lines as fit. */
static struct str sts_lines(struct str text)
{
    size_t n = text.n;
    if (n > SESSION_LINES_MAX)
        for (n = SESSION_LINES_MAX; n > 0 && text.p[n] != '\n'; n--)
            continue;
    return str_trim(str_head(text, n));
}

static void dane_take(struct job *job, const struct route_host *host,
                      const struct tls_policy *policy, struct session_policy *session)
{
    session->type = TLS_REPORT_TLSA;
    session->domain = policy->base.n > 0 ? policy->base : host->name;
    session->lines = tlsa_lines(job, policy);
    if (policy->need == TLS_NEED_TLS)
        session->trouble = TLS_RESULT_TLSA_INVALID;
}

static void sts_take(const struct sts_found *found, const struct route_host *host,
                     struct session_policy *session)
{
    if (!found->any && found->trouble != TLS_RESULT_OK) {
        session->type = TLS_REPORT_STS;
        session->trouble = found->trouble;
        session->why = found->why;
    }
    if (!found->any || found->policy.mode == MTA_STS_NONE)
        return;
    session->type = TLS_REPORT_STS;
    session->lines = sts_lines(found->text);
    session->tested = found->policy.mode == MTA_STS_TESTING;
    if (session->tested && !mta_sts_allows(&found->policy, host->name)) {
        session->trouble = TLS_RESULT_VALIDATION_FAILURE;
        session->why = STR("the MX host is none of the policy's");
    }
}

/* --- Sessions -------------------------------------------------------------------------------- */

static void add(struct job *job, const struct session_policy *policy, enum tls_result result,
                struct str reason, const struct connection *connection)
{
    if (!job->sessions)
        job->sessions = arena_take_array(&job->arena, SESSIONS_MAX, sizeof *job->sessions);
    if (!job->sessions || job->session_count == SESSIONS_MAX)
        return;
    struct msg_tls_session *session = &job->sessions[job->session_count++];
    *session = (struct msg_tls_session){.policy = (uint8_t)policy->type,
                                        .domain = policy->domain,
                                        .lines = policy->lines,
                                        .result = (uint8_t)result};
    if (result == TLS_RESULT_OK)
        return;
    session->mx = job->host;
    session->reason = arena_str(&job->arena, str_head(reason, SESSION_REASON_MAX));
    if (!connection)
        return;
    session->sending = arena_str(&job->arena, str_from(connection->ends.server));
    session->receiving = arena_str(&job->arena, str_from(connection->ends.text));
}

static bool is_counted(const struct job *job, const struct route *route)
{
    return job->conf->sending.tls_reports && route->domain.n > 0 && !require_is_optional(job) &&
           job->order->tls != CONF_ROUTE_TLS_OFF;
}

const struct session_policy *session_policy(struct job *job, const struct route *route,
                                            const struct route_host *host,
                                            const struct tls_policy *policy, bool known)
{
    if (!is_counted(job, route) || (!known && policy->failed == TLS_RESULT_OK))
        return NULL;
    struct session_policy *session = arena_new(&job->arena, struct session_policy);
    if (!session)
        return NULL;
    *session = (struct session_policy){
        .type = TLS_REPORT_NO_POLICY, .domain = route->domain, .lines = STR(""), .why = STR("")};
    if (policy->need == TLS_NEED_DANE || policy->need == TLS_NEED_TLS ||
        policy->failed == TLS_RESULT_DNSSEC_INVALID)
        dane_take(job, host, policy, session);
    else if (job->sts)
        sts_take(job->sts, host, session);
    if (!known)
        add(job, session, policy->failed, job->noted.text, NULL);
    return known ? session : NULL;
}

/* An enforced policy and DANE let nobody into TLS who does not keep it. */
static enum tls_result judge(const struct session_policy *policy, enum tls_result verdict,
                             struct str *words)
{
    if (policy->trouble != TLS_RESULT_OK) {
        *words = policy->why;
        return policy->trouble;
    }
    return policy->tested ? verdict : TLS_RESULT_OK;
}

void session_over(struct job *job, const struct connection *connection, bool in_tls,
                  enum tls_result result, struct str words)
{
    const struct session_policy *policy = job->session_policy;
    if (!policy || !job->courier->tls || job->in_clear ||
        (!in_tls && tls_need(job) > job->policy->need))
        return;
    if (in_tls)
        result = judge(policy, result, &words);
    add(job, policy, result, words, connection);
}
