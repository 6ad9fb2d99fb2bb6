/*
 * Private keys in core, as the parent gives them and edges name them, honest and taken-over ones.
 */
#include "base/test.h"

#define HOUSE_SETTINGS                                                                             \
    "hostname = mx.example.test\n"                                                                 \
    "certificate door { chain = c\nkey = k\nlisteners = smtp }\n"                                  \
    "certificate users { chain = c\nkey = k\nlisteners = { submission, pop3 }\n"                   \
    "names = { \"*.users.test\", b.test } }\n"                                                     \
    "certificate all { chain = c\nkey = k }\n"
#include "core/house_test.h"
#include "core/keys.h"
#include "trust/key_rig_test.h"

enum {
    DOOR,
    USERS,
    ALL,
    FILES
};

#define DAY_US (INT64_C(86400) * 1000000)

static const char *const block_names[FILES] = {"door", "users", "all"};
static struct rig_pair pairs[FILES];
static struct keys *keys;
static struct edge_end *sub;

/* --- Files ----------------------------------------------------------------------------------- */

static struct err give_one(uint32_t place, uint32_t count, const char *name, struct rig_pair pair)
{
    const struct msg_certificate_files files = {.place = place,
                                                .count = count,
                                                .name = str_from(name),
                                                .chain = pair.chain,
                                                .key = pair.key};
    return keys_take(keys, &files);
}

/* As the parent tells a set: the first mistake of it. */
static struct err give(const struct rig_pair *set, size_t count)
{
    struct err e = err_none();
    if (count == 0)
        return give_one(0, 0, "", (struct rig_pair){.chain = STR("")});
    for (size_t i = 0; i < count; i++) {
        struct err one = give_one((uint32_t)i, (uint32_t)count, block_names[i], set[i]);
        if (!err_is(e))
            e = one;
    }
    return e;
}

static void begin_run(struct rig *rig, void *arg)
{
    (void)rig;
    *(struct err *)arg = keys_begin(keys, &house.core);
}

static struct err begin(void)
{
    struct err e;
    assert_true(rig_do(&house.rig, begin_run, &e));
    return e;
}

static void end(void)
{
    fake_role_enter(house.rig.fake, house.rig.role);
    keys_end(keys);
    fake_role_enter(house.rig.fake, 0);
    keys_free(keys);
}

static int up(void **state)
{
    house_up(state);
    keys = keys_new();
    assert_non_null(keys);
    pairs[DOOR] = rig_pair(EVP_EC_gen("P-256"), "DNS:door.test", &house.arena);
    pairs[USERS] = rig_pair(EVP_EC_gen("P-384"), "DNS:users.test", &house.arena);
    pairs[ALL] = rig_pair(EVP_EC_gen("P-256"), "DNS:all.test", &house.arena);
    return 0;
}

/* Edges that met core before it had its keys come again. */
static void serve(void)
{
    assert_false(err_is(give(pairs, FILES)));
    assert_false(err_is(begin()));
    edge_end_leave(mx);
    edge_end_connect(mx);
    edge_end_leave(box);
    edge_end_connect(box);
    sub = house_edge(&house, ROLE_SUB);
    house_settle(&house);
}

static int down(void **state)
{
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_leave(&house.edges[i]);
    end();
    return house_down(state);
}

static int up_serving(void **state)
{
    up(state);
    serve();
    return 0;
}

/* --- What edges are told --------------------------------------------------------------------- */

static void told(const struct edge_end *edge, const char *first, const char *second)
{
    assert_int_equal(edge->identities.count, 2);
    assert_string_equal(edge->identities.names[0], first);
    assert_string_equal(edge->identities.names[1], second);
}

static void each_role_is_told_what_it_may_show(void **state)
{
    (void)state;
    told(mx, "door.test", "all.test");
    told(sub, "*.users.test", "all.test"); /* as the block says */
    told(box, "*.users.test", "all.test");
    assert_int_equal(sub->identities.keys[0], box->identities.keys[0]);
    assert_int_equal(mx->identities.keys[1], box->identities.keys[1]);
    assert_true(mx->identities.keys[0] != box->identities.keys[0]);
    assert_int_equal(keys_count(keys), FILES);
    struct keys_row row = keys_row(keys, USERS);
    assert_str(row.name, STR("users"));
    assert_int_equal(row.roles, FROM_SUB | FROM_BOX);
    assert_int_equal(row.certificate->kind, KEY_P384);
}

static void without_certificates_edges_are_told_so(void **state)
{
    (void)state;
    assert_false(err_is(give(NULL, 0)));
    assert_false(err_is(begin()));
    sub = house_edge(&house, ROLE_SUB);
    assert_int_equal(sub->identities.sets, 1);
    assert_int_equal(sub->identities.count, 0);
    assert_int_equal(keys_count(keys), 0);
}

/* --- Files that are refused ------------------------------------------------------------------ */

static void a_set_with_a_mistake_is_refused_whole(void **state)
{
    (void)state;
    struct rig_pair mixed[FILES];
    memcpy(mixed, pairs, sizeof(mixed));
    mixed[USERS].key = pairs[ALL].key;
    assert_false(err_is(give(mixed, FILES))); /* they are read at the begin */
    struct err e = begin();
    assert_int_equal(e.code, ERR_CONFIG);
    assert_str(e.detail, STR("certificate users: the key does not belong to the certificate"));
    assert_null(house.core.keys);

    /* Afterwards the set before stays. */
    serve();
    size_t sets = mx->identities.sets;
    e = give(mixed, FILES);
    assert_int_equal(e.code, ERR_CONFIG);
    house_settle(&house);
    assert_int_equal(mx->identities.sets, sets);
    assert_int_equal(keys_count(keys), FILES);

    mixed[USERS] = pairs[USERS];
    mixed[DOOR].chain = STR("no certificate");
    e = give(mixed, FILES);
    assert_str(e.detail,
               STR("certificate door: the chain's file holds no certificate in PEM form"));
    assert_false(err_is(give(pairs, FILES)));
}

static void files_come_in_order(void **state)
{
    (void)state;
    assert_int_equal(give_one(1, 2, "door", pairs[DOOR]).code, ERR_BUS_BROKEN);
    assert_false(err_is(give_one(0, 2, "door", pairs[DOOR])));
    assert_int_equal(give_one(2, 2, "all", pairs[ALL]).code, ERR_BUS_BROKEN);
    assert_false(err_is(give_one(0, 2, "door", pairs[DOOR])));
    assert_int_equal(give_one(1, 3, "all", pairs[ALL]).code, ERR_BUS_BROKEN);
    assert_int_equal(give_one(0, KEYS_MAX + 1, "door", pairs[DOOR]).code, ERR_CONFIG);
    assert_false(err_is(give_one(0, KEYS_MAX, "door", pairs[DOOR])));
    /* Half a set is none. */
    assert_false(err_is(begin()));
    assert_int_equal(keys_count(keys), 0);
    struct err e = give_one(0, 1, "stranger", pairs[DOOR]);
    assert_str(e.detail, STR("certificate stranger: it is not in the configuration"));
    struct rig_pair large = pairs[DOOR];
    char *octets = arena_take(&house.arena, CERTIFICATE_FILE_MAX + 1);
    large.chain = str_make(octets, CERTIFICATE_FILE_MAX + 1);
    assert_int_equal(give_one(0, 1, "door", large).code, ERR_CONFIG);
}

/* --- Signatures ------------------------------------------------------------------------------ */

static struct msg question(uint32_t key, uint16_t scheme)
{
    static const char hash[32] = "the hash of what was said so far";
    return (struct msg){
        .kind = MSG_sign,
        .sign = {.key = key, .scheme = scheme, .what = str_make(hash, sizeof(hash))}};
}

static bool signature_fits(struct str chain, struct str octets)
{
    char signed_octets[98 + 32];
    memset(signed_octets, ' ', 64);
    memcpy(signed_octets + 64, "TLS 1.3, server CertificateVerify", 34);
    memcpy(signed_octets + 98, "the hash of what was said so far", 32);
    BIO *bio = BIO_new_mem_buf(chain.p, (int)chain.n);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, X509_get0_pubkey(x509));
    int good = EVP_DigestVerify(context, (const unsigned char *)octets.p, octets.n,
                                (const unsigned char *)signed_octets, sizeof(signed_octets));
    EVP_MD_CTX_free(context);
    X509_free(x509);
    BIO_free(bio);
    return good == 1;
}

static void signs(struct edge_end *edge, uint32_t key, struct str chain)
{
    struct msg answer;
    assert_false(err_is(house_ask(edge, question(key, 0x0403), &answer)));
    assert_int_equal(answer.signature.error, ERR_NONE);
    assert_true(signature_fits(chain, answer.signature.octets));
}

static void edges_get_handshakes_signed(void **state)
{
    (void)state;
    signs(mx, mx->identities.keys[0], pairs[DOOR].chain);
    signs(mx, mx->identities.keys[1], pairs[ALL].chain);
    signs(sub, sub->identities.keys[1], pairs[ALL].chain);
    signs(box, box->identities.keys[1], pairs[ALL].chain);
}

/* O04: what takes over the edge for strangers cannot be the users' server. */
static void a_key_is_of_its_roles(void **state)
{
    (void)state;
    refused_with_a_cut(mx, question(box->identities.keys[0], 0x0503));
    refused_with_a_cut(sub, question(mx->identities.keys[0], 0x0403));
    refused_with_a_cut(box, question(mx->identities.keys[0], 0x0403));
    refused_with_a_cut(mx, question(mx->identities.keys[0] + 1, 0x0403));
    refused_with_a_cut(mx, question(0, 0x0403));
}

static void what_is_no_handshake_cuts_the_link(void **state)
{
    (void)state;
    refused_with_a_cut(mx, question(mx->identities.keys[0], 0x0804)); /* it is no RSA key */
    struct msg msg = question(mx->identities.keys[0], 0x0403);
    msg.sign.what.n = 31;
    refused_with_a_cut(mx, msg);
    msg = question(mx->identities.keys[0], 0x0403);
    msg.sign.randoms = STR("a token, say");
    refused_with_a_cut(mx, msg);
}

static struct fiber_pool *many_fibers(int role, struct loop *loop)
{
    fake_role_enter(house.rig.fake, role);
    struct fiber_pool *pool = fiber_pool_open(loop, KEYS_WAITING_MAX + 1);
    assert_non_null(pool);
    fake_role_enter(house.rig.fake, 0);
    return pool;
}

static void too_many_signatures_are_refused(void **state)
{
    (void)state;
    static struct asking asked[KEYS_WAITING_MAX + 1];
    struct fiber_pool *asking = box->fibers, *serving = house.core.fibers;
    box->fibers = many_fibers(box->role, box->loop);
    house.core.fibers = many_fibers(house.rig.role, house.core.loop);
    int64_t job_most = fake_world_settings(house.rig.fake)->job_most;
    fake_world_settings(house.rig.fake)->job_most = 100 * NS_PER_SECOND;
    for (size_t i = 0; i <= KEYS_WAITING_MAX; i++)
        house_ask_begin(&asked[i], box, question(box->identities.keys[0], 0x0503));
    house_pass(&house, KEYS_WAITING_MAX * 100 * NS_PER_SECOND);
    fake_world_settings(house.rig.fake)->job_most = job_most;
    size_t later = 0;
    for (size_t i = 0; i <= KEYS_WAITING_MAX; i++) {
        const struct msg_signature *signature = &asked[i].answer.signature;
        assert_true(asked[i].done && !err_is(asked[i].e));
        assert_true((signature->error == ERR_NONE) == (signature->octets.n > 0));
        later += signature->error == ERR_TRY_LATER;
    }
    assert_int_equal(later, 1);
    fiber_pool_close(box->fibers);
    fiber_pool_close(house.core.fibers);
    box->fibers = asking;
    house.core.fibers = serving;
}

static void a_short_signature_waits_for_no_long_one(void **state)
{
    (void)state;
    enum {
        LONG = 8
    };
    struct asking asked[LONG], brief;
    int64_t *job_most = &fake_world_settings(house.rig.fake)->job_most, before = *job_most;
    *job_most = 1000 * NS_PER_SECOND;
    for (size_t i = 0; i < LONG; i++)
        house_ask_begin(&asked[i], box, question(box->identities.keys[0], 0x0503));
    house_settle(&house);
    house_ask_begin(&brief, box, question(box->identities.keys[1], 0x0403));
    house_pass(&house, NS_PER_SECOND);
    assert_true(brief.done);
    assert_true(signature_fits(pairs[ALL].chain, brief.answer.signature.octets));
    assert_false(asked[LONG - 1].done);
    house_pass(&house, LONG * 1000 * NS_PER_SECOND);
    for (size_t i = 0; i < LONG; i++)
        assert_int_equal(asked[i].answer.signature.error, ERR_NONE);
    *job_most = before; /* core's own jobs end before it does */
}

/* --- New sets -------------------------------------------------------------------------------- */

static void keys_of_the_set_before_linger(void **state)
{
    (void)state;
    uint32_t old = mx->identities.keys[0], same = mx->identities.keys[1];
    struct rig_pair before = pairs[DOOR];
    pairs[DOOR] = rig_pair(EVP_EC_gen("P-256"), "DNS:new.test", &house.arena);
    assert_false(err_is(give(pairs, FILES)));
    house_settle(&house);
    told(mx, "new.test", "all.test");
    assert_true(mx->identities.keys[0] != old);
    assert_int_equal(mx->identities.keys[1], same);
    signs(mx, old, before.chain);
    signs(mx, mx->identities.keys[0], pairs[DOOR].chain);
    house_pass(&house, KEYS_LINGER - NS_PER_SECOND);
    signs(mx, old, before.chain);
    house_pass(&house, NS_PER_SECOND);
    refused_with_a_cut(mx, question(old, 0x0403));
    signs(mx, same, pairs[ALL].chain);
    signs(mx, mx->identities.keys[0], pairs[DOOR].chain);
}

/* One that comes back while it lingers is the same again, for good. */
static void a_key_may_come_back(void **state)
{
    (void)state;
    uint32_t door = mx->identities.keys[0];
    assert_false(err_is(give(NULL, 0)));
    house_settle(&house);
    assert_int_equal(mx->identities.count, 0);
    signs(mx, door, pairs[DOOR].chain);
    assert_false(err_is(give(pairs, FILES)));
    house_pass(&house, 10 * KEYS_LINGER);
    assert_int_equal(mx->identities.keys[0], door);
    signs(mx, door, pairs[DOOR].chain);
}

/* A handshake may meet the next core. */
static void the_next_core_has_the_same_numbers(void **state)
{
    (void)state;
    uint32_t door = mx->identities.keys[0], users = box->identities.keys[0];
    edge_end_leave(mx);
    edge_end_leave(box);
    edge_end_leave(sub);
    end();
    keys = keys_new();
    assert_false(err_is(give(pairs, FILES)));
    assert_false(err_is(begin()));
    edge_end_connect(mx);
    edge_end_connect(box);
    edge_end_connect(sub);
    house_settle(&house);
    assert_int_equal(mx->identities.keys[0], door);
    assert_int_equal(box->identities.keys[0], users);
}

/* --- Ticket keys ----------------------------------------------------------------------------- */

static void ticket_keys_turn(void **state)
{
    (void)state;
    unsigned char seen[4][80];
    struct edge_end *other = house_edge(&house, ROLE_SUB);
    house_settle(&house);
    assert_int_equal(sub->ticket_count, 1);
    memcpy(seen[0], sub->tickets[0], 80);
    for (size_t hour = 1; hour < 4; hour++) {
        size_t tells = sub->ticket_tells;
        house_pass(&house, KEYS_ROTATE);
        assert_int_equal(sub->ticket_tells, tells + 1);
        assert_int_equal(sub->ticket_count, hour < 3 ? hour + 1 : 3);
        memcpy(seen[hour], sub->tickets[0], 80);
        for (size_t i = 0; i < sub->ticket_count; i++)
            assert_memory_equal(sub->tickets[i], seen[hour - i], 80);
        for (size_t i = 0; i < hour; i++)
            assert_memory_not_equal(seen[hour], seen[i], 80);
        assert_memory_equal(sub->tickets, other->tickets, sizeof(sub->tickets));
        /* Who takes over one role can write no ticket that another believes. */
        for (size_t i = 0; i < sub->ticket_count; i++) {
            assert_memory_not_equal(sub->tickets[i], mx->tickets[i], 16);
            assert_memory_not_equal(sub->tickets[i] + 16, mx->tickets[i] + 16, 64);
            assert_memory_not_equal(sub->tickets[i] + 16, box->tickets[i] + 16, 64);
        }
    }
}

/* --- The end of a certificate ---------------------------------------------------------------- */

static struct rig_pair pair_until(int64_t days)
{
    static const unsigned char serial[CERTIFICATE_SERIAL] = {1};
    struct str name = STR("door.test");
    struct rig_pair pair;
    int64_t now = world_wall(&house.rig.fake->world) + (days - CERTIFICATE_DAYS) * DAY_US;
    assert_false(
        err_is(certificate_make(&name, 1, now, serial, &house.arena, &pair.chain, &pair.key)));
    return pair;
}

static size_t lines_with(const char *what)
{
    struct str log = fake_log(house.rig.fake);
    size_t count = 0;
    for (ssize_t at; (at = str_find(log, str_from(what))) >= 0; count++)
        log = str_from_index(log, (size_t)at + 1);
    return count;
}

static void an_end_is_warned_of_each_day(void **state)
{
    (void)state;
    pairs[DOOR] = pair_until(22);
    pairs[ALL] = pair_until(400);
    pairs[USERS] = pair_until(400);
    assert_false(err_is(give(pairs, FILES)));
    assert_false(err_is(begin()));
    assert_int_equal(lines_with(" certificate_"), 0);
    int64_t day = 24 * 3600 * NS_PER_SECOND;
    house_pass(&house, day); /* 21 days: its last octet of time less an hour */
    assert_int_equal(lines_with(" certificate_ends name=door days=20"), 1);
    house_pass(&house, day);
    assert_int_equal(lines_with(" certificate_ends name=door"), 2);
    house_pass(&house, 20 * day);
    assert_int_equal(lines_with(" certificate_expired name=door days=0"), 1);
    assert_int_equal(lines_with("name=all"), 0);
    assert_false(err_is(give(pairs, FILES))); /* said at once */
    assert_int_equal(lines_with(" certificate_expired name=door"), 2);
}

#define UNBEGUN(name) cmocka_unit_test_setup_teardown(name, up, down)
#define SERVING(name) cmocka_unit_test_setup_teardown(name, up_serving, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SERVING(each_role_is_told_what_it_may_show),
        UNBEGUN(without_certificates_edges_are_told_so),
        UNBEGUN(a_set_with_a_mistake_is_refused_whole),
        UNBEGUN(files_come_in_order),
        SERVING(edges_get_handshakes_signed),
        SERVING(a_key_is_of_its_roles),
        SERVING(what_is_no_handshake_cuts_the_link),
        SERVING(too_many_signatures_are_refused),
        SERVING(a_short_signature_waits_for_no_long_one),
        SERVING(keys_of_the_set_before_linger),
        SERVING(a_key_may_come_back),
        SERVING(the_next_core_has_the_same_numbers),
        SERVING(ticket_keys_turn),
        UNBEGUN(an_end_is_warned_of_each_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
