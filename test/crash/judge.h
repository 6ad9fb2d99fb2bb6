/*
 * One state of a record: built, opened by the engine as after a power cut, judged.
 */
#ifndef CRASH_JUDGE_H
#define CRASH_JUDGE_H

#include "image.h"
#include "workload.h"

enum {
    WHY_ROOM = 2000
};

/* Shared with the process that judges. */
struct verdict {
    bool ended; /* else it died on the way */
    bool right;
    char why[WHY_ROOM];
};

/* In a process of its own; `path` is made, and left for whoever wants to look. */
void judge_state(const struct workload *workload, const struct history *history, uint32_t at,
                 uint64_t k, uint64_t seed, const char *path, struct verdict *verdict);

/* The same for the store in `path`, as it lies there, with what `trials` knows. */
void judge_store(const struct trials *trials, bool repair, const char *path,
                 struct verdict *verdict);

#endif
