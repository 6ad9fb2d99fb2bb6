/* Operations are counted before they are added, so a list never grows and an op never moves: its
 * address is good until the commit is done. */
#include "store/op_list.h"

struct op_list op_list_take(struct arena *arena, size_t cap)
{
    struct op_list list = {.ops = arena_take_array(arena, cap, sizeof(struct op)), .cap = cap};
    list.over = list.ops == NULL;
    return list;
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
