/*
 * Why so little: the parent is the one part that stays root, so it decodes one kind of message
 * (`ready`), parses one file that root wrote, and does the rest with processes and handles.
 *
 * Nothing here waits: a start is a chain of `ready`s, a stop is a chain of SIGCHLDs, each moved on
 * by a timer where a child does not.
 */
#include "parent/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>

#include "base/must.h"
#include "parent/outbox.h"
#include "sys/sandbox.h"
#include "trust/certificate.h"

enum {
    EXIT_FAILED = 1,
    PID_FILE_MODE = 0644,
    DATA_FOLDER_MODE = 0700,
    WORDS_MAX = 8192,
};

void house_say(struct house *house, const char *format, ...)
{
    struct buf line = BUF_INIT(HOUSE_LINE_MAX);
    va_list args;
    va_start(args, format);
    buf_put(&line, STR("veredus: "));
    buf_vprintf(&line, format, args);
    buf_putc(&line, '\n');
    va_end(args);
    house->world->ops->log_line(house->world, LOG_FAIL, buf_str(&line));
    buf_done(&line);
}

bool parent_changes_users(void)
{
    return process_is_root() && process_has_user(PARENT_CORE_USER) &&
           process_has_user(PARENT_EDGE_USER) && process_has_user(PARENT_COURIER_USER) &&
           process_has_user(PARENT_DNS_USER);
}

/* --- The end --------------------------------------------------------------------------------- */

static struct child *core_of(struct house *house)
{
    return &house->children[0];
}

static void child_stop(struct child *child)
{
    struct msg msg = {.kind = MSG_stop};
    if (child->state == CHILD_OFF || child->state == CHILD_STOPS)
        return;
    child->state = CHILD_STOPS;
    child_tell(child, &msg);
}

static struct child *first_alive(struct house *house)
{
    struct child *first = NULL;
    for (size_t i = 0; i < house->child_count; i++) {
        struct child *child = &house->children[i];
        if (child->pid && (!first || child_wave(child) < child_wave(first)))
            first = child;
    }
    return first;
}

static void stop_wait_over(struct timer *timer)
{
    struct house *house = timer->arg;
    const struct child *first = first_alive(house);
    if (!first)
        return;
    log_event(&house->log, LOG_WARN, "role_does_not_stop", log_str("name", str_from(first->name)));
    for (size_t i = 0; i < house->child_count; i++)
        if (child_wave(&house->children[i]) == child_wave(first))
            child_kill(&house->children[i]);
    timer_set(&house->loop, timer, house->loop.now + PARENT_STOP_WAIT);
}

/* A wave begins when nobody is left who asks anything of it; behind the last one we end. */
void house_emptier(struct house *house)
{
    const struct child *first = first_alive(house);
    if (!first) {
        loop_stop(&house->loop);
    } else if (first->state != CHILD_STOPS) {
        for (size_t i = 0; i < house->child_count; i++)
            if (child_wave(&house->children[i]) == child_wave(first))
                child_stop(&house->children[i]);
        timer_set(&house->loop, &house->stop_wait, house->loop.now + PARENT_STOP_WAIT);
    }
}

void house_stop(struct house *house, int exit_code)
{
    if (house->stopping)
        return;
    house->stopping = true;
    house->exit_code = exit_code;
    log_event(&house->log, LOG_INFO, "stopping", log_u64("code", (uint64_t)exit_code));
    for (size_t i = 0; i < house->child_count; i++) {
        timer_clear(&house->loop, &house->children[i].again);
        outbox_clear(&house->children[i]);
    }
    listeners_close(house);
    timer_set(&house->loop, &house->stop_wait, house->loop.now + PARENT_STOP_WAIT);
    house_emptier(house);
}

/* --- The start line -------------------------------------------------------------------------- */

static void roles_print(const struct house *house, struct buf *to)
{
    for (size_t i = 0; i < house->child_count; i++)
        buf_printf(to, "%s%s/%u", i ? " " : "", house->children[i].name,
                   house->children[i].instance);
}

static void ports_print(const struct house *house, struct buf *to)
{
    static const char *const names[] = {[LISTEN_SMTP] = "smtp",
                                        [LISTEN_LMTP] = "lmtp",
                                        [LISTEN_POP3] = "pop3",
                                        [LISTEN_POP3S] = "pop3s",
                                        [LISTEN_SUBMISSION] = "submission",
                                        [LISTEN_SUBMISSIONS] = "submissions",
                                        [LISTEN_HTTP] = "http",
                                        [LISTEN_HTTPS] = "https",
                                        [LISTEN_LOCAL] = "local"};
    for (size_t i = 0; i < house->listener_count; i++) {
        buf_printf(to, "%s%s ", i ? ", " : "", names[house->listeners[i].protocol]);
        buf_put(to, house->listeners[i].address);
    }
}

static void users_print(const struct house *house, struct buf *to)
{
    if (!process_is_root())
        buf_printf(to, "all as the caller, uid %lld", (long long)process_own_uid());
    else if (parent_changes_users())
        buf_put(to, STR("parent as root, core as veredus-core, edges as veredus-edge, "
                        "couriers as veredus-courier, resolver as veredus-dns"));
    else
        buf_put(to, STR("all as root"));
    if (parent_changes_users() && house->conf.terminal.commands &&
        process_has_user(PARENT_TERMINAL_USER))
        buf_put(to, STR(", terminal as veredus-terminal"));
}

static void unenforced_log(struct house *house, struct str lines)
{
    while (lines.n)
        log_event(&house->log, LOG_WARN, "not_enforced", log_str("what", str_cut(&lines, '\n')));
}

/* Two edges say the same thing once. */
static void unenforced_add(struct house *house, struct str lines)
{
    while (lines.n) {
        struct str line = str_cut(&lines, '\n');
        if (str_find(buf_str(&house->unenforced), line) >= 0)
            continue;
        buf_put(&house->unenforced, line);
        buf_putc(&house->unenforced, '\n');
    }
}

static void started_log(struct house *house)
{
    struct buf roles = BUF_INIT(WORDS_MAX), ports = BUF_INIT(WORDS_MAX),
               users = BUF_INIT(WORDS_MAX);
    roles_print(house, &roles);
    ports_print(house, &ports);
    users_print(house, &users);
    unenforced_log(house, buf_str(&house->unenforced));
    listeners_warn(house);
    log_event(&house->log, LOG_INFO, "started", log_u64("pid", (uint64_t)process_own_pid()),
              log_str("users", buf_str(&users)), log_str("roles", buf_str(&roles)),
              log_str("ports", buf_str(&ports)),
              log_str("enforced", house->unenforced.n ? STR("not all, see above") : STR("all")));
    buf_done(&roles);
    buf_done(&ports);
    buf_done(&users);
}

static bool pid_write(struct house *house)
{
    struct str path = house->conf.server.pid_file;
    struct buf text = BUF_INIT(HOUSE_LINE_MAX);
    if (path.n == 0)
        return true;
    buf_printf(&text, "%lld\n", (long long)process_own_pid());
    struct err e = process_write_file(path, buf_str(&text), PID_FILE_MODE);
    buf_done(&text);
    if (err_is(e))
        house_say(house, "cannot write %.*s (pid_file): %s", STR_FMT(path), strerrordesc_np(e.os));
    return !err_is(e);
}

static bool all_serve(const struct house *house)
{
    for (size_t i = 0; i < house->child_count; i++)
        if (house->children[i].state != CHILD_SERVES)
            return false;
    return true;
}

void house_ready(struct house *house, struct child *child, struct str unenforced)
{
    log_event(&house->log, LOG_INFO, "role_ready", log_str("name", str_from(child->name)),
              log_u64("instance", child->instance), log_u64("pid", (uint64_t)child->pid));
    if (child->outdated)
        settings_tell(child);
    child->outdated = false;
    if (house->serving || house->stopping)
        return;
    unenforced_add(house, unenforced);
    for (size_t i = 1; child->role == ROLE_CORE && i < house->child_count; i++)
        child_start(&house->children[i]);
    if (house->stopping || !all_serve(house))
        return;
    if (!pid_write(house)) {
        house_stop(house, EXIT_FAILED);
        return;
    }
    house->serving = true;
    started_log(house);
    settings_tell_tokens(house);
}

/* --- Signals --------------------------------------------------------------------------------- */

static void children_reap(struct house *house)
{
    struct buf how = BUF_INIT(HOUSE_LINE_MAX);
    int64_t pid;
    while ((pid = process_reap(&how))) {
        child_died(house, pid, buf_str(&how));
        buf_clear(&how);
    }
    buf_done(&how);
}

static void signal_got(void *arg, int which)
{
    struct house *house = arg;
    must_be(house, HOUSE_MAGIC);
    if (which == SIGCHLD)
        children_reap(house);
    else if (which != SIGHUP)
        house_stop(house, 0);
    else if (house->serving && !house->stopping)
        settings_reload(house);
}

/* --- The start ------------------------------------------------------------------------------- */

static bool log_begin(struct house *house)
{
    bool syslog = house->conf.server.log == CONF_LOG_SYSLOG;
    int failed = world_real_log_to(house->world, syslog ? LOG_TO_SYSLOG : LOG_TO_STANDARD_ERROR);
    if (failed)
        house_say(house, "cannot log to syslog (log): %s", strerrordesc_np(-failed));
    return !failed;
}

/* Made where it is missing: empty, so that a start that fails later left nothing in it. */
static bool data_check(struct house *house)
{
    struct str data = house->conf.server.data;
    int folder = -1;
    struct err e = process_make_folder(data, DATA_FOLDER_MODE);
    if (!err_is(e) || e.code == ERR_EXISTS)
        e = process_open_folder(data, &folder);
    if (!err_is(e))
        house->world->ops->close(house->world, folder);
    if (!err_is(e) && parent_changes_users())
        e = process_give_folder(data, PARENT_CORE_USER);
    if (err_is(e))
        house_say(house, "cannot use the data folder %.*s (data): %s", STR_FMT(data),
                  e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
    return !err_is(e);
}

static bool sandbox_begin(struct house *house)
{
    struct sandbox sandbox = {.role = "parent", .rights = SANDBOX_PROGRAMS};
    struct err e = sandbox_enter(&sandbox, &house->unenforced);
    if (process_is_root() && !parent_changes_users())
        buf_put(&house->unenforced,
                STR("parent: all roles run as root: the users veredus-core, "
                    "veredus-edge, veredus-courier and veredus-dns are missing\n"));
    if (err_is(e))
        house_say(house, "cannot give up rights: %.*s: %s", STR_FMT(e.detail),
                  e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
    return !err_is(e);
}

static bool loop_begin(struct house *house)
{
    int failed = loop_init(&house->loop, house->world);
    house->signals = failed ? NULL : signals_open(&house->loop, signal_got, house);
    if (!house->signals)
        house_say(house, "cannot begin: no event loop");
    return house->signals != NULL;
}

/* All that can fail in the open, before anything is started or written. */
static bool house_open(struct house *house)
{
    return settings_load(house) && log_begin(house) && listeners_open(house) && data_check(house) &&
           loop_begin(house) && sandbox_begin(house);
}

/* Only what is ours: before all served, another server's files may lie there. */
static void files_remove(struct house *house)
{
    if (!house->serving)
        return;
    if (house->conf.server.pid_file.n)
        process_remove_file(house->conf.server.pid_file);
    process_remove_file(house->conf.server.control);
}

static void house_close(struct house *house)
{
    listeners_close(house);
    if (house->signals) {
        timer_clear(&house->loop, &house->stop_wait);
        timer_clear(&house->loop, &house->tokens);
        signals_close(house->signals);
        loop_done(&house->loop);
    }
    house_text_release(house->text);
    certificates_free(house->certificates);
    buf_done(&house->anchors);
    buf_done(&house->unenforced);
    arena_done(&house->arena);
    arena_done(&house->start_arena);
}

static void tokens_due(struct timer *timer)
{
    struct house *house = timer->arg;
    must_be(house, HOUSE_MAGIC);
    settings_tell_tokens(house);
}

int parent_run(const struct parent_options *options)
{
    must(str_starts(options->config, STR("/")));
    struct house *house = calloc(1, sizeof(*house));
    if (!house)
        return EXIT_FAILED;
    *house = (struct house){.magic = HOUSE_MAGIC,
                            .world = world_real(),
                            .config = options->config,
                            .unenforced = BUF_INIT(WORDS_MAX),
                            .anchors = BUF_INIT(TRUST_ANCHORS_MAX),
                            .exit_code = EXIT_FAILED};
    house->stop_wait = (struct timer){.run = stop_wait_over, .arg = house};
    house->tokens = (struct timer){.run = tokens_due, .arg = house};
    arena_init(&house->start_arena, CONF_ARENA);
    arena_init(&house->arena, CONF_ARENA);
    log_init(&house->log, house->world, "parent");
    if (!private_keys_leave_no_trace())
        buf_put(&house->unenforced, STR("parent: memory that held private keys is not wiped\n"));
    if (house_open(house)) {
        children_plan(house);
        child_start(core_of(house));
        loop_run(&house->loop);
        files_remove(house);
        log_event(&house->log, LOG_INFO, "ended", log_u64("code", (uint64_t)house->exit_code));
    }
    int exit_code = house->exit_code;
    house_close(house);
    free(house);
    return exit_code;
}
