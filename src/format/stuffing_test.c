#include "base/test.h"

#include "format/stuffing.h"

/* In pieces of every size, and only counted: the same. */
static void sent(struct str message, bool dots, struct str expected)
{
    for (size_t piece = 1; piece <= message.n + 1; piece++) {
        struct buf buf = BUF_INIT(1000);
        struct stuffing stuffing, counting;
        stuffing_init(&stuffing, dots);
        stuffing_init(&counting, dots);
        for (size_t at = 0; at < message.n; at += piece) {
            struct str octets = str_head(str_from_index(message, at), piece);
            stuffing_feed(&stuffing, octets, &buf);
            stuffing_feed(&counting, octets, NULL);
        }
        stuffing_feed(&stuffing, STR(""), &buf);
        stuffing_end(&stuffing, &buf);
        stuffing_end(&counting, NULL);
        assert_str(buf_str(&buf), expected);
        assert_int_equal(stuffing.octets, expected.n);
        assert_int_equal(counting.octets, expected.n);
        buf_done(&buf);
    }
}

static void leading_dots_are_doubled(void **state)
{
    (void)state;
    sent(STR(".a\r\n..\r\nb.\r\n.\r\n"), true, STR("..a\r\n...\r\nb.\r\n..\r\n.\r\n"));
    sent(STR("."), true, STR("..\r\n.\r\n"));
    sent(STR("a\r\n\r\n.b"), true, STR("a\r\n\r\n..b\r\n.\r\n"));
}

static void the_end_is_a_line(void **state)
{
    (void)state;
    sent(STR(""), true, STR(".\r\n"));
    sent(STR("a"), true, STR("a\r\n.\r\n"));
    sent(STR("a\r\n"), true, STR("a\r\n.\r\n"));
    sent(STR("a\r"), true, STR("a \r\n.\r\n"));
    sent(STR("\r\n"), true, STR("\r\n.\r\n"));
}

/* S02: whatever is fed, no line ends but in CR LF, and no line is a dot alone but the last. */
static void bare_line_ends_are_spaces(void **state)
{
    (void)state;
    sent(STR("a\n.\nb\r\n"), true, STR("a . b\r\n.\r\n"));
    sent(STR("a\r.\rb\r\n"), true, STR("a . b\r\n.\r\n"));
    sent(STR("a\r\n\n.\r\n"), true, STR("a\r\n .\r\n.\r\n"));
    sent(STR("a\n.\r\nb"), true, STR("a .\r\nb\r\n.\r\n"));
    sent(STR("a\r\n.\rb"), true, STR("a\r\n.. b\r\n.\r\n"));
    sent(STR("\r\r\n\n\r.\r\n"), true, STR(" \r\n  .\r\n.\r\n"));
    sent(STR("\n.\r\n"), true, STR(" .\r\n.\r\n"));
    sent(STR("\0\n\0\r\0"), true, STR("\0 \0 \0\r\n.\r\n"));
}

static void chunks_have_no_dots(void **state)
{
    (void)state;
    sent(STR(".a\r\n.\r\n"), false, STR(".a\r\n.\r\n"));
    sent(STR(".a\n.\r"), false, STR(".a . \r\n"));
    sent(STR(""), false, STR(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leading_dots_are_doubled),
        cmocka_unit_test(the_end_is_a_line),
        cmocka_unit_test(bare_line_ends_are_spaces),
        cmocka_unit_test(chunks_have_no_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
