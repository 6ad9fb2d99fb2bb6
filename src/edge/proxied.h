/*
 * Connections through a proxy: the PROXY header (format/proxy.h) in front of them says whose they
 * are. From server.proxy_from it has to be there, and from nobody else is it looked for.
 *
 * It is read before anything else, also before TLS, and not an octet beyond it. A connection
 * without one, or whose header does not come within PROXIED_WAIT, gets a line and is closed.
 */
#ifndef EDGE_PROXIED_H
#define EDGE_PROXIED_H

#include "edge/edge.h"

enum {
    PROXIED_MOST = 1000 /* that wait for their header; more are turned away */
};
#define PROXIED_WAIT (5 * NS_PER_SECOND)

/* Takes the handle over; when the header is there, edge_admit is called with the address in it. */
void proxied_begin(struct edge_listener *listener, int handle, const struct peer_address *peer);
/* Those that wait are closed: the edge stops. */
void proxied_end_all(struct edge *edge);

#endif
