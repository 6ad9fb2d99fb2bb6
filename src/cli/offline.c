/*
 * A command without a server: the store is opened here, under its lock, as the user it belongs to
 * and in the sandbox core has, and the same code runs on it.
 */
#include "cli/cli.h"

#include "base/must.h"
#include "core/admin.h"
#include "core/audit.h"
#include "core/store_open.h"
#include "sys/fiber.h"
#include "sys/process.h"
#include "sys/sandbox.h"

static const char store_user[] = "veredus-core";

struct offline {
    struct cli *cli;
    struct loop loop;
    struct engine *engine;
    struct directory directory;
    struct lane hashes;
    struct audit audit;
    struct fiber_pool *fibers;
    int64_t user; /* who gave the command */
    int exit_code;
};

static int open_failed(struct cli *cli, struct err e)
{
    struct str data = cli->conf.server.data;
    if (e.code == ERR_STORE_LOCKED)
        fprintf(stderr,
                "veredus: another process has the store in %.*s open, and no server answers on the "
                "control socket %.*s; try again later\n",
                STR_FMT(data), STR_FMT(cli->conf.server.control));
    else
        fprintf(stderr, "veredus: the store in %.*s cannot be opened: %s%s%.*s%s%s\n",
                STR_FMT(data), err_row(e.code)->text, e.detail.n ? ": " : "", STR_FMT(e.detail),
                e.os ? ": " : "", e.os ? strerror(e.os) : "");
    return EXIT_TEMPORARY;
}

static void out(void *arg, struct str text, bool to_stderr)
{
    (void)arg;
    fwrite(text.p, 1, text.n, to_stderr ? stderr : stdout);
}

static int command_run(struct offline *offline)
{
    struct cli *cli = offline->cli;
    const struct conf *conf = &cli->conf;
    struct directory_settings settings = {
        .plus = conf->server.plus.n ? conf->server.plus.p[0] : '\0',
        .quota = conf->store.quota,
        .postmaster = conf->server.postmaster,
        .hostname = conf->server.hostname,
        .language = conf->server.language,
    };
    directory_init(&offline->directory, offline->engine, offline->loop.world, &settings);
    struct arena arena;
    arena_init(&arena, ADMIN_ARENA);
    struct admin admin = {.loop = &offline->loop,
                          .engine = offline->engine,
                          .directory = &offline->directory,
                          .hashes = &offline->hashes,
                          .conf = conf,
                          .arena = &arena,
                          .input = buf_str(&cli->input),
                          .json = cli->json,
                          .audit = &offline->audit,
                          .operator=(uint32_t) offline->user,
                          .out = out};
    /* A store too damaged to be recorded in may still be looked at and mended. */
    if (err_is(audit_open(&offline->audit, &offline->loop, offline->fibers, offline->engine, NULL)))
        admin.audit = NULL;
    int code = admin_run(&admin, cli->words, cli->word_count);
    if (admin.audit)
        audit_close(&offline->audit);
    arena_done(&arena);
    return code;
}

/* On an error nothing was done. */
static struct err command_try(struct offline *offline)
{
    int failed = lane_init(&offline->hashes, &offline->loop, "passwords", 1);
    if (failed)
        return err_os(-failed, STR("a thread for passwords"));
    offline->exit_code = command_run(offline);
    lane_done(&offline->hashes);
    return err_none();
}

static void offline_run(void *arg)
{
    struct offline *offline = arg;
    bool rebuilt = false;
    const struct cli *cli = offline->cli;
    /* LMDB follows a damaged page out of its file, and fsck is what is asked about damage. */
    bool doubt = cli->word_count && str_eq(cli->words[0], STR("fsck"));
    struct err e =
        store_open(&offline->loop, &cli->conf, true, doubt ? STORE_LOOK_ALL : STORE_LOOK_ROOTS,
                   NULL, &offline->engine, &rebuilt);
    if (rebuilt)
        cli_say(STR("the index was damaged and was made anew from the log"));
    if (!err_is(e)) {
        e = command_try(offline);
        engine_close(offline->engine);
    }
    if (err_is(e))
        offline->exit_code = open_failed(offline->cli, e);
    loop_stop(&offline->loop);
}

/* As core does before it begins. */
static struct err data_enter(struct cli *cli)
{
    struct str data = cli->conf.server.data;
    bool as_root = process_is_root() && process_has_user(str_from(store_user));
    struct err e = process_make_folder(data, 0700);
    if (e.code == ERR_EXISTS)
        e = err_none();
    if (!err_is(e) && as_root)
        e = process_give_folder(data, str_from(store_user));
    if (err_is(e))
        return e;
    struct sandbox sandbox = {.role = "cli",
                              .rights = SANDBOX_FOLDER,
                              .folder = data,
                              .user = as_root ? str_from(store_user) : str_null()};
    struct buf unenforced = BUF_INIT(16 * 1024);
    e = sandbox_enter(&sandbox, &unenforced);
    buf_done(&unenforced);
    return e;
}

static struct err offline_serve(struct offline *offline)
{
    struct fiber_pool *fibers = fiber_pool_open(&offline->loop, 16);
    if (!fibers)
        return err_make(ERR_NO_MEMORY);
    offline->fibers = fibers;
    struct fiber_start start = {.run = offline_run, .arg = offline};
    fiber_run(fibers, &start);
    loop_run(&offline->loop);
    fiber_pool_close(fibers);
    return err_none();
}

int cli_offline(struct cli *cli)
{
    struct offline offline = {.cli = cli, .user = process_own_uid(), .exit_code = EXIT_SOFTWARE};
    struct err e = data_enter(cli); /* the user may change */
    if (err_is(e))
        return open_failed(cli, e);
    int failed = loop_init(&offline.loop, world_real());
    if (failed)
        return open_failed(cli, err_os(-failed, STR("event loop")));
    e = offline_serve(&offline);
    loop_done(&offline.loop);
    return err_is(e) ? open_failed(cli, e) : offline.exit_code;
}
