/*
 * Why a call lends its place: a host that drops what we send, or connects and says nothing, has all
 * the time that RFC 5321 gives it, and a thousand of them would be all there is. A connection that
 * has not said a word yet costs us two descriptors.
 */
#include "courier/places.h"

#include "courier/job.h"
#include "courier/rest.h"

enum {
    SHARES = 4,         /* of the places: one for destinations in trouble, */
    UNPROVEN_SHARE = 3, /* so many for those and the unknown ones */
};

struct place_waiter {
    TAILQ_ENTRY(place_waiter) link;
    struct job *job;
    struct wait wait;
};

void places_init(struct courier *courier)
{
    for (size_t i = 0; i < DESTINATION_STANDINGS; i++)
        TAILQ_INIT(&courier->place_waiters[i]);
    TAILQ_INIT(&courier->place_owners);
}

size_t places_held(const struct courier *courier)
{
    size_t held = 0;
    for (size_t i = 0; i < DESTINATION_STANDINGS; i++)
        held += courier->places[i];
    return held;
}

/* What core says is a number. */
static enum destination_standing standing(const struct job *job)
{
    return job->order->standing < DESTINATION_STANDINGS
               ? (enum destination_standing)job->order->standing
               : DESTINATION_DOUBTFUL;
}

static size_t share_of(const struct courier *courier, size_t shares)
{
    size_t share = courier->conf->sending.connections * shares / SHARES;
    return share ? share : 1;
}

static bool is_room(const struct courier *courier, enum destination_standing standing)
{
    size_t doubtful = courier->places[DESTINATION_DOUBTFUL];
    size_t unproven = doubtful + courier->places[DESTINATION_UNTRIED];
    if (places_held(courier) >= courier->conf->sending.connections)
        return false;
    return standing == DESTINATION_PROVEN ||
           (unproven < share_of(courier, UNPROVEN_SHARE) &&
            (standing == DESTINATION_UNTRIED || doubtful < share_of(courier, 1)));
}

/* --- Turns ----------------------------------------------------------------------------------- */

static void grant(struct job *job)
{
    job->courier->places[standing(job)]++;
    job->place.held = true;
    rest_make_room(job->courier);
}

static void waiter_over(struct place_waiters *waiters, struct place_waiter *waiter)
{
    TAILQ_REMOVE(waiters, waiter, link);
    wait_over(&waiter->wait);
}

/* False: nobody of them may have one. */
static bool goes_on(struct courier *courier, struct place_waiters *waiters,
                    enum destination_standing as)
{
    struct place_waiter *waiter = TAILQ_FIRST(waiters);
    if (!waiter || !is_room(courier, as))
        return false;
    if (as == DESTINATION_UNTRIED) {
        courier->newest = !courier->newest;
        waiter = courier->newest ? TAILQ_LAST(waiters, place_waiters) : waiter;
    }
    grant(waiter->job);
    waiter_over(waiters, waiter);
    return true;
}

/* Who has a connection already comes first, whatever his share. */
static void turn(struct courier *courier)
{
    struct place_waiters *waiters = courier->place_waiters;
    while (goes_on(courier, &courier->place_owners, DESTINATION_PROVEN) ||
           goes_on(courier, &waiters[DESTINATION_DOUBTFUL], DESTINATION_DOUBTFUL) ||
           goes_on(courier, &waiters[DESTINATION_UNTRIED], DESTINATION_UNTRIED) ||
           goes_on(courier, &waiters[DESTINATION_PROVEN], DESTINATION_PROVEN))
        continue;
}

static void get_in(struct job *job, struct place_waiters *waiters, enum destination_standing as)
{
    struct place_waiter waiter = {.job = job};
    if (is_room(job->courier, as)) {
        grant(job);
        return;
    }
    TAILQ_INSERT_TAIL(waiters, &waiter, link);
    wait_for(&waiter.wait);
}

/* --- A job's --------------------------------------------------------------------------------- */

static void let_go(struct job *job)
{
    struct courier *courier = job->courier;
    must(courier->places[standing(job)] > 0);
    courier->places[standing(job)]--;
    job->place.held = false;
    turn(courier);
}

static void lend(struct timer *timer)
{
    let_go(timer->arg);
}

bool place_take(struct job *job)
{
    struct courier *courier = job->courier;
    struct place *place = &job->place;
    if (!place->held && !courier->stops)
        get_in(job, &courier->place_waiters[standing(job)], standing(job));
    if (!place->held)
        return false;
    place->call = (struct timer){.run = lend, .arg = job};
    timer_set(courier->loop, &place->call, courier->loop->now + PLACE_CALL);
    return true;
}

void place_keep(struct job *job)
{
    struct courier *courier = job->courier;
    timer_clear(courier->loop, &job->place.call);
    if (!job->place.held && !courier->stops)
        get_in(job, &courier->place_owners, DESTINATION_PROVEN);
}

void place_give(struct job *job)
{
    timer_clear(job->courier->loop, &job->place.call);
    if (job->place.held)
        let_go(job);
}

void places_end(struct courier *courier)
{
    struct place_waiters *waiters;
    for (size_t i = 0; i < DESTINATION_STANDINGS; i++)
        for (waiters = &courier->place_waiters[i]; !TAILQ_EMPTY(waiters);)
            waiter_over(waiters, TAILQ_FIRST(waiters));
    for (waiters = &courier->place_owners; !TAILQ_EMPTY(waiters);)
        waiter_over(waiters, TAILQ_FIRST(waiters));
}
