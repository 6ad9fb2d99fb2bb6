/*
 * Why the way is looked at when an entry comes due and not when it was accepted: a configuration
 * that is read meanwhile holds for what waits.
 */
#include "core/errand.h"

#include "base/must.h"
#include "conf/conf.h"
#include "core/collect.h"
#include "core/core.h"
#include "core/forwarding.h"
#include "core/governor.h"
#include "core/handing.h"
#include "core/route.h"
#include "core/sts.h"
#include "format/message_id.h"

#define NOT_GIVEN_AGAIN (60 * US_PER_SECOND)

/* --- The order --- */

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
                            .more = errand->one->destination->due > 0,
                            .standing = errand->one->standing,
                            .collection = errand->collection};
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
    errand->token_turn = order->token ? route_token_turn(errand->queue->core, choice, order) : 0;
    return link_send(&errand->peer->link, &msg);
}

/* --- No courier is asked --- */

/* It goes another way than when it was put in line: it stands in line there. Where that cannot be
 * it is found out again later, and not at once for ever. */
static void errand_move(struct errand *errand, struct str destination)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    int64_t now = world_wall(queue->core->world);
    errand_take_back(errand, now + NOT_GIVEN_AGAIN);
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
                        const struct route_choice *choice, struct str why, struct arena *arena)
{
    const struct msg_job_result like = {.verdict = JOB_LATER, .text = why};
    struct core *core = errand->queue->core;
    if (route_wants_new_grant(core, choice, arena))
        route_log_in_refused(core, choice->block->name, why);
    errand_decide(errand, entry, choice, &like, JOB_TROUBLE_LOGIN, arena);
}

/* --- Collections --- */

/* Does it go by this courier, to who collects it, or to whoever there is? */
static bool errand_is_met(struct errand *errand, const struct route_choice *choice)
{
    struct destination *destination = errand->one->destination;
    bool collected = choice->block && choice->block->collect.count > 0;
    if (destination->collected != collected)
        schedule_collected(&errand->queue->schedule, destination, collected);
    errand->collection = destination->collection;
    return !collected || (errand->collection &&
                          errand->peer == collection_courier(errand->queue, errand->collection));
}

/* --- Limits --- */

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
    errand_governs(errand, choice->block->name, choice->count);
    return err_none();
}

/* --- Giving --- */

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

/* No walk has come to it yet (queue_account.c). */
static void errand_hold(struct errand *errand, uint64_t account)
{
    struct queue *queue = errand->queue;
    errand_take_back(errand, world_wall(queue->core->world) + NOT_GIVEN_AGAIN);
    queue_account_changed(queue, account);
}

/* Its entry is gone. */
static void errand_forget(struct errand *errand)
{
    struct queue *queue = errand->queue;
    struct scheduled *one = errand->one;
    errand_end(errand);
    schedule_remove(&queue->schedule, one);
    queue_turn(queue);
}

/* May yield only where it says so: then it is over. */
static bool stands_in_line(const struct errand *errand, const struct route_choice *choice)
{
    return str_eq(choice->destination.name, destination_name(errand->one->destination));
}

/* May yield. With an access token that is good, where its way has one. */
static void way_choose(struct errand *errand, const struct queue_entry *entry, struct arena *arena,
                       struct route_choice *choice)
{
    struct core *core = errand->queue->core;
    route_choose(core, entry, arena, choice);
    if (!choice->block || choice->block->oauth_file.n == 0 || !stands_in_line(errand, choice))
        return;
    route_prepare(core, choice, arena);
    route_choose(core, entry, arena, choice); /* the configuration may be another one */
}

/* Something an operator has to mend; null: nothing. */
static struct str missing(const struct core *core, const struct route_choice *choice,
                          struct arena *arena)
{
    struct str why = str_null();
    if (choice->lost)
        return STR("the route that an operator chose is not in the configuration");
    if (route_is_ready(core, choice, arena, &why) && !route_has_secret(core, choice, arena))
        return STR("no access token for its route was got yet"); /* a reload came between */
    return why;
}

static struct err errand_go(struct errand *errand, const struct queue_entry *entry,
                            struct arena *arena)
{
    struct core *core = errand->queue->core;
    struct route_choice choice;
    struct sts_kept sts;
    struct err e = err_none();
    sts_give(core, entry->domain, arena, &sts);
    way_choose(errand, entry, arena, &choice);
    if (!errand->peer || errand->dropped)
        return e;
    const struct conf *conf = conf_hold(core->conf); /* the choice looks at it */
    struct str why = missing(core, &choice, arena);
    if (!stands_in_line(errand, &choice))
        errand_move(errand, choice.destination.name);
    else if (choice.denied)
        errand_refuse(errand, entry, &choice, arena);
    else if (why.p)
        errand_wait(errand, entry, &choice, why, arena);
    else if (!errand_is_met(errand, &choice))
        errand_take_back(errand, world_wall(core->world));
    else
        e = errand_govern(errand, &choice);
    bool sends = !err_is(e) && !errand->over && errand->peer && !errand->dropped;
    if (sends)
        e = errand_send(errand, entry, &choice, &sts, arena);
    if (!errand->over && (err_is(e) || !sends))
        errand_governs_back(errand);
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
    bool held = false;
    if (!err_is(e) && !removed)
        e = queue_hold_read(queue, &entry, &held);
    bool goes = !err_is(e) && !removed && !held && errand->peer && !errand->dropped;
    if (goes && entry.flags & QUEUE_HERE)
        errand_hand_in(errand, &entry, &arena);
    else if (goes)
        e = errand_go(errand, &entry, &arena);
    arena_done(&arena);
    errand->begins = false;
    if (errand->over) {
        /* it went another way, or was refused */
    } else if (e.code == ERR_NOT_FOUND) {
        errand_forget(errand);
    } else if (removed) {
        errand_bury(errand);
    } else if (held) {
        errand_hold(errand, entry.account);
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

/* --- Who is asked for by name --- */

/* By MX, whether or not a block says more about it: "example.org", "@block/example.org". */
struct str queue_domain(const struct destination *destination)
{
    struct str name = destination_name(destination);
    ssize_t slash = str_starts(name, STR("@")) ? str_index(name, '/') : -1;
    return str_from_index(name, (size_t)(slash + 1));
}

static bool leads_to(const struct destination *destination, struct str domain)
{
    return domain.n > 0 && str_eq(queue_domain(destination), domain);
}

bool queue_courier_serves(const struct peer *peer, struct str domain)
{
    struct queue *queue = peer->core->queue;
    struct errand *errand = NULL;
    while (queue && (errand = errand_next(queue, errand)))
        if (errand->peer == peer && leads_to(errand->one->destination, domain))
            return true;
    return false;
}
