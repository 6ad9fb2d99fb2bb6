/*
 * The operator's commands: one table (admin_commands.c) of {words, arguments, help, run}. Run in
 * core while the server is up (control.c) and by the command line, on a store it opened itself,
 * while it is down (cli/offline.c); the code does not know which, but for what `status` says.
 *
 * A command writes its answer piece by piece with `out`, as text or as JSON (one document, UTF-8),
 * and ends with an exit code of sysexits(3): 0, 64 usage, 65 the input is wrong, 67 no such
 * address, 68 no such domain, 69 not available, 73 exists already or cannot be made, 74 the disk,
 * 75 try later, 77 not allowed, 78 configuration.
 */
#ifndef CORE_ADMIN_H
#define CORE_ADMIN_H

#include "base/arena.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "store/directory.h"
#include "store/engine.h"
#include "sys/worker.h"

enum {
    ADMIN_ARENA = 256 * 1024 * 1024 /* what one command may take; a directory's text fits */
};

struct audit;
struct core;
struct keys;
struct senders;

struct admin {
    struct loop *loop;
    struct engine *engine;
    struct directory *directory;
    struct lane *hashes; /* for passwords */
    const struct conf *conf;
    const struct keys *keys; /* NULL: not serving */
    struct arena *arena;     /* the command's own */
    struct str input;        /* a file's text, a password; empty where none came */
    bool json;
    bool serving;            /* in core: the server is up */
    struct senders *senders; /* core's; NULL: the server is down */
    struct core *core;       /* then; else NULL */
    struct audit *audit;     /* where commands are recorded; NULL: nowhere */
    uint32_t operator;       /* user id of who gave the command */
    void (*out)(void *arg, struct str text, bool to_stderr);
    void *arg;
    bool gone; /* who asked hears no more: an answer may end here */
};

/* On a fiber: may yield. Words as typed, without the program's name and without --json, --home,
 * --config. The exit code. */
int admin_run(struct admin *admin, const struct str *words, size_t count);

/* The same, but for running it: 0, or 64 where it is not written as it should be, and said. Of
 * `admin` only arena and out are used. */
int admin_check(struct admin *admin, const struct str *words, size_t count);

/* Each command, for `veredus help`. */
void admin_help(struct buf *to);
/* Those that begin with this word; false: none does. */
bool admin_help_about(struct str noun, struct buf *to);

#endif
