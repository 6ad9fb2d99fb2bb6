/*
 * The parent: binds the ports, starts the other roles, links them, starts them again when they die,
 * reloads the configuration, stops them in order. It reads no mail and no octet of the network, and
 * talks to its children over the bus alone.
 *
 * Start: configuration, listeners, sandbox; core; when core is ready the resolver and the edges,
 * `mx` for SMTP and LMTP, `sub` for submission, `box` for mailboxes; when all are ready the pid
 * file and the line `started`. Until then any failure is a clear line on standard error and exit
 * code 1, and nothing is left running or written.
 *
 * A role that ends is started again after PARENT_AGAIN_FIRST, doubling up to PARENT_AGAIN_LAST with
 * each time it does so within PARENT_SETTLED, and linked to the others anew.
 *
 * SIGHUP: the file is read again; with a mistake it is refused and logged, and all stays as it was;
 * settings that only a start can change keep their values, and the log names them.
 * SIGTERM, SIGINT: edges finish their commands, then core what it promised, then the resolver and
 * the terminal role end, each within PARENT_STOP_WAIT; what is left then is killed. Exit code 0.
 */
#ifndef PARENT_PARENT_H
#define PARENT_PARENT_H

#include "base/str.h"
#include "sys/world.h"

#define PARENT_AGAIN_FIRST (NS_PER_SECOND / 10)
#define PARENT_AGAIN_LAST (4 * NS_PER_SECOND) /* what kept it from starting may end at any time */
#define PARENT_SETTLED (60 * NS_PER_SECOND)
#define PARENT_STOP_WAIT (10 * NS_PER_SECOND)

/* The system users of the roles, where the parent is root. */
#define PARENT_CORE_USER STR("veredus-core")
#define PARENT_EDGE_USER STR("veredus-edge")
#define PARENT_COURIER_USER STR("veredus-courier")
#define PARENT_DNS_USER STR("veredus-dns")
#define PARENT_TERMINAL_USER STR("veredus-terminal") /* where terminal.commands is on */

struct parent_options {
    struct str config; /* absolute path of the configuration file; relative ones in it begin at its
                          folder */
};

/* Runs to the end of the server; the exit code of the program. One per process, on its main thread.
 */
int parent_run(const struct parent_options *options);

#endif
