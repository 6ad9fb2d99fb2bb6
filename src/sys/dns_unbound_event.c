/*
 * Why not libevent, which both of us have: Debian's libunbound is linked with another of its
 * libraries than we are, and two copies of one event loop that hand each other their structs is a
 * thing to be afraid of. This way it also wakes up in our turns, with our clock.
 *
 * The rules are libevent's: an event that is not persistent is over before its callback runs, which
 * may add it again or free it; one that is persistent has its timeout anew each time.
 */
#include "sys/dns_unbound_event.h"

#include <errno.h>

#include "base/must.h"

#define EVENT_MAGIC MAGIC('U', 'B', 'E', 'V')

struct unbound_event {
    struct ub_event event; /* first */
    uint32_t magic;
    struct unbound_base *base;
    struct watch watch;
    bool watching;
    struct timer timer;
    int64_t timeout; /* ns; 0: none */
    short bits;
    void (*run)(int, short, void *);
    void *arg;
};

static struct unbound_event *own(struct ub_event *event)
{
    struct unbound_event *found = (struct unbound_event *)event;
    must_be(found, EVENT_MAGIC);
    return found;
}

/* --- What befalls it ------------------------------------------------------------------------- */

static void stop(struct unbound_event *event)
{
    if (event->watching)
        watch_end(event->base->loop, &event->watch);
    event->watching = false;
    timer_clear(event->base->loop, &event->timer);
}

static void happened(struct unbound_event *event, short what)
{
    struct loop *loop = event->base->loop;
    if (!(event->bits & UB_EV_PERSIST))
        stop(event);
    else if (event->timeout)
        timer_set(loop, &event->timer, loop->now + event->timeout);
    event->run(event->watch.handle, what, event->arg); /* it may be freed now */
}

static void became_ready(struct watch *watch, unsigned ready)
{
    struct unbound_event *event = watch->arg;
    int what = 0;
    must_be(event, EVENT_MAGIC);
    if (ready & READY_READ)
        what |= UB_EV_READ;
    if (ready & READY_WRITE)
        what |= UB_EV_WRITE;
    happened(event, (short)what);
}

static void ran_out(struct timer *timer)
{
    happened(timer->arg, UB_EV_TIMEOUT);
}

/* --- The table of an event ------------------------------------------------------------------- */

static int64_t nanoseconds(const struct timeval *time)
{
    return (int64_t)time->tv_sec * NS_PER_SECOND + (int64_t)time->tv_usec * 1000;
}

static unsigned wanted(short bits)
{
    return (bits & UB_EV_READ ? READY_READ : 0u) | (bits & UB_EV_WRITE ? READY_WRITE : 0u);
}

static int add(struct ub_event *event, struct timeval *time)
{
    struct unbound_event *self = own(event);
    struct loop *loop = self->base->loop;
    stop(self);
    self->watch.want = wanted(self->bits);
    if (self->watch.handle >= 0 && self->watch.want) {
        if (watch_begin(loop, &self->watch) < 0)
            return -1;
        self->watching = true;
    }
    self->timeout = time ? nanoseconds(time) : 0;
    if (time)
        timer_set(loop, &self->timer, loop->now + self->timeout);
    return 0;
}

static int del(struct ub_event *event)
{
    stop(own(event));
    return 0;
}

static void add_bits(struct ub_event *event, short bits)
{
    struct unbound_event *self = own(event);
    stop(self);
    self->bits = (short)(self->bits | bits);
}

static void del_bits(struct ub_event *event, short bits)
{
    struct unbound_event *self = own(event);
    stop(self);
    self->bits = (short)(self->bits & ~bits);
}

static void set_fd(struct ub_event *event, int fd)
{
    struct unbound_event *self = own(event);
    stop(self);
    self->watch.handle = fd;
}

static int add_timer(struct ub_event *event, struct ub_event_base *base,
                     void (*run)(int, short, void *), void *arg, struct timeval *time)
{
    struct unbound_event *self = own(event);
    (void)base;
    stop(self);
    self->run = run;
    self->arg = arg;
    self->bits = UB_EV_TIMEOUT;
    return add(event, time);
}

static void event_free(struct ub_event *event)
{
    struct unbound_event *self = own(event);
    stop(self);
    self->base->events--;
    self->magic = 0;
    free(self);
}

static int no_signal(struct ub_event *event, struct timeval *time)
{
    (void)event;
    (void)time;
    return -1;
}

static int no_signal_to_end(struct ub_event *event)
{
    (void)event;
    return -1;
}

static void no_windows(struct ub_event *event)
{
    (void)event;
}

static void no_windows_either(struct ub_event *event, int bit)
{
    (void)event;
    (void)bit;
}

static const struct ub_event_vmt event_table = {
    .add_bits = add_bits,
    .del_bits = del_bits,
    .set_fd = set_fd,
    .free = event_free,
    .add = add,
    .del = del,
    .add_timer = add_timer,
    .del_timer = del,
    .add_signal = no_signal,
    .del_signal = no_signal_to_end,
    .winsock_unregister_wsaevent = no_windows,
    .winsock_tcp_wouldblock = no_windows_either,
};

/* --- The table of the base ------------------------------------------------------------------- */

static struct ub_event *event_new(struct ub_event_base *base, int fd, short bits,
                                  void (*run)(int, short, void *), void *arg)
{
    struct unbound_event *event = calloc(1, sizeof(*event));
    if (!event)
        return NULL;
    *event = (struct unbound_event){
        .event = {.magic = UB_EVENT_MAGIC, .vmt = &((struct unbound_base *)base)->event_table},
        .magic = EVENT_MAGIC,
        .base = (struct unbound_base *)base,
        .watch = {.handle = fd, .ready = became_ready, .arg = event},
        .timer = {.run = ran_out, .arg = event},
        .bits = bits,
        .run = run,
        .arg = arg,
    };
    event->base->events++;
    return &event->event;
}

static struct ub_event *no_signal_event(struct ub_event_base *base, int fd,
                                        void (*run)(int, short, void *), void *arg)
{
    (void)base;
    (void)fd;
    (void)run;
    (void)arg;
    return NULL;
}

static struct ub_event *no_windows_event(struct ub_event_base *base, void *event,
                                         void (*run)(int, short, void *), void *arg)
{
    (void)base;
    (void)event;
    (void)run;
    (void)arg;
    return NULL;
}

/* The loop runs by itself, and ends by itself. */
static int dispatch(struct ub_event_base *base)
{
    (void)base;
    return -1;
}

static int loop_exit(struct ub_event_base *base, struct timeval *time)
{
    (void)base;
    (void)time;
    return -1;
}

static void base_free(struct ub_event_base *base)
{
    (void)base; /* whoever made it has it */
}

static const struct ub_event_base_vmt base_table = {
    .free = base_free,
    .dispatch = dispatch,
    .loopexit = loop_exit,
    .new_event = event_new,
    .new_signal = no_signal_event,
    .winsock_register_wsaevent = no_windows_event,
};

void unbound_base_init(struct unbound_base *base, struct loop *loop)
{
    *base = (struct unbound_base){
        .base = {.magic = UB_EVENT_MAGIC, .vmt = &base->table},
        .table = base_table,
        .event_table = event_table,
        .loop = loop,
    };
}
