#include "base/test.h"

#include "format/clean.h"

static void becomes_at(struct str text, enum clean_to to, struct str expected, int line)
{
    struct buf out = BUF_INIT(1000);
    clean_put(&out, text, to);
    assert_str_at(buf_str(&out), expected, __FILE__, line);
    assert_int_equal(clean_is(text, to), str_eq(text, expected));
    buf_done(&out);
}

#define becomes(text, to, expected) becomes_at(STR(text), to, STR(expected), __LINE__)

static void test_ascii(void **state)
{
    (void)state;
    becomes("", CLEAN_ASCII, "");
    becomes(" a \\ + = ~", CLEAN_ASCII, " a \\ + = ~");
    becomes("a\r\nb\0\x7f", CLEAN_ASCII, "a\\x{0D}\\x{0A}b\\x{00}\\x{7F}");
    becomes("\xe4\xbd\xa0\xff\xf0\x9f\x98\x80", CLEAN_ASCII, "\\x{4F60}\\x{FF}\\x{1F600}");
}

static void test_utf8(void **state)
{
    (void)state;
    becomes("\xe4\xbd\xa0\xf0\x9f\x98\x80 x", CLEAN_UTF8, "\xe4\xbd\xa0\xf0\x9f\x98\x80 x");
    /* U+009F and U+00A0: the last control and what is behind it */
    becomes("\xc2\x9f\xc2\xa0", CLEAN_UTF8, "\\x{9F}\xc2\xa0");
    becomes("\xe2\x80\xae\xe2\x81\xa6\xd8\x9c", CLEAN_UTF8, "\\x{202E}\\x{2066}\\x{61C}");
    becomes("\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbe", CLEAN_UTF8,
            "\\x{2028}\\x{2029}\\x{FEFF}\\x{FFFE}");
    /* A surrogate, an overlong form, a character that is cut */
    becomes("\xed\xa0\x80\xc0\x80\xe4\xbd", CLEAN_UTF8,
            "\\x{ED}\\x{A0}\\x{80}\\x{C0}\\x{80}\\x{E4}\\x{BD}");
}

static void test_xtext(void **state)
{
    (void)state;
    becomes("a+b=c\\ d", CLEAN_XTEXT, "a\\x{2B}b\\x{3D}c\\x{5C}\\x{20}d");
    becomes("\xc3\xa9\x10", CLEAN_XTEXT, "\\x{E9}\\x{10}");
}

static void test_some(void **state)
{
    static const struct {
        size_t limit;
        const char *expected;
    } cases[] = {
        {0, "..."},
        {1, "a..."},
        {2, "a..."},
        {3, "a..."},
        {4, "a\xe4\xbd\xa0..."},
        {5, "a\xe4\xbd\xa0\x62"},
        {9, "a\xe4\xbd\xa0\x62"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT(1000);
        clean_put_some(&out, STR("a\xe4\xbd\xa0\x62"), cases[i].limit, CLEAN_UTF8);
        assert_str(buf_str(&out), str_from(cases[i].expected));
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_xtext),
        cmocka_unit_test(test_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
