/*
 * Connections come in. All that wait are taken at once, up to a number, so that a burst costs one
 * turn and still cannot starve those who are inside. A connection over a limit gets one line and is
 * closed; nothing is allocated for it. Where TLS comes first it gets no line: in clear text that is
 * a broken record to its client, which blames TLS, and a handshake for whoever is over a limit
 * would cost more than the session that he is refused.
 */
#include <errno.h>

#include "edge/bans.h"
#include "edge/edge.h"
#include "edge/proxied.h"

enum {
    ACCEPTS_A_TURN = 64
};

/* --- Who may come in ------------------------------------------------------------------------- */

static bool comes_too_often(struct door *door, const struct network *from, uint64_t most,
                            int64_t now)
{
    return most > 0 && !door_passes(door, DOOR_SESSIONS, from, most, EDGE_NEW_WITHIN, now);
}

/* By its address; a unix socket has none. */
static enum err_code judge_address(struct edge *edge, const struct edge_limits *limits,
                                   const struct network *address)
{
    struct network network = network_cut(address, DOOR_V4, DOOR_V6);
    int64_t now = edge->loop->now;
    if (door_sessions(edge->door, &network) >= limits->sessions_per_network)
        return ERR_TOO_MANY_SESSIONS;
    if (comes_too_often(edge->door, address, limits->new_sessions_per_address, now) ||
        comes_too_often(edge->door, &network, limits->new_sessions_per_network, now))
        return ERR_TOO_FAST;
    return ERR_NONE;
}

static enum err_code judge(struct edge *edge, const struct edge_protocol *protocol,
                           const struct peer_address *peer, bool is_inside)
{
    struct edge_limits limits;
    struct network address;
    struct str client = str_from(peer->text);
    if (edge_is_banned(edge, client))
        return ERR_BANNED;
    protocol->limits(edge->conf, &limits);
    if (conf_networks_hold(limits.deny_from, client) &&
        !conf_networks_hold(limits.allow_from, client))
        return ERR_CLIENT_DENIED;
    if (!is_inside && edge->session_count >= limits.sessions)
        return ERR_TOO_MANY_SESSIONS;
    if (conf_networks_hold(limits.unlimited_from, client))
        return ERR_NONE;
    if (edge_client_sessions(edge, peer->text) >= limits.sessions_per_address)
        return ERR_TOO_MANY_SESSIONS;
    return network_address(client, &address) ? judge_address(edge, &limits, &address) : ERR_NONE;
}

/* Told apart for the operator: whether the edge is full or a client is kept out. */
static void log_turned_away(struct edge *edge, const struct peer_address *peer, enum err_code why)
{
    if (why == ERR_TOO_MANY_SESSIONS)
        log_event(edge->log, LOG_WARN, "too_many_sessions", log_str("client", str_from(peer->text)),
                  log_u64("sessions", edge->session_count));
    else
        log_event(edge->log, LOG_INFO, "turned_away", log_str("client", str_from(peer->text)),
                  log_str("error", str_from(err_row(why)->name)));
}

static void say_why(struct edge_listener *listener, int handle, enum err_code why)
{
    struct edge *edge = listener->edge;
    char text[600];
    struct buf line = {.p = text, .cap = sizeof text, .max = sizeof text};
    edge->protocols[listener->protocol]->refusal(edge->conf, why, &line);
    struct iovec part = {.iov_base = text, .iov_len = line.n};
    (void)edge->world->ops->send(edge->world, handle, &part, 1);
}

void edge_turn_away(struct edge_listener *listener, int handle, const struct peer_address *peer,
                    enum err_code why)
{
    struct edge *edge = listener->edge;
    const struct msg_refused refused = {
        .client = str_from(peer->text), .error = (uint16_t)why, .command = STR("connect")};
    if (!listen_begins_in_tls(listener->protocol))
        say_why(listener, handle, why);
    edge->world->ops->close(edge->world, handle);
    log_turned_away(edge, peer, why);
    if (why != ERR_BANNED) /* the ban is on record */
        edge_refused(edge, &refused);
}

void edge_admit(struct edge_listener *listener, int handle, const struct peer_address *peer)
{
    const struct edge_protocol *protocol = listener->edge->protocols[listener->protocol];
    enum err_code why = judge(listener->edge, protocol, peer, false);
    if (why != ERR_NONE)
        edge_turn_away(listener, handle, peer, why);
    else
        protocol->begin(listener, handle, peer);
}

enum err_code edge_session_readdress(struct edge_session *session, const struct peer_address *peer)
{
    bool is_same = strcmp(session->client->text, peer->text) == 0;
    enum err_code why = is_same ? ERR_NONE : judge(session->edge, session->protocol, peer, true);
    if (!edge_session_move(session, peer))
        return ERR_NO_MEMORY;
    if (why != ERR_NONE)
        log_turned_away(session->edge, peer, why);
    return why;
}

/* --- Taking them ----------------------------------------------------------------------------- */

static void listen_again(struct timer *timer)
{
    struct edge_listener *listener = timer->arg;
    watch_want(listener->edge->loop, &listener->watch, READY_READ);
}

/* Out of descriptors or memory: the connection stays queued, so wait instead of spinning. */
static void take_a_rest(struct edge_listener *listener, int error)
{
    struct edge *edge = listener->edge;
    log_err(edge->log, "accept", err_os(error, listener->address));
    watch_want(edge->loop, &listener->watch, 0);
    timer_set(edge->loop, &listener->pause, edge->loop->now + EDGE_ACCEPT_PAUSE);
}

/* A user of this host is counted, limited and logged like an address. */
static void local_name(struct peer_address *peer)
{
    struct buf text = {.p = peer->text, .cap = sizeof peer->text, .max = sizeof peer->text - 1};
    memset(peer->text, 0, sizeof peer->text);
    buf_printf(&text, "uid %lld", (long long)peer->uid);
}

static bool accept_one(struct edge_listener *listener)
{
    struct edge *edge = listener->edge;
    struct peer_address peer = {.uid = -1, .pid = -1};
    int handle = edge->world->ops->accept(edge->world, listener->watch.handle, &peer);
    if (handle == -EAGAIN)
        return false;
    if (handle == -EMFILE || handle == -ENFILE || handle == -ENOMEM || handle == -ENOBUFS) {
        take_a_rest(listener, -handle);
        return false;
    }
    if (handle < 0) /* it broke while it waited; the next may be well */
        return true;
    if (listener->protocol == LISTEN_LOCAL)
        local_name(&peer);
    if (conf_networks_hold(&edge->conf->server.proxy_from, str_from(peer.text)))
        proxied_begin(listener, handle, &peer);
    else
        edge_admit(listener, handle, &peer);
    return true;
}

static void connections(struct watch *watch, unsigned ready)
{
    (void)ready;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        if (!accept_one(watch->arg))
            return;
    }
}

struct err edge_listen(struct edge *edge, enum listen_protocol protocol, int handle,
                       struct str address)
{
    struct edge_listener *listener = calloc(1, sizeof *listener + address.n);
    int failed = -ENOMEM;
    if (listener) {
        memcpy(listener + 1, address.p, address.n);
        listener->edge = edge;
        listener->protocol = protocol;
        listener->address = str_make(listener + 1, address.n);
        listener->pause = (struct timer){.run = listen_again, .arg = listener};
        listener->watch = (struct watch){
            .handle = handle, .want = READY_READ, .ready = connections, .arg = listener};
        failed = edge->protocols[protocol] ? watch_begin(edge->loop, &listener->watch) : -EINVAL;
    }
    if (failed < 0) {
        edge->world->ops->close(edge->world, handle);
        free(listener);
        return err_os(-failed, STR("listening socket"));
    }
    SLIST_INSERT_HEAD(&edge->listeners, listener, link);
    return err_none();
}

static void listeners_close(struct edge *edge)
{
    while (!SLIST_EMPTY(&edge->listeners)) {
        struct edge_listener *listener = SLIST_FIRST(&edge->listeners);
        SLIST_REMOVE_HEAD(&edge->listeners, link);
        timer_clear(edge->loop, &listener->pause);
        watch_end(edge->loop, &listener->watch);
        edge->world->ops->close(edge->world, listener->watch.handle);
        free(listener);
    }
}

static void waited_enough(struct timer *timer)
{
    wait_over(timer->arg);
}

static void sessions_stop(struct edge *edge)
{
    for (struct edge_session *session = TAILQ_FIRST(&edge->sessions), *next; session;
         session = next) {
        next = TAILQ_NEXT(session, link);
        session->protocol->stop(session);
    }
}

void edge_stop(struct edge *edge)
{
    struct wait wait = {.fiber = NULL};
    struct timer late = {.run = waited_enough, .arg = &wait};
    proxied_end_all(edge);
    listeners_close(edge);
    sessions_stop(edge);
    if (TAILQ_EMPTY(&edge->sessions))
        return;
    edge->stopping = &wait;
    timer_set(edge->loop, &late, edge->loop->now + EDGE_STOP_WAIT);
    wait_for(&wait);
    edge->stopping = NULL;
    timer_clear(edge->loop, &late);
    if (edge->session_count > 0)
        log_event(edge->log, LOG_WARN, "stop_unfinished", log_u64("sessions", edge->session_count));
}
