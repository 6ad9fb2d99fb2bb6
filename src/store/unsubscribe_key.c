#include "store/unsubscribe_key.h"

enum {
    FORMAT = 1,
    RECORD = 1 + UNSUBSCRIBE_KEY,
    KEY_ARENA = 16 * 1024,
};

static const struct partition partition = {PARTITION_FORWARD, 0};

static struct err key_read(struct engine *engine, unsigned char key_r[UNSUBSCRIBE_KEY])
{
    struct arena arena;
    struct entry entry;
    arena_init(&arena, KEY_ARENA);
    struct err e = engine_get(engine, partition, STR("u"), &arena, &entry);
    if (!err_is(e) && (entry.value.n != RECORD || entry.value.p[0] != FORMAT))
        e = err_detail(ERR_STORE_DAMAGED, STR("the key of unsubscribing"));
    if (!err_is(e))
        memcpy(key_r, entry.value.p + 1, UNSUBSCRIBE_KEY);
    arena_wipe(&arena);
    return e;
}

/* Two that come at once make one: the second reads what the first has made. */
static struct err key_make(struct engine *engine, struct world *world)
{
    unsigned char record[RECORD] = {FORMAT};
    world_random(world, record + 1, UNSUBSCRIBE_KEY);
    struct op ops[] = {{.kind = OP_NEED_ABSENT, .partition = partition, .key = STR("u")},
                       {.kind = OP_PUT,
                        .partition = partition,
                        .key = STR("u"),
                        .value = str_make(record, RECORD)}};
    struct commit commit = {.ops = ops, .op_count = sizeof(ops) / sizeof(ops[0])};
    struct err e = engine_commit_wait(engine, &commit);
    explicit_bzero(record, sizeof(record));
    return e.code == ERR_CONFLICT ? err_none() : e;
}

struct err unsubscribe_key(struct engine *engine, struct world *world, bool make,
                           unsigned char key_r[UNSUBSCRIBE_KEY])
{
    struct err e = key_read(engine, key_r);
    if (e.code != ERR_NOT_FOUND || !make)
        return e;
    e = key_make(engine, world);
    return err_is(e) ? e : key_read(engine, key_r);
}
