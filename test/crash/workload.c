/*
 * Segments are small and the overlay is applied early, so that a run of a few megabytes rotates,
 * recycles and compacts. Writers are fibers of one loop, as in core: several commits wait at a time
 * and fly in groups.
 */
#include "workload.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "base/wire.h"
#include "store.h"
#include "sys/fake/random.h"

enum {
    WRITERS_MAX = 8,
    UPLOAD_BODY = ENGINE_BODY_INLINE_MAX + 20000,
    UPLOAD_STEP = 50000,
    OPS_MAX = 2 * BOXES,
    KEY_ROOM = 8,
    JITTER = 200, /* microseconds */
    HUNDRED = 100,
    OVERLAY = 12000,
    PATH_ROOM = 512,
    NEEDLE = 48, /* octets that find a body in a file */
};

const struct workload workloads[] = {
    {"commits", .writers = 1, .commits = 8, .body = 900},
    {"groups", .writers = 6, .commits = 60, .body = 3000, .flags = 20, .expunges = 15},
    {"upload", .writers = 2, .commits = 10, .body = 900, .uploads = 50, .expunges = 20},
    {"expunge", .writers = 3, .commits = 70, .body = 900, .flags = 15, .expunges = 45},
    {"apply", .writers = 2, .commits = 50, .body = 1500, .expunges = 20, .applies = 25},
    {"rotate", .writers = 3, .commits = 60, .body = 16000, .flags = 10, .expunges = 10},
    {"compact", .writers = 2, .commits = 110, .body = 8000, .expunges = 45, .compactions = 6},
    {"checkpoint", .writers = 2, .commits = 50, .body = 2000, .expunges = 20, .checkpoints = 12},
    {"refuse", .writers = 4, .commits = 50, .body = 3000, .expunges = 20, .fails = true},
    {"mix", .writers = 5, .commits = 120, .body = 9000, .uploads = 4, .flags = 12, .expunges = 35,
     .applies = 4, .checkpoints = 2, .compactions = 3},
    {"start", .writers = 3, .commits = 16, .body = 4000, .flags = 10, .expunges = 30, .applies = 8,
     .checkpoints = 4, .compactions = 6, .base = BASE_CUT},
    {"repair", .base = BASE_DAMAGED},
};
const unsigned workload_count = sizeof(workloads) / sizeof(workloads[0]);

/* A delivery that is there. */
struct mail {
    blob_id blob;
    uint32_t boxes;
    uint32_t uid[BOXES];
    bool busy; /* a trial on it is under way */
};

struct work {
    const struct workload *workload;
    struct fake_random random;
    struct store store;
    struct mail mails[TRIALS_MAX + 1];
    uint32_t number_next;
    unsigned begun; /* commits */
    unsigned writing;
    struct wait over;
    struct fiber_start starts[WRITERS_MAX];
    struct trials trials; /* of the base */
    int notes;            /* -1: into the record */
    off_t notes_at;
    bool ok;
};

static bool chance(struct work *work, unsigned of_hundred)
{
    return fake_random_below(&work->random, HUNDRED) < of_hundred;
}

/* A block each, past every cache: so it has its place among what the file system writes. */
static void note_write(struct work *work, const struct note *note)
{
    static _Alignas(NOTE_BLOCK) unsigned char block[NOTE_BLOCK];
    memcpy(block, note, sizeof(*note));
    must(pwrite(work->notes, block, NOTE_BLOCK, work->notes_at) == NOTE_BLOCK);
    work->notes_at += NOTE_BLOCK;
}

static void note(struct work *work, const struct trial *trial)
{
    struct note note = {.trial = *trial};
    if (work->notes >= 0)
        note_write(work, &note);
    else
        disk_record_note(&note, sizeof(note));
}

/* --- One trial -------------------------------------------------------------------------------- */

struct attempt {
    struct trial trial;
    struct commit commit;
    struct op ops[OPS_MAX + BOXES];
    char keys[BOXES][KEY_ROOM];
    unsigned char values[BOXES][STORE_VALUE];
    unsigned char add[8];
    char head[HEAD_ROOM];
    struct blob_put blob;
    struct iovec body;
    unsigned box_of_op[OPS_MAX + BOXES];
};

static struct op *op_add(struct attempt *attempt, unsigned box, enum op_kind kind)
{
    struct op *op = &attempt->ops[attempt->commit.op_count];
    attempt->box_of_op[attempt->commit.op_count++] = box;
    *op = (struct op){.kind = kind, .partition = store_box(box)};
    return op;
}

static void op_count(struct attempt *attempt, unsigned box)
{
    struct op *op = op_add(attempt, box, OP_ADD);
    op->partition = store_account(box);
    op->key = str_from(store_count_key);
    op->value = str_make(attempt->add, sizeof(attempt->add));
}

static void op_stamped(struct attempt *attempt, unsigned box, struct op *op, uint32_t number,
                       uint32_t flag)
{
    store_value(attempt->values[box], number, flag);
    op->value = str_make(attempt->values[box], STORE_VALUE);
    op->stamp = true;
}

static struct str copy_key(struct attempt *attempt, const struct mail *mail, unsigned box)
{
    char *key = attempt->keys[box];
    key[0] = 'm';
    key_put_u32((unsigned char *)key + 1, mail->uid[box]);
    return str_make(key, 5);
}

static void ops_make(struct work *work, struct attempt *attempt)
{
    const struct trial *trial = &attempt->trial;
    const struct mail *mail = &work->mails[trial->target];
    uint64_t add = (uint64_t)(trial->kind == TRIAL_EXPUNGE ? -1 : 1);
    for (unsigned i = 0; i < 8; i++)
        attempt->add[i] = (unsigned char)(add >> (8 * i));
    for (unsigned box = 0; box < BOXES; box++) {
        if (!(trial->boxes >> box & 1))
            continue;
        if (trial->kind == TRIAL_DELIVER) {
            struct op *op = op_add(attempt, box, OP_APPEND);
            op->key = STR("m");
            op->blob = attempt->blob.blob;
            op_stamped(attempt, box, op, trial->number, 0);
            op_count(attempt, box);
        } else if (trial->kind == TRIAL_FLAG) {
            struct op *op = op_add(attempt, box, OP_PUT);
            op->key = copy_key(attempt, mail, box);
            op->blob = mail->blob;
            op_stamped(attempt, box, op, trial->target, trial->number);
        } else {
            op_add(attempt, box, OP_REMOVE)->key = copy_key(attempt, mail, box);
            struct op *op = op_add(attempt, box, OP_PUT);
            op->key = str_from(store_gone_key);
            op_stamped(attempt, box, op, trial->target, trial->number);
            op_count(attempt, box);
        }
    }
}

static void upload(struct engine *engine, struct attempt *attempt)
{
    struct blob_put *put = &attempt->blob;
    struct str rest = str_make(attempt->body.iov_base, attempt->body.iov_len);
    if (err_is(engine_upload_open(engine, put->blob, &put->upload)))
        return;
    struct err e = err_none();
    while (rest.n > 0 && !err_is(e)) {
        struct str part = str_head(rest, UPLOAD_STEP);
        e = engine_upload_write(engine, put->upload, part);
        rest = str_from_index(rest, part.n);
    }
    if (!err_is(e))
        e = engine_upload_finish(engine, put->upload);
    if (err_is(e))
        engine_upload_drop(engine, &put->upload);
    put->body = NULL;
    put->body_parts = 0;
}

static void body_make(struct work *work, struct attempt *attempt)
{
    struct trial *trial = &attempt->trial;
    bool large = chance(work, work->workload->uploads);
    trial->body = large ? UPLOAD_BODY
                        : NEEDLE + (uint32_t)fake_random_below(&work->random, work->workload->body);
    attempt->body = (struct iovec){malloc(trial->body), trial->body};
    must(attempt->body.iov_base);
    trial_body(trial->number, attempt->body.iov_base, trial->body);
    attempt->blob = (struct blob_put){.blob = engine_blob_new(work->store.engine),
                                      .head = trial_head(trial->number, attempt->head),
                                      .body = &attempt->body,
                                      .body_parts = 1};
    if (large)
        upload(work->store.engine, attempt);
    attempt->commit.blobs = &attempt->blob;
    attempt->commit.blob_count = 1;
}

/* A delivery that nobody else works on; 0: there is none. */
static uint32_t target_choose(struct work *work)
{
    uint32_t from = 1 + (uint32_t)fake_random_below(&work->random, work->number_next);
    for (uint32_t i = 0; i < work->number_next; i++) {
        uint32_t number = 1 + (from + i) % work->number_next;
        if (number <= TRIALS_MAX && work->mails[number].boxes && !work->mails[number].busy)
            return number;
    }
    return 0;
}

static void trial_choose(struct work *work, struct trial *trial)
{
    const struct workload *workload = work->workload;
    uint64_t drawn = fake_random_below(&work->random, HUNDRED);
    uint32_t target = drawn < workload->flags + workload->expunges ? target_choose(work) : 0;
    *trial = (struct trial){.number = work->number_next++, .target = target};
    trial->kind = target == 0                  ? TRIAL_DELIVER
                  : drawn < workload->expunges ? TRIAL_EXPUNGE
                                               : TRIAL_FLAG;
    trial->boxes = 1U << fake_random_below(&work->random, BOXES);
    if (target == 0 && chance(work, 30))
        trial->boxes = (1U << BOXES) - 1;
    if (target > 0 && (!(work->mails[target].boxes & trial->boxes) || chance(work, 50)))
        trial->boxes = work->mails[target].boxes;
    trial->boxes &= target ? work->mails[target].boxes : (1U << BOXES) - 1;
    work->mails[target].busy = target > 0;
}

static void trial_answered(struct work *work, struct attempt *attempt, struct err e)
{
    struct trial *trial = &attempt->trial;
    struct mail *mail = &work->mails[trial->kind == TRIAL_DELIVER ? trial->number : trial->target];
    mail->busy = false;
    if (e.code == ERR_SHUTTING_DOWN)
        return;
    trial->answer = err_is(e) ? ANSWER_REFUSED : ANSWER_DONE;
    for (size_t i = 0; i < attempt->commit.op_count && !err_is(e); i++) {
        const struct op *op = &attempt->ops[i];
        unsigned box = attempt->box_of_op[i];
        if (op->kind == OP_APPEND) {
            trial->uid[box] = mail->uid[box] = op->uid;
            mail->boxes |= 1U << box;
            mail->blob = attempt->blob.blob;
        } else if (op->kind == OP_REMOVE) {
            mail->boxes &= ~(1U << box);
        }
        if (op->stamp)
            trial->modseq[box] = op->modseq;
    }
    note(work, trial);
}

static void trial_run(struct work *work)
{
    struct attempt attempt = {.commit = {.op_count = 0}};
    trial_choose(work, &attempt.trial);
    attempt.commit.ops = attempt.ops;
    if (attempt.trial.kind == TRIAL_DELIVER)
        body_make(work, &attempt);
    ops_make(work, &attempt);
    note(work, &attempt.trial);
    trial_answered(work, &attempt, engine_commit_wait(work->store.engine, &attempt.commit));
    free(attempt.body.iov_base);
}

/* --- The run ---------------------------------------------------------------------------------- */

static void writer_run(void *arg)
{
    struct work *work = arg;
    const struct workload *workload = work->workload;
    while (work->begun < workload->commits && work->number_next <= TRIALS_MAX) {
        work->begun++;
        if (workload->fails && work->begun == workload->commits / 2)
            disk_record_fail_sync(".seg");
        trial_run(work);
        if (chance(work, workload->applies))
            (void)local_apply_now(work->store.engine);
        if (chance(work, workload->checkpoints))
            (void)local_checkpoint(work->store.engine);
        if (chance(work, workload->compactions))
            (void)local_compact(work->store.engine);
    }
    if (--work->writing == 0)
        wait_over(&work->over);
}

/* What was under way at the cut is known from here on. */
static bool base_settle(struct work *work)
{
    static struct listing listing;
    struct buf why = BUF_INIT(65536);
    bool ok =
        store_list(&work->store, &listing, &why) && trials_judge(&work->trials, &listing, &why);
    if (!ok)
        (void)fprintf(stderr, "the start of a workload: %.*s\n", STR_FMT(buf_str(&why)));
    for (uint32_t i = 0; i < work->trials.count && ok; i++) {
        uint32_t number = work->trials.order[i];
        note(work, &work->trials.list[number]);
        if (number >= work->number_next)
            work->number_next = number + 1;
        for (unsigned box = 0; box < BOXES; box++) {
            const struct found *found = &listing.boxes[box].copies[number];
            if (!found->there)
                continue;
            work->mails[number].boxes |= 1U << box;
            work->mails[number].uid[box] = found->uid;
            work->mails[number].blob = found->blob;
        }
    }
    buf_done(&why);
    return ok;
}

static void work_run(struct store *store)
{
    struct work *work = store->arg;
    struct err e = store_open(store);
    if (err_is(e)) {
        (void)fprintf(stderr, "opening: %s %.*s\n", err_row(e.code)->name, STR_FMT(e.detail));
        return;
    }
    struct buf why = BUF_INIT(65536);
    work->ok = true;
    if (work->workload->base == BASE_DAMAGED)
        work->ok = store_fsck(store, true, &why);
    if (work->ok)
        work->ok = base_settle(work);
    buf_done(&why);
    if (work->ok && work->workload->writers > 0) {
        work->writing = work->workload->writers;
        for (unsigned i = 0; i < work->workload->writers; i++) {
            work->starts[i] = (struct fiber_start){.run = writer_run, .arg = work};
            fiber_run(store->fibers, &work->starts[i]);
        }
        wait_for(&work->over);
    }
    store_close(store);
}

/* --- Damage ------------------------------------------------------------------------------------
 */

struct piece {
    int file;
    size_t n;
    unsigned char *octets;
};

static bool piece_open(struct piece *piece, const char *folder, const char *name)
{
    char path[PATH_ROOM];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    *piece = (struct piece){.file = open(path, O_RDWR | O_CLOEXEC)};
    if (piece->file < 0 || fstat(piece->file, &st) < 0)
        return false;
    piece->n = (size_t)st.st_size;
    piece->octets = malloc(piece->n + 1);
    must(piece->octets && pread(piece->file, piece->octets, piece->n, 0) == (ssize_t)piece->n);
    return true;
}

static void piece_flip(const struct piece *piece, size_t at)
{
    unsigned char octet = piece->octets[at] ^ 8;
    must(pwrite(piece->file, &octet, 1, (off_t)at) == 1);
}

static void piece_close(struct piece *piece)
{
    if (piece->file >= 0)
        close(piece->file);
    free(piece->octets);
}

/* Wherever the octets of the delivery's body begin in the log: its copies in dead segments too. */
static void body_damage(struct work *work, const char *path)
{
    unsigned char needle[NEEDLE];
    struct trials *trials = &work->trials;
    char folder[PATH_ROOM];
    if (trials->count == 0)
        return;
    uint32_t number = trials->order[fake_random_below(&work->random, trials->count)];
    trial_body(number, needle, sizeof(needle));
    trials->damaged[number] = true;
    (void)snprintf(folder, sizeof(folder), "%s/log", path);
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        struct piece piece = {.file = -1};
        if (entry->d_name[0] != '.' && piece_open(&piece, folder, entry->d_name)) {
            unsigned char *at = memmem(piece.octets, piece.n, needle, sizeof(needle));
            if (at)
                piece_flip(&piece, (size_t)(at - piece.octets) + NEEDLE / 2);
        }
        piece_close(&piece);
    }
    if (listing)
        closedir(listing);
}

static void index_damage(struct work *work, const char *path)
{
    struct piece piece;
    if (piece_open(&piece, path, "index/data.mdb") && piece.n > 0)
        for (unsigned i = 0; i < 4; i++)
            piece_flip(&piece, (size_t)fake_random_below(&work->random, piece.n));
    piece_close(&piece);
}

static void header_damage(struct work *work, const char *path)
{
    struct piece piece = {.file = -1};
    char name[PATH_ROOM];
    for (unsigned tries = 0; tries < 16; tries++) {
        (void)snprintf(name, sizeof(name), "log/%016llx.seg",
                       (unsigned long long)(1 + fake_random_below(&work->random, 12)));
        if (piece_open(&piece, path, name)) {
            piece_flip(&piece, (size_t)(12 + fake_random_below(&work->random, 48)));
            break;
        }
        piece_close(&piece);
        piece = (struct piece){.file = -1};
    }
    piece_close(&piece);
}

static void damage(struct work *work, const char *path)
{
    switch (fake_random_below(&work->random, 4)) {
    case 0:
        index_damage(work, path);
        break;
    case 1:
        header_damage(work, path);
        break;
    default:
        body_damage(work, path);
        break;
    }
}

/* --- All of it ---------------------------------------------------------------------------------
 */

static void notes_begin(struct work *work)
{
    struct note begins = {.begins = 1};
    for (uint32_t i = 0; i < work->trials.count; i++) {
        uint32_t number = work->trials.order[i];
        struct note note = {.trial = work->trials.list[number],
                            .damaged = work->trials.damaged[number]};
        disk_record_note(&note, sizeof(note));
    }
    disk_record_note(&begins, sizeof(begins));
}

static void work_init(struct work *work, const struct workload *workload, uint64_t seed)
{
    *work = (struct work){.workload = workload, .number_next = 1, .notes = -1};
    fake_random_init(&work->random, seed, workload->name);
    local_settings_default(&work->store.settings);
    work->store.settings.segment_size = STORE_SEGMENT;
    work->store.settings.least_free = 0;
    work->store.settings.prefill = fake_random_below(&work->random, 2) == 0;
    work->store.settings.overlay_soft = 1000 + fake_random_below(&work->random, OVERLAY);
    work->store.arg = work;
}

bool workload_run(const struct workload *workload, uint64_t seed, struct disk_record *record,
                  const char *path, const struct workload_from *from)
{
    static struct work work;
    work_init(&work, workload, seed);
    if (from && !image_build(from->history, from->at, from->k, from->seed, path))
        return false;
    if (!from && mkdir(path, 0700) < 0)
        return false;
    if (from)
        trials_read(&work.trials, from->history, from->at);
    if (workload->base == BASE_DAMAGED)
        damage(&work, path);
    disk_record_begin(record, path, workload->writers > 1 ? JITTER : 0, (unsigned)seed);
    notes_begin(&work);
    store_run(&work.store, path, work_run);
    disk_record_end();
    return work.ok && !record->over;
}

bool workload_live(const struct workload *workload, uint64_t seed, const char *path, int notes,
                   uint64_t notes_at)
{
    static struct work work;
    work_init(&work, workload, seed);
    work.notes = notes;
    work.notes_at = (off_t)notes_at;
    store_run(&work.store, path, work_run);
    return work.ok;
}
