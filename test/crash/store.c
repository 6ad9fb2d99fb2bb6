#include "store.h"

#include <errno.h>
#include <fcntl.h>

#include "base/must.h"
#include "base/wire.h"

enum {
    FIBERS = 64,
    PATH_ROOM = 512,
    ARENA_MOST = 64 * 1024 * 1024,
    ENTRIES_MOST = 100000,
};

const char store_count_key[] = "count";
const char store_gone_key[] = "gone";

struct partition store_box(unsigned box)
{
    return (struct partition){PARTITION_MAILBOX, 1 + box};
}

struct partition store_account(unsigned box)
{
    return (struct partition){PARTITION_ACCOUNT, 1 + box};
}

void store_value(unsigned char to[STORE_VALUE], uint32_t number, uint32_t flag)
{
    memset(to, 0, 8); /* the modseq's place */
    key_put_u32(to + 8, number);
    key_put_u32(to + 12, flag);
}

/* --- Running ---------------------------------------------------------------------------------- */

struct call {
    struct store *store;
    void (*run)(struct store *);
    struct fiber_start start;
};

static void call_run(void *arg)
{
    struct call *call = arg;
    call->run(call->store);
    loop_stop(&call->store->loop);
}

void store_run(struct store *store, const char *path, void (*run)(struct store *))
{
    struct call call = {.store = store, .run = run};
    store->path = path;
    store->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(store->folder >= 0 && loop_init(&store->loop, world_real()) == 0);
    store->fibers = fiber_pool_open(&store->loop, FIBERS);
    must(store->fibers);
    if (store->settings.segment_size == 0) {
        local_settings_default(&store->settings);
        store->settings.segment_size = STORE_SEGMENT;
        store->settings.least_free = 0;
    }
    call.start = (struct fiber_start){.run = call_run, .arg = &call};
    fiber_run(store->fibers, &call.start);
    loop_run(&store->loop);
    loop_turn(&store->loop);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static struct err index_open(const struct store *store, struct index **index_r)
{
    char path[PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s/index", store->path);
    struct err e = index_lmdb_open(str_from(path), 0, index_r);
    if (err_is(e))
        return e;
    e = (*index_r)->ops->check(*index_r);
    if (err_is(e))
        (*index_r)->ops->close(*index_r);
    return e;
}

static void index_remove(struct store *store)
{
    const struct world_ops *ops = store->loop.world->ops;
    (void)ops->file_remove(store->loop.world, store->folder, STR("index/data.mdb"));
    (void)ops->file_remove(store->loop.world, store->folder, STR("index/lock.mdb"));
}

struct err store_open(struct store *store)
{
    struct world *world = store->loop.world;
    struct index *index;
    int folder = world->ops->folder_open(world, store->folder, STR("index"), true);
    if (folder < 0)
        return err_os(-folder, STR("index"));
    world->ops->close(world, folder);
    struct err e = index_open(store, &index);
    if (e.code == ERR_STORE_DAMAGED) {
        index_remove(store);
        e = index_open(store, &index);
    }
    if (err_is(e))
        return e;
    return local_open(&store->loop, store->folder, index, &store->settings, true, NULL, NULL,
                      &store->engine);
}

void store_close(struct store *store)
{
    engine_close(store->engine);
    store->engine = NULL;
}

/* --- Listing ---------------------------------------------------------------------------------- */

static bool tell(struct buf *why, const char *what, uint32_t number, struct err e)
{
    buf_printf(why, "%s %u: %s %.*s", what, number, err_row(e.code)->name, STR_FMT(e.detail));
    return false;
}

/* ERR_STORE_DAMAGED; ERR_CONFLICT: it reads well and is not what was delivered. */
static struct err body_read(struct store *store, const struct entry *entry, uint32_t number,
                            struct arena *arena)
{
    uint64_t head_n, body_n;
    struct str head;
    char text[HEAD_ROOM];
    struct err e = engine_blob_size(store->engine, entry->blob, &head_n, &body_n);
    if (!err_is(e))
        e = engine_blob_head(store->engine, entry->blob, arena, &head);
    if (err_is(e))
        return e;
    unsigned char *got = malloc(body_n + 1), *want = malloc(body_n + 1);
    must(got && want);
    trial_body(number, want, body_n);
    e = engine_blob_read(store->engine, entry->blob, 0, got, body_n);
    if (!err_is(e) && (memcmp(got, want, body_n) != 0 || !str_eq(head, trial_head(number, text))))
        e = err_make(ERR_CONFLICT);
    free(got);
    free(want);
    return e;
}

static bool copy_list(struct store *store, struct found_box *box, const struct entry *entry,
                      struct arena *arena, struct buf *why)
{
    const unsigned char *value = (const unsigned char *)entry->value.p;
    if (entry->key.n != 5 || entry->value.n != STORE_VALUE)
        return tell(why, "malformed entry in mailbox", 0,
                    err_detail(ERR_CONFLICT, STR("its key or value")));
    struct wire_in in = wire_in(entry->value);
    uint32_t number = key_get_u32(value + 8);
    if (number == 0 || number > TRIALS_MAX || box->copies[number].there)
        return tell(why, "delivery", number,
                    err_detail(ERR_CONFLICT, STR("is there twice, or of nobody")));
    struct found *found = &box->copies[number];
    *found = (struct found){.uid = key_get_u32((const unsigned char *)entry->key.p + 1),
                            .flag = key_get_u32(value + 12),
                            .modseq = wire_get_u64(&in),
                            .blob = entry->blob,
                            .there = true};
    struct err e = body_read(store, entry, number, arena);
    /* NOT_FOUND: the blob's own header is damaged. */
    found->damaged = e.code == ERR_STORE_DAMAGED || e.code == ERR_NOT_FOUND;
    if (err_is(e) && !found->damaged)
        return tell(why, "delivery", number, e);
    return true;
}

static bool box_list(struct store *store, unsigned nth, struct found_box *box, struct buf *why)
{
    struct arena arena;
    struct entry *entries, count;
    struct numbers numbers;
    size_t n = 0;
    bool ok = true;
    arena_init(&arena, ARENA_MOST);
    struct err e = engine_scan(store->engine, store_box(nth), STR("m"), STR("n"), ENTRIES_MOST,
                               &arena, &entries, &n);
    for (size_t i = 0; !err_is(e) && i < n && ok; i++)
        ok = copy_list(store, box, &entries[i], &arena, why);
    if (!err_is(e))
        e = engine_numbers(store->engine, store_box(nth), &numbers);
    if (!err_is(e)) {
        box->uid_next = numbers.uid_next;
        box->modseq_next = numbers.modseq_next;
        e = engine_get(store->engine, store_account(nth), str_from(store_count_key), &arena,
                       &count);
    }
    if (!err_is(e)) {
        struct wire_in in = wire_in(count.value);
        box->count = (int64_t)wire_get_u64(&in);
    } else if (e.code != ERR_NOT_FOUND && ok) {
        ok = tell(why, "reading mailbox", nth, e);
    }
    arena_done(&arena);
    return ok;
}

bool store_list(struct store *store, struct listing *listing, struct buf *why)
{
    memset(listing, 0, sizeof(*listing));
    for (unsigned box = 0; box < BOXES; box++)
        if (!box_list(store, box, &listing->boxes[box], why))
            return false;
    return true;
}

static void finding(void *arg, struct str what, bool mended)
{
    (void)mended;
    buf_printf(arg, "fsck: %.*s; ", STR_FMT(what));
}

bool store_fsck(struct store *store, bool repair, struct buf *why)
{
    uint64_t findings;
    struct local_status status;
    struct err e = local_fsck(store->engine, repair, repair ? NULL : finding, why, &findings);
    local_status(store->engine, &status);
    if (!err_is(e) && status.damaged)
        buf_printf(why, "damaged: %s; ", status.why);
    if (err_is(e))
        return tell(why, "fsck", 0, e);
    return !status.damaged && (repair || findings == 0);
}
