/*
 * Why the number is part of what is hashed: two events of the same octets would else be
 * exchangeable with a gap between them. Why the head stands in a row of its own: an engine is read
 * forwards, and a chain is gone on with at its end.
 */
#include "store/audit.h"

#include "base/must.h"
#include "base/wire.h"

enum {
    NUMBER_SIZE = 8,
    DAY_SIZE = 4,
    EVENT_KEY_SIZE = 1 + NUMBER_SIZE,
    DAY_KEY_SIZE = 1 + DAY_SIZE,
    HEAD_SIZE = NUMBER_SIZE + DAY_SIZE + AUDIT_LINK,
    PAGE = 500,
    PAGE_ARENA = 16 * 1024 * 1024,
    TROUBLE_MAX = 256,
};

#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)

static const struct partition totals = {PARTITION_AUDIT, 0};
static const unsigned char no_link[AUDIT_LINK];

static uint32_t day_of(int64_t time)
{
    return time > 0 ? (uint32_t)(time / US_PER_DAY) : 0;
}

/* Day 0 has no partition but that of the totals; nothing happened on it. */
static struct partition day_partition(uint32_t day)
{
    return (struct partition){PARTITION_AUDIT, (uint64_t)day << 8};
}

static struct str key_of(char kind, uint64_t number, size_t octets, struct arena *arena)
{
    unsigned char *key = arena_take(arena, 1 + octets);
    if (!key)
        return str_null();
    key[0] = (unsigned char)kind;
    if (octets == NUMBER_SIZE)
        key_put_u64(key + 1, number);
    else
        key_put_u32(key + 1, (uint32_t)number);
    return str_make(key, 1 + octets);
}

/* --- The chain ------------------------------------------------------------------------------- */

static void link_make(const unsigned char before[AUDIT_LINK], uint64_t number, struct str record,
                      unsigned char link_r[AUDIT_LINK])
{
    unsigned char octets[NUMBER_SIZE];
    struct sha256 sha256;
    key_put_u64(octets, number);
    sha256_init(&sha256);
    sha256_feed(&sha256, str_make(before, AUDIT_LINK));
    sha256_feed(&sha256, str_make(octets, sizeof octets));
    sha256_feed(&sha256, record);
    sha256_end(&sha256, link_r);
}

/* --- Heads ----------------------------------------------------------------------------------- */

static struct str head_encode(const struct audit_head *head, struct arena *arena)
{
    struct buf buf = buf_in(arena, HEAD_SIZE);
    wire_put_u64(&buf, head->number);
    wire_put_u32(&buf, head->day);
    buf_put(&buf, str_make(head->link, AUDIT_LINK));
    return buf_built(&buf);
}

static struct err head_decode(struct str value, struct audit_head *head_r)
{
    struct wire_in in = wire_in(value);
    head_r->number = wire_get_u64(&in);
    head_r->day = wire_get_u32(&in);
    struct str link = wire_get_octets(&in, AUDIT_LINK);
    if (!wire_end(&in))
        return err_detail(ERR_STORE_DAMAGED, STR("the head of the audit"));
    memcpy(head_r->link, link.p, AUDIT_LINK);
    return err_none();
}

static struct err head_get(struct engine *engine, struct str key, struct audit_head *head_r)
{
    struct arena arena;
    struct entry entry;
    *head_r = (struct audit_head){0};
    arena_init(&arena, 4096);
    struct err e = engine_get(engine, totals, key, &arena, &entry);
    if (!err_is(e))
        e = head_decode(entry.value, head_r);
    arena_done(&arena);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err audit_head_read(struct engine *engine, struct audit_head *head_r)
{
    return head_get(engine, STR("h"), head_r);
}

/* --- Writing --------------------------------------------------------------------------------- */

void audit_encode(const struct trace_event *event, struct buf *to)
{
    trace_event_encode(event, NULL, to);
}

static void growth_add(uint32_t day, int64_t events, struct arena *arena, struct op_list *ops)
{
    struct buf number = buf_in(arena, NUMBER_SIZE);
    wire_put_u64(&number, (uint64_t)events);
    op_list_add(ops, OP_ADD, totals, key_of('d', day, DAY_SIZE, arena), buf_built(&number));
}

void audit_add(struct audit_head *head, int64_t time, struct str record, struct arena *arena,
               struct op_list *ops)
{
    uint32_t day = day_of(time);
    head->day = day > head->day ? day : head->day;
    head->number++;
    link_make(head->link, head->number, record, head->link);
    struct buf value = buf_in(arena, AUDIT_LINK + record.n);
    buf_put(&value, str_make(head->link, AUDIT_LINK));
    buf_put(&value, record);
    struct str key = key_of('e', head->number, NUMBER_SIZE, arena);
    struct op *op = op_list_add(ops, OP_PUT, day_partition(head->day), key, buf_built(&value));
    if (op)
        op->fresh = true; /* numbers are never given twice */
    growth_add(head->day, 1, arena, ops);
}

void audit_end(const struct audit_head *before, const struct audit_head *head, struct arena *arena,
               struct op_list *ops)
{
    if (before->number == 0)
        op_list_add(ops, OP_NEED_ABSENT, totals, STR("h"), str_null());
    else
        op_list_add(ops, OP_NEED_VALUE, totals, STR("h"), head_encode(before, arena));
    op_list_add(ops, OP_PUT, totals, STR("h"), head_encode(head, arena));
}

size_t audit_ops_count(size_t count)
{
    return 2 * count + 2;
}

/* --- Reading --------------------------------------------------------------------------------- */

typedef struct err each_entry(void *arg, uint32_t day, const struct entry *entry);

/* All of a partition whose keys begin with `kind`, page by page. */
static struct err entries_each(struct engine *engine, struct partition partition, char kind,
                               uint32_t day, each_entry *each, void *arg)
{
    const char from_kind[] = {kind}, until_kind[] = {(char)(kind + 1)};
    struct buf from = BUF_INIT(ENGINE_KEY_MAX);
    struct arena arena;
    struct err e = err_none();
    size_t count = PAGE;
    arena_init(&arena, PAGE_ARENA);
    buf_put(&from, str_make(from_kind, 1));
    while (count == PAGE && !err_is(e)) {
        struct entry *entries;
        arena_reset(&arena);
        e = engine_scan(engine, partition, buf_str(&from), str_make(until_kind, 1), PAGE, &arena,
                        &entries, &count);
        for (size_t i = 0; i < count && !err_is(e); i++)
            e = each(arg, day, &entries[i]);
        if (!err_is(e) && count) {
            buf_clear(&from);
            buf_put(&from, entries[count - 1].key);
            buf_putc(&from, '\0');
        }
    }
    buf_done(&from);
    arena_done(&arena);
    return e;
}

struct days_walk {
    struct engine *engine;
    uint32_t from, to;
    each_entry *each;
    void *arg;
};

static struct err day_walk(void *arg, uint32_t none, const struct entry *entry)
{
    struct days_walk *walk = arg;
    (void)none;
    if (entry->key.n != DAY_KEY_SIZE)
        return err_detail(ERR_STORE_DAMAGED, STR("a day of the audit"));
    uint32_t day = key_get_u32((const unsigned char *)entry->key.p + 1);
    if (day < walk->from || day > walk->to)
        return err_none();
    return entries_each(walk->engine, day_partition(day), 'e', day, walk->each, walk->arg);
}

static struct err days_each(struct days_walk *walk)
{
    return entries_each(walk->engine, totals, 'd', 0, day_walk, walk);
}

static bool entry_open(const struct entry *entry, uint64_t *number_r, const unsigned char **link_r,
                       struct str *record_r)
{
    if (entry->key.n != EVENT_KEY_SIZE || entry->value.n < AUDIT_LINK)
        return false;
    *number_r = key_get_u64((const unsigned char *)entry->key.p + 1);
    *link_r = (const unsigned char *)entry->value.p;
    *record_r = str_from_index(entry->value, AUDIT_LINK);
    return true;
}

struct scan {
    int64_t since, until;
    struct arena arena;
    struct err (*each)(void *arg, const struct audit_entry *);
    void *arg;
};

static struct err scan_one(void *arg, uint32_t day, const struct entry *entry)
{
    struct scan *scan = arg;
    struct audit_entry shown;
    struct trace_event *events;
    struct str record;
    size_t count = 0;
    (void)day;
    arena_reset(&scan->arena);
    if (!entry_open(entry, &shown.number, &shown.link, &record))
        return err_detail(ERR_STORE_DAMAGED, STR("an event of the audit"));
    struct err e = trace_events_decode(record, &scan->arena, &events, &count);
    if (err_is(e))
        return e;
    shown.event = count ? events[0] : (struct trace_event){.kind = TRACE_KIND_COUNT};
    if (count && (shown.event.time < scan->since || shown.event.time >= scan->until))
        return err_none();
    return scan->each(scan->arg, &shown);
}

struct err audit_scan(struct engine *engine, int64_t since, int64_t until,
                      struct err (*each)(void *arg, const struct audit_entry *), void *arg)
{
    struct scan scan = {.since = since, .until = until, .each = each, .arg = arg};
    /* Of a clock that was set back, events lie on later days than their own. */
    struct days_walk walk = {
        .engine = engine, .from = day_of(since), .to = UINT32_MAX, .each = scan_one, .arg = &scan};
    arena_init(&scan.arena, PAGE_ARENA);
    struct err e = days_each(&walk);
    arena_done(&scan.arena);
    return e;
}

/* --- Verifying ------------------------------------------------------------------------------- */

struct verify {
    struct audit_report *report;
    const unsigned char *named;
    unsigned char link[AUDIT_LINK];
    uint64_t number; /* of the last one seen */
    void (*trouble)(void *arg, struct str what);
    void *arg;
};

static void trouble_tell(struct verify *verify, const char *what, uint64_t number, uint64_t until)
{
    struct buf line = BUF_INIT(TROUBLE_MAX);
    if (verify->report->troubles++ >= AUDIT_TROUBLES_MAX)
        return;
    buf_printf(&line, "event %" PRIu64, number);
    if (until > number)
        buf_printf(&line, " to %" PRIu64, until);
    buf_printf(&line, ": %s", what);
    verify->trouble(verify->arg, buf_str(&line));
    buf_done(&line);
}

static void named_look(struct verify *verify, const unsigned char *link)
{
    if (verify->named && memcmp(verify->named, link, AUDIT_LINK) == 0)
        verify->report->named_found = true;
}

/* Going on from what is stored, so that one changed event is one line and not all behind it. */
static struct err verify_one(void *arg, uint32_t day, const struct entry *entry)
{
    struct verify *verify = arg;
    struct audit_report *report = verify->report;
    const unsigned char *link;
    unsigned char expected[AUDIT_LINK];
    struct str record;
    uint64_t number;
    (void)day;
    if (!entry_open(entry, &number, &link, &record)) {
        trouble_tell(verify, "cannot be read", verify->number + 1, 0);
        return err_none();
    }
    if (number > verify->number + 1)
        trouble_tell(verify, "missing", verify->number + 1, number - 1);
    else if (number <= verify->number)
        trouble_tell(verify, "stands behind a later one", number, 0);
    link_make(verify->link, number, record, expected);
    if (number == verify->number + 1 && memcmp(expected, link, AUDIT_LINK) != 0)
        trouble_tell(verify, "is not what was recorded", number, 0);
    report->first = report->first ? report->first : number;
    report->last = number;
    verify->number = number;
    memcpy(verify->link, link, AUDIT_LINK);
    named_look(verify, link);
    return err_none();
}

/* What was there before the walk was seen by it; of what was added meanwhile it saw some, or all:
 * that is held against the head of now. */
static void verify_end(struct verify *verify, const struct audit_head *before,
                       const struct audit_head *now)
{
    const struct audit_head *end = verify->number > before->number ? now : before;
    if (before->number > verify->number)
        trouble_tell(verify, "missing", verify->number + 1, before->number);
    else if (verify->number > end->number ||
             (verify->number == end->number && memcmp(end->link, verify->link, AUDIT_LINK) != 0))
        trouble_tell(verify, "is not where the chain ended", verify->number, 0);
}

struct err audit_verify(struct engine *engine, const unsigned char *named,
                        void (*trouble)(void *arg, struct str what), void *arg,
                        struct audit_report *report_r)
{
    struct audit_head expired, before, now;
    struct verify verify = {.report = report_r, .named = named, .trouble = trouble, .arg = arg};
    struct days_walk walk = {
        .engine = engine, .to = UINT32_MAX, .each = verify_one, .arg = &verify};
    *report_r = (struct audit_report){0};
    struct err e = audit_head_read(engine, &before);
    if (!err_is(e))
        e = head_get(engine, STR("b"), &expired);
    if (err_is(e))
        return e;
    verify.number = report_r->expired = expired.number;
    memcpy(verify.link, expired.link, AUDIT_LINK);
    named_look(&verify, expired.number ? expired.link : no_link);
    e = days_each(&walk);
    if (!err_is(e))
        e = audit_head_read(engine, &now);
    if (err_is(e))
        return e;
    verify_end(&verify, &before, &now);
    memcpy(report_r->link, verify.link, AUDIT_LINK);
    return err_none();
}

/* --- Expiry ---------------------------------------------------------------------------------- */

static struct err oldest_each(void *arg, uint32_t none, const struct entry *entry)
{
    uint32_t *oldest = arg;
    (void)none;
    if (entry->key.n != DAY_KEY_SIZE)
        return err_detail(ERR_STORE_DAMAGED, STR("a day of the audit"));
    uint32_t day = key_get_u32((const unsigned char *)entry->key.p + 1);
    *oldest = day < *oldest ? day : *oldest;
    return err_none();
}

/* A slice of a day, or its total once nothing else is left. */
static struct err day_cut(struct engine *engine, uint32_t day, struct arena *arena)
{
    struct partition partition = day_partition(day);
    struct audit_head before = {.day = day};
    struct entry *entries;
    struct str record;
    const unsigned char *link;
    size_t count;
    struct err e =
        engine_scan(engine, partition, STR("e"), STR("f"), AUDIT_SLICE, arena, &entries, &count);
    if (err_is(e))
        return e;
    struct op_list ops = op_list_take(arena, AUDIT_SLICE + 2);
    for (size_t i = 0; i < count; i++)
        op_list_add(&ops, OP_REMOVE, partition, entries[i].key, str_null());
    if (count && !entry_open(&entries[count - 1], &before.number, &link, &record))
        return err_detail(ERR_STORE_DAMAGED, STR("an event of the audit"));
    if (count) {
        memcpy(before.link, link, AUDIT_LINK);
        op_list_add(&ops, OP_PUT, totals, STR("b"), head_encode(&before, arena));
        growth_add(day, -(int64_t)count, arena, &ops);
    } else {
        op_list_add(&ops, OP_REMOVE, totals, key_of('d', day, DAY_SIZE, arena), str_null());
    }
    if (ops.over)
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    return engine_commit_wait(engine, &commit);
}

struct err audit_expire(struct engine *engine, int64_t now, uint64_t days, bool *more_r)
{
    uint32_t oldest = UINT32_MAX, today = day_of(now);
    struct arena arena;
    *more_r = false;
    struct err e = entries_each(engine, totals, 'd', 0, oldest_each, &oldest);
    if (err_is(e) || oldest == UINT32_MAX || today <= days || oldest >= today - days)
        return e;
    arena_init(&arena, PAGE_ARENA);
    e = day_cut(engine, oldest, &arena);
    *more_r = !err_is(e);
    arena_done(&arena);
    return e;
}
