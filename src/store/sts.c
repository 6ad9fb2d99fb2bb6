#include "store/sts.h"

#include "base/wire.h"
#include "store/op_list.h"

enum {
    FORMAT = 1,
    WRITE_ARENA = 128 << 10,
};

static const struct partition partition = {PARTITION_STS, 0};

static struct str value_of(const struct sts_kept *kept, struct arena *arena)
{
    struct buf value = buf_in(arena, ENGINE_VALUE_MAX);
    wire_put_u8(&value, FORMAT);
    wire_put_u8(&value, kept->mode);
    wire_put_u64(&value, (uint64_t)kept->fetched);
    wire_put_u64(&value, (uint64_t)kept->until);
    wire_put_u32(&value, kept->used);
    wire_put_short(&value, kept->id);
    wire_put_str(&value, kept->policy);
    return buf_built(&value);
}

static bool row_read(const struct entry *entry, struct sts_kept *kept_r)
{
    struct wire_in in = wire_in(entry->value);
    bool known = wire_get_u8(&in) == FORMAT;
    *kept_r = (struct sts_kept){.domain = entry->key, .mode = wire_get_u8(&in)};
    kept_r->fetched = (int64_t)wire_get_u64(&in);
    kept_r->until = (int64_t)wire_get_u64(&in);
    kept_r->used = wire_get_u32(&in);
    kept_r->id = wire_get_short(&in);
    kept_r->policy = wire_get_str(&in);
    return known && wire_end(&in) && kept_r->mode < STS_MODES && kept_r->id.n <= STS_ID_MAX;
}

struct err sts_kept_read(struct engine *engine, struct str domain, struct arena *arena,
                         struct sts_kept *kept_r)
{
    struct entry entry;
    if (domain.n == 0 || domain.n > ENGINE_KEY_MAX)
        return err_make(ERR_NOT_FOUND);
    struct err e = engine_get(engine, partition, domain, arena, &entry);
    if (err_is(e))
        return e;
    return row_read(&entry, kept_r) ? e : err_detail(ERR_STORE_DAMAGED, STR("an MTA-STS policy"));
}

static struct err commit_one(struct engine *engine, enum op_kind kind, struct str domain,
                             struct str value)
{
    struct op op = {.kind = kind, .partition = partition, .key = domain, .value = value};
    struct commit commit = {.ops = &op, .op_count = 1};
    return engine_commit_wait(engine, &commit);
}

struct err sts_kept_write(struct engine *engine, const struct sts_kept *kept)
{
    struct arena arena;
    arena_init(&arena, WRITE_ARENA);
    struct str value = value_of(kept, &arena);
    struct err e =
        value.p ? commit_one(engine, OP_PUT, kept->domain, value) : err_make(ERR_OVER_LIMIT);
    arena_done(&arena);
    return e;
}

struct err sts_kept_remove(struct engine *engine, struct str domain)
{
    return commit_one(engine, OP_REMOVE, domain, str_null());
}

struct err sts_kept_page(struct engine *engine, struct str after, size_t limit, struct arena *arena,
                         struct sts_page *page_r)
{
    struct buf from = buf_in(arena, ENGINE_KEY_MAX + 1);
    struct entry *entries;
    size_t count = 0;
    *page_r = (struct sts_page){.count = 0};
    buf_put(&from, after);
    if (after.n > 0)
        buf_putc(&from, '\0');
    struct err e = engine_scan(engine, partition, buf_built(&from), str_null(), limit, arena,
                               &entries, &count);
    if (err_is(e))
        return e;
    page_r->kept = arena_take_array(arena, count + 1, sizeof(*page_r->kept));
    if (!page_r->kept)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        page_r->count += row_read(&entries[i], &page_r->kept[page_r->count]);
    page_r->last = count > 0 ? entries[count - 1].key : STR("");
    page_r->more = count == limit;
    return e;
}
