/*
 * An edge as a role: the checklist of role/role.h with an edge in it. The kinds differ in the
 * protocols they open and in who the parent takes them for.
 */
#ifndef EDGE_ROLE_H
#define EDGE_ROLE_H

#include "edge/edge.h"

struct edge_kind {
    const char *name; /* for the log and the sandbox's report */
    enum bus_role role;
    /* Before the sandbox: opens the protocols. False: no memory. */
    bool (*open)(struct edge *edge);
    void (*close)(struct edge *edge);
};

/* Runs an edge to its end; the exit code. */
int edge_role_run(const struct edge_kind *kind);

#endif
