/*
 * What waits in core's queue.
 */
#ifndef SIM_WAITING_H
#define SIM_WAITING_H

#include <stddef.h>

struct core;

/* Entries, in any state. */
size_t waiting_entries(const struct core *core);

#endif
