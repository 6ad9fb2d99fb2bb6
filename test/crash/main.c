/*
 * crash: what a power cut may leave of a store, opened and judged.
 *
 *     crash [--seed S] [--states N] [--seconds T] [--workload NAME] [--scratch FOLDER] [--verbose]
 *     crash --replay FILE
 *     crash --live FOLDER --notes FILE [--notes-at N] --workload NAME --seed S
 *     crash --judge FOLDER --notes FILE [--notes-at N]
 *
 * From seed S on, every workload (workload.c) is run over the real engine while everything that is
 * done to its folder, LMDB's part included, is recorded (test/interpose/disk_record.h). Of each
 * record so many states (image.h) are judged (judge.c) that N are, in the end, in at most T
 * seconds: all that a record has where they are few enough, else drawn ones.
 *
 * A state that is wrong is kept: its record, with which state it was, goes to a file of the working
 * folder; --replay judges it again, and leaves the image to be looked at.
 *
 * --live and --judge are the two ends of blocks.py: a workload on a file system whose blocks are
 * recorded, and the judging of what such a disk then holds.
 *
 * Every workload and every judging is a process of its own: an engine that fails by must() is a
 * finding, and no state knows of another. The records are shared memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "judge.h"
#include "sys/fake/random.h"

enum {
    RECORD_ROOM = 64 * 1024 * 1024,
    PATH_ROOM = 256,
    FOLDER_DEPTH = 8, /* descriptors while a folder is removed */
    STATE_TIME = 60,  /* seconds: what takes longer hangs */
    VIOLATIONS_MAX = 5,
    CUTS_TRIED = 5,
    SHARE_TIMED = 150,
    SHARE = 2000, /* states of one record at most, so that seeds change */
};

#define NS UINT64_C(1000000000)

struct options {
    uint64_t seed, states, seconds;
    const char *only;
    const char *scratch;
    const char *replay;
    const char *live, *judge; /* a store's folder */
    const char *notes;
    uint64_t notes_at;
    bool verbose;
};

struct run {
    struct options options;
    char path[PATH_ROOM]; /* of images */
    struct disk_record *record, *earlier;
    struct verdict *verdict;
    uint64_t started; /* ns */
    uint64_t judged, records, exhausted, violations;
};

/* In front of the record in a file. */
struct kept {
    char workload[32];
    uint64_t seed, k;
    uint32_t at, zero;
};

static uint64_t now(void)
{
    struct timespec t;
    must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static bool out_of_time(const struct run *run)
{
    return run->options.seconds > 0 && now() - run->started >= run->options.seconds * NS;
}

/* --- Processes and folders -------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_all(const char *path)
{
    (void)nftw(path, remove_one, FOLDER_DEPTH, FTW_DEPTH | FTW_PHYS);
}

/* 0: a child. */
static pid_t child(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    /* It may fail by must() a thousand times: nobody reads so many cores. */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)alarm(STATE_TIME);
    return 0;
}

/* True: it ended by itself, with 0. *signal_r: what killed it, or 0. */
static bool child_ended(pid_t pid, int *signal_r)
{
    int status;
    must(waitpid(pid, &status, 0) == pid);
    *signal_r = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct disk_record *record_map(void)
{
    struct disk_record *record = mmap(NULL, RECORD_ROOM, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(record != MAP_FAILED);
    record->size = RECORD_ROOM - sizeof(*record);
    return record;
}

/* --- Judging ---------------------------------------------------------------------------------- */

static bool state_judged(struct run *run, const struct workload *workload,
                         const struct history *history, uint32_t at, uint64_t k, uint64_t seed)
{
    int signal_number;
    *run->verdict = (struct verdict){0};
    remove_all(run->path);
    pid_t pid = child();
    if (pid == 0) {
        judge_state(workload, history, at, k, seed, run->path, run->verdict);
        _exit(0);
    }
    if (!child_ended(pid, &signal_number) || !run->verdict->ended) {
        run->verdict->right = false;
        (void)snprintf(run->verdict->why, WHY_ROOM, "it died of signal %d", signal_number);
    }
    return run->verdict->right;
}

static void violation_keep(struct run *run, const struct workload *workload, uint64_t seed,
                           const struct history *history, uint32_t at, uint64_t k)
{
    char name[PATH_ROOM];
    struct kept kept = {.seed = seed, .k = k, .at = at};
    (void)snprintf(kept.workload, sizeof(kept.workload), "%s", workload->name);
    (void)snprintf(name, sizeof(name), "crash-%s-%llu-%u-%llu.record", workload->name,
                   (unsigned long long)seed, at, (unsigned long long)k);
    printf("workload %s, seed %llu, cut at event %u, state %llu: %s\n", workload->name,
           (unsigned long long)seed, at, (unsigned long long)k, run->verdict->why);
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = sizeof(struct disk_record) + history->record->used;
    if (file >= 0 && write(file, &kept, sizeof(kept)) == (ssize_t)sizeof(kept) &&
        write(file, history->record, n) == (ssize_t)n)
        printf("  again: crash --replay %s\n", name);
    if (file >= 0)
        close(file);
    run->violations++;
}

/* `most` states of the record, all where it has no more. */
static void record_judge(struct run *run, const struct workload *workload, uint64_t seed,
                         const struct history *history, uint64_t most)
{
    struct fake_random random;
    bool all = history->states <= most;
    uint64_t count = all ? history->states : most, done = 0;
    fake_random_init(&random, seed, "states");
    for (; done < count && !out_of_time(run) && run->violations < VIOLATIONS_MAX; done++) {
        uint64_t k, state = all ? done : fake_random_below(&random, history->states);
        const struct cut *cut = history_state(history, state, &k);
        if (!state_judged(run, workload, history, cut->at, k, seed))
            violation_keep(run, workload, seed, history, cut->at, k);
        run->judged++;
    }
    run->exhausted += all && done == count;
    if (run->options.verbose)
        printf("%-10s seed %llu: %u events, %u cuts, %llu states, %llu judged\n", workload->name,
               (unsigned long long)seed, history->count, history->cut_count,
               (unsigned long long)history->states, (unsigned long long)done);
}

/* --- Recording -------------------------------------------------------------------------------- */

static bool workload_recorded(struct run *run, const struct workload *workload, uint64_t seed,
                              struct disk_record *record, const struct workload_from *from)
{
    int signal_number;
    remove_all(run->path);
    pid_t pid = child();
    if (pid == 0)
        _exit(workload_run(workload, seed, record, run->path, from) ? 0 : 1);
    if (child_ended(pid, &signal_number))
        return true;
    printf("workload %s, seed %llu: it could not be recorded (signal %d)\n", workload->name,
           (unsigned long long)seed, signal_number);
    run->violations++;
    return false;
}

/* Nothing was missed: made from the record, the folder is as the workload left it. LMDB's lock file
 * alone is written through a map. */
static bool record_is_whole(struct run *run, const struct history *history)
{
    int signal_number;
    char again[PATH_ROOM + 8];
    (void)snprintf(again, sizeof(again), "%s.again", run->path);
    pid_t pid = child();
    if (pid == 0) {
        if (image_build_whole(history, again))
            execlp("diff", "diff", "-rq", "--exclude=lock.mdb", run->path, again, NULL);
        _exit(1);
    }
    bool whole = child_ended(pid, &signal_number);
    remove_all(again);
    if (!whole)
        printf("the record is not what was done\n");
    run->violations += !whole;
    return whole;
}

/* A cut of the earlier record: any, or (to be damaged) the end, with all that is open kept. */
static struct workload_from from_choose(const struct workload *workload,
                                        const struct history *history, uint64_t seed)
{
    struct fake_random random;
    struct workload_from from = {.history = history, .seed = seed};
    fake_random_init(&random, seed, "from");
    uint64_t state = fake_random_below(&random, history->states);
    const struct cut *cut = history_state(history, state, &from.k);
    if (workload->base == BASE_DAMAGED) {
        cut = &history->cuts[history->cut_count - 1];
        from.k = cut->open <= MASK_BITS ? (UINT64_C(1) << cut->open) - 1 : 0;
    }
    from.at = cut->at;
    return from;
}

static void history_of(struct history *history, const struct disk_record *record)
{
    history_init(history, record, 0);
    uint32_t from = trials_begin_at(history);
    history_done(history);
    history_init(history, record, from);
}

/* A workload that begins with what another one left needs that one's record first. */
static bool base_recorded(struct run *run, const struct workload *workload, uint64_t seed,
                          struct history *earlier)
{
    static const char *const bases[] = {"mix", "compact", "groups", "upload"};
    if (workload->base == BASE_NOTHING)
        return true;
    const char *name = bases[seed % (sizeof(bases) / sizeof(bases[0]))];
    for (unsigned i = 0; i < workload_count; i++)
        if (strcmp(workloads[i].name, name) == 0 &&
            !workload_recorded(run, &workloads[i], seed, run->earlier, NULL))
            return false;
    history_of(earlier, run->earlier);
    return true;
}

/* Judges at most `most` states of one run of it. False: there is no record. */
static bool workload_judge(struct run *run, const struct workload *workload, uint64_t seed,
                           const struct workload_from *from, uint64_t most)
{
    struct history history;
    if (!workload_recorded(run, workload, seed, run->record, from))
        return false;
    history_of(&history, run->record);
    run->records++;
    if (record_is_whole(run, &history))
        record_judge(run, workload, seed, &history, most);
    history_done(&history);
    return true;
}

/* What was recorded last is what the next one begins behind. */
static void record_is_earlier(struct run *run, struct history *earlier)
{
    struct disk_record *record = run->record;
    run->record = run->earlier;
    run->earlier = record;
    history_done(earlier);
    history_of(earlier, run->earlier);
}

/* What begins behind a cut does so behind several, for which one it is matters more than how it
 * goes on; and every second time the next cut is one of its own, so that cuts follow cuts. */
static void workload_try(struct run *run, const struct workload *workload, uint64_t seed,
                         uint64_t most)
{
    struct history earlier = {0};
    bool ok = true;
    if (workload->base == BASE_NOTHING) {
        (void)workload_judge(run, workload, seed, NULL, most);
        return;
    }
    if (!base_recorded(run, workload, seed, &earlier))
        return;
    for (uint64_t i = 0; i < CUTS_TRIED && ok && !out_of_time(run); i++) {
        struct workload_from from = from_choose(workload, &earlier, seed * CUTS_TRIED + i);
        ok = workload_judge(run, workload, seed * CUTS_TRIED + i, &from, most / CUTS_TRIED + 1);
        if (ok && workload->base == BASE_CUT && i % 2 == 1)
            record_is_earlier(run, &earlier);
    }
    history_done(&earlier);
}

static bool goes_on(const struct run *run)
{
    return run->judged < run->options.states && !out_of_time(run) &&
           run->violations < VIOLATIONS_MAX;
}

static bool is_chosen(const struct options *options, const struct workload *workload)
{
    return !options->only || strcmp(options->only, workload->name) == 0;
}

static unsigned how_many_chosen(const struct options *options)
{
    unsigned chosen = 0;
    for (unsigned i = 0; i < workload_count; i++)
        chosen += is_chosen(options, &workloads[i]);
    return chosen;
}

/* States of one record: the same share for each workload. Where time is short the records are many
 * and of each are few. */
static uint64_t share_of_each(const struct run *run)
{
    uint64_t share = run->options.states / how_many_chosen(&run->options) + 1;
    uint64_t most = run->options.seconds > 0 ? SHARE_TIMED : SHARE;
    return share < most ? share : most;
}

static void run_all(struct run *run)
{
    uint64_t share = share_of_each(run);
    for (uint64_t seed = run->options.seed; goes_on(run); seed++)
        for (unsigned i = 0; i < workload_count && goes_on(run); i++)
            if (is_chosen(&run->options, &workloads[i]))
                workload_try(run, &workloads[i], seed, share);
}

/* --- Replaying -------------------------------------------------------------------------------- */

static bool kept_read(struct run *run, struct kept *kept)
{
    int file = open(run->options.replay, O_RDONLY | O_CLOEXEC);
    bool ok = file >= 0 && read(file, kept, sizeof(*kept)) == (ssize_t)sizeof(*kept);
    size_t at = 0;
    ssize_t n = 1;
    while (ok && at < RECORD_ROOM &&
           (n = read(file, (char *)run->record + at, RECORD_ROOM - at)) > 0)
        at += (size_t)n;
    if (file >= 0)
        close(file);
    return ok && n == 0 && at >= sizeof(struct disk_record);
}

static void replay(struct run *run)
{
    struct kept kept;
    struct history history;
    if (!kept_read(run, &kept)) {
        printf("crash: %s cannot be read\n", run->options.replay);
        run->violations++;
        return;
    }
    for (unsigned i = 0; i < workload_count; i++) {
        if (strcmp(workloads[i].name, kept.workload) != 0)
            continue;
        history_of(&history, run->record);
        if (!state_judged(run, &workloads[i], &history, kept.at, kept.k, kept.seed)) {
            printf("%s\n", run->verdict->why);
            run->violations++;
        }
        run->judged++;
        history_done(&history);
        /* As the cut left it: the judging has gone on with the one it had. */
        remove_all(run->path);
        history_of(&history, run->record);
        (void)image_build(&history, kept.at, kept.k, kept.seed, run->path);
        history_done(&history);
        printf("the image is in %s\n", run->path);
    }
}

/* --- On a disk of which others make states -----------------------------------------------------
 */

static int live(const struct options *options)
{
    int notes = open(options->notes, O_WRONLY | O_DIRECT | O_CLOEXEC);
    for (unsigned i = 0; i < workload_count && notes >= 0; i++)
        if (options->only && strcmp(options->only, workloads[i].name) == 0)
            return workload_live(&workloads[i], options->seed, options->live, notes,
                                 options->notes_at)
                       ? 0
                       : 1;
    (void)fprintf(stderr, "crash: no such workload, or notes cannot be written\n");
    return 64;
}

static int judge(const struct options *options)
{
    static struct trials trials;
    static struct verdict verdict;
    int notes = open(options->notes, O_RDONLY | O_CLOEXEC);
    if (notes < 0) {
        (void)fprintf(stderr, "crash: %s: %s\n", options->notes, strerrordesc_np(errno));
        return 64;
    }
    trials_read_blocks(&trials, notes, options->notes_at);
    close(notes);
    judge_store(&trials, false, options->judge, &verdict);
    printf("%u trials were noted: %s\n", trials.count, verdict.right ? "right" : verdict.why);
    return verdict.right ? 0 : 1;
}

/* --- Beginning ---------------------------------------------------------------------------------
 */

static uint64_t number_of(const char *text)
{
    uint64_t number = 0;
    if (!str_to_u64(str_from(text), &number)) {
        (void)fprintf(stderr, "crash: %s is not a number\n", text);
        exit(64);
    }
    return number;
}

static void options_read(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},    {"states", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 't'}, {"workload", required_argument, NULL, 'w'},
        {"scratch", required_argument, NULL, 'd'}, {"replay", required_argument, NULL, 'r'},
        {"live", required_argument, NULL, 'l'},    {"judge", required_argument, NULL, 'j'},
        {"notes", required_argument, NULL, 'o'},   {"notes-at", required_argument, NULL, 'a'},
        {"verbose", no_argument, NULL, 'v'},       {NULL, 0, NULL, 0},
    };
    *options = (struct options){.seed = 1, .states = 2000, .scratch = "/dev/shm"};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's')
            options->seed = number_of(optarg);
        else if (c == 'n')
            options->states = number_of(optarg);
        else if (c == 't')
            options->seconds = number_of(optarg);
        else if (c == 'w')
            options->only = optarg;
        else if (c == 'd')
            options->scratch = optarg;
        else if (c == 'r')
            options->replay = optarg;
        else if (c == 'l')
            options->live = optarg;
        else if (c == 'j')
            options->judge = optarg;
        else if (c == 'o')
            options->notes = optarg;
        else if (c == 'a')
            options->notes_at = number_of(optarg);
        else if (c == 'v')
            options->verbose = true;
        else
            exit(64);
    }
    if (how_many_chosen(options) == 0) {
        (void)fprintf(stderr, "crash: no workload is called %s\n", options->only);
        exit(64);
    }
}

int main(int argc, char **argv)
{
    static struct run run;
    char folder[PATH_ROOM - 8];
    options_read(&run.options, argc, argv);
    if ((run.options.live || run.options.judge) && run.options.notes)
        return run.options.live ? live(&run.options) : judge(&run.options);
    (void)snprintf(folder, sizeof(folder), "%s/veredus-crash-XXXXXX", run.options.scratch);
    if (!mkdtemp(folder)) {
        (void)fprintf(stderr, "crash: %s: %s\n", folder, strerrordesc_np(errno));
        return 71;
    }
    (void)snprintf(run.path, sizeof(run.path), "%s/store", folder);
    run.record = record_map();
    run.earlier = record_map();
    run.verdict =
        mmap(NULL, sizeof(*run.verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(run.verdict != MAP_FAILED);
    run.started = now();
    if (run.options.replay)
        replay(&run);
    else
        run_all(&run);
    double seconds = (double)(now() - run.started) / (double)NS;
    printf("%llu states of %llu records (%llu of them whole), %.0f states a second, "
           "%llu violations\n",
           (unsigned long long)run.judged, (unsigned long long)run.records,
           (unsigned long long)run.exhausted, (double)run.judged / seconds,
           (unsigned long long)run.violations);
    if (!run.options.replay)
        remove_all(folder);
    return run.violations > 0 || run.judged == 0;
}
