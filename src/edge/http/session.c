/*
 * The life of a session, as of POP3's: begin, turns, the limit of time, the end. A request runs on
 * a fiber because what it asks may be core's to answer.
 */
#include "edge/http/session.h"

#include "base/must.h"
#include "edge/tls.h"

enum {
    ONE_V4 = 32, /* bits: an address by itself */
    OK = 200,
    CONTINUES = 100, /* what turn_wanted finds: a body is to be asked for */
};

/* --- The end --------------------------------------------------------------------------------- */

static void log_end(const struct http_session *s)
{
    log_event(s->base.edge->log, LOG_INFO, "session",
              log_str("client", edge_session_client(&s->base)), log_u64("port", s->base.port),
              log_str("protocol", STR("http")), log_str("tls", edge_session_tls_version(&s->base)),
              log_u64("requests", s->requests), log_u64("errors", s->errors),
              log_u64("in", s->stream.bytes_in), log_u64("out", s->stream.bytes_out),
              log_str("end", str_from(s->end)));
}

static void session_free(struct http_session *s, const char *end)
{
    struct edge *edge = s->base.edge;
    must_be(s, HTTP_SESSION_MAGIC);
    must(!s->busy);
    if (!s->end)
        s->end = end;
    log_end(s);
    timer_clear(edge->loop, &s->timer);
    task_cancel(edge->loop, &s->after);
    stream_done(&s->stream);
    edge_session_end(&s->base);
    s->magic = 0;
    free(s);
}

static void close_quietly(struct http_session *s, const char *end)
{
    s->state = HTTP_CLOSING;
    s->end = end;
    stream_finish(&s->stream);
}

/* --- Turns ----------------------------------------------------------------------------------- */

/* What can be done with what has come: 0: nothing yet; CONTINUES; OK: a request with its body; else
 * what it is refused with. */
static unsigned found(const struct http_session *s, struct http_asked *asked_r)
{
    struct str pending = stream_pending(&s->stream);
    unsigned status = http_asked_read(pending, HTTP_BODY_MAX, asked_r);
    if (status != OK || pending.n - asked_r->head >= asked_r->length)
        return status;
    return asked_r->expects && !s->continued ? CONTINUES : 0;
}

static bool comes_too_often(const struct http_session *s)
{
    struct edge *edge = s->base.edge;
    struct str client = edge_session_client(&s->base);
    uint64_t most = s->base.conf->http.requests_per_minute;
    struct network address;
    if (most == 0 || !network_address(client, &address) ||
        conf_networks_hold(&s->base.conf->http.unlimited_from, client))
        return false;
    /* One host may have all addresses of a /64. */
    address = network_cut(&address, ONE_V4, DOOR_V6);
    return !door_passes(edge->door, DOOR_REQUESTS, &address, most, HTTP_REQUESTS_IN,
                        edge->loop->now);
}

/* May yield. The request is copied: what is pending does not outlast a yield. */
static void serve(struct http_session *s, const struct http_asked *head)
{
    char copy[HTTP_ASKED_HEAD_MAX + 2 + HTTP_BODY_MAX];
    struct http_request_here request;
    size_t n = head->head + head->length;
    must(n <= sizeof(copy));
    memcpy(copy, stream_pending(&s->stream).p, n);
    stream_take(&s->stream, n);
    unsigned status = http_asked_read(str_make(copy, n), HTTP_BODY_MAX, &request.asked);
    must(status == OK);
    request.body = str_make(copy + head->head, head->length);
    const struct http_answer too_often = {.status = 429, .last = true};
    s->requests++;
    s->continued = false;
    if (comes_too_often(s))
        http_answer(s, &request.asked, &too_often);
    else
        http_serve(s, &request);
    s->deadline = s->base.edge->loop->now + s->base.conf->http.timeout;
}

/* May yield. False: more has to come first. */
static bool request_take(struct http_session *s)
{
    struct http_asked asked;
    unsigned status = found(s, &asked);
    if (status == OK) {
        serve(s, &asked);
    } else if (status == CONTINUES) {
        s->continued = true;
        stream_put(&s->stream, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    } else if (status != 0) {
        const struct http_answer answer = {.status = status, .last = true};
        http_answer(s, &asked, &answer);
    }
    return status != 0;
}

static void turn(void *arg)
{
    struct http_session *s = arg;
    must_be(s, HTTP_SESSION_MAGIC);
    bool some = true;
    while (some && s->state == HTTP_ASKING) {
        some = request_take(s);
        if (s->state == HTTP_ASKING && s->stream.unsent >= STREAM_OUT_SOFT &&
            !stream_drain(&s->stream, s->deadline)) {
            s->state = HTTP_ENDED;
            s->end = "not-reading";
        }
    }
    loop_soon(s->base.edge->loop, &s->after);
}

static void after_turn(struct task *task)
{
    struct http_session *s = task->arg;
    must_be(s, HTTP_SESSION_MAGIC);
    s->busy = false;
    if (s->state == HTTP_ENDED) {
        session_free(s, "lost");
        return;
    }
    if (s->state == HTTP_ASKING && s->stopping)
        close_quietly(s, "shutdown");
    else if (s->state == HTTP_ASKING)
        timer_set(s->base.edge->loop, &s->timer, s->deadline);
    stream_resume(&s->stream);
}

static void asking(struct http_session *s)
{
    s->state = HTTP_ASKING;
    s->deadline = s->base.edge->loop->now + s->base.conf->http.timeout;
    timer_set(s->base.edge->loop, &s->timer, s->deadline);
}

static void input_ended(struct http_session *s)
{
    if (s->state == HTTP_HANDSHAKE) {
        edge_session_tls_failed(&s->base, STR("http"));
        session_free(s, "tls-failed");
    } else {
        session_free(s, s->stream.ended == STREAM_CLOSED_BY_PEER ? "closed" : "lost");
    }
}

static void input(struct stream *stream)
{
    struct http_session *s = stream->arg;
    struct http_asked asked;
    must_be(s, HTTP_SESSION_MAGIC);
    if (s->busy)
        return;
    if (stream->ended != STREAM_OPEN) {
        input_ended(s);
        return;
    }
    if (s->state == HTTP_HANDSHAKE)
        asking(s);
    if (s->state != HTTP_ASKING || found(s, &asked) == 0)
        return;
    s->busy = true;
    stream_pause(stream);
    timer_clear(s->base.edge->loop, &s->timer);
    fiber_run(s->base.edge->fibers, &s->turn);
}

/* Nobody reads a 408 who did not get to the end of his request in time. */
static void timed_out(struct timer *timer)
{
    struct http_session *s = timer->arg;
    must_be(s, HTTP_SESSION_MAGIC);
    if (s->busy || s->state == HTTP_CLOSING)
        return;
    if (s->state == HTTP_HANDSHAKE)
        session_free(s, "tls-timeout");
    else
        close_quietly(s, "timeout");
}

/* --- The begin ------------------------------------------------------------------------------- */

static void shake_hands(struct http_session *s)
{
    struct edge *edge = s->base.edge;
    if (!edge_session_begin_tls(&s->base)) {
        session_free(s, "no-tls");
        return;
    }
    s->state = HTTP_HANDSHAKE;
    timer_set(edge->loop, &s->timer, edge->loop->now + s->base.conf->tls.handshake_timeout);
}

void http_session_begin(struct edge *edge, enum listen_protocol listen, int handle,
                        const struct peer_address *peer)
{
    struct http_session *s = calloc(1, sizeof(*s));
    if (!s || !edge_session_begin(&s->base, edge, listen, peer)) {
        edge->world->ops->close(edge->world, handle);
        free(s);
        return;
    }
    s->magic = HTTP_SESSION_MAGIC;
    s->turn = (struct fiber_start){.run = turn, .arg = s};
    s->after = (struct task){.run = after_turn, .arg = s};
    s->timer = (struct timer){.run = timed_out, .arg = s};
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
        asking(s);
}

static void begin(struct edge_listener *listener, int handle, const struct peer_address *peer)
{
    http_session_begin(listener->edge, listener->protocol, handle, peer);
}

static void limits(const struct conf *conf, struct edge_limits *limits_r)
{
    *limits_r = EDGE_LIMITS(conf->http);
}

static void refusal(const struct conf *conf, enum err_code why, struct buf *line)
{
    (void)conf;
    (void)why;
    buf_put(line, STR("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\n"
                      "Content-Length: 0\r\nConnection: close\r\n\r\n"));
}

static void stop(struct edge_session *session)
{
    struct http_session *s =
        (struct http_session *)(void *)((char *)session - offsetof(struct http_session, base));
    must_be(s, HTTP_SESSION_MAGIC);
    s->stopping = true;
    if (!s->busy && s->state == HTTP_HANDSHAKE)
        session_free(s, "shutdown");
    else if (!s->busy && s->state == HTTP_ASKING)
        close_quietly(s, "shutdown");
}

const struct edge_protocol http_protocol = {
    .name = "http",
    .limits = limits,
    .begin = begin,
    .refusal = refusal,
    .stop = stop,
};
