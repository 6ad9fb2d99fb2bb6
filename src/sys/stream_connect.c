/*
 * The addresses of a host are tried in their order, each a little after the one before, so that one
 * that does not answer costs a moment and not its time-out; two at a time, since more would knock
 * at all doors of who has many. The first that answers wins, and the other one is closed.
 *
 * All of it lies on the stack of the fiber that waits. What is called on the loop meanwhile does
 * nothing any more once there is a result.
 */
#include <errno.h>

#include "base/must.h"
#include "sys/stream.h"

struct calling;

/* Free where `calling` is NULL. */
struct attempt {
    struct calling *calling;
    struct watch watch;
    struct timer late;
    size_t which; /* of the addresses */
};

struct calling {
    const struct stream_call *call;
    struct attempt attempts[STREAM_CALLS_AT_ONCE];
    struct timer apart, deadline;
    struct wait wait;
    struct peer_address ends;
    size_t next, under_way;
    int handle; /* the one that answered; -1: none */
    int last;   /* failure */
    int *failures;
};

static const struct world_ops *ops_of(const struct calling *calling)
{
    return calling->call->loop->world->ops;
}

static struct world *world_of(const struct calling *calling)
{
    return calling->call->loop->world;
}

static void failed(struct calling *calling, size_t which, int error)
{
    calling->last = error;
    if (calling->failures)
        calling->failures[which] = error;
}

/* Its handle is then the caller's. */
static int attempt_leave(struct attempt *attempt)
{
    struct calling *calling = attempt->calling;
    int handle = attempt->watch.handle;
    watch_end(calling->call->loop, &attempt->watch);
    timer_clear(calling->call->loop, &attempt->late);
    attempt->calling = NULL;
    calling->under_way--;
    return handle;
}

static void attempt_close(struct attempt *attempt)
{
    const struct calling *calling = attempt->calling;
    int handle = attempt_leave(attempt);
    ops_of(calling)->close(world_of(calling), handle);
}

static void go_on(struct calling *calling);

static void attempt_over(struct attempt *attempt, int error)
{
    struct calling *calling = attempt->calling;
    failed(calling, attempt->which, error);
    attempt_close(attempt);
    go_on(calling);
}

static void became_ready(struct watch *watch, unsigned ready)
{
    struct attempt *attempt = watch->arg;
    struct calling *calling = attempt->calling;
    (void)ready;
    if (calling->wait.done)
        return;
    int e = ops_of(calling)->connected(world_of(calling), watch->handle, &calling->ends);
    if (e == 0) {
        calling->handle = attempt_leave(attempt);
        wait_over(&calling->wait);
    } else if (e != -EAGAIN) {
        attempt_over(attempt, e);
    }
}

static void took_too_long(struct timer *timer)
{
    struct attempt *attempt = timer->arg;
    if (!attempt->calling->wait.done)
        attempt_over(attempt, -ETIMEDOUT);
}

static struct attempt *attempt_free(struct calling *calling)
{
    for (size_t i = 0; i < STREAM_CALLS_AT_ONCE; i++)
        if (!calling->attempts[i].calling)
            return &calling->attempts[i];
    return NULL;
}

/* The address itself is looked at here, whatever the name said a moment ago. */
static int call_out(const struct calling *calling, const struct connect_to *address)
{
    const struct destination_rules *rules = calling->call->rules;
    struct connect_to to = *address;
    if (destination_judge(to.address, rules) != DESTINATION_FINE)
        return -EPERM;
    to.may_be_ours = destination_is_allowed(to.address, rules);
    return ops_of(calling)->connect(world_of(calling), &to);
}

static int attempt_begin(struct calling *calling, struct attempt *attempt, size_t which)
{
    struct loop *loop = calling->call->loop;
    int handle = call_out(calling, &calling->call->to[which]);
    if (handle < 0)
        return handle;
    *attempt = (struct attempt){
        .calling = calling,
        .watch = {.handle = handle, .want = READY_WRITE, .ready = became_ready, .arg = attempt},
        .late = {.run = took_too_long, .arg = attempt},
        .which = which,
    };
    int e = watch_begin(loop, &attempt->watch);
    if (e < 0) {
        attempt->calling = NULL;
        ops_of(calling)->close(world_of(calling), handle);
        return e;
    }
    calling->under_way++;
    timer_set(loop, &attempt->late, loop->now + calling->call->each);
    return 0;
}

/* The next one that can be tried is. */
static void begin_next(struct calling *calling)
{
    struct attempt *attempt = attempt_free(calling);
    bool begun = false;
    while (attempt && !begun && calling->next < calling->call->count) {
        size_t which = calling->next++;
        int e = attempt_begin(calling, attempt, which);
        begun = e == 0;
        if (!begun)
            failed(calling, which, e);
    }
}

static void go_on(struct calling *calling)
{
    struct loop *loop = calling->call->loop;
    begin_next(calling);
    if (calling->under_way == 0)
        wait_over(&calling->wait);
    else if (calling->under_way < STREAM_CALLS_AT_ONCE && calling->next < calling->call->count)
        timer_set(loop, &calling->apart, loop->now + calling->call->apart);
    else
        timer_clear(loop, &calling->apart);
}

static void next_is_due(struct timer *timer)
{
    struct calling *calling = timer->arg;
    if (!calling->wait.done)
        go_on(calling);
}

static void deadline_passed(struct timer *timer)
{
    struct calling *calling = timer->arg;
    if (calling->wait.done)
        return;
    for (size_t i = 0; i < STREAM_CALLS_AT_ONCE; i++)
        if (calling->attempts[i].calling)
            failed(calling, calling->attempts[i].which, -ETIMEDOUT);
    wait_over(&calling->wait);
}

static void calling_end(struct calling *calling)
{
    timer_clear(calling->call->loop, &calling->apart);
    timer_clear(calling->call->loop, &calling->deadline);
    for (size_t i = 0; i < STREAM_CALLS_AT_ONCE; i++)
        if (calling->attempts[i].calling)
            attempt_close(&calling->attempts[i]);
}

int stream_connect(struct stream *stream, const struct stream_call *call,
                   void (*input)(struct stream *), void *arg, struct peer_address *ends_r,
                   int *failures_r)
{
    struct calling calling = {.call = call, .handle = -1, .failures = failures_r};
    must(call->count >= 1 && call->count <= STREAM_CALLS);
    calling.apart = (struct timer){.run = next_is_due, .arg = &calling};
    calling.deadline = (struct timer){.run = deadline_passed, .arg = &calling};
    if (failures_r)
        memset(failures_r, 0, call->count * sizeof(failures_r[0]));
    if (call->deadline != INT64_MAX)
        timer_set(call->loop, &calling.deadline, call->deadline);
    go_on(&calling);
    wait_for(&calling.wait);
    calling_end(&calling);
    if (calling.handle < 0)
        return calling.last;
    int e = stream_init(stream, call->loop, call->pool, calling.handle, input, arg);
    if (e < 0) {
        ops_of(&calling)->close(world_of(&calling), calling.handle);
        return e;
    }
    stream_pause(stream);
    *ends_r = calling.ends;
    return 0;
}
