/*
 * What waits in core's queue, and what couriers have of it.
 */
#ifndef SIM_WAITING_H
#define SIM_WAITING_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct core;
struct courier;

/* Entries, in any state. */
size_t waiting_entries(const struct core *core);
/* Messages of those that are under way, `most` at most. */
size_t waiting_under_way(const struct core *core, uint64_t *messages, size_t most);
/* The same of a courier's jobs. */
size_t waiting_jobs(const struct courier *courier, uint64_t *messages, size_t most);
/* When it began the first one of this message to that domain, mono; 0: it has none. */
int64_t waiting_job_began(const struct courier *courier, uint64_t message, struct str domain);

#endif
