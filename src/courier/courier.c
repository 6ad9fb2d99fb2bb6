/*
 * Opening, stopping, closing. At the end a courier begins nothing new and lets run what it has: a
 * job without a result would be done again, and behind the dot perhaps twice.
 */
#include "courier/courier.h"

#include "courier/collected.h"
#include "courier/job.h"
#include "courier/log_ins.h"
#include "courier/manners.h"
#include "courier/places.h"
#include "courier/rest.h"
#include "courier/sts.h"

struct err courier_open(struct courier *courier, struct loop *loop, struct fiber_pool *fibers,
                        struct log *log, uint32_t instance, const struct conf *conf)
{
    *courier = (struct courier){.magic = COURIER_MAGIC,
                                .world = loop->world,
                                .loop = loop,
                                .log = log,
                                .fibers = fibers,
                                .instance = instance,
                                .conf = conf_hold(conf)};
    RB_INIT(&courier->jobs);
    TAILQ_INIT(&courier->waiters);
    TAILQ_INIT(&courier->resting);
    TAILQ_INIT(&courier->leaving);
    TAILQ_INIT(&courier->collected);
    places_init(courier);
    dns_client_init(&courier->dns, loop, ROLE_COURIER, NULL, NULL);
    courier->streams = stream_pool_open(loop, COURIER_READ_BUFFERS);
    courier->sts = sts_open();
    courier->manners = manners_open();
    return err_make(courier->streams && courier->sts && courier->manners ? ERR_NONE
                                                                         : ERR_NO_MEMORY);
}

void courier_configure(struct courier *courier, const struct conf *conf)
{
    const struct conf *before = courier->conf;
    courier->conf = conf_hold(conf);
    conf_let_go(before);
}

static void waited_enough(struct timer *timer)
{
    wait_over(timer->arg);
}

static void wait_for_jobs(struct courier *courier, int64_t until)
{
    struct wait wait = {.fiber = NULL};
    struct timer late = {.run = waited_enough, .arg = &wait};
    courier->stopping = &wait;
    timer_set(courier->loop, &late, until);
    wait_for(&wait);
    courier->stopping = NULL;
    timer_clear(courier->loop, &late);
}

/* A try that is cut in front of its dot costs nobody anything; behind it, perhaps a second copy. */
bool courier_stop(struct courier *courier)
{
    int64_t begun = courier->loop->now;
    courier->stops = true;
    rest_end(courier);
    places_end(courier);
    collected_end(courier);
    if (courier_is_busy(courier))
        wait_for_jobs(courier, begun + COURIER_STOP_SOON);
    if (jobs_are_past_the_dot(courier))
        wait_for_jobs(courier, begun + COURIER_STOP_WAIT);
    if (courier->job_count > 0)
        log_event(courier->log, LOG_WARN, "stop_unfinished", log_u64("jobs", courier->job_count));
    return !courier_is_busy(courier);
}

void courier_close(struct courier *courier)
{
    must_be(courier, COURIER_MAGIC);
    must(!courier_is_busy(courier));
    courier_core_detach(courier);
    dns_client_done(&courier->dns);
    must(TAILQ_EMPTY(&courier->waiters) && TAILQ_EMPTY(&courier->resting));
    while (!TAILQ_EMPTY(&courier->leaving))
        connection_cut(TAILQ_FIRST(&courier->leaving));
    log_ins_free(courier->log_ins);
    stream_pool_close(courier->streams);
    sts_close(courier->sts);
    manners_close(courier->manners);
    tls_client_release(courier->tls);
    conf_let_go(courier->conf);
    courier->magic = 0;
}
