/*
 * Why it is asked when mail goes and not when it comes: what was accepted waits here, where an
 * operator sees it and another route can take it, and a limit that was changed holds at once.
 *
 * When there is room again is found by looking: what slides out of a window is told by its hours,
 * and the counts at a later time are those of now, moved there.
 */
#include "core/governor.h"

#include <sys/queue.h>

#include "base/must.h"
#include "core/route_notice.h"

enum {
    NEAR_PARTS = 5, /* of which four are used: near */
    KINDS = 4,
    SCRATCH = 16 * 1024,
};

#define HOUR (3600 * US_PER_SECOND)
#define DAY (24 * HOUR)
#define AGAIN_LEAST US_PER_SECOND

struct governed {
    LIST_ENTRY(governed) link;
    struct route_use use;
    int64_t last;            /* wall: when something went */
    int64_t until;           /* wall: what waits, waits until then */
    bool near[KINDS], waits; /* it was told */
    size_t name_length;
    char name[];
};

struct governor {
    LIST_HEAD(, governed) all;
};

struct governor *governor_new(void)
{
    struct governor *governor = calloc(1, sizeof(*governor));
    if (governor)
        LIST_INIT(&governor->all);
    return governor;
}

void governor_free(struct governor *governor)
{
    struct governed *governed;
    while (governor && (governed = LIST_FIRST(&governor->all))) {
        LIST_REMOVE(governed, link);
        free(governed);
    }
    free(governor);
}

static struct governed *find(const struct governor *governor, struct str name)
{
    struct governed *governed;
    if (!governor)
        return NULL;
    LIST_FOREACH (governed, &governor->all, link)
        if (str_eq(str_make(governed->name, governed->name_length), name))
            return governed;
    return NULL;
}

/* May yield: what the store knows of it. */
static struct err take(struct core *core, struct str name, struct governed **governed_r)
{
    struct route_use use;
    struct arena scratch;
    *governed_r = find(core->governor, name);
    if (*governed_r)
        return err_none();
    arena_init(&scratch, SCRATCH);
    struct str kept = arena_str(&scratch, name); /* the configuration may go meanwhile */
    struct err e = route_use_read(core->engine, kept, &scratch, &use);
    *governed_r = find(core->governor, kept); /* somebody else may have read it */
    if (!err_is(e) && !*governed_r) {
        struct governed *governed = calloc(1, sizeof(*governed) + kept.n);
        if (governed) {
            *governed = (struct governed){.use = use, .name_length = kept.n};
            memcpy(governed->name, kept.p, kept.n);
            LIST_INSERT_HEAD(&core->governor->all, governed, link);
        }
        *governed_r = governed;
    }
    arena_done(&scratch);
    if (!err_is(e) && !*governed_r)
        e = err_make(ERR_NO_MEMORY);
    return e;
}

/* --- Limits ---------------------------------------------------------------------------------- */

/* One of the four. */
struct limit {
    const struct sending *counts;
    uint64_t most; /* 0: none */
    int64_t window;
    bool of_recipients;
};

static void limits_of(const struct route_use *use, const struct route_limits *limits,
                      struct limit to[KINDS])
{
    to[0] = (struct limit){&use->messages, limits->messages_per_hour, HOUR, false};
    to[1] = (struct limit){&use->messages, limits->messages_per_day, DAY, false};
    to[2] = (struct limit){&use->recipients, limits->recipients_per_hour, HOUR, true};
    to[3] = (struct limit){&use->recipients, limits->recipients_per_day, DAY, true};
}

static uint64_t used_at(const struct limit *limit, int64_t when)
{
    struct sending then = *limit->counts;
    sending_move(&then, when);
    return limit->window == HOUR ? sending_last_hour(&then, when) : sending_last_day(&then, when);
}

static uint64_t left_at(const struct limit *limit, int64_t when)
{
    uint64_t used = used_at(limit, when);
    return used < limit->most ? limit->most - used : 0;
}

static bool is_near(const struct limit *limit, int64_t now)
{
    return used_at(limit, now) * NEAR_PARTS >= limit->most * (NEAR_PARTS - 1);
}

/* When one more may go by this limit; `now` where it may at once. Counts only fall as time goes, so
 * the time is halved towards. */
static int64_t free_at(const struct limit *limit, int64_t now)
{
    int64_t low = now, high = now + limit->window + HOUR;
    if (left_at(limit, now) > 0)
        return now;
    while (high - low > US_PER_SECOND) {
        int64_t middle = low + (high - low) / 2;
        if (left_at(limit, middle) > 0)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* Near a limit each takes as much of its time as it would if all were spread evenly. */
static int64_t paced_at(const struct limit *limit, int64_t last, int64_t now)
{
    int64_t next = last + limit->window / (int64_t)limit->most;
    return is_near(limit, now) && last > 0 && last <= now && next > now ? next : now;
}

static void answer_make(const struct governed *governed, const struct route_limits *limits,
                        size_t recipients, int64_t now, struct governor_answer *answer_r)
{
    struct limit all[KINDS];
    limits_of(&governed->use, limits, all);
    size_t may = limits->recipients_per_message && limits->recipients_per_message < recipients
                     ? (size_t)limits->recipients_per_message
                     : recipients;
    int64_t until = now;
    for (size_t i = 0; i < KINDS; i++) {
        if (all[i].most == 0)
            continue;
        int64_t free = free_at(&all[i], now), paced = paced_at(&all[i], governed->last, now);
        until = free > until ? free : until;
        until = paced > until ? paced : until;
        if (all[i].of_recipients && left_at(&all[i], now) < may)
            may = (size_t)left_at(&all[i], now);
        if (all[i].of_recipients && may > 1 && is_near(&all[i], now))
            may = 1; /* the rest is spread */
    }
    bool waits = until > now || may == 0;
    *answer_r = (struct governor_answer){
        .recipients = waits ? 0 : may,
        .until = waits && until < now + AGAIN_LEAST ? now + AGAIN_LEAST : until};
}

/* --- Telling --------------------------------------------------------------------------------- */

static void tell(struct core *core, const char *event, const struct governed *governed)
{
    const struct route_use *use = &governed->use;
    int64_t now = world_wall(core->world);
    log_event(core->log, LOG_WARN, event,
              log_str("route", str_make(governed->name, governed->name_length)),
              log_u64("messages_hour", sending_last_hour(&use->messages, now)),
              log_u64("messages_day", sending_last_day(&use->messages, now)),
              log_u64("recipients_hour", sending_last_hour(&use->recipients, now)),
              log_u64("recipients_day", sending_last_day(&use->recipients, now)),
              log_u64("seconds", governed->until > now
                                     ? (uint64_t)(governed->until - now) / US_PER_SECOND
                                     : 0));
}

static void postmaster_tell(struct core *core, const struct governed *governed,
                            enum route_notice_kind kind, const struct limit *limit, int64_t now)
{
    const struct route_notice notice = {.kind = kind,
                                        .route = str_make(governed->name, governed->name_length),
                                        .used = used_at(limit, now),
                                        .limit = limit->most,
                                        .user = STR(""),
                                        .said = STR("")};
    route_notice(core, &notice);
}

/* Once each time it comes near, and each time mail begins to wait. */
static void changes_tell(struct core *core, struct governed *governed,
                         const struct route_limits *limits, bool waits, int64_t now)
{
    struct limit all[KINDS];
    bool near = false, was_near = false;
    limits_of(&governed->use, limits, all);
    for (size_t i = 0; i < KINDS; i++) {
        bool nears = all[i].most > 0 && is_near(&all[i], now);
        near |= nears;
        was_near |= governed->near[i];
        if (nears && !governed->near[i])
            postmaster_tell(core, governed, (enum route_notice_kind)i, &all[i], now);
        governed->near[i] = nears;
    }
    if (near && !was_near)
        tell(core, "route_near_its_limit", governed);
    if (waits && !governed->waits)
        tell(core, "route_waits_for_its_limit", governed);
    governed->waits = waits || (governed->waits && near);
}

/* --- Counting -------------------------------------------------------------------------------- */

static void count(struct governed *governed, size_t recipients, int64_t now)
{
    sending_move(&governed->use.messages, now);
    sending_move(&governed->use.recipients, now);
    sending_add(&governed->use.messages, 1);
    sending_add(&governed->use.recipients, (uint32_t)recipients);
}

struct err governor_take(struct core *core, const struct conf_route *route,
                         const struct route_limits *limits, size_t recipients,
                         struct governor_answer *answer_r)
{
    const struct route_limits mine = *limits; /* of a configuration that may go while we read */
    struct governed *governed;
    struct err e = take(core, route->name, &governed);
    *answer_r = (struct governor_answer){.recipients = 0};
    if (err_is(e))
        return e;
    int64_t now = world_wall(core->world);
    answer_make(governed, &mine, recipients, now, answer_r);
    governed->until = answer_r->recipients ? 0 : answer_r->until;
    if (answer_r->recipients) {
        count(governed, answer_r->recipients, now);
        governed->last = now;
    }
    changes_tell(core, governed, &mine, answer_r->recipients == 0, now);
    return err_none();
}

void governor_take_back(struct governor *governor, struct str name, size_t recipients, int64_t then)
{
    struct governed *governed = find(governor, name);
    if (!governed)
        return;
    sending_take_back(&governed->use.messages, then, 1);
    sending_take_back(&governed->use.recipients, then, (uint32_t)recipients);
}

void governor_add(struct governor *governor, struct str name, size_t recipients, int64_t now)
{
    struct governed *governed = find(governor, name);
    if (governed)
        count(governed, recipients, now);
}

void governor_ops(struct governor *governor, struct str name, struct arena *arena,
                  struct op_list *ops)
{
    const struct governed *governed = find(governor, name);
    if (governed)
        route_use_ops(name, &governed->use, arena, ops);
}

struct err governor_row(struct core *core, struct str name, struct governor_row *row_r)
{
    struct governed *governed;
    struct err e = take(core, name, &governed);
    int64_t now = world_wall(core->world);
    if (err_is(e))
        return e;
    *row_r = (struct governor_row){.use = governed->use,
                                   .until = governed->until > now ? governed->until : 0};
    sending_move(&row_r->use.messages, now);
    sending_move(&row_r->use.recipients, now);
    return err_none();
}
