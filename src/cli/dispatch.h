/*
 * struct dispatch: the ways out of a command, and the spool where letters wait when none is open.
 *
 * Which way, in this order: the small configuration that -F names; the user's own; the server of
 * this host, by its socket; the small configuration of the host. The first that there is, is it:
 * where it cannot be reached the letter waits, and does not look for another way out.
 *
 * What came before a letter leaves before it, so each call sends what waits. Exit codes are those
 * of sysexits(3): what waits in the spool is 0, since nobody has to do it again.
 *
 * All may wait for the network.
 */
#ifndef CLI_DISPATCH_H
#define CLI_DISPATCH_H

#include "cli/post.h"
#include "cli/send_conf.h"
#include "cli/spool.h"

enum {
    EXIT_DATA = 65,
    EXIT_NO_USER = 67,
};

struct dispatch {
    struct arena *arena;
    const char *program; /* for messages */
    bool loud;           /* tell what is sent, too */
    struct str host;     /* how this host is called */
    struct str user, full_name, home;
    struct str local; /* the socket; empty: not this way */
    bool by_conf;
    struct send_conf conf;
    struct str spool_path;
    struct spool spool;
    bool has_spool;
};

/* `file`: of -F; empty: none was named. Says on standard error what is wrong; 0 or an exit code. */
int dispatch_open(struct dispatch *dispatch, struct arena *arena, const char *program,
                  struct str file, bool loud);
void dispatch_close(struct dispatch *dispatch);

/* A message that says nothing else is of this address; empty: of user@host. */
struct str dispatch_own_address(const struct dispatch *dispatch);

/* Sends what waits, then the letter. The exit code. */
int dispatch_letter(struct dispatch *dispatch, const struct letter *letter);
/* What waits, alone. */
int dispatch_flush(struct dispatch *dispatch);
/* On standard output, a line each. */
int dispatch_list(struct dispatch *dispatch);

/* A line on standard error, the program's name in front. */
void dispatch_say(const struct dispatch *dispatch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
