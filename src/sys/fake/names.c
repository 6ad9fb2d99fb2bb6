/*
 * Folders keep the names seen now and the durable ones side by side; what lies between is one list
 * of moves for the whole disk, in order, because a rename belongs to two folders. A sync of one
 * folder takes along what its moves need from before: a file that was made in another folder and
 * then moved here must not come back under its first name.
 */
#include <errno.h>

#include "base/must.h"
#include "sys/fake/node.h"

/* The place of `name`, or where it would be. */
static size_t place_of(const struct fake_entries *entries, struct str name, bool *found)
{
    size_t low = 0, high = entries->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(str_make(entries->at[middle].name, entries->at[middle].n), name);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct fake_node *fake_entries_find(const struct fake_entries *entries, struct str name)
{
    bool found;
    size_t i = place_of(entries, name, &found);
    return found ? entries->at[i].node : NULL;
}

static char *name_copy(struct str name)
{
    char *copy = malloc(name.n + 1);
    must(copy);
    if (name.n)
        memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    return copy;
}

static void entry_insert(struct fake_entries *entries, size_t i, struct str name,
                         struct fake_node *node)
{
    if (entries->count == entries->room) {
        entries->room = entries->room ? entries->room * 2 : 8;
        entries->at = realloc(entries->at, entries->room * sizeof(*entries->at));
        must(entries->at);
    }
    memmove(entries->at + i + 1, entries->at + i, (entries->count - i) * sizeof(*entries->at));
    entries->at[i] = (struct fake_entry){.name = name_copy(name), .n = name.n, .node = node};
    entries->count++;
}

static void entry_remove(struct fake_entries *entries, size_t i)
{
    free(entries->at[i].name);
    entries->count--;
    memmove(entries->at + i, entries->at + i + 1, (entries->count - i) * sizeof(*entries->at));
}

void fake_entries_set(struct fake_disk *disk, struct fake_entries *entries, struct str name,
                      struct fake_node *node)
{
    bool found;
    size_t i = place_of(entries, name, &found);
    struct fake_node *old = found ? entries->at[i].node : NULL;
    if (node)
        fake_node_hold(node);
    if (found && node)
        entries->at[i].node = node;
    else if (found)
        entry_remove(entries, i);
    else if (node)
        entry_insert(entries, i, name, node);
    if (old)
        fake_node_drop(disk, old);
}

void fake_entries_done(struct fake_disk *disk, struct fake_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->at[i].name);
        fake_node_drop(disk, entries->at[i].node);
    }
    free(entries->at);
    *entries = (struct fake_entries){0};
}

/* As fake_entries_set on the names seen now, which also keep the space of what they name. */
static void name_set(struct fake_disk *disk, struct fake_node *folder, struct str name,
                     struct fake_node *node)
{
    struct fake_node *old = fake_entries_find(&folder->names, name);
    if (node)
        fake_node_use(disk, node);
    if (old)
        fake_node_hold(old);
    fake_entries_set(disk, &folder->names, name, node);
    if (old) {
        fake_node_leave(disk, old);
        fake_node_drop(disk, old);
    }
}

int fake_node_walk(const struct fake_node *folder, struct str path, struct fake_node **parent_r,
                   struct str *last_r)
{
    const struct fake_node *at = folder;
    struct str rest = path;
    for (;;) {
        struct str part = str_cut(&rest, '/');
        if (part.n == 0 || str_eq(part, STR("..")) || str_eq(part, STR(".")))
            return -EINVAL;
        if (part.n > FAKE_NAME_LIMIT)
            return -ENAMETOOLONG;
        if (!rest.p) {
            union {
                const struct fake_node *in;
                struct fake_node *out;
            } cast = {.in = at};
            *parent_r = cast.out;
            *last_r = part;
            return 0;
        }
        at = fake_entries_find(&at->names, part);
        if (!at)
            return -ENOENT;
        if (!at->folder)
            return -ENOTDIR;
    }
}

int fake_node_find(const struct fake_node *folder, struct str path, struct fake_node **node_r)
{
    struct fake_node *parent;
    struct str last;
    int e = fake_node_walk(folder, path, &parent, &last);
    if (e < 0)
        return e;
    *node_r = fake_entries_find(&parent->names, last);
    return *node_r ? 0 : -ENOENT;
}

enum {
    UNSYNCED_MOVES = 4096 /* above it the oldest become durable, as a kernel writes back */
};

/* Either end may be NULL. */
static void move_note(struct fake_disk *disk, struct fake_node *from, struct str from_name,
                      struct fake_node *to, struct str to_name, struct fake_node *node)
{
    struct fake_move *move = malloc(sizeof(*move));
    must(move);
    *move = (struct fake_move){.sequence = disk->sequence++,
                               .from = from,
                               .to = to,
                               .node = node,
                               .from_n = from_name.n,
                               .to_n = to_name.n,
                               .from_name = name_copy(from_name),
                               .to_name = name_copy(to_name)};
    if (from)
        fake_node_hold(from);
    if (to)
        fake_node_hold(to);
    fake_node_hold(node);
    TAILQ_INSERT_TAIL(&disk->moves, move, link);
    if (++disk->move_count > UNSYNCED_MOVES) {
        fake_move_apply(disk, TAILQ_FIRST(&disk->moves));
        fake_move_free(disk, TAILQ_FIRST(&disk->moves));
    }
}

void fake_move_free(struct fake_disk *disk, struct fake_move *move)
{
    TAILQ_REMOVE(&disk->moves, move, link);
    disk->move_count--;
    if (move->from)
        fake_node_drop(disk, move->from);
    if (move->to)
        fake_node_drop(disk, move->to);
    fake_node_drop(disk, move->node);
    free(move->from_name);
    free(move->to_name);
    free(move);
}

void fake_move_apply(struct fake_disk *disk, const struct fake_move *move)
{
    struct str from = str_make(move->from_name, move->from_n);
    struct str to = str_make(move->to_name, move->to_n);
    if (move->from && fake_entries_find(&move->from->durable_names, from) == move->node)
        fake_entries_set(disk, &move->from->durable_names, from, NULL);
    if (move->to)
        fake_entries_set(disk, &move->to->durable_names, to, move->node);
}

int fake_node_create(struct fake_disk *disk, struct fake_node *folder, struct str path,
                     bool make_folder, struct fake_node **node_r)
{
    struct fake_node *parent;
    struct str name;
    int e = fake_node_walk(folder, path, &parent, &name);
    if (e < 0)
        return e;
    if (fake_entries_find(&parent->names, name))
        return -EEXIST;
    if (disk->read_only)
        return -EROFS;
    if (disk->settings.nodes && disk->node_count >= disk->settings.nodes)
        return -ENOSPC;
    struct fake_node *node = fake_node_make(disk, make_folder);
    name_set(disk, parent, name, node);
    move_note(disk, NULL, str_null(), parent, name, node);
    *node_r = node;
    return 0;
}

int fake_node_rename(struct fake_disk *disk, struct fake_node *folder, struct str from,
                     struct str to)
{
    struct fake_node *from_folder, *to_folder;
    struct str from_name, to_name;
    int e = fake_node_walk(folder, from, &from_folder, &from_name);
    if (e == 0)
        e = fake_node_walk(folder, to, &to_folder, &to_name);
    if (e < 0)
        return e;
    struct fake_node *node = fake_entries_find(&from_folder->names, from_name);
    struct fake_node *old = fake_entries_find(&to_folder->names, to_name);
    if (!node)
        return -ENOENT;
    if (disk->read_only)
        return -EROFS;
    if (old == node)
        return 0;
    if (old && (old->folder || node->folder))
        return -EISDIR;
    fake_node_hold(node);
    move_note(disk, from_folder, from_name, to_folder, to_name, node);
    name_set(disk, to_folder, to_name, node);
    name_set(disk, from_folder, from_name, NULL);
    fake_node_drop(disk, node);
    return 0;
}

int fake_node_remove(struct fake_disk *disk, struct fake_node *folder, struct str path)
{
    struct fake_node *parent;
    struct str name;
    int e = fake_node_walk(folder, path, &parent, &name);
    if (e < 0)
        return e;
    struct fake_node *node = fake_entries_find(&parent->names, name);
    if (!node)
        return -ENOENT;
    if (node->folder)
        return -EISDIR;
    if (disk->read_only)
        return -EROFS;
    move_note(disk, parent, name, NULL, str_null(), node);
    name_set(disk, parent, name, NULL);
    return 0;
}

static bool same_name(const struct fake_node *a, struct str a_name, const struct fake_node *b,
                      struct str b_name)
{
    return a && a == b && str_eq(a_name, b_name);
}

/* Do both moves touch one name? */
static bool moves_meet(const struct fake_move *a, const struct fake_move *b)
{
    struct str af = str_make(a->from_name, a->from_n), at = str_make(a->to_name, a->to_n);
    struct str bf = str_make(b->from_name, b->from_n), bt = str_make(b->to_name, b->to_n);
    return same_name(a->from, af, b->from, bf) || same_name(a->from, af, b->to, bt) ||
           same_name(a->to, at, b->from, bf) || same_name(a->to, at, b->to, bt);
}

/* Must `move` be durable with a sync of this folder, given that some later moves are? */
static bool move_settles(const struct fake_move *move, const struct fake_node *folder,
                         struct fake_move *const *later, size_t count)
{
    if (move->from == folder || move->to == folder)
        return true;
    for (size_t i = 0; i < count; i++)
        if (moves_meet(move, later[i]))
            return true;
    return false;
}

void fake_folder_sync(struct fake_disk *disk, struct fake_node *folder)
{
    size_t count = 0;
    struct fake_move *move;
    struct fake_move **settled = calloc(disk->move_count + 1, sizeof(struct fake_move *));
    must(settled);
    TAILQ_FOREACH_REVERSE(move, &disk->moves, fake_moves, link)
    if (move_settles(move, folder, settled, count))
        settled[count++] = move;
    while (count > 0) {
        fake_move_apply(disk, settled[--count]);
        fake_move_free(disk, settled[count]);
    }
    free(settled);
}
