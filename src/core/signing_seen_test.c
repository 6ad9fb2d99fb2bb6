/*
 * Records of keys, as core's duty asks for them.
 */
#include "core/signing_keys.h"

#include "base/test.h"
#include "core/core_rig_test.h"

#define HOUR (3600 * NS_PER_SECOND)

static struct house house;

#include "core/resolver_rig_test.h"

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
