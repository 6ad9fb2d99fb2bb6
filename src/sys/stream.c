/*
 * One recv and one send a turn for a busy session, nothing for an idle one. Pausing touches no
 * watch: most commands are answered before the next one comes, so the interest in reading is
 * dropped only when something does arrive meanwhile (two system calls saved per command).
 *
 * `input` is called from two places, readiness and the task `show`, both on the loop's stack; all
 * else that has something to show queues the task. So input cannot recurse, however its handlers
 * pause, resume and write, and since it may free the stream, its caller looks at `gone` first.
 */
#include "sys/stream.h"

#include <errno.h>

#include "sys/stream_tls.h"

enum {
    SCRATCH_SIZE = 4096, /* a read of what nobody wants to see */
    OUT_PARTS = 16,      /* buffers that one call sends */
    READ_MORE = 16,      /* system calls of stream_read_more in TLS, for a record */
};

/* A buffer of the pool: what is unsent lies between `from` and `to`. */
struct stream_out {
    TAILQ_ENTRY(stream_out) link;
    uint32_t from, to;
    char bytes[];
};

enum {
    OUT_ROOM = STREAM_READ_SIZE - sizeof(struct stream_out)
};

static size_t pending(const struct stream *stream)
{
    return stream->in_to - stream->in_from;
}

static const struct world_ops *ops_of(const struct stream *stream)
{
    return stream->loop->world->ops;
}

void stream_want(struct stream *stream, unsigned what, bool on)
{
    unsigned now = stream->watch.want;
    watch_want(stream->loop, &stream->watch, on ? now | what : now & ~what);
}

/* There is somebody to read for, something may come, and there is room for it. */
static bool can_read(const struct stream *stream)
{
    return stream->seen == STREAM_OPEN && !stream->wants_buffer && !stream->in_blocked &&
           stream->tls != STREAM_TLS_HANDSHAKE &&
           (stream->closing || (!stream->paused && pending(stream) < STREAM_READ_SIZE));
}

/* TLS has read more from the kernel than it gave us. */
static bool has_more(const struct stream *stream)
{
    return stream->tls == STREAM_TLS_ON && !stream->closing &&
           tls_session_more(stream_tls_session(stream));
}

void stream_want_input(struct stream *stream)
{
    if (!can_read(stream))
        return;
    stream_want(stream, READY_READ, true);
    if (has_more(stream))
        loop_soon(stream->loop, &stream->show);
}

/* Input buffers */

static void wipe(const struct stream *stream, char *octets, size_t n)
{
    if (stream->wipes && n > 0)
        explicit_bzero(octets, n);
}

static void in_release(struct stream *stream)
{
    char *in = stream->in;
    if (in)
        wipe(stream, in + stream->in_from, pending(stream));
    bool own = stream->in_own > 0;
    stream->in = NULL;
    stream->in_from = stream->in_to = stream->in_own = 0;
    if (own)
        free(in);
    else if (in)
        stream_pool_give(stream->pool, in);
}

/* A borrowed buffer, with what is pending at its front. */
static bool in_borrow(struct stream *stream)
{
    uint32_t n = (uint32_t)pending(stream);
    if (stream->in && stream->in_own == 0) {
        if (stream->in_from > 0)
            memmove(stream->in, stream->in + stream->in_from, n);
        wipe(stream, stream->in + n, stream->in_to - n);
    } else {
        char *buffer = stream_pool_take(stream->pool);
        if (!buffer)
            return false;
        if (n > 0)
            memcpy(buffer, stream->in + stream->in_from, n);
        in_release(stream);
        stream->in = buffer;
    }
    stream->in_from = 0;
    stream->in_to = n;
    return true;
}

/* The session waits for more: the pool gets its buffer back. Without memory for the rest, later. */
static void in_settle(struct stream *stream)
{
    uint32_t n = (uint32_t)pending(stream);
    if (n == 0) {
        in_release(stream);
        return;
    }
    char *own = stream->in_own == 0 ? malloc(n) : NULL;
    if (!own)
        return;
    memcpy(own, stream->in + stream->in_from, n);
    in_release(stream);
    stream->in = own;
    stream->in_to = stream->in_own = n;
}

/* Output buffers */

/* With room at its end, or NULL: no memory. */
static struct stream_out *out_borrow(struct stream *stream)
{
    struct stream_out *last = TAILQ_LAST(&stream->out, stream_out_list);
    if (last && last->to < OUT_ROOM)
        return last;
    struct stream_out *out = stream_pool_take_out(stream->pool);
    if (out) {
        out->from = out->to = 0;
        TAILQ_INSERT_TAIL(&stream->out, out, link);
    }
    return out;
}

/* The first n unsent bytes are done with, and the buffers that held nothing else. */
static void out_drop(struct stream *stream, uint32_t n)
{
    stream->unsent -= n;
    struct stream_out *first;
    while ((first = TAILQ_FIRST(&stream->out)) && first->to - first->from <= n) {
        n -= first->to - first->from;
        TAILQ_REMOVE(&stream->out, first, link);
        stream_pool_give_out(stream->pool, first);
    }
    if (first)
        first->from += n;
}

static bool out_append(struct stream *stream, struct str bytes)
{
    while (bytes.n > 0) {
        struct stream_out *last = out_borrow(stream);
        if (!last)
            return false;
        struct str part = str_head(bytes, OUT_ROOM - last->to);
        memcpy(last->bytes + last->to, part.p, part.n);
        last->to += (uint32_t)part.n;
        stream->unsent += (uint32_t)part.n;
        bytes = str_from_index(bytes, part.n);
    }
    return true;
}

static void wake_drain(struct stream *stream)
{
    bool enough = stream->unsent <= stream->drain_to || stream->ended == STREAM_BROKEN;
    if (stream->draining && enough)
        wait_over(stream->draining);
}

static void end_seen(struct stream *stream, enum stream_end how)
{
    stream->seen = how;
    stream_pool_leave(stream->pool, stream);
    stream_want(stream, READY_READ, false);
}

void stream_break_off(struct stream *stream)
{
    end_seen(stream, STREAM_BROKEN);
    if (stream->tls == STREAM_TLS_HANDSHAKE)
        stream->tls = STREAM_TLS_FAILED;
    stream_want(stream, READY_WRITE, false);
    stream->ended = STREAM_BROKEN;
    stream->out_blocked = false;
    out_drop(stream, stream->unsent);
    wake_drain(stream);
    loop_soon(stream->loop, &stream->show);
}

/* As recv of the world. TLS asks the kernel at most `asks` times. */
static ssize_t receive(struct stream *stream, void *to, size_t n, unsigned asks)
{
    if (stream->tls != STREAM_TLS_ON)
        return ops_of(stream)->recv(stream->loop->world, stream->watch.handle, to, n);
    struct tls_session *session = stream_tls_session(stream);
    ssize_t got = tls_session_recv(session, to, n, asks);
    stream->in_blocked = got == -EAGAIN && tls_session_waits(session) == READY_WRITE;
    if (stream->in_blocked)
        stream_want(stream, READY_WRITE, true);
    return got;
}

/* True if bytes came. */
static bool read_once(struct stream *stream, unsigned asks)
{
    size_t room = STREAM_READ_SIZE - stream->in_to;
    ssize_t n = receive(stream, stream->in + stream->in_to, room, asks);
    if (n > 0) {
        stream->in_to += (uint32_t)n;
        stream->bytes_in += (uint64_t)n;
    } else if (n == 0) {
        end_seen(stream, STREAM_CLOSED_BY_PEER);
    } else if (n != -EAGAIN) {
        end_seen(stream, STREAM_BROKEN);
    }
    return n > 0;
}

static void read_and_drop(struct stream *stream)
{
    char scratch[SCRATCH_SIZE];
    ssize_t n =
        ops_of(stream)->recv(stream->loop->world, stream->watch.handle, scratch, sizeof(scratch));
    if (n > 0)
        wipe(stream, scratch, (size_t)n);
    if (n == 0)
        end_seen(stream, STREAM_CLOSED_BY_PEER);
    else if (n < 0 && n != -EAGAIN)
        stream_break_off(stream);
}

/* At most one system call: who sends without a pause is one among many. */
static void read_some(struct stream *stream, unsigned asks)
{
    bool came = read_once(stream, asks);
    stream->unshown |= came;
    while (came && has_more(stream) && stream->in_to < STREAM_READ_SIZE)
        came = read_once(stream, 0);
}

static void read_input(struct stream *stream, unsigned asks)
{
    if (!can_read(stream)) {
        stream_want(stream, READY_READ, false);
    } else if (stream->closing) {
        read_and_drop(stream);
    } else if (in_borrow(stream)) {
        read_some(stream, asks);
    } else {
        stream_want(stream, READY_READ, false);
        stream_pool_wait(stream->pool, stream);
    }
}

/* False: the stream is gone. */
static bool call_input(struct stream *stream)
{
    bool gone = false;
    stream->gone = &gone;
    stream->input(stream);
    if (!gone)
        stream->gone = NULL;
    return !gone;
}

static bool end_is_due(const struct stream *stream)
{
    if (stream->paused || stream->end_told || stream->seen == STREAM_OPEN)
        return false;
    return !stream->closing || stream->finished || stream->seen == STREAM_BROKEN;
}

/* What a fiber waits for: TLS, where its handshake goes on; else octets. Either may end instead. */
static bool is_awaited(const struct stream *stream)
{
    return stream->tls != STREAM_TLS_HANDSHAKE &&
           (stream->seen != STREAM_OPEN || (ssize_t)pending(stream) > stream->await_above);
}

static void show_fiber(struct stream *stream)
{
    if (is_awaited(stream)) {
        wait_over(stream->awaiting);
    } else {
        in_settle(stream);
        stream_want_input(stream);
    }
}

/* Shows what is new: bytes first, then the end. */
static void show(struct stream *stream)
{
    if (has_more(stream) && can_read(stream))
        read_input(stream, 0);
    if (stream->awaiting) {
        show_fiber(stream);
        return;
    }
    if (stream->unshown && !stream->paused && stream->ended == STREAM_OPEN) {
        stream->unshown = false;
        if (!call_input(stream))
            return;
    }
    if (end_is_due(stream)) {
        stream->end_told = true;
        stream->ended = stream->seen;
        timer_clear(stream->loop, &stream->linger);
        if (!call_input(stream))
            return;
    }
    if (!stream->paused)
        in_settle(stream);
    stream_want_input(stream);
}

static void show_task(struct task *task)
{
    show(task->arg);
}

/* Output */

static void half_close(struct stream *stream)
{
    stream->finished = true;
    ops_of(stream)->finish(stream->loop->world, stream->watch.handle);
    loop_soon(stream->loop, &stream->show);
}

/* False: the close_notify of TLS could not be sent yet. */
static bool said_goodbye(struct stream *stream)
{
    return stream->tls != STREAM_TLS_ON ||
           tls_session_finish(stream_tls_session(stream)) != -EAGAIN;
}

/* False: what TLS has left over from its handshake could not be sent yet; or it broke. */
static bool pushed(struct stream *stream)
{
    int e = stream->tls == STREAM_TLS_ON ? tls_session_push(stream_tls_session(stream)) : 0;
    if (e < 0 && e != -EAGAIN)
        stream_break_off(stream);
    return e == 0;
}

/* As much as one call takes; how many bytes left, or -errno. In TLS a buffer is a record. */
static ssize_t send_once(struct stream *stream)
{
    struct iovec parts[OUT_PARTS];
    int count = 0;
    struct stream_out *out = TAILQ_FIRST(&stream->out);
    if (stream->tls == STREAM_TLS_ON)
        return tls_session_send(stream_tls_session(stream),
                                str_make(out->bytes + out->from, out->to - out->from));
    TAILQ_FOREACH (out, &stream->out, link) {
        if (count == OUT_PARTS)
            break;
        parts[count++] = (struct iovec){out->bytes + out->from, out->to - out->from};
    }
    return ops_of(stream)->send(stream->loop->world, stream->watch.handle, parts, count);
}

void stream_send_output(struct stream *stream)
{
    ssize_t n = 0;
    if (stream->tls == STREAM_TLS_HANDSHAKE)
        return;
    while (stream->unsent > 0 && n >= 0) {
        n = send_once(stream);
        if (n > 0) {
            out_drop(stream, (uint32_t)n);
            stream->bytes_out += (uint64_t)n;
        }
    }
    if (n < 0 && n != -EAGAIN) {
        stream_break_off(stream);
        return;
    }
    bool is_pushed = pushed(stream);
    if (stream->ended == STREAM_BROKEN)
        return;
    bool leaves = stream->closing && !stream->finished;
    stream->out_blocked = !is_pushed || stream->unsent > 0 || (leaves && !said_goodbye(stream));
    stream_want(stream, READY_WRITE, stream->out_blocked || stream->in_blocked);
    if (!stream->out_blocked && leaves)
        half_close(stream);
    wake_drain(stream);
}

static void flush_task(struct task *task)
{
    struct stream *stream = task->arg;
    if (stream->ended != STREAM_BROKEN && !stream->out_blocked)
        stream_send_output(stream);
}

static void became_ready(struct watch *watch, unsigned ready)
{
    struct stream *stream = watch->arg;
    if (stream->tls == STREAM_TLS_HANDSHAKE) {
        stream_tls_ready(stream);
        return;
    }
    if (ready & READY_WRITE) {
        stream->in_blocked = false;
        stream_send_output(stream);
    }
    if (ready & READY_READ)
        read_input(stream, 1);
    show(stream);
}

static void lingered(struct timer *timer)
{
    stream_break_off(timer->arg);
}

int stream_init(struct stream *stream, struct loop *loop, struct stream_pool *pool, int handle,
                void (*input)(struct stream *), void *arg)
{
    *stream = (struct stream){
        .loop = loop,
        .pool = pool,
        .watch = {.handle = handle, .want = READY_READ, .ready = became_ready, .arg = stream},
        .flush = {.run = flush_task, .arg = stream},
        .show = {.run = show_task, .arg = stream},
        .linger = {.run = lingered, .arg = stream},
        .out = TAILQ_HEAD_INITIALIZER(stream->out),
        .input = input,
        .arg = arg,
    };
    return watch_begin(loop, &stream->watch);
}

void stream_done(struct stream *stream)
{
    must(!stream->draining && !stream->awaiting);
    task_cancel(stream->loop, &stream->flush);
    task_cancel(stream->loop, &stream->show);
    timer_clear(stream->loop, &stream->linger);
    stream_pool_leave(stream->pool, stream);
    in_release(stream);
    out_drop(stream, stream->unsent);
    stream_tls_leave(stream);
    watch_end(stream->loop, &stream->watch);
    ops_of(stream)->close(stream->loop->world, stream->watch.handle);
    stream->watch.handle = -1;
    if (stream->gone)
        *stream->gone = true;
}

struct str stream_pending(const struct stream *stream)
{
    return stream->in ? str_make(stream->in + stream->in_from, pending(stream)) : STR("");
}

void stream_take(struct stream *stream, size_t n)
{
    must(n <= pending(stream));
    wipe(stream, stream->in + stream->in_from, n);
    stream->in_from += (uint32_t)n;
    if (pending(stream) == 0) {
        in_release(stream);
        stream->unshown = false;
    }
    stream_want_input(stream);
}

void stream_read_more(struct stream *stream)
{
    if (stream->closing || stream->seen != STREAM_OPEN || stream->in_blocked ||
        stream->tls == STREAM_TLS_HANDSHAKE || !in_borrow(stream))
        return;
    while (stream->in_to < STREAM_READ_SIZE && read_once(stream, READ_MORE))
        continue;
    if (pending(stream) == 0)
        in_release(stream);
    if (stream->seen != STREAM_OPEN)
        loop_soon(stream->loop, &stream->show);
}

void stream_wipe_input(struct stream *stream)
{
    stream->wipes = true;
    if (stream->secured)
        stream_tls_wipe(stream);
}

void stream_pause(struct stream *stream)
{
    stream->paused = true;
}

void stream_resume(struct stream *stream)
{
    stream->paused = false;
    if (pending(stream) > 0)
        stream->unshown = true;
    if (stream->unshown || end_is_due(stream))
        loop_soon(stream->loop, &stream->show);
    stream_want_input(stream);
}

void stream_put(struct stream *stream, struct str bytes)
{
    if (stream->ended == STREAM_BROKEN || stream->closing)
        return;
    if (bytes.n > STREAM_OUT_HARD - stream->unsent || !out_append(stream, bytes))
        stream_break_off(stream);
    else if (!stream->held)
        loop_at_turn_end(stream->loop, &stream->flush);
}

void stream_hold(struct stream *stream)
{
    stream->held = true;
}

void stream_release(struct stream *stream)
{
    stream->held = false;
    if (stream->unsent > 0)
        loop_at_turn_end(stream->loop, &stream->flush);
}

static void drain_late(struct timer *timer)
{
    wait_over(timer->arg);
}

static bool drain_to(struct stream *stream, uint32_t most, int64_t deadline)
{
    must(!stream->draining);
    if (stream->unsent > most && !stream->out_blocked)
        stream_send_output(stream);
    if (stream->unsent > most && stream->ended != STREAM_BROKEN) {
        struct wait wait = {.fiber = NULL};
        struct timer late = {.run = drain_late, .arg = &wait};
        if (deadline != INT64_MAX)
            timer_set(stream->loop, &late, deadline);
        stream->drain_to = most;
        stream->draining = &wait;
        wait_for(&wait);
        stream->draining = NULL;
        timer_clear(stream->loop, &late);
    }
    return stream->ended != STREAM_BROKEN && stream->unsent <= most;
}

bool stream_drain(struct stream *stream, int64_t deadline)
{
    return drain_to(stream, STREAM_OUT_SOFT, deadline);
}

bool stream_flush(struct stream *stream, int64_t deadline)
{
    return drain_to(stream, 0, deadline);
}

static void await_late(struct timer *timer)
{
    wait_over(timer->arg);
}

bool stream_wait(struct stream *stream, int64_t deadline)
{
    must(!stream->awaiting);
    struct wait wait = {.fiber = NULL};
    struct timer late = {.run = await_late, .arg = &wait};
    if (deadline != INT64_MAX)
        timer_set(stream->loop, &late, deadline);
    stream->awaiting = &wait;
    stream_want_input(stream);
    wait_for(&wait);
    stream->awaiting = NULL;
    timer_clear(stream->loop, &late);
    return is_awaited(stream);
}

/* What an awaited end is to the fiber; it is told then. */
static int end_told(struct stream *stream)
{
    stream->end_told = true;
    stream->ended = stream->seen;
    return stream->ended == STREAM_BROKEN ? -ECONNRESET : -EPIPE;
}

int stream_await(struct stream *stream, int64_t deadline)
{
    size_t before = pending(stream);
    must(stream->paused && !stream->closing && stream->tls != STREAM_TLS_HANDSHAKE);
    if (before == STREAM_READ_SIZE)
        return -ENOBUFS;
    stream->await_above = (int32_t)before;
    stream->paused = false;
    bool came = is_awaited(stream) || stream_wait(stream, deadline);
    stream->paused = true;
    stream->unshown = false;
    if (pending(stream) > before)
        return 0;
    return came ? end_told(stream) : -ETIMEDOUT;
}

void stream_finish(struct stream *stream)
{
    if (stream->closing)
        return;
    stream->closing = true;
    stream->end_told = false;
    stream->unshown = false;
    stream_pool_leave(stream->pool, stream);
    in_release(stream);
    if (stream->tls == STREAM_TLS_HANDSHAKE) {
        out_drop(stream, stream->unsent);
        stream_tls_leave(stream);
    }
    timer_set(stream->loop, &stream->linger, stream->loop->now + STREAM_LINGER);
    if (stream->ended == STREAM_BROKEN)
        loop_soon(stream->loop, &stream->show);
    else
        loop_at_turn_end(stream->loop, &stream->flush);
    stream_want_input(stream);
}
