/*
 * ETRN: who has just come on line wants what waits for him (RFC 1985). Nothing of it is kept: a try
 * that is made earlier needs no record, and whoever asks a thousand times writes nothing to the
 * disk.
 *
 * Why a destination is roused once a minute at most: each rousing may try every message that the
 * other side put off by itself (a grey list), so a client that asks without end would have us
 * hammer a third one.
 *
 * Why a user hears no numbers: he may ask for any domain, and how much others write to it is none
 * of his business.
 */
#include "base/must.h"
#include "core/core.h"
#include "core/login.h"
#include "core/queue.h"
#include "core/route.h"

enum {
    ROUSED_AT_ONCE = 1000, /* entries looked at in one turn */
    WALKED_AT_ONCE = 1000, /* destinations */
};

#define ROUSED_AGAIN (60 * NS_PER_SECOND)

/* What one ETRN has found. */
struct etrn {
    struct request *request;
    struct queue *queue;
    const struct conf *conf;
    const struct msg_etrn *asked;
    size_t waiting;   /* entries that are due or under way, of what was roused */
    size_t lines;     /* destinations roused, */
    size_t too_soon;  /* roused a moment ago, */
    size_t collected; /* that who comes for it has, and nobody else */
    size_t paused;    /* and paused */
    bool more;        /* a part of what waits has not been looked at yet */
    bool others;      /* a line may hold mail for others, too */
};

/* --- Who may ask, and for what --- */

/* *counts_r: may he know how much waits? */
static bool may_ask(struct request *request, bool *counts_r)
{
    const struct msg_etrn *asked = &request->msg.etrn;
    const struct conf *conf = request->conf;
    if (request->peer->role == ROLE_SUB) {
        const struct login *login = login_find(request->peer, asked->login);
        *counts_r = login && login->local;
        return login != NULL;
    }
    *counts_r = conf_networks_hold(&conf->smtp.relay_from, asked->client) ||
                conf_networks_hold(&conf->smtp.etrn_from, asked->client);
    return *counts_r;
}

/* A queue is a route's: all that it is for has to be allowed. */
static bool may_rouse_route(const struct conf *conf, struct str name)
{
    const struct conf_route *route = conf_route_named(conf, name);
    if (route && route->to.count == 0)
        return conf_places_hold(&conf->smtp.etrn_domains, STR("*"));
    for (size_t i = 0; route && i < route->to.count; i++) {
        struct str to = route->to.list[i], domain = to;
        if (str_index(to, '@') >= 0)
            domain = str_from_index(to, (size_t)str_last_index(to, '@') + 1);
        if (!conf_places_hold(&conf->smtp.etrn_domains, domain))
            return false;
    }
    return route != NULL;
}

/* Of what is below a name each destination is looked at by itself. */
static bool may_rouse(const struct etrn *etrn)
{
    const struct msg_etrn *asked = etrn->asked;
    if (asked->scope == ETRN_QUEUE)
        return may_rouse_route(etrn->conf, asked->name);
    if (asked->scope == ETRN_BELOW)
        return etrn->conf->smtp.etrn_domains.count > 0;
    return conf_places_hold(&etrn->conf->smtp.etrn_domains, asked->name);
}

/* --- One destination --- */

/* The first of what waits; the rest is for queue_rouse. */
static void rouse(struct etrn *etrn, struct str name)
{
    struct queue *queue = etrn->queue;
    struct destination *destination = schedule_destination(&queue->schedule, name);
    int64_t now = queue->core->loop->now;
    struct schedule_after after = {0};
    size_t roused = 0;
    if (!destination || destination->entries == 0)
        return;
    if (destination->collected) {
        etrn->collected++;
        return;
    }
    if (destination->paused || queue->schedule.paused) {
        etrn->paused++;
        return;
    }
    if (destination->roused && now - destination->roused < ROUSED_AGAIN) {
        etrn->too_soon++;
        return;
    }
    etrn->more |=
        schedule_rouse(&queue->schedule, destination, now, ROUSED_AT_ONCE, &after, &roused);
    etrn->waiting += destination->due + destination->under_way;
    etrn->lines++;
}

/* --- A domain: in its own line, and in those of routes --- */

/* The i-th name that mail for the domain may wait by: its own, "@ROUTE/domain", and the route that
 * has all of it. False: there are no more. */
static bool line_name(const struct etrn *etrn, size_t i, struct buf *name)
{
    const struct conf *conf = etrn->conf;
    const struct route_question question = {.recipient = etrn->asked->name};
    bool unsure;
    buf_clear(name);
    if (i == 0) {
        buf_put(name, etrn->asked->name);
    } else if (i <= conf->route_count) {
        buf_printf(name, "@%.*s/%.*s", STR_FMT(conf->routes[i - 1].name),
                   STR_FMT(etrn->asked->name));
    } else if (i == conf->route_count + 1) {
        const struct conf_route *route = conf_route_find(conf, &question, &unsure);
        buf_printf(name, "@%.*s", STR_FMT(route ? route->name : STR("")));
    } else {
        return false;
    }
    return true;
}

static void rouse_domain(struct etrn *etrn)
{
    char room[ROUTE_DESTINATION_MAX];
    struct buf name = {.p = room, .cap = sizeof room, .max = sizeof room};
    for (size_t i = 0; line_name(etrn, i, &name); i++) {
        size_t lines = etrn->lines;
        rouse(etrn, buf_str(&name));
        etrn->others |= i > etrn->conf->route_count && etrn->lines > lines;
    }
}

static void rouse_domain_rest(struct etrn *etrn, int64_t since)
{
    char room[ROUTE_DESTINATION_MAX];
    struct buf name = {.p = room, .cap = sizeof room, .max = sizeof room};
    for (size_t i = 0; line_name(etrn, i, &name); i++)
        queue_rouse(etrn->queue, buf_str(&name), since, &etrn->request->peer->gone);
}

/* --- Everything below a name, or of a route --- */

static bool is_below(struct str domain, struct str name)
{
    return str_eq(domain, name) ||
           (domain.n > name.n && str_ends(domain, name) && domain.p[domain.n - name.n - 1] == '.');
}

/* "example.test", "@route/example.test", "@route". */
static bool is_wanted(const struct etrn *etrn, struct str destination)
{
    struct str route = STR(""), domain = destination;
    if (str_starts(destination, STR("@"))) {
        domain = str_from_index(destination, 1);
        route = str_cut(&domain, '/');
    }
    if (etrn->asked->scope == ETRN_QUEUE)
        return str_eq(route, etrn->asked->name);
    return is_below(domain, etrn->asked->name) &&
           conf_places_hold(&etrn->conf->smtp.etrn_domains, domain);
}

/* May yield. */
static void rouse_all(struct etrn *etrn)
{
    struct queue *queue = etrn->queue;
    struct loop *loop = queue->core->loop;
    char room[ROUTE_DESTINATION_MAX];
    struct buf name = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct destination *destination = schedule_next_destination(&queue->schedule, NULL);
    for (size_t i = 1; destination && !etrn->request->peer->gone; i++) {
        bool wanted = is_wanted(etrn, destination_name(destination));
        int64_t since = loop->now;
        buf_clear(&name);
        buf_put(&name, destination_name(destination));
        etrn->more = false;
        if (wanted)
            rouse(etrn, buf_str(&name));
        if (etrn->more)
            queue_rouse(etrn->queue, buf_str(&name), since, &etrn->request->peer->gone);
        if (i % WALKED_AT_ONCE == 0)
            fiber_sleep_until(loop, loop->now); /* others have their turn */
        destination = schedule_destination_behind(&queue->schedule, buf_str(&name));
    }
    queue_turn(queue);
}

/* --- The answer --- */

static void answer(struct etrn *etrn, int reply, struct str text)
{
    const struct msg_etrn *asked = etrn->asked;
    struct msg msg = {.kind = MSG_etrn_answer,
                      .etrn_answer = {.reply = (uint16_t)reply,
                                      .count = reply == 253 ? etrn->waiting : 0,
                                      .text = text}};
    log_event(etrn->queue->core->log, LOG_INFO, "etrn", log_str("client", asked->client),
              log_str("name", asked->name), log_u64("reply", (uint64_t)reply),
              log_u64("waiting", etrn->waiting));
    request_answer(etrn->request, &msg);
}

static void answer_roused(struct etrn *etrn, bool counts)
{
    if (etrn->lines == 0 && etrn->too_soon > 0)
        answer(etrn, 458, STR("it was asked for a moment ago"));
    else if (etrn->lines == 0 && etrn->paused > 0)
        answer(etrn, 458, STR("it is paused"));
    else if (etrn->lines == 0 && etrn->collected > 0)
        answer(etrn, 458, STR("it is collected by ATRN"));
    else if (!counts || etrn->others)
        answer(etrn, 250, str_null());
    else if (etrn->waiting == 0)
        answer(etrn, etrn->more ? 250 : 251, str_null());
    else
        answer(etrn, etrn->more ? 252 : 253, str_null());
}

/* Walks take a while, and RFC 1985 5.1 wants the answer at once. One goes on at a time. */
static void serve_walk(struct etrn *etrn)
{
    struct queue *queue = etrn->queue;
    if (queue->rousing) {
        answer(etrn, 458, STR("others have asked for much; try again"));
        return;
    }
    queue->rousing = true;
    answer(etrn, 250, str_null());
    rouse_all(etrn);
    queue->rousing = false;
}

void serve_etrn(struct request *request)
{
    struct etrn etrn = {.request = request,
                        .queue = request->peer->core->queue,
                        .conf = request->conf,
                        .asked = &request->msg.etrn};
    int64_t now = request->peer->core->loop->now;
    bool counts;
    if (!may_ask(request, &counts) || !may_rouse(&etrn)) {
        answer(&etrn, 459, STR("not here, or not for you"));
    } else if (request->conf->sending.processes == 0) {
        answer(&etrn, 458, STR("nothing is sent here"));
    } else if (etrn.asked->scope != ETRN_DOMAIN) {
        serve_walk(&etrn);
    } else {
        rouse_domain(&etrn);
        answer_roused(&etrn, counts);
        queue_turn(etrn.queue);
        if (etrn.more)
            rouse_domain_rest(&etrn, now);
    }
}
