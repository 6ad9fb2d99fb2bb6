/*
 * The resolver and those who ask it (role/dns.h), each in a role of the fake world, zones from
 * memory behind it: what is asked goes the whole way, over the bus and back.
 */
#include "resolver/resolver.h"

#include "base/test.h"
#include "role/dns.h"
#include "sys/fake/dns.h"
#include "sys/fake/fake.h"

enum {
    FIBERS = 600,
    ARENA = 4 * 1024 * 1024,
    QUESTIONS = 100,
};
#define LIMIT (20 * NS_PER_SECOND)

struct house {
    struct fake_world *fake;
    struct fake_zones *zones;
    int asker, answerer;
    struct loop loop; /* of the asker */
    struct loop resolver_loop;
    struct fiber_pool *fibers;
    struct dns_client client;
    struct resolver resolver;
    struct log log;
    bool up;
    unsigned alone; /* how often it was told */
};

static void alone(void *arg)
{
    ((struct house *)arg)->alone++;
}

static void resolver_up(struct house *house)
{
    fake_role_enter(house->fake, house->answerer);
    log_init(&house->log, &house->fake->world, "resolver");
    assert_int_equal(loop_init(&house->resolver_loop, &house->fake->world), 0);
    resolver_open(&house->resolver, &house->resolver_loop, &house->log,
                  fake_dns_open(house->zones, &house->resolver_loop, LIMIT, QUESTIONS), QUESTIONS);
    fake_role_enter(house->fake, 0);
    house->up = true;
}

static void link_up(struct house *house)
{
    int pair[2];
    fake_packet_pair(house->fake, house->answerer, house->asker, pair);
    fake_role_enter(house->fake, house->answerer);
    assert_int_equal(resolver_peer_add(&house->resolver, pair[0], ROLE_MX, 0).code, ERR_NONE);
    fake_role_enter(house->fake, house->asker);
    assert_int_equal(dns_client_attach(&house->client, pair[1]).code, ERR_NONE);
    fake_role_enter(house->fake, 0);
}

static void resolver_down(struct house *house)
{
    if (!house->up)
        return;
    house->up = false;
    fake_role_enter(house->fake, house->answerer);
    resolver_close(&house->resolver);
    loop_done(&house->resolver_loop);
    fake_role_enter(house->fake, 0);
}

static int house_open(void **state)
{
    static struct house house;
    house = (struct house){.fake = fake_world_open(1, NULL), .zones = fake_zones_open()};
    house.asker = fake_role_open(house.fake, "mx");
    house.answerer = fake_role_open(house.fake, "resolver");
    fake_role_enter(house.fake, house.asker);
    assert_int_equal(loop_init(&house.loop, &house.fake->world), 0);
    house.fibers = fiber_pool_open(&house.loop, FIBERS);
    dns_client_init(&house.client, &house.loop, ROLE_MX, alone, &house);
    fake_role_enter(house.fake, 0);
    resolver_up(&house);
    link_up(&house);
    *state = &house;
    return 0;
}

static int house_close(void **state)
{
    struct house *house = *state;
    resolver_down(house);
    fake_role_enter(house->fake, house->asker);
    dns_client_done(&house->client);
    fiber_pool_close(house->fibers);
    loop_done(&house->loop);
    fake_role_enter(house->fake, 0);
    fake_zones_close(house->zones);
    assert_int_equal(fake_role_handles(house->fake, house->asker), 0);
    assert_int_equal(fake_role_handles(house->fake, house->answerer), 0);
    fake_world_close(house->fake);
    return 0;
}

/* --- Asking ---------------------------------------------------------------------------------- */

struct asked {
    struct house *house;
    struct fiber_start start;
    const char *name;
    uint16_t type;
    struct arena arena;
    struct err e;
    int64_t took;
    bool over;
    struct dns_raw raw;
    struct dns_mxs mxs;
    struct dns_addresses addresses;
    struct dns_txts txts;
    struct dns_tlsas tlsas;
    struct dns_names names;
};

static void ask_run(void *arg)
{
    struct asked *asked = arg;
    struct dns_client *client = &asked->house->client;
    struct str name = str_from(asked->name);
    int64_t began = world_mono(asked->house->loop.world);
    if (asked->type == DNS_MX)
        asked->e = dns_mx(client, name, &asked->arena, &asked->mxs);
    else if (asked->type == DNS_A || asked->type == DNS_AAAA)
        asked->e =
            dns_address(client, name, (enum dns_type)asked->type, &asked->arena, &asked->addresses);
    else if (asked->type == DNS_TXT)
        asked->e = dns_txt(client, name, &asked->arena, &asked->txts);
    else if (asked->type == DNS_TLSA)
        asked->e = dns_tlsa(client, name, &asked->arena, &asked->tlsas);
    else if (asked->type == DNS_PTR)
        asked->e = dns_ptr(client, name, &asked->arena, &asked->names);
    else
        asked->e = dns_raw(client, name, asked->type, &asked->arena, &asked->raw);
    asked->took = world_mono(asked->house->loop.world) - began;
    asked->over = true;
}

static void ask_begin(struct house *house, struct asked *asked, const char *name, uint16_t type)
{
    *asked = (struct asked){.house = house, .name = name, .type = type};
    arena_init(&asked->arena, ARENA);
    asked->start = (struct fiber_start){.run = ask_run, .arg = asked};
    fake_role_enter(house->fake, house->asker);
    fiber_run(house->fibers, &asked->start);
    fake_role_enter(house->fake, 0);
}

static void run(struct house *house, int64_t ns)
{
    fake_run(house->fake, world_mono(&house->fake->world) + ns);
}

/* The answer; the caller's until the next question. */
static struct asked *ask(struct house *house, const char *name, uint16_t type)
{
    static struct asked asked;
    arena_done(&asked.arena);
    ask_begin(house, &asked, name, type);
    run(house, 2 * LIMIT);
    assert_true(asked.over);
    return &asked;
}

/* --- Answers --------------------------------------------------------------------------------- */

static void hosts_come_by_preference(void **state)
{
    struct house *house = *state;
    fake_zones_mx(house->zones, "a.test", 20, "c.test");
    fake_zones_mx(house->zones, "a.test", 10, "B.test");
    fake_zones_mx(house->zones, "a.test", 20, "d.test");
    fake_zones_mx(house->zones, "a.test", 5, "no host.test");
    fake_zones_behave(house->zones, "a.test", (struct fake_behaviour){.verdict = DNS_SECURE});
    struct asked *asked = ask(house, "A.test", DNS_MX);
    assert_int_equal(asked->e.code, ERR_NONE);
    assert_int_equal(asked->mxs.count, 3);
    assert_str(asked->mxs.list[0].host, STR("b.test"));
    assert_int_equal(asked->mxs.list[0].preference, 10);
    assert_str(asked->mxs.list[1].host, STR("c.test"));
    assert_str(asked->mxs.list[2].host, STR("d.test"));
    assert_true(asked->mxs.found.secure);
    assert_int_equal(asked->mxs.found.ttl, 300);
    assert_str(asked->mxs.found.canonical, STR("a.test"));
}

/* Who found none of use must not go on as if the domain had none (RFC 5321 5.1). */
static void hosts_that_are_none_are_no_absence(void **state)
{
    struct house *house = *state;
    fake_zones_mx(house->zones, "a.test", 10, "no host.test");
    assert_int_equal(ask(house, "a.test", DNS_MX)->e.code, ERR_DNS_FAILED);
}

static void no_mail_is_told(void **state)
{
    struct house *house = *state;
    fake_zones_mx(house->zones, "a.test", 0, "");
    struct asked *asked = ask(house, "a.test", DNS_MX);
    assert_int_equal(asked->e.code, ERR_NONE);
    assert_int_equal(asked->mxs.count, 1);
    assert_int_equal(asked->mxs.list[0].host.n, 0);
}

static void addresses_texts_and_names(void **state)
{
    struct house *house = *state;
    fake_zones_address(house->zones, "b.test", "192.0.2.1");
    fake_zones_address(house->zones, "b.test", "2001:db8::1");
    fake_zones_name(house->zones, "a.test", DNS_CNAME, "b.test");
    fake_zones_txt(house->zones, "b.test", "hello");
    fake_zones_name(house->zones, "1.2.0.192.in-addr.arpa", DNS_PTR, "b.test");
    fake_zones_name(house->zones, "1.2.0.192.in-addr.arpa", DNS_PTR, "a\r\nb.test");
    struct asked *asked = ask(house, "a.test", DNS_A);
    assert_int_equal(asked->e.code, ERR_NONE);
    assert_int_equal(asked->addresses.count, 1);
    assert_string_equal(asked->addresses.list[0].text, "192.0.2.1");
    assert_str(asked->addresses.found.canonical, STR("b.test"));
    assert_false(asked->addresses.found.secure);
    asked = ask(house, "a.test", DNS_AAAA);
    assert_string_equal(asked->addresses.list[0].text, "2001:db8::1");
    asked = ask(house, "b.test", DNS_TXT);
    assert_int_equal(asked->txts.count, 1);
    assert_str(asked->txts.list[0].joined, STR("hello"));
    asked = ask(house, "192.0.2.1", DNS_PTR);
    assert_int_equal(asked->e.code, ERR_NONE);
    assert_int_equal(asked->names.count, 1);
    assert_str(asked->names.list[0], STR("b.test"));
    assert_int_equal(ask(house, "nobody", DNS_PTR)->e.code, ERR_USAGE);
}

/* RFC 7672 2.1.1: there are records, so there is a policy. */
static void certificates_that_are_of_no_use_are_counted(void **state)
{
    struct house *house = *state;
    fake_zones_put(house->zones, "_25._tcp.a.test", DNS_TLSA, 60, STR("\3\1"));
    struct asked *asked = ask(house, "_25._tcp.a.test", DNS_TLSA);
    assert_int_equal(asked->e.code, ERR_NONE);
    assert_int_equal(asked->tlsas.count, 0);
    assert_int_equal(asked->tlsas.unusable, 1);
    fake_zones_put(house->zones, "_25._tcp.a.test", DNS_TLSA, 60, STR("\3\1\1xyz"));
    asked = ask(house, "_25._tcp.a.test", DNS_TLSA);
    assert_int_equal(asked->tlsas.count, 1);
    assert_str(asked->tlsas.list[0].data, STR("xyz"));
}

static void what_is_not_there_is_told_from_what_nobody_knows(void **state)
{
    struct house *house = *state;
    fake_zones_address(house->zones, "a.test", "192.0.2.1");
    fake_zones_behave(house->zones, "test", (struct fake_behaviour){.verdict = DNS_SECURE});
    fake_zones_behave(house->zones, "bad.test", (struct fake_behaviour){.verdict = DNS_BOGUS});
    fake_zones_behave(house->zones, "dead.test", (struct fake_behaviour){.failing = true});
    fake_zones_behave(house->zones, "no.test", (struct fake_behaviour){.rcode = 5});
    struct asked *asked = ask(house, "nope.test", DNS_A);
    assert_int_equal(asked->e.code, ERR_DNS_NO_NAME);
    assert_true(asked->addresses.found.secure);
    asked = ask(house, "a.test", DNS_MX);
    assert_int_equal(asked->e.code, ERR_DNS_NO_DATA);
    assert_true(asked->mxs.found.secure);
    asked = ask(house, "x.bad.test", DNS_MX);
    assert_int_equal(asked->e.code, ERR_DNS_BOGUS);
    assert_str(asked->mxs.found.why, STR("a signature that is none"));
    assert_false(asked->mxs.found.secure);
    assert_int_equal(ask(house, "x.dead.test", DNS_MX)->e.code, ERR_DNS_FAILED);
    assert_int_equal(ask(house, "x.no.test", DNS_MX)->e.code, ERR_DNS_FAILED);
    assert_int_equal(ask(house, "a b.test", DNS_MX)->e.code, ERR_USAGE);
    assert_int_equal(ask(house, "a..test", DNS_MX)->e.code, ERR_USAGE);
    assert_int_equal(ask(house, "a.test", 255)->e.code, ERR_USAGE);
}

static void a_message_that_is_none_is_no_answer(void **state)
{
    struct house *house = *state;
    static const struct str noise = STR_INIT("noise");
    fake_zones_behave(house->zones, "a.test", (struct fake_behaviour){.octets = &noise});
    assert_int_equal(ask(house, "a.test", DNS_MX)->e.code, ERR_DNS_FAILED);
}

/* --- Time ------------------------------------------------------------------------------------ */

static void an_answer_takes_no_longer_than_its_limit(void **state)
{
    struct house *house = *state;
    fake_zones_address(house->zones, "late.test", "192.0.2.1");
    fake_zones_behave(house->zones, "dumb.test", (struct fake_behaviour){.silent = true});
    fake_zones_behave(house->zones, "late.test",
                      (struct fake_behaviour){.delay = LIMIT - NS_PER_SECOND});
    struct asked *asked = ask(house, "dumb.test", DNS_A);
    assert_int_equal(asked->e.code, ERR_DNS_FAILED);
    assert_true(asked->took >= LIMIT && asked->took < LIMIT + NS_PER_SECOND);
    assert_int_equal(ask(house, "late.test", DNS_A)->e.code, ERR_NONE);
    fake_zones_behave(house->zones, "late.test",
                      (struct fake_behaviour){.delay = LIMIT + NS_PER_SECOND});
    assert_int_equal(ask(house, "late.test", DNS_A)->e.code, ERR_DNS_FAILED);
    assert_int_equal(dns_under_way(house->resolver.dns), 0);
}

/* Half of them are for others. */
static void one_role_has_half_of_the_places(void **state)
{
    struct house *house = *state;
    static struct asked many[QUESTIONS / 2 + 1];
    fake_zones_behave(house->zones, "dumb.test", (struct fake_behaviour){.silent = true});
    fake_zones_address(house->zones, "a.test", "192.0.2.1");
    for (size_t i = 0; i < QUESTIONS / 2; i++)
        ask_begin(house, &many[i], "dumb.test", DNS_A);
    run(house, NS_PER_SECOND);
    for (size_t i = 0; i < QUESTIONS / 2; i++)
        assert_false(many[i].over);
    assert_int_equal(dns_under_way(house->resolver.dns), QUESTIONS / 2);
    ask_begin(house, &many[QUESTIONS / 2], "a.test", DNS_A);
    run(house, NS_PER_SECOND);
    assert_int_equal(many[QUESTIONS / 2].e.code, ERR_TRY_LATER);
    run(house, LIMIT);
    for (size_t i = 0; i <= QUESTIONS / 2; i++) {
        assert_true(many[i].over);
        arena_done(&many[i].arena);
    }
    assert_int_equal(ask(house, "a.test", DNS_A)->e.code, ERR_NONE);
}

/* --- Death ----------------------------------------------------------------------------------- */

static void a_question_goes_on_with_the_next_resolver(void **state)
{
    struct house *house = *state;
    struct asked asked;
    fake_zones_address(house->zones, "a.test", "192.0.2.1");
    fake_zones_behave(house->zones, "a.test", (struct fake_behaviour){.delay = NS_PER_SECOND});
    ask_begin(house, &asked, "a.test", DNS_A);
    run(house, NS_PER_SECOND / 2);
    resolver_down(house);
    run(house, NS_PER_SECOND);
    assert_false(asked.over);
    assert_true(house->alone > 0);
    resolver_up(house);
    link_up(house);
    run(house, 2 * NS_PER_SECOND);
    assert_true(asked.over);
    assert_int_equal(asked.e.code, ERR_NONE);
    assert_int_equal(asked.addresses.count, 1);
    assert_int_equal(fake_zones_asked(house->zones), 2);
    arena_done(&asked.arena);
}

static void no_question_is_asked_a_third_time(void **state)
{
    struct house *house = *state;
    struct asked asked;
    fake_zones_behave(house->zones, "a.test", (struct fake_behaviour){.silent = true});
    ask_begin(house, &asked, "a.test", DNS_A);
    for (int deaths = 0; deaths < 2; deaths++) {
        run(house, NS_PER_SECOND / 2);
        assert_false(asked.over);
        resolver_down(house);
        resolver_up(house);
        link_up(house);
    }
    run(house, NS_PER_SECOND / 2);
    assert_true(asked.over);
    assert_int_equal(asked.e.code, ERR_TRY_LATER);
    assert_int_equal(fake_zones_asked(house->zones), 2);
    arena_done(&asked.arena);
}

static void without_a_resolver_it_waits_and_says_later(void **state)
{
    struct house *house = *state;
    resolver_down(house);
    run(house, NS_PER_SECOND / 2);
    struct asked *asked = ask(house, "a.test", DNS_A);
    assert_int_equal(asked->e.code, ERR_TRY_LATER);
    assert_true(asked->took > DNS_CLIENT_WAIT - NS_PER_SECOND); /* the driver's clock is ahead */
    assert_true(asked->took < DNS_CLIENT_WAIT + NS_PER_SECOND);
    fake_role_enter(house->fake, house->asker);
    dns_client_done(&house->client);
    fake_role_enter(house->fake, 0);
    asked = ask(house, "a.test", DNS_A);
    assert_int_equal(asked->e.code, ERR_TRY_LATER);
    assert_int_equal(asked->took, 0);
}

static void who_asked_and_died_takes_his_questions_along(void **state)
{
    struct house *house = *state;
    struct asked asked;
    fake_zones_behave(house->zones, "a.test", (struct fake_behaviour){.silent = true});
    ask_begin(house, &asked, "a.test", DNS_A);
    run(house, NS_PER_SECOND);
    assert_int_equal(dns_under_way(house->resolver.dns), 1);
    fake_role_enter(house->fake, house->asker);
    dns_client_done(&house->client);
    fake_role_enter(house->fake, 0);
    run(house, NS_PER_SECOND);
    assert_int_equal(asked.e.code, ERR_TRY_LATER);
    assert_int_equal(dns_under_way(house->resolver.dns), 0);
    assert_true(LIST_EMPTY(&house->resolver.peers));
    arena_done(&asked.arena);
}

/* New settings: another one in its place, for what is under way, too. */
static void questions_move_to_another_dns(void **state)
{
    struct house *house = *state;
    struct fake_zones *other = fake_zones_open();
    struct asked asked;
    fake_zones_behave(house->zones, "a.test", (struct fake_behaviour){.silent = true});
    fake_zones_address(other, "a.test", "192.0.2.2");
    ask_begin(house, &asked, "a.test", DNS_A);
    run(house, NS_PER_SECOND);
    fake_role_enter(house->fake, house->answerer);
    resolver_use(&house->resolver, fake_dns_open(other, &house->resolver_loop, LIMIT, QUESTIONS),
                 QUESTIONS);
    fake_role_enter(house->fake, 0);
    run(house, NS_PER_SECOND);
    assert_int_equal(asked.e.code, ERR_NONE);
    assert_string_equal(asked.addresses.list[0].text, "192.0.2.2");
    resolver_down(house);
    fake_zones_close(other);
    arena_done(&asked.arena);
}

/* --- A resolver that was taken over ---------------------------------------------------------- */

struct liar {
    struct link link;
    struct msg_dns_answer says;
    bool unasked;
};

static void liar_got(struct link *link, const struct msg *msg, int passed)
{
    struct liar *liar = link->arg;
    struct msg answer = {.kind = MSG_dns_answer, .dns_answer = liar->says};
    (void)passed;
    answer.dns_answer.call = msg->dns_ask.call;
    (void)link_send(link, &answer);
}

static void liar_ended(struct link *link, struct err why)
{
    (void)link;
    (void)why;
}

static void what_a_liar_says_is_checked(void **state)
{
    static const struct link_owner owner = {.got = liar_got, .ended = liar_ended};
    static struct msg_dns_record record = {.rdata = STR_INIT("\0\0")};
    static const struct {
        struct msg_dns_answer says;
        enum err_code is;
    } rows[] = {
        {{.error = 9999}, ERR_TRY_LATER},
        {{.error = ERR_MAILBOX_UNKNOWN}, ERR_TRY_LATER},
        {{.verdict = DNS_BOGUS, .records = &record, .records_count = 1}, ERR_DNS_BOGUS},
        {{.verdict = 3, .records = &record, .records_count = 1}, ERR_DNS_FAILED},
        {{.rcode = 2}, ERR_DNS_FAILED},
        {{.canonical = STR_INIT("a\r\nb")}, ERR_DNS_FAILED},
        {{.records = &record, .records_count = 1}, ERR_DNS_FAILED},
        {{.rcode = DNS_NXDOMAIN, .records = &record, .records_count = 1}, ERR_DNS_NO_NAME},
    };
    struct house *house = *state;
    struct liar liar;
    int pair[2];
    resolver_down(house);
    fake_packet_pair(house->fake, house->answerer, house->asker, pair);
    fake_role_enter(house->fake, house->answerer);
    assert_int_equal(loop_init(&house->resolver_loop, &house->fake->world), 0);
    assert_int_equal(link_init(&liar.link, &house->resolver_loop, pair[0], ROLE_RESOLVER, ROLE_MX,
                               &owner, &liar),
                     0);
    fake_role_enter(house->fake, house->asker);
    assert_int_equal(dns_client_attach(&house->client, pair[1]).code, ERR_NONE);
    fake_role_enter(house->fake, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        liar.says = rows[i].says;
        assert_int_equal(ask(house, "a.test", DNS_MX)->e.code, rows[i].is);
    }
    fake_role_enter(house->fake, house->answerer);
    link_done(&liar.link);
    loop_done(&house->resolver_loop);
    fake_role_enter(house->fake, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_open, house_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hosts_come_by_preference),
        TEST(hosts_that_are_none_are_no_absence),
        TEST(no_mail_is_told),
        TEST(addresses_texts_and_names),
        TEST(certificates_that_are_of_no_use_are_counted),
        TEST(what_is_not_there_is_told_from_what_nobody_knows),
        TEST(a_message_that_is_none_is_no_answer),
        TEST(an_answer_takes_no_longer_than_its_limit),
        TEST(one_role_has_half_of_the_places),
        TEST(a_question_goes_on_with_the_next_resolver),
        TEST(no_question_is_asked_a_third_time),
        TEST(without_a_resolver_it_waits_and_says_later),
        TEST(who_asked_and_died_takes_his_questions_along),
        TEST(questions_move_to_another_dns),
        TEST(what_a_liar_says_is_checked),
    };
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
