/*
 * The recorder: watches every call of the world for one rule. No reply "250 ... Accepted id X"
 * leaves an edge before the log record that carries X was written and then synced, in this order,
 * by whatever core. (Power cuts would find a broken promise too, but only where one falls into the
 * gap; this looks at every reply.)
 */
#ifndef SIM_RECORDER_H
#define SIM_RECORDER_H

#include <sys/queue.h>

#include "sys/fake/call.h"

TAILQ_HEAD(nameless_list, nameless);

struct recorder {
    struct fake_hook hook;
    struct recorded *records; /* hash by message id */
    struct nameless_list nameless, nameless_synced;
    uint64_t replies; /* that were looked at */
    void (*wrong)(void *arg, const char *what, struct str detail);
    void *arg;
};

void recorder_open(struct recorder *recorder, struct fake_world *fake,
                   void (*wrong)(void *arg, const char *what, struct str detail), void *arg);
void recorder_close(struct recorder *recorder, struct fake_world *fake);

#endif
