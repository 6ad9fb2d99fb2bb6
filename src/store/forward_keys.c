/*
 * Why one record: the keys live and change together, and a reader needs all of them.
 *
 * One process has the store open, so nobody else can have made keys between reading and commit;
 * that the value is still the one that was read is asked of the commit all the same.
 */
#include "store/forward_keys.h"

#include "base/wire.h"

enum {
    FORMAT = 1,
    RECORD_MAX = 256,
    KEYS_ARENA = 64 * 1024,
};

static const struct partition partition = {PARTITION_FORWARD, 0};

void forward_keys_encode(const struct forward_keys *keys, struct buf *to)
{
    wire_put_u8(to, FORMAT);
    wire_put_u64(to, (uint64_t)keys->made);
    wire_put_u8(to, keys->srs.has_before);
    buf_put(to, str_make(keys->srs.now, SRS_KEY));
    buf_put(to, str_make(keys->srs.before, SRS_KEY));
    buf_put(to, str_make(keys->loop.now, LOOP_KEY));
    buf_put(to, str_make(keys->loop.before, LOOP_KEY));
}

struct err forward_keys_decode(struct str record, struct forward_keys *keys_r)
{
    struct wire_in in = wire_in(record);
    uint8_t format = wire_get_u8(&in);
    struct forward_keys keys = {.made = (int64_t)wire_get_u64(&in)};
    keys.srs.has_before = keys.loop.has_before = wire_get_u8(&in) != 0;
    struct {
        unsigned char *to;
        size_t n;
    } parts[] = {{keys.srs.now, SRS_KEY},
                 {keys.srs.before, SRS_KEY},
                 {keys.loop.now, LOOP_KEY},
                 {keys.loop.before, LOOP_KEY}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct str octets = wire_get_octets(&in, parts[i].n);
        if (octets.n == parts[i].n)
            memcpy(parts[i].to, octets.p, octets.n);
    }
    if (!wire_end(&in) || format != FORMAT || keys.made <= 0)
        return err_detail(ERR_STORE_DAMAGED, STR("keys of forwards"));
    *keys_r = keys;
    return err_none();
}

static void turn(struct forward_keys *keys, struct world *world)
{
    bool any = keys->made != 0;
    memcpy(keys->srs.before, keys->srs.now, SRS_KEY);
    memcpy(keys->loop.before, keys->loop.now, LOOP_KEY);
    keys->srs.has_before = keys->loop.has_before = any;
    world_random(world, keys->srs.now, SRS_KEY);
    world_random(world, keys->loop.now, LOOP_KEY);
    keys->made = world_wall(world);
}

/* `before`: the record that was read; p == NULL: there was none. */
static struct err keep(struct engine *engine, const struct forward_keys *keys, struct str before,
                       struct arena *arena)
{
    struct buf record = buf_in(arena, RECORD_MAX);
    forward_keys_encode(keys, &record);
    struct str value = buf_built(&record);
    if (!value.p)
        return err_make(ERR_NO_MEMORY);
    struct op ops[] = {{.kind = before.p ? OP_NEED_VALUE : OP_NEED_ABSENT,
                        .partition = partition,
                        .key = STR("k"),
                        .value = before},
                       {.kind = OP_PUT, .partition = partition, .key = STR("k"), .value = value}};
    struct commit commit = {.ops = ops, .op_count = sizeof(ops) / sizeof(ops[0])};
    return engine_commit_wait(engine, &commit);
}

static struct err take(struct engine *engine, struct world *world, struct arena *arena,
                       struct forward_keys *keys_r)
{
    struct forward_keys keys = {.made = 0};
    struct entry entry = {.value = str_null()};
    struct err e = engine_get(engine, partition, STR("k"), arena, &entry);
    if (e.code == ERR_NOT_FOUND)
        e = err_none();
    else if (!err_is(e))
        (void)forward_keys_decode(entry.value, &keys); /* damaged ones are nobody's: new ones */
    if (!err_is(e) && (!keys.made || world_wall(world) - keys.made >= FORWARD_KEYS_EVERY)) {
        turn(&keys, world);
        e = keep(engine, &keys, entry.value, arena);
    }
    if (!err_is(e))
        *keys_r = keys;
    explicit_bzero(&keys, sizeof(keys));
    return e;
}

struct err forward_keys_take(struct engine *engine, struct world *world,
                             struct forward_keys *keys_r)
{
    struct arena arena;
    arena_init(&arena, KEYS_ARENA);
    struct err e = take(engine, world, &arena, keys_r);
    arena_wipe(&arena);
    return e;
}
