/*
 * What house.c and house_out.c share. Only they include this.
 */
#ifndef SIM_HOUSE_INSIDE_H
#define SIM_HOUSE_INSIDE_H

#include "house.h"

enum {
    HOUSE_FIBERS = 512 /* of one role */
};

static inline bool house_is_edge(enum house_slot slot)
{
    return slot >= HOUSE_MX_1 && slot <= HOUSE_BOX;
}

static inline bool house_is_courier(enum house_slot slot)
{
    return slot >= HOUSE_COURIER_1 && slot < HOUSE_RESOLVER;
}

void house_complain(struct house *house, const char *what, struct str detail);

/* The driver's own calls in a role's name may be the ones at which it dies. */
bool house_enter(struct house *house, enum house_slot slot);
bool house_leave(struct house *house, enum house_slot slot);
/* Runs the world until *done, which somebody sets who then stops it. */
bool house_wait(struct house *house, const bool *done);
/* A role ended in the orderly way: nothing of it may be left. */
void house_nothing_left(struct house *house, enum house_slot slot);
/* Makes a link between core and what lives in the slot, where both do. */
void house_link_core(struct house *house, enum house_slot slot);
/* Of the listening edges; NULL: dead, or it has none. */
struct dns_client *house_edge_dns(struct house *house, enum house_slot slot);

/* --- house_conf.c ---------------------------------------------------------------------------- */

/* Reads all of them; the first is the one that roles begin with. */
void house_conf_open(struct house *house);

/* --- house_out.c ----------------------------------------------------------------------------- */

void house_courier_start(struct house *house, enum house_slot slot);
void house_courier_end(struct house *house, enum house_slot slot);
void house_courier_configure(struct house *house, enum house_slot slot);
/* Takes the handle. */
void house_courier_attach(struct house *house, enum house_slot slot, int handle);
size_t house_jobs(const struct house *house);
/* The messages of those jobs. */
size_t house_jobs_named(const struct house *house, uint64_t *messages, size_t most);
void house_resolver_start(struct house *house);
void house_resolver_end(struct house *house);
/* Makes a link between the resolver and what lives in the slot, where both do. */
void house_link_resolver(struct house *house, enum house_slot slot);

#endif
