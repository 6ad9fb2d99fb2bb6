/*
 * Octets both ways between a terminal or a pipe and a socket. One direction is waited for at a time
 * with poll; writes wait, as nobody else is served here.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/process.h"

enum {
    PIECE = 65536
};

static bool put_all(int to, const char *octets, size_t n)
{
    while (n > 0) {
        ssize_t put = write(to, octets, n);
        if (put < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = to, .events = POLLOUT};
            (void)poll(&ready, 1, -1);
            continue;
        }
        if (put < 0 && errno != EINTR)
            return false;
        octets += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* 1: more may come, 0: it ended, -1: it broke. */
static int piece_pass(int from, int to, char *room)
{
    ssize_t n = read(from, room, PIECE);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -1;
    if (n == 0)
        return 0;
    return put_all(to, room, (size_t)n) ? 1 : -1;
}

static int pass(int handle, char *room)
{
    struct pollfd both[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = handle, .events = POLLIN}};
    /* The other side speaks first: who is talked to before its greeting hangs up. */
    int there = poll(&both[1], 1, -1) < 0 ? -1 : piece_pass(handle, STDOUT_FILENO, room);
    while (there > 0) {
        if (poll(both, 2, -1) < 0 && errno != EINTR)
            return -1;
        if (both[0].revents && piece_pass(STDIN_FILENO, handle, room) <= 0) {
            (void)shutdown(handle, SHUT_WR);
            both[0].fd = -1;
            both[0].revents = 0;
        }
        if (both[1].revents)
            there = piece_pass(handle, STDOUT_FILENO, room);
    }
    return there;
}

struct err process_pass(int handle)
{
    char *room = malloc(PIECE);
    int failed = room ? pass(handle, room) : -1;
    free(room);
    close(handle);
    return failed ? err_os(EIO, STR("pass")) : err_none();
}
