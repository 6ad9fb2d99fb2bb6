/*
 * For tests of `veredus check`: a core with a courier, an operator who types, and a DNS in which
 * the domain example.test is well, served by mx.example.test at 192.0.2.1 and 2001:db8::1. A test
 * spoils something and says which items it expects.
 */
#ifndef CORE_CHECK_RIG_TEST_H
#define CORE_CHECK_RIG_TEST_H

#include <jansson.h>

#include "core/operator_rig_test.h"
#include "core/signing_keys.h"

#include "core/resolver_rig_test.h"

#define CHECK_CONF                                                                                 \
    "hostname = mx.example.test\nsmtp { listen = \"*:25\" }\nsending { processes = 1 }\n"
#define CHECK "check example.test --no-connect"

static json_t *items;

/* --- What is published ----------------------------------------------------------------------- */

static inline struct publication *publish_rdata(const char *name, uint16_t type, struct str rdata)
{
    assert_true(published_count < PUBLISHED_MAX);
    struct publication *one = &published[published_count++];
    *one = (struct publication){.type = type, .rdata = rdata};
    assert_true(snprintf(one->name, sizeof(one->name), "%s", name) < (int)sizeof(one->name));
    return one;
}

static inline void publish(const char *name, const char *record)
{
    struct publication *one = publish_rdata(name, DNS_TXT, str_null());
    assert_true(snprintf(one->text, sizeof(one->text), "%s", record) < (int)sizeof(one->text));
}

static inline void publish_alias(const char *name, const char *to)
{
    struct publication *one = publish_rdata(name, DNS_CNAME, str_null());
    assert_true(snprintf(one->text, sizeof(one->text), "%s", to) < (int)sizeof(one->text));
}

static inline void publish_address(const char *name, const char *address)
{
    struct network network;
    assert_true(network_address(str_from(address), &network));
    bool v4 = network_is_v4(&network);
    struct str octets = str_from_index(str_make(network.octets, NETWORK_OCTETS), v4 ? 12 : 0);
    publish_rdata(name, v4 ? DNS_A : DNS_AAAA, arena_str(&house.arena, octets));
}

static inline void wire_put(struct buf *rdata, const char *name)
{
    struct str rest = str_from(name);
    while (rest.n) {
        struct str label = str_cut(&rest, '.');
        buf_putc(rdata, (char)label.n);
        buf_put(rdata, label);
    }
    buf_putc(rdata, '\0');
}

/* host "": a null MX. */
static inline void publish_mx(const char *name, const char *host)
{
    struct buf rdata = buf_in(&house.arena, 2 + 255);
    buf_put(&rdata, str_make("\0\012", 2));
    wire_put(&rdata, host);
    publish_rdata(name, DNS_MX, buf_built(&rdata));
}

static inline void publish_ptr(const char *address, const char *host)
{
    struct buf rdata = buf_in(&house.arena, 255);
    char zone[DNS_NAME_MAX + 1] = {0};
    struct buf name = {.p = zone, .cap = sizeof(zone) - 1, .max = sizeof(zone) - 1};
    assert_true(dns_reverse(str_from(address), str_null(), &name));
    wire_put(&rdata, host);
    publish_rdata(zone, DNS_PTR, buf_built(&rdata));
}

/* All records of the name, or of it alone of that type. */
static inline void withdraw(const char *name, uint16_t type)
{
    size_t left = 0;
    for (size_t i = 0; i < published_count; i++)
        if (strcmp(published[i].name, name) != 0 || (type && type_of(&published[i]) != type))
            published[left++] = published[i];
    assert_true(left < published_count);
    published_count = left;
}

static inline void withdraw_ptr(const char *address)
{
    char zone[DNS_NAME_MAX + 1] = {0};
    struct buf name = {.p = zone, .cap = sizeof(zone) - 1, .max = sizeof(zone) - 1};
    assert_true(dns_reverse(str_from(address), str_null(), &name));
    withdraw(zone, 0);
}

static inline void republish(const char *name, const char *record)
{
    withdraw(name, DNS_TXT);
    publish(name, record);
}

static inline void publish_well(void)
{
    publish_address("mx.example.test", "192.0.2.1");
    publish_address("mx.example.test", "2001:db8::1");
    publish_ptr("192.0.2.1", "mx.example.test");
    publish_ptr("2001:db8::1", "mx.example.test");
    publish_mx("example.test", "mx.example.test");
    publish("example.test", "v=spf1 mx -all");
    publish("_dmarc.example.test", "v=DMARC1; p=reject; rua=mailto:d@example.test");
    publish("_mta-sts.example.test", "v=STSv1; id=1");
    publish_address("mta-sts.example.test", "192.0.2.80");
    publish("_smtp._tls.example.test", "v=TLSRPTv1; rua=mailto:t@example.test");
}

/* --- What is typed --------------------------------------------------------------------------- */

static inline int checked(const char *line)
{
    typing.json = true;
    (void)typed(line);
    typing.json = false;
    json_decref(items);
    items = json_loadb(typing.out.p, typing.out.n, 0, NULL);
    assert_true(json_is_array(items));
    return typing.code;
}

static inline struct str member(const json_t *item, const char *key)
{
    const char *text_of = json_string_value(json_object_get(item, key));
    return text_of ? str_from(text_of) : str_make("", 0);
}

static inline void items_show(void)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        char *line = json_dumps(item, JSON_COMPACT);
        print_error("%s\n", line);
        free(line);
    }
}

/* The item of this kind and state whose text has these words, or NULL. */
static inline const json_t *item_find(const char *kind, const char *state, const char *words)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        if (str_eq(member(item, "item"), str_from(kind)) &&
            str_eq(member(item, "state"), str_from(state)) &&
            str_find(member(item, "text"), str_from(words)) >= 0)
            return item;
    }
    return NULL;
}

/* There is one; `publish`: exactly what it wants in the DNS ("": nothing, NULL: whatever). */
static inline const json_t *says(const char *kind, const char *state, const char *words,
                                 const char *wanted)
{
    const json_t *item = item_find(kind, state, words);
    if (!item) {
        items_show();
        fail_msg("no item %s %s: %s", kind, state, words);
    }
    if (wanted)
        assert_str(member(item, "publish"), str_from(wanted));
    return item;
}

/* Of this kind there is nothing but `state`, and there is one. */
static inline void all_are(const char *kind, const char *state)
{
    size_t i, seen = 0;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        if (!str_eq(member(item, "item"), str_from(kind)))
            continue;
        if (!str_eq(member(item, "state"), str_from(state)))
            items_show();
        assert_str(member(item, "state"), str_from(state));
        seen++;
    }
    if (!seen)
        items_show();
    assert_true(seen > 0);
}

static inline bool any_is(const char *kind)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        if (str_eq(member(item, "item"), str_from(kind)))
            return true;
    }
    return false;
}

/* --- The tests' begin and end ---------------------------------------------------------------- */

static inline void check_open(const char *conf)
{
    open_house(conf);
    resolver_up();
    published_count = asked = 0;
    silent = zones_signed = false;
    unanswered = forged = NULL;
    publish_well();
}

static inline int check_begin(void **state)
{
    (void)state;
    check_open(CHECK_CONF);
    return 0;
}

static inline int check_end(void **state)
{
    json_decref(items);
    items = NULL;
    buf_done(&typing.out);
    buf_done(&typing.err);
    return teardown(state);
}

#define CHECK_TEST(name) cmocka_unit_test_setup_teardown(name, check_begin, check_end)

#endif
