/*
 * Threads with one queue in and one list out. What is finished wakes the loop once, by an eventfd,
 * however many jobs finish before the loop looks: a burst costs one wake-up, which is what a hop
 * between threads costs. Nobody is woken by who holds the mutex, only to wait for it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/real.h"

enum {
    THREAD_STACK = 1024 * 1024
};

struct real_lane {
    struct lane *lane;
    pthread_mutex_t mutex; /* guards what stands from here ... */
    pthread_cond_t more;
    struct job_list queued;
    struct job_list finished;
    bool ending; /* ... to here */
    int event;
    struct watch watch;
    int threads;
    pthread_t thread[];
};

static void event_raise(int event)
{
    uint64_t one = 1;
    while (write(event, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void event_lower(int event)
{
    uint64_t count;
    while (read(event, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

/* The next job, or NULL at the end. Called and returns with the mutex held. */
static struct job *job_next(struct real_lane *real)
{
    while (TAILQ_EMPTY(&real->queued)) {
        if (real->ending)
            return NULL;
        pthread_cond_wait(&real->more, &real->mutex);
    }
    struct job *job = TAILQ_FIRST(&real->queued);
    TAILQ_REMOVE(&real->queued, job, link);
    return job;
}

static void *thread_main(void *arg)
{
    struct real_lane *real = arg;
    /* Its own name: another thread's is written through /proc, which a sandbox refuses. */
    pthread_setname_np(pthread_self(), real->lane->name);
    pthread_mutex_lock(&real->mutex);
    struct job *job;
    while ((job = job_next(real))) {
        pthread_mutex_unlock(&real->mutex);
        job->run(job);
        pthread_mutex_lock(&real->mutex);
        bool first = TAILQ_EMPTY(&real->finished);
        TAILQ_INSERT_TAIL(&real->finished, job, link);
        if (!first)
            continue;
        pthread_mutex_unlock(&real->mutex);
        event_raise(real->event);
        pthread_mutex_lock(&real->mutex);
    }
    pthread_mutex_unlock(&real->mutex);
    return NULL;
}

/* The list is taken as it is: what finishes meanwhile raises the event again. */
static void collect(struct real_lane *real)
{
    struct job_list finished = TAILQ_HEAD_INITIALIZER(finished);
    event_lower(real->event);
    pthread_mutex_lock(&real->mutex);
    TAILQ_CONCAT(&finished, &real->finished, link);
    pthread_mutex_unlock(&real->mutex);
    struct job *job;
    while ((job = TAILQ_FIRST(&finished))) {
        TAILQ_REMOVE(&finished, job, link);
        real->lane->waiting--;
        job->done(job);
    }
}

static void some_finished(struct watch *watch, unsigned ready)
{
    (void)ready;
    collect(watch->arg);
}

/* Signals are the loop's; a thread starts with the mask of its maker. */
static int thread_start(struct real_lane *real, const pthread_attr_t *how, pthread_t *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, how, thread_main, real);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -failed;
}

static int threads_start(struct real_lane *real)
{
    pthread_attr_t how;
    int failed = -pthread_attr_init(&how);
    if (failed)
        return failed;
    pthread_attr_setstacksize(&how, THREAD_STACK);
    while (!failed && real->threads < real->lane->threads) {
        failed = thread_start(real, &how, &real->thread[real->threads]);
        if (!failed)
            real->threads++;
    }
    pthread_attr_destroy(&how);
    return failed;
}

static void threads_end(struct real_lane *real)
{
    pthread_mutex_lock(&real->mutex);
    real->ending = true;
    pthread_cond_broadcast(&real->more);
    pthread_mutex_unlock(&real->mutex);
    while (real->threads > 0)
        pthread_join(real->thread[--real->threads], NULL);
}

static void lane_free(struct real_lane *real)
{
    pthread_cond_destroy(&real->more);
    pthread_mutex_destroy(&real->mutex);
    if (real->event >= 0)
        close(real->event);
    free(real);
}

static struct real_lane *lane_make(struct lane *lane)
{
    size_t threads = (size_t)lane->threads;
    struct real_lane *real = calloc(1, sizeof(*real) + threads * sizeof(pthread_t));
    if (!real)
        return NULL;
    real->lane = lane;
    TAILQ_INIT(&real->queued);
    TAILQ_INIT(&real->finished);
    pthread_mutex_init(&real->mutex, NULL);
    pthread_cond_init(&real->more, NULL);
    real->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    real->watch = (struct watch){
        .handle = real->event, .want = READY_READ, .ready = some_finished, .arg = real};
    return real;
}

int real_lane_begin(struct world *world, struct lane *lane)
{
    (void)world;
    struct real_lane *real = lane_make(lane);
    if (!real)
        return -ENOMEM;
    int failed = real->event < 0 ? -EMFILE : watch_begin(lane->loop, &real->watch);
    if (!failed) {
        failed = threads_start(real);
        if (failed) {
            threads_end(real);
            watch_end(lane->loop, &real->watch);
        }
    }
    if (failed) {
        lane_free(real);
        return failed;
    }
    lane->backend = real;
    return 0;
}

void real_lane_submit(struct world *world, struct lane *lane, struct job *job)
{
    (void)world;
    struct real_lane *real = lane->backend;
    pthread_mutex_lock(&real->mutex);
    TAILQ_INSERT_TAIL(&real->queued, job, link);
    pthread_mutex_unlock(&real->mutex);
    pthread_cond_signal(&real->more);
}

void real_lane_end(struct world *world, struct lane *lane)
{
    (void)world;
    struct real_lane *real = lane->backend;
    while (lane->waiting > 0) {
        struct pollfd event = {.fd = real->event, .events = POLLIN};
        poll(&event, 1, -1);
        collect(real);
    }
    threads_end(real);
    watch_end(lane->loop, &real->watch);
    lane_free(real);
    lane->backend = NULL;
}
