/*
 * A role's structs are taken while the role is charged, so that they go with it: what would point
 * into a killed role is a use after free that the sanitizer sees.
 */
#include "house_inside.h"

#include "base/must.h"
#include "core/peer.h"
#include "edge/pop3/session.h"
#include "edge/smtp/session.h"
#include "index_kept.h"
#include "sys/fake/memory.h"
#include "waiting.h"

enum {
    STARTS_MAX = 1000, /* that fail in one run */
};

#define STEP_MOST (3600 * NS_PER_SECOND) /* for what the driver waits for */

struct early_peer {
    int handle;
    enum bus_role role;
    uint32_t instance;
};

struct core_room {
    struct house *house;
    struct loop loop;
    struct fiber_pool *fibers;
    struct log log;
    struct core core;
    struct resent *resent;
    struct engine *engine;
    int root;
    struct fiber_start start;
    struct early_peer early[HOUSE_SLOTS];
    size_t early_count;
    struct err failed;
    bool serving, ended;
};

struct edge_room {
    struct loop loop;
    struct fiber_pool *fibers;
    struct log log;
    struct edge edge;
    struct fiber_start start;
    struct wait stopped;
    bool ended;
};

static enum bus_role bus_role_of(enum house_slot slot)
{
    static const enum bus_role roles[HOUSE_SLOTS] = {
        [HOUSE_CORE] = ROLE_CORE,         [HOUSE_MX_1] = ROLE_MX,
        [HOUSE_MX_2] = ROLE_MX,           [HOUSE_SUB] = ROLE_SUB,
        [HOUSE_BOX] = ROLE_BOX,           [HOUSE_COURIER_1] = ROLE_COURIER,
        [HOUSE_COURIER_2] = ROLE_COURIER, [HOUSE_RESOLVER] = ROLE_RESOLVER,
    };
    return roles[slot];
}

void house_complain(struct house *house, const char *what, struct str detail)
{
    house->wrong(house->arg, what, detail);
}

/* --- Deaths ---------------------------------------------------------------------------------- */

static void death_note(struct house *house, enum house_slot slot)
{
    if (house->death_count == house->death_room) {
        house->death_room = house->death_room ? 2 * house->death_room : 64;
        house->deaths = realloc(house->deaths, house->death_room * sizeof(house->deaths[0]));
        must(house->deaths);
    }
    house->deaths[house->death_count++] = (struct house_death){slot, house->roles[slot].died_at};
}

bool house_died(const struct house *house, enum house_slot slot, int64_t from, int64_t until)
{
    for (size_t i = 0; i < house->death_count; i++)
        if (house->deaths[i].slot == slot && house->deaths[i].at >= from &&
            house->deaths[i].at <= until)
            return true;
    return false;
}

static void role_is_dead(struct house *house, enum house_slot slot)
{
    struct house_role *role = &house->roles[slot];
    if (slot == HOUSE_CORE) {
        house->core = NULL;
        if (house->index)
            kept_index_abandon(house->index);
        if (house->index && house->index_is_lost) {
            kept_index_free(house->index);
            house->index = NULL;
        }
    } else if (slot == HOUSE_RESOLVER) {
        house->resolver = NULL;
    } else {
        house->edges[slot] = NULL;
        house->couriers[slot] = NULL;
    }
    role->role = 0;
    role->deaths++;
    role->died_at = world_mono(&house->fake->world);
    death_note(house, slot);
    int64_t pause = house->restart_most
                        ? (int64_t)fake_random_below(&house->random, (uint64_t)house->restart_most)
                        : 0;
    fake_event_set(house->fake, &role->restart, world_mono(&house->fake->world) + pause);
}

static void kill_now(struct house *house, enum house_slot slot)
{
    if (house->roles[slot].role == 0)
        return;
    fake_kill_role(house->fake, house->roles[slot].role);
    role_is_dead(house, slot);
}

void house_kill(struct house *house, enum house_slot slot, uint64_t call)
{
    if (call && house->roles[slot].role)
        fake_kill_role_at(house->fake, house->roles[slot].role, call);
    else
        kill_now(house, slot);
}

void house_cut_power(struct house *house)
{
    for (int slot = 0; slot < HOUSE_SLOTS; slot++)
        kill_now(house, slot);
    fake_disk_crash(house->disk, fake_pick_random(&house->random), FAKE_TEAR_ANY);
    house->power_cuts++;
}

void house_role_died(struct house *house, int role)
{
    for (int slot = 0; slot < HOUSE_SLOTS; slot++)
        if (house->roles[slot].role == role)
            role_is_dead(house, slot);
}

bool house_enter(struct house *house, enum house_slot slot)
{
    if (house->roles[slot].role == 0)
        return false;
    fake_role_enter(house->fake, house->roles[slot].role);
    return true;
}

bool house_leave(struct house *house, enum house_slot slot)
{
    fake_role_enter(house->fake, 0);
    if (fake_role_alive(house->fake, house->roles[slot].role))
        return true;
    kill_now(house, slot);
    return false;
}

/* --- Links ----------------------------------------------------------------------------------- */

/* On a fiber of core, or entered. */
static void peer_take(struct core_room *room, const struct early_peer *peer)
{
    struct err e = peer_add(&room->core, peer->handle, peer->role, peer->instance);
    if (err_is(e))
        room->loop.world->ops->close(room->loop.world, peer->handle);
}

/* Its own number among those of its kind, where that is asked for. */
static uint32_t instance_of(enum house_slot slot)
{
    return (uint32_t)(house_is_courier(slot) ? slot - HOUSE_COURIER_1 : slot);
}

static void core_attach(struct house *house, enum house_slot slot, int handle)
{
    house_enter(house, slot);
    if (house_is_courier(slot))
        house_courier_attach(house, slot, handle);
    else
        edge_core_attach(&house->edges[slot]->edge, handle);
    house_leave(house, slot);
}

/* A packet pair between them, as the parent makes it. */
void house_link_core(struct house *house, enum house_slot slot)
{
    int pair[2];
    if (!house->core || (!house->edges[slot] && !house->couriers[slot]))
        return;
    fake_packet_pair(house->fake, house->roles[HOUSE_CORE].role, house->roles[slot].role, pair);
    struct core_room *room = house->core;
    struct early_peer peer = {pair[0], bus_role_of(slot), instance_of(slot)};
    house_enter(house, HOUSE_CORE);
    if (room->serving)
        peer_take(room, &peer);
    else if (room->early_count < HOUSE_SLOTS)
        room->early[room->early_count++] = peer;
    else
        house->fake->world.ops->close(&house->fake->world, peer.handle);
    house_leave(house, HOUSE_CORE);
    core_attach(house, slot, pair[1]);
}

/* --- Core ------------------------------------------------------------------------------------ */

static void found(void *arg, struct str what, bool mended)
{
    (void)mended;
    house_complain(arg, "fsck:", what);
}

/* On an engine that committed nothing yet: only there it compares everything. */
static struct err examine(struct core_room *room)
{
    uint64_t findings;
    struct err e = local_fsck(room->engine, false, found, room->house, &findings);
    if (err_is(e))
        house_complain(room->house, "fsck fails:", str_from(err_row(e.code)->name));
    return e;
}

static struct err store_begin(struct core_room *room)
{
    struct house *house = room->house;
    room->resent = resent_new(room->loop.world);
    must(room->resent);
    return local_open(&room->loop, room->root, house->index, &house->settings, true,
                      resent_replayed, room->resent, &room->engine);
}

static void core_begin(void *arg)
{
    struct core_room *room = arg;
    struct err e = store_begin(room);
    if (!err_is(e) && room->house->examines)
        e = examine(room);
    if (!err_is(e))
        e = core_open(&room->core, &room->loop, room->fibers, &room->log, room->house->conf,
                      room->engine, room->resent);
    room->failed = e;
    fake_stop(room->house->fake);
    if (err_is(e))
        return;
    room->serving = true;
    for (size_t i = 0; i < room->early_count; i++)
        peer_take(room, &room->early[i]);
    room->early_count = 0;
}

static void core_start(struct house *house)
{
    struct house_role *role = &house->roles[HOUSE_CORE];
    if (!house->index)
        house->index = kept_index_open();
    role->role = fake_role_open(house->fake, "core");
    int root = fake_root(house->fake, role->role, house->disk);
    house_enter(house, HOUSE_CORE);
    struct core_room *room = calloc(1, sizeof(*room));
    must(room && loop_init(&room->loop, &house->fake->world) == 0);
    room->house = house;
    room->root = root;
    room->fibers = fiber_pool_open(&room->loop, HOUSE_FIBERS);
    must(room->fibers);
    log_init(&room->log, &house->fake->world, "core");
    room->start = (struct fiber_start){.run = core_begin, .arg = room};
    house->core = room;
    fiber_run(room->fibers, &room->start);
    if (!house_leave(house, HOUSE_CORE))
        return;
    for (enum house_slot slot = HOUSE_MX_1; slot < HOUSE_RESOLVER; slot++)
        house_link_core(house, slot);
}

/* The process would say why and end; the parent would start it again. */
void house_look(struct house *house)
{
    struct core_room *room = house->core;
    if (!room || room->serving || !err_is(room->failed))
        return;
    struct err e = room->failed;
    if (e.code == ERR_STORE_DAMAGED || ++house->failed_starts > STARTS_MAX)
        house_complain(house, "core does not start", str_from(err_row(e.code)->name));
    kill_now(house, HOUSE_CORE);
}

void house_status(struct house *house, struct local_status *status_r)
{
    *status_r = (struct local_status){.read_only = false};
    if (house->core && house->core->serving && house_enter(house, HOUSE_CORE)) {
        local_status(house->core->engine, status_r);
        house_leave(house, HOUSE_CORE);
    }
}

/* --- Edges ----------------------------------------------------------------------------------- */

struct house_listener {
    enum bus_role role;
    enum listen_protocol protocol;
    const char *name; /* clients connect to it */
};

static const struct house_listener listeners[] = {
    {ROLE_MX, LISTEN_SMTP, "smtp"},
    {ROLE_MX, LISTEN_LMTP, "lmtp"},
    {ROLE_SUB, LISTEN_SUBMISSION, "submission"},
    {ROLE_BOX, LISTEN_POP3, "pop3"},
};

static const char *role_name(enum house_slot slot)
{
    static const char *const names[HOUSE_SLOTS] = {
        [HOUSE_CORE] = "core",         [HOUSE_MX_1] = "mx",           [HOUSE_MX_2] = "mx",
        [HOUSE_SUB] = "sub",           [HOUSE_BOX] = "box",           [HOUSE_COURIER_1] = "courier",
        [HOUSE_COURIER_2] = "courier", [HOUSE_RESOLVER] = "resolver",
    };
    return names[slot];
}

static void protocols_open(struct edge *edge, enum house_slot slot)
{
    if (slot == HOUSE_BOX)
        edge->protocols[LISTEN_POP3] = &pop3_protocol;
    else
        must(smtp_open(edge));
}

/* Sockets are opened before the role is entered, as the parent opens them. */
static void edge_start(struct house *house, enum house_slot slot)
{
    enum {
        COUNT = sizeof(listeners) / sizeof(listeners[0])
    };
    struct house_role *role = &house->roles[slot];
    int handles[COUNT];
    role->role = fake_role_open(house->fake, role_name(slot));
    for (size_t i = 0; i < COUNT; i++)
        if (listeners[i].role == bus_role_of(slot))
            handles[i] = fake_listen(house->fake, role->role, listeners[i].name);
    house_enter(house, slot);
    struct edge_room *room = calloc(1, sizeof(*room));
    must(room && loop_init(&room->loop, &house->fake->world) == 0);
    room->fibers = fiber_pool_open(&room->loop, HOUSE_FIBERS);
    must(room->fibers);
    log_init(&room->log, &house->fake->world, role_name(slot));
    must(!err_is(edge_open(&room->edge, &room->loop, room->fibers, &room->log, bus_role_of(slot),
                           (uint32_t)slot, house->conf)));
    protocols_open(&room->edge, slot);
    for (size_t i = 0; i < COUNT; i++)
        must(listeners[i].role != bus_role_of(slot) ||
             !err_is(edge_listen(&room->edge, listeners[i].protocol, handles[i], STR("here"))));
    house->edges[slot] = room;
    if (!house_leave(house, slot))
        return;
    house_link_resolver(house, slot);
    house_link_core(house, slot);
}

struct dns_client *house_edge_dns(struct house *house, enum house_slot slot)
{
    bool has = bus_role_of(slot) == ROLE_MX && house->edges[slot];
    return has ? &house->edges[slot]->edge.dns : NULL;
}

static void slot_start(struct house *house, enum house_slot slot)
{
    if (slot == HOUSE_CORE)
        core_start(house);
    else if (slot == HOUSE_RESOLVER)
        house_resolver_start(house);
    else if (house_is_courier(slot))
        house_courier_start(house, slot);
    else
        edge_start(house, slot);
}

static void start(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct house_role *role = event->arg;
    slot_start(role->house, role->slot);
}

/* --- The driver asks ------------------------------------------------------------------------- */

static void errand_run(void *arg)
{
    struct house_errand *errand = arg;
    errand->run(&errand->room->core, errand->arg);
    errand->done = true;
    fake_stop(errand->room->house->fake);
}

bool house_errand(struct house *house, struct house_errand *errand)
{
    if (!house->core || !house->core->serving)
        return false;
    errand->room = house->core;
    errand->start = (struct fiber_start){.run = errand_run, .arg = errand};
    house_enter(house, HOUSE_CORE);
    fiber_run(house->core->fibers, &errand->start);
    house_leave(house, HOUSE_CORE);
    return true;
}

bool house_wait(struct house *house, const bool *done)
{
    int64_t until = world_mono(&house->fake->world) + STEP_MOST;
    while (!*done) {
        enum fake_end end = fake_run(house->fake, until);
        house_look(house);
        if (end != FAKE_STOPPED)
            break;
    }
    return *done;
}

bool house_do(struct house *house, void (*run)(struct core *core, void *arg), void *arg)
{
    struct house_errand errand = {.run = run, .arg = arg};
    return house_errand(house, &errand) && house_wait(house, &errand.done);
}

void house_configure(struct house *house, size_t which)
{
    house->conf = &house->confs[which];
    if (house->core && house->core->serving && house_enter(house, HOUSE_CORE)) {
        core_configure(&house->core->core, house->conf);
        house_leave(house, HOUSE_CORE);
    }
    for (enum house_slot slot = HOUSE_MX_1; slot < HOUSE_RESOLVER; slot++) {
        if (!house->roles[slot].role || !house_enter(house, slot))
            continue;
        if (house_is_courier(slot))
            house_courier_configure(house, slot);
        else
            edge_configure(&house->edges[slot]->edge, house->conf);
        house_leave(house, slot);
    }
}

uint64_t house_sessions(const struct house *house)
{
    uint64_t sessions = 0;
    for (int slot = HOUSE_MX_1; slot < HOUSE_EDGES_END; slot++)
        if (house->edges[slot])
            sessions += house->edges[slot]->edge.session_count;
    return sessions;
}

size_t house_waiting(const struct house *house)
{
    size_t waiting = house_jobs(house);
    if (house->core && house->core->serving)
        waiting += waiting_entries(&house->core->core);
    return waiting;
}

size_t house_under_way(const struct house *house, uint64_t *messages, size_t most)
{
    size_t count = house_jobs_named(house, messages, most);
    if (house->core && house->core->serving)
        count += waiting_under_way(&house->core->core, messages + count, most - count);
    return count;
}

uint64_t house_hashes(const struct house *house)
{
    return house->core && house->core->serving ? house->core->core.desk.gate.hashes : 0;
}

bool house_is_up(const struct house *house)
{
    for (int slot = 0; slot < HOUSE_SLOTS; slot++)
        if (house->roles[slot].role == 0)
            return false;
    return house->core->serving;
}

/* --- The orderly end ------------------------------------------------------------------------- */

static void core_stop(void *arg)
{
    struct core_room *room = arg;
    core_close(&room->core);
    engine_close(room->engine);
    resent_free(room->resent);
    room->ended = true;
    fake_stop(room->house->fake);
}

void house_nothing_left(struct house *house, enum house_slot slot)
{
    int role = house->roles[slot].role;
    if (fake_role_handles(house->fake, role) != 0)
        house_complain(house, "handles are left at a role's end", str_from(role_name(slot)));
    if (fake_memory_blocks(fake_role_memory(house->fake, role)) != 0)
        house_complain(house, "memory is left at a role's end", str_from(role_name(slot)));
    fake_kill_role(house->fake, role);
    house->roles[slot].role = 0;
}

static void core_end(struct house *house)
{
    struct core_room *room = house->core;
    house_enter(house, HOUSE_CORE);
    room->start = (struct fiber_start){.run = core_stop, .arg = room};
    fiber_run(room->fibers, &room->start);
    fake_role_enter(house->fake, 0);
    if (!house_wait(house, &room->ended)) {
        house_complain(house, "core does not stop", str_null());
        return;
    }
    house_enter(house, HOUSE_CORE);
    loop_turn(&room->loop); /* what ended behind it */
    house->fake->world.ops->close(&house->fake->world, room->root);
    fiber_pool_close(room->fibers);
    loop_done(&room->loop);
    free(room);
    fake_role_enter(house->fake, 0);
    house->core = NULL;
    house_nothing_left(house, HOUSE_CORE);
}

struct edge_stopping {
    struct house *house;
    struct edge_room *room;
};

static void edge_stop_run(void *arg)
{
    struct edge_stopping *stopping = arg;
    edge_stop(&stopping->room->edge);
    stopping->room->ended = true;
    fake_stop(stopping->house->fake);
}

static void edge_end(struct house *house, enum house_slot slot)
{
    struct edge_room *room = house->edges[slot];
    struct edge_stopping stopping = {house, room};
    house_enter(house, slot);
    room->start = (struct fiber_start){.run = edge_stop_run, .arg = &stopping};
    fiber_run(room->fibers, &room->start);
    fake_role_enter(house->fake, 0);
    if (!house_wait(house, &room->ended) || room->edge.session_count > 0) {
        house_complain(house, "an edge does not stop", str_null());
        return;
    }
    house_enter(house, slot);
    if (slot != HOUSE_BOX)
        smtp_close(&room->edge);
    edge_close(&room->edge);
    loop_turn(&room->loop);
    fiber_pool_close(room->fibers);
    loop_done(&room->loop);
    free(room);
    fake_role_enter(house->fake, 0);
    house->edges[slot] = NULL;
    house_nothing_left(house, slot);
}

/* --- Opening and closing --------------------------------------------------------------------- */

static void wait_for_start(struct house *house)
{
    int64_t until = world_mono(&house->fake->world) + STEP_MOST;
    house_look(house);
    while (!house_is_up(house) && fake_run(house->fake, until) == FAKE_STOPPED)
        house_look(house);
    if (!house_is_up(house))
        house_complain(house, "the server does not start", str_null());
}

void house_open(struct house *house, struct fake_world *fake, struct fake_disk *disk)
{
    house->fake = fake;
    house->disk = disk;
    fake_world_random(fake, "house", &house->random);
    house_conf_open(house);
    for (int slot = 0; slot < HOUSE_SLOTS; slot++) {
        struct house_role *role = &house->roles[slot];
        *role = (struct house_role){.house = house, .slot = slot};
        role->restart = (struct fake_event){.run = start, .arg = role};
        if (slot != HOUSE_CORE)
            slot_start(house, (enum house_slot)slot);
    }
    core_start(house);
    wait_for_start(house);
}

void house_reopen_core(struct house *house)
{
    core_end(house);
    if (house->core)
        return;
    house->examines = true;
    core_start(house);
    wait_for_start(house);
    house->examines = false;
}

void house_close(struct house *house)
{
    for (enum house_slot slot = HOUSE_MX_1; slot < HOUSE_RESOLVER; slot++) {
        if (house->edges[slot])
            edge_end(house, slot);
        if (house->couriers[slot])
            house_courier_end(house, slot);
    }
    if (house->resolver)
        house_resolver_end(house);
    if (house->core && house->core->serving)
        core_end(house);
}

void house_free(struct house *house)
{
    if (house->index)
        kept_index_free(house->index);
    arena_done(&house->conf_arena);
    free(house->deaths);
}
