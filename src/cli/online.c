/*
 * A command through core: one link over the control socket, one question. Core checks who we are by
 * the socket's peer credentials; the socket's mode keeps everybody else out before that. While a
 * command runs core says something every CONTROL_PULSE, so silence means that it hangs, however
 * long a command may take. It is counted in beats rather than measured: a pager that does not read
 * or a stopped job keeps us from hearing, and the one beat that was due meanwhile says nothing of
 * core.
 */
#include "cli/cli.h"

#include <errno.h>

#include "base/must.h"
#include "bus/link.h"
#include "sys/fiber.h"
#include "sys/process.h"

enum {
    SILENT_BEATS = 6
};

struct conversation {
    struct cli *cli;
    struct loop loop;
    struct fiber_pool *fibers;
    struct link link;
    bool linked;
    struct timer beat;
    unsigned silent_beats; /* since core last said something */
    bool hangs;
    int exit_code;
};

static void beat_begin(struct conversation *talk)
{
    timer_set(&talk->loop, &talk->beat, talk->loop.now + talk->cli->patience / SILENT_BEATS);
}

static void beat_over(struct timer *timer)
{
    struct conversation *talk = timer->arg;
    if (++talk->silent_beats < SILENT_BEATS) {
        beat_begin(talk);
        return;
    }
    talk->hangs = true;
    if (talk->linked)
        link_cut(&talk->link, err_make(ERR_TOO_SLOW));
}

static void text_got(struct link *link, const struct msg *msg, int passed)
{
    must(passed < 0);
    struct conversation *talk = link->arg;
    talk->silent_beats = 0;
    if (msg->kind != MSG_admin_text)
        return;
    struct str text = msg->admin_text.text;
    if (msg->admin_text.to_stderr) {
        fwrite(text.p, 1, text.n, stderr);
        return;
    }
    cli_out(text);
    fflush(stdout); /* a long answer is read while it comes */
}

static void link_ended(struct link *link, struct err why)
{
    struct conversation *talk = link->arg;
    (void)why;
    talk->linked = false;
    link_done(link);
}

static struct err input_send(struct conversation *talk)
{
    struct str rest = buf_str(&talk->cli->input);
    while (rest.n) {
        if (!talk->linked)
            return err_make(ERR_BUS_BROKEN);
        struct str piece = str_head(rest, ADMIN_INPUT_PIECE);
        struct msg msg = {.kind = MSG_admin_input, .admin_input = {.octets = piece}};
        struct err e = link_send(&talk->link, &msg);
        if (e.code == ERR_OVER_LIMIT) { /* core reads slower than we write */
            fiber_sleep_until(&talk->loop, talk->loop.now + 5 * NS_PER_MS);
            continue;
        }
        if (err_is(e))
            return e;
        talk->silent_beats = 0;
        rest = str_from_index(rest, piece.n);
    }
    return err_none();
}

static struct err command_ask(struct conversation *talk)
{
    struct cli *cli = talk->cli;
    struct err e = input_send(talk);
    if (err_is(e))
        return e;
    struct msg_text_line *words =
        arena_take_array(&cli->arena, cli->word_count, sizeof(struct msg_text_line));
    if (!words)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < cli->word_count; i++)
        words[i].text = cli->words[i];
    struct msg question = {
        .kind = MSG_admin,
        .admin = {.arguments = words, .arguments_count = cli->word_count, .json = cli->json}};
    struct msg answer;
    e = link_ask(&talk->link, &question, &cli->arena, &answer);
    if (!err_is(e))
        talk->exit_code = answer.admin_done.exit_code;
    return e;
}

static void no_answer_say(const struct conversation *talk)
{
    if (talk->hangs)
        fprintf(stderr,
                "veredus: the server hangs: nothing was heard from it for %lld s; nothing is known "
                "about the command\n",
                (long long)(talk->cli->patience / NS_PER_SECOND));
    else
        cli_say(STR("the server ended the connection; nothing is known about the command"));
}

static void talk_run(void *arg)
{
    struct conversation *talk = arg;
    if (err_is(command_ask(talk))) {
        no_answer_say(talk);
        talk->exit_code = EXIT_TEMPORARY;
    }
    timer_clear(&talk->loop, &talk->beat);
    loop_stop(&talk->loop);
}

static void talk_serve(struct conversation *talk)
{
    talk->linked = true;
    talk->beat = (struct timer){.run = beat_over, .arg = talk};
    beat_begin(talk);
    struct fiber_start start = {.run = talk_run, .arg = talk};
    fiber_run(talk->fibers, &start);
    loop_run(&talk->loop);
    if (talk->linked)
        link_done(&talk->link);
}

/* 0, or -errno: nothing was asked, and the handle is still the caller's. */
static int talk_begin(struct conversation *talk, int handle)
{
    static const struct link_owner owner = {.got = text_got, .ended = link_ended};
    int failed = loop_init(&talk->loop, world_real());
    if (failed)
        return failed;
    talk->fibers = fiber_pool_open(&talk->loop, 4);
    failed = talk->fibers
                 ? link_init(&talk->link, &talk->loop, handle, ROLE_CLI, ROLE_CORE, &owner, talk)
                 : -ENOMEM;
    if (!failed)
        talk_serve(talk);
    if (talk->fibers)
        fiber_pool_close(talk->fibers);
    loop_done(&talk->loop);
    return failed;
}

bool cli_online(struct cli *cli, int *exit_r)
{
    int handle;
    struct err e = process_connect_unix(cli->conf.server.control, &handle);
    if (err_is(e) && e.os == EACCES) {
        fprintf(stderr,
                "veredus: only root, and who runs this server, may give it commands (%.*s: %s)\n",
                STR_FMT(cli->conf.server.control), strerrordesc_np(e.os));
        *exit_r = EXIT_NOT_ALLOWED;
        return true;
    }
    if (err_is(e))
        return false;
    struct conversation talk = {.cli = cli, .exit_code = EXIT_TEMPORARY};
    int failed = talk_begin(&talk, handle);
    if (failed) {
        struct world *world = world_real();
        world->ops->close(world, handle);
        fprintf(stderr, "veredus: cannot ask the server: %s\n", strerrordesc_np(-failed));
    }
    *exit_r = talk.exit_code;
    return true;
}
