/*
 * The role: utmp is opened before the walls close, and the walls leave /dev to be written to. The
 * group tty, which every terminal belongs to, is its user's own.
 */
#include "role/role.h"

#include "base/must.h"
#include "conf/conf.h"
#include "sys/terminals.h"
#include "terminal/terminal.h"

enum {
    FILES_MAX = 256,
};

struct terminal_role {
    struct terminal terminal;
    int utmp;
};

/* A system without it has nobody who is on: mail goes into mailboxes. */
static struct err prepare(struct role *role)
{
    struct terminal_role *own = role->arg;
    struct err e = terminals_open(role->conf->terminal.utmp, &own->utmp);
    if (err_is(e))
        log_err(&role->log, "no_utmp", e);
    return err_none();
}

static void sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_TERMINALS;
    sandbox->folder = STR("/dev");
    sandbox->max_files = FILES_MAX;
    if (role->as_root)
        sandbox->user = STR("veredus-terminal");
}

static struct err begin(struct role *role)
{
    struct terminal_role *own = role->arg;
    terminal_init(&own->terminal, &role->loop, role->fibers, &role->log, own->utmp);
    return err_none();
}

static void configure(struct role *role, const struct conf *conf)
{
    (void)role;
    (void)conf; /* what it needs of it only a restart changes */
}

static void peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    struct terminal_role *own = role->arg;
    (void)instance;
    must(peer == ROLE_CORE);
    struct err e = terminal_core_attach(&own->terminal, handle);
    if (err_is(e))
        log_err(&role->log, "peer_not_taken", e);
}

/* What is being shown goes with the process, at the latest in TERMINAL_WAIT. */
static void stop(struct role *role)
{
    struct terminal_role *own = role->arg;
    terminal_core_end(&own->terminal);
}

int terminal_main(void)
{
    static const struct role_table table = {
        .name = "terminal",
        .role = ROLE_TERMINAL,
        .fibers = TERMINAL_FIBERS,
        .prepare = prepare,
        .sandbox = sandbox,
        .begin = begin,
        .configure = configure,
        .peer = peer,
        .stop = stop,
    };
    struct terminal_role *own = calloc(1, sizeof(*own));
    must(own);
    own->utmp = -1;
    int code = role_run(&table, own);
    free(own);
    return code;
}
