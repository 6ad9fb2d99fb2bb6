/*
 * From an order to its results: the connection that is there, or the hosts one after the other.
 *
 * A host that answered about the message speaks for the destination, also with 4yz: a grey list
 * wants time, not another door. One that went away before does not: the next host is tried for
 * those it had not decided about.
 */
#include "courier/collected.h"
#include "courier/job.h"
#include "courier/policy.h"
#include "courier/require.h"
#include "courier/rest.h"
#include "courier/result.h"
#include "courier/sessions.h"
#include "courier/transaction.h"

/* False: its connection was lost, and who is undecided is for the next one. */
static bool sent_by(struct job *job, struct connection *connection)
{
    enum transaction_end end = transaction_run(job, connection);
    place_give(job);
    if (end == TRANSACTION_OVER)
        rest_put(connection);
    else if (end == TRANSACTION_LAST || end == TRANSACTION_MISSED)
        connection_leave(connection);
    else
        connection_cut(connection);
    return end == TRANSACTION_OVER || end == TRANSACTION_LAST || results_open(job) == 0 ||
           job->given_up;
}

/* One that rested. False: there was none, or it had gone meanwhile and said nothing. */
static bool sent_by_rested(struct job *job)
{
    struct connection *connection = rest_take(job);
    if (!connection)
        return false;
    job_moves(job, JOB_CONNECTING); /* J1 -> J2 */
    place_keep(job);
    job_meets(job, str_from(connection->host));
    job_meets_at(job, connection);
    return sent_by(job, connection);
}

/* A courier that stops begins nothing. */
static bool may_call(struct job *job)
{
    job->dropped |= !job->dropped && !place_take(job);
    return !job->dropped;
}

/* The addresses one after the other, until one has dealt with the job. */
static bool sent_to_addresses(struct job *job, const struct route_host *host,
                              struct route_addresses *addresses, size_t *left, bool *ours_r)
{
    while (addresses->count > 0 && !*ours_r && !require_missed(job) && may_call(job)) {
        size_t before = addresses->count;
        struct connection *connection = connection_open(job, host, addresses, ours_r);
        *left -= before - addresses->count;
        if (connection && sent_by(job, connection))
            return true;
        place_give(job);
    }
    return false;
}

/* Where nobody knows what the host has to prove it is not called. */
static bool sent_to_host(struct job *job, const struct route *route, const struct route_host *host,
                         size_t *left, bool *ours_r)
{
    struct route_addresses addresses;
    struct tls_policy policy;
    int64_t since = job->courier->loop->now;
    job_meets(job, host->name);
    require_begin(job, host);
    job->in_clear = false;
    enum route_found found = route_addresses(job, host, *left, &addresses);
    bool known = found == ROUTE_FOUND && policy_find(job, route, host, &addresses, &policy);
    job_spends(job, PHASE_DNS, since);
    job->nowhere += found == ROUTE_NO_ADDRESS;
    if (found == ROUTE_NO_ADDRESS)
        job_note(job, JOB_TROUBLE_DNS, NULL, STR("it has no address in the DNS"));
    job->somewhere += found != ROUTE_NO_ADDRESS;
    const struct session_policy *counted =
        found == ROUTE_FOUND ? session_policy(job, route, host, &policy, known) : NULL;
    if (!known)
        return false;
    job->policy = &policy;
    job->session_policy = counted;
    bool sent = sent_to_addresses(job, host, &addresses, left, ours_r);
    job->policy = NULL;
    job->session_policy = NULL;
    return sent;
}

/* No host had a word for them. */
static void rest_decide(struct job *job, bool ours)
{
    if (job->dropped || job->given_up || require_decides(job))
        return;
    if (job->order->via.n > 0) {
        /* An operator's mistake, which he can mend: nobody's mail goes back for it. */
        job_noted_to_all(job);
        return;
    }
    if (ours && job->unforbidden == 0)
        results_say(job, JOB_FAILED, "5.4.6",
                    STR("the way to this domain leads back to this server"));
    else if (job->somewhere == 0 && job->nowhere > 0)
        results_say(job, JOB_FAILED, "5.4.4", STR("no mail host of this domain has an address"));
    else if (job->forbidden > 0 && job->unforbidden == 0)
        results_say(job, JOB_FAILED, "5.4.6", job->noted.text);
    job_noted_to_all(job);
}

/* Hosts that were missed do not count: each of the domain's is to be asked (RFC 8689 4.2.1). */
static bool sent_to_one_of(struct job *job, const struct route *route, bool *ours_r)
{
    size_t left = ROUTE_ADDRESSES_MAX;
    for (size_t i = 0; i < route->count && left > 0 && !*ours_r && !job->dropped; i++) {
        size_t before = left;
        unsigned nowhere = job->nowhere;
        if (sent_to_host(job, route, &route->hosts[i], &left, ours_r))
            return true;
        job_moves(job, JOB_CONNECTING); /* J3 -> J2: the next host */
        require_end(job, job->nowhere > nowhere);
        if (require_missed(job))
            left = before;
    }
    return false;
}

static void sent_to_hosts(struct job *job, const struct route *route)
{
    bool ours = false;
    job_moves(job, JOB_CONNECTING); /* J1 -> J2 */
    bool sent = sent_to_one_of(job, route, &ours);
    if (!sent && require_relaxes(job))
        sent = sent_to_one_of(job, route, &ours);
    if (!sent)
        rest_decide(job, ours);
}

void job_send(struct job *job)
{
    struct route route;
    if (job->order->collection) {
        collected_send(job);
        return;
    }
    if (sent_by_rested(job))
        return;
    job->state = JOB_ROUTING; /* J2, J3 -> J1: a connection that was gone is none */
    int64_t since = job->courier->loop->now;
    bool found = route_find(job, &route);
    job_spends(job, PHASE_DNS, since);
    if (found)
        sent_to_hosts(job, &route);
    else if (results_open(job) > 0)
        job_noted_to_all(job);
}
