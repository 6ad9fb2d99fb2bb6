/*
 * struct stream: a connection's bytes, in and out, for one session, plain or in TLS behind the same
 * calls.
 *
 * Reading is driven by the loop: when bytes arrive, `input` is called on the loop's stack with the
 * stream; it looks at stream_pending, takes whole commands with stream_take, and starts a fiber for
 * what it found. What it leaves untaken is shown again when more has come. While the session is
 * busy (a fiber of it runs) it calls stream_pause, so that the kernel's buffer pushes back;
 * stream_resume afterwards calls `input` again if bytes are pending. `input` is never called while
 * it runs, on a fiber, or while paused; it may call stream_done and free the stream.
 *
 * The end: once everything that arrived was shown, `ended` is set and `input` is called. A peer
 * that only half-closed still gets our output. A session goes by stream_finish, which calls `input`
 * a last time when all is sent and the peer has ended, too, and then by stream_done.
 *
 * An idle stream owns no buffer: bytes are read into 16 KB buffers that busy streams borrow from
 * the loop's stream_pool; a short unfinished command left over is moved to memory of its size. When
 * all buffers of the pool are out, streams wait for one in turn, their bytes in the kernel. An idle
 * stream costs its struct and the world's watch (real: 144 bytes), in TLS under 15 KB more.
 *
 * What is written is kept in buffers of the same pool, as many as it fills, and sent at the end of
 * the turn, in one call. Output does not wait for a buffer: what bounds it is STREAM_OUT_HARD.
 * stream_put never yields and never fails: bytes for a broken connection are dropped and `ended` is
 * set. A handler that writes much calls stream_drain, which yields until the peer has taken it.
 *
 * A connection that we made is driven by a fiber from top to bottom: stream_connect gives it
 * paused, and the fiber calls stream_await whenever it wants to hear more. While nobody has use for
 * it, it is resumed: `input` then tells what no fiber waits for, mostly that the peer has gone.
 */
#ifndef SYS_STREAM_H
#define SYS_STREAM_H

#include "base/buf.h"
#include "base/destination.h"
#include "sys/fiber.h"
#include "sys/loop.h"
#include "sys/tls.h"

enum {
    STREAM_READ_SIZE = 16 * 1024,  /* of a buffer, and most that waits unread by the session */
    STREAM_OUT_SOFT = 64 * 1024,   /* stream_drain yields above this */
    STREAM_OUT_HARD = 1024 * 1024, /* beyond it the connection is cut (catalogue I17) */
    STREAM_POOL_KEEP = 128,        /* unused buffers that are not given back to the system */
};

/* How long stream_finish waits for output to be taken and for the peer's end. */
#define STREAM_LINGER (10 * NS_PER_SECOND)

struct stream_pool; /* the borrowed buffers of one loop */
struct stream_out;  /* one of them, with output in it */

/* most_buffers: for input, 1 or more. NULL: no memory. */
struct stream_pool *stream_pool_open(struct loop *loop, size_t most_buffers);
/* No stream of it may be open. */
void stream_pool_close(struct stream_pool *pool);

enum stream_end {
    STREAM_OPEN,
    STREAM_CLOSED_BY_PEER, /* orderly: every byte sent to us was seen; our output still goes out */
    STREAM_BROKEN,         /* reset, write error, too much unread output, or lingered too long */
};

enum stream_tls {
    STREAM_PLAIN,
    STREAM_TLS_HANDSHAKE,
    STREAM_TLS_ON,
    STREAM_TLS_FAILED, /* for good */
};

struct secured; /* what a stream in TLS has besides */

/* Zeroed by stream_init. The session may read `arg`, `ended`, `paused`, `unsent` and the byte
 * counts. */
struct stream {
    struct loop *loop;
    struct stream_pool *pool;
    struct watch watch;
    struct task flush;   /* at the end of the turn */
    struct task show;    /* calls input */
    struct timer linger; /* from stream_finish on */
    TAILQ_ENTRY(stream) waiting;
    char *in; /* borrowed (in_own == 0) or own (in_own bytes); NULL: nothing pending */
    uint32_t in_from, in_to, in_own;
    TAILQ_HEAD(stream_out_list, stream_out) out; /* empty: nothing unsent */
    uint32_t unsent;
    uint32_t drain_to; /* `draining` waits until no more than this is unsent */
    struct wait *draining;
    struct wait *awaiting;   /* until more than `await_above` octets are pending */
    int32_t await_above;     /* -1: until a handshake is over */
    struct secured *secured; /* NULL: plain */
    enum stream_tls tls;
    bool *gone; /* set by stream_done while input runs */
    void (*input)(struct stream *);
    void *arg;
    uint64_t bytes_in, bytes_out;
    enum stream_end ended; /* as told to the session */
    enum stream_end seen;  /* as known to us */
    bool paused;
    bool held;         /* stream_hold was called */
    bool closing;      /* stream_finish was called */
    bool finished;     /* nothing more will be sent */
    bool unshown;      /* there are bytes that input has not seen */
    bool end_told;     /* input was called for the end */
    bool out_blocked;  /* the kernel takes no more; the watch tells when */
    bool wants_buffer; /* in the pool's queue */
    bool wipes;        /* stream_wipe_input was called */
    bool in_blocked;   /* TLS has to write before it reads on */
};

/* Takes the handle over. `input` gets stream->arg. 0 or -errno (the handle is then still the
 * caller's). */
int stream_init(struct stream *stream, struct loop *loop, struct stream_pool *pool, int handle,
                void (*input)(struct stream *), void *arg);
/* Closes at once, unsent output is lost. No fiber may be waiting in a call on it. */
void stream_done(struct stream *stream);

enum {
    STREAM_CALLS = 16,       /* addresses of a stream_connect at most */
    STREAM_CALLS_AT_ONCE = 2 /* of which so many are tried beside each other */
};

struct stream_call {
    struct loop *loop;
    struct stream_pool *pool;
    const struct connect_to *to; /* 1 to STREAM_CALLS, tried in this order; without may_be_ours */
    size_t count;
    const struct destination_rules *rules; /* where we may connect to */
    int64_t apart; /* ns after which the next is tried beside one that does not answer (RFC 8305) */
    int64_t each;  /* ns that one may take */
    int64_t deadline; /* mono, INT64_MAX: none */
};

/*
 * May yield until one of the addresses has answered, all failed, or the deadline passed. 0: the
 * stream is as after stream_init, but paused, and *ends_r is both ends of it. Else there is none,
 * and it is why the last one failed: -EPERM: the rules forbid it (destination_judge has the
 * reason), or -ELOOP: the address is this machine's own, nothing was sent in either case;
 * -ETIMEDOUT, -ECONNREFUSED, or what the world says. failures_r has `count` numbers that say so of
 * each; 0: it was not tried, or not to its end, or it is the one. NULL is allowed.
 */
int stream_connect(struct stream *stream, const struct stream_call *call,
                   void (*input)(struct stream *), void *arg, struct peer_address *ends_r,
                   int *failures_r);
/*
 * May yield until octets are pending beyond those that are now, and gives 0; a fiber's way to read
 * a stream that is paused, before and afterwards. -EPIPE: the peer has ended; -ECONNRESET: the
 * connection broke; -ETIMEDOUT: `deadline` passed; -ENOBUFS: STREAM_READ_SIZE octets pend already.
 * Octets that came before an end are told before it. Output leaves meanwhile.
 */
int stream_await(struct stream *stream, int64_t deadline);

/* Bytes that arrived and were not taken; valid until the next call on the stream or yield. */
struct str stream_pending(const struct stream *stream);
/* The first n pending bytes are dealt with. */
void stream_take(struct stream *stream, size_t n);
/* Reads what is there now, without waiting, so that pipelined commands can be looked at together.
 */
void stream_read_more(struct stream *stream);
/* From now on input may hold secrets: octets are zeroed where they were taken or dropped, and no
 * copy of them is left behind. */
void stream_wipe_input(struct stream *stream);
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

void stream_put(struct stream *stream, struct str bytes);
/*
 * What is put from now on waits for stream_release, also across yields, so that the answers to many
 * commands leave in one send. stream_drain, stream_flush and stream_finish send all the same.
 */
void stream_hold(struct stream *stream);
void stream_release(struct stream *stream);

/* May yield until no more than STREAM_OUT_SOFT is unsent, the connection broke, or `deadline`
 * (mono, INT64_MAX: none) passed; false in the last two cases. On a fiber only; one at a time. */
bool stream_drain(struct stream *stream, int64_t deadline);
/* May yield until the kernel has everything; as stream_drain. */
bool stream_flush(struct stream *stream, int64_t deadline);
/*
 * No more input, no more stream_put: what is pending or still arrives is dropped. Half-closes once
 * the output is sent; `input` is called at the peer's end, or after STREAM_LINGER with
 * STREAM_BROKEN. Then call stream_done.
 */
void stream_finish(struct stream *stream);

/*
 * TLS, as server (sys/tls.h). stream_tls_begin says that what comes next is a handshake; from then
 * on every call above works on what TLS carries, and the byte counts are of that, too.
 *
 * The handshake runs in steps on fibers of the pool that is given, one at a time, from the arrival
 * of octets to where more must come; a peer that says nothing holds no fiber. It goes on while the
 * stream is paused. Nothing is read for the session meanwhile, and what it puts waits. When it is
 * over, `input` is called once, whether octets are there or not (as always, not while paused):
 *
 *   STREAM_TLS_ON      the session goes on in TLS; it forgets what it learnt before
 *   STREAM_TLS_FAILED  `ended` is STREAM_BROKEN; stream_tls_failure says why. A peer that goes away
 *                      in the middle is this, too
 *
 * How long it may take is the session's to say: its own timer calls stream_finish or stream_done,
 * both allowed at any time (a step that waits for a signature then ends by itself).
 *
 * A peer's close_notify is STREAM_CLOSED_BY_PEER, and so is an end without it: the protocols say
 * themselves where a message ends. Octets behind close_notify are never seen (catalogue S06).
 * stream_finish says close_notify before it half-closes.
 */
/* Output that was put before leaves in the clear: call stream_flush first, -EAGAIN where the kernel
 * has not taken it. -EPROTO: octets are pending that came in the clear (what STARTTLS injection is,
 * the session judges before). -EPIPE: the connection has ended. -ENOMEM. At 0 the stream has a hold
 * on `server` until it is done. From the loop or a fiber; never yields. */
int stream_tls_begin(struct stream *stream, struct tls_server *server, struct fiber_pool *fibers);
/*
 * TLS as client, behind the 220 of STARTTLS or at once: may yield until the handshake is over. 0:
 * STREAM_TLS_ON, and `peer` has proved what it had to. Else the stream is broken and -EPROTO:
 * octets had come in the clear, of which nothing is used (catalogue S08), or the handshake failed;
 * -ETIMEDOUT; -ECONNRESET: the connection ended; -EINVAL: a certificate of ours that cannot be
 * read; -ENOMEM. stream_tls_verdict tells more in each case. The stream is paused, before and
 * afterwards, and what was put before has left in the clear (stream_flush).
 */
int stream_tls_connect(struct stream *stream, struct tls_client *client,
                       const struct tls_peer *peer, int64_t deadline);
/* Behind stream_tls_connect, until the stream is done: what the peer proved or why it failed. */
void stream_tls_verdict(const struct stream *stream, struct tls_verdict *verdict_r);

enum stream_tls stream_tls_state(const struct stream *stream);
/* STREAM_TLS_FAILED: why, for the log ("no shared cipher"); a literal. */
struct str stream_tls_failure(const struct stream *stream);
/* In STREAM_TLS_ON only. Texts live until stream_done. */
void stream_tls_facts(const struct stream *stream, struct tls_facts *facts_r);
/* In STREAM_TLS_ON only. At most TLS_BINDING_MAX octets, the same that the client computes. False:
 * this session has no such binding. */
bool stream_tls_binding(const struct stream *stream, enum tls_binding which,
                        unsigned char *binding_r, size_t *length_r);

#endif
