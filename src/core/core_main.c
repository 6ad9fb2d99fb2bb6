/*
 * The role: what core opens before its sandbox closes, and how it begins and stops.
 */
#include "core/core.h"

#include "base/must.h"
#include "core/control.h"
#include "core/keys.h"
#include "core/peer.h"
#include "core/queue.h"
#include "core/secrets.h"
#include "core/store_open.h"
#include "core/tokens.h"
#include "role/role.h"
#include "store/local/local.h"
#include "sys/process.h"

static const char core_user[] = "veredus-core";

struct core_role {
    struct core core;
    struct keys *keys;
    struct secrets *secrets;
    struct tokens *tokens;
    struct resent *resent;
    struct engine *engine;
    struct control control;
    int control_handle;
    struct buf token_keys; /* what was told before there was a core */
    bool begun;
};

static struct err core_prepare(struct role *role)
{
    struct core_role *own = role->arg;
    const struct conf *conf = role->conf;
    struct err e = process_make_folder(conf->server.data, 0700);
    if (e.code == ERR_EXISTS)
        e = err_none();
    if (!err_is(e) && role->as_root)
        e = process_give_folder(conf->server.data, str_from(core_user));
    if (!err_is(e))
        e = process_listen_unix(conf->server.control, &own->control_handle);
    return e;
}

static void core_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_FOLDER | SANDBOX_ACCEPT;
    sandbox->folder = role->conf->server.data;
    sandbox->user = role->as_root ? str_from(core_user) : str_null();
}

/* The store, and core on top of it; on an error nothing of either is left. */
static struct err core_try(struct role *role, enum store_look look)
{
    struct core_role *own = role->arg;
    bool rebuilt = false;
    own->resent = resent_new(role->loop.world);
    if (!own->resent)
        return err_make(ERR_NO_MEMORY);
    struct err e =
        store_open(&role->loop, role->conf, true, look, own->resent, &own->engine, &rebuilt);
    if (rebuilt)
        log_event(&role->log, LOG_WARN, "index_rebuilt",
                  log_str("why", STR("it was damaged; everything in it is in the log")));
    if (!err_is(e)) {
        e = core_open(&own->core, &role->loop, role->fibers, &role->log, role->conf, own->engine,
                      own->resent);
        if (err_is(e))
            engine_close(own->engine);
    }
    if (err_is(e))
        resent_free(own->resent);
    return e;
}

/* Without them nobody logs in by a token; everybody else does. */
static void token_keys_begin(struct role *role)
{
    struct core_role *own = role->arg;
    struct err e = login_token_keys(&own->core, buf_str(&own->token_keys));
    own->begun = true;
    if (err_is(e))
        log_err(&role->log, "token_keys_not_taken", e);
    buf_done(&own->token_keys);
}

static void resolver_lost(void *arg)
{
    role_unlinked(arg, ROLE_RESOLVER);
}

static void terminals_lost(void *arg)
{
    role_unlinked(arg, ROLE_TERMINAL);
}

static struct err core_begin(struct role *role)
{
    struct core_role *own = role->arg;
    struct err e = core_try(role, role->after_fault ? STORE_LOOK_ALL : STORE_LOOK_ROOTS);
    if (e.code == ERR_STORE_DAMAGED) /* met on the way: now every page is looked at */
        e = core_try(role, STORE_LOOK_ALL);
    if (!err_is(e))
        e = keys_begin(own->keys, &own->core);
    if (!err_is(e)) {
        token_keys_begin(role);
        own->core.secrets = own->secrets;
        own->core.tokens = own->tokens;
        dns_client_init(&own->core.dns, &role->loop, ROLE_CORE, resolver_lost, role);
        if (role->conf->terminal.commands)
            terminals_init(&own->core.terminals, &role->loop, terminals_lost, role);
    }
    if (!err_is(e))
        e = control_open(&own->control, &own->core, own->control_handle);
    return e;
}

static void core_configured(struct role *role, const struct conf *conf)
{
    struct core_role *own = role->arg;
    core_configure(&own->core, conf);
    secrets_forget(own->secrets, conf);
    tokens_forget(own->tokens, conf);
    local_set_least_free(own->core.engine, conf->store.least_free);
}

/* One that was put right may be what its mail waited for. */
static struct err route_secret_take(struct core_role *own, const struct msg_route_secret *told)
{
    const struct msg_route_secret none = {.name = told->name, .via = told->via};
    bool changed;
    struct err e = tokens_take(own->tokens, told, &changed);
    if (!err_is(e))
        e = secrets_take(own->secrets, told->grant ? &none : told);
    if (changed && own->begun)
        queue_route_mended(own->core.queue, told->name);
    return e;
}

static struct err core_told(struct role *role, const struct msg *msg)
{
    struct core_role *own = role->arg;
    if (msg->kind == MSG_certificate_files)
        return keys_take(own->keys, &msg->certificate_files);
    if (msg->kind == MSG_route_secret)
        return route_secret_take(own, &msg->route_secret);
    if (own->begun)
        return login_token_keys(&own->core, msg->token_keys_file.json);
    buf_clear(&own->token_keys);
    return err_make(buf_put(&own->token_keys, msg->token_keys_file.json) ? ERR_NONE
                                                                         : ERR_NO_MEMORY);
}

static void core_peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    struct core_role *own = role->arg;
    bool asked = peer == ROLE_RESOLVER || peer == ROLE_TERMINAL; /* by us */
    struct err e = peer == ROLE_RESOLVER   ? dns_client_attach(&own->core.dns, handle)
                   : peer == ROLE_TERMINAL ? terminals_attach(&own->core.terminals, handle)
                                           : peer_add(&own->core, handle, peer, instance);
    if (!err_is(e))
        return;
    if (!asked)
        role->world->ops->close(role->world, handle);
    log_err(&role->log, "peer_not_taken", e);
}

static void core_stop(struct role *role)
{
    struct core_role *own = role->arg;
    control_close(&own->control);
    core_close(&own->core);
    keys_end(own->keys);
    keys_free(own->keys);
    secrets_free(own->secrets);
    tokens_free(own->tokens);
    engine_close(own->engine);
    resent_free(own->resent);
}

int core_main(void)
{
    static const struct role_table table = {
        .name = "core",
        .role = ROLE_CORE,
        .fibers = CORE_FIBERS,
        .prepare = core_prepare,
        .sandbox = core_sandbox,
        .begin = core_begin,
        .configure = core_configured,
        .peer = core_peer,
        .told = core_told,
        .stop = core_stop,
    };
    struct core_role *own = calloc(1, sizeof(*own));
    must(own);
    own->keys = keys_new();
    own->secrets = secrets_new();
    own->tokens = tokens_new();
    must(own->keys && own->secrets && own->tokens);
    buf_init(&own->token_keys, TOKEN_KEYS_OCTETS);
    int code = role_run(&table, own);
    free(own);
    return code;
}
