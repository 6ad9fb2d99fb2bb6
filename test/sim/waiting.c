/* Apart, since two things of the server are called a destination. */
#include "waiting.h"

#include "core/core.h"
#include "core/queue.h"

size_t waiting_entries(const struct core *core)
{
    return core->queue ? core->queue->schedule.entries : 0;
}

size_t waiting_under_way(const struct core *core, uint64_t *messages, size_t most)
{
    size_t count = 0;
    struct scheduled *one = NULL;
    while (core->queue && count < most &&
           (one = schedule_next(&core->queue->schedule, one)) != NULL)
        if (one->state == SCHEDULED_UNDER_WAY)
            messages[count++] = one->message;
    return count;
}
