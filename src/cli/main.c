#include "cli/cli.h"
#include "cli/send.h"
#include "cli/send_options.h"
#include "cli/sendmail.h"

#include "core/admin.h"
#include "core/core.h"
#include "courier/role.h"
#include "edge/http/role.h"
#include "edge/pop3/role.h"
#include "edge/smtp/role.h"
#include "parent/certificates.h"
#include "parent/parent.h"
#include "resolver/resolver.h"
#include "sys/process.h"
#include "terminal/terminal.h"

#ifndef VEREDUS_VERSION
#define VEREDUS_VERSION "unknown"
#endif

static const char usage_head[] =
    "usage: veredus COMMAND ... [--config FILE | --home DIR] [--json]\n"
    "\n"
    "The server:\n"
    "  serve                          run it in the foreground\n"
    "  config check                   read the configuration and say what is wrong with it\n"
    "  config show [--all]            the settings that differ from their defaults, or all\n"
    "  config manual                  print veredus.conf(5)\n"
    "  tls new NAME ... [--out FOLDER] [--force]\n"
    "                                 make a certificate for these host names, and its key\n"
    "  send [-s SUBJECT] [-a FILE] ... TO ...\n"
    "                                 send a message from standard input: send --help\n"
    "  version, help\n"
    "\n"
    "The operator's commands, with the server up or down:\n";

/* --- Commands of the program itself --------------------------------------------------------------
 */

static int words_refuse(const char *wrong, struct str word)
{
    fprintf(stderr, "veredus: %s \"%.*s\"; see veredus help\n", wrong, STR_FMT(word));
    return EXIT_USAGE;
}

/* `veredus help account`, `veredus account --help`: those commands alone. */
static bool help_about(const struct cli *cli)
{
    struct buf commands = BUF_INIT(64 * 1024);
    bool known = false;
    for (size_t i = 0; i < cli->word_count && i < 2 && !known; i++)
        known = admin_help_about(cli->words[i], &commands);
    cli_out(buf_str(&commands));
    buf_done(&commands);
    return known;
}

/* Those that stand in the head of the usage. */
static bool is_of_program(struct str word)
{
    static const char *const own[] = {"serve", "config", "tls", "send", "version", "help", "-h"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (str_eq(word, str_from(own[i])))
            return true;
    return str_starts(word, STR("--"));
}

static int help(struct cli *cli)
{
    if (help_about(cli))
        return 0;
    struct str word = cli->words[cli->word_count > 1 && str_eq(cli->words[0], STR("help"))];
    if (cli->word_count > 0 && str_eq(word, STR("send"))) {
        cli_out(str_from(send_usage));
        return 0;
    }
    if (cli->word_count > 0 && !is_of_program(word))
        return words_refuse("there is no command", word);
    struct buf commands = BUF_INIT(64 * 1024);
    admin_help(&commands);
    cli_out(str_from(usage_head));
    cli_out(buf_str(&commands));
    cli_out(STR("\nDIR holds veredus.conf. See veredus(8).\n"));
    buf_done(&commands);
    return 0;
}

static int version(struct cli *cli)
{
    (void)cli;
    cli_out(STR("veredus " VEREDUS_VERSION "\n"));
    return 0;
}

static int serve(struct cli *cli)
{
    struct parent_options options = {.config = cli->file};
    return parent_run(&options);
}

/* The files that the parent would read at a start. */
static int certificates_check(struct cli *cli)
{
    struct certificates *certificates;
    struct buf trouble = BUF_INIT(CONF_TROUBLE_SIZE);
    struct err e = certificates_load(&cli->conf, cli->file, &certificates, &trouble);
    fprintf(stderr, "%.*s", STR_FMT(buf_str(&trouble)));
    certificates_free(certificates);
    buf_done(&trouble);
    return err_is(e) ? EXIT_CONFIG : 0;
}

static int config_check(struct cli *cli)
{
    int failed = cli_configure(cli);
    if (!failed)
        failed = certificates_check(cli);
    if (!failed)
        printf("%.*s: no mistakes found\n", STR_FMT(cli->file));
    return failed;
}

static int config_show(struct cli *cli)
{
    int failed = cli_configure(cli);
    if (failed)
        return failed;
    struct buf text = BUF_INIT(CLI_CONFIGURATION_MAX);
    bool all = cli->word_count > 2 && str_eq(cli->words[2], STR("--all"));
    conf_print(&cli->conf, all, &text);
    cli_out(buf_str(&text));
    buf_done(&text);
    return 0;
}

static int config_manual(struct cli *cli)
{
    (void)cli;
    struct buf text = BUF_INIT(CLI_CONFIGURATION_MAX);
    conf_manual(&text);
    cli_out(buf_str(&text));
    buf_done(&text);
    return 0;
}

static const struct {
    const char *first, *second; /* second NULL: none */
    const char *option;         /* the only word that may follow; NULL: none */
    int (*run)(struct cli *);
} commands[] = {
    {"version", NULL, NULL, version},
    {"--version", NULL, NULL, version},
    {"serve", NULL, NULL, serve},
    {"config", "check", NULL, config_check},
    {"config", "show", "--all", config_show},
    {"config", "manual", NULL, config_manual},
};

/* --- The operator's commands
 * ---------------------------------------------------------------------- */

static void say(void *arg, struct str text, bool to_stderr)
{
    (void)arg;
    fwrite(text.p, 1, text.n, to_stderr ? stderr : stdout);
}

static bool word_is(const struct cli *cli, size_t i, const char *text)
{
    return !text || (i < cli->word_count && str_eq(cli->words[i], str_from(text)));
}

static int admin_command(struct cli *cli)
{
    struct admin check = {.arena = &cli->arena, .out = say};
    int code = admin_check(&check, cli->words, cli->word_count);
    if (!code)
        code = cli_configure(cli);
    if (!code)
        code = cli_input(cli);
    if (code || cli_online(cli, &code))
        return code;
    if (word_is(cli, 0, "status") || word_is(cli, 0, "tls") || word_is(cli, 0, "dns") ||
        word_is(cli, 0, "newsletter")) {
        fprintf(stderr, "veredus: no server answers on %.*s\n", STR_FMT(cli->conf.server.control));
        return EXIT_UNAVAILABLE;
    }
    return cli_offline(cli);
}

static bool help_is_wanted(const struct cli *cli)
{
    for (size_t i = 0; i < cli->word_count && !str_eq(cli->words[i], STR("--")); i++)
        if (str_eq(cli->words[i], STR("--help")) || str_eq(cli->words[i], STR("-h")))
            return true;
    return word_is(cli, 0, "help");
}

static int command_run(struct cli *cli)
{
    if (help_is_wanted(cli))
        return help(cli);
    if (word_is(cli, 0, "tls") && word_is(cli, 1, "new"))
        return cli_tls_new(cli);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        size_t used = commands[i].second ? 2 : 1;
        if (!word_is(cli, 0, commands[i].first) || !word_is(cli, 1, commands[i].second))
            continue;
        used += commands[i].option && word_is(cli, used, commands[i].option);
        return cli->word_count > used ? words_refuse("this is too much:", cli->words[used])
                                      : commands[i].run(cli);
    }
    if (cli->word_count == 0) {
        help(cli);
        return EXIT_USAGE;
    }
    if (word_is(cli, 0, "config"))
        return words_refuse("expected check, show or manual behind", cli->words[0]);
    return admin_command(cli);
}

/* --- Roles, started by the parent
 * ------------------------------------------------------------------ */

static const struct {
    const char *name;
    int (*main)(void);
} roles[] = {
    {"core", core_main},         {"mx", edge_mx_main},        {"sub", edge_sub_main},
    {"box", edge_box_main},      {"web", edge_web_main},      {"courier", courier_main},
    {"resolver", resolver_main}, {"terminal", terminal_main},
};

static int role_main(const char *name)
{
    process_memory_returns();
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(name, roles[i].name) == 0)
            return roles[i].main();
    return EXIT_USAGE;
}

int cli_run_words(const char *const *words, size_t count)
{
    return cli_run_reading(words, count, str_null());
}

int cli_run_reading(const char *const *words, size_t count, struct str input)
{
    struct cli cli = {.patience = CLI_PATIENCE};
    struct buf file = BUF_INIT(CLI_PATH_MAX);
    char program[] = "veredus", option[] = "--config";
    bool named = process_environment("VEREDUS_CONFIG", &file);
    char *path = str_to_cstring(buf_str(&file));
    char *own[] = {program, option, path, NULL};
    buf_done(&file);
    int code = cli_arguments(&cli, named && path ? 3 : 1, own);
    for (size_t i = 0; i < count && cli.word_count < CLI_ARGUMENTS_MAX; i++)
        cli.words[cli.word_count++] = str_from(words[i]);
    if (!code && input.n > 0) {
        buf_init(&cli.input, CLI_INPUT_MAX);
        buf_put(&cli.input, input);
    }
    if (!code)
        code = command_run(&cli);
    free(path);
    buf_done(&cli.input);
    arena_done(&cli.arena);
    return code;
}

int main(int argc, char **argv)
{
    if (argc > 0 && sendmail_is_meant(argv[0]))
        return sendmail_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "send") == 0)
        return send_main(argc - 1, argv + 1);
    if (argc == 3 && strcmp(argv[1], "role") == 0)
        return role_main(argv[2]);
    struct cli cli = {.patience = CLI_PATIENCE};
    int code = cli_arguments(&cli, argc, argv);
    if (!code)
        code = command_run(&cli);
    fflush(stdout);
    buf_done(&cli.input);
    arena_done(&cli.arena);
    return code;
}
