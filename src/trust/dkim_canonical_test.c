#include "trust/dkim_canonical.h"

#include "base/must.h"
#include "base/test.h"

static void text_put(void *arg, struct str octets)
{
    buf_put(arg, octets);
}

/* In two pieces, cut at `cut`. */
static void body_make(enum dkim_canonical canonical, struct str text, size_t cut, struct buf *to)
{
    const struct dkim_sink sink = {.put = text_put, .arg = to};
    struct dkim_body body;
    buf_clear(to);
    dkim_body_begin(&body, canonical);
    dkim_body_feed(&body, str_head(text, cut), &sink);
    dkim_body_feed(&body, str_from_index(text, cut), &sink);
    dkim_body_end(&body, &sink);
}

static void body_is(enum dkim_canonical canonical, struct str text, struct str expected)
{
    struct buf got = BUF_INIT(1 << 20);
    for (size_t cut = 0; cut <= text.n; cut++) {
        body_make(canonical, text, cut, &got);
        assert_str(buf_str(&got), expected);
    }
    buf_done(&got);
}

static void header_is(enum dkim_canonical canonical, struct str whole, struct str expected)
{
    struct buf got = BUF_INIT(1 << 16);
    dkim_header_canonical(canonical, whole, &got);
    assert_str(buf_str(&got), expected);
    buf_done(&got);
}

/* RFC 6376 3.4.5 */
static void test_examples_of_the_rfc(void **state)
{
    struct str b = STR("B : Y\t\r\n\tZ  \r\n"), body = STR(" C \r\nD \t E\r\n\r\n\r\n");
    (void)state;
    header_is(DKIM_RELAXED, STR("A: X\r\n"), STR("a:X\r\n"));
    header_is(DKIM_RELAXED, b, STR("b:Y Z\r\n"));
    header_is(DKIM_SIMPLE, b, b);
    body_is(DKIM_RELAXED, body, STR(" C\r\nD E\r\n"));
    body_is(DKIM_SIMPLE, body, STR(" C \r\nD \t E\r\n"));
}

/* RFC 6376 3.4.3, 3.4.4 */
static void test_nothing_of_a_body(void **state)
{
    (void)state;
    body_is(DKIM_SIMPLE, STR(""), STR("\r\n"));
    body_is(DKIM_RELAXED, STR(""), STR(""));
    body_is(DKIM_SIMPLE, STR("\r\n\r\n\r\n"), STR("\r\n"));
    body_is(DKIM_RELAXED, STR("\r\n\r\n\r\n"), STR(""));
    body_is(DKIM_SIMPLE, STR(" \t\r\n"), STR(" \t\r\n"));
    body_is(DKIM_RELAXED, STR(" \t\r\n \r\n"), STR(""));
    body_is(DKIM_RELAXED, STR("  "), STR(""));
}

static void test_last_line_without_end(void **state)
{
    (void)state;
    body_is(DKIM_SIMPLE, STR("a\r\nb"), STR("a\r\nb\r\n"));
    body_is(DKIM_RELAXED, STR("a\r\nb"), STR("a\r\nb\r\n"));
    body_is(DKIM_RELAXED, STR("a\r\nb \t"), STR("a\r\nb\r\n"));
    body_is(DKIM_RELAXED, STR("a\r\n\r\n "), STR("a\r\n"));
}

static void test_empty_lines_in_the_middle_stay(void **state)
{
    struct buf text = BUF_INIT(4096), expected = BUF_INIT(4096);
    (void)state;
    body_is(DKIM_SIMPLE, STR("\r\n\r\na\r\n\r\n"), STR("\r\n\r\na\r\n"));
    body_is(DKIM_RELAXED, STR("a\r\n \r\n\t\r\nb\r\n\r\n"), STR("a\r\n\r\n\r\nb\r\n"));
    for (size_t lines = 1; lines < 40; lines++) { /* more than are put in one piece */
        buf_clear(&text);
        buf_put(&text, STR("a"));
        for (size_t i = 0; i < lines; i++)
            buf_put(&text, STR("\r\n"));
        buf_put(&text, STR("b\r\n"));
        body_make(DKIM_RELAXED, buf_str(&text), lines, &expected);
        assert_str(buf_str(&expected), buf_str(&text));
    }
    buf_done(&text);
    buf_done(&expected);
}

static void test_blanks_become_one(void **state)
{
    (void)state;
    body_is(DKIM_RELAXED, STR("a  b\tc \t d\r\n"), STR("a b c d\r\n"));
    body_is(DKIM_RELAXED, STR("\ta\r\n  b\r\n"), STR(" a\r\n b\r\n"));
    body_is(DKIM_RELAXED, STR("a \r\nb\t\t\r\n"), STR("a\r\nb\r\n"));
    body_is(DKIM_SIMPLE, STR("a  b \t\r\n"), STR("a  b \t\r\n"));
}

/* They end no line: nobody on the way may read lines into what was signed as one. */
static void test_bare_cr_and_lf_are_octets(void **state)
{
    (void)state;
    body_is(DKIM_RELAXED, STR("a \rb \nc\r\n"), STR("a \rb \nc\r\n"));
    body_is(DKIM_SIMPLE, STR("a\rb\nc\r\n"), STR("a\rb\nc\r\n"));
    body_is(DKIM_RELAXED, STR("a\r\r\nb\n\n"), STR("a\r\r\nb\n\n\r\n"));
    body_is(DKIM_SIMPLE, STR("a\r"), STR("a\r\r\n"));
    body_is(DKIM_RELAXED, STR("\n"), STR("\n\r\n"));
    body_is(DKIM_RELAXED, STR("a\r\n \r"), STR("a\r\n \r\r\n"));
}

static void test_octets_are_not_changed(void **state)
{
    (void)state;
    body_is(DKIM_RELAXED, str_make("\0\xc3\xa4 \xff\r\n", 7), str_make("\0\xc3\xa4 \xff\r\n", 7));
    body_is(DKIM_RELAXED, STR("..\r\n.\r\n"), STR("..\r\n.\r\n"));
    body_is(DKIM_RELAXED, STR("a\v\fb\r\n"), STR("a\v\fb\r\n")); /* WSP is SP and HTAB alone */
}

static void test_relaxed_fields(void **state)
{
    (void)state;
    header_is(DKIM_RELAXED, STR("SUBJect\t :\t a  b\r\n \tc \r\n"), STR("subject:a b c\r\n"));
    header_is(DKIM_RELAXED, STR("X:\r\n"), STR("x:\r\n"));
    header_is(DKIM_RELAXED, STR("X: \r\n \r\n\t\r\n"), STR("x:\r\n"));
    header_is(DKIM_RELAXED, STR("X: a:b : c"), STR("x:a:b : c\r\n"));
    header_is(DKIM_RELAXED, STR("X:a\r\n b"), STR("x:a b\r\n"));
    header_is(DKIM_RELAXED, STR("X: a\rb\nC \r d\r\n"), STR("x:a\rb\nC \r d\r\n"));
    header_is(DKIM_RELAXED, STR("X: \xc3\x84  \xff\r\n"), STR("x:\xc3\x84 \xff\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfc),
        cmocka_unit_test(test_nothing_of_a_body),
        cmocka_unit_test(test_last_line_without_end),
        cmocka_unit_test(test_empty_lines_in_the_middle_stay),
        cmocka_unit_test(test_blanks_become_one),
        cmocka_unit_test(test_bare_cr_and_lf_are_octets),
        cmocka_unit_test(test_octets_are_not_changed),
        cmocka_unit_test(test_relaxed_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
