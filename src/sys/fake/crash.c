/*
 * One walk over the unsynced changes, in which every decision is asked of a fake_pick: the same
 * code then serves random sampling and exhaustive enumeration. Independent coin flips alone would
 * almost never give "nothing" or "everything up to a moment" in a long run, and those states find
 * the most bugs; so the first question is which style of crash this is.
 */
#include "base/must.h"
#include "sys/fake/node.h"

enum style {
    EACH_BY_ITSELF,
    NOTHING_KEPT,
    ALL_KEPT,
    UP_TO_A_MOMENT,
    STYLES
};

struct crash {
    struct fake_pick pick;
    enum fake_tear tear;
    enum style style;
    uint64_t moment; /* changes before it are kept, with UP_TO_A_MOMENT */
};

enum fate {
    LOST,
    KEPT,
    TORN
};

static enum fate fate_of(struct crash *crash, uint64_t sequence, bool tearable)
{
    switch (crash->style) {
    case NOTHING_KEPT:
        return LOST;
    case ALL_KEPT:
        return KEPT;
    case UP_TO_A_MOMENT:
        if (sequence == crash->moment && tearable)
            return TORN;
        return sequence < crash->moment ? KEPT : LOST;
    case EACH_BY_ITSELF:
    case STYLES:
        break;
    }
    return (enum fate)fake_pick_below(crash->pick, tearable ? 3 : 2);
}

static uint64_t sector_end(uint64_t at)
{
    return (at / FAKE_SECTOR + 1) * FAKE_SECTOR;
}

static void tear(struct crash *crash, struct fake_image *image, const struct fake_change *change,
                 uint64_t limit)
{
    uint64_t end = change->at + change->n < limit ? change->at + change->n : limit;
    if (end <= change->at)
        return;
    if (crash->tear == FAKE_TEAR_CUT) {
        uint64_t sectors = (end - 1) / FAKE_SECTOR - change->at / FAKE_SECTOR + 1;
        uint64_t kept = fake_pick_below(crash->pick, sectors);
        if (kept)
            fake_change_apply(image, change, 0, (change->at / FAKE_SECTOR + kept) * FAKE_SECTOR);
        return;
    }
    for (uint64_t at = change->at; at < end; at = sector_end(at))
        if (fake_pick_below(crash->pick, 2))
            fake_change_apply(image, change, at, sector_end(at) < end ? sector_end(at) : end);
}

/* How many of the file's changes have their effect on the size kept: sizes are metadata, which
 * goes to disk in order. */
static size_t sizes_kept(struct crash *crash, const struct fake_node *file)
{
    size_t changes = 0, before = 0;
    const struct fake_change *change;
    TAILQ_FOREACH (change, &file->changes, link) {
        changes++;
        before += change->sequence < crash->moment;
    }
    switch (crash->style) {
    case NOTHING_KEPT:
        return 0;
    case ALL_KEPT:
        return changes;
    case UP_TO_A_MOMENT:
        return before < changes ? before + (size_t)fake_pick_below(crash->pick, 2) : before;
    case EACH_BY_ITSELF:
    case STYLES:
        break;
    }
    return (size_t)fake_pick_below(crash->pick, changes + 1);
}

/*
 * `size` follows the kept effects; the image may be larger meanwhile and is cut at the end. Bytes
 * written behind a cut that was lost went to blocks that no file has: `limit` drops them.
 */
static void file_crash(struct crash *crash, struct fake_disk *disk, struct fake_node *file)
{
    struct fake_image *image = &file->durable;
    size_t kept_sizes = sizes_kept(crash, file), i = 0;
    uint64_t size = image->size, limit = UINT64_MAX;
    struct fake_change *change;
    while ((change = TAILQ_FIRST(&file->changes))) {
        bool size_kept = i++ < kept_sizes;
        if (change->kind == FAKE_RESIZED && size_kept) {
            fake_change_apply(image, change, 0, 0);
            size = change->n;
        } else if (change->kind == FAKE_RESIZED) {
            limit = change->n < limit ? change->n : limit;
        } else {
            enum fate fate = fate_of(crash, change->sequence, crash->tear != FAKE_TEAR_NEVER);
            if (fate == KEPT)
                fake_change_apply(image, change, 0, limit);
            else if (fate == TORN)
                tear(crash, image, change, limit);
            if (size_kept && size < change->at + change->n)
                size = change->at + change->n;
        }
        fake_change_forget(disk, file, change);
    }
    fake_image_truncate(image, size);
    file->lied = false;
}

/* A file has one name: where a move of it was lost, its later ones had nothing to start from. */
static void names_crash(struct crash *crash, struct fake_disk *disk)
{
    struct fake_node *node;
    TAILQ_FOREACH (node, &disk->nodes, link)
        node->unmoved = false;
    struct fake_move *move;
    while ((move = TAILQ_FIRST(&disk->moves))) {
        node = move->node;
        if (!node->unmoved && fate_of(crash, move->sequence, false) == KEPT)
            fake_move_apply(disk, move);
        else
            node->unmoved = true;
        fake_move_free(disk, move);
    }
}

static void mark_reached(struct fake_disk *disk)
{
    struct fake_node *node;
    TAILQ_FOREACH (node, &disk->nodes, link)
        node->reached = false;
    struct fake_node **folders = calloc(disk->node_count + 1, sizeof(struct fake_node *));
    must(folders);
    size_t count = 0;
    disk->root->reached = true;
    folders[count++] = disk->root;
    for (size_t f = 0; f < count; f++) {
        const struct fake_entries *names = &folders[f]->durable_names;
        for (size_t i = 0; i < names->count; i++) {
            struct fake_node *below = names->at[i].node;
            if (below->folder && !below->reached)
                folders[count++] = below;
            below->reached = true;
        }
    }
    free(folders);
}

static void names_forget(struct fake_disk *disk, struct fake_node *folder)
{
    for (size_t i = 0; i < folder->names.count; i++)
        fake_node_leave(disk, folder->names.at[i].node);
    fake_entries_done(disk, &folder->names);
}

/* What is durable becomes what is seen; what no name leads to is gone with its last handle. */
static void settle(struct fake_disk *disk)
{
    mark_reached(disk);
    struct fake_node *node, *next;
    TAILQ_FOREACH (node, &disk->nodes, link) {
        fake_node_hold(node);
        fake_node_use(disk, node);
    }
    TAILQ_FOREACH (node, &disk->nodes, link) {
        names_forget(disk, node);
        if (!node->reached)
            fake_entries_done(disk, &node->durable_names);
        disk->used_pages -= node->now.allocated;
        fake_image_done(&node->now);
        fake_image_copy(&node->now, &node->durable);
        disk->used_pages += node->now.allocated;
        node->lock = NULL;
    }
    TAILQ_FOREACH (node, &disk->nodes, link) {
        for (size_t i = 0; i < node->durable_names.count; i++) {
            const struct fake_entry *entry = &node->durable_names.at[i];
            fake_entries_set(disk, &node->names, str_make(entry->name, entry->n), entry->node);
            fake_node_use(disk, entry->node);
        }
    }
    for (node = TAILQ_FIRST(&disk->nodes); node; node = next) {
        next = TAILQ_NEXT(node, link);
        fake_node_leave(disk, node);
        fake_node_drop(disk, node);
    }
}

void fake_disk_crash(struct fake_disk *disk, struct fake_pick pick, enum fake_tear tear)
{
    struct crash crash = {.pick = pick, .tear = tear};
    crash.style = (enum style)fake_pick_below(pick, STYLES);
    if (crash.style == UP_TO_A_MOMENT) {
        uint64_t oldest = disk->sequence;
        struct fake_node *node;
        TAILQ_FOREACH (node, &disk->nodes, link)
            if (!TAILQ_EMPTY(&node->changes) && TAILQ_FIRST(&node->changes)->sequence < oldest)
                oldest = TAILQ_FIRST(&node->changes)->sequence;
        if (!TAILQ_EMPTY(&disk->moves) && TAILQ_FIRST(&disk->moves)->sequence < oldest)
            oldest = TAILQ_FIRST(&disk->moves)->sequence;
        crash.moment = oldest + fake_pick_below(pick, disk->sequence - oldest + 1);
    }
    names_crash(&crash, disk);
    struct fake_node *node;
    TAILQ_FOREACH (node, &disk->nodes, link)
        file_crash(&crash, disk, node);
    settle(disk);
    disk->generation++;
}
