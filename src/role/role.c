#include "role/role.h"

#include <errno.h>

#include "base/must.h"
#include "sys/process.h"

enum {
    REPORT_MAX = 16 * 1024,
    EARLY_ARENA = 1024 * 1024,
    EXIT_FAILED = 1,
};

/* --- Configuration --------------------------------------------------------------------------- */

static struct err conf_take(struct role *role, struct str text)
{
    const struct conf *conf;
    struct err e = conf_held_read(text, &role->conf_count, &conf);
    if (err_is(e))
        return e;
    conf_let_go(role->conf); /* who still looks at it holds it */
    role->conf = conf;
    role->log.least = (enum log_word)conf->server.log_least;
    return e;
}

/* The last part of a text: it is taken, and the next one begins. */
static struct err conf_end(struct role *role, struct str part)
{
    struct err e = err_make(ERR_NO_MEMORY);
    if (buf_put(&role->conf_parts, part) && !buf_over(&role->conf_parts))
        e = conf_take(role, buf_str(&role->conf_parts));
    buf_done(&role->conf_parts);
    buf_init(&role->conf_parts, CONF_TEXT_MAX);
    return e;
}

static void role_end(struct role *role, int exit_code)
{
    role->exit_code = exit_code;
    loop_stop(&role->loop);
}

/* --- Handles -----------------------------------------------------------------------------------
 */

/* It would serve and never be heard of: another one may find what this one lacks. */
static void cannot_listen(struct role *role, struct err e)
{
    log_err(&role->log, "listen", e);
    role->state = ROLE_STOPS;
    role_end(role, EXIT_FAILED);
}

/* A peer or a listener; whoever takes the handle owns it. */
static bool handle_take(struct role *role, const struct msg *msg, int handle)
{
    const struct role_table *table = role->table;
    if (msg->kind == MSG_peer && table->peer) {
        table->peer(role, (enum bus_role)msg->peer.role, msg->peer.instance, handle);
        return true;
    }
    if (msg->kind == MSG_listen && table->listen) {
        struct err e = table->listen(role, (enum listen_protocol)msg->listen.protocol,
                                     msg->listen.address, handle);
        if (err_is(e))
            cannot_listen(role, e);
        return true;
    }
    return false;
}

/* What came while the role still began, in order. */
static void early_take(struct role *role)
{
    for (size_t i = 0; i < role->early_count; i++)
        if (!handle_take(role, &role->early[i].msg, role->early[i].handle))
            role->world->ops->close(role->world, role->early[i].handle);
    role->early_count = 0;
    arena_done(&role->early_arena);
}

/* --- Beginning and ending --------------------------------------------------------------------- */

static void stop_run(void *arg)
{
    struct role *role = arg;
    role->table->stop(role);
    role_end(role, 0);
}

static void stop_begin(struct role *role)
{
    if (role->state == ROLE_STOPS)
        return;
    if (role->state == ROLE_BEGINS) {
        role->stop_asked = true; /* once it has begun */
        return;
    }
    bool serving = role->state == ROLE_SERVES;
    role->state = ROLE_STOPS;
    if (!serving) {
        role_end(role, 0);
        return;
    }
    role->start = (struct fiber_start){.run = stop_run, .arg = role};
    fiber_run(role->fibers, &role->start);
}

static void begin_run(void *arg)
{
    struct role *role = arg;
    struct err e = role->table->begin(role);
    if (err_is(e)) {
        log_err(&role->log, "not_started", e);
        role_end(role, EXIT_FAILED);
        return;
    }
    if (role->state != ROLE_BEGINS)
        return;
    role->state = ROLE_SERVES;
    early_take(role);
    if (role->state != ROLE_SERVES)
        return;
    struct msg ready = {.kind = MSG_ready, .ready = {.unenforced = buf_str(&role->unenforced)}};
    if (!role->parent_gone)
        e = link_send(&role->parent, &ready);
    if (role->stop_asked || err_is(e))
        stop_begin(role);
}

/* journald is reached by standard error. A syslog that is not there is no reason not to serve. */
static void log_begin(struct role *role)
{
    bool syslog = role->conf->server.log == CONF_LOG_SYSLOG;
    int failed = world_real_log_to(role->world, syslog ? LOG_TO_SYSLOG : LOG_TO_STANDARD_ERROR);
    if (failed)
        log_err(&role->log, "no_syslog", err_os(-failed, STR("/dev/log")));
}

static struct err role_enter(struct role *role, const struct msg_setup *setup)
{
    role->instance = setup->instance;
    role->as_root = setup->as_root;
    role->after_fault = setup->after_fault;
    struct err e = conf_end(role, setup->configuration);
    if (!err_is(e))
        log_begin(role);
    if (!err_is(e) && role->table->prepare)
        e = role->table->prepare(role);
    if (err_is(e))
        return e;
    struct sandbox sandbox = {.role = role->table->name};
    role->table->sandbox(role, &sandbox);
    return sandbox_enter(&sandbox, &role->unenforced);
}

/* --- What the parent says --------------------------------------------------------------------- */

static void setup_got(struct role *role, const struct msg_setup *setup)
{
    if (role->state != ROLE_WAITS_FOR_SETUP)
        return;
    struct err e = role_enter(role, setup);
    if (err_is(e)) {
        log_err(&role->log, "not_started", e);
        role_end(role, EXIT_FAILED);
        return;
    }
    role->state = ROLE_BEGINS;
    role->start = (struct fiber_start){.run = begin_run, .arg = role};
    fiber_run(role->fibers, &role->start);
}

/* The parent tells it to a role that serves; one that stops keeps what it has. */
static void configure_got(struct role *role, struct str text)
{
    if (role->state != ROLE_SERVES) {
        buf_clear(&role->conf_parts);
        return;
    }
    struct err e = conf_end(role, text);
    if (err_is(e))
        log_err(&role->log, "configuration_refused", e);
    else if (role->table->configure)
        role->table->configure(role, role->conf);
}

static void told(struct role *role, const struct msg *msg)
{
    struct err e = role->table->told ? role->table->told(role, msg) : err_none();
    if (!err_is(e) || role->state == ROLE_STOPS)
        return;
    bool begun = role->state == ROLE_SERVES || role->state == ROLE_BEGINS;
    log_err(&role->log, begun ? "secrets_refused" : "not_started", e);
    if (!begun) {
        role->state = ROLE_STOPS;
        role_end(role, EXIT_FAILED);
    }
}

static bool early_keep(struct role *role, const struct msg *msg, int handle)
{
    struct role_early *early = &role->early[role->early_count];
    if (role->early_count >= ROLE_EARLY_MAX ||
        err_is(msg_copy(msg, &role->early_arena, &early->msg))) {
        if (msg->kind == MSG_listen)
            cannot_listen(role, err_make(ERR_NO_MEMORY));
        return false;
    }
    early->handle = handle;
    role->early_count++;
    return true;
}

static void parent_got(struct link *link, const struct msg *msg, int passed)
{
    struct role *role = link->arg;
    must_be(role, ROLE_MAGIC);
    if (msg->kind == MSG_configuration_part)
        buf_put(&role->conf_parts,
                msg->configuration_part.text); /* what does not fit is seen then */
    else if (msg->kind == MSG_setup)
        setup_got(role, &msg->setup);
    else if (msg->kind == MSG_configure)
        configure_got(role, msg->configure.configuration);
    else if (msg->kind == MSG_certificate_files || msg->kind == MSG_token_keys_file ||
             msg->kind == MSG_trust_anchors || msg->kind == MSG_route_secret)
        told(role, msg);
    else if (msg->kind == MSG_stop)
        stop_begin(role);
    if (passed < 0)
        return;
    bool taken = role->state == ROLE_BEGINS   ? early_keep(role, msg, passed)
                 : role->state == ROLE_SERVES ? handle_take(role, msg, passed)
                                              : false;
    if (!taken)
        role->world->ops->close(role->world, passed);
}

static void parent_ended(struct link *link, struct err why)
{
    struct role *role = link->arg;
    must_be(role, ROLE_MAGIC);
    (void)why;
    role->parent_gone = true;
    stop_begin(role);
}

/* --- What the role says ----------------------------------------------------------------------- */

void role_unlinked(struct role *role, enum bus_role peer)
{
    struct msg msg = {.kind = MSG_unlinked, .unlinked = {.role = (uint8_t)peer}};
    if (role->state == ROLE_SERVES && !role->parent_gone)
        (void)link_send(&role->parent, &msg); /* or the next time */
}

void role_leave(struct role *role)
{
    role->state = ROLE_STOPS;
    role_end(role, 0);
}

/* --- The whole of it ----------------------------------------------------------------------------
 */

int role_run(const struct role_table *table, void *arg)
{
    static const struct link_owner owner = {.got = parent_got, .ended = parent_ended};
    struct role role = {.magic = ROLE_MAGIC,
                        .table = table,
                        .arg = arg,
                        .world = world_real(),
                        .unenforced = BUF_INIT(REPORT_MAX),
                        .conf_parts = BUF_INIT(CONF_TEXT_MAX),
                        .exit_code = EXIT_FAILED};
    arena_init(&role.early_arena, EARLY_ARENA);
    log_init(&role.log, role.world, table->name);
    int failed = loop_init(&role.loop, role.world);
    if (!failed) {
        role.fibers = fiber_pool_open(&role.loop, table->fibers);
        failed = role.fibers ? link_init(&role.parent, &role.loop, PROCESS_ROLE_LINK, table->role,
                                         ROLE_PARENT, &owner, &role)
                             : -ENOMEM;
    }
    if (failed) {
        log_err(&role.log, "not_started", err_os(-failed, STR("event loop")));
        return EXIT_FAILED;
    }
    loop_run(&role.loop);
    /* What is left goes with the process. */
    log_event(&role.log, LOG_INFO, "ended", log_u64("code", (uint64_t)role.exit_code));
    return role.exit_code;
}
