/*
 * Why the set that is shown is kept beside the servers made of it: a changed setting makes them
 * anew, and core need not be asked for that.
 *
 * A handshake may ask for a signature long after its server was made: from a set that was replaced
 * meanwhile, or from an earlier core. Naming a key that core does not know cuts our link, and all
 * sessions here would pay for it. So the numbers that the core of now knows are kept, those of the
 * set before for half as long as core keeps them, and none before it has told its own.
 */
#include "edge/tls.h"

enum {
    SET_ARENA = 8 << 20, /* the texts and chains of a set; core tells less */
    KNOWN_MAX = 2 * TLS_IDENTITIES_MAX,
};
#define LINGER (30 * NS_PER_SECOND)

/* The servers: one for each name that ALPN knows our protocols by. */
enum name {
    NAME_SMTP,
    NAME_POP3,
    NAME_HTTP,
    NAMES
};

static const struct {
    const char *alpn;
    unsigned roles; /* of edges that serve it */
} names[NAMES] = {
    [NAME_SMTP] = {"smtp", FROM_MX | FROM_SUB},
    [NAME_POP3] = {"pop3", FROM_BOX},
    [NAME_HTTP] = {"http/1.1", FROM_WEB},
};

/* LMTP is spoken on this machine, and ALPN has no name for it. */
static const struct {
    bool has_name;
    enum name name;
} protocols[LISTEN_PROTOCOLS] = {
    [LISTEN_SMTP] = {true, NAME_SMTP},        [LISTEN_SUBMISSION] = {true, NAME_SMTP},
    [LISTEN_SUBMISSIONS] = {true, NAME_SMTP}, [LISTEN_POP3] = {true, NAME_POP3},
    [LISTEN_POP3S] = {true, NAME_POP3},       [LISTEN_HTTPS] = {true, NAME_HTTP},
};

struct set {
    struct arena arena;
    struct tls_identity list[TLS_IDENTITIES_MAX];
    size_t count;
    bool bad; /* one of them did not fit */
};

/* A key that core signs with. */
struct known {
    uint32_t key;
    int64_t until; /* INT64_MAX: of the set that is shown */
};

/* A handshake that wants a signature before the core of now has told its certificates. */
struct waiter {
    TAILQ_ENTRY(waiter) link;
    struct edge_tls *tls;
    struct wait wait;
    struct timer timer;
};

struct edge_tls {
    struct set *shown, *coming; /* NULL: none */
    struct tls_server *servers[NAMES];
    bool client_certificates; /* as they were made */
    struct known known[KNOWN_MAX];
    size_t known_count;
    uint64_t told_by; /* core_since of the core that told `known` */
    TAILQ_HEAD(, waiter) waiters;
    struct tls_ticket_key tickets[TLS_TICKET_KEYS_MAX];
    size_t ticket_count;
};

/* --- A set comes ----------------------------------------------------------------------------- */

static struct set *set_new(void)
{
    struct set *set = calloc(1, sizeof(*set));
    if (set)
        arena_init(&set->arena, SET_ARENA);
    return set;
}

static void set_free(struct set *set)
{
    if (!set)
        return;
    arena_done(&set->arena);
    free(set);
}

static void names_copy(const struct msg_identity *identity, struct tls_identity *to,
                       struct arena *arena)
{
    struct str *copies = arena_take_array(arena, identity->names_count, sizeof(*copies));
    for (size_t i = 0; copies && i < identity->names_count; i++)
        copies[i] = arena_str(arena, identity->names[i].text);
    to->names = copies;
    to->name_count = identity->names_count;
}

static void chain_copy(const struct msg_identity *identity, struct tls_identity *to,
                       struct arena *arena)
{
    struct str *copies = arena_take_array(arena, identity->chain_count, sizeof(*copies));
    for (size_t i = 0; copies && i < identity->chain_count; i++)
        copies[i] = arena_str(arena, identity->chain[i].der);
    to->chain = copies;
    to->chain_count = identity->chain_count;
}

void edge_tls_identity(struct edge *edge, const struct msg_identity *identity)
{
    struct edge_tls *tls = edge->tls;
    if (!tls->coming)
        tls->coming = set_new();
    struct set *set = tls->coming;
    if (!set || set->bad)
        return;
    if (set->count >= TLS_IDENTITIES_MAX) {
        set->bad = true;
        return;
    }
    struct tls_identity *to = &set->list[set->count++];
    *to = (struct tls_identity){.key = identity->key, .standard = identity->standard};
    names_copy(identity, to, &set->arena);
    chain_copy(identity, to, &set->arena);
    set->bad = arena_over(&set->arena);
}

/* --- Servers --------------------------------------------------------------------------------- */

static struct err ask_signature(void *arg, const struct tls_signing *what,
                                unsigned char *signature_r, size_t *length_r);

static void servers_release(struct tls_server *servers[NAMES])
{
    for (size_t i = 0; i < NAMES; i++) {
        tls_server_release(servers[i]);
        servers[i] = NULL;
    }
}

static struct err servers_make(struct edge *edge, const struct set *set, bool client_certificates,
                               struct tls_server *servers_r[NAMES])
{
    struct err e = err_none();
    for (size_t i = 0; i < NAMES && !err_is(e); i++) {
        struct tls_server_settings settings = {
            .alpn = names[i].alpn,
            .client_certificates = client_certificates,
            .signer = {.sign = ask_signature, .arg = edge},
        };
        if (!(names[i].roles & 1u << edge->role) || set->count == 0)
            continue;
        e = tls_server_new(&settings, set->list, set->count, &servers_r[i]);
        if (!err_is(e))
            tls_server_tickets(servers_r[i], edge->tls->tickets, edge->tls->ticket_count);
    }
    if (err_is(e))
        servers_release(servers_r);
    return e;
}

/* Nobody logs in at port 25. */
static bool client_certificates_wanted(const struct edge *edge)
{
    return edge->conf->tls.client_certificates && edge->role != ROLE_MX;
}

/* On an error what was there stays. */
static struct err set_show(struct edge *edge, const struct set *set)
{
    struct edge_tls *tls = edge->tls;
    struct tls_server *servers[NAMES] = {NULL};
    bool client_certificates = client_certificates_wanted(edge);
    struct err e = servers_make(edge, set, client_certificates, servers);
    if (err_is(e))
        return e;
    servers_release(tls->servers);
    memcpy(tls->servers, servers, sizeof(servers));
    tls->client_certificates = client_certificates;
    return e;
}

/* --- The keys that core knows ---------------------------------------------------------------- */

static struct known *known_find(struct edge_tls *tls, uint32_t key)
{
    for (size_t i = 0; i < tls->known_count; i++)
        if (tls->known[i].key == key)
            return &tls->known[i];
    return NULL;
}

/* What is past its time goes; the set that was shown gets an end. */
static void known_retire(struct edge_tls *tls, int64_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < tls->known_count; i++) {
        struct known known = tls->known[i];
        if (known.until == INT64_MAX)
            known.until = now + LINGER;
        if (known.until > now && kept < TLS_IDENTITIES_MAX)
            tls->known[kept++] = known;
    }
    tls->known_count = kept;
}

static void known_tell(struct edge *edge, const struct set *set)
{
    struct edge_tls *tls = edge->tls;
    known_retire(tls, edge->loop->now);
    for (size_t i = 0; i < set->count; i++) {
        struct known *known = known_find(tls, set->list[i].key);
        if (!known)
            known = &tls->known[tls->known_count++];
        *known = (struct known){.key = set->list[i].key, .until = INT64_MAX};
    }
    tls->told_by = edge->core_since;
}

static void waiter_over(struct waiter *waiter)
{
    TAILQ_REMOVE(&waiter->tls->waiters, waiter, link);
    wait_over(&waiter->wait);
}

static void waiters_wake(struct edge_tls *tls)
{
    while (!TAILQ_EMPTY(&tls->waiters))
        waiter_over(TAILQ_FIRST(&tls->waiters));
}

/* --- What core tells ------------------------------------------------------------------------- */

void edge_tls_identities(struct edge *edge, const struct msg_identities *end)
{
    struct edge_tls *tls = edge->tls;
    struct set *set = tls->coming ? tls->coming : set_new();
    tls->coming = NULL;
    struct err e = err_none();
    if (!set || set->bad)
        e = err_make(ERR_NO_MEMORY);
    else if (set->count != end->count)
        e = err_detail(ERR_BUS_BROKEN, STR("a set of certificates is not whole"));
    if (!err_is(e)) {
        known_tell(edge, set);
        waiters_wake(tls);
        e = set_show(edge, set);
    }
    if (err_is(e)) {
        log_err(edge->log, "certificates_not_shown", e);
        set_free(set);
        return;
    }
    set_free(tls->shown);
    tls->shown = set;
    log_event(edge->log, LOG_INFO, "certificates", log_u64("count", set->count));
}

void edge_tls_ticket_keys(struct edge *edge, const struct msg_ticket_keys *keys)
{
    struct edge_tls *tls = edge->tls;
    for (size_t i = 0; i < keys->keys_count; i++)
        if (keys->keys[i].name.n != TLS_TICKET_NAME || keys->keys[i].aes.n != TLS_TICKET_KEY ||
            keys->keys[i].mac.n != TLS_TICKET_KEY)
            return;
    explicit_bzero(tls->tickets, sizeof(tls->tickets));
    for (size_t i = 0; i < keys->keys_count; i++) {
        memcpy(tls->tickets[i].name, keys->keys[i].name.p, TLS_TICKET_NAME);
        memcpy(tls->tickets[i].aes, keys->keys[i].aes.p, TLS_TICKET_KEY);
        memcpy(tls->tickets[i].mac, keys->keys[i].mac.p, TLS_TICKET_KEY);
    }
    tls->ticket_count = keys->keys_count;
    for (size_t i = 0; i < NAMES; i++)
        if (tls->servers[i])
            tls_server_tickets(tls->servers[i], tls->tickets, tls->ticket_count);
}

void edge_tls_core_gone(struct edge *edge)
{
    struct edge_tls *tls = edge->tls;
    set_free(tls->coming);
    tls->coming = NULL;
    tls->known_count = 0;
    tls->told_by = 0;
    waiters_wake(tls);
}

/* --- Signatures ------------------------------------------------------------------------------ */

static void waited_enough(struct timer *timer)
{
    waiter_over(timer->arg);
}

/* May yield: until the core that is up has told which keys it has. */
static struct err keys_wait(struct edge *edge)
{
    struct edge_tls *tls = edge->tls;
    int64_t deadline = edge->loop->now + EDGE_CORE_WAIT;
    struct err e = edge_core_wait(edge, deadline);
    while (!err_is(e) && tls->told_by != edge->core_since) {
        struct waiter waiter = {.tls = tls};
        waiter.timer = (struct timer){.run = waited_enough, .arg = &waiter};
        TAILQ_INSERT_TAIL(&tls->waiters, &waiter, link);
        timer_set(edge->loop, &waiter.timer, deadline);
        wait_for(&waiter.wait);
        timer_clear(edge->loop, &waiter.timer);
        e = edge->loop->now < deadline ? edge_core_wait(edge, deadline) : err_make(ERR_BUS_BROKEN);
    }
    return e;
}

static struct err signature_take(const struct msg_signature *signature, unsigned char *signature_r,
                                 size_t *length_r)
{
    if (signature->error != ERR_NONE)
        return err_make((enum err_code)signature->error);
    if (signature->octets.n == 0 || signature->octets.n > TLS_SIGNATURE_MAX)
        return err_make(ERR_BUS_BROKEN);
    memcpy(signature_r, signature->octets.p, signature->octets.n);
    *length_r = signature->octets.n;
    return err_none();
}

static struct err ask_signature(void *arg, const struct tls_signing *what,
                                unsigned char *signature_r, size_t *length_r)
{
    struct edge *edge = arg;
    must_be(edge, EDGE_MAGIC);
    struct err e = keys_wait(edge);
    if (err_is(e))
        return e;
    const struct known *known = known_find(edge->tls, what->key);
    if (!known || known->until <= edge->loop->now)
        return err_detail(ERR_TLS_UNAVAILABLE, STR("the certificate was replaced"));
    struct arena *arena = edge_scratch_take(edge);
    if (!arena)
        return err_make(ERR_NO_MEMORY);
    struct msg answer, msg = {.kind = MSG_sign,
                              .sign = {.key = what->key,
                                       .scheme = what->scheme,
                                       .randoms = what->randoms,
                                       .what = what->what}};
    e = edge_ask(edge, &msg, arena, &answer);
    if (!err_is(e))
        e = signature_take(&answer.signature, signature_r, length_r);
    edge_scratch_give(edge, arena);
    return e;
}

/* --- Sessions -------------------------------------------------------------------------------- */

struct tls_server *edge_tls(struct edge *edge, enum listen_protocol protocol)
{
    return protocols[protocol].has_name ? edge->tls->servers[protocols[protocol].name] : NULL;
}

bool edge_session_begin_tls(struct edge_session *session)
{
    struct edge *edge = session->edge;
    struct tls_server *server = edge_tls(edge, session->listen);
    return server && stream_tls_begin(session->stream, server, edge->fibers) == 0;
}

/* The certificates may change while it leaves: the server is asked for behind it. */
bool edge_session_start_tls(struct edge_session *session, int64_t deadline)
{
    return stream_flush(session->stream, deadline) && edge_session_begin_tls(session);
}

struct str edge_session_tls_version(const struct edge_session *session)
{
    struct tls_facts facts;
    if (stream_tls_state(session->stream) != STREAM_TLS_ON)
        return STR("");
    stream_tls_facts(session->stream, &facts);
    return facts.version;
}

void edge_session_tls_failed(const struct edge_session *session, struct str protocol)
{
    log_event(session->edge->log, LOG_INFO, "tls_failed",
              log_str("client", edge_session_client(session)), log_str("protocol", protocol),
              log_str("why", stream_tls_failure(session->stream)));
}

void edge_tls_configure(struct edge *edge)
{
    struct edge_tls *tls = edge->tls;
    if (!tls->shown || tls->client_certificates == client_certificates_wanted(edge))
        return;
    struct err e = set_show(edge, tls->shown);
    if (err_is(e))
        log_err(edge->log, "certificates_not_shown", e);
}

struct err edge_tls_open(struct edge *edge)
{
    edge->tls = calloc(1, sizeof(*edge->tls));
    if (!edge->tls)
        return err_make(ERR_NO_MEMORY);
    TAILQ_INIT(&edge->tls->waiters);
    return err_none();
}

void edge_tls_close(struct edge *edge)
{
    struct edge_tls *tls = edge->tls;
    if (!tls)
        return;
    edge_tls_core_gone(edge);
    servers_release(tls->servers);
    set_free(tls->shown);
    explicit_bzero(tls->tickets, sizeof(tls->tickets));
    free(tls);
    edge->tls = NULL;
}
