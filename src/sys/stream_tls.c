/*
 * A handshake's steps on fibers. A step runs until OpenSSL wants octets that are not there, or on
 * to the end; only for a signature does it park in the middle. It then has OpenSSL's state on its
 * stack, so that state cannot go before the step comes back: a stream that is done meanwhile leaves
 * it behind, cut off from the handle, which may be another connection's by then, and the step frees
 * it.
 *
 * Readiness while a step is parked only drops the interest: the client has nothing to say then, so
 * no system call is spent for each step.
 *
 * As client nothing parks in the middle: its steps run on the loop's stack, and the fiber that
 * called waits for the end of them.
 */
#include "sys/stream_tls.h"

#include <errno.h>

struct secured {
    struct fiber_start start;  /* of a step */
    struct fiber_pool *fibers; /* NULL: as client */
    struct tls_session *session;
    struct stream *stream; /* NULL: it left, the step that runs frees this */
    bool stepping;
    int failed; /* -errno of the last step */
};

static void secured_free(struct secured *secured)
{
    tls_session_free(secured->session);
    free(secured);
}

static void handshake_over(struct stream *stream)
{
    stream->tls = STREAM_TLS_ON;
    stream->unshown = true;
    stream_want(stream, READY_WRITE, false);
    stream_want_input(stream);
    loop_soon(stream->loop, &stream->show);
    if (!stream->held)
        loop_at_turn_end(stream->loop, &stream->flush);
}

static void stepped(struct secured *secured, int result)
{
    struct stream *stream = secured->stream;
    unsigned waits = tls_session_waits(secured->session);
    if (stream->tls != STREAM_TLS_HANDSHAKE)
        return;
    if (result == 0) {
        handshake_over(stream);
    } else if (result == -EAGAIN) {
        stream_want(stream, READY_READ, waits & READY_READ);
        stream_want(stream, READY_WRITE, waits & READY_WRITE);
    } else {
        secured->failed = result;
        stream_break_off(stream);
    }
}

static void step(void *arg)
{
    struct secured *secured = arg;
    int result = secured->stream ? tls_session_handshake(secured->session) : -ECANCELED;
    secured->stepping = false;
    if (secured->stream)
        stepped(secured, result);
    else
        secured_free(secured);
}

void stream_tls_ready(struct stream *stream)
{
    struct secured *secured = stream->secured;
    if (secured->stepping) {
        stream_want(stream, READY_READ | READY_WRITE, false);
        return;
    }
    secured->stepping = true;
    secured->start = (struct fiber_start){.run = step, .arg = secured};
    if (secured->fibers)
        fiber_run(secured->fibers, &secured->start);
    else
        step(secured);
}

/* Takes the session over. */
static int secure(struct stream *stream, struct tls_session *session, struct fiber_pool *fibers)
{
    struct secured *secured = session ? calloc(1, sizeof(*secured)) : NULL;
    if (!secured) {
        if (session)
            tls_session_free(session);
        return -ENOMEM;
    }
    *secured = (struct secured){.fibers = fibers, .session = session, .stream = stream};
    stream->secured = secured;
    if (stream->wipes)
        stream_tls_wipe(stream);
    return 0;
}

int stream_tls_begin(struct stream *stream, struct tls_server *server, struct fiber_pool *fibers)
{
    must(stream->tls == STREAM_PLAIN);
    if (stream->unsent > 0 && !stream->out_blocked)
        stream_send_output(stream);
    if (stream->seen != STREAM_OPEN || stream->closing)
        return -EPIPE;
    if (stream_pending(stream).n > 0)
        return -EPROTO;
    if (stream->unsent > 0)
        return -EAGAIN;
    int e =
        secure(stream, tls_session_new(server, stream->loop->world, stream->watch.handle), fibers);
    if (e == 0) {
        stream->tls = STREAM_TLS_HANDSHAKE;
        stream_want(stream, READY_READ, true);
    }
    return e;
}

static int give_up(struct stream *stream, int e, const char *why)
{
    if (stream->secured)
        tls_session_refuse(stream->secured->session, why);
    stream->tls = STREAM_TLS_FAILED;
    stream_break_off(stream);
    return e;
}

/* A server speaks second in TLS: what is there already came in the clear, whoever wrote it. */
static int heard_nothing(struct stream *stream)
{
    stream_read_more(stream);
    if (stream_pending(stream).n > 0)
        return give_up(stream, -EPROTO, "octets came in the clear behind the agreement on TLS");
    return stream->seen == STREAM_OPEN ? 0 : give_up(stream, -ECONNRESET, "the server went away");
}

/* Whatever the world called it: it ended, or one of us would not go on. */
static int why_not(int e)
{
    if (e == -EMSGSIZE)
        return -EPROTO;
    return e == -EPROTO || e == -EINVAL || e == -ENOMEM ? e : -ECONNRESET;
}

static int shake_hands(struct stream *stream, int64_t deadline)
{
    stream->tls = STREAM_TLS_HANDSHAKE;
    stream->await_above = -1;
    stream_want(stream, READY_WRITE, true);
    if (!stream_wait(stream, deadline))
        return give_up(stream, -ETIMEDOUT, "the handshake took too long");
    stream->unshown = false;
    return stream->tls == STREAM_TLS_ON ? 0 : why_not(stream->secured->failed);
}

int stream_tls_connect(struct stream *stream, struct tls_client *client,
                       const struct tls_peer *peer, int64_t deadline)
{
    must(stream->tls == STREAM_PLAIN && stream->paused && !stream->closing);
    struct tls_session *session =
        tls_session_call(client, peer, stream->loop->world, stream->watch.handle);
    if (secure(stream, session, NULL) < 0)
        return give_up(stream, -ENOMEM, "no memory");
    if (!stream_flush(stream, deadline))
        return give_up(stream, stream->ended == STREAM_BROKEN ? -ECONNRESET : -ETIMEDOUT,
                       "what was said in the clear was not taken");
    int e = heard_nothing(stream);
    return e < 0 ? e : shake_hands(stream, deadline);
}

void stream_tls_verdict(const struct stream *stream, struct tls_verdict *verdict_r)
{
    *verdict_r =
        (struct tls_verdict){.result = TLS_RESULT_VALIDATION_FAILURE, .words = STR("no memory")};
    if (stream->secured)
        tls_session_verdict(stream->secured->session, verdict_r);
}

void stream_tls_leave(struct stream *stream)
{
    struct secured *secured = stream->secured;
    if (!secured)
        return;
    stream->secured = NULL;
    stream->tls = STREAM_TLS_FAILED;
    secured->stream = NULL;
    if (secured->stepping)
        tls_session_cut(secured->session);
    else
        secured_free(secured);
}

void stream_tls_wipe(struct stream *stream)
{
    tls_session_wipe(stream->secured->session);
}

struct tls_session *stream_tls_session(const struct stream *stream)
{
    must(stream->tls == STREAM_TLS_ON);
    return stream->secured->session;
}

enum stream_tls stream_tls_state(const struct stream *stream)
{
    return stream->tls;
}

struct str stream_tls_failure(const struct stream *stream)
{
    return stream->secured ? tls_session_failure(stream->secured->session)
                           : STR("we closed the connection");
}

void stream_tls_facts(const struct stream *stream, struct tls_facts *facts_r)
{
    tls_session_facts(stream_tls_session(stream), facts_r);
}

bool stream_tls_binding(const struct stream *stream, enum tls_binding which,
                        unsigned char *binding_r, size_t *length_r)
{
    return tls_session_binding(stream_tls_session(stream), which, binding_r, length_r);
}
