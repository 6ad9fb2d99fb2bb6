/*
 * A growing list of operations for one commit (engine.h), in memory the caller gave: modules add
 * theirs, the caller commits. What does not fit is not added, and `over` says so from then on; the
 * caller checks once. Keys and values are borrowed until the commit is done.
 */
#ifndef STORE_OP_LIST_H
#define STORE_OP_LIST_H

#include "store/engine.h"

struct op_list {
    struct op *ops;
    size_t count;
    size_t cap;
    bool over;
};

/* Room for `cap` operations in the arena; over at once where the arena is full. */
struct op_list op_list_take(struct arena *arena, size_t cap);

/* Room for `count` more; the operations may move. False: no memory, nothing changed. */
bool op_list_more(struct op_list *list, struct arena *arena, size_t count);

/* The operation added, for what the caller wants to set beyond it; NULL where it did not fit. */
struct op *op_list_add(struct op_list *list, enum op_kind kind, struct partition partition,
                       struct str key, struct str value);

#endif
