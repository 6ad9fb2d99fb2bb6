/*
 * One process, one loop: a client's stream on a fiber against a server's stream of ours, over a
 * pair of sockets.
 */
#ifndef SYS_STREAM_TLS_CALL_RIG_TEST_H
#define SYS_STREAM_TLS_CALL_RIG_TEST_H

#include "sys/fake/tls_chain.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CALL_TURNS = 4000,
    LIMIT_MS = 5000,
};

/* One connection, and what became of it. */
struct call {
    struct house *house;
    struct session session; /* the server's */
    bool is_served;
    int peer; /* the other end where no session of ours serves it */
    struct stream stream;
    struct fiber_start start;
    struct tls_client *client;
    struct tls_peer want;
    int64_t deadline; /* ns from the beginning on */
    int result, inputs;
    struct tls_verdict verdict;
    struct tls_facts facts;
    bool over;
    void (*then)(struct call *); /* on the fiber, in TLS */
};

static inline void call_input(struct stream *stream)
{
    struct call *call = stream->arg;
    call->inputs++;
}

static inline void call_fiber(void *arg)
{
    struct call *call = arg;
    int64_t deadline = call->house->loop.now + call->deadline;
    call->result = stream_tls_connect(&call->stream, call->client, &call->want, deadline);
    stream_tls_verdict(&call->stream, &call->verdict);
    assert_true(call->stream.paused);
    assert_int_equal(stream_tls_state(&call->stream) == STREAM_TLS_ON, call->result == 0);
    if (call->result == 0)
        stream_tls_facts(&call->stream, &call->facts);
    else
        assert_int_equal(call->stream.ended, STREAM_BROKEN);
    if (call->result == 0 && call->then)
        call->then(call);
    call->over = true;
}

/* On two ends of a connection; nobody serves yet. */
static inline void call_on(struct call *call, struct house *house, struct tls_client *client,
                           const struct tls_peer *want, const int pair[2])
{
    *call = (struct call){.house = house,
                          .client = client,
                          .want = *want,
                          .peer = pair[1],
                          .deadline = LIMIT_MS * (int64_t)NS_PER_MS};
    must(stream_init(&call->stream, &house->loop, house->pool, pair[0], call_input, call) == 0);
    stream_pause(&call->stream);
    call->start = (struct fiber_start){.run = call_fiber, .arg = call};
}

static inline void call_open(struct call *call, struct house *house, struct tls_client *client,
                             const struct tls_peer *want)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    call_on(call, house, client, want, pair);
}

static inline void call_serve(struct call *call)
{
    session_on(&call->session, call->house, call->peer);
    call->session.echoes = true;
    call->is_served = true;
}

/* A server whose connection has ended closes it, as a session would. */
static inline void call_turn(struct call *call)
{
    struct session *session = &call->session;
    house_turns(call->house, 1);
    if (call->is_served && session->ends > 0 && !session->is_done) {
        stream_done(&session->stream);
        session->is_done = true;
    }
}

/* To its end, from where it stands. */
static inline void call_run_on(struct call *call)
{
    for (int i = 0; i < CALL_TURNS && !call->over; i++)
        call_turn(call);
    for (int i = 0; !call->over; i++) {
        usleep(1000);
        must(i < 2 * LIMIT_MS);
        call_turn(call);
    }
    house_turns(call->house, 5);
}

static inline void call_close(struct call *call)
{
    stream_done(&call->stream);
    if (call->is_served)
        session_close(&call->session);
    else
        close(call->peer);
    house_turns(call->house, 3);
}

static inline void call_run(struct call *call)
{
    struct fake_memory *memory = call->house->memory;
    struct fake_memory *before = memory ? fake_memory_charge(memory) : NULL;
    fiber_run(call->house->fibers, &call->start);
    if (memory)
        fake_memory_charge(before);
    call_run_on(call);
}

/* From the beginning to the end; the caller closes. */
static inline int call_make(struct call *call, struct house *house, struct tls_client *client,
                            const struct tls_peer *want)
{
    call_open(call, house, client, want);
    call_serve(call);
    call_run(call);
    return call->result;
}

#endif
