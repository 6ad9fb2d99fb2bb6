/*
 * The terminal role: it tells core whether a user of this machine can be shown something, and shows
 * it. It is there only where terminal.commands is on. It has no network and no secret; it reads
 * utmp, and writes to terminals whose users let their group do so.
 *
 * A terminal that takes nothing (^S) is waited for no longer than TERMINAL_WAIT; what was not
 * written whole by then was not shown. Nothing is written twice.
 */
#ifndef TERMINAL_TERMINAL_H
#define TERMINAL_TERMINAL_H

#include "bus/link.h"
#include "sys/fiber.h"
#include "sys/log.h"

#define TERMINAL_WAIT (2 * NS_PER_SECOND)

enum {
    TERMINAL_FIBERS = 64 /* terminals that are waited for at a time */
};

struct terminal_showing;

#define TERMINAL_MAGIC MAGIC('T', 'E', 'R', 'M')

struct terminal {
    uint32_t magic;
    struct loop *loop;
    struct fiber_pool *fibers;
    struct log *log;
    int utmp;          /* handle; -1: the system has none, and nobody is on */
    struct link *core; /* NULL: away */
    uint64_t links;    /* that there were: an answer goes to who asked */
};

/* Takes the handle of utmp. */
void terminal_init(struct terminal *terminal, struct loop *loop, struct fiber_pool *fibers,
                   struct log *log, int utmp);
/* A link to core in the place of the one there may be; takes the handle, also where it fails. */
struct err terminal_core_attach(struct terminal *terminal, int handle);
/* The link is cut. What is being shown is shown to its end, and memory stays until then. */
void terminal_core_end(struct terminal *terminal);

/* The role's entry: "veredus role terminal". Returns the exit code. */
int terminal_main(void);

#endif
