/*
 * The crowd: one client that wants more than the door gives: more sessions at a time than an
 * address may have, more messages in a minute, names that there are not. What is held against the
 * limits is what one edge gave in one session, or has open at one time, so that no death of an edge
 * excuses anything.
 */
#ifndef SIM_CROWD_H
#define SIM_CROWD_H

#include "dialog.h"

struct sim;

enum {
    CROWD_GUESTS = 9,
    /* As house_conf.c configures them. */
    CROWD_SESSIONS = 6,
    CROWD_MESSAGES = 40,
    CROWD_NAMES = 10,
};

enum crowd_kind {
    CROWD_AT_ONCE,
    CROWD_SENDS,
    CROWD_TRIES_NAMES,
    CROWD_KINDS
};

struct crowd;

struct crowd_guest {
    struct crowd *crowd;
    struct dialog dialog;
    bool greeted, hello;
    uint64_t said, taken; /* commands; those that were answered with a yes */
    int64_t began, asked;
};

struct crowd {
    struct sim *sim;
    struct fake_event wake, enough;
    uint32_t visits_left;
    bool idle;
    enum crowd_kind kind;
    bool smtp;
    struct crowd_guest guests[CROWD_GUESTS];
    uint64_t turned_away, slowed; /* how many */
};

void crowd_open(struct crowd *crowd, struct sim *sim, uint32_t visits);
void crowd_close(struct crowd *crowd);

#endif
