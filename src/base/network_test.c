#include "base/network.h"

#include "base/test.h"

static struct str printed(const struct network *network)
{
    static char text[NETWORK_TEXT];
    struct buf buf = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    network_print(network, &buf);
    assert_false(buf_over(&buf));
    return buf_str(&buf);
}

static void what_is_read_is_printed(void **state)
{
    (void)state;
    static const struct {
        struct str text, printed;
    } rows[] = {
        {STR_INIT("192.0.2.7"), STR_INIT("192.0.2.7/32")},
        {STR_INIT("192.0.2.7/32"), STR_INIT("192.0.2.7/32")},
        {STR_INIT("192.0.2.0/24"), STR_INIT("192.0.2.0/24")},
        {STR_INIT("0.0.0.0/0"), STR_INIT("0.0.0.0/0")},
        {STR_INIT("::ffff:192.0.2.7"), STR_INIT("192.0.2.7/32")},
        {STR_INIT("::"), STR_INIT("::/128")},
        {STR_INIT("::/0"), STR_INIT("::/0")},
        {STR_INIT("2001:db8::/33"), STR_INIT("2001:db8::/33")},
        {STR_INIT("2001:DB8:0::1"), STR_INIT("2001:db8::1/128")},
        {STR_INIT("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
         STR_INIT("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct network network, again;
        assert_true(network_parse(rows[i].text, &network));
        assert_str(printed(&network), rows[i].printed);
        assert_true(network_parse(rows[i].printed, &again));
        assert_true(network_eq(&network, &again));
    }
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "/",
                                        "192.0.2.7/",
                                        "192.0.2.7/33",
                                        "192.0.2.7/24",
                                        "192.0.2",
                                        "1.2.3.4.5",
                                        "::1/129",
                                        "2001:db8::/8",
                                        "192.0.2.7/+1",
                                        "x",
                                        "::g",
                                        "/24",
                                        "1.2.3.4 ",
                                        "192.0.2.0/-1",
                                        "192.0.2.0/2 4",
                                        "*"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct network network;
        assert_false(network_parse(str_from(texts[i]), &network));
    }
    struct network network;
    assert_false(network_parse(str_make("192.0.2.7\0x", 11), &network));
    assert_false(network_address(STR("192.0.2.0/24"), &network));
}

static void what_lies_in_what(void **state)
{
    (void)state;
    struct network one, v4, v6, half;
    assert_true(network_parse(STR("192.0.2.200"), &one));
    assert_true(network_parse(STR("192.0.2.0/24"), &v4));
    assert_true(network_parse(STR("192.0.2.0/25"), &half));
    assert_true(network_parse(STR("2001:db8:1:2:3::4"), &v6));
    assert_true(network_within(&one, &v4));
    assert_true(network_within(&v4, &v4));
    assert_false(network_within(&v4, &one));
    assert_false(network_within(&one, &half));
    assert_false(network_within(&v6, &v4));
    struct network cut = network_cut(&one, 24, 56);
    assert_true(network_eq(&cut, &v4));
    cut = network_cut(&v6, 24, 64);
    assert_str(printed(&cut), STR("2001:db8:1:2::/64"));
    cut = network_of(&one, NETWORK_V4 + 25);
    assert_str(printed(&cut), STR("192.0.2.128/25"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_printed),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(what_lies_in_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
