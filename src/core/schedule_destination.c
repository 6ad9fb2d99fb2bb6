/*
 * Destinations: what each has room for, and which list it is in. Whoever changes what decides that
 * takes it out before and has it settle behind, so that no list has to be searched.
 */
#include "core/schedule_inside.h"

enum {
    NAME_MAX_OCTETS = 300,
    QUIET_DOUBLINGS = 16,
    JITTER_PARTS = 10, /* a tenth more or less */
    CHANCES = 1000,
};

/* --- Orders --- */

static int quiet_order(const struct destination *a, const struct destination *b)
{
    int order = schedule_compare(a->quiet_until, b->quiet_until);
    return order ? order : destination_name_order(a, b);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(destinations, destination, by_name, destination_name_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(quiet_destinations, destination, by_time, quiet_order,
                     __attribute__((unused)) static)

/* --- Destinations ---------------------------------------------------------------------------- */

bool destination_is_doubtful(const struct destination *destination)
{
    return destination->troubles > 0;
}

enum destination_standing destination_stands(const struct destination *destination)
{
    return destination_is_doubtful(destination) ? DESTINATION_DOUBTFUL
           : destination->answers               ? DESTINATION_PROVEN
                                                : DESTINATION_UNTRIED;
}

static struct destination_list *ready_list(struct schedule *schedule,
                                           const struct destination *destination)
{
    enum destination_standing stands = destination_stands(destination);
    return stands == DESTINATION_UNTRIED && !destination->went ? &schedule->fresh
                                                               : &schedule->ready[stands];
}

void destination_unsettle(struct schedule *schedule, struct destination *destination)
{
    if (destination->place == DESTINATION_READY)
        TAILQ_REMOVE(ready_list(schedule, destination), destination, link);
    if (destination->place == DESTINATION_QUIET)
        RB_REMOVE(quiet_destinations, &schedule->quiet, destination);
    if (destination->place == DESTINATION_IDLE) {
        TAILQ_REMOVE(&schedule->idle, destination, link);
        schedule->idle_count--;
    }
    destination->place = DESTINATION_RESTS;
}

void destination_free(struct schedule *schedule, struct destination *destination)
{
    destination_unsettle(schedule, destination);
    must(destination->entries == 0 && RB_EMPTY(&destination->senders));
    RB_REMOVE(destinations, &schedule->destinations, destination);
    free(destination);
}

static bool may_send(const struct destination *destination)
{
    bool one = destination_is_doubtful(destination) || destination->collected;
    uint32_t window = one ? 1 : destination->window;
    if (destination->collected && !destination->collection)
        return false;
    if (destination->most > 0 && window > destination->most)
        window = destination->most;
    return destination->due > 0 && !destination->paused && destination->under_way < window;
}

void destination_settle(struct schedule *schedule, struct destination *destination)
{
    bool quiet = (destination_is_doubtful(destination) || destination->sleeps) &&
                 destination->quiet_until > schedule->mono;
    bool idle = destination->entries == 0 && !destination->paused;
    enum destination_place wanted = idle                     ? DESTINATION_IDLE
                                    : !may_send(destination) ? DESTINATION_RESTS
                                    : quiet                  ? DESTINATION_QUIET
                                                             : DESTINATION_READY;
    if (destination->place == wanted)
        return;
    destination_unsettle(schedule, destination);
    destination->place = wanted;
    if (wanted == DESTINATION_READY)
        TAILQ_INSERT_TAIL(ready_list(schedule, destination), destination, link);
    if (wanted == DESTINATION_QUIET)
        RB_INSERT(quiet_destinations, &schedule->quiet, destination);
    if (wanted == DESTINATION_IDLE) {
        TAILQ_INSERT_TAIL(&schedule->idle, destination, link);
        schedule->idle_count++;
    }
    if (schedule->idle_count > SCHEDULE_IDLE_KEPT)
        destination_free(schedule, TAILQ_FIRST(&schedule->idle));
}

static int name_compare(struct str name, const struct destination *destination)
{
    if (name.n != destination->name_length)
        return name.n < destination->name_length ? -1 : 1;
    return name.n ? memcmp(name.p, destination->name, name.n) : 0;
}

struct destination *schedule_destination(struct schedule *schedule, struct str name)
{
    struct destination *found = RB_ROOT(&schedule->destinations);
    while (found) {
        int order = name_compare(name, found);
        if (order == 0)
            return found;
        found = order < 0 ? RB_LEFT(found, by_name) : RB_RIGHT(found, by_name);
    }
    return NULL;
}

struct destination *destination_take(struct schedule *schedule, struct str name)
{
    struct destination *destination = schedule_destination(schedule, name);
    if (destination)
        return destination;
    must(name.n <= NAME_MAX_OCTETS);
    destination = calloc(1, sizeof(*destination) + name.n);
    if (!destination)
        return NULL;
    destination->window = SCHEDULE_WINDOW_FIRST < schedule->window_most ? SCHEDULE_WINDOW_FIRST
                                                                        : schedule->window_most;
    destination->name_length = (uint16_t)name.n;
    if (name.n)
        memcpy(destination->name, name.p, name.n);
    RB_INIT(&destination->times);
    RB_INIT(&destination->line);
    RB_INIT(&destination->senders);
    RB_INSERT(destinations, &schedule->destinations, destination);
    return destination;
}

struct destination *schedule_next_destination(struct schedule *schedule, struct destination *before)
{
    return before ? RB_NEXT(destinations, &schedule->destinations, before)
                  : RB_MIN(destinations, &schedule->destinations);
}

struct destination *schedule_destination_behind(struct schedule *schedule, struct str name)
{
    struct destination *found = NULL, *at = RB_ROOT(&schedule->destinations);
    while (at) {
        bool behind = name_compare(name, at) < 0;
        found = behind ? at : found;
        at = behind ? RB_LEFT(at, by_name) : RB_RIGHT(at, by_name);
    }
    return found;
}

struct destination *destination_quiet_first(const struct schedule *schedule)
{
    struct quiet_destinations quiet = schedule->quiet; /* RB_MIN takes no const */
    return RB_MIN(quiet_destinations, &quiet);
}

/* --- How destinations fare -------------------------------------------------------------------- */

void schedule_answered(struct schedule *schedule, struct destination *destination)
{
    destination_unsettle(schedule, destination);
    destination->troubles = 0;
    destination->trouble = 0;
    destination->answers = true;
    destination_settle(schedule, destination);
}

void schedule_succeeded(struct schedule *schedule, struct destination *destination)
{
    destination->sent++;
    if (destination->window < schedule->window_most)
        destination->window++;
    schedule_answered(schedule, destination);
}

void schedule_troubled(struct schedule *schedule, struct destination *destination, uint16_t trouble,
                       int64_t mono, unsigned chance)
{
    uint32_t doublings =
        destination->troubles < QUIET_DOUBLINGS ? destination->troubles : QUIET_DOUBLINGS;
    int64_t quiet = schedule->quiet_first << doublings;
    schedule->mono = mono;
    destination_unsettle(schedule, destination);
    destination->failed++;
    destination->trouble = trouble;
    /* Others that were under way when it began say nothing new. */
    if (destination->troubles > 0 && destination->quiet_until > mono) {
        destination_settle(schedule, destination);
        return;
    }
    if (quiet > schedule->quiet_most)
        quiet = schedule->quiet_most;
    quiet += quiet / JITTER_PARTS * ((int64_t)chance * 2 - CHANCES) / CHANCES;
    destination->troubles++;
    destination->quiet_until = mono + quiet;
    destination->window = destination->window > 1 ? destination->window / 2 : 1;
    destination_settle(schedule, destination);
}

void schedule_collected(struct schedule *schedule, struct destination *destination, bool collected)
{
    destination->collected = collected;
    if (!collected)
        destination->collection = 0;
    destination_settle(schedule, destination);
}

void schedule_collect(struct schedule *schedule, struct destination *destination,
                      uint64_t collection)
{
    must(destination->collected || !collection);
    destination_unsettle(schedule, destination);
    destination->collection = collection;
    if (collection)
        destination->troubles = 0;
    destination_settle(schedule, destination);
}

void schedule_calm(struct schedule *schedule, struct destination *destination)
{
    destination_unsettle(schedule, destination);
    destination->troubles = 0;
    destination->sleeps = false;
    destination_settle(schedule, destination);
}

void schedule_sleep(struct schedule *schedule, struct destination *destination, int64_t until)
{
    destination_unsettle(schedule, destination);
    if (!destination_is_doubtful(destination) || destination->quiet_until < until)
        destination->quiet_until = until;
    destination->sleeps = true;
    destination_settle(schedule, destination);
}

void schedule_limit(struct schedule *schedule, struct destination *destination, uint32_t most)
{
    destination->most = most;
    destination_settle(schedule, destination);
}

bool schedule_pause(struct schedule *schedule, struct str name, bool paused)
{
    if (name.n == 0) {
        schedule->paused = paused;
        return true;
    }
    struct destination *destination = destination_take(schedule, name);
    if (!destination)
        return false;
    destination->paused = paused;
    destination_settle(schedule, destination);
    return true;
}

void schedule_set_retries(struct schedule *schedule, int64_t first, int64_t most)
{
    schedule->quiet_first = first < SCHEDULE_QUIET_FIRST ? first : SCHEDULE_QUIET_FIRST;
    schedule->quiet_most = most < SCHEDULE_QUIET_MOST ? most : SCHEDULE_QUIET_MOST;
}

void schedule_set_window(struct schedule *schedule, uint32_t window_most)
{
    struct destination *destination;
    schedule->window_most = window_most;
    RB_FOREACH (destination, destinations, &schedule->destinations) {
        if (destination->window > window_most)
            destination->window = window_most;
    }
}
