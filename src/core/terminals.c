/*
 * Why no question is repeated where the link ends: the message may be on the screen, and once is
 * what was promised.
 */
#include "core/terminals.h"

#include <errno.h>

#include "base/must.h"

static void link_end(struct terminals *terminals)
{
    struct link *link = terminals->link;
    terminals->link = NULL;
    if (!link)
        return;
    link_done(link);
    free(link);
}

static void alone_begin(struct terminals *terminals)
{
    if (terminals->alone)
        timer_set(terminals->loop, &terminals->alone_timer, terminals->loop->now + TERMINALS_ALONE);
}

static void alone_run(struct timer *timer)
{
    struct terminals *terminals = timer->arg;
    if (terminals->link)
        return;
    terminals->alone(terminals->arg);
    alone_begin(terminals);
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    (void)msg;
    must(passed < 0);
    link_cut(link, err_detail(ERR_BUS_BROKEN, STR("the terminal role spoke unasked")));
}

static void ended(struct link *link, struct err why)
{
    struct terminals *terminals = link->arg;
    (void)why; /* the parent's log has it */
    link_end(terminals);
    alone_begin(terminals);
}

void terminals_init(struct terminals *terminals, struct loop *loop, void (*alone)(void *arg),
                    void *arg)
{
    *terminals = (struct terminals){.loop = loop, .alone = alone, .arg = arg};
    terminals->alone_timer = (struct timer){.run = alone_run, .arg = terminals};
    alone_begin(terminals);
}

struct err terminals_attach(struct terminals *terminals, int handle)
{
    static const struct link_owner owner = {.got = got, .ended = ended};
    link_end(terminals);
    struct link *link = calloc(1, sizeof(*link));
    int failed =
        link ? link_init(link, terminals->loop, handle, ROLE_CORE, ROLE_TERMINAL, &owner, terminals)
             : -ENOMEM;
    if (failed) {
        terminals->loop->world->ops->close(terminals->loop->world, handle);
        free(link);
        alone_begin(terminals);
        return err_os(-failed, STR("link to the terminal role"));
    }
    timer_clear(terminals->loop, &terminals->alone_timer);
    terminals->link = link;
    return err_none();
}

void terminals_done(struct terminals *terminals)
{
    terminals->alone = NULL;
    timer_clear(terminals->loop, &terminals->alone_timer);
    link_end(terminals);
}

/* May yield. False: no answer. */
static bool ask(struct terminals *terminals, struct msg *question, struct arena *arena,
                struct msg *answer_r)
{
    return terminals->link && !terminals->link->over &&
           !err_is(link_ask(terminals->link, question, arena, answer_r));
}

enum err_code terminals_ask(struct terminals *terminals, struct str user, struct arena *arena)
{
    struct msg answer, question = {.kind = MSG_terminal_ask, .terminal_ask = {.user = user}};
    bool on = ask(terminals, &question, arena, &answer) && !answer.terminal_told.error;
    return on ? ERR_NONE : ERR_USER_NOT_ON;
}

enum err_code terminals_show(struct terminals *terminals, const struct msg_terminal_show *what,
                             struct arena *arena, struct str *line_r)
{
    struct msg answer, question = {.kind = MSG_terminal_show, .terminal_show = *what};
    if (!ask(terminals, &question, arena, &answer) || answer.terminal_shown.error)
        return ERR_USER_NOT_ON;
    *line_r = answer.terminal_shown.line;
    return ERR_NONE;
}
