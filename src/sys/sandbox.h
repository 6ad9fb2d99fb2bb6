/*
 * What a role may touch, enforced by the kernel from sandbox_enter on, for good: user and group,
 * an empty root folder where we may change it, no capabilities, no new privileges, Landlock (files,
 * TCP, abstract sockets, signals, as far as the running kernel's version goes), seccomp (an
 * allow-list by role; anything else gives EPERM, names that are opened give ENOENT, execve and what
 * a takeover needs kills), resource limits, not dumpable.
 *
 * Everything a role needs from the file system is opened before, but what lies beneath its folder:
 * that is its working folder from then on, so a relative name leads there, and an absolute one
 * nowhere. The data folder must belong to `user`.
 *
 * The parent (SANDBOX_PROGRAMS) passes on what it gives up: it keeps files and sockets, loses
 * listening on new ports, most capabilities, and calls that no mail server makes.
 *
 * Linux only. Where Landlock is missing or old, seccomp alone holds for files, sockets, programs
 * and signals, but for the folder of a role that has one; what then cannot be enforced is put into
 * words in the report.
 */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H

#include "base/buf.h"
#include "base/err.h"

enum sandbox_right {
    SANDBOX_FOLDER = 1,    /* open, create, rename and remove files beneath `folder`; and, being
                            * core's, make pairs of connected sockets for others */
    SANDBOX_ACCEPT = 2,    /* accept connections from listening sockets it was given */
    SANDBOX_CONNECT = 4,   /* make TCP and UDP connections, over IP alone */
    SANDBOX_UNIX = 8,      /* listen on one unix socket beneath `folder` (core's control socket) */
    SANDBOX_PROGRAMS = 16, /* start programs, signal and wait for children, bind (parent) */
    SANDBOX_TERMINALS = 32 /* write to terminals beneath `folder`; not with SANDBOX_FOLDER */
};

enum {
    SANDBOX_PORTS_MAX = 256
};

struct sandbox {
    const char *role;      /* "core": for the report */
    unsigned rights;       /* SANDBOX_* */
    struct str folder;     /* path, with SANDBOX_FOLDER and SANDBOX_TERMINALS */
    struct str user;       /* switch to this user when started as root; empty: stay; one the system
                            * does not have: stay and say so in the report */
    const uint16_t *ports; /* with SANDBOX_CONNECT: the only ones to connect to over TCP (no kernel
                            * tells the ports of UDP); none: any */
    size_t port_count;
    uint64_t max_files;    /* RLIMIT_NOFILE; 0: leave */
    uint64_t max_memory;   /* RLIMIT_AS in bytes; 0: leave */
    bool without_landlock; /* as on a kernel that has none: for tests */
};

/* Enters. On success `report` lists, a line each with the role in front, what the machine could not
 * enforce (empty: all is enforced). On failure the process is half inside and must end. Call it
 * before any thread is started. */
struct err sandbox_enter(const struct sandbox *sandbox, struct buf *report);

#endif
