/*
 * Why the hour of a row may be left out: what is counted is when core gave it, what is seen when a
 * site took it. Between the two lie moments, but for deaths; near the full hour nobody can tell.
 */
#include "law_routes.h"

#include "format/message_id.h"
#include "routes.h"
#include "sim.h"

#define GRACE NS_PER_SECOND
#define HOUR (3600 * NS_PER_SECOND)
/* Between giving and recording, where nobody was dead for long. */
#define UNSURE (30 * NS_PER_SECOND)

enum {
    SETTINGS = 0, /* the change of people_changes that is a reload */
    PARTS = 5,    /* all but one of them and it is near its limit: the rest is spread */
};

static void wrong(struct sim *sim, const struct ledger_row *row, const char *what)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(row->message, id);
    oracle_wrong(&sim->oracle, "message %.*s at %s: %s", MESSAGE_ID_TEXT, id, row->site->row->name,
                 what);
}

static bool is_anybodys(const struct site *site)
{
    return str_eq(str_from(site->row->domain), STR("*"));
}

/* Bit i: set i may have been in force since then. */
static uint32_t sets_since(const struct sim *sim, int64_t since)
{
    uint32_t states = clerk_states_at(&sim->clerk, SETTINGS, since), sets = 0;
    for (size_t state = 0; state < PEOPLE_STATES; state++)
        if (states >> state & 1)
            sets |= 1u << house_routes(&sim->house, state);
    return sets;
}

/* --- Where to -------------------------------------------------------------------------------- */

/* What an operator made of the way: surely by MX, perhaps. */
struct rerouted {
    bool surely, perhaps;
};

static struct rerouted rerouted(const struct sim *sim, const struct order_question *question,
                                const struct ledger_row *row, struct str domain)
{
    struct rerouted now = {.surely = false};
    for (size_t i = 0; i < question->count; i++) {
        const struct trace_event *event = &question->events[i];
        int64_t when = order_mono(sim, event->time);
        if (event->kind != TRACED_rerouted || when > row->at ||
            !str_eq(order_text(event, TRACE_destination), domain))
            continue;
        const struct hand_deed *deed = hand_deed_at(&sim->hand, when);
        bool by_mx = str_eq(order_text(event, TRACE_host), STR("mx"));
        bool before = deed && deed->ended + GRACE <= row->began;
        now.surely = by_mx && (before || now.surely);
        now.perhaps = by_mx || (now.perhaps && !before);
    }
    return now;
}

static bool may_be_there(const struct sim *sim, const struct ledger_row *row,
                         const struct route_mail *mail, const struct rerouted *rerouted)
{
    bool by_mx = rerouted->perhaps, by_route = false;
    uint32_t sets = sets_since(sim, row->began - GRACE);
    for (size_t set = 0; set < ROUTE_SETS && !rerouted->surely; set++) {
        if (!(sets >> set & 1))
            continue;
        const struct route_row *route = route_of(set, mail);
        by_mx |= !route;
        by_route |= route && route_leads_to(route, str_from(row->site->row->name));
    }
    return is_anybodys(row->site) ? by_route : by_mx;
}

/* Given up at a host that is well: its time was over. */
static void waiting_judge(struct sim *sim, const struct trace_event *event, struct str account)
{
    const struct internet *internet = &sim->internet;
    int64_t end = order_mono(sim, event->time), from = end - HOUR;
    const struct route_mail mail = {.account = account,
                                    .domain = order_domain(order_text(event, TRACE_recipient))};
    const struct route_row *route = route_of(house_routes(&sim->house, 0), &mail);
    uint64_t recipients = 0, messages = 0;
    if (!route || !route->recipients_per_hour || from < internet->healed_at ||
        house_died(&sim->house, HOUSE_CORE, from, end))
        return;
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        bool counts = row->at > from && row->at <= end &&
                      route_leads_to(route, str_from(row->site->row->name));
        recipients += counts ? row->recipient_count : 0;
        messages += counts;
    }
    bool full = (recipients + 1) * PARTS >= route->recipients_per_hour * (PARTS - 1) ||
                (route->messages_per_hour &&
                 (messages + 1) * PARTS >= route->messages_per_hour * (PARTS - 1));
    if (!full)
        oracle_wrong(&sim->oracle, "%.*s was given up, and route %s had room", STR_FMT(mail.domain),
                     route->name);
}

void routes_judge(struct sim *sim, const struct order_question *question,
                  const struct letter *letter)
{
    const struct internet *internet = &sim->internet;
    bool submitted = letter && letter->submitted;
    struct str account =
        submitted ? people_accounts[PEOPLE_FIRST_USER + letter->host - ORACLE_HOSTS] : STR("");
    for (size_t i = 0; i < question->count && letter && !letter->by; i++)
        if (question->events[i].kind == TRACED_not_sent)
            waiting_judge(sim, &question->events[i], account);
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        if (row->message != question->message)
            continue;
        const struct route_mail mail = {.account = account,
                                        .from = str_from(row->from),
                                        .domain = order_domain(str_from(row->recipients[0]))};
        struct rerouted way = rerouted(sim, question, row, mail.domain);
        if (!may_be_there(sim, row, &mail, &way))
            wrong(sim, row, "that is not its way");
    }
}

/* --- How much -------------------------------------------------------------------------------- */

struct most {
    uint64_t per_message, recipients, messages;
};

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The widest of those that may have been in force since then. */
static struct most most_since(const struct sim *sim, const struct site *site, int64_t since)
{
    struct most most = {.per_message = 0};
    uint32_t sets = sets_since(sim, since);
    for (size_t set = 0; set < ROUTE_SETS; set++) {
        const struct route_row *route =
            sets >> set & 1 ? route_to(set, str_from(site->row->name)) : NULL;
        if (!route)
            continue;
        most.per_message =
            greater(most.per_message, route->per_message ? route->per_message : UINT64_MAX);
        most.recipients = greater(
            most.recipients, route->recipients_per_hour ? route->recipients_per_hour : UINT64_MAX);
        most.messages = greater(most.messages,
                                route->messages_per_hour ? route->messages_per_hour : UINT64_MAX);
    }
    return most;
}

static int64_t wall_of(const struct sim *sim, int64_t mono)
{
    return world_wall(&sim->fake->world) * 1000 - sim_now(sim) + mono;
}

/* Was it counted in the hour in which it was taken, whoever died? */
static bool is_sure(const struct sim *sim, const struct ledger_row *row)
{
    int64_t from = row->began > UNSURE ? row->began - UNSURE : 0, until = row->at + UNSURE;
    bool core_died = house_died(&sim->house, HOUSE_CORE, from, until);
    bool lost = core_died && house_died(&sim->house, (enum house_slot)row->courier, from, until);
    return !lost && wall_of(sim, from) / HOUR == wall_of(sim, until) / HOUR;
}

/* Of what was counted in the hour before, what is still in. */
static uint64_t still_in(uint64_t count, int64_t wall)
{
    return count * (uint64_t)((HOUR - wall % HOUR) / NS_PER_SECOND) / 3600;
}

static void hour_judge(struct sim *sim, const struct ledger_row *last)
{
    const struct internet *internet = &sim->internet;
    int64_t wall = wall_of(sim, last->at), hour = wall / HOUR;
    uint64_t recipients[2] = {0}, messages[2] = {0}; /* of this hour, and the one before */
    struct most most = most_since(sim, last->site, last->at - 2 * HOUR);
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        int64_t ago = hour - wall_of(sim, row->at) / HOUR;
        if (row->site != last->site || row->at > last->at || ago > 1 || !is_sure(sim, row))
            continue;
        recipients[ago] += row->recipient_count;
        messages[ago]++;
    }
    if (recipients[0] + still_in(recipients[1], wall) > most.recipients ||
        messages[0] + still_in(messages[1], wall) > most.messages)
        wrong(sim, last, "its route's limit of an hour is passed");
}

void routes_judge_limits(struct sim *sim)
{
    const struct internet *internet = &sim->internet;
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        if (!is_anybodys(row->site))
            continue;
        struct most most = most_since(sim, row->site, row->began - GRACE);
        if (row->recipient_count > most.per_message)
            wrong(sim, row, "a message with more recipients than its route may have");
        hour_judge(sim, row);
    }
}
