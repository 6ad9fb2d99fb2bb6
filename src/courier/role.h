/*
 * The courier as a role: the checklist of role/role.h with a courier in it.
 */
#ifndef COURIER_ROLE_H
#define COURIER_ROLE_H

/* The role's entry: "veredus role courier". Returns the exit code. */
int courier_main(void);

#endif
