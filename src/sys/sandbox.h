/*
 * What a role may touch, enforced by the kernel from sandbox_enter on, for good: user and group,
 * an empty root folder where we may change it, no new privileges, Landlock (files, TCP, abstract
 * sockets, signals, as far as the running kernel's version goes), seccomp (an allow-list by role;
 * anything else gives EPERM, execve and what a takeover needs kills), resource limits, not
 * dumpable. Everything a role needs from the file system is opened before.
 *
 * Linux only. Where Landlock is missing or old, seccomp alone holds for sockets, programs and
 * signals; what then cannot be enforced is put into words in the report.
 */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H

#include "base/buf.h"
#include "base/err.h"

enum sandbox_right {
    SANDBOX_FOLDER = 1,   /* open, create, rename and remove files beneath `folder` */
    SANDBOX_ACCEPT = 2,   /* accept connections from listening sockets it was given */
    SANDBOX_CONNECT = 4,  /* make TCP and UDP connections (courier, resolver: later) */
    SANDBOX_UNIX = 8,     /* listen on one unix socket beneath `folder` (core's control socket) */
    SANDBOX_PROGRAMS = 16 /* start programs, signal and wait for children, bind (parent) */
};

struct sandbox {
    const char *role;    /* "core": for the report */
    unsigned rights;     /* SANDBOX_* */
    struct str folder;   /* path, with SANDBOX_FOLDER */
    struct str user;     /* switch to this user when started as root; empty: stay */
    uint64_t max_files;  /* RLIMIT_NOFILE; 0: leave */
    uint64_t max_memory; /* RLIMIT_AS in bytes; 0: leave */
};

/* Enters. On success `report` lists, a line each, what the machine could not enforce (empty: all
 * is enforced). Call it before any thread is started but after everything else is open. */
struct err sandbox_enter(const struct sandbox *sandbox, struct buf *report);

#endif
