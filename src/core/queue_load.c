/*
 * The schedule from the entries on the disk: all of them at the start, and later, once a minute
 * while some are missing, those that found no memory or could not be read.
 *
 * Why a second look at each that is missing: its page was read before we knew. What came to its end
 * meanwhile left the disk before it left the schedule, so what is in neither now is over, and what
 * is still on the disk was never in the schedule. One that is a moment old may be on its way there;
 * it is left to the next minute.
 */
#include "base/must.h"
#include "core/core.h"
#include "core/queue.h"

enum {
    LOAD_SLICE = 500, /* entries read at once */
    LOAD_ARENA = 64 << 20,
};

#define LOAD_YOUNG (60 * US_PER_SECOND)

struct load {
    struct queue *queue;
    void (*each)(struct load *load, const struct queue_entry *entry);
    size_t entries, damaged;
    struct err e; /* why the walk is to end */
};

static void load_walk(struct load *load)
{
    struct queue *queue = load->queue;
    struct core *core = queue->core;
    struct queue_page page = {.more = true};
    struct arena arena;
    arena_init_from(&arena, LOAD_ARENA, &core->spares);
    while (page.more && !queue->closing && !err_is(load->e)) {
        arena_reset(&arena);
        load->e = queue_scan(core->engine, page.last_message, page.last_number, LOAD_SLICE, &arena,
                             &page);
        for (size_t i = 0; !err_is(load->e) && i < page.count; i++)
            load->each(load, &page.entries[i]);
        if (!err_is(load->e))
            load->damaged += page.damaged;
        queue_turn(queue);
        fiber_sleep_until(core->loop, core->loop->now); /* others have their turn */
    }
    arena_done(&arena);
    if (err_is(load->e)) {
        log_err(core->log, "queue_not_loaded", load->e);
        queue->missing = true;
    }
}

static void load_one(struct load *load, const struct queue_entry *entry)
{
    bool scheduled = queue_schedule(load->queue, entry);
    load->entries += scheduled;
    load->queue->missing |= !scheduled;
    queue_account_compare(load->queue, entry);
}

/* --- At the start --- */

static void load_run(void *arg)
{
    struct queue *queue = arg;
    struct load load = {.queue = queue, .each = load_one, .e = err_none()};
    load_walk(&load);
    if (!err_is(load.e) && (load.entries || load.damaged))
        log_event(queue->core->log, load.damaged ? LOG_FAIL : LOG_INFO, "queue_loaded",
                  log_u64("entries", load.entries), log_u64("damaged", load.damaged));
    queue->loaded = true;
    queue_fiber_end(queue);
}

void queue_load_begin(struct queue *queue)
{
    queue_fiber_begin(queue);
    queue->load_start = (struct fiber_start){.run = load_run, .arg = queue};
    fiber_run(queue->core->fibers, &queue->load_start);
}

struct err queue_pauses_load(struct queue *queue)
{
    struct queue_pause *pauses;
    size_t count;
    struct arena arena;
    arena_init(&arena, LOAD_ARENA);
    struct err e = queue_pauses(queue->core->engine, &arena, &pauses, &count);
    for (size_t i = 0; i < count && !err_is(e); i++)
        if (!schedule_pause(&queue->schedule, pauses[i].domain, true))
            e = err_make(ERR_NO_MEMORY);
    arena_done(&arena);
    return e;
}

/* --- What is missing --- */

static bool is_scheduled(struct queue *queue, const struct queue_entry *entry)
{
    return schedule_find(&queue->schedule, entry->message, entry->number) != NULL;
}

/* A step of the wall clock makes nobody young. */
static bool is_young(const struct queue *queue, const struct queue_entry *entry)
{
    int64_t age = world_wall(queue->core->world) - entry->accepted;
    return age >= 0 && age < LOAD_YOUNG;
}

static void load_missing(struct load *load, const struct queue_entry *entry)
{
    struct queue *queue = load->queue;
    struct queue_entry now;
    struct arena arena;
    if (is_scheduled(queue, entry))
        return;
    if (is_young(queue, entry)) {
        queue->missing = true;
        return;
    }
    arena_init(&arena, LOAD_ARENA);
    struct err e = queue_read(queue->core->engine, entry->message, entry->number, &arena, &now);
    if (!err_is(e) && !is_scheduled(queue, &now))
        load_one(load, &now);
    else if (err_is(e) && e.code != ERR_NOT_FOUND)
        load->e = e;
    arena_done(&arena);
}

void queue_load_missing(struct queue *queue)
{
    struct load load = {.queue = queue, .each = load_missing, .e = err_none()};
    if (!queue->missing || !queue->loaded)
        return;
    queue->missing = false;
    load_walk(&load);
    if (load.entries)
        log_event(queue->core->log, LOG_INFO, "queue_completed", log_u64("entries", load.entries));
}
