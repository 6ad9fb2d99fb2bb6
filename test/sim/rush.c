/* Why this domain: no route block names it, and its servers take what comes. */
#include "rush.h"

#include "command.h"
#include "sim.h"

static const struct str address = STR_INIT("a1@" RUSH_DOMAIN);

struct order {
    const char *command;
    int code;
};

static void run(struct core *core, void *arg)
{
    struct order *order = arg;
    order->code = command_run(core, order->command, str_null(), NULL);
}

static void command(struct sim *sim, const char *text)
{
    struct order order = {.command = text};
    if (sim->oracle.violated)
        return;
    if (!house_do(&sim->house, run, &order) || order.code != 0)
        oracle_wrong(&sim->oracle, "in calm weather it fails: %s (%d)", text, order.code);
}

void rush_pause(struct sim *sim)
{
    command(sim, "queue pause " RUSH_DOMAIN);
}

void rush_resume(struct sim *sim)
{
    command(sim, "queue resume " RUSH_DOMAIN);
}

void rush_make(struct letter *letter, struct fake_random *random)
{
    for (size_t i = PEOPLE_LOCAL; i < PEOPLE_ADDRESSES; i++)
        if (str_eq(people_addresses[i].path, address))
            letter_goes_to(letter, i);
    letter->priority = (int)fake_random_below(random, 19) - 9;
    letter->by = 0;
}
