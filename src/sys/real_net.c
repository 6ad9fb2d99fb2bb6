/*
 * Sockets. Every call says MSG_DONTWAIT itself, so it matters to nobody how a handle that came over
 * the bus was set up, and nothing ever raises SIGPIPE.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/real.h"

ssize_t real_recv(struct world *world, int handle, void *to, size_t n)
{
    (void)world;
    for (;;) {
        ssize_t got = recv(handle, to, n, MSG_DONTWAIT);
        if (got >= 0)
            return got;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t real_send(struct world *world, int handle, const struct iovec *parts, int count)
{
    (void)world;
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)parts,
        .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX),
    };
    for (;;) {
        ssize_t sent = sendmsg(handle, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return -errno;
    }
}

/* The port; 0 and no text where it is no IP address. */
static uint16_t ip_text(const struct sockaddr_storage *address, char to[IP_TEXT])
{
    const struct sockaddr_in *ip = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)address;
    if (address->ss_family == AF_INET) {
        inet_ntop(AF_INET, &ip->sin_addr, to, IP_TEXT);
        return ntohs(ip->sin_port);
    }
    if (address->ss_family != AF_INET6)
        return 0;
    if (IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr))
        inet_ntop(AF_INET, &ip6->sin6_addr.s6_addr[12], to, IP_TEXT);
    else
        inet_ntop(AF_INET6, &ip6->sin6_addr, to, IP_TEXT);
    return ntohs(ip6->sin6_port);
}

/* A listener on all addresses does not know which one of them was meant: the connection does. */
static void peer_server(struct peer_address *peer, int handle)
{
    struct sockaddr_storage here = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof(here);
    if (getsockname(handle, (struct sockaddr *)&here, &n) == 0)
        ip_text(&here, peer->server);
}

static void peer_unix(struct peer_address *peer, int handle)
{
    struct ucred who;
    socklen_t n = sizeof(who);
    if (getsockopt(handle, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0) {
        peer->uid = who.uid;
        peer->pid = who.pid;
    }
}

/* Replies are sent once a turn in one piece; waiting for more of them (Nagle) only adds delay. */
static void no_delay(int handle)
{
    int yes = 1;
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

static void peer_describe(struct peer_address *peer, int handle,
                          const struct sockaddr_storage *from)
{
    *peer = (struct peer_address){.uid = -1, .pid = -1};
    if (from->ss_family == AF_UNIX) {
        peer_unix(peer, handle);
        return;
    }
    peer->port = ip_text(from, peer->text);
    peer_server(peer, handle);
    no_delay(handle);
}

/* accept(2): what befell the connection before it was taken is reported here, and is not ours. */
static bool died_in_queue(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == EOPNOTSUPP || error == ENETUNREACH;
}

int real_accept(struct world *world, int handle, struct peer_address *peer_r)
{
    enum {
        MOST_PASSED_OVER = 64
    };
    (void)world;
    for (int i = 0; i < MOST_PASSED_OVER; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t n = sizeof(from);
        int taken = accept4(handle, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (taken >= 0) {
            peer_describe(peer_r, taken, &from);
            return taken;
        }
        if (!died_in_queue(errno))
            return -errno;
    }
    return -EAGAIN;
}

/* --- Connections that we make --- */

static void seconds_set(int handle, int option, int seconds)
{
    setsockopt(handle, IPPROTO_TCP, option, &seconds, sizeof(seconds));
}

/* A peer that vanished is noticed in three minutes, whether it owes us an answer or we have octets
 * for it: whoever waits for it waits for long. */
static void watch_over(int handle)
{
    enum {
        IDLE = 60,
        APART = 30,
        PROBES = 4,
        UNANSWERED = 180
    };
    int yes = 1;
    int unanswered = UNANSWERED * 1000;
    setsockopt(handle, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    seconds_set(handle, TCP_KEEPIDLE, IDLE);
    seconds_set(handle, TCP_KEEPINTVL, APART);
    seconds_set(handle, TCP_KEEPCNT, PROBES);
    setsockopt(handle, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof(unanswered));
}

/* 0: it is none. */
static socklen_t ip_address(struct str text, uint16_t port, struct sockaddr_storage *to)
{
    char cstring[IP_TEXT] = {0};
    struct sockaddr_in *ip = (struct sockaddr_in *)to;
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)to;
    *to = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (text.n >= sizeof(cstring))
        return 0;
    memcpy(cstring, text.p, text.n);
    if (inet_pton(AF_INET, cstring, &ip->sin_addr) == 1) {
        ip->sin_family = AF_INET;
        ip->sin_port = htons(port);
        return sizeof(*ip);
    }
    if (inet_pton(AF_INET6, cstring, &ip6->sin6_addr) != 1)
        return 0;
    ip6->sin6_family = AF_INET6;
    ip6->sin6_port = htons(port);
    return sizeof(*ip6);
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    char texts[2][IP_TEXT] = {{0}};
    ip_text(a, texts[0]);
    ip_text(b, texts[1]);
    return strcmp(texts[0], texts[1]) == 0;
}

/* From one's own address one comes to it: the system says so without sending anything. 0, or why
 * it cannot be asked. */
static int asks_if_ours(const struct sockaddr_storage *there, socklen_t size, bool *ours_r)
{
    struct sockaddr_storage here = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof(here);
    int handle = socket(there->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return -errno;
    *ours_r = connect(handle, (const struct sockaddr *)there, size) == 0 &&
              getsockname(handle, (struct sockaddr *)&here, &n) == 0 && same_address(&here, there);
    close(handle);
    return 0;
}

static int bind_to(int handle, int family, struct str from)
{
    struct sockaddr_storage here;
    int yes = 1;
    socklen_t size = ip_address(from, 0, &here);
    if (size == 0 || here.ss_family != family)
        return -EADDRNOTAVAIL;
    /* The port is chosen when it is known where to: 28,000 for each peer, not for all together. */
    setsockopt(handle, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
    return bind(handle, (struct sockaddr *)&here, size) < 0 ? -errno : 0;
}

static int connect_begin(int handle, const struct sockaddr_storage *there, socklen_t size)
{
    no_delay(handle);
    watch_over(handle);
    bool begun = connect(handle, (const struct sockaddr *)there, size) == 0 ||
                 errno == EINPROGRESS || errno == EINTR;
    return begun ? 0 : -errno;
}

int real_connect(struct world *world, const struct connect_to *to)
{
    (void)world;
    struct sockaddr_storage there;
    socklen_t size = ip_address(to->address, to->port, &there);
    bool ours = false;
    if (size == 0)
        return -EINVAL;
    int e = to->may_be_ours ? 0 : asks_if_ours(&there, size, &ours);
    if (e < 0 || ours)
        return ours ? -ELOOP : e;
    int handle = socket(there.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return -errno;
    if (to->from.n > 0)
        e = bind_to(handle, there.ss_family, to->from);
    if (e == 0)
        e = connect_begin(handle, &there, size);
    if (e < 0)
        close(handle);
    return e < 0 ? e : handle;
}

int real_connected(struct world *world, int handle, struct peer_address *ends_r)
{
    (void)world;
    int error = 0;
    socklen_t n = sizeof(error);
    struct sockaddr_storage there = {.ss_family = AF_UNSPEC};
    if (getsockopt(handle, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error)
        return -(error ? error : errno);
    n = sizeof(there);
    if (getpeername(handle, (struct sockaddr *)&there, &n) < 0)
        return errno == ENOTCONN ? -EAGAIN : -errno;
    *ends_r = (struct peer_address){.uid = -1, .pid = -1};
    ends_r->port = ip_text(&there, ends_r->text);
    peer_server(ends_r, handle);
    return 0;
}

int real_stream_pair(struct world *world, int pair_r[2])
{
    (void)world;
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return socketpair(AF_UNIX, type, 0, pair_r) < 0 ? -errno : 0;
}

int real_finish(struct world *world, int handle)
{
    (void)world;
    return shutdown(handle, SHUT_WR) < 0 ? -errno : 0;
}

/* Linux frees the descriptor whatever close says; closing again could hit somebody else's. */
int real_close(struct world *world, int handle)
{
    (void)world;
    return close(handle) < 0 ? -errno : 0;
}
