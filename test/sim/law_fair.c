/*
 * Why letters of the calm alone: nobody dies then, nothing is held or paused, and connections are
 * not lost without a word, so that nothing but others' troubles is left to wait for.
 */
#include "law_fair.h"

#include "base/must.h"
#include "format/message_id.h"
#include "routes.h"
#include "rush.h"
#include "sim.h"

/* Between the moment a site took the first and that in which core knew it. */
#define KNOWN NS_PER_SECOND
/* Who came so long before was in the line; what begins so close together was taken at once. */
#define SETTLED (100 * NS_PER_MS)
#define TOGETHER (2 * NS_PER_MS)

static void wrong(struct sim *sim, uint64_t message, const char *what, struct str whom)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(message, id);
    oracle_wrong(&sim->oracle, "message %.*s: %s%.*s", MESSAGE_ID_TEXT, id, what, STR_FMT(whom));
}

/* What costs no time. */
#define HARMLESS (QUIRK_TLS | QUIRK_TLS_OLD | QUIRK_WRONG | QUIRK_VARIES | QUIRK_SMALL)

/* The servers of a domain have no trouble at all, nor has its DNS; and it is not paused. */
static bool is_well(const struct internet *internet, struct str domain)
{
    bool found = false;
    if (str_eq(domain, STR("bogus.test")) || str_eq(domain, STR(RUSH_DOMAIN)))
        return false;
    for (size_t i = 0; i < SITES; i++) {
        const struct site_row *row = internet->sites[i].row;
        if (!str_eq(str_from(row->domain), domain))
            continue;
        if (row->quirks & ~(unsigned)HARMLESS || row->policy)
            return false;
        found = true;
    }
    return found;
}

/* When this core first sent something to that domain (mono); INT64_MAX: it did not. */
static int64_t proven_at(const struct sim *sim, struct str domain)
{
    const struct internet *internet = &sim->internet;
    int64_t first = INT64_MAX, since = sim->house.roles[HOUSE_CORE].died_at;
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        if (row->at > since && row->at < first && str_eq(str_from(row->site->row->domain), domain))
            first = row->at;
    }
    return first;
}

static int64_t accepted_at(const struct sim *sim, const struct order_question *question)
{
    for (size_t i = 0; i < question->count; i++)
        if (question->events[i].kind == TRACED_accepted)
            return order_mono(sim, question->events[i].time);
    return INT64_MAX;
}

static void sent_judge(struct sim *sim, const struct order_question *question,
                       const struct letter *letter, const struct trace_event *event)
{
    struct str recipient = order_text(event, TRACE_recipient), domain = order_domain(recipient);
    int64_t due = accepted_at(sim, question) + letter->hold * NS_PER_SECOND;
    int64_t proven = proven_at(sim, domain);
    if (due < sim->calm_at || proven == INT64_MAX || due < proven + KNOWN ||
        !is_well(&sim->internet, domain))
        return;
    if (order_mono(sim, event->time) > due + FAIR_MOST)
        wrong(sim, question->message, "it waited for the troubles of others: ", recipient);
}

/* --- Who goes first -------------------------------------------------------------------------- */

/* A letter in a line of its own time: nobody told it "later" before. NULL: it is none. */
static const struct ledger_row *row_of(const struct sim *sim, const struct order_question *question)
{
    const struct internet *internet = &sim->internet;
    for (size_t i = 0; i < question->count; i++)
        if (question->events[i].kind == TRACED_deferred)
            return NULL;
    for (size_t i = 0; i < internet->ledger_count; i++)
        if (internet->ledger[i]->message == question->message)
            return internet->ledger[i];
    return NULL;
}

/* A route by account is found out when it comes due, and stands in another line until then. */
static bool stands_in_line(const struct sim *sim, const struct ledger_row *row, struct str *line_r)
{
    const struct route_row *route =
        route_to(house_routes(&sim->house, 0), str_from(row->site->row->name));
    *line_r = str_from(route ? route->name : row->site->row->domain);
    return !route || !route->account;
}

static void waiter_note(struct sim *sim, const struct order_question *question,
                        const struct letter *letter)
{
    struct fair *fair = &sim->fair;
    struct str line;
    int64_t due = accepted_at(sim, question) + letter->hold * NS_PER_SECOND;
    const struct ledger_row *row = row_of(sim, question);
    if (due < sim->calm_at || due == INT64_MAX || !row || !row->began ||
        !stands_in_line(sim, row, &line))
        return;
    must(fair->count < FAIR_WAITERS);
    fair->waiters[fair->count++] =
        (struct fair_waiter){question->message, line, due, row->began, letter->priority};
}

void fair_judge_order(struct sim *sim)
{
    const struct fair *fair = &sim->fair;
    for (size_t i = 0; i < fair->count; i++)
        for (size_t j = 0; j < fair->count; j++) {
            const struct fair_waiter *first = &fair->waiters[i], *then = &fair->waiters[j];
            if (str_eq(first->line, then->line) && then->priority > first->priority &&
                then->due + SETTLED < first->began && first->began + TOGETHER < then->began)
                wrong(sim, then->message,
                      "it has priority, and waited for another one: ", then->line);
        }
}

/* --- All of it ------------------------------------------------------------------------------- */

void fair_judge(struct sim *sim, const struct order_question *question, const struct letter *letter)
{
    for (size_t i = 0; letter && i < question->count; i++)
        if (question->events[i].kind == TRACED_sent)
            sent_judge(sim, question, letter, &question->events[i]);
    if (letter)
        waiter_note(sim, question, letter);
}
