#include "base/test.h"

#include "format/boundary.h"

enum {
    ROOM = 16 << 20,
};

static struct str boundary_of(struct buf *buf, struct str part)
{
    struct str parts[] = {STR("something"), part};
    buf_clear(buf);
    boundary_put(buf, STR("id@example.test"), parts, 2);
    assert_true(buf->n <= BOUNDARY_MAX);
    assert_true(str_find(part, buf_str(buf)) < 0);
    return buf_str(buf);
}

static void test_plain(void **state)
{
    struct buf one = BUF_INIT(100), two = BUF_INIT(100);
    struct str parts[] = {STR("")};
    (void)state;
    struct str boundary = boundary_of(&one, STR(""));
    assert_int_equal(boundary.n, 18);
    assert_true(str_starts(boundary, STR("=_")));
    boundary_put(&two, STR("other@example.test"), parts, 1);
    assert_false(str_eq(boundary, buf_str(&two)));
    buf_done(&one);
    buf_done(&two);
}

/* A part that holds the boundary, and every longer one up to three digits. */
static void test_hit_on_purpose(void **state)
{
    struct buf boundary = BUF_INIT(100), part = BUF_INIT(ROOM);
    (void)state;
    boundary_of(&boundary, STR(""));
    struct str plain = str_make(boundary.p, boundary.n);
    char first[32];
    memcpy(first, plain.p, plain.n);
    first[plain.n] = '\0';
    for (unsigned i = 0; i < 4096; i++)
        buf_printf(&part, "\r\n--%s%03x\r\n", first, i);
    assert_int_equal(boundary_of(&boundary, buf_str(&part)).n, 18 + 4);
    buf_cut(&part, part.n - 7); /* the last one no longer is whole */
    assert_int_equal(boundary_of(&boundary, buf_str(&part)).n, 18 + 3);
    buf_done(&boundary);
    buf_done(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_hit_on_purpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
