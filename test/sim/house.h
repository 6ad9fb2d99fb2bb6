/*
 * struct house: the server as the simulator runs it: core, two mx edges, a sub edge, a box edge,
 * two couriers and the resolver, each a role of the fake world with memory of its own, and this
 * driver in place of the parent. It starts roles by the functions the server starts them with,
 * links them, kills them, cuts the power, and starts again what died. house_out.c has those that
 * look outside.
 *
 * All of it is the driver's. What must hold and does not is told to `wrong`.
 */
#ifndef SIM_HOUSE_H
#define SIM_HOUSE_H

#include "core/core.h"
#include "edge/edge.h"
#include "people.h"
#include "store/local/local.h"
#include "sys/fake/call.h"

enum house_slot {
    HOUSE_CORE,
    HOUSE_MX_1,
    HOUSE_MX_2,
    HOUSE_SUB,
    HOUSE_BOX,
    HOUSE_COURIER_1,
    HOUSE_COURIER_2,
    HOUSE_RESOLVER,
    HOUSE_SLOTS
};

enum {
    HOUSE_EDGES_END = HOUSE_COURIER_1,
    HOUSE_COURIERS = HOUSE_RESOLVER - HOUSE_COURIER_1,
};

/* As house_conf.c configures it. */
#define HOUSE_EXPIRE (3 * 3600 * NS_PER_SECOND)
#define HOUSE_EXPIRE_BOUNCE (3600 * NS_PER_SECOND)

struct core_room;
struct edge_room;
struct courier_room;
struct resolver_room;
struct fake_zones;

struct house_role {
    struct house *house;
    enum house_slot slot;
    struct fake_event restart;
    int role; /* 0: dead */
    uint64_t deaths;
    int64_t died_at; /* mono, the last time */
};

struct house_death {
    enum house_slot slot;
    int64_t at; /* mono */
};

struct house {
    struct fake_world *fake;
    struct fake_disk *disk;
    struct fake_random random;
    struct arena conf_arena;
    struct conf confs[PEOPLE_STATES]; /* all outlive every role */
    size_t routes_first;              /* the set of routes (routes.h) that the first of them has */
    const struct conf *conf;          /* that new roles begin with */
    struct local_settings settings;
    struct index *index; /* NULL: to be made */
    bool index_is_lost;  /* at every restart: it is rebuilt from the log */
    bool examines;       /* fsck before core serves; what it finds is wrong */
    struct house_role roles[HOUSE_SLOTS];
    struct core_room *core;                     /* the role's memory; NULL: dead */
    struct edge_room *edges[HOUSE_SLOTS];       /* the same; NULL where the slot is no edge's */
    struct courier_room *couriers[HOUSE_SLOTS]; /* the same */
    struct resolver_room *resolver;
    struct fake_zones *zones; /* what it knows; the driver's, before house_open */
    struct str authorities;   /* that couriers know, PEM; the same */
    int64_t restart_most;     /* ns until what died is started again */
    uint64_t power_cuts, failed_starts;
    struct house_death *deaths; /* all of them, in their order */
    size_t death_count, death_room;
    void (*wrong)(void *arg, const char *what, struct str detail);
    void *arg;
};

void house_open(struct house *house, struct fake_world *fake, struct fake_disk *disk);
/* Every role ends in the orderly way; nothing may be left of it. */
void house_close(struct house *house);
/* After the world was closed. */
void house_free(struct house *house);

/* kill -9; at the n-th call of the world from now on, or now (0). */
void house_kill(struct house *house, enum house_slot slot, uint64_t call);
void house_cut_power(struct house *house);
/* For the role watch of the fake world: one died in the middle of a step. */
void house_role_died(struct house *house, int role);
/* After fake_run stopped: looks whether core could not start. */
void house_look(struct house *house);

/* Runs `run` on a fiber of core and comes back when it returned. False: it did not. */
bool house_do(struct house *house, void (*run)(struct core *core, void *arg), void *arg);
/* A run on a fiber of core that nobody waits for. The struct is the caller's until `done`, or until
 * core has died. */
struct house_errand {
    struct fiber_start start;
    struct core_room *room;
    void (*run)(struct core *core, void *arg);
    void *arg;
    bool done;
};

/* False: core does not serve. */
bool house_errand(struct house *house, struct house_errand *errand);

/* A reload: every role gets this configuration, and those that begin from now on. */
void house_configure(struct house *house, size_t which);

/* Ends core in the orderly way and starts it again on what is on the disk, behind an fsck. */
void house_reopen_core(struct house *house);

/* The set of routes that a configuration has. */
size_t house_routes(const struct house *house, size_t which);

/* Did it die in that time (mono)? */
bool house_died(const struct house *house, enum house_slot slot, int64_t from, int64_t until);
/* Is every role there, and core serving? */
bool house_is_up(const struct house *house);
/* Sessions that its edges have. */
uint64_t house_sessions(const struct house *house);
/* Entries of the queue, and jobs of couriers. */
size_t house_waiting(const struct house *house);
/* When a courier began its job of this message to that domain, the first of them; 0: it has none
 * (any more). */
int64_t house_job_began(const struct house *house, enum house_slot slot, uint64_t message,
                        struct str domain);
/* Messages that core or a courier has under way, some of them twice; `most` at most. */
size_t house_under_way(const struct house *house, uint64_t *messages, size_t most);
/* Password hashes that core computed since its start. */
uint64_t house_hashes(const struct house *house);
void house_status(struct house *house, struct local_status *status_r);

#endif
