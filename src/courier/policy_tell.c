/*
 * An operator who asks what would be demanded of a domain's hosts is answered by the very functions
 * that decide it for a job: a job of its own, with a recipient who is nobody, that connects to
 * nobody.
 */
#include "courier/connection.h"
#include "courier/policy.h"
#include "courier/require.h"
#include "courier/result.h"
#include "courier/sts.h"
#include "courier/tls.h"

enum {
    HOST_ADDRESSES = 1024, /* octets of a host's addresses, as they are told */
};

struct question {
    struct fiber_start start;
    struct msg asked;
    struct arena arena; /* of what was asked */
    struct msg order;
    struct msg_job_recipient nobody; /* who hears what would come back */
    struct msg_job_result result;
    struct job job;
};

/* False: none of them would be called. */
static bool addresses_tell(struct job *job, const struct route_host *host,
                           const struct route_addresses *addresses, struct msg_policy_host *to)
{
    struct buf lines = buf_in(&job->arena, HOST_ADDRESSES);
    bool any = false;
    for (size_t i = 0; i < addresses->count; i++) {
        struct str why = connection_forbids(job, host, addresses->list[i]);
        buf_put(&lines, addresses->list[i]);
        buf_put(&lines, why.n > 0 ? STR(" ") : STR(""));
        buf_put(&lines, why);
        buf_putc(&lines, '\n');
        any = any || why.n == 0;
    }
    to->addresses = buf_built(&lines);
    return any;
}

/* What its policy, its route and the message ask for together. */
static void needs_tell(struct job *job, const struct tls_policy *policy, struct msg_policy_host *to)
{
    if (job->order->tls == CONF_ROUTE_TLS_OFF && require_tls(job)) {
        to->why = STR("TLS is required (REQUIRETLS), and its route is without");
        require_miss(job, REQUIRE_NO_TLS, to->why);
        return;
    }
    job->policy = policy;
    to->published = (uint8_t)policy->need;
    to->need = (uint8_t)tls_need(job);
    to->records = (uint32_t)policy->tlsa_count;
    job->policy = NULL;
}

static void host_look(struct job *job, const struct route *route, const struct route_host *host,
                      struct msg_policy_host *to)
{
    struct route_addresses addresses;
    struct tls_policy policy;
    enum route_found found = route_addresses(job, host, ROUTE_ADDRESSES_MAX, &addresses);
    if (found == ROUTE_NO_ADDRESS) {
        to->why = STR("it has no address");
        require_end(job, true);
        return;
    }
    bool any = found == ROUTE_FOUND && addresses_tell(job, host, &addresses, to);
    if (found == ROUTE_FOUND && policy_find(job, route, host, &addresses, &policy))
        needs_tell(job, &policy, to);
    else
        to->why = job->noted.text.n > 0 ? job->noted.text : STR("nobody knows");
    if (to->why.n == 0 && !any)
        to->why = STR("mail is sent to none of its addresses");
    require_end(job, false);
}

static void host_tell(struct job *job, const struct route *route, const struct route_host *host,
                      struct msg_policy_host *to)
{
    *to = (struct msg_policy_host){
        .host = host->name, .port = host->port, .preference = host->preference};
    job->noted = (struct job_noted){.trouble = JOB_NO_TROUBLE};
    require_begin(job, host);
    host_look(job, route, host, to);
}

static void sts_tell(struct job *job, const struct route *route, struct msg_policy_told *told)
{
    if (route->domain.n == 0 || !job->conf->sending.mta_sts)
        return;
    const struct sts_found *found = policy_sts(job, route->domain);
    if (!found)
        return;
    told->sts_why = found->why;
    if (!found->any)
        return;
    told->sts_policy = found->text;
    told->sts_id = found->id;
    told->sts_until = (uint64_t)found->until;
}

static void nowhere_tell(const struct question *question, struct msg_policy_told *told)
{
    const struct job_noted *noted = &question->job.noted;
    told->refused = question->result.verdict == JOB_FAILED;
    told->status = told->refused ? question->result.status : STR("");
    told->why = told->refused       ? question->result.text
                : noted->text.n > 0 ? noted->text
                                    : STR("there is nowhere to send it to");
}

static void answer(struct question *question, struct msg_policy_host *hosts)
{
    struct job *job = &question->job;
    struct route route;
    struct msg msg = {.kind = MSG_policy_told, .policy_told = {.hosts = hosts}};
    struct msg_policy_told *told = &msg.policy_told;
    bool found = route_find(job, &route);
    for (size_t i = 0; found && i < route.count; i++)
        host_tell(job, &route, &route.hosts[i], &hosts[told->hosts_count++]);
    if (found)
        sts_tell(job, &route, told);
    if (!found || require_decides(job))
        nowhere_tell(question, told);
    msg_set_call(&msg, question->asked.policy_ask.call);
    (void)courier_tell(job->courier, &msg); /* else nobody waits for it */
}

static void question_free(struct question *question)
{
    struct courier *courier = question->job.courier;
    conf_let_go(question->job.conf);
    arena_done(&question->job.arena);
    arena_done(&question->arena);
    free(question);
    courier->questions--;
    if (courier->stopping && !courier_is_busy(courier))
        wait_over(courier->stopping);
}

static void run(void *arg)
{
    struct question *question = arg;
    struct msg_policy_host *hosts =
        arena_take_array(&question->job.arena, ROUTE_HOSTS_MAX, sizeof *hosts);
    if (hosts)
        answer(question, hosts);
    question_free(question);
}

struct err policy_tell(struct courier *courier, const struct msg *asked)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return err_make(ERR_NO_MEMORY);
    courier->questions++;
    question->job = (struct job){.magic = JOB_MAGIC,
                                 .courier = courier,
                                 .conf = conf_hold(courier->conf),
                                 .order = &question->order.job,
                                 .results = &question->result,
                                 .fresh = asked->policy_ask.fresh};
    arena_init(&question->arena, JOB_ARENA);
    arena_init(&question->job.arena, JOB_ARENA);
    if (err_is(msg_copy(asked, &question->arena, &question->asked))) {
        question_free(question);
        return err_make(ERR_NO_MEMORY);
    }
    const struct msg_policy_ask *ask = &question->asked.policy_ask;
    question->order = (struct msg){.kind = MSG_job,
                                   .job = {.domain = ask->domain,
                                           .route = ask->route,
                                           .via = ask->via,
                                           .shuffle = ask->shuffle,
                                           .lmtp = ask->lmtp,
                                           .tls = ask->tls,
                                           .source = ask->source,
                                           .asked = ask->asked,
                                           .recipients = &question->nobody,
                                           .recipients_count = 1,
                                           .sts_policy = ask->sts_policy,
                                           .sts_id = ask->sts_id,
                                           .sts_fetched = ask->sts_fetched,
                                           .sts_until = ask->sts_until}};
    require_read(&question->job);
    question->start = (struct fiber_start){.run = run, .arg = question};
    fiber_run(courier->fibers, &question->start);
    return err_none();
}
