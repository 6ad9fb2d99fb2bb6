/*
 * What a role that was taken over would try, tried from within each role's sandbox, with Landlock
 * and as if the kernel had none (catalogue O05). Each try runs in a process of its own; what it may
 * do is in the table at the end, a row for each role of the design's table.
 */
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <pty.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmpx.h>

#include "sys/process.h"
#include "sys/sandbox.h"
#include "sys/sandbox_parts.h"
#include "sys/stream_tls_call_rig_test.h"
#include "sys/terminals.h"

enum {
    SMALL = 4096,
    EXIT_ALLOWED = 10,
    EXIT_DENIED = 11,
    EXIT_NOT_ENTERED = 12,
    MEGABYTE = 1024 * 1024,
    MEMORY_LIMIT = 512 * MEGABYTE,
    FILES_LIMIT = 64
};

/* The world outside, made before the sandbox is entered. */
struct outside {
    char folder[64], secret[80], config[80], inside[80];
    int folder_handle;
    int listener, other_listener, client, udp, shared, pair[2], connection[2];
    struct sockaddr_in address, other;
    uint16_t port; /* of address: the only one that the resolver may connect to */
    int master, slave, utmp;
    char terminal[32];
};

static struct outside o;

/* --- Tries: true when it worked -------------------------------------------------------------- */

static bool opened(int handle)
{
    if (handle < 0)
        return false;
    close(handle);
    return true;
}

static bool opens_passwd(void)
{
    return opened(open("/etc/passwd", O_RDONLY));
}

static bool opens_own_maps(void)
{
    return opened(open("/proc/self/maps", O_RDONLY));
}

static bool reads_config(void)
{
    return opened(open(o.config, O_RDONLY));
}

static bool writes_config(void)
{
    return opened(open(o.config, O_WRONLY));
}

static bool reaches_out_of_its_folder(void)
{
    return opened(openat(o.folder_handle, "../../etc/passwd", O_RDONLY)) ||
           opened(openat(o.folder_handle, "../secret", O_RDWR));
}

static bool creates_in_tmp(void)
{
    return opened(open("/tmp/veredus-intruder", O_CREAT | O_RDWR, 0600));
}

static bool removes_outside(void)
{
    return unlink(o.secret) == 0 || unlinkat(o.folder_handle, "../secret", 0) == 0;
}

static bool makes_a_device(void)
{
    return mknodat(o.folder_handle, "device", S_IFCHR | 0600, 0x0103) == 0;
}

static bool works_in_its_folder(void)
{
    struct stat st;
    int file = openat(o.folder_handle, "file", O_CREAT | O_RDWR, 0600);
    bool done = file >= 0 && pwrite(file, "x", 1, 0) == 1 && fdatasync(file) == 0 &&
                ftruncate(file, 8192) == 0 && fstat(file, &st) == 0 && st.st_size == 8192 &&
                renameat(o.folder_handle, "file", o.folder_handle, "other") == 0 &&
                mkdirat(o.folder_handle, "sub", 0700) == 0 &&
                renameat(o.folder_handle, "other", o.folder_handle, "sub/other") == 0 &&
                unlinkat(o.folder_handle, "sub/other", 0) == 0 &&
                unlinkat(o.folder_handle, "sub", AT_REMOVEDIR) == 0;
    return opened(file) && done;
}

/* Beside the internet's: the kernel's own, of this machine's programs, of its cables. */
static bool makes_an_odd_socket(void)
{
    return opened(socket(AF_UNIX, SOCK_STREAM, 0)) || opened(socket(AF_NETLINK, SOCK_RAW, 0)) ||
           opened(socket(AF_PACKET, SOCK_RAW, 0)) || opened(socket(AF_ALG, SOCK_SEQPACKET, 0)) ||
           opened(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static bool makes_a_socket(void)
{
    return opened(socket(AF_INET, SOCK_STREAM, 0)) || opened(socket(AF_UNIX, SOCK_STREAM, 0)) ||
           opened(socket(AF_NETLINK, SOCK_RAW, 0)) || opened(socket(AF_INET6, SOCK_DGRAM, 0));
}

static bool connects(void)
{
    return connect(o.client, (struct sockaddr *)&o.address, sizeof(o.address)) == 0;
}

/* By a socket of its own: that one is connected for all tries. */
static bool connects_anew(const struct sockaddr_in *to)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(client, (const struct sockaddr *)to, sizeof(*to)) == 0;
    return opened(client) && connected;
}

static bool connects_to_a_port_it_may(void)
{
    return connects_anew(&o.address);
}

static bool connects_to_another_port(void)
{
    return connects_anew(&o.other);
}

static bool sends_a_datagram(void)
{
    return sendto(o.udp, "x", 1, 0, (struct sockaddr *)&o.address, sizeof(o.address)) == 1;
}

static bool binds_a_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    return bind(fresh >= 0 ? fresh : o.client, (struct sockaddr *)&any, sizeof(any)) == 0;
}

static bool accepts(void)
{
    return opened(accept4(o.listener, NULL, NULL, SOCK_CLOEXEC));
}

static bool starts_a_program(void)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    execve("/bin/true", argv, NULL);
    return false;
}

static bool starts_a_program_by_handle(void)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    syscall(SYS_execveat, o.folder_handle, "", argv, NULL, AT_EMPTY_PATH);
    return errno == EACCES; /* it got as far as the folder */
}

static bool forks(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool signals_its_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool signals_everybody(void)
{
    return kill(-1, 0) == 0;
}

static bool signals_a_thread_elsewhere(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0;
}

static bool traces_its_parent(void)
{
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0;
}

static bool reads_its_parents_memory(void)
{
    char to[1];
    struct iovec here = {to, 1}, there = {&o, 1};
    return process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1;
}

static bool maps_a_program(void)
{
    void *at = mmap(NULL, SMALL, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED;
}

static bool turns_memory_into_a_program(void)
{
    void *at = mmap(NULL, SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at != MAP_FAILED && mprotect(at, SMALL, PROT_READ | PROT_EXEC) == 0;
}

static bool takes_root_back(void)
{
    return syscall(SYS_setresuid, 0, 0, 0) == 0 && geteuid() == 0;
}

static bool leaves_its_root(void)
{
    return chroot("/") == 0;
}

static bool mounts(void)
{
    return syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL) == 0;
}

static bool makes_a_namespace(void)
{
    return syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) == 0;
}

static bool makes_a_ring(void)
{
    char parameters[120] = {0};
    return opened((int)syscall(SYS_io_uring_setup, 4, parameters));
}

static bool has_others_signal_for_it(void)
{
    return fcntl(o.pair[0], F_SETOWN, getppid()) == 0;
}

static bool raises_its_limits(void)
{
    struct rlimit more = {FILES_LIMIT + 1, FILES_LIMIT + 1};
    return setrlimit(RLIMIT_NOFILE, &more) == 0;
}

static bool dumps_core(void)
{
    struct rlimit core;
    return getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max > 0;
}

/* --- What must go on working ----------------------------------------------------------------- */

static void *thread_run(void *arg)
{
    char *bytes = malloc(MEGABYTE);
    if (bytes)
        memset(bytes, 1, MEGABYTE);
    pthread_setname_np(pthread_self(), "thread");
    *(bool *)arg = bytes != NULL;
    free(bytes);
    return NULL;
}

static bool runs_threads(void)
{
    pthread_t threads[4];
    bool ran[4] = {false};
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, thread_run, &ran[i]) != 0)
            return false;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return ran[0] && ran[1] && ran[2] && ran[3];
}

static bool takes_memory(void)
{
    char *large = malloc(64 * MEGABYTE);
    char *larger = large ? realloc(large, 96 * MEGABYTE) : NULL;
    bool done = larger != NULL;
    if (larger)
        memset(larger, 1, 96 * MEGABYTE);
    free(larger);
    return done;
}

static bool makes_a_pair(void)
{
    int pair[2];
    return world_real()->ops->stream_pair(world_real(), pair) == 0;
}

static bool makes_shared_memory(void)
{
    struct world *world = world_real();
    int handle = world->ops->shm_create(world, MEGABYTE);
    char *at = handle >= 0 ? world->ops->shm_map(world, handle, MEGABYTE) : NULL;
    if (!at)
        return false;
    at[MEGABYTE - 1] = 1;
    world->ops->shm_unmap(world, at, MEGABYTE);
    return opened(handle);
}

/* As an edge does with the pool that core hands over. */
static bool maps_what_it_was_given(void)
{
    struct world *world = world_real();
    char *at = world->ops->shm_map(world, o.shared, MEGABYTE);
    if (!at)
        return false;
    at[MEGABYTE - 1] = 1;
    world->ops->shm_unmap(world, at, MEGABYTE);
    return true;
}

static bool digests(void)
{
    unsigned char digest[EVP_MAX_MD_SIZE], random[16];
    unsigned n = 0;
    world_random(world_real(), random, sizeof(random));
    EVP_MD *sha = EVP_MD_fetch(NULL, "SHA-256", NULL);
    bool done = sha && EVP_Digest(random, sizeof(random), digest, &n, sha, NULL) == 1 && n == 32;
    EVP_MD_free(sha);
    return done;
}

static void loop_ready(struct watch *watch, unsigned ready)
{
    char bytes[8];
    struct world *world = world_real();
    if (ready & READY_READ)
        world->ops->recv(world, watch->handle, bytes, sizeof(bytes));
    loop_stop(watch->arg);
}

static void timer_runs(struct timer *timer)
{
    struct world *world = world_real();
    struct iovec part = {(char[]){"x"}, 1};
    world->ops->send(world, *(int *)timer->arg, &part, 1);
}

/* A whole loop begins inside: a timer sends, a watch receives. */
static bool runs_a_loop(void)
{
    struct loop loop;
    if (loop_init(&loop, world_real()) != 0)
        return false;
    struct watch watch = {
        .handle = o.pair[0], .want = READY_READ, .ready = loop_ready, .arg = &loop};
    struct timer timer = {.run = timer_runs, .arg = &o.pair[1]};
    if (watch_begin(&loop, &watch) != 0)
        return false;
    timer_set(&loop, &timer, loop.now + 1000);
    loop_run(&loop);
    watch_end(&loop, &watch);
    loop_done(&loop);
    return true;
}

/* A server is made inside, too: certificates come over the bus. */
static bool shakes_hands(void)
{
    struct house house;
    struct session session;
    struct client client;
    struct client_settings settings = {.name = "mail.example.test"};
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    session_on(&session, &house, o.connection[0]);
    client_open(&client, &settings, o.connection[1]);
    bool done = client_shakes_hands(&client, &house) &&
                client_says(&client, &house, STR("inside")) &&
                str_eq(buf_str(&session.got), STR("inside"));
    session_close(&session);
    client_close(&client);
    house_close(&house);
    return done;
}

static struct tls_client *client_outside;

static void calls_out(void *arg)
{
    struct call *call = arg;
    struct network loopback;
    must(network_parse(STR("127.0.0.1"), &loopback));
    struct destination_rules rules = {.allowed = &loopback, .allowed_count = 1};
    struct connect_to to = {.address = STR("127.0.0.1"), .port = ntohs(o.address.sin_port)};
    struct stream_call way = {.loop = &call->house->loop,
                              .pool = call->house->pool,
                              .to = &to,
                              .count = 1,
                              .rules = &rules,
                              .each = NS_PER_SECOND,
                              .deadline = INT64_MAX};
    struct peer_address ends;
    struct stream stream;
    if (stream_connect(&stream, &way, call_input, call, &ends, NULL) == 0) {
        stream_done(&stream);
        call_fiber(call);
    }
    call->over = true;
}

/* As client: a connection by its address, then TLS with a chain that is looked at; what OpenSSL
 * loads late was there before. */
static bool calls_in_tls(void)
{
    struct house house;
    struct chain chain;
    struct call call;
    struct tls_peer want = {.verify = TLS_VERIFY_PKIX, .name = STR("mail.example.test")};
    house_open(&house, world_real());
    chain_make(&chain, &(struct chain_settings){.issuer = BY_INTERMEDIATE,
                                                .names = "DNS:mail.example.test"});
    chain_show(&chain, &house);
    chain_done(&chain);
    call_on(&call, &house, client_outside, &want, o.connection);
    call_serve(&call);
    call.result = -EIO;
    call.start.run = calls_out;
    call_run(&call);
    bool done = call.result == 0 && call.verdict.proof == TLS_PROOF_PKIX;
    call_close(&call);
    house_close(&house);
    return done;
}

/* An index that is made, written, read, closed and opened again, by a name beneath its folder. */
static bool keeps_an_index(void)
{
    for (int i = 0; i < 2; i++) {
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;
        MDB_val key = {3, (char[]){"key"}}, value = {5, (char[]){"value"}};
        if (mdb_env_create(&env) != 0 || mdb_env_set_mapsize(env, 16 * MEGABYTE) != 0 ||
            mdb_env_open(env, ".", MDB_NOTLS, 0600) != 0 ||
            mdb_txn_begin(env, NULL, 0, &txn) != 0 || mdb_dbi_open(txn, NULL, 0, &dbi) != 0 ||
            mdb_put(txn, dbi, &key, &value, 0) != 0 || mdb_txn_commit(txn) != 0 ||
            mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 || mdb_get(txn, dbi, &key, &value) != 0)
            return false;
        mdb_txn_abort(txn);
        mdb_env_close(env);
    }
    return true;
}

static bool writes_its_log(void)
{
    struct world *world = world_real();
    world->ops->log_line(world, 0, STR(""));
    return fcntl(STDERR_FILENO, F_GETFL) >= 0;
}

/* Its name beneath /dev. */
static const char *terminal_line(void)
{
    return o.terminal + sizeof("/dev/") - 1;
}

static bool writes_to_a_terminal(void)
{
    int handle = terminal_open(terminal_line());
    bool written = handle >= 0 && terminal_look(terminal_line()).accepts &&
                   terminal_write(handle, STR("hello")) == 5 && terminal_is_utf8(handle);
    return opened(handle) && written;
}

static bool reads_a_terminal(void)
{
    return opened(open(terminal_line(), O_RDONLY | O_NOCTTY | O_NONBLOCK)) ||
           opened(open(terminal_line(), O_RDWR | O_NOCTTY | O_NONBLOCK));
}

/* As if its user had done so: what an intruder would like to. */
static bool types_into_a_terminal(void)
{
    return ioctl(o.slave, TIOCSTI, "x") == 0;
}

static bool looks_who_is_on(void)
{
    struct terminal_login login;
    return terminals_list(o.utmp, &login, 1) == 1;
}

static bool aborts_by_itself(void)
{
    return syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), 0) == 0;
}

/* --- The table ------------------------------------------------------------------------------- */

enum {
    PARENT,
    CORE,
    MX,
    BOX,
    COURIER,
    RESOLVER,
    TERMINAL,
    ROWS
};

static const struct row {
    const char *name;
    unsigned rights;
} rows[ROWS] = {
    [PARENT] = {"parent", SANDBOX_PROGRAMS},
    [CORE] = {"core", SANDBOX_FOLDER | SANDBOX_UNIX},
    [MX] = {"mx", SANDBOX_ACCEPT},
    [BOX] = {"box", SANDBOX_ACCEPT},
    [COURIER] = {"courier", SANDBOX_CONNECT},
    [RESOLVER] = {"resolver", SANDBOX_CONNECT},
    [TERMINAL] = {"terminal", SANDBOX_TERMINALS},
};

enum verdict {
    NO,   /* it does not work */
    YES,  /* it works */
    DIES, /* it ends the process */
    SKIP  /* not asked of this row */
};

static const struct
try {
    const char *name;
    bool (*run)(void);
    enum verdict expected[ROWS];         /* parent, core, mx, box, courier, resolver,
                                            terminal */
    enum verdict without_landlock[ROWS]; /* the same, but where it says otherwise */
}
tries[] = {
    {"opens /etc/passwd",
     opens_passwd,
     {YES, NO, NO, NO, NO, NO, NO},
     {YES, SKIP, NO, NO, NO, NO, NO}},
    {"opens /proc/self/maps",
     opens_own_maps,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, SKIP, NO, NO, NO, NO, NO}},
    {"reads the configuration",
     reads_config,
     {YES, NO, NO, NO, NO, NO, NO},
     {YES, SKIP, NO, NO, NO, NO, NO}},
    {"writes the configuration",
     writes_config,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, SKIP, NO, NO, NO, NO, SKIP}},
    {"reaches out of its folder",
     reaches_out_of_its_folder,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, SKIP, NO, NO, NO, NO, NO}},
    {"creates in /tmp",
     creates_in_tmp,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, SKIP, NO, NO, NO, NO, NO}},
    {"removes outside",
     removes_outside,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, SKIP, NO, NO, NO, NO, NO}},
    {"makes a device", makes_a_device, {NO, NO, NO, NO, NO, NO, NO}, {NO, NO, NO, NO, NO, NO, NO}},
    {"works in its folder",
     works_in_its_folder,
     {SKIP, YES, NO, NO, NO, NO, NO},
     {SKIP, YES, NO, NO, NO, NO, NO}},
    {"makes a socket",
     makes_a_socket,
     {YES, NO, NO, NO, YES, YES, NO},
     {YES, NO, NO, NO, YES, YES, NO}},
    {"makes an odd socket",
     makes_an_odd_socket,
     {YES, NO, NO, NO, NO, NO, NO},
     {YES, NO, NO, NO, NO, NO, NO}},
    {"connects",
     connects,
     {SKIP, NO, NO, NO, SKIP, SKIP, NO},
     {SKIP, NO, NO, NO, SKIP, SKIP, NO}}, /* the others: below */
    {"connects to a port it may",
     connects_to_a_port_it_may,
     {SKIP, NO, NO, NO, YES, YES, NO},
     {SKIP, NO, NO, NO, YES, YES, NO}},
    {"connects to another port",
     connects_to_another_port,
     {SKIP, NO, NO, NO, YES, NO, NO},
     {SKIP, NO, NO, NO, YES, SKIP, NO}},
    {"sends a datagram",
     sends_a_datagram,
     {SKIP, NO, NO, NO, YES, YES, NO},
     {SKIP, NO, NO, NO, YES, YES, NO}},
    {"binds a port",
     binds_a_port,
     {NO, NO, NO, NO, SKIP, NO, NO},
     {SKIP, NO, NO, NO, SKIP, SKIP, NO}},
    {"accepts", accepts, {YES, YES, YES, YES, NO, NO, NO}, {YES, YES, YES, YES, NO, NO, NO}},
    {"starts a program",
     starts_a_program,
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"starts a program by handle",
     starts_a_program_by_handle,
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"forks",
     forks,
     {YES, DIES, DIES, DIES, DIES, DIES, DIES},
     {YES, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"signals its parent",
     signals_its_parent,
     {NO, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"signals everybody",
     signals_everybody,
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"signals a thread elsewhere",
     signals_a_thread_elsewhere,
     {NO, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"traces its parent",
     traces_its_parent,
     {NO, DIES, DIES, DIES, DIES, DIES, DIES},
     {NO, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"reads its parent's memory",
     reads_its_parents_memory,
     {NO, DIES, DIES, DIES, DIES, DIES, DIES},
     {NO, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"maps a program",
     maps_a_program,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, NO, NO, NO, NO, NO, NO}},
    {"turns memory into a program",
     turns_memory_into_a_program,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, NO, NO, NO, NO, NO, NO}},
    {"takes root back",
     takes_root_back,
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"leaves its root",
     leaves_its_root,
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES},
     {SKIP, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"mounts",
     mounts,
     {NO, DIES, DIES, DIES, DIES, DIES, DIES},
     {NO, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"makes a namespace",
     makes_a_namespace,
     {NO, DIES, DIES, DIES, DIES, DIES, DIES},
     {NO, DIES, DIES, DIES, DIES, DIES, DIES}},
    {"makes a ring", makes_a_ring, {NO, NO, NO, NO, NO, NO, NO}, {NO, NO, NO, NO, NO, NO, NO}},
    {"has others signal for it",
     has_others_signal_for_it,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, NO, NO, NO, NO, NO, NO}},
    {"raises its limits",
     raises_its_limits,
     {NO, NO, NO, NO, NO, NO, NO},
     {NO, NO, NO, NO, NO, NO, NO}},
    {"dumps core", dumps_core, {NO, NO, NO, NO, NO, NO, NO}, {NO, NO, NO, NO, NO, NO, NO}},
    {"runs threads",
     runs_threads,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
    {"takes memory",
     takes_memory,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
    {"makes shared memory",
     makes_shared_memory,
     {YES, YES, NO, NO, NO, NO, NO},
     {YES, YES, NO, NO, NO, NO, NO}},
    {"makes a pair", makes_a_pair, {YES, YES, NO, NO, NO, NO, NO}, {YES, YES, NO, NO, NO, NO, NO}},
    {"maps what it was given",
     maps_what_it_was_given,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
    {"digests", digests, {YES, YES, YES, YES, YES, YES, YES}, {YES, YES, YES, YES, YES, YES, YES}},
    {"runs a loop",
     runs_a_loop,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
    {"shakes hands in TLS",
     shakes_hands,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
    {"calls in TLS",
     calls_in_tls,
     {SKIP, NO, NO, NO, YES, YES, NO},
     {SKIP, NO, NO, NO, YES, YES, NO}},
    {"keeps an index",
     keeps_an_index,
     {SKIP, YES, NO, NO, NO, NO, NO},
     {SKIP, YES, NO, NO, NO, NO, NO}},
    {"writes to a terminal",
     writes_to_a_terminal,
     {SKIP, NO, NO, NO, NO, NO, YES},
     {SKIP, SKIP, NO, NO, NO, NO, YES}},
    {"reads a terminal",
     reads_a_terminal,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, SKIP, NO, NO, NO, NO, NO}},
    {"looks who is on",
     looks_who_is_on,
     {SKIP, DIES, NO, NO, NO, NO, YES},
     {SKIP, DIES, NO, NO, NO, NO, YES}},
    {"types into a terminal",
     types_into_a_terminal,
     {SKIP, NO, NO, NO, NO, NO, NO},
     {SKIP, NO, NO, NO, NO, NO, NO}},
    {"writes its log",
     writes_its_log,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
    {"aborts by itself",
     aborts_by_itself,
     {YES, YES, YES, YES, YES, YES, YES},
     {YES, YES, YES, YES, YES, YES, YES}},
};

/* --- Running them ---------------------------------------------------------------------------- */

/* A terminal that is everybody's, and a utmp in which somebody is on. */
static bool terminals_outside(void)
{
    struct termios settings;
    struct utmpx on = {.ut_type = USER_PROCESS, .ut_pid = getpid()};
    if (openpty(&o.master, &o.slave, o.terminal, NULL, NULL) < 0 || chmod(o.terminal, 0666) < 0 ||
        tcgetattr(o.slave, &settings) < 0)
        return false;
    settings.c_iflag |= IUTF8;
    o.utmp = open(o.folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return tcsetattr(o.slave, TCSANOW, &settings) == 0 &&
           write(o.utmp, &on, sizeof(on)) == (ssize_t)sizeof(on);
}

static int outside_open(void **state)
{
    (void)state;
    o = (struct outside){.folder = "/tmp/veredus-sandbox-XXXXXX"};
    if (!mkdtemp(o.folder))
        return -1;
    snprintf(o.secret, sizeof(o.secret), "%s/secret", o.folder);
    snprintf(o.config, sizeof(o.config), "%s/config", o.folder);
    snprintf(o.inside, sizeof(o.inside), "%s/inside", o.folder);
    close(open(o.secret, O_CREAT | O_WRONLY, 0666));
    close(open(o.config, O_CREAT | O_WRONLY, 0666));
    mkdir(o.inside, 0700);
    chmod(o.folder, 0777); /* the user's rights alone would let it through */
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() == 0 && (!nobody || chown(o.inside, nobody->pw_uid, nobody->pw_gid) < 0))
        return -1;
    o.folder_handle = open(o.inside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    o.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    o.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    o.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    o.shared = world_real()->ops->shm_create(world_real(), MEGABYTE);
    o.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(o.address);
    if (bind(o.listener, (struct sockaddr *)&o.address, n) < 0 || listen(o.listener, 16) < 0 ||
        getsockname(o.listener, (struct sockaddr *)&o.address, &n) < 0)
        return -1;
    o.port = ntohs(o.address.sin_port);
    o.other = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    o.other_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(o.other_listener, (struct sockaddr *)&o.other, n) < 0 ||
        listen(o.other_listener, 16) < 0 ||
        getsockname(o.other_listener, (struct sockaddr *)&o.other, &n) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, o.connection) < 0)
        return -1;
    if (!terminals_outside())
        return -1;
    if (process_socket_pair(o.pair).code != ERR_NONE || fixture_open(state) < 0)
        return -1;
    client_outside = tls_client_new();
    return client_outside && tls_client_authorities(client_outside, chain_authority()) == 1 ? 0
                                                                                            : -1;
}

static int outside_close(void **state)
{
    (void)state;
    static const char *const made[] = {"inside/data.mdb", "inside/lock.mdb", "secret", "config"};
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", o.folder, made[i]);
        unlink(path);
    }
    rmdir(o.inside);
    close(o.folder_handle);
    close(o.listener);
    close(o.other_listener);
    close(o.client);
    close(o.udp);
    close(o.shared);
    close(o.pair[0]);
    close(o.pair[1]);
    close(o.master);
    close(o.slave);
    close(o.utmp);
    close(o.connection[0]);
    close(o.connection[1]);
    tls_client_release(client_outside);
    fixture_close(state);
    return rmdir(o.folder);
}

/* Somebody who waits to be accepted. */
static int knock(void)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(client, (struct sockaddr *)&o.address, sizeof(o.address)) < 0)
        perror("connect");
    return client;
}

static struct sandbox sandbox_of(const struct row *row, bool landlock)
{
    return (struct sandbox){
        .role = row->name,
        .rights = row->rights,
        .folder = row->rights & SANDBOX_FOLDER      ? str_from(o.inside)
                  : row->rights & SANDBOX_TERMINALS ? STR("/dev")
                                                    : str_null(),
        .user = row->rights & SANDBOX_PROGRAMS ? STR("") : STR("nobody"),
        .ports = &o.port,
        .port_count = row == &rows[RESOLVER],
        .max_files = FILES_LIMIT,
        .max_memory = MEMORY_LIMIT,
        .without_landlock = !landlock,
    };
}

static void enter(const struct row *row, bool landlock)
{
    struct buf report = BUF_INIT(SMALL);
    struct sandbox sandbox = sandbox_of(row, landlock);
    struct err e = sandbox_enter(&sandbox, &report);
    if (err_is(e)) {
        print_error("%.*s: %d\n", STR_FMT(e.detail), e.os);
        _exit(EXIT_NOT_ENTERED);
    }
}

/* As in life: a role is started by the parent, from within the parent's own sandbox. */
static _Noreturn void try_run(const struct try *try, const struct row *row, bool landlock)
{
    if (row != &rows[PARENT])
        enter(&rows[PARENT], landlock);
    enter(row, landlock);
    _exit(try->run() ? EXIT_ALLOWED : EXIT_DENIED);
}

static enum verdict verdict_of(int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return DIES;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_ALLOWED)
        return YES;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DENIED)
        return NO;
    print_error("status %x\n", status);
    return SKIP;
}

static bool try_one(const struct try *try, const struct row *row, enum verdict expected,
                    bool landlock)
{
    static const char *const names[] = {"no", "yes", "dies", "failed"};
    int client = try->run == accepts ? knock() : -1, status = 0;
    pid_t pid = fork();
    if (pid == 0)
        try_run(try, row, landlock);
    waitpid(pid, &status, 0);
    if (client >= 0)
        close(client);
    enum verdict got = verdict_of(status);
    /* There the calls are refused, and a signal that is refused belongs to somebody who lives. */
    if (SANDBOX_UNDER_ASAN && expected == DIES)
        expected = try->run == looks_who_is_on ? YES : NO;
    if (got != expected)
        print_error("%s, %s Landlock: %s: %s, expected %s\n", row->name,
                    landlock ? "with" : "without", try->name, names[got], names[expected]);
    return got == expected;
}

static void each_try_ends_as_its_row_says(bool landlock)
{
    bool right = true;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        for (int row = 0; row < ROWS; row++) {
            enum verdict expected =
                landlock ? tries[i].expected[row] : tries[i].without_landlock[row];
            if (expected != SKIP)
                right = try_one(&tries[i], &rows[row], expected, landlock) && right;
        }
    }
    assert_true(right);
}

static void roles_are_held_with_landlock(void **state)
{
    (void)state;
    struct sandbox any = {.role = "test"};
    if (landlock_version(&any) < 6)
        skip();
    each_try_ends_as_its_row_says(true);
}

static void roles_are_held_by_seccomp_alone(void **state)
{
    (void)state;
    each_try_ends_as_its_row_says(false);
}

/* Without the sandbox the tries work, so the table above proves something. */
static void tries_work_outside(void **state)
{
    (void)state;
    static bool (*const runs[])(void) = {opens_passwd,
                                         reads_config,
                                         writes_config,
                                         makes_a_socket,
                                         connects,
                                         connects_to_another_port,
                                         binds_a_port,
                                         forks,
                                         signals_its_parent,
                                         maps_a_program,
                                         turns_memory_into_a_program,
                                         works_in_its_folder,
                                         sends_a_datagram,
                                         has_others_signal_for_it};
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(runs[i]() ? EXIT_ALLOWED : EXIT_DENIED);
        waitpid(pid, &status, 0);
        if (verdict_of(status) != YES)
            print_error("try %zu\n", i);
        assert_int_equal(verdict_of(status), YES);
    }
}

static void report_of(const struct sandbox *sandbox, struct str expected)
{
    int pipes[2], status = 0;
    char said[SMALL];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct buf report = BUF_INIT(SMALL);
        struct err e = sandbox_enter(sandbox, &report);
        if (write(pipes[1], report.p ? report.p : "", report.n) < 0)
            _exit(1);
        _exit(err_is(e));
    }
    close(pipes[1]);
    ssize_t n = read(pipes[0], said, sizeof(said));
    assert_true(n >= 0);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_str(str_make(said, (size_t)n), expected);
    close(pipes[0]);
}

static void what_cannot_be_enforced_is_said(void **state)
{
    (void)state;
    struct sandbox core = sandbox_of(&rows[CORE], true);
    report_of(&core, STR(""));
    core.without_landlock = true;
    report_of(&core, STR("core: no Landlock: what its user may open outside of its folder "
                         "stays within reach\n"));
    struct sandbox mx = sandbox_of(&rows[MX], false);
    report_of(&mx, STR(""));
    if (geteuid() != 0)
        return;
    mx.user = STR("veredus-nobody-here");
    report_of(&mx, STR("mx: runs as root: there is no system user veredus-nobody-here\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tries_work_outside),
        cmocka_unit_test(roles_are_held_with_landlock),
        cmocka_unit_test(roles_are_held_by_seccomp_alone),
        cmocka_unit_test(what_cannot_be_enforced_is_said),
    };
    return cmocka_run_group_tests_name("sandbox", tests, outside_open, outside_close);
}
