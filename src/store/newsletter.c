#include "store/newsletter.h"

#include "base/wire.h"
#include "store/queue.h"

enum {
    FORMAT = 1,
    RECORD_MAX = 4096,
    KEY = 1 + 8,
};

static struct str key_make(uint64_t id, struct arena *arena)
{
    unsigned char *key = arena_take(arena, KEY);
    if (!key)
        return str_null();
    key[0] = 'n';
    key_put_u64(key + 1, id);
    return str_make(key, KEY);
}

void newsletter_put_ops(const struct newsletter *newsletter, struct arena *arena,
                        struct op_list *ops)
{
    struct buf record = buf_in(arena, RECORD_MAX);
    wire_put_u8(&record, FORMAT);
    wire_put_str(&record, newsletter->list);
    wire_put_str(&record, newsletter->after);
    wire_put_u64(&record, newsletter->sent);
    struct op *op = op_list_add(ops, OP_PUT, queue_partition(), key_make(newsletter->id, arena),
                                buf_built(&record));
    if (op)
        op->blob = newsletter->blob;
}

void newsletter_remove_ops(uint64_t id, struct arena *arena, struct op_list *ops)
{
    op_list_add(ops, OP_REMOVE, queue_partition(), key_make(id, arena), str_null());
}

struct err newsletter_read(struct engine *engine, uint64_t id, struct arena *arena,
                           struct newsletter *newsletter_r)
{
    struct entry entry;
    struct str key = key_make(id, arena);
    struct err e =
        key.p ? engine_get(engine, queue_partition(), key, arena, &entry) : err_make(ERR_NO_MEMORY);
    if (err_is(e))
        return e;
    struct wire_in in = wire_in(entry.value);
    uint8_t format = wire_get_u8(&in);
    *newsletter_r = (struct newsletter){.id = id, .blob = entry.blob};
    newsletter_r->list = wire_get_str(&in);
    newsletter_r->after = wire_get_str(&in);
    newsletter_r->sent = wire_get_u64(&in);
    return wire_end(&in) && format == FORMAT
               ? e
               : err_detail(ERR_STORE_DAMAGED, STR("an issue of a newsletter"));
}

struct err newsletters_find(struct engine *engine, struct arena *arena, uint64_t **ids_r,
                            size_t *count_r)
{
    struct entry *entries;
    size_t count;
    struct err e = engine_scan(engine, queue_partition(), STR("n"), STR("o"), NEWSLETTERS_MAX,
                               arena, &entries, &count);
    uint64_t *ids = err_is(e) ? NULL : arena_take_array(arena, count, sizeof(*ids));
    *count_r = 0;
    *ids_r = ids;
    for (size_t i = 0; ids && i < count; i++)
        if (entries[i].key.n == KEY)
            ids[(*count_r)++] = key_get_u64((const unsigned char *)entries[i].key.p + 1);
    return err_is(e) || ids ? e : err_make(ERR_NO_MEMORY);
}
