#include "store/route_token.h"

#include "base/wire.h"

enum {
    FORMAT = 1,
    WRITE_ARENA = 64 << 10,
};

static const struct partition partition = {PARTITION_QUEUE, 0};

static struct str key_of(struct str name, struct arena *arena)
{
    struct buf key = buf_in(arena, name.n + 1);
    buf_putc(&key, 't');
    buf_put(&key, name);
    return buf_built(&key);
}

static struct err decode(struct str value, struct route_token *token_r)
{
    struct wire_in in = wire_in(value);
    bool known = wire_get_u8(&in) == FORMAT;
    token_r->since = (int64_t)wire_get_u64(&in);
    struct str grant = wire_get_octets(&in, SHA256_SIZE);
    token_r->refresh_token = wire_get_str(&in);
    if (!known || grant.n != SHA256_SIZE || !wire_end(&in))
        return err_detail(ERR_STORE_DAMAGED, STR("the token of a route"));
    memcpy(token_r->grant, grant.p, SHA256_SIZE);
    return err_none();
}

struct err route_token_read(struct engine *engine, struct str name, struct arena *arena,
                            struct route_token *token_r)
{
    struct entry entry;
    struct str key = key_of(name, arena);
    if (!key.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = engine_get(engine, partition, key, arena, &entry);
    return err_is(e) ? e : decode(entry.value, token_r);
}

static struct err commit_one(struct engine *engine, enum op_kind kind, struct str key,
                             struct str value)
{
    struct op op = {.kind = kind, .partition = partition, .key = key, .value = value};
    struct commit commit = {.ops = &op, .op_count = 1};
    return key.p ? engine_commit_wait(engine, &commit) : err_make(ERR_NO_MEMORY);
}

struct err route_token_write(struct engine *engine, struct str name,
                             const struct route_token *token)
{
    struct arena arena;
    arena_init(&arena, WRITE_ARENA);
    struct buf record = buf_in(&arena, WRITE_ARENA / 2);
    wire_put_u8(&record, FORMAT);
    wire_put_u64(&record, (uint64_t)token->since);
    buf_put(&record, str_make(token->grant, SHA256_SIZE));
    wire_put_str(&record, token->refresh_token);
    struct str value = buf_built(&record), key = key_of(name, &arena);
    struct err e = value.p ? commit_one(engine, OP_PUT, key, value) : err_make(ERR_NO_MEMORY);
    arena_wipe(&arena);
    return e;
}

struct err route_token_remove(struct engine *engine, struct str name)
{
    struct arena arena;
    arena_init(&arena, WRITE_ARENA);
    struct err e = commit_one(engine, OP_REMOVE, key_of(name, &arena), str_null());
    arena_done(&arena);
    return e;
}

struct err route_token_names(struct engine *engine, size_t limit, struct arena *arena,
                             struct str **names_r, size_t *count_r)
{
    struct entry *entries;
    size_t count = 0;
    *count_r = 0;
    struct err e =
        engine_scan(engine, partition, STR("t"), STR("u"), limit, arena, &entries, &count);
    if (err_is(e))
        return e;
    *names_r = arena_take_array(arena, count + 1, sizeof **names_r);
    if (!*names_r)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        (*names_r)[(*count_r)++] = str_from_index(entries[i].key, 1);
    return e;
}
