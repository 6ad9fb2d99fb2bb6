/*
 * Does time tell? Two kinds of the same thing, one behind the other in an order of chance, each
 * timed; then how far their medians are apart, and Welch's t of the two.
 *
 *   timing [--count N] pass PORT KNOWN UNKNOWN   USER and PASS of POP3 with a wrong password
 *   timing [--count N] scram PORT KNOWN UNKNOWN  both answers of SCRAM-SHA-256 to a wrong proof
 *   timing [--count N] compare                   str_eq_secret: octet 0 of 32 differs, or octet 31
 *   timing [--count N] control                   the same of a loop that stops where they differ
 *
 * N of each kind. A line of JSON: {"count": N, "first_us": MEDIAN, "second_us": MEDIAN,
 * "apart": OF THE MEDIANS, PERCENT, "t": OF ALL, "t_cropped": OF THOSE BELOW THE 99TH PERCENTILE}.
 * The two of a pair share a connection, so that whatever else happens there happens to both; a
 * name's length is the same, or it would be measured.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <math.h>

#include "base/buf.h"
#include "base/must.h"

enum {
    EXIT_WRONG_USAGE = 64,
    LINE_MAX_OCTETS = 4096,
    SECRET = 32,
    BATCH = 1000, /* comparisons of one sample: one alone is shorter than a clock's step */
    CROPPED = 99, /* percent that stay */
};

struct kinds {
    size_t count;
    double *times[2]; /* microseconds */
};

static double now_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static uint64_t chance(void)
{
    static uint64_t state;
    if (!state)
        state = (uint64_t)now_us() | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* --- What the samples say --------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(const double *times, size_t count)
{
    double *sorted = calloc(count, sizeof(*sorted));
    must(sorted);
    memcpy(sorted, times, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_size);
    double found = sorted[count / 2];
    free(sorted);
    return found;
}

/* Of both kinds together. */
static double percentile(const struct kinds *kinds, size_t percent)
{
    size_t all = 2 * kinds->count;
    double *sorted = calloc(all, sizeof(*sorted));
    must(sorted);
    for (size_t i = 0; i < all; i++)
        sorted[i] = kinds->times[i % 2][i / 2];
    qsort(sorted, all, sizeof(*sorted), by_size);
    double found = sorted[all * percent / 100 < all ? all * percent / 100 : all - 1];
    free(sorted);
    return found;
}

struct moments {
    double n, mean, variance;
};

static struct moments moments_of(const double *times, size_t count, double most)
{
    struct moments m = {.n = 0};
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        if (times[i] > most)
            continue;
        double from_mean = times[i] - m.mean;
        m.n++;
        m.mean += from_mean / m.n;
        squares += from_mean * (times[i] - m.mean);
    }
    m.variance = m.n > 1 ? squares / (m.n - 1) : 0;
    return m;
}

/* B. L. Welch, 1947. */
static double welch(const struct kinds *kinds, double most)
{
    struct moments a = moments_of(kinds->times[0], kinds->count, most);
    struct moments b = moments_of(kinds->times[1], kinds->count, most);
    double spread = sqrt(a.variance / a.n + b.variance / b.n);
    return spread > 0 ? fabs(a.mean - b.mean) / spread : 0;
}

static void print(const struct kinds *kinds)
{
    double first = median(kinds->times[0], kinds->count);
    double second = median(kinds->times[1], kinds->count);
    printf("{\"count\": %zu, \"first_us\": %.3f, \"second_us\": %.3f, \"apart\": %.6f, "
           "\"t\": %.3f, \"t_cropped\": %.3f}\n",
           kinds->count, first, second, 100 * fabs(first - second) / second, welch(kinds, INFINITY),
           welch(kinds, percentile(kinds, CROPPED)));
}

/* --- Log-ins ---------------------------------------------------------------------------------- */

struct session {
    int fd;
    char line[LINE_MAX_OCTETS];
    struct str reply;
};

static void give_up(const char *why, struct str heard)
{
    fprintf(stderr, "timing: %s: %.*s\n", why, STR_FMT(heard));
    exit(1);
}

static void hear(struct session *session, const char *expected)
{
    size_t have = 0;
    while (have < 2 || memcmp(session->line + have - 2, "\r\n", 2) != 0) {
        ssize_t n = read(session->fd, session->line + have, sizeof(session->line) - have);
        if (n <= 0)
            give_up("the connection ended", str_make(session->line, have));
        have += (size_t)n;
    }
    session->reply = str_make(session->line, have - 2);
    if (!str_starts(session->reply, str_from(expected)))
        give_up("unexpected", session->reply);
}

static void say(const struct session *session, struct str octets)
{
    if (write(session->fd, octets.p, octets.n) != (ssize_t)octets.n)
        give_up("nothing can be said", octets);
}

__attribute__((format(printf, 2, 3))) static void sayf(const struct session *session,
                                                       const char *format, ...)
{
    char room[LINE_MAX_OCTETS];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room, sizeof(room), format, args);
    va_end(args);
    must(n > 0 && (size_t)n < sizeof(room));
    say(session, str_make(room, (size_t)n));
}

static void session_open(struct session *session, uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {.l_onoff = 1}; /* no port waits behind its connection */
    const int on = 1;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->fd < 0 || connect(session->fd, (const struct sockaddr *)&to, sizeof to) != 0)
        give_up("no connection", str_null());
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    hear(session, "+OK");
}

static double pass(struct session *session, const char *user)
{
    sayf(session, "USER %s\r\n", user);
    hear(session, "+OK");
    double begun = now_us();
    say(session, STR("PASS this is not it\r\n"));
    hear(session, "-ERR [AUTH]");
    return now_us() - begun;
}

/* In base64, with a line end. */
static void encoded(const char *text, size_t n, char to[LINE_MAX_OCTETS])
{
    int made = EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)text, (int)n);
    snprintf(to + made, LINE_MAX_OCTETS - (size_t)made, "\r\n");
}

static void final_of(struct str challenge, char to[LINE_MAX_OCTETS])
{
    char text[LINE_MAX_OCTETS] = {0}, final[LINE_MAX_OCTETS];
    challenge = str_from_index(challenge, 2);
    if (EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)challenge.p,
                        (int)challenge.n) < 0)
        give_up("no base64", challenge);
    struct str rest = str_from(text), nonce = str_cut(&rest, ',');
    int n = snprintf(final, sizeof(final), "c=biws,%.*s,p=%s", STR_FMT(nonce),
                     "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    must(n > 0 && (size_t)n < sizeof(final));
    encoded(final, (size_t)n, to);
}

static double scram(struct session *session, const char *user)
{
    char first[LINE_MAX_OCTETS], line[LINE_MAX_OCTETS];
    int n = snprintf(first, sizeof(first), "n,,n=%s,r=abcdefghijklmnop", user);
    encoded(first, (size_t)n, line);
    double begun = now_us();
    sayf(session, "AUTH SCRAM-SHA-256 %s", line);
    hear(session, "+ ");
    double passed = now_us() - begun;
    final_of(session->reply, line);
    begun = now_us();
    say(session, str_from(line));
    hear(session, "-ERR [AUTH]");
    return passed + now_us() - begun;
}

static void log_ins(struct kinds *kinds, double (*attempt)(struct session *, const char *),
                    char **words)
{
    uint64_t port;
    struct session session;
    if (!str_to_u64(str_from(words[0]), &port) || strlen(words[1]) != strlen(words[2]))
        give_up("a port, and two names of one length", str_null());
    for (size_t i = 0; i < kinds->count; i++) {
        size_t which = chance() >> 32 & 1;
        session_open(&session, (uint16_t)port);
        for (size_t turn = 0; turn < 2; turn++, which ^= 1)
            kinds->times[which][i] = attempt(&session, words[1 + which]);
        close(session.fd);
    }
}

/* --- Comparisons ------------------------------------------------------------------------------ */

/* What str_eq_secret is not. */
__attribute__((noinline)) static bool eq_early(struct str a, struct str b)
{
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i])
            return false;
    return true;
}

static void comparisons(struct kinds *kinds, bool (*eq)(struct str, struct str))
{
    char secret[SECRET], guesses[2][SECRET];
    size_t equal = 0;
    for (size_t i = 0; i < SECRET; i++)
        secret[i] = guesses[0][i] = guesses[1][i] = (char)chance();
    guesses[0][0] ^= 1;
    guesses[1][SECRET - 1] ^= 1;
    for (size_t i = 0; i < 2 * kinds->count; i++) {
        size_t which = chance() >> 32 & 1;
        if (i % 2) /* the other one of the pair */
            which = kinds->times[0][i / 2] > 0;
        double begun = now_us();
        for (size_t n = 0; n < BATCH; n++)
            equal += eq(str_make(secret, SECRET), str_make(guesses[which], SECRET));
        kinds->times[which][i / 2] = now_us() - begun;
    }
    must(equal == 0);
}

/* --- The program ------------------------------------------------------------------------------ */

static int usage(void)
{
    fputs("usage: timing [--count N] pass|scram PORT KNOWN UNKNOWN\n"
          "       timing [--count N] compare|control\n",
          stderr);
    return EXIT_WRONG_USAGE;
}

int main(int count, char **words)
{
    struct kinds kinds = {.count = 1000};
    uint64_t wanted = kinds.count;
    int at = 1;
    if (count > 2 && strcmp(words[1], "--count") == 0) {
        if (!str_to_u64(str_from(words[2]), &wanted) || wanted == 0)
            return usage();
        at = 3;
    }
    kinds.count = (size_t)wanted;
    for (size_t i = 0; i < 2; i++) {
        kinds.times[i] = calloc(kinds.count, sizeof(double));
        must(kinds.times[i]);
    }
    struct str mode = at < count ? str_from(words[at]) : str_null();
    if (count - at == 4 && str_eq(mode, STR("pass")))
        log_ins(&kinds, pass, words + at + 1);
    else if (count - at == 4 && str_eq(mode, STR("scram")))
        log_ins(&kinds, scram, words + at + 1);
    else if (count - at == 1 && str_eq(mode, STR("compare")))
        comparisons(&kinds, str_eq_secret);
    else if (count - at == 1 && str_eq(mode, STR("control")))
        comparisons(&kinds, eq_early);
    else
        return usage();
    print(&kinds);
    for (size_t i = 0; i < 2; i++)
        free(kinds.times[i]);
    return 0;
}
