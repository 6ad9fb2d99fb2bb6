/*
 * How a commit travels.
 *
 *   C1 waiting   engine_commit copied its bodies into a record of its own; it waits for its turn
 *   C1a ordered  it had its turn: it is in the group that flies next
 *   C2 flying    its group is with the commit lane: one write, one sync
 *   C3 durable   its rows are visible, watchers are woken, `done` is called
 *   C4 refused   its group's write or sync failed; it waits until that is final
 *   C5 failed    it did not pass its own turn (a precondition, no room); nothing was written
 *
 * One group flies at a time, so what lies behind an invalid record in the log tells a torn tail
 * from damage (doc/format.md). All commits of one turn of the loop join: the next group is gathered
 * at the turn's end. There is no artificial delay: while one group flies the next one collects, and
 * that alone makes groups large when it matters.
 *
 * The next group is ordered while one flies, on top of it, and flies before anybody is told of the
 * one that landed: so the disk does not wait for us. If the one below it fails, its commits go back
 * to C1 with nothing said: nothing of it was written. A commit that fails its turn on top of a
 * group that flies is not told so before that group has landed, for what it failed at may never be.
 *
 * After a failed write or sync the kernel may show either octets, on the disk there may be either,
 * and a second sync would claim success. So the segment is not touched again: the next segment's
 * header says where it ended, and `done` comes only when that is durable (C4 -> reported), because
 * only then can the group never come back. Where no segment can be made, the refused commits wait,
 * later ones are refused at once (they were never written), and a timer tries again.
 */
#include "base/crc.h"
#include "store/local/engine_local.h"

/* --- C1: taking one in ----------------------------------------------------------------------- */

static bool op_is_within_limits(const struct op *op)
{
    size_t key = op->key.n + (op->kind == OP_APPEND ? 4 : 0);
    if (key > ENGINE_KEY_MAX || op->value.n > ENGINE_VALUE_MAX)
        return false;
    must(!op->stamp || op->value.n >= 8);
    must(op->kind != OP_ADD || (op->value.n % 8 == 0 && op->value.n <= ADD_NUMBERS_MAX * 8));
    return true;
}

static uint64_t blob_put_body(const struct blob_put *put)
{
    if (put->upload)
        return upload_body(put->upload);
    uint64_t body = 0;
    for (size_t i = 0; i < put->body_parts; i++)
        body += put->body[i].iov_len;
    return body;
}

static bool commit_is_within_limits(const struct commit *commit)
{
    if (commit->op_count > ENGINE_COMMIT_OPS_MAX || commit->tag.n > ENGINE_VALUE_MAX)
        return false;
    for (size_t i = 0; i < commit->op_count; i++)
        if (!op_is_within_limits(&commit->ops[i]))
            return false;
    for (size_t i = 0; i < commit->blob_count; i++) {
        const struct blob_put *put = &commit->blobs[i];
        must(put->blob != 0);
        if (put->head.n > ENGINE_HEAD_MAX ||
            (!put->upload && blob_put_body(put) > ENGINE_BODY_INLINE_MAX))
            return false;
    }
    return true;
}

static uint64_t record_size(const struct commit *commit)
{
    uint64_t size = RECORD_HEADER_SIZE + deltas_size(commit);
    for (size_t i = 0; i < commit->blob_count; i++) {
        const struct blob_put *put = &commit->blobs[i];
        size += blob_size_in_log(put->head.n, blob_put_body(put), put->upload != NULL);
    }
    return size;
}

/* Copies heads and bodies to where they are written from. */
static void pending_blobs(struct pending *pending)
{
    const struct commit *commit = pending->commit;
    uint64_t at = RECORD_HEADER_SIZE + (uint64_t)pending->deltas;
    for (size_t i = 0; i < commit->blob_count; i++) {
        const struct blob_put *put = &commit->blobs[i];
        struct pending_blob *blob = &pending->blobs[i];
        uint64_t size = blob_size_in_log(put->head.n, blob_put_body(put), put->upload != NULL);
        memset(pending->octets + at + size - RECORD_ALIGN, 0, RECORD_ALIGN);
        blob_lay_down(put, pending->octets + at, &blob->header);
        if (put->upload) {
            blob->header.external = true;
            blob->header.body = blob_put_body(put);
        }
        blob->at = at;
        blob->size = size;
        at += size;
    }
    must(at == pending->size);
}

static size_t pending_octets(size_t blobs, uint64_t size)
{
    return sizeof(struct pending) + blobs * sizeof(struct pending_blob) +
           blobs * sizeof(struct arrival) + (size_t)size;
}

static struct pending *pending_take(struct local *local, struct commit *commit, size_t blobs,
                                    uint64_t size)
{
    struct pending *pending = spares_take(&local->spare_records, pending_octets(blobs, size));
    if (!pending)
        return NULL;
    *pending = (struct pending){.commit = commit, .size = (uint32_t)size, .blob_count = blobs};
    pending->blobs = (struct pending_blob *)(pending + 1);
    pending->arrivals = (struct arrival *)(pending->blobs + blobs);
    pending->octets = (unsigned char *)(pending->arrivals + blobs);
    return pending;
}

static struct pending *pending_open(struct local *local, struct commit *commit, uint64_t size)
{
    struct pending *pending = pending_take(local, commit, commit->blob_count, size);
    if (!pending)
        return NULL;
    pending->kind = RECORD_COMMIT;
    pending->deltas = (uint32_t)deltas_size(commit);
    pending_blobs(pending);
    return pending;
}

/* A record that is no commit: deltas and blobs as they are. */
static struct pending *pending_open_record(struct local *local, struct commit *commit,
                                           enum record_kind kind, struct str deltas,
                                           const struct record_blob *blobs, size_t count,
                                           uint64_t size)
{
    struct pending *pending = pending_take(local, commit, count, size);
    if (!pending)
        return NULL;
    pending->kind = kind;
    pending->deltas = (uint32_t)deltas.n;
    uint64_t at = RECORD_HEADER_SIZE;
    if (deltas.n > 0)
        memcpy(pending->octets + at, deltas.p, deltas.n);
    at += deltas.n;
    for (size_t i = 0; i < count; i++) {
        struct pending_blob *blob = &pending->blobs[i];
        *blob = (struct pending_blob){blobs[i].header, at, blobs[i].octets.n};
        memcpy(pending->octets + at, blobs[i].octets.p, blobs[i].octets.n);
        at += blobs[i].octets.n;
    }
    must(at == size);
    return pending;
}

static void pending_close(struct local *local, struct commit *commit)
{
    struct pending *pending = commit->record;
    commit->record = NULL;
    if (pending)
        spares_give(&local->spare_records, pending,
                    pending_octets(pending->blob_count, pending->size));
}

/* A commit that only takes away is let through while the disk is full, so that it can get less
 * full. */
static bool commit_frees(const struct commit *commit)
{
    bool removes = false;
    for (size_t i = 0; i < commit->op_count; i++)
        removes |= commit->ops[i].kind == OP_REMOVE;
    return removes && commit->blob_count == 0;
}

bool commit_disk_is_full(struct local *local)
{
    if (local->settings.least_free == 0)
        return false;
    if (local->loop->now >= local->free_read_at + LOCAL_FREE_AGE || local->free_read_at == 0) {
        int64_t octets = local->world->ops->folder_free(local->world, local->folder);
        local->free_octets = octets < 0 ? 0 : (uint64_t)octets;
        local->free_read_at = local->loop->now;
    }
    return local->free_octets < local->settings.least_free;
}

/* Why no record of this size can be taken now, whatever is in it. */
static struct err why_not_ever(const struct local *local, uint64_t size)
{
    if (local->state == LOCAL_CLOSING)
        return err_make(ERR_SHUTTING_DOWN);
    if (local->state == LOCAL_DAMAGED)
        return err_make(ERR_STORE_DAMAGED);
    if (local->state == LOCAL_READ_ONLY)
        return local->read_only_err;
    if (size > local->settings.segment_size - SEGMENT_HEADER_SIZE || size > UINT32_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("the commit is larger than a segment"));
    return err_none();
}

static struct err why_not(struct local *local, const struct commit *commit, uint64_t size)
{
    struct err e = why_not_ever(local, size);
    if (err_is(e))
        return e;
    if (commit_disk_is_full(local) && !commit_frees(commit))
        return err_detail(ERR_DISK_FULL, STR(LOCAL_FULL_TEXT));
    return err_none();
}

/* C5 */
static void commit_fails(struct local *local, struct commit *commit, struct err e)
{
    pending_close(local, commit);
    for (size_t i = 0; i < commit->op_count; i++) {
        commit->ops[i].uid = 0;
        commit->ops[i].modseq = 0;
    }
    commit->failed = e;
    TAILQ_INSERT_TAIL(&local->failed, commit, link);
    loop_soon(local->loop, &local->settle);
}

void local_commit(struct engine *engine, struct commit *commit)
{
    struct local *local = local_of(engine);
    commit->record = NULL;
    if (!commit_is_within_limits(commit)) {
        commit_fails(local, commit, err_make(ERR_OVER_LIMIT));
        return;
    }
    uint64_t size = record_size(commit);
    struct err e = why_not(local, commit, size);
    if (!err_is(e) && !(commit->record = pending_open(local, commit, size)))
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e)) {
        commit_fails(local, commit, e);
        return;
    }
    TAILQ_INSERT_TAIL(&local->waiting, commit, link);
    loop_at_turn_end(local->loop, &local->gather);
}

struct record_waiter {
    struct commit commit;
    struct wait wait;
    struct err err;
};

static void record_done(struct commit *commit, struct err e)
{
    struct record_waiter *waiter = commit->arg;
    waiter->err = e;
    wait_over(&waiter->wait);
}

struct err record_wait(struct local *local, enum record_kind kind, struct str deltas,
                       const struct record_blob *blobs, size_t count)
{
    must(kind != RECORD_COMMIT && deltas.n % RECORD_ALIGN == 0);
    struct record_waiter waiter = {.commit = {.done = record_done}};
    waiter.commit.arg = &waiter;
    uint64_t size = RECORD_HEADER_SIZE + deltas.n;
    for (size_t i = 0; i < count; i++)
        size += blobs[i].octets.n;
    struct err e = why_not_ever(local, size);
    if (!err_is(e) && !(waiter.commit.record = pending_open_record(local, &waiter.commit, kind,
                                                                   deltas, blobs, count, size)))
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e))
        return e;
    TAILQ_INSERT_TAIL(&local->waiting, &waiter.commit, link);
    loop_at_turn_end(local->loop, &local->gather);
    wait_for(&waiter.wait);
    return waiter.err;
}

/* Uploads were the commit's: their files stay where its record is, or may be, in the log. */
static void uploads_end(struct local *local, struct commit *commit, struct err e)
{
    bool may_live = !err_is(e) || e.code == ERR_SHUTTING_DOWN;
    for (size_t i = 0; i < commit->blob_count; i++) {
        if (may_live)
            upload_keep(&commit->blobs[i].upload);
        else
            local_upload_drop(&local->engine, &commit->blobs[i].upload);
    }
}

/* Calls `done` of one commit; its memory is the caller's again. */
static void commit_done(struct local *local, struct commit *commit, struct err e)
{
    const struct pending *pending = commit->record;
    local->status.commits += !err_is(e) && pending && pending->kind == RECORD_COMMIT;
    pending_close(local, commit);
    uploads_end(local, commit, e);
    commit->done(commit, e);
}

static void settle_run(struct task *task)
{
    struct local *local = task->arg;
    must_be(local, LOCAL_MAGIC);
    struct commit *commit;
    while ((commit = TAILQ_FIRST(&local->failed))) {
        TAILQ_REMOVE(&local->failed, commit, link);
        commit_done(local, commit, commit->failed);
    }
    local_look_quiet(local);
}

void commit_waiting_fail(struct local *local, struct err e)
{
    struct commit *commit;
    while ((commit = TAILQ_FIRST(&local->waiting))) {
        TAILQ_REMOVE(&local->waiting, commit, link);
        commit_fails(local, commit, e);
    }
}

/* --- C1 -> C2: the next group ---------------------------------------------------------------- */

static void pending_arrive(struct pending *pending, uint64_t segment, uint64_t at)
{
    for (size_t i = 0; i < pending->blob_count; i++) {
        struct pending_blob *blob = &pending->blobs[i];
        blob->header.segment = segment;
        pending->arrivals[i] = (struct arrival){
            .blob = blob->header.blob,
            .place = {.segment = segment,
                      .offset = at + blob->at,
                      .head = blob->header.head,
                      .body = blob->header.body,
                      .in_log = blob->size,
                      .external = blob->header.external},
        };
    }
}

/* A record's rows, as the kind of the record has it. */
static struct err order_record(struct commit *commit, const struct layers *layers,
                               struct overlay *rows)
{
    struct pending *pending = commit->record;
    const struct arrival *arrivals = pending->arrivals;
    size_t count = pending->blob_count;
    struct delta_writer writer;
    struct err e = err_none();
    switch (pending->kind) {
    case RECORD_COMMIT:
        deltas_begin(&writer, pending->octets + RECORD_HEADER_SIZE, pending->deltas, commit->tag);
        e = order_commit(layers, rows, commit->ops, commit->op_count, arrivals, count, &writer);
        if (!err_is(e))
            deltas_end(&writer);
        break;
    case RECORD_MOVE:
        e = order_moves(layers, rows, arrivals, count);
        break;
    case RECORD_CHECKPOINT:
        break;
    }
    return e;
}

/* The rows of one commit above those of its group. */
static struct err order_one(struct local *local, struct layers *below, struct commit *commit)
{
    struct pending *pending = commit->record;
    struct group *group = local->next;
    pending_arrive(pending, group->segment, group->at + group->size);
    struct overlay rows;
    overlay_init(&rows, &local->spare_rows);
    struct layers layers = *below;
    layers.overlays[0] = &rows;
    struct err e = order_record(commit, &layers, &rows);
    if (err_is(e)) {
        overlay_clear(&rows);
        return e;
    }
    overlay_move(&group->rows, &rows);
    return e;
}

/*
 * Does the segment end before `size` octets at `at` are written? Behind the end of its file the
 * file would grow, and the sync of a file that grew waits for the file system's journal as well:
 * with a file at hand that was filled ahead, the segment ends where its file does. So a new store's
 * first segment, which nobody could fill ahead, is left as soon as there is another.
 */
static bool segment_ends(const struct local *local, uint64_t at, uint64_t size)
{
    uint64_t end = local->settings.segment_size;
    bool ahead = local->settings.prefill && segments_spares(&local->segments) > 0;
    if (ahead && local->segment->file_size < end)
        end = local->segment->file_size;
    return at + size > end;
}

static bool group_has_room(const struct local *local, const struct pending *pending)
{
    const struct group *group = local->next;
    uint64_t size = group->size + pending->size;
    if (segment_ends(local, group->at, size))
        return false;
    return group->part_count == 0 ||
           (size <= GROUP_OCTETS_MAX && group->part_count < GROUP_RECORDS_MAX);
}

static void group_take(struct group *group, struct commit *commit)
{
    struct pending *pending = commit->record;
    group->parts[group->part_count++] = (struct iovec){pending->octets, pending->size};
    group->size += pending->size;
    TAILQ_INSERT_TAIL(&group->commits, commit, link);
}

/* Takes waiting commits in order; those that fail their turn leave no trace in the group. */
static void group_collect(struct local *local, struct layers *below)
{
    struct commit *commit;
    while ((commit = TAILQ_FIRST(&local->waiting)) && group_has_room(local, commit->record)) {
        struct err e = order_one(local, below, commit);
        if (err_is(e) && local->flying)
            return; /* it has its turn again when that has landed */
        TAILQ_REMOVE(&local->waiting, commit, link);
        if (err_is(e))
            commit_fails(local, commit, e);
        else
            group_take(local->next, commit);
    }
}

static void record_seal(const struct group *group, struct pending *pending, uint32_t index,
                        int64_t wall)
{
    struct record_header header = {
        .segment = group->segment,
        .group = group->number,
        .index = index,
        .count = (uint32_t)group->part_count,
        .kind = pending->kind,
        .size = pending->size,
        .deltas = pending->deltas,
        .blobs = (uint32_t)pending->blob_count,
        .deltas_sum = crc32c(0, str_make(pending->octets + RECORD_HEADER_SIZE, pending->deltas)),
        .ordered = wall,
    };
    record_header_encode(&header, group->salt, pending->octets);
    for (size_t i = 0; i < pending->blob_count; i++)
        blob_header_encode(&pending->blobs[i].header, pending->octets + pending->blobs[i].at);
}

static void group_seal(const struct local *local, struct group *group)
{
    int64_t wall = world_wall(local->world);
    uint32_t index = 0;
    struct commit *commit;
    TAILQ_FOREACH (commit, &group->commits, link)
        record_seal(group, commit->record, index++, wall);
}

bool group_number_put(struct overlay *rows, uint64_t number)
{
    struct index_key key = key_group();
    unsigned char value[VALUE_U64_SIZE];
    value_u64_encode(number, value);
    return overlay_put(rows, index_key_str(&key), str_make(value, sizeof(value)));
}

static void group_begin(struct local *local)
{
    struct group *group = local->next;
    group->file = local->segment->file;
    group->segment = local->segment->sequence;
    group->salt = local->salt;
    group->at = local->at + (local->flying ? local->flying->size : 0);
    group->size = 0;
    group->number = local->group_next;
    group->part_count = 0;
}

static void group_empty(struct group *group)
{
    must(TAILQ_EMPTY(&group->commits));
    overlay_clear(&group->rows);
    group->part_count = 0;
}

/* Back to the caller, all that were gathered: nothing was written. */
static void group_give_up(struct local *local, struct err e)
{
    struct group *group = local->next;
    struct commit *commit;
    while ((commit = TAILQ_FIRST(&group->commits))) {
        TAILQ_REMOVE(&group->commits, commit, link);
        commit_fails(local, commit, e);
    }
    group_empty(group);
}

/* Back to C1: what it was ordered on top of failed. */
static void group_goes_back(struct local *local)
{
    struct group *group = local->next;
    TAILQ_CONCAT(&group->commits, &local->waiting, link);
    TAILQ_CONCAT(&local->waiting, &group->commits, link);
    group_empty(group);
}

/* What a commit reads: its own rows, its group's, the flying group's, what is durable. */
static struct layers layers_below(const struct local *local, const struct layers *durable)
{
    struct layers below = {.count = 1, .index = durable->index, .view = durable->view};
    below.overlays[below.count++] = &local->next->rows;
    if (local->flying)
        below.overlays[below.count++] = &local->flying->rows;
    must(below.count + durable->count <= LAYERS_MAX);
    for (size_t i = 0; i < durable->count; i++)
        below.overlays[below.count++] = durable->overlays[i];
    return below;
}

static void group_gather(struct local *local)
{
    struct layers durable;
    struct err e = read_begin(local, &durable);
    if (err_is(e)) {
        commit_waiting_fail(local, e);
        return;
    }
    if (local->next->part_count == 0)
        group_begin(local);
    struct layers below = layers_below(local, &durable);
    group_collect(local, &below);
    e = read_end(local, &durable);
    if (!err_is(e) && !group_number_put(&local->next->rows, local->next->number))
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e) || local->next->part_count == 0)
        group_give_up(local, e);
}

static void group_run(struct job *job)
{
    struct group *group = job->arg;
    ssize_t n = group->world->ops->file_write(group->world, group->file, group->parts,
                                              group->part_count, group->at);
    group->result = n < 0 ? (int)n : group->world->ops->file_sync(group->world, group->file);
}

/* Where there is a next one. */
static void group_fly(struct local *local)
{
    struct group *group = local->next;
    must(!local->flying);
    if (local->state == LOCAL_DAMAGED)
        group_give_up(local, err_make(ERR_STORE_DAMAGED));
    if (group->part_count == 0)
        return;
    group_seal(local, group);
    local->group_next++;
    local->flying = group;
    local->next = group == &local->groups[0] ? &local->groups[1] : &local->groups[0];
    must(local->next->part_count == 0);
    lane_submit(&local->commits, &group->job);
}

/* --- C2 -> C3 -------------------------------------------------------------------------------- */

static void wake_watchers(struct local *local, const struct commit *commit)
{
    struct partition last = {0};
    for (size_t i = 0; i < commit->op_count; i++) {
        struct partition partition = commit->ops[i].partition;
        if (partition.kind == last.kind && partition.id == last.id)
            continue;
        last = partition;
        watch_changed(local, partition);
    }
}

static void group_is_durable(struct local *local, struct group *group)
{
    /* Before this group's rows come in: those of earlier groups may be applied now. */
    apply_go_on(local);
    local->at += group->size;
    local->durable = (struct log_position){group->segment, local->at};
    group->part_count = 0;
    group_fly(local);
    overlay_move(&local->active, &group->rows);
    local->status.groups++;
    local->status.syncs++;
    local->status.bytes_logged += group->size;
    apply_later(local);
    struct commit *commit;
    TAILQ_FOREACH (commit, &group->commits, link)
        wake_watchers(local, commit);
    while ((commit = TAILQ_FIRST(&group->commits))) {
        TAILQ_REMOVE(&group->commits, commit, link);
        commit_done(local, commit, err_none());
    }
}

/* --- C2 -> C4 -------------------------------------------------------------------------------- */

/* Its numbers are burnt: they stay, the other rows go. */
static void group_is_refused(struct local *local, struct group *group)
{
    char table = TABLE_NUMBERS;
    overlay_keep_only(&group->rows, str_make(&table, 1));
    overlay_move(&local->active, &group->rows);
    local->refused_err = err_os(-group->result, STR("writing the log"));
    TAILQ_CONCAT(&local->refused, &group->commits, link);
    group->part_count = 0;
    group_goes_back(local);
    local->sealed = true;
}

void commit_refused_report(struct local *local)
{
    struct commit *commit;
    while ((commit = TAILQ_FIRST(&local->refused))) {
        TAILQ_REMOVE(&local->refused, commit, link);
        commit_fails(local, commit, local->refused_err);
    }
}

static void group_job_done(struct job *job)
{
    struct group *group = job->arg;
    struct local *local = group->local;
    must_be(local, LOCAL_MAGIC);
    must(local->flying == group);
    local->flying = NULL;
    if (group->result < 0)
        group_is_refused(local, group);
    else
        group_is_durable(local, group);
    commit_go_on(local);
}

/* --- What comes next ------------------------------------------------------------------------- */

static bool overlay_is_over(struct local *local)
{
    return local->active.octets + local->frozen.octets > local->settings.overlay_hard;
}

static bool segment_is_full(const struct local *local)
{
    const struct commit *next = TAILQ_FIRST(&local->waiting);
    const struct pending *pending = next->record;
    return segment_ends(local, local->at, pending->size);
}

/* The end of the round goes on with what waits. An index that cannot be written must not make
 * commits wait for ever: its timer tries again. */
static void wait_for_the_index(struct local *local)
{
    if (local->applying)
        return;
    if (err_is(local->apply_err)) {
        commit_waiting_fail(local,
                            err_detail(ERR_STORE_READ_ONLY, STR("the index cannot be written")));
        return;
    }
    local->apply_wanted = true;
    loop_soon(local->loop, &local->apply_task);
}

void commit_go_on(struct local *local)
{
    local_look_quiet(local);
    if (local->making || local->state == LOCAL_READ_ONLY)
        return;
    if (local->sealed) {
        rotate_start(local);
        return;
    }
    if (!TAILQ_EMPTY(&local->waiting))
        loop_at_turn_end(local->loop, &local->gather);
    rotate_spare(local);
}

static void gather_run(struct task *task)
{
    struct local *local = task->arg;
    must_be(local, LOCAL_MAGIC);
    if (local->making || local->sealed || TAILQ_EMPTY(&local->waiting))
        return;
    bool idle = !local->flying && local->next->part_count == 0;
    if (local->state == LOCAL_DAMAGED) {
        commit_waiting_fail(local, err_make(ERR_STORE_DAMAGED));
    } else if (overlay_is_over(local)) {
        if (idle)
            wait_for_the_index(local);
    } else if (segment_is_full(local) && idle) {
        rotate_start(local);
    } else {
        group_gather(local);
        if (!local->flying)
            group_fly(local);
        if (!local->flying)
            commit_go_on(local);
    }
}

static bool group_open(struct local *local, struct group *group)
{
    group->local = local;
    group->world = local->world;
    group->parts = calloc(GROUP_RECORDS_MAX, sizeof(*group->parts));
    group->job = (struct job){.run = group_run, .done = group_job_done, .arg = group};
    TAILQ_INIT(&group->commits);
    overlay_init(&group->rows, &local->spare_rows);
    return group->parts != NULL;
}

struct err commit_open(struct local *local)
{
    bool room = true;
    for (size_t i = 0; i < GROUPS; i++)
        room &= group_open(local, &local->groups[i]);
    local->next = &local->groups[0];
    spares_init(&local->spare_records, RECORDS_KEPT_MAX);
    TAILQ_INIT(&local->waiting);
    TAILQ_INIT(&local->refused);
    TAILQ_INIT(&local->failed);
    local->gather = (struct task){.run = gather_run, .arg = local};
    local->settle = (struct task){.run = settle_run, .arg = local};
    rotate_open(local);
    return room ? err_none() : err_make(ERR_NO_MEMORY);
}

/*
 * Refused commits whose end could not be made durable: the process ends, no reply may follow. That
 * `done` says SHUTTING_DOWN means: not known.
 */
void commit_close(struct local *local)
{
    local->refused_err = err_make(ERR_SHUTTING_DOWN);
    commit_refused_report(local);
    commit_waiting_fail(local, err_make(ERR_SHUTTING_DOWN));
    rotate_close(local);
    settle_run(&local->settle);
    task_cancel(local->loop, &local->settle);
    task_cancel(local->loop, &local->gather);
    for (size_t i = 0; i < GROUPS; i++) {
        free(local->groups[i].parts);
        overlay_clear(&local->groups[i].rows);
    }
    spares_done(&local->spare_records);
}
