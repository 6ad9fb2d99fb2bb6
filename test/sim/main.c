/*
 * sim: the whole server in one process, judged from outside (sim.h).
 *
 *     sim [--seed S] [--seeds N] [--seconds T] [--hash] [--verbose]
 *
 * Runs N seeds from S on (at most T seconds), and the first of them twice, whose runs must be the
 * same bit for bit. What is violated is printed with its seed; `sim --seed S --verbose` shows that
 * run in readable form.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include "sim.h"

enum {
    REPORT_MAX = 1 << 20,
    SEED_LINE = 64,
};

/* Libraries keep memory that a killed role had them take; nobody can give it back. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto\nleak:libargon2\n";
}

/* For the handler: a run that fails by must() or a sanitizer tells its seed too. */
static char seed_line[SEED_LINE];

static void tell_seed(int signal_number)
{
    ssize_t written = write(STDERR_FILENO, seed_line, strnlen(seed_line, SEED_LINE));
    (void)written;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

struct totals {
    uint64_t seeds, sessions, accepted, unknown, repeated, read, removed, deaths, power_cuts;
    uint64_t violated;
};

static struct sim_result run(uint64_t seed, bool verbose, struct totals *totals)
{
    struct buf report = BUF_INIT(REPORT_MAX);
    snprintf(seed_line, sizeof(seed_line), "sim: the seed was %llu\n", (unsigned long long)seed);
    struct sim_result result = sim_run(seed, verbose, &report);
    if (result.violated)
        printf("seed %llu:\n%.*s", (unsigned long long)seed, STR_FMT(buf_str(&report)));
    buf_done(&report);
    totals->seeds++;
    totals->sessions += result.sessions;
    totals->accepted += result.accepted;
    totals->unknown += result.unknown;
    totals->repeated += result.repeated;
    totals->read += result.read;
    totals->removed += result.removed;
    totals->deaths += result.deaths;
    totals->power_cuts += result.power_cuts;
    totals->violated += result.violated;
    return result;
}

static void totals_print(const struct totals *totals, double seconds)
{
    printf(
        "%llu seeds, %llu sessions (%.0f a second): %llu messages accepted, %llu of unknown end, "
        "%llu repeated, %llu read, %llu removed; %llu roles died, %llu power cuts; "
        "%llu seeds violated something\n",
        (unsigned long long)totals->seeds, (unsigned long long)totals->sessions,
        (double)totals->sessions / seconds, (unsigned long long)totals->accepted,
        (unsigned long long)totals->unknown, (unsigned long long)totals->repeated,
        (unsigned long long)totals->read, (unsigned long long)totals->removed,
        (unsigned long long)totals->deaths, (unsigned long long)totals->power_cuts,
        (unsigned long long)totals->violated);
}

struct options {
    uint64_t seed, seeds, seconds;
    bool hash, verbose;
};

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},    {"seeds", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 't'}, {"hash", no_argument, NULL, 'h'},
        {"verbose", no_argument, NULL, 'v'},       {NULL, 0, NULL, 0}};
    int option;
    bool fine = true;
    while (fine && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 's')
            fine = str_to_u64(str_from(optarg), &options->seed);
        else if (option == 'n')
            fine = str_to_u64(str_from(optarg), &options->seeds);
        else if (option == 't')
            fine = str_to_u64(str_from(optarg), &options->seconds);
        else if (option == 'h')
            options->hash = true;
        else if (option == 'v')
            options->verbose = true;
        else
            fine = false;
    }
    return fine && optind == argc;
}

/* Seconds since the first call. */
static double seconds_passed(void)
{
    static struct timespec begun;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (begun.tv_sec == 0)
        begun = now;
    return (double)(now.tv_sec - begun.tv_sec) + (double)(now.tv_nsec - begun.tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1, .seeds = 1, .seconds = UINT32_MAX};
    if (!options_parse(argc, argv, &options)) {
        fprintf(stderr, "usage: sim [--seed S] [--seeds N] [--seconds T] [--hash] [--verbose]\n");
        return 64;
    }
    signal(SIGABRT, tell_seed);
    signal(SIGSEGV, tell_seed);
    struct totals totals = {.seeds = 0};
    seconds_passed();
    for (uint64_t i = 0; i < options.seeds && seconds_passed() < (double)options.seconds; i++) {
        struct sim_result result = run(options.seed + i, options.verbose, &totals);
        if (options.hash)
            printf("seed %llu hash %016llx\n", (unsigned long long)(options.seed + i),
                   (unsigned long long)result.hash);
        if (i == 0 && options.seeds > 1 && run(options.seed, false, &totals).hash != result.hash) {
            printf("seed %llu: two runs differ\n", (unsigned long long)options.seed);
            totals.violated++;
        }
    }
    totals_print(&totals, seconds_passed());
    return totals.violated ? 1 : 0;
}
