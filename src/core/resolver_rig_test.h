/*
 * For tests of what core asks the DNS: a resolver at the end of core's link that says what the test
 * has published. A test includes a rig with its `house` before.
 */
#ifndef CORE_RESOLVER_RIG_TEST_H
#define CORE_RESOLVER_RIG_TEST_H

#include "base/test.h"
#include "core/signing_keys.h"
#include "trust/dkim.h"

enum {
    PUBLISHED_MAX = 400
};

static struct publication {
    char name[SIGNING_NAME_MAX];
    char text[DKIM_RECORD_MAX];
    uint16_t type;    /* 0: TXT */
    struct str rdata; /* p NULL: of a TXT record with `text` in it */
} published[PUBLISHED_MAX];
static size_t published_count, asked;
static bool silent;                     /* it answers that nobody knows */
static const char *unanswered, *forged; /* names: nobody knows; DNSSEC says that it is wrong */
static bool zones_signed;

/* TXT: strings of 255 octets at most (RFC 1035 3.3). */
static inline struct str rdata_of(const char *record)
{
    struct buf rdata = buf_in(&house.arena, 2 * DKIM_RECORD_MAX);
    struct str rest = str_from(record);
    while (rest.n) {
        struct str part = str_head(rest, 255);
        buf_putc(&rdata, (char)part.n);
        buf_put(&rdata, part);
        rest = str_from_index(rest, part.n);
    }
    return buf_built(&rdata);
}

static inline uint16_t type_of(const struct publication *one)
{
    return one->type ? one->type : DNS_TXT;
}

static inline bool is_named(struct str name, const char *other)
{
    return other && str_eq_nocase(name, str_from(other));
}

/* Where an alias leads; the name itself where it is none. */
static inline struct str led_to(struct str name)
{
    for (size_t i = 0; i < published_count; i++)
        if (published[i].type == DNS_CNAME && is_named(name, published[i].name))
            return str_from(published[i].text);
    return name;
}

/* The answer's records, in `records`. */
static inline void zone_read(struct msg_dns_answer *answer, uint16_t type)
{
    for (size_t i = 0; i < published_count; i++) {
        const struct publication *one = &published[i];
        if (!is_named(answer->canonical, one->name))
            continue;
        answer->rcode = DNS_NOERROR;
        if (type_of(one) != type)
            continue;
        assert_true(answer->records_count < DNS_RECORDS_MAX);
        answer->records[answer->records_count++].rdata =
            one->rdata.p ? one->rdata : rdata_of(one->text);
    }
}

static inline void resolver_got(struct link *link, const struct msg *msg, int passed)
{
    static struct msg_dns_record records[DNS_RECORDS_MAX];
    const struct msg_dns_ask *ask = &msg->dns_ask;
    struct msg answer = {.kind = MSG_dns_answer,
                         .dns_answer = {.call = ask->call,
                                        .rcode = DNS_NXDOMAIN,
                                        .verdict = zones_signed ? DNS_SECURE : DNS_INSECURE,
                                        .canonical = led_to(ask->name),
                                        .records = records}};
    (void)passed;
    assert_int_equal(msg->kind, MSG_dns_ask);
    asked++;
    if (silent || is_named(ask->name, unanswered))
        answer.dns_answer.error = ERR_DNS_FAILED;
    else if (is_named(ask->name, forged))
        answer.dns_answer.verdict = DNS_BOGUS;
    else
        zone_read(&answer.dns_answer, ask->type);
    assert_false(err_is(link_send(link, &answer)));
}

static inline void resolver_up(void)
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

#endif
