/*
 * Records of keys, as core's duty asks for them: the resolver at the other end says what the test
 * has published.
 */
#include "core/signing_keys.h"

#include "base/test.h"
#include "core/core_rig_test.h"

enum {
    PUBLISHED_MAX = 400
};

#define HOUR (3600 * NS_PER_SECOND)

static struct house house;
static struct {
    char name[SIGNING_NAME_MAX];
    char text[DKIM_RECORD_MAX];
} published[PUBLISHED_MAX];
static size_t published_count, asked;
static bool silent; /* it answers that nobody knows */

/* TXT: strings of 255 octets at most (RFC 1035 3.3). */
static struct str rdata_of(const char *text)
{
    struct buf rdata = buf_in(&house.arena, 2 * DKIM_RECORD_MAX);
    struct str rest = str_from(text);
    while (rest.n) {
        struct str part = str_head(rest, 255);
        buf_putc(&rdata, (char)part.n);
        buf_put(&rdata, part);
        rest = str_from_index(rest, part.n);
    }
    return buf_built(&rdata);
}

static void resolver_got(struct link *link, const struct msg *msg, int passed)
{
    const struct msg_dns_ask *ask = &msg->dns_ask;
    struct msg_dns_record record;
    struct msg answer = {.kind = MSG_dns_answer,
                         .dns_answer = {.call = ask->call,
                                        .error = silent ? ERR_DNS_FAILED : ERR_NONE,
                                        .rcode = 3,
                                        .canonical = ask->name,
                                        .records = &record}};
    (void)passed;
    assert_int_equal(msg->kind, MSG_dns_ask);
    asked++;
    for (size_t i = 0; i < published_count && !silent; i++) {
        if (!str_eq(ask->name, str_from(published[i].name)))
            continue;
        record.rdata = rdata_of(published[i].text);
        answer.dns_answer.rcode = 0;
        answer.dns_answer.records_count = 1;
    }
    assert_false(err_is(link_send(link, &answer)));
}

static void resolver_up(void)
{
    static const struct link_owner owner = {.got = resolver_got, .ended = edge_end_ended};
    struct edge_end *end = &house.edges[house.edge_count++];
    struct fake_world *fake = house.rig.fake;
    int pair[2];
    *end = (struct edge_end){
        .house = &house, .kind = ROLE_RESOLVER, .role = fake_role_open(fake, "resolver")};
    fake_packet_pair(fake, house.rig.role, end->role, pair);
    fake_role_enter(fake, house.rig.role);
    assert_false(err_is(dns_client_attach(&house.core.dns, pair[0])));
    fake_role_enter(fake, end->role);
    end->loop = calloc(1, sizeof(*end->loop));
    assert_non_null(end->loop);
    assert_int_equal(loop_init(end->loop, &fake->world), 0);
    end->fibers = fiber_pool_open(end->loop, 64);
    assert_non_null(end->fibers);
    assert_int_equal(
        link_init(&end->link, end->loop, pair[1], ROLE_RESOLVER, ROLE_CORE, &owner, end), 0);
    end->up = true;
    fake_role_enter(fake, 0);
}

static int house_begin(void **state)
{
    (void)state;
    house_open(&house, "hostname = mx.example.test\n", 1);
    resolver_up();
    published_count = asked = 0;
    silent = false;
    return 0;
}

static int house_end(void **state)
{
    (void)state;
    house_close(&house);
    return 0;
}

/* --- Keys --- */

/* A pair of keys that only look like some, for a look at the DNS reads no private one. */
static void pair_add(struct rig *rig, void *arg)
{
    const char *domain = arg;
    static const struct dkim_new keys[] = {
        {DKIM_RSA, STR_INIT("v=DKIM1; k=rsa; p=AAAA"), STR_INIT("P")},
        {DKIM_ED25519, STR_INIT("v=DKIM1; k=ed25519; p=AAAA"), STR_INIT("P")}};
    assert_false(err_is(dkim_kept_add(rig->engine, str_from(domain), true, keys, 2,
                                      world_wall(&rig->fake->world))));
}

static void add(const char *domain)
{
    union {
        const char *from;
        void *to;
    } arg = {.from = domain};
    assert_true(rig_do(&house.rig, pair_add, arg.to));
}

struct counting {
    size_t of[DKIM_RETIRED + 1];
    bool publish; /* all that wait */
};

static struct err key_count(void *arg, const struct dkim_kept *kept)
{
    struct counting *counting = arg;
    counting->of[kept->state]++;
    if (counting->publish && kept->state == DKIM_MADE) {
        assert_true(published_count < PUBLISHED_MAX);
        snprintf(published[published_count].name, SIGNING_NAME_MAX, "%.*s._domainkey.%.*s",
                 STR_FMT(kept->selector), STR_FMT(kept->domain));
        snprintf(published[published_count++].text, DKIM_RECORD_MAX, "%.*s", STR_FMT(kept->record));
    }
    return err_none();
}

static void keys_count(struct rig *rig, void *arg)
{
    assert_false(err_is(dkim_kept_each(rig->engine, str_null(), key_count, arg)));
}

static size_t keys_in(enum dkim_state state, bool publish)
{
    struct counting counting = {.publish = publish};
    assert_true(rig_do(&house.rig, keys_count, &counting));
    return counting.of[state];
}

/* --- Tests --- */

static void what_is_seen_signs(void **state)
{
    (void)state;
    add("example.test");
    house_pass(&house, 2 * HOUR);
    assert_true(asked >= 2);
    assert_int_equal(keys_in(DKIM_MADE, true), 2);
    snprintf(published[1].text, DKIM_RECORD_MAX, "v=DKIM1; k=rsa; p=BBBB");
    house_pass(&house, 2 * HOUR);
    assert_int_equal(keys_in(DKIM_MADE, false), 1); /* of the other one another key is there */
    assert_int_equal(keys_in(DKIM_ACTIVE, false), 1);
    published_count = 0;
    assert_int_equal(keys_in(DKIM_MADE, true), 1);
    silent = true;
    house_pass(&house, 2 * HOUR);
    assert_int_equal(keys_in(DKIM_MADE, false), 1); /* nobody knows */
    silent = false;
    house_pass(&house, 2 * HOUR);
    assert_int_equal(keys_in(DKIM_ACTIVE, false), 2);
    asked = 0;
    house_pass(&house, 5 * HOUR);
    assert_int_equal(asked, 0);
}

/* More than one look asks for: those that are never published keep nobody else waiting. */
static void all_that_wait_have_their_turn(void **state)
{
    (void)state;
    char domain[64];
    for (int i = 0; i < SIGNING_SOUGHT_MAX; i++) {
        snprintf(domain, sizeof(domain), "d%04d.test", i);
        add(domain);
    }
    house_pass(&house, HOUR + HOUR / 2);
    assert_true(asked > 0 && asked % SIGNING_SOUGHT_MAX == 0);
    add("last.test");
    assert_int_equal(keys_in(DKIM_MADE, false), 2 * SIGNING_SOUGHT_MAX + 2);
    (void)keys_in(DKIM_MADE, true);
    memmove(published, published + published_count - 2, 2 * sizeof(published[0]));
    published_count = 2;
    house_pass(&house, 4 * HOUR);
    assert_int_equal(keys_in(DKIM_ACTIVE, false), 2);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, house_begin, house_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(what_is_seen_signs),
        ONE(all_that_wait_have_their_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
