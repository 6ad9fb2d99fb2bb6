/*
 * The roles that look outside: couriers, and the resolver, whose DNS is zones in memory.
 */
#include "base/must.h"
#include "courier/courier.h"
#include "house_inside.h"
#include "resolver/resolver.h"
#include "sys/fake/dns.h"
#include "sys/fake/memory.h"
#include "waiting.h"

enum {
    QUESTIONS = 1000 /* of the DNS at a time */
};

#define QUESTION_LIMIT (20 * NS_PER_SECOND)

struct courier_room {
    struct house *house;
    struct loop loop;
    struct fiber_pool *fibers;
    struct log log;
    struct courier courier;
    struct fiber_start start;
    bool stopped, ended;
};

struct resolver_room {
    struct loop loop;
    struct log log;
    struct resolver resolver;
};

static uint32_t instance_of(enum house_slot slot)
{
    return (uint32_t)(slot - HOUSE_COURIER_1);
}

/* --- Couriers -------------------------------------------------------------------------------- */

void house_courier_start(struct house *house, enum house_slot slot)
{
    struct house_role *role = &house->roles[slot];
    role->role = fake_role_open(house->fake, "courier");
    house_enter(house, slot);
    struct courier_room *room = calloc(1, sizeof(*room));
    must(room && loop_init(&room->loop, &house->fake->world) == 0);
    room->house = house;
    room->fibers = fiber_pool_open(&room->loop, HOUSE_FIBERS);
    must(room->fibers);
    log_init(&room->log, &house->fake->world, "courier");
    must(!err_is(courier_open(&room->courier, &room->loop, room->fibers, &room->log,
                              instance_of(slot), house->conf)));
    room->courier.tls = tls_client_new();
    must(room->courier.tls && tls_client_authorities(room->courier.tls, house->authorities) == 1);
    house->couriers[slot] = room;
    if (!house_leave(house, slot))
        return;
    house_link_resolver(house, slot);
    house_link_core(house, slot);
}

void house_courier_attach(struct house *house, enum house_slot slot, int handle)
{
    (void)courier_core_attach(&house->couriers[slot]->courier, handle);
}

void house_courier_configure(struct house *house, enum house_slot slot)
{
    courier_configure(&house->couriers[slot]->courier, house->conf);
}

static void stop_run(void *arg)
{
    struct courier_room *room = arg;
    room->stopped = courier_stop(&room->courier);
    room->ended = true;
    fake_stop(room->house->fake);
}

void house_courier_end(struct house *house, enum house_slot slot)
{
    struct courier_room *room = house->couriers[slot];
    house_enter(house, slot);
    room->start = (struct fiber_start){.run = stop_run, .arg = room};
    fiber_run(room->fibers, &room->start);
    fake_role_enter(house->fake, 0);
    if (!house_wait(house, &room->ended) || !room->stopped) {
        house_complain(house, "a courier does not stop", str_null());
        return;
    }
    fake_role_enter(house->fake, house->roles[slot].role);
    courier_close(&room->courier);
    loop_turn(&room->loop);
    fiber_pool_close(room->fibers);
    loop_done(&room->loop);
    free(room);
    fake_role_enter(house->fake, 0);
    house->couriers[slot] = NULL;
    house_nothing_left(house, slot);
}

/* --- The resolver ---------------------------------------------------------------------------- */

void house_link_resolver(struct house *house, enum house_slot slot)
{
    int pair[2];
    struct dns_client *client = house_is_courier(slot) && house->couriers[slot]
                                    ? &house->couriers[slot]->courier.dns
                                    : house_edge_dns(house, slot);
    if (!house->resolver || !client)
        return;
    fake_packet_pair(house->fake, house->roles[HOUSE_RESOLVER].role, house->roles[slot].role, pair);
    house_enter(house, HOUSE_RESOLVER);
    (void)resolver_peer_add(&house->resolver->resolver, pair[0],
                            house_is_courier(slot) ? ROLE_COURIER : ROLE_MX, (uint32_t)slot);
    house_leave(house, HOUSE_RESOLVER);
    house_enter(house, slot);
    (void)dns_client_attach(client, pair[1]);
    house_leave(house, slot);
}

void house_resolver_start(struct house *house)
{
    struct house_role *role = &house->roles[HOUSE_RESOLVER];
    role->role = fake_role_open(house->fake, "resolver");
    house_enter(house, HOUSE_RESOLVER);
    struct resolver_room *room = calloc(1, sizeof(*room));
    must(room && loop_init(&room->loop, &house->fake->world) == 0);
    log_init(&room->log, &house->fake->world, "resolver");
    resolver_open(&room->resolver, &room->loop, &room->log,
                  fake_dns_open(house->zones, &room->loop, QUESTION_LIMIT, QUESTIONS), QUESTIONS);
    house->resolver = room;
    if (!house_leave(house, HOUSE_RESOLVER))
        return;
    for (enum house_slot slot = HOUSE_MX_1; slot < HOUSE_RESOLVER; slot++)
        house_link_resolver(house, slot);
}

void house_resolver_end(struct house *house)
{
    struct resolver_room *room = house->resolver;
    house_enter(house, HOUSE_RESOLVER);
    resolver_close(&room->resolver);
    loop_turn(&room->loop);
    loop_done(&room->loop);
    free(room);
    fake_role_enter(house->fake, 0);
    house->resolver = NULL;
    house_nothing_left(house, HOUSE_RESOLVER);
}

size_t house_jobs(const struct house *house)
{
    size_t jobs = 0;
    for (enum house_slot slot = HOUSE_COURIER_1; slot < HOUSE_RESOLVER; slot++)
        if (house->couriers[slot])
            jobs += house->couriers[slot]->courier.job_count;
    return jobs;
}

size_t house_jobs_named(const struct house *house, uint64_t *messages, size_t most)
{
    size_t count = 0;
    for (enum house_slot slot = HOUSE_COURIER_1; slot < HOUSE_RESOLVER; slot++)
        if (house->couriers[slot])
            count += waiting_jobs(&house->couriers[slot]->courier, messages + count, most - count);
    return count;
}

int64_t house_job_began(const struct house *house, enum house_slot slot, uint64_t message,
                        struct str domain)
{
    const struct courier_room *room = house->couriers[slot];
    return room ? waiting_job_began(&room->courier, message, domain) : 0;
}
