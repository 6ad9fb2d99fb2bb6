#include "cli/dispatch.h"

#include <stdarg.h>

#include "cli/cli.h"
#include "cli/note.h"
#include "format/addr.h"
#include "format/date.h"
#include "sys/process.h"

enum {
    NAME_ROOM = 4096,
    TROUBLE_ROOM = 65536,
    FLUSH_ARENA = 512 * 1024 * 1024,
};

void dispatch_say(const struct dispatch *dispatch, const char *format, ...)
{
    struct buf line = BUF_INIT(TROUBLE_ROOM);
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    fprintf(stderr, "%s: %.*s\n", dispatch->program, STR_FMT(buf_str(&line)));
    buf_done(&line);
}

/* --- Who and where --------------------------------------------------------------------------- */

/* HOME, unless it names another user's folder: cron, and init scripts called by hand, leave that of
 * whoever started them to programs of every user. Then it is the one in the list of users. */
static struct str home_find(struct dispatch *dispatch, struct str listed)
{
    struct buf own = BUF_INIT(NAME_ROOM);
    bool is_set = process_environment("HOME", &own) && own.n > 0;
    bool believed = is_set && (listed.n == 0 || !process_is_anothers(buf_str(&own)));
    struct str found = arena_str(dispatch->arena, believed ? buf_str(&own) : listed);
    buf_done(&own);
    return found;
}

static void environment_find(struct dispatch *dispatch)
{
    struct buf name = buf_in(dispatch->arena, NAME_ROOM), full = BUF_INIT(NAME_ROOM),
               home = BUF_INIT(NAME_ROOM), own = BUF_INIT(NAME_ROOM);
    struct str host;
    if (!process_own_user(&name, &full, &home))
        buf_printf(&name, "uid-%lld", (long long)process_own_uid());
    dispatch->user = buf_built(&name);
    dispatch->full_name = arena_str(dispatch->arena, buf_str(&full));
    dispatch->home = home_find(dispatch, buf_str(&home));
    process_host_name(&own);
    if (err_is(host_parse(buf_str(&own), dispatch->arena, &host)))
        host = STR("localhost");
    dispatch->host = host;
    buf_done(&full);
    buf_done(&home);
    buf_done(&own);
}

/* The server's socket: by its configuration where we may read that, else where it is by default. */
static struct str local_find(struct dispatch *dispatch)
{
    struct buf file = BUF_INIT(NAME_ROOM), path = buf_in(dispatch->arena, NAME_ROOM);
    struct cli cli = {.patience = 0};
    char named[] = "--config";
    char program[] = "veredus";
    if (process_environment("VEREDUS_SUBMISSION", &path))
        return buf_built(&path);
    bool has_file = process_environment("VEREDUS_CONFIG", &file);
    char *config = str_to_cstring(buf_str(&file));
    char *words[] = {program, named, config, NULL};
    buf_done(&file);
    int failed = cli_arguments(&cli, has_file && config ? 3 : 1, words);
    bool readable = !failed && process_may_read(cli.file);
    if (!readable || cli_configure(&cli) != 0) {
        struct conf_trouble trouble;
        (void)conf_parse(STR(""), STR(""), STR("/"), &cli.arena, &cli.conf, &trouble);
        buf_done(&trouble.text);
    }
    if (cli.conf.submission.local)
        conf_local_socket(&cli.conf, &path);
    buf_done(&cli.input);
    arena_done(&cli.arena);
    free(config);
    struct str found = buf_built(&path);
    return found.p ? found : STR("");
}

static struct str path_of(struct dispatch *dispatch, struct str folder, const char *rest)
{
    struct buf path = buf_in(dispatch->arena, NAME_ROOM);
    buf_put(&path, folder);
    buf_put(&path, str_from(rest));
    return buf_built(&path);
}

/* 0 where there is none, too. */
static int conf_load(struct dispatch *dispatch, struct str file, bool needed)
{
    struct buf trouble = BUF_INIT(TROUBLE_ROOM);
    struct err e = send_conf_load(file, dispatch->arena, &dispatch->conf, &trouble);
    dispatch->by_conf = !err_is(e);
    bool missing = e.code == ERR_NOT_FOUND;
    if (missing && needed)
        buf_printf(&trouble, "%.*s is not there\n", STR_FMT(file));
    struct str lines = buf_str(&trouble);
    while (lines.n > 0) {
        struct str line = str_cut(&lines, '\n');
        dispatch_say(dispatch, "%.*s", STR_FMT(line));
    }
    buf_done(&trouble);
    return err_is(e) && (needed || !missing) ? EXIT_CONFIG : 0;
}

static struct str own_conf_path(struct dispatch *dispatch)
{
    struct buf folder = buf_in(dispatch->arena, NAME_ROOM);
    if (process_environment("XDG_CONFIG_HOME", &folder) && folder.n > 0)
        return path_of(dispatch, buf_str(&folder), "/veredus/send.conf");
    return path_of(dispatch, dispatch->home, "/.config/veredus/send.conf");
}

static int ways_find(struct dispatch *dispatch, struct str file)
{
    if (file.n > 0)
        return conf_load(dispatch, file, true);
    int failed = conf_load(dispatch, own_conf_path(dispatch), false);
    if (failed || dispatch->by_conf)
        return failed;
    dispatch->local = local_find(dispatch);
    if (post_is_reachable(dispatch->local))
        return 0;
    return conf_load(dispatch, STR(SEND_CONF_FILE), false);
}

/* --- The spool ------------------------------------------------------------------------------- */

static struct str spool_path_find(struct dispatch *dispatch)
{
    struct buf path = buf_in(dispatch->arena, NAME_ROOM);
    if (process_environment("VEREDUS_SPOOL", &path) && path.n > 0)
        return buf_built(&path);
    if (process_own_uid() == 0)
        return STR(SEND_SPOOL_FOLDER);
    if (process_environment("XDG_STATE_HOME", &path) && path.n > 0)
        return path_of(dispatch, buf_str(&path), "/veredus/spool");
    return path_of(dispatch, dispatch->home, "/.local/state/veredus/spool");
}

/* With the folders above it. */
static void folders_make(struct str path)
{
    for (size_t i = 1; i <= path.n; i++)
        if (i == path.n || path.p[i] == '/')
            (void)process_make_folder(str_head(path, i), 0700);
}

static bool spool_begin(struct dispatch *dispatch, bool create)
{
    int folder;
    if (dispatch->has_spool)
        return true;
    if (create)
        folders_make(dispatch->spool_path);
    if (err_is(process_open_folder(dispatch->spool_path, &folder)))
        return false;
    spool_init(&dispatch->spool, world_real(), folder);
    dispatch->has_spool = true;
    return true;
}

int dispatch_open(struct dispatch *dispatch, struct arena *arena, const char *program,
                  struct str file, bool loud)
{
    *dispatch = (struct dispatch){.arena = arena, .program = program, .loud = loud};
    environment_find(dispatch);
    dispatch->spool_path = spool_path_find(dispatch);
    int failed = ways_find(dispatch, file);
    if (dispatch->by_conf && dispatch->conf.name.n > 0)
        dispatch->host = dispatch->conf.name;
    return failed;
}

void dispatch_close(struct dispatch *dispatch)
{
    str_wipe(dispatch->conf.password);
    if (dispatch->has_spool)
        spool_close(&dispatch->spool);
}

struct str dispatch_own_address(const struct dispatch *dispatch)
{
    return dispatch->by_conf ? dispatch->conf.from : STR("");
}

/* --- One letter ------------------------------------------------------------------------------ */

/* A letter of the spool, where it is one. */
struct stored {
    struct spool *spool;
    const struct spool_name *name;
};

static void dot_mark(void *arg)
{
    struct stored *stored = arg;
    if (stored->name)
        (void)spool_mark(stored->spool, stored->name);
}

static struct err letter_post(struct dispatch *dispatch, const struct letter *letter,
                              struct stored *stored, struct arena *arena,
                              struct post_outcome *outcome_r)
{
    const struct send_conf *conf = &dispatch->conf;
    struct letter sent = *letter;
    struct post_way way = {.helo = dispatch->host};
    struct buf via = buf_in(arena, NAME_ROOM);
    if (dispatch->by_conf) {
        buf_printf(&via, "%.*s:%u", STR_FMT(conf->host), (unsigned)conf->port);
        way.via = buf_str(&via);
        way.tls = conf->tls;
        way.user = conf->user;
        way.password = conf->password;
        way.authorities = conf->authorities;
        if (conf->rewrite_from && !note_rewrite(&sent, conf->from, arena))
            return err_make(ERR_NO_MEMORY);
    } else {
        way.local = dispatch->local;
    }
    const struct post_watch watch = {.dotted = dot_mark, .arg = stored};
    return post_letter(&way, &sent, &watch, arena, outcome_r);
}

/* The recipients with this verdict, as a letter of their own. */
static struct letter part_of(const struct letter *letter, const struct post_outcome *outcome,
                             bool failed, struct arena *arena)
{
    struct letter part = *letter;
    part.count = 0;
    part.recipients = arena_take_array(arena, letter->count, sizeof *part.recipients);
    for (size_t i = 0; part.recipients && i < letter->count; i++) {
        enum job_verdict verdict = outcome->results[i].verdict;
        if (failed ? verdict == JOB_FAILED : verdict == JOB_LATER || verdict == JOB_NOT_TRIED)
            part.recipients[part.count++] = letter->recipients[i];
    }
    return part;
}

/* What a program can make of it: 67 nobody is called so, 65 the message is wrong, 69 all else. */
static int code_of(const struct post_result *result)
{
    struct str status = result->status;
    if (str_starts(status, STR("5.1.1")) || str_starts(status, STR("5.1.2")) ||
        str_starts(status, STR("5.1.3")) || str_starts(status, STR("5.1.6")))
        return EXIT_NO_USER;
    if (str_starts(status, STR("5.6.")) || str_starts(status, STR("5.3.4")))
        return EXIT_DATA;
    return EXIT_UNAVAILABLE;
}

/* Who is talked with. */
static struct str way_name(const struct dispatch *dispatch)
{
    struct buf name = buf_in(dispatch->arena, NAME_ROOM);
    if (dispatch->by_conf)
        return dispatch->conf.host;
    buf_put(&name, STR("the server of this host ("));
    buf_put(&name, dispatch->local);
    buf_putc(&name, ')');
    struct str built = buf_built(&name);
    return built.p ? built : STR("the server of this host");
}

/* Without a code it is no reply, but what we found out: it offers no REQUIRETLS, say. */
static void failure_say(const struct dispatch *dispatch, struct str address,
                        const struct post_result *result)
{
    if (result->code > 0)
        dispatch_say(dispatch, "<%.*s> is refused: %u %.*s %.*s", STR_FMT(address), result->code,
                     STR_FMT(result->status), STR_FMT(result->text));
    else
        dispatch_say(dispatch, "<%.*s> cannot be sent by %.*s: %.*s %.*s", STR_FMT(address),
                     STR_FMT(way_name(dispatch)), STR_FMT(result->status), STR_FMT(result->text));
}

static int results_tell(const struct dispatch *dispatch, const struct letter *letter,
                        const struct post_outcome *outcome)
{
    int code = 0;
    for (size_t i = 0; i < letter->count; i++) {
        const struct post_result *result = &outcome->results[i];
        struct str address = letter->recipients[i].address;
        if (result->verdict == JOB_FAILED) {
            failure_say(dispatch, address, result);
            code = code ? code : code_of(result);
        } else if (result->verdict == JOB_SENT && dispatch->loud) {
            dispatch_say(dispatch, "<%.*s> is taken by %.*s: %u %.*s", STR_FMT(address),
                         STR_FMT(way_name(dispatch)), result->code, STR_FMT(result->text));
        }
    }
    return code;
}

/* Why the first of them waits. */
static struct str why_later(const struct letter *letter, const struct post_outcome *outcome)
{
    for (size_t i = 0; i < letter->count; i++)
        if (outcome->results[i].verdict == JOB_LATER && outcome->results[i].text.n > 0)
            return outcome->results[i].text;
    return STR("it could not be sent now");
}

static int keep(struct dispatch *dispatch, const struct letter *letter, struct str why)
{
    struct spool_name name;
    struct err e = spool_begin(dispatch, true) ? spool_put(&dispatch->spool, letter, &name)
                                               : err_detail(ERR_OS, STR("no such folder"));
    if (!err_is(e)) {
        dispatch_say(dispatch, "kept in %.*s, to be sent later by %.*s: %.*s",
                     STR_FMT(dispatch->spool_path), STR_FMT(way_name(dispatch)), STR_FMT(why));
        return 0;
    }
    dispatch_say(dispatch, "not sent (%.*s), and it cannot be kept in %.*s: %s", STR_FMT(why),
                 STR_FMT(dispatch->spool_path), e.os ? strerrordesc_np(e.os) : "no such folder");
    return EXIT_TEMPORARY;
}

static void bury(struct dispatch *dispatch, const struct letter *dead, bool all)
{
    struct spool_name name;
    if (dead->count == 0 || !spool_begin(dispatch, true) ||
        err_is(spool_bury(&dispatch->spool, dead, &name)))
        return;
    dispatch_say(dispatch, "%s %.*s/%s.dead",
                 all ? "the message is in" : "the others have it; for those refused it is in",
                 STR_FMT(dispatch->spool_path), name.text);
}

/* A new one. */
static int letter_send(struct dispatch *dispatch, const struct letter *letter)
{
    struct post_outcome outcome;
    struct stored nowhere = {.name = NULL};
    struct err e = letter_post(dispatch, letter, &nowhere, dispatch->arena, &outcome);
    if (err_is(e))
        return keep(dispatch, letter, str_from(err_row(e.code)->text));
    int code = results_tell(dispatch, letter, &outcome);
    struct letter dead = part_of(letter, &outcome, true, dispatch->arena);
    struct letter later = part_of(letter, &outcome, false, dispatch->arena);
    bury(dispatch, &dead, dead.count + later.count == letter->count);
    int kept = later.count > 0 ? keep(dispatch, &later, why_later(letter, &outcome)) : 0;
    return kept ? kept : code;
}

/* --- Those that wait ------------------------------------------------------------------------- */

/* False: the way is not open; the others need not be tried. */
static bool stored_send(struct dispatch *dispatch, const struct spool_name *name,
                        struct arena *arena, int *code)
{
    struct letter letter;
    struct post_outcome outcome;
    struct stored stored = {.spool = &dispatch->spool, .name = name};
    struct err e = spool_read(&dispatch->spool, name, arena, &letter);
    if (err_is(e)) {
        dispatch_say(dispatch, "%s.letter cannot be read: %s", name->text, err_row(e.code)->text);
        *code = EXIT_SOFTWARE;
        return true;
    }
    if (name->dotted)
        dispatch_say(dispatch, "%s.letter may have been sent before: it may be a second copy",
                     name->text);
    e = letter_post(dispatch, &letter, &stored, arena, &outcome);
    if (err_is(e))
        return false;
    int failed = results_tell(dispatch, &letter, &outcome);
    *code = failed ? failed : *code;
    struct letter dead = part_of(&letter, &outcome, true, arena);
    struct letter later = part_of(&letter, &outcome, false, arena);
    bury(dispatch, &dead, dead.count + later.count == letter.count);
    if (later.count == 0)
        (void)spool_remove(&dispatch->spool, name);
    else if (later.count < letter.count)
        (void)spool_replace(&dispatch->spool, name, &later);
    if (later.count > 0 && !outcome.dotted)
        spool_unmark(&dispatch->spool, name);
    return outcome.trouble == JOB_NO_TROUBLE || later.count == 0;
}

/* *open_r: the way is, as far as was seen. */
static int spool_send(struct dispatch *dispatch, bool *open_r)
{
    struct spool_name *names;
    struct arena arena;
    size_t count = 0;
    int code = 0;
    *open_r = true;
    if (!spool_begin(dispatch, false) || !spool_lock(&dispatch->spool))
        return 0; /* there is none, or another call is at it */
    struct err e = spool_list(&dispatch->spool, dispatch->arena, &names, &count);
    for (size_t i = 0; !err_is(e) && i < count && *open_r; i++) {
        if (names[i].dead)
            continue;
        arena_init(&arena, FLUSH_ARENA);
        *open_r = stored_send(dispatch, &names[i], &arena, &code);
        arena_done(&arena);
    }
    return code;
}

static bool has_way(const struct dispatch *dispatch)
{
    return dispatch->by_conf || dispatch->local.n > 0;
}

int dispatch_letter(struct dispatch *dispatch, const struct letter *letter)
{
    bool open;
    if (!has_way(dispatch)) {
        dispatch_say(dispatch, "nothing says where to send mail: no server on this host, and no %s",
                     SEND_CONF_FILE);
        return EXIT_CONFIG;
    }
    (void)spool_send(dispatch, &open);
    return open ? letter_send(dispatch, letter)
                : keep(dispatch, letter, STR("what came before it waits, too"));
}

int dispatch_flush(struct dispatch *dispatch)
{
    bool open;
    int code = has_way(dispatch) ? spool_send(dispatch, &open) : EXIT_CONFIG;
    return code ? code : open ? 0 : EXIT_TEMPORARY;
}

/* Names begin with the time, in microseconds. */
static int64_t time_of(const struct spool_name *name)
{
    return (int64_t)(strtoull(name->text, NULL, 16) / (uint64_t)US_PER_SECOND);
}

int dispatch_list(struct dispatch *dispatch)
{
    struct spool_name *names;
    size_t count = 0;
    if (!spool_begin(dispatch, false))
        return 0;
    struct err e = spool_list(&dispatch->spool, dispatch->arena, &names, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        struct arena arena;
        struct letter letter;
        struct buf line = BUF_INIT(TROUBLE_ROOM);
        arena_init(&arena, FLUSH_ARENA);
        if (!err_is(spool_read(&dispatch->spool, &names[i], &arena, &letter))) {
            date_print_rfc3339(&line, time_of(&names[i]));
            buf_printf(&line, " %s %zu <%.*s>", names[i].dead ? "dead" : "waits", letter.message.n,
                       STR_FMT(letter.sender));
            for (size_t j = 0; j < letter.count && !buf_over(&line); j++)
                buf_printf(&line, " <%.*s>", STR_FMT(letter.recipients[j].address));
            buf_printf(&line, "%s\n", names[i].dotted ? " (may have been sent)" : "");
            cli_out(buf_str(&line));
        }
        buf_done(&line);
        arena_done(&arena);
    }
    return err_is(e) ? EXIT_TEMPORARY : 0;
}
