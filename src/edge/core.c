/*
 * The conversation with core. There is one link; when it breaks, everything core was told by it is
 * void (transactions, uploads, slabs), and `core_since` tells sessions so without a list of who
 * has to be told. Questions that come while core is away wait for it a little: a restart of core
 * should cost clients a moment and not an error.
 */
#include <errno.h>

#include "edge/bans.h"
#include "edge/edge.h"
#include "edge/tls.h"

struct edge_waiter {
    TAILQ_ENTRY(edge_waiter) link;
    struct edge *edge;
    struct wait wait;
    struct timer timer;
    bool up;
};

static void waiter_over(struct edge_waiter *waiter, bool up)
{
    TAILQ_REMOVE(&waiter->edge->waiters, waiter, link);
    timer_clear(waiter->edge->loop, &waiter->timer);
    waiter->up = up;
    wait_over(&waiter->wait);
}

static void waited_enough(struct timer *timer)
{
    waiter_over(timer->arg, false);
}

struct err edge_core_wait(struct edge *edge, int64_t deadline)
{
    if (edge->core_up)
        return err_none();
    struct edge_waiter waiter = {.edge = edge};
    waiter.timer = (struct timer){.run = waited_enough, .arg = &waiter};
    TAILQ_INSERT_TAIL(&edge->waiters, &waiter, link);
    timer_set(edge->loop, &waiter.timer, deadline);
    wait_for(&waiter.wait);
    return waiter.up && edge->core_up ? err_none() : err_make(ERR_BUS_BROKEN);
}

static void wake_all(struct edge *edge)
{
    while (!TAILQ_EMPTY(&edge->waiters))
        waiter_over(TAILQ_FIRST(&edge->waiters), true);
}

static void welcomed(struct edge *edge, const struct msg_welcome *welcome, int passed)
{
    struct slabs *slabs =
        passed >= 0 ? slabs_open(edge->world, edge->loop, passed, welcome->slabs) : NULL;
    if (!slabs || edge->core_up) {
        log_err(edge->log, "core", err_detail(ERR_BUS_BROKEN, STR("no usable slab pool")));
        if (slabs)
            slabs_retire(slabs);
        link_cut(edge->core, err_detail(ERR_BUS_BROKEN, STR("no usable slab pool")));
        return;
    }
    edge->slabs = slabs;
    edge->core_up = true;
    edge_bans_forget(edge);
    memset(edge->logins_ended, 0, sizeof edge->logins_ended);
    edge->core_since++;
    log_event(edge->log, LOG_INFO, "core_up", log_u64("slabs", welcome->slabs));
    wake_all(edge);
}

bool edge_login_has_ended(const struct edge *edge, uint64_t handle)
{
    for (size_t i = 0; i < EDGE_ENDED_KEPT; i++)
        if (edge->logins_ended[i] == handle)
            return true;
    return false;
}

/* Rare, so that a walk over all sessions will do. Sessions may end in it. Where none has the handle
 * its fiber may be about to get it: core's yes and this came in one packet. */
static void logged_out(struct edge *edge, uint64_t handle)
{
    bool known = false;
    for (struct edge_session *session = TAILQ_FIRST(&edge->sessions), *next; session;
         session = next) {
        struct edge_login *login = &session->login;
        next = TAILQ_NEXT(session, link);
        if (login->handle != handle || login->core_since != edge->core_since)
            continue;
        known = login->over = true;
        if (session->protocol->logged_out)
            session->protocol->logged_out(session);
    }
    if (!known)
        edge->logins_ended[edge->logins_ended_at++ % EDGE_ENDED_KEPT] = handle;
}

/* --- Lines --- */

struct edge_line {
    SLIST_ENTRY(edge_line) link;
    uint64_t line;
    int handle;
};

/* Told right before the answer that names it: so at most as many wait as questions are open. */
static void line_keep(struct edge *edge, uint64_t line, int handle)
{
    struct edge_line *one = calloc(1, sizeof *one);
    if (!one) {
        edge->world->ops->close(edge->world, handle);
        return;
    }
    *one = (struct edge_line){.line = line, .handle = handle};
    SLIST_INSERT_HEAD(&edge->lines, one, link);
}

int edge_line_take(struct edge *edge, uint64_t line)
{
    struct edge_line *one;
    SLIST_FOREACH(one, &edge->lines, link)
    if (one->line == line)
        break;
    int handle = one ? one->handle : -1;
    if (one)
        SLIST_REMOVE(&edge->lines, one, edge_line, link);
    free(one);
    return handle;
}

static void lines_close(struct edge *edge)
{
    struct edge_line *one;
    while ((one = SLIST_FIRST(&edge->lines)))
        edge->world->ops->close(edge->world, edge_line_take(edge, one->line));
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct edge *edge = link->arg;
    must_be(edge, EDGE_MAGIC);
    if (msg->kind == MSG_welcome)
        welcomed(edge, &msg->welcome, passed);
    else if (msg->kind == MSG_line)
        line_keep(edge, msg->line.line, passed);
    else if (msg->kind == MSG_tries_kept)
        edge_tries_kept(edge, &msg->tries_kept);
    else if (msg->kind == MSG_directory_changed)
        edge->directory_changes++;
    else if (msg->kind == MSG_bans)
        edge_bans_told(edge, &msg->bans);
    else if (msg->kind == MSG_ban_lifted)
        edge_ban_lifted(edge, &msg->ban_lifted);
    else if (msg->kind == MSG_login_ended && msg->login_ended.handle)
        logged_out(edge, msg->login_ended.handle);
    else if (msg->kind == MSG_identity)
        edge_tls_identity(edge, &msg->identity);
    else if (msg->kind == MSG_identities)
        edge_tls_identities(edge, &msg->identities);
    else if (msg->kind == MSG_ticket_keys)
        edge_tls_ticket_keys(edge, &msg->ticket_keys);
    else if (passed >= 0)
        edge->world->ops->close(edge->world, passed);
}

static void core_gone(struct edge *edge)
{
    edge->core_up = false;
    edge->seen_count = 0;
    lines_close(edge);
    edge_tls_core_gone(edge);
    if (edge->slabs)
        slabs_retire(edge->slabs);
    edge->slabs = NULL;
}

static void ended(struct link *link, struct err why)
{
    struct edge *edge = link->arg;
    must_be(edge, EDGE_MAGIC);
    /* Whatever the reason: core's own log has it, and the parent starts it again. */
    log_event(edge->log, LOG_WARN, "core_gone", log_str("error", str_from(err_row(why.code)->name)),
              log_u64("sessions", edge->session_count));
    if (edge->core != link)
        return;
    edge->core = NULL;
    core_gone(edge);
    link_done(link);
    free(link);
    if (edge->core_lost)
        edge->core_lost(edge);
}

static const struct link_owner owner = {.got = got, .ended = ended};

void edge_core_detach(struct edge *edge)
{
    if (!edge->core)
        return;
    struct link *link = edge->core;
    edge->core = NULL;
    core_gone(edge);
    link_done(link);
    free(link);
}

struct err edge_core_attach(struct edge *edge, int handle)
{
    edge_core_detach(edge);
    struct link *link = calloc(1, sizeof *link);
    int failed =
        link ? link_init(link, edge->loop, handle, edge->role, ROLE_CORE, &owner, edge) : -ENOMEM;
    if (failed < 0) {
        edge->world->ops->close(edge->world, handle);
        free(link);
        return err_os(-failed, STR("link to core"));
    }
    edge->core = link;
    struct msg msg = {.kind = MSG_hello, .hello = {.instance = edge->instance}};
    struct err e = link_send(link, &msg);
    /* Before anything else: it must know them when their clients come again. */
    edge_tries_tell(edge);
    return e;
}

struct err edge_ask(struct edge *edge, struct msg *msg, struct arena *arena, struct msg *answer_r)
{
    struct err e = edge_core_wait(edge, edge->loop->now + EDGE_CORE_WAIT);
    if (err_is(e) || !edge->core->over)
        return err_is(e) ? e : link_ask(edge->core, msg, arena, answer_r);
    /* Its end is told soon, if we let it: who asks again would else do so in this turn for ever. */
    fiber_sleep_until(edge->loop, edge->loop->now);
    return err_make(ERR_BUS_BROKEN);
}

void edge_tell(struct edge *edge, const struct msg *msg)
{
    if (edge->core_up)
        (void)link_send(edge->core, msg);
}

void edge_refused(struct edge *edge, const struct msg_refused *refused)
{
    int64_t second = edge->loop->now / NS_PER_SECOND;
    if (second != edge->refused_second)
        edge->refused_count = 0;
    edge->refused_second = second;
    /* An edge for mailboxes or HTTP refuses no mail, and may not say that it did. */
    if (edge->refused_count++ >= EDGE_REFUSED_PER_SECOND || edge->role == ROLE_BOX ||
        edge->role == ROLE_WEB)
        return;
    struct msg msg = {.kind = MSG_refused, .refused = *refused};
    edge_tell(edge, &msg);
}
