/*
 * A walk looks at all rows, takes out what has ended and notes what is half over; only behind it
 * couriers are asked, one domain after the other: that takes as long as other people's web servers
 * take, so it has a fiber of its own. A look that had more to ask for than it may goes on from
 * there the next time: who never answers keeps nobody from his turn.
 *
 * What is kept is bounded as any memory that strangers can fill. A policy that is let go of is
 * fetched again with the next mail: what is lost is that nobody can take it away meanwhile. So
 * those go first that demand nothing, then those that mail went to longest ago.
 */
#include "core/sts.h"

#include "base/must.h"
#include "format/mta_sts.h"

enum {
    PAGE = 50,
    PAGE_ARENA = 8 << 20,       /* of a page: its texts */
    ALL_ARENA = 4 << 20,        /* the names of all */
    ASKED_A_LOOK = 200,         /* domains */
    IN_USE = 30,                /* days */
    CUT = STS_DOMAINS_MAX / 10, /* that go where there is no room */
};
#define LOOK_EVERY (3600 * NS_PER_SECOND)
#define LOOK_FIRST (60 * NS_PER_SECOND)

struct sts_upkeep {
    struct core *core;
    struct timer timer;
    struct fiber_start start;
    bool running, closing;
    struct wait *over;
    bool counted;
    size_t count; /* of rows, where they were counted */
    /* The last one that was asked for by a look that had more. */
    char after[ENGINE_KEY_MAX];
    size_t after_n;
};

/* --- All of them ------------------------------------------------------------------------------ */

/* May yield, and so may `each`. An error of `each` ends it. */
static struct err walk(struct core *core, struct err (*each)(void *, const struct sts_kept *),
                       void *arg)
{
    struct buf after = BUF_INIT(ENGINE_KEY_MAX);
    struct err e = err_none();
    bool more = true;
    while (more && !err_is(e)) {
        struct arena arena;
        struct sts_page page;
        arena_init(&arena, PAGE_ARENA);
        e = sts_kept_page(core->engine, buf_str(&after), PAGE, &arena, &page);
        for (size_t i = 0; !err_is(e) && i < page.count; i++)
            e = each(arg, &page.kept[i]);
        more = !err_is(e) && page.more;
        buf_clear(&after);
        if (more && !buf_put(&after, page.last))
            e = err_make(ERR_NO_MEMORY);
        arena_done(&arena);
    }
    buf_done(&after);
    return e;
}

/* --- A look ----------------------------------------------------------------------------------- */

struct look {
    struct sts_upkeep *upkeep;
    struct arena arena;
    struct str due[ASKED_A_LOOK]; /* domains */
    size_t due_count;
    bool more;
    size_t count;
};

static bool is_half_over(const struct core *core, const struct sts_kept *kept)
{
    int64_t now = sts_now(core);
    int64_t unused = (int64_t)sts_today(core) - kept->used; /* days; a clock may have been ahead */
    return unused <= IN_USE && now - kept->fetched > kept->until - now;
}

static struct err due_note(struct look *look, struct str domain)
{
    const struct sts_upkeep *upkeep = look->upkeep;
    if (str_cmp(domain, str_make(upkeep->after, upkeep->after_n)) <= 0)
        return err_none();
    if (look->due_count == ASKED_A_LOOK) {
        look->more = true;
        return err_none();
    }
    look->due[look->due_count] = arena_str(&look->arena, domain);
    return err_make(look->due[look->due_count++].p ? ERR_NONE : ERR_NO_MEMORY);
}

static struct err row_look(void *arg, const struct sts_kept *kept)
{
    struct look *look = arg;
    struct core *core = look->upkeep->core;
    if (look->upkeep->closing)
        return err_make(ERR_PEER_GONE);
    if (kept->until <= sts_now(core))
        return sts_kept_remove(core->engine, kept->domain);
    look->count++;
    return is_half_over(core, kept) ? due_note(look, kept->domain) : err_none();
}

static void turn(struct look *look)
{
    struct sts_upkeep *upkeep = look->upkeep;
    upkeep->after_n = 0;
    if (!look->more)
        return;
    struct str last = look->due[look->due_count - 1];
    must(last.n <= ENGINE_KEY_MAX);
    memcpy(upkeep->after, last.p, last.n);
    upkeep->after_n = last.n;
}

static void fetch_again(struct core *core, struct str domain)
{
    struct arena arena;
    struct msg answer;
    arena_init(&arena, STS_ASK_ARENA);
    const struct msg_job by_mx = {.domain = domain};
    struct err e = sts_ask(core, &by_mx, true, &arena, &answer);
    if (err_is(e))
        log_err(core->log, "mta_sts_not_asked", e);
    else if (answer.policy_told.sts_why.n > 0)
        log_event(core->log, LOG_WARN, "mta_sts_not_renewed", log_str("domain", domain),
                  log_str("why", answer.policy_told.sts_why));
    arena_done(&arena);
}

static struct err look_at_all(struct sts_upkeep *upkeep)
{
    struct look *look = calloc(1, sizeof(*look));
    if (!look)
        return err_make(ERR_NO_MEMORY);
    look->upkeep = upkeep;
    arena_init(&look->arena, ALL_ARENA);
    struct err e = walk(upkeep->core, row_look, look);
    if (!err_is(e)) {
        upkeep->counted = true;
        upkeep->count = look->count;
        turn(look);
    }
    for (size_t i = 0; !err_is(e) && i < look->due_count && !upkeep->closing; i++)
        fetch_again(upkeep->core, look->due[i]);
    arena_done(&look->arena);
    free(look);
    return e;
}

/* --- Room for one more ------------------------------------------------------------------------ */

struct candidate {
    struct str domain;
    bool enforced;
    uint32_t used;
    int64_t fetched;
};

struct all {
    struct arena arena;
    struct candidate *list; /* room for a few more than there should be */
    size_t count;
};

static struct err row_count(void *arg, const struct sts_kept *kept)
{
    (void)kept;
    size_t *count = arg;
    (*count)++;
    return err_none();
}

static struct err row_note(void *arg, const struct sts_kept *kept)
{
    struct all *all = arg;
    if (all->count == STS_DOMAINS_MAX)
        return err_none();
    struct candidate *one = &all->list[all->count++];
    *one = (struct candidate){.domain = arena_str(&all->arena, kept->domain),
                              .enforced = kept->mode == MTA_STS_ENFORCE,
                              .used = kept->used,
                              .fetched = kept->fetched};
    return err_make(one->domain.p ? ERR_NONE : ERR_NO_MEMORY);
}

/* Who goes first. Of one day the youngest: what has been known for long is what somebody would
 * like to have forgotten. */
static int parting_order(const void *a, const void *b)
{
    const struct candidate *one = a, *two = b;
    if (one->enforced != two->enforced)
        return one->enforced - two->enforced;
    if (one->used != two->used)
        return one->used < two->used ? -1 : 1;
    return (one->fetched < two->fetched) - (one->fetched > two->fetched);
}

static struct err some_go(struct sts_upkeep *upkeep)
{
    struct core *core = upkeep->core;
    struct all all = {.count = 0};
    arena_init(&all.arena, ALL_ARENA);
    all.list = arena_take_array(&all.arena, STS_DOMAINS_MAX, sizeof(*all.list));
    struct err e = all.list ? walk(core, row_note, &all) : err_make(ERR_NO_MEMORY);
    if (!err_is(e))
        qsort(all.list, all.count, sizeof(*all.list), parting_order);
    for (size_t i = 0; !err_is(e) && i < CUT && i < all.count; i++) {
        e = sts_kept_remove(core->engine, all.list[i].domain);
        upkeep->count -= !err_is(e) && upkeep->count > 0;
    }
    if (!err_is(e))
        log_event(core->log, LOG_WARN, "mta_sts_forgotten", log_u64("domains", CUT),
                  log_u64("kept", upkeep->count));
    arena_done(&all.arena);
    return e;
}

struct err sts_room(struct core *core)
{
    struct sts_upkeep *upkeep = core->sts_upkeep;
    struct err e = err_none();
    if (!upkeep->counted) {
        size_t count = 0;
        e = walk(core, row_count, &count);
        upkeep->count = count;
        upkeep->counted = !err_is(e);
    }
    if (!err_is(e) && upkeep->count >= STS_DOMAINS_MAX)
        e = some_go(upkeep);
    upkeep->count += !err_is(e);
    return e;
}

void sts_gone(struct core *core)
{
    core->sts_upkeep->count -= core->sts_upkeep->count > 0;
}

/* --- Its life --------------------------------------------------------------------------------- */

static void upkeep_run(void *arg)
{
    struct sts_upkeep *upkeep = arg;
    struct core *core = upkeep->core;
    struct err e = look_at_all(upkeep);
    if (err_is(e) && !upkeep->closing)
        log_err(core->log, "mta_sts_not_kept_up", e);
    upkeep->running = false;
    if (upkeep->over)
        wait_over(upkeep->over);
    else
        timer_set(core->loop, &upkeep->timer, core->loop->now + LOOK_EVERY);
}

static void upkeep_due(struct timer *timer)
{
    struct sts_upkeep *upkeep = timer->arg;
    upkeep->running = true;
    upkeep->start = (struct fiber_start){.run = upkeep_run, .arg = upkeep};
    fiber_run(upkeep->core->fibers, &upkeep->start);
}

struct err sts_upkeep_open(struct core *core)
{
    struct sts_upkeep *upkeep = calloc(1, sizeof(*upkeep));
    if (!upkeep)
        return err_make(ERR_NO_MEMORY);
    upkeep->core = core;
    upkeep->timer = (struct timer){.run = upkeep_due, .arg = upkeep};
    timer_set(core->loop, &upkeep->timer, core->loop->now + LOOK_FIRST);
    core->sts_upkeep = upkeep;
    return err_none();
}

void sts_upkeep_close(struct core *core)
{
    struct sts_upkeep *upkeep = core->sts_upkeep;
    struct wait over = {.done = !upkeep->running};
    upkeep->closing = true;
    upkeep->over = &over;
    timer_clear(core->loop, &upkeep->timer);
    wait_for(&over);
    core->sts_upkeep = NULL;
    free(upkeep);
}
