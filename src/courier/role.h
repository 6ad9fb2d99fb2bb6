/*
 * The courier as a role: the checklist of role/role.h with a courier in it.
 */
#ifndef COURIER_ROLE_H
#define COURIER_ROLE_H

#include "base/str.h"

/* The role's entry: "veredus role courier". Returns the exit code. */
int courier_main(void);

struct log;
struct tls_client;
/* Whom `authorities` (a PEM file) lists is trusted, without it whom this system does. NULL: no
 * memory. */
struct tls_client *courier_tls_open(struct log *log, struct str authorities);

#endif
