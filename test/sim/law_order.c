/*
 * Why domains and not entries: a site sees recipients. A message that was queued twice for one
 * domain (a list's owner sends, too) is left out, since nobody can tell its entries apart.
 *
 * What was under way is asked of core and couriers themselves: it excuses a message, and proves
 * nothing. What a courier that just died had said may still arrive: hence a second's grace.
 */
#include "law_order.h"

#include "format/message_id.h"
#include "routes.h"
#include "sim.h"

#define GRACE NS_PER_SECOND

/* A time in which nothing of a domain may be sent, and why. */
struct stillness {
    struct str domain;
    int64_t from, until; /* mono */
    const struct hand_deed *deed;
    bool by_mx; /* only what goes there */
    const char *what;
};

static void wrong(struct sim *sim, uint64_t message, const char *what, struct str whom)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(message, id);
    oracle_wrong(&sim->oracle, "message %.*s: %s: %.*s", MESSAGE_ID_TEXT, id, what, STR_FMT(whom));
}

struct str order_text(const struct trace_event *event, enum trace_field field)
{
    for (size_t i = 0; i < event->value_count; i++)
        if (event->values[i].field == field)
            return event->values[i].text;
    return STR("");
}

/* The clocks of the fake world do not drift; the one of the wall leaves out what is less than a
 * microsecond, so what happened later in it is not earlier here. */
int64_t order_mono(const struct sim *sim, int64_t wall)
{
    int64_t now = sim_now(sim);
    return (wall - world_wall(&sim->fake->world)) * 1000 + now - now % 1000;
}

struct str order_domain(struct str address)
{
    return str_from_index(address, (size_t)(str_index(address, '@') + 1));
}

static bool was_under_way(const struct hand_deed *deed, uint64_t message)
{
    for (size_t i = 0; i < deed->under_way_count; i++)
        if (deed->under_way[i] == message)
            return true;
    return false;
}

/* --- What sites took ------------------------------------------------------------------------- */

static bool breaks(const struct ledger_row *row, const struct stillness *stillness)
{
    bool excused = was_under_way(stillness->deed, row->message) &&
                   row->courier_died_at <= stillness->deed->ended;
    struct str domain = stillness->by_mx ? str_from(row->site->row->domain)
                                         : order_domain(str_from(row->recipients[0]));
    return row->at > stillness->from + GRACE && row->at < stillness->until && !excused &&
           str_eq(domain, stillness->domain);
}

static void stillness_judge(struct sim *sim, uint64_t message, const struct stillness *stillness)
{
    const struct internet *internet = &sim->internet;
    for (size_t i = 0; i < internet->ledger_count; i++)
        if ((!message || internet->ledger[i]->message == message) &&
            breaks(internet->ledger[i], stillness))
            wrong(sim, internet->ledger[i]->message, stillness->what, stillness->domain);
}

/* --- One message ----------------------------------------------------------------------------- */

static bool is_queued_once(const struct order_question *question, struct str domain)
{
    size_t count = 0;
    for (size_t i = 0; i < question->count; i++)
        count += question->events[i].kind == TRACED_queued &&
                 str_eq(order_text(&question->events[i], TRACE_destination), domain);
    return count == 1;
}

/* One that is said to be tried behind its end, or more than once, or by nobody who had it. */
static void tries_judge(struct sim *sim, const struct order_question *question,
                        const struct stillness *stillness, bool removed)
{
    struct str first = STR("");
    size_t tries = 0, most = !removed && was_under_way(stillness->deed, question->message);
    for (size_t i = 0; i < question->count; i++) {
        const struct trace_event *event = &question->events[i];
        struct str recipient = order_text(event, TRACE_recipient);
        int64_t when = order_mono(sim, event->time);
        if (event->kind != TRACED_deferred || !str_eq(order_domain(recipient), stillness->domain) ||
            when <= stillness->from || when / 1000 >= stillness->until / 1000)
            continue;
        first = first.n ? first : recipient;
        tries += str_eq(recipient, first);
    }
    if (tries > most)
        wrong(sim, question->message, stillness->what, stillness->domain);
}

/* In the words of an operator's command, about what he named. */
static void deed_judge(struct sim *sim, const struct order_question *question,
                       const struct trace_event *event)
{
    struct str domain = order_text(event, TRACE_destination);
    const struct hand_deed *deed = hand_deed_at(&sim->hand, order_mono(sim, event->time));
    bool removed = event->kind != TRACED_queue_held;
    if (!deed || !is_queued_once(question, domain))
        return;
    const struct stillness stillness = {
        .domain = domain,
        .from = deed->ended,
        .until = removed ? INT64_MAX : hand_deed_behind(&sim->hand, deed, HAND_RELEASE, domain),
        .deed = deed,
        .what = removed ? "it was removed, and is sent" : "it is held, and is sent"};
    stillness_judge(sim, question->message, &stillness);
    tries_judge(sim, question, &stillness, removed);
}

static void end_judge(struct sim *sim, const struct order_question *question,
                      const struct trace_event *event)
{
    const struct internet *internet = &sim->internet;
    struct str recipient = order_text(event, TRACE_recipient);
    int64_t end = order_mono(sim, event->time) + GRACE;
    if (!is_queued_once(question, order_domain(recipient)))
        return;
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        if (row->message == question->message && row->at > end && !row->doubtful &&
            ledger_row_has(row, recipient))
            wrong(sim, question->message, "it was given up, and is sent", recipient);
    }
}

static bool is_pause(struct sim *sim, const struct hand_deed *deed, struct stillness *stillness_r)
{
    if (deed->kind != HAND_PAUSE || !deed->fine)
        return false;
    struct str domain = str_from(deed->domain);
    *stillness_r =
        (struct stillness){.domain = domain,
                           .from = deed->ended,
                           .until = hand_deed_behind(&sim->hand, deed, HAND_RESUME, domain),
                           .deed = deed};
    return true;
}

/* While its destination was paused, where no route may be its destination. */
static void pauses_heed(struct sim *sim, const struct order_question *question)
{
    for (size_t i = 0; i < sim->hand.deed_count; i++) {
        struct stillness stillness;
        if (!is_pause(sim, &sim->hand.deeds[i], &stillness))
            continue;
        struct str domain = stillness.domain;
        stillness.what = "its destination is paused, and it is tried";
        if (is_queued_once(question, domain) && !routes_name(domain) && !question->routed)
            tries_judge(sim, question, &stillness, false);
    }
}

void order_judge(struct sim *sim, const struct order_question *question)
{
    for (size_t i = 0; i < question->count; i++) {
        const struct trace_event *event = &question->events[i];
        if (event->kind == TRACED_queue_held || event->kind == TRACED_dequeued ||
            event->kind == TRACED_to_be_dequeued)
            deed_judge(sim, question, event);
        if (event->kind == TRACED_not_sent || event->kind == TRACED_dropped)
            end_judge(sim, question, event);
    }
    pauses_heed(sim, question);
}

void order_judge_pauses(struct sim *sim)
{
    for (size_t i = 0; i < sim->hand.deed_count; i++) {
        struct stillness stillness;
        if (!is_pause(sim, &sim->hand.deeds[i], &stillness))
            continue;
        stillness.by_mx = true;
        stillness.what = "its destination is paused, and it is sent";
        stillness_judge(sim, 0, &stillness);
    }
}

bool order_was_paused(const struct sim *sim, struct str recipient)
{
    struct str domain = order_domain(recipient);
    int64_t since = INT64_MAX;
    for (size_t i = 0; i < sim->hand.deed_count; i++) {
        const struct hand_deed *deed = &sim->hand.deeds[i];
        if (deed->domain && !str_eq(str_from(deed->domain), domain))
            continue;
        if (deed->kind == HAND_PAUSE && deed->begun < since)
            since = deed->begun;
        if (deed->kind != HAND_RESUME || !deed->fine)
            continue;
        if (since < deed->ended - HOUSE_EXPIRE / 2)
            return true;
        since = INT64_MAX;
    }
    return since < sim_now(sim) - HOUSE_EXPIRE / 2;
}
