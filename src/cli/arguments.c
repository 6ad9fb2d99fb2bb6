#include "cli/cli.h"

#include "sys/process.h"

#ifndef VEREDUS_CONF
#define VEREDUS_CONF "/etc/veredus/veredus.conf"
#endif

static const char default_file[] = VEREDUS_CONF;

void cli_out(struct str text)
{
    if (text.n)
        fwrite(text.p, 1, text.n, stdout);
}

void cli_say(struct str text)
{
    fprintf(stderr, "veredus: %.*s\n", STR_FMT(text));
}

static struct str folder_of(struct str file)
{
    ssize_t slash = str_last_index(file, '/');
    return slash < 0 ? STR(".") : slash == 0 ? STR("/") : str_head(file, (size_t)slash);
}

static int file_set(struct cli *cli, struct str file)
{
    if (cli->file.p) {
        cli_say(STR("one of --config and --home is enough"));
        return EXIT_USAGE;
    }
    struct buf path = BUF_INIT(CLI_PATH_MAX);
    process_absolute_path(file, &path); /* roles do not run where we do */
    cli->file = buf_over(&path) ? str_null() : buf_copy(&path, &cli->arena);
    buf_done(&path);
    if (!cli->file.p) {
        cli_say(STR("that path is too long"));
        return EXIT_USAGE;
    }
    cli->folder = folder_of(cli->file);
    return 0;
}

static int home_set(struct cli *cli, struct str home)
{
    struct buf file = BUF_INIT(CLI_PATH_MAX);
    buf_put(&file, home);
    buf_put(&file, STR("/veredus.conf"));
    int failed = file_set(cli, buf_str(&file));
    buf_done(&file);
    return failed;
}

static int option_take(struct cli *cli, struct str option, char **value, int *used_r)
{
    bool is_home = str_eq(option, STR("--home"));
    *used_r = 1;
    if (str_eq(option, STR("--json"))) {
        cli->json = true;
        return 0;
    }
    if (!*value) {
        cli_say(is_home ? STR("--home needs a folder") : STR("--config needs a file"));
        return EXIT_USAGE;
    }
    *used_r = 2;
    return is_home ? home_set(cli, str_from(*value)) : file_set(cli, str_from(*value));
}

static bool is_ours(struct str word)
{
    return str_eq(word, STR("--home")) || str_eq(word, STR("--config")) ||
           str_eq(word, STR("--json"));
}

static int too_many(void)
{
    fprintf(stderr, "veredus: more than %d words in one command\n", CLI_ARGUMENTS_MAX);
    return EXIT_USAGE;
}

int cli_arguments(struct cli *cli, int argc, char **argv)
{
    arena_init(&cli->arena, CLI_ARENA);
    buf_init(&cli->input, CLI_INPUT_MAX);
    for (int i = 1; i < argc;) {
        struct str word = str_from(argv[i]);
        int used = 1, failed = 0;
        if (is_ours(word))
            failed = option_take(cli, word, &argv[i + 1], &used);
        else if (cli->word_count < CLI_ARGUMENTS_MAX)
            cli->words[cli->word_count++] = word;
        else
            failed = too_many();
        if (failed)
            return failed;
        i += used;
    }
    return cli->file.p ? 0 : file_set(cli, str_from(default_file));
}

static struct err list_read(void *arg, struct str path, struct buf *to)
{
    (void)arg;
    return process_read_file(path, CONF_LIST_FILE_MAX, to);
}

int cli_configure(struct cli *cli)
{
    struct buf text = BUF_INIT(CLI_CONFIGURATION_MAX);
    struct conf_reading how = {.file = cli->file, .folder = cli->folder, .read = list_read};
    struct err e = process_read_file(cli->file, CLI_CONFIGURATION_MAX, &text);
    if (err_is(e)) {
        fprintf(stderr, "veredus: cannot read the configuration %.*s: %s\n", STR_FMT(cli->file),
                e.os ? strerror(e.os) : err_row(e.code)->text);
        buf_done(&text);
        return EXIT_CONFIG;
    }
    struct str kept = buf_copy(&text, &cli->arena);
    buf_done(&text);
    struct conf_trouble trouble = {.text = BUF_INIT(CLI_CONFIGURATION_MAX)};
    e = conf_read(kept, &how, &cli->arena, &cli->conf, &trouble);
    if (err_is(e))
        fprintf(stderr, "%.*s", STR_FMT(buf_str(&trouble.text)));
    buf_done(&trouble.text);
    return err_is(e) ? EXIT_CONFIG : 0;
}

/* --- What a command reads ------------------------------------------------------------------------
 */

static bool has_word(const struct cli *cli, struct str word)
{
    for (size_t i = 0; i < cli->word_count; i++)
        if (str_eq(cli->words[i], word))
            return true;
    return false;
}

static int input_failed(struct err e, struct str what)
{
    fprintf(stderr, "veredus: cannot read %.*s: %s\n", STR_FMT(what),
            e.os ? strerror(e.os) : err_row(e.code)->text);
    return EXIT_NO_INPUT;
}

/* What the files of commands hold. */
static int file_input(struct cli *cli, struct str name)
{
    struct err e = str_eq(name, STR("-")) ? process_read_input(CLI_INPUT_MAX, &cli->input)
                                          : process_read_file(name, CLI_INPUT_MAX, &cli->input);
    return err_is(e) ? input_failed(e, name) : 0;
}

/* The n-th word from `from` on that is neither an option nor (of those that have one) its value;
 * str_null. */
static struct str plain_word(const struct cli *cli, size_t from, size_t n)
{
    for (size_t i = from; i < cli->word_count; i++) {
        struct str word = cli->words[i];
        if (str_eq(word, STR("--name")) || str_eq(word, STR("--fingerprint")))
            i++;
        else if (!str_starts(word, STR("--")) && n-- == 0)
            return word;
    }
    return str_null();
}

static bool begins_with(const struct cli *cli, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (i >= cli->word_count || !str_eq(cli->words[i], str_from(words[i])))
            return false;
    return true;
}

/* Commands that read a file, and which of their words names it. */
static struct str input_file(const struct cli *cli)
{
    static const char *const apply[] = {"apply"};
    static const char *const certificate[] = {"account", "certificate", "add"};
    static const char *const newsletter[] = {"newsletter", "send"};
    if (begins_with(cli, newsletter, 2))
        return plain_word(cli, 2, 1);
    if (begins_with(cli, apply, 1))
        return plain_word(cli, 1, 0);
    if (begins_with(cli, certificate, 3))
        return plain_word(cli, 3, 1);
    return str_null();
}

int cli_input(struct cli *cli)
{
    struct str file = input_file(cli);
    if (cli->input.n > 0)
        return 0; /* it was made here */
    if (file.p)
        return file_input(cli, file);
    if (has_word(cli, STR("--password-stdin"))) {
        struct err e = process_read_password(STR("Password: "), &cli->input);
        return err_is(e) ? input_failed(e, STR("the password")) : 0;
    }
    return 0;
}
