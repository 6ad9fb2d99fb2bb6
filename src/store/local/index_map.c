/*
 * A red-black tree of keys, each with its versions, newest first. A view is a version number, so it
 * costs nothing to open and a write never waits for one. What a write replaced while views were
 * open is swept by the last view that ends: the map serves tests and the simulator, where views are
 * short and a sweep is cheaper than to know which version each view still needs.
 *
 * Persistent trees (a root per version) were weighed: they copy a path per change and need counts
 * on every node; this needs one list. A mutex guards the tree, for a world with real threads.
 */
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <sys/queue.h>

#include "base/must.h"
#include "store/local/index.h"

#define MAP_MAGIC MAGIC('I', 'M', 'A', 'P')

struct version {
    struct version *older;
    uint64_t number; /* of the write that made it */
    bool removed;
    size_t n;
    char value[];
};

struct node {
    RB_ENTRY(node) link;
    LIST_ENTRY(node) stale;
    bool is_stale; /* in the list: more than one version, or a removed one */
    struct version *newest;
    struct str key;
    char octets[];
};

RB_HEAD(node_tree, node);
LIST_HEAD(node_list, node);

struct index_map {
    struct index index;
    uint32_t magic;
    pthread_mutex_t lock;
    struct node_tree tree;
    struct node_list stale;
    uint64_t newest;
    unsigned views;
    struct log_position position;
};

struct index_view {
    struct index_map *map;
    uint64_t number;
    struct log_position position;
    struct node *at; /* of the last seek or next */
};

static int node_cmp(const struct node *a, const struct node *b)
{
    return str_cmp(a->key, b->key);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(node_tree, node, link, node_cmp, __attribute__((unused)) static)

static struct index_map *map_of(struct index *index)
{
    struct index_map *map = (struct index_map *)index;
    must_be(map, MAP_MAGIC);
    return map;
}

static void versions_free(struct version *version)
{
    while (version) {
        struct version *older = version->older;
        free(version);
        version = older;
    }
}

static void node_free(struct index_map *map, struct node *node)
{
    RB_REMOVE(node_tree, &map->tree, node);
    versions_free(node->newest);
    free(node);
}

/* No view is open: only the newest version of each key can still be seen. */
static void sweep(struct index_map *map)
{
    struct node *node;
    while ((node = LIST_FIRST(&map->stale))) {
        LIST_REMOVE(node, stale);
        node->is_stale = false;
        if (node->newest->removed) {
            node_free(map, node);
        } else {
            versions_free(node->newest->older);
            node->newest->older = NULL;
        }
    }
}

static struct node *node_find(struct index_map *map, struct str key)
{
    return RB_FIND(node_tree, &map->tree, &(struct node){.key = key});
}

static struct node *node_make(struct str key)
{
    struct node *node = calloc(1, sizeof *node + key.n);
    if (!node)
        return NULL;
    memcpy(node->octets, key.p, key.n);
    node->key = str_make(node->octets, key.n);
    return node;
}

static struct version *version_make(struct index_map *map, struct str value)
{
    struct version *version = calloc(1, sizeof *version + value.n);
    if (!version)
        return NULL;
    version->number = map->newest + 1;
    version->removed = value.p == NULL;
    version->n = value.n;
    if (value.n > 0)
        memcpy(version->value, value.p, value.n);
    return version;
}

static void node_stale(struct index_map *map, struct node *node)
{
    if (!node->is_stale)
        LIST_INSERT_HEAD(&map->stale, node, stale);
    node->is_stale = true;
}

static bool change_apply(struct index_map *map, const struct index_change *change)
{
    struct node *node = node_find(map, change->key);
    if (!node && !change->value.p)
        return true;
    struct version *version = version_make(map, change->value);
    struct node *made = node ? NULL : node_make(change->key);
    if (!version || (!node && !made)) {
        free(version);
        free(made);
        return false;
    }
    if (made) {
        node = made;
        RB_INSERT(node_tree, &map->tree, node);
    }
    version->older = node->newest;
    node->newest = version;
    if (version->older || version->removed)
        node_stale(map, node);
    return true;
}

/* Takes back what a write that ran out of memory had done. */
static void change_undo(struct index_map *map, const struct index_change *change)
{
    struct node *node = node_find(map, change->key);
    while (node && node->newest && node->newest->number > map->newest) {
        struct version *undone = node->newest;
        node->newest = undone->older;
        free(undone);
    }
    if (node && !node->newest) {
        if (node->is_stale)
            LIST_REMOVE(node, stale);
        node_free(map, node);
    }
}

static struct err map_write(struct index *index, const struct index_change *changes, size_t count,
                            struct log_position position)
{
    struct index_map *map = map_of(index);
    struct err e = err_none();
    pthread_mutex_lock(&map->lock);
    size_t done = 0;
    for (; done < count; done++) {
        must(changes[done].key.n > 0 && changes[done].key.n <= INDEX_KEY_MAX);
        must(changes[done].value.n <= INDEX_VALUE_MAX);
        if (!change_apply(map, &changes[done]))
            break;
    }
    if (done == count) {
        map->newest++;
        map->position = position;
    } else {
        for (size_t i = 0; i < done; i++)
            change_undo(map, &changes[i]);
        e = err_make(ERR_NO_MEMORY);
    }
    if (map->views == 0)
        sweep(map);
    pthread_mutex_unlock(&map->lock);
    return e;
}

static struct err map_view_begin(struct index *index, struct index_view **view_r)
{
    struct index_map *map = map_of(index);
    struct index_view *view = calloc(1, sizeof *view);
    if (!view)
        return err_make(ERR_NO_MEMORY);
    pthread_mutex_lock(&map->lock);
    *view = (struct index_view){.map = map, .number = map->newest, .position = map->position};
    map->views++;
    pthread_mutex_unlock(&map->lock);
    *view_r = view;
    return err_none();
}

static void map_view_end(struct index *index, struct index_view *view)
{
    struct index_map *map = map_of(index);
    must(view->map == map);
    pthread_mutex_lock(&map->lock);
    must(map->views > 0);
    map->views--;
    if (map->views == 0)
        sweep(map);
    pthread_mutex_unlock(&map->lock);
    free(view);
}

static struct log_position map_position(struct index_view *view)
{
    return view->position;
}

/* What the view sees of the node, or NULL. */
static const struct version *node_seen(const struct node *node, const struct index_view *view)
{
    const struct version *version = node->newest;
    while (version && version->number > view->number)
        version = version->older;
    return version && !version->removed ? version : NULL;
}

static bool map_get(struct index_view *view, struct str key, struct str *value_r)
{
    pthread_mutex_lock(&view->map->lock);
    struct node *node = node_find(view->map, key);
    const struct version *version = node ? node_seen(node, view) : NULL;
    pthread_mutex_unlock(&view->map->lock);
    if (version)
        *value_r = str_make(version->value, version->n);
    return version != NULL;
}

/* The first node from `node` on that the view sees. With the lock held. */
static bool step_to_seen(struct index_view *view, struct node *node, struct str *key_r,
                         struct str *value_r)
{
    const struct version *version = NULL;
    while (node && !(version = node_seen(node, view)))
        node = RB_NEXT(node_tree, &view->map->tree, node);
    view->at = node;
    if (!node)
        return false;
    *key_r = node->key;
    *value_r = str_make(version->value, version->n);
    return true;
}

static bool map_seek(struct index_view *view, struct str from, struct str *key_r,
                     struct str *value_r)
{
    struct node_tree *tree = &view->map->tree;
    pthread_mutex_lock(&view->map->lock);
    struct node *node = RB_NFIND(node_tree, tree, &(struct node){.key = from});
    bool found = step_to_seen(view, node, key_r, value_r);
    pthread_mutex_unlock(&view->map->lock);
    return found;
}

static bool map_next(struct index_view *view, struct str *key_r, struct str *value_r)
{
    if (!view->at)
        return false;
    pthread_mutex_lock(&view->map->lock);
    struct node *node = RB_NEXT(node_tree, &view->map->tree, view->at);
    bool found = step_to_seen(view, node, key_r, value_r);
    pthread_mutex_unlock(&view->map->lock);
    return found;
}

static bool map_damaged(struct index_view *view)
{
    (void)view;
    return false;
}

static struct err map_check(struct index *index)
{
    (void)map_of(index);
    return err_none();
}

static struct err map_reset(struct index *index)
{
    struct index_map *map = map_of(index);
    must(map->views == 0);
    sweep(map);
    struct node *node;
    while ((node = RB_ROOT(&map->tree)))
        node_free(map, node);
    map->position = (struct log_position){0};
    return err_none();
}

static void map_close(struct index *index)
{
    struct index_map *map = map_of(index);
    (void)map_reset(index);
    pthread_mutex_destroy(&map->lock);
    free(map);
}

static const struct index_ops map_ops = {
    .write = map_write,
    .view_begin = map_view_begin,
    .view_end = map_view_end,
    .position = map_position,
    .get = map_get,
    .seek = map_seek,
    .next = map_next,
    .damaged = map_damaged,
    .check = map_check,
    .reset = map_reset,
    .close = map_close,
};

struct err index_map_open(struct index **index_r)
{
    struct index_map *map = calloc(1, sizeof *map);
    if (!map)
        return err_make(ERR_NO_MEMORY);
    map->index.ops = &map_ops;
    map->magic = MAP_MAGIC;
    RB_INIT(&map->tree);
    LIST_INIT(&map->stale);
    must(pthread_mutex_init(&map->lock, NULL) == 0);
    *index_r = &map->index;
    return err_none();
}
