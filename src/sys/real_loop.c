/*
 * libevent's raw events: as fast as bare epoll when measured, and libunbound brings no loop but
 * speaks to this one. Its buffers and its timers are not used; of the timers one, for the deadline
 * of a wait.
 *
 * An event stays registered while its watch wants the same things, so a turn costs one epoll_wait
 * and no epoll_ctl. Nothing here is shared between threads, so libevent's locks stay off.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "sys/real.h"

struct real_loop {
    struct event_base *base;
    struct event *deadline;
    bool on_time; /* loop->now was read since the wait ended */
};

struct real_watch {
    struct event event;
    struct loop *loop;
    struct watch *watch;
};

static void deadline_passed(evutil_socket_t handle, short what, void *arg)
{
    (void)handle;
    (void)what;
    (void)arg;
}

static struct event_base *base_open(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int real_loop_begin(struct world *world, struct loop *loop)
{
    (void)world;
    struct real_loop *real = calloc(1, sizeof(*real));
    if (!real)
        return -ENOMEM;
    real->base = base_open();
    if (real->base)
        real->deadline = evtimer_new(real->base, deadline_passed, NULL);
    if (!real->deadline) {
        if (real->base)
            event_base_free(real->base);
        free(real);
        return -ENOMEM;
    }
    loop->backend = real;
    return 0;
}

void real_loop_end(struct world *world, struct loop *loop)
{
    (void)world;
    struct real_loop *real = loop->backend;
    event_free(real->deadline);
    event_base_free(real->base);
    free(real);
    loop->backend = NULL;
}

static short event_wanted(unsigned want)
{
    int what = EV_PERSIST;
    if (want & READY_READ)
        what |= EV_READ;
    if (want & READY_WRITE)
        what |= EV_WRITE;
    return (short)what;
}

/* The first one after a wait brings the clock: the wait may have been long. The watch's function
 * may end the watch, so nothing of it is used after the call. */
static void became_ready(evutil_socket_t handle, short what, void *arg)
{
    (void)handle;
    struct real_watch *own = arg;
    struct watch *watch = own->watch;
    struct real_loop *real = own->loop->backend;
    if (!real->on_time) {
        own->loop->now = world_mono(own->loop->world);
        real->on_time = true;
    }
    unsigned ready = 0;
    if (what & EV_READ)
        ready |= READY_READ;
    if (what & EV_WRITE)
        ready |= READY_WRITE;
    ready &= watch->want;
    if (ready)
        watch->ready(watch, ready);
}

static int event_start(struct real_watch *own)
{
    struct real_loop *real = own->loop->backend;
    struct watch *watch = own->watch;
    event_assign(&own->event, real->base, watch->handle, event_wanted(watch->want), became_ready,
                 own);
    return watch->want ? event_add(&own->event, NULL) : 0;
}

int real_watch_begin(struct world *world, struct loop *loop, struct watch *watch)
{
    (void)world;
    struct real_watch *own = calloc(1, sizeof(*own));
    if (!own)
        return -ENOMEM;
    own->loop = loop;
    own->watch = watch;
    errno = 0;
    if (event_start(own) < 0) {
        int failed = errno ? errno : EINVAL;
        free(own);
        return -failed;
    }
    watch->backend = own;
    return 0;
}

/* An event that wants nothing must not stay added: epoll tells of a hang-up unasked. Adding again
 * what was added once fails for want of kernel memory only; a role cannot go on deaf, so that ends
 * it. */
void real_watch_want(struct world *world, struct loop *loop, struct watch *watch)
{
    (void)world;
    (void)loop;
    struct real_watch *own = watch->backend;
    event_del(&own->event);
    must(event_start(own) == 0);
}

void real_watch_end(struct world *world, struct loop *loop, struct watch *watch)
{
    (void)world;
    (void)loop;
    struct real_watch *own = watch->backend;
    event_del(&own->event);
    free(own);
    watch->backend = NULL;
}

/* A wait may last longer than a struct timeval or epoll likes; a day is as good as for ever. */
static struct timeval time_until(int64_t ns)
{
    const int64_t day = 86400 * NS_PER_SECOND;
    int64_t us = ((ns < day ? ns : day) + 999) / 1000;
    return (struct timeval){.tv_sec = us / US_PER_SECOND, .tv_usec = us % US_PER_SECOND};
}

void real_wait(struct world *world, struct loop *loop, int64_t deadline)
{
    struct real_loop *real = loop->backend;
    int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline - world_mono(world);
    int how = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
    if (left <= 0) {
        how = EVLOOP_ONCE | EVLOOP_NONBLOCK;
    } else if (left != INT64_MAX) {
        struct timeval until = time_until(left);
        must(event_add(real->deadline, &until) == 0);
    }
    real->on_time = false;
    event_base_loop(real->base, how);
    event_del(real->deadline);
}
