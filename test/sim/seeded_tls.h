/*
 * OpenSSL in the simulator: real TLS, whose octets are made from the seed. Its randomness is a
 * stream of the run's; the time that it asks libc for is the fake world's. What it took for a role
 * that is killed goes with the role, as its heap does.
 *
 * One run at a time: like malloc, OpenSSL has no argument for whose it is.
 */
#ifndef SIM_SEEDED_TLS_H
#define SIM_SEEDED_TLS_H

#include "sys/fake/fake.h"

/* Before anything of TLS in a run. */
void seeded_tls_begin(struct fake_world *fake);
/* When the world is closed: the time stands still from now on. */
void seeded_tls_end(void);

#endif
