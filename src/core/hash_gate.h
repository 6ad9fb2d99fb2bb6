/*
 * struct hash_gate: the way to the lane that computes password hashes. No more run at a time than
 * the lane has threads; who would wait more than two seconds is told ERR_LOGIN_LATER, at once where
 * that is plain from those who wait already and what hashes took lately. So a flood of log-ins
 * costs the machine what its processors can do, and everybody else a short answer.
 *
 * Those who are HASH_FIRST (an account's own network) do not wait behind the others, and who comes
 * from where nobody guessed lately (HASH_FRESH) only behind these. Where there is more than one
 * thread the others never take all of them, so that who comes before them finds one free.
 */
#ifndef CORE_HASH_GATE_H
#define CORE_HASH_GATE_H

#include <sys/queue.h>

#include "base/err.h"
#include "sys/fiber.h"
#include "sys/worker.h"

enum hash_turn {
    HASH_FIRST,
    HASH_FRESH,
    HASH_USUAL,
    HASH_TURNS
};

#define HASH_WAIT (2 * NS_PER_SECOND)

struct hash_waiter;
TAILQ_HEAD(hash_waiters, hash_waiter);

struct hash_gate {
    struct loop *loop;
    struct lane *lane;
    struct hash_waiters waiters[HASH_TURNS];
    size_t waiting[HASH_TURNS];
    size_t running, running_usual;
    int64_t mean;    /* nanoseconds that one took lately */
    uint64_t hashes; /* computed; for status and tests */
    uint64_t late;   /* told so */
};

/* What is to be computed, the caller's: `run` on the lane, unless `wanted` (on the loop, NULL:
 * yes) says, when its turn has come, that nobody wants it any more. */
struct hash_work {
    bool (*wanted)(void *arg);
    void (*run)(void *arg);
    void *arg;
};

/* The lane is borrowed. */
void hash_gate_init(struct hash_gate *gate, struct lane *lane);
/* May yield. NONE: it ran, or was not wanted. ERR_LOGIN_LATER. */
struct err hash_gate_pass(struct hash_gate *gate, enum hash_turn turn,
                          const struct hash_work *work);

#endif
