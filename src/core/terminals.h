/*
 * struct terminals: how core asks the terminal role (doc/sending.md, 14). Where that is away, or
 * not there at all, nobody is on: SEND is refused, and what may go into a mailbox goes there, so
 * nothing here waits for it to come back. It is believed: it is the one that sees who is on.
 */
#ifndef CORE_TERMINALS_H
#define CORE_TERMINALS_H

#include "bus/link.h"

#define TERMINALS_ALONE NS_PER_SECOND /* without a link, before `alone` is called, and again */

struct terminals {
    struct loop *loop;
    struct link *link; /* NULL: away */
    struct timer alone_timer;
    /* As of a dns_client (role/dns.h); NULL: nobody is there to be missed. */
    void (*alone)(void *arg);
    void *arg;
};

void terminals_init(struct terminals *terminals, struct loop *loop, void (*alone)(void *arg),
                    void *arg);
/* A new link in the place of the one there may be; takes the handle, also where it fails. */
struct err terminals_attach(struct terminals *terminals, int handle);
/* Cuts; nobody is on from now on. */
void terminals_done(struct terminals *terminals);

/* May yield. NONE: he is on, and lets others write to his terminal. */
enum err_code terminals_ask(struct terminals *terminals, struct str user, struct arena *arena);

/* May yield: some seconds at most. NONE: it is there, whole, on the terminal *line_r, which lives
 * in the arena. */
enum err_code terminals_show(struct terminals *terminals, const struct msg_terminal_show *what,
                             struct arena *arena, struct str *line_r);

#endif
