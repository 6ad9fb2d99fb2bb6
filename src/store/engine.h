/*
 * The engine: the only door to storage. Everything the server keeps is entries (small, ordered,
 * changeable) in partitions, and blobs (message bodies, large, immutable) that entries refer to.
 *
 * Promises, for every engine (invariants E1..E9 in doc/invariants.md):
 *  E1  A commit is all or nothing, also after a crash, a power cut or a full disk.
 *  E2  `done` reports success only when the commit is durable; until then nobody sees it.
 *  E3  A commit that was reported as failed never appears later.
 *  E4  Commits become visible in one order, and numbers (UIDs, modseqs) are given in that order. A
 *      number is never given twice, also across crashes; a failed commit burns its numbers.
 *  E5  A blob lives exactly as long as an entry refers to it. References are the entries
 *      themselves, never a counter.
 *  E6  Every octet read was checked against its checksum; what does not match is ERR_STORE_DAMAGED,
 *      never data, and never another blob's data.
 *  E7  A failed sync is never retried on the same file.
 *
 * Engines: local (one machine, src/store/local), memory (the same code over a fake disk and a
 * sorted map), rados (later). Calls marked "may yield" must be made on a fiber. One thread, the
 * loop's, calls an engine. Keys and values that are passed in are borrowed for the call only,
 * except where a commit says so.
 */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sys/loop.h"

enum {
    ENGINE_KEY_MAX = 400,                /* octets of a key */
    ENGINE_VALUE_MAX = 64 * 1024,        /* octets of a value */
    ENGINE_COMMIT_OPS_MAX = 65536,       /* operations in one commit */
    ENGINE_BODY_INLINE_MAX = 256 * 1024, /* larger bodies come as uploads */
    ENGINE_HEAD_MAX = 1024 * 1024,       /* octets of a blob's head */
};

/* What is ordered and numbered on its own. Values are stored: add at the end. */
enum partition_kind {
    PARTITION_DIRECTORY = 1, /* one, id 0 */
    PARTITION_ACCOUNT = 2,   /* by account id */
    PARTITION_MAILBOX = 3,   /* by mailbox id */
    PARTITION_QUEUE = 4,     /* store/queue.h; one, id 0 */
    PARTITION_TRACE = 5,     /* by day since 1970 << 8 | shard */
    PARTITION_RESENT = 6,    /* endings of sessions that a client may repeat; one, id 0 */
    PARTITION_AUDIT = 7,     /* by day since 1970 << 8; store/audit.h */
    PARTITION_GUARD = 8,     /* who may not log in for a while (core/login_desk.h); one, id 0 */
    PARTITION_STS = 12,      /* MTA-STS policies of others; store/sts.h; one, id 0 */
    PARTITION_DKIM = 10,     /* signing keys of domains; store/dkim.h; one, id 0 */
    PARTITION_FORWARD = 11,  /* keys of what we forward; store/forward_keys.h; one, id 0 */
    PARTITION_TLS_SUMS = 13, /* TLS sessions with other domains; store/tls_sums.h; one, id 0 */
};

struct partition {
    enum partition_kind kind;
    uint64_t id;
};

/* Names a blob for ever. 0 is none. Taken from engine_blob_new before the commit that puts it. */
typedef uint64_t blob_id;

struct entry {
    struct str key;
    struct str value;
    blob_id blob; /* what the entry refers to, or 0 */
};

/* --- Changing -------------------------------------------------------------------------------- */

enum op_kind {
    /* Writes key := value, referring to `blob`. What an older value referred to is let go. */
    OP_PUT,
    /* Removes the key, if it is there, and lets go of its blob. */
    OP_REMOVE,
    /* Writes a new entry whose key is `key` + the partition's next UID (4 octets, big endian). The
     * UID goes into op->uid when the commit is ordered. UIDs start at 1. Nobody PUTs such a key
     * before an APPEND made it. */
    OP_APPEND,
    /* The value is a row of 8-octet little endian signed numbers (wire_put_u64), at most 8; each is
     * added to the number stored at its place; a missing entry counts as zeroes. ERR_CONFLICT where
     * the entry has more numbers than are added, or a blob. */
    OP_ADD,
    /* Preconditions: the whole commit fails with ERR_CONFLICT unless they hold at its turn. */
    OP_NEED_ABSENT,
    OP_NEED_PRESENT,
    OP_NEED_VALUE, /* present and its value equals `value` */
};

struct op {
    enum op_kind kind;
    struct partition partition;
    struct str key;
    struct str value;
    blob_id blob; /* PUT, APPEND */
    /* PUT, APPEND: octets 0..7 of the value are replaced by the partition's next modseq (little
     * endian); it is also given back in `modseq`. The value must have 8 octets or more. */
    bool stamp;
    /* PUT: the caller knows that no commit before this one wrote the key, since it holds an id that
     * was made for it. Then the engine does not look for an old value. */
    bool fresh;
    uint32_t uid;
    uint64_t modseq;
};

struct upload;

/* A body to be stored with the commit. Its octets are either `body` (up to ENGINE_BODY_INLINE_MAX,
 * copied before engine_commit returns) or a finished upload, which the commit takes over. `head` is
 * text about the body that is read without it: the summary. It is copied too. */
struct blob_put {
    blob_id blob;
    struct str head;
    const struct iovec *body;
    size_t body_parts;
    struct upload *upload;
};

/* The caller's memory until `done` was called; ops, keys and values too. `done` runs on the loop.
 * It says ERR_SHUTTING_DOWN where the engine is closed: then, and only then, it is not known
 * whether the commit will be there after the next start, and no reply may follow. */
struct commit {
    TAILQ_ENTRY(commit) link;
    struct op *ops;
    size_t op_count;
    struct blob_put *blobs;
    size_t blob_count;
    /* Text kept in the log record beside the commit and shown to engine_replayed after a crash if
     * the record was not applied yet: who asked (the edge's transaction token). May be empty. */
    struct str tag;
    void (*done)(struct commit *, struct err);
    void *arg;
    /* The engine's own. */
    void *record;
    struct err failed;
};

struct engine;
struct partition_watch;
struct numbers;

struct engine_ops {
    void (*commit)(struct engine *, struct commit *);
    struct err (*get)(struct engine *, struct partition, struct str key, struct arena *,
                      struct entry *entry_r);
    struct err (*scan)(struct engine *, struct partition, struct str from, struct str until,
                       size_t limit, struct arena *, struct entry **entries_r, size_t *count_r);
    struct err (*numbers)(struct engine *, struct partition, struct numbers *);
    blob_id (*blob_new)(struct engine *);
    struct err (*blob_size)(struct engine *, blob_id, uint64_t *head_r, uint64_t *body_r);
    struct err (*blob_head)(struct engine *, blob_id, struct arena *, struct str *head_r);
    struct err (*blob_read)(struct engine *, blob_id, uint64_t at, void *to, size_t n);
    struct err (*blob_whole)(struct engine *, blob_id, size_t most, struct arena *,
                             struct str *head_r, struct str *body_r);
    struct err (*upload_open)(struct engine *, blob_id, struct upload **upload_r);
    struct err (*upload_write)(struct engine *, struct upload *, struct str octets);
    struct err (*upload_finish)(struct engine *, struct upload *);
    void (*upload_drop)(struct engine *, struct upload **);
    void (*watch)(struct engine *, struct partition_watch *);
    void (*unwatch)(struct engine *, struct partition_watch *);
    void (*close)(struct engine *);
};

#define ENGINE_MAGIC MAGIC('E', 'N', 'G', 'N')

struct engine {
    uint32_t magic;
    const struct engine_ops *ops;
};

/* Queues the commit for the next group; never yields. commit->done is always called, never before
 * this returns. Errors: CONFLICT, DISK_FULL, DISK_FAILED, STORE_READ_ONLY, STORE_DAMAGED,
 * NO_MEMORY, OVER_LIMIT. */
static inline void engine_commit(struct engine *engine, struct commit *commit)
{
    engine->ops->commit(engine, commit);
}

/* May yield: as engine_commit, and returns when it is done. */
struct err engine_commit_wait(struct engine *engine, struct commit *commit);

/* --- Reading: what is durable, and nothing else ---------------------------------------------- */

/* May yield. ERR_NOT_FOUND; the entry is copied into the arena. */
static inline struct err engine_get(struct engine *engine, struct partition partition,
                                    struct str key, struct arena *arena, struct entry *entry_r)
{
    return engine->ops->get(engine, partition, key, arena, entry_r);
}

/*
 * May yield. Up to `limit` entries with from <= key < until (until.p == NULL: to the partition's
 * end), in key order, copied into the arena. To go on: from = the last key + one zero octet. The
 * entries of one call are one state of the partition.
 */
static inline struct err engine_scan(struct engine *engine, struct partition partition,
                                     struct str from, struct str until, size_t limit,
                                     struct arena *arena, struct entry **entries_r, size_t *count_r)
{
    return engine->ops->scan(engine, partition, from, until, limit, arena, entries_r, count_r);
}

/* The number the next OP_APPEND (uid) or stamp (modseq) in the partition will be given, at least.
 */
struct numbers {
    uint32_t uid_next;
    uint64_t modseq_next;
};

/* May yield. A partition that was never written has {1, 1}. */
static inline struct err engine_numbers(struct engine *engine, struct partition partition,
                                        struct numbers *numbers_r)
{
    return engine->ops->numbers(engine, partition, numbers_r);
}

/* Never yields; a number is used up whether or not the blob is ever put. */
static inline blob_id engine_blob_new(struct engine *engine)
{
    return engine->ops->blob_new(engine);
}

/* May yield. ERR_NOT_FOUND when no entry refers to it any more. */
static inline struct err engine_blob_size(struct engine *engine, blob_id blob, uint64_t *head_r,
                                          uint64_t *body_r)
{
    return engine->ops->blob_size(engine, blob, head_r, body_r);
}

static inline struct err engine_blob_head(struct engine *engine, blob_id blob, struct arena *arena,
                                          struct str *head_r)
{
    return engine->ops->blob_head(engine, blob, arena, head_r);
}

/* May yield. Exactly n octets of the body from `at` on; at + n must lie within it. Efficient in
 * multiples of 16 KB (the unit of the checksums). */
static inline struct err engine_blob_read(struct engine *engine, blob_id blob, uint64_t at,
                                          void *to, size_t n)
{
    return engine->ops->blob_read(engine, blob, at, to, n);
}

/* May yield. Head and body, in one reading. ERR_OVER_LIMIT: together they have more than `most`
 * octets, or do not lie together; ERR_NO_MEMORY: the arena is full. */
static inline struct err engine_blob_whole(struct engine *engine, blob_id blob, size_t most,
                                           struct arena *arena, struct str *head_r,
                                           struct str *body_r)
{
    return engine->ops->blob_whole(engine, blob, most, arena, head_r, body_r);
}

/* --- Large bodies ---------------------------------------------------------------------------- */

/* All may yield, and must be called one at a time for one upload. `octets` is copied or written
 * before upload_write returns. upload_finish syncs file and folder; then a commit may take it. */
static inline struct err engine_upload_open(struct engine *engine, blob_id blob,
                                            struct upload **upload_r)
{
    return engine->ops->upload_open(engine, blob, upload_r);
}

static inline struct err engine_upload_write(struct engine *engine, struct upload *upload,
                                             struct str octets)
{
    return engine->ops->upload_write(engine, upload, octets);
}

static inline struct err engine_upload_finish(struct engine *engine, struct upload *upload)
{
    return engine->ops->upload_finish(engine, upload);
}

/* Removes what was written. Takes the upload; NULL is allowed. */
static inline void engine_upload_drop(struct engine *engine, struct upload **upload)
{
    engine->ops->upload_drop(engine, upload);
}

/* Syncs and applies what waits, then gives everything back. On a fiber. */
static inline void engine_close(struct engine *engine)
{
    engine->ops->close(engine);
}

/* --- Watching -------------------------------------------------------------------------------- */

/* `changed` runs on the loop after a commit that touched the partition became visible, before that
 * commit's `done`; it may end any watch, and must not yield. Linked into the engine until
 * engine_unwatch. */
struct partition_watch {
    LIST_ENTRY(partition_watch) link;
    struct partition partition;
    void (*changed)(struct partition_watch *);
    void *arg;
};

static inline void engine_watch(struct engine *engine, struct partition_watch *watch)
{
    engine->ops->watch(engine, watch);
}

static inline void engine_unwatch(struct engine *engine, struct partition_watch *watch)
{
    engine->ops->unwatch(engine, watch);
}

#endif
