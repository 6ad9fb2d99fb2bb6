/*
 * Steps are linear below 64 ns and a sixty-fourth of the power of two above: the usual log-linear
 * form, chosen over keeping every value because a run may have millions.
 */
#include "latency.h"

enum {
    STEP_BITS = 6
};

static unsigned place(uint64_t ns)
{
    if (ns < LATENCY_STEPS)
        return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    unsigned row = power - STEP_BITS + 1;
    if (row >= LATENCY_POWERS)
        return LATENCY_POWERS * LATENCY_STEPS - 1;
    return row * LATENCY_STEPS + (unsigned)(ns >> (power - STEP_BITS)) % LATENCY_STEPS;
}

/* The least value that falls on a place. */
static int64_t value(unsigned at)
{
    unsigned row = at / LATENCY_STEPS, step = at % LATENCY_STEPS;
    if (row == 0)
        return step;
    return (int64_t)(LATENCY_STEPS + step) << (row - 1);
}

void latency_add(struct latency *latency, int64_t ns)
{
    latency->count[place(ns < 0 ? 0 : (uint64_t)ns)]++;
    latency->all++;
}

void latency_merge(struct latency *into, const struct latency *from)
{
    for (unsigned i = 0; i < LATENCY_POWERS * LATENCY_STEPS; i++)
        into->count[i] += from->count[i];
    into->all += from->all;
}

int64_t latency_quantile(const struct latency *latency, unsigned permille)
{
    uint64_t wanted = latency->all * permille / 1000, seen = 0;
    for (unsigned i = 0; i < LATENCY_POWERS * LATENCY_STEPS; i++) {
        seen += latency->count[i];
        if (seen > wanted || (seen == latency->all && seen > 0))
            return value(i);
    }
    return 0;
}
