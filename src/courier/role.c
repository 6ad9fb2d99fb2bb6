#include "courier/role.h"

#include "courier/courier.h"
#include "role/role.h"
#include "sys/process.h"

enum {
    FILES_MAX = 10000,         /* descriptors: two for each connection conf.def allows, and some */
    AUTHORITIES_MAX = 4 << 20, /* octets; Debian's list has a quarter of a million */
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

/* Whom this machine trusts. Without them no certificate is good, which most mail does not need. */
struct tls_client *courier_tls_open(struct log *log, struct str authorities)
{
    struct str path = authorities.n > 0 ? authorities : STR("/etc/ssl/certs/ca-certificates.crt");
    struct buf pem = BUF_INIT(AUTHORITIES_MAX);
    struct tls_client *client = tls_client_new();
    struct err e = process_read_file(path, AUTHORITIES_MAX, &pem);
    int count = client && !err_is(e) ? tls_client_authorities(client, buf_str(&pem)) : 0;
    if (count <= 0)
        log_event(log, LOG_WARN, "no_authorities", log_str("file", path));
    buf_done(&pem);
    return client;
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
    own->courier.tls = courier_tls_open(&role->log, role->conf->sending.authorities);
    own->courier.core_lost = alone;
    return err_is(e) || own->courier.tls ? e : err_make(ERR_NO_MEMORY);
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
    struct err e = err_none();
    if (peer == ROLE_CORE)
        e = courier_core_attach(&own->courier, handle);
    else if (peer == ROLE_RESOLVER)
        e = dns_client_attach(&own->courier.dns, handle);
    else
        role->world->ops->close(role->world, handle);
    if (err_is(e))
        log_err(&role->log, "peer_not_taken", e);
    if (!own->courier.core)
        alone(&own->courier);
}

static void stop(struct role *role)
{
    struct courier_role *own = role->arg;
    timer_clear(&role->loop, &own->alone);
    own->courier.core_lost = NULL;
    bool over = courier_stop(&own->courier);
    if (over) /* else the process takes them along */
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
