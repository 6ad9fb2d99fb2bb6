#include "courier/role.h"

#include "courier/courier.h"
#include "role/role.h"

enum {
    FILES_MAX = 10000 /* descriptors: two for each connection conf.def allows, and some */
};

struct courier_role {
    struct role *role;
    struct courier courier;
    struct timer alone; /* without a link to core */
};

static void alone(struct courier *courier)
{
    struct courier_role *own = courier->arg;
    timer_set(&own->role->loop, &own->alone, own->role->loop.now + COURIER_CORE_ALONE);
}

/* Where core died, the parent links the next one and has nothing to do. Else it must be told. */
static void still_alone(struct timer *timer)
{
    struct courier_role *own = timer->arg;
    if (own->courier.core || own->role->state != ROLE_SERVES || own->role->parent_gone)
        return;
    role_unlinked(own->role, ROLE_CORE);
    alone(&own->courier);
}

static struct err prepare(struct role *role)
{
    struct courier_role *own = role->arg;
    if (!tls_prepare())
        return err_make(ERR_NO_MEMORY);
    struct err e = courier_open(&own->courier, &role->loop, role->fibers, &role->log,
                                role->instance, role->conf);
    own->role = role;
    own->alone = (struct timer){.run = still_alone, .arg = own};
    own->courier.arg = own;
    own->courier.core_lost = alone;
    return e;
}

static void sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_CONNECT;
    sandbox->max_files = FILES_MAX;
    if (role->as_root)
        sandbox->user = STR("veredus-courier");
}

static void resolver_lost(void *arg)
{
    role_unlinked(arg, ROLE_RESOLVER);
}

/* The parent may have had no descriptor for its first links. */
static struct err begin(struct role *role)
{
    struct courier_role *own = role->arg;
    alone(&own->courier);
    dns_client_init(&own->courier.dns, &role->loop, ROLE_COURIER, resolver_lost, role);
    return err_none();
}

static void configure(struct role *role, const struct conf *conf)
{
    struct courier_role *own = role->arg;
    courier_configure(&own->courier, conf);
}

static void peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    struct courier_role *own = role->arg;
    (void)instance;
    struct err e = peer == ROLE_RESOLVER ? dns_client_attach(&own->courier.dns, handle)
                                         : courier_core_attach(&own->courier, handle);
    if (err_is(e))
        log_err(&role->log, peer == ROLE_RESOLVER ? "resolver" : "core", e);
    if (!own->courier.core)
        alone(&own->courier);
}

static void stop(struct role *role)
{
    struct courier_role *own = role->arg;
    timer_clear(&role->loop, &own->alone);
    own->courier.core_lost = NULL;
    if (courier_stop(&own->courier)) /* else the process takes them along */
        courier_close(&own->courier);
}

int courier_main(void)
{
    struct courier_role *own = calloc(1, sizeof *own);
    if (!own)
        return 1;
    const struct role_table table = {
        .name = "courier",
        .role = ROLE_COURIER,
        .fibers = COURIER_FIBERS,
        .prepare = prepare,
        .sandbox = sandbox,
        .begin = begin,
        .configure = configure,
        .peer = peer,
        .stop = stop,
    };
    int exit_code = role_run(&table, own);
    free(own);
    return exit_code;
}
