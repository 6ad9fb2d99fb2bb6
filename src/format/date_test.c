#include "base/test.h"

#include "format/date.h"

static void assert_printed(int64_t time, int zone, const char *expected)
{
    struct buf b = BUF_INIT(100);
    date_print(&b, time, zone);
    assert_str(buf_str(&b), str_from(expected));
    buf_done(&b);
}

/* S32: the ends of the range, 2038, 2106, leap days. */
static void dates_are_printed(void **state)
{
    (void)state;
    assert_printed(0, 0, "Thu, 01 Jan 1970 00:00:00 +0000");
    assert_printed(INT32_MAX, 0, "Tue, 19 Jan 2038 03:14:07 +0000");
    assert_printed(INT64_C(2147483648), 0, "Tue, 19 Jan 2038 03:14:08 +0000");
    assert_printed(INT64_C(4294967296), 0, "Sun, 07 Feb 2106 06:28:16 +0000");
    assert_printed(951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000");
    assert_printed(INT64_C(4107542400), 0, "Mon, 01 Mar 2100 00:00:00 +0000");
    assert_printed(1000000000, -330, "Sat, 08 Sep 2001 20:16:40 -0530");
    assert_printed(1000000000, 480, "Sun, 09 Sep 2001 09:46:40 +0800");
    assert_printed(DATE_MAX, 0, "Fri, 31 Dec 9999 23:59:59 +0000");
    assert_printed(DATE_MAX + 1, 0, "Fri, 31 Dec 9999 23:59:59 +0000");
    assert_printed(INT64_MAX, 60, "Fri, 31 Dec 9999 23:59:59 +0100");
    assert_printed(INT64_MIN, 0, "Thu, 01 Jan 1970 00:00:00 +0000");
}

static void rfc3339_is_printed(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    date_print_rfc3339(&b, 1000000000);
    assert_str(buf_str(&b), STR("2001-09-09T01:46:40Z"));
    buf_done(&b);
}

static void rfc3339_is_read(void **state)
{
    static const struct {
        struct str text;
        int64_t time;
        int zone;
        bool unknown;
    } rows[] = {
        {STR_INIT("2001-09-09T01:46:40Z"), 1000000000, 0, false},
        {STR_INIT("2001-09-09t01:46:40.25z"), 1000000000, 0, false},
        {STR_INIT("2001-09-09T09:46:40+08:00"), 1000000000, 480, false},
        {STR_INIT("2001-09-08T20:16:40-05:30"), 1000000000, -330, false},
        {STR_INIT("2001-09-09T01:46:40-00:00"), 1000000000, 0, true},
        {STR_INIT("1998-12-31T23:59:60Z"), 915148799, 0, false},
        {STR_INIT("1970-01-01T00:00:00Z"), 0, 0, false},
        {STR_INIT("9999-12-31T23:59:59Z"), DATE_MAX, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct date d = {0};
        assert_true(date_parse_rfc3339(rows[i].text, &d));
        assert_int_equal(d.time, rows[i].time);
        assert_int_equal(d.zone, rows[i].zone);
        assert_int_equal(d.zone_unknown, rows[i].unknown);
    }
}

static void what_is_no_rfc3339_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "2001-09-09",
        "2001-09-09T01:46Z",
        "2001-09-09T01:46:40",
        "2001-09-09 01:46:40Z",
        "2001-09-09T01:46:40.Z",
        "2001-9-09T01:46:40Z",
        "2001-09-09T01:46:40+8:00",
        "2001-09-09T01:46:40+0800",
        "2001-09-09T01:46:40+24:00",
        "2001-09-09T01:46:40+08:60",
        "2001-09-09T24:00:00Z",
        "2001-09-09T00:60:00Z",
        "2001-09-09T00:00:61Z",
        "2001-13-09T00:00:00Z",
        "2001-00-09T00:00:00Z",
        "2001-02-29T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "02001-09-09T01:46:40Z",
        "2001-09-09T01:46:40Z ",
        " 2001-09-09T01:46:40Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct date d;
        assert_false(date_parse_rfc3339(str_from(texts[i]), &d));
    }
}

static void dates_are_read(void **state)
{
    static const struct {
        struct str text;
        int64_t time;
        int zone;
        bool unknown;
    } rows[] = {
        {STR_INIT("Sun, 09 Sep 2001 01:46:40 +0000"), 1000000000, 0, false},
        {STR_INIT("9 Sep 2001 09:46:40 +0800"), 1000000000, 480, false},
        {STR_INIT("Sat,8 Sep 2001 20:16:40 -0530 (IST)"), 1000000000, -330, false},
        {STR_INIT(" (a(b)\\)) Sun , 9 Sep 01 01 : 46 : 40 GMT"), 1000000000, 0, false},
        {STR_INIT("Sun, 9 Sep 101 01:46:40 -0000"), 1000000000, 0, true},
        {STR_INIT("Sun 9 Sep 2001 01:46 UT"), 999999960, 0, false},
        {STR_INIT("9 sep 2001 01:46:40\r\n PDT"), 1000025200, -420, false},
        {STR_INIT("9 Sep 2001 01:46:40 XYZ"), 1000000000, 0, true},
        {STR_INIT("9 Sep 2001 01:46:40"), 1000000000, 0, true},
        {STR_INIT("31 Dec 1998 23:59:60 +0000"), 915148799, 0, false},
        {STR_INIT("29 Feb 2000 00:00:00 +0000"), 951782400, 0, false},
        {STR_INIT("31 Dec 9999 23:59:59 +0000"), DATE_MAX, 0, false},
        {STR_INIT("1 Jan 1970 00:00:00 +0000"), 0, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct date date;
        assert_true(date_parse(rows[i].text, &date));
        assert_true(date.time == rows[i].time);
        assert_int_equal(date.zone, rows[i].zone);
        assert_int_equal(date.zone_unknown, rows[i].unknown);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("today"),
        STR_INIT("9 Sep 2001"),
        STR_INIT("32 Jan 2001 00:00:00 +0000"),
        STR_INIT("0 Jan 2001 00:00:00 +0000"),
        STR_INIT("29 Feb 2001 00:00:00 +0000"),
        STR_INIT("29 Feb 2100 00:00:00 +0000"),
        STR_INIT("9 Foo 2001 00:00:00 +0000"),
        STR_INIT("9 Sep 2001 24:00:00 +0000"),
        STR_INIT("9 Sep 2001 00:60:00 +0000"),
        STR_INIT("9 Sep 2001 00:00:61 +0000"),
        STR_INIT("9 Sep 2001 00:00:00 +00000"),
        STR_INIT("9 Sep 2001 00:00:00 +0060"),
        STR_INIT("9 Sep 2001 00:00:00 +2400"),
        STR_INIT("9 Sep 10000 00:00:00 +0000"),
        STR_INIT("9 Sep 0001 00:00:00 +0000"),
        STR_INIT("1 Jan 1970 00:00:00 +0001"),
        STR_INIT("31 Dec 9999 23:59:59 -0001"),
        STR_INIT("9 Sep 2001 00:00:00 +0000 x"),
        STR_INIT("999999999999 Sep 2001 00:00:00 +0000"),
    };
    (void)state;
    struct date date;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(date_parse(rows[i], &date));
}

static void every_day_reads_back(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    for (int64_t time = 0; time <= DATE_MAX; time += 86400 * INT64_C(13) + 12345) {
        struct date date;
        buf_clear(&b);
        date_print(&b, time, 0);
        assert_true(date_parse(buf_str(&b), &date));
        assert_true(date.time == time);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_printed),    cmocka_unit_test(rfc3339_is_printed),
        cmocka_unit_test(rfc3339_is_read),      cmocka_unit_test(what_is_no_rfc3339_is_refused),
        cmocka_unit_test(dates_are_read),       cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(every_day_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
