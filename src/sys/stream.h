/*
 * struct stream: a connection's bytes, in and out, for one session. Plain today; TLS will stand
 * behind the same calls.
 *
 * Reading is driven by the loop: when bytes arrive, `input` is called on the loop's stack with the
 * stream; it looks at stream_pending, takes whole commands with stream_take, and starts a fiber for
 * what it found. While the session is busy (a fiber of it runs) it calls stream_pause, so that the
 * kernel's buffer pushes back; stream_resume afterwards calls `input` again if bytes are pending.
 * `input` is also called once at the end of the connection (stream->ended).
 *
 * An idle stream owns no buffer: bytes are read into 16 KB buffers that busy streams borrow from
 * the loop's stream_pool; a short unfinished command left over is moved to memory of its size.
 *
 * Writing appends to a buffer that is sent at the end of the turn, in one call. stream_put never
 * yields and never fails: bytes for a broken connection are dropped and `ended` is set. A handler
 * that writes much calls stream_drain, which yields until the peer has taken it.
 */
#ifndef SYS_STREAM_H
#define SYS_STREAM_H

#include "base/buf.h"
#include "sys/fiber.h"
#include "sys/loop.h"

enum {
    STREAM_READ_SIZE = 16 * 1024,  /* most that waits unread by the session */
    STREAM_OUT_SOFT = 64 * 1024,   /* stream_drain yields above this */
    STREAM_OUT_HARD = 1024 * 1024, /* beyond it the connection is cut (catalogue I17) */
};

struct stream_pool; /* the borrowed read buffers of one loop */

struct stream_pool *stream_pool_open(struct loop *loop, size_t most_buffers);
void stream_pool_close(struct stream_pool *pool);

enum stream_end {
    STREAM_OPEN,
    STREAM_CLOSED_BY_PEER, /* orderly: every byte sent to us was seen */
    STREAM_BROKEN,         /* reset, write error, or too much unread output */
};

struct stream {
    struct loop *loop;
    struct stream_pool *pool;
    struct watch watch;
    struct task flush;
    char *in; /* borrowed (STREAM_READ_SIZE) or own (in_own bytes) */
    uint32_t in_from, in_to, in_own;
    struct buf out;
    struct wait *draining;
    void (*input)(struct stream *);
    void *arg;
    enum stream_end ended;
    bool paused;
    bool closing; /* close when the output is gone */
    uint64_t bytes_in, bytes_out;
};

/* Takes the handle over. `input` gets stream->arg. 0 or -errno (the handle is then still the
 * caller's). */
int stream_init(struct stream *stream, struct loop *loop, struct stream_pool *pool, int handle,
                void (*input)(struct stream *), void *arg);
/* Closes at once, unsent output is lost. */
void stream_done(struct stream *stream);

/* Bytes that arrived and were not taken; valid until the next call on the stream or yield. */
struct str stream_pending(const struct stream *stream);
/* The first n pending bytes are dealt with. */
void stream_take(struct stream *stream, size_t n);
/* Reads what is there now, without waiting, so that pipelined commands can be looked at together.
 */
void stream_read_more(struct stream *stream);
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

void stream_put(struct stream *stream, struct str bytes);
/* May yield until less than STREAM_OUT_SOFT is unsent, the connection ended, or `deadline` (mono)
 * passed; false in the last two cases. */
bool stream_drain(struct stream *stream, int64_t deadline);
/* May yield until everything is sent; as stream_drain. */
bool stream_flush(struct stream *stream, int64_t deadline);
/* Half-closes once the output is sent; `input` is called at the peer's end or after `linger` ns. */
void stream_finish(struct stream *stream);

#endif
