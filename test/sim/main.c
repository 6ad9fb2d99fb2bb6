/*
 * sim: the whole server in one process, judged from outside (sim.h).
 *
 *     sim [--from S] [--seeds N] [--seconds T] [--plan P] [--hash]
 *     sim --seed S [--plan P] [--verbose] [--shrink]
 *
 * Runs N seeds from S on (at most T seconds), and the first of them twice, whose runs must be the
 * same bit for bit. What is violated is printed with its seed; `sim --seed S --verbose` shows that
 * run in readable form, `sim --seed S --shrink` looks for a smaller one and prints its plan.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shrink.h"
#include "sim.h"

enum {
    REPORT_MAX = 1 << 20,
    SEED_LINE = 64,
};

/* Libraries keep memory that a killed role had them take; nobody can give it back. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto\nleak:libssl\nleak:libargon2\n";
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

struct options {
    uint64_t seed, seeds, seconds;
    struct str plan;
    bool hash, verbose, shrink;
};

struct totals {
    struct sim_result sum;
    uint64_t seeds, violated;
};

static void sum_up(struct totals *totals, const struct sim_result *result)
{
    struct sim_result *sum = &totals->sum;
    totals->seeds++;
    totals->violated += result->violated;
    sum->sessions += result->sessions;
    sum->in += result->in;
    sum->submitted += result->submitted;
    sum->limited += result->limited;
    sum->turned_away += result->turned_away;
    sum->slowed += result->slowed;
    sum->wrong += result->wrong;
    sum->out.queued += result->out.queued;
    sum->out.relayed += result->out.relayed;
    sum->out.routed += result->out.routed;
    sum->out.returned += result->out.returned;
    sum->out.removed += result->out.removed;
    sum->out.doubled += result->out.doubled;
    sum->in_tls += result->in_tls;
    sum->out.reports += result->out.reports;
    sum->back_off += result->back_off;
    sum->banned += result->banned;
    sum->accepted += result->accepted;
    sum->unknown += result->unknown;
    sum->repeated += result->repeated;
    sum->read += result->read;
    sum->removed += result->removed;
    sum->troubles += result->troubles;
    sum->deaths += result->deaths;
    sum->power_cuts += result->power_cuts;
}

static struct sim_plan plan_of(const struct options *options, uint64_t seed)
{
    struct sim_plan plan = plan_make(seed);
    (void)plan_parse(&plan, options->plan);
    return plan;
}

static void plan_show(const struct sim_plan *plan)
{
    struct buf text = BUF_INIT(PLAN_TEXT_MAX);
    plan_print(plan, &text);
    printf("plan: %.*s\n", STR_FMT(buf_str(&text)));
    buf_done(&text);
}

static struct sim_result run(const struct options *options, uint64_t seed, struct totals *totals)
{
    struct buf report = BUF_INIT(REPORT_MAX);
    struct sim_plan plan = plan_of(options, seed);
    if (options->verbose)
        plan_show(&plan);
    snprintf(seed_line, sizeof(seed_line), "sim: the seed was %llu\n", (unsigned long long)seed);
    struct sim_result result = sim_run(seed, &plan, options->verbose, &report);
    if (result.violated)
        printf("seed %llu:\n%.*s", (unsigned long long)seed, STR_FMT(buf_str(&report)));
    fflush(stdout); /* who waits for the first one sees it */
    buf_done(&report);
    sum_up(totals, &result);
    return result;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void totals_print(const struct totals *totals)
{
    const struct sim_result *sum = &totals->sum;
    double seconds = cpu_seconds();
    printf("%llu seeds, %llu sessions in %.2f CPU seconds (%.0f a second)\n",
           (unsigned long long)totals->seeds, (unsigned long long)sum->sessions, seconds,
           (double)sum->sessions / seconds);
    printf("messages: %llu accepted, %llu of unknown end, %llu repeated, %llu read, %llu removed\n",
           (unsigned long long)sum->accepted, (unsigned long long)sum->unknown,
           (unsigned long long)sum->repeated, (unsigned long long)sum->read,
           (unsigned long long)sum->removed);
    printf("log-ins: %llu went well, %llu were wrong, %llu told later, %llu banned\n",
           (unsigned long long)sum->in, (unsigned long long)sum->wrong,
           (unsigned long long)sum->back_off, (unsigned long long)sum->banned);
    printf("users: %llu submissions accepted, %llu over a limit; door: %llu turned away, %llu "
           "slowed\n",
           (unsigned long long)sum->submitted, (unsigned long long)sum->limited,
           (unsigned long long)sum->turned_away, (unsigned long long)sum->slowed);
    printf("to elsewhere: %llu queued, %llu relayed (%llu by routes), %llu returned, %llu removed; "
           "%llu second "
           "copies, %llu "
           "reports\n",
           (unsigned long long)sum->out.queued, (unsigned long long)sum->out.relayed,
           (unsigned long long)sum->out.routed, (unsigned long long)sum->out.returned,
           (unsigned long long)sum->out.removed, (unsigned long long)sum->out.doubled,
           (unsigned long long)sum->out.reports);
    printf("taken by other servers in TLS: %llu\n", (unsigned long long)sum->in_tls);
    printf("faults: %llu troubles, %llu roles died, %llu power cuts\n",
           (unsigned long long)sum->troubles, (unsigned long long)sum->deaths,
           (unsigned long long)sum->power_cuts);
    printf("%llu seeds violated something\n", (unsigned long long)totals->violated);
}

static bool option_take(struct options *options, int option)
{
    struct sim_plan any = {0};
    switch (option) {
    case 's':
        return str_to_u64(str_from(optarg), &options->seed);
    case 'n':
        return str_to_u64(str_from(optarg), &options->seeds);
    case 't':
        return str_to_u64(str_from(optarg), &options->seconds);
    case 'p':
        options->plan = str_from(optarg);
        return plan_parse(&any, options->plan);
    case 'h':
        return options->hash = true;
    case 'v':
        return options->verbose = true;
    case 'k':
        return options->shrink = true;
    default:
        return false;
    }
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"seed", required_argument, NULL, 's'},
                                          {"from", required_argument, NULL, 's'},
                                          {"seeds", required_argument, NULL, 'n'},
                                          {"plan", required_argument, NULL, 'p'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"hash", no_argument, NULL, 'h'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"shrink", no_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    int option;
    bool fine = true;
    while (fine && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
        fine = option_take(options, option);
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

static int make_smaller(const struct options *options)
{
    struct sim_plan plan = plan_of(options, options->seed);
    struct buf text = BUF_INIT(PLAN_TEXT_MAX);
    size_t runs;
    bool fails = shrink(options->seed, &plan, &runs);
    plan_print(&plan, &text);
    if (fails)
        printf("after %zu runs: sim --seed %llu --plan %.*s\n", runs,
               (unsigned long long)options->seed, STR_FMT(buf_str(&text)));
    else
        printf("seed %llu violates nothing\n", (unsigned long long)options->seed);
    buf_done(&text);
    return fails ? 1 : 0;
}

static int run_all(const struct options *options)
{
    struct totals totals = {.seeds = 0};
    seconds_passed();
    for (uint64_t i = 0; i < options->seeds && seconds_passed() < (double)options->seconds; i++) {
        uint64_t seed = options->seed + i;
        struct sim_result result = run(options, seed, &totals);
        if (options->hash)
            printf("seed %llu hash %016llx\n", (unsigned long long)seed,
                   (unsigned long long)result.hash);
        if (i == 0 && options->seeds > 1 && run(options, seed, &totals).hash != result.hash) {
            printf("seed %llu: two runs differ\n", (unsigned long long)seed);
            totals.violated++;
        }
    }
    totals_print(&totals);
    return totals.violated ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1, .seeds = 1, .seconds = UINT32_MAX};
    if (!options_parse(argc, argv, &options)) {
        fprintf(stderr, "usage: sim [--from S] [--seeds N] [--seconds T] [--plan P] [--hash]\n"
                        "       sim --seed S [--plan P] [--verbose] [--shrink]\n");
        return 64;
    }
    signal(SIGABRT, tell_seed);
    signal(SIGSEGV, tell_seed);
    if (options.shrink)
        return make_smaller(&options);
    return run_all(&options);
}
