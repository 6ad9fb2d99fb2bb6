/*
 * The parent with small roles in place of core and the edges: this program started again. An `mx`
 * answers each connection with one line that says who it is, what core said to it, what the
 * configuration says and how many of them there are; so linking, restarts and reloads are seen from
 * outside.
 */
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

static void core_got(struct link *link, const struct msg *msg, int passed)
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

static void core_peer_ended(struct link *link, struct err why)
{
    (void)why;
    link_done(link);
}

static void core_peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
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

static void core_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_FOLDER;
    sandbox->folder = role->conf->server.data;
    if (role->as_root)
        sandbox->user = PARENT_CORE_USER;
}

/* A file named "refuse" in the data folder: what a store that cannot be opened looks like. "slow":
 * one that takes its time. */
static struct err core_begin(struct role *role)
{
    struct small_core *core = role->arg;
    core->role = role;
    int refuse = open("refuse", O_RDONLY), slow = open("slow", O_RDONLY);
    if (slow >= 0)
        fiber_sleep_until(&role->loop, role->loop.now + SLOW);
    core->begun = true;
    return refuse >= 0 ? err_make(ERR_STORE_LOCKED) : err_none();
}

static void core_configure(struct role *role, const struct conf *conf)
{
    (void)conf;
    must(((struct small_core *)role->arg)->begun);
}

/* Says what it was told, but for the keys themselves. */
static struct err core_told(struct role *role, const struct msg *msg)
{
    if (msg->kind == MSG_certificate_files)
        log_event(&role->log, LOG_INFO, "told", log_u64("place", msg->certificate_files.place),
                  log_u64("of", msg->certificate_files.count),
                  log_str("name", msg->certificate_files.name),
                  log_u64("key", msg->certificate_files.key.n > 0));
    else
        log_event(&role->log, LOG_INFO, "told", log_str("tokens", msg->token_keys_file.json));
    return err_none();
}

static void nothing_to_finish(struct role *role)
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

static void edge_got(struct link *link, const struct msg *msg, int passed)
{
    (void)link;
    (void)msg;
    (void)passed;
}

static void edge_core_ended(struct link *link, struct err why)
{
    struct small_edge *edge = link->arg;
    (void)why;
    struct msg unlinked = {.kind = MSG_unlinked, .unlinked = {.role = ROLE_CORE}};
    edge->linked = false;
    link_done(link);
    link_send(&edge->role->parent, &unlinked);
}

static void edge_peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
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

static void client_serve(void *arg)
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

static void client_waits(struct watch *watch, unsigned ready)
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

static struct err edge_listen(struct role *role, enum listen_protocol protocol, struct str address,
                              int handle)
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

static struct err edge_begin(struct role *role)
{
    ((struct small_edge *)role->arg)->role = role;
    return err_none();
}

static void edge_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_ACCEPT;
    if (role->as_root)
        sandbox->user = PARENT_EDGE_USER;
}

/* --- The resolver, small: it says what it hears ---------------------------------------------- */

static void resolver_sandbox(struct role *role, struct sandbox *sandbox)
{
    sandbox->rights = SANDBOX_CONNECT;
    if (role->as_root)
        sandbox->user = PARENT_DNS_USER;
}

static struct err resolver_begin(struct role *role)
{
    (void)role;
    return err_none();
}

static void resolver_peer(struct role *role, enum bus_role peer, uint32_t instance, int handle)
{
    log_event(&role->log, LOG_INFO, "linked", log_u64("with", peer), log_u64("instance", instance));
    role->world->ops->close(role->world, handle);
}

static struct err resolver_told(struct role *role, const struct msg *msg)
{
    must(msg->kind == MSG_trust_anchors);
    log_event(&role->log, LOG_INFO, "told", log_str("anchors", msg->trust_anchors.text));
    return err_none();
}

static void resolver_configure(struct role *role, const struct conf *conf)
{
    log_event(&role->log, LOG_INFO, "configured", log_u64("hops", conf->smtp.hops));
}

static int role_main(const char *name)
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

static struct str path_in(struct server *server, const char *name)
{
    buf_clear(&server->path);
    buf_printf(&server->path, "%s/%s", server->folder, name);
    return buf_str(&server->path);
}

static void file_write(struct server *server, const char *name, struct str text)
{
    assert_int_equal(process_write_file(path_in(server, name), text, 0644).code, ERR_NONE);
}

static void config_write(struct server *server, const char *more)
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

static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&at, n) < 0 || getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        return 0;
    close(fd);
    return ntohs(at.sin_port);
}

static int server_open(void **state)
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
static void begin(struct server *server)
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

static struct str log_read(struct server *server)
{
    buf_clear(&server->log);
    process_read_file(path_in(server, "log"), TEXT, &server->log);
    return buf_str(&server->log);
}

static size_t times_logged(struct server *server, const char *what)
{
    struct str log = log_read(server);
    size_t times = 0;
    for (ssize_t at; (at = str_find(log, str_from(what))) >= 0; times++)
        log = str_from_index(log, (size_t)at + 1);
    return times;
}

static void wait_logged(struct server *server, const char *what, size_t times)
{
    for (int i = 0; i < WAITS_MOST; i++) {
        if (times_logged(server, what) >= times)
            return;
        usleep(WAIT_MS * 1000);
    }
    print_error("never logged: %s\n%.*s", what, STR_FMT(log_read(server)));
    fail();
}

static int exit_code(struct server *server)
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

static bool ask(struct server *server, struct answer *answer_r)
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
static struct answer answered(struct server *server)
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

static int server_close(void **state)
{
    struct server *server = *state;
    static const char *const made[] = {"conf",        "log",       "pid",    "control",
                                       "data/refuse", "data/slow", "c.pem",  "k.pem",
                                       "tokens",      "many",      "anchors"};
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

static struct server *begun(void **state)
{
    struct server *server = *state;
    begin(server);
    wait_logged(server, " parent started ", 1);
    return server;
}

static bool exists(struct server *server, const char *name)
{
    struct buf text = BUF_INIT(TEXT);
    struct err e = process_read_file(path_in(server, name), TEXT, &text);
    buf_done(&text);
    return e.code != ERR_NOT_FOUND;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void it_starts_links_and_stops(void **state)
{
    struct server *server = begun(state);
    struct answer answer = answered(server);
    struct buf pid = BUF_INIT(TEXT), expected = BUF_INIT(TEXT);
    assert_int_equal(answer.hops, 20);
    assert_int_equal(answer.core_hops, 20);
    assert_int_not_equal(answer.mx, answer.core);
    assert_int_equal(process_read_file(path_in(server, "pid"), TEXT, &pid).code, ERR_NONE);
    buf_printf(&expected, "%d\n", (int)server->pid);
    assert_str(buf_str(&pid), buf_str(&expected));
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    assert_false(process_alive(answer.mx));
    assert_false(process_alive(answer.core));
    assert_false(exists(server, "pid"));
    assert_int_equal(times_logged(server, "how=\"exit 0\""), 3);
    assert_false(ask(server, &answer));
    buf_done(&pid);
    buf_done(&expected);
}

static void an_edge_that_died_is_replaced_and_linked(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    process_kill(before.mx);
    wait_logged(server, "role_ready name=mx", 2);
    struct answer after = answered(server);
    assert_int_not_equal(after.mx, before.mx);
    assert_int_equal(after.core, before.core);
    assert_int_equal(times_logged(server, "how=\"signal 9\""), 1);
}

static void core_that_died_is_replaced_and_linked_to_the_same_edges(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    process_kill(before.core);
    wait_logged(server, "role_ready name=core", 2);
    struct answer after = answered(server);
    assert_int_equal(after.mx, before.mx);
    assert_int_not_equal(after.core, before.core);
}

/* An edge whose link ended though core lived was without core for good. */
static void a_link_that_broke_between_living_roles_is_made_anew(void **state)
{
    struct answer cut;
    config_write(*state, "hops = 33");
    struct server *server = begun(state);
    assert_true(ask(server, &cut));
    assert_int_equal(cut.core, 0);
    wait_logged(server, "role_linked_anew name=mx", 1);
    struct answer after = answered(server);
    assert_int_equal(after.mx, cut.mx);
    assert_int_equal(times_logged(server, "role_ended"), 0);
}

static void a_role_that_dies_often_waits_longer(void **state)
{
    struct server *server = begun(state);
    int64_t began = world_mono(world_real());
    for (size_t i = 0; i < 4; i++) { /* 0.1, 0.2, 0.4 and 0.8 s */
        process_kill(answered(server).mx);
        wait_logged(server, "role_ready name=mx", i + 2);
    }
    int64_t took = world_mono(world_real()) - began;
    assert_true(took >= 15 * PARENT_AGAIN_FIRST);
}

static void a_reload_reaches_every_role(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    config_write(server, "hops = 33");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    struct answer after = answered(server);
    for (int i = 0; i < WAITS_MOST && (after.hops != 33 || after.core_hops != 33); i++)
        after = answered(server);
    assert_int_equal(after.hops, 33);
    assert_int_equal(after.core_hops, 33);
    assert_int_equal(after.mx, before.mx);
    assert_int_equal(times_logged(server, "needs_restart"), 0);
    process_kill(after.mx); /* the next one begins with the new settings */
    wait_logged(server, "role_ready name=mx", 2);
    assert_int_equal(answered(server).hops, 33);
}

/* Each left its lists behind, in every role. */
static void a_hundred_reloads_leave_one_configuration(void **state)
{
    struct server *server = begun(state);
    for (int i = 1; i <= RELOADS; i++) {
        kill((pid_t)server->pid, SIGHUP);
        wait_logged(server, "parent reloaded", (size_t)i);
    }
    assert_int_equal(answered(server).confs, 1);
}

static void a_bad_file_is_refused_and_the_old_stays(void **state)
{
    struct server *server = begun(state);
    answered(server);
    config_write(server, "hops = 33 hop = 9");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "configuration_refused", 1);
    wait_logged(server, "/conf:8: smtp.hop: no such setting", 1);
    assert_int_equal(answered(server).hops, 20);
    process_remove_file(path_in(server, "conf"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "conf: No such file or directory", 1);
    assert_int_equal(answered(server).hops, 20);
    assert_int_equal(times_logged(server, "parent reloaded"), 0);
}

/* --- What is longer than a packet, and secrets ------------------------------------------------ */

static void list_write(struct server *server)
{
    struct buf text = BUF_INIT(CONF_TEXT_MAX);
    for (unsigned i = 0; i < CONF_NETWORKS_MOST; i++)
        buf_printf(&text, "203.%u.%u.%u/31\n", i >> 15, i >> 7 & 255, (i & 127) << 1);
    file_write(server, "many", buf_str(&text));
    buf_done(&text);
}

/* More than a link keeps for a role that does not read. */
static void a_configuration_of_megabytes_reaches_every_role(void **state)
{
    struct server *server = *state;
    list_write(server);
    config_write(server, "hops = 21 } list a { files = many");
    begin(server);
    wait_logged(server, " parent started ", 1);
    struct answer answer = answered(server);
    assert_int_equal(answer.hops, 21);
    assert_int_equal(answer.core_hops, 21);
    config_write(server, "hops = 22 } list a { files = many");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    process_kill(answer.mx); /* the next one is told while core may still be */
    wait_logged(server, "role_ready name=mx", 2);
    for (int i = 0; i < WAITS_MOST && (answer.hops != 22 || answer.core_hops != 22); i++)
        answer = answered(server);
    assert_int_equal(answer.hops, 22);
    assert_int_equal(answer.core_hops, 22);
    assert_int_equal(times_logged(server, "role_broke_its_link"), 0);
}

static void pair_write(struct server *server, bool fits)
{
    static const unsigned char serial[CERTIFICATE_SERIAL] = {1};
    static const struct str names[] = {STR_INIT("mail.example.test")};
    struct arena arena;
    struct str chain, key, other;
    arena_init(&arena, ARENA);
    assert_int_equal(
        certificate_make(names, 1, INT64_C(1800000000000000), serial, &arena, &chain, &key).code,
        ERR_NONE);
    assert_int_equal(
        certificate_make(names, 1, INT64_C(1800000000000000), serial, &arena, &other, &key).code,
        ERR_NONE);
    file_write(server, "c.pem", fits ? other : chain);
    assert_int_equal(process_write_file(path_in(server, "k.pem"), key, 0600).code, ERR_NONE);
    arena_done(&arena);
}

#define PAIR "} certificate a { chain = c.pem key = k.pem } login { token_keys = tokens "

static void core_is_told_its_secrets_before_it_begins_and_at_each_reload(void **state)
{
    struct server *server = *state;
    pair_write(server, true);
    file_write(server, "tokens", STR("{}"));
    config_write(server, PAIR);
    begin(server);
    wait_logged(server, " parent started ", 1);
    assert_int_equal(times_logged(server, "told place=0 of=1 name=a key=1"), 1);
    assert_int_equal(times_logged(server, "told tokens={}"), 1);
    assert_int_equal(times_logged(server, "PRIVATE KEY"), 0);
    struct answer answer = answered(server);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "told place=0 of=1 name=a key=1", 2);
    process_kill(answer.core);
    wait_logged(server, "told place=0 of=1 name=a key=1", 3);
    config_write(server, "");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "told place=0 of=0 name=\"\" key=0", 1);
    wait_logged(server, "told tokens=\"\"", 1);
}

/* Core was told in the middle of its beginning, and died of it. */
static void a_role_that_begins_hears_of_a_reload_when_it_serves(void **state)
{
    struct server *server = *state;
    pair_write(server, true);
    file_write(server, "tokens", STR("{}"));
    config_write(server, PAIR);
    begin(server);
    wait_logged(server, " parent started ", 1);
    struct answer before = answered(server);
    file_write(server, "data/slow", STR(""));
    process_kill(before.core);
    wait_logged(server, "told tokens={}", 2); /* the next one begins */
    config_write(server, "hops = 33");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    assert_int_equal(times_logged(server, "told place=0 of=0"), 0);
    wait_logged(server, "told place=0 of=0", 1);
    struct answer after = answered(server);
    assert_int_equal(after.core_hops, 33);
    assert_int_equal(times_logged(server, "role_ready name=core"), 2);
    assert_int_equal(times_logged(server, "role_ended"), 1);
}

static void a_certificate_that_was_spoilt_is_refused_and_the_old_stays(void **state)
{
    struct server *server = *state;
    pair_write(server, true);
    file_write(server, "tokens", STR("{}"));
    config_write(server, PAIR);
    begin(server);
    wait_logged(server, " parent started ", 1);
    assert_int_equal(process_write_file(path_in(server, "k.pem"), STR("a key"), 0640).code,
                     ERR_NONE);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "k.pem: may be read or written by others than its owner", 1);
    pair_write(server, false);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "k.pem: is not the key of its certificate", 1);
    assert_int_equal(times_logged(server, "parent reloaded"), 0);
    assert_int_equal(times_logged(server, "told place="), 1);
    process_kill(answered(server).core); /* mail goes on, without it */
    wait_logged(server, "parent certificate_not_read", 1);
    wait_logged(server, "told place=0 of=0", 1);
    answered(server);
}

static pid_t resolver_pid(struct server *server)
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

/* Core is role 1, mx role 2. */
static void the_resolver_is_linked_with_those_who_ask_it(void **state)
{
    struct server *server = begun(state);
    wait_logged(server, "resolver linked with=1 instance=0", 1);
    wait_logged(server, "resolver linked with=2 instance=0", 1);
    assert_int_equal(times_logged(server, "resolver linked"), 2);
    process_kill(resolver_pid(server));
    wait_logged(server, "role_ready name=resolver", 2);
    wait_logged(server, "resolver linked with=1 instance=0", 2);
    wait_logged(server, "resolver linked with=2 instance=0", 2);
    process_kill(answered(server).core);
    wait_logged(server, "role_ready name=core", 2);
    wait_logged(server, "resolver linked with=1 instance=0", 3);
    assert_int_equal(times_logged(server, "resolver linked with=2"), 2);
}

static void a_link_with_the_resolver_that_ended_is_made_anew(void **state)
{
    config_write(*state, "hops = 35");
    struct server *server = begun(state);
    wait_logged(server, "resolver linked with=2 instance=0", 1);
    answered(server);
    wait_logged(server, "role_linked_anew name=mx instance=0 with=resolver", 1);
    wait_logged(server, "resolver linked with=2 instance=0", 2);
    assert_int_equal(times_logged(server, "role_ended"), 0);
}

static void the_resolver_is_told_its_anchors_before_its_configuration(void **state)
{
    struct server *server = *state;
    file_write(server, "anchors", STR("first"));
    config_write(server, "} dns { trust_anchors = anchors");
    begin(server);
    wait_logged(server, " parent started ", 1);
    assert_int_equal(times_logged(server, "told anchors=first"), 1);
    file_write(server, "anchors", STR("second"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "resolver configured", 1);
    struct str log = log_read(server);
    ssize_t told = str_find(log, STR("told anchors=second"));
    assert_true(told > 0 && told < str_find(log, STR("resolver configured")));
    process_remove_file(path_in(server, "anchors"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "anchors: No such file or directory", 1);
    process_kill(resolver_pid(server)); /* the next one gets what was read last */
    wait_logged(server, "told anchors=second", 2);
}

static void the_resolver_outlives_core(void **state)
{
    struct server *server = begun(state);
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    struct str log = log_read(server);
    ssize_t core = str_find(log, STR("role_ended name=core"));
    assert_true(core > 0 && core < str_find(log, STR("role_ended name=resolver")));
    assert_true(str_find(log, STR("role_ended name=mx")) < core);
}

static void without_its_certificate_it_does_not_start(void **state)
{
    struct server *server = *state;
    pair_write(server, false);
    config_write(server, PAIR);
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "/conf:8: certificate.a.key: "), 1);
    assert_int_equal(times_logged(server, "k.pem: is not the key of its certificate"), 1);
    assert_int_equal(times_logged(server, "login.token_keys: "), 1);
    assert_int_equal(times_logged(server, "tokens: No such file or directory"), 1);
}

static void what_only_a_start_can_change_is_named_and_kept(void **state)
{
    struct server *server = begun(state);
    unsigned port = server->port;
    server->port = port == 65535 ? 65534 : port + 1;
    config_write(server, "hops = 44");
    server->port = port;
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent needs_restart settings=smtp.listen", 1);
    wait_logged(server, "parent reloaded", 1);
    process_kill(answered(server).core);
    wait_logged(server, "role_ready name=core", 2);
    assert_int_equal(answered(server).core_hops, 44);
}

static void a_port_in_use_is_told_and_nothing_is_left(void **state)
{
    struct server *server = *state;
    struct buf address = BUF_INIT(TEXT);
    int taken;
    buf_printf(&address, "127.0.0.1:%u", server->port);
    assert_int_equal(process_listen(buf_str(&address), &taken).code, ERR_NONE);
    begin(server);
    assert_int_equal(exit_code(server), 1);
    buf_clear(&address);
    buf_printf(&address,
               "veredus: cannot listen on 127.0.0.1:%u (smtp.listen): Address already in use; "
               "another program serves there (ss -ltnp shows it)\n",
               server->port);
    assert_str(log_read(server), buf_str(&address));
    assert_false(exists(server, "pid"));
    close(taken);
    buf_done(&address);
}

static void an_address_that_stands_twice_is_told(void **state)
{
    struct server *server = *state;
    char more[64];
    snprintf(more, sizeof(more), "} lmtp { listen = 127.0.0.1:%u", server->port);
    config_write(server, more);
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "(lmtp.listen): Address already in use; it stands twice "
                                          "in the configuration\n"),
                     1);
}

static void a_mistake_in_the_file_is_told_with_its_line(void **state)
{
    struct server *server = *state;
    config_write(server, "hops = 9");
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "/conf:8: smtp.hops: \"9\" is too small"), 1);
    assert_int_equal(times_logged(server, "\n"), 1);
}

static void data_remove(struct server *server)
{
    char data[80];
    snprintf(data, sizeof(data), "%s/data", server->folder);
    assert_int_equal(rmdir(data), 0);
}

static void a_data_folder_that_cannot_be_is_told(void **state)
{
    struct server *server = *state;
    data_remove(server);
    file_write(server, "data", STR("no folder"));
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "data (data): Not a directory\n"), 1);
    assert_int_equal(times_logged(server, "\n"), 1);
    process_remove_file(path_in(server, "data"));
}

static void a_missing_data_folder_is_made(void **state)
{
    data_remove(*state);
    assert_int_not_equal(answered(begun(state)).core, 0);
}

/* A role of its own serves it, also where users have no way in. */
static void the_socket_for_this_host_is_there_while_we_are(void **state)
{
    struct server *server = *state;
    server->local = true;
    config_write(server, "");
    begun(state);
    int handle;
    assert_int_equal(process_connect_local(path_in(server, "submission"), &handle).code, ERR_NONE);
    close(handle);
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    server->pid = 0;
    assert_false(exists(server, "submission"));
}

static void a_core_that_cannot_start_ends_all(void **state)
{
    struct server *server = *state;
    file_write(server, "data/refuse", STR("x"));
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "core ended before it was ready (exit 1)"), 1);
    assert_int_equal(times_logged(server, "STORE_LOCKED"), 1);
    assert_false(exists(server, "pid"));
}

/* It served without its socket, and was never replaced. */
static void an_edge_that_cannot_listen_is_started_again(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    config_write(server, "hops = 34");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    process_kill(before.mx);
    wait_logged(server, "mx listen error=NO_MEMORY", 2);
    wait_logged(server, "how=\"exit 1\"", 2);
    config_write(server, "hops = 20");
    kill((pid_t)server->pid, SIGHUP);
    assert_int_equal(answered(server).core, before.core);
}

static void roles_end_when_the_parent_is_killed(void **state)
{
    struct server *server = begun(state);
    struct answer answer = answered(server);
    process_kill(server->pid);
    assert_int_equal(exit_code(server), 1000 + SIGKILL);
    for (int i = 0; i < WAITS_MOST && (process_alive(answer.mx) || process_alive(answer.core)); i++)
        usleep(WAIT_MS * 1000);
    assert_false(process_alive(answer.mx));
    assert_false(process_alive(answer.core));
}

static void a_role_that_does_not_stop_is_killed(void **state)
{
    struct server *server = begun(state);
    struct answer answer = answered(server);
    kill(answer.mx, SIGSTOP);
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    assert_int_equal(times_logged(server, "role_does_not_stop name=mx"), 1);
    assert_int_equal(times_logged(server, "how=\"exit 0\""), 2);
    assert_false(process_alive(answer.mx));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_open, server_close)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "role") == 0)
        return role_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(it_starts_links_and_stops),
        TEST(an_edge_that_died_is_replaced_and_linked),
        TEST(core_that_died_is_replaced_and_linked_to_the_same_edges),
        TEST(a_link_that_broke_between_living_roles_is_made_anew),
        TEST(a_role_that_dies_often_waits_longer),
        TEST(a_reload_reaches_every_role),
        TEST(a_hundred_reloads_leave_one_configuration),
        TEST(a_bad_file_is_refused_and_the_old_stays),
        TEST(a_configuration_of_megabytes_reaches_every_role),
        TEST(core_is_told_its_secrets_before_it_begins_and_at_each_reload),
        TEST(a_role_that_begins_hears_of_a_reload_when_it_serves),
        TEST(a_certificate_that_was_spoilt_is_refused_and_the_old_stays),
        TEST(the_resolver_is_linked_with_those_who_ask_it),
        TEST(a_link_with_the_resolver_that_ended_is_made_anew),
        TEST(the_resolver_is_told_its_anchors_before_its_configuration),
        TEST(the_resolver_outlives_core),
        TEST(without_its_certificate_it_does_not_start),
        TEST(what_only_a_start_can_change_is_named_and_kept),
        TEST(a_port_in_use_is_told_and_nothing_is_left),
        TEST(an_address_that_stands_twice_is_told),
        TEST(a_mistake_in_the_file_is_told_with_its_line),
        TEST(a_data_folder_that_cannot_be_is_told),
        TEST(a_missing_data_folder_is_made),
        TEST(the_socket_for_this_host_is_there_while_we_are),
        TEST(a_core_that_cannot_start_ends_all),
        TEST(an_edge_that_cannot_listen_is_started_again),
        TEST(roles_end_when_the_parent_is_killed),
        TEST(a_role_that_does_not_stop_is_killed),
    };
    return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
