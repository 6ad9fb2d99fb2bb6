/* Texts of users as UTF-8: the charsets that people in China, Japan and the West still have. */
#include "cli/charset.h"

#include <stdlib.h>

#include "base/test.h"

enum {
    ROOM = 1 << 20
};

/* One more than any name has. */
#define LONG_NAME "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static struct buf made;
static size_t line;

static enum charset_end converted(const char *name, const char *text)
{
    buf_done(&made);
    buf_init(&made, ROOM);
    return charset_convert(str_from(name), str_from(text), &made, &line);
}

static void becomes(const char *name, const char *text, const char *utf8)
{
    assert_int_equal(converted(name, text), CHARSET_FINE);
    assert_str(buf_str(&made), str_from(utf8));
}

static void GB18030_is_read_whole(void **state)
{
    (void)state;
    becomes("GB18030", "\xC4\xE3\xBA\xC3", "你好");
    becomes("gb18030", "\x81\x39\xEE\x39", "㐀");               /* four octets: CJK extension A */
    becomes("GB18030", "\x95\x32\x82\x36", "\xF0\xA0\x80\x80"); /* U+20000 */
    becomes("GB18030", "\x94\x39\xDA\x33", "\xF0\x9F\x92\xA9"); /* an emoji */
    becomes("GB18030", "a\r\n\xD6\xD0\xCE\xC4\r\n", "a\r\n中文\r\n");
    becomes("GB2312", "\x95\x32\x82\x36", "\xF0\xA0\x80\x80"); /* what mail calls so is GB18030 */
}

static void others_too(void **state)
{
    (void)state;
    becomes("Big5", "\xA7\x41\xA6\x6E", "你好");
    becomes("Shift_JIS", "\x93\xFA\x96\x7B", "日本");
    becomes("ISO-2022-JP", "\x1B$BF|K\\\x1B(B.", "日本.");
    becomes("EUC-KR", "\xC7\xD1", "한");
    becomes("windows-1252", "\x80 \x96", "€ –");
    becomes("ISO-8859-1", "\xE9", "é");
    becomes("UTF-8", "\xEF\xBB\xBFhi", "hi");
    becomes("us-ascii", "hi", "hi");
}

static void what_is_wrong_is_named_by_its_line(void **state)
{
    (void)state;
    assert_int_equal(converted("GB18030", "a\nb\n\xC4\xFF\n"), CHARSET_WRONG);
    assert_int_equal(line, 3);
    assert_int_equal(converted("GB18030", "\xC4"), CHARSET_WRONG); /* half a character */
    assert_int_equal(line, 1);
    assert_int_equal(converted("UTF-8", "a\n\xC3\n"), CHARSET_WRONG);
    assert_int_equal(line, 2);
    assert_int_equal(converted("us-ascii", "\n\n\n\xC3"), CHARSET_WRONG);
    assert_int_equal(line, 4);
}

static void no_charset_at_all(void **state)
{
    (void)state;
    static const char *const names[] = {"",       "no-such", "GB18030//IGNORE", "//",
                                        "binary", "../../x", LONG_NAME};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(converted(names[i], "x"), CHARSET_UNKNOWN);
}

/* More than a piece, cut in the midst of characters; and what has no room says so. */
static void long_texts(void **state)
{
    static char text[300001];
    (void)state;
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC4\xE3", 2);
    assert_int_equal(converted("GB18030", text), CHARSET_FINE);
    assert_int_equal(made.n, 3 * (strlen(text) / 2));
    for (size_t i = 0; i < made.n; i += 3)
        assert_memory_equal(made.p + i, "你", 3);
    buf_done(&made);
    buf_init(&made, 100);
    assert_int_equal(charset_convert(STR("GB18030"), str_from(text), &made, &line),
                     CHARSET_NO_ROOM);
}

static void the_locale_is_asked(void **state)
{
    (void)state;
    setenv("LC_ALL", "C", 1);
    assert_str(charset_of_locale(), STR(""));
    setenv("LC_ALL", "C.UTF-8", 1);
    assert_str(charset_of_locale(), STR(""));
    setenv("LC_ALL", "no_SUCH", 1);
    assert_str(charset_of_locale(), STR(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(GB18030_is_read_whole),
        cmocka_unit_test(others_too),
        cmocka_unit_test(what_is_wrong_is_named_by_its_line),
        cmocka_unit_test(no_charset_at_all),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(the_locale_is_asked),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&made);
    return failed;
}
