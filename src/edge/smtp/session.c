/*
 * The life of a session: its begin, its deadlines, its turns and its end. What is said in between
 * is in turn.c and the commands.
 *
 * One timer serves everything that can be waited for. It is not moved with every octet: when it
 * fires, the deadline is worked out anew from what has come, and it is set again or it was due.
 */
#include "edge/smtp/session.h"

#include "edge/smtp/inquiry.h"
#include "edge/smtp/message.h"
#include "edge/smtp/reply.h"
#include "edge/smtp/turn.h"
#include "edge/tls.h"

struct str smtp_hostname(const struct smtp_session *s)
{
    struct str name = smtp_conf(s)->server.hostname;
    return name.n > 0 ? name : STR("localhost");
}

static struct smtp_parking *parking_of(const struct smtp_session *s)
{
    struct smtp_shared *shared = s->base.edge->smtp;
    return &shared->parking;
}

/* --- Its end --------------------------------------------------------------------------------- */

static void forwarded_drop(struct smtp_session *s)
{
    free(s->forwarded);
    s->forwarded = NULL;
}

void smtp_transaction_end(struct smtp_session *s, struct str why)
{
    struct edge *edge = s->base.edge;
    forwarded_drop(s);
    if (!s->mail)
        return;
    struct msg msg = {.kind = MSG_forget, .forget = {.transaction = s->mail->number, .why = why}};
    if (s->mail->core_since != 0 && s->mail->core_since == edge->core_since)
        edge_tell(edge, &msg);
    smtp_parking_leave(parking_of(s), s);
    smtp_mail_give(edge->smtp, &s->mail);
    s->state = SMTP_READY;
}

/* The end of the stream is to be told; a turn that runs sees to that itself. */
static void slow_no_more(struct smtp_session *s)
{
    if (s->slow_until > 0 && !s->busy)
        stream_resume(&s->stream);
    s->slow_until = 0;
}

void smtp_close_after_reply(struct smtp_session *s, const char *end)
{
    if (s->state & (SMTP_CLOSING | SMTP_ENDED))
        return;
    smtp_transaction_end(s, str_from(end));
    s->state = SMTP_CLOSING;
    s->end = end;
    stream_finish(&s->stream);
    slow_no_more(s);
}

void smtp_cut(struct smtp_session *s, const char *end)
{
    smtp_transaction_end(s, str_from(end));
    s->state = SMTP_ENDED;
    s->end = end;
}

enum transmission smtp_transmission(const struct smtp_session *s)
{
    const struct transmission_facts facts = {
        .lmtp = smtp_is_lmtp(s),
        .extended = s->extended,
        .utf8 = s->mail->utf8,
        .encrypted = edge_session_is_encrypted(&s->base),
        .logged_in = s->base.login.handle != 0 && !smtp_is_local(s),
    };
    return transmission_of(&facts);
}

static struct str protocol_name(const struct smtp_session *s)
{
    return smtp_is_lmtp(s)         ? STR("lmtp")
           : smtp_is_local(s)      ? STR("local")
           : smtp_is_submission(s) ? STR("submission")
                                   : STR("smtp");
}

static void log_end(const struct smtp_session *s)
{
    log_event(s->base.edge->log, LOG_INFO, "session",
              log_str("client", edge_session_client(&s->base)), log_u64("port", s->base.port),
              log_str("protocol", protocol_name(s)),
              log_str("tls", edge_session_tls_version(&s->base)),
              log_str("login", str_from(s->base.login.address)), log_str("helo", smtp_helo(s)),
              log_u64("messages", s->messages), log_u64("recipients", s->recipients),
              log_u64("commands", s->commands), log_u64("errors", s->errors),
              log_u64("in", s->stream.bytes_in), log_u64("out", s->stream.bytes_out),
              log_str("end", str_from(s->end)));
}

static void session_free(struct smtp_session *s)
{
    struct edge *edge = s->base.edge;
    must_be(s, SMTP_SESSION_MAGIC);
    must(!s->busy);
    if (!s->end)
        s->end = "lost";
    smtp_transaction_end(s, str_from(s->end));
    if (s->answered.message)
        edge_try_unseen(edge, &s->answered);
    edge_exchange_drop(&s->exchange);
    smtp_inquiry_end(s);
    log_end(s);
    timer_clear(edge->loop, &s->timer);
    task_cancel(edge->loop, &s->after);
    stream_done(&s->stream);
    edge_session_end(&s->base);
    s->magic = 0;
    free(s);
}

/* --- Deadlines ------------------------------------------------------------------------------- */

void smtp_phase_begin(struct smtp_session *s)
{
    s->phase = s->base.edge->loop->now;
    s->phase_in = s->stream.bytes_in;
}

/* The whole message has data_timeout and what its size allows at the slowest rate; a silence within
 * it is no longer than one between commands. */
static int64_t reading_deadline(const struct smtp_session *s)
{
    const struct conf *conf = smtp_conf(s);
    int64_t silence = s->heard + conf->smtp.command_timeout;
    if (conf->smtp.data_rate == 0)
        return silence;
    uint64_t octets = s->stream.bytes_in - s->phase_in;
    int64_t whole = s->phase + conf->smtp.data_timeout +
                    (int64_t)(octets / conf->smtp.data_rate) * NS_PER_SECOND;
    return whole < silence ? whole : silence;
}

static int64_t deadline(const struct smtp_session *s)
{
    if (s->slow_until > 0)
        return s->slow_until;
    if (s->state == SMTP_EARLY)
        return s->began + smtp_conf(s)->smtp.greeting_delay;
    if (s->state & SMTP_READING)
        return reading_deadline(s);
    if (s->state == SMTP_HANDSHAKE)
        return s->phase + smtp_conf(s)->tls.handshake_timeout;
    return s->phase + smtp_conf(s)->smtp.command_timeout;
}

/* S0 -> S1 */
static void greet(struct smtp_session *s)
{
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_put(&line, smtp_hostname(s));
    buf_put(&line, smtp_is_lmtp(s) ? STR(" LMTP Veredus") : STR(" ESMTP Veredus"));
    s->state = SMTP_GREETED;
    s->greeted = true;
    smtp_reply(s, 220, NULL, buf_str(&line));
    smtp_phase_begin(s);
}

/* What was held leaves before the next command is heard. */
static void slow_over(struct smtp_session *s)
{
    s->slow_until = 0;
    stream_release(&s->stream);
    loop_at_turn_end(s->base.edge->loop, &s->after);
}

static bool keeps_bare_newlines(const struct smtp_session *s)
{
    return conf_networks_hold(&smtp_conf(s)->smtp.bare_newlines_from,
                              edge_session_client(&s->base));
}

void smtp_session_anew(struct smtp_session *s)
{
    s->normalise = keeps_bare_newlines(s);
    s->extended = false;
    s->helo_length = 0;
    s->errors = 0;
    s->transactions = 0;
    smtp_transaction_end(s, str_null());
    smtp_inquiry_begin(s);
    greet(s);
}

static void timed_out(struct timer *timer)
{
    struct smtp_session *s = timer->arg;
    must_be(s, SMTP_SESSION_MAGIC);
    if (s->busy || s->state & (SMTP_CLOSING | SMTP_ENDED))
        return;
    bool due = deadline(s) <= s->base.edge->loop->now;
    if (due && s->slow_until > 0) {
        slow_over(s);
        return;
    }
    if (due && s->state == SMTP_EARLY) {
        greet(s);
    } else if (due && s->state == SMTP_HANDSHAKE) {
        s->end = "tls-timeout"; /* nothing can be said in the middle of it */
        session_free(s);
        return;
    } else if (due) {
        smtp_reply_error(s, ERR_TOO_SLOW);
        smtp_close_after_reply(s, "timeout");
        return;
    }
    timer_set(s->base.edge->loop, timer, deadline(s));
}

/* --- Turns ----------------------------------------------------------------------------------- */

static void run_turn(void *arg)
{
    struct smtp_session *s = arg;
    must_be(s, SMTP_SESSION_MAGIC);
    stream_hold(&s->stream);
    smtp_turn(s);
    if (s->slow_until == 0)
        stream_release(&s->stream);
    loop_soon(s->base.edge->loop, &s->after);
}

/* S5 to S7: the client is waited for, in memory of its own where slabs are short. */
static void rest(struct smtp_session *s)
{
    if (!(s->state & (SMTP_READING | SMTP_CHUNKED)) || !s->mail)
        return;
    struct err e = smtp_body_rest(&s->mail->body);
    if (e.code == ERR_TOO_SLOW_NOW)
        smtp_message_cut(s);
    else if (s->mail->body.parked.p)
        smtp_parking_enter(parking_of(s), s);
}

static void after_turn(struct task *task)
{
    struct smtp_session *s = task->arg;
    must_be(s, SMTP_SESSION_MAGIC);
    s->busy = false;
    if (s->state == SMTP_ENDED) {
        session_free(s);
        return;
    }
    rest(s);
    if (s->state & SMTP_LINES && !s->swallowing)
        smtp_phase_begin(s);
    if (s->state != SMTP_CLOSING)
        timer_set(s->base.edge->loop, &s->timer, deadline(s));
    if (s->slow_until == 0)
        stream_resume(&s->stream);
}

static void say_hello(struct smtp_session *s)
{
    bool at_once = smtp_conf(s)->smtp.greeting_delay == 0;
    if (stream_pending(&s->stream).n > 0) {
        smtp_early_word(s);
        return;
    }
    if (at_once)
        greet(s);
    timer_set(s->base.edge->loop, &s->timer, deadline(s));
}

/* S10 -> S0, or S1 behind STARTTLS, where nothing is said (RFC 3207 4.2) */
static void handshake_ended(struct smtp_session *s)
{
    must(edge_session_is_encrypted(&s->base));
    s->state = s->greeted ? SMTP_GREETED : SMTP_EARLY;
    s->began = s->base.edge->loop->now;
    smtp_phase_begin(s);
    if (s->greeted)
        timer_set(s->base.edge->loop, &s->timer, deadline(s));
    else
        say_hello(s);
}

/* A client that only half-closed still gets the replies to what it sent. */
static void input_ended(struct smtp_session *s)
{
    if (s->state == SMTP_HANDSHAKE) {
        s->end = "tls-failed";
        edge_session_tls_failed(&s->base, protocol_name(s));
    }
    if (s->state & (SMTP_CLOSING | SMTP_HANDSHAKE) || s->stream.ended == STREAM_BROKEN)
        session_free(s);
    else
        smtp_close_after_reply(s, "lost");
}

static void input(struct stream *stream)
{
    struct smtp_session *s = stream->arg;
    must_be(s, SMTP_SESSION_MAGIC);
    if (s->busy)
        return;
    if (stream->ended != STREAM_OPEN) {
        input_ended(s);
        return;
    }
    s->heard = s->base.edge->loop->now;
    if (s->state == SMTP_HANDSHAKE)
        handshake_ended(s);
    smtp_note_seen(s);
    if (!smtp_turn_wanted(s))
        return;
    s->busy = true;
    smtp_parking_leave(parking_of(s), s);
    stream_pause(stream);
    timer_clear(s->base.edge->loop, &s->timer);
    fiber_run(s->base.edge->fibers, &s->turn);
}

/* --- Its begin ------------------------------------------------------------------------------- */

static void session_init(struct smtp_session *s, struct edge *edge)
{
    s->magic = SMTP_SESSION_MAGIC;
    s->state = SMTP_EARLY;
    s->began = s->heard = s->phase = edge->loop->now;
    s->turn = (struct fiber_start){.run = run_turn, .arg = s};
    s->after = (struct task){.run = after_turn, .arg = s};
    s->timer = (struct timer){.run = timed_out, .arg = s};
    s->normalise = keeps_bare_newlines(s);
}

static void shake_hands(struct smtp_session *s)
{
    if (!edge_session_begin_tls(&s->base)) {
        s->end = "no-tls";
        session_free(s);
        return;
    }
    s->state = SMTP_HANDSHAKE;
    timer_set(s->base.edge->loop, &s->timer, deadline(s));
}

void smtp_session_begin(struct edge *edge, enum listen_protocol listen, int handle,
                        const struct peer_address *peer)
{
    struct smtp_session *s = calloc(1, sizeof *s);
    if (!s || !edge_session_begin(&s->base, edge, listen, peer)) {
        edge->world->ops->close(edge->world, handle);
        free(s);
        return;
    }
    session_init(s, edge);
    s->base.stream = &s->stream;
    if (stream_init(&s->stream, edge->loop, edge->streams, handle, input, s) < 0) {
        edge->world->ops->close(edge->world, handle);
        edge_session_end(&s->base);
        free(s);
        return;
    }
    if (smtp_is_submission(s))
        stream_wipe_input(&s->stream);
    if (listen_begins_in_tls(listen)) {
        shake_hands(s);
        return;
    }
    smtp_inquiry_begin(s);
    stream_read_more(&s->stream);
    say_hello(s);
}

static void begin(struct edge_listener *listener, int handle, const struct peer_address *peer)
{
    smtp_session_begin(listener->edge, listener->protocol, handle, peer);
}

static void limits(const struct conf *conf, struct edge_limits *limits_r)
{
    *limits_r = EDGE_LIMITS(conf->smtp);
}

static void submission_limits(const struct conf *conf, struct edge_limits *limits_r)
{
    *limits_r = EDGE_LIMITS(conf->submission);
}

static struct smtp_session *session_of(struct edge_session *session)
{
    struct smtp_session *s =
        (struct smtp_session *)((char *)session - offsetof(struct smtp_session, base));
    must_be(s, SMTP_SESSION_MAGIC);
    return s;
}

static void stop(struct edge_session *session)
{
    struct smtp_session *s = session_of(session);
    s->stopping = true;
    if (s->busy || s->state & (SMTP_CLOSING | SMTP_ENDED))
        return;
    if (s->state == SMTP_HANDSHAKE) {
        s->end = "shutdown";
        session_free(s);
        return;
    }
    smtp_reply_error(s, ERR_SHUTTING_DOWN);
    smtp_close_after_reply(s, "shutdown");
}

static void logged_out(struct edge_session *session)
{
    struct smtp_session *s = session_of(session);
    if (!s->busy)
        smtp_end_if_due(s);
}

const struct edge_protocol smtp_protocol = {
    .name = "smtp",
    .limits = limits,
    .begin = begin,
    .refusal = smtp_refusal_line,
    .stop = stop,
};

const struct edge_protocol smtp_submission_protocol = {
    .name = "submission",
    .limits = submission_limits,
    .begin = begin,
    .refusal = smtp_refusal_line,
    .stop = stop,
    .logged_out = logged_out,
};

/* --- What sessions share --------------------------------------------------------------------- */

enum {
    SCRATCH_MAX = 256 * 1024
};

bool smtp_open(struct edge *edge)
{
    struct smtp_shared *shared = calloc(1, sizeof *shared);
    struct smtp_inquiries *inquiries = calloc(1, sizeof *inquiries);
    if (!shared || !inquiries) {
        free(shared);
        free(inquiries);
        return false;
    }
    shared->inquiries = inquiries;
    SLIST_INIT(&shared->mails);
    smtp_parking_open(&shared->parking);
    arena_init(&shared->scratch, SCRATCH_MAX);
    edge->smtp = shared;
    edge->protocols[LISTEN_SMTP] = edge->protocols[LISTEN_LMTP] = &smtp_protocol;
    edge->protocols[LISTEN_SUBMISSION] = &smtp_submission_protocol;
    edge->protocols[LISTEN_SUBMISSIONS] = &smtp_submission_protocol;
    edge->protocols[LISTEN_LOCAL] = &smtp_submission_protocol;
    return true;
}

void smtp_close(struct edge *edge)
{
    struct smtp_shared *shared = edge->smtp;
    dns_client_done(&edge->dns);
    smtp_inquiries_close(shared->inquiries);
    free(shared->inquiries);
    smtp_mails_close(shared);
    arena_done(&shared->scratch);
    free(shared);
    edge->smtp = NULL;
}
