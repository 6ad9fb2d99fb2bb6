/*
 * Red-black trees, each row a piece of memory. A skip list or a sorted array would scan a little
 * faster; but rows come one at a time in any order, go in whole trees, and moving a row from one
 * stage's tree to the next must not allocate, because by then the group is durable and cannot fail.
 */
#include "store/local/overlay.h"

static int row_order(const struct row *a, const struct row *b)
{
    return str_cmp(row_key(a), row_key(b));
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(row_tree, row, link, row_order, __attribute__((unused)) static)

void overlay_init(struct overlay *overlay, struct spares *spares)
{
    *overlay = (struct overlay){.rows = RB_INITIALIZER(&overlay->rows), .spares = spares};
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

static void row_take_out(struct overlay *overlay, struct row *row)
{
    RB_REMOVE(row_tree, &overlay->rows, row);
    overlay->count--;
    overlay->octets -= row_octets(row);
}

static void row_put_in(struct overlay *overlay, struct row *row)
{
    struct row *old = RB_INSERT(row_tree, &overlay->rows, row);
    if (old) {
        row_take_out(overlay, old);
        row_give_back(overlay, old);
        (void)RB_INSERT(row_tree, &overlay->rows, row);
    }
    overlay->count++;
    overlay->octets += row_octets(row);
}

void overlay_clear(struct overlay *overlay)
{
    struct row *row, *next;
    for (row = RB_MIN(row_tree, &overlay->rows); row; row = next) {
        next = RB_NEXT(row_tree, &overlay->rows, row);
        row_take_out(overlay, row);
        row_give_back(overlay, row);
    }
    while (!STAILQ_EMPTY(&overlay->doomed)) {
        struct doomed *doomed = STAILQ_FIRST(&overlay->doomed);
        STAILQ_REMOVE_HEAD(&overlay->doomed, link);
        spares_give(overlay->spares, doomed, sizeof(*doomed));
    }
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

static void overlay_take_all(struct overlay *to, struct overlay *from)
{
    RB_ROOT(&to->rows) = RB_ROOT(&from->rows);
    to->count = from->count;
    to->octets = from->octets;
    RB_INIT(&from->rows);
    from->count = 0;
    from->octets = 0;
}

void overlay_move(struct overlay *to, struct overlay *from)
{
    STAILQ_CONCAT(&to->doomed, &from->doomed);
    if (to->count == 0) {
        overlay_take_all(to, from);
        return;
    }
    struct row *row, *next;
    for (row = RB_MIN(row_tree, &from->rows); row; row = next) {
        next = RB_NEXT(row_tree, &from->rows, row);
        row_take_out(from, row);
        row_put_in(to, row);
    }
}

void overlay_keep_only(struct overlay *overlay, struct str prefix)
{
    struct overlay kept;
    overlay_init(&kept, overlay->spares);
    struct row *row, *next;
    for (row = RB_MIN(row_tree, &overlay->rows); row; row = next) {
        next = RB_NEXT(row_tree, &overlay->rows, row);
        if (!str_starts(row_key(row), prefix))
            continue;
        row_take_out(overlay, row);
        row_put_in(&kept, row);
    }
    overlay_clear(overlay);
    overlay_move(overlay, &kept);
}

struct row *overlay_find(const struct overlay *overlay, struct str key)
{
    struct row *row = RB_ROOT(&overlay->rows);
    while (row) {
        int order = str_cmp(key, row_key(row));
        if (order == 0)
            return row;
        row = order < 0 ? RB_LEFT(row, link) : RB_RIGHT(row, link);
    }
    return NULL;
}

struct row *overlay_seek(const struct overlay *overlay, struct str from)
{
    struct row *row = RB_ROOT(&overlay->rows), *best = NULL;
    while (row) {
        int order = str_cmp(from, row_key(row));
        if (order == 0)
            return row;
        if (order < 0)
            best = row;
        row = order < 0 ? RB_LEFT(row, link) : RB_RIGHT(row, link);
    }
    return best;
}

struct row *overlay_next(struct row *row)
{
    return row_tree_RB_NEXT(row);
}

bool layers_get(const struct layers *layers, struct str key, struct str *value_r)
{
    for (size_t i = 0; i < layers->count; i++) {
        struct row *row = overlay_find(layers->overlays[i], key);
        if (row) {
            *value_r = row_value(row);
            return !row->removed;
        }
    }
    return layers->view && layers->index->ops->get(layers->view, key, value_r);
}

void layers_seek(struct layers_walk *walk, const struct layers *layers, struct str from)
{
    *walk = (struct layers_walk){.layers = layers};
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
    while (least(walk, key_r, &row)) {
        step_over(walk, *key_r);
        if (!row || !row->removed) {
            *value_r = row ? row_value(row) : walk->index_value;
            return true;
        }
        index_goes_on(walk);
    }
    return false;
}
