/*
 * What couriers have. A job belongs to an instance of the courier, not to its link: where only the
 * link ended, the courier comes back with its jobs (`jobs`), and what it does not name has died
 * with it. So a broken link sends nothing twice.
 */
#include "core/errand.h"

#include "base/must.h"
#include "core/collect.h"
#include "core/core.h"
#include "core/governor.h"
#include "core/route.h"
#include "core/tls_counts.h"
#include "core/tokens.h"

#define RECORD_AGAIN (5 * NS_PER_SECOND)

enum {
    LOG_IN_REFUSED = 535, /* RFC 4954 6 */
};

static int errand_order(const struct errand *a, const struct errand *b)
{
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(errand_tree, errand, link, errand_order, __attribute__((unused)) static)

struct errand *errand_find(struct queue *queue, uint64_t id)
{
    struct errand like = {.id = id};
    return RB_FIND(errand_tree, &queue->jobs, &like);
}

struct errand *errand_next(struct queue *queue, struct errand *before)
{
    return before ? RB_NEXT(errand_tree, &queue->jobs, before) : RB_MIN(errand_tree, &queue->jobs);
}

void errand_attach(struct errand *errand, struct peer *peer)
{
    errand->peer = peer;
    errand->instance = peer->instance;
    errand->seeks = errand->one->standing != DESTINATION_PROVEN;
    peer->jobs++;
    peer->seekers += errand->seeks;
    timer_clear(errand->queue->core->loop, &errand->timer);
}

void errand_detach(struct errand *errand)
{
    if (!errand->peer)
        return;
    must(errand->peer->jobs > 0 && errand->peer->seekers >= errand->seeks);
    errand->peer->jobs--;
    errand->peer->seekers -= errand->seeks;
    errand->peer = NULL;
}

static void errand_free(struct errand *errand)
{
    errand->magic = 0;
    free(errand->front);
    free(errand);
}

void errand_release(struct errand *errand)
{
    must_be(errand, ERRAND_MAGIC);
    if (--errand->holds == 0)
        errand_free(errand);
}

void errand_end(struct errand *errand)
{
    struct queue *queue = errand->queue;
    must(!errand->over);
    errand->over = true;
    errand_detach(errand);
    timer_clear(queue->core->loop, &errand->timer);
    RB_REMOVE(errand_tree, &queue->jobs, errand);
    errand_release(errand);
}

void errands_free(struct queue *queue)
{
    struct errand *errand;
    while ((errand = RB_ROOT(&queue->jobs)))
        errand_end(errand);
}

struct errand *errand_new(struct queue *queue, uint64_t id, struct scheduled *one)
{
    struct errand *errand = calloc(1, sizeof(*errand));
    if (!errand)
        return NULL;
    *errand = (struct errand){.magic = ERRAND_MAGIC,
                              .queue = queue,
                              .id = id,
                              .one = one,
                              .holds = 1,
                              .given = world_wall(queue->core->world)};
    RB_INSERT(errand_tree, &queue->jobs, errand);
    return errand;
}

void errand_learn(struct errand *errand, const struct queue_entry *entry)
{
    errand->blob = entry->blob;
    errand->total = entry->size;
    errand->has_fields = entry->fields.n > 0;
}

/* --- Ends before its courier heard of it --- */

void errand_take_back(struct errand *errand, int64_t next)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    errand_end(errand);
    schedule_back(&queue->schedule, one, next);
    queue_turn(queue);
}

/* --- Recording --- */

bool errand_record(struct errand *errand, const struct outcome *outcome)
{
    struct queue *queue = errand->queue;
    struct core *core = queue->core;
    struct wait marked = {.done = !errand->marking};
    errand->marked = &marked;
    wait_for(&marked);
    errand->marked = NULL;
    struct err e = outcome_record(queue, errand->one, outcome);
    while (err_is(e) && !queue->closing) {
        log_err(core->log, "outcome_not_recorded", e);
        fiber_sleep_until(core->loop, core->loop->now + RECORD_AGAIN);
        e = outcome_record(queue, errand->one, outcome);
    }
    return !err_is(e);
}

/* --- Limits --- */

struct str errand_governed(const struct errand *errand)
{
    return str_make(errand->governed, errand->governed_length);
}

void errand_governs(struct errand *errand, struct str route, size_t recipients)
{
    must(route.n <= sizeof(errand->governed));
    memcpy(errand->governed, route.p, route.n);
    errand->governed_length = (uint8_t)route.n;
    errand->governed_recipients = recipients;
}

void errand_governs_back(struct errand *errand)
{
    struct core *core = errand->queue->core;
    if (errand->governed_length > 0)
        governor_take_back(core->governor, errand_governed(errand), errand->governed_recipients,
                           errand->given);
}

static bool reached_nobody(uint8_t trouble)
{
    return trouble == JOB_TROUBLE_DNS || trouble == JOB_TROUBLE_CONNECT ||
           trouble == JOB_TROUBLE_GREETING || trouble == JOB_TROUBLE_TLS ||
           trouble == JOB_TROUBLE_LOGIN;
}

/* --- Log-ins --- */

static bool is_refused(const struct msg_job_over *said)
{
    return said->trouble == JOB_TROUBLE_LOGIN && said->results_count > 0 &&
           said->results[0].code == LOG_IN_REFUSED;
}

bool errand_log_in_judge(struct errand *errand, const struct msg_job_over *said)
{
    struct core *core = errand->queue->core;
    struct str name = destination_name(errand->one->destination);
    if (!str_starts(name, STR("@")))
        return false;
    name = str_from_index(name, 1); /* "@NAME": who logs in goes to hosts that are named */
    if (!said->trouble && errand->token_turn > 0)
        tokens_accept(core, name, errand->token_turn);
    if (!is_refused(said))
        return false;
    if (errand->token_turn > 0 && tokens_refuse(core, name, errand->token_turn))
        return true;
    route_log_in_refused(core, name, said->results[0].text);
    return false;
}

/* --- Ends of links --- */

/* Its courier has died with it, as far as anybody can tell. */
static void lost_run(void *arg)
{
    struct errand *errand = arg;
    struct queue *queue = errand->queue;
    const struct outcome outcome = {.dotted = errand->dotted,
                                    .given = errand->given,
                                    .governed = errand_governed(errand),
                                    .quietly = !errand->dotted && !errand->one->died};
    errand->one->died = true;
    if (!errand->dotted)
        errand_governs_back(errand);
    (void)errand_record(errand, &outcome);
    errand_end(errand);
    queue_turn(queue);
    queue_fiber_end(queue);
}

void errand_lost(struct errand *errand)
{
    struct queue *queue = errand->queue;
    if (errand->begins || errand->deciding || queue->closing)
        return;
    errand->deciding = true;
    errand_detach(errand);
    timer_clear(queue->core->loop, &errand->timer);
    queue_fiber_begin(queue);
    errand->start = (struct fiber_start){.run = lost_run, .arg = errand};
    fiber_run(queue->core->fibers, &errand->start);
}

static void orphan_due(struct timer *timer)
{
    errand_lost(timer->arg);
}

void queue_peer_gone(struct peer *peer)
{
    struct queue *queue = peer->core->queue;
    struct loop *loop = peer->core->loop;
    struct errand *errand;
    if (peer->role != ROLE_COURIER || !queue)
        return;
    if (peer->takes_jobs)
        queue->couriers--;
    peer->takes_jobs = false;
    collections_peer_gone(peer);
    RB_FOREACH (errand, errand_tree, &queue->jobs) {
        if (errand->peer != peer)
            continue;
        errand_detach(errand);
        timer_clear(loop, &errand->timer);
        errand->timer = (struct timer){.run = orphan_due, .arg = errand};
        timer_set(loop, &errand->timer, loop->now + QUEUE_ORPHANED);
    }
    queue_turn(queue);
}

/* --- Dots --- */

struct errand *errand_of(struct request *request, uint64_t id)
{
    while (request->peer->adopts)
        queue_turn_wait(&request->peer->core->queue->early);
    struct errand *errand = errand_find(request->peer->core->queue, id);
    return errand && errand->peer == request->peer && !errand->deciding ? errand : NULL;
}

static void mark_run(void *arg)
{
    struct errand *errand = arg;
    struct queue *queue = errand->queue;
    struct err e = outcome_mark(queue, errand->one);
    if (err_is(e))
        log_err(queue->core->log, "dot_not_marked", e);
    errand->marking = false;
    if (errand->marked)
        wait_over(errand->marked);
    errand_release(errand);
    queue_fiber_end(queue);
}

static void dot_due(struct timer *timer)
{
    struct errand *errand = timer->arg;
    if (errand->deciding || errand->marking || errand->queue->closing)
        return;
    errand->marking = true;
    errand->holds++;
    queue_fiber_begin(errand->queue);
    errand->mark_start = (struct fiber_start){.run = mark_run, .arg = errand};
    fiber_run(errand->queue->core->fibers, &errand->mark_start);
}

void serve_job_dot(struct request *request)
{
    struct errand *errand = errand_of(request, request->msg.job_dot.job);
    struct loop *loop = request->peer->core->loop;
    if (!errand)
        return;
    errand->dotted = true;
    timer_clear(loop, &errand->timer);
    errand->timer = (struct timer){.run = dot_due, .arg = errand};
    timer_set(loop, &errand->timer, loop->now + QUEUE_DOT_WAIT);
}

/* --- Drops --- */

static struct errand *errand_for(struct queue *queue, const struct scheduled *one)
{
    struct errand *errand;
    RB_FOREACH (errand, errand_tree, &queue->jobs)
        if (errand->one == one)
            return errand;
    return NULL;
}

void errand_drop(struct queue *queue, const struct scheduled *one)
{
    struct errand *errand = errand_for(queue, one);
    if (!errand || errand->dropped || errand->deciding)
        return;
    errand->dropped = true;
    if (!errand->peer || errand->peer->gone || errand->begins)
        return;
    const struct msg msg = {.kind = MSG_job_drop, .job_drop = {.job = errand->id}};
    struct err e = link_send(&errand->peer->link, &msg);
    if (err_is(e))
        peer_cut(errand->peer, e);
}

/* --- Ends --- */

static bool results_possible(const struct msg_job_over *said)
{
    for (size_t i = 0; i < said->results_count; i++)
        if (said->results[i].verdict >= JOB_VERDICTS)
            return false;
    return said->trouble < JOB_TROUBLES;
}

/* As of a job that was dropped in time. */
static bool nothing_tried(const struct msg_job_over *said)
{
    for (size_t i = 0; i < said->results_count; i++)
        if (said->results[i].verdict != JOB_NOT_TRIED)
            return false;
    return !said->trouble && !said->dotted;
}

static void recorded_tell(struct peer *peer, uint64_t job)
{
    const struct msg msg = {.kind = MSG_job_recorded, .job_recorded = {.job = job}};
    if (peer->gone)
        return;
    struct err e = link_send(&peer->link, &msg);
    if (err_is(e))
        peer_cut(peer, e);
}

void serve_job_over(struct request *request)
{
    const struct msg_job_over *said = &request->msg.job_over;
    struct peer *peer = request->peer;
    struct queue *queue = peer->core->queue;
    if (!results_possible(said)) {
        peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("a result that there is not")));
        return;
    }
    struct errand *errand = errand_of(request, said->job);
    bool recorded = true; /* of a job that there is not there is nothing to record */
    if (errand) {
        bool again = errand_log_in_judge(errand, said);
        bool wanted = !errand->dropped && !errand->collection;
        const struct outcome outcome = {.job = said->job,
                                        .quietly = again || (!wanted && nothing_tried(said)),
                                        .trouble = again ? JOB_NO_TROUBLE : said->trouble,
                                        .given = errand->given,
                                        .governed = errand_governed(errand),
                                        .dotted = said->dotted,
                                        .reports = said->reports,
                                        .host = said->host,
                                        .facts = said->facts,
                                        .results = said->results,
                                        .result_count = again ? 0 : said->results_count};
        errand->deciding = true;
        errand->holds++;
        if (nothing_tried(said)) /* its connection is none any more */
            collection_end(queue, errand->collection, true);
        if (reached_nobody(said->trouble))
            errand_governs_back(errand);
        tls_counts_take(peer->core, queue_domain(errand->one->destination), said->sessions,
                        said->sessions_count);
        queue_fiber_begin(queue);
        recorded = errand_record(errand, &outcome);
        errand_end(errand);
        errand_release(errand);
        queue_turn(queue);
        queue_fiber_end(queue);
    }
    if (recorded)
        recorded_tell(peer, said->job);
}
