/*
 * Why messages of the DNS are read here and not by who asked: they are a stranger's octets, and
 * core reads none. What goes over the bus has a fixed form.
 */
#include "resolver/resolver.h"

#include "base/must.h"
#include "format/dns.h"

enum {
    ARENA = 1024 * 1024, /* the longest message, read and made an answer */
    WHY_MOST = 1024,     /* octets of a reason that are passed on */
};

#define PEER_MAGIC MAGIC('R', 'S', 'P', 'R')

/* A question of a peer's. */
struct question {
    LIST_ENTRY(question) entry;
    struct resolver_peer *peer;
    struct dns_question dns;
    uint32_t call;
    size_t n;
    char name[];
};

struct resolver_peer {
    LIST_ENTRY(resolver_peer) entry;
    uint32_t magic;
    struct resolver *resolver;
    struct link link;
    uint32_t instance;
    LIST_HEAD(, question) questions;
    size_t count;
};

static void question_free(struct question *question)
{
    LIST_REMOVE(question, entry);
    question->peer->count--;
    free(question);
}

/* --- Answers --------------------------------------------------------------------------------- */

static void answer_send(struct resolver_peer *peer, const struct msg *answer)
{
    struct err e = link_send(&peer->link, answer);
    if (err_is(e))
        link_cut(&peer->link, e); /* who does not read what he asked for */
}

static void error_send(struct resolver_peer *peer, uint32_t call, struct err e)
{
    bool known = e.code == ERR_DNS_FAILED || e.code == ERR_USAGE;
    struct msg msg = {.kind = MSG_dns_answer,
                      .dns_answer = {.call = call,
                                     .error = (uint16_t)(known ? e.code : ERR_TRY_LATER),
                                     .why = str_head(e.detail, WHY_MOST)}};
    answer_send(peer, &msg);
}

static struct err records_put(const struct dns_answer *answer, struct arena *arena,
                              struct msg_dns_answer *to)
{
    to->records = arena_take_array(arena, answer->count, sizeof(to->records[0]));
    if (!to->records)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < answer->count; i++)
        to->records[to->records_count++].rdata = answer->records[i].rdata;
    return err_none();
}

/* What was answered as it goes over the bus. A name that is not there has no records, whatever
 * else the message says. */
static struct err answer_make(const struct question *question, const struct dns_reply *reply,
                              struct arena *arena, struct msg_dns_answer *to)
{
    struct dns_answer answer;
    to->verdict = (uint8_t)reply->verdict;
    if (reply->verdict == DNS_BOGUS) {
        to->why = str_head(reply->why, WHY_MOST);
        return err_none();
    }
    struct err e =
        dns_answer_parse(reply->message, question->dns.name, question->dns.type, arena, &answer);
    if (err_is(e))
        return e;
    if (answer.rcode != DNS_NOERROR && answer.rcode != DNS_NXDOMAIN)
        return err_detail(ERR_DNS_FAILED, STR("the servers of the zone cannot or will not answer"));
    to->rcode = (uint16_t)answer.rcode;
    to->ttl = answer.ttl;
    to->canonical = answer.canonical;
    to->cut = answer.cut;
    return answer.rcode == DNS_NOERROR ? records_put(&answer, arena, to) : e;
}

static void answered(struct dns_question *dns, struct err e, const struct dns_reply *reply)
{
    struct question *question = dns->arg;
    struct resolver_peer *peer = question->peer;
    struct msg msg = {.kind = MSG_dns_answer, .dns_answer = {.call = question->call}};
    struct arena arena;
    must_be(peer, PEER_MAGIC);
    arena_init(&arena, ARENA);
    if (!err_is(e))
        e = answer_make(question, reply, &arena, &msg.dns_answer);
    if (err_is(e))
        error_send(peer, question->call, e);
    else
        answer_send(peer, &msg);
    arena_done(&arena);
    question_free(question);
}

/* --- Questions ------------------------------------------------------------------------------- */

static struct question *question_new(struct resolver_peer *peer, const struct msg_dns_ask *ask)
{
    struct question *question = malloc(sizeof(*question) + ask->name.n + 1);
    if (!question)
        return NULL;
    *question = (struct question){.peer = peer, .call = ask->call, .n = ask->name.n};
    if (ask->name.n)
        memcpy(question->name, ask->name.p, ask->name.n);
    question->dns = (struct dns_question){.name = str_make(question->name, question->n),
                                          .type = ask->type,
                                          .done = answered,
                                          .arg = question};
    LIST_INSERT_HEAD(&peer->questions, question, entry);
    peer->count++;
    return question;
}

static void asked(struct resolver_peer *peer, const struct msg_dns_ask *ask)
{
    struct resolver *resolver = peer->resolver;
    struct err e = err_none();
    if (!dns_name_ok(ask->name) || !dns_type_ok(ask->type))
        e = err_detail(ERR_USAGE, STR("not a name or a type that can be asked for"));
    else if (2 * peer->count >= resolver->questions)
        e = err_detail(ERR_TRY_LATER, STR("too many DNS questions of one role under way"));
    struct question *question = err_is(e) ? NULL : question_new(peer, ask);
    if (question)
        dns_ask(resolver->dns, &question->dns);
    else
        error_send(peer, ask->call, err_is(e) ? e : err_make(ERR_NO_MEMORY));
}

/* --- Peers ----------------------------------------------------------------------------------- */

static void peer_end(struct resolver_peer *peer)
{
    struct question *question;
    while ((question = LIST_FIRST(&peer->questions))) {
        dns_cancel(&question->dns);
        question_free(question);
    }
    LIST_REMOVE(peer, entry);
    link_done(&peer->link);
    peer->magic = 0;
    free(peer);
}

static void peer_got(struct link *link, const struct msg *msg, int passed)
{
    struct resolver_peer *peer = link->arg;
    must_be(peer, PEER_MAGIC);
    (void)passed;
    if (msg->kind == MSG_dns_ask)
        asked(peer, &msg->dns_ask);
    else
        link_cut(link, err_detail(ERR_BUS_BROKEN, STR("the resolver answers dns_ask alone")));
}

static void peer_ended(struct link *link, struct err why)
{
    struct resolver_peer *peer = link->arg;
    must_be(peer, PEER_MAGIC);
    if (why.code != ERR_PEER_GONE)
        log_err(peer->resolver->log, "peer_cut", why);
    peer_end(peer);
}

struct err resolver_peer_add(struct resolver *resolver, int handle, enum bus_role role,
                             uint32_t instance)
{
    static const struct link_owner owner = {.got = peer_got, .ended = peer_ended};
    struct resolver_peer *peer = calloc(1, sizeof(*peer));
    int failed =
        peer ? link_init(&peer->link, resolver->loop, handle, ROLE_RESOLVER, role, &owner, peer)
             : -1;
    if (failed) {
        resolver->loop->world->ops->close(resolver->loop->world, handle);
        free(peer);
        return err_make(ERR_NO_MEMORY);
    }
    peer->magic = PEER_MAGIC;
    peer->resolver = resolver;
    peer->instance = instance;
    LIST_INIT(&peer->questions);
    LIST_INSERT_HEAD(&resolver->peers, peer, entry);
    return err_none();
}

/* --- The whole of it ------------------------------------------------------------------------- */

void resolver_open(struct resolver *resolver, struct loop *loop, struct log *log, struct dns *dns,
                   size_t questions)
{
    *resolver = (struct resolver){
        .magic = RESOLVER_MAGIC, .loop = loop, .log = log, .dns = dns, .questions = questions};
    LIST_INIT(&resolver->peers);
}

void resolver_use(struct resolver *resolver, struct dns *dns, size_t questions)
{
    struct resolver_peer *peer;
    struct question *question;
    struct dns *before = resolver->dns;
    must_be(resolver, RESOLVER_MAGIC);
    resolver->dns = dns;
    resolver->questions = questions;
    LIST_FOREACH (peer, &resolver->peers, entry)
        LIST_FOREACH (question, &peer->questions, entry) {
            dns_cancel(&question->dns);
            dns_ask(dns, &question->dns);
        }
    dns_close(before);
}

void resolver_close(struct resolver *resolver)
{
    must_be(resolver, RESOLVER_MAGIC);
    while (!LIST_EMPTY(&resolver->peers))
        peer_end(LIST_FIRST(&resolver->peers));
    dns_close(resolver->dns);
    resolver->magic = 0;
}
