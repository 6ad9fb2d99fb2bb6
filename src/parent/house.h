/*
 * struct house: the parent's own state, and what its files do with it.
 *
 * States of a child:
 *   CHILD_OFF      no process; a timer starts it, or nobody does (before its turn, while stopping)
 *   CHILD_BEGINS   a process that has its setup, its listeners and its peers, and is not ready yet
 *   CHILD_SERVES   it said `ready`
 *   CHILD_STOPS    it was told to stop
 * A child has a pid in all but the first, and a link as long as that is whole.
 */
#ifndef PARENT_HOUSE_H
#define PARENT_HOUSE_H

#include "bus/link.h"
#include "conf/conf.h"
#include "parent/parent.h"
#include "sys/log.h"
#include "sys/process.h"

enum {
    HOUSE_EDGES_MAX = 256,   /* conf.def: 64 processes of each kind */
    HOUSE_COURIERS_MAX = 64, /* sending.processes */
    /* core, the resolver and the terminal role */
    HOUSE_CHILDREN_MAX = 3 + HOUSE_EDGES_MAX + HOUSE_COURIERS_MAX,
    HOUSE_LISTENERS_MAX = LISTEN_PROTOCOLS * CONF_LISTEN_MOST,
    HOUSE_TEXT_MAX = CONF_TEXT_MAX, /* a configuration as the roles get it */
    HOUSE_LINE_MAX = 4096,
};

enum child_state {
    CHILD_OFF,
    CHILD_BEGINS,
    CHILD_SERVES,
    CHILD_STOPS
};

struct house;
struct certificates;
struct parcel;
STAILQ_HEAD(parcels, parcel);

/* A configuration as the roles get it, for as long as one of them is being told. */
struct house_text {
    size_t holders;
    struct buf text;
};

struct child {
    struct house *house;
    enum bus_role role;
    const char *name; /* of the role: "core", "mx", "sub", "box", "courier" ... */
    uint32_t instance;
    enum child_state state;
    int64_t pid;
    struct link link;
    bool linked;
    struct parcels outbox; /* what it has not been told yet (parent/outbox.h) */
    int64_t started;       /* mono */
    bool faulted;          /* the last one ended by a fault of its own, not by a kill */
    bool outdated;         /* a reload came while it began: it is told when it serves */
    unsigned deaths;       /* in a row, each soon after the start */
    struct timer again;
};

struct listener {
    enum listen_protocol protocol;
    struct str address; /* in the configuration of the start */
    int handle;
};

#define TOKENS_EVERY (30 * NS_PER_SECOND)

#define HOUSE_MAGIC MAGIC('H', 'O', 'U', 'S')

struct house {
    uint32_t magic;
    struct world *world;
    struct loop loop;
    struct log log;
    struct signals *signals;
    struct str config;               /* path */
    struct arena start_arena, arena; /* of the configuration at the start, and of the last one */
    struct conf conf;
    struct house_text *text;           /* conf as the roles get it */
    struct certificates *certificates; /* read for core, and not given to it yet */
    struct buf anchors;                /* of the DNS, as the resolver gets them */
    struct listener listeners[HOUSE_LISTENERS_MAX];
    size_t listener_count;
    struct child children[HOUSE_CHILDREN_MAX]; /* core first */
    size_t child_count;
    struct buf unenforced; /* the parent's own */
    bool serving;          /* all were ready once */
    bool stopping;
    struct timer stop_wait;
    struct timer tokens; /* access tokens of routes are read anew */
    int exit_code;
};

/* One line on standard error for whoever started us, "veredus: " in front. Before `started` the log
 * may have no reader. */
void house_say(struct house *house, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the house in order, with this exit code. */
void house_stop(struct house *house, int exit_code);

/* settings.c: reads and checks the file; false: it said why (at the start) or logged it. */
bool settings_load(struct house *house);
void settings_reload(struct house *house);
/* To the resolver: its trust anchors, which it takes with the configuration behind them. */
void settings_tell_anchors(struct child *child);
/* A role that serves gets what it is to have now. */
void settings_tell(struct child *child);

/* Core gets the access tokens that others have renewed; again in TOKENS_EVERY. */
void settings_tell_tokens(struct house *house);

/* What core is to be told when it begins: what was read with the configuration, or is in the files
 * now. NULL: no memory, which was logged. */
struct certificates *settings_certificates(struct house *house);

/* The text of the trust anchors' file, or of the system's where none is named; empty where there is
 * neither. False: it cannot be read, and `trouble` got a line. */
bool anchors_read(const struct conf *conf, struct buf *text, struct buf *trouble);

/* outbox.c: one holder; NULL: no memory. */
struct house_text *house_text_new(void);
void house_text_release(struct house_text *text);

/* listeners.c: false: it said why, and nothing is open. */
bool listeners_open(struct house *house);
/* Names of the settings that tell to listen where nobody does: for want of a certificate. */
void listeners_missing(const struct house *house, struct buf *names);
/* One line about those that are not open because there is no certificate. */
void listeners_warn(struct house *house);
void listeners_close(struct house *house);

/* child.c */
void children_plan(struct house *house); /* which there are, by the configuration */
void child_start(struct child *child);
void child_died(struct house *house, int64_t pid, struct str how);
void child_kill(struct child *child);
/* A message for one that can hear it; a link that does not take it is cut. */
void child_tell(struct child *child, const struct msg *msg);
/* In which order they end: those that ask others first. */
unsigned child_wave(const struct child *child);

/* Root, and the users of the roles are there. */
bool parent_changes_users(void);

/* parent.c, for child.c: a child is ready; one ended that will not come again. */
void house_ready(struct house *house, struct child *child, struct str unenforced);
void house_emptier(struct house *house);

#endif
