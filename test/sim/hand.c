/*
 * What a command answers is not looked at: what was to be found may have gone meanwhile, and core
 * may die in the middle of it. The law looks at what became of the mail.
 */
#include "hand.h"

#include "base/must.h"
#include "command.h"
#include "sim.h"

static const char *const domains[] = {"good.test",   "grey.test",  "dead.test",
                                      "tarpit.test", "reset.test", "closing.test",
                                      "mixed.test",  "limit.test", "sender.test"};

enum {
    DOMAINS = sizeof(domains) / sizeof(domains[0])
};

/* Removing is rarer than the rest: what is gone is tried no more. */
static const struct operation {
    const char *form;
    enum hand_kind kind;
    bool of_all; /* %s, if there, is no domain that it is about */
} operations[] = {
    {"queue hold --domain %s --why wait", HAND_HOLD, false},
    {"queue release --domain %s", HAND_RELEASE, false},
    {"queue retry --domain %s", HAND_OTHER, false},
    {"queue reroute --domain %s --to mx", HAND_OTHER, false},
    {"queue reroute --domain %s --to configured", HAND_OTHER, false},
    {"queue pause %s", HAND_PAUSE, false},
    {"queue resume %s", HAND_RESUME, false},
    {"queue hold --all --why %s", HAND_HOLD, true},
    {"queue release --all", HAND_RELEASE, true},
    {"queue retry --all", HAND_OTHER, true},
    {"queue remove --domain %s --why " HAND_DROPS, HAND_REMOVE, false},
    {"queue remove --domain %s --why " HAND_RETURNS " --report", HAND_REMOVE, false},
    {"queue remove --reason deferred --why " HAND_DROPS, HAND_REMOVE, true},
    {"queue remove --reason trouble --why " HAND_RETURNS " --report", HAND_REMOVE, true},
    {"queue remove --state under-way --why " HAND_DROPS, HAND_REMOVE, true},
    {"queue remove --state under-way --why " HAND_RETURNS " --report", HAND_REMOVE, true},
};

static const struct operation resumes = {"queue resume %s", HAND_RESUME, false},
                              releases = {"queue release --all", HAND_RELEASE, true},
                              routes_back = {"queue reroute --all --to configured", HAND_OTHER,
                                             true};

static uint64_t below(struct hand *hand, uint64_t n)
{
    return fake_random_below(&hand->random, n);
}

/* On a fiber of core, which may be killed in the middle of it. */
static void run(struct core *core, void *arg)
{
    struct hand *hand = arg;
    hand->exit_code = command_run(core, hand->command, str_null(), NULL);
}

static void ask(struct hand *hand)
{
    struct house *house = &hand->sim->house;
    hand->core_deaths = house->roles[HOUSE_CORE].deaths;
    hand->errand = (struct house_errand){.run = run, .arg = hand};
    hand->deed.begun = sim_now(hand->sim);
    hand->asked = house_errand(house, &hand->errand);
    if (hand->asked)
        sim_say(hand->sim, "operator: %s", hand->command);
}

static void command_set(struct hand *hand, const struct operation *operation, const char *domain)
{
    const char *form = operation->form;
    const char *at = strstr(form, "%s");
    size_t front = at ? (size_t)(at - form) : strlen(form);
    struct buf text = {
        .p = hand->command, .cap = sizeof(hand->command), .max = sizeof(hand->command) - 1};
    buf_put(&text, str_make(form, front));
    if (at) {
        buf_put(&text, str_from(domain));
        buf_put(&text, str_from(at + 2));
    }
    must(!buf_over(&text));
    hand->command[text.n] = '\0';
    hand->deed =
        (struct hand_deed){.kind = operation->kind, .domain = operation->of_all ? NULL : domain};
}

/* --- What was done --- */

static void deed_note(struct hand *hand)
{
    struct hand_deed *deed = &hand->deed;
    uint64_t under_way[HAND_UNDER_WAY];
    deed->ended = sim_now(hand->sim);
    deed->fine = hand->errand.done && hand->exit_code == 0;
    deed->under_way_count = house_under_way(&hand->sim->house, under_way, HAND_UNDER_WAY);
    must(deed->under_way_count < HAND_UNDER_WAY);
    deed->under_way = calloc(deed->under_way_count + 1, sizeof(under_way[0]));
    must(deed->under_way);
    memcpy(deed->under_way, under_way, deed->under_way_count * sizeof(under_way[0]));
    if (hand->deed_count == hand->deed_room) {
        hand->deed_room = hand->deed_room ? 2 * hand->deed_room : 64;
        hand->deeds = realloc(hand->deeds, hand->deed_room * sizeof(hand->deeds[0]));
        must(hand->deeds);
    }
    hand->deeds[hand->deed_count++] = *deed;
}

const struct hand_deed *hand_deed_at(const struct hand *hand, int64_t when)
{
    for (size_t i = 0; i < hand->deed_count; i++)
        if (hand->deeds[i].begun / 1000 <= when / 1000 && when <= hand->deeds[i].ended)
            return &hand->deeds[i];
    return NULL;
}

int64_t hand_deed_behind(const struct hand *hand, const struct hand_deed *deed, enum hand_kind kind,
                         struct str domain)
{
    for (const struct hand_deed *at = deed + 1; at < hand->deeds + hand->deed_count; at++)
        if (at->kind == kind && (!at->domain || str_eq(str_from(at->domain), domain)))
            return at->begun;
    return INT64_MAX;
}

void hand_close(struct hand *hand)
{
    for (size_t i = 0; i < hand->deed_count; i++)
        free(hand->deeds[i].under_way);
    free(hand->deeds);
}

/* --- What is done --- */

/* All domains may go again, then all mail, then what waits. */
static void undo(struct hand *hand)
{
    if (hand->undone < DOMAINS)
        command_set(hand, &resumes, domains[hand->undone]);
    else if (hand->undone == DOMAINS)
        command_set(hand, &releases, "");
    else
        command_set(hand, &routes_back, "");
    ask(hand);
}

static void choose(struct hand *hand)
{
    size_t kind = below(hand, sizeof(operations) / sizeof(operations[0]));
    hand->operations_left--;
    command_set(hand, &operations[kind], domains[below(hand, DOMAINS)]);
    ask(hand);
}

static bool errand_is_over(struct hand *hand)
{
    bool died = hand->sim->house.roles[HOUSE_CORE].deaths != hand->core_deaths;
    if (!hand->errand.done && !died)
        return false;
    hand->asked = false;
    deed_note(hand);
    sim_say(hand->sim, "operator: %d", hand->errand.done ? hand->exit_code : -1);
    hand->undone += hand->undoes && hand->errand.done;
    hand->idle = !hand->settles || hand->undone == DOMAINS + 2;
    if (hand->idle)
        sim_look_done(hand->sim);
    return true;
}

static void later(struct hand *hand, int64_t ns)
{
    fake_event_set(hand->sim->fake, &hand->next, sim_now(hand->sim) + ns);
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct hand *hand = event->arg;
    if (hand->asked && !errand_is_over(hand)) {
        later(hand, NS_PER_MS / 2);
        return;
    }
    hand->undoes = hand->settles || hand->operations_left == 0;
    if (hand->undoes && hand->undone == DOMAINS + 2)
        return;
    bool goes_on = hand->settles || !hand->sim->calm;
    hand->thinks = !hand->thinks && !hand->settles;
    if (hand->thinks && goes_on) {
        int64_t most = below(hand, 4) ? 100 * NS_PER_MS : 20 * NS_PER_SECOND;
        later(hand, (int64_t)below(hand, (uint64_t)most));
        return;
    }
    if (hand->undoes && goes_on)
        undo(hand);
    else if (goes_on)
        choose(hand);
    if (hand->asked || goes_on)
        later(hand, NS_PER_MS / 2);
}

void hand_settle(struct hand *hand)
{
    hand->settles = true;
    hand->undone = 0;
    hand->idle = false;
    later(hand, 0);
}

void hand_open(struct hand *hand, struct sim *sim, uint32_t count)
{
    *hand = (struct hand){.sim = sim, .operations_left = count, .idle = true};
    fake_world_random(sim->fake, "operator", &hand->random);
    hand->next = (struct fake_event){.run = wake, .arg = hand};
    if (count)
        later(hand, (int64_t)below(hand, 20 * NS_PER_MS));
}
