/*
 * What waits at a destination: in its line, where senders take turns, or in its times.
 */
#include <malloc.h>

#include "core/schedule_inside.h"

/* Of a destination: somebody with something of one priority in its line. */
struct schedule_sender {
    RB_ENTRY(schedule_sender) link;
    uint32_t sender;
    int8_t priority;
    uint32_t count;
    int64_t turn; /* of the last one in the line */
};

/* --- Orders --- */

static int time_order(const struct scheduled *a, const struct scheduled *b)
{
    int order = schedule_compare(a->key, b->key);
    return order ? order : scheduled_name_order(a, b);
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

static int waiting_order(const struct destination *a, const struct destination *b)
{
    int order = schedule_compare(a->next, b->next);
    return order ? order : destination_name_order(a, b);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(scheduled_times, scheduled, by_turn, time_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(scheduled_line, scheduled, by_turn, line_order, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(schedule_senders, schedule_sender, link, sender_order,
                     __attribute__((unused)) static)
RB_GENERATE_INTERNAL(waiting_destinations, destination, by_next, waiting_order,
                     __attribute__((unused)) static)

/* --- Lines ------------------------------------------------------------------------------------ */

int64_t *line_turn(const struct scheduled *one)
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
    int64_t served = *line_turn(one);
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

void line_enter(struct scheduled *one)
{
    turn_give(one);
    RB_INSERT(scheduled_line, &one->destination->line, one);
}

void line_leave(struct scheduled *one)
{
    RB_REMOVE(scheduled_line, &one->destination->line, one);
    turn_end(one);
}

struct scheduled *line_first(struct destination *destination)
{
    return RB_MIN(scheduled_line, &destination->line);
}

/* --- Times ------------------------------------------------------------------------------------ */

void times_enter(struct schedule *schedule, struct scheduled *one)
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

void times_leave(struct schedule *schedule, struct scheduled *one)
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

struct scheduled *times_first(const struct schedule *schedule)
{
    struct waiting_destinations waiting = schedule->waiting; /* RB_MIN takes no const */
    struct destination *destination = RB_MIN(waiting_destinations, &waiting);
    return destination ? RB_MIN(scheduled_times, &destination->times) : NULL;
}

struct scheduled *times_behind(struct destination *destination, const struct schedule_after *after)
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

struct scheduled *times_next(struct scheduled *one)
{
    return RB_NEXT(scheduled_times, &one->destination->times, one);
}
