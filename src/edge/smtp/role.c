#include "edge/smtp/role.h"

#include "edge/role.h"
#include "edge/smtp/session.h"

static const struct edge_kind mx = {
    .name = "mx",
    .role = ROLE_MX,
    .open = smtp_open,
    .close = smtp_close,
};

static const struct edge_kind sub = {
    .name = "sub",
    .role = ROLE_SUB,
    .open = smtp_open,
    .close = smtp_close,
};

int edge_mx_main(void)
{
    return edge_role_run(&mx);
}

int edge_sub_main(void)
{
    return edge_role_run(&sub);
}
