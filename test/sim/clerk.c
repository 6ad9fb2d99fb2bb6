/*
 * A state is reached by one of a few commands, tried one after the other, because after a lost
 * answer the clerk does not know which state he starts from. "No such" and "exists already" at the
 * last of them mean that nothing was left to do.
 */
#include "clerk.h"

#include "base/must.h"
#include "command.h"
#include "sim.h"

enum {
    NO_SUCH = 67,
    EXISTS = 73,
};

static uint64_t below(struct clerk *clerk, uint64_t n)
{
    return fake_random_below(&clerk->random, n);
}

/* --- History -----------------------------------------------------------------------------------
 */

static void note(struct clerk *clerk, int change, uint32_t states)
{
    struct clerk_history *history = &clerk->histories[change];
    if (history->count == history->room) {
        history->room = history->room ? 2 * history->room : 8;
        history->entries = realloc(history->entries, history->room * sizeof(*history->entries));
        must(history->entries);
    }
    history->entries[history->count++] =
        (struct clerk_entry){clerk->sim->fake->steps, states, sim_now(clerk->sim)};
}

uint32_t clerk_states(const struct clerk *clerk, int change, uint64_t since)
{
    const struct clerk_history *history = &clerk->histories[change];
    uint32_t states = 0;
    for (size_t i = history->count; i > 0; i--) {
        states |= history->entries[i - 1].states;
        if (history->entries[i - 1].step < since)
            break;
    }
    return states;
}

uint32_t clerk_states_at(const struct clerk *clerk, int change, int64_t since)
{
    const struct clerk_history *history = &clerk->histories[change];
    uint32_t states = 0;
    for (size_t i = history->count; i > 0; i--) {
        states |= history->entries[i - 1].states;
        if (history->entries[i - 1].at < since)
            break;
    }
    return states;
}

static uint32_t states_now(const struct clerk *clerk, int change)
{
    const struct clerk_history *history = &clerk->histories[change];
    return history->entries[history->count - 1].states;
}

/* --- Commands ----------------------------------------------------------------------------------
 */

/* Nothing is the matter but that the command is for another state. */
static bool was_elsewhere(int code)
{
    return code == NO_SUCH || code == EXISTS;
}

/* On a fiber of core, which may be killed in the middle of it. */
static void change_make(struct core *core, void *arg)
{
    struct clerk *clerk = arg;
    const struct people_state *state = &people_changes[clerk->change].states[clerk->state];
    int code = NO_SUCH;
    const char *undo = people_changes[clerk->change].undo;
    if (clerk->again && undo)
        (void)command_run(core, undo, str_null(), NULL);
    for (int i = 0; i < PEOPLE_COMMANDS && state->commands[i] && was_elsewhere(code); i++)
        code = command_run(core, state->commands[i], str_null(), NULL);
    clerk->exit_code = code;
}

/* --- One change after the other ----------------------------------------------------------------
 */

static void later(struct clerk *clerk, int64_t ns)
{
    fake_event_set(clerk->sim->fake, &clerk->next, sim_now(clerk->sim) + ns);
}

static void change_begin(struct clerk *clerk, int change, int state)
{
    clerk->change = change;
    clerk->state = state;
    sim_say(clerk->sim, "clerk: %.*s becomes %d", STR_FMT(people_changes[change].path), state);
    note(clerk, change, states_now(clerk, change) | 1u << state);
    if (people_changes[change].states[state].removes)
        oracle_account_leaves(&clerk->sim->oracle, PEOPLE_LEAVER);
}

static void change_done(struct clerk *clerk)
{
    note(clerk, clerk->change, 1u << clerk->state);
    if (people_changes[clerk->change].states[clerk->state].removes)
        oracle_account_left(&clerk->sim->oracle, PEOPLE_LEAVER);
    sim_say(clerk->sim, "clerk: %.*s is %d", STR_FMT(people_changes[clerk->change].path),
            clerk->state);
    clerk->change = -1;
}

/* Whether the errand came back and did it; else it is done again. */
static void errand_look(struct clerk *clerk)
{
    uint64_t core_deaths = clerk->sim->house.roles[HOUSE_CORE].deaths;
    if (!clerk->errand.done && core_deaths == clerk->core_deaths)
        return;
    clerk->asked = false;
    int code = clerk->errand.done ? clerk->exit_code : -1;
    if (code == 0 || was_elsewhere(code))
        change_done(clerk);
    else
        note(clerk, clerk->change, UINT32_MAX);
    clerk->again = clerk->change >= 0;
}

static void ask(struct clerk *clerk)
{
    struct house *house = &clerk->sim->house;
    if (!people_changes[clerk->change].states[clerk->state].commands[0]) {
        house_configure(house, (size_t)clerk->state);
        change_done(clerk);
        return;
    }
    clerk->core_deaths = house->roles[HOUSE_CORE].deaths;
    clerk->errand = (struct house_errand){.run = change_make, .arg = clerk};
    clerk->asked = house_errand(house, &clerk->errand);
}

/* The next one that is not in its first state; false: all are. */
static bool change_back(struct clerk *clerk)
{
    for (int change = 0; change < PEOPLE_CHANGES; change++) {
        if (states_now(clerk, change) == 1)
            continue;
        change_begin(clerk, change, 0);
        return true;
    }
    return false;
}

static void choose(struct clerk *clerk)
{
    if (clerk->settles) {
        clerk->idle = !change_back(clerk);
        if (clerk->idle)
            sim_look_done(clerk->sim);
    } else if (clerk->changes_left > 0 && !clerk->sim->calm) {
        int change = (int)below(clerk, PEOPLE_CHANGES);
        clerk->changes_left--;
        change_begin(clerk, change, (int)below(clerk, people_changes[change].count));
    }
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct clerk *clerk = event->arg;
    if (clerk->asked)
        errand_look(clerk);
    else if (clerk->change >= 0)
        ask(clerk);
    else
        choose(clerk);
    if (clerk->asked)
        later(clerk, NS_PER_MS / 2);
    else if (clerk->change >= 0 || (clerk->settles && !clerk->idle))
        later(clerk, (int64_t)below(clerk, 5 * NS_PER_MS));
    else if (clerk->changes_left > 0 && !clerk->sim->calm)
        later(clerk, (int64_t)below(clerk, 30 * NS_PER_MS));
}

void clerk_settle(struct clerk *clerk)
{
    clerk->settles = true;
    clerk->idle = false;
    later(clerk, 0);
}

void clerk_open(struct clerk *clerk, struct sim *sim, uint32_t changes)
{
    *clerk = (struct clerk){.sim = sim, .changes_left = changes, .change = -1, .idle = true};
    fake_world_random(sim->fake, "clerk", &clerk->random);
    clerk->next = (struct fake_event){.run = wake, .arg = clerk};
    for (int change = 0; change < PEOPLE_CHANGES; change++)
        note(clerk, change, 1);
    if (changes)
        later(clerk, (int64_t)below(clerk, 20 * NS_PER_MS));
}

void clerk_close(struct clerk *clerk)
{
    for (int change = 0; change < PEOPLE_CHANGES; change++)
        free(clerk->histories[change].entries);
}
