/*
 * Each image is built from nothing, by going through the record once more: a run that fits a test
 * is a few megabytes, and to build it so is quicker than to open the store in it.
 *
 * Coin flips alone would hardly ever give "nothing" or "everything up to a moment" where many
 * changes are open, and these find the most: so a drawn state first draws its style.
 */
#include "image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "sys/fake/random.h"

enum {
    PATH_ROOM = 512,
    NAME_ROOM = 64,
    NOBODY = -1,
    FATE_STYLES = 4
};

enum fate {
    LOST,
    KEPT,
    TORN
};

/* What a cut leaves open. */
struct changes {
    bool *open;     /* by event */
    uint32_t *list; /* the open ones, in order */
    uint32_t count;
};

/* --- Which changes are open ------------------------------------------------------------------ */

static bool is_change(const struct disk_event *event)
{
    return event->kind != DISK_SYNC && event->kind != DISK_NOTE;
}

static bool is_name(const struct disk_event *event)
{
    return event->kind == DISK_CREATE || event->kind == DISK_RENAME || event->kind == DISK_REMOVE;
}

static bool sync_covers(const struct disk_event *sync, const struct disk_event *change)
{
    if (!is_name(change))
        return change->object == sync->object;
    return change->folder == sync->object ||
           (change->kind == DISK_RENAME && change->at == sync->object);
}

/* The changes up to one event, kept as a list that syncs shorten. A change that a failed sync was
 * to cover goes to `lasting`: no later sync makes it durable. */
static void changes_step(struct changes *changes, struct changes *lasting,
                         const struct history *history, uint32_t i)
{
    const struct disk_event *event = history->events[i];
    if (is_change(event) && event->how != DISK_DURABLE)
        changes->list[changes->count++] = i;
    if (event->kind != DISK_SYNC)
        return;
    uint32_t left = 0;
    for (uint32_t j = 0; j < changes->count; j++) {
        uint32_t change = changes->list[j];
        if (!sync_covers(event, history->events[change]))
            changes->list[left++] = change;
        else if (event->how == DISK_FAILED)
            lasting->list[lasting->count++] = change;
    }
    changes->count = left;
}

static void changes_init(struct changes *changes, const struct history *history)
{
    *changes = (struct changes){.open = calloc(history->count + 1, sizeof(bool)),
                                .list = calloc(history->count + 1, sizeof(uint32_t))};
    must(changes->open && changes->list);
}

static void changes_done(struct changes *changes)
{
    free(changes->open);
    free(changes->list);
}

/* Those of a cut at event `at`. */
static void changes_at(struct changes *changes, const struct history *history, uint32_t at)
{
    struct changes lasting;
    changes_init(changes, history);
    changes_init(&lasting, history);
    for (uint32_t i = 0; i < at; i++)
        changes_step(changes, &lasting, history, i);
    for (uint32_t i = 0; i < changes->count; i++)
        changes->open[changes->list[i]] = true;
    for (uint32_t i = 0; i < lasting.count; i++)
        changes->open[lasting.list[i]] = true;
    changes->count = 0;
    for (uint32_t i = 0; i < at; i++)
        if (changes->open[i])
            changes->list[changes->count++] = i;
    changes_done(&lasting);
}

/* --- The history ----------------------------------------------------------------------------- */

static void events_read(struct history *history)
{
    const unsigned char *at = history->record->events;
    history->events = calloc(history->record->count + 1, sizeof(*history->events));
    must(history->events);
    while (history->count < history->record->count) {
        const struct disk_event *event = (const void *)at;
        history->events[history->count++] = event;
        at += sizeof(*event) + ((event->n + 7) & ~UINT64_C(7));
    }
}

static uint64_t states_of(uint32_t open)
{
    uint64_t masks = open <= MASK_BITS ? UINT64_C(1) << open : 0;
    return masks + (open > 0 ? DRAWN_STATES : 0);
}

static bool next_is(const struct history *history, uint32_t at, uint32_t kind)
{
    return at < history->count && history->events[at]->kind == kind;
}

/* A cut before a note is the one behind it with less promised; one behind a sync has nothing that
 * the one before it had not. */
static void cuts_find(struct history *history, uint32_t from)
{
    struct changes changes, lasting;
    changes_init(&changes, history);
    changes_init(&lasting, history);
    history->cuts = calloc(history->count + 1, sizeof(*history->cuts));
    must(history->cuts);
    for (uint32_t at = 0; at <= history->count; at++) {
        bool told = at > 0 && history->events[at - 1]->kind == DISK_NOTE;
        bool changed = at > 0 && is_change(history->events[at - 1]);
        if (at >= from && (told || changed || at == from) && !next_is(history, at, DISK_NOTE)) {
            uint32_t open = changes.count + lasting.count;
            history->cuts[history->cut_count++] = (struct cut){at, open, history->states};
            history->states += states_of(open);
        }
        if (at < history->count)
            changes_step(&changes, &lasting, history, at);
    }
    changes_done(&changes);
    changes_done(&lasting);
}

void history_init(struct history *history, const struct disk_record *record, uint32_t from)
{
    *history = (struct history){.record = record};
    events_read(history);
    cuts_find(history, from);
}

void history_done(struct history *history)
{
    free(history->events);
    free(history->cuts);
}

const struct cut *history_state(const struct history *history, uint64_t state, uint64_t *k_r)
{
    uint32_t low = 0, high = history->cut_count;
    must(state < history->states);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (history->cuts[middle].first_state <= state)
            low = middle;
        else
            high = middle;
    }
    *k_r = state - history->cuts[low].first_state;
    return &history->cuts[low];
}

/* --- What becomes of each change -------------------------------------------------------------- */

struct drawing {
    const struct history *history;
    struct changes changes;
    uint32_t at;
    uint64_t k;
    bool whole; /* everything is kept */
    bool by_mask;
    struct fake_random random;
    uint64_t style;
    uint32_t moment; /* of the open changes */
};

static void drawing_init(struct drawing *drawing, const struct history *history, uint32_t at,
                         uint64_t k, uint64_t seed)
{
    *drawing = (struct drawing){.history = history, .at = at, .k = k};
    changes_at(&drawing->changes, history, at);
    uint32_t open = drawing->changes.count;
    drawing->by_mask = open <= MASK_BITS && k < UINT64_C(1) << open;
    fake_random_init(&drawing->random, seed ^ (uint64_t)at << 32 ^ k, "image");
    drawing->style = fake_random_below(&drawing->random, FATE_STYLES);
    drawing->moment = open > 0 ? (uint32_t)fake_random_below(&drawing->random, open) : 0;
}

/* `nth` of the open changes. */
static enum fate fate_of(struct drawing *drawing, uint32_t nth, bool tearable)
{
    if (drawing->whole)
        return KEPT;
    if (drawing->by_mask)
        return drawing->k >> nth & 1 ? KEPT : LOST;
    if (drawing->style == 0)
        return nth < drawing->moment ? KEPT : nth == drawing->moment && tearable ? TORN : LOST;
    if (drawing->style == 1) /* all but one */
        return nth != drawing->moment ? KEPT : tearable ? TORN : LOST;
    if (drawing->style == 2) /* in order, but the last one may be there early */
        return nth < drawing->moment || nth + 1 == drawing->changes.count ? KEPT : LOST;
    return (enum fate)fake_random_below(&drawing->random, tearable ? 3 : 2);
}

/* --- Octets ----------------------------------------------------------------------------------- */

static bool write_at(int file, const char *octets, uint64_t n, uint64_t at)
{
    return n == 0 || pwrite(file, octets, (size_t)n, (off_t)at) == (ssize_t)n;
}

static bool write_torn(struct drawing *drawing, int file, const struct disk_event *event)
{
    const char *octets = event_octets(event).p;
    bool by_halves = fake_random_below(&drawing->random, 2) == 0;
    uint64_t sectors = (event->at + event->n) / SECTOR - event->at / SECTOR + 1;
    uint64_t cut = fake_random_below(&drawing->random, sectors);
    bool ok = true;
    for (uint64_t at = event->at, nth = 0; at < event->at + event->n && ok; nth++) {
        uint64_t end = (at / SECTOR + 1) * SECTOR;
        if (end > event->at + event->n)
            end = event->at + event->n;
        if (by_halves ? nth < cut : fake_random_below(&drawing->random, 2) == 0)
            ok = write_at(file, octets + (at - event->at), end - at, at);
        at = end;
    }
    return ok;
}

static bool data_apply(struct drawing *drawing, int file, const struct disk_event *event,
                       enum fate fate)
{
    if (fate == LOST)
        return true;
    if (event->kind == DISK_TRUNCATE)
        return ftruncate(file, (off_t)event->at) == 0;
    if (fate == TORN)
        return write_torn(drawing, file, event);
    return write_at(file, event_octets(event).p, event->n, event->at);
}

/* --- Names ------------------------------------------------------------------------------------ */

struct node {
    int folder; /* NOBODY: it has no name */
    bool is_folder;
    bool unmoved; /* a change of its name was lost */
    bool made;
    int file; /* while the image is built */
    char name[NAME_ROOM];
};

static void name_apply(struct node *nodes, uint32_t count, const struct disk_event *event)
{
    struct node *node = &nodes[event->object];
    node->is_folder |= event->kind == DISK_CREATE && event->how == DISK_FOLDER;
    node->folder = NOBODY;
    if (event->kind == DISK_REMOVE)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i].folder == (int)event->folder && strlen(nodes[i].name) == event->n &&
            memcmp(nodes[i].name, event_octets(event).p, event->n) == 0)
            nodes[i].folder = NOBODY;
    node->folder = (int)event->folder;
    must(event->n < NAME_ROOM);
    memcpy(node->name, event_octets(event).p, event->n);
    node->name[event->n] = '\0';
}

static void names_settle(struct drawing *drawing, struct node *nodes, uint32_t count)
{
    uint32_t nth = 0;
    for (uint32_t i = 0; i < drawing->at; i++) {
        const struct disk_event *event = drawing->history->events[i];
        bool open = drawing->changes.open[i];
        if (is_name(event)) {
            struct node *node = &nodes[event->object];
            bool kept = !open || (!node->unmoved && fate_of(drawing, nth, false) == KEPT);
            node->unmoved = !kept;
            if (kept)
                name_apply(nodes, count, event);
        }
        nth += open;
    }
}

/* False: it hangs on nothing. Folders are few and not deep. */
static bool node_path(const struct node *nodes, uint32_t object, const char *root,
                      char to[PATH_ROOM])
{
    char rest[PATH_ROOM] = "", more[PATH_ROOM];
    while (object != 0) {
        const struct node *node = &nodes[object];
        if (node->folder == NOBODY)
            return false;
        must(snprintf(more, sizeof(more), "/%s%s", node->name, rest) < PATH_ROOM);
        memcpy(rest, more, sizeof(rest));
        object = (uint32_t)node->folder;
    }
    return snprintf(to, PATH_ROOM, "%s%s", root, rest) < PATH_ROOM;
}

/* Those that are folders, or those that are files. */
static bool nodes_build(struct node *nodes, uint32_t count, const char *root, bool folders)
{
    char path[PATH_ROOM];
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].is_folder != folders || !node_path(nodes, i, root, path))
            continue;
        if (folders && mkdir(path, 0700) < 0)
            return false;
        if (!folders &&
            (nodes[i].file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
            return false;
    }
    return true;
}

/* A folder never moves, so it has a higher number than the one it lies in; a file may move into one
 * that is younger. */
static bool tree_build(struct node *nodes, uint32_t count, const char *root)
{
    nodes[0].is_folder = true;
    return nodes_build(nodes, count, root, true) && nodes_build(nodes, count, root, false);
}

static bool files_fill(struct drawing *drawing, const struct node *nodes)
{
    uint32_t nth = 0;
    bool ok = true;
    for (uint32_t i = 0; i < drawing->at && ok; i++) {
        const struct disk_event *event = drawing->history->events[i];
        bool open = drawing->changes.open[i];
        if ((event->kind == DISK_WRITE || event->kind == DISK_TRUNCATE) &&
            nodes[event->object].file >= 0)
            ok = data_apply(drawing, nodes[event->object].file, event,
                            open ? fate_of(drawing, nth, event->kind == DISK_WRITE) : KEPT);
        nth += open;
    }
    return ok;
}

static bool drawing_build(struct drawing *drawing, const char *path)
{
    uint32_t count = drawing->history->record->objects;
    struct node *nodes = calloc(count, sizeof(*nodes));
    must(nodes);
    for (uint32_t i = 0; i < count; i++)
        nodes[i].folder = nodes[i].file = NOBODY;
    names_settle(drawing, nodes, count);
    bool ok = tree_build(nodes, count, path) && files_fill(drawing, nodes);
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i].file >= 0)
            close(nodes[i].file);
    changes_done(&drawing->changes);
    free(nodes);
    return ok;
}

bool image_build(const struct history *history, uint32_t at, uint64_t k, uint64_t seed,
                 const char *path)
{
    struct drawing drawing;
    drawing_init(&drawing, history, at, k, seed);
    return drawing_build(&drawing, path);
}

bool image_build_whole(const struct history *history, const char *path)
{
    struct drawing drawing;
    drawing_init(&drawing, history, history->count, 0, 0);
    drawing.whole = true;
    return drawing_build(&drawing, path);
}
