/*
 * Trials: the commits of a recorded run, as an outsider knows them, and the oracle over them.
 *
 * A trial delivers one body to some of the mailboxes, changes the flags of an earlier one's copies,
 * or expunges them. What was asked and what was answered stands in the record as notes, at the
 * moment it was; so a cut knows what was promised before it:
 *
 *   T1  acknowledged: all of it is there, with the UIDs and modseqs that were told
 *   T2  refused: nothing of it is there
 *   T3  neither: all of it or nothing; and nothing without those that were asked before it
 *   T4  UIDs ascend with the order of asking; what is next is above all that was ever told
 *   T5  every body is whole, octet by octet, and the count of a mailbox (an ADD) fits
 */
#ifndef CRASH_TRIAL_H
#define CRASH_TRIAL_H

#include "base/buf.h"
#include "image.h"

enum {
    BOXES = 3,
    TRIALS_MAX = 2048,
    HEAD_ROOM = 24,
    NOTE_BLOCK = 4096 /* where notes are blocks of a device */
};

enum trial_kind {
    TRIAL_DELIVER = 1,
    TRIAL_FLAG,
    TRIAL_EXPUNGE,
};

enum trial_answer {
    ANSWER_NONE,
    ANSWER_DONE,
    ANSWER_REFUSED,
};

struct trial {
    uint32_t number; /* from 1 */
    uint32_t kind;
    uint32_t boxes;  /* a bit each */
    uint32_t target; /* FLAG, EXPUNGE: the delivery's number */
    uint32_t body;   /* DELIVER: octets */
    uint32_t answer;
    uint32_t uid[BOXES]; /* once it was answered */
    uint64_t modseq[BOXES];
};

/* What a DISK_NOTE holds. The last one of a number counts. */
struct note {
    uint32_t begins; /* not a trial: from here on the machine may be cut off */
    /* The trial's body was damaged by us: it may read as damaged, but not be gone. */
    uint32_t damaged;
    struct trial trial;
};

struct trials {
    struct trial list[TRIALS_MAX + 1]; /* by number */
    bool damaged[TRIALS_MAX + 1];
    uint32_t order[TRIALS_MAX]; /* numbers, as they were asked */
    uint32_t count;
};

/* What the notes before event `at` say. */
void trials_read(struct trials *trials, const struct history *history, uint32_t at);
/* The same from a file of blocks, up to the first that holds no note. */
void trials_read_blocks(struct trials *trials, int file, uint64_t at);
/* The event behind the note that says so; 0: there is none. */
uint32_t trials_begin_at(const struct history *history);

/* The body and head of a delivery: nothing but its number decides them. */
void trial_body(uint32_t number, unsigned char *to, size_t n);
struct str trial_head(uint32_t number, char to[HEAD_ROOM]);

/* --- What was found -------------------------------------------------------------------------- */

struct found {
    uint32_t uid;
    uint32_t flag; /* the number of the trial that set it; 0: none */
    uint64_t modseq;
    uint64_t blob;
    bool there;
    bool damaged;
};

struct found_box {
    uint32_t uid_next;
    uint64_t modseq_next;
    int64_t count;
    struct found copies[TRIALS_MAX + 1]; /* by the delivery's number */
};

struct listing {
    struct found_box boxes[BOXES];
};

/* False: *why says what was broken. Answers what had no answer by what was found: from now on that
 * is seen, and so promised. */
bool trials_judge(struct trials *trials, const struct listing *listing, struct buf *why);

#endif
