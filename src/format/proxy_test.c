#include "base/test.h"

#include "format/proxy.h"

static struct proxy proxy;
static size_t used;

static enum proxy_found parsed(struct str octets)
{
    return proxy_parse(octets, &proxy, &used);
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_PART "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x00\x19" /* 192.0.2.1:56324 */

static void a_line_tells_both_ends(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR("PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\nEHLO x\r\n")),
                     PROXY_WHOLE);
    assert_int_equal(used, strlen("PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n"));
    assert_string_equal(proxy.client, "192.0.2.1");
    assert_string_equal(proxy.server, "192.0.2.2");
    assert_int_equal(proxy.client_port, 56324);
    assert_int_equal(proxy.server_port, 25);
    assert_int_equal(parsed(STR("PROXY TCP6 2001:db8:0::1 ::1 1 25\r\n")), PROXY_WHOLE);
    assert_string_equal(proxy.client, "2001:db8::1");
}

static void mapped_addresses_are_ipv4(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR("PROXY TCP6 ::ffff:127.0.0.1 ::1 1 25\r\n")), PROXY_WHOLE);
    assert_string_equal(proxy.client, "127.0.0.1");
}

static void unknown_is_the_proxys_own(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR("PROXY UNKNOWN\r\n")), PROXY_WHOLE);
    assert_true(proxy.local);
    assert_int_equal(parsed(STR("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n")), PROXY_WHOLE);
    assert_true(proxy.local);
    assert_string_equal(proxy.client, "");
}

static void malformed_lines_are_bad(void **state)
{
    static const char *const lines[] = {
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 25 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 56324 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 025\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 -25\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 56324 25\r\n",
        "PROXY TCP4 2001:db8::1 192.0.2.2 56324 25\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 56324 25\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 56324 25\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 56324 25\r\n",
        "PROXIED",
        "EHLO x\r\n",
        "\r\n\r\nX",
        "GET / HTTP/1.1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (parsed(str_from(lines[i])) != PROXY_BAD)
            fail_msg("%s", lines[i]);
    assert_int_equal(parsed(STR("PROXY TCP4 192.0.2.1\0 192.0.2.2 56324 25\r\n")), PROXY_BAD);
}

/* 107 octets are the longest there is; the 107th without an end is one too many. */
static void a_line_is_bounded(void **state)
{
    char line[PROXY_LINE_MAX];
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(parsed(str_make(line, sizeof line - 1)), PROXY_MORE);
    assert_int_equal(parsed(str_make(line, sizeof line)), PROXY_BAD);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    assert_int_equal(parsed(str_make(line, sizeof line)), PROXY_WHOLE);
}

static void binary_headers_tell_both_ends(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR(V2 "\x21\x11\x00\x0c" V4_PART "EHLO")), PROXY_WHOLE);
    assert_int_equal(used, 28);
    assert_string_equal(proxy.client, "192.0.2.1");
    assert_string_equal(proxy.server, "192.0.2.2");
    assert_int_equal(proxy.client_port, 56324);
    assert_int_equal(proxy.server_port, 25);
    assert_int_equal(parsed(STR(V2 "\x21\x21\x00\x24"
                                   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xdc\x04\x00\x19")),
                     PROXY_WHOLE);
    assert_string_equal(proxy.client, "2001:db8::1");
    assert_string_equal(proxy.server, "::1");
}

static void addends_are_passed_over(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR(V2 "\x21\x11\x00\x10" V4_PART "\x04\x00\x01\x00"
                                   "EHLO")),
                     PROXY_WHOLE);
    assert_int_equal(used, 32);
}

static void local_headers_have_no_address(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR(V2 "\x20\x00\x00\x00")), PROXY_WHOLE);
    assert_true(proxy.local);
    assert_int_equal(used, 16);
}

static void malformed_headers_are_bad(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR(V2 "\x11\x11\x00\x0c" V4_PART)), PROXY_BAD); /* version 1 */
    assert_int_equal(parsed(STR(V2 "\x22\x11\x00\x0c" V4_PART)), PROXY_BAD); /* no such command */
    assert_int_equal(parsed(STR(V2 "\x21\x12\x00\x0c" V4_PART)), PROXY_BAD); /* UDP */
    assert_int_equal(parsed(STR(V2 "\x21\x11\x00\x0b" V4_PART)), PROXY_BAD); /* too short */
    assert_int_equal(parsed(STR(V2 "\x21\x21\x00\x0c" V4_PART)), PROXY_BAD);
    assert_int_equal(parsed(STR(V2 "\x21\x11\xff\xff")), PROXY_BAD); /* catalogue S23 */
}

static void a_header_is_bounded(void **state)
{
    char header[PROXY_MAX + 1] = V2 "\x21\x11";
    (void)state;
    memcpy(header + 16, V4_PART, 12);
    header[14] = (char)((PROXY_MAX - 16) >> 8);
    header[15] = (char)((PROXY_MAX - 16) & 0xff);
    assert_int_equal(parsed(str_make(header, PROXY_MAX - 1)), PROXY_MORE);
    assert_int_equal(parsed(str_make(header, PROXY_MAX)), PROXY_WHOLE);
    header[15]++;
    assert_int_equal(parsed(str_make(header, PROXY_MAX + 1)), PROXY_BAD);
}

/* Octet by octet: more, more, whole; and never is an octet behind the header wanted. */
static void headers_may_come_in_pieces(void **state)
{
    static const struct str headers[] = {
        STR_INIT("PROXY UNKNOWN\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n"),
        STR_INIT(V2 "\x20\x00\x00\x00"),
        STR_INIT(V2 "\x21\x11\x00\x10" V4_PART "\x04\x00\x01\x00"),
    };
    (void)state;
    for (size_t h = 0; h < sizeof headers / sizeof *headers; h++) {
        for (size_t n = 0; n < headers[h].n; n++) {
            assert_int_equal(parsed(str_head(headers[h], n)), PROXY_MORE);
            size_t wanted = proxy_wanted(str_head(headers[h], n));
            assert_true(wanted >= 1);
            assert_true(n + wanted <= headers[h].n);
        }
        assert_int_equal(parsed(headers[h]), PROXY_WHOLE);
        assert_int_equal(used, headers[h].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_tells_both_ends),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(unknown_is_the_proxys_own),
        cmocka_unit_test(malformed_lines_are_bad),
        cmocka_unit_test(a_line_is_bounded),
        cmocka_unit_test(binary_headers_tell_both_ends),
        cmocka_unit_test(addends_are_passed_over),
        cmocka_unit_test(local_headers_have_no_address),
        cmocka_unit_test(malformed_headers_are_bad),
        cmocka_unit_test(a_header_is_bounded),
        cmocka_unit_test(headers_may_come_in_pieces),
    };
    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
