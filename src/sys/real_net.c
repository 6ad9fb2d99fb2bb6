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
