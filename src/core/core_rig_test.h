/*
 * For core's tests: core over the memory engine in a fake world, and edges that say what the test
 * wants, honest or not, at the other ends of their links. Each edge is a role with a loop of its
 * own. house_ask waits for the answer; house_ask_begin and house_settle let several questions be on
 * their way.
 *
 * The people: alice, bob, and carol with a quota of 1 KB; dave is disabled; "two" is an alias to
 * alice and bob, "team" a list of alice, bob and carol that alice owns; "old" has moved elsewhere,
 * and "away" is an alias to carol and somebody elsewhere.
 */
#ifndef CORE_CORE_RIG_TEST_H
#define CORE_CORE_RIG_TEST_H

#include <openssl/evp.h>

#include "core/peer.h"
#include "format/summary.h"
#include "format/transmission.h"
#include "store/local/engine_rig_test.h"

enum {
    HOUSE_EDGES = 4,
    HOUSE_ARENA = 64 << 20,
    HOUSE_SEGMENT = 8 << 20,
    HOUSE_IDENTITIES = 8,
};

struct edge_end {
    struct house *house;
    int role;
    enum bus_role kind;
    struct loop *loop;
    struct fiber_pool *fibers;
    struct link link;
    char *slabs;
    size_t kept;    /* ends of tries that core told to be durable */
    size_t changes; /* of the directory that core told */
    size_t pulses;  /* signs of life of a command */
    struct {
        uint32_t keys[HOUSE_IDENTITIES];
        char names[HOUSE_IDENTITIES][64]; /* the first of each */
        size_t coming, count, sets;
    } identities;                 /* of the set that was told last */
    unsigned char tickets[3][80]; /* name, aes, mac */
    size_t ticket_count, ticket_tells;
    size_t bans;       /* that core told, and has not lifted */
    size_t taken_back; /* log-ins that core ended */
    uint64_t last_taken_back;
    /* A courier: what core gives it; what a message borrows is the house's to keep. */
    void (*heard)(struct edge_end *, const struct msg *);
    bool up, ended;
    size_t lines, lines_over; /* collections that it was given an end of, and that are over */
    uint64_t last_line;
};

struct house {
    struct rig rig;
    struct core core;
    struct log log;
    struct conf conf;
    struct arena arena; /* the configuration, and what tests keep */
    struct resent *resent;
    struct edge_end edges[HOUSE_EDGES];
    size_t edge_count;
};

static inline void house_settle(struct house *house)
{
    (void)fake_run(house->rig.fake, world_mono(&house->rig.fake->world));
}

static inline void house_pass(struct house *house, int64_t ns)
{
    (void)fake_run(house->rig.fake, world_mono(&house->rig.fake->world) + ns);
}

/* --- Core --- */

static inline void house_core_open(struct rig *rig, void *arg)
{
    struct house *house = arg;
    log_init(&house->log, &rig->fake->world, "core");
    assert_false(err_is(core_open(&house->core, rig->loop, rig->fibers, &house->log, &house->conf,
                                  rig->engine, house->resent)));
}

static inline void house_start(struct house *house)
{
    struct rig *rig = &house->rig;
    rig->role = 0;
    house->resent = resent_new(&rig->fake->world);
    assert_non_null(house->resent);
    rig->replayed = resent_replayed;
    rig->replayed_arg = house->resent;
    assert_true(rig_open(rig));
    assert_true(rig_do(rig, house_core_open, house));
}

static inline void house_core_close(struct rig *rig, void *arg)
{
    struct house *house = arg;
    (void)rig;
    core_close(&house->core);
}

static inline void house_stop(struct house *house)
{
    assert_true(rig_do(&house->rig, house_core_close, house));
    rig_close(&house->rig);
    resent_free(house->resent);
    house->resent = NULL;
}

static inline void secrets_bury(struct house *house)
{
    rig_bury(house->core.desk.guard);
    rig_bury(house->core.desk.successes);
    rig_bury(house->core.signing);
}

/* kill -9 and power cut. */
static inline void house_crash(struct house *house)
{
    struct peer *peer;
    LIST_FOREACH (peer, &house->core.peers, link_in_core)
        rig_bury(peer);
    rig_bury(house->resent);
    rig_bury(TAILQ_FIRST(&house->core.spare_requests));
    rig_bury(LIST_FIRST(&house->core.spare_transactions));
    spares_done(&house->core.spares);
    rig_bury(house->core.queue);
    rig_bury(house->core.governor);
    rig_bury(house->core.tls_counts);
    rig_bury(house->core.senders.all);
    rig_bury(house->core.dns.link);
    secrets_bury(house);
    buf_done(&house->core.audit.queue);
    rig_crash(&house->rig);
    house->resent = NULL;
    house_settle(house);
}

/* --- People --- */

static inline struct addr house_addr(struct house *house, const char *text)
{
    struct addr addr;
    assert_false(err_is(addr_parse(str_from(text), &house->arena, &addr)));
    return addr;
}

static inline void house_account(struct house *house, const char *address, struct account account)
{
    struct addr addr = house_addr(house, address);
    assert_false(
        err_is(directory_account_add(&house->core.directory, &addr, &account, &house->arena)));
}

static inline void house_people(struct rig *rig, void *arg)
{
    struct house *house = arg;
    struct directory *directory = &house->core.directory;
    struct arena *arena = &house->arena;
    /* "secret", by a hash that is quick to check */
    struct str hash = STR("$6$rounds=1000$salt$HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgf"
                          "hbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm.");
    (void)rig;
    assert_false(err_is(directory_domain_add(directory, STR("example.test"), arena)));
    house_account(house, "alice@example.test", (struct account){.password = hash});
    house_account(house, "bob@example.test", (struct account){.password = hash});
    house_account(house, "carol@example.test", (struct account){.password = hash, .quota = 1024});
    house_account(house, "dave@example.test", (struct account){.password = hash, .disabled = true});
    struct addr alice = house_addr(house, "alice@example.test");
    struct addr bob = house_addr(house, "bob@example.test");
    struct addr carol = house_addr(house, "carol@example.test");
    struct addr two = house_addr(house, "two@example.test"), both[] = {alice, bob};
    assert_false(err_is(directory_alias_add(directory, &two, both, 2, arena)));
    struct addr team = house_addr(house, "team@example.test");
    struct mailing_list list = {.expandable = true};
    struct member_change members[] = {{.member = alice}, {.member = bob}, {.member = carol}};
    assert_false(err_is(directory_list_add(directory, &team, &list, &alice, members, 3, arena)));
    struct addr old = house_addr(house, "old@example.test");
    struct addr elsewhere = house_addr(house, "new@else.example");
    assert_false(err_is(directory_moved_add(directory, &old, &elsewhere, false, arena)));
    struct addr away = house_addr(house, "away@example.test"),
                here_and_there[] = {carol, elsewhere};
    assert_false(err_is(directory_alias_add(directory, &away, here_and_there, 2, arena)));
}

static inline void house_open(struct house *house, const char *conf, uint64_t seed)
{
    struct conf_trouble trouble;
    *house = (struct house){.edge_count = 0};
    arena_init(&house->arena, HOUSE_ARENA);
    struct err e =
        conf_parse(str_from(conf), STR("house"), STR("/"), &house->arena, &house->conf, &trouble);
    assert_false(err_is(e));
    buf_done(&trouble.text);
    house->conf.login.scram_rounds = SCRAM_ROUNDS_LEAST; /* many log in for the first time */
    rig_init(&house->rig, seed);
    house->rig.settings.segment_size = HOUSE_SEGMENT;
    house_start(house);
    assert_true(rig_do(&house->rig, house_people, house));
}

/* --- Edges --- */

static inline void edge_end_identity(struct edge_end *edge, const struct msg_identity *identity)
{
    size_t at = edge->identities.coming++;
    assert_true(at < HOUSE_IDENTITIES && identity->chain_count > 0);
    edge->identities.keys[at] = identity->key;
    if (identity->names_count)
        memcpy(edge->identities.names[at], identity->names[0].text.p, identity->names[0].text.n);
    edge->identities.names[at][identity->names_count ? identity->names[0].text.n : 0] = '\0';
    assert_true(identity->standard == (at == 0));
}

/* True: it was about TLS. */
static inline bool edge_end_tls(struct edge_end *edge, const struct msg *msg)
{
    const struct msg_ticket_keys *tickets = &msg->ticket_keys;
    if (msg->kind == MSG_identity) {
        edge_end_identity(edge, &msg->identity);
    } else if (msg->kind == MSG_identities) {
        assert_int_equal(msg->identities.count, edge->identities.coming);
        edge->identities.count = edge->identities.coming;
        edge->identities.coming = 0;
        edge->identities.sets++;
    } else if (msg->kind == MSG_ticket_keys) {
        for (size_t i = 0; i < tickets->keys_count; i++) {
            memcpy(edge->tickets[i], tickets->keys[i].name.p, 16);
            memcpy(edge->tickets[i] + 16, tickets->keys[i].aes.p, 32);
            memcpy(edge->tickets[i] + 48, tickets->keys[i].mac.p, 32);
        }
        edge->ticket_count = tickets->keys_count;
        edge->ticket_tells++;
    } else {
        return false;
    }
    return true;
}

static inline void edge_end_got(struct link *link, const struct msg *msg, int passed)
{
    struct edge_end *edge = link->arg;
    struct world *world = &edge->house->rig.fake->world;
    if (msg->kind == MSG_tries_kept) {
        edge->kept += msg->tries_kept.tries_count;
        return;
    }
    if (msg->kind == MSG_admin_text) {
        edge->pulses += msg->admin_text.text.n == 0;
        return;
    }
    if (msg->kind == MSG_directory_changed) {
        edge->changes++;
        return;
    }
    if (msg->kind == MSG_bans || msg->kind == MSG_ban_lifted) {
        edge->bans += msg->kind == MSG_bans ? msg->bans.bans_count : (size_t)-1;
        return;
    }
    if (msg->kind == MSG_line || msg->kind == MSG_collection) {
        edge->lines++;
        edge->last_line = msg->kind == MSG_line ? msg->line.line : msg->collection.collection;
        world->ops->close(world, passed);
        return;
    }
    if (msg->kind == MSG_collection_over) {
        edge->lines_over++;
        return;
    }
    if (msg->kind == MSG_login_ended) {
        edge->taken_back++;
        edge->last_taken_back = msg->login_ended.handle;
        return;
    }
    if (edge->kind == ROLE_COURIER && msg->kind != MSG_welcome) {
        assert_non_null(edge->heard);
        edge->heard(edge, msg);
        return;
    }
    if (edge_end_tls(edge, msg))
        return;
    assert_int_equal(msg->kind, MSG_welcome);
    edge->slabs = world->ops->shm_map(world, passed, (size_t)CORE_SLABS * SLAB_SIZE);
    assert_non_null(edge->slabs);
    world->ops->close(world, passed);
    edge->up = true;
}

static inline void edge_end_ended(struct link *link, struct err why)
{
    struct edge_end *edge = link->arg;
    (void)why;
    link_done(link);
    edge->up = false;
    edge->ended = true;
}

static inline void edge_end_tell(struct edge_end *edge, const struct msg *msg)
{
    struct fake_world *fake = edge->house->rig.fake;
    fake_role_enter(fake, edge->role);
    assert_false(err_is(link_send(&edge->link, msg)));
    fake_role_enter(fake, 0);
}

/* A new link of an edge to the core that runs now; it says hello. */
static inline void edge_end_connect(struct edge_end *edge)
{
    static const struct link_owner owner = {.got = edge_end_got, .ended = edge_end_ended};
    struct house *house = edge->house;
    struct fake_world *fake = house->rig.fake;
    int pair[2];
    fake_packet_pair(fake, house->rig.role, edge->role, pair);
    fake_role_enter(fake, house->rig.role);
    assert_false(err_is(peer_add(&house->core, pair[0], edge->kind, 1)));
    fake_role_enter(fake, edge->role);
    assert_int_equal(
        link_init(&edge->link, edge->loop, pair[1], edge->kind, ROLE_CORE, &owner, edge), 0);
    fake_role_enter(fake, 0);
    edge->ended = false;
    edge->bans = 0;
    if (edge->kind == ROLE_CLI) { /* a command says no hello */
        edge->up = true;
        return;
    }
    edge_end_tell(edge, &(struct msg){.kind = MSG_hello, .hello = {.instance = 1}});
    house_settle(house);
    assert_true(edge->up);
}

static inline struct edge_end *house_edge(struct house *house, enum bus_role kind)
{
    assert_true(house->edge_count < HOUSE_EDGES);
    struct edge_end *edge = &house->edges[house->edge_count++];
    struct fake_world *fake = house->rig.fake;
    *edge = (struct edge_end){.house = house, .kind = kind, .role = fake_role_open(fake, "edge")};
    fake_role_enter(fake, edge->role);
    edge->loop = calloc(1, sizeof(*edge->loop));
    assert_non_null(edge->loop);
    assert_int_equal(loop_init(edge->loop, &fake->world), 0);
    edge->fibers = fiber_pool_open(edge->loop, 64);
    assert_non_null(edge->fibers);
    fake_role_enter(fake, 0);
    edge_end_connect(edge);
    return edge;
}

/* The edge goes, in order: its link is closed. */
static inline void edge_end_leave(struct edge_end *edge)
{
    struct fake_world *fake = edge->house->rig.fake;
    fake_role_enter(fake, edge->role);
    if (edge->up)
        link_done(&edge->link);
    edge->up = false;
    fake_role_enter(fake, 0);
    house_settle(edge->house);
}

static inline void edge_end_close(struct edge_end *edge)
{
    struct fake_world *fake = edge->house->rig.fake;
    edge_end_leave(edge);
    fake_role_enter(fake, edge->role);
    fiber_pool_close(edge->fibers);
    loop_done(edge->loop);
    free(edge->loop);
    fake_role_enter(fake, 0);
    fake_kill_role(fake, edge->role);
}

static inline void house_close(struct house *house)
{
    for (size_t i = 0; i < house->edge_count; i++)
        edge_end_close(&house->edges[i]);
    house_stop(house);
    rig_done(&house->rig);
    arena_done(&house->arena);
}

/* --- Questions --- */

struct asking {
    struct edge_end *edge;
    struct msg question, answer;
    struct fiber_start start;
    struct err e;
    bool done;
};

static inline void asking_run(void *arg)
{
    struct asking *asking = arg;
    asking->e = link_ask(&asking->edge->link, &asking->question, &asking->edge->house->arena,
                         &asking->answer);
    asking->done = true;
}

/* What the question points to must stay until it was sent: until the next house_settle. */
static inline void house_ask_begin(struct asking *asking, struct edge_end *edge,
                                   struct msg question)
{
    struct fake_world *fake = edge->house->rig.fake;
    *asking = (struct asking){.edge = edge, .question = question};
    asking->start = (struct fiber_start){.run = asking_run, .arg = asking};
    fake_role_enter(fake, edge->role);
    fiber_run(edge->fibers, &asking->start);
    fake_role_enter(fake, 0);
}

/* The answer, or what became of the link. */
static inline struct err house_ask(struct edge_end *edge, struct msg question, struct msg *answer_r)
{
    struct asking asking;
    house_ask_begin(&asking, edge, question);
    house_settle(edge->house);
    for (int i = 0; i < 100 && !asking.done; i++)
        house_pass(edge->house, NS_PER_SECOND / 10);
    assert_true(asking.done);
    *answer_r = asking.answer;
    return asking.e;
}

/* --- Mail in --- */

static inline struct msg_resolved house_resolve(struct edge_end *edge, uint64_t transaction,
                                                const char *const *recipients, size_t count)
{
    struct msg_address *list =
        arena_take_array(&edge->house->arena, count, sizeof(struct msg_address));
    assert_non_null(list);
    for (size_t i = 0; i < count; i++)
        list[i].text = str_from(recipients[i]);
    struct msg answer;
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transaction,
                                       .transmission = TRANSMISSION_ESMTP,
                                       .client = STR("192.0.2.1"),
                                       .server = STR("192.0.2.25"),
                                       .helo = STR("c.example"),
                                       .reverse_path = STR("x@c.example"),
                                       .recipients = list,
                                       .recipients_count = count}};
    assert_false(err_is(house_ask(edge, question, &answer)));
    assert_int_equal(answer.kind, MSG_resolved);
    assert_int_equal(answer.resolved.answers_count, count);
    return answer.resolved;
}

static inline struct msg_answer house_resolve_one(struct edge_end *edge, uint64_t transaction,
                                                  const char *recipient)
{
    return house_resolve(edge, transaction, &recipient, 1).answers[0];
}

enum {
    OFFERED_MAX = 100 /* recipients of an offer */
};

/* A commit of `text` for the tokens 1 .. count. The body goes into the slabs from 0 on, the summary
 * into those behind; the try's token is made of `token`. */
struct offer {
    struct msg msg;
    struct msg_slab body[16], summary[64];
    struct msg_recipient recipients[OFFERED_MAX];
    unsigned char token[TRY_TOKEN_SIZE], digest[32];
};

static inline size_t slabs_put(struct edge_end *edge, uint32_t from, struct str octets,
                               struct msg_slab *slabs)
{
    size_t count = 0;
    while (octets.n) {
        struct str here = str_head(octets, SLAB_SIZE);
        uint32_t index = from + (uint32_t)count;
        memcpy(edge->slabs + (size_t)index * SLAB_SIZE, here.p, here.n);
        slabs[count++] = (struct msg_slab){.index = index, .length = (uint32_t)here.n};
        octets = str_from_index(octets, here.n);
    }
    return count;
}

static inline size_t summary_put(struct edge_end *edge, struct str text, struct msg_slab *slabs)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct buf record = BUF_INIT(1 << 20);
    struct arena arena;
    arena_init(&arena, 8 << 20);
    summary_init(&summary, &arena, &limits);
    summary_feed(&summary, text);
    assert_false(err_is(summary_end(&summary)));
    summary_print(&summary, &record);
    size_t count = slabs_put(edge, 20, buf_str(&record), slabs);
    buf_done(&record);
    arena_done(&arena);
    return count;
}

static inline void offer_make(struct offer *offer, struct edge_end *edge, uint64_t transaction,
                              struct str text, size_t count, uint64_t token)
{
    *offer = (struct offer){.msg = {.kind = MSG_commit}};
    struct msg_commit *commit = &offer->msg.commit;
    memcpy(offer->token, &token, sizeof(token));
    unsigned n = 0;
    assert_true(EVP_Digest(text.p, text.n, offer->digest, &n, EVP_sha256(), NULL) == 1);
    assert_true(count <= OFFERED_MAX);
    for (size_t i = 0; i < count; i++)
        offer->recipients[i].token = (uint32_t)i + 1;
    *commit = (struct msg_commit){
        .transaction = transaction,
        .token = str_make(offer->token, sizeof(offer->token)),
        .trace_facts = STR("helo=c.example"),
        .received = STR("Received: from c.example\r\n"),
        .size = text.n,
        .digest = str_make(offer->digest, sizeof(offer->digest)),
        .body = offer->body,
        .body_count = slabs_put(edge, 0, text, offer->body),
        .summary = offer->summary,
        .summary_count = summary_put(edge, text, offer->summary),
        .recipients = offer->recipients,
        .recipients_count = count,
    };
}

/* Resolves and commits to one recipient; asserts that it was accepted. */
static inline struct msg_committed house_deliver(struct edge_end *edge, uint64_t transaction,
                                                 const char *recipient, struct str text,
                                                 uint64_t token)
{
    struct offer offer;
    struct msg answer;
    assert_int_equal(house_resolve_one(edge, transaction, recipient).error, ERR_NONE);
    offer_make(&offer, edge, transaction, text, 1, token);
    assert_false(err_is(house_ask(edge, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    return answer.committed;
}

/* --- Mail out --- */

static inline struct msg_logged_in house_login(struct edge_end *edge, struct str user,
                                               struct str password)
{
    struct msg answer;
    struct msg question = {.kind = MSG_login,
                           .login = {.protocol = LISTEN_POP3,
                                     .client = STR("192.0.2.7"),
                                     .user = user,
                                     .password = password}};
    assert_false(err_is(house_ask(edge, question, &answer)));
    return answer.logged_in;
}

static inline uint64_t house_enter(struct edge_end *edge, const char *user)
{
    struct msg_logged_in in = house_login(edge, str_from(user), STR("secret"));
    assert_int_equal(in.error, ERR_NONE);
    return in.handle;
}

static inline struct msg_mailbox_rows house_rows(struct edge_end *edge, uint64_t handle,
                                                 uint32_t from)
{
    struct msg answer;
    struct msg question = {
        .kind = MSG_mailbox_open,
        .mailbox_open = {.handle = handle, .mailbox = STR("INBOX"), .from_uid = from}};
    assert_false(err_is(house_ask(edge, question, &answer)));
    return answer.mailbox_rows;
}

/* How many messages an account has now. */
static inline size_t house_count(struct edge_end *edge, const char *user)
{
    uint64_t handle = house_enter(edge, user);
    struct msg_mailbox_rows page = house_rows(edge, handle, 0);
    size_t count = page.rows_count;
    while (page.more) {
        page = house_rows(edge, handle, page.rows[page.rows_count - 1].uid + 1);
        count += page.rows_count;
    }
    edge_end_tell(edge, &(struct msg){.kind = MSG_logout, .logout = {.handle = handle}});
    return count;
}

/* The next piece of a message into `slabs` slabs of `each` octets; what was given is at `to`. */
static inline struct msg_fetched house_fetch(struct edge_end *edge, uint64_t handle, uint32_t uid,
                                             uint64_t offset, size_t slabs, uint32_t each,
                                             struct buf *to)
{
    struct msg_slab list[64];
    struct msg answer;
    for (size_t i = 0; i < slabs; i++)
        list[i] = (struct msg_slab){.index = (uint32_t)i, .length = each};
    struct msg question = {
        .kind = MSG_fetch,
        .fetch = {
            .handle = handle, .uid = uid, .offset = offset, .slabs = list, .slabs_count = slabs}};
    assert_false(err_is(house_ask(edge, question, &answer)));
    uint64_t left = answer.fetched.octets;
    for (size_t i = 0; i < slabs && left; i++) {
        size_t n = left < each ? (size_t)left : each;
        buf_put(to, str_make(edge->slabs + i * SLAB_SIZE, n));
        left -= n;
    }
    return answer.fetched;
}

/* All of it, prefix and body. */
static inline void house_read(struct edge_end *edge, uint64_t handle, uint32_t uid, struct buf *to)
{
    struct msg_fetched fetched;
    do {
        fetched = house_fetch(edge, handle, uid, to->n, 4, SLAB_SIZE, to);
        assert_int_equal(fetched.error, ERR_NONE);
        assert_true(fetched.octets > 0);
    } while (to->n < fetched.total);
}

#endif
