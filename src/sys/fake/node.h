/*
 * The inside of a fake disk: files and folders, and their unsynced changes. For the files of this
 * folder only; worlds reach it by handles (sys/fake/files.c).
 *
 * Calls return 0 or more, or -errno, as the calls of struct world they stand behind.
 */
#ifndef SYS_FAKE_NODE_H
#define SYS_FAKE_NODE_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "sys/fake/disk.h"
#include "sys/fake/image.h"

struct fake_node;

struct fake_entry {
    char *name;
    size_t n;
    struct fake_node *node;
};

/* The names of a folder, sorted. */
struct fake_entries {
    struct fake_entry *at;
    size_t count, room;
};

/* What was done to a file and is not durable. */
struct fake_change {
    TAILQ_ENTRY(fake_change) link;
    enum {
        FAKE_WRITTEN,
        FAKE_ZEROED,
        FAKE_RESIZED /* to n */
    } kind;
    uint64_t sequence; /* over the whole disk */
    uint64_t at, n;
    char bytes[];
};
TAILQ_HEAD(fake_changes, fake_change);

struct fake_node {
    TAILQ_ENTRY(fake_node) link;
    uint64_t id;
    bool folder;
    size_t refs;  /* names, handles and changes that point here */
    size_t live;  /* names seen now, and handles: while > 0 its pages count as used */
    bool reached; /* these two during a crash only */
    bool unmoved;
    struct fake_node *copy;

    struct fake_image now, durable;
    struct fake_changes changes;
    bool lied;        /* now shows bytes that no sync will make durable */
    const void *lock; /* the open file that holds it */

    struct fake_entries names, durable_names;
};

/* What was done to names and is not durable. */
struct fake_move {
    TAILQ_ENTRY(fake_move) link;
    uint64_t sequence;
    struct fake_node *from, *to; /* folders; NULL: made anew, or removed */
    struct fake_node *node;
    size_t from_n, to_n;
    char *from_name, *to_name;
};

TAILQ_HEAD(fake_nodes, fake_node);
TAILQ_HEAD(fake_moves, fake_move);

struct fake_disk {
    struct fake_disk_settings settings;
    struct fake_nodes nodes;
    struct fake_moves moves;
    size_t move_count;
    struct fake_node *root;
    uint64_t node_count, next_id, sequence;
    uint64_t used_pages;
    uint64_t unsynced_bytes;
    uint64_t generation; /* one more with each crash */
    size_t handles;
    bool read_only;
};

struct fake_node *fake_entries_find(const struct fake_entries *entries, struct str name);
/* Replaces what had the name; node == NULL removes it. Holds a reference; the old one is given up.
 */
void fake_entries_set(struct fake_disk *disk, struct fake_entries *entries, struct str name,
                      struct fake_node *node);
void fake_entries_done(struct fake_disk *disk, struct fake_entries *entries);

struct fake_node *fake_node_make(struct fake_disk *disk, bool folder);
void fake_node_hold(struct fake_node *node);
void fake_node_drop(struct fake_disk *disk, struct fake_node *node);
/* As hold and drop, for what keeps the file's space: a name seen now, an open handle. */
void fake_node_use(struct fake_disk *disk, struct fake_node *node);
void fake_node_leave(struct fake_disk *disk, struct fake_node *node);

/* Walks to the folder that holds the last part of `path`, and says what that part is. */
int fake_node_walk(const struct fake_node *folder, struct str path, struct fake_node **parent_r,
                   struct str *last_r);
int fake_node_find(const struct fake_node *folder, struct str path, struct fake_node **node_r);
int fake_node_create(struct fake_disk *disk, struct fake_node *folder, struct str path,
                     bool make_folder, struct fake_node **node_r);
int fake_node_rename(struct fake_disk *disk, struct fake_node *folder, struct str from,
                     struct str to);
int fake_node_remove(struct fake_disk *disk, struct fake_node *folder, struct str path);
void fake_folder_sync(struct fake_disk *disk, struct fake_node *folder);
void fake_move_free(struct fake_disk *disk, struct fake_move *move);
/* Does to the names of `disk`, as durable, what the move did. */
void fake_move_apply(struct fake_disk *disk, const struct fake_move *move);

int fake_file_write(struct fake_disk *disk, struct fake_node *file, const struct iovec *parts,
                    int count, uint64_t at);
int fake_file_zero(struct fake_disk *disk, struct fake_node *file, uint64_t at, uint64_t n);
int fake_file_truncate(struct fake_disk *disk, struct fake_node *file, uint64_t size);
void fake_file_sync(struct fake_disk *disk, struct fake_node *file);
/* A sync that failed and marked its pages clean: they are seen, and lost at a crash. */
void fake_file_lie(struct fake_disk *disk, struct fake_node *file);
/* The page cache is dropped: what was lied about is seen no more. */
void fake_file_forget_cache(struct fake_disk *disk, struct fake_node *file);
/* Past the page cache: what the disk itself would give. */
size_t fake_file_read_direct(const struct fake_node *file, void *to, size_t n, uint64_t at);
/* Does to `image` what the change did between its bytes from .. to. */
void fake_change_apply(struct fake_image *image, const struct fake_change *change, uint64_t from,
                       uint64_t to);
/* Takes the change off its file and frees it. */
void fake_change_forget(struct fake_disk *disk, struct fake_node *file, struct fake_change *change);

#endif
