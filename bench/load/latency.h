/*
 * A histogram of times, small enough to lie in shared memory: 64 steps for each power of two, so a
 * quantile is right to 1.6 %. Values are nanoseconds; what is above LATENCY_POWERS counts as the
 * largest. Nothing fails, nothing is allocated.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

enum {
    LATENCY_STEPS = 64,
    LATENCY_POWERS = 40, /* up to 2^40 ns, 18 minutes */
};

struct latency {
    uint64_t count[LATENCY_POWERS * LATENCY_STEPS];
    uint64_t all;
};

void latency_add(struct latency *latency, int64_t ns);
void latency_merge(struct latency *into, const struct latency *from);
/* The time that a share of `permille` stays below; 0 where nothing was counted. */
int64_t latency_quantile(const struct latency *latency, unsigned permille);

#endif
