/*
 * The life of a session: begin, turns, the time limit, the end. One timer; it is moved when a
 * command was answered, since POP3 counts silence between commands only.
 */
#include "edge/pop3/session.h"

#include "base/must.h"
#include "edge/line.h"
#include "edge/pop3/ahead.h"
#include "edge/tls.h"

enum {
    COMMANDS_A_TURN = 200
};

static int64_t handshake_deadline(const struct pop3_session *s)
{
    return s->base.edge->loop->now + s->base.conf->tls.handshake_timeout;
}

static int64_t idle_deadline(const struct pop3_session *s)
{
    return s->base.edge->loop->now + s->base.conf->pop3.idle_timeout;
}

int64_t pop3_deadline(const struct pop3_session *s)
{
    uint64_t taken = s->stream.bytes_out - s->reply_from;
    return s->reply_since + s->base.conf->pop3.idle_timeout +
           (int64_t)(taken / POP3_READ_RATE) * NS_PER_SECOND;
}

bool pop3_core_is_ours(struct pop3_session *s)
{
    struct edge *edge = s->base.edge;
    if (edge->core_up && edge->core_since == s->base.login.core_since)
        return true;
    pop3_error(s, ERR_BUS_BROKEN);
    pop3_close_after_reply(s, "core-restarted");
    return false;
}

struct err pop3_ask(struct pop3_session *s, struct msg *msg, struct arena *arena,
                    struct msg *answer_r)
{
    struct edge *edge = s->base.edge;
    if (!edge->core_up || edge->core_since != s->base.login.core_since)
        return err_make(ERR_BUS_BROKEN);
    return edge_ask(edge, msg, arena, answer_r);
}

/* --- The end --------------------------------------------------------------------------------- */

void pop3_close_after_reply(struct pop3_session *s, const char *end)
{
    if (s->state & (POP3_CLOSING | POP3_ENDED))
        return;
    s->state = POP3_CLOSING;
    s->end = end;
    stream_finish(&s->stream);
}

void pop3_cut(struct pop3_session *s, const char *end)
{
    if (s->state == POP3_ENDED)
        return;
    s->state = POP3_ENDED;
    s->end = end;
}

static void log_end(const struct pop3_session *s)
{
    log_event(s->base.edge->log, LOG_INFO, "session",
              log_str("client", edge_session_client(&s->base)), log_u64("port", s->base.port),
              log_str("protocol", STR("pop3")), log_str("tls", edge_session_tls_version(&s->base)),
              log_str("login", str_from(s->base.login.address)), log_u64("messages", s->row_count),
              log_u64("read", s->read), log_u64("deleted", s->deleted),
              log_u64("errors", s->errors), log_u64("in", s->stream.bytes_in),
              log_u64("out", s->stream.bytes_out), log_str("end", str_from(s->end)));
}

/* On a fiber: the slabs that core fills must come back first. */
static void farewell(void *arg)
{
    struct pop3_session *s = arg;
    must_be(s, POP3_SESSION_MAGIC);
    ahead_wait(s);
    loop_soon(s->base.edge->loop, &s->after);
}

static void session_free(struct pop3_session *s)
{
    struct edge *edge = s->base.edge;
    must_be(s, POP3_SESSION_MAGIC);
    must(!s->busy);
    if (ahead_is_asked(s)) {
        s->state = POP3_ENDED;
        s->busy = true;
        s->turn.run = farewell;
        fiber_run(edge->fibers, &s->turn);
        return;
    }
    if (!s->end)
        s->end = "lost";
    edge_exchange_drop(&s->exchange);
    log_end(s);
    ahead_done(s);
    timer_clear(edge->loop, &s->timer);
    task_cancel(edge->loop, &s->after);
    stream_done(&s->stream);
    edge_session_end(&s->base);
    free(s->rows);
    free(s->user);
    s->magic = 0;
    free(s);
}

/* --- Turns ----------------------------------------------------------------------------------- */

/* Of an exchange, or AUTH, whose initial response may be as long. */
static size_t line_most(const struct pop3_session *s)
{
    bool auth = str_starts_nocase(stream_pending(&s->stream), STR("AUTH "));
    return auth || s->state == POP3_EXCHANGE ? EDGE_LOGIN_LINE_MAX : POP3_LINE_MAX;
}

static void line_too_long(struct pop3_session *s)
{
    s->swallowing = true;
    if (s->state == POP3_EXCHANGE)
        pop3_auth_too_long(s);
    pop3_err(s, NULL, STR("Line too long"));
}

/* May yield. False: no whole line is there. */
static bool command(struct pop3_session *s)
{
    char copy[EDGE_LOGIN_LINE_MAX];
    struct str line = str_null();
    size_t used = 0;
    if (s->swallowing) {
        s->swallowing = line_skip(stream_pending(&s->stream), true, &used) == LINE_MORE;
        stream_take(&s->stream, used);
        return !s->swallowing;
    }
    switch (line_find(stream_pending(&s->stream), line_most(s), true, &line, &used)) {
    case LINE_LONG:
        line_too_long(s);
        return true;
    case LINE_WHOLE:
        break;
    case LINE_MORE:
    case LINE_BARE:
        return false;
    }
    memcpy(copy, line.p, line.n);
    stream_take(&s->stream, used);
    s->reply_since = s->base.edge->loop->now;
    s->reply_from = s->stream.bytes_out;
    if (s->state == POP3_EXCHANGE)
        pop3_auth_line(s, str_make(copy, line.n));
    else
        pop3_command_line(s, str_make(copy, line.n));
    explicit_bzero(copy, line.n); /* it may have been PASS */
    return true;
}

static void end_if_due(struct pop3_session *s)
{
    if (!(s->state & POP3_LINES))
        return;
    if (s->base.login.over) {
        pop3_err(s, "AUTH", STR("The log-in is over; log in again"));
        pop3_close_after_reply(s, "login-over");
    } else if (s->errors >= s->base.conf->pop3.errors ||
               s->base.login_failures >= EDGE_LOGIN_FAILURES) {
        pop3_err(s, NULL, STR("Too many errors; closing"));
        pop3_close_after_reply(s, "errors");
    } else if (s->stopping) {
        pop3_err(s, "SYS/TEMP", STR("Shutting down; try again later"));
        pop3_close_after_reply(s, "shutdown");
    }
}

static void turn(void *arg)
{
    struct pop3_session *s = arg;
    must_be(s, POP3_SESSION_MAGIC);
    for (int i = 0; i < COMMANDS_A_TURN && s->state & POP3_LINES; i++) {
        bool some = command(s);
        end_if_due(s);
        if (s->state & POP3_LINES && s->stream.unsent >= STREAM_OUT_SOFT &&
            !stream_drain(&s->stream, pop3_deadline(s)))
            pop3_cut(s, "not-reading");
        if (!some)
            break;
    }
    loop_soon(s->base.edge->loop, &s->after);
}

static void after_turn(struct task *task)
{
    struct pop3_session *s = task->arg;
    must_be(s, POP3_SESSION_MAGIC);
    s->busy = false;
    if (s->state == POP3_ENDED) {
        session_free(s);
        return;
    }
    if (s->state == POP3_HANDSHAKE)
        timer_set(s->base.edge->loop, &s->timer, handshake_deadline(s));
    else if (s->state != POP3_CLOSING)
        timer_set(s->base.edge->loop, &s->timer, idle_deadline(s));
    stream_resume(&s->stream);
}

static bool turn_wanted(const struct pop3_session *s)
{
    struct str pending = stream_pending(&s->stream), line;
    size_t used;
    if (!(s->state & POP3_LINES))
        return false;
    /* A CR alone that may be half of the end stays: nothing can be done before more comes. */
    if (s->swallowing)
        return line_skip(pending, true, &used) != LINE_MORE || used > 0;
    return line_find(pending, line_most(s), true, &line, &used) != LINE_MORE;
}

static void greet(struct pop3_session *s)
{
    s->greeted = true;
    s->state = POP3_AUTHORIZATION; /* P1 */
    pop3_ok(s, STR("Veredus ready"));
    timer_set(s->base.edge->loop, &s->timer, idle_deadline(s));
}

/* P6 -> P1; behind STLS nothing is said (RFC 2595 4) */
static void handshake_ended(struct pop3_session *s)
{
    must(edge_session_is_encrypted(&s->base));
    s->state = POP3_AUTHORIZATION;
    if (!s->greeted)
        greet(s);
    timer_set(s->base.edge->loop, &s->timer, idle_deadline(s));
}

static void input(struct stream *stream)
{
    struct pop3_session *s = stream->arg;
    must_be(s, POP3_SESSION_MAGIC);
    if (s->busy)
        return;
    if (stream->ended != STREAM_OPEN) {
        if (s->state == POP3_HANDSHAKE) {
            s->end = "tls-failed";
            edge_session_tls_failed(&s->base, STR("pop3"));
        }
        session_free(s);
        return;
    }
    if (s->state == POP3_HANDSHAKE)
        handshake_ended(s);
    if (!turn_wanted(s))
        return;
    s->busy = true;
    stream_pause(stream);
    timer_clear(s->base.edge->loop, &s->timer);
    fiber_run(s->base.edge->fibers, &s->turn);
}

static void timed_out(struct timer *timer)
{
    struct pop3_session *s = timer->arg;
    must_be(s, POP3_SESSION_MAGIC);
    if (s->busy || s->state & (POP3_CLOSING | POP3_ENDED))
        return;
    if (s->state == POP3_HANDSHAKE) {
        s->end = "tls-timeout";
        session_free(s);
        return;
    }
    /* RFC 1939 3: closes without UPDATE and without a word; nothing is removed. */
    pop3_close_after_reply(s, "timeout");
}

/* --- The begin ------------------------------------------------------------------------------- */

static void session_init(struct pop3_session *s)
{
    s->magic = POP3_SESSION_MAGIC;
    s->state = POP3_AUTHORIZATION;
    s->turn = (struct fiber_start){.run = turn, .arg = s};
    s->after = (struct task){.run = after_turn, .arg = s};
    s->timer = (struct timer){.run = timed_out, .arg = s};
}

static void shake_hands(struct pop3_session *s)
{
    if (!edge_session_begin_tls(&s->base)) {
        s->end = "no-tls";
        session_free(s);
        return;
    }
    s->state = POP3_HANDSHAKE;
    timer_set(s->base.edge->loop, &s->timer, handshake_deadline(s));
}

void pop3_session_begin(struct edge *edge, enum listen_protocol listen, int handle,
                        const struct peer_address *peer)
{
    struct pop3_session *s = calloc(1, sizeof(*s));
    if (!s || !edge_session_begin(&s->base, edge, listen, peer)) {
        edge->world->ops->close(edge->world, handle);
        free(s);
        return;
    }
    session_init(s);
    s->base.stream = &s->stream;
    if (stream_init(&s->stream, edge->loop, edge->streams, handle, input, s) < 0) {
        edge->world->ops->close(edge->world, handle);
        edge_session_end(&s->base);
        free(s);
        return;
    }
    stream_wipe_input(&s->stream);
    if (listen_begins_in_tls(listen))
        shake_hands(s);
    else
        greet(s);
}

static void begin(struct edge_listener *listener, int handle, const struct peer_address *peer)
{
    pop3_session_begin(listener->edge, listener->protocol, handle, peer);
}

static void limits(const struct conf *conf, struct edge_limits *limits_r)
{
    *limits_r = EDGE_LIMITS(conf->pop3);
}

static void refusal(const struct conf *conf, enum err_code why, struct buf *line)
{
    (void)conf;
    buf_printf(line, "-ERR [SYS/TEMP] %s\r\n", err_row(why)->text);
}

static struct pop3_session *session_of(struct edge_session *session)
{
    struct pop3_session *s =
        (struct pop3_session *)(void *)((char *)session - offsetof(struct pop3_session, base));
    must_be(s, POP3_SESSION_MAGIC);
    return s;
}

static void stop(struct edge_session *session)
{
    struct pop3_session *s = session_of(session);
    s->stopping = true;
    if (!s->busy && s->state == POP3_HANDSHAKE) {
        s->end = "shutdown";
        session_free(s);
    } else if (!s->busy) {
        end_if_due(s);
    }
}

static void logged_out(struct edge_session *session)
{
    struct pop3_session *s = session_of(session);
    if (!s->busy)
        end_if_due(s);
}

const struct edge_protocol pop3_protocol = {
    .name = "pop3",
    .limits = limits,
    .begin = begin,
    .refusal = refusal,
    .stop = stop,
    .logged_out = logged_out,
};
