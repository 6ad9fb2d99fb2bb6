/*
 * Greedy: each number of the plan by itself, first to nothing, then by halves, then by ones, and
 * around again until a whole round changed nothing. A plan's numbers are few and a run takes a
 * tenth of a second, so nothing cleverer pays. Taking away a letter moves the times of others: a
 * smaller run is another run, of which only the violation counts.
 */
#include "shrink.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "sim.h"

struct shrinking {
    uint64_t seed;
    struct sim_plan best;
    size_t runs;
};

/* In the child: nothing of a failed try is shown. */
static void try_alone(uint64_t seed, const struct sim_plan *plan)
{
    struct buf report = BUF_INIT(1 << 20);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    _exit(sim_run(seed, plan, false, &report).violated ? 1 : 0);
}

static bool violates(struct shrinking *of, const struct sim_plan *plan)
{
    int status;
    of->runs++;
    fflush(stdout);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        try_alone(of->seed, plan);
    must(waitpid(child, &status, 0) == child);
    return status != 0;
}

static bool try_value(struct shrinking *of, size_t row, uint32_t value)
{
    struct sim_plan plan = of->best;
    plan_set(&plan, row, value);
    if (of->runs >= SHRINK_RUNS || !violates(of, &plan))
        return false;
    of->best = plan;
    return true;
}

static bool lower(struct shrinking *of, size_t row)
{
    uint32_t begun = plan_get(&of->best, row), value = begun;
    if (begun == 0 || try_value(of, row, 0))
        return begun != 0;
    while (value > 1 && try_value(of, row, value / 2))
        value = plan_get(&of->best, row);
    while (value > 1 && try_value(of, row, value - 1))
        value = plan_get(&of->best, row);
    return value != begun;
}

static bool spare(struct shrinking *of)
{
    bool any = false;
    for (uint32_t i = 0; i < of->best.troubles; i++) {
        uint32_t spared = of->best.spared | 1u << i;
        any = (spared != of->best.spared && try_value(of, PLAN_SPARED, spared)) || any;
    }
    return any;
}

bool shrink(uint64_t seed, struct sim_plan *plan, size_t *runs_r)
{
    struct shrinking of = {.seed = seed, .best = *plan};
    bool fails = violates(&of, plan), again = fails;
    while (again && of.runs < SHRINK_RUNS) {
        again = false;
        for (size_t row = 0; row < PLAN_ROWS; row++)
            again = (row != PLAN_SPARED && lower(&of, row)) || again;
        again = spare(&of) || again;
    }
    *plan = of.best;
    *runs_r = of.runs;
    return fails;
}
