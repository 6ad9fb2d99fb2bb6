/*
 * The generator shares the machine with what it measures, so it spends as few calls as it can: one
 * read and one write for each reply, no change of epoll's interest but for a full socket.
 */
#include "conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/must.h"

enum {
    READ_LEAST = 16384,
    EVENTS = 256,
    PARTS = 3,
};

static void interest(struct conn *conn, int operation, bool writing)
{
    struct epoll_event event = {.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = conn};
    must(epoll_ctl(conn->epoll, operation, conn->fd, &event) == 0);
    conn->blocked = writing;
}

static bool bind_source(int fd, unsigned source)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + source)};
    int one = 1;
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0 &&
           bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0;
}

bool conn_open(struct conn *conn, int epoll, uint16_t port, unsigned source)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return false;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if ((source && !bind_source(conn->fd, source)) ||
        (connect(conn->fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
        close(conn->fd);
        conn->fd = -1;
        return false;
    }
    conn->epoll = epoll;
    conn->over = conn->ending = false;
    conn->in_at = conn->searched = conn->out_at = 0;
    conn->text = conn->end = str_null();
    conn->in.max = CONN_IN_MAX;
    conn->out.max = CONN_OUT_MAX;
    buf_clear(&conn->in);
    buf_clear(&conn->out);
    interest(conn, EPOLL_CTL_ADD, false);
    return true;
}

void conn_close(struct conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
}

void conn_done(struct conn *conn)
{
    conn_close(conn);
    buf_done(&conn->in);
    buf_done(&conn->out);
}

/* --- Writing ---------------------------------------------------------------------------------- */

void conn_say(struct conn *conn, struct str octets)
{
    must(buf_put(&conn->out, octets));
}

void conn_sayf(struct conn *conn, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    must(buf_vprintf(&conn->out, format, args));
    va_end(args);
}

void conn_say_text(struct conn *conn, struct str text, struct str end)
{
    conn->text = text;
    conn->end = end;
}

void conn_end(struct conn *conn)
{
    conn->ending = true;
}

bool conn_is_pushed(const struct conn *conn)
{
    return conn->out_at == conn->out.n && conn->text.n == 0 && conn->end.n == 0;
}

static void pushed(struct conn *conn, size_t n)
{
    size_t of_out = conn->out.n - conn->out_at;
    of_out = n < of_out ? n : of_out;
    conn->out_at += of_out;
    n -= of_out;
    size_t of_text = n < conn->text.n ? n : conn->text.n;
    conn->text = str_from_index(conn->text, of_text);
    conn->end = str_from_index(conn->end, n - of_text);
    if (conn->out_at == conn->out.n) {
        buf_clear(&conn->out);
        conn->out_at = 0;
    }
}

static ssize_t write_once(struct conn *conn)
{
    struct str parts[PARTS] = {str_from_index(buf_str(&conn->out), conn->out_at), conn->text,
                               conn->end};
    struct iovec vector[PARTS];
    size_t n = 0;
    for (unsigned i = 0; i < PARTS; i++)
        if (parts[i].n)
            vector[n++] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = n};
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
}

void conn_push(struct conn *conn)
{
    if (conn->fd < 0 || conn->over)
        return;
    while (!conn_is_pushed(conn)) {
        ssize_t n = write_once(conn);
        if (n >= 0) {
            pushed(conn, (size_t)n);
            continue;
        }
        if (errno != EAGAIN)
            conn->over = true;
        else if (!conn->blocked)
            interest(conn, EPOLL_CTL_MOD, true);
        return;
    }
    if (conn->blocked)
        interest(conn, EPOLL_CTL_MOD, false);
    if (conn->ending) {
        shutdown(conn->fd, SHUT_WR);
        conn->ending = false;
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void pull(struct conn *conn)
{
    buf_drop_front(&conn->in, conn->in_at);
    conn->in_at = 0;
    for (;;) {
        size_t room = conn->in.cap - conn->in.n;
        room = room > READ_LEAST ? room : READ_LEAST;
        char *into = buf_room(&conn->in, room);
        must(into);
        ssize_t n = recv(conn->fd, into, room, 0);
        if (n <= 0) {
            conn->over = n == 0 || errno != EAGAIN;
            return;
        }
        buf_added(&conn->in, (size_t)n);
        if ((size_t)n < room)
            return;
    }
}

bool conn_line(struct conn *conn, struct str *line_r)
{
    struct str rest = str_from_index(buf_str(&conn->in), conn->in_at);
    ssize_t end = str_index(rest, '\n');
    if (end < 0)
        return false;
    conn->in_at += (size_t)end + 1;
    conn->searched = conn->in_at;
    *line_r = str_head(rest, (size_t)end);
    if (str_ends(*line_r, STR("\r")))
        line_r->n--;
    return true;
}

bool conn_text(struct conn *conn, struct str *text_r)
{
    static const struct str mark = STR_INIT("\r\n.\r\n");
    struct str rest = str_from_index(buf_str(&conn->in), conn->in_at);
    if (str_starts(rest, STR(".\r\n"))) {
        *text_r = str_head(rest, 0);
        conn->in_at += 3;
        return true;
    }
    size_t from = conn->searched > conn->in_at ? conn->searched - conn->in_at : 0;
    ssize_t at = str_find(str_from_index(rest, from), mark);
    if (at < 0) {
        conn->searched = conn->in_at + (rest.n > mark.n ? rest.n - mark.n : 0);
        return false;
    }
    *text_r = str_head(rest, from + (size_t)at + 2);
    conn->in_at += from + (size_t)at + mark.n;
    conn->searched = conn->in_at;
    return true;
}

/* --- The loop --------------------------------------------------------------------------------- */

static void happened(struct conn *conn, uint32_t events)
{
    if (conn->fd < 0)
        return;
    if (events & EPOLLOUT)
        conn_push(conn);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        size_t dropped = conn->in_at;
        pull(conn);
        conn->searched -= conn->searched < dropped ? conn->searched : dropped;
    }
    conn->heard(conn);
}

void conn_turn(int epoll, int64_t wait)
{
    struct epoll_event events[EVENTS];
    struct timespec limit = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    int n = epoll_pwait2(epoll, events, EVENTS, wait < 0 ? NULL : &limit, NULL);
    for (int i = 0; i < n; i++)
        happened(events[i].data.ptr, events[i].events);
}
