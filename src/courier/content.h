/*
 * The octets of a job's message on their way from core to the other side, a piece at a time: what
 * is held of them is one piece, of any message. A core that goes away in the middle is waited for,
 * and the next one gives the rest: it knows the job by its name.
 */
#ifndef COURIER_CONTENT_H
#define COURIER_CONTENT_H

#include "courier/job.h"
#include "format/downconvert.h"
#include "format/stuffing.h"

enum {
    CONTENT_SLABS = 4, /* that are asked for at once */
    CONTENT_PIECE = CONTENT_SLABS * SLAB_SIZE,
    /* As it leaves: each octet may be a dot that is doubled, and the end is put behind. */
    CONTENT_PIECE_MAX = 2 * CONTENT_PIECE + 16,
    /* Of one slab, where it becomes something else. */
    CONTENT_CONVERTED_MAX = SLAB_SIZE * DOWNCONVERT_TIMES + DOWNCONVERT_MORE,
};

enum content_form {
    CONTENT_DOTS,   /* DATA */
    CONTENT_CHUNKS, /* BDAT: line ends put right */
    CONTENT_AS_IS   /* BDAT of a peer with BINARYMIME */
};

struct content {
    struct job *job;
    enum content_form form;
    struct stuffing stuffing;
    struct downconvert *convert; /* NULL: as it is stored */
    struct buf converted;
    struct buf piece; /* what content_next gave */
    uint64_t at;      /* octets that were fetched */
    bool ended;       /* the piece is the last one, its end is in it */
};

/* `convert`: what was planned to be changed on the way, or NULL. */
void content_begin(struct content *content, struct job *job, enum content_form form,
                   struct downconvert *convert);
void content_done(struct content *content);
/*
 * May yield: the next piece, with the end in it where it is the last. ERR_NOT_FOUND: core does not
 * know the job any more (job->unknown is set); ERR_BUS_BROKEN: no core came in COURIER_CORE_WAIT;
 * or what core says.
 */
struct err content_next(struct content *content);

#endif
