#include "sent.h"

#include "base/must.h"
#include "sim.h"

enum {
    DAY = 24 /* hours */
};

#define HOUR (3600 * NS_PER_SECOND)

/* The clocks of the fake world do not drift, and its wall clock begins with an hour. */
static int64_t wall_of(const struct sent *sent, int64_t mono)
{
    return world_wall(&sent->sim->fake->world) * 1000 - sim_now(sent->sim) + mono;
}

/* --- Sums ------------------------------------------------------------------------------------- */

/* Recipients that were decided in these hours, surely. */
static uint64_t surely(const struct sent *sent, int user, int64_t first, int64_t last)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sent->count; i++) {
        const struct sent_message *message = &sent->messages[i];
        if (message->user == user && message->sure && message->since >= first &&
            message->until <= last)
            sum += message->recipients;
    }
    return sum;
}

static uint64_t perhaps(const struct sent *sent, int user, int64_t first)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sent->count; i++) {
        const struct sent_message *message = &sent->messages[i];
        if (message->user == user && message->until >= first)
            sum += message->recipients;
    }
    return sum;
}

/* Of what was in an hour that is partly out, at this time. */
static uint64_t still_in(uint64_t recipients, int64_t wall)
{
    return recipients * (uint64_t)((HOUR - wall % HOUR) / NS_PER_SECOND) / 3600;
}

static void judge(struct sent *sent, int user, int64_t now)
{
    int64_t hour = now / HOUR;
    uint64_t in_hour =
        surely(sent, user, hour, hour) + still_in(surely(sent, user, hour - 1, hour - 1), now);
    uint64_t in_day = surely(sent, user, hour - DAY + 1, hour) +
                      still_in(surely(sent, user, hour - DAY, hour - DAY), now);
    if (in_hour > SENT_PER_HOUR || in_day > SENT_PER_DAY)
        oracle_wrong(&sent->sim->oracle, "user %d sent to %llu within an hour, %llu within a day",
                     user, (unsigned long long)in_hour, (unsigned long long)in_day);
}

/* --- What is told ----------------------------------------------------------------------------- */

void sent_message(struct sent *sent, int user, uint64_t recipients, int64_t said_at, bool sure)
{
    int64_t now = wall_of(sent, sim_now(sent->sim));
    if (sent->count == sent->room) {
        sent->room = sent->room ? 2 * sent->room : 64;
        sent->messages = realloc(sent->messages, sent->room * sizeof(*sent->messages));
        must(sent->messages);
    }
    /* Without a reply it may be decided a while later. */
    sent->messages[sent->count++] = (struct sent_message){.user = user,
                                                          .recipients = recipients,
                                                          .since = wall_of(sent, said_at) / HOUR,
                                                          .until = now / HOUR + !sure,
                                                          .sure = sure};
    sent->accepted += sure;
    if (sure && wall_of(sent, said_at) / HOUR == now / HOUR)
        judge(sent, user, now);
}

void sent_refused(struct sent *sent, int user, uint64_t recipients)
{
    int64_t hour = wall_of(sent, sim_now(sent->sim)) / HOUR;
    uint64_t in_hour = perhaps(sent, user, hour - 2), in_day = perhaps(sent, user, hour - DAY - 1);
    sent->refused++;
    if (in_hour + recipients <= SENT_PER_HOUR && in_day + recipients <= SENT_PER_DAY)
        oracle_wrong(&sent->sim->oracle,
                     "user %d may not send to %llu, and sent to %llu within two hours, %llu within "
                     "a day",
                     user, (unsigned long long)recipients, (unsigned long long)in_hour,
                     (unsigned long long)in_day);
}

void sent_open(struct sent *sent, struct sim *sim)
{
    *sent = (struct sent){.sim = sim};
}

void sent_close(struct sent *sent)
{
    free(sent->messages);
}
