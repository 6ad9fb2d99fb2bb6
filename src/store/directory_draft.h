/*
 * A draft: the directory as it is, with changes laid over it that are not committed yet. Look-ups
 * and checks read through it, so the check of the third line of a text sees what the first two
 * would do.
 *
 * draft_commit writes the changes under the precondition that nothing else changed the directory
 * since draft_open: entry "v" of the partition is read there, needed unchanged, and written anew
 * with each commit. So whatever a change read to convince itself still holds when it takes effect.
 *
 * Inside src/store only. All may yield but draft_read, draft_put*, draft_remove* and draft_need.
 * Memory is the arena's; running out is remembered there and found by draft_commit.
 */
#ifndef STORE_DIRECTORY_DRAFT_H
#define STORE_DIRECTORY_DRAFT_H

#include <bsd/sys/tree.h>

#include "store/directory.h"

enum {
    DRAFT_SLICE = 8192,                   /* changed entries in one commit */
    DRAFT_MEMORY_MAX = 512 * 1024 * 1024, /* octets a change may take while it is checked */
    DRAFT_TRIES_MAX = 5,
};

struct staged {
    RB_ENTRY(staged) tree;
    TAILQ_ENTRY(staged) list;
    struct partition partition;
    struct str key;
    struct str value; /* p == NULL: to be removed */
};

RB_HEAD(staged_tree, staged);
TAILQ_HEAD(staged_list, staged);

struct draft {
    struct directory *directory;
    struct arena *arena;
    struct str server;       /* our address that the asking client connected to; or str_null */
    struct staged_tree tree; /* by partition and key */
    struct staged_list list; /* in the order they were staged first */
    struct staged_list needs;
    size_t count;
    struct str version; /* p == NULL: the directory is new */
    bool dry;           /* draft_commit writes nothing */
    unsigned steps;
};

/* For look-ups: nothing will be staged. */
void draft_read(struct draft *draft, struct directory *directory, struct arena *arena);
struct err draft_open(struct draft *draft, struct directory *directory, struct arena *arena);

/* May yield: after many steps of long work, others on the loop get their turn. */
void draft_step(struct draft *draft);

/* ERR_NOT_FOUND. Of the directory's own partition. */
struct err draft_get(struct draft *draft, struct str key, struct str *value_r);

void draft_put(struct draft *draft, struct str key, struct str value);
void draft_remove(struct draft *draft, struct str key);
void draft_put_in(struct draft *draft, struct partition partition, struct str key,
                  struct str value);
void draft_remove_in(struct draft *draft, struct partition partition, struct str key);
/* The commit fails unless this entry, changed by others than drafts too, has this value; p == NULL:
 * unless it is absent. */
void draft_need(struct draft *draft, struct str key, struct str value);

/* A counter: gives its next number, from 1, and moves it on. */
struct err draft_number(struct draft *draft, struct str key, uint64_t *number_r);

/* ERR_CONFLICT: open it again and do everything anew. */
struct err draft_commit(struct draft *draft);

/*
 * Runs `change` on a draft and commits, again and again while the commit conflicts. The draft's
 * memory is its own; a detail is copied to `arena`.
 */
struct err directory_change(struct directory *directory, struct arena *arena,
                            struct err (*change)(struct draft *, void *arg), void *arg);

/* Walks the entries whose keys begin with `prefix`, in order. An entry is valid until the next
 * step. */
struct draft_walk {
    struct draft *draft;
    struct arena page; /* of the entries below */
    struct entry *entries;
    size_t count, at;
    struct str until; /* first key behind the prefix */
    struct str next;  /* keys below were seen */
    bool last_page;
};

struct err draft_walk_open(struct draft_walk *walk, struct draft *draft, struct str prefix);
/* ERR_NOT_FOUND at the end. */
struct err draft_walk_next(struct draft_walk *walk, struct entry *entry_r);
void draft_walk_done(struct draft_walk *walk);

/* The first key behind this one; the first behind all that begin with a prefix, which has an octet
 * below 0xff. In the arena. */
struct str key_after(struct str key, struct arena *arena);
struct str key_end(struct str prefix, struct arena *arena);

#endif
