/*
 * Why trees and no heaps: an operator holds, moves and removes any entry at any time, and a million
 * of them must not make that slow. Why entries of a destination in trouble stay in its line: they
 * would otherwise be moved, and their records written, once for each time it is tried in vain.
 */
#include "core/schedule.h"

#include <malloc.h>

#include "base/hash.h"

enum {
    NAME_MAX_OCTETS = 300,
    DOUBTFUL_SHARES = 4, /* they have one of so many of the unproven's places */
    QUIET_DOUBLINGS = 16,
    JITTER_PARTS = 10, /* a tenth more or less */
    CHANCES = 1000,
};

/* Of a destination: somebody with something of one priority in its line. */
struct schedule_sender {
    RB_ENTRY(schedule_sender) link;
    uint32_t sender;
    int8_t priority;
    uint32_t count;
    int64_t turn; /* of the last one in the line */
};

/* --- Orders --- */

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int name_order(const struct scheduled *a, const struct scheduled *b)
{
    if (a->message != b->message)
        return a->message < b->message ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static int time_order(const struct scheduled *a, const struct scheduled *b)
{
    int order = compare(a->key, b->key);
    return order ? order : name_order(a, b);
}

static int line_order(const struct scheduled *a, const struct scheduled *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return time_order(a, b);
}

static int sender_order(const struct schedule_sender *a, const struct schedule_sender *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return a->sender < b->sender ? -1 : a->sender > b->sender;
}

static int destination_order(const struct destination *a, const struct destination *b)
{
    if (a->name_length != b->name_length)
        return a->name_length < b->name_length ? -1 : 1;
    return a->name_length ? memcmp(a->name, b->name, a->name_length) : 0;
}

static int quiet_order(const struct destination *a, const struct destination *b)
{
    int order = compare(a->quiet_until, b->quiet_until);
    return order ? order : destination_order(a, b);
}

static int waiting_order(const struct destination *a, const struct destination *b)
{
    int order = compare(a->next, b->next);
    return order ? order : destination_order(a, b);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(scheduled_names, scheduled, by_name, name_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(scheduled_times, scheduled, by_turn, time_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(scheduled_line, scheduled, by_turn, line_order, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(schedule_senders, schedule_sender, link, sender_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(destinations, destination, by_name, destination_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(quiet_destinations, destination, by_time, quiet_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(waiting_destinations, destination, by_next, waiting_order,
                     __attribute__((unused)) static)

/* --- Destinations ---------------------------------------------------------------------------- */

static bool is_doubtful(const struct destination *destination)
{
    return destination->troubles > 0;
}

static enum destination_standing standing(const struct destination *destination)
{
    return is_doubtful(destination) ? DESTINATION_DOUBTFUL
           : destination->answers   ? DESTINATION_PROVEN
                                    : DESTINATION_UNTRIED;
}

static struct destination_list *ready_list(struct schedule *schedule,
                                           const struct destination *destination)
{
    return &schedule->ready[standing(destination)];
}

/* Out of whatever list it is in. Must run before `answers`, `troubles` or `quiet_until` change. */
static void place_leave(struct schedule *schedule, struct destination *destination)
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

static void destination_free(struct schedule *schedule, struct destination *destination)
{
    place_leave(schedule, destination);
    must(destination->entries == 0 && RB_EMPTY(&destination->senders));
    RB_REMOVE(destinations, &schedule->destinations, destination);
    free(destination);
}

static bool may_send(const struct destination *destination)
{
    bool one = is_doubtful(destination) || destination->collected;
    uint32_t window = one ? 1 : destination->window;
    if (destination->collected && !destination->collection)
        return false;
    if (destination->most > 0 && window > destination->most)
        window = destination->most;
    return destination->due > 0 && !destination->paused && destination->under_way < window;
}

/* Where it belongs now. */
static void place(struct schedule *schedule, struct destination *destination)
{
    bool quiet = (is_doubtful(destination) || destination->sleeps) &&
                 destination->quiet_until > schedule->mono;
    bool idle = destination->entries == 0 && !destination->paused;
    enum destination_place wanted = idle                     ? DESTINATION_IDLE
                                    : !may_send(destination) ? DESTINATION_RESTS
                                    : quiet                  ? DESTINATION_QUIET
                                                             : DESTINATION_READY;
    if (destination->place == wanted)
        return;
    place_leave(schedule, destination);
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

static struct destination *destination_take(struct schedule *schedule, struct str name)
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

/* --- Lines ------------------------------------------------------------------------------------ */

static int64_t *turn_of(const struct scheduled *one)
{
    return &one->destination->turns[one->priority + SCHEDULE_PRIORITIES / 2];
}

static struct schedule_sender *sender_find(const struct scheduled *one)
{
    struct schedule_sender like = {.sender = one->sender, .priority = one->priority};
    return RB_FIND(schedule_senders, &one->destination->senders, &like);
}

size_t schedule_senders_octets(struct destination *destination)
{
    struct schedule_sender *sender;
    size_t octets = 0;
    RB_FOREACH (sender, schedule_senders, &destination->senders)
        octets += malloc_usable_size(sender);
    return octets;
}

static struct schedule_sender *sender_take(const struct scheduled *one)
{
    struct schedule_sender *sender = sender_find(one);
    if (sender)
        return sender;
    sender = calloc(1, sizeof(*sender));
    if (!sender)
        return NULL;
    sender->sender = one->sender;
    sender->priority = one->priority;
    RB_INSERT(schedule_senders, &one->destination->senders, sender);
    return sender;
}

/* Where there is no memory for whose turn it is, it is its turn at once, which harms nobody much.
 */
static void turn_give(struct scheduled *one)
{
    int64_t served = *turn_of(one);
    struct schedule_sender *sender = sender_take(one);
    one->key = served + 1;
    if (!sender)
        return;
    if (sender->turn < served)
        sender->turn = served;
    one->key = ++sender->turn;
    sender->count++;
}

static void turn_end(const struct scheduled *one)
{
    struct schedule_sender *sender = sender_find(one);
    if (!sender || --sender->count > 0)
        return;
    RB_REMOVE(schedule_senders, &one->destination->senders, sender);
    free(sender);
}

/* --- Times ------------------------------------------------------------------------------------ */

static void times_enter(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    bool first = RB_EMPTY(&destination->times);
    RB_INSERT(scheduled_times, &destination->times, one);
    if (!first && one->key >= destination->next)
        return;
    if (!first)
        RB_REMOVE(waiting_destinations, &schedule->waiting, destination);
    destination->next = one->key;
    RB_INSERT(waiting_destinations, &schedule->waiting, destination);
}

static void times_leave(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    RB_REMOVE(scheduled_times, &destination->times, one);
    const struct scheduled *first = RB_MIN(scheduled_times, &destination->times);
    if (first && first->key == destination->next)
        return;
    RB_REMOVE(waiting_destinations, &schedule->waiting, destination);
    if (!first)
        return;
    destination->next = first->key;
    RB_INSERT(waiting_destinations, &schedule->waiting, destination);
}

static struct scheduled *times_first(struct schedule *schedule)
{
    struct destination *destination = RB_MIN(waiting_destinations, &schedule->waiting);
    return destination ? RB_MIN(scheduled_times, &destination->times) : NULL;
}

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
        RB_REMOVE(scheduled_line, &destination->line, one);
        turn_end(one);
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
    turn_give(one);
    RB_INSERT(scheduled_line, &destination->line, one);
    destination->due++;
    schedule->due++;
}

static void under_way_enter(struct schedule *schedule, struct scheduled *one)
{
    struct destination *destination = one->destination;
    one->state = SCHEDULED_UNDER_WAY;
    destination->under_way++;
    schedule->under_way++;
    one->standing = (uint8_t)(standing(destination) & 3);
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
            place(schedule, destination);
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
    if (facts->tried && standing(destination) == DESTINATION_UNTRIED) {
        place_leave(schedule, destination);
        destination->troubles = 1;
    }
    rest_enter(schedule, one, facts->next);
    place(schedule, destination);
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
    place(schedule, destination);
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
        place(schedule, one->destination);
    }
    while ((destination = RB_MIN(quiet_destinations, &schedule->quiet)) &&
           destination->quiet_until <= mono)
        place(schedule, destination);
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

/* One that had a turn is back in line and not new. */
static struct destination *untried_next(const struct schedule *schedule)
{
    const struct destination_list *list = &schedule->ready[DESTINATION_UNTRIED];
    struct destination *newest = TAILQ_LAST(list, destination_list);
    return schedule->newest && newest && newest->under_way == 0 ? newest : TAILQ_FIRST(list);
}

static void untried_went(struct schedule *schedule, size_t places)
{
    schedule->newest = !schedule->newest;
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

struct scheduled *schedule_take(struct schedule *schedule, struct schedule_places places)
{
    must_be(schedule, SCHEDULE_MAGIC);
    if (schedule->paused)
        return NULL;
    struct destination *destination = destination_next(schedule, places);
    if (!destination)
        return NULL;
    struct scheduled *one = RB_MIN(scheduled_line, &destination->line);
    *turn_of(one) = one->key;
    leave(schedule, one);
    under_way_enter(schedule, one);
    if (one->standing == DESTINATION_UNTRIED)
        untried_went(schedule, places.unproven);
    place_leave(schedule, destination); /* to the end of its list */
    place(schedule, destination);
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
    place(schedule, one->destination);
    return true;
}

bool schedule_grasp(struct schedule *schedule, struct scheduled *one)
{
    if (!is_free(one))
        return false;
    leave(schedule, one);
    one->state = SCHEDULED_CHANGING;
    place(schedule, one->destination);
    return true;
}

void schedule_back(struct schedule *schedule, struct scheduled *one, int64_t next)
{
    must(!is_free(one));
    leave(schedule, one);
    rest_enter(schedule, one, next);
    place(schedule, one->destination);
}

void schedule_hold(struct schedule *schedule, struct scheduled *one, uint8_t holds, int64_t next)
{
    bool was = one->holds;
    one->holds = holds;
    if (!is_free(one) || was == (holds != 0))
        return;
    leave(schedule, one);
    rest_enter(schedule, one, next);
    place(schedule, one->destination);
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
    place(schedule, before);
    place(schedule, destination);
    return true;
}

/* --- How destinations fare -------------------------------------------------------------------- */

void schedule_answered(struct schedule *schedule, struct destination *destination)
{
    place_leave(schedule, destination);
    destination->troubles = 0;
    destination->trouble = 0;
    destination->answers = true;
    place(schedule, destination);
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
    place_leave(schedule, destination);
    destination->failed++;
    destination->trouble = trouble;
    /* Others that were under way when it began say nothing new. */
    if (destination->troubles > 0 && destination->quiet_until > mono) {
        place(schedule, destination);
        return;
    }
    if (quiet > schedule->quiet_most)
        quiet = schedule->quiet_most;
    quiet += quiet / JITTER_PARTS * ((int64_t)chance * 2 - CHANCES) / CHANCES;
    destination->troubles++;
    destination->quiet_until = mono + quiet;
    destination->window = destination->window > 1 ? destination->window / 2 : 1;
    place(schedule, destination);
}

/* The first that waits behind `after`. */
static struct scheduled *times_behind(struct destination *destination,
                                      const struct schedule_after *after)
{
    const struct scheduled like = {
        .key = after->key, .message = after->message, .number = after->number};
    struct scheduled *found = NULL, *at = RB_ROOT(&destination->times);
    while (at) {
        bool behind = time_order(&like, at) < 0;
        found = behind ? at : found;
        at = behind ? RB_LEFT(at, by_turn) : RB_RIGHT(at, by_turn);
    }
    return found;
}

bool schedule_rouse(struct schedule *schedule, struct destination *destination, int64_t mono,
                    size_t most, struct schedule_after *after, size_t *roused)
{
    struct scheduled *one = times_behind(destination, after), *next;
    for (; one && most-- > 0; one = next) {
        next = RB_NEXT(scheduled_times, &destination->times, one);
        *after = (struct schedule_after){one->key, one->message, one->number};
        if (one->later)
            continue;
        leave(schedule, one);
        due_enter(schedule, one);
        ++*roused;
    }
    place_leave(schedule, destination);
    if (is_doubtful(destination) && !destination->sleeps)
        destination->quiet_until = mono;
    schedule->mono = mono;
    destination->roused = mono;
    place(schedule, destination);
    return one != NULL;
}

void schedule_collected(struct schedule *schedule, struct destination *destination, bool collected)
{
    destination->collected = collected;
    if (!collected)
        destination->collection = 0;
    place(schedule, destination);
}

void schedule_collect(struct schedule *schedule, struct destination *destination,
                      uint64_t collection)
{
    must(destination->collected || !collection);
    place_leave(schedule, destination);
    destination->collection = collection;
    if (collection)
        destination->troubles = 0;
    place(schedule, destination);
}

void schedule_calm(struct schedule *schedule, struct destination *destination)
{
    place_leave(schedule, destination);
    destination->troubles = 0;
    destination->sleeps = false;
    place(schedule, destination);
}

void schedule_sleep(struct schedule *schedule, struct destination *destination, int64_t until)
{
    place_leave(schedule, destination);
    if (!is_doubtful(destination) || destination->quiet_until < until)
        destination->quiet_until = until;
    destination->sleeps = true;
    place(schedule, destination);
}

void schedule_limit(struct schedule *schedule, struct destination *destination, uint32_t most)
{
    destination->most = most;
    place(schedule, destination);
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
    place(schedule, destination);
    return true;
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

struct scheduled *schedule_behind(struct schedule *schedule, uint64_t message, uint32_t number)
{
    struct scheduled *found = NULL, *at = RB_ROOT(&schedule->names);
    const struct scheduled like = {.message = message, .number = number};
    while (at) {
        bool behind = name_order(&like, at) < 0;
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
    /* RB_MIN takes no const. */
    struct waiting_destinations waiting = schedule->waiting;
    struct quiet_destinations quiet = schedule->quiet;
    const struct destination *first = RB_MIN(waiting_destinations, &waiting);
    const struct destination *calm = RB_MIN(quiet_destinations, &quiet);
    bool paced = !schedule->paused && !TAILQ_EMPTY(&schedule->ready[DESTINATION_UNTRIED]);
    int64_t until = INT64_MAX;
    if (first)
        until = first->next > wall ? first->next - wall : 0;
    if (calm)
        until = earlier(until, left_until(calm->quiet_until, mono));
    if (paced && schedule->pace > mono)
        until = earlier(until, left_until(schedule->pace, mono));
    return until;
}
