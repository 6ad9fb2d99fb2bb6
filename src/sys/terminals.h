/*
 * Users' terminals: who is logged in where (utmp), and the one thing that may be done with a
 * terminal of somebody else's: write to it, where its user lets others (`mesg y`: its group may
 * write). Real world only. Nothing blocks, nothing yields; terminals are named as in utmp, "pts/3",
 * and found beneath the working folder, which is /dev.
 */
#ifndef SYS_TERMINALS_H
#define SYS_TERMINALS_H

#include "base/err.h"
#include "base/str.h"
#include "sys/world.h"

enum {
    TERMINAL_NAME_MAX = 32,      /* octets of a user's or a terminal's name in utmp */
    TERMINALS_LISTED_MAX = 4096, /* entries of utmp that are looked at */
};

/* An entry of utmp: a user's session whose process lives. */
struct terminal_login {
    char user[TERMINAL_NAME_MAX + 1], line[TERMINAL_NAME_MAX + 1];
    int64_t since; /* microseconds since 1970 */
};

/* The file is opened once, before the sandbox: it is never replaced, only written. */
struct err terminals_open(struct str utmp, int *utmp_r);
/* Those there are now, in the file's order, `most` at most. Returns how many, or -errno. */
ssize_t terminals_list(int utmp, struct terminal_login *logins, size_t most);

/* What a terminal says of itself. */
struct terminal_state {
    bool accepts;  /* it is one, and its group may write to it */
    int64_t heard; /* when its user typed last; microseconds since 1970 */
};
struct terminal_state terminal_look(const char *line);

/* To be written to, if it accepts: a handle, to be closed as any other, or -errno. */
int terminal_open(const char *line);
/* Does it take UTF-8? One that does not takes some octets of it for control characters. */
bool terminal_is_utf8(int handle);
/* How many octets it took; -EAGAIN: none now, as while its user holds it (^S). */
ssize_t terminal_write(int handle, struct str text);

#endif
