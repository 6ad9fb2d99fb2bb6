/*
 * What every role does at its start, the same short checklist for each:
 *
 *   1. take the link to the parent, wait for `setup`
 *   2. parse the configuration, open the log
 *   3. `prepare`: open what lies outside the sandbox
 *   4. enter the sandbox that `sandbox` describes
 *   5. `begin`, on a fiber: threads, the store, the protocols
 *   6. tell the parent `ready`, and serve: peers, listeners, new configurations, stop
 *
 * A role ends when its parent is gone: nobody would restart its peers.
 */
#ifndef ROLE_ROLE_H
#define ROLE_ROLE_H

#include "bus/link.h"
#include "conf/held.h"
#include "sys/fiber.h"
#include "sys/log.h"
#include "sys/sandbox.h"

struct role;

struct role_table {
    const char *name; /* "core": for the log and the sandbox's report */
    enum bus_role role;
    size_t fibers; /* most at once */
    /* Before the sandbox, on the loop's stack. */
    struct err (*prepare)(struct role *);
    /* What the kernel shall allow; role->setup tells whether the user changes. */
    void (*sandbox)(struct role *, struct sandbox *);
    /* In the sandbox, on a fiber; may yield. */
    struct err (*begin)(struct role *);
    /* On the loop's stack. The configuration lives until the next one was told; who looks at it for
     * longer holds it (conf/held.h). Handles are the callee's now. NULL where a role has no such
     * thing. */
    void (*configure)(struct role *, const struct conf *conf);
    void (*peer)(struct role *, enum bus_role peer, uint32_t instance, int handle);
    /* Where it fails the role ends, and the parent starts another: nobody gives a socket twice. */
    struct err (*listen)(struct role *, enum listen_protocol protocol, struct str address,
                         int handle);
    /*
     * certificate_files and token_keys_file, which only core hears: a whole set of the first and
     * one of the second before `prepare` (there is no configuration then), and again behind each
     * `configure`, with a route_secret for each route that logs in. trust_anchors, which only the
     * resolver hears: before `prepare`, and before each `configure`. They are valid until it
     * returns, and wiped afterwards. On the loop's stack. An error ends a role that has not begun;
     * later it is logged.
     */
    struct err (*told)(struct role *, const struct msg *);
    /* Finish what was promised, on a fiber; the role ends when it returns. */
    void (*stop)(struct role *);
};

enum {
    ROLE_EARLY_MAX = 256 /* peers and listeners that came while the role still began */
};

struct role_early {
    struct msg msg;
    int handle;
};

#define ROLE_MAGIC MAGIC('R', 'O', 'L', 'E')

struct role {
    uint32_t magic;
    const struct role_table *table;
    void *arg; /* the role's own */
    struct world *world;
    struct loop loop;
    struct fiber_pool *fibers;
    struct log log;
    struct link parent;
    uint32_t instance;
    bool as_root;
    bool after_fault;        /* the one before ended by a fault of its own */
    const struct conf *conf; /* held */
    size_t conf_count;       /* that somebody still holds */
    struct buf conf_parts;   /* of the next one's text */
    struct buf unenforced;
    struct role_early early[ROLE_EARLY_MAX];
    size_t early_count;
    struct arena early_arena;
    struct fiber_start start;
    enum {
        ROLE_WAITS_FOR_SETUP,
        ROLE_BEGINS,
        ROLE_SERVES,
        ROLE_STOPS
    } state;
    bool stop_asked;
    bool parent_gone;
    int exit_code;
};

/* The link to a role that this one asks has ended: where that still serves, the parent makes
 * another one. Nothing happens where this one does not serve. */
void role_unlinked(struct role *role, enum bus_role peer);
/* Ends the role in this turn, without `stop`: the parent starts another. */
void role_leave(struct role *role);

/* Runs the role to its end; the exit code. */
int role_run(const struct role_table *table, void *arg);

#endif
