/*
 * struct sim_plan: how wild a run is. Made from the seed; each of its numbers may be set otherwise,
 * which is how a failing run is made smaller (shrink.h). A plan is shown and given as
 * "letters=3,troubles=5"; what is not named stays as the seed has it.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "base/buf.h"

enum {
    PLAN_TROUBLES_MOST = 30, /* in one run */
    PLAN_TEXT_MAX = 512,
};

struct sim_plan {
    uint32_t letters;
    uint32_t readings;   /* sessions of each reader */
    uint32_t operations; /* of an operator on the queue */
    uint32_t changes;    /* of the directory and the configuration */
    uint32_t strangers;  /* sessions of each of those who mean no good */
    uint32_t mails;      /* letters that users submit */
    uint32_t logins;     /* sessions of each visitor: with what he has, or had */
    uint32_t guesses;    /* the same: without */
    uint32_t keys;       /* changes of passwords and bans */
    uint32_t crowds;     /* of who wants more than the door gives */
    uint32_t troubles;   /* events of the weather */
    uint32_t spared;     /* bit i: the i-th of them does not happen */
    /* Yes or no. */
    uint32_t tiny; /* letters are small: the network moves single octets */
    uint32_t kills, power, disk, drops;
    uint32_t edges_live; /* it is core that is killed: what the edges know must do */
};

/* A number of a plan. */
struct plan_row {
    const char *name;
    size_t place; /* in the struct */
};

enum {
    PLAN_SPARED = 17, /* the row of `spared` */
    PLAN_ROWS = 18
};

extern const struct plan_row plan_rows[PLAN_ROWS];

struct sim_plan plan_make(uint64_t seed);
uint32_t plan_get(const struct sim_plan *plan, size_t row);
void plan_set(struct sim_plan *plan, size_t row, uint32_t value);
/* False: it is no such text. */
bool plan_parse(struct sim_plan *plan, struct str text);
void plan_print(const struct sim_plan *plan, struct buf *to);

#endif
