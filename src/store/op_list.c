/* Operations are counted before they are added, so an op moves only where op_list_more is called:
 * else its address is good until the commit is done. */
#include "store/op_list.h"

struct op_list op_list_take(struct arena *arena, size_t cap)
{
    struct op_list list = {.ops = arena_take_array(arena, cap, sizeof(struct op)), .cap = cap};
    list.over = list.ops == NULL;
    return list;
}

bool op_list_more(struct op_list *list, struct arena *arena, size_t count)
{
    struct op *ops = arena_resize(arena, list->ops, list->cap * sizeof(*ops),
                                  (list->cap + count) * sizeof(*ops));
    if (!ops)
        return false;
    list->ops = ops;
    list->cap += count;
    return true;
}

struct op *op_list_add(struct op_list *list, enum op_kind kind, struct partition partition,
                       struct str key, struct str value)
{
    if (list->over || list->count == list->cap || key.p == NULL) {
        list->over = true;
        return NULL;
    }
    struct op *op = &list->ops[list->count++];
    *op = (struct op){.kind = kind, .partition = partition, .key = key, .value = value};
    return op;
}
