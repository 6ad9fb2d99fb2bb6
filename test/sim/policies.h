/*
 * MTA-STS policies of domains of the made-up internet, which core learned before the run begins:
 * from then on they hold, whatever becomes of records, web servers (there is none) and processes.
 */
#ifndef SIM_POLICIES_H
#define SIM_POLICIES_H

#include "core/core.h"
#include "sys/fake/dns.h"

/* Their records in the DNS, as they are now: with another id, or gone. */
void policies_publish(struct fake_zones *zones);
/* For house_do: `arg` points to a struct err for the result. */
void policies_move_in(struct core *core, void *arg);

#endif
