#include "edge/http/role.h"

#include "edge/http/session.h"
#include "edge/role.h"

static bool protocols_open(struct edge *edge)
{
    edge->protocols[LISTEN_HTTP] = edge->protocols[LISTEN_HTTPS] = &http_protocol;
    return true;
}

static void protocols_close(struct edge *edge)
{
    edge->protocols[LISTEN_HTTP] = edge->protocols[LISTEN_HTTPS] = NULL;
}

static const struct edge_kind web = {
    .name = "web",
    .role = ROLE_WEB,
    .open = protocols_open,
    .close = protocols_close,
};

int edge_web_main(void)
{
    return edge_role_run(&web);
}
