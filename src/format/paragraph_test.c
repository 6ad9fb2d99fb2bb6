#include "base/test.h"

#include "format/paragraph.h"

enum {
    ROOM = 1 << 20,
};

static void becomes_at(struct str text, size_t indent, struct str expected, int line)
{
    struct buf out = BUF_INIT(ROOM), breaks = BUF_INIT(ROOM);
    paragraph_put(&out, text, indent, &breaks);
    assert_str_at(buf_str(&out), expected, __FILE__, line);
    buf_done(&out);
    buf_done(&breaks);
}

#define becomes(text, indent, expected) becomes_at(STR(text), indent, STR(expected), __LINE__)

#define TEN "123456789 "
#define SEVENTY TEN TEN TEN TEN TEN TEN TEN
#define HAN "\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0"
#define THIRTY_HAN HAN HAN HAN HAN HAN HAN

static void test_short(void **state)
{
    (void)state;
    becomes("", 4, "\r\n");
    becomes("a b", 0, "a b\r\n");
    becomes("a b ", 2, "  a b\r\n");
}

/* 76 columns with the indent; no space at the end of a line. */
static void test_words(void **state)
{
    (void)state;
    becomes(SEVENTY "123456", 0, SEVENTY "123456\r\n");
    becomes(SEVENTY "1234567", 0, TEN TEN TEN TEN TEN TEN "123456789\r\n1234567\r\n");
    becomes(SEVENTY "1234", 2, "  " SEVENTY "1234\r\n");
    becomes(SEVENTY "12345", 2, "  " TEN TEN TEN TEN TEN TEN "123456789\r\n  12345\r\n");
}

/* A character of Chinese is two columns wide; a mark does not begin a line. */
static void test_chinese(void **state)
{
    (void)state;
    becomes(THIRTY_HAN HAN "\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0", 0,
            THIRTY_HAN HAN "\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0\r\n");
    becomes(THIRTY_HAN HAN HAN, 0,
            THIRTY_HAN HAN "\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0\r\n\xe4\xbd\xa0\xe4\xbd\xa0\r\n");
    becomes(THIRTY_HAN HAN "\xe4\xbd\xa0\xe4\xbd\xa0\xe4\xbd\xa0\xe3\x80\x82", 0,
            THIRTY_HAN HAN "\xe4\xbd\xa0\xe4\xbd\xa0\r\n\xe4\xbd\xa0\xe3\x80\x82\r\n");
}

static void test_nowhere_to_break(void **state)
{
    static char word[3000];
    struct buf out = BUF_INIT(ROOM), breaks = BUF_INIT(ROOM), none = BUF_INIT(10);
    (void)state;
    memset(word, 'x', sizeof(word));
    paragraph_put(&out, str_make(word, sizeof(word)), 0, &breaks);
    assert_int_equal(out.n, sizeof(word) + 2);
    buf_clear(&out);
    paragraph_put(&out, STR(SEVENTY SEVENTY), 0, &none);
    assert_int_equal(out.n, 139 + 2);
    buf_done(&out);
    buf_done(&breaks);
    buf_done(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_chinese),
        cmocka_unit_test(test_nowhere_to_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
