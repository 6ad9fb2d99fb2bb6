/*
 * What summary.c (the pass), summary_stack.c (open parts and their boundaries) and
 * summary_record.c (the record) share. Not for others.
 */
#ifndef FORMAT_SUMMARY_INSIDE_H
#define FORMAT_SUMMARY_INSIDE_H

#include "format/summary.h"

enum {
    OCTETS_PER_STEP = 8, /* memcmp, memcpy and memmove go at least this fast */
    SUMMARY_CHUNK = 16,  /* entries taken from the arena at a time */
    /* Octets of the record beside strings, so that summary.c can tell in advance. */
    RECORD_FIXED = 64,
    RECORD_FIELD = 9,
    RECORD_PART = 32,
    RECORD_STRING = 4,
};

struct summary_chunk {
    struct summary_chunk *next;
    uint32_t n;
    union {
        struct summary_part part[SUMMARY_CHUNK];
        struct summary_field field[SUMMARY_CHUNK];
    };
};

struct summary_frame {
    struct summary_part *part;
    uint32_t index;
    struct str boundary; /* p == NULL where none is looked for */
    uint64_t lines_before_body;
    bool binary; /* its Content-Transfer-Encoding */
};

/* Adds an open part on top; false when the arena is full. */
bool stack_push(struct summary *summary, struct summary_part *part, uint32_t index);
void stack_pop(struct summary *summary);
static inline struct summary_frame *stack_top(struct summary *summary)
{
    return &summary->frames[summary->frame_count - 1];
}
/* From now on the top's boundary is looked for; one that an enclosing part has already never
 * matches here. It must outlive the summary. */
void stack_boundary_open(struct summary *summary, struct str boundary);
void stack_boundary_close(struct summary *summary, uint32_t level);
/* The outermost frame whose delimiter this line is, or -1. */
ssize_t stack_match(struct summary *summary, struct str line, bool *closes_r);

#endif
