/*
 * Watches hang in lists by the hash of their partition: ten thousand idle sessions cost a commit
 * nothing but those that look at its own partitions.
 */
#include "store/local/engine_local.h"

static struct watch_list *list_of(struct local *local, struct partition partition)
{
    uint64_t hash = (partition.id ^ (uint64_t)partition.kind << 56) * UINT64_C(0x9e3779b97f4a7c15);
    return &local->watches[hash >> 56 & (LOCAL_WATCH_LISTS - 1)];
}

void local_watch(struct engine *engine, struct partition_watch *watch)
{
    LIST_INSERT_HEAD(list_of(local_of(engine), watch->partition), watch, link);
}

void local_unwatch(struct engine *engine, struct partition_watch *watch)
{
    struct local *local = local_of(engine);
    if (local->watch_next == watch)
        local->watch_next = LIST_NEXT(watch, link);
    LIST_REMOVE(watch, link);
}

void watch_changed(struct local *local, struct partition partition)
{
    struct partition_watch *watch = LIST_FIRST(list_of(local, partition));
    while (watch) {
        local->watch_next = LIST_NEXT(watch, link);
        if (watch->partition.kind == partition.kind && watch->partition.id == partition.id)
            watch->changed(watch);
        watch = local->watch_next;
    }
}
