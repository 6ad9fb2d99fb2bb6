/*
 * The generator of log-ins by POP3, at a steady rate that waits for nobody: each begins at its time
 * from an address of its own turn, says USER and PASS, hears the answer and leaves. Latency is
 * counted from the time it was meant to begin, so a server that is slow cannot hide it by being
 * asked less.
 *
 *   logins [--rate N] [--seconds N] [--first N] [--accounts N] [--network N] [--addresses N]
 *          [--password PW] PORT
 *
 * The i-th log-in is of account first + i % accounts, from 127.X.Y.1 where X.Y is network +
 * i % addresses: neighbours share no /24.
 *
 * A line of JSON: how many were let in, were told that the password is wrong, were told to come
 * later, were turned away at the door or in the middle; and how long the answers took.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "conn.h"
#include "latency.h"
#include "load.h"

enum {
    ATTEMPT_MAGIC = MAGIC('l', 'g', 'i', 'n'),
    EXIT_WRONG_USAGE = 64,
    NETWORKS = 65536,  /* of /24 in 127.0.0.0/8 */
    AT_A_TIME = 20000, /* attempts under way: what the process has descriptors for */
};

#define SECOND INT64_C(1000000000)
#define PATIENCE (10 * SECOND) /* for the last answers */
#define TICK (SECOND / 2000)

enum step {
    STEP_GREETING,
    STEP_USER,
    STEP_PASS,
};

struct storm {
    uint64_t rate, seconds, first, accounts, network, addresses;
    const char *password;
    uint16_t port;
    int epoll;
    int64_t begun;
    uint64_t started, under_way;
    uint64_t in, wrong, later, turned_away, skipped;
    struct latency answer;
    int64_t longest;
    LIST_HEAD(, attempt) spare, over; /* over: closed when the turn has ended */
};

struct attempt {
    struct conn conn; /* first: `heard` gets the attempt by it */
    uint32_t magic;
    struct storm *storm;
    LIST_ENTRY(attempt) link;
    enum step step;
    uint64_t account;
    int64_t due;
};

int64_t load_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static void leave(struct attempt *attempt, uint64_t *counted)
{
    (*counted)++;
    attempt->storm->under_way--;
    conn_close(&attempt->conn);
    LIST_INSERT_HEAD(&attempt->storm->over, attempt, link);
}

static void answered(struct attempt *attempt, struct str line)
{
    struct storm *storm = attempt->storm;
    int64_t took = load_now() - attempt->due;
    latency_add(&storm->answer, took);
    storm->longest = took > storm->longest ? took : storm->longest;
    leave(attempt, str_starts(line, STR("+OK"))           ? &storm->in
                   : str_starts(line, STR("-ERR [AUTH]")) ? &storm->wrong
                                                          : &storm->later);
}

static void reply(struct attempt *attempt, struct str line)
{
    struct storm *storm = attempt->storm;
    if (attempt->step == STEP_PASS) {
        answered(attempt, line);
    } else if (!str_starts(line, STR("+OK"))) {
        leave(attempt, &storm->turned_away);
    } else if (attempt->step == STEP_GREETING) {
        conn_sayf(&attempt->conn, "USER " LOAD_ADDRESS "\r\n",
                  (unsigned long long)attempt->account);
        attempt->step = STEP_USER;
    } else {
        conn_sayf(&attempt->conn, "PASS %s\r\n", storm->password);
        attempt->step = STEP_PASS;
    }
}

static void heard(struct conn *conn)
{
    struct attempt *attempt = (struct attempt *)conn;
    must_be(attempt, ATTEMPT_MAGIC);
    struct str line;
    while (conn->fd >= 0 && conn_line(conn, &line))
        reply(attempt, line);
    if (conn->fd >= 0 && conn->over)
        leave(attempt, &attempt->storm->turned_away);
    conn_push(conn);
}

static struct attempt *attempt_take(struct storm *storm)
{
    struct attempt *attempt = LIST_FIRST(&storm->spare);
    if (attempt) {
        LIST_REMOVE(attempt, link);
        return attempt;
    }
    attempt = calloc(1, sizeof(*attempt));
    must(attempt);
    attempt->magic = ATTEMPT_MAGIC;
    attempt->conn = (struct conn){.fd = -1, .heard = heard};
    attempt->storm = storm;
    return attempt;
}

static void start(struct storm *storm)
{
    uint64_t number = storm->started++;
    unsigned source = (unsigned)(storm->network + number % storm->addresses) * 256;
    if (storm->under_way == AT_A_TIME) {
        storm->skipped++;
        return;
    }
    struct attempt *attempt = attempt_take(storm);
    attempt->step = STEP_GREETING;
    attempt->account = storm->first + number % storm->accounts;
    attempt->due = storm->begun + (int64_t)(number * (uint64_t)SECOND / storm->rate);
    storm->under_way++;
    if (!conn_open(&attempt->conn, storm->epoll, storm->port, source))
        leave(attempt, &storm->turned_away);
}

static void start_due(struct storm *storm)
{
    uint64_t passed = (uint64_t)(load_now() - storm->begun);
    uint64_t all = storm->rate * storm->seconds, due = passed * storm->rate / (uint64_t)SECOND + 1;
    due = due < all ? due : all;
    while (storm->started < due)
        start(storm);
}

static void run(struct storm *storm)
{
    int64_t end = storm->begun + (int64_t)storm->seconds * SECOND + PATIENCE;
    while ((storm->started < storm->rate * storm->seconds || storm->under_way > 0) &&
           load_now() < end) {
        start_due(storm);
        conn_turn(storm->epoll, TICK);
        struct attempt *attempt;
        while ((attempt = LIST_FIRST(&storm->over))) {
            LIST_REMOVE(attempt, link);
            LIST_INSERT_HEAD(&storm->spare, attempt, link);
        }
    }
}

static void print(const struct storm *storm)
{
    printf("{\"begun\": %llu, \"in\": %llu, \"wrong\": %llu, \"later\": %llu, "
           "\"turned_away\": %llu, \"unanswered\": %llu, \"p50_ms\": %.4f, \"p99_ms\": %.4f, "
           "\"max_ms\": %.4f}\n",
           (unsigned long long)storm->started, (unsigned long long)storm->in,
           (unsigned long long)storm->wrong, (unsigned long long)storm->later,
           (unsigned long long)storm->turned_away,
           (unsigned long long)(storm->under_way + storm->skipped),
           (double)latency_quantile(&storm->answer, 500) / 1e6,
           (double)latency_quantile(&storm->answer, 990) / 1e6, (double)storm->longest / 1e6);
}

static bool options_read(int count, char **words, struct storm *storm)
{
    static const struct option options[] = {
        {"rate", required_argument, NULL, 'r'},     {"seconds", required_argument, NULL, 's'},
        {"first", required_argument, NULL, 'f'},    {"accounts", required_argument, NULL, 'a'},
        {"network", required_argument, NULL, 'n'},  {"addresses", required_argument, NULL, 'd'},
        {"password", required_argument, NULL, 'P'}, {NULL, 0, NULL, 0},
    };
    uint64_t *const numbers[] = {
        ['r'] = &storm->rate,     ['s'] = &storm->seconds, ['f'] = &storm->first,
        ['a'] = &storm->accounts, ['n'] = &storm->network, ['d'] = &storm->addresses,
    };
    uint64_t port = 0;
    int option;
    while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
        if (option == 'P')
            storm->password = optarg;
        else if (option == '?' || !str_to_u64(str_from(optarg), numbers[option]))
            return false;
    }
    if (count - optind != 1 || !str_to_u64(str_from(words[optind]), &port) || port > UINT16_MAX)
        return false;
    storm->port = (uint16_t)port;
    return storm->rate && storm->seconds && storm->accounts && storm->addresses &&
           storm->network + storm->addresses < NETWORKS;
}

int main(int count, char **words)
{
    static struct storm storm = {
        .rate = 10, .seconds = 1, .accounts = 1, .addresses = 1, .password = "wrong"};
    const struct rlimit most = {AT_A_TIME + 100, AT_A_TIME + 100};
    if (!options_read(count, words, &storm)) {
        fputs("usage: logins [--rate N] [--seconds N] [--first N] [--accounts N] [--network N] "
              "[--addresses N] [--password PW] PORT\n",
              stderr);
        return EXIT_WRONG_USAGE;
    }
    setrlimit(RLIMIT_NOFILE, &most);
    signal(SIGPIPE, SIG_IGN);
    LIST_INIT(&storm.spare);
    LIST_INIT(&storm.over);
    storm.epoll = epoll_create1(EPOLL_CLOEXEC);
    must(storm.epoll >= 0);
    storm.begun = load_now();
    run(&storm);
    print(&storm);
    return 0;
}
