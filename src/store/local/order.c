/*
 * What one commit does to the index' rows.
 *
 * A commit says little: keys, values, blobs. Who owns a blob, where it is, what is alive in a
 * segment, which number comes next, all that is derived here, by one function for both times that a
 * commit is looked at: when it gets its turn, and when it is replayed. So the log need not hold
 * derived rows, and they cannot disagree with it.
 *
 * Rows are read through the layers below and written into the commit's own overlay, which is
 * dropped where the commit fails half way. Whether a blob lost its last owner is decided at the
 * end, so that a commit may move an entry from one key to another in any order.
 */
#include "base/wire.h"
#include "store/local/engine_local.h"

enum {
    TOUCHED_INLINE = 16
};

struct order {
    const struct layers *layers;
    struct overlay *rows;
    struct store_counts counts, counts_before;
    /* Blobs that may be without an owner at the end. */
    blob_id *touched;
    size_t touched_count, touched_cap;
    blob_id first_touched[TOUCHED_INLINE];
};

static struct err no_memory(void)
{
    return err_make(ERR_NO_MEMORY);
}

static struct err put(struct order *order, const struct index_key *key, struct str value)
{
    return overlay_put(order->rows, index_key_str(key), value) ? err_none() : no_memory();
}

static bool get(const struct order *order, const struct index_key *key, struct str *value_r)
{
    return layers_get(order->layers, index_key_str(key), value_r);
}

/* A row we wrote ourselves and whose sum fits has the size it must have, or the index is not ours.
 */
static struct err not_ours(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("a row of the index has a wrong size"));
}

/* --- Counts and segments --------------------------------------------------------------------- */

static struct err counts_load(struct order *order)
{
    struct index_key key = key_counts();
    struct str value;
    order->counts = (struct store_counts){.blob_next = 1};
    if (get(order, &key, &value) && !value_counts_decode(value, &order->counts))
        return not_ours();
    order->counts_before = order->counts;
    return err_none();
}

static bool counts_same(const struct store_counts *a, const struct store_counts *b)
{
    return a->blob_next == b->blob_next && a->entries == b->entries && a->blobs == b->blobs &&
           a->external == b->external;
}

/* A commit that changes none of them writes no row: the empty one that closes a torn tail has no
 * rows when it is written, and must have none when it is read. */
static struct err counts_save(struct order *order)
{
    struct index_key key = key_counts();
    unsigned char value[VALUE_COUNTS_SIZE];
    if (counts_same(&order->counts, &order->counts_before))
        return err_none();
    value_counts_encode(&order->counts, value);
    return put(order, &key, str_make(value, sizeof(value)));
}

static struct err segment_changes(struct order *order, const struct place *place, bool more)
{
    if (place->segment == 0) /* set aside by fsck */
        return err_none();
    struct index_key key = key_segment(place->segment);
    struct segment_use use = {0};
    struct str value;
    if (get(order, &key, &value) && !value_segment_decode(value, &use))
        return not_ours();
    use.live += more ? place->in_log : -place->in_log;
    use.blobs += more ? 1 : (uint64_t)-1;
    unsigned char octets[VALUE_SEGMENT_SIZE];
    value_segment_encode(&use, octets);
    return put(order, &key, use.blobs ? str_make(octets, sizeof(octets)) : str_null());
}

/* --- Blobs ----------------------------------------------------------------------------------- */

static void touched_give_back(struct order *order)
{
    if (order->touched != order->first_touched)
        spares_give(order->rows->spares, order->touched,
                    order->touched_cap * sizeof(*order->touched));
}

static struct err touch(struct order *order, blob_id blob)
{
    if (order->touched_count > 0 && order->touched[order->touched_count - 1] == blob)
        return err_none();
    if (order->touched_count == order->touched_cap) {
        size_t cap = order->touched_cap * 4;
        blob_id *more = spares_take(order->rows->spares, cap * sizeof(*more));
        if (!more)
            return no_memory();
        memcpy(more, order->touched, order->touched_count * sizeof(*more));
        touched_give_back(order);
        order->touched = more;
        order->touched_cap = cap;
    }
    order->touched[order->touched_count++] = blob;
    return err_none();
}

static struct err place_put(struct order *order, blob_id blob, const struct place *place)
{
    struct index_key key = key_place(blob);
    unsigned char value[VALUE_PLACE_SIZE];
    value_place_encode(place, value);
    return put(order, &key, str_make(value, sizeof(value)));
}

static struct err blob_arrives(struct order *order, const struct arrival *arrival)
{
    struct err e = place_put(order, arrival->blob, &arrival->place);
    if (!err_is(e))
        e = segment_changes(order, &arrival->place, true);
    if (!err_is(e))
        e = touch(order, arrival->blob);
    order->counts.blobs++;
    if (arrival->place.external)
        order->counts.external += arrival->place.body;
    if (arrival->blob >= order->counts.blob_next)
        order->counts.blob_next = arrival->blob + 1;
    return e;
}

static bool blob_has_owner(const struct order *order, blob_id blob)
{
    struct index_key prefix = key_owners_of(blob);
    struct layers_walk walk;
    struct str key, value;
    layers_seek(&walk, order->layers, index_key_str(&prefix), index_key_str(&prefix));
    return layers_next(&walk, &key, &value);
}

static struct err blob_goes(struct order *order, blob_id blob)
{
    struct index_key key = key_place(blob);
    struct place place;
    struct str value;
    if (!get(order, &key, &value))
        return err_none(); /* looked at twice */
    if (!value_place_decode(value, &place))
        return not_ours();
    order->counts.blobs--;
    if (place.external) {
        order->counts.external -= place.body;
        if (!overlay_doom(order->rows, blob))
            return no_memory();
    }
    struct err e = put(order, &key, str_null());
    return err_is(e) ? e : segment_changes(order, &place, false);
}

static struct err let_go_of_ownerless(struct order *order)
{
    struct err e = err_none();
    for (size_t i = 0; i < order->touched_count && !err_is(e); i++)
        if (!blob_has_owner(order, order->touched[i]))
            e = blob_goes(order, order->touched[i]);
    return e;
}

/* --- Entries --------------------------------------------------------------------------------- */

/* It has an owner now, as each blob that arrives gets one: no need to walk for one at the end. If
 * that goes again, the blob is touched again. Only the first few are looked at. */
static void untouch(struct order *order, blob_id blob)
{
    for (size_t i = 0; i < order->touched_count && i < TOUCHED_INLINE; i++)
        if (order->touched[i] == blob)
            order->touched[i] = order->touched[--order->touched_count];
}

static struct err own(struct order *order, blob_id blob, const struct op *op, struct str key,
                      bool owns)
{
    if (blob == 0)
        return err_none();
    struct index_key owner = key_owner(blob, op->partition, key);
    struct err e = put(order, &owner, owns ? STR("") : str_null());
    if (err_is(e) || !owns)
        return err_is(e) ? e : touch(order, blob);
    untouch(order, blob);
    return e;
}

/* What the entry refers to now; *found_r says whether there is one. A fresh one can only be of this
 * commit. */
static struct err entry_now(const struct order *order, const struct index_key *key, bool fresh,
                            bool *found_r, blob_id *blob_r, struct str *value_r)
{
    struct str value;
    *blob_r = 0;
    *found_r = fresh ? layers_get_first(order->layers, index_key_str(key), &value)
                     : get(order, key, &value);
    if (*found_r && !value_entry_decode(value, blob_r, value_r))
        return not_ours();
    return err_none();
}

static struct err entry_put(struct order *order, const struct op *op, struct str key,
                            const struct str *parts, size_t count, struct row **row_r)
{
    struct index_key entry = key_entry(op->partition, key);
    struct str old_value;
    blob_id old;
    bool found;
    struct err e = entry_now(order, &entry, op->fresh, &found, &old, &old_value);
    if (err_is(e))
        return e;
    order->counts.entries += found ? 0 : 1;
    if (old != op->blob) {
        e = own(order, old, op, key, false);
        if (!err_is(e))
            e = own(order, op->blob, op, key, true);
    }
    if (err_is(e))
        return e;
    *row_r = overlay_put_parts(order->rows, index_key_str(&entry), parts, count);
    return *row_r ? err_none() : no_memory();
}

static struct err entry_remove(struct order *order, const struct op *op)
{
    struct index_key entry = key_entry(op->partition, op->key);
    struct str value;
    blob_id old;
    bool found;
    struct err e = entry_now(order, &entry, false, &found, &old, &value);
    if (err_is(e) || !found)
        return e;
    order->counts.entries--;
    e = own(order, old, op, op->key, false);
    return err_is(e) ? e : put(order, &entry, str_null());
}

/* --- Numbers --------------------------------------------------------------------------------- */

static struct err numbers_load(const struct order *order, struct partition partition,
                               struct numbers *numbers_r)
{
    struct index_key key = key_numbers(partition);
    struct str value;
    *numbers_r = (struct numbers){1, 1};
    if (!get(order, &key, &value))
        return err_none();
    return value_numbers_decode(value, numbers_r) ? err_none() : not_ours();
}

static struct err numbers_save(struct order *order, struct partition partition,
                               const struct numbers *numbers)
{
    struct index_key key = key_numbers(partition);
    unsigned char value[VALUE_NUMBERS_SIZE];
    value_numbers_encode(numbers, value);
    return put(order, &key, str_make(value, sizeof(value)));
}

static struct err numbers_give(struct order *order, struct op *op)
{
    if (op->kind != OP_APPEND && !op->stamp)
        return err_none();
    struct numbers numbers;
    struct err e = numbers_load(order, op->partition, &numbers);
    if (err_is(e))
        return e;
    if (op->kind == OP_APPEND && numbers.uid_next == UINT32_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("the partition has given out every UID"));
    if (op->kind == OP_APPEND)
        op->uid = numbers.uid_next++;
    if (op->stamp)
        op->modseq = numbers.modseq_next++;
    return numbers_save(order, op->partition, &numbers);
}

/* Numbers only rise: a replayed operation never takes one back. */
static struct err numbers_pass(struct order *order, const struct op *op)
{
    if (op->kind != OP_APPEND && !op->stamp)
        return err_none();
    struct numbers numbers;
    struct err e = numbers_load(order, op->partition, &numbers);
    if (err_is(e))
        return e;
    if (op->kind == OP_APPEND && op->uid >= numbers.uid_next)
        numbers.uid_next = op->uid + 1;
    if (op->stamp && op->modseq >= numbers.modseq_next)
        numbers.modseq_next = op->modseq + 1;
    return numbers_save(order, op->partition, &numbers);
}

/* --- One operation, at its turn -------------------------------------------------------------- */

static void le64(unsigned char to[8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

/* Writes the entry of a PUT, APPEND or ADD, and the operation as it was decided. */
static struct err op_write(struct order *order, const struct op *op, struct str key,
                           struct str value, struct delta_writer *writer)
{
    unsigned char blob[8], modseq[8];
    le64(blob, op->blob);
    le64(modseq, op->modseq);
    struct str parts[3] = {str_make(blob, 8), value, str_null()};
    if (op->stamp) {
        parts[1] = str_make(modseq, 8);
        parts[2] = str_from_index(value, 8);
    }
    struct row *row;
    struct err e = entry_put(order, op, key, parts, op->stamp ? 3 : 2, &row);
    if (err_is(e) || !writer)
        return e;
    struct op decided = *op;
    decided.key = key;
    decided.value = str_from_index(row_value(row), VALUE_ENTRY_EXTRA);
    deltas_op(writer, &decided);
    return err_none();
}

static struct err op_append(struct order *order, struct op *op, struct delta_writer *writer)
{
    unsigned char key[ENGINE_KEY_MAX];
    must(op->key.n + 4 <= sizeof(key));
    if (op->key.n > 0)
        memcpy(key, op->key.p, op->key.n);
    key_put_u32(key + op->key.n, op->uid);
    struct op fresh = *op;
    fresh.fresh = true; /* the UID is */
    return op_write(order, &fresh, str_make(key, op->key.n + 4), op->value, writer);
}

/* Unsigned sums wrap as the signed numbers they stand for do. */
static struct err op_add(struct order *order, const struct op *op, struct delta_writer *writer)
{
    struct index_key entry = key_entry(op->partition, op->key);
    struct str old = str_null();
    blob_id blob;
    bool found;
    struct err e = entry_now(order, &entry, false, &found, &blob, &old);
    if (err_is(e))
        return e;
    if (old.n > op->value.n || blob)
        return err_make(ERR_CONFLICT);
    must(old.n % 8 == 0);
    struct wire_in now = wire_in(found ? old : str_null()), more = wire_in(op->value);
    unsigned char sums[ADD_NUMBERS_MAX * 8];
    for (size_t i = 0; i < op->value.n; i += 8)
        le64(sums + i, wire_get_u64(&now) + wire_get_u64(&more));
    return op_write(order, op, op->key, str_make(sums, op->value.n), writer);
}

static struct err op_decide(struct order *order, struct op *op, struct delta_writer *writer)
{
    struct err e = numbers_give(order, op);
    if (err_is(e))
        return e;
    switch (op->kind) {
    case OP_PUT:
        return op_write(order, op, op->key, op->value, writer);
    case OP_APPEND:
        return op_append(order, op, writer);
    case OP_ADD:
        return op_add(order, op, writer);
    case OP_REMOVE:
        e = entry_remove(order, op);
        if (!err_is(e))
            deltas_op(writer, op);
        return e;
    case OP_NEED_ABSENT:
    case OP_NEED_PRESENT:
    case OP_NEED_VALUE:
        break;
    }
    return err_none();
}

/* --- Preconditions --------------------------------------------------------------------------- */

static struct err need_holds(const struct order *order, const struct op *op)
{
    struct index_key entry = key_entry(op->partition, op->key);
    struct str value = str_null();
    blob_id blob;
    bool found;
    struct err e = entry_now(order, &entry, false, &found, &blob, &value);
    if (err_is(e))
        return e;
    bool holds = op->kind == OP_NEED_ABSENT    ? !found
                 : op->kind == OP_NEED_PRESENT ? found
                                               : found && str_eq(value, op->value);
    return holds ? err_none() : err_make(ERR_CONFLICT);
}

/* A blob that is gone by now: its last entry was removed after the caller looked. */
static struct err blob_is_there(const struct order *order, blob_id blob)
{
    struct index_key key = key_place(blob);
    struct str value;
    return blob == 0 || get(order, &key, &value) ? err_none() : err_make(ERR_CONFLICT);
}

static struct err blob_is_new(const struct order *order, blob_id blob)
{
    if (blob >= order->counts.blob_next)
        return err_none();
    return err_is(blob_is_there(order, blob)) ? err_none()
                                              : err_detail(ERR_CONFLICT, STR("the blob is there"));
}

static struct err needs_hold(const struct order *order, const struct op *ops, size_t count)
{
    struct err e = err_none();
    for (size_t i = 0; i < count && !err_is(e); i++)
        if (ops[i].kind == OP_NEED_ABSENT || ops[i].kind == OP_NEED_PRESENT ||
            ops[i].kind == OP_NEED_VALUE)
            e = need_holds(order, &ops[i]);
    return e;
}

/* --- Commits --------------------------------------------------------------------------------- */

static struct err order_begin(struct order *order, const struct layers *layers,
                              struct overlay *rows, const struct arrival *arrivals, size_t count)
{
    must(layers->count > 0 && layers->overlays[0] == rows && rows->count == 0);
    order->layers = layers;
    order->rows = rows;
    order->touched = order->first_touched;
    order->touched_count = 0;
    order->touched_cap = TOUCHED_INLINE;
    struct err e = counts_load(order);
    for (size_t i = 0; i < count && !err_is(e); i++) {
        e = blob_is_new(order, arrivals[i].blob);
        if (!err_is(e))
            e = blob_arrives(order, &arrivals[i]);
    }
    return e;
}

static struct err order_end(struct order *order, struct err e)
{
    if (!err_is(e))
        e = let_go_of_ownerless(order);
    if (!err_is(e))
        e = counts_save(order);
    touched_give_back(order);
    return e;
}

struct err order_commit(const struct layers *layers, struct overlay *rows, struct op *ops,
                        size_t count, const struct arrival *arrivals, size_t arrival_count,
                        struct delta_writer *writer)
{
    struct order order;
    struct err e = order_begin(&order, layers, rows, arrivals, arrival_count);
    if (!err_is(e))
        e = needs_hold(&order, ops, count);
    for (size_t i = 0; i < count && !err_is(e); i++)
        if (ops[i].kind == OP_PUT || ops[i].kind == OP_APPEND)
            e = blob_is_there(&order, ops[i].blob);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = op_decide(&order, &ops[i], writer);
    return order_end(&order, e);
}

static struct err op_replay(struct order *order, const struct op *op)
{
    struct err e = numbers_pass(order, op);
    if (err_is(e))
        return e;
    if (op->kind == OP_REMOVE)
        return entry_remove(order, op);
    /* The value has its modseq already. */
    struct op decided = *op;
    decided.stamp = false;
    return op_write(order, &decided, op->key, op->value, NULL);
}

struct err order_replayed(const struct layers *layers, struct overlay *rows, const struct op *ops,
                          size_t count, const struct arrival *arrivals, size_t arrival_count)
{
    struct order order;
    struct err e = order_begin(&order, layers, rows, arrivals, arrival_count);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = op_replay(&order, &ops[i]);
    return order_end(&order, e);
}

static struct err blob_moves(struct order *order, const struct arrival *arrival)
{
    struct index_key key = key_place(arrival->blob);
    struct place old;
    struct str value;
    if (!get(order, &key, &value))
        return err_none(); /* it went while it was copied */
    if (!value_place_decode(value, &old))
        return not_ours();
    struct err e = segment_changes(order, &old, false);
    if (!err_is(e))
        e = segment_changes(order, &arrival->place, true);
    return err_is(e) ? e : place_put(order, arrival->blob, &arrival->place);
}

struct err order_moves(const struct layers *layers, struct overlay *rows,
                       const struct arrival *arrivals, size_t arrival_count)
{
    struct order order;
    struct err e = order_begin(&order, layers, rows, NULL, 0);
    for (size_t i = 0; i < arrival_count && !err_is(e); i++)
        e = blob_moves(&order, &arrivals[i]);
    return order_end(&order, e);
}
