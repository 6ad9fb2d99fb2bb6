#include "edge/pop3/role.h"

#include "edge/pop3/session.h"
#include "edge/role.h"

static bool protocols_open(struct edge *edge)
{
    edge->protocols[LISTEN_POP3] = edge->protocols[LISTEN_POP3S] = &pop3_protocol;
    return true;
}

static void protocols_close(struct edge *edge)
{
    edge->protocols[LISTEN_POP3] = edge->protocols[LISTEN_POP3S] = NULL;
}

static const struct edge_kind box = {
    .name = "box",
    .role = ROLE_BOX,
    .open = protocols_open,
    .close = protocols_close,
};

int edge_box_main(void)
{
    return edge_role_run(&box);
}
