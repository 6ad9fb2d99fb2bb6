/*
 * For the parent's tests: the parent with small roles in place of core and the edges, which are
 * the test's program started again. An `mx` answers each connection with one line that says who it
 * is, what core said to it, what the configuration says and how many of them there are; so linking,
 * restarts and reloads are seen from outside.
 */
#ifndef PARENT_PARENT_RIG_TEST_H
#define PARENT_PARENT_RIG_TEST_H

#include "base/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "parent/parent.h"
#include "role/role.h"
#include "sys/process.h"
#include "trust/certificate.h"

enum {
    FIBERS = 16,
    PEERS = 16,
    LISTENERS = 4,
    ARENA = 65536,
    TEXT = 256 * 1024,
    HOPS_CUT = 33,      /* says to core: cut the first link at its first question */
    HOPS_DEAF = 34,     /* says to mx: there is no memory for a listener */
    HOPS_UNLINKED = 35, /* says to mx: its link with the resolver ended */
    WAIT_MS = 10,
    WAITS_MOST = 2500,
    RELOADS = 100,
};
#define SLOW (400 * NS_PER_MS)

/* --- Core, small ----------------------------------------------------------------------------- */

struct small_core {
    struct link peers[PEERS];
    size_t count;
    struct role *role;
    bool begun;
};

static inline void core_got(struct link *link, const struct msg *msg, int passed)
{
    struct small_core *core = link->arg;
    if (core->count == 1 && core->role->conf->smtp.hops == HOPS_CUT) {
        link_done(link);
        return;
    }
    struct buf text = BUF_INIT(ARENA);
    struct msg_text_line line;
    (void)passed;
    buf_printf(&text, "%d", (int)getpid());
    line.text = buf_str(&text);
    struct msg reply = {.kind = MSG_verified,
                        .verified = {.call = msg->verify.call,
                                     .reply = (uint16_t)core->role->conf->smtp.hops,
                                     .lines = &line,
                                     .lines_count = 1}};
    if (msg->kind == MSG_verify)
        link_send(link, &reply);
    buf_done(&text);
}

static inline void core_peer_ended(struct link *link, struct err why)
{
    (void)why;
    link_done(link);
}

static inline void core_peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    static const struct link_owner owner = {.got = core_got, .ended = core_peer_ended};
    struct small_core *core = role->arg;
    (void)instance;
    if (peer == ROLE_RESOLVER) { /* who is linked with whom is seen at its other end */
        role->world->ops->close(role->world, handle);
        return;
    }
    must(core->count < PEERS);
    link_init(&core->peers[core->count++], &role->loop, handle, ROLE_CORE, peer, &owner, core);
}

static inline void core_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_FOLDER;
    sandbox->folder = role->conf->server.data;
    if (role->as_root)
        sandbox->user = PARENT_CORE_USER;
}

/* A file named "refuse" in the data folder: what a store that cannot be opened looks like. "slow":
 * one that takes its time. */
static inline struct err core_begin(struct role *role)
{
    struct small_core *core = role->arg;
    core->role = role;
    int refuse = open("refuse", O_RDONLY), slow = open("slow", O_RDONLY);
    if (slow >= 0)
        fiber_sleep_until(&role->loop, role->loop.now + SLOW);
    core->begun = true;
    return refuse >= 0 ? err_make(ERR_STORE_LOCKED) : err_none();
}

static inline void core_configure(struct role *role, const struct conf *conf)
{
    (void)conf;
    must(((struct small_core *)role->arg)->begun);
}

/* Says what it was told, but for the keys themselves. */
static inline struct err core_told(struct role *role, const struct msg *msg)
{
    if (msg->kind == MSG_certificate_files)
        log_event(&role->log, LOG_INFO, "told", log_u64("place", msg->certificate_files.place),
                  log_u64("of", msg->certificate_files.count),
                  log_str("name", msg->certificate_files.name),
                  log_u64("key", msg->certificate_files.key.n > 0));
    else if (msg->kind == MSG_route_secret)
        log_event(&role->log, LOG_INFO, "told", log_str("route", msg->route_secret.name),
                  log_str("via", msg->route_secret.via),
                  log_u64("octets", msg->route_secret.secret.n));
    else
        log_event(&role->log, LOG_INFO, "told", log_str("tokens", msg->token_keys_file.json));
    return err_none();
}

static inline void nothing_to_finish(struct role *role)
{
    (void)role;
}

/* --- An edge, small -------------------------------------------------------------------------- */

struct small_edge {
    struct role *role;
    struct link core;
    bool linked;
    size_t resolvers; /* links with one that it was given */
    struct watch listeners[LISTENERS];
    size_t count;
    struct fiber_start start;
    int client;
};

static inline void edge_got(struct link *link, const struct msg *msg, int passed)
{
    (void)link;
    (void)msg;
    (void)passed;
}

static inline void edge_core_ended(struct link *link, struct err why)
{
    struct small_edge *edge = link->arg;
    (void)why;
    struct msg unlinked = {.kind = MSG_unlinked, .unlinked = {.role = ROLE_CORE}};
    edge->linked = false;
    link_done(link);
    link_send(&edge->role->parent, &unlinked);
}

static inline void edge_peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    static const struct link_owner owner = {.got = edge_got, .ended = edge_core_ended};
    struct small_edge *edge = role->arg;
    (void)instance;
    if (peer == ROLE_RESOLVER) {
        edge->resolvers++;
        role->world->ops->close(role->world, handle);
        return;
    }
    if (edge->linked)
        link_done(&edge->core);
    edge->linked =
        link_init(&edge->core, &role->loop, handle, role->table->role, peer, &owner, edge) == 0;
}

static inline void client_serve(void *arg)
{
    struct small_edge *edge = arg;
    struct arena arena;
    struct msg ask = {.kind = MSG_verify}, answer;
    struct str core = STR("0");
    unsigned core_hops = 0;
    struct buf text = BUF_INIT(ARENA);
    arena_init(&arena, ARENA);
    if (edge->role->conf->smtp.hops == HOPS_UNLINKED && edge->resolvers == 1)
        role_unlinked(edge->role, ROLE_RESOLVER);
    if (edge->linked && !err_is(link_ask(&edge->core, &ask, &arena, &answer))) {
        core = answer.verified.lines[0].text;
        core_hops = answer.verified.reply;
    }
    buf_printf(&text, "%d %.*s %u %u %zu\n", (int)getpid(), STR_FMT(core), core_hops,
               (unsigned)edge->role->conf->smtp.hops, edge->role->conf_count);
    struct iovec part = {text.p, text.n};
    edge->role->world->ops->send(edge->role->world, edge->client, &part, 1);
    edge->role->world->ops->close(edge->role->world, edge->client);
    edge->client = -1;
    buf_done(&text);
    arena_done(&arena);
}

static inline void client_waits(struct watch *watch, unsigned ready)
{
    struct small_edge *edge = watch->arg;
    struct world *world = edge->role->world;
    struct peer_address peer;
    (void)ready;
    if (edge->client >= 0)
        return;
    edge->client = world->ops->accept(world, watch->handle, &peer);
    if (edge->client < 0)
        return;
    edge->start = (struct fiber_start){.run = client_serve, .arg = edge};
    fiber_run(edge->role->fibers, &edge->start);
}

static inline struct err edge_listen(struct role *role, enum listen_protocol protocol,
                                     struct str address, int handle)
{
    struct small_edge *edge = role->arg;
    (void)protocol;
    (void)address;
    if (role->conf->smtp.hops == HOPS_DEAF)
        return err_make(ERR_NO_MEMORY);
    must(edge->count < LISTENERS);
    struct watch *watch = &edge->listeners[edge->count++];
    *watch =
        (struct watch){.handle = handle, .want = READY_READ, .ready = client_waits, .arg = edge};
    must(watch_begin(&role->loop, watch) == 0);
    return err_none();
}

static inline struct err edge_begin(struct role *role)
{
    ((struct small_edge *)role->arg)->role = role;
    return err_none();
}

static inline void edge_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_ACCEPT;
    if (role->as_root)
        sandbox->user = PARENT_EDGE_USER;
}

/* --- The resolver, small: it says what it hears ---------------------------------------------- */

static inline void resolver_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_CONNECT;
    if (role->as_root)
        sandbox->user = PARENT_DNS_USER;
}

static inline struct err resolver_begin(struct role *role)
{
    (void)role;
    return err_none();
}

static inline void resolver_peer(struct role *role, enum bus_role peer, uint32_t instance,
                                 int handle)
{
    log_event(&role->log, LOG_INFO, "linked", log_u64("with", peer), log_u64("instance", instance));
    role->world->ops->close(role->world, handle);
}

static inline struct err resolver_told(struct role *role, const struct msg *msg)
{
    must(msg->kind == MSG_trust_anchors);
    log_event(&role->log, LOG_INFO, "told", log_str("anchors", msg->trust_anchors.text));
    return err_none();
}

static inline void resolver_configure(struct role *role, const struct conf *conf)
{
    log_event(&role->log, LOG_INFO, "configured", log_u64("hops", conf->smtp.hops));
}

static inline int role_main(const char *name)
{
    static const struct role_table resolver_table = {.name = "resolver",
                                                     .role = ROLE_RESOLVER,
                                                     .fibers = FIBERS,
                                                     .sandbox = resolver_sandbox,
                                                     .begin = resolver_begin,
                                                     .configure = resolver_configure,
                                                     .peer = resolver_peer,
                                                     .told = resolver_told,
                                                     .stop = nothing_to_finish};
    static struct small_core core;
    static struct small_edge edge = {.client = -1};
    static const struct role_table core_table = {.name = "core",
                                                 .role = ROLE_CORE,
                                                 .fibers = FIBERS,
                                                 .sandbox = core_sandbox,
                                                 .begin = core_begin,
                                                 .configure = core_configure,
                                                 .peer = core_peer,
                                                 .told = core_told,
                                                 .stop = nothing_to_finish};
    struct role_table edge_table = {.name = name,
                                    .role = strcmp(name, "mx") == 0    ? ROLE_MX
                                            : strcmp(name, "sub") == 0 ? ROLE_SUB
                                                                       : ROLE_BOX,
                                    .fibers = FIBERS,
                                    .sandbox = edge_sandbox,
                                    .begin = edge_begin,
                                    .peer = edge_peer,
                                    .listen = edge_listen,
                                    .stop = nothing_to_finish};
    if (strcmp(name, "core") == 0)
        return role_run(&core_table, &core);
    if (strcmp(name, "resolver") == 0)
        return role_run(&resolver_table, NULL);
    return role_run(&edge_table, &edge);
}

/* --- A server under test --------------------------------------------------------------------- */

struct server {
    char folder[64];
    struct buf path, log;
    int64_t pid;
    unsigned port;
    bool local; /* programs of this host may submit */
};

static inline struct str path_in(struct server *server, const char *name)
{
    buf_clear(&server->path);
    buf_printf(&server->path, "%s/%s", server->folder, name);
    return buf_str(&server->path);
}

static inline void file_write(struct server *server, const char *name, struct str text)
{
    assert_int_equal(process_write_file(path_in(server, name), text, 0644).code, ERR_NONE);
}

static inline void config_write(struct server *server, const char *more)
{
    struct buf text = BUF_INIT(TEXT);
    buf_printf(&text,
               "data = data\ncontrol = control\npid_file = pid\nlog_least = info\n"
               "smtp {\n    listen = 127.0.0.1:%u\n    processes = 1\n    %s\n}\n"
               "pop3 { listen = {} listen_tls = {} }\n"
               "submission { listen = {} listen_tls = {} local = %s }\n"
               "sending { processes = 0 }\n",
               server->port, more, server->local ? "yes" : "no");
    file_write(server, "conf", buf_str(&text));
    buf_done(&text);
}

static inline unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, n) < 0 || getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        return 0;
    close(fd);
    return ntohs(at.sin_port);
}

static inline int server_open(void **state)
{
    static struct server server;
    server = (struct server){.folder = "/tmp/veredus-parent-XXXXXX",
                             .path = BUF_INIT(TEXT),
                             .log = BUF_INIT(TEXT),
                             .port = free_port()};
    *state = &server;
    if (!mkdtemp(server.folder) || !server.port)
        return -1;
    chmod(server.folder, 0755);
    config_write(&server, "hops = 20");
    return process_make_folder(path_in(&server, "data"), 0700).code == ERR_NONE ? 0 : -1;
}

/* The server in a process of its own, its standard error in a file. */
static inline void begin(struct server *server)
{
    char name[96];
    snprintf(name, sizeof(name), "%s/log", server->folder);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid > 0)
        return;
    int log = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    struct parent_options options = {.config = path_in(server, "conf")};
    _exit(parent_run(&options));
}

static inline struct str log_read(struct server *server)
{
    buf_clear(&server->log);
    process_read_file(path_in(server, "log"), TEXT, &server->log);
    return buf_str(&server->log);
}

static inline size_t times_logged(struct server *server, const char *what)
{
    struct str log = log_read(server);
    size_t times = 0;
    for (ssize_t at; (at = str_find(log, str_from(what))) >= 0; times++)
        log = str_from_index(log, (size_t)at + 1);
    return times;
}

static inline void wait_logged(struct server *server, const char *what, size_t times)
{
    for (int i = 0; i < WAITS_MOST; i++) {
        if (times_logged(server, what) >= times)
            return;
        usleep(WAIT_MS * 1000);
    }
    print_error("never logged: %s\n%.*s", what, STR_FMT(log_read(server)));
    fail();
}

static inline int exit_code(struct server *server)
{
    int status = 0;
    for (int i = 0; i < WAITS_MOST; i++) {
        if (waitpid((pid_t)server->pid, &status, WNOHANG) == server->pid) {
            server->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        }
        usleep(WAIT_MS * 1000);
    }
    return -1;
}

struct answer {
    int mx, core;
    unsigned core_hops, hops, confs;
};

static inline bool ask(struct server *server, struct answer *answer_r)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server->port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {.tv_sec = 2};
    char text[128] = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    bool got = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
               recv(fd, text, sizeof(text) - 1, MSG_WAITALL) > 0;
    close(fd);
    return got && sscanf(text, "%d %d %u %u %u", &answer_r->mx, &answer_r->core,
                         &answer_r->core_hops, &answer_r->hops, &answer_r->confs) == 5;
}

/* An answer that core had a part in. */
static inline struct answer answered(struct server *server)
{
    struct answer answer = {.mx = 0};
    for (int i = 0; i < WAITS_MOST; i++) {
        if (ask(server, &answer) && answer.core)
            return answer;
        usleep(WAIT_MS * 1000);
    }
    print_error("no answer\n%.*s", STR_FMT(log_read(server)));
    fail();
    return answer;
}

static inline int server_close(void **state)
{
    struct server *server = *state;
    static const char *const made[] = {"conf",        "log",       "pid",     "control",
                                       "data/refuse", "data/slow", "c.pem",   "k.pem",
                                       "tokens",      "many",      "anchors", "secret"};
    if (server->pid) {
        process_terminate(server->pid);
        if (exit_code(server) < 0)
            process_kill(server->pid);
    }
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        process_remove_file(path_in(server, made[i]));
    char data[80];
    snprintf(data, sizeof(data), "%s/data", server->folder);
    rmdir(data);
    buf_done(&server->path);
    buf_done(&server->log);
    return rmdir(server->folder);
}

static inline struct server *begun(void **state)
{
    struct server *server = *state;
    begin(server);
    wait_logged(server, " parent started ", 1);
    return server;
}

static inline bool exists(struct server *server, const char *name)
{
    struct buf text = BUF_INIT(TEXT);
    struct err e = process_read_file(path_in(server, name), TEXT, &text);
    buf_done(&text);
    return e.code != ERR_NOT_FOUND;
}

static inline pid_t resolver_pid(struct server *server)
{
    struct str log = log_read(server);
    struct str what = STR("role_ready name=resolver instance=0 pid=");
    int pid = 0;
    for (ssize_t at; (at = str_find(log, what)) >= 0;) { /* the last one */
        log = str_from_index(log, (size_t)at + what.n);
        pid = 0;
        for (size_t i = 0; i < log.n && ascii_is_digit(log.p[i]); i++)
            pid = 10 * pid + (log.p[i] - '0');
    }
    return pid;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_open, server_close)

#endif
