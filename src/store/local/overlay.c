/*
 * A hash table for finding and a tree for walking, because a delivery finds twenty keys and walks
 * nowhere: rows come into the tree when the next walk needs them, and those that nobody walks over
 * are put in order once, by the applier's thread. Only when a mailbox is read beside a stream of
 * deliveries does each row pay for both.
 *
 * Keys are not chosen by strangers: numbers we gave out, digests, names in the directory.
 *
 * Moving rows from one stage's overlay to the next must not fail, because by then the group is
 * durable: it takes no memory, but for a larger table, and without that the old one does.
 */
#include "store/local/overlay.h"

#include "base/hash.h"

/* Most keys that are looked for are not there: an empty slot says so without a look at a row. */
enum {
    SLOTS_A_ROW = 2,
    GROWS_BY = 4,
};

static int row_order(const struct row *a, const struct row *b)
{
    return str_cmp(row_key(a), row_key(b));
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(row_tree, row, tree, row_order, __attribute__((unused)) static)

static void no_rows(struct overlay *overlay)
{
    memset(overlay->few, 0, sizeof(overlay->few));
    overlay->slots = overlay->few;
    overlay->slot_count = OVERLAY_FEW;
    RB_INIT(&overlay->ordered);
    TAILQ_INIT(&overlay->unordered);
    overlay->count = 0;
    overlay->octets = 0;
}

void overlay_init(struct overlay *overlay, struct spares *spares)
{
    overlay->spares = spares;
    no_rows(overlay);
    STAILQ_INIT(&overlay->doomed);
}

static uint64_t row_octets(const struct row *row)
{
    return sizeof(*row) + row->key_n + row->value_n;
}

static void row_give_back(struct overlay *overlay, struct row *row)
{
    spares_give(overlay->spares, row, row_octets(row));
}

/* --- The table --- */

/* Where the row of this key hangs, or would. */
static struct row **place_of(const struct overlay *overlay, struct str key, uint32_t hash)
{
    struct row **place = &overlay->slots[hash & (overlay->slot_count - 1)];
    while (*place && ((*place)->hash != hash || !str_eq(row_key(*place), key)))
        place = &(*place)->chain;
    return place;
}

static void slots_give_back(struct overlay *overlay)
{
    if (overlay->slots != overlay->few)
        spares_give(overlay->spares, overlay->slots, overlay->slot_count * sizeof(*overlay->slots));
}

/* Where there is no memory the chains get longer. */
static void slots_grow(struct overlay *overlay)
{
    size_t count = overlay->slot_count * GROWS_BY;
    struct row **slots = spares_take(overlay->spares, count * sizeof(struct row *));
    if (!slots)
        return;
    memset(slots, 0, count * sizeof(struct row *));
    for (size_t i = 0; i < overlay->slot_count; i++) {
        struct row *row, *next;
        for (row = overlay->slots[i]; row; row = next) {
            struct row **slot = &slots[row->hash & (count - 1)];
            next = row->chain;
            row->chain = *slot;
            *slot = row;
        }
    }
    slots_give_back(overlay);
    overlay->slots = slots;
    overlay->slot_count = count;
}

/* --- Rows in and out --- */

static void order_leave(struct overlay *overlay, struct row *row)
{
    if (row->ordered)
        RB_REMOVE(row_tree, &overlay->ordered, row);
    else
        TAILQ_REMOVE(&overlay->unordered, row, list);
}

static void row_put_in(struct overlay *overlay, struct row *row)
{
    struct row **place = place_of(overlay, row_key(row), row->hash);
    struct row *old = *place;
    if (old) {
        order_leave(overlay, old);
        overlay->count--;
        overlay->octets -= row_octets(old);
    }
    row->chain = old ? old->chain : NULL;
    *place = row;
    if (old)
        row_give_back(overlay, old);
    row->ordered = false;
    TAILQ_INSERT_TAIL(&overlay->unordered, row, list);
    overlay->octets += row_octets(row);
    if (++overlay->count * SLOTS_A_ROW > overlay->slot_count)
        slots_grow(overlay);
}

static void doomed_drop(struct overlay *overlay)
{
    while (!STAILQ_EMPTY(&overlay->doomed)) {
        struct doomed *doomed = STAILQ_FIRST(&overlay->doomed);
        STAILQ_REMOVE_HEAD(&overlay->doomed, link);
        spares_give(overlay->spares, doomed, sizeof(*doomed));
    }
}

void overlay_clear(struct overlay *overlay)
{
    for (size_t i = 0; i < overlay->slot_count; i++) {
        struct row *row, *next;
        for (row = overlay->slots[i]; row; row = next) {
            next = row->chain;
            row_give_back(overlay, row);
        }
    }
    slots_give_back(overlay);
    no_rows(overlay);
    doomed_drop(overlay);
}

struct row *overlay_put_parts(struct overlay *overlay, struct str key, const struct str *parts,
                              size_t count)
{
    size_t value = 0;
    for (size_t i = 0; i < count; i++)
        value += parts[i].n;
    must(key.n <= INDEX_KEY_MAX && value <= UINT32_MAX);
    struct row *row = spares_take(overlay->spares, sizeof(*row) + key.n + value);
    if (!row)
        return NULL;
    row->hash = hash_of(key);
    row->key_n = (uint32_t)key.n;
    row->value_n = (uint32_t)value;
    row->removed = count == 0;
    memcpy(row->octets, key.p, key.n);
    char *at = row->octets + key.n;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > 0)
            memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    row_put_in(overlay, row);
    return row;
}

bool overlay_put(struct overlay *overlay, struct str key, struct str value)
{
    return overlay_put_parts(overlay, key, &value, value.p ? 1 : 0) != NULL;
}

bool overlay_doom(struct overlay *overlay, blob_id blob)
{
    struct doomed *doomed = spares_take(overlay->spares, sizeof(*doomed));
    if (!doomed)
        return false;
    doomed->blob = blob;
    STAILQ_INSERT_TAIL(&overlay->doomed, doomed, link);
    return true;
}

/* --- Whole overlays --- */

static void take_all(struct overlay *to, struct overlay *from)
{
    slots_give_back(to);
    no_rows(to);
    if (from->slots == from->few) {
        memcpy(to->few, from->few, sizeof(to->few));
    } else {
        to->slots = from->slots;
        to->slot_count = from->slot_count;
    }
    RB_ROOT(&to->ordered) = RB_ROOT(&from->ordered);
    TAILQ_CONCAT(&to->unordered, &from->unordered, list);
    to->count = from->count;
    to->octets = from->octets;
    no_rows(from);
}

void overlay_move(struct overlay *to, struct overlay *from)
{
    STAILQ_CONCAT(&to->doomed, &from->doomed);
    if (to->count == 0) {
        take_all(to, from);
        return;
    }
    for (size_t i = 0; i < from->slot_count; i++) {
        struct row *row, *next;
        for (row = from->slots[i]; row; row = next) {
            next = row->chain;
            row_put_in(to, row);
        }
    }
    slots_give_back(from);
    no_rows(from);
}

void overlay_keep_only(struct overlay *overlay, struct str prefix)
{
    for (size_t i = 0; i < overlay->slot_count; i++) {
        struct row **place = &overlay->slots[i], *row;
        while ((row = *place)) {
            if (str_starts(row_key(row), prefix)) {
                place = &row->chain;
                continue;
            }
            *place = row->chain;
            order_leave(overlay, row);
            overlay->count--;
            overlay->octets -= row_octets(row);
            row_give_back(overlay, row);
        }
    }
    doomed_drop(overlay);
}

/* --- Looking --- */

static void put_in_order(struct overlay *overlay)
{
    struct row *row;
    while ((row = TAILQ_FIRST(&overlay->unordered))) {
        TAILQ_REMOVE(&overlay->unordered, row, list);
        row->ordered = true;
        must(!RB_INSERT(row_tree, &overlay->ordered, row));
    }
}

struct row *overlay_seek(struct overlay *overlay, struct str from)
{
    put_in_order(overlay);
    struct row *row = RB_ROOT(&overlay->ordered), *best = NULL;
    while (row) {
        int order = str_cmp(from, row_key(row));
        if (order == 0)
            return row;
        if (order < 0)
            best = row;
        row = order < 0 ? RB_LEFT(row, tree) : RB_RIGHT(row, tree);
    }
    return best;
}

struct row *overlay_next(struct row *row)
{
    return row_tree_RB_NEXT(row);
}

static int row_pointer_order(const void *a, const void *b)
{
    return row_order(*(const struct row *const *)a, *(const struct row *const *)b);
}

void overlay_rows(const struct overlay *overlay, const struct row **rows)
{
    size_t count = 0;
    for (size_t i = 0; i < overlay->slot_count; i++)
        for (const struct row *row = overlay->slots[i]; row; row = row->chain)
            rows[count++] = row;
    must(count == overlay->count);
    qsort(rows, count, sizeof(*rows), row_pointer_order);
}

/* --- Layers --- */

static struct row *layers_find(const struct layers *layers, size_t count, struct str key)
{
    uint32_t hash = hash_of(key);
    for (size_t i = 0; i < count; i++) {
        const struct overlay *overlay = layers->overlays[i];
        struct row *row = overlay->count ? *place_of(overlay, key, hash) : NULL;
        if (row)
            return row;
    }
    return NULL;
}

static bool row_says(const struct row *row, struct str *value_r)
{
    *value_r = row_value(row);
    return !row->removed;
}

bool layers_get(const struct layers *layers, struct str key, struct str *value_r)
{
    const struct row *row = layers_find(layers, layers->count, key);
    if (row)
        return row_says(row, value_r);
    return layers->view && layers->index->ops->get(layers->view, key, value_r);
}

bool layers_get_first(const struct layers *layers, struct str key, struct str *value_r)
{
    const struct row *row = layers_find(layers, 1, key);
    return row && row_says(row, value_r);
}

void layers_seek(struct layers_walk *walk, const struct layers *layers, struct str from,
                 struct str prefix)
{
    *walk = (struct layers_walk){.layers = layers, .prefix = prefix};
    for (size_t i = 0; i < layers->count; i++)
        walk->rows[i] = overlay_seek(layers->overlays[i], from);
    if (layers->view)
        walk->index_has =
            layers->index->ops->seek(layers->view, from, &walk->index_key, &walk->index_value);
}

/* The index' entry was given out, and is borrowed until its cursor moves: so it moves only now. */
static void index_goes_on(struct layers_walk *walk)
{
    if (!walk->index_given)
        return;
    walk->index_given = false;
    walk->index_has =
        walk->layers->index->ops->next(walk->layers->view, &walk->index_key, &walk->index_value);
}

/* The least key of all layers; the newest layer that has it decides. NULL: the index has it. */
static bool least(const struct layers_walk *walk, struct str *key_r, struct row **row_r)
{
    bool any = false;
    *row_r = NULL;
    for (size_t i = 0; i < walk->layers->count; i++) {
        struct row *row = walk->rows[i];
        if (!row || (any && str_cmp(row_key(row), *key_r) >= 0))
            continue;
        *key_r = row_key(row);
        *row_r = row;
        any = true;
    }
    if (walk->index_has && (!any || str_cmp(walk->index_key, *key_r) < 0)) {
        *key_r = walk->index_key;
        *row_r = NULL;
        any = true;
    }
    return any;
}

static void step_over(struct layers_walk *walk, struct str key)
{
    for (size_t i = 0; i < walk->layers->count; i++)
        if (walk->rows[i] && str_eq(row_key(walk->rows[i]), key))
            walk->rows[i] = overlay_next(walk->rows[i]);
    if (walk->index_has && str_eq(walk->index_key, key))
        walk->index_given = true;
}

bool layers_next(struct layers_walk *walk, struct str *key_r, struct str *value_r)
{
    struct row *row;
    index_goes_on(walk);
    while (least(walk, key_r, &row) && str_starts(*key_r, walk->prefix)) {
        step_over(walk, *key_r);
        if (!row || !row->removed) {
            *value_r = row ? row_value(row) : walk->index_value;
            return true;
        }
        index_goes_on(walk);
    }
    return false;
}
