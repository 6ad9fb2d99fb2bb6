#include "base/destination.h"

#include "base/test.h"

static const struct destination_rules none = {.own = NULL};

static enum destination judge(const char *address)
{
    return destination_judge(str_from(address), &none);
}

static struct network network(const char *text)
{
    struct network network;
    assert_true(network_parse(str_from(text), &network));
    return network;
}

/* The last address before a range, its first, its last, and the one behind it. */
static void each_range_ends_where_it_should(void **state)
{
    (void)state;
    static const struct {
        const char *before, *first, *last, *behind;
        enum destination why;
    } ranges[] = {
        {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0", DESTINATION_UNSPECIFIED},
        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", DESTINATION_LOOPBACK},
        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0",
         DESTINATION_LINK_LOCAL},
        {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL, DESTINATION_MULTICAST},
        {NULL, "240.0.0.0", "255.255.255.254", NULL, DESTINATION_RESERVED},
        {NULL, "255.255.255.255", "255.255.255.255", NULL, DESTINATION_BROADCAST},
        {NULL, "::", "::", NULL, DESTINATION_UNSPECIFIED},
        {NULL, "::1", "::1", NULL, DESTINATION_LOOPBACK},
        {NULL, "::2", "::ffff:ffff", "::1:0:0", DESTINATION_MAPPED},
        {"::fffe:ffff:ffff", "::ffff:0:0", "::ffff:ffff:ffff", "::1:0:0:0", DESTINATION_MAPPED},
        {"::fffe:ffff:ffff:ffff", "::ffff:0:0:0", "::ffff:0:ffff:ffff", "::ffff:1:0:0",
         DESTINATION_MAPPED},
        {"ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "100::", "100::ffff:ffff:ffff:ffff",
         "100:0:0:1::", DESTINATION_RESERVED},
        {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, DESTINATION_LINK_LOCAL},
        {NULL, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, DESTINATION_LINK_LOCAL},
        {NULL, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, DESTINATION_MULTICAST},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        assert_int_equal(judge(ranges[i].first), ranges[i].why);
        assert_int_equal(judge(ranges[i].last), ranges[i].why);
        if (ranges[i].before)
            assert_int_equal(judge(ranges[i].before), DESTINATION_FINE);
        if (ranges[i].behind)
            assert_int_equal(judge(ranges[i].behind), DESTINATION_FINE);
    }
}

static void places_of_the_internet_are_fine(void **state)
{
    (void)state;
    static const char *const fine[] = {"192.0.2.1", "10.1.2.3",     "172.16.0.1",
                                       "8.8.8.8",   "2001:db8::25", "fd00::1"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        assert_int_equal(judge(fine[i]), DESTINATION_FINE);
}

static void what_is_no_address_is_nowhere(void **state)
{
    (void)state;
    static const char *const not [] = {"",           "localhost",  "127.1",
                                       "0x7f.0.0.1", "fe80::1%lo", "[2001:db8::1]",
                                       "192.0.2.1 ", "2130706433", "192.0.2.0/24"};
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        assert_int_equal(judge(not [i]), DESTINATION_NO_ADDRESS);
}

/* An IPv4 address in IPv6's form for programs is no destination in any spelling, whatever it is,
 * and no list allows it. */
static void mapped_addresses_are_never_destinations(void **state)
{
    (void)state;
    struct network all = network("0.0.0.0/0");
    struct destination_rules rules = {.allowed = &all, .allowed_count = 1};
    static const char *const mapped[] = {"::ffff:127.0.0.1", "::ffff:192.0.2.1", "::FFFF:7f00:1",
                                         "0:0:0:0:0:ffff:192.0.2.1"};
    for (size_t i = 0; i < sizeof(mapped) / sizeof(mapped[0]); i++) {
        assert_int_equal(judge(mapped[i]), DESTINATION_MAPPED);
        assert_int_equal(destination_judge(str_from(mapped[i]), &rules), DESTINATION_MAPPED);
        assert_false(destination_is_allowed(str_from(mapped[i]), &rules));
    }
}

static void what_a_gateway_takes_out_is_judged(void **state)
{
    (void)state;
    struct network own = network("192.0.2.25");
    struct destination_rules rules = {.own = &own, .own_count = 1};
    assert_int_equal(judge("64:ff9b::192.0.2.1"), DESTINATION_FINE);
    assert_int_equal(judge("64:ff9b::127.0.0.1"), DESTINATION_LOOPBACK);
    assert_int_equal(judge("64:ff9b:1::169.254.169.254"), DESTINATION_LINK_LOCAL);
    assert_int_equal(judge("2002:7f00:1::1"), DESTINATION_LOOPBACK);
    assert_int_equal(judge("2002:c000:0201::1"), DESTINATION_FINE);
    assert_int_equal(judge("64:ff9b:2::127.0.0.1"), DESTINATION_FINE);
    assert_int_equal(judge("64:ff9b:0:0:0:1:127.0.0.1"), DESTINATION_FINE);
    assert_int_equal(judge("2003:7f00:1::1"), DESTINATION_FINE);
    assert_int_equal(destination_judge(STR("64:ff9b::192.0.2.25"), &rules), DESTINATION_OWN);
    assert_int_equal(destination_judge(STR("2002:c000:0219::1"), &rules), DESTINATION_OWN);
}

static void own_addresses_are_ours_alone(void **state)
{
    (void)state;
    const struct network own[] = {network("192.0.2.25"), network("2001:db8::25")};
    struct destination_rules rules = {.own = own, .own_count = 2};
    assert_int_equal(destination_judge(STR("192.0.2.25"), &rules), DESTINATION_OWN);
    assert_int_equal(destination_judge(STR("2001:db8:0:0::25"), &rules), DESTINATION_OWN);
    assert_int_equal(destination_judge(STR("192.0.2.24"), &rules), DESTINATION_FINE);
    assert_int_equal(destination_judge(STR("2001:db8::26"), &rules), DESTINATION_FINE);
    assert_false(destination_is_allowed(STR("192.0.2.25"), &rules));
}

static void who_is_allowed_is_fine(void **state)
{
    (void)state;
    const struct network allowed[] = {network("127.0.0.1"), network("fe80::/64"),
                                      network("192.0.2.25")};
    const struct network own = network("192.0.2.0/24");
    struct destination_rules rules = {
        .own = &own, .own_count = 1, .allowed = allowed, .allowed_count = 3};
    assert_int_equal(destination_judge(STR("127.0.0.1"), &rules), DESTINATION_FINE);
    assert_int_equal(destination_judge(STR("127.0.0.2"), &rules), DESTINATION_LOOPBACK);
    assert_int_equal(destination_judge(STR("fe80::25"), &rules), DESTINATION_FINE);
    assert_int_equal(destination_judge(STR("fe80:0:0:1::25"), &rules), DESTINATION_LINK_LOCAL);
    assert_int_equal(destination_judge(STR("192.0.2.25"), &rules), DESTINATION_FINE);
    assert_int_equal(destination_judge(STR("192.0.2.26"), &rules), DESTINATION_OWN);
    assert_true(destination_is_allowed(STR("127.0.0.1"), &rules));
    assert_false(destination_is_allowed(STR("127.0.0.2"), &rules));
}

static void every_reason_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < DESTINATIONS; i++)
        assert_true(destination_words((enum destination)i).n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_range_ends_where_it_should),
        cmocka_unit_test(places_of_the_internet_are_fine),
        cmocka_unit_test(what_is_no_address_is_nowhere),
        cmocka_unit_test(mapped_addresses_are_never_destinations),
        cmocka_unit_test(what_a_gateway_takes_out_is_judged),
        cmocka_unit_test(own_addresses_are_ours_alone),
        cmocka_unit_test(who_is_allowed_is_fine),
        cmocka_unit_test(every_reason_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
