/*
 * The conversation with core. There is one link; when it breaks, the slabs are void, and what jobs
 * want of core waits for the next one. Whoever it is, it is told first what is under way here: it
 * gives out nothing before it knows.
 */
#include <errno.h>

#include "courier/collected.h"
#include "courier/job.h"
#include "courier/look.h"
#include "courier/policy.h"
#include "courier/post.h"
#include "courier/sts.h"
#include "courier/token.h"

struct core_waiter {
    TAILQ_ENTRY(core_waiter) link;
    struct courier *courier;
    struct wait wait;
    struct timer timer;
    bool up;
};

static void waiter_over(struct core_waiter *waiter, bool up)
{
    TAILQ_REMOVE(&waiter->courier->waiters, waiter, link);
    timer_clear(waiter->courier->loop, &waiter->timer);
    waiter->up = up;
    wait_over(&waiter->wait);
}

static void waited_enough(struct timer *timer)
{
    waiter_over(timer->arg, false);
}

struct err courier_core_wait(struct courier *courier, int64_t deadline)
{
    if (courier->core_up)
        return err_none();
    struct core_waiter waiter = {.courier = courier};
    waiter.timer = (struct timer){.run = waited_enough, .arg = &waiter};
    TAILQ_INSERT_TAIL(&courier->waiters, &waiter, link);
    timer_set(courier->loop, &waiter.timer, deadline);
    wait_for(&waiter.wait);
    return waiter.up && courier->core_up ? err_none() : err_make(ERR_BUS_BROKEN);
}

static void welcomed(struct courier *courier, const struct msg_welcome *welcome, int passed)
{
    struct err e = err_detail(ERR_BUS_BROKEN, STR("no usable slab pool"));
    struct slabs *slabs =
        passed >= 0 ? slabs_open(courier->world, courier->loop, passed, welcome->slabs) : NULL;
    if (!slabs || courier->core_up) {
        log_err(courier->log, "core", e);
        if (slabs)
            slabs_retire(slabs);
        link_cut(courier->core, e);
        return;
    }
    courier->slabs = slabs;
    courier->core_up = true;
    log_event(courier->log, LOG_INFO, "core_up", log_u64("slabs", welcome->slabs),
              log_u64("jobs", courier->job_count));
    while (!TAILQ_EMPTY(&courier->waiters))
        waiter_over(TAILQ_FIRST(&courier->waiters), true);
}

static void recorded(struct courier *courier, uint64_t number)
{
    struct job *job = job_find(courier, number);
    if (job && job->state == JOB_OVER)
        job_recorded(job);
}

static void dropped(struct courier *courier, uint64_t number)
{
    struct job *job = job_find(courier, number);
    if (job)
        job->dropped = true;
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct courier *courier = link->arg;
    must_be(courier, COURIER_MAGIC);
    struct err e = err_none();
    if (msg->kind == MSG_welcome)
        welcomed(courier, &msg->welcome, passed);
    else if (msg->kind == MSG_collection)
        collected_begin(courier, &msg->collection, passed);
    else if (passed >= 0)
        courier->world->ops->close(courier->world, passed);
    else if (msg->kind == MSG_job)
        e = job_begin(courier, msg);
    else if (msg->kind == MSG_job_recorded)
        recorded(courier, msg->job_recorded.job);
    else if (msg->kind == MSG_job_drop)
        dropped(courier, msg->job_drop.job);
    else if (msg->kind == MSG_collection_over)
        collected_over(courier, msg->collection_over.collection);
    else if (msg->kind == MSG_sts_forget)
        sts_forget(courier->sts, msg->sts_forget.domain);
    else if (msg->kind == MSG_policy_ask)
        e = policy_tell(courier, msg);
    else if (msg->kind == MSG_token_ask)
        e = token_get(courier, msg);
    else if (msg->kind == MSG_look)
        e = look_begin(courier, msg);
    else if (msg->kind == MSG_sts_look)
        e = look_sts_begin(courier, msg);
    else if (msg->kind == MSG_post)
        e = post_begin(courier, msg);
    if (err_is(e))
        link_cut(link, e);
}

static void core_gone(struct courier *courier)
{
    courier->core_up = false;
    collected_end(courier); /* the next one knows nothing of them */
    if (courier->slabs)
        slabs_retire(courier->slabs);
    courier->slabs = NULL;
}

static void ended(struct link *link, struct err why)
{
    struct courier *courier = link->arg;
    must_be(courier, COURIER_MAGIC);
    /* Whatever the reason: core's own log has it, and the parent starts it again. */
    log_event(courier->log, LOG_WARN, "core_gone",
              log_str("error", str_from(err_row(why.code)->name)),
              log_u64("jobs", courier->job_count));
    if (courier->core != link)
        return;
    courier->core = NULL;
    core_gone(courier);
    link_done(link);
    free(link);
    if (courier->core_lost)
        courier->core_lost(courier);
}

static void drained(struct link *link)
{
    struct courier *courier = link->arg;
    must_be(courier, COURIER_MAGIC);
    jobs_tell_rest(courier);
}

static const struct link_owner owner = {.got = got, .ended = ended, .drained = drained};

void courier_core_detach(struct courier *courier)
{
    if (!courier->core)
        return;
    struct link *link = courier->core;
    courier->core = NULL;
    core_gone(courier);
    link_done(link);
    free(link);
}

struct err courier_core_attach(struct courier *courier, int handle)
{
    courier_core_detach(courier);
    struct link *link = calloc(1, sizeof *link);
    int failed =
        link ? link_init(link, courier->loop, handle, ROLE_COURIER, ROLE_CORE, &owner, courier)
             : -ENOMEM;
    if (failed < 0) {
        courier->world->ops->close(courier->world, handle);
        free(link);
        return err_os(-failed, STR("link to core"));
    }
    courier->core = link;
    struct msg msg = {.kind = MSG_hello, .hello = {.instance = courier->instance}};
    struct err e = link_send(link, &msg);
    if (!err_is(e))
        e = jobs_tell(courier);
    if (err_is(e)) /* it must not give out what is under way */
        link_cut(link, e);
    return e;
}

bool courier_tell(struct courier *courier, const struct msg *msg)
{
    return courier->core && !courier->core->over && !err_is(link_send(courier->core, msg));
}
