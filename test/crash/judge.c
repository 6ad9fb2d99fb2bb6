#include "judge.h"

#include "store.h"

struct judging {
    struct store store;
    struct trials trials;
    struct listing listing;
    bool repair;
    bool right;
    struct buf why;
};

/* The store goes on: one more commit, whose numbers are new. */
static bool goes_on(struct judging *judging)
{
    unsigned char value[STORE_VALUE];
    store_value(value, 0, 0);
    struct op op = {.kind = OP_APPEND,
                    .partition = store_box(0),
                    .key = STR("x"),
                    .value = str_make(value, sizeof(value)),
                    .stamp = true};
    struct commit commit = {.ops = &op, .op_count = 1};
    struct err e = engine_commit_wait(judging->store.engine, &commit);
    if (err_is(e))
        buf_printf(&judging->why, "a commit after it: %s %.*s", err_row(e.code)->name,
                   STR_FMT(e.detail));
    else if (op.uid < judging->listing.boxes[0].uid_next ||
             op.modseq < judging->listing.boxes[0].modseq_next)
        buf_printf(&judging->why, "UID %u, modseq %llu are given again", op.uid,
                   (unsigned long long)op.modseq);
    return judging->why.n == 0;
}

static void judge_run(struct store *store)
{
    struct judging *judging = store->arg;
    struct buf *why = &judging->why;
    struct err e = store_open(store);
    if (err_is(e)) {
        buf_printf(why, "it cannot be opened: %s %.*s", err_row(e.code)->name, STR_FMT(e.detail));
        return;
    }
    struct local_status status;
    local_status(store->engine, &status);
    if (status.damaged && !judging->repair)
        buf_printf(why, "it is called damaged: %s", status.why);
    judging->right = why->n == 0 && (!judging->repair || store_fsck(store, true, why)) &&
                     store_list(store, &judging->listing, why) &&
                     trials_judge(&judging->trials, &judging->listing, why) &&
                     store_fsck(store, false, why) && goes_on(judging);
    store_close(store);
}

static struct judging *judging_new(bool repair)
{
    static struct judging judging;
    judging = (struct judging){.repair = repair};
    buf_init(&judging.why, WHY_ROOM);
    judging.store.arg = &judging;
    return &judging;
}

static void judging_end(struct judging *judging, struct verdict *verdict)
{
    verdict->right = judging->right;
    (void)snprintf(verdict->why, WHY_ROOM, "%.*s", STR_FMT(buf_str(&judging->why)));
    verdict->ended = true;
    buf_done(&judging->why);
}

void judge_state(const struct workload *workload, const struct history *history, uint32_t at,
                 uint64_t k, uint64_t seed, const char *path, struct verdict *verdict)
{
    struct judging *judging = judging_new(workload->base == BASE_DAMAGED);
    trials_read(&judging->trials, history, at);
    if (image_build(history, at, k, seed, path))
        store_run(&judging->store, path, judge_run);
    else
        buf_printf(&judging->why, "the image could not be built");
    judging_end(judging, verdict);
}

void judge_store(const struct trials *trials, bool repair, const char *path,
                 struct verdict *verdict)
{
    struct judging *judging = judging_new(repair);
    judging->trials = *trials;
    store_run(&judging->store, path, judge_run);
    judging_end(judging, verdict);
}
