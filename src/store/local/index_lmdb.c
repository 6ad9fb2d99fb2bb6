/*
 * LMDB as the index: two named databases, `entries` (what callers write, each value followed by a
 * CRC32C over key and value) and `about` (format, position). The position is written in the
 * transaction of the changes it speaks of.
 *
 * Flags. MDB_NOTLS: views belong to whoever opened them, not to a thread. No NOSYNC, NOMETASYNC,
 * WRITEMAP or MAPASYNC: the first and the last two may corrupt the file at a power cut, NOMETASYNC
 * may lose the last transaction, which would be safe with a log behind it but would let a segment
 * be reused whose changes are gone. MDB_NOLOCK was weighed, as the store's own lock keeps other
 * processes out: without the reader table the writer cannot know which pages views still need, so
 * every write would have to wait for all of them; the lock file stays. NORDAHEAD is left off: scans
 * of a mailbox run along the file.
 *
 * The map is address space only and doubles while no view is open: asked for politely when half of
 * it is used, waited for when it is full. Changes are written in key order, so that each leaf page
 * is copied once, and only the last change of a key is written at all.
 *
 * After a write or sync that failed LMDB may refuse everything, reading too, and what it has in
 * memory may not be what is on the disk. So before the next write the file is opened anew, as a
 * start does; it is at the position before or behind the changes that failed, and these come again.
 */
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>

#include "base/must.h"
#include "base/wire.h"
#include "store/local/index.h"
#include "store/local/lmdb_file.h"
#include "sys/process.h"

#define LMDB_MAGIC MAGIC('L', 'M', 'D', 'B')
#define MAP_LEAST (UINT64_C(1) << 30)
#define MAP_MOST (UINT64_C(1) << 46)
#define FORMAT_KEY STR("format")
#define FORMAT_VALUE STR("veredus index 1")
#define POSITION_KEY STR("position")

enum {
    POSITION_SIZE = 16,
    DATABASES = 2,
    READERS_MAX = 126,
    PATH_MOST = 4096,
};

struct index_lmdb {
    struct index index;
    uint32_t magic;
    MDB_env *env;
    MDB_dbi entries, about;
    char *path;
    uint64_t map_least;
    bool failed; /* a sync failed: nothing more is written before the file was opened anew */
    /* All below under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t no_views; /* `views` fell to 0 */
    unsigned views;
    bool closed;             /* it is being opened anew, or could not be */
    struct index_view *idle; /* ended views, kept for the next */
};

struct index_view {
    struct index_lmdb *lmdb;
    struct index_view *next_idle;
    MDB_txn *txn;
    MDB_cursor *cursor;
    bool cursor_is_old; /* belongs to the transaction before */
    bool damaged;
};

static struct index_lmdb *lmdb_of(struct index *index)
{
    struct index_lmdb *lmdb = (struct index_lmdb *)index;
    must_be(lmdb, LMDB_MAGIC);
    return lmdb;
}

static struct err err_lmdb(int rc)
{
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_DBI:
    case MDB_NOTFOUND:
    case MDB_CURSOR_FULL:
        return err_detail(ERR_STORE_DAMAGED, str_from(mdb_strerror(rc)));
    case MDB_PANIC: /* of this environment, not of the file */
        return err_detail(ERR_DISK_FAILED, str_from(mdb_strerror(rc)));
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_READERS_FULL:
        return err_detail(ERR_OVER_LIMIT, str_from(mdb_strerror(rc)));
    default:
        return err_os(rc > 0 ? rc : EIO, STR("index"));
    }
}

/* LMDB's slices lack a const; it only reads what is given to it. */
static MDB_val val_of(struct str s)
{
    union {
        const char *from;
        char *to;
    } bytes = {.from = s.p};
    return (MDB_val){.mv_size = s.n, .mv_data = bytes.to};
}

static struct str str_of(MDB_val val)
{
    return str_make(val.mv_data, val.mv_size);
}

/* --- Writing --------------------------------------------------------------------------------- */

static int put(MDB_txn *txn, MDB_dbi dbi, struct str key, struct str value)
{
    MDB_val k = val_of(key);
    MDB_val v = {.mv_size = value.n + LMDB_VALUE_CRC_SIZE};
    int rc = mdb_put(txn, dbi, &k, &v, MDB_RESERVE);
    if (rc != 0)
        return rc;
    if (value.n > 0)
        memcpy(v.mv_data, value.p, value.n);
    lmdb_value_crc((char *)v.mv_data + value.n, key, value);
    return 0;
}

static int change_write(struct index_lmdb *lmdb, MDB_txn *txn, const struct index_change *change)
{
    must(change->key.n > 0 && change->key.n <= INDEX_KEY_MAX);
    must(change->value.n <= INDEX_VALUE_MAX);
    if (change->value.p)
        return put(txn, lmdb->entries, change->key, change->value);
    MDB_val key = val_of(change->key);
    int rc = mdb_del(txn, lmdb->entries, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int position_write(struct index_lmdb *lmdb, MDB_txn *txn, struct log_position position)
{
    struct buf buf = BUF_INIT(POSITION_SIZE);
    wire_put_u64(&buf, position.segment);
    wire_put_u64(&buf, position.offset);
    int rc = buf_over(&buf) ? ENOMEM : put(txn, lmdb->about, POSITION_KEY, buf_str(&buf));
    buf_done(&buf);
    return rc;
}

/* Pointers into one array, so their own order is the order of the changes. */
static int change_cmp(const void *a, const void *b)
{
    const struct index_change *x = *(const struct index_change *const *)a;
    const struct index_change *y = *(const struct index_change *const *)b;
    int by_key = str_cmp(x->key, y->key);
    return by_key != 0 ? by_key : (x > y) - (x < y);
}

/* Changes in key order, the last of each key. NULL: no memory. */
static const struct index_change **changes_sort(const struct index_change *changes, size_t *count)
{
    const struct index_change **sorted = calloc(*count + 1, sizeof(*sorted));
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < *count; i++)
        sorted[i] = &changes[i];
    qsort(sorted, *count, sizeof(*sorted), change_cmp);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (i + 1 == *count || !str_eq(sorted[i]->key, sorted[i + 1]->key))
            sorted[kept++] = sorted[i];
    *count = kept;
    return sorted;
}

static int txn_write(struct index_lmdb *lmdb, const struct index_change **changes, size_t count,
                     struct log_position position)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = change_write(lmdb, txn, changes[i]);
    if (rc == 0)
        rc = position_write(lmdb, txn, position);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static uint64_t map_used(struct index_lmdb *lmdb, uint64_t *map_r)
{
    MDB_envinfo info;
    MDB_stat stat;
    must(mdb_env_info(lmdb->env, &info) == 0 && mdb_env_stat(lmdb->env, &stat) == 0);
    *map_r = info.me_mapsize;
    return (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
}

static void views_free(struct index_view *view)
{
    while (view) {
        struct index_view *next = view->next_idle;
        if (view->cursor)
            mdb_cursor_close(view->cursor);
        mdb_txn_abort(view->txn);
        free(view);
        view = next;
    }
}

/* Doubles the map. Waits until no view is open, or without `wait` leaves it. New views are let in
 * meanwhile: the loop never stands still because a checkpoint's long view keeps the map small. */
static int map_grow(struct index_lmdb *lmdb, bool wait)
{
    uint64_t map;
    (void)map_used(lmdb, &map);
    if (map >= MAP_MOST)
        return MDB_MAP_FULL;
    pthread_mutex_lock(&lmdb->lock);
    if (lmdb->views > 0 && !wait) {
        pthread_mutex_unlock(&lmdb->lock);
        return 0;
    }
    while (lmdb->views > 0)
        pthread_cond_wait(&lmdb->no_views, &lmdb->lock);
    views_free(lmdb->idle);
    lmdb->idle = NULL;
    int rc = mdb_env_set_mapsize(lmdb->env, (size_t)map * 2);
    pthread_mutex_unlock(&lmdb->lock);
    return rc;
}

static int env_open(struct index_lmdb *lmdb, const char *path, uint64_t map);

static void env_close(struct index_lmdb *lmdb)
{
    views_free(lmdb->idle);
    lmdb->idle = NULL;
    if (lmdb->env)
        mdb_env_close(lmdb->env);
    lmdb->env = NULL;
}

/* Waits until no view is open; those that come meanwhile are let in, and refused while it is done.
 */
static int env_open_anew(struct index_lmdb *lmdb)
{
    pthread_mutex_lock(&lmdb->lock);
    while (lmdb->views > 0)
        pthread_cond_wait(&lmdb->no_views, &lmdb->lock);
    lmdb->closed = true;
    pthread_mutex_unlock(&lmdb->lock);
    env_close(lmdb);
    int rc = env_open(lmdb, lmdb->path, lmdb->map_least);
    pthread_mutex_lock(&lmdb->lock);
    lmdb->closed = rc != 0;
    pthread_mutex_unlock(&lmdb->lock);
    lmdb->failed = rc != 0;
    return rc;
}

static struct err lmdb_write(struct index *index, const struct index_change *changes, size_t count,
                             struct log_position position)
{
    struct index_lmdb *lmdb = lmdb_of(index);
    int rc = lmdb->failed ? env_open_anew(lmdb) : 0;
    if (rc != 0)
        return err_lmdb(rc);
    const struct index_change **sorted = changes_sort(changes, &count);
    if (!sorted)
        return err_make(ERR_NO_MEMORY);
    while ((rc = txn_write(lmdb, sorted, count, position)) == MDB_MAP_FULL)
        if ((rc = map_grow(lmdb, true)) != 0)
            break;
    free(sorted);
    /* What cannot be told from a failed sync counts as one. */
    if (rc != 0 && rc != ENOSPC && rc != ENOMEM && rc != MDB_MAP_FULL)
        lmdb->failed = true;
    if (rc != 0)
        return err_lmdb(rc);
    uint64_t map;
    if (map_used(lmdb, &map) > map / 2)
        (void)map_grow(lmdb, false);
    return err_none();
}

/* --- Reading --------------------------------------------------------------------------------- */

/* With the lock held. */
static int view_open(struct index_lmdb *lmdb, struct index_view **view_r)
{
    if (lmdb->closed)
        return EIO;
    struct index_view *view = lmdb->idle;
    if (view) {
        int rc = mdb_txn_renew(view->txn);
        if (rc != 0)
            return rc;
        lmdb->idle = view->next_idle;
        view->cursor_is_old = view->cursor != NULL;
    } else {
        view = calloc(1, sizeof *view);
        if (!view)
            return ENOMEM;
        int rc = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &view->txn);
        if (rc != 0) {
            free(view);
            return rc;
        }
        view->lmdb = lmdb;
    }
    view->next_idle = NULL;
    view->damaged = false;
    *view_r = view;
    return 0;
}

static struct err lmdb_view_begin(struct index *index, struct index_view **view_r)
{
    struct index_lmdb *lmdb = lmdb_of(index);
    pthread_mutex_lock(&lmdb->lock);
    int rc = view_open(lmdb, view_r);
    if (rc == 0)
        lmdb->views++;
    pthread_mutex_unlock(&lmdb->lock);
    return rc == 0 ? err_none() : err_lmdb(rc);
}

static void lmdb_view_end(struct index *index, struct index_view *view)
{
    struct index_lmdb *lmdb = lmdb_of(index);
    must(view->lmdb == lmdb);
    mdb_txn_reset(view->txn);
    pthread_mutex_lock(&lmdb->lock);
    must(lmdb->views > 0);
    lmdb->views--;
    view->next_idle = lmdb->idle;
    lmdb->idle = view;
    if (lmdb->views == 0)
        pthread_cond_signal(&lmdb->no_views);
    pthread_mutex_unlock(&lmdb->lock);
}

static bool get(struct index_view *view, MDB_dbi dbi, struct str key, struct str *value_r)
{
    MDB_val k = val_of(key);
    MDB_val v;
    int rc = mdb_get(view->txn, dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return false;
    if (rc == 0 && lmdb_value_open(key, str_of(v), value_r))
        return true;
    view->damaged = true;
    return false;
}

static struct log_position lmdb_position(struct index_view *view)
{
    struct str value = {0};
    (void)get(view, view->lmdb->about, POSITION_KEY, &value);
    struct wire_in in = wire_in(value);
    struct log_position position = {0};
    position.segment = wire_get_u64(&in);
    position.offset = wire_get_u64(&in);
    return position;
}

static bool lmdb_get(struct index_view *view, struct str key, struct str *value_r)
{
    return key.n > 0 && key.n <= INDEX_KEY_MAX && get(view, view->lmdb->entries, key, value_r);
}

static int cursor_open(struct index_view *view)
{
    int rc = 0;
    if (!view->cursor)
        rc = mdb_cursor_open(view->txn, view->lmdb->entries, &view->cursor);
    else if (view->cursor_is_old)
        rc = mdb_cursor_renew(view->txn, view->cursor);
    view->cursor_is_old = rc != 0;
    return rc;
}

/* The entry the cursor comes to; one that fails its check ends the walk. */
static bool cursor_move(struct index_view *view, MDB_val *k, MDB_cursor_op move, struct str *key_r,
                        struct str *value_r)
{
    MDB_val v = {0};
    int rc = cursor_open(view);
    if (rc == 0)
        rc = mdb_cursor_get(view->cursor, k, &v, move);
    if (rc == MDB_NOTFOUND)
        return false;
    struct str key = str_of(*k);
    if (rc == 0 && lmdb_value_open(key, str_of(v), value_r)) {
        *key_r = key;
        return true;
    }
    view->damaged = true;
    return false;
}

static bool lmdb_seek(struct index_view *view, struct str from, struct str *key_r,
                      struct str *value_r)
{
    MDB_val k = val_of(from);
    return cursor_move(view, &k, from.n > 0 ? MDB_SET_RANGE : MDB_FIRST, key_r, value_r);
}

static bool lmdb_next(struct index_view *view, struct str *key_r, struct str *value_r)
{
    MDB_val k = {0};
    return !view->damaged && cursor_move(view, &k, MDB_NEXT, key_r, value_r);
}

static bool lmdb_damaged(struct index_view *view)
{
    return view->damaged;
}

static void lmdb_close(struct index *index)
{
    struct index_lmdb *lmdb = lmdb_of(index);
    must(lmdb->views == 0);
    env_close(lmdb);
    pthread_cond_destroy(&lmdb->no_views);
    pthread_mutex_destroy(&lmdb->lock);
    free(lmdb->path);
    free(lmdb);
}

static struct err env_check(MDB_env *env, enum lmdb_file_part part)
{
    int file;
    int rc = mdb_env_get_fd(env, &file);
    return rc == 0 ? lmdb_file_check(file, part) : err_lmdb(rc);
}

static struct err lmdb_check(struct index *index)
{
    return env_check(lmdb_of(index)->env, LMDB_FILE_ALL);
}

/* --- Opening --------------------------------------------------------------------------------- */

/* A new file gets our mark; one that holds anything but is without it is not ours. */
static int format_check(struct index_lmdb *lmdb, MDB_txn *txn, bool is_new)
{
    MDB_val key = val_of(FORMAT_KEY);
    MDB_val value;
    if (is_new)
        return put(txn, lmdb->about, FORMAT_KEY, FORMAT_VALUE);
    int rc = mdb_get(txn, lmdb->about, &key, &value);
    if (rc != 0)
        return rc;
    struct str format = {0};
    bool ours = lmdb_value_open(FORMAT_KEY, str_of(value), &format) && str_eq(format, FORMAT_VALUE);
    return ours ? 0 : MDB_INCOMPATIBLE;
}

static int databases_open(struct index_lmdb *lmdb, MDB_txn *txn)
{
    MDB_dbi main;
    MDB_stat stat;
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == 0)
        rc = mdb_stat(txn, main, &stat);
    if (rc != 0)
        return rc;
    bool is_new = stat.ms_entries == 0;
    unsigned create = is_new ? MDB_CREATE : 0;
    rc = mdb_dbi_open(txn, "entries", create, &lmdb->entries);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "about", create, &lmdb->about);
    return rc == 0 ? format_check(lmdb, txn, is_new) : rc;
}

static int format_open(struct index_lmdb *lmdb)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = databases_open(lmdb, txn);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int env_open(struct index_lmdb *lmdb, const char *path, uint64_t map)
{
    int rc = mdb_env_create(&lmdb->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(lmdb->env, (size_t)map);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(lmdb->env, DATABASES);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(lmdb->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(lmdb->env, path, MDB_NOTLS, 0600);
    if (rc != 0)
        return rc;
    if (err_is(env_check(lmdb->env, LMDB_FILE_ROOTS)))
        return MDB_CORRUPTED;
    while (map_used(lmdb, &map) > map / 2)
        if ((rc = map_grow(lmdb, false)) != 0)
            return rc;
    return format_open(lmdb);
}

static struct err file_remove(struct index_lmdb *lmdb, struct str name)
{
    struct buf path = BUF_INIT(PATH_MOST);
    buf_printf(&path, "%s/%.*s", lmdb->path, STR_FMT(name));
    struct err e = buf_over(&path) ? err_make(ERR_NO_MEMORY) : process_remove_file(buf_str(&path));
    buf_done(&path);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err lmdb_reset(struct index *index)
{
    struct index_lmdb *lmdb = lmdb_of(index);
    must(lmdb->views == 0);
    env_close(lmdb);
    struct err e = file_remove(lmdb, INDEX_LMDB_DATA);
    if (!err_is(e))
        e = file_remove(lmdb, INDEX_LMDB_LOCK);
    if (err_is(e))
        return e;
    int rc = env_open(lmdb, lmdb->path, lmdb->map_least);
    lmdb->failed = lmdb->closed = rc != 0;
    return rc == 0 ? err_none() : err_lmdb(rc);
}

static const struct index_ops lmdb_ops = {
    .write = lmdb_write,
    .view_begin = lmdb_view_begin,
    .view_end = lmdb_view_end,
    .position = lmdb_position,
    .get = lmdb_get,
    .seek = lmdb_seek,
    .next = lmdb_next,
    .damaged = lmdb_damaged,
    .check = lmdb_check,
    .reset = lmdb_reset,
    .close = lmdb_close,
};

struct err index_lmdb_open(struct str path, uint64_t map, struct index **index_r)
{
    if (path.n >= PATH_MOST)
        return err_detail(ERR_OS, STR("the path of the index is too long"));
    struct index_lmdb *lmdb = calloc(1, sizeof *lmdb);
    char *name = strndup(path.p, path.n);
    if (!lmdb || !name) {
        free(lmdb);
        free(name);
        return err_make(ERR_NO_MEMORY);
    }
    lmdb->index.ops = &lmdb_ops;
    lmdb->magic = LMDB_MAGIC;
    lmdb->path = name;
    lmdb->map_least = map > 0 ? map : MAP_LEAST;
    must(pthread_mutex_init(&lmdb->lock, NULL) == 0 &&
         pthread_cond_init(&lmdb->no_views, NULL) == 0);
    int rc = env_open(lmdb, name, lmdb->map_least);
    if (rc != 0) {
        lmdb_close(&lmdb->index);
        return err_lmdb(rc);
    }
    *index_r = &lmdb->index;
    return err_none();
}
