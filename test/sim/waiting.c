/* Apart, since two things of the server are called a destination. */
#include "waiting.h"

#include "core/core.h"
#include "core/queue.h"

size_t waiting_entries(const struct core *core)
{
    return core->queue ? core->queue->schedule.entries : 0;
}
