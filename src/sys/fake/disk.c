/*
 * Nodes are counted by what points at them: names seen, durable names, pending moves, handles. A
 * file that was removed lives on while a crash could bring it back. Folders are never removed (no
 * call of struct world does), so there are no cycles to collect but at a crash, which sweeps.
 */
#include <errno.h>

#include "base/must.h"
#include "sys/fake/node.h"

struct fake_node *fake_node_make(struct fake_disk *disk, bool folder)
{
    struct fake_node *node = calloc(1, sizeof(*node));
    must(node);
    node->id = disk->next_id++;
    node->folder = folder;
    TAILQ_INIT(&node->changes);
    TAILQ_INSERT_TAIL(&disk->nodes, node, link);
    disk->node_count++;
    return node;
}

static void node_free(struct fake_disk *disk, struct fake_node *node)
{
    while (!TAILQ_EMPTY(&node->changes))
        fake_change_forget(disk, node, TAILQ_FIRST(&node->changes));
    fake_image_done(&node->now);
    fake_image_done(&node->durable);
    TAILQ_REMOVE(&disk->nodes, node, link);
    disk->node_count--;
    free(node);
}

void fake_node_hold(struct fake_node *node)
{
    node->refs++;
}

void fake_node_drop(struct fake_disk *disk, struct fake_node *node)
{
    must(node->refs > 0);
    if (--node->refs > 0)
        return;
    must(node->names.count == 0 && node->durable_names.count == 0);
    free(node->names.at);
    free(node->durable_names.at);
    node_free(disk, node);
}

void fake_node_use(struct fake_disk *disk, struct fake_node *node)
{
    if (node->live++ == 0)
        disk->used_pages += node->now.allocated;
}

void fake_node_leave(struct fake_disk *disk, struct fake_node *node)
{
    must(node->live > 0);
    if (--node->live == 0)
        disk->used_pages -= node->now.allocated;
}

static struct fake_disk *disk_make(const struct fake_disk_settings *settings)
{
    struct fake_disk *disk = calloc(1, sizeof(*disk));
    must(disk);
    disk->settings = *settings;
    TAILQ_INIT(&disk->nodes);
    TAILQ_INIT(&disk->moves);
    return disk;
}

struct fake_disk *fake_disk_open(const struct fake_disk_settings *settings)
{
    struct fake_disk *disk = disk_make(settings ? settings : &(struct fake_disk_settings){0});
    disk->root = fake_node_make(disk, true);
    fake_node_hold(disk->root);
    fake_node_use(disk, disk->root);
    return disk;
}

void fake_disk_close(struct fake_disk *disk)
{
    must(disk->handles == 0);
    while (!TAILQ_EMPTY(&disk->moves))
        fake_move_free(disk, TAILQ_FIRST(&disk->moves));
    struct fake_node *node;
    TAILQ_FOREACH (node, &disk->nodes, link)
        fake_node_hold(node);
    TAILQ_FOREACH (node, &disk->nodes, link) {
        fake_entries_done(disk, &node->names);
        fake_entries_done(disk, &node->durable_names);
    }
    while ((node = TAILQ_FIRST(&disk->nodes)))
        node_free(disk, node);
    free(disk);
}

static void changes_copy(struct fake_node *to, const struct fake_node *from)
{
    const struct fake_change *change;
    TAILQ_FOREACH (change, &from->changes, link) {
        size_t kept = change->kind == FAKE_WRITTEN ? (size_t)change->n : 0;
        struct fake_change *copy = malloc(sizeof(*copy) + kept);
        must(copy);
        memcpy(copy, change, sizeof(*copy) + kept);
        TAILQ_INSERT_TAIL(&to->changes, copy, link);
    }
}

static void names_copy(struct fake_disk *disk, struct fake_entries *to,
                       const struct fake_entries *from, bool live)
{
    for (size_t i = 0; i < from->count; i++) {
        struct fake_node *node = from->at[i].node->copy;
        fake_entries_set(disk, to, str_make(from->at[i].name, from->at[i].n), node);
        if (live)
            fake_node_use(disk, node);
    }
}

static void moves_copy(struct fake_disk *to, const struct fake_disk *from)
{
    const struct fake_move *move;
    TAILQ_FOREACH (move, &from->moves, link) {
        struct fake_move *copy = malloc(sizeof(*copy));
        must(copy);
        *copy = *move;
        copy->from = move->from ? move->from->copy : NULL;
        copy->to = move->to ? move->to->copy : NULL;
        copy->node = move->node->copy;
        copy->from_name = strdup(move->from_name);
        copy->to_name = strdup(move->to_name);
        must(copy->from_name && copy->to_name);
        if (copy->from)
            fake_node_hold(copy->from);
        if (copy->to)
            fake_node_hold(copy->to);
        fake_node_hold(copy->node);
        TAILQ_INSERT_TAIL(&to->moves, copy, link);
        to->move_count++;
    }
}

struct fake_disk *fake_disk_clone(const struct fake_disk *from)
{
    struct fake_disk *disk = disk_make(&from->settings);
    struct fake_node *node;
    TAILQ_FOREACH (node, &from->nodes, link) {
        node->copy = fake_node_make(disk, node->folder);
        fake_node_hold(node->copy);
        node->copy->id = node->id;
        node->copy->lied = node->lied;
        fake_image_copy(&node->copy->now, &node->now);
        fake_image_copy(&node->copy->durable, &node->durable);
        changes_copy(node->copy, node);
    }
    TAILQ_FOREACH (node, &from->nodes, link) {
        names_copy(disk, &node->copy->names, &node->names, true);
        names_copy(disk, &node->copy->durable_names, &node->durable_names, false);
    }
    moves_copy(disk, from);
    disk->root = from->root->copy;
    fake_node_hold(disk->root);
    fake_node_use(disk, disk->root);
    TAILQ_FOREACH (node, &from->nodes, link)
        fake_node_drop(disk, node->copy);
    disk->next_id = from->next_id;
    disk->sequence = from->sequence;
    disk->unsynced_bytes = from->unsynced_bytes;
    disk->read_only = from->read_only;
    return disk;
}

static uint64_t image_hash(uint64_t hash, const struct fake_image *image)
{
    char page[FAKE_PAGE];
    hash = fake_mix(hash, image->size);
    for (uint64_t at = 0; at < image->size; at += FAKE_PAGE)
        hash = fake_mix_bytes(hash, str_make(page, fake_image_read(image, page, FAKE_PAGE, at)));
    return hash;
}

/* Folder by folder in the order of discovery, so that neither ids nor recursion are needed. */
uint64_t fake_disk_hash(const struct fake_disk *disk)
{
    uint64_t hash = 0;
    const struct fake_node **folders = calloc(disk->node_count + 1, sizeof(*folders));
    must(folders);
    size_t count = 0;
    folders[count++] = disk->root;
    for (size_t f = 0; f < count; f++) {
        const struct fake_entries *names = &folders[f]->names;
        hash = fake_mix(hash, names->count);
        for (size_t i = 0; i < names->count; i++) {
            const struct fake_node *node = names->at[i].node;
            hash = fake_mix_bytes(hash, str_make(names->at[i].name, names->at[i].n));
            hash = fake_mix(hash, node->folder);
            if (node->folder)
                folders[count++] = node;
            else
                hash = image_hash(hash, &node->now);
        }
    }
    free(folders);
    return hash;
}

size_t fake_disk_unsynced(const struct fake_disk *disk)
{
    size_t count = disk->move_count;
    const struct fake_node *node;
    TAILQ_FOREACH (node, &disk->nodes, link) {
        const struct fake_change *change;
        TAILQ_FOREACH (change, &node->changes, link)
            count++;
    }
    return count;
}

void fake_disk_set_capacity(struct fake_disk *disk, uint64_t bytes)
{
    disk->settings.capacity = bytes;
}

void fake_disk_set_read_only(struct fake_disk *disk, bool read_only)
{
    disk->read_only = read_only;
}

void fake_disk_forget_cache(struct fake_disk *disk)
{
    struct fake_node *node;
    TAILQ_FOREACH (node, &disk->nodes, link)
        fake_file_forget_cache(disk, node);
}

uint64_t fake_disk_used(const struct fake_disk *disk)
{
    return disk->used_pages * FAKE_PAGE;
}

static int file_at(const struct fake_disk *disk, struct str path, struct fake_node **file_r)
{
    int e = fake_node_find(disk->root, path, file_r);
    return e < 0 ? e : (*file_r)->folder ? -EISDIR : 0;
}

int64_t fake_disk_size(const struct fake_disk *disk, struct str path)
{
    struct fake_node *file;
    int e = file_at(disk, path, &file);
    return e < 0 ? e : (int64_t)file->now.size;
}

ssize_t fake_disk_peek(const struct fake_disk *disk, struct str path, void *to, size_t n,
                       uint64_t at)
{
    struct fake_node *file;
    int e = file_at(disk, path, &file);
    return e < 0 ? e : (ssize_t)fake_image_read(&file->now, to, n, at);
}

int fake_disk_poke(struct fake_disk *disk, struct str path, struct str bytes, uint64_t at)
{
    struct fake_node *file;
    int e = file_at(disk, path, &file);
    if (e < 0)
        return e;
    if (at > FAKE_FILE_LIMIT || bytes.n > FAKE_FILE_LIMIT - at)
        return -EFBIG;
    size_t before = file->now.allocated;
    fake_image_write(&file->now, bytes, at);
    fake_image_write(&file->durable, bytes, at);
    disk->used_pages += file->now.allocated - before;
    return 0;
}
