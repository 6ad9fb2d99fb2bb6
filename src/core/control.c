#include "core/control.h"

#include <errno.h>

#include "core/admin.h"
#include "core/peer.h"
#include "sys/process.h"

#define CONTROL_PAUSE (NS_PER_SECOND / 10)

/* --- Connections ----------------------------------------------------------------------------- */

static size_t commands_connected(const struct core *core)
{
    size_t count = 0;
    struct peer *peer;
    LIST_FOREACH (peer, &core->peers, link_in_core)
        count += peer->role == ROLE_CLI;
    return count;
}

static void control_rest(struct control *control)
{
    watch_want(control->core->loop, &control->watch, 0);
    timer_set(control->core->loop, &control->pause, control->core->loop->now + CONTROL_PAUSE);
}

static void control_take(struct control *control, int handle, const struct peer_address *who)
{
    struct core *core = control->core;
    struct err e = err_detail(ERR_NOT_ALLOWED, STR("control socket"));
    if (who->uid == 0 || who->uid == control->own_uid)
        e = peer_add(core, handle, ROLE_CLI, (uint32_t)who->uid);
    if (!err_is(e))
        return;
    core->world->ops->close(core->world, handle);
    log_event(core->log, LOG_WARN, "control_refused", log_u64("uid", (uint64_t)who->uid),
              log_str("error", str_from(err_row(e.code)->name)));
}

static void control_ready(struct watch *watch, unsigned ready)
{
    struct control *control = watch->arg;
    struct core *core = control->core;
    (void)ready;
    while (commands_connected(core) < CONTROL_PEERS_MAX) {
        struct peer_address who;
        int handle = core->world->ops->accept(core->world, watch->handle, &who);
        if (handle == -EAGAIN)
            return;
        if (handle < 0)
            break;
        control_take(control, handle, &who);
    }
    control_rest(control);
}

static void control_go_on(struct timer *timer)
{
    struct control *control = timer->arg;
    watch_want(control->core->loop, &control->watch, READY_READ);
}

struct err control_open(struct control *control, struct core *core, int handle)
{
    *control = (struct control){.core = core, .own_uid = process_own_uid()};
    control->pause = (struct timer){.run = control_go_on, .arg = control};
    control->watch = (struct watch){
        .handle = handle, .want = READY_READ, .ready = control_ready, .arg = control};
    int failed = watch_begin(core->loop, &control->watch);
    return failed ? err_os(-failed, STR("control socket")) : err_none();
}

void control_close(struct control *control)
{
    struct core *core = control->core;
    timer_clear(core->loop, &control->pause);
    watch_end(core->loop, &control->watch);
    core->world->ops->close(core->world, control->watch.handle);
}

/* --- Commands -------------------------------------------------------------------------------- */

struct command {
    struct request *request;
    struct admin admin;
};

static void command_out(void *arg, struct str text, bool to_stderr)
{
    struct command *command = arg;
    while (text.n && !command->admin.gone) {
        struct str piece = str_head(text, ADMIN_INPUT_PIECE);
        struct msg msg = {.kind = MSG_admin_text,
                          .admin_text = {.text = piece, .to_stderr = to_stderr}};
        command->admin.gone = !request_piece(command->request, &msg);
        text = str_from_index(text, piece.n);
    }
}

/* --- Signs of life --- */

struct pulse {
    struct timer timer;
    struct request *request;
};

/* Whoever does not read needs no sign; the pieces of the answer wait for it as well. */
static void pulse_beat(struct timer *timer)
{
    struct pulse *pulse = timer->arg;
    struct peer *peer = pulse->request->peer;
    struct msg msg = {.kind = MSG_admin_text,
                      .admin_text = {.call = pulse->request->msg.admin.call, .text = STR("")}};
    if (!peer->gone)
        (void)link_send(&peer->link, &msg);
    timer_set(peer->core->loop, timer, peer->core->loop->now + CONTROL_PULSE);
}

static void pulse_begin(struct pulse *pulse, struct request *request)
{
    struct loop *loop = request->peer->core->loop;
    *pulse = (struct pulse){.timer = {.run = pulse_beat, .arg = pulse}, .request = request};
    timer_set(loop, &pulse->timer, loop->now + CONTROL_PULSE);
}

void serve_admin_input(struct request *request)
{
    struct peer *peer = request->peer;
    if (!buf_put(&peer->admin_input, request->msg.admin_input.octets))
        peer_cut(peer, err_detail(ERR_OVER_LIMIT, STR("input of a command")));
}

void serve_admin(struct request *request)
{
    const struct msg_admin *asked = &request->msg.admin;
    struct peer *peer = request->peer;
    struct core *core = peer->core;
    struct arena arena;
    struct pulse pulse;
    pulse_begin(&pulse, request);
    arena_init(&arena, ADMIN_ARENA);
    struct str *words = arena_take_array(&arena, asked->arguments_count, sizeof(*words));
    struct msg answer = {.kind = MSG_admin_done, .admin_done = {.exit_code = 75}};
    struct str input = buf_copy(&peer->admin_input, &arena);
    if (words) {
        for (size_t i = 0; i < asked->arguments_count; i++)
            words[i] = asked->arguments[i].text;
        struct command command = {.request = request};
        command.admin = (struct admin){.loop = core->loop,
                                       .engine = core->engine,
                                       .directory = &core->directory,
                                       .hashes = &core->hashes,
                                       .conf = core->conf,
                                       .keys = core->keys,
                                       .arena = &arena,
                                       .input = input,
                                       .json = asked->json,
                                       .serving = true,
                                       .core = core,
                                       .audit = &core->audit,
                                       .senders = &core->senders,
                                       .operator= peer->instance,
                                       .out = command_out,
                                       .arg = &command};
        answer.admin_done.exit_code =
            (uint8_t)admin_run(&command.admin, words, asked->arguments_count);
    }
    str_wipe(input);
    str_wipe(buf_str(&peer->admin_input));
    buf_done(&peer->admin_input);
    arena_wipe(&arena); /* a password, made up or prepared, may be in it */
    timer_clear(core->loop, &pulse.timer);
    request_answer(request, &answer);
}
