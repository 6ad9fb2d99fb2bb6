/*
 * Opening and closing, and who is here. Client addresses are counted in a tree and not in a hash: a
 * stranger with many addresses could choose those that collide.
 */
#include "edge/edge.h"

#include "edge/bans.h"
#include "edge/tls.h"

static int client_order(const struct edge_client *a, const struct edge_client *b)
{
    return strcmp(a->text, b->text);
}

RB_GENERATE_INTERNAL(edge_clients, edge_client, link, client_order, __attribute__((unused)) static)

void edge_configure(struct edge *edge, const struct conf *conf)
{
    const struct conf *before = edge->conf;
    edge->conf = conf_hold(conf);
    edge_tls_configure(edge);
    conf_let_go(before);
}

struct err edge_open(struct edge *edge, struct loop *loop, struct fiber_pool *fibers,
                     struct log *log, enum bus_role role, uint32_t instance,
                     const struct conf *conf)
{
    *edge = (struct edge){.magic = EDGE_MAGIC,
                          .world = loop->world,
                          .loop = loop,
                          .log = log,
                          .fibers = fibers,
                          .role = role,
                          .instance = instance,
                          .conf = conf_hold(conf)};
    dns_client_init(&edge->dns, loop, role, NULL, NULL);
    TAILQ_INIT(&edge->sessions);
    TAILQ_INIT(&edge->proxied);
    TAILQ_INIT(&edge->waiters);
    TAILQ_INIT(&edge->tries_open);
    TAILQ_INIT(&edge->tries_ended);
    SLIST_INIT(&edge->listeners);
    SLIST_INIT(&edge->lines);
    SLIST_INIT(&edge->scratches);
    RB_INIT(&edge->clients);
    unsigned char key[SIPHASH_KEY];
    world_random(edge->world, key, sizeof key);
    edge->door = door_open(DOOR_MOST, key);
    edge->streams = stream_pool_open(loop, EDGE_READ_BUFFERS);
    return edge->door && edge->streams ? edge_tls_open(edge) : err_make(ERR_NO_MEMORY);
}

void edge_close(struct edge *edge)
{
    must_be(edge, EDGE_MAGIC);
    must(TAILQ_EMPTY(&edge->sessions) && SLIST_EMPTY(&edge->listeners));
    must(TAILQ_EMPTY(&edge->tries_open) && TAILQ_EMPTY(&edge->proxied));
    task_cancel(edge->loop, &edge->seen_flush);
    edge_core_detach(edge);
    dns_client_done(&edge->dns);
    edge_tls_close(edge);
    edge_tries_close(edge);
    edge_scratches_close(edge);
    if (edge->streams)
        stream_pool_close(edge->streams);
    if (edge->door)
        door_close(edge->door);
    edge_bans_close(edge);
    conf_let_go(edge->conf);
    edge->magic = 0;
}

static struct edge_client *client_known(const struct edge *edge, const char *text)
{
    struct edge_client key;
    size_t n = strnlen(text, sizeof key.text - 1);
    memcpy(key.text, text, n);
    key.text[n] = '\0';
    struct edge_clients clients = edge->clients;
    return RB_FIND(edge_clients, &clients, &key);
}

static struct edge_client *client_find(struct edge *edge, const char *text)
{
    struct edge_client *client = client_known(edge, text);
    if (client)
        return client;
    client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    memcpy(client->text, text, strnlen(text, sizeof client->text - 1));
    RB_INSERT(edge_clients, &edge->clients, client);
    return client;
}

uint32_t edge_client_sessions(const struct edge *edge, const char *address)
{
    const struct edge_client *client = client_known(edge, address);
    return client ? client->sessions : 0;
}

/* Where it is counted; bits 0: nowhere. */
static struct network network_enter(struct edge *edge, const struct peer_address *peer)
{
    struct network address, network = {.bits = 0};
    if (network_address(str_from(peer->text), &address)) {
        network = network_cut(&address, DOOR_V4, DOOR_V6);
        if (!door_enter(edge->door, &network))
            network.bits = 0;
    }
    return network;
}

static bool client_enter(struct edge_session *session, struct edge *edge,
                         const struct peer_address *peer)
{
    struct edge_client *client = client_find(edge, peer->text);
    if (!client)
        return false;
    client->sessions++;
    session->client = client;
    session->network = network_enter(edge, peer);
    session->port = peer->port;
    session->uid = peer->uid;
    memcpy(session->server, peer->server, sizeof session->server);
    return true;
}

static void client_leave(struct edge *edge, struct edge_client *client,
                         const struct network *network)
{
    if (network->bits > 0)
        door_leave(edge->door, network);
    if (--client->sessions == 0) {
        RB_REMOVE(edge_clients, &edge->clients, client);
        free(client);
    }
}

bool edge_session_move(struct edge_session *session, const struct peer_address *peer)
{
    struct edge_client *client = session->client;
    struct network network = session->network;
    if (!client_enter(session, session->edge, peer))
        return false;
    client_leave(session->edge, client, &network);
    return true;
}

bool edge_session_begin(struct edge_session *session, struct edge *edge,
                        enum listen_protocol listen, const struct peer_address *peer)
{
    *session = (struct edge_session){
        .edge = edge, .protocol = edge->protocols[listen], .conf = edge->conf, .listen = listen};
    if (!client_enter(session, edge, peer))
        return false;
    conf_hold(session->conf);
    edge->session_count++;
    edge->session_total++;
    TAILQ_INSERT_TAIL(&edge->sessions, session, link);
    return true;
}

static void log_out(struct edge_session *session)
{
    struct edge *edge = session->edge;
    const struct edge_login *login = &session->login;
    struct msg msg = {.kind = MSG_logout, .logout = {.handle = login->handle}};
    if (login->handle && !login->over && login->core_since == edge->core_since)
        edge_tell(edge, &msg);
    free(login->address);
}

void edge_session_end(struct edge_session *session)
{
    struct edge *edge = session->edge;
    log_out(session);
    TAILQ_REMOVE(&edge->sessions, session, link);
    edge->session_count--;
    client_leave(edge, session->client, &session->network);
    conf_let_go(session->conf);
    if (edge->stopping && TAILQ_EMPTY(&edge->sessions))
        wait_over(edge->stopping);
}
