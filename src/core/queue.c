/*
 * Why the couriers are asked first: a core that dies leaves jobs under way behind, and only their
 * couriers know of them. Whatever they have not finished they bring along; what no courier names is
 * nobody's, and goes again.
 */
#include "core/queue.h"

#include "base/must.h"
#include "conf/conf.h"
#include "core/collect.h"
#include "core/core.h"
#include "core/governor.h"
#include "core/route.h"

enum {
    DUE_SLICE = 1000, /* entries that come due in one turn */
    ROUSE_SLICE = 1000,
    SEEKERS_FOR_EACH = 3, /* connections: jobs for destinations that have not answered */
};

#define WRITE_AGAIN NS_PER_MS

/* --- Fibers of its own --- */

void queue_fiber_begin(struct queue *queue)
{
    queue->running++;
}

void queue_fiber_end(struct queue *queue)
{
    must(queue->running > 0);
    if (--queue->running == 0 && queue->idle)
        wait_over(queue->idle);
}

void queue_turn_wait(struct queue_turns *turns)
{
    struct queue_turn turn = {.wait = {.done = false}};
    TAILQ_INSERT_TAIL(turns, &turn, link);
    wait_for(&turn.wait);
}

bool queue_turn_over(struct queue_turns *turns)
{
    struct queue_turn *first = TAILQ_FIRST(turns);
    if (!first)
        return false;
    TAILQ_REMOVE(turns, first, link);
    wait_over(&first->wait);
    return true;
}

/* --- Who takes jobs --- */

static bool takes_jobs(const struct peer *peer)
{
    return peer->role == ROLE_COURIER && peer->takes_jobs && !peer->gone;
}

/* Who looks for a host has no connection, but a question of the DNS: the resolver keeps half of
 * those that it takes from one role for the others. */
static struct schedule_places places(const struct queue *queue)
{
    const struct conf *conf = queue->core->conf;
    size_t connections = queue->couriers * conf->sending.connections;
    size_t least = connections - connections / 4, most = SEEKERS_FOR_EACH * connections;
    size_t questions = conf->dns.questions * 3 / 8;
    size_t seekers = questions < most ? questions : most;
    return (struct schedule_places){.proven = connections,
                                    .unproven = seekers > least ? seekers : least};
}

/* Of this kind: those that look for a host, or the others. */
static size_t jobs_of(const struct peer *peer, bool seeks)
{
    return seeks ? peer->seekers : peer->jobs - peer->seekers;
}

/* Entries of one destination go to one courier, which has its connections, while that has a place;
 * else to the one that has most. */
static struct peer *courier_for(struct queue *queue, const struct scheduled *one)
{
    const struct schedule_places all = places(queue);
    bool seeks = one->standing != DESTINATION_PROVEN;
    size_t most = ((seeks ? all.unproven : all.proven) + queue->couriers - 1) / queue->couriers;
    size_t best_jobs = most;
    uint32_t wanted = hash_of(destination_name(one->destination)) % (uint32_t)queue->couriers;
    struct peer *peer, *best = NULL;
    LIST_FOREACH (peer, &queue->core->peers, link_in_core) {
        if (!takes_jobs(peer) || peer->jobs >= COURIER_JOBS_GIVEN)
            continue;
        size_t jobs = jobs_of(peer, seeks);
        if (peer->instance == wanted && jobs < most)
            return peer;
        if (jobs < best_jobs) {
            best = peer;
            best_jobs = jobs;
        }
    }
    return best;
}

/* --- What goes next --- */

static bool may_give(struct queue *queue)
{
    struct core *core = queue->core;
    bool all = queue->couriers >= core->conf->sending.processes;
    return queue->couriers > 0 && (all || core->loop->now >= queue->begun + QUEUE_GRACE);
}

/* What is over is recorded before more is begun: a crash would repeat it. */
static bool is_behind(const struct queue *queue)
{
    return queue->recording == QUEUE_RECORDING_MAX;
}

static void give_all(struct queue *queue, int64_t wall)
{
    struct scheduled *one;
    while (!is_behind(queue) && (one = schedule_take(&queue->schedule, places(queue)))) {
        uint64_t collection = one->destination->collection;
        struct peer *courier =
            collection ? collection_courier(queue, collection) : courier_for(queue, one);
        if (!courier) {
            schedule_back(&queue->schedule, one, wall);
            return;
        }
        errand_give(queue, one, courier);
    }
}

static void timer_again(struct queue *queue, int64_t in)
{
    struct loop *loop = queue->core->loop;
    if (in < INT64_MAX / 1000)
        timer_set(loop, &queue->timer, loop->now + in * 1000);
    else
        timer_clear(loop, &queue->timer);
}

static void turn_now(struct queue *queue)
{
    struct core *core = queue->core;
    if (queue->closing)
        return;
    if (!may_give(queue)) {
        int64_t left = queue->begun + QUEUE_GRACE - core->loop->now;
        timer_again(queue, left > 0 ? left / 1000 + 1 : INT64_MAX); /* else a courier that comes */
        return;
    }
    int64_t wall = world_wall(core->world);
    bool more = schedule_clock(&queue->schedule, wall, core->loop->now, DUE_SLICE);
    give_all(queue, wall);
    collections_turn(queue);
    int64_t in = schedule_until(&queue->schedule, world_wall(core->world), core->loop->now);
    /* 0: no courier had a place for it, and a result makes the next turn. */
    timer_again(queue, more ? 1 : in ? in : INT64_MAX);
}

static void turn_task(struct task *task)
{
    struct queue *queue = task->arg;
    queue->soon = false;
    turn_now(queue);
}

static void timer_due(struct timer *timer)
{
    turn_now(timer->arg);
}

void queue_turn(struct queue *queue)
{
    if (queue->soon || queue->closing)
        return;
    queue->soon = true;
    queue->again = (struct task){.run = turn_task, .arg = queue};
    loop_soon(queue->core->loop, &queue->again);
}

/* --- Who is there now --- */

void queue_rouse(struct queue *queue, struct str name, int64_t since, const bool *stop)
{
    struct loop *loop = queue->core->loop;
    struct schedule_after after = {0};
    bool more = true;
    while (more && !*stop && !queue->closing) {
        struct destination *destination = schedule_destination(&queue->schedule, name);
        size_t roused = 0;
        if (!destination || destination->roused < since)
            return;
        more =
            schedule_rouse(&queue->schedule, destination, loop->now, ROUSE_SLICE, &after, &roused);
        queue_turn(queue);
        fiber_sleep_until(loop, loop->now); /* others have their turn */
    }
}

/* --- Entries --- */

uint32_t queue_judge(const struct queue_entry *entry)
{
    bool warned = !entry->warn || entry->flags & QUEUE_WARNED;
    int64_t when = !warned && entry->warn < entry->expires ? entry->warn : entry->expires;
    int64_t seconds = when / US_PER_SECOND + 1;
    if (entry->flags & QUEUE_REMOVED)
        return 0;
    return seconds > 0 && seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

/* An entry in Q3 ends by its outcome, which waits here itself: so it is not freed meanwhile. */
void queue_write(struct queue *queue, struct scheduled *one)
{
    struct loop *loop = queue->core->loop;
    while (one->writing)
        fiber_sleep_until(loop, loop->now + WRITE_AGAIN);
    one->writing = true;
}

void queue_written(struct scheduled *one)
{
    must(one->writing);
    one->writing = false;
}

void queue_move(struct queue *queue, struct scheduled *one, struct str destination, int64_t next)
{
    struct schedule *schedule = &queue->schedule;
    if (str_eq(destination, destination_name(one->destination)) || !schedule_grasp(schedule, one))
        return;
    (void)schedule_reroute(schedule, one, destination); /* else it is found out again */
    schedule_back(schedule, one, next);
}

void queue_back(struct queue *queue, struct scheduled *one, const struct queue_entry *entry,
                int64_t next)
{
    struct route_destination destination;
    one->judge = queue_judge(entry);
    one->later = entry->wait == QUEUE_LATER;
    schedule_back(&queue->schedule, one, next);
    if (!one->moved)
        return;
    one->moved = false;
    route_destination(queue->core->conf, entry, &destination);
    queue_move(queue, one, destination.name, next);
}

/* Who takes turns: an account has one, however many addresses it sends as. */
static struct str sender_of(const struct queue_entry *entry)
{
    return entry->account ? str_make((const char *)&entry->account, sizeof(entry->account))
                          : entry->sender;
}

bool queue_schedule(struct queue *queue, const struct queue_entry *entry)
{
    struct route_destination destination;
    route_destination(queue->core->conf, entry, &destination);
    const struct schedule_facts facts = {
        .message = entry->message,
        .number = entry->number,
        .destination = destination.name,
        .sender = sender_of(entry),
        .next = entry->next,
        .judge = queue_judge(entry),
        .priority = entry->priority,
        .holds = entry->holds,
        .tried = entry->tries > 0,
        .later = entry->wait == QUEUE_LATER,
    };
    struct scheduled *one = schedule_add(&queue->schedule, &facts);
    if (one && one->destination->most != destination.connections)
        schedule_limit(&queue->schedule, one->destination, destination.connections);
    if (one && one->destination->collected != destination.collected)
        schedule_collected(&queue->schedule, one->destination, destination.collected);
    return one != NULL;
}

void queue_accepted(struct core *core, const struct queue_entry *entries, size_t count)
{
    struct queue *queue = core->queue;
    size_t lost = 0;
    for (size_t i = 0; i < count; i++) {
        lost += !queue_schedule(queue, &entries[i]);
        if (entries[i].account && senders_holds(&core->senders, entries[i].account))
            queue_account_changed(queue, entries[i].account); /* since it was judged */
    }
    if (lost) {
        log_event(core->log, LOG_FAIL, "not_scheduled", log_u64("entries", lost),
                  log_str("why", STR("out of memory; they are looked for again in a minute")));
        queue->missing = true;
    }
    queue_turn(queue);
}

/* --- Opening and closing --- */

static uint32_t window_most(const struct core *core)
{
    return (uint32_t)core->conf->sending.connections_per_destination;
}

static void retries_set(struct queue *queue)
{
    const struct conf *conf = queue->core->conf;
    schedule_set_retries(&queue->schedule, conf->sending.retry_first, conf->sending.retry_most);
}

/* Of this route; empty: of all of them. */
static void routes_calm(struct queue *queue, struct str name)
{
    struct destination *destination = NULL;
    while ((destination = schedule_next_destination(&queue->schedule, destination))) {
        struct str rest = destination_name(destination), block = str_cut(&rest, '/');
        bool named = name.n == 0 || str_eq(str_from_index(block, 1), name);
        if (str_starts(block, STR("@")) && named)
            schedule_calm(&queue->schedule, destination);
    }
    queue_turn(queue);
}

void queue_route_mended(struct queue *queue, struct str name)
{
    routes_calm(queue, name);
}

struct err queue_open(struct core *core)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return err_make(ERR_NO_MEMORY);
    queue->core = core;
    queue->begun = core->loop->now;
    queue->timer = (struct timer){.run = timer_due, .arg = queue};
    RB_INIT(&queue->jobs);
    LIST_INIT(&queue->collections);
    TAILQ_INIT(&queue->unrecorded);
    TAILQ_INIT(&queue->early);
    TAILQ_INIT(&queue->accounts);
    schedule_init(&queue->schedule, window_most(core));
    retries_set(queue);
    struct err e = queue_pauses_load(queue);
    if (err_is(e)) {
        schedule_done(&queue->schedule);
        free(queue);
        return e;
    }
    core->governor = governor_new();
    if (!core->governor) {
        schedule_done(&queue->schedule);
        free(queue);
        return err_make(ERR_NO_MEMORY);
    }
    core->queue = queue;
    queue_sweep_begin(queue);
    queue_load_begin(queue);
    return err_none();
}

void queue_close(struct core *core)
{
    struct queue *queue = core->queue;
    queue->closing = true;
    timer_clear(core->loop, &queue->timer);
    queue_sweep_end(queue);
    struct wait idle = {.done = queue->running == 0};
    queue->idle = &idle;
    wait_for(&idle);
    task_cancel(core->loop, &queue->again);
    errands_free(queue);
    collections_free(queue);
    queue_accounts_free(queue);
    schedule_done(&queue->schedule);
    free(queue);
    core->queue = NULL;
    governor_free(core->governor);
    core->governor = NULL;
}

/* Whether it is collected is its block's to say. */
static bool is_collected(const struct conf *conf, struct str destination)
{
    struct str rest = str_from_index(destination, 1);
    const struct conf_route *block = conf_route_named(conf, str_cut(&rest, '/'));
    return block && block->collect.count > 0;
}

/* The route may be another one. */
static void destination_configure(struct queue *queue, struct destination *destination)
{
    bool collected = is_collected(queue->core->conf, destination_name(destination));
    if (destination->collection && !collected)
        collection_end(queue, destination->collection, true);
    schedule_collected(&queue->schedule, destination, collected);
}

void queue_configure(struct core *core)
{
    struct queue *queue = core->queue;
    struct destination *destination = NULL;
    schedule_set_window(&queue->schedule, window_most(core));
    retries_set(queue);
    while ((destination = schedule_next_destination(&queue->schedule, destination)))
        if (str_starts(destination_name(destination), STR("@")))
            destination_configure(queue, destination);
    routes_calm(queue, STR(""));
}
