/*
 * The control socket: the operator's commands reach core here. The socket's mode keeps others out;
 * who connects is checked by the kernel's word all the same: root, or the user core runs as
 * (catalogue O03). Connections are few and bounded.
 */
#ifndef CORE_CONTROL_H
#define CORE_CONTROL_H

#include "core/core.h"

enum {
    CONTROL_PEERS_MAX = 64 /* commands at a time; more wait in the socket's queue */
};

/* While a command works in silence core sends an empty piece of its answer as often as this. */
#define CONTROL_PULSE (10 * NS_PER_SECOND)

struct control {
    struct core *core;
    struct watch watch;
    struct timer pause; /* when there are too many, or no descriptors */
    int64_t own_uid;
};

/* Takes the listening handle over. */
struct err control_open(struct control *control, struct core *core, int handle);
void control_close(struct control *control);

#endif
