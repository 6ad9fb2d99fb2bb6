#include "base/test.h"

#include "format/tls_report.h"

enum {
    ENOUGH = 1 << 20,
};

/* --- The record --- */

/* The places, a blank between them; NULL: none. */
static void places_are_at(const char *text, const char *expected, int line)
{
    struct arena arena;
    struct tls_report_places places = {.count = 0};
    struct buf found = BUF_INIT(ENOUGH);
    struct str record = str_from(text), wrong;
    arena_init(&arena, ENOUGH);
    bool good = tls_report_record_find(&record, 1, &arena, &places, &wrong);
    assert_int_equal(good, places.count > 0);
    for (size_t i = 0; i < places.count; i++) {
        assert_true(!places.at[i].mail.p != !places.at[i].url.p);
        buf_put(&found, i ? STR(" ") : STR(""));
        buf_put(&found, places.at[i].mail.p ? places.at[i].mail : places.at[i].url);
    }
    assert_str_at(buf_str(&found), str_from(expected), __FILE__, line);
    buf_done(&found);
    arena_done(&arena);
}

#define places_are(text, expected) places_are_at(text, expected, __LINE__)

static void test_record(void **state)
{
    (void)state;
    places_are("v=TLSRPTv1;rua=mailto:reports@example.com", "reports@example.com");
    places_are("v=TLSRPTv1; rua=https://r.example.com/v1?a=b&c", "https://r.example.com/v1?a=b&c");
    places_are("v=TLSRPTv1 ; x=y; rua=MAILTO:a@b.test , HTTPS://c.test:8443;",
               "a@b.test HTTPS://c.test:8443");
    places_are("v=TLSRPTv1; rua=mailto:a%2Bb@c.test?subject=x", "a+b@c.test");
    places_are("v=TLSRPTv1; rua=ftp://x.test,mailto:a@b.test,x", "a@b.test");
    places_are("v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test", "a@b.test");
    /* D09: the first two */
    places_are("v=TLSRPTv1; rua=mailto:a@b.test,mailto:c@d.test,mailto:e@f.test",
               "a@b.test c@d.test");
    places_are("v=TLSRPTv1", "");
    places_are("v=TLSRPTv1;", "");
    places_are("v=TLSRPTv1; x=y", "");
    places_are("v=TLSRPTv2; rua=mailto:a@b.test", "");
    places_are("v=TLSRPTv1x; rua=mailto:a@b.test", "");
    places_are("v=TLSRPTv1; rua=mailto:a@b.test; -=", "");
    places_are("v=TLSRPTv1; rua=mailto:", "");
    places_are("v=TLSRPTv1; rua=mailto:a", "");
    places_are("v=TLSRPTv1; rua=mailto:a%0D%0Ab@c.test", "");
    places_are("v=TLSRPTv1; rua=mailto:a%2", "");
    places_are("v=TLSRPTv1; rua=mailto:a%zz@b.test", "");
    places_are("v=TLSRPTv1; rua=http://a.test/", "");
    places_are("v=TLSRPTv1; rua=https://", "");
    places_are("v=TLSRPTv1; rua=https://user@a.test/", "");
    places_are("v=TLSRPTv1; rua=https://192.0.2.1/", "");
    places_are("v=TLSRPTv1; rua=https://[2001:db8::1]/", "");
    places_are("v=TLSRPTv1; rua=https://a.test:0/", "");
    places_are("v=TLSRPTv1; rua=https://a.test:65536/", "");
    places_are("v=TLSRPTv1; rua=https://a.test/\xc3\xa9", "");
    places_are("v=TLSRPTv1; rua=https://a.test/a b", "");
    places_are("v=TLSRPTv1; rua=https://a.test/\"", "");
}

static void test_records(void **state)
{
    struct str one = STR("v=TLSRPTv1; rua=mailto:a@b.test"), other = STR("v=spf1"), wrong;
    struct tls_report_places places;
    struct arena arena;
    (void)state;
    arena_init(&arena, ENOUGH);
    assert_true(tls_report_record_find((struct str[]){other, one}, 2, &arena, &places, &wrong));
    assert_false(tls_report_record_find((struct str[]){one, one}, 2, &arena, &places, &wrong));
    assert_str(wrong, STR("there is more than one record"));
    assert_false(tls_report_record_find(&other, 1, &arena, &places, &wrong));
    assert_null(wrong.p);
    arena_done(&arena);
}

static bool long_record(size_t url, size_t record)
{
    struct buf text = BUF_INIT(ENOUGH);
    struct tls_report_places places;
    struct arena arena;
    struct str wrong;
    arena_init(&arena, ENOUGH);
    buf_put(&text, STR("v=TLSRPTv1;rua=https://a.test/"));
    while (text.n < 15 + url)
        buf_putc(&text, 'x');
    if (record)
        buf_put(&text, STR(";y="));
    while (text.n < 11 + record)
        buf_putc(&text, 'x');
    struct str whole = buf_str(&text);
    bool good = tls_report_record_find(&whole, 1, &arena, &places, &wrong);
    buf_done(&text);
    arena_done(&arena);
    return good;
}

static void test_limits(void **state)
{
    (void)state;
    assert_true(long_record(TLS_REPORT_URL_MAX, 0));
    assert_false(long_record(TLS_REPORT_URL_MAX + 1, 0));
    assert_true(long_record(20, TLS_REPORT_RECORD_MAX));
    assert_false(long_record(20, TLS_REPORT_RECORD_MAX + 1));
}

static void test_words(void **state)
{
    (void)state;
    enum tls_report_failure_type type;
    for (int i = 0; i < TLS_REPORT_FAILURE_TYPES; i++) {
        struct str word = tls_report_failure_word((enum tls_report_failure_type)i);
        assert_true(word.n > 0 && tls_report_failure_parse(word, &type));
        assert_int_equal(type, i);
    }
    assert_false(tls_report_failure_parse(STR("none"), &type));
}

/* --- The report --- */

static const struct str sts_lines[] = {STR_INIT("version: STSv1"), STR_INIT("mode: testing"),
                                       STR_INIT("mx: *.example.net")};
static const struct str sts_mx[] = {STR_INIT("*.example.net")};
static const struct tls_report_failure failures[] = {
    {.type = TLS_REPORT_CERTIFICATE_EXPIRED,
     .sending_ip = STR_INIT("192.0.2.1"),
     .receiving_ip = STR_INIT("2001:db8::1"),
     .mx = STR_INIT("mx1.example.net"),
     .count = 100},
    {.type = TLS_REPORT_VALIDATION_FAILURE,
     .mx = STR_INIT("mx2.example.net"),
     .helo = STR_INIT("x\"\r\n\xe2\x80\xae\xff"),
     .reason = STR_INIT("X509_V_ERR"),
     .count = UINT64_MAX},
};
static const struct tls_report_policy policies[] = {
    {.type = TLS_REPORT_STS,
     .domain = STR_INIT("example.net"),
     .lines = sts_lines,
     .line_count = 3,
     .mx = sts_mx,
     .mx_count = 1,
     .successes = 5326,
     .failures = 303,
     .details = failures,
     .detail_count = 2},
    {.type = TLS_REPORT_NO_POLICY, .domain = STR_INIT("example.net"), .successes = 1},
};
static const struct tls_report report = {
    .organization = STR_INIT("Example"),
    .contact = STR_INIT("tls@mx.example.org"),
    .id = STR_INIT("20261121a"),
    .begin = 1795219200,
    .end = 1795305599,
    .domain = STR_INIT("example.net"),
    .policies = policies,
    .policy_count = 2,
};

static void test_json(void **state)
{
    struct buf out = BUF_INIT(ENOUGH);
    (void)state;
    assert_false(err_is(tls_report_json(&report, &out)));
    assert_str(
        buf_str(&out),
        STR("{\"organization-name\":\"Example\",\"date-range\":{\"start-datetime\":"
            "\"2026-11-21T00:00:00Z\",\"end-datetime\":\"2026-11-21T23:59:59Z\"},"
            "\"contact-info\":\"tls@mx.example.org\",\"report-id\":\"20261121a\",\"policies\":["
            "{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\","
            "\"mode: testing\",\"mx: *.example.net\"],\"policy-domain\":\"example.net\","
            "\"mx-host\":[\"*.example.net\"]},\"summary\":{\"total-successful-session-count\":5326,"
            "\"total-failure-session-count\":303},\"failure-details\":[{\"result-type\":"
            "\"certificate-expired\",\"sending-mta-ip\":\"192.0.2.1\",\"receiving-mx-hostname\":"
            "\"mx1.example.net\",\"receiving-ip\":\"2001:db8::1\",\"failed-session-count\":100},"
            "{\"result-type\":\"validation-failure\",\"receiving-mx-hostname\":\"mx2.example.net\","
            "\"receiving-mx-helo\":\"x\\\"\\\\x{0D}\\\\x{0A}\\\\x{202E}\\\\x{FF}\","
            "\"failed-session-count\":9223372036854775807,\"failure-reason-code\":\"X509_V_ERR\"}]}"
            ","
            "{\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-domain\":\"example.net\"},"
            "\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":0}}"
            "]}"));
    struct buf small = BUF_INIT(out.n - 1);
    assert_int_equal(tls_report_json(&report, &small).code, ERR_OVER_LIMIT);
    buf_done(&small);
    buf_done(&out);
}

static void file_name_is(const struct tls_report *of, bool gzip, const char *expected)
{
    struct buf out = BUF_INIT(ENOUGH);
    tls_report_file_name(of, gzip, &out);
    assert_str(buf_str(&out), str_from(expected));
    buf_done(&out);
}

static void test_file_name(void **state)
{
    struct tls_report evil = report;
    (void)state;
    file_name_is(&report, true,
                 "mx.example.org!example.net!1795219200!1795305599!20261121a.json.gz");
    file_name_is(&report, false, "mx.example.org!example.net!1795219200!1795305599!20261121a.json");
    evil.domain = STR("../\"\r\nX: y");
    file_name_is(&evil, false, "mx.example.org!..____X__y!1795219200!1795305599!20261121a.json");
}

static void test_mail(void **state)
{
    struct tls_report_mail mail = {.from = STR("tls@mx.example.org"),
                                   .to = STR("reports@example.net"),
                                   .message_id = STR("1@mx.example.org"),
                                   .time = 1795320000,
                                   .content = STR("{}"),
                                   .gzip = true};
    struct buf out = BUF_INIT(ENOUGH);
    (void)state;
    assert_false(err_is(tls_report_mail_print(&report, &mail, &out)));
    assert_str(
        buf_str(&out),
        STR("From: tls@mx.example.org\r\n"
            "To: reports@example.net\r\n"
            "Subject: Report Domain: example.net Submitter: mx.example.org Report-ID:\r\n"
            " <1@mx.example.org>\r\n"
            "Date: Sun, 22 Nov 2026 04:00:00 +0000\r\n"
            "Message-ID: <1@mx.example.org>\r\n"
            "TLS-Report-Domain: example.net\r\n"
            "TLS-Report-Submitter: mx.example.org\r\n"
            "TLS-Required: No\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
            " boundary=\"=_48a724ca162032e1\"\r\n"
            "\r\n"
            "--=_48a724ca162032e1\r\n"
            "Content-Type: text/plain; charset=us-ascii\r\n"
            "\r\n"
            "This is an aggregate TLS report of mx.example.org\r\n"
            "about mail to example.net,\r\n"
            "from 2026-11-21T00:00:00Z to 2026-11-21T23:59:59Z.\r\n"
            "\r\n"
            "--=_48a724ca162032e1\r\n"
            "Content-Type: application/tlsrpt+gzip\r\n"
            "Content-Transfer-Encoding: base64\r\n"
            "Content-Disposition: attachment;\r\n"
            " filename=\"mx.example.org!example.net!1795219200!1795305599!20261121a.json.gz\"\r\n"
            "\r\n"
            "e30=\r\n"
            "\r\n"
            "--=_48a724ca162032e1--\r\n"));
    struct buf small = BUF_INIT(out.n - 1);
    assert_int_equal(tls_report_mail_print(&report, &mail, &small).code, ERR_OVER_LIMIT);
    buf_done(&small);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record), cmocka_unit_test(test_records),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_words),
        cmocka_unit_test(test_json),   cmocka_unit_test(test_file_name),
        cmocka_unit_test(test_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
