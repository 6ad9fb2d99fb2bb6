/*
 * Why a queue of its own in front of the lane's: the lane's cannot be left, and a job in it is
 * computed though its client has gone. Here everybody has a deadline.
 */
#include "core/hash_gate.h"

#include "base/must.h"

enum {
    MEAN_OF = 8, /* a new time is so much of the mean */
};
#define MEAN_AT_FIRST (50 * NS_PER_MS)

struct hash_waiter {
    TAILQ_ENTRY(hash_waiter) link;
    struct hash_gate *gate;
    enum hash_turn turn;
    struct wait wait;
    struct timer timer;
    bool goes;
};

void hash_gate_init(struct hash_gate *gate, struct lane *lane)
{
    *gate = (struct hash_gate){.loop = lane->loop, .lane = lane, .mean = MEAN_AT_FIRST};
    for (size_t i = 0; i < HASH_TURNS; i++)
        TAILQ_INIT(&gate->waiters[i]);
}

/* How many of a turn may run at a time. */
static size_t places_of(const struct hash_gate *gate, enum hash_turn turn)
{
    size_t threads = (size_t)gate->lane->threads;
    return turn == HASH_USUAL && threads > 1 ? threads - 1 : threads;
}

static bool has_place(const struct hash_gate *gate, enum hash_turn turn)
{
    return gate->running < places_of(gate, HASH_FIRST) &&
           (turn != HASH_USUAL || gate->running_usual < places_of(gate, turn));
}

static void place_take(struct hash_gate *gate, enum hash_turn turn)
{
    gate->running++;
    gate->running_usual += turn == HASH_USUAL;
}

static void waiter_over(struct hash_waiter *waiter, bool goes)
{
    struct hash_gate *gate = waiter->gate;
    TAILQ_REMOVE(&gate->waiters[waiter->turn], waiter, link);
    gate->waiting[waiter->turn]--;
    timer_clear(gate->loop, &waiter->timer);
    waiter->goes = goes;
    wait_over(&waiter->wait);
}

static void waited_enough(struct timer *timer)
{
    waiter_over(timer->arg, false);
}

/* How long who comes now would wait: those before it, and half of what runs. */
static int64_t wait_expected(const struct hash_gate *gate, enum hash_turn turn)
{
    size_t before = 0;
    for (size_t i = 0; i <= (size_t)turn; i++)
        before += gate->waiting[i];
    return (int64_t)before * gate->mean / (int64_t)places_of(gate, turn) + gate->mean / 2;
}

/* May yield. true: one of the places is the caller's. */
static bool enter(struct hash_gate *gate, enum hash_turn turn)
{
    if (has_place(gate, turn)) {
        place_take(gate, turn);
        return true;
    }
    if (wait_expected(gate, turn) > HASH_WAIT)
        return false;
    struct hash_waiter waiter = {.gate = gate, .turn = turn};
    waiter.timer = (struct timer){.run = waited_enough, .arg = &waiter};
    TAILQ_INSERT_TAIL(&gate->waiters[turn], &waiter, link);
    gate->waiting[turn]++;
    timer_set(gate->loop, &waiter.timer, gate->loop->now + HASH_WAIT);
    wait_for(&waiter.wait);
    return waiter.goes;
}

/* The place goes to the next one who may have it, or is free. */
static void leave(struct hash_gate *gate, enum hash_turn own)
{
    gate->running--;
    gate->running_usual -= own == HASH_USUAL;
    for (size_t turn = 0; turn < HASH_TURNS; turn++) {
        struct hash_waiter *next = TAILQ_FIRST(&gate->waiters[turn]);
        if (next && has_place(gate, (enum hash_turn)turn)) {
            place_take(gate, (enum hash_turn)turn);
            waiter_over(next, true);
            return;
        }
    }
}

struct err hash_gate_pass(struct hash_gate *gate, enum hash_turn turn, const struct hash_work *work)
{
    if (!enter(gate, turn)) {
        gate->late++;
        return err_make(ERR_LOGIN_LATER);
    }
    if (!work->wanted || work->wanted(work->arg)) {
        int64_t began = gate->loop->now;
        gate->hashes++;
        lane_call(gate->lane, work->run, work->arg);
        gate->mean += (gate->loop->now - began - gate->mean) / MEAN_OF;
    }
    leave(gate, turn);
    return err_none();
}
