/*
 * struct local: the local engine's state, shared by the files of this folder. All of it belongs to
 * the loop's thread. Threads run only jobs that own their input:
 *
 *   lane commits   one group: pwritev and fdatasync; the making of a segment
 *   lane applier   one index write; spares
 *   lane reader    reads that would wait for the disk; uploads
 *
 * commit.c orders commits into groups; order.c derives the rows of one commit; overlay.c holds
 * rows; apply.c moves them into the index; replay.c does at start what commit.c did before; read.c
 * answers. Each file says at its head what it is responsible for.
 */
#ifndef STORE_LOCAL_ENGINE_LOCAL_H
#define STORE_LOCAL_ENGINE_LOCAL_H

#include "store/local/local.h"
#include "store/local/overlay.h"
#include "store/local/segment.h"
#include "sys/fiber.h"
#include "sys/worker.h"

enum {
    GROUP_OCTETS_MAX = 8 * 1024 * 1024, /* one larger commit is a group of its own */
    GROUP_RECORDS_MAX = 1000,           /* stays under the system's limit on parts of a write */
    RECORDS_KEPT_MAX = 4 * 1024 * 1024, /* octets of spare memory for records */
    LOCAL_READERS = 4,                  /* threads of the reader lane */
    LOCAL_SPARES = 1,                   /* segments made ahead */
    LOCAL_BODY_FILES = 64,              /* body files kept open while they are read */
    LOCAL_WATCH_LISTS = 256,            /* watches, hashed by partition */
};

/* How long a store that could not make a segment, or an index that could not be written, is left
 * alone before the next try. */
#define LOCAL_RETRY_AFTER (3 * NS_PER_SECOND)
/* How old a reading of the free space on the disk may be. */
#define LOCAL_FREE_AGE NS_PER_SECOND
#define LOCAL_FULL_TEXT "the disk has less free space than store.least_free"

struct pending_blob {
    struct blob_header header;
    uint64_t at;   /* from the start of the record */
    uint64_t size; /* in the record */
};

/* A blob that a record brings. */
struct arrival {
    blob_id blob;
    struct place place;
};

/* A commit between engine_commit and its `done`: the record under construction. A record that is
 * no commit has one too, without operations. All in one piece of memory. */
struct pending {
    struct commit *commit;
    enum record_kind kind;
    uint32_t size;   /* of the record */
    uint32_t deltas; /* octets kept for them */
    size_t blob_count;
    struct pending_blob *blobs;
    struct arrival *arrivals; /* of the blobs, at its turn */
    unsigned char *octets;    /* the record */
};

TAILQ_HEAD(commit_list, commit);
LIST_HEAD(watch_list, partition_watch);

/* A fiber that waits for the end of an applier's round. */
struct apply_waiter {
    TAILQ_ENTRY(apply_waiter) link;
    struct wait wait;
};

TAILQ_HEAD(apply_waiter_list, apply_waiter);

/* Commits that become durable together, ordered on top of what is below them. Their octets are
 * those of their records. */
struct group {
    struct job job;
    struct world *world;
    struct local *local;
    int file;
    uint64_t number;
    uint64_t segment, at, size;
    uint32_t salt;
    struct iovec *parts; /* GROUP_RECORDS_MAX */
    int part_count;
    int result; /* 0 or -errno */
    struct commit_list commits;
    struct overlay rows;
};

enum {
    GROUPS = 2
};

enum local_state {
    LOCAL_OPENING,
    LOCAL_SERVING,
    LOCAL_READ_ONLY, /* no segment can be made; tries again */
    LOCAL_DAMAGED,   /* until fsck has mended it */
    LOCAL_CLOSING,
};

/* What goes on behind the commits, one thing at a time: background.h. */
struct background {
    bool busy;
    struct apply_waiter_list waiters;
    struct fiber_pool *fibers; /* NULL until the first compaction */
    struct pool_end *end;
    struct fiber_start compaction;
    bool compacting;            /* `compaction` was started and did not return yet */
    uint64_t checkpoint_octets; /* of the newest checkpoint we wrote; 0: none */
};

/* A body file that is open to be read: body_handles.c. */
struct body_handle {
    blob_id blob; /* 0: free */
    int file;
    unsigned users;
    bool stale;    /* not for the next reader; closed by its last user */
    uint64_t used; /* the higher, the later */
};

struct body_handles {
    struct body_handle handles[LOCAL_BODY_FILES];
    uint64_t uses;
};

/* One reading of a body file. */
struct body_use {
    int file;
    struct body_handle *handle; /* NULL: opened for this reading alone */
};

#define LOCAL_MAGIC MAGIC('L', 'O', 'C', 'L')

struct local {
    struct engine engine; /* first: what the world sees */
    uint32_t magic;
    struct loop *loop;
    struct world *world;
    int folder; /* the store's; the caller's handle, not closed */
    int lock;
    struct local_settings settings;
    struct index *index;
    struct lane commits, applier, reader;
    enum local_state state;
    char why[256];

    /* The log. */
    struct segments segments;
    bool segments_are_open;
    struct segment *segment; /* where groups go; pinned */
    uint32_t salt;           /* its */
    uint64_t at;             /* where the next group goes in it */
    uint64_t group_next;
    uint64_t sequence_next;
    bool sealed; /* a group failed in `segment`: it is not written to again */
    struct segment_make make;
    struct job make_job;
    bool making;
    struct timer retry;
    struct segment_spare spare;
    bool spare_begun; /* `spare` is being filled */
    struct job spare_job;
    bool sparing; /* a step of it is under way */
    bool spare_failed;
    uint64_t spare_tried_for; /* the segment that was written then */

    /* Commits. */
    struct commit_list waiting;
    uint64_t waiting_octets;
    struct commit_list refused; /* of a failed group: reported when its end is durable */
    struct err refused_err;
    struct err read_only_err;
    struct task gather; /* at the turn's end: the next group */
    struct task settle; /* calls `done` of what failed without a group */
    struct commit_list failed;
    struct group groups[GROUPS];
    struct group *flying;        /* with the commit lane; or NULL */
    struct group *next;          /* what flies behind it; empty: part_count 0 */
    struct spares spare_records; /* of commits; and room for readings */
    int64_t free_read_at;
    uint64_t free_octets;

    /* Rows above the index. */
    struct overlay active; /* durable, not being applied */
    struct overlay frozen; /* being applied */
    struct overlay spent;  /* applied; the applier's thread gives it back */
    struct spares spare_rows;
    struct spares spent_rows; /* those of `spent`; the applier's thread's until it is done */
    struct job spent_job;
    bool spending;
    struct log_position durable;   /* end of the newest durable group */
    struct log_position frozen_to; /* what `frozen` leads to */
    struct log_position applied;
    struct job apply_job;
    struct err apply_result; /* the applier's thread's */
    struct err apply_err;
    bool applying;
    bool apply_wanted;
    bool fresh; /* a group's `done` ran in this turn: its replies may not be flushed yet */
    struct task turn_over;
    struct task apply_task;
    struct timer apply_timer;
    struct apply_waiter_list apply_waiters;

    struct body_handles bodies;
    struct watch_list watches[LOCAL_WATCH_LISTS];
    struct partition_watch *watch_next; /* of the list that is being walked */
    blob_id blob_next;
    struct wait *closing; /* waits until nothing is under way */
    struct local_status status;
    struct background background;
};

struct local *local_of(struct engine *engine);
/* Puts into local->why what happened: `what` and the error's own words. */
void local_say(struct local *local, const char *what, struct err e);
/* From now on nothing is written; local->why says why. The first reason stays. */
void local_is_damaged(struct local *local, const char *what, struct err e);
/* Ends the waiting of local_close once nothing is under way. */
void local_look_quiet(struct local *local);

/* --- commit.c -------------------------------------------------------------------------------- */

void local_commit(struct engine *engine, struct commit *commit);
/* Looks whether a group, a segment or a retry can be started now. Cheap; called after every event.
 */
void commit_go_on(struct local *local);
struct err commit_open(struct local *local);

/* A blob as it lies in the log, header included. */
struct record_blob {
    struct blob_header header;
    struct str octets;
};

/* May yield: writes a record that is no commit in the next group, and returns when it is durable.
 * Its octets are copied at once. Errors: as engine_commit's. */
struct err record_wait(struct local *local, enum record_kind kind, struct str deltas,
                       const struct record_blob *blobs, size_t count);
/* Nothing is under way any more: calls every `done` that is left. */
void commit_close(struct local *local);
/* Makes sure the row that holds the newest group's number is among `rows`. */
bool group_number_put(struct overlay *rows, uint64_t number);
/* `done` of all that waits, or of those whose refusal is final now, comes soon. */
void commit_waiting_fail(struct local *local, struct err e);
void commit_refused_report(struct local *local);
/* Less than settings.least_free is free, as of LOCAL_FREE_AGE at most. Never yields. */
bool commit_disk_is_full(struct local *local);

/* --- background.c ---------------------------------------------------------------------------- */

void background_open(struct local *local);
void background_close(struct local *local);
bool background_is_quiet(const struct local *local);
/* A segment was filled: starts a compaction if one is worth it. */
void background_look(struct local *local);

/* --- bodies.c -------------------------------------------------------------------------------- */

/* While the store is opened, the log is read and whole: removes the body files that belong to
 * nobody. Waits for the disk. */
struct err bodies_sweep(struct local *local);
/* The ids of all body files, u64 each; 0 for a file that is none. *blobs is to be buf_done. Waits
 * for the disk. */
void bodies_list(struct local *local, struct buf *blobs, struct err *e_r);
struct err body_is_leaked(struct local *local, blob_id blob, bool *leaked_r);

/* --- body_handles.c -------------------------------------------------------------------------- */

/* The body's file, open until body_give. ERR_NOT_FOUND: it is not there. Its foot is fsck's to
 * check: each chunk that is read has a sum of its own. */
struct err body_take(struct local *local, blob_id blob, struct body_use *use_r);
void body_give(struct local *local, struct body_use *use);
/* Those that nobody reads at the moment; the others follow when they are given back. */
void bodies_close_idle(struct local *local);

/* --- rotate.c -------------------------------------------------------------------------------- */

/* Begins to make the segment behind local->segment; commit_go_on is called when it is there. */
void rotate_start(struct local *local);
/* Where there is no spare: goes on filling one, as far as the log has come. */
void rotate_spare(struct local *local);
/* As segment_recycle; but where segments are filled ahead, a shorter file is no spare. */
struct err rotate_recycle(struct local *local, struct segment *segment, size_t keep_spares);
void rotate_open(struct local *local);
void rotate_close(struct local *local);

/* --- order.c: one commit's rows, the same when it is ordered and when it is replayed ---------- */

/*
 * Checks `ops`' preconditions and blobs against `layers`: ERR_CONFLICT. Then derives every row the
 * operations change into `rows`, an empty overlay that is layers->overlays[0]; gives UIDs, modseqs
 * and sums. `writer` (NULL at replay) gets each operation as it was decided.
 * Errors: CONFLICT, NO_MEMORY; `rows` is then to be cleared.
 */
struct err order_commit(const struct layers *layers, struct overlay *rows, struct op *ops,
                        size_t count, const struct arrival *arrivals, size_t arrival_count,
                        struct delta_writer *writer);
/* The same for operations that were decided before. */
struct err order_replayed(const struct layers *layers, struct overlay *rows, const struct op *ops,
                          size_t count, const struct arrival *arrivals, size_t arrival_count);
/* Blobs that moved: their places, where they still live. */
struct err order_moves(const struct layers *layers, struct overlay *rows,
                       const struct arrival *arrivals, size_t arrival_count);

/* --- apply.c --------------------------------------------------------------------------------- */

/* Starts a round if one is due and allowed now. Called before a new group's rows are moved into
 * `active`, and from tasks and timers. */
void apply_go_on(struct local *local);
/* Rows came into `active`: sees to it that they are applied in time. */
void apply_later(struct local *local);
/* May yield until everything that was durable at the call is in the index. */
struct err apply_wait(struct local *local);
/* At once, on this thread: only while the store is opened. */
struct err apply_at_once(struct local *local);
void apply_open(struct local *local);
void apply_close(struct local *local);

/* --- replay.c -------------------------------------------------------------------------------- */

struct replay_sink {
    void (*replayed)(void *arg, struct str tag, const struct op *ops, size_t count);
    void *arg;
};

/* Is everything of the segment before `header` below the index' position? Then the chain need not
 * be followed further. */
bool chain_reaches(const struct segment_header *header, struct log_position from);
/* Reads the log above the index and brings `local` to where groups can go on. */
struct err replay_log(struct local *local, const struct replay_sink *sink);

/* --- read.c ---------------------------------------------------------------------------------- */

/* Layers of what is durable, with a view; end with read_end before anything that may yield. */
struct err read_begin(struct local *local, struct layers *layers_r);
/* ERR_STORE_DAMAGED if something that was read did not match its sum: what was read is then void.
 */
struct err read_end(struct local *local, struct layers *layers);

struct err local_get(struct engine *engine, struct partition partition, struct str key,
                     struct arena *arena, struct entry *entry_r);
struct err local_scan(struct engine *engine, struct partition partition, struct str from,
                      struct str until, size_t limit, struct arena *arena, struct entry **entries_r,
                      size_t *count_r);
struct err local_numbers(struct engine *engine, struct partition partition,
                         struct numbers *numbers_r);
struct err local_blob_size(struct engine *engine, blob_id blob, uint64_t *head_r, uint64_t *body_r);
struct err local_blob_head(struct engine *engine, blob_id blob, struct arena *arena,
                           struct str *head_r);
struct err local_blob_read(struct engine *engine, blob_id blob, uint64_t at, void *to, size_t n);
struct err local_blob_whole(struct engine *engine, blob_id blob, size_t most, struct arena *arena,
                            struct str *head_r, struct str *body_r);

/* --- watch.c --------------------------------------------------------------------------------- */

void local_watch(struct engine *engine, struct partition_watch *watch);
void local_unwatch(struct engine *engine, struct partition_watch *watch);
void watch_changed(struct local *local, struct partition partition);

/* --- upload.c -------------------------------------------------------------------------------- */

struct err local_upload_open(struct engine *engine, blob_id blob, struct upload **upload_r);
struct err local_upload_write(struct engine *engine, struct upload *upload, struct str octets);
struct err local_upload_finish(struct engine *engine, struct upload *upload);
void local_upload_drop(struct engine *engine, struct upload **upload);
/* The body's length once it is finished. */
uint64_t upload_body(const struct upload *upload);
/* The record that names it is durable: the file stays. */
void upload_keep(struct upload **upload);

#endif
