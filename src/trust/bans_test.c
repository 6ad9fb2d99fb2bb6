#include "trust/bans.h"

#include "base/test.h"

static const unsigned char key[SIPHASH_KEY] = "any key will do";

static struct network network(const char *text)
{
    struct network n;
    assert_true(network_parse(str_from(text), &n));
    return n;
}

static struct ban ban(const char *text, int64_t until)
{
    return (struct ban){.network = network(text), .until = until, .times = 1};
}

static bool is_banned(const struct bans *bans, const char *address, int64_t now)
{
    struct network n = network(address);
    return bans_find(bans, &n, now) != NULL;
}

static void a_network_is_banned_until_its_end(void **state)
{
    (void)state;
    struct bans *bans = bans_open(10, key);
    struct ban dropped, one = ban("192.0.2.7", 100), six = ban("2001:db8:1:2::/64", 50);
    assert_non_null(bans);
    assert_false(is_banned(bans, "192.0.2.7", 0));
    assert_false(bans_put(bans, &one, &dropped));
    assert_false(bans_put(bans, &six, &dropped));
    assert_true(is_banned(bans, "192.0.2.7", 99));
    assert_false(is_banned(bans, "192.0.2.7", 100));
    assert_false(is_banned(bans, "192.0.2.8", 0));
    assert_true(is_banned(bans, "2001:db8:1:2:3::4", 49));
    assert_false(is_banned(bans, "2001:db8:1:3::4", 49));
    struct ban wide = ban("192.0.0.0/16", 200);
    assert_false(bans_put(bans, &wide, &dropped));
    struct network address = network("192.0.2.7");
    assert_int_equal(bans_find(bans, &address, 0)->until, 200); /* the one that ends last */
    assert_true(bans_remove(bans, &wide.network));
    assert_false(bans_remove(bans, &wide.network));
    assert_int_equal(bans_find(bans, &address, 0)->until, 100);
    bans_clear(bans);
    assert_int_equal(bans_count(bans), 0);
    assert_false(is_banned(bans, "192.0.2.7", 0));
    bans_close(bans);
}

static void the_first_to_end_goes_and_an_operators_last(void **state)
{
    (void)state;
    struct bans *bans = bans_open(3, key);
    struct ban dropped, rows[] = {ban("192.0.2.1", 10), ban("192.0.2.2", 30), ban("192.0.2.3", 20)};
    rows[0].by_hand = true;
    for (size_t i = 0; i < 3; i++)
        assert_false(bans_put(bans, &rows[i], &dropped));
    assert_false(bans_put(bans, &rows[1], &dropped)); /* the same once more */
    struct ban next = ban("192.0.2.4", 5);
    assert_true(bans_put(bans, &next, &dropped));
    assert_true(network_eq(&dropped.network, &rows[2].network));
    assert_int_equal(bans_count(bans), 3);
    assert_true(is_banned(bans, "192.0.2.1", 0) && is_banned(bans, "192.0.2.4", 0));
    bans_close(bans);
}

/* The same by a list that is looked through. */
static void as_a_list_would(void **state)
{
    (void)state;
    enum {
        NETWORKS = 40,
        STEPS = 20000
    };
    struct bans *bans = bans_open(BANS_MOST, key);
    int64_t list[NETWORKS] = {0};
    uint32_t seed = 7;
    for (size_t step = 0; step < STEPS; step++) {
        struct ban dropped;
        seed = seed * 1664525 + 1013904223;
        size_t at = (seed >> 8) % NETWORKS;
        char text[NETWORK_TEXT];
        snprintf(text, sizeof(text), at % 2 ? "192.0.2.%zu" : "2001:db8:%zx::/64", at);
        struct ban put = ban(text, 1 + (seed >> 16) % 100);
        if ((seed >> 24) % 3 == 0) {
            assert_true(bans_remove(bans, &put.network) == (list[at] != 0));
            list[at] = 0;
        } else {
            bans_put(bans, &put, &dropped);
            list[at] = put.until;
        }
        int64_t now = (seed >> 4) % 100;
        assert_true((bans_find(bans, &put.network, now) != NULL) == (list[at] > now));
    }
    size_t count = 0;
    for (size_t i = 0; i < NETWORKS; i++)
        count += list[i] != 0;
    assert_int_equal(bans_count(bans), count);
    bans_close(bans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_is_banned_until_its_end),
        cmocka_unit_test(the_first_to_end_goes_and_an_operators_last),
        cmocka_unit_test(as_a_list_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
