#include "edge/role.h"

#include "role/role.h"

enum {
    FILES_MAX = 20000 /* descriptors: the most sessions conf.def allows, and a thousand */
};

struct edge_role {
    const struct edge_kind *kind;
    struct role *role;
    struct edge edge;
    struct timer alone; /* without a link to core */
};

static void alone(struct edge *edge)
{
    struct edge_role *own = edge->arg;
    timer_set(&own->role->loop, &own->alone, own->role->loop.now + EDGE_CORE_ALONE);
}

/* Where core died, the parent links the next one and has nothing to do. Else it must be told: it
 * does not see the links that it made. */
static void still_alone(struct timer *timer)
{
    struct edge_role *own = timer->arg;
    if (own->edge.core || own->role->state != ROLE_SERVES || own->role->parent_gone)
        return;
    role_unlinked(own->role, ROLE_CORE);
    alone(&own->edge);
}

static struct err prepare(struct role *role)
{
    struct edge_role *own = role->arg;
    if (!tls_prepare())
        return err_make(ERR_NO_MEMORY);
    struct err e = edge_open(&own->edge, &role->loop, role->fibers, &role->log, own->kind->role,
                             role->instance, role->conf);
    if (err_is(e))
        return e;
    own->role = role;
    own->alone = (struct timer){.run = still_alone, .arg = own};
    own->edge.arg = own;
    own->edge.core_lost = alone;
    return err_make(own->kind->open(&own->edge) ? ERR_NONE : ERR_NO_MEMORY);
}

static void sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_ACCEPT;
    sandbox->max_files = FILES_MAX;
    if (role->as_root)
        sandbox->user = STR("veredus-edge");
}

static void resolver_lost(void *arg)
{
    role_unlinked(arg, ROLE_RESOLVER);
}

/* The parent may have had no descriptor for its first links. */
static struct err begin(struct role *role)
{
    struct edge_role *own = role->arg;
    alone(&own->edge);
    if (own->edge.role == ROLE_MX)
        dns_client_init(&own->edge.dns, &role->loop, ROLE_MX, resolver_lost, role);
    return err_none();
}

static void configure(struct role *role, const struct conf *conf)
{
    struct edge_role *own = role->arg;
    edge_configure(&own->edge, conf);
}

static void peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    struct edge_role *own = role->arg;
    (void)instance;
    struct err e = peer == ROLE_RESOLVER ? dns_client_attach(&own->edge.dns, handle)
                                         : edge_core_attach(&own->edge, handle);
    if (err_is(e))
        log_err(&role->log, peer == ROLE_RESOLVER ? "resolver" : "core", e);
    if (!own->edge.core)
        alone(&own->edge);
}

static struct err begin_listening(struct role *role, enum listen_protocol protocol,
                                  struct str address, int handle)
{
    struct edge_role *own = role->arg;
    return edge_listen(&own->edge, protocol, handle, address);
}

static void stop(struct role *role)
{
    struct edge_role *own = role->arg;
    timer_clear(&role->loop, &own->alone);
    own->edge.core_lost = NULL;
    edge_stop(&own->edge);
    if (own->edge.session_count > 0) /* the process takes them along */
        return;
    own->kind->close(&own->edge);
    edge_close(&own->edge);
}

int edge_role_run(const struct edge_kind *kind)
{
    struct edge_role *own = calloc(1, sizeof *own);
    if (!own)
        return 1;
    own->kind = kind;
    const struct role_table table = {
        .name = kind->name,
        .role = kind->role,
        .fibers = EDGE_FIBERS,
        .prepare = prepare,
        .sandbox = sandbox,
        .begin = begin,
        .configure = configure,
        .peer = peer,
        .listen = begin_listening,
        .stop = stop,
    };
    int exit_code = role_run(&table, own);
    free(own);
    return exit_code;
}
