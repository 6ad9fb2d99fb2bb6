/*
 * Opening and closing.
 *
 * A store is opened by one process, under a lock; the log above the index is replayed before
 * anybody is served. Closing applies what waits, so that the next start has nothing to replay; but
 * nothing depends on it: a process that is killed loses nothing.
 */
#include <errno.h>

#include "store/local/background.h"
#include "store/local/body_file.h"

static const char version_text[] = "veredus store 1\n";

enum {
    VERSION_ROOM = 64
};

struct local *local_of(struct engine *engine)
{
    must_be(engine, ENGINE_MAGIC);
    struct local *local = (struct local *)engine;
    must_be(local, LOCAL_MAGIC);
    return local;
}

void local_settings_default(struct local_settings *settings)
{
    *settings = (struct local_settings){
        .segment_size = UINT64_C(64) << 20,
        .overlay_soft = UINT64_C(8) << 20,
        .overlay_hard = UINT64_C(64) << 20,
        .apply_every = 10 * NS_PER_SECOND,
        .prefill = true,
        .compact_below = 50,
        .least_free = UINT64_C(64) << 20,
    };
}

void local_say(struct local *local, const char *what, struct err e)
{
    (void)snprintf(local->why, sizeof(local->why), "%s%.*s%s%s", what, STR_FMT(e.detail),
                   e.os ? ": " : "", e.os ? strerrordesc_np(e.os) : "");
}

void local_is_damaged(struct local *local, const char *what, struct err e)
{
    if (local->status.damaged)
        return;
    local->status.damaged = true;
    local_say(local, what, e);
    if (local->state != LOCAL_OPENING && local->state != LOCAL_CLOSING)
        local->state = LOCAL_DAMAGED;
}

static bool is_quiet(const struct local *local)
{
    return !local->flying && local->next->part_count == 0 && !local->making && !local->sparing &&
           !local->applying && !local->spending && TAILQ_EMPTY(&local->failed) &&
           TAILQ_EMPTY(&local->refused) && background_is_quiet(local) &&
           (TAILQ_EMPTY(&local->waiting) || local->state == LOCAL_DAMAGED);
}

void local_look_quiet(struct local *local)
{
    if (local->closing && is_quiet(local))
        wait_over(local->closing);
}

/* --- Files ----------------------------------------------------------------------------------- */

static struct err lock_take(struct local *local)
{
    const struct world_ops *ops = local->world->ops;
    local->lock = ops->file_open(local->world, local->folder, STR("lock"),
                                 FILE_READ | FILE_WRITE | FILE_CREATE);
    if (local->lock < 0)
        return err_os(-local->lock, STR("opening the store's lock"));
    int got = ops->file_lock(local->world, local->lock);
    if (got == -EWOULDBLOCK)
        return err_make(ERR_STORE_LOCKED);
    return got < 0 ? err_os(-got, STR("locking the store")) : err_none();
}

static struct err version_write(struct local *local)
{
    const struct world_ops *ops = local->world->ops;
    int file =
        ops->file_open(local->world, local->folder, STR("version.new"), FILE_WRITE | FILE_CREATE);
    if (file < 0)
        return err_os(-file, STR("making the store's version file"));
    char text[sizeof(version_text)];
    memcpy(text, version_text, sizeof(text));
    struct iovec part = {text, sizeof(version_text) - 1};
    ssize_t got = ops->file_write(local->world, file, &part, 1, 0);
    if (got >= 0)
        got = ops->file_sync(local->world, file);
    (void)ops->close(local->world, file);
    if (got >= 0)
        got = ops->file_rename(local->world, local->folder, STR("version.new"), STR("version"));
    if (got >= 0)
        got = ops->folder_sync(local->world, local->folder);
    return got < 0 ? err_os((int)-got, STR("writing the store's version file")) : err_none();
}

static struct err version_check(struct str text)
{
    if (str_eq(text, str_make(version_text, sizeof(version_text) - 1)))
        return err_none();
    if (str_starts(text, STR("veredus store ")))
        return err_detail(ERR_CONFIG, STR("the store was written by a later version of Veredus"));
    return err_detail(ERR_STORE_DAMAGED, STR("the store's version file is not ours"));
}

static struct err version_read(struct local *local, bool create)
{
    const struct world_ops *ops = local->world->ops;
    int file = ops->file_open(local->world, local->folder, STR("version"), FILE_READ);
    if (file == -ENOENT && create && !segment_last(&local->segments))
        return version_write(local);
    if (file == -ENOENT && segment_last(&local->segments))
        return err_detail(ERR_STORE_DAMAGED, STR("the store has no version file"));
    if (file < 0)
        return err_os(-file, STR("opening the store"));
    char text[VERSION_ROOM];
    ssize_t got = ops->file_read(local->world, file, text, sizeof(text), 0);
    (void)ops->close(local->world, file);
    return got < 0 ? err_os((int)-got, STR("reading the store's version"))
                   : version_check(str_make(text, (size_t)got));
}

/* --- Opening --------------------------------------------------------------------------------- */

static blob_id local_blob_new(struct engine *engine)
{
    return local_of(engine)->blob_next++;
}

static void local_close(struct engine *engine);

static const struct engine_ops local_ops = {
    .commit = local_commit,
    .get = local_get,
    .scan = local_scan,
    .numbers = local_numbers,
    .blob_new = local_blob_new,
    .blob_size = local_blob_size,
    .blob_head = local_blob_head,
    .blob_read = local_blob_read,
    .blob_whole = local_blob_whole,
    .upload_open = local_upload_open,
    .upload_write = local_upload_write,
    .upload_finish = local_upload_finish,
    .upload_drop = local_upload_drop,
    .watch = local_watch,
    .unwatch = local_unwatch,
    .close = local_close,
};

static struct err lanes_open(struct local *local)
{
    int got = lane_init(&local->commits, local->loop, "store-commit", 1);
    if (got < 0)
        return err_os(-got, STR("starting the commit lane"));
    got = lane_init(&local->applier, local->loop, "store-apply", 1);
    if (got < 0) {
        lane_done(&local->commits);
        return err_os(-got, STR("starting the applier lane"));
    }
    got = lane_init(&local->reader, local->loop, "store-read", LOCAL_READERS);
    if (got < 0) {
        lane_done(&local->commits);
        lane_done(&local->applier);
        return err_os(-got, STR("starting the reader lane"));
    }
    return err_none();
}

static void lanes_close(struct local *local)
{
    lane_done(&local->commits);
    lane_done(&local->applier);
    lane_done(&local->reader);
}

/* The first segment of a new store. */
static struct err first_segment(struct local *local)
{
    struct segment_header header = {
        .sequence = local->sequence_next++,
        .first_group = local->group_next,
        .made = world_wall(local->world),
    };
    world_random(local->world, &header.salt, sizeof(header.salt));
    segment_make_begin(&local->segments, &header, &local->make);
    segment_make_run(&local->make);
    local->segment = segment_make_end(&local->segments, &local->make);
    if (!local->segment)
        return local->make.err;
    local->salt = header.salt;
    local->at = SEGMENT_HEADER_SIZE;
    local->durable = (struct log_position){header.sequence, local->at};
    return err_none();
}

/* A process that was killed may have left names that are seen but not durable: a segment that is
 * written to must not lose its name later. */
static struct err names_sync(struct local *local)
{
    const struct world_ops *ops = local->world->ops;
    int got = ops->folder_sync(local->world, local->segments.folder);
    if (got >= 0)
        got = ops->folder_sync(local->world, local->folder);
    return got < 0 ? err_os(-got, STR("syncing the store's folders")) : err_none();
}

static struct err files_open(struct local *local, bool create)
{
    struct err e = lock_take(local);
    if (!err_is(e))
        e = segments_open(&local->segments, local->world, local->folder,
                          local->settings.segment_size);
    local->segments_are_open = !err_is(e);
    if (!err_is(e))
        e = version_read(local, create);
    if (!err_is(e))
        e = names_sync(local);
    if (!err_is(e))
        e = body_uploads_clear(local->world, local->folder);
    return e;
}

static struct err log_open(struct local *local, bool create, const struct replay_sink *sink)
{
    struct err e = files_open(local, create);
    if (!err_is(e))
        e = checkpoint_restore(local);
    if (!err_is(e))
        e = replay_log(local, sink);
    if (!err_is(e) && !local->status.damaged)
        e = bodies_sweep(local);
    if (!err_is(e) && !local->segment && !local->status.damaged)
        e = first_segment(local);
    return e;
}

static struct local *local_new(struct loop *loop, int folder, struct index *index,
                               const struct local_settings *settings)
{
    struct local *local = calloc(1, sizeof(*local));
    if (!local)
        return NULL;
    local->engine = (struct engine){.magic = ENGINE_MAGIC, .ops = &local_ops};
    local->magic = LOCAL_MAGIC;
    local->loop = loop;
    local->world = loop->world;
    local->folder = folder;
    local->lock = -1;
    local->settings = *settings;
    local->index = index;
    local->group_next = 1;
    local->sequence_next = 1;
    local->blob_next = 1;
    apply_open(local);
    background_open(local);
    return local;
}

/* Everything but the lanes. Nothing may be under way. */
static void local_free(struct local *local)
{
    commit_close(local);
    background_close(local);
    apply_close(local);
    bodies_close_idle(local);
    if (local->segment)
        segment_unpin(&local->segments, local->segment);
    if (local->segments_are_open)
        segments_close(&local->segments);
    if (local->lock >= 0)
        (void)local->world->ops->close(local->world, local->lock);
    local->index->ops->close(local->index);
    local->magic = 0;
    free(local);
}

struct err local_open(struct loop *loop, int folder, struct index *index,
                      const struct local_settings *settings, bool create,
                      void (*replayed)(void *arg, struct str tag, const struct op *ops,
                                       size_t count),
                      void *arg, struct engine **engine_r)
{
    *engine_r = NULL;
    struct local *local = local_new(loop, folder, index, settings);
    if (!local) {
        index->ops->close(index);
        return err_make(ERR_NO_MEMORY);
    }
    struct replay_sink sink = {replayed, arg};
    struct err e = commit_open(local);
    if (!err_is(e))
        e = log_open(local, create, &sink);
    if (!err_is(e))
        e = lanes_open(local);
    if (err_is(e)) {
        local_free(local);
        return e;
    }
    local->state = local->status.damaged ? LOCAL_DAMAGED : LOCAL_SERVING;
    if (local->active.count > 0)
        apply_later(local);
    if (local->settings.prefill && local->state == LOCAL_SERVING)
        segments_short_spares_remove(&local->segments);
    commit_go_on(local);
    *engine_r = &local->engine;
    return e;
}

/* --- Closing --------------------------------------------------------------------------------- */

static void wait_until_quiet(struct local *local)
{
    while (!is_quiet(local)) {
        struct wait wait = {0};
        local->closing = &wait;
        wait_for(&wait);
        local->closing = NULL;
    }
}

static void local_close(struct engine *engine)
{
    struct local *local = local_of(engine);
    bool damaged = local->status.damaged;
    local->state = LOCAL_CLOSING;
    timer_clear(local->loop, &local->retry);
    commit_go_on(local); /* where no segment could be made, it is tried once more */
    wait_until_quiet(local);
    if (!damaged)
        (void)apply_wait(local); /* what is not applied is replayed */
    wait_until_quiet(local);
    lanes_close(local);
    local_free(local);
}

/* --- Looking --------------------------------------------------------------------------------- */

static void count_live(struct local *local, const struct layers *layers,
                       struct local_status *status)
{
    char octet = TABLE_SEGMENT;
    struct str table = str_make(&octet, 1);
    struct layers_walk walk;
    struct str key, value;
    layers_seek(&walk, layers, table, table);
    while (layers_next(&walk, &key, &value)) {
        struct segment_use use;
        if (value_segment_decode(value, &use))
            status->bytes_live += use.live;
    }
    struct index_key counts_key = key_counts();
    struct store_counts counts;
    if (layers_get(layers, index_key_str(&counts_key), &value) &&
        value_counts_decode(value, &counts)) {
        status->blobs = counts.blobs;
        status->entries = counts.entries;
    }
    uint64_t written = local->durable.offset, room = local->settings.segment_size;
    struct segment *segment;
    TAILQ_FOREACH (segment, &local->segments.list, link) {
        if (segment == local->segment)
            continue;
        written += segment->file_size; /* all but the newest are full */
        room += segment->file_size;
    }
    status->bytes_unused = room > written ? room - written : 0;
    status->bytes_dead = written > status->bytes_live ? written - status->bytes_live : 0;
}

void local_set_least_free(struct engine *engine, uint64_t least_free)
{
    local_of(engine)->settings.least_free = least_free;
}

void local_status(struct engine *engine, struct local_status *status_r)
{
    struct local *local = local_of(engine);
    *status_r = local->status;
    status_r->segments = local->segments.count;
    status_r->segments_free = segments_spares(&local->segments);
    status_r->overlay_bytes = local->active.octets + local->frozen.octets;
    status_r->read_only = local->state == LOCAL_READ_ONLY || local->state == LOCAL_DAMAGED;
    status_r->full = !status_r->read_only && commit_disk_is_full(local);
    memcpy(status_r->why, local->why, sizeof(status_r->why));
    if (status_r->full)
        (void)snprintf(status_r->why, sizeof(status_r->why), "%s", LOCAL_FULL_TEXT);
    struct layers layers;
    if (err_is(read_begin(local, &layers)))
        return;
    count_live(local, &layers, status_r);
    (void)read_end(local, &layers);
}

struct err local_apply_now(struct engine *engine)
{
    return apply_wait(local_of(engine));
}
