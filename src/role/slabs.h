/*
 * struct slabs: the pieces of shared memory (SLAB_SIZE octets each) in which bodies pass between an
 * edge, or a courier, and core. Core makes the pool and hands it over with `welcome`; the edge
 * gives the slabs out, the last one given back first, so that a quiet edge touches few pages.
 *
 * Core reads what a message names and copies it at once; until the answer came the slab belongs to
 * the question and may not be given back.
 *
 * A pool ends with its link: slabs_retire says so, nobody gets a slab of it any more, who holds
 * some may still read them (a body is sent again to the core that comes next), and the memory goes
 * with the last of them.
 *
 * What one session may hold is bounded by its owner (smtp: SMTP_BODY_SLABS and the summary); when
 * nothing is free, slabs_wait makes the session wait, in order, and its stream pushes back.
 *
 * Half of the pool is for those who work with it. Once no more than that is free, they are
 * short: who waits for a client then gives back what it holds, so that clients who send nothing
 * never take more than the other half, and those who are served wait for core alone.
 */
#ifndef ROLE_SLABS_H
#define ROLE_SLABS_H

#include "bus/messages.h"
#include "sys/fiber.h"

struct slabs;

/* Takes the handle over. NULL: the count is absurd or there is no memory. */
struct slabs *slabs_open(struct world *world, struct loop *loop, int handle, uint32_t count);
/* Its link ended: who waits gets ERR_BUS_BROKEN. The caller's pointer is void. */
void slabs_retire(struct slabs *slabs);

/* False: none is free now, or somebody waits for those that are. */
bool slabs_take(struct slabs *slabs, uint32_t *index_r);
/* May yield. ERR_TRY_LATER after `deadline` (mono), ERR_BUS_BROKEN when the pool was retired. */
struct err slabs_wait(struct slabs *slabs, int64_t deadline, uint32_t *index_r);
/* As slabs_wait, for `count` (1 or more) at once: until they are there it holds none of them. */
struct err slabs_wait_all(struct slabs *slabs, size_t count, int64_t deadline, uint32_t *indexes_r);
void slabs_give(struct slabs *slabs, uint32_t index);

/* SLAB_SIZE octets. `index` must be one that was taken. */
char *slabs_at(struct slabs *slabs, uint32_t index);

/* May nobody who waits for a client hold any? A retired pool is short. */
bool slabs_short(const struct slabs *slabs);

uint32_t slabs_out(const struct slabs *slabs);
/* How many may be taken; 0 where the pool was retired. */
uint32_t slabs_left(const struct slabs *slabs);
/* The most that were out at once. */
uint32_t slabs_most_out(const struct slabs *slabs);

#endif
