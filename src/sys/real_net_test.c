#include "base/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/loop.h"

static struct world *world;
static const struct world_ops *ops;

static int open_world(void **state)
{
    (void)state;
    world = world_real();
    ops = world->ops;
    return 0;
}

static void pair_make(int type, int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
}

static void pair_close(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static void clocks_go_and_randomness_differs(void **state)
{
    (void)state;
    int64_t before = world_mono(world);
    assert_true(world_mono(world) >= before);
    assert_true(world_wall(world) / US_PER_SECOND - time(NULL) <= 1);
    char a[300] = {0}, b[300] = {0};
    world_random(world, a, sizeof(a));
    world_random(world, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

/* The sockets are blocking here on purpose: no call may wait all the same. */
static void streams_never_block_and_end(void **state)
{
    (void)state;
    int pair[2];
    char got[8];
    pair_make(SOCK_STREAM, pair);
    assert_int_equal(ops->recv(world, pair[0], got, 8), -EAGAIN);
    char a[] = "ab", b[] = "cd";
    struct iovec parts[] = {{a, 2}, {b, 2}};
    assert_int_equal(ops->send(world, pair[1], parts, 2), 4);
    assert_int_equal(ops->recv(world, pair[0], got, 8), 4);
    assert_str(str_make(got, 4), STR("abcd"));
    assert_int_equal(ops->finish(world, pair[1]), 0);
    assert_int_equal(ops->recv(world, pair[0], got, 8), 0);
    static char much[1024 * 1024];
    struct iovec flood = {much, sizeof(much)};
    ssize_t sent;
    do
        sent = ops->send(world, pair[0], &flood, 1);
    while (sent > 0);
    assert_int_equal(sent, -EAGAIN);
    assert_int_equal(ops->close(world, pair[1]), 0);
    sent = ops->send(world, pair[0], &flood, 1);
    assert_true(sent == -EPIPE || sent == -ECONNRESET);
    close(pair[0]);
}

static int listen_at(const struct sockaddr *address, socklen_t n)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, n), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int connect_to(int listener)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof(address);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, n), 0);
    return fd;
}

static void accept_says_who_is_there(void **state)
{
    (void)state;
    struct sockaddr_in ip = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = listen_at((struct sockaddr *)&ip, sizeof(ip));
    struct peer_address peer;
    assert_int_equal(ops->accept(world, listener, &peer), -EAGAIN);
    int client = connect_to(listener);
    int taken = ops->accept(world, listener, &peer);
    assert_true(taken >= 0);
    assert_str(str_from(peer.text), STR("127.0.0.1"));
    socklen_t n = sizeof(ip);
    getsockname(client, (struct sockaddr *)&ip, &n);
    assert_int_equal(peer.port, ntohs(ip.sin_port));
    assert_str(str_from(peer.server), STR("127.0.0.1"));
    assert_true(peer.uid == -1 && peer.pid == -1);
    assert_true(fcntl(taken, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(taken, F_GETFD) & FD_CLOEXEC);
    close(taken);
    close(client);
    close(listener);
}

static void a_mapped_address_is_shown_as_ipv4(void **state)
{
    (void)state;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int no = 0;
    if (listener < 0 || setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0 ||
        bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0)
        skip();
    assert_int_equal(listen(listener, 8), 0);
    socklen_t n = sizeof(any);
    getsockname(listener, (struct sockaddr *)&any, &n);
    struct sockaddr_in ip = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = any.sin6_port};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&ip, sizeof(ip)), 0);
    struct peer_address peer;
    int taken = ops->accept(world, listener, &peer);
    assert_true(taken >= 0);
    assert_str(str_from(peer.text), STR("127.0.0.1"));
    assert_str(str_from(peer.server), STR("127.0.0.1"));
    close(taken);
    close(client);
    close(listener);
}

static void accept_names_the_user_of_a_unix_socket(void **state)
{
    (void)state;
    struct sockaddr_un here = {.sun_family = AF_UNIX}; /* the kernel chooses an abstract name */
    int listener = listen_at((struct sockaddr *)&here, sizeof(sa_family_t));
    int client = connect_to(listener);
    struct peer_address peer;
    int taken = ops->accept(world, listener, &peer);
    assert_true(taken >= 0);
    assert_str(str_from(peer.text), STR(""));
    assert_str(str_from(peer.server), STR(""));
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.pid, getpid());
    close(taken);
    close(client);
    close(listener);
}

/* What is out of descriptors hears so, and the connection is still there afterwards. */
static void accept_without_descriptors_keeps_the_connection(void **state)
{
    (void)state;
    struct sockaddr_in ip = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = listen_at((struct sockaddr *)&ip, sizeof(ip));
    int client = connect_to(listener);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    struct peer_address peer;
    int refused = ops->accept(world, listener, &peer);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(refused, -EMFILE);
    int taken = ops->accept(world, listener, &peer);
    assert_true(taken >= 0);
    close(taken);
    close(client);
    close(listener);
}

static void packets_are_whole_or_lost(void **state)
{
    (void)state;
    int pair[2], passed;
    char got[8];
    pair_make(SOCK_SEQPACKET, pair);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), -EAGAIN);
    assert_int_equal(ops->packet_send(world, pair[1], STR("12345678"), -1), 8);
    assert_int_equal(ops->packet_send(world, pair[1], STR("123456789"), -1), 9);
    assert_int_equal(ops->packet_send(world, pair[1], STR("a"), -1), 1);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), 8);
    assert_int_equal(passed, -1);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), -EMSGSIZE);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), 1);
    close(pair[1]);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), 0);
    assert_int_equal(ops->packet_send(world, pair[0], STR("a"), -1), -EPIPE);
    close(pair[0]);
}

static int open_handles(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_packet_carries_one_handle(void **state)
{
    (void)state;
    int pair[2], passed;
    char got[8];
    pair_make(SOCK_SEQPACKET, pair);
    int inner[2];
    pair_make(SOCK_STREAM, inner);
    assert_int_equal(ops->packet_send(world, pair[1], STR("x"), inner[0]), 1);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), 1);
    assert_true(passed >= 0 && passed != inner[0]);
    assert_true(fcntl(passed, F_GETFD) & FD_CLOEXEC);
    struct iovec part = {got, 1};
    assert_int_equal(ops->send(world, passed, &part, 1), 1);
    assert_int_equal(ops->recv(world, inner[1], got, 8), 1);
    close(passed);

    /* Too long a packet: its handle is closed, too. */
    int before = open_handles();
    assert_int_equal(ops->packet_send(world, pair[1], STR("123456789"), inner[0]), 9);
    assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), -EMSGSIZE);
    assert_int_equal(passed, -1);
    assert_int_equal(open_handles(), before);
    pair_close(inner);
    pair_close(pair);
}

/* A peer that was taken over sends more descriptors than the one we take: none may stay open. */
static void stray_handles_are_closed(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 5; count++) {
        int pair[2], passed;
        char got[8], one = 'x';
        pair_make(SOCK_SEQPACKET, pair);
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(5 * sizeof(int))];
        } control = {.bytes = {0}};
        struct iovec part = {&one, 1};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        int zero = 0;
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &zero, sizeof(int));
        int before = open_handles();
        assert_int_equal(sendmsg(pair[1], &m, 0), 1);
        assert_int_equal(ops->packet_recv(world, pair[0], got, 8, &passed), -EBADMSG);
        assert_int_equal(passed, -1);
        assert_int_equal(open_handles(), before);
        pair_close(pair);
    }
}

static void shared_memory_keeps_its_size(void **state)
{
    (void)state;
    int shm = ops->shm_create(world, 8192);
    assert_true(shm >= 0);
    char *a = ops->shm_map(world, shm, 8192), *b = ops->shm_map(world, shm, 4096);
    assert_true(a && b && a != b);
    a[4095] = 'x';
    assert_int_equal(b[4095], 'x');
    assert_null(ops->shm_map(world, shm, 8193));
    assert_true(ftruncate(shm, 4096) < 0 && errno == EPERM);
    assert_true(ftruncate(shm, 16384) < 0 && errno == EPERM);
    ops->shm_unmap(world, a, 8192);
    ops->shm_unmap(world, b, 4096);
    close(shm);

    /* Anything that could be cut short under us is no shared memory. */
    int loose = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(loose, 8192), 0);
    assert_null(ops->shm_map(world, loose, 8192));
    close(loose);
}

struct echo {
    struct loop loop;
    struct watch watch;
    unsigned ready;
    int calls;
    int64_t late;
};

static void echo_ready(struct watch *watch, unsigned ready)
{
    struct echo *e = watch->arg;
    e->ready = ready;
    e->calls++;
}

static void a_watch_is_told_what_it_wants(void **state)
{
    (void)state;
    int pair[2];
    pair_make(SOCK_STREAM, pair);
    struct echo e = {.watch = {.handle = pair[0], .want = READY_READ, .ready = echo_ready}};
    e.watch.arg = &e;
    assert_int_equal(loop_init(&e.loop, world), 0);
    assert_int_equal(watch_begin(&e.loop, &e.watch), 0);
    ops->wait(world, &e.loop, 0);
    assert_int_equal(e.calls, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    ops->wait(world, &e.loop, INT64_MAX);
    ops->wait(world, &e.loop, 0);
    assert_int_equal(e.calls, 2);
    assert_int_equal(e.ready, READY_READ);
    watch_want(&e.loop, &e.watch, READY_READ | READY_WRITE);
    ops->wait(world, &e.loop, 0);
    assert_int_equal(e.ready, READY_READ | READY_WRITE);
    watch_want(&e.loop, &e.watch, 0);
    close(pair[1]);
    int64_t before = world_mono(world);
    ops->wait(world, &e.loop, before + 20 * NS_PER_MS);
    assert_true(world_mono(world) - before >= 20 * NS_PER_MS);
    assert_int_equal(e.calls, 3);
    watch_want(&e.loop, &e.watch, READY_READ);
    ops->wait(world, &e.loop, INT64_MAX);
    assert_int_equal(e.ready, READY_READ);
    watch_end(&e.loop, &e.watch);
    loop_done(&e.loop);
    close(pair[0]);
}

static void note_lateness(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct echo *e = watch->arg;
    e->calls++;
    e->late = world_mono(world) - e->loop.now;
}

/* A session that was idle for minutes must not measure from when the wait began. */
static void the_clock_is_right_when_a_watch_is_called(void **state)
{
    (void)state;
    int pair[2];
    pair_make(SOCK_STREAM, pair);
    struct echo e = {.watch = {.handle = pair[0], .want = READY_READ, .ready = note_lateness}};
    e.watch.arg = &e;
    assert_int_equal(loop_init(&e.loop, world), 0);
    assert_int_equal(watch_begin(&e.loop, &e.watch), 0);
    usleep(300000);
    assert_int_equal(write(pair[1], "x", 1), 1);
    ops->wait(world, &e.loop, INT64_MAX);
    assert_int_equal(e.calls, 1);
    assert_true(e.late >= 0 && e.late < 200 * NS_PER_MS);
    watch_end(&e.loop, &e.watch);
    loop_done(&e.loop);
    pair_close(pair);
}

static void end_watch(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct echo *e = watch->arg;
    e->calls++;
    watch_end(&e->loop, watch);
    free(watch);
}

static void a_watch_may_end_in_its_own_call(void **state)
{
    (void)state;
    int pair[2];
    pair_make(SOCK_STREAM, pair);
    struct echo e = {.calls = 0};
    assert_int_equal(loop_init(&e.loop, world), 0);
    struct watch *watch = malloc(sizeof(*watch));
    assert_non_null(watch);
    *watch = (struct watch){
        .handle = pair[0], .want = READY_READ | READY_WRITE, .ready = end_watch, .arg = &e};
    assert_int_equal(watch_begin(&e.loop, watch), 0);
    close(pair[1]);
    ops->wait(world, &e.loop, INT64_MAX);
    ops->wait(world, &e.loop, 0);
    assert_int_equal(e.calls, 1);
    loop_done(&e.loop);
    close(pair[0]);
}

static uint16_t port_of(int socket)
{
    struct sockaddr_in ip;
    socklen_t n = sizeof(ip);
    assert_int_equal(getsockname(socket, (struct sockaddr *)&ip, &n), 0);
    return ntohs(ip.sin_port);
}

/* What connected says when it is over. */
static int outcome_of(int handle, struct peer_address *ends)
{
    struct pollfd ready = {.fd = handle, .events = POLLOUT};
    assert_int_equal(poll(&ready, 1, 1000), 1);
    return ops->connected(world, handle, ends);
}

static int option(int handle, int level, int name)
{
    int value = -1;
    socklen_t n = sizeof(value);
    assert_int_equal(getsockopt(handle, level, name, &value, &n), 0);
    return value;
}

static void a_connection_is_made_from_where_one_says(void **state)
{
    (void)state;
    struct sockaddr_in ip = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = listen_at((struct sockaddr *)&ip, sizeof(ip));
    struct connect_to to = {.address = STR("127.0.0.1"),
                            .port = port_of(listener),
                            .from = STR("127.0.0.9"),
                            .may_be_ours = true};
    struct peer_address ends, peer;
    int handle = ops->connect(world, &to);
    assert_true(handle >= 0);
    assert_int_equal(outcome_of(handle, &ends), 0);
    assert_int_equal(ops->connected(world, handle, &ends), 0);
    assert_str(str_from(ends.text), STR("127.0.0.1"));
    assert_int_equal(ends.port, to.port);
    assert_str(str_from(ends.server), STR("127.0.0.9"));
    assert_true(fcntl(handle, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(handle, F_GETFD) & FD_CLOEXEC);
    assert_true(option(handle, IPPROTO_TCP, TCP_NODELAY) > 0);
    assert_true(option(handle, SOL_SOCKET, SO_KEEPALIVE) > 0);
    assert_int_equal(option(handle, IPPROTO_TCP, TCP_USER_TIMEOUT), 180000);
    int taken = ops->accept(world, listener, &peer);
    assert_str(str_from(peer.text), STR("127.0.0.9"));
    close(taken);
    close(handle);
    close(listener);
}

static void who_does_not_listen_refuses(void **state)
{
    (void)state;
    struct sockaddr_in ip = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = listen_at((struct sockaddr *)&ip, sizeof(ip));
    struct connect_to to = {
        .address = STR("127.0.0.1"), .port = port_of(listener), .may_be_ours = true};
    struct peer_address ends;
    close(listener);
    int handle = ops->connect(world, &to);
    assert_true(handle >= 0 || handle == -ECONNREFUSED);
    if (handle >= 0) {
        assert_int_equal(outcome_of(handle, &ends), -ECONNREFUSED);
        close(handle);
    }
}

static void what_is_no_address_is_not_called(void **state)
{
    (void)state;
    static const struct str none[] = {STR_INIT(""), STR_INIT("localhost"), STR_INIT("127.1"),
                                      STR_INIT("fe80::1%lo"),
                                      STR_INIT("1111:2222:3333:4444:5555:6666:7777:8888:9999:0")};
    struct connect_to to = {.port = 25};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        to.address = none[i];
        assert_int_equal(ops->connect(world, &to), -EINVAL);
    }
    to.may_be_ours = true;
    to.address = STR("127.0.0.1");
    to.from = STR("::1");
    assert_int_equal(ops->connect(world, &to), -EADDRNOTAVAIL);
    to.from = STR("192.0.2.1");
    assert_int_equal(ops->connect(world, &to), -EADDRNOTAVAIL);
}

/* Every address of this machine, whatever interface has it (catalogue N02). */
static void our_own_addresses_are_known_as_ours(void **state)
{
    (void)state;
    struct ifaddrs *all;
    int seen = 0;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        char text[IP_TEXT];
        struct connect_to to = {.port = 9};
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
        const void *at = family == AF_INET
                             ? (void *)&((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr
                             : (void *)&((struct sockaddr_in6 *)(void *)one->ifa_addr)->sin6_addr;
        if ((family != AF_INET && family != AF_INET6) ||
            !inet_ntop(family, at, text, sizeof(text)) || strncmp(text, "fe80:", 5) == 0)
            continue;
        to.address = str_from(text);
        assert_int_equal(ops->connect(world, &to), -ELOOP);
        seen++;
    }
    freeifaddrs(all);
    assert_true(seen > 0);
}

static void stop_loop(struct timer *timer)
{
    loop_stop(timer->arg);
}

static void a_real_loop_waits_for_its_timers(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, world), 0);
    int64_t at = loop.now + 5 * NS_PER_MS;
    struct timer timer = {.run = stop_loop, .arg = &loop};
    timer_set(&loop, &timer, at);
    loop_run(&loop);
    assert_true(loop.now >= at);
    loop_done(&loop);
}

static void a_pair_is_connected(void **state)
{
    (void)state;
    int pair[2];
    char got[8];
    struct iovec part = {.iov_base = (char[]){'h', 'i'}, .iov_len = 2};
    assert_int_equal(world->ops->stream_pair(world, pair), 0);
    assert_int_equal(world->ops->recv(world, pair[1], got, sizeof got), -EAGAIN);
    assert_int_equal(world->ops->send(world, pair[0], &part, 1), 2);
    assert_int_equal(world->ops->recv(world, pair[1], got, sizeof got), 2);
    assert_int_equal(world->ops->finish(world, pair[0]), 0);
    assert_int_equal(world->ops->recv(world, pair[1], got, sizeof got), 0);
    assert_int_equal(world->ops->send(world, pair[1], &part, 1), 2);
    world->ops->close(world, pair[0]);
    world->ops->close(world, pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_and_randomness_differs),
        cmocka_unit_test(streams_never_block_and_end),
        cmocka_unit_test(accept_says_who_is_there),
        cmocka_unit_test(a_mapped_address_is_shown_as_ipv4),
        cmocka_unit_test(accept_names_the_user_of_a_unix_socket),
        cmocka_unit_test(accept_without_descriptors_keeps_the_connection),
        cmocka_unit_test(a_connection_is_made_from_where_one_says),
        cmocka_unit_test(a_pair_is_connected),
        cmocka_unit_test(who_does_not_listen_refuses),
        cmocka_unit_test(what_is_no_address_is_not_called),
        cmocka_unit_test(our_own_addresses_are_known_as_ours),
        cmocka_unit_test(packets_are_whole_or_lost),
        cmocka_unit_test(a_packet_carries_one_handle),
        cmocka_unit_test(stray_handles_are_closed),
        cmocka_unit_test(shared_memory_keeps_its_size),
        cmocka_unit_test(a_watch_is_told_what_it_wants),
        cmocka_unit_test(the_clock_is_right_when_a_watch_is_called),
        cmocka_unit_test(a_watch_may_end_in_its_own_call),
        cmocka_unit_test(a_real_loop_waits_for_its_timers),
    };
    return cmocka_run_group_tests(tests, open_world, NULL);
}
