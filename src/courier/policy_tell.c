/*
 * An operator who asks what would be demanded of a domain's hosts is answered by the very functions
 * that decide it for a job: a job of its own, with no recipients, that connects to nobody.
 */
#include "courier/policy.h"
#include "courier/result.h"
#include "courier/sts.h"

struct question {
    struct fiber_start start;
    struct msg asked;
    struct arena arena; /* of what was asked */
    struct msg order;
    struct job job;
};

static void host_tell(struct job *job, const struct route *route, const struct route_host *host,
                      struct msg_policy_host *to)
{
    struct route_addresses addresses;
    struct tls_policy policy;
    *to = (struct msg_policy_host){
        .host = host->name, .port = host->port, .preference = host->preference};
    job->noted = (struct job_noted){.trouble = JOB_NO_TROUBLE};
    enum route_found found = route_addresses(job, host, ROUTE_ADDRESSES_MAX, &addresses);
    if (found == ROUTE_NO_ADDRESS)
        to->why = STR("it has no address");
    else if (found == ROUTE_UNKNOWN || !policy_find(job, route, host, &addresses, &policy))
        to->why = job->noted.text.n > 0 ? job->noted.text : STR("nobody knows");
    if (found != ROUTE_FOUND || to->why.n > 0)
        return;
    to->need = (uint8_t)policy.need;
    to->records = (uint32_t)policy.tlsa_count;
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

static void answer(struct question *question, struct msg_policy_host *hosts)
{
    struct job *job = &question->job;
    struct route route;
    struct msg msg = {.kind = MSG_policy_told, .policy_told = {.hosts = hosts}};
    struct msg_policy_told *told = &msg.policy_told;
    bool found = route_find(job, &route);
    for (size_t i = 0; found && i < route.count; i++)
        host_tell(job, &route, &route.hosts[i], &hosts[told->hosts_count++]);
    if (!found)
        told->why = job->noted.text.n > 0 ? job->noted.text : STR("there is nowhere to send it to");
    else
        sts_tell(job, &route, told);
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
                                           .sts_policy = ask->sts_policy,
                                           .sts_id = ask->sts_id,
                                           .sts_fetched = ask->sts_fetched,
                                           .sts_until = ask->sts_until}};
    question->start = (struct fiber_start){.run = run, .arg = question};
    fiber_run(courier->fibers, &question->start);
    return err_none();
}
