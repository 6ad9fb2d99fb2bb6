/*
 * A change reads all keys of its domain, decides, and commits only if what it read is still there:
 * so no two keys of a kind are active, whoever else was at it.
 *
 * Private keys are in the arena of a reading only, which is wiped. Rows of before stay in the log
 * until compaction; who reads that reads all mail anyway.
 */
#include "store/dkim.h"

#include "base/must.h"
#include "base/wire.h"
#include "format/date.h"
#include "store/op_list.h"

enum {
    FORMAT = 1,
    KEY_MAX = 1 + DKIM_DOMAIN_MAX + 1 + 63,
    VALUE_MAX = DKIM_KEY_MAX + DKIM_RECORD_MAX + 64,
    PAGE = 100, /* rows of one scan */
    PAGE_ARENA = 1 << 20,
    DOMAIN_ARENA = 4 << 20, /* a change: all of a domain, and what is written */
    MONTH_DIGITS = 7,       /* of "2026-11" */
    US_A_SECOND = 1000000,
};

static const struct partition partition = {PARTITION_DKIM, 0};

struct str dkim_state_name(enum dkim_state state)
{
    static const struct str names[] = {[DKIM_MADE] = STR_INIT("made"),
                                       [DKIM_ACTIVE] = STR_INIT("active"),
                                       [DKIM_RETIRING] = STR_INIT("retiring"),
                                       [DKIM_RETIRED] = STR_INIT("retired")};
    must(state >= DKIM_MADE && state <= DKIM_RETIRED);
    return names[state];
}

/* --- Rows ------------------------------------------------------------------------------------- */

static struct str key_of(struct str domain, struct str selector, struct arena *arena)
{
    struct buf key = buf_in(arena, KEY_MAX);
    buf_putc(&key, 'k');
    buf_put(&key, domain);
    buf_putc(&key, '\0');
    buf_put(&key, selector);
    return buf_built(&key);
}

static struct str value_of(const struct dkim_kept *kept, struct arena *arena)
{
    struct buf value = buf_in(arena, VALUE_MAX);
    wire_put_u8(&value, FORMAT);
    wire_put_u8(&value, (uint8_t)kept->algorithm);
    wire_put_u8(&value, (uint8_t)kept->state);
    wire_put_u64(&value, (uint64_t)kept->created);
    wire_put_u64(&value, (uint64_t)kept->since);
    wire_put_short(&value, kept->record);
    wire_put_short(&value, kept->private_key);
    return buf_built(&value);
}

static bool row_read(const struct entry *entry, struct dkim_kept *kept_r)
{
    struct wire_in in = wire_in(entry->value);
    struct str names = str_from_index(entry->key, 1);
    uint8_t format = wire_get_u8(&in), algorithm = wire_get_u8(&in), state = wire_get_u8(&in);
    *kept_r = (struct dkim_kept){.algorithm = algorithm, .state = state};
    kept_r->created = (int64_t)wire_get_u64(&in);
    kept_r->since = (int64_t)wire_get_u64(&in);
    kept_r->record = wire_get_short(&in);
    kept_r->private_key = wire_get_short(&in);
    kept_r->domain = str_cut(&names, '\0');
    kept_r->selector = names;
    return wire_end(&in) && format == FORMAT && names.n &&
           (algorithm == DKIM_RSA || algorithm == DKIM_ED25519) && state >= DKIM_MADE &&
           state <= DKIM_RETIRED;
}

static struct err damaged(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("a row of the signing keys"));
}

/* --- Reading ---------------------------------------------------------------------------------- */

struct walk {
    struct engine *engine;
    struct err (*each)(void *arg, const struct dkim_kept *);
    void *arg;
};

/* A page of rows from `from` on, which goes behind the last one. */
static struct err page_each(const struct walk *walk, struct buf *from, struct str until,
                            bool *more_r)
{
    struct arena arena;
    struct entry *entries;
    struct dkim_kept kept;
    size_t count = 0;
    arena_init(&arena, PAGE_ARENA);
    struct err e =
        engine_scan(walk->engine, partition, buf_str(from), until, PAGE, &arena, &entries, &count);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = row_read(&entries[i], &kept) ? walk->each(walk->arg, &kept) : damaged();
    *more_r = !err_is(e) && count == PAGE;
    if (*more_r) {
        buf_clear(from);
        buf_put(from, entries[count - 1].key);
        buf_putc(from, '\0');
    }
    arena_wipe(&arena);
    return e;
}

struct err dkim_kept_each(struct engine *engine, struct str domain,
                          struct err (*each)(void *arg, const struct dkim_kept *), void *arg)
{
    const struct walk walk = {.engine = engine, .each = each, .arg = arg};
    char first[KEY_MAX + 1], last[KEY_MAX + 1];
    struct buf from = {.p = first, .cap = sizeof(first), .max = sizeof(first)};
    struct buf until = {.p = last, .cap = sizeof(last), .max = sizeof(last)};
    bool more = true;
    struct err e = err_none();
    buf_putc(&from, 'k');
    buf_putc(&until, domain.p ? 'k' : 'l');
    if (domain.p) {
        buf_put(&from, domain);
        buf_putc(&from, '\0');
        buf_put(&until, domain);
        buf_putc(&until, '\1');
    }
    if (buf_over(&from) || buf_over(&until))
        return err_none(); /* no domain is so long */
    while (more && !err_is(e))
        e = page_each(&walk, &from, buf_str(&until), &more);
    return e;
}

/* --- Changing --------------------------------------------------------------------------------- */

/* All keys of one domain, and what is to become of them. */
struct change {
    struct engine *engine;
    struct str domain;
    struct arena arena;
    struct dkim_kept keys[DKIM_KEYS_MAX];
    size_t count;
    struct op_list ops;
};

static struct err key_note(void *arg, const struct dkim_kept *kept)
{
    struct change *change = arg;
    if (change->count == DKIM_KEYS_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("it has more than 200 keys"));
    struct dkim_kept *noted = &change->keys[change->count++];
    *noted = *kept;
    noted->domain = change->domain;
    noted->selector = arena_str(&change->arena, kept->selector);
    noted->record = arena_str(&change->arena, kept->record);
    noted->private_key = arena_str(&change->arena, kept->private_key);
    return err_make(arena_over(&change->arena) ? ERR_NO_MEMORY : ERR_NONE);
}

static struct err change_begin(struct engine *engine, struct str domain, struct change **change_r)
{
    struct change *change = *change_r = calloc(1, sizeof(*change));
    if (!change)
        return err_make(ERR_NO_MEMORY);
    change->engine = engine;
    change->domain = domain;
    arena_init(&change->arena, DOMAIN_ARENA);
    change->ops = op_list_take(&change->arena, 2 * DKIM_KEYS_MAX + 8);
    return dkim_kept_each(engine, domain, key_note, change);
}

/* With what was decided, or an error; wipes what it read. NULL: it did not begin. */
static struct err change_end(struct change *change, struct err e)
{
    if (!change)
        return e;
    struct commit commit = {.ops = change->ops.ops, .op_count = change->ops.count};
    if (!err_is(e) && (change->ops.over || arena_over(&change->arena)))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e) && commit.op_count)
        e = engine_commit_wait(change->engine, &commit);
    arena_wipe(&change->arena);
    free(change);
    return e;
}

static struct dkim_kept *key_find(struct change *change, struct str selector)
{
    for (size_t i = 0; i < change->count; i++)
        if (str_eq(change->keys[i].selector, selector))
            return &change->keys[i];
    return NULL;
}

static size_t state_count(const struct change *change, enum dkim_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < change->count; i++)
        count += change->keys[i].state == state;
    return count;
}

/* Provided that the row is as it was read. */
static void key_move(struct change *change, struct dkim_kept *key, enum dkim_state state,
                     int64_t now)
{
    struct str name = key_of(change->domain, key->selector, &change->arena);
    op_list_add(&change->ops, OP_NEED_VALUE, partition, name, value_of(key, &change->arena));
    key->state = state;
    key->since = now;
    if (state >= DKIM_RETIRING)
        key->private_key = str_null();
    op_list_add(&change->ops, OP_PUT, partition, name, value_of(key, &change->arena));
}

struct err dkim_kept_published(struct engine *engine, struct str domain, struct str selector,
                               int64_t now)
{
    struct change *change;
    struct err e = change_begin(engine, domain, &change);
    struct dkim_kept *key = err_is(e) ? NULL : key_find(change, selector);
    if (!err_is(e) && (!key || key->state > DKIM_ACTIVE))
        e = err_detail(ERR_NOT_FOUND, STR("no key waits under this selector"));
    if (!err_is(e) && key->state == DKIM_MADE) {
        for (size_t i = 0; i < change->count; i++)
            if (change->keys[i].state == DKIM_ACTIVE && change->keys[i].algorithm == key->algorithm)
                key_move(change, &change->keys[i], DKIM_RETIRING, now); /* K2 -> K3 */
        key_move(change, key, DKIM_ACTIVE, now);                        /* K1 -> K2 */
    }
    return change_end(change, e);
}

struct err dkim_kept_retired(struct engine *engine, struct str domain, struct str selector,
                             int64_t now)
{
    struct change *change;
    struct err e = change_begin(engine, domain, &change);
    struct dkim_kept *key = err_is(e) ? NULL : key_find(change, selector);
    if (!err_is(e) && (!key || key->state != DKIM_RETIRING))
        e = err_detail(ERR_NOT_FOUND, STR("no key retires under this selector"));
    if (!err_is(e))
        key_move(change, key, DKIM_RETIRED, now); /* K3 -> K4 */
    return change_end(change, e);
}

struct err dkim_kept_remove(struct engine *engine, struct str domain, struct str selector)
{
    struct change *change;
    struct err e = change_begin(engine, domain, &change);
    for (size_t i = 0; !err_is(e) && i < change->count; i++)
        if (!selector.p || str_eq(change->keys[i].selector, selector))
            op_list_add(&change->ops, OP_REMOVE, partition,
                        key_of(domain, change->keys[i].selector, &change->arena), str_null());
    if (!err_is(e) && !change->ops.count && !change->ops.over)
        e = err_detail(ERR_NOT_FOUND, STR("there is no such key"));
    return change_end(change, e);
}

/* --- A pair more ------------------------------------------------------------------------------ */

static struct err addable(const struct change *change, bool first, size_t count)
{
    if (state_count(change, DKIM_MADE))
        return err_detail(ERR_EXISTS, STR("new keys wait for their records to be published"));
    if (first && state_count(change, DKIM_ACTIVE))
        return err_detail(ERR_EXISTS, STR("the domain has keys; dkim rotate makes the next"));
    if (!first && !state_count(change, DKIM_ACTIVE))
        return err_detail(ERR_NOT_FOUND, STR("the domain has no keys; dkim add makes the first"));
    if (change->count + count > DKIM_KEYS_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("it has too many keys; remove what is retired"));
    return err_none();
}

/* 202611 */
static uint32_t month_of(int64_t now)
{
    char text[64];
    struct buf date = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    uint32_t month = 0;
    date_print_rfc3339(&date, now / US_A_SECOND);
    for (size_t i = 0; i < MONTH_DIGITS; i++)
        if (ascii_is_digit(text[i]))
            month = month * 10 + (uint32_t)(text[i] - '0');
    return month;
}

struct pair {
    uint32_t month;
    uint8_t letter; /* from 0 */
};

/* Behind the last one, even where the clock went back. */
static struct err pair_next(struct pair *pair, uint32_t month)
{
    if (month > pair->month)
        *pair = (struct pair){.month = month};
    else if (pair->letter + 1 == DKIM_PAIRS_A_MONTH)
        return err_detail(ERR_OVER_LIMIT, STR("26 pairs of keys in a month are the most"));
    else
        pair->letter++;
    return err_none();
}

/* Takes the domain's next pair, provided that nobody else does. */
static struct err pair_take(struct change *change, int64_t now, struct pair *pair_r)
{
    struct buf name = buf_in(&change->arena, KEY_MAX), value = buf_in(&change->arena, 8);
    struct entry entry;
    buf_putc(&name, 'n');
    buf_put(&name, change->domain);
    struct str key = buf_built(&name);
    struct err e = engine_get(change->engine, partition, key, &change->arena, &entry);
    bool there = !err_is(e);
    if (there) {
        struct wire_in in = wire_in(entry.value);
        pair_r->month = wire_get_u32(&in);
        pair_r->letter = wire_get_u8(&in);
        if (!wire_end(&in))
            return damaged();
    } else if (e.code != ERR_NOT_FOUND) {
        return e;
    }
    e = pair_next(pair_r, month_of(now));
    wire_put_u32(&value, pair_r->month);
    wire_put_u8(&value, pair_r->letter);
    op_list_add(&change->ops, there ? OP_NEED_VALUE : OP_NEED_ABSENT, partition, key,
                there ? entry.value : str_null());
    op_list_add(&change->ops, OP_PUT, partition, key, buf_built(&value));
    return e;
}

static void key_add(struct change *change, const struct dkim_new *new, struct pair pair,
                    int64_t now)
{
    struct buf selector = buf_in(&change->arena, DKIM_SELECTOR_MAX);
    buf_printf(&selector, "v%06u%c-%s", pair.month, 'a' + pair.letter,
               new->algorithm == DKIM_RSA ? "rsa" : "ed");
    const struct dkim_kept kept = {.selector = buf_built(&selector),
                                   .algorithm = new->algorithm,
                                   .state = DKIM_MADE,
                                   .created = now,
                                   .since = now,
                                   .record = new->record,
                                   .private_key = new->private_key};
    struct str key = key_of(change->domain, kept.selector, &change->arena);
    op_list_add(&change->ops, OP_NEED_ABSENT, partition, key, str_null());
    op_list_add(&change->ops, OP_PUT, partition, key, value_of(&kept, &change->arena));
}

struct err dkim_kept_add(struct engine *engine, struct str domain, bool first,
                         const struct dkim_new *keys, size_t count, int64_t now)
{
    struct change *change;
    struct pair pair = {.month = 0};
    struct err e = change_begin(engine, domain, &change);
    if (!err_is(e))
        e = addable(change, first, count);
    if (!err_is(e))
        e = pair_take(change, now, &pair);
    for (size_t i = 0; i < count && !err_is(e); i++)
        key_add(change, &keys[i], pair, now);
    return change_end(change, e);
}
