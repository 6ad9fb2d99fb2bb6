/*
 * Packets and shared memory between roles. A packet lies at its receiver once it was sent, as in a
 * kernel: the sender's death does not take it back, the receiver's does.
 */
#include <sys/mman.h>

#include "sys/fake/inner.h"

enum {
    DEFAULT_QUEUE = 64,
    LARGEST_PACKET = 200 * 1024 /* about what Linux takes with its default buffers */
};

struct packet {
    TAILQ_ENTRY(packet) link;
    struct fake_thing *passed;
    size_t n;
    char bytes[];
};

struct fake_packets {
    struct fake_thing thing;
    struct fake_packets *other; /* NULL: closed */
    TAILQ_HEAD(, packet) queue; /* sent to us */
    size_t count, most;
};

struct fake_shm {
    struct fake_thing thing;
    size_t size;
    void *at;
};

static struct fake_packets *packets_make(const struct fake_inner *w)
{
    struct fake_packets *end = fake_take(sizeof(*end));
    end->most = w->settings.packet_queue ? w->settings.packet_queue : DEFAULT_QUEUE;
    fake_thing_init(&end->thing, FAKE_PACKETS);
    TAILQ_INIT(&end->queue);
    return end;
}

void fake_packet_pair(struct fake_world *fake, int a, int b, int pair_r[2])
{
    struct fake_inner *w = fake_inner_in(fake);
    struct fake_packets *first = packets_make(w), *second = packets_make(w);
    first->other = second;
    second->other = first;
    pair_r[0] = fake_handle_make(w, a, &first->thing);
    pair_r[1] = fake_handle_make(w, b, &second->thing);
    fake_thing_drop(w, &first->thing);
    fake_thing_drop(w, &second->thing);
}

static void packet_drop(struct fake_inner *w, struct packet *packet)
{
    if (packet->passed)
        fake_thing_drop(w, packet->passed);
    free(packet);
}

void fake_packets_end(struct fake_inner *w, struct fake_thing *thing)
{
    struct fake_packets *end = (struct fake_packets *)(void *)thing;
    struct packet *packet;
    while ((packet = TAILQ_FIRST(&end->queue))) {
        TAILQ_REMOVE(&end->queue, packet, link);
        packet_drop(w, packet);
    }
    if (end->other) {
        end->other->other = NULL;
        fake_thing_stir(w, &end->other->thing);
    }
    free(end);
}

static bool has_room(const struct fake_packets *end)
{
    return !end->other || end->other->count < end->other->most;
}

unsigned fake_packets_ready(const struct fake_thing *thing)
{
    const struct fake_packets *end = (const struct fake_packets *)(const void *)thing;
    return (end->count > 0 || !end->other ? READY_READ : 0) | (has_room(end) ? READY_WRITE : 0);
}

static ssize_t packet_send(struct fake_inner *w, struct fake_packets *end, struct str bytes,
                           int pass)
{
    must(bytes.n > 0);
    if (!end->other)
        return -EPIPE;
    if (bytes.n > LARGEST_PACKET)
        return -EMSGSIZE;
    if (!has_room(end))
        return -EAGAIN;
    struct packet *packet = fake_take(sizeof(*packet) + bytes.n);
    packet->n = bytes.n;
    memcpy(packet->bytes, bytes.p, bytes.n);
    if (pass >= 0) {
        packet->passed = fake_handle_thing(w, pass);
        packet->passed->refs++;
    }
    TAILQ_INSERT_TAIL(&end->other->queue, packet, link);
    end->other->count++;
    fake_thing_stir(w, &end->other->thing);
    return (ssize_t)bytes.n;
}

ssize_t fake_op_packet_send(struct world *world, int handle, struct str packet, int pass)
{
    struct fake_inner *w = fake_inner_of(world);
    struct iovec part = {.iov_base = NULL, .iov_len = packet.n};
    memcpy(&part.iov_base, &packet.p, sizeof(packet.p));
    struct fake_call call = {
        .kind = FAKE_PACKET_SEND, .handle = handle, .passed = pass, .parts = &part, .count = 1};
    struct fake_packets *end = (void *)fake_handle_of(w, handle, FAKE_PACKETS);
    ssize_t sent = fake_call_begin(w, &call);
    if (sent == 0)
        sent = packet_send(w, end, packet, pass);
    return (ssize_t)fake_call_end(w, &call, sent);
}

static ssize_t packet_recv(struct fake_inner *w, struct fake_packets *end, void *to, size_t cap,
                           int *passed_r)
{
    struct packet *packet = TAILQ_FIRST(&end->queue);
    if (!packet)
        return end->other ? -EAGAIN : 0;
    TAILQ_REMOVE(&end->queue, packet, link);
    end->count--;
    if (end->other)
        fake_thing_stir(w, &end->other->thing);
    ssize_t got = packet->n > cap ? -EMSGSIZE : (ssize_t)packet->n;
    if (got > 0)
        memcpy(to, packet->bytes, packet->n);
    if (got > 0 && packet->passed)
        *passed_r = fake_handle_make(w, w->running, packet->passed);
    /* No handle left: the packet comes without it, as from a kernel. */
    if (*passed_r < 0)
        *passed_r = -1;
    packet_drop(w, packet);
    return got;
}

ssize_t fake_op_packet_recv(struct world *world, int handle, void *to, size_t cap, int *passed_r)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_PACKET_RECV, .handle = handle, .n = cap, .passed = -1};
    struct fake_packets *end = (void *)fake_handle_of(w, handle, FAKE_PACKETS);
    *passed_r = -1;
    ssize_t got = fake_call_begin(w, &call);
    if (got == 0)
        got = packet_recv(w, end, to, cap, passed_r);
    if (got > 0)
        call.got = str_make(to, (size_t)got);
    call.passed = *passed_r;
    return (ssize_t)fake_call_end(w, &call, got);
}

/* ---- Shared memory ---- */

static int shm_create(struct fake_inner *w, size_t size)
{
    if (size == 0)
        return -EINVAL;
    struct fake_shm *shm = fake_take(sizeof(*shm));
    fake_thing_init(&shm->thing, FAKE_SHM);
    shm->size = size;
    /* Not from malloc: of 32 MB few pages are ever touched. */
    shm->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(shm->at != MAP_FAILED);
    int handle = fake_handle_make(w, w->running, &shm->thing);
    fake_thing_drop(w, &shm->thing);
    return handle;
}

void fake_shm_end(struct fake_inner *w, struct fake_thing *thing)
{
    (void)w;
    struct fake_shm *shm = (struct fake_shm *)(void *)thing;
    munmap(shm->at, shm->size);
    free(shm);
}

int fake_op_shm_create(struct world *world, size_t size)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_SHM_CREATE, .n = size};
    int e = fake_call_begin(w, &call);
    return (int)fake_call_end(w, &call, e < 0 ? e : shm_create(w, size));
}

void *fake_op_shm_map(struct world *world, int handle, size_t size)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_SHM_MAP, .handle = handle, .n = size};
    struct fake_shm *shm = (void *)fake_handle_of(w, handle, FAKE_SHM);
    int e = fake_call_begin(w, &call);
    if (e == 0 && (size == 0 || size > shm->size))
        e = -EINVAL;
    if (e == 0) {
        struct fake_map *map = fake_take(sizeof(*map));
        *map = (struct fake_map){.shm = &shm->thing, .role = w->running};
        shm->thing.refs++;
        TAILQ_INSERT_TAIL(&w->maps, map, link);
    }
    fake_call_end(w, &call, e);
    return e < 0 ? NULL : shm->at;
}

static void map_end(struct fake_inner *w, struct fake_map *map)
{
    TAILQ_REMOVE(&w->maps, map, link);
    fake_thing_drop(w, map->shm);
    free(map);
}

static struct fake_map *map_of(struct fake_inner *w, const void *at)
{
    struct fake_map *map;
    TAILQ_FOREACH (map, &w->maps, link)
        if (((struct fake_shm *)(void *)map->shm)->at == at && map->role == w->running)
            return map;
    return NULL;
}

void fake_op_shm_unmap(struct world *world, void *at, size_t size)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_SHM_UNMAP, .n = size};
    struct fake_map *map = map_of(w, at);
    must(map);
    if (fake_call_begin(w, &call) == 0)
        map_end(w, map);
    fake_call_end(w, &call, 0);
}

void fake_maps_end(struct fake_inner *w, int role)
{
    struct fake_map *map = TAILQ_FIRST(&w->maps), *next;
    for (; map; map = next) {
        next = TAILQ_NEXT(map, link);
        if (map->role == role)
            map_end(w, map);
    }
}
