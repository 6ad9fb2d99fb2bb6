/*
 * The inside of a fake world, for the files of this folder only: things (what handles name), roles,
 * loops, and the brackets around every call.
 *
 * A thing is counted: by handles, by packets that carry it, by its other end. Handles are numbers
 * of the whole world, the lowest free one first, so that a number is reused as early as a kernel
 * would.
 */
#ifndef SYS_FAKE_INNER_H
#define SYS_FAKE_INNER_H

#include <errno.h>

#include "base/buf.h"
#include "sys/fake/call.h"
#include "sys/fake/memory.h"
#include "sys/fake/node.h"
#include "sys/worker.h"

struct fake_watch;
struct fake_lane;
struct fake_inner;
TAILQ_HEAD(fake_watches, fake_watch);

enum fake_kind {
    FAKE_STREAM,
    FAKE_LISTENER,
    FAKE_PACKETS,
    FAKE_SHM,
    FAKE_FILE,
    FAKE_FOLDER
};

struct fake_thing {
    enum fake_kind kind;
    size_t refs;
    struct fake_watches watches;
};

struct fake_open_file {
    struct fake_thing thing; /* FAKE_FILE, FAKE_FOLDER */
    struct fake_disk *disk;
    struct fake_node *node;
    uint64_t generation;
    unsigned how;
};

struct fake_handle {
    struct fake_thing *thing; /* NULL: free */
    int role;
};

/* Interest of one loop in one thing. */
struct fake_watch {
    TAILQ_ENTRY(fake_watch) by_thing;
    TAILQ_ENTRY(fake_watch) by_loop;
    TAILQ_ENTRY(fake_watch) by_heat;
    struct fake_thing *thing;
    struct fake_loop *loop;
    struct watch *watch;
    uint64_t round; /* of the loop's looks, when it was last seen */
    bool hot;       /* in loop->hot: may be ready */
};

struct fake_job {
    TAILQ_ENTRY(fake_job) link;
    struct fake_event event;
    struct fake_lane *lane;
    struct job *job;
};
TAILQ_HEAD(fake_jobs, fake_job);

struct fake_lane {
    TAILQ_ENTRY(fake_lane) link;
    struct fake_loop *loop;
    struct lane *lane;
    struct fake_jobs queued, running, finished;
    int busy; /* in running */
};

struct fake_loop {
    TAILQ_ENTRY(fake_loop) link;
    struct loop *loop;
    int role;
    struct fake_watches watches, hot;
    uint64_t round;
    TAILQ_HEAD(, fake_lane) lanes;
};

struct fake_map {
    TAILQ_ENTRY(fake_map) link;
    struct fake_thing *shm;
    int role;
};

struct fake_role {
    char name[FAKE_ROLE_NAME];
    bool open;
    bool dying;
    uint64_t calls;
    uint64_t die_at; /* of calls; 0: not */
    size_t handles;
    struct fake_memory *memory;
};

TAILQ_HEAD(fake_loops, fake_loop);
TAILQ_HEAD(fake_maps, fake_map);
TAILQ_HEAD(fake_hooks, fake_hook);
TAILQ_HEAD(fake_faults, fake_fault);
LIST_HEAD(fake_listeners, fake_listener);
LIST_HEAD(fake_clients, fake_client);
LIST_HEAD(fake_hosts, fake_host);

struct fake_inner {
    struct fake_world shown; /* first: a struct world * is one of these */
    struct fake_settings settings;
    int64_t mono;
    int64_t wall_offset; /* microseconds between mono and wall */

    struct {
        struct fake_random bytes, schedule, network, disk;
    } random;

    struct fake_role roles[FAKE_ROLES];
    int running; /* whose code runs; 0: the driver's */

    struct fake_handle *handles;
    size_t handle_room, first_free;

    struct fake_loops loops;
    struct fake_maps maps;
    struct fake_listeners listeners;
    struct fake_clients clients;
    struct fake_hosts hosts;
    uint64_t calls; /* that roles made to them */
    struct fake_hooks hooks;
    struct fake_faults faults;

    struct fake_event **heap, **ready; /* set for later, and due */
    size_t heap_count, heap_room, ready_count, ready_room;
    uint64_t orders;
    uint64_t steps_now; /* since time moved */
    bool stop;

    struct buf log;
    void (*on_line)(void *, int, int, struct str);
    void *on_line_arg;
    void (*on_death)(struct fake_world *, int, void *);
    void *on_death_arg;
};

static inline struct fake_inner *fake_inner_of(struct world *world)
{
    must_be(world, WORLD_MAGIC);
    return (struct fake_inner *)(void *)world;
}

static inline struct fake_inner *fake_inner_in(struct fake_world *fake)
{
    return fake_inner_of(&fake->world);
}

void *fake_take(size_t n);                                          /* zeroed; must */
void fake_note(struct fake_inner *w, uint64_t what, uint64_t more); /* into the hash */

/* Around every call. begin: 0, or the error to return; end gives `result` back. In between the
 * role's memory is not charged. */
int fake_call_begin(struct fake_inner *w, struct fake_call *call);
int64_t fake_call_end(struct fake_inner *w, struct fake_call *call, int64_t result);

/* Handles. The new one holds a reference of its own. -EMFILE. */
int fake_handle_make(struct fake_inner *w, int role, struct fake_thing *thing);
struct fake_thing *fake_handle_thing(struct fake_inner *w, int handle);
struct fake_thing *fake_handle_of(struct fake_inner *w, int handle, enum fake_kind kind);
void fake_handle_close(struct fake_inner *w, int handle);

void fake_thing_init(struct fake_thing *thing, enum fake_kind kind); /* with one reference */
void fake_thing_drop(struct fake_inner *w, struct fake_thing *thing);
unsigned fake_thing_ready(const struct fake_thing *thing);
/* Something changed: who watches it looks again. */
void fake_thing_stir(struct fake_inner *w, struct fake_thing *thing);
/* What the kinds do at their end, and how they look. */
void fake_stream_end(struct fake_inner *w, struct fake_thing *thing);
void fake_listener_end(struct fake_inner *w, struct fake_thing *thing);
void fake_packets_end(struct fake_inner *w, struct fake_thing *thing);
void fake_shm_end(struct fake_inner *w, struct fake_thing *thing);
void fake_open_file_end(struct fake_inner *w, struct fake_thing *thing);
unsigned fake_stream_ready(const struct fake_thing *thing);
unsigned fake_listener_ready(const struct fake_thing *thing);
unsigned fake_packets_ready(const struct fake_thing *thing);

void fake_clients_end(struct fake_inner *w);
void fake_listeners_end(struct fake_inner *w);
void fake_maps_end(struct fake_inner *w, int role);
void fake_loops_end(struct fake_inner *w, int role);

/* Rows of the table of calls. */
ssize_t fake_op_recv(struct world *world, int handle, void *to, size_t n);
ssize_t fake_op_send(struct world *world, int handle, const struct iovec *parts, int count);
int fake_op_accept(struct world *world, int handle, struct peer_address *peer_r);
int fake_op_connect(struct world *world, const struct connect_to *to);
int fake_op_connected(struct world *world, int handle, struct peer_address *ends_r);
int fake_op_stream_pair(struct world *world, int pair_r[2]);
int fake_op_finish(struct world *world, int handle);
ssize_t fake_op_packet_recv(struct world *world, int handle, void *to, size_t cap, int *passed_r);
ssize_t fake_op_packet_send(struct world *world, int handle, struct str packet, int pass);
int fake_op_shm_create(struct world *world, size_t size);
void *fake_op_shm_map(struct world *world, int handle, size_t size);
void fake_op_shm_unmap(struct world *world, void *at, size_t size);
int fake_op_folder_open(struct world *world, int folder, struct str name, bool create);
int fake_op_file_open(struct world *world, int folder, struct str name, unsigned how);
int64_t fake_op_file_size(struct world *world, int file);
ssize_t fake_op_file_read(struct world *world, int file, void *to, size_t n, uint64_t at);
ssize_t fake_op_file_read_nowait(struct world *world, int file, void *to, size_t n, uint64_t at);
ssize_t fake_op_file_write(struct world *world, int file, const struct iovec *parts, int count,
                           uint64_t at);
int fake_op_file_sync(struct world *world, int file);
int fake_op_folder_sync(struct world *world, int folder);
int fake_op_file_truncate(struct world *world, int file, uint64_t size);
int fake_op_file_zero(struct world *world, int file, uint64_t at, uint64_t n);
int fake_op_file_rename(struct world *world, int folder, struct str from, struct str to);
int fake_op_file_remove(struct world *world, int folder, struct str name);
int fake_op_folder_list(struct world *world, int folder, void (*each)(void *, struct str, uint64_t),
                        void *arg);
int fake_op_file_lock(struct world *world, int file);
int64_t fake_op_folder_free(struct world *world, int folder);
int fake_op_loop_begin(struct world *world, struct loop *loop);
void fake_op_loop_end(struct world *world, struct loop *loop);
int fake_op_watch_begin(struct world *world, struct loop *loop, struct watch *watch);
void fake_op_watch_want(struct world *world, struct loop *loop, struct watch *watch);
void fake_op_watch_end(struct world *world, struct loop *loop, struct watch *watch);
void fake_op_wait(struct world *world, struct loop *loop, int64_t deadline);
int fake_op_lane_begin(struct world *world, struct lane *lane);
void fake_op_lane_end(struct world *world, struct lane *lane);
void fake_op_lane_submit(struct world *world, struct lane *lane, struct job *job);

#endif
