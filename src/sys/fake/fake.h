/*
 * struct fake_world: a world (sys/world.h) that is all made up: clock, network, packets, shared
 * memory, threads, randomness. One process, one thread, and bit for bit the same run for the same
 * seed, settings and driver. Its disks are apart (sys/fake/disk.h), because they outlive a crash.
 *
 * How a simulator uses it:
 *
 *     struct fake_disk *disk = fake_disk_open(NULL);
 *     struct fake_world *w = fake_world_open(seed, &settings);
 *     int core = fake_role_open(w, "core"), edge = fake_role_open(w, "edge");
 *     int link[2];
 *     fake_packet_pair(w, core, edge, link);
 *     fake_role_enter(w, core);
 *     ... core_open(&w->world, fake_root(w, core, disk), link[0]) ...
 *     fake_role_enter(w, 0);
 *     ... the same for the edge, with fake_listen(w, edge, "smtp") ...
 *     struct fake_client *c = fake_connect(w, "smtp", &(struct peer_address){.text = "192.0.2.1"});
 *     fake_client_watch(c, session_goes_on, session);
 *     if (fake_run(w, world_mono(&w->world) + 600 * NS_PER_SECOND) == FAKE_IDLE && !all_done)
 *         the server hangs: nothing will ever happen again, and sessions wait;
 *     report w->hash: another run with this seed must give the same
 *
 * The driver (the test) is role 0. Role code runs in loops and jobs, whose role is the one that was
 * entered when they began; code the driver calls itself is bracketed by fake_role_enter. A handle
 * belongs to the role it was made for, and its use by another is a bug that must() catches.
 *
 * A step is one of: a loop's turn, a job, a delivery on the network, an event of the driver's. The
 * seed chooses among all that could happen now. Time stands still while anything can happen, then
 * jumps to the next timer, delivery or event.
 *
 * Nothing here yields. Calls marked "driver" must not be made by role code. Running out of real
 * memory ends the test (must).
 */
#ifndef SYS_FAKE_FAKE_H
#define SYS_FAKE_FAKE_H

#include <sys/queue.h>

#include "sys/fake/disk.h"
#include "sys/fake/memory.h"
#include "sys/loop.h"

/* Chances are in a million. An all-zero struct is a friendly world: nothing is split, late or
 * lost. */
struct fake_settings {
    int64_t wall_start; /* microseconds since 1970; 0: 2026-01-01 */

    uint32_t split;       /* a read, a write or a delivery gets only a part, down to one byte */
    int64_t delay_most;   /* ns a delivery may take */
    uint32_t vanish;      /* by delivery: the connection goes dead, and neither end is told */
    uint32_t reset;       /* by delivery: the connection is reset */
    size_t pipe_capacity; /* bytes unread by the peer before send says -EAGAIN; 0: 64 KB */
    size_t backlog;       /* connections nobody accepted yet; 0: 128 */
    size_t packet_queue;  /* packets unread before packet_send says -EAGAIN; 0: 64 */
    size_t handles;       /* of one role, before -EMFILE; 0: 65,536 */

    int64_t job_most;   /* ns a job on a lane may take */
    uint32_t cold;      /* file_read_nowait says -EAGAIN */
    size_t log_most;    /* bytes of log that are kept, the latest; 0: 1 MB */
    uint64_t spin_most; /* steps without time moving before FAKE_SPINS; 0: a million */
};

enum {
    FAKE_PROCESSORS = 2,
    FAKE_ROLES = 64, /* at a time, the driver included */
    FAKE_ROLE_NAME = 16
};

/* The shown part; the rest is the fake's own. */
struct fake_world {
    struct world world;
    uint64_t seed;
    uint64_t steps;
    uint64_t hash; /* of everything that could be observed so far */
};

struct fake_world *fake_world_open(uint64_t seed, const struct fake_settings *settings);
/* Ends what is left of every role, as fake_kill_role, and all clients. */
void fake_world_close(struct fake_world *fake);
/* The driver's own randomness: a stream of its own for each name. */
void fake_world_random(const struct fake_world *fake, const char *stream, struct fake_random *r);
/* May be changed at any time: an episode of bad weather. */
struct fake_settings *fake_world_settings(struct fake_world *fake);

/* ---- Time ---- */

/* Moves the clocks without letting anybody run: a machine that was suspended or overloaded. */
void fake_advance(struct fake_world *fake, int64_t ns);
/* The administrator, or NTP, sets the wall clock by this much. mono does not notice. */
void fake_wall_jump(struct fake_world *fake, int64_t us);

/* Something the driver wants to do at a time: a drip of bytes, a kill, a full disk. The caller's
 * memory, linked in until it ran or was cleared; zeroed but for run and arg before its first use.
 * The fake uses the same struct for everything it schedules itself. */
struct fake_event {
    void (*run)(struct fake_world *, struct fake_event *);
    void *arg;
    int64_t at; /* mono */
    uint64_t order;
    size_t heap_place;  /* 1 ..; 0: not in the heap */
    size_t ready_place; /* 1 ..; 0: not ready */
};

/* Sets or moves. */
void fake_event_set(struct fake_world *fake, struct fake_event *event, int64_t at);
void fake_event_clear(struct fake_world *fake, struct fake_event *event);

/* ---- Roles ---- */

/* A new process, so to speak: its number, 1 .. */
int fake_role_open(struct fake_world *fake, const char *name);
/* From now on this role's code runs; 0: the driver's again. Returns whose it was. */
int fake_role_enter(struct fake_world *fake, int role);
/*
 * kill -9, driver, between two steps: its loops, watches, lanes, jobs, handles, locks and memory
 * maps are gone; what it sent is still on its way, what was sent to it is lost, and who holds the
 * other ends sees them closed. Its heap and its fibers' stacks go too where the program was linked
 * with fake_memory (sys/fake/memory.h), else they are lost.
 */
void fake_kill_role(struct fake_world *fake, int role);
/*
 * The same at its n-th call of the world from now on (1: the next; 0: not after all), in the middle
 * of a turn: that call and all later ones have no effect and return -EIO, and at the end of the
 * step the role is killed. What the role writes to shared memory in the rest of the step is not
 * undone.
 */
void fake_kill_role_at(struct fake_world *fake, int role, uint64_t n);
/* `died` is called after such a death (not after fake_kill_role), by the driver, between two steps:
 * it may open the role anew. */
void fake_role_watch(struct fake_world *fake,
                     void (*died)(struct fake_world *, int role, void *arg), void *arg);
/* False from the moment fake_kill_role_at struck. Code the driver runs inside fake_role_enter must
 * look afterwards, and call fake_kill_role itself if the role is no more. */
bool fake_role_alive(const struct fake_world *fake, int role);
/* Calls of the world it made: the range for fake_kill_role_at. */
uint64_t fake_role_calls(const struct fake_world *fake, int role);
/* Handles it holds: after an orderly end, zero. */
size_t fake_role_handles(const struct fake_world *fake, int role);

/* Its heap, to be counted or made to fail, where the program links fake_memory. After an orderly
 * end fake_memory_blocks of it is 0, or something leaked. */
struct fake_memory *fake_role_memory(struct fake_world *fake, int role);

/* ---- What a role is given at its start: handles of its own ---- */

int fake_root(struct fake_world *fake, int role, struct fake_disk *disk); /* the root folder */
/* A listening socket; roles that name the same one share its connections. */
int fake_listen(struct fake_world *fake, int role, const char *name);
/* Two ends of a packet connection, pair_r[0] for role a and pair_r[1] for role b. */
void fake_packet_pair(struct fake_world *fake, int a, int b, int pair_r[2]);

/* ---- Running ---- */

enum fake_end {
    FAKE_UNTIL,  /* the time was reached */
    FAKE_IDLE,   /* nothing will ever happen again: no timer, no delivery, no event, no task */
    FAKE_SPINS,  /* steps without end at one moment: somebody polls what does not change */
    FAKE_STOPPED /* fake_stop */
};

/* Driver. Runs until mono `until` and leaves the clock there (with FAKE_UNTIL). */
enum fake_end fake_run(struct fake_world *fake, int64_t until);
/* Driver. One step, at a time of at most `until`; false: nothing left to do by then. */
bool fake_step(struct fake_world *fake, int64_t until);
/* Makes fake_run return after this step; from events and clients. */
void fake_stop(struct fake_world *fake);

/* ---- The strangers: client ends of connections, driver ---- */

struct fake_client;

/* NULL: nobody listens there, or the backlog is full. */
struct fake_client *fake_connect(struct fake_world *fake, const char *listener,
                                 const struct peer_address *peer);
/* `changed` is called in a step of its own when bytes or an end arrived, or there is room to send
 * again. It may do anything to this client, fake_client_done included. */
void fake_client_watch(struct fake_client *client, void (*changed)(struct fake_client *, void *),
                       void *arg);
/* How many bytes went onto the wire: 0 when the server does not read, or the connection ended. */
size_t fake_client_send(struct fake_client *client, struct str bytes);
/* What arrived. A client that never calls it is the one with a zero window. */
size_t fake_client_recv(struct fake_client *client, void *to, size_t n);
size_t
fake_client_waiting(const struct fake_client *client); /* bytes fake_client_recv would give */
/* Sends no more, goes on reading. */
void fake_client_finish(struct fake_client *client);
void fake_client_reset(struct fake_client *client);
/* Power off: nothing is sent or taken any more, and the server is not told. */
void fake_client_vanish(struct fake_client *client);
/* The network lost it, or it vanished: the server is told nothing more. */
bool fake_client_is_vanished(const struct fake_client *client);
enum fake_client_state {
    FAKE_CLIENT_OPEN,
    FAKE_CLIENT_ENDED, /* the server finished, and every byte was read */
    FAKE_CLIENT_RESET
};
enum fake_client_state fake_client_state(const struct fake_client *client);
/* The role at the other end; 0: none yet, or the driver. */
int fake_client_role(const struct fake_client *client);
/* Closes what is open, in the orderly way, and frees the client. */
void fake_client_done(struct fake_client *client);

/* ---- The internet: hosts that roles connect to, driver ---- */

/* What a call there comes to, `delay` later. */
enum fake_host_way {
    FAKE_HOST_ANSWERS,
    FAKE_HOST_REFUSES,
    FAKE_HOST_UNREACHABLE, /* as an address that nobody has */
    FAKE_HOST_SILENT,      /* nothing, ever */
};

/* The caller's memory, linked in until it is removed; all but `address` and `port` may be changed
 * while it is. An answer is what the host is at that time. */
struct fake_host {
    LIST_ENTRY(fake_host) link;
    const char *address;
    uint16_t port; /* 0: each */
    enum fake_host_way way;
    int64_t delay; /* ns, beside that of the network */
    /* A stranger is called: his end, as from fake_connect, and who calls. */
    void (*called)(struct fake_host *, struct fake_client *, const struct peer_address *caller);
    void *arg;
    const char *listener; /* instead: a role that listens by this name */
    uint64_t calls;       /* that it answered */
};

void fake_host_add(struct fake_world *fake, struct fake_host *host);
void fake_host_remove(struct fake_host *host);

/* Every role's own addresses, where it does not say another one. */
#define FAKE_OWN_V4 "198.51.100.1"
#define FAKE_OWN_V6 "2001:db8:ffff::1"

/* ---- Log ---- */

/* `line` is called with each; it is kept either way. Driver role 0 logs too. */
void fake_log_watch(struct fake_world *fake,
                    void (*line)(void *arg, int role, int word, struct str line), void *arg);
/* The latest lines, whole. Valid until the next line. */
struct str fake_log(const struct fake_world *fake);

#endif
