/*
 * The model is the copies that should be there. Commits become durable in the order they were
 * asked, so there is one of as many states as there are unanswered trials: those acknowledged, and
 * then the unanswered ones one after the other (T3).
 */
#include "trial.h"

#include <unistd.h>

#include "base/must.h"

struct model {
    /* 0: not there; else 1 + the number of the trial that set its flags last, or 1 */
    uint32_t copies[BOXES][TRIALS_MAX + 1];
};

/* --- Notes ------------------------------------------------------------------------------------ */

static void note_read(struct trials *trials, struct str octets)
{
    struct note note;
    must(octets.n == sizeof(note));
    memcpy(&note, octets.p, sizeof(note));
    uint32_t number = note.trial.number;
    if (number == 0)
        return;
    must(number <= TRIALS_MAX);
    if (trials->list[number].number == 0)
        trials->order[trials->count++] = number;
    trials->list[number] = note.trial;
    trials->damaged[number] |= note.damaged != 0;
}

void trials_read(struct trials *trials, const struct history *history, uint32_t at)
{
    memset(trials, 0, sizeof(*trials));
    for (uint32_t i = 0; i < at; i++)
        if (history->events[i]->kind == DISK_NOTE)
            note_read(trials, event_octets(history->events[i]));
}

void trials_read_blocks(struct trials *trials, int file, uint64_t at)
{
    struct note note;
    memset(trials, 0, sizeof(*trials));
    while (pread(file, &note, sizeof(note), (off_t)at) == (ssize_t)sizeof(note) &&
           note.trial.number > 0) {
        note_read(trials, str_make(&note, sizeof(note)));
        at += NOTE_BLOCK;
    }
}

uint32_t trials_begin_at(const struct history *history)
{
    struct note note;
    for (uint32_t i = 0; i < history->count; i++) {
        if (history->events[i]->kind != DISK_NOTE)
            continue;
        memcpy(&note, event_octets(history->events[i]).p, sizeof(note));
        if (note.begins)
            return i + 1;
    }
    return 0;
}

/* No two deliveries share eight octets, but by chance. */
void trial_body(uint32_t number, unsigned char *to, size_t n)
{
    uint64_t mixed = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0) {
            mixed = ((uint64_t)number << 32 | i) * UINT64_C(0x9e3779b97f4a7c15);
            mixed = (mixed ^ mixed >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
            mixed ^= mixed >> 29;
        }
        to[i] = (unsigned char)(mixed >> (i % 8 * 8));
    }
}

struct str trial_head(uint32_t number, char to[HEAD_ROOM])
{
    int n = snprintf(to, HEAD_ROOM, "head of %u", number);
    return str_make(to, (size_t)n);
}

/* --- The model ------------------------------------------------------------------------------- */

static void model_apply(struct model *model, const struct trial *trial)
{
    uint32_t number = trial->kind == TRIAL_DELIVER ? trial->number : trial->target;
    for (unsigned box = 0; box < BOXES; box++) {
        if (!(trial->boxes >> box & 1))
            continue;
        uint32_t *copy = &model->copies[box][number];
        if (trial->kind == TRIAL_DELIVER)
            *copy = 1;
        else if (trial->kind == TRIAL_FLAG)
            *copy = 1 + trial->number;
        else
            *copy = 0;
    }
}

/* NULL: the same. Otherwise where they differ first. */
static const char *model_differs(const struct model *model, const struct listing *listing,
                                 uint32_t *box_r, uint32_t *number_r)
{
    for (uint32_t number = 1; number <= TRIALS_MAX; number++)
        for (uint32_t box = 0; box < BOXES; box++) {
            const struct found *found = &listing->boxes[box].copies[number];
            uint32_t copy = model->copies[box][number];
            *box_r = box;
            *number_r = number;
            if (found->there && copy == 0)
                return "is there";
            if (!found->there && copy != 0)
                return "is missing";
            if (found->there && found->flag != copy - 1)
                return "has other flags";
        }
    return NULL;
}

static struct model *model_new(const struct trials *trials)
{
    struct model *model = calloc(1, sizeof(*model));
    must(model);
    for (uint32_t i = 0; i < trials->count; i++)
        if (trials->list[trials->order[i]].answer == ANSWER_DONE)
            model_apply(model, &trials->list[trials->order[i]]);
    return model;
}

/* What was seen may not go again: it counts as told. */
static void trial_settle(struct trial *trial, const struct listing *listing, bool done)
{
    trial->answer = done ? ANSWER_DONE : ANSWER_REFUSED;
    for (unsigned box = 0; box < BOXES && done; box++) {
        const struct found *found = &listing->boxes[box].copies[trial->number];
        if (trial->kind != TRIAL_DELIVER || !found->there)
            continue;
        trial->uid[box] = found->uid;
        trial->modseq[box] = found->modseq;
    }
}

/* T1, T2, T3. What is told is how the listing differs from all that was acknowledged alone: of the
 * states it could be in, that is the first. */
static bool judge_copies(struct trials *trials, const struct listing *listing, struct buf *why)
{
    struct model *model = model_new(trials);
    uint32_t box, number, applied = 0;
    const char *how = model_differs(model, listing, &box, &number);
    if (how)
        buf_printf(why, "delivery %u in mailbox %u %s", number, box, how);
    for (; applied < trials->count && how; applied++) {
        const struct trial *trial = &trials->list[trials->order[applied]];
        if (trial->answer != ANSWER_NONE)
            continue;
        model_apply(model, trial);
        how = model_differs(model, listing, &box, &number);
    }
    free(model);
    for (uint32_t i = 0; i < trials->count && !how; i++)
        if (trials->list[trials->order[i]].answer == ANSWER_NONE)
            trial_settle(&trials->list[trials->order[i]], listing, i < applied);
    if (!how)
        buf_clear(why);
    return !how;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static bool judge_told(const struct trial *trial, unsigned box, const struct found_box *found,
                       struct buf *why)
{
    uint32_t uid = trial->uid[box];
    uint64_t modseq = trial->modseq[box];
    const struct found *copy = &found->copies[trial->number];
    if (uid >= found->uid_next && uid != 0)
        buf_printf(why, "mailbox %u: UID %u was told, next is %u", box, uid, found->uid_next);
    else if (modseq >= found->modseq_next && modseq != 0)
        buf_printf(why, "mailbox %u: modseq %llu was told, next is %llu", box,
                   (unsigned long long)modseq, (unsigned long long)found->modseq_next);
    else if (trial->kind == TRIAL_DELIVER && copy->there && uid != 0 && copy->uid != uid)
        buf_printf(why, "mailbox %u: delivery %u has UID %u, told was %u", box, trial->number,
                   copy->uid, uid);
    return why->n == 0;
}

/* T4, T5 */
static bool judge_box(const struct trials *trials, unsigned box, const struct found_box *found,
                      struct buf *why)
{
    uint32_t highest = 0;
    int64_t count = 0;
    for (uint32_t i = 0; i < trials->count; i++) {
        const struct trial *trial = &trials->list[trials->order[i]];
        const struct found *copy = &found->copies[trial->number];
        if (trial->answer == ANSWER_DONE && !judge_told(trial, box, found, why))
            return false;
        count += copy->there;
        if (copy->there && (copy->uid <= highest || copy->uid >= found->uid_next))
            buf_printf(why, "mailbox %u: delivery %u has UID %u behind %u, next is %u", box,
                       trial->number, copy->uid, highest, found->uid_next);
        else if (copy->there && copy->modseq >= found->modseq_next)
            buf_printf(why, "mailbox %u: delivery %u has a modseq that is not given yet", box,
                       trial->number);
        else if (copy->there && copy->damaged && !trials->damaged[trial->number])
            buf_printf(why, "mailbox %u: delivery %u is damaged", box, trial->number);
        if (why->n > 0)
            return false;
        highest = copy->there ? copy->uid : highest;
        if (trial->answer == ANSWER_DONE && trial->uid[box] > highest)
            highest = trial->uid[box];
    }
    if (count != found->count)
        buf_printf(why, "mailbox %u has %lld messages, its count is %lld", box, (long long)count,
                   (long long)found->count);
    return why->n == 0;
}

bool trials_judge(struct trials *trials, const struct listing *listing, struct buf *why)
{
    if (!judge_copies(trials, listing, why))
        return false;
    for (unsigned box = 0; box < BOXES; box++)
        if (!judge_box(trials, box, &listing->boxes[box], why))
            return false;
    return true;
}
