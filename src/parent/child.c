/*
 * One role's process: its start, its link, its end. What a child says is checked by the link; a
 * child that breaks it is killed, for a role without a parent can neither be linked nor stopped.
 */
#include "parent/outbox.h"

#include "base/must.h"

enum {
    DOUBLINGS_MOST = 16
};

/* --- Which there are ------------------------------------------------------------------------- */

/* Which edges serve a protocol. */
static const enum bus_role servers[LISTEN_PROTOCOLS] = {
    [LISTEN_SMTP] = ROLE_MX,   [LISTEN_LMTP] = ROLE_MX,        [LISTEN_POP3] = ROLE_BOX,
    [LISTEN_POP3S] = ROLE_BOX, [LISTEN_SUBMISSION] = ROLE_SUB, [LISTEN_SUBMISSIONS] = ROLE_SUB,
    [LISTEN_LOCAL] = ROLE_SUB, [LISTEN_HTTP] = ROLE_WEB,       [LISTEN_HTTPS] = ROLE_WEB,
};

static bool listeners_any(const struct house *house, enum bus_role role)
{
    for (size_t i = 0; i < house->listener_count; i++)
        if (servers[house->listeners[i].protocol] == role)
            return true;
    return false;
}

static void plan(struct house *house, enum bus_role role, const char *name, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        must(house->child_count < HOUSE_CHILDREN_MAX);
        house->children[house->child_count++] =
            (struct child){.house = house, .role = role, .name = name, .instance = (uint32_t)i};
        STAILQ_INIT(&house->children[house->child_count - 1].outbox);
    }
}

void children_plan(struct house *house)
{
    const struct conf *conf = &house->conf;
    plan(house, ROLE_CORE, "core", 1);
    plan(house, ROLE_RESOLVER, "resolver", 1);
    if (listeners_any(house, ROLE_MX))
        plan(house, ROLE_MX, "mx", conf->smtp.processes);
    if (listeners_any(house, ROLE_SUB))
        plan(house, ROLE_SUB, "sub", conf->submission.processes);
    if (listeners_any(house, ROLE_BOX))
        plan(house, ROLE_BOX, "box", conf->pop3.processes);
    if (listeners_any(house, ROLE_WEB))
        plan(house, ROLE_WEB, "web", conf->http.processes);
    plan(house, ROLE_COURIER, "courier", conf->sending.processes);
    plan(house, ROLE_TERMINAL, "terminal", conf->terminal.commands);
}

unsigned child_wave(const struct child *child)
{
    bool only_answers = child->role == ROLE_RESOLVER || child->role == ROLE_TERMINAL;
    return only_answers ? 2 : child->role == ROLE_CORE ? 1 : 0;
}

/* --- Talking --------------------------------------------------------------------------------- */

void child_tell(struct child *child, const struct msg *msg)
{
    if (!child->linked)
        return;
    struct err e = link_send(&child->link, msg);
    if (err_is(e))
        link_cut(&child->link, e);
}

void child_kill(struct child *child)
{
    if (child->pid)
        process_kill(child->pid);
}

static void peer_relink(struct child *child, enum bus_role role);

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct child *child = link->arg;
    must(passed < 0); /* no message to the parent carries one */
    if (msg->kind == MSG_ready && child->state == CHILD_BEGINS) {
        child->state = CHILD_SERVES;
        house_ready(child->house, child, msg->ready.unenforced);
    } else if (msg->kind == MSG_unlinked) {
        peer_relink(child, (enum bus_role)msg->unlinked.role);
    } else if (child->state != CHILD_STOPS) {
        link_cut(link, err_detail(ERR_BUS_BROKEN, STR("out of turn")));
    }
}

static void link_end(struct child *child)
{
    if (!child->linked)
        return;
    child->linked = false;
    outbox_clear(child);
    link_done(&child->link);
}

static void ended(struct link *link, struct err why)
{
    struct child *child = link->arg;
    if (why.code == ERR_BUS_BROKEN)
        log_event(&child->house->log, LOG_WARN, "role_broke_its_link",
                  log_str("name", str_from(child->name)), log_u64("instance", child->instance),
                  log_str("why", why.detail));
    link_end(child);
    child_kill(child);
}

static void drained(struct link *link)
{
    outbox_send(link->arg);
}

static const struct link_owner owner = {.got = got, .ended = ended, .drained = drained};

/* --- Linking roles with each other ----------------------------------------------------------- */

static void peer_give(struct child *to, const struct child *other, int handle)
{
    struct msg msg = {.kind = MSG_peer,
                      .peer = {.role = (uint8_t)other->role, .instance = other->instance}};
    outbox_handle(to, &msg, handle, true);
}

static void pair_link(struct child *one, struct child *two)
{
    int pair[2];
    struct err e = process_socket_pair(pair);
    if (err_is(e)) {
        log_err(&one->house->log, "roles_not_linked", e);
        return;
    }
    peer_give(one, two, pair[0]);
    peer_give(two, one, pair[1]);
}

/* Which roles talk with each other; all others have nothing to say. */
static const struct talk {
    enum bus_role one, two;
} talks[] = {
    {ROLE_CORE, ROLE_MX},          {ROLE_CORE, ROLE_SUB},    {ROLE_CORE, ROLE_BOX},
    {ROLE_RESOLVER, ROLE_CORE},    {ROLE_RESOLVER, ROLE_MX}, {ROLE_CORE, ROLE_COURIER},
    {ROLE_RESOLVER, ROLE_COURIER}, {ROLE_CORE, ROLE_WEB},    {ROLE_CORE, ROLE_TERMINAL},
};

static bool talk(enum bus_role one, enum bus_role two)
{
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++)
        if ((talks[i].one == one && talks[i].two == two) ||
            (talks[i].one == two && talks[i].two == one))
            return true;
    return false;
}

static void peers_link(struct child *child)
{
    struct house *house = child->house;
    for (size_t i = 0; i < house->child_count; i++) {
        struct child *other = &house->children[i];
        if (other->linked && talk(other->role, child->role))
            pair_link(other, child);
    }
}

/* A link may end though both its ends live: one of them had no memory for a message, say. Who died,
 * or begins, is linked when it starts. Nobody is linked anew with a role of which there are
 * several: they are the ones that ask for it. */
static void peer_relink(struct child *child, enum bus_role role)
{
    struct house *house = child->house;
    struct child *other = NULL;
    bool is_one = role == ROLE_CORE || role == ROLE_RESOLVER || role == ROLE_TERMINAL;
    for (size_t i = 0; i < house->child_count && !other; i++)
        if (house->children[i].role == role && is_one)
            other = &house->children[i];
    if (!other || !talk(role, child->role) || other->state != CHILD_SERVES ||
        child->state == CHILD_STOPS)
        return;
    log_event(&house->log, LOG_WARN, "role_linked_anew", log_str("name", str_from(child->name)),
              log_u64("instance", child->instance), log_str("with", str_from(other->name)));
    pair_link(other, child);
}

static void listeners_give(struct child *child)
{
    struct house *house = child->house;
    for (size_t i = 0; i < house->listener_count; i++) {
        const struct listener *listener = &house->listeners[i];
        struct msg msg = {
            .kind = MSG_listen,
            .listen = {.protocol = (uint8_t)listener->protocol, .address = listener->address}};
        if (servers[listener->protocol] == child->role)
            outbox_handle(child, &msg, listener->handle, false);
    }
}

/* --- Beginning ------------------------------------------------------------------------------- */

/* Core is told its certificates first: then it begins with them or not at all. */
static void setup_give(struct child *child)
{
    struct certificates *certificates = NULL;
    if (child->role == ROLE_CORE) {
        certificates = settings_certificates(child->house);
        if (certificates)
            outbox_certificates(child, &certificates);
        certificates_free(certificates);
    }
    settings_tell_anchors(child);
    outbox_configuration(child, true);
}

static struct err process_begin(struct child *child)
{
    struct world *world = child->house->world;
    int pair[2];
    struct err e = process_socket_pair(pair);
    if (err_is(e))
        return e;
    e = process_start_role(child->name, pair[1], &child->pid);
    world->ops->close(world, pair[1]);
    int failed = err_is(e) ? 0
                           : link_init(&child->link, &child->house->loop, pair[0], ROLE_PARENT,
                                       child->role, &owner, child);
    if (err_is(e) || failed)
        world->ops->close(world, pair[0]);
    child->linked = !err_is(e) && !failed;
    if (err_is(e))
        child->pid = 0;
    return failed ? err_os(-failed, STR("link")) : e;
}

static void again_run(struct timer *timer)
{
    child_start(timer->arg);
}

/* FIRST, then twice as long each time, up to LAST. */
static void again_later(struct child *child)
{
    int64_t now = child->house->loop.now;
    if (now - child->started >= PARENT_SETTLED)
        child->deaths = 0;
    unsigned doublings = child->deaths < DOUBLINGS_MOST ? child->deaths : DOUBLINGS_MOST;
    int64_t wait = PARENT_AGAIN_FIRST << doublings;
    if (wait > PARENT_AGAIN_LAST)
        wait = PARENT_AGAIN_LAST;
    child->deaths++;
    child->again.run = again_run;
    child->again.arg = child;
    timer_set(&child->house->loop, &child->again, now + wait);
}

static void gone(struct child *child, struct str how)
{
    struct house *house = child->house;
    if (house->stopping) {
        house_emptier(house);
    } else if (house->serving) {
        again_later(child);
    } else {
        house_say(house, "%s ended before it was ready (%.*s); its own lines above say why",
                  child->name, STR_FMT(how));
        house_stop(house, 1);
    }
}

void child_start(struct child *child)
{
    struct house *house = child->house;
    must(child->state == CHILD_OFF && !child->pid);
    child->started = house->loop.now;
    struct err e = process_begin(child);
    if (err_is(e)) {
        log_err(&house->log, "role_not_started", e);
        if (child->pid)
            child_kill(child); /* its end is told by SIGCHLD */
        else
            gone(child, STR("not started"));
        return;
    }
    child->state = CHILD_BEGINS;
    child->outdated = false;
    setup_give(child);
    listeners_give(child);
    peers_link(child);
}

/* --- Ending ---------------------------------------------------------------------------------- */

static struct child *child_of(struct house *house, int64_t pid)
{
    for (size_t i = 0; i < house->child_count; i++)
        if (house->children[i].pid == pid)
            return &house->children[i];
    return NULL;
}

/* Somebody's kill says nothing about what the process met. */
static bool is_fault(struct str how)
{
    return str_starts(how, STR("signal ")) && !str_eq(how, STR("signal 9")) &&
           !str_eq(how, STR("signal 15"));
}

void child_died(struct house *house, int64_t pid, struct str how)
{
    struct child *child = child_of(house, pid);
    if (!child)
        return;
    bool expected = child->state == CHILD_STOPS;
    child->pid = 0;
    child->state = CHILD_OFF;
    child->faulted = is_fault(how);
    link_end(child);
    log_event(&house->log, expected ? LOG_INFO : LOG_WARN, "role_ended",
              log_str("name", str_from(child->name)), log_u64("instance", child->instance),
              log_u64("pid", (uint64_t)pid), log_str("how", how));
    gone(child, how);
}
