/*
 * The role: what libunbound is told from the configuration, and the walls around it.
 *
 * A reload makes a new context beside the old one; only a good one takes its place. Where it is to
 * ask at ports that the walls do not know, the role ends: the parent starts another.
 */
#include "role/role.h"
#include "base/must.h"
#include "conf/conf.h"
#include "resolver/anchors.h"
#include "resolver/resolver.h"

enum {
    FIBERS = 4,
    FILES_MAX = 8192, /* descriptors: each question over UDP has one of its own */
    SERVER_MAX = 64,  /* octets of an address and its port */
    ARENA = 4 * 1024 * 1024,
    SUM_MAX = 4 * 1024 * 1024, /* octets of the settings, one behind the other */
    WHY_MAX = 8192,
};

struct resolver_role {
    struct resolver resolver;
    struct buf anchors; /* as the parent told them */
    struct buf sum;     /* of the settings in use, to see whether a reload changes them */
    uint16_t ports[SANDBOX_PORTS_MAX];
    size_t port_count;
};

/* --- Settings -------------------------------------------------------------------------------- */

/* conf has "192.0.2.1:53" and "[2001:db8::1]:53", libunbound wants "192.0.2.1@53". */
static struct str server_at(struct str text, struct arena *arena)
{
    size_t colon = (size_t)str_last_index(text, ':');
    struct str host = str_head(text, colon);
    struct buf to = buf_in(arena, SERVER_MAX);
    if (str_starts(host, STR("[")))
        host = str_make(host.p + 1, host.n - 2);
    buf_put(&to, host);
    buf_putc(&to, '@');
    buf_put(&to, str_from_index(text, colon + 1));
    return buf_built(&to);
}

static const struct str *servers_at(const struct conf_texts *texts, struct arena *arena)
{
    struct str *list = arena_take_array(arena, texts->count, sizeof(*list));
    for (size_t i = 0; list && i < texts->count; i++)
        list[i] = server_at(texts->list[i], arena);
    return list;
}

/* False: no memory. */
static bool settings_make(const struct conf *conf, struct str anchors, struct arena *arena,
                          struct dns_settings *to)
{
    struct dns_stub *stubs = arena_take_array(arena, conf->zone_count, sizeof(*stubs));
    for (size_t i = 0; stubs && i < conf->zone_count; i++) {
        const struct conf_zone *zone = &conf->zones[i];
        stubs[i] = (struct dns_stub){.zone = zone->name,
                                     .servers = servers_at(&zone->servers, arena),
                                     .count = zone->servers.count,
                                     .unsigned_zone = !zone->dnssec};
    }
    *to = (struct dns_settings){.forwarders = servers_at(&conf->dns.forwarders, arena),
                                .forwarder_count = conf->dns.forwarders.count,
                                .stubs = stubs,
                                .stub_count = conf->zone_count,
                                .anchors = anchors.n ? anchors : root_anchors(),
                                .cache_size = conf->dns.cache_size,
                                .limit = conf->dns.timeout,
                                .under_way = conf->dns.questions};
    return !arena_over(arena);
}

static void sum_servers(struct buf *to, const struct str *servers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(to, "%.*s\n", STR_FMT(servers[i]));
    buf_putc(to, '\n');
}

static void sum_make(const struct dns_settings *settings, struct buf *to)
{
    buf_printf(to, "%llu %lld %zu\n", (unsigned long long)settings->cache_size,
               (long long)settings->limit, settings->under_way);
    sum_servers(to, settings->forwarders, settings->forwarder_count);
    for (size_t i = 0; i < settings->stub_count; i++) {
        const struct dns_stub *stub = &settings->stubs[i];
        buf_printf(to, "%.*s %d\n", STR_FMT(stub->zone), stub->unsigned_zone);
        sum_servers(to, stub->servers, stub->count);
    }
    buf_put(to, settings->anchors);
}

/* --- Ports ----------------------------------------------------------------------------------- */

static bool port_known(const struct resolver_role *own, uint64_t port)
{
    for (size_t i = 0; i < own->port_count; i++)
        if (own->ports[i] == port)
            return true;
    return false;
}

/* Those that are not among the role's; with `add` they are then, as long as there is room. */
static bool ports_known(struct resolver_role *own, const struct conf_texts *texts, bool add)
{
    bool known = true;
    for (size_t i = 0; i < texts->count; i++) {
        struct str text = texts->list[i];
        uint64_t port = 0;
        str_to_u64(str_from_index(text, (size_t)str_last_index(text, ':') + 1), &port);
        if (port_known(own, port))
            continue;
        known = false;
        if (add && own->port_count < SANDBOX_PORTS_MAX)
            own->ports[own->port_count++] = (uint16_t)port;
    }
    return known;
}

static bool all_ports_known(struct resolver_role *own, const struct conf *conf, bool add)
{
    bool known = ports_known(own, &conf->dns.forwarders, add);
    for (size_t i = 0; i < conf->zone_count; i++)
        known = ports_known(own, &conf->zones[i].servers, add) && known;
    return known;
}

/* --- The role -------------------------------------------------------------------------------- */

static void sandbox(struct role *role, struct sandbox *sandbox)
{
    struct resolver_role *own = role->arg;
    own->ports[own->port_count++] = 53;
    (void)all_ports_known(own, role->conf, true);
    sandbox->rights = SANDBOX_CONNECT;
    sandbox->ports = own->ports;
    sandbox->port_count = own->port_count;
    sandbox->max_files = FILES_MAX;
    if (role->as_root)
        sandbox->user = STR("veredus-dns");
}

/* One by the settings, where they differ from those in use: else *dns_r is NULL. */
static struct err dns_make(struct role *role, const struct conf *conf, struct dns **dns_r)
{
    struct resolver_role *own = role->arg;
    struct arena arena;
    struct dns_settings settings;
    struct buf sum = BUF_INIT(SUM_MAX), why = BUF_INIT(WHY_MAX);
    struct err e = err_none();
    *dns_r = NULL;
    arena_init(&arena, ARENA);
    if (!settings_make(conf, buf_str(&own->anchors), &arena, &settings))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e))
        sum_make(&settings, &sum);
    if (!err_is(e) && !str_eq(buf_str(&sum), buf_str(&own->sum)))
        e = dns_unbound_open(&role->loop, &settings, dns_r, &why);
    if (err_is(e))
        log_event(&role->log, LOG_FAIL, "dns_settings_refused", log_str("why", buf_str(&why)));
    if (*dns_r) {
        buf_done(&own->sum);
        own->sum = sum;
    } else {
        buf_done(&sum);
    }
    buf_done(&why);
    arena_done(&arena);
    return e;
}

struct opening {
    struct task task;
    struct wait wait;
    struct role *role;
    struct dns *dns;
    struct err e;
};

static void open_now(struct task *task)
{
    struct opening *opening = task->arg;
    opening->e = dns_make(opening->role, opening->role->conf, &opening->dns);
    wait_over(&opening->wait);
}

/* Not on the fiber: libunbound has arrays on the stack that are larger than it. */
static struct err begin(struct role *role)
{
    struct resolver_role *own = role->arg;
    struct opening opening = {.role = role};
    opening.task = (struct task){.run = open_now, .arg = &opening};
    loop_soon(&role->loop, &opening.task);
    wait_for(&opening.wait);
    if (!err_is(opening.e))
        resolver_open(&own->resolver, &role->loop, &role->log, opening.dns,
                      role->conf->dns.questions);
    return opening.e;
}

static void configure(struct role *role, const struct conf *conf)
{
    struct resolver_role *own = role->arg;
    struct dns *dns;
    if (!all_ports_known(own, conf, false)) {
        log_event(&role->log, LOG_INFO, "resolver_begins_anew",
                  log_str("why", STR("servers at other ports")));
        role_leave(role);
        return;
    }
    struct err e = dns_make(role, conf, &dns);
    if (!err_is(e) && dns)
        resolver_use(&own->resolver, dns, conf->dns.questions);
}

static void peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    struct resolver_role *own = role->arg;
    struct err e = resolver_peer_add(&own->resolver, handle, peer, instance);
    if (err_is(e))
        log_err(&role->log, "peer_not_taken", e);
}

static struct err told(struct role *role, const struct msg *msg)
{
    struct resolver_role *own = role->arg;
    buf_clear(&own->anchors);
    if (msg->kind != MSG_trust_anchors || !buf_put(&own->anchors, msg->trust_anchors.text))
        return err_make(ERR_NO_MEMORY);
    return err_none();
}

/* Nothing was promised; what is there goes with the process. */
static void stop(struct role *role)
{
    (void)role;
}

int resolver_main(void)
{
    static const struct role_table table = {
        .name = "resolver",
        .role = ROLE_RESOLVER,
        .fibers = FIBERS,
        .sandbox = sandbox,
        .begin = begin,
        .configure = configure,
        .peer = peer,
        .told = told,
        .stop = stop,
    };
    struct resolver_role *own = calloc(1, sizeof(*own));
    must(own);
    buf_init(&own->anchors, TRUST_ANCHORS_MAX);
    buf_init(&own->sum, SUM_MAX);
    int code = role_run(&table, own);
    buf_done(&own->anchors);
    buf_done(&own->sum);
    free(own);
    return code;
}
