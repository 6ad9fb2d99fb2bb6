/*
 * Why a partition a day: what is past its time goes by the day, and the entries of a day lie
 * together in the index, the events of new messages always at its right edge. Addresses are found
 * by a hash, so no name a stranger chose becomes part of a key's order or length.
 */
#include "store/trace.h"

#include "base/must.h"
#include "base/sha256.h"
#include "base/wire.h"
#include "format/message_id.h"

enum {
    HASH_SIZE = 8,
    NUMBER_SIZE = 8,
    DAY_SIZE = 4,
    ADDRESS_KEY_SIZE = 1 + HASH_SIZE + NUMBER_SIZE + NUMBER_SIZE,
    EVENTS_KEY_SIZE = 1 + NUMBER_SIZE,
    DAY_KEY_SIZE = 1 + DAY_SIZE,
    ADDRESS_MAX = 1024,
    VALUE_SOFT = 32 * 1024, /* a value is begun anew beyond this */
    SCAN_PAGE = 500,
    DAYS_MAX = 4000,
    TOTALS_SIZE = 16,
};

#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)

static const struct partition totals = {PARTITION_TRACE, 0};

static uint32_t day_of(int64_t time)
{
    return time > 0 ? (uint32_t)(time / US_PER_DAY) : 0;
}

static struct partition day_partition(uint32_t day)
{
    return (struct partition){PARTITION_TRACE, (uint64_t)day << 8};
}

/* --- Keys ------------------------------------------------------------------------------------ */

static struct str events_key(uint64_t message, struct arena *arena)
{
    unsigned char *key = arena_take(arena, EVENTS_KEY_SIZE);
    if (!key)
        return str_null();
    key[0] = 'i';
    key_put_u64(key + 1, message);
    return str_make(key, EVENTS_KEY_SIZE);
}

static bool address_hash(const struct addr *address, unsigned char hash_r[HASH_SIZE],
                         struct arena *arena)
{
    struct buf key = buf_in(arena, ADDRESS_MAX);
    addr_local_key(address, &key);
    if (buf_over(&key))
        return false;
    struct sha256 sha256;
    unsigned char whole[SHA256_SIZE];
    sha256_init(&sha256);
    sha256_feed(&sha256, buf_str(&key));
    sha256_end(&sha256, whole);
    memcpy(hash_r, whole, HASH_SIZE);
    return true;
}

static struct str address_key(enum trace_direction direction, const struct addr *address,
                              int64_t time, uint64_t message, struct arena *arena)
{
    unsigned char *key = arena_take(arena, ADDRESS_KEY_SIZE);
    if (!key || !address_hash(address, key + 1, arena))
        return str_null();
    key[0] = (unsigned char)direction;
    key_put_u64(key + 1 + HASH_SIZE, time > 0 ? (uint64_t)time : 0);
    key_put_u64(key + 1 + HASH_SIZE + NUMBER_SIZE, message);
    return str_make(key, ADDRESS_KEY_SIZE);
}

static struct str day_key(uint32_t day, struct arena *arena)
{
    unsigned char *key = arena_take(arena, DAY_KEY_SIZE);
    if (!key)
        return str_null();
    key[0] = 'd';
    key_put_u32(key + 1, day);
    return str_make(key, DAY_KEY_SIZE);
}

/* --- Writing --------------------------------------------------------------------------------- */

struct trace_event trace_event(enum trace_kind kind, int64_t time)
{
    return (struct trace_event){.kind = kind, .time = time};
}

static struct trace_value *value_add(struct trace_event *event, enum trace_field field)
{
    must(event->value_count < TRACE_FIELDS_MAX);
    struct trace_value *value = &event->values[event->value_count++];
    *value = (struct trace_value){.field = field};
    return value;
}

void trace_text(struct trace_event *event, enum trace_field field, struct str text)
{
    value_add(event, field)->text = text;
}

void trace_number(struct trace_event *event, enum trace_field field, uint64_t number)
{
    value_add(event, field)->number = number;
}

size_t trace_ops_count(size_t event_count, size_t recipient_count)
{
    return event_count + recipient_count + 2;
}

struct trace_growth trace_growth(int64_t time)
{
    return (struct trace_growth){.day = day_of(time)};
}

static void entry_add(struct op_list *ops, struct trace_growth *growth, enum op_kind kind,
                      struct str key, struct str value)
{
    struct op *op = op_list_add(ops, kind, day_partition(growth->day), key, value);
    if (op) {
        op->fresh = true; /* the key holds the message's id */
        growth->octets += key.n + value.n;
        growth->entries++;
    }
}

static void growth_add(struct op_list *ops, uint32_t day, int64_t octets, int64_t entries,
                       struct arena *arena)
{
    struct buf numbers = buf_in(arena, TOTALS_SIZE);
    wire_put_u64(&numbers, (uint64_t)octets);
    wire_put_u64(&numbers, (uint64_t)entries);
    struct str value = buf_built(&numbers);
    op_list_add(ops, OP_ADD, totals, value.p ? day_key(day, arena) : str_null(), value);
}

void trace_grown(const struct trace_growth *growth, struct arena *arena, struct op_list *ops)
{
    if (growth->entries)
        growth_add(ops, growth->day, (int64_t)growth->octets, (int64_t)growth->entries, arena);
}

/* Events in as few values as their size allows. */
static void events_add(struct trace_growth *growth, uint64_t message,
                       const struct trace_event *events, size_t count, struct arena *arena,
                       struct op_list *ops)
{
    struct str key = events_key(message, arena);
    for (size_t i = 0; i < count;) {
        struct buf value = buf_in(arena, ENGINE_VALUE_MAX);
        const struct trace_event *before = NULL;
        for (; i < count && value.n < VALUE_SOFT; before = &events[i++])
            trace_event_encode(&events[i], before, &value);
        struct str built = buf_built(&value);
        entry_add(ops, growth, OP_APPEND, built.p ? key : str_null(), built);
    }
}

void trace_add(struct trace_growth *growth, uint64_t message, const struct trace_event *event,
               struct arena *arena, struct op_list *ops)
{
    events_add(growth, message, event, 1, arena, ops);
}

void trace_ops(uint64_t message, const struct trace_event *events, size_t count,
               const struct addr *sender, const struct addr *recipients, size_t recipient_count,
               struct arena *arena, struct op_list *ops)
{
    if (count == 0)
        return;
    int64_t time = events[0].time;
    struct trace_growth growth = trace_growth(time);
    events_add(&growth, message, events, count, arena, ops);
    if (sender)
        entry_add(ops, &growth, OP_PUT, address_key(TRACE_FROM, sender, time, message, arena),
                  STR(""));
    for (size_t i = 0; i < recipient_count; i++)
        entry_add(ops, &growth, OP_PUT, address_key(TRACE_TO, &recipients[i], time, message, arena),
                  STR(""));
    trace_grown(&growth, arena, ops);
}

/* --- Reading --------------------------------------------------------------------------------- */

/* The first key behind all that begin with `prefix`. */
static struct str prefix_end(struct str prefix, struct arena *arena)
{
    struct str end = arena_str(arena, prefix);
    if (!end.p)
        return end;
    union {
        const char *from;
        unsigned char *to;
    } octets = {.from = end.p};
    size_t n = end.n;
    while (n && octets.to[n - 1] == 0xff)
        n--;
    must(n > 0); /* our prefixes begin with a letter */
    octets.to[n - 1]++;
    return str_make(octets.to, n);
}

struct event_list {
    struct trace_event *events;
    size_t count, room;
};

static struct err events_take(struct event_list *list, struct str record, struct arena *arena)
{
    struct trace_event *events;
    size_t count;
    struct err e = trace_events_decode(record, arena, &events, &count);
    if (err_is(e))
        return e;
    if (count > TRACE_EVENTS_MAX - list->count)
        return err_make(ERR_OVER_LIMIT);
    if (list->count + count > list->room) {
        size_t room = list->room ? list->room : 8;
        while (room < list->count + count)
            room *= 2;
        struct trace_event *more = arena_take_array(arena, room, sizeof(*more));
        if (!more)
            return err_make(ERR_OVER_LIMIT);
        if (list->count)
            memcpy(more, list->events, list->count * sizeof(*more));
        list->events = more;
        list->room = room;
    }
    if (count)
        memcpy(list->events + list->count, events, count * sizeof(*events));
    list->count += count;
    return err_none();
}

/* Calls `each` for every entry of a partition from a key up to (without) another. */
static struct err scan_all(struct engine *engine, struct partition partition, struct str from,
                           struct str until, struct arena *arena,
                           struct err (*each)(void *arg, const struct entry *), void *arg)
{
    for (;;) {
        struct entry *entries;
        size_t count;
        struct err e =
            engine_scan(engine, partition, from, until, SCAN_PAGE, arena, &entries, &count);
        for (size_t i = 0; !err_is(e) && i < count; i++)
            e = each(arg, &entries[i]);
        if (err_is(e) || count < SCAN_PAGE)
            return e;
        struct str last = entries[count - 1].key;
        char *next = arena_take(arena, last.n + 1); /* zeroed: the last key and a zero octet */
        if (!next)
            return err_make(ERR_OVER_LIMIT);
        memcpy(next, last.p, last.n);
        from = str_make(next, last.n + 1);
    }
}

struct events_read {
    struct event_list list;
    struct arena *arena;
};

static struct err events_each(void *arg, const struct entry *entry)
{
    struct events_read *read = arg;
    return events_take(&read->list, entry->value, read->arena);
}

struct err trace_by_message(struct engine *engine, uint64_t message, int64_t now,
                            struct arena *arena, struct trace_event **events_r, size_t *count_r)
{
    struct events_read read = {.arena = arena};
    struct str from = events_key(message, arena);
    struct str until = from.p ? prefix_end(from, arena) : from;
    if (!until.p)
        return err_make(ERR_OVER_LIMIT);
    uint32_t made = day_of(message_id_time(message)), today = day_of(now);
    /* Ids go on rising where the clock is set back: the id may name a day that is still to come. */
    uint32_t first = made < today ? made : today, last = made < today ? today : made;
    struct err e = err_none();
    for (uint32_t day = first; day <= last && day - first < DAYS_MAX && !err_is(e); day++)
        e = scan_all(engine, day_partition(day), from, until, arena, events_each, &read);
    if (err_is(e))
        return e;
    *events_r = read.list.events;
    *count_r = read.list.count;
    return read.list.count ? err_none() : err_make(ERR_NOT_FOUND);
}

/* A ring of the newest ids. */
struct ids_read {
    uint64_t *ids;
    size_t limit, seen;
};

static struct err ids_each(void *arg, const struct entry *entry)
{
    struct ids_read *read = arg;
    if (entry->key.n != ADDRESS_KEY_SIZE)
        return err_make(ERR_STORE_DAMAGED);
    const unsigned char *key = (const unsigned char *)entry->key.p;
    read->ids[read->seen++ % read->limit] = key_get_u64(key + 1 + HASH_SIZE + NUMBER_SIZE);
    return err_none();
}

struct err trace_by_address(struct engine *engine, enum trace_direction direction,
                            const struct addr *address, int64_t since, int64_t now, size_t limit,
                            struct arena *arena, uint64_t **messages_r, size_t *count_r)
{
    must(limit > 0);
    struct ids_read read = {.limit = limit};
    read.ids = arena_take_array(arena, limit, sizeof(uint64_t));
    uint64_t *sorted = arena_take_array(arena, limit, sizeof(uint64_t));
    struct str from = address_key(direction, address, since, 0, arena);
    struct str until = from.p ? prefix_end(str_head(from, 1 + HASH_SIZE), arena) : str_null();
    if (!read.ids || !sorted || !until.p)
        return err_make(ERR_OVER_LIMIT);
    uint32_t first = day_of(since), last = day_of(now);
    if (last >= DAYS_MAX && first < last - DAYS_MAX)
        first = last - DAYS_MAX;
    struct err e = err_none();
    for (uint32_t day = first; day <= last && !err_is(e); day++)
        e = scan_all(engine, day_partition(day), from, until, arena, ids_each, &read);
    if (err_is(e))
        return e;
    size_t count = read.seen < limit ? read.seen : limit;
    for (size_t i = 0; i < count; i++)
        sorted[i] = read.ids[(read.seen - count + i) % limit];
    *messages_r = sorted;
    *count_r = count;
    return err_none();
}

/* --- Expiry ---------------------------------------------------------------------------------- */

struct day_total {
    uint32_t day;
    uint64_t octets, entries;
};

struct days_read {
    struct day_total oldest;
    uint64_t octets;
    bool any;
};

static struct err days_each(void *arg, const struct entry *entry)
{
    struct days_read *read = arg;
    if (entry->key.n != DAY_KEY_SIZE)
        return err_make(ERR_STORE_DAMAGED);
    struct wire_in in = wire_in(entry->value);
    struct day_total total = {.day = key_get_u32((const unsigned char *)entry->key.p + 1)};
    total.octets = wire_get_u64(&in);
    total.entries = wire_get_u64(&in);
    if (!wire_end(&in))
        return err_make(ERR_STORE_DAMAGED);
    if (!read->any)
        read->oldest = total;
    read->any = true;
    read->octets += total.octets;
    return err_none();
}

/* Removes a slice of a day, or its total once nothing else is left. */
static struct err day_cut(struct engine *engine, uint32_t day, struct arena *arena, bool *more_r)
{
    struct entry *entries;
    size_t count;
    struct partition partition = day_partition(day);
    struct err e =
        engine_scan(engine, partition, STR(""), str_null(), TRACE_SLICE, arena, &entries, &count);
    if (err_is(e))
        return e;
    struct op_list ops = op_list_take(arena, TRACE_SLICE + 1);
    int64_t octets = 0;
    for (size_t i = 0; i < count; i++) {
        op_list_add(&ops, OP_REMOVE, partition, entries[i].key, str_null());
        octets += (int64_t)(entries[i].key.n + entries[i].value.n);
    }
    if (count)
        growth_add(&ops, day, -octets, -(int64_t)count, arena);
    else
        op_list_add(&ops, OP_REMOVE, totals, day_key(day, arena), str_null());
    if (ops.over)
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    *more_r = true;
    return engine_commit_wait(engine, &commit);
}

struct err trace_expire(struct engine *engine, int64_t now, uint64_t days, uint64_t octets,
                        bool *more_r)
{
    struct arena arena;
    arena_init(&arena, 16 * 1024 * 1024);
    struct days_read read = {.any = false};
    *more_r = false;
    struct err e = scan_all(engine, totals, STR("d"), STR("e"), &arena, days_each, &read);
    uint32_t today = day_of(now);
    bool old = read.any && today > days && read.oldest.day < today - days;
    if (!err_is(e) && read.any && (old || read.octets > octets))
        e = day_cut(engine, read.oldest.day, &arena, more_r);
    arena_done(&arena);
    return e;
}
