/*
 * What couriers have. A job belongs to an instance of the courier, not to its link: where only the
 * link ended, the courier comes back with its jobs (`jobs`), and what it does not name has died
 * with it. So a broken link sends nothing twice.
 */
#include "base/must.h"
#include "conf/conf.h"
#include "core/core.h"
#include "core/forwarding.h"
#include "core/governor.h"
#include "core/queue.h"
#include "core/route.h"
#include "core/source.h"
#include "core/sts.h"
#include "format/message_id.h"
#include "store/message_head.h"

enum {
    JOB_ARENA = 1 << 20,
    /* A head with its list of mailboxes, and the body of a small message. */
    FETCH_ARENA = 3 * ENGINE_HEAD_MAX,
};

#define RECORD_AGAIN (5 * NS_PER_SECOND)
#define NOT_GIVEN_AGAIN (60 * US_PER_SECOND)

static int errand_order(const struct errand *a, const struct errand *b)
{
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(errand_tree, errand, link, errand_order, __attribute__((unused)) static)

static struct errand *errand_find(struct queue *queue, uint64_t id)
{
    struct errand like = {.id = id};
    return RB_FIND(errand_tree, &queue->jobs, &like);
}

/* Whom it is with, or was. */
static void errand_attach(struct errand *errand, struct peer *peer)
{
    errand->peer = peer;
    errand->instance = peer->instance;
    peer->jobs++;
    timer_clear(errand->queue->core->loop, &errand->timer);
}

static void errand_detach(struct errand *errand)
{
    if (!errand->peer)
        return;
    must(errand->peer->jobs > 0);
    errand->peer->jobs--;
    errand->peer = NULL;
}

static void errand_free(struct errand *errand)
{
    errand->magic = 0;
    free(errand->front);
    free(errand);
}

static void errand_release(struct errand *errand)
{
    must_be(errand, ERRAND_MAGIC);
    if (--errand->holds == 0)
        errand_free(errand);
}

/* Out of sight; the entry's fate is decided, or somebody else's. */
static void errand_end(struct errand *errand)
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

static struct errand *errand_new(struct queue *queue, uint64_t id, struct scheduled *one)
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

/* What is asked for of its message. */
static void errand_learn(struct errand *errand, const struct queue_entry *entry)
{
    errand->blob = entry->blob;
    errand->total = entry->size;
    errand->has_fields = entry->fields.n > 0;
}

/* --- Giving --- */

static struct msg_job order_of(const struct errand *errand, const struct queue_entry *entry,
                               struct arena *arena)
{
    return (struct msg_job){.job = errand->id,
                            .message = entry->message,
                            .entry = entry->number,
                            .domain = entry->domain,
                            .sender = forwarding_sender(errand->queue->core, entry, arena),
                            .asked = entry->asked,
                            .body_type = entry->body_type,
                            .utf8 = (entry->flags & QUEUE_UTF8) != 0,
                            .size = entry->size,
                            .more = errand->one->destination->due > 0};
}

/* Those of its recipients that go this way now. */
static struct err errand_send(struct errand *errand, const struct queue_entry *entry,
                              const struct route_choice *choice, const struct sts_kept *sts,
                              struct arena *arena)
{
    struct msg msg = {.kind = MSG_job, .job = order_of(errand, entry, arena)};
    struct msg_job *order = &msg.job;
    order->sts_policy = sts->policy;
    order->sts_id = sts->id;
    order->sts_fetched = (uint64_t)sts->fetched;
    order->sts_until = (uint64_t)sts->until;
    order->recipients = arena_take_array(arena, choice->count, sizeof(*order->recipients));
    if (!order->recipients || !route_tell(errand->queue->core, choice, arena, order))
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < entry->recipient_count; i++) {
        if (!choice->goes[i])
            continue;
        order->recipients[order->recipients_count++] =
            (struct msg_job_recipient){.number = (uint32_t)i,
                                       .address = entry->recipients[i].address,
                                       .asked = entry->recipients[i].asked};
    }
    errand_learn(errand, entry);
    return link_send(&errand->peer->link, &msg);
}

/* The courier went away before it heard of the errand, or there is no memory: as if never given. */
static void errand_take_back(struct errand *errand, int64_t next)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    errand_end(errand);
    schedule_back(&queue->schedule, one, next);
    queue_turn(queue);
}

/* An operator removed it while an earlier core had it under way, which is no more. */
static void errand_bury(struct errand *errand)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    const struct outcome outcome = {.clock = true};
    struct err e = outcome_record(queue, one, &outcome);
    if (err_is(e)) {
        log_err(queue->core->log, "outcome_not_recorded", e);
        errand_take_back(errand, world_wall(queue->core->world) + NOT_GIVEN_AGAIN);
        return;
    }
    errand_end(errand);
    queue_turn(queue);
}

static void errand_forget(struct errand *errand)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    errand_end(errand);
    schedule_remove(&queue->schedule, one);
    queue_turn(queue);
}

/* --- Recording --- */

/* May yield, until it is durable: nobody would gain from hearing that it is not, since the disk is
 * what says no. False: core ends. */
static bool errand_record(struct errand *errand, const struct outcome *outcome)
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

/* --- Begins --- */

/* It goes another way than when it was put in line: it stands in line there. */
static void errand_move(struct errand *errand, struct str destination)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    int64_t now = world_wall(queue->core->world);
    errand_take_back(errand, now);
    queue_move(queue, one, destination, now);
}

/* Decided here: no courier is asked. `like` is what each recipient that goes this way is told. */
static void errand_decide(struct errand *errand, const struct queue_entry *entry,
                          const struct route_choice *choice, const struct msg_job_result *like,
                          enum job_trouble trouble, struct arena *arena)
{
    struct outcome outcome = {
        .here = trouble == JOB_NO_TROUBLE, .trouble = (uint8_t)trouble, .given = errand->given};
    struct msg_job_result *results = arena_take_array(arena, choice->count, sizeof(*results));
    for (size_t i = 0; results && i < entry->recipient_count; i++) {
        if (!choice->goes[i])
            continue;
        results[outcome.result_count] = *like;
        results[outcome.result_count++].number = (uint32_t)i;
    }
    outcome.results = results;
    errand->deciding = true;
    if (errand_record(errand, &outcome))
        errand_end(errand);
    queue_turn(errand->queue);
}

/* A block of the configuration refuses it. */
static void errand_refuse(struct errand *errand, const struct queue_entry *entry,
                          const struct route_choice *choice, struct arena *arena)
{
    const struct msg_job_result like = {.verdict = JOB_FAILED,
                                        .status = STR("5.7.1"),
                                        .text = arena_str(arena, choice->block->deny)};
    errand_decide(errand, entry, choice, &like, JOB_NO_TROUBLE, arena);
}

/* What an operator has to mend. */
static void errand_wait(struct errand *errand, const struct queue_entry *entry,
                        const struct route_choice *choice, struct arena *arena)
{
    const struct msg_job_result like = {
        .verdict = JOB_LATER,
        .text = choice->lost ? STR("the route that an operator chose is not in the configuration")
                             : STR("the file with the password of its route could not be read")};
    errand_decide(errand, entry, choice, &like, JOB_TROUBLE_LOGIN, arena);
}

/* --- Limits --- */

static struct str governed_by(const struct errand *errand)
{
    return str_make(errand->governed, errand->governed_length);
}

static void govern(struct errand *errand, struct str route, size_t recipients)
{
    must(route.n <= sizeof(errand->governed));
    memcpy(errand->governed, route.p, route.n);
    errand->governed_length = (uint8_t)route.n;
    errand->governed_recipients = recipients;
}

/* Those that a limit leaves go now; the others have their turn behind them. */
static void choice_cut(struct route_choice *choice, size_t most)
{
    size_t kept = 0;
    for (size_t i = 0; i < QUEUE_RECIPIENTS_MAX; i++) {
        choice->goes[i] = choice->goes[i] && kept < most;
        kept += choice->goes[i];
    }
    choice->count = kept;
}

/* May yield. It stays in its line, and the line stands still. */
static void errand_sleep(struct errand *errand, int64_t until)
{
    struct queue *queue = errand->queue;
    struct core *core = queue->core;
    struct destination *destination = errand->one->destination;
    errand->deciding = true;
    struct err e = outcome_limit(queue, errand->one, until);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(core->log, "limit_not_kept", e);
    int64_t now = world_wall(core->world), in = until > now ? until - now : 0;
    errand_take_back(errand, now);
    schedule_sleep(&queue->schedule, destination, core->loop->now + in * 1000);
}

/* May yield. How many recipients may go; 0: it sleeps. An error: it goes later. */
static struct err errand_govern(struct errand *errand, struct route_choice *choice)
{
    struct core *core = errand->queue->core;
    const struct route_limits *limits = &choice->way.limits;
    struct governor_answer answer;
    if (!choice->block || !route_has_rates(limits)) {
        if (choice->block && limits->recipients_per_message)
            choice_cut(choice, (size_t)limits->recipients_per_message);
        return err_none();
    }
    struct err e = governor_take(core, choice->block, limits, choice->count, &answer);
    if (err_is(e))
        return e;
    if (answer.recipients == 0) {
        errand_sleep(errand, answer.until);
        return err_none();
    }
    choice_cut(choice, answer.recipients);
    govern(errand, choice->block->name, choice->count);
    return err_none();
}

/* It did not reach the host, which counts nothing then. */
static void govern_back(struct errand *errand)
{
    struct core *core = errand->queue->core;
    if (errand->governed_length > 0)
        governor_take_back(core->governor, governed_by(errand), errand->governed_recipients,
                           errand->given);
}

static bool reached_nobody(uint8_t trouble)
{
    return trouble == JOB_TROUBLE_DNS || trouble == JOB_TROUBLE_CONNECT ||
           trouble == JOB_TROUBLE_GREETING || trouble == JOB_TROUBLE_TLS ||
           trouble == JOB_TROUBLE_LOGIN;
}

/* May yield only where it says so: then it is over. */
static struct err errand_go(struct errand *errand, const struct queue_entry *entry,
                            struct arena *arena)
{
    struct core *core = errand->queue->core;
    struct route_choice choice;
    struct sts_kept sts;
    struct err e = err_none();
    sts_give(core, entry->domain, arena, &sts);
    route_choose(core, entry, arena, &choice);
    if (!errand->peer || errand->dropped)
        return e;
    const struct conf *conf = conf_hold(core->conf); /* the choice looks at it */
    if (!str_eq(choice.destination.name, destination_name(errand->one->destination)))
        errand_move(errand, choice.destination.name);
    else if (choice.denied)
        errand_refuse(errand, entry, &choice, arena);
    else if (choice.lost || !route_is_ready(core, &choice, arena))
        errand_wait(errand, entry, &choice, arena);
    else
        e = errand_govern(errand, &choice);
    bool sends = !err_is(e) && !errand->over && errand->peer && !errand->dropped;
    if (sends)
        e = errand_send(errand, entry, &choice, &sts, arena);
    if (!errand->over && (err_is(e) || !sends))
        govern_back(errand);
    conf_let_go(conf);
    return e;
}

static void errand_begin(void *arg)
{
    struct errand *errand = arg;
    struct queue *queue = errand->queue;
    struct core *core = queue->core;
    struct arena arena;
    struct queue_entry entry;
    errand->holds++;
    arena_init_from(&arena, JOB_ARENA, &core->spares);
    struct err e =
        queue_read(core->engine, errand->one->message, errand->one->number, &arena, &entry);
    bool removed = !err_is(e) && entry.flags & QUEUE_REMOVED;
    if (!err_is(e) && errand->peer && !removed && !errand->dropped)
        e = errand_go(errand, &entry, &arena);
    arena_done(&arena);
    errand->begins = false;
    if (errand->over) {
        /* it went another way, or was refused */
    } else if (e.code == ERR_NOT_FOUND) {
        errand_forget(errand);
    } else if (removed) {
        errand_bury(errand);
    } else if (err_is(e)) {
        log_err(core->log, "job_not_given", e);
        errand_take_back(errand, world_wall(core->world) + NOT_GIVEN_AGAIN);
    } else if (!errand->peer || errand->dropped) {
        errand_take_back(errand, world_wall(core->world));
    }
    errand_release(errand);
    queue_fiber_end(queue);
}

void errand_give(struct queue *queue, struct scheduled *one, struct peer *peer)
{
    struct core *core = queue->core;
    struct errand *errand = errand_new(queue, core_message_id(core), one);
    if (!errand) {
        schedule_back(&queue->schedule, one, world_wall(core->world) + NOT_GIVEN_AGAIN);
        return;
    }
    errand_attach(errand, peer);
    errand->begins = true;
    errand->start = (struct fiber_start){.run = errand_begin, .arg = errand};
    queue_fiber_begin(queue);
    fiber_run(core->fibers, &errand->start);
}

/* By MX, whether or not a block says more about it: "example.org", "@block/example.org". */
static bool leads_to(struct str destination, struct str domain)
{
    ssize_t slash = str_starts(destination, STR("@")) ? str_index(destination, '/') : -1;
    return domain.n > 0 && str_eq(str_from_index(destination, (size_t)(slash + 1)), domain);
}

bool queue_courier_serves(const struct peer *peer, struct str domain)
{
    struct queue *queue = peer->core->queue;
    struct errand *errand;
    if (!queue)
        return false;
    RB_FOREACH (errand, errand_tree, &queue->jobs) {
        if (errand->peer == peer && leads_to(destination_name(errand->one->destination), domain))
            return true;
    }
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
                                    .governed = governed_by(errand),
                                    .quietly = !errand->dotted && !errand->one->died};
    errand->one->died = true;
    if (!errand->dotted)
        govern_back(errand);
    (void)errand_record(errand, &outcome);
    errand_end(errand);
    queue_turn(queue);
    queue_fiber_end(queue);
}

static void errand_lost(struct errand *errand)
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

/* --- What a courier brings along --- */

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
    govern(errand, choice->fixed, choice->count);
}

/* A job of an earlier core: its entry is under way. An entry that is gone, or under way elsewhere,
 * needs nothing: its result will find no job. */
static void errand_adopt(struct request *request, const struct msg_job_name *name,
                         struct arena *arena)
{
    struct queue *queue = request->peer->core->queue;
    struct queue_entry entry;
    struct route_choice choice;
    struct err e = queue_read(queue->core->engine, name->message, name->entry, arena, &entry);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(queue->core->log, "job_not_adopted", e);
    if (err_is(e) || !queue_schedule(queue, &entry))
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
    struct errand *errand = RB_MIN(errand_tree, &queue->jobs), *next;
    for (; errand; errand = next) {
        next = RB_NEXT(errand_tree, &queue->jobs, errand);
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

/* --- The message itself --- */

/* May yield: what a courier says behind `jobs` may come before all of them are looked up. */
static struct errand *errand_of(struct request *request, uint64_t id)
{
    while (request->peer->adopts)
        queue_turn_wait(&request->peer->core->queue->early);
    struct errand *errand = errand_find(request->peer->core->queue, id);
    return errand && errand->peer == request->peer && !errand->deciding ? errand : NULL;
}

/* What stands in front: the entry's own fields, and Received. */
static struct err front_make(struct core *core, const struct errand *errand, struct str record,
                             struct arena *arena, struct str *front_r)
{
    struct message_head head;
    struct queue_entry entry = {.fields = STR("")};
    struct err e = message_head_decode(record, arena, &head);
    if (!err_is(e) && errand->has_fields)
        e = queue_read(core->engine, errand->one->message, errand->one->number, arena, &entry);
    if (err_is(e))
        return e;
    struct buf front = buf_in(arena, ENGINE_HEAD_MAX);
    buf_put(&front, entry.fields);
    buf_put(&front, head.received);
    *front_r = buf_built(&front);
    return err_make(front_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

static void front_keep(struct errand *errand, struct str front)
{
    errand->front = malloc(front.n + 1);
    if (!errand->front)
        return;
    if (front.n)
        memcpy(errand->front, front.p, front.n);
    errand->front_octets = front.n;
}

static struct err source_of(struct core *core, struct errand *errand, struct arena *arena,
                            struct source *source)
{
    struct str record;
    uint64_t body_octets;
    *source = (struct source){.engine = core->engine, .blob = errand->blob, .total = errand->total};
    if (errand->front) {
        source->front = str_make(errand->front, errand->front_octets);
        return err_none();
    }
    struct err e = source_blob(source, arena, &record, &body_octets);
    if (!err_is(e))
        e = front_make(core, errand, record, arena, &source->front);
    if (err_is(e))
        return e;
    if (source->front.n + body_octets != errand->total)
        return err_detail(ERR_STORE_DAMAGED, STR("a message is not as long as its entry says"));
    if (!source->body.p && !errand->front)
        front_keep(errand, source->front);
    return err_none();
}

void serve_job_fetch(struct request *request)
{
    const struct msg_job_fetch *asked = &request->msg.job_fetch;
    struct core *core = request->peer->core;
    struct errand *errand = errand_of(request, asked->job);
    struct msg answer = {.kind = MSG_job_fetched};
    struct err e = err_make(ERR_NOT_FOUND);
    if (errand) {
        struct source source;
        struct arena arena;
        errand->holds++;
        arena_init_from(&arena, FETCH_ARENA, &core->spares);
        e = source_of(core, errand, &arena, &source);
        if (!err_is(e))
            e = source_fill(request, &source, asked->slabs, asked->slabs_count, asked->offset,
                            &answer.job_fetched.octets);
        arena_done(&arena);
        errand_release(errand);
    }
    answer.job_fetched.error = (uint16_t)e.code;
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(request->peer, e);
    else if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(core->log, "job_not_read", e);
}

/* --- Dots --- */

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
        const struct outcome outcome = {.quietly = errand->dropped && nothing_tried(said),
                                        .trouble = said->trouble,
                                        .given = errand->given,
                                        .governed = governed_by(errand),
                                        .dotted = said->dotted,
                                        .reports = said->reports,
                                        .host = said->host,
                                        .facts = said->facts,
                                        .results = said->results,
                                        .result_count = said->results_count};
        errand->deciding = true;
        errand->holds++;
        if (reached_nobody(said->trouble))
            govern_back(errand);
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
