/*
 * A tree, since whoever is written to chooses the names of his domains.
 */
#include "core/tls_counts.h"

#include <bsd/sys/tree.h>

#include "base/must.h"
#include "format/dns.h"

enum {
    SECONDS_A_DAY = 86400,
    BATCH = 100, /* records of one commit: some MB at most */
    BATCH_ARENA = 4 << 20,
};

/* A record of memory. */
struct tally {
    RB_ENTRY(tally) link;
    uint32_t day;
    struct buf record;
    bool changed; /* since it was written */
    size_t domain_n;
    char domain[];
};

RB_HEAD(tally_tree, tally);

struct tally_waiter {
    TAILQ_ENTRY(tally_waiter) link;
    struct wait wait;
};

struct tls_counts {
    struct tally_tree all;
    size_t count, octets;
    int64_t written; /* mono */
    bool locked, full_told;
    TAILQ_HEAD(, tally_waiter) waiters;
};

static struct str domain_of(const struct tally *tally)
{
    return str_make(tally->domain, tally->domain_n);
}

static int tally_order(const struct tally *a, const struct tally *b)
{
    if (a->day != b->day)
        return a->day < b->day ? -1 : 1;
    size_t n = a->domain_n < b->domain_n ? a->domain_n : b->domain_n;
    int order = n ? memcmp(a->domain, b->domain, n) : 0;
    return order ? order : (a->domain_n > b->domain_n) - (a->domain_n < b->domain_n);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(tally_tree, tally, link, tally_order, __attribute__((unused)) static)

uint32_t tls_counts_today(const struct core *core)
{
    return (uint32_t)(world_wall(core->world) / US_PER_SECOND / SECONDS_A_DAY);
}

static struct tally *tally_new(uint32_t day, struct str domain)
{
    struct tally *tally = calloc(1, sizeof(*tally) + domain.n);
    if (!tally)
        return NULL;
    *tally = (struct tally){.day = day, .domain_n = domain.n};
    buf_init(&tally->record, TLS_SUMS_MAX);
    if (domain.n)
        memcpy(tally->domain, domain.p, domain.n);
    return tally;
}

static void tally_free(struct tls_counts *counts, struct tally *tally)
{
    RB_REMOVE(tally_tree, &counts->all, tally);
    counts->count--;
    counts->octets -= tally->record.n;
    buf_done(&tally->record);
    free(tally);
}

/* NULL: there is none. */
static struct tally *tally_find(struct tls_counts *counts, uint32_t day, struct str domain)
{
    struct tally *like = tally_new(day, domain);
    struct tally *found = like ? RB_FIND(tally_tree, &counts->all, like) : NULL;
    free(like);
    return found;
}

static struct tally *tally_add(struct tls_counts *counts, uint32_t day, struct str domain)
{
    struct tally *tally = tally_new(day, domain);
    if (!tally)
        return NULL;
    must(!RB_INSERT(tally_tree, &counts->all, tally));
    counts->count++;
    return tally;
}

/* --- Counting -------------------------------------------------------------------------------- */

static bool is_possible(const struct msg_tls_session *session)
{
    return session->policy < TLS_REPORT_POLICY_TYPES && session->result < TLS_RESULTS &&
           session->lines.n <= TLS_SUMS_LINES_MAX && dns_host_ok(session->domain);
}

static void full_tell(struct core *core)
{
    struct tls_counts *counts = core->tls_counts;
    if (!counts->full_told)
        log_event(core->log, LOG_WARN, "tls_counts_full", log_u64("domains", counts->count),
                  log_u64("octets", counts->octets));
    counts->full_told = true;
}

/* A domain's, or where there are too many, that of all the others. NULL: no memory. */
static struct tally *tally_for(struct core *core, struct str domain)
{
    struct tls_counts *counts = core->tls_counts;
    uint32_t day = tls_counts_today(core);
    struct tally *tally = tally_find(counts, day, domain);
    if (tally)
        return tally;
    if (counts->count < TLS_COUNTS_DOMAINS && counts->octets < TLS_COUNTS_OCTETS)
        return tally_add(counts, day, domain);
    full_tell(core);
    tally = tally_find(counts, day, STR(""));
    return tally ? tally : tally_add(counts, day, STR(""));
}

static int64_t due_of(struct core *core, uint32_t day)
{
    uint32_t chance;
    world_random(core->world, &chance, sizeof(chance));
    return ((int64_t)day + 1) * SECONDS_A_DAY + 1 + chance % TLS_COUNTS_SPREAD;
}

static void session_take(struct core *core, struct str domain,
                         const struct msg_tls_session *session)
{
    struct tally *tally = tally_for(core, domain);
    struct buf record = BUF_INIT(2 * TLS_SUMS_MAX);
    struct arena work;
    if (!tally)
        return;
    const struct tls_sums_session one = {.type = (enum tls_report_policy_type)session->policy,
                                         .domain = session->domain,
                                         .lines = session->lines,
                                         .result = (enum tls_result)session->result,
                                         .mx = session->mx,
                                         .sending = session->sending,
                                         .receiving = session->receiving,
                                         .reason = session->reason};
    const struct tls_sums_session other = {
        .domain = STR(""), .result = one.result ? TLS_RESULT_VALIDATION_FAILURE : TLS_RESULT_OK};
    arena_init_from(&work, TLS_SUMS_ARENA, &core->spares);
    struct err e = tls_sums_add(buf_str(&tally->record), tally->domain_n ? &one : &other,
                                tally->record.n ? 0 : due_of(core, tally->day), &work, &record);
    if (!err_is(e)) {
        core->tls_counts->octets += record.n - tally->record.n;
        buf_clear(&tally->record);
        if (!buf_put(&tally->record, buf_str(&record)))
            buf_clear(&tally->record);
        tally->changed = true;
    } else {
        log_err(core->log, "tls_session_not_counted", e);
    }
    arena_done(&work);
    buf_done(&record);
}

void tls_counts_take(struct core *core, struct str domain, const struct msg_tls_session *sessions,
                     size_t count)
{
    if (!core->conf->sending.tls_reports || !dns_host_ok(domain))
        return;
    for (size_t i = 0; i < count; i++)
        if (is_possible(&sessions[i]))
            session_take(core, domain, &sessions[i]);
}

/* --- Turns ----------------------------------------------------------------------------------- */

void tls_counts_lock(struct core *core)
{
    struct tls_counts *counts = core->tls_counts;
    struct tally_waiter waiter = {.wait = {.fiber = NULL}};
    if (!counts->locked) {
        counts->locked = true;
        return;
    }
    TAILQ_INSERT_TAIL(&counts->waiters, &waiter, link);
    wait_for(&waiter.wait);
}

/* Handed on, so that nobody comes between. */
void tls_counts_unlock(struct core *core)
{
    struct tls_counts *counts = core->tls_counts;
    struct tally_waiter *next = TAILQ_FIRST(&counts->waiters);
    must(counts->locked);
    counts->locked = next != NULL;
    if (!next)
        return;
    TAILQ_REMOVE(&counts->waiters, next, link);
    wait_over(&next->wait);
}

/* What a tally has beyond those, as a record in the arena; empty: nothing. */
static struct err rest_make(const struct tally *tally, const struct tls_sums *sent,
                            struct arena *arena, struct str *rest_r)
{
    struct tls_sums sums;
    struct buf rest = buf_in(arena, 2 * TLS_SUMS_MAX);
    *rest_r = STR("");
    struct err e = tls_sums_decode(buf_str(&tally->record), arena, &sums);
    if (err_is(e) || !tls_sums_less(&sums, sent))
        return e;
    tls_sums_encode(&sums, &rest);
    *rest_r = buf_built(&rest);
    return err_make(rest_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

static struct err tally_end(struct tls_counts *counts, struct tally *tally,
                            const struct tls_sums *sent, struct arena *arena, struct str *rest_r)
{
    struct err e = sent ? rest_make(tally, sent, arena, rest_r) : err_none();
    if (err_is(e))
        return e;
    if (rest_r->n == 0) {
        tally_free(counts, tally);
        return e;
    }
    counts->octets += rest_r->n - tally->record.n;
    buf_clear(&tally->record);
    return err_make(buf_put(&tally->record, *rest_r) ? ERR_NONE : ERR_NO_MEMORY);
}

struct err tls_counts_end(struct core *core, uint32_t day, struct str domain,
                          const struct tls_sums *sent)
{
    struct arena arena;
    struct str rest = STR("");
    struct tally *tally = tally_find(core->tls_counts, day, domain);
    arena_init_from(&arena, TLS_SUMS_ARENA, &core->spares);
    struct op_list ops = op_list_take(&arena, TLS_SUMS_OPS);
    struct err e = tally ? tally_end(core->tls_counts, tally, sent, &arena, &rest) : err_none();
    if (rest.n > 0)
        tls_sums_put_ops(day, domain, rest, &arena, &ops);
    else
        tls_sums_remove_ops(day, domain, &arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    if (!err_is(e) && (ops.over || arena_over(&arena)))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e))
        e = engine_commit_wait(core->engine, &commit);
    arena_done(&arena);
    return e;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* Those of one batch count as written as soon as they are on their way. */
static size_t batch_make(struct tls_counts *counts, struct arena *arena, struct op_list *ops)
{
    struct tally *tally;
    size_t count = 0;
    RB_FOREACH (tally, tally_tree, &counts->all) {
        if (!tally->changed || tally->record.n == 0 || count == BATCH)
            continue;
        struct str record = arena_str(arena, buf_str(&tally->record));
        tls_sums_put_ops(tally->day, domain_of(tally), record, arena, ops);
        tally->changed = arena_over(arena) || ops->over;
        count++;
    }
    return count;
}

static void all_changed(struct tls_counts *counts)
{
    struct tally *tally;
    RB_FOREACH (tally, tally_tree, &counts->all)
        tally->changed = true;
}

static struct err batch_write(struct core *core, bool *more_r)
{
    struct arena arena;
    arena_init_from(&arena, BATCH_ARENA, &core->spares);
    struct op_list ops = op_list_take(&arena, BATCH * TLS_SUMS_OPS);
    size_t count = batch_make(core->tls_counts, &arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    struct err e = arena_over(&arena) || ops.over ? err_make(ERR_NO_MEMORY) : err_none();
    if (!err_is(e) && count > 0)
        e = engine_commit_wait(core->engine, &commit);
    if (err_is(e))
        all_changed(core->tls_counts);
    *more_r = !err_is(e) && count == BATCH;
    arena_done(&arena);
    return e;
}

static struct err write_all(struct core *core)
{
    bool more = true;
    struct err e = err_none();
    core->tls_counts->written = core->loop->now;
    while (more && !err_is(e))
        e = batch_write(core, &more);
    return e;
}

struct err tls_counts_write(struct core *core)
{
    tls_counts_lock(core);
    struct err e = write_all(core);
    tls_counts_unlock(core);
    return e;
}

/* What is written and of no more use here. */
static void past_free(struct core *core)
{
    struct tls_counts *counts = core->tls_counts;
    uint32_t today = tls_counts_today(core);
    struct tally *tally, *next;
    for (tally = RB_MIN(tally_tree, &counts->all); tally && tally->day != today; tally = next) {
        next = RB_NEXT(tally_tree, &counts->all, tally);
        if (!tally->changed)
            tally_free(counts, tally);
        counts->full_told = false;
    }
}

struct err tls_counts_duty(struct core *core)
{
    struct tls_counts *counts = core->tls_counts;
    const struct tally *oldest = RB_MIN(tally_tree, &counts->all);
    bool over = oldest && oldest->day != tls_counts_today(core);
    if (!over && core->loop->now < counts->written + TLS_COUNTS_EVERY)
        return err_none();
    struct err e = tls_counts_write(core);
    if (over)
        core->tls_reporting.next = 0;
    past_free(core);
    return e;
}

/* --- Opening and closing --------------------------------------------------------------------- */

static bool row_load(struct tls_counts *counts, const struct tls_sums_row *row)
{
    struct tally *tally = tally_add(counts, row->day, row->domain);
    if (!tally)
        return false;
    counts->octets += row->record.n;
    return buf_put(&tally->record, row->record);
}

static struct err page_load(struct core *core, struct buf *after, bool *more_r)
{
    struct arena arena;
    struct tls_sums_row *rows;
    size_t count;
    uint32_t today = tls_counts_today(core);
    arena_init_from(&arena, BATCH_ARENA, &core->spares);
    struct err e = tls_sums_page(core->engine, today, after->n ? buf_str(after) : str_null(), BATCH,
                                 &arena, &rows, &count);
    *more_r = !err_is(e) && count == BATCH;
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        if (rows[i].day == today && !row_load(core->tls_counts, &rows[i]))
            e = err_make(ERR_NO_MEMORY);
        *more_r &= rows[i].day == today;
    }
    if (*more_r) {
        buf_clear(after);
        buf_put(after, rows[count - 1].domain);
    }
    arena_done(&arena);
    return e;
}

static void counts_free(struct core *core)
{
    struct tls_counts *counts = core->tls_counts;
    struct tally *tally;
    while ((tally = RB_ROOT(&counts->all)))
        tally_free(counts, tally);
    free(counts);
    core->tls_counts = NULL;
}

struct err tls_counts_open(struct core *core)
{
    struct buf after = BUF_INIT(ENGINE_KEY_MAX);
    struct err e = err_none();
    bool more = true;
    core->tls_counts = calloc(1, sizeof(*core->tls_counts));
    if (!core->tls_counts)
        return err_make(ERR_NO_MEMORY);
    RB_INIT(&core->tls_counts->all);
    TAILQ_INIT(&core->tls_counts->waiters);
    core->tls_counts->written = core->loop->now;
    while (more && !err_is(e))
        e = page_load(core, &after, &more);
    buf_done(&after);
    if (err_is(e))
        counts_free(core);
    return e;
}

void tls_counts_close(struct core *core)
{
    struct err e = tls_counts_write(core);
    if (err_is(e))
        log_err(core->log, "tls_counts_not_written", e);
    counts_free(core);
}
