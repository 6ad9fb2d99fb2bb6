/*
 * The command line. `veredus` is one program: it serves, it is each of the roles (started by the
 * parent only), and it is the operator's tool. A tool's command runs in core, over the control
 * socket, while the server is up, and in this process, with the store opened under its lock, while
 * it is down: the same code (core/admin.h) either way.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "sys/world.h"

/* Exit codes: sysexits(3). */
enum {
    EXIT_USAGE = 64,
    EXIT_NO_INPUT = 66,
    EXIT_UNAVAILABLE = 69,
    EXIT_SOFTWARE = 70,
    EXIT_CANNOT_CREATE = 73,
    EXIT_TEMPORARY = 75,
    EXIT_NOT_ALLOWED = 77,
    EXIT_CONFIG = 78,
};

enum {
    CLI_ARENA = 128 * 1024 * 1024,
    CLI_ARGUMENTS_MAX = 256,
    CLI_CONFIGURATION_MAX = CONF_TEXT_MAX,
    CLI_INPUT_MAX = 64 * 1024 * 1024,
    CLI_PATH_MAX = 4096,
};

#ifndef SEND_CONF_FILE
#define SEND_CONF_FILE "/etc/veredus/send.conf"
#endif
#define SEND_SPOOL_FOLDER "/var/spool/veredus"

#define CLI_PATIENCE (60 * NS_PER_SECOND) /* without a word from core: then it hangs */

struct cli {
    struct arena arena;
    struct str file;   /* the configuration file, from the root folder on */
    struct str folder; /* its folder: relative paths in it start here */
    struct conf conf;
    bool json;
    struct str words[CLI_ARGUMENTS_MAX]; /* the command, without options of ours */
    size_t word_count;
    int64_t patience; /* CLI_PATIENCE, less in tests */
    struct buf input; /* what the command reads: a file's text, a password */
};

/* Takes --config FILE, --home DIR and --json out of the arguments and reads the rest. Says on
 * standard error what is wrong; 0 or an exit code. */
int cli_arguments(struct cli *cli, int argc, char **argv);
/* Reads and checks the configuration; likewise. */
int cli_configure(struct cli *cli);
/* Files and passwords that the command's words ask for; likewise. */
int cli_input(struct cli *cli);

/* `tls new NAME ... [--out FOLDER] [--force]`: a self-signed certificate and its key, in files. */
int cli_tls_new(struct cli *cli);

/* A command of the operator's, as if these were typed; VEREDUS_CONFIG names the configuration. */
int cli_run_words(const char *const *words, size_t count);
/* The same, reading this instead of a file that a word names. */
int cli_run_reading(const char *const *words, size_t count, struct str input);

void cli_out(struct str text);
void cli_say(struct str text); /* a line on standard error, "veredus: " in front */

/* Through core; false: nobody serves the control socket. *exit_r: of the command, or 75 where core
 * went away or hangs (nothing was heard from it for `patience`). */
bool cli_online(struct cli *cli, int *exit_r);
/* With the store opened here. The exit code. */
int cli_offline(struct cli *cli);

#endif
