/*
 * A core that begins learns from its couriers what they have under way. Results may come right
 * behind the names, and wait until all of these were looked up; else they would find no job.
 *
 * A job may be named whose result is durable: core died, or the link ended, before the courier
 * could hear so. Its numbers are those of recipients that the entry had then. The entry says whose
 * result it had last, so that none is taken for others who wait.
 */
#include "core/errand.h"

#include "base/must.h"
#include "conf/conf.h"
#include "core/core.h"
#include "core/governor.h"
#include "core/route.h"

/* May yield. What the route of an entry counted before is read: it counts again now. */
static bool adopted_route(struct core *core, const struct queue_entry *entry, struct arena *arena,
                          struct route_choice *choice)
{
    struct governor_row row;
    route_choose(core, entry, arena, choice);
    if (!choice->block || !route_has_rates(&choice->way.limits))
        return false;
    struct str name = arena_str(arena, choice->block->name);
    choice->block = NULL; /* the configuration may go */
    choice->fixed = name;
    return name.p && !err_is(governor_row(core, name, &row));
}

static void adopted_govern(struct errand *errand, const struct route_choice *choice, bool known)
{
    struct core *core = errand->queue->core;
    if (!known)
        return;
    governor_add(core->governor, choice->fixed, choice->count, errand->given);
    errand_governs(errand, choice->fixed, choice->count);
}

/* A job of an earlier core: its entry is under way. An entry that is gone, or under way elsewhere,
 * or has its result, needs nothing: that will find no job. */
static void errand_adopt(struct request *request, const struct msg_job_name *name,
                         struct arena *arena)
{
    struct queue *queue = request->peer->core->queue;
    struct queue_entry entry;
    struct route_choice choice;
    struct err e = queue_read(queue->core->engine, name->message, name->entry, arena, &entry);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(queue->core->log, "job_not_adopted", e);
    if (err_is(e) || entry.job == name->job || !queue_schedule(queue, &entry))
        return;
    const bool known = adopted_route(queue->core, &entry, arena, &choice);
    struct scheduled *one = schedule_find(&queue->schedule, name->message, name->entry);
    if (!schedule_claim(&queue->schedule, one))
        return;
    struct errand *errand = errand_new(queue, name->job, one);
    if (!errand) {
        schedule_back(&queue->schedule, one, entry.next);
        return;
    }
    errand->dotted = name->dotted;
    errand_learn(errand, &entry);
    adopted_govern(errand, &choice, known);
    errand_attach(errand, request->peer);
}

static bool is_named(const struct msg_jobs *said, uint64_t id)
{
    for (size_t i = 0; i < said->names_count; i++)
        if (said->names[i].job == id)
            return true;
    return false;
}

/* Jobs that an earlier link of this courier had and this one does not name. */
static void unnamed_lose(struct request *request)
{
    struct queue *queue = request->peer->core->queue;
    struct errand *errand = errand_next(queue, NULL), *next;
    for (; errand; errand = next) {
        next = errand_next(queue, errand);
        if (!errand->peer && errand->instance == request->peer->instance &&
            !is_named(&request->msg.jobs, errand->id))
            errand_lost(errand);
    }
}

static void all_adopt(struct request *request)
{
    struct peer *peer = request->peer;
    struct queue *queue = peer->core->queue;
    const struct msg_jobs *said = &request->msg.jobs;
    struct arena arena;
    arena_init_from(&arena, JOB_ARENA, &queue->core->spares);
    for (size_t i = 0; i < said->names_count; i++) {
        struct errand *errand = errand_find(queue, said->names[i].job);
        arena_reset(&arena);
        if (!errand)
            errand_adopt(request, &said->names[i], &arena);
        else if (!errand->peer && !errand->deciding)
            errand_attach(errand, peer);
    }
    arena_done(&arena);
}

void serve_jobs(struct request *request)
{
    struct peer *peer = request->peer;
    struct queue *queue = peer->core->queue;
    peer->adopts = true;
    all_adopt(request);
    peer->adopts = false;
    while (queue_turn_over(&queue->early))
        ;
    if (peer->gone || peer->takes_jobs)
        return;
    unnamed_lose(request);
    peer->takes_jobs = true;
    queue->couriers++;
    queue_turn(queue);
}
