/*
 * Troubles come one after the other, at times and of kinds that the seed chooses, for as long as
 * the plan says. What they leave behind (a full disk, a fault that did not fire) is mended when the
 * weather calms down.
 */
#include "sim.h"

#include <errno.h>

enum {
    STREAM_NAME = 24,
    STRIKE_CALLS = 20,
};

enum trouble {
    KILL_EDGE,
    KILL_CORE,
    KILL_COURIER,
    KILL_RESOLVER,
    CUT_POWER,
    FAIL_SYNC,
    FAIL_WRITE,
    FILL_DISK,
    CHANGE_NETWORK,
    TROUBLES
};

static uint64_t below(struct weather *weather, uint64_t n)
{
    return fake_random_below(&weather->random, n);
}

/* Mostly in the middle of a step, at one of the next calls. */
static uint64_t when(struct weather *weather)
{
    return below(weather, 4) == 0 ? 0 : 1 + below(weather, 200);
}

static void fault_clear(struct weather *weather)
{
    if (weather->fault_is_set)
        fake_fault_remove(weather->sim->fake, &weather->fault);
    weather->fault_is_set = false;
}

static void fault_set(struct weather *weather, enum fake_call_kind kind, int error, bool lie)
{
    fault_clear(weather);
    int role = weather->sim->house.roles[HOUSE_CORE].role;
    if (role == 0)
        return;
    /* Drawn one after the other: in an initialiser each compiler has an order of its own. */
    uint64_t nth = 1 + below(weather, 10), times = 1 + below(weather, 3);
    weather->fault = (struct fake_fault){
        .kind = kind, .role = role, .nth = nth, .times = times, .error = error, .lie = lie};
    fake_fault_add(weather->sim->fake, &weather->fault);
    weather->fault_is_set = true;
}

static void disk_mended(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct weather *weather = event->arg;
    fake_disk_set_capacity(weather->sim->disk, 0);
}

static void disk_fill(struct weather *weather)
{
    struct sim *sim = weather->sim;
    fake_disk_set_capacity(sim->disk, fake_disk_used(sim->disk) + 1 + below(weather, 40000));
    fake_event_set(sim->fake, &weather->disk_mended,
                   sim_now(sim) + (int64_t)below(weather, 5 * NS_PER_SECOND));
}

/* Of single octets, small pieces, or anything; slow or fast; loose connections. */
static void network_change(struct weather *weather)
{
    static const uint32_t splits[] = {0, 100000, FAKE_ALWAYS / 2, FAKE_ALWAYS};
    struct fake_settings *settings = fake_world_settings(weather->sim->fake);
    bool tiny = weather->sim->plan.tiny;
    settings->pipe_capacity = tiny ? 1 + below(weather, 3) : below(weather, 2) ? 3000 : 0;
    settings->split = splits[below(weather, tiny ? 4 : 3)];
    settings->delay_most = (int64_t)below(weather, 3) * NS_PER_MS;
    settings->reset = weather->sim->plan.drops && !tiny && below(weather, 3) == 0 ? 2000 : 0;
    settings->vanish = weather->sim->plan.drops && !tiny && below(weather, 3) == 0 ? 1000 : 0;
    settings->job_most = (int64_t)below(weather, 4) * NS_PER_MS;
    settings->cold = below(weather, 2) ? FAKE_ALWAYS / 4 : 0;
}

static bool may_happen(const struct sim_plan *plan, enum trouble trouble)
{
    switch (trouble) {
    case KILL_EDGE:
        return plan->kills && !plan->edges_live;
    case KILL_CORE:
    case KILL_COURIER:
    case KILL_RESOLVER:
        return plan->kills;
    case CUT_POWER:
        return plan->power;
    case FAIL_SYNC:
    case FAIL_WRITE:
    case FILL_DISK:
        return plan->disk;
    case CHANGE_NETWORK:
    case TROUBLES:
        break;
    }
    return true;
}

static void happen(struct weather *weather, enum trouble trouble)
{
    static const char *const names[] = {
        "an edge is killed",      "core is killed",   "a courier is killed",
        "the resolver is killed", "power cut",        "a sync fails",
        "a write fails",          "the disk is full", "the network changes"};
    struct house *house = &weather->sim->house;
    enum house_slot edge;
    sim_say(weather->sim, "weather: %s", names[trouble]);
    switch (trouble) {
    case KILL_EDGE:
        edge = HOUSE_MX_1 + (enum house_slot)below(weather, HOUSE_EDGES_END - HOUSE_MX_1);
        house_kill(house, edge, when(weather));
        break;
    case KILL_CORE:
        house_kill(house, HOUSE_CORE, when(weather));
        break;
    case KILL_COURIER:
        edge = HOUSE_COURIER_1 + (enum house_slot)below(weather, HOUSE_COURIERS);
        house_kill(house, edge, when(weather));
        break;
    case KILL_RESOLVER:
        house_kill(house, HOUSE_RESOLVER, when(weather));
        break;
    case CUT_POWER:
        house_cut_power(house);
        break;
    case FAIL_SYNC:
        fault_set(weather, FAKE_FILE_SYNC, -EIO, below(weather, 2));
        break;
    case FAIL_WRITE:
        fault_set(weather, FAKE_FILE_WRITE, below(weather, 2) ? -EIO : -ENOSPC, false);
        break;
    case FILL_DISK:
        disk_fill(weather);
        break;
    case CHANGE_NETWORK:
    case TROUBLES:
        network_change(weather);
        break;
    }
}

/* Each draws from a stream of its own: when one is spared, the others stay what they are. */
static void draw_anew(struct weather *weather)
{
    char name[STREAM_NAME];
    snprintf(name, sizeof(name), "trouble %u", weather->troubles);
    fake_world_random(weather->sim->fake, name, &weather->random);
}

static void trouble_comes(struct fake_world *fake, struct fake_event *event)
{
    struct weather *weather = event->arg;
    const struct sim_plan *plan = &weather->sim->plan;
    enum trouble trouble;
    draw_anew(weather);
    do
        trouble = (enum trouble)below(weather, TROUBLES);
    while (!may_happen(plan, trouble));
    /* Most of it while much is under way, some when hosts come back minutes later. */
    int64_t pause =
        (int64_t)below(weather, below(weather, 6) == 0 ? 100 * NS_PER_SECOND : 60 * NS_PER_MS);
    if (!(plan->spared & 1u << weather->troubles))
        happen(weather, trouble);
    if (++weather->troubles < plan->troubles)
        fake_event_set(fake, event, sim_now(weather->sim) + pause);
}

static void strike(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct weather *weather = event->arg;
    sim_say(weather->sim, "weather: core is killed behind a client that went");
    house_kill(&weather->sim->house, HOUSE_CORE, 0);
}

static void strike_behind(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct weather *weather = event->arg;
    sim_say(weather->sim, "weather: core is killed behind a message that was taken elsewhere");
    house_kill(&weather->sim->house, HOUSE_CORE, when(weather) % STRIKE_CALLS);
}

/* Just when a courier has to say so, and core to make it durable. */
void weather_at_taken(struct weather *weather)
{
    struct sim *sim = weather->sim;
    if (sim->calm || !sim->plan.kills || below(weather, 8))
        return;
    fake_event_set(sim->fake, &weather->strike_behind,
                   sim_now(sim) + (int64_t)below(weather, 4 * NS_PER_MS));
}

/* Just when the edge has to say of a client that it went: nobody hears it, or forgets it. */
void weather_at_drop(struct weather *weather)
{
    struct sim *sim = weather->sim;
    if (sim->calm || !sim->plan.kills || below(weather, sim->plan.edges_live ? 2 : 4))
        return;
    fake_event_set(sim->fake, &weather->strike,
                   sim_now(sim) + (int64_t)below(weather, 5 * NS_PER_MS));
}

void weather_open(struct weather *weather, struct sim *sim)
{
    *weather = (struct weather){.sim = sim};
    fake_world_random(sim->fake, "weather", &weather->random);
    weather->next = (struct fake_event){.run = trouble_comes, .arg = weather};
    weather->strike = (struct fake_event){.run = strike, .arg = weather};
    weather->strike_behind = (struct fake_event){.run = strike_behind, .arg = weather};
    weather->disk_mended = (struct fake_event){.run = disk_mended, .arg = weather};
    network_change(weather);
    if (sim->plan.troubles)
        fake_event_set(sim->fake, &weather->next,
                       sim_now(sim) + (int64_t)below(weather, 20 * NS_PER_MS));
}

void weather_calm(struct weather *weather)
{
    struct sim *sim = weather->sim;
    static const struct fake_settings fair = {0};
    fake_event_clear(sim->fake, &weather->next);
    fake_event_clear(sim->fake, &weather->strike);
    fake_event_clear(sim->fake, &weather->strike_behind);
    fake_event_clear(sim->fake, &weather->disk_mended);
    fake_disk_set_capacity(sim->disk, 0);
    fault_clear(weather);
    for (int slot = 0; slot < HOUSE_SLOTS; slot++)
        if (sim->house.roles[slot].role)
            fake_kill_role_at(sim->fake, sim->house.roles[slot].role, 0);
    *fake_world_settings(sim->fake) = fair;
}
