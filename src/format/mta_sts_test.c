#include "base/test.h"

#include "format/mta_sts.h"

enum {
    ENOUGH = 1 << 20,
};

/* --- The record --- */

static void test_record(void **state)
{
    static const struct {
        const char *text, *id;
    } cases[] = {
        {"v=STSv1; id=20160831085700Z;", "20160831085700Z"},
        {"v=STSv1;id=1", "1"},
        {"v=STSv1 ;\tid=1 ; ", "1"},
        {"v=STSv1; x-1=a; id=1; y=b", "1"},
        {"v=STSv1; id=1; id=2", "1"},
        {"v=STSv1; id=12345678901234567890123456789012", "12345678901234567890123456789012"},
        {"v=STSv1; id=123456789012345678901234567890123", NULL},
        {"v=STSv1; id=", NULL},
        {"v=STSv1; id=a-b", NULL},
        {"v=STSv1; ID=1", NULL},
        {"v=STSv1; id = 1", NULL},
        {"v=STSv1; id=1; x", NULL},
        {"v=STSv1; id=1; x=a b", NULL},
        {"v=STSv1; id=1;; y=1", NULL},
        {"v=STSv1;", NULL},
        {"v=STSv1", NULL},
        {"v=STSv2; id=1", NULL},
        {" v=STSv1; id=1", NULL},
        {"V=STSv1; id=1", NULL},
        {"v=STSv1; id=\xc3\xa9", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_from(cases[i].text), id = str_null(), wrong;
        bool found = mta_sts_record_find(&text, 1, &id, &wrong);
        if (found != (cases[i].id != NULL))
            fail_msg("%s", cases[i].text);
        if (found)
            assert_str(id, str_from(cases[i].id));
    }
}

static void test_records(void **state)
{
    struct str one = STR("v=STSv1; id=1"), spf = STR("v=spf1 -all"), id, wrong;
    (void)state;
    assert_true(mta_sts_record_find((struct str[]){spf, one, spf}, 3, &id, &wrong));
    assert_str(id, STR("1"));
    assert_false(mta_sts_record_find((struct str[]){one, one}, 2, &id, &wrong));
    assert_str(wrong, STR("there is more than one record"));
    assert_false(mta_sts_record_find((struct str[]){spf}, 1, &id, &wrong));
    assert_null(wrong.p);
    assert_false(mta_sts_record_find(NULL, 0, &id, &wrong));
}

/* --- The policy --- */

static bool parse(const char *text, struct mta_sts_policy *policy, struct arena *arena)
{
    struct str wrong;
    bool good = mta_sts_policy_parse(str_from(text), arena, policy, &wrong);
    assert_int_equal(good, wrong.p == NULL);
    return good;
}

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 604800\n"

static void test_policy(void **state)
{
    struct mta_sts_policy policy;
    struct buf out = BUF_INIT(ENOUGH);
    struct arena arena;
    (void)state;
    arena_init(&arena, ENOUGH);
    assert_true(parse("version: STSv1\r\nmode: enforce\r\nmx: Mail.Example.test\r\n"
                      "mx:*.example.NET  \r\nnew-key: \xe4\xbd\xa0 x\r\nmax_age: 604800\r\n",
                      &policy, &arena));
    mta_sts_policy_print(&policy, &out);
    assert_str(buf_str(&out), STR("version: STSv1\nmode: enforce\nmx: mail.example.test\n"
                                  "mx: *.example.net\nmax_age: 604800\n"));
    assert_int_equal(policy.max_age, 604800);
    /* Empty lines are against the grammar, and at the end of many files. */
    assert_true(parse(HEAD "\r\nmx: a.test\n\n\n", &policy, &arena));
    assert_true(parse("max_age: 1\nmode: none\nversion: STSv1", &policy, &arena));
    assert_int_equal(policy.mode, MTA_STS_NONE);
    assert_true(parse("max_age: 1\nmode: none\nversion: STSv1\nmx: a.test\n", &policy, &arena));
    assert_int_equal(policy.mx_count, 0);
    arena_done(&arena);
    buf_done(&out);
}

static void test_first_counts(void **state)
{
    struct mta_sts_policy policy;
    struct arena arena;
    (void)state;
    arena_init(&arena, ENOUGH);
    assert_true(
        parse(HEAD "mx: a.test\nmode: none\nversion: STSv9\nmax_age: x\n", &policy, &arena));
    assert_int_equal(policy.mode, MTA_STS_ENFORCE);
    arena_done(&arena);
}

static void test_no_policy(void **state)
{
    static const char *const texts[] = {
        "",
        "<html>",
        HEAD,
        "mode: enforce\nmax_age: 1\nmx: a.test\n",
        "version: STSv1\nmax_age: 1\nmx: a.test\n",
        "version: STSv1\nmode: enforce\nmx: a.test\n",
        "version: STSv2\nmode: enforce\nmax_age: 1\nmx: a.test\n",
        "version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.test\n",
        "Version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.test\n",
        HEAD "mx: a.test\nx\n",
        HEAD "mx: a.test\nx:\n",
        HEAD "mx: a.test\nx: \xff\n",
        HEAD "mx: a.test\nx: a\rb\n",
        HEAD "mx: a.test\n x: y\n",
        HEAD "mx: a.test\nkey-that-is-much-longer-than-32-ch: y\n",
        HEAD "mx: a..test\n",
        HEAD "mx: *\n",
        HEAD "mx: *.*.test\n",
        HEAD "mx: a.*.test\n",
        HEAD "mx: m*.test\n",
        HEAD "mx: [192.0.2.1]\n",
        HEAD "mx: \xc3\xa4.test\n",
        "version: STSv1\nmode: none\nmax_age: 12345678901\n",
        "version: STSv1\nmode: none\nmax_age: -1\n",
    };
    struct mta_sts_policy policy;
    struct arena arena;
    (void)state;
    arena_init(&arena, ENOUGH);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (parse(texts[i], &policy, &arena))
            fail_msg("%zu: %s", i, texts[i]);
    arena_done(&arena);
}

/* N04: max_age 10^9 */
static void test_max_age_is_bounded(void **state)
{
    struct mta_sts_policy policy;
    struct arena arena;
    (void)state;
    arena_init(&arena, ENOUGH);
    assert_true(parse("version: STSv1\nmode: none\nmax_age: 31557599\n", &policy, &arena));
    assert_int_equal(policy.max_age, 31557599);
    assert_true(parse("version: STSv1\nmode: none\nmax_age: 31557601\n", &policy, &arena));
    assert_int_equal(policy.max_age, MTA_STS_AGE_MAX);
    assert_true(parse("version: STSv1\nmode: none\nmax_age: 9999999999\n", &policy, &arena));
    assert_int_equal(policy.max_age, MTA_STS_AGE_MAX);
    arena_done(&arena);
}

static bool repeated(const char *head, const char *line, size_t times, size_t size)
{
    struct buf text = BUF_INIT(ENOUGH);
    struct mta_sts_policy policy;
    struct arena arena;
    struct str wrong;
    arena_init(&arena, ENOUGH);
    buf_put(&text, str_from(head));
    for (size_t i = 0; i < times; i++)
        buf_put(&text, str_from(line));
    while (text.n < size)
        buf_putc(&text, 'x');
    bool good = mta_sts_policy_parse(buf_str(&text), &arena, &policy, &wrong);
    arena_done(&arena);
    buf_done(&text);
    return good;
}

static void test_limits(void **state)
{
    (void)state;
    assert_true(repeated(HEAD, "mx: a.test\n", MTA_STS_MX_MAX, 0));
    assert_false(repeated(HEAD, "mx: a.test\n", MTA_STS_MX_MAX + 1, 0));
    assert_true(repeated(HEAD "mx: a.test\n", "x: y\n", MTA_STS_LINES_MAX - 4, 0));
    assert_false(repeated(HEAD "mx: a.test\n", "x: y\n", MTA_STS_LINES_MAX - 3, 0));
    assert_true(repeated(HEAD "mx: a.test\nx: ", "", 0, MTA_STS_POLICY_MAX));
    assert_false(repeated(HEAD "mx: a.test\nx: ", "", 0, MTA_STS_POLICY_MAX + 1));
}

static void test_matching(void **state)
{
    static const struct {
        const char *host;
        bool allowed;
    } cases[] = {
        {"mail.example.test", true},
        {"MAIL.example.test.", true},
        {"a.example.net", true},
        {"example.net", false},
        {"a.b.example.net", false},
        {".example.net", false},
        {"aexample.net", false},
        {"mail.example.tes", false},
        {"x.mail.example.test", false},
        {"*.example.net", true},
        {"", false},
        {".", false},
        {"mail.example.test..", false},
    };
    struct mta_sts_policy policy;
    struct arena arena;
    (void)state;
    arena_init(&arena, ENOUGH);
    assert_true(parse(HEAD "mx: mail.example.test\nmx: *.example.net\n", &policy, &arena));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (mta_sts_allows(&policy, str_from(cases[i].host)) != cases[i].allowed)
            fail_msg("%s", cases[i].host);
    assert_true(parse("version: STSv1\nmode: none\nmax_age: 1\nmx: a.test\n", &policy, &arena));
    assert_false(mta_sts_allows(&policy, STR("a.test")));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),    cmocka_unit_test(test_records),
        cmocka_unit_test(test_policy),    cmocka_unit_test(test_first_counts),
        cmocka_unit_test(test_no_policy), cmocka_unit_test(test_max_age_is_bounded),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
