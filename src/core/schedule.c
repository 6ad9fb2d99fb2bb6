/*
 * Why trees and no heaps: an operator holds, moves and removes any entry at any time, and a million
 * of them must not make that slow. Why entries of a destination in trouble stay in its line: they
 * would otherwise be moved, and their records written, once for each time it is tried in vain.
 */
#include "core/schedule_inside.h"

enum {
    DOUBTFUL_SHARES = 4, /* they have one of so many of the unproven's places */
};

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(scheduled_names, scheduled, by_name, scheduled_name_order,
                     __attribute__((unused)) static)

/* --- States ----------------------------------------------------------------------------------- */

/* Out of its state, into none; a state must be entered next, or it goes. */
static void leave(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    switch (one->state) {
    case SCHEDULED_WAITS:
        times_leave(schedule, one);
        break;
    case SCHEDULED_DUE:
        line_leave(one);
        destination->due--;
        schedule->due--;
        break;
    case SCHEDULED_UNDER_WAY:
        destination->under_way--;
        schedule->under_way--;
        schedule->under_way_to[one->standing]--;
        break;
    case SCHEDULED_HELD:
        schedule->held--;
        break;
    case SCHEDULED_CHANGING:
        break;
    }
}

static void wait_enter(struct schedule *schedule, struct scheduled *one, int64_t next)
{
    one->state = SCHEDULED_WAITS;
    one->key = next;
    times_enter(schedule, one);
}

static void due_enter(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    one->state = SCHEDULED_DUE;
    line_enter(one);
    destination->due++;
    schedule->due++;
}

static void under_way_enter(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    one->state = SCHEDULED_UNDER_WAY;
    destination->under_way++;
    schedule->under_way++;
    one->standing = (uint8_t)(destination_stands(destination) & 3);
    schedule->under_way_to[one->standing]++;
}

/* Q1 or Q4, as its holds say. */
static void rest_enter(struct schedule *schedule, struct scheduled *one, int64_t next)
{
    if (!one->holds) {
        wait_enter(schedule, one, next);
        return;
    }
    one->state = SCHEDULED_HELD;
    schedule->held++;
}

/* --- Entries ---------------------------------------------------------------------------------- */

void schedule_init(struct schedule *schedule, uint32_t window_most)
{
    *schedule = (struct schedule){.magic = SCHEDULE_MAGIC,
                                  .window_most = window_most,
                                  .quiet_first = SCHEDULE_QUIET_FIRST,
                                  .quiet_most = SCHEDULE_QUIET_MOST};
    RB_INIT(&schedule->names);
    RB_INIT(&schedule->waiting);
    RB_INIT(&schedule->destinations);
    RB_INIT(&schedule->quiet);
    for (size_t i = 0; i < DESTINATION_STANDINGS; i++)
        TAILQ_INIT(&schedule->ready[i]);
    TAILQ_INIT(&schedule->fresh);
    TAILQ_INIT(&schedule->idle);
}

void schedule_done(struct schedule *schedule)
{
    must_be(schedule, SCHEDULE_MAGIC);
    struct scheduled *one;
    while ((one = RB_ROOT(&schedule->names)))
        schedule_remove(schedule, one);
    struct destination *destination;
    while ((destination = RB_ROOT(&schedule->destinations)))
        destination_free(schedule, destination);
    schedule->magic = 0;
}

struct scheduled *schedule_find(struct schedule *schedule, uint64_t message, uint32_t number)
{
    struct scheduled like = {.message = message, .number = number};
    return RB_FIND(scheduled_names, &schedule->names, &like);
}

struct scheduled *schedule_add(struct schedule *schedule, const struct schedule_facts *facts)
{
    struct scheduled *one = schedule_find(schedule, facts->message, facts->number);
    if (one)
        return one;
    must(facts->priority >= -9 && facts->priority <= 9);
    struct destination *destination = destination_take(schedule, facts->destination);
    one = destination ? calloc(1, sizeof(*one)) : NULL;
    if (!one) {
        if (destination)
            destination_settle(schedule, destination);
        return NULL;
    }
    *one = (struct scheduled){.message = facts->message,
                              .number = facts->number,
                              .sender = hash_of(facts->sender),
                              .destination = destination,
                              .judge = facts->judge,
                              .priority = facts->priority,
                              .holds = facts->holds,
                              .later = facts->later};
    RB_INSERT(scheduled_names, &schedule->names, one);
    schedule->entries++;
    destination->entries++;
    if (facts->tried && destination_stands(destination) == DESTINATION_UNTRIED) {
        destination_unsettle(schedule, destination);
        destination->troubles = 1;
    }
    rest_enter(schedule, one, facts->next);
    destination_settle(schedule, destination);
    return one;
}

void schedule_remove(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    leave(schedule, one);
    RB_REMOVE(scheduled_names, &schedule->names, one);
    schedule->entries--;
    destination->entries--;
    free(one);
    destination_settle(schedule, destination);
}

bool schedule_clock(struct schedule *schedule, int64_t wall, int64_t mono, size_t most)
{
    must_be(schedule, SCHEDULE_MAGIC);
    struct scheduled *one;
    struct destination *destination;
    schedule->mono = mono;
    while ((one = times_first(schedule)) && one->key <= wall && most-- > 0) {
        leave(schedule, one);
        one->later = false;
        due_enter(schedule, one);
        destination_settle(schedule, one->destination);
    }
    while ((destination = destination_quiet_first(schedule)) && destination->quiet_until <= mono)
        destination_settle(schedule, destination);
    return one && one->key <= wall;
}

static size_t unproven_under_way(const struct schedule *schedule)
{
    return schedule->under_way_to[DESTINATION_DOUBTFUL] +
           schedule->under_way_to[DESTINATION_UNTRIED];
}

static bool may_doubtful(const struct schedule *schedule, size_t places)
{
    size_t share = places > DOUBTFUL_SHARES ? places / DOUBTFUL_SHARES : 1;
    return schedule->under_way_to[DESTINATION_DOUBTFUL] < share &&
           unproven_under_way(schedule) < places;
}

static bool is_half_full(const struct schedule *schedule, size_t places)
{
    return unproven_under_way(schedule) >= (places + 1) / 2;
}

static bool may_untried(const struct schedule *schedule, size_t places)
{
    return unproven_under_way(schedule) < places &&
           (!is_half_full(schedule, places) || schedule->mono >= schedule->pace);
}

/* NULL: none is ready. */
static struct destination *untried_next(const struct schedule *schedule)
{
    struct destination *oldest = TAILQ_FIRST(&schedule->fresh);
    struct destination *newest = TAILQ_LAST(&schedule->fresh, destination_list);
    struct destination *again = TAILQ_FIRST(&schedule->ready[DESTINATION_UNTRIED]);
    struct destination *turns[] = {oldest, newest, again ? again : oldest, newest};
    struct destination *next = turns[schedule->turn % (sizeof(turns) / sizeof(*turns))];
    return next ? next : again;
}

static void untried_went(struct schedule *schedule, size_t places)
{
    schedule->turn++;
    if (is_half_full(schedule, places))
        schedule->pace = schedule->mono + SCHEDULE_FILL / (int64_t)((places + 1) / 2);
}

static struct destination *destination_next(struct schedule *schedule,
                                            struct schedule_places places)
{
    struct destination *doubtful = TAILQ_FIRST(&schedule->ready[DESTINATION_DOUBTFUL]);
    struct destination *untried = untried_next(schedule);
    if (doubtful && may_doubtful(schedule, places.unproven))
        return doubtful;
    if (untried && may_untried(schedule, places.unproven))
        return untried;
    return schedule->under_way_to[DESTINATION_PROVEN] < places.proven
               ? TAILQ_FIRST(&schedule->ready[DESTINATION_PROVEN])
               : NULL;
}

/* To the end of its list. */
static void it_went(struct schedule *schedule, struct destination *destination)
{
    destination_unsettle(schedule, destination);
    destination->went = true;
    destination_settle(schedule, destination);
}

struct scheduled *schedule_take(struct schedule *schedule, struct schedule_places places)
{
    must_be(schedule, SCHEDULE_MAGIC);
    if (schedule->paused)
        return NULL;
    struct destination *destination = destination_next(schedule, places);
    if (!destination)
        return NULL;
    struct scheduled *one = line_first(destination);
    *line_turn(one) = one->key;
    leave(schedule, one);
    under_way_enter(schedule, one);
    if (one->standing == DESTINATION_UNTRIED)
        untried_went(schedule, places.unproven);
    it_went(schedule, destination);
    return one;
}

static bool is_free(const struct scheduled *one)
{
    return one->state != SCHEDULED_UNDER_WAY && one->state != SCHEDULED_CHANGING;
}

bool schedule_claim(struct schedule *schedule, struct scheduled *one)
{
    if (!is_free(one))
        return false;
    leave(schedule, one);
    under_way_enter(schedule, one);
    it_went(schedule, one->destination);
    return true;
}

bool schedule_grasp(struct schedule *schedule, struct scheduled *one)
{
    if (!is_free(one))
        return false;
    leave(schedule, one);
    one->state = SCHEDULED_CHANGING;
    destination_settle(schedule, one->destination);
    return true;
}

void schedule_back(struct schedule *schedule, struct scheduled *one, int64_t next)
{
    must(!is_free(one));
    leave(schedule, one);
    rest_enter(schedule, one, next);
    destination_settle(schedule, one->destination);
}

void schedule_hold(struct schedule *schedule, struct scheduled *one, uint8_t holds, int64_t next)
{
    bool was = one->holds;
    one->holds = holds;
    if (!is_free(one) || was == (holds != 0))
        return;
    leave(schedule, one);
    rest_enter(schedule, one, next);
    destination_settle(schedule, one->destination);
}

bool schedule_reroute(struct schedule *schedule, struct scheduled *one, struct str name)
{
    struct destination *before = one->destination;
    must(one->state == SCHEDULED_CHANGING);
    struct destination *destination = destination_take(schedule, name);
    if (!destination)
        return false;
    before->entries--;
    destination->entries++;
    one->destination = destination;
    destination_settle(schedule, before);
    destination_settle(schedule, destination);
    return true;
}

bool schedule_rouse(struct schedule *schedule, struct destination *destination, int64_t mono,
                    size_t most, struct schedule_after *after, size_t *roused)
{
    struct scheduled *one = times_behind(destination, after), *next;
    for (; one && most-- > 0; one = next) {
        next = times_next(one);
        *after = (struct schedule_after){one->key, one->message, one->number};
        if (one->later)
            continue;
        leave(schedule, one);
        due_enter(schedule, one);
        ++*roused;
    }
    destination_unsettle(schedule, destination);
    if (destination_is_doubtful(destination) && !destination->sleeps)
        destination->quiet_until = mono;
    schedule->mono = mono;
    destination->roused = mono;
    destination_settle(schedule, destination);
    return one != NULL;
}

struct scheduled *schedule_behind(struct schedule *schedule, uint64_t message, uint32_t number)
{
    struct scheduled *found = NULL, *at = RB_ROOT(&schedule->names);
    const struct scheduled like = {.message = message, .number = number};
    while (at) {
        bool behind = scheduled_name_order(&like, at) < 0;
        found = behind ? at : found;
        at = behind ? RB_LEFT(at, by_name) : RB_RIGHT(at, by_name);
    }
    return found;
}

struct scheduled *schedule_next(struct schedule *schedule, struct scheduled *before)
{
    return before ? RB_NEXT(scheduled_names, &schedule->names, before)
                  : RB_MIN(scheduled_names, &schedule->names);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* In us, rounded up, of `at` (mono); 0: it is over. */
static int64_t left_until(int64_t at, int64_t mono)
{
    return at > mono ? (at - mono) / 1000 + 1 : 0;
}

int64_t schedule_until(const struct schedule *schedule, int64_t wall, int64_t mono)
{
    const struct scheduled *first = times_first(schedule);
    const struct destination *calm = destination_quiet_first(schedule);
    bool paced = !schedule->paused && untried_next(schedule);
    int64_t until = INT64_MAX;
    if (first)
        until = first->key > wall ? first->key - wall : 0;
    if (calm)
        until = earlier(until, left_until(calm->quiet_until, mono));
    if (paced && schedule->pace > mono)
        until = earlier(until, left_until(schedule->pace, mono));
    return until;
}
