/*
 * The generator of TLS: hand-shakes, or connections that are held.
 *
 *   tls [--resume] [--bare] [--count N] [--at-once M] [--suite 1.2|1.3] hands PORT
 *                            N hand-shakes, whole or resumed, by M clients beside each other
 *   tls [--count N] hold PORT   N connections, idle until input ends
 *
 * A line of JSON: {"done": N, "failed": N, "resumed": N, "seconds": S}; hold prints it as soon as
 * all stand. A server that greets is heard once, so that its session has begun; whoever does not
 * greet (a bare TLS server) is waited for no longer than its ticket takes.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    WORD_MS = 200, /* how long a greeting or a ticket is waited for */
    DESCRIPTORS = 20000,
    AT_ONCE_MAX = 64,
};

struct options {
    bool resume, hold;
    long count, at_once;
    int port, version;
};

struct counts {
    long done, failed, resumed;
};

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int connection(int port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* The session that is offered again: the first ticket that came. */
static int ticket_came(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (!kept || *kept || !SSL_SESSION_is_resumable(session))
        return 0;
    *kept = session;
    return 1;
}

/* A copy of the session: the library lets one be used once. */
static bool offer(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION *copy = session ? SSL_SESSION_dup(session) : NULL;
    bool offered = !session || (copy && SSL_set_session(ssl, copy) == 1);
    SSL_SESSION_free(copy);
    return offered;
}

static SSL *hand_shake(SSL_CTX *context, int fd, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(context);
    if (!ssl)
        return NULL;
    if (SSL_set_fd(ssl, fd) != 1 || !offer(ssl, session) || SSL_connect(ssl) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

/* The greeting, and with it the ticket; or only the ticket, or nothing. */
static void hear(SSL *ssl, SSL_SESSION *const *ticket)
{
    char word[512];
    struct pollfd waiting = {.fd = SSL_get_fd(ssl), .events = POLLIN};
    SSL_set_mode(ssl, SSL_MODE_AUTO_RETRY);
    while (poll(&waiting, 1, *ticket ? 0 : WORD_MS) > 0) {
        SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
        int n = SSL_read(ssl, word, sizeof word);
        if (n > 0 || SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
            return;
    }
}

/* Waits for the server's word, which every Veredus session begins with. */
static bool greeted(SSL *ssl)
{
    char word[512];
    return SSL_read(ssl, word, sizeof word) > 0;
}

static void leave(SSL *ssl, int fd)
{
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static bool one(SSL_CTX *context, const struct options *options, SSL_SESSION **ticket,
                bool server_greets, struct counts *counts)
{
    int fd = connection(options->port);
    SSL *ssl = fd < 0 ? NULL : hand_shake(context, fd, options->resume ? *ticket : NULL);
    if (!ssl) {
        if (fd >= 0)
            close(fd);
        counts->failed++;
        return false;
    }
    counts->done++;
    counts->resumed += SSL_session_reused(ssl);
    if (server_greets)
        greeted(ssl);
    else if (options->resume && !*ticket)
        hear(ssl, ticket);
    leave(ssl, fd);
    return true;
}

static void hands(SSL_CTX *context, const struct options *options, bool server_greets,
                  struct counts *counts)
{
    SSL_SESSION *ticket = NULL;
    SSL_CTX_set_app_data(context, &ticket);
    for (long i = 0; i < options->count && counts->failed == 0; i++)
        one(context, options, &ticket, server_greets, counts);
    SSL_SESSION_free(ticket);
}

/* Each client is a process, with a ticket of its own; their counts come by a pipe. */
static void clients(SSL_CTX *context, const struct options *options, bool server_greets,
                    struct counts *counts)
{
    int ends[2];
    if (pipe(ends) != 0)
        return;
    for (long i = 0; i < options->at_once; i++) {
        if (fork() != 0)
            continue;
        struct counts own = {0};
        hands(context, options, server_greets, &own);
        _exit(write(ends[1], &own, sizeof own) == (ssize_t)sizeof own ? 0 : 1);
    }
    close(ends[1]);
    struct counts own;
    while (read(ends[0], &own, sizeof own) == (ssize_t)sizeof own) {
        counts->done += own.done;
        counts->failed += own.failed;
        counts->resumed += own.resumed;
    }
    close(ends[0]);
}

static void hold(SSL_CTX *context, const struct options *options, struct counts *counts)
{
    for (long i = 0; i < options->count; i++) {
        int fd = connection(options->port);
        SSL *ssl = fd < 0 ? NULL : hand_shake(context, fd, NULL);
        if (ssl && greeted(ssl))
            counts->done++;
        else
            counts->failed++;
    }
}

static void print(const struct counts *counts, double seconds)
{
    printf("{\"done\": %ld, \"failed\": %ld, \"resumed\": %ld, \"seconds\": %.6f}\n", counts->done,
           counts->failed, counts->resumed, seconds);
    fflush(stdout);
}

static SSL_CTX *context_make(const struct options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, options->version);
    SSL_CTX_set_max_proto_version(context, options->version);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, ticket_came);
    return context;
}

static int usage(void)
{
    fputs("usage: tls [--resume] [--bare] [--count N] [--at-once M] [--suite 1.2|1.3] "
          "hands|hold PORT\n",
          stderr);
    return 64;
}

static bool options_read(int argc, char **argv, struct options *options, bool *bare_r)
{
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--resume") == 0)
            options->resume = true;
        else if (strcmp(argv[at], "--bare") == 0)
            *bare_r = true;
        else if (strcmp(argv[at], "--count") == 0 && at + 1 < argc)
            options->count = strtol(argv[++at], NULL, 10);
        else if (strcmp(argv[at], "--at-once") == 0 && at + 1 < argc)
            options->at_once = strtol(argv[++at], NULL, 10);
        else if (strcmp(argv[at], "--suite") == 0 && at + 1 < argc)
            options->version = strcmp(argv[++at], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        else
            return false;
    }
    if (argc - at != 2 || options->at_once < 1 || options->at_once > AT_ONCE_MAX)
        return false;
    options->count /= options->at_once;
    options->hold = strcmp(argv[at], "hold") == 0;
    options->port = (int)strtol(argv[at + 1], NULL, 10);
    return true;
}

int main(int argc, char **argv)
{
    struct options options = {.count = 100, .at_once = 1, .version = TLS1_3_VERSION};
    const struct rlimit most = {DESCRIPTORS, DESCRIPTORS};
    bool bare = false;
    if (!options_read(argc, argv, &options, &bare))
        return usage();
    setrlimit(RLIMIT_NOFILE, &most);
    SSL_CTX *context = context_make(&options);
    if (!context)
        return 70;
    struct counts counts = {0};
    double begun = now();
    if (options.hold)
        hold(context, &options, &counts);
    else
        clients(context, &options, !bare, &counts);
    print(&counts, now() - begun);
    if (options.hold)
        while (getchar() != EOF)
            continue;
    return counts.failed ? 1 : 0;
}
