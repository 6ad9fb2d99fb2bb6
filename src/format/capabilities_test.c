#include "base/test.h"

#include "base/buf.h"
#include "format/capabilities.h"

static struct capabilities parse(const char *text)
{
    struct capabilities capabilities;
    capabilities_parse(str_from(text), &capabilities);
    return capabilities;
}

static void keywords_are_known(void **state)
{
    (void)state;
    static const char *const words[] = {
        "PIPELINING",  "SIZE",          "8BITMIME",  "SMTPUTF8",
        "CHUNKING",    "BINARYMIME",    "DSN",       "ENHANCEDSTATUSCODES",
        "STARTTLS",    "REQUIRETLS",    "LIMITS",    "AUTH",
        "MT-PRIORITY", "FUTURERELEASE", "DELIVERBY", "ETRN",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        struct buf text = BUF_INIT(1000);
        buf_printf(&text, "mx.example\n%s\n", words[i]);
        struct capabilities one;
        capabilities_parse(buf_str(&text), &one);
        bool alone = 1u << i != CAPABILITY_BINARYMIME;
        assert_int_equal(one.has, alone ? 1u << i : 0);
        buf_done(&text);
    }
    assert_int_equal(parse("x\nchunking\nBinaryMime\nVRFY\nX-ODD 7\n").has,
                     CAPABILITY_CHUNKING | CAPABILITY_BINARYMIME);
}

static void the_greeting_is_none(void **state)
{
    (void)state;
    assert_int_equal(parse("PIPELINING").has, 0);
    assert_int_equal(parse("STARTTLS\nDSN").has, CAPABILITY_DSN);
    assert_int_equal(parse("").has, 0);
    assert_int_equal(parse("x\nDSNX\nDSN-\n DSN2").has, 0);
}

static void size_has_a_number_or_none(void **state)
{
    (void)state;
    assert_int_equal(parse("x\nSIZE 1000").size, 1000);
    assert_int_equal(parse("x\nSIZE 0").size, 0);
    assert_int_equal(parse("x\nSIZE").size, 0);
    assert_int_equal(parse("x\nSIZE -1").size, 0);
    assert_int_equal(parse("x\nSIZE 99999999999999999999").size, 0);
    assert_true(capabilities_have(&(struct capabilities){.has = CAPABILITY_SIZE}, CAPABILITY_SIZE));
    assert_int_equal(parse("x\nSIZE 5\nSIZE 7").size, 5);
}

static void limits_are_read(void **state)
{
    (void)state;
    struct capabilities one =
        parse("x\nLIMITS RCPTMAX=20 MAILMAX=5  rcptdomainmax=1 NEW=7 RCPTMAX ODD=");
    assert_int_equal(one.rcpt_max, 20);
    assert_int_equal(one.mail_max, 5);
    assert_int_equal(one.rcpt_domain_max, 1);
    one = parse("x\nLIMITS RCPTMAX=4294967295 MAILMAX=4294967296 RCPTDOMAINMAX=-1");
    assert_int_equal(one.rcpt_max, UINT32_MAX);
    assert_int_equal(one.mail_max, 0);
    assert_int_equal(one.rcpt_domain_max, 0);
}

static void mechanisms_add_up(void **state)
{
    (void)state;
    struct capabilities one = parse("x\nAUTH PLAIN login\nAUTH=LOGIN CRAM-MD5\nAUTH  XOAUTH2");
    assert_str(capabilities_mechanisms(&one), STR("PLAIN LOGIN CRAM-MD5 XOAUTH2"));
    assert_int_equal(one.has, CAPABILITY_AUTH);
    assert_true(capabilities_have_mechanism(&one, STR("Login")));
    assert_false(capabilities_have_mechanism(&one, STR("LOG")));
    assert_false(capabilities_have_mechanism(&one, STR("CRAM")));
    one = parse("x\nAUTH=PLAIN");
    assert_str(capabilities_mechanisms(&one), STR("PLAIN"));
    one = parse("x\nAUTH=");
    assert_str(capabilities_mechanisms(&one), STR(""));
    assert_false(capabilities_have_mechanism(&one, STR("")));
    one = parse("x\nAUTH=PLAIN\nAUTH="); /* added a space */
    assert_str(capabilities_mechanisms(&one), STR("PLAIN"));
}

static void mechanisms_have_a_limit(void **state)
{
    (void)state;
    for (size_t n = CAPABILITY_MECHANISMS_MAX - 1; n <= CAPABILITY_MECHANISMS_MAX + 1; n++) {
        struct buf text = BUF_INIT(1000);
        struct capabilities one;
        buf_put(&text, STR("x\nAUTH PLAIN "));
        for (size_t i = 6; i < n; i++)
            buf_putc(&text, 'M');
        capabilities_parse(buf_str(&text), &one);
        assert_int_equal(one.mechanisms_n, n <= CAPABILITY_MECHANISMS_MAX ? n : 5);
        buf_done(&text);
    }
}

static void times_are_read(void **state)
{
    (void)state;
    struct capabilities one = parse("x\nFUTURERELEASE 86400 2001-09-09T01:46:40Z\nDELIVERBY 240");
    assert_int_equal(one.hold_max, 86400);
    assert_int_equal(one.hold_until_max, 1000000000);
    assert_int_equal(one.deliver_by_min, 240);
    one = parse("x\nFUTURERELEASE soon 2001\nDELIVERBY");
    assert_int_equal(one.hold_max, 0);
    assert_int_equal(one.hold_until_max, 0);
    assert_int_equal(one.deliver_by_min, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keywords_are_known),
        cmocka_unit_test(the_greeting_is_none),
        cmocka_unit_test(size_has_a_number_or_none),
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(mechanisms_add_up),
        cmocka_unit_test(mechanisms_have_a_limit),
        cmocka_unit_test(times_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
