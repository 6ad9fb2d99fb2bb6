#include "cli/sendmail.h"

#include "cli/cli.h"
#include "cli/dispatch.h"
#include "cli/note.h"
#include "cli/sendmail_options.h"
#include "sys/process.h"

enum {
    ARENA = 1024 * 1024 * 1024,
    WHY_MAX = 1024,
};

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool sendmail_is_meant(const char *path)
{
    const char *name = name_of(path);
    return strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0 ||
           strcmp(name, "newaliases") == 0;
}

/* --- A message ------------------------------------------------------------------------------- */

static struct str id_make(struct arena *arena)
{
    uint64_t chance;
    struct buf id = buf_in(arena, 64);
    world_random(world_real(), &chance, sizeof chance);
    buf_printf(&id, "%llx.%llx", (unsigned long long)world_wall(world_real()),
               (unsigned long long)chance);
    return buf_built(&id);
}

static struct note_facts facts_of(const struct dispatch *dispatch, struct str name,
                                  struct arena *arena)
{
    return (struct note_facts){.user = dispatch->user,
                               .host = dispatch->host,
                               .name = name.n > 0                         ? name
                                       : str_is_utf8(dispatch->full_name) ? dispatch->full_name
                                                                          : STR(""),
                               .address = dispatch_own_address(dispatch),
                               .id = id_make(arena),
                               .time = world_wall(world_real()) / US_PER_SECOND};
}

static int trouble_say(const struct dispatch *dispatch, enum note_trouble trouble, struct str what,
                       bool from_header)
{
    char room[200];
    struct buf clean = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_put_escaped(&clean, str_trim(what), sizeof room / 4);
    switch (trouble) {
    case NOTE_NO_RECIPIENTS:
        dispatch_say(dispatch, from_header
                                   ? "no recipients: none are named in To, Cc and Bcc"
                                   : "no recipients: name them, or -t takes those of the header");
        return EXIT_USAGE;
    case NOTE_BAD_RECIPIENT:
        dispatch_say(dispatch, "no mail address in \"%.*s\"", STR_FMT(buf_str(&clean)));
        return EXIT_DATA;
    case NOTE_BAD_SENDER:
        dispatch_say(dispatch, "the sender is no mail address");
        return EXIT_DATA;
    case NOTE_BAD_HEADER:
        dispatch_say(dispatch, "the header cannot be read in one way only: %.*s",
                     STR_FMT(buf_str(&clean)));
        return EXIT_DATA;
    case NOTE_TOO_LARGE:
        dispatch_say(dispatch, "the message is too large");
        return EXIT_DATA;
    case NOTE_FINE:
        break;
    }
    return 0;
}

static bool options_ask(const struct sendmail_options *options, struct arena *arena,
                        struct letter *letter)
{
    const struct mail_options mail = {
        .ret = options->ret, .envid = options->envid, .require_tls = options->require_tls};
    const struct rcpt_options rcpt = {.notify = options->notify};
    letter->asked = mail_options_keep(&mail, arena);
    struct str each = rcpt_options_keep(&rcpt, arena);
    for (size_t i = 0; i < letter->count; i++)
        letter->recipients[i].asked = each;
    return !arena_over(arena);
}

static struct str *words_of(int argc, char **argv, int first, struct arena *arena)
{
    struct str *words = arena_take_array(arena, (size_t)(argc - first) + 1, sizeof *words);
    for (int i = first; words && i < argc; i++)
        words[i - first] = str_from(argv[i]);
    return words;
}

static int deliver(struct dispatch *dispatch, const struct sendmail_options *options, int argc,
                   char **argv, struct arena *arena)
{
    struct buf input = BUF_INIT(LETTER_MAX);
    struct letter letter;
    struct str what;
    struct err e = process_read_input(LETTER_MAX, &input);
    if (err_is(e)) {
        buf_done(&input);
        dispatch_say(dispatch, "cannot read the message: %s",
                     e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
        return EXIT_NO_INPUT;
    }
    const struct note note = {.text = buf_str(&input),
                              .dot_ends = !options->dots_stay,
                              .from_header = options->from_header,
                              .has_sender = options->has_sender,
                              .sender = options->sender,
                              .named = words_of(argc, argv, options->first, arena),
                              .named_count = (size_t)(argc - options->first)};
    const struct note_facts facts = facts_of(dispatch, options->full_name, arena);
    enum note_trouble trouble = note_letter(&note, &facts, arena, &letter, &what);
    int code = trouble_say(dispatch, trouble, what, options->from_header);
    if (!code && !options_ask(options, arena, &letter))
        code = EXIT_SOFTWARE;
    if (!code)
        code = dispatch_letter(dispatch, &letter);
    buf_done(&input);
    return code;
}

/* --- Other modes ----------------------------------------------------------------------------- */

static int smtp_pass(struct dispatch *dispatch)
{
    int handle;
    if (dispatch->by_conf || err_is(process_connect_local(dispatch->local, &handle))) {
        dispatch_say(dispatch, "-bs needs a server on this host, and none listens on %.*s",
                     STR_FMT(dispatch->local));
        return EXIT_UNAVAILABLE;
    }
    struct err e = process_pass(handle);
    return err_is(e) ? EXIT_TEMPORARY : 0;
}

static int aliases_say(void)
{
    cli_out(STR("Aliases are kept in the server's directory and hold at once: see `veredus alias "
                "list`.\nNo file is read, so there is nothing to be done.\n"));
    return 0;
}

/* The server's queue, by the operator's own command; what waits in the caller's spool below it. */
static int queue_command(struct dispatch *dispatch, const char *const *words, size_t count)
{
    if (dispatch->by_conf || !post_is_reachable(dispatch->local))
        return 0;
    int code = cli_run_words(words, count);
    return code == EXIT_NOT_ALLOWED ? 0 : code; /* that was said; his own spool is his to see */
}

static int queue_show(struct dispatch *dispatch)
{
    static const char *const words[] = {"queue", "list", "--mailq"};
    int code = queue_command(dispatch, words, sizeof words / sizeof *words);
    int listed = dispatch_list(dispatch);
    return code ? code : listed;
}

static int queue_retry(struct dispatch *dispatch)
{
    static const char *const words[] = {"queue", "retry", "--all"};
    int code = queue_command(dispatch, words, sizeof words / sizeof *words);
    int flushed = dispatch_flush(dispatch);
    return code ? code : flushed;
}

static int run(struct dispatch *dispatch, const struct sendmail_options *options, int argc,
               char **argv, struct arena *arena)
{
    switch (options->mode) {
    case SENDMAIL_DELIVER:
        return deliver(dispatch, options, argc, argv, arena);
    case SENDMAIL_SMTP:
        return smtp_pass(dispatch);
    case SENDMAIL_QUEUE:
        return queue_show(dispatch);
    case SENDMAIL_ALIASES:
        return aliases_say();
    case SENDMAIL_RETRY:
        return queue_retry(dispatch);
    }
    return EXIT_USAGE;
}

static void mode_by_name(const char *name, struct sendmail_options *options)
{
    if (strcmp(name, "mailq") == 0 && options->mode == SENDMAIL_DELIVER)
        options->mode = SENDMAIL_QUEUE;
    if (strcmp(name, "newaliases") == 0)
        options->mode = SENDMAIL_ALIASES;
}

int sendmail_main(int argc, char **argv)
{
    struct sendmail_options options;
    struct dispatch dispatch = {.program = name_of(argv[0])};
    struct buf why = BUF_INIT(WHY_MAX);
    if (!sendmail_options_parse(argc, argv, &options, &why)) {
        dispatch_say(&dispatch, "%.*s; see sendmail(8)", STR_FMT(buf_str(&why)));
        buf_done(&why);
        return EXIT_USAGE;
    }
    buf_done(&why);
    mode_by_name(name_of(argv[0]), &options);
    if (options.mode == SENDMAIL_ALIASES)
        return aliases_say();
    if (options.mode == SENDMAIL_DELIVER && !options.from_header && options.first == argc) {
        dispatch_say(&dispatch, "no recipients: name them, or -t takes those of the header");
        return EXIT_USAGE;
    }
    struct arena arena;
    arena_init(&arena, ARENA);
    int code = dispatch_open(&dispatch, &arena, name_of(argv[0]), STR(""), options.loud);
    if (!code)
        code = run(&dispatch, &options, argc, argv, &arena);
    dispatch_close(&dispatch);
    fflush(stdout);
    arena_done(&arena);
    return code;
}
