/*
 * Why it asks a terminal again and again instead of waiting for it in the loop: a terminal that its
 * user stopped counts as ready, and nobody would be told when it goes on.
 */
#include "terminal/terminal.h"

#include <errno.h>

#include "base/must.h"
#include "terminal/notice.h"
#include "terminal/seats.h"

#define AGAIN (20 * NS_PER_MS)

struct terminal_showing {
    struct terminal *terminal;
    struct fiber_start start;
    uint64_t link; /* the number of the one that asked */
    uint32_t call;
    char line[TERMINAL_NAME_MAX + 1];
    int handle;
    struct buf text;
};

/* --- Who is on ------------------------------------------------------------------------------- */

/* False: he is not, or not for others. */
static bool seat_find(const struct terminal *terminal, struct str user,
                      char line_r[TERMINAL_NAME_MAX + 1])
{
    struct terminal_login *logins = calloc(TERMINALS_LISTED_MAX, sizeof(*logins));
    ssize_t count = -ENOMEM;
    if (terminal->utmp < 0)
        count = 0;
    else if (logins)
        count = terminals_list(terminal->utmp, logins, TERMINALS_LISTED_MAX);
    if (count < 0)
        log_err(terminal->log, "utmp_not_read", err_os((int)-count, STR("utmp")));
    const struct terminal_login *found =
        count > 0 ? seat_choose(logins, (size_t)count, user, terminal_look) : NULL;
    if (found)
        memcpy(line_r, found->line, sizeof(found->line));
    free(logins);
    return found != NULL;
}

/* --- Showing --------------------------------------------------------------------------------- */

static void shown(struct terminal *terminal, uint64_t asker, uint32_t call, enum err_code error,
                  struct str line)
{
    struct msg msg = {.kind = MSG_terminal_shown,
                      .terminal_shown = {.call = call, .error = (uint16_t)error, .line = line}};
    if (!terminal->core || terminal->links != asker)
        return;
    struct err e = link_send(terminal->core, &msg);
    if (err_is(e))
        link_cut(terminal->core, e);
}

/* May yield. False: not all of it within the time. */
static bool write_all(struct loop *loop, int handle, struct str text)
{
    int64_t until = loop->now + TERMINAL_WAIT;
    while (text.n) {
        ssize_t n = terminal_write(handle, text);
        if (n > 0)
            text = str_from_index(text, (size_t)n);
        else if ((n < 0 && n != -EAGAIN && n != -EINTR) || loop->now >= until)
            return false;
        else
            fiber_sleep_until(loop, loop->now + AGAIN);
    }
    return true;
}

static void showing_run(void *arg)
{
    struct terminal_showing *showing = arg;
    struct terminal *terminal = showing->terminal;
    must_be(terminal, TERMINAL_MAGIC);
    bool all = write_all(terminal->loop, showing->handle, buf_str(&showing->text));
    terminal->loop->world->ops->close(terminal->loop->world, showing->handle);
    log_event(terminal->log, LOG_INFO, all ? "shown" : "terminal_takes_nothing",
              log_str("terminal", str_from(showing->line)));
    shown(terminal, showing->link, showing->call, all ? ERR_NONE : ERR_USER_NOT_ON,
          str_from(showing->line));
    buf_done(&showing->text);
    free(showing);
}

/* Opened, and what it is to get made; NULL: there is none that takes it. */
static struct terminal_showing *showing_new(struct terminal *terminal,
                                            const struct msg_terminal_show *asked)
{
    struct terminal_showing *showing = calloc(1, sizeof(*showing));
    if (!showing)
        return NULL;
    *showing = (struct terminal_showing){
        .terminal = terminal, .link = terminal->links, .call = asked->call, .handle = -1};
    buf_init(&showing->text, NOTICE_MAX);
    if (seat_find(terminal, asked->user, showing->line))
        showing->handle = terminal_open(showing->line);
    if (showing->handle < 0) {
        free(showing);
        return NULL;
    }
    const struct notice notice = {.sender = asked->sender,
                                  .text = asked->text,
                                  .time = world_wall(terminal->loop->world) / US_PER_SECOND,
                                  .utf8 = terminal_is_utf8(showing->handle)};
    notice_put(&showing->text, &notice);
    return showing;
}

static void serve_show(struct terminal *terminal, const struct msg_terminal_show *asked)
{
    struct terminal_showing *showing = showing_new(terminal, asked);
    if (!showing) {
        shown(terminal, terminal->links, asked->call, ERR_USER_NOT_ON, str_null());
        return;
    }
    showing->start = (struct fiber_start){.run = showing_run, .arg = showing};
    fiber_run(terminal->fibers, &showing->start);
}

static void serve_ask(struct terminal *terminal, const struct msg_terminal_ask *asked)
{
    char line[TERMINAL_NAME_MAX + 1];
    bool on = seat_find(terminal, asked->user, line);
    struct msg msg = {.kind = MSG_terminal_told,
                      .terminal_told = {.call = asked->call,
                                        .error = (uint16_t)(on ? ERR_NONE : ERR_USER_NOT_ON)}};
    struct err e = link_send(terminal->core, &msg);
    if (err_is(e))
        link_cut(terminal->core, e);
}

/* --- The link -------------------------------------------------------------------------------- */

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct terminal *terminal = link->arg;
    must_be(terminal, TERMINAL_MAGIC);
    must(passed < 0);
    if (msg->kind == MSG_terminal_ask)
        serve_ask(terminal, &msg->terminal_ask);
    else if (msg->kind == MSG_terminal_show)
        serve_show(terminal, &msg->terminal_show);
    else
        link_cut(link, err_detail(ERR_BUS_BROKEN, STR("nothing for a terminal")));
}

static void ended(struct link *link, struct err why)
{
    (void)why; /* core asks the parent for another one */
    terminal_core_end(link->arg);
}

void terminal_init(struct terminal *terminal, struct loop *loop, struct fiber_pool *fibers,
                   struct log *log, int utmp)
{
    *terminal = (struct terminal){
        .magic = TERMINAL_MAGIC, .loop = loop, .fibers = fibers, .log = log, .utmp = utmp};
}

struct err terminal_core_attach(struct terminal *terminal, int handle)
{
    static const struct link_owner owner = {.got = got, .ended = ended};
    terminal_core_end(terminal);
    struct link *link = calloc(1, sizeof(*link));
    int failed =
        link ? link_init(link, terminal->loop, handle, ROLE_TERMINAL, ROLE_CORE, &owner, terminal)
             : -ENOMEM;
    if (failed) {
        terminal->loop->world->ops->close(terminal->loop->world, handle);
        free(link);
        return err_os(-failed, STR("link to core"));
    }
    terminal->core = link;
    terminal->links++;
    return err_none();
}

void terminal_core_end(struct terminal *terminal)
{
    struct link *link = terminal->core;
    terminal->core = NULL;
    if (!link)
        return;
    link_done(link);
    free(link);
}
