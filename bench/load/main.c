/*
 * Arguments, processes, and the sum of what they did. The processes are forked before anything is
 * measured and begin together, when the parent closes the pipe they read from.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "message.h"

enum {
    EXIT_WRONG_USAGE = 64,
    MILLISECOND = 1000000,
};

static const int64_t HOLD_PATIENCE = 5000000000; /* ns */

int64_t load_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t load_account(const struct load *load, uint64_t number, uint64_t copy)
{
    /* A prime, so a permutation of any number of accounts it does not divide. */
    return (number * load->recipients + copy) % load->accounts * 2654435761 % load->accounts;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static const char *const mode_names[] = {
    [LOAD_SMTP] = "smtp",   [LOAD_LMTP] = "lmtp", [LOAD_POP3] = "pop3",
    [LOAD_MIXUP] = "mixup", [LOAD_IDLE] = "idle", [LOAD_DRIP] = "drip",
};
enum {
    MODES = sizeof(mode_names) / sizeof(mode_names[0])
};

static _Noreturn void usage(void)
{
    fputs("usage: load [--OPTION VALUE ...] MODE PORT\n"
          "MODE: smtp lmtp pop3 mixup idle drip; on 127.0.0.1\n"
          "  --processes N    of the generator (1)\n"
          "  --sessions N     connections at a time, in all processes together (10)\n"
          "  --messages N     to send; pop3 --verify: that were sent; mixup: log-ins (1000)\n"
          "  --first N        number of the first message (0)\n"
          "  --size N         octets of a message (1024)\n"
          "  --recipients N   of a message (1)\n"
          "  --accounts N     they are spread over u000000@bench.test and so on (100)\n"
          "  --domain NAME    of the recipients (bench.test)\n"
          "  --domains N      they are spread over d000.NAME and so on (1)\n"
          "  --each N         messages for each connection, 0: all; pop3: times each is read (0)\n"
          "  --rate N         messages a second in all; 0: as fast as it goes (0)\n"
          "  --one-by-one     each command waits for its reply, even where PIPELINING is offered\n"
          "  --password PW    pop3: of every account; mixup: with the account's name behind it\n"
          "  --window N       pop3: RETR commands under way (1); drip: seconds for each octet (1)\n"
          "  --verify         pop3: compare every octet with what was sent\n"
          "  --remove         pop3: delete what was read\n"
          "  --spread         idle, drip: from 200 addresses\n",
          stderr);
    exit(EXIT_WRONG_USAGE);
}

static bool number_option(struct load *load, int option, const char *text)
{
    uint64_t *const numbers[] = {
        ['p'] = &load->processes, ['s'] = &load->sessions, ['m'] = &load->messages,
        ['f'] = &load->first,     ['l'] = &load->size,     ['r'] = &load->recipients,
        ['a'] = &load->accounts,  ['e'] = &load->each,     ['R'] = &load->rate,
        ['w'] = &load->window,    ['D'] = &load->domains,
    };
    return (size_t)option < sizeof(numbers) / sizeof(numbers[0]) && numbers[option] &&
           str_to_u64(str_from(text), numbers[option]);
}

static const struct option options[] = {
    {"processes", required_argument, NULL, 'p'}, {"sessions", required_argument, NULL, 's'},
    {"messages", required_argument, NULL, 'm'},  {"first", required_argument, NULL, 'f'},
    {"size", required_argument, NULL, 'l'},      {"recipients", required_argument, NULL, 'r'},
    {"accounts", required_argument, NULL, 'a'},  {"each", required_argument, NULL, 'e'},
    {"rate", required_argument, NULL, 'R'},      {"window", required_argument, NULL, 'w'},
    {"password", required_argument, NULL, 'P'},  {"one-by-one", no_argument, NULL, '1'},
    {"verify", no_argument, NULL, 'v'},          {"remove", no_argument, NULL, 'd'},
    {"spread", no_argument, NULL, 'b'},          {"domain", required_argument, NULL, 'n'},
    {"domains", required_argument, NULL, 'D'},   {NULL, 0, NULL, 0},
};

static void read_options(struct load *load, int count, char **words)
{
    int option;
    while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
        if (option == 'P')
            load->password = optarg;
        else if (option == 'n')
            load->domain = optarg;
        else if (option == '1')
            load->one_by_one = true;
        else if (option == 'v')
            load->verify = true;
        else if (option == 'd')
            load->remove = true;
        else if (option == 'b')
            load->spread = true;
        else if (!number_option(load, option, optarg))
            usage();
    }
}

static void read_arguments(struct load *load, int count, char **words)
{
    uint64_t port;
    read_options(load, count, words);
    if (count - optind != 2 || !str_to_u64(str_from(words[optind + 1]), &port) || port > UINT16_MAX)
        usage();
    load->port = (uint16_t)port;
    unsigned mode = 0;
    while (mode < MODES && !str_eq(str_from(mode_names[mode]), str_from(words[optind])))
        mode++;
    load->mode = (enum load_mode)mode;
    if (mode == MODES || load->size < MESSAGE_LEAST || load->size > MESSAGE_MOST ||
        !load->accounts || load->recipients > load->accounts || !load->recipients ||
        !load->sessions || !load->messages || !load->processes ||
        load->processes > LOAD_PROCESSES_MAX || !load->window || load->recipients > UINT8_MAX)
        usage();
}

/* --- Processes -------------------------------------------------------------------------------- */

static void *shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(p != MAP_FAILED);
    return p;
}

/* The part of 0 ... all that falls to a process. */
static uint64_t part(uint64_t all, uint64_t index, uint64_t processes)
{
    return all * index / processes;
}

static struct load_share share_of(const struct load *load, struct load_result *results,
                                  uint8_t *copies, uint64_t index)
{
    uint64_t n = load->processes, work = load->mode == LOAD_POP3 ? load->accounts : load->messages;
    uint64_t base = load->mode == LOAD_POP3 ? 0 : load->first;
    return (struct load_share){
        .load = load,
        .result = &results[index],
        .copies = copies,
        .index = index,
        .sessions = part(load->sessions, index + 1, n) - part(load->sessions, index, n),
        .from = base + part(work, index, n),
        .to = base + part(work, index + 1, n),
    };
}

static bool run_share(const struct load_share *share)
{
    switch (share->load->mode) {
    case LOAD_SMTP:
    case LOAD_LMTP:
        return load_send(share);
    case LOAD_POP3:
        return load_read(share);
    case LOAD_MIXUP:
        return load_mix_up(share);
    case LOAD_IDLE:
    case LOAD_DRIP:
        return load_hold(share);
    }
    return false;
}

static pid_t start(const struct load_share *share, const int gate[2])
{
    pid_t child = fork();
    must(child >= 0);
    if (child > 0)
        return child;
    char none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(gate[1]);
    while (read(gate[0], &none, 1) < 0 && errno == EINTR)
        ;
    _exit(run_share(share) ? 0 : 1);
}

/* Waits until every connection stands or failed, or a while has brought no further one; says how
 * many stand, and holds them until stdin ends. */
static void hold(const struct load *load, const struct load_result *results, const pid_t *children)
{
    uint64_t held = 0, failed = 0, settled = 0;
    int64_t changed_at = load_now();
    while (held + failed < load->sessions && load_now() - changed_at < HOLD_PATIENCE) {
        struct timespec pause = {.tv_nsec = 10 * MILLISECOND};
        nanosleep(&pause, NULL);
        held = failed = 0;
        for (uint64_t i = 0; i < load->processes; i++) {
            held += results[i].held;
            failed += results[i].failed;
        }
        if (held + failed > settled)
            changed_at = load_now();
        settled = held + failed;
    }
    printf("{\"held\": %llu, \"failed\": %llu}\n", (unsigned long long)held,
           (unsigned long long)failed);
    fflush(stdout);
    char none;
    while (read(STDIN_FILENO, &none, 1) > 0)
        ;
    for (uint64_t i = 0; i < load->processes; i++)
        kill(children[i], SIGKILL);
}

static bool wait_all(const struct load *load, const pid_t *children)
{
    bool good = true;
    for (uint64_t i = 0; i < load->processes; i++) {
        int status;
        must(waitpid(children[i], &status, 0) == children[i]);
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return good;
}

/* --- The sum ---------------------------------------------------------------------------------- */

static void add_up(const struct load *load, const struct load_result *results,
                   struct load_result *sum)
{
    *sum = results[0];
    for (uint64_t i = 1; i < load->processes; i++) {
        const struct load_result *one = &results[i];
        sum->done += one->done;
        sum->refused += one->refused;
        sum->failed += one->failed;
        sum->late += one->late;
        sum->octets += one->octets;
        sum->damaged += one->damaged;
        if (one->begun && (!sum->begun || one->begun < sum->begun))
            sum->begun = one->begun;
        sum->ended = one->ended > sum->ended ? one->ended : sum->ended;
        latency_merge(&sum->answer, &one->answer);
    }
}

/* Messages that were not read exactly once for each recipient. */
static uint64_t miscounted(const struct load *load, const uint8_t *copies)
{
    uint64_t wrong = 0;
    if (load->verify)
        for (uint64_t i = 0; i < load->messages; i++)
            wrong += copies[i] != load->recipients;
    return wrong;
}

static void print_sum(const struct load_result *sum, uint64_t wrong)
{
    double seconds = (double)(sum->ended - sum->begun) / 1e9;
    printf("{\"done\": %llu, \"refused\": %llu, \"failed\": %llu, \"late\": %llu, "
           "\"octets\": %llu, \"damaged\": %llu, \"miscounted\": %llu, \"seconds\": %.4f, "
           "\"rate\": %.2f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"p999_ms\": %.4f}\n",
           (unsigned long long)sum->done, (unsigned long long)sum->refused,
           (unsigned long long)sum->failed, (unsigned long long)sum->late,
           (unsigned long long)sum->octets, (unsigned long long)sum->damaged,
           (unsigned long long)wrong, seconds, seconds > 0 ? (double)sum->done / seconds : 0,
           (double)latency_quantile(&sum->answer, 500) / MILLISECOND,
           (double)latency_quantile(&sum->answer, 990) / MILLISECOND,
           (double)latency_quantile(&sum->answer, 999) / MILLISECOND);
}

static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Everybody's part is done: says what it came to. True if it is what was asked for. */
static bool finish(const struct load *load, const struct load_result *results,
                   const uint8_t *copies, const pid_t *children)
{
    struct load_result *sum = shared(sizeof(*sum));
    bool good = wait_all(load, children);
    add_up(load, results, sum);
    uint64_t wrong = miscounted(load, copies);
    print_sum(sum, wrong);
    return good && !sum->refused && !sum->damaged && !wrong;
}

int main(int count, char **words)
{
    struct load load = {.processes = 1,
                        .sessions = 10,
                        .messages = 1000,
                        .size = 1024,
                        .recipients = 1,
                        .accounts = 100,
                        .window = 1,
                        .password = "",
                        .domain = "bench.test",
                        .domains = 1};
    read_arguments(&load, count, words);
    allow_many_files();
    signal(SIGPIPE, SIG_IGN);
    if (load.processes > load.sessions)
        load.processes = load.sessions;

    struct load_result *results = shared(LOAD_PROCESSES_MAX * sizeof(*results));
    uint8_t *copies = shared(load.messages);
    struct load_share shares[LOAD_PROCESSES_MAX];
    pid_t children[LOAD_PROCESSES_MAX];
    int gate[2];
    must(pipe(gate) == 0);
    for (uint64_t i = 0; i < load.processes; i++) {
        shares[i] = share_of(&load, results, copies, i);
        children[i] = start(&shares[i], gate);
    }
    close(gate[0]);
    close(gate[1]);
    if (load.mode == LOAD_IDLE || load.mode == LOAD_DRIP) {
        hold(&load, results, children);
        wait_all(&load, children);
        return 0;
    }
    return finish(&load, results, copies, children) ? 0 : 1;
}
