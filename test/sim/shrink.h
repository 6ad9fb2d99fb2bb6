/*
 * Makes a run that violates something smaller: fewer letters, readers' sessions and troubles, of
 * fewer kinds, for as long as it goes on violating something. Each try is a process of its own, so
 * that a run which ends by must() or by a sanitizer can be made smaller too. The same seed and plan
 * give the same answer.
 */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "plan.h"

enum {
    SHRINK_RUNS = 300 /* most of them */
};

/* False: the run of *plan violates nothing. Else *plan is the smallest that was found, and *runs_r
 * how many were tried. */
bool shrink(uint64_t seed, struct sim_plan *plan, size_t *runs_r);

#endif
