#include "base/test.h"

#include "format/header.h"
#include "format/summary.h"

enum {
    ENOUGH = 64 << 20
};

struct given {
    struct arena arena;
    struct buf buf;
};

static int given_open(void **state)
{
    static struct given given;
    arena_init(&given.arena, ENOUGH);
    buf_init(&given.buf, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->buf);
    return 0;
}

static void fields_are_split_as_the_summary_does(void **state)
{
    (void)state;
    struct str rest = STR("A: 1\r\n x\r\nno colon\r\n \r\nB : 2\r\nC\0: 3\r\n\r\nbody: x\r\n");
    struct header_field f;
    assert_true(header_next(&rest, &f));
    assert_str(f.name, STR("A"));
    assert_str(f.value, STR(" 1\r\n x"));
    assert_true(header_next(&rest, &f));
    assert_str(f.name, STR(""));
    assert_str(f.whole, STR("no colon\r\n \r\n"));
    assert_true(header_next(&rest, &f));
    assert_str(f.name, STR("B"));
    assert_str(f.value, STR(" 2"));
    assert_true(header_next(&rest, &f));
    assert_str(f.name, STR(""));
    assert_false(header_next(&rest, &f));
    assert_str(rest, STR("\r\nbody: x\r\n"));
    assert_true(header_find(STR("A: 1\r\nb: 2"), STR("B"), &f));
    assert_str(f.value, STR(" 2"));
    assert_false(header_find(STR("A: 1\r\n\r\nb: 2"), STR("B"), &f));
    assert_true(header_find_only(STR("A: 1\r\nb: 2\r\n\r\nb: 3"), STR("B"), &f));
    assert_str(f.value, STR(" 2"));
    assert_false(header_find_only(STR("b: 1\r\nA: 1\r\nB: 1"), STR("B"), &f));
    assert_false(header_find_only(STR("A: 1"), STR("B"), &f));
}

static void values_are_unfolded(void **state)
{
    struct given *given = *state;
    header_unfold(STR(" a\r\n b\r\n\tc \r\n "), &given->buf);
    assert_str(buf_str(&given->buf), STR("a b\tc"));
}

/* The list in one line: name<local|domain>, {group and }, ! for what is malformed. */
static struct str listed(struct given *given, struct str text)
{
    struct header_addresses list = {.rest = text, .arena = &given->arena};
    struct header_address a;
    buf_clear(&given->buf);
    while (header_addresses_next(&list, &a)) {
        if (a.kind == HEADER_MAILBOX)
            buf_printf(&given->buf, "%.*s<%.*s|%.*s> ", STR_FMT(a.name), STR_FMT(a.local),
                       STR_FMT(a.domain));
        else if (a.kind == HEADER_GROUP_BEGIN)
            buf_printf(&given->buf, "{%.*s ", STR_FMT(a.name));
        else
            buf_put(&given->buf, a.kind == HEADER_GROUP_END ? STR("} ") : STR("! "));
    }
    assert_false(arena_over(&given->arena));
    return str_trim(buf_str(&given->buf));
}

static void addresses_are_read(void **state)
{
    static const struct {
        struct str text, listed;
    } rows[] = {
        {STR_INIT("a@b.test"), STR_INIT("<a|b.test>")},
        {STR_INIT("Bob <a@b.test>, c@d"), STR_INIT("Bob<a|b.test> <c|d>")},
        {STR_INIT("\"Bob, \\\"x\\\"\" <a@b>"), STR_INIT("Bob, \"x\"<a|b>")},
        {STR_INIT("A. B.  C (x) D <a@b>"), STR_INIT("A. B. C D<a|b>")},
        {STR_INIT("=?utf-8?Q?a?= <a@b>"), STR_INIT("=?utf-8?Q?a?=<a|b>")},
        {STR_INIT("\"a@evil\"@good"), STR_INIT("<a@evil|good>")},
        {STR_INIT("a . b (c) @ (d) e . f"), STR_INIT("<a.b|e.f>")},
        {STR_INIT("<@x,@y:a@b>"), STR_INIT("<a|b>")},
        {STR_INIT("a@[IPv6:::1]"), STR_INIT("<a|[IPv6:::1]>")},
        {STR_INIT("G: a@b, c <d@e>; , f@g"), STR_INIT("{G <a|b> c<d|e> } <f|g>")},
        {STR_INIT("undisclosed-recipients:;"), STR_INIT("{undisclosed-recipients }")},
        {STR_INIT("G: a@b"), STR_INIT("{G <a|b> }")},
        {STR_INIT(",, a@b,\r\n ,c@d,"), STR_INIT("<a|b> <c|d>")},
        {STR_INIT("用户@例子.测试"), STR_INIT("<用户|例子.测试>")},
        {STR_INIT(""), STR_INIT("")},
        {STR_INIT("bob"), STR_INIT("!")},
        {STR_INIT("a@b c@d, e@f"), STR_INIT("! <e|f>")},
        {STR_INIT("John Doe@x, e@f"), STR_INIT("! <e|f>")},
        {STR_INIT("<a@b, e@f"), STR_INIT("! <e|f>")},
        {STR_INIT("<>, a@"), STR_INIT("! !")},
        {STR_INIT("<a@evil>:<b@good>;"), STR_INIT("!")},
        {STR_INIT("<a@b>x"), STR_INIT("!")},
        {STR_INIT("a@\"b\""), STR_INIT("!")},
        {STR_INIT("@b"), STR_INIT("!")},
        {STR_INIT("(((((a@b"), STR_INIT("")},
        {STR_INIT("=?utf-8?b?cG90dXM=?==?utf-8?Q?=00?=@evil.example"),
         STR_INIT("<=?utf-8?b?cG90dXM=?==?utf-8?Q?=00?=|evil.example>")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(listed(*state, rows[i].text), rows[i].listed);
}

/* M01: a hundred thousand addresses, and the lists that make a scanner go back. */
static void long_lists_are_read_in_one_go(void **state)
{
    static const struct str rows[] = {
        STR_INIT("a@b,\r\n "), STR_INIT("\"a\" <b@c>,"),
        STR_INIT("("),         STR_INIT("<"),
        STR_INIT("a "),        STR_INIT("G:;"),
        STR_INIT("\\"),        STR_INIT("\""),
        STR_INIT("<@a,"),      STR_INIT(";"),
        STR_INIT(":"),         STR_INIT("@"),
        STR_INIT("a@[,"),
    };
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&text);
        for (int n = 0; n < 100000; n++)
            buf_put(&text, rows[i]);
        struct header_addresses list = {.rest = buf_str(&text), .arena = &given->arena};
        struct header_address a;
        size_t found = 0;
        arena_reset(&given->arena);
        while (header_addresses_next(&list, &a)) {
            assert_true(a.kind <= HEADER_MALFORMED);
            assert_in_range(++found, 1, 200001);
        }
        if (i == 0)
            assert_int_equal(found, 100000);
    }
    buf_done(&text);
}

static struct str author_of(struct given *given, struct str value, uint32_t count, uint32_t flags)
{
    struct header_author author;
    struct err e = header_from_check(value, count, flags, &given->arena, &author);
    if (err_is(e))
        assert_int_equal(e.code, ERR_MESSAGE_FROM);
    return err_is(e) ? STR("!") : author.domain;
}

/* M09, M10 */
static void the_author_domain_is_one_or_none(void **state)
{
    static const struct {
        struct str value, domain;
    } rows[] = {
        {STR_INIT("Bob <b@Good.test>"), STR_INIT("good.test")},
        {STR_INIT("\"b@evil.test\" <b@good.test>"), STR_INIT("good.test")},
        {STR_INIT("\"b@evil.test\"@good.test"), STR_INIT("good.test")},
        {STR_INIT("a@good.test, b@GOOD.test"), STR_INIT("good.test")},
        {STR_INIT("G: a@good.test, b@good.test;"), STR_INIT("good.test")},
        {STR_INIT("用户@例子.测试"), STR_INIT("xn--fsqu00a.xn--0zwm56d")},
        {STR_INIT("=?utf-8?b?cG90dXM=?==?utf-8?Q?=00?=@evil.example"), STR_INIT("evil.example")},
        {STR_INIT("a@evil.test, b@good.test"), STR_INIT("!")},
        {STR_INIT("<a@evil>:<b@good>;"), STR_INIT("!")},
        {STR_INIT("G:;"), STR_INIT("!")},
        {STR_INIT(""), STR_INIT("!")},
        {STR_INIT("Bob"), STR_INIT("!")},
        {STR_INIT("b@good.test\0@evil.test"), STR_INIT("!")},
        {STR_INIT("b@good..test"), STR_INIT("!")},
        {STR_INIT("b@good.test c@evil.test"), STR_INIT("!")},
        {STR_INIT("b@good.test,"), STR_INIT("good.test")},
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(author_of(given, rows[i].value, 1, 0), rows[i].domain);
    assert_str(author_of(given, STR("a@b.test"), 0, 0), STR("!"));
    assert_str(author_of(given, STR("a@b.test"), 2, 0), STR("!"));
    assert_str(author_of(given, STR("a@b.test"), 1, SUMMARY_FROM_AMBIGUOUS), STR("!"));
    assert_str(author_of(given, STR("a@b.test"), 1, SUMMARY_HEADER_HAS_CONTROL), STR("!"));
}

#define given_test(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        given_test(fields_are_split_as_the_summary_does),
        given_test(values_are_unfolded),
        given_test(addresses_are_read),
        given_test(long_lists_are_read_in_one_go),
        given_test(the_author_domain_is_one_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
