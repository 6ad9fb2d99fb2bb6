#include "edge/proxied.h"

#include <errno.h>

#include "format/proxy.h"

#define PROXIED_MAGIC MAGIC('P', 'R', 'O', 'X')

struct edge_proxied {
    uint32_t magic;
    TAILQ_ENTRY(edge_proxied) link;
    struct edge_listener *listener;
    struct peer_address peer; /* the proxy's */
    struct watch watch;
    struct timer late;
    size_t n;
    char octets[PROXY_MAX];
};

/* The handle stays open. */
static void forget(struct edge_proxied *proxied)
{
    struct edge *edge = proxied->listener->edge;
    watch_end(edge->loop, &proxied->watch);
    timer_clear(edge->loop, &proxied->late);
    TAILQ_REMOVE(&edge->proxied, proxied, link);
    edge->proxied_count--;
    proxied->magic = 0;
    free(proxied);
}

/* What came is read first: closing on top of it would reset the connection, and the line with it.
 */
static void refuse(struct edge_proxied *proxied)
{
    struct edge_listener *listener = proxied->listener;
    struct world *world = listener->edge->world;
    struct peer_address peer = proxied->peer;
    int handle = proxied->watch.handle;
    (void)world->ops->recv(world, handle, proxied->octets, sizeof proxied->octets);
    forget(proxied);
    edge_turn_away(listener, handle, &peer, ERR_PROXY_EXPECTED);
}

static void cut(struct edge_proxied *proxied)
{
    struct edge *edge = proxied->listener->edge;
    int handle = proxied->watch.handle;
    forget(proxied);
    edge->world->ops->close(edge->world, handle);
}

static void admit(struct edge_proxied *proxied, const struct proxy *proxy)
{
    struct edge_listener *listener = proxied->listener;
    struct peer_address peer = proxied->peer;
    int handle = proxied->watch.handle;
    if (!proxy->local) {
        memcpy(peer.text, proxy->client, sizeof peer.text);
        memcpy(peer.server, proxy->server, sizeof peer.server);
        peer.port = proxy->client_port;
        peer.uid = peer.pid = -1;
    }
    forget(proxied);
    edge_admit(listener, handle, &peer);
}

static void ready(struct watch *watch, unsigned what)
{
    struct edge_proxied *proxied = watch->arg;
    must_be(proxied, PROXIED_MAGIC);
    struct world *world = proxied->listener->edge->world;
    enum proxy_found found = PROXY_MORE;
    struct proxy proxy;
    size_t used;
    (void)what;
    while (found == PROXY_MORE) {
        size_t wanted = proxy_wanted(str_make(proxied->octets, proxied->n));
        ssize_t n =
            wanted > PROXY_MAX - proxied->n
                ? -EMSGSIZE
                : world->ops->recv(world, watch->handle, proxied->octets + proxied->n, wanted);
        if (n == -EAGAIN)
            return;
        if (n <= 0 && n != -EMSGSIZE) {
            cut(proxied);
            return;
        }
        proxied->n += n > 0 ? (size_t)n : 0;
        found =
            n > 0 ? proxy_parse(str_make(proxied->octets, proxied->n), &proxy, &used) : PROXY_BAD;
    }
    if (found == PROXY_WHOLE)
        admit(proxied, &proxy);
    else
        refuse(proxied);
}

static void too_late(struct timer *timer)
{
    struct edge_proxied *proxied = timer->arg;
    must_be(proxied, PROXIED_MAGIC);
    refuse(proxied);
}

void proxied_begin(struct edge_listener *listener, int handle, const struct peer_address *peer)
{
    struct edge *edge = listener->edge;
    struct edge_proxied *proxied =
        edge->proxied_count < PROXIED_MOST ? malloc(sizeof *proxied) : NULL;
    if (!proxied) {
        edge_turn_away(listener, handle, peer, ERR_TOO_MANY_SESSIONS);
        return;
    }
    proxied->magic = PROXIED_MAGIC;
    proxied->listener = listener;
    proxied->peer = *peer;
    proxied->n = 0;
    proxied->late = (struct timer){.run = too_late, .arg = proxied};
    proxied->watch =
        (struct watch){.handle = handle, .want = READY_READ, .ready = ready, .arg = proxied};
    if (watch_begin(edge->loop, &proxied->watch) < 0) {
        free(proxied);
        edge_turn_away(listener, handle, peer, ERR_TOO_MANY_SESSIONS);
        return;
    }
    TAILQ_INSERT_TAIL(&edge->proxied, proxied, link);
    edge->proxied_count++;
    timer_set(edge->loop, &proxied->late, edge->loop->now + PROXIED_WAIT);
}

void proxied_end_all(struct edge *edge)
{
    struct edge_proxied *proxied;
    while ((proxied = TAILQ_FIRST(&edge->proxied)))
        cut(proxied);
}
