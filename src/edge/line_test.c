#include "edge/line.h"

#include "base/test.h"

enum {
    MOST = 16
};

static enum line_found found(struct str pending, bool lenient, struct str *line, size_t *used)
{
    *line = str_null();
    *used = 0;
    return line_find(pending, MOST, lenient, line, used);
}

static void a_line_ends_at_crlf(void **state)
{
    (void)state;
    struct str line;
    size_t used;
    assert_int_equal(found(STR("NOOP\r\nQUIT\r\n"), false, &line, &used), LINE_WHOLE);
    assert_str(line, STR("NOOP"));
    assert_int_equal(used, 6);
    assert_int_equal(found(STR("NOOP\r"), false, &line, &used), LINE_MORE);
    assert_int_equal(found(STR(""), false, &line, &used), LINE_MORE);
    assert_int_equal(found(STR("\r\n"), false, &line, &used), LINE_WHOLE);
    assert_int_equal(line.n, 0);
}

static void bare_ends_are_found_out(void **state)
{
    (void)state;
    struct str line;
    size_t used;
    assert_int_equal(found(STR("NOOP\n"), false, &line, &used), LINE_BARE);
    assert_int_equal(found(STR("\n"), false, &line, &used), LINE_BARE);
    assert_int_equal(found(STR("NO\rOP\r\n"), false, &line, &used), LINE_BARE);
    assert_int_equal(found(STR("NOOP\r\r\n"), false, &line, &used), LINE_BARE);
    assert_int_equal(found(STR("NOOP\n"), true, &line, &used), LINE_WHOLE);
    assert_str(line, STR("NOOP"));
}

static void the_limit_counts_the_end(void **state)
{
    (void)state;
    struct str line;
    size_t used;
    assert_int_equal(found(STR("12345678901234\r\n"), false, &line, &used), LINE_WHOLE);
    assert_int_equal(line.n, 14);
    assert_int_equal(found(STR("123456789012345\r\n"), false, &line, &used), LINE_LONG);
    assert_int_equal(found(STR("123456789012345"), false, &line, &used), LINE_MORE);
    assert_int_equal(found(STR("1234567890123456"), false, &line, &used), LINE_LONG);
}

static void the_rest_is_skipped(void **state)
{
    (void)state;
    size_t used;
    assert_int_equal(line_skip(STR("abc"), false, &used), LINE_MORE);
    assert_int_equal(used, 3);
    assert_int_equal(line_skip(STR("abc\r"), false, &used), LINE_MORE);
    assert_int_equal(used, 3);
    assert_int_equal(line_skip(STR("\r\nNOOP\r\n"), false, &used), LINE_WHOLE);
    assert_int_equal(used, 2);
    assert_int_equal(line_skip(STR("a\nb"), false, &used), LINE_BARE);
    assert_int_equal(line_skip(STR("a\nb"), true, &used), LINE_WHOLE);
    assert_int_equal(used, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_ends_at_crlf),
        cmocka_unit_test(bare_ends_are_found_out),
        cmocka_unit_test(the_limit_counts_the_end),
        cmocka_unit_test(the_rest_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
