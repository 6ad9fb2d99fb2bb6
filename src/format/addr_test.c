#include "base/test.h"

#include "format/addr.h"

enum {
    ENOUGH = 64 * 1024
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

/* What addr_parse makes of text, printed; "!" where it is refused. */
static struct str reprinted(struct given *given, struct str text)
{
    struct addr addr;
    buf_clear(&given->buf);
    arena_reset(&given->arena);
    if (err_is(addr_parse(text, &given->arena, &addr)))
        return STR("!");
    addr_print(&given->buf, &addr);
    return buf_str(&given->buf);
}

static void bytes_fill(struct buf *buf, size_t n, char c)
{
    while (n--)
        buf_putc(buf, c);
}

static void addresses_have_one_form(void **state)
{
    static const struct {
        struct str text, printed;
    } rows[] = {
        {STR_INIT("bob@example.test"), STR_INIT("bob@example.test")},
        {STR_INIT("Bob@EXAMPLE.Test"), STR_INIT("Bob@example.test")},
        {STR_INIT("\"bob\"@example.test"), STR_INIT("bob@example.test")},
        {STR_INIT("\"b\\o\\b\"@example.test"), STR_INIT("bob@example.test")},
        {STR_INIT("\"a b\"@example.test"), STR_INIT("\"a b\"@example.test")},
        {STR_INIT("\"a\\\"\\\\\"@example.test"), STR_INIT("\"a\\\"\\\\\"@example.test")},
        {STR_INIT("\".a\"@example.test"), STR_INIT("\".a\"@example.test")},
        {STR_INIT("\"a..b\"@example.test"), STR_INIT("\"a..b\"@example.test")},
        {STR_INIT("bob@[192.0.2.1]"), STR_INIT("bob@[192.0.2.1]")},
        {STR_INIT("bob@[ipv6:2001:DB8:0::1]"), STR_INIT("bob@[IPv6:2001:db8::1]")},
        {STR_INIT("用户@例子.测试"), STR_INIT("用户@xn--fsqu00a.xn--0zwm56d")},
        {STR_INIT("a@XN--FSQU00A.xn--0zwm56d"), STR_INIT("a@xn--fsqu00a.xn--0zwm56d")},
        {STR_INIT("a@例子。测试"), STR_INIT("a@xn--fsqu00a.xn--0zwm56d")},
        {STR_INIT("a@straße.de"), STR_INIT("a@xn--strae-oqa.de")},
        {STR_INIT("e\u0301@example.test"), STR_INIT("\u00e9@example.test")},
        {STR_INIT("a\u037e@example.test"), STR_INIT("\"a;\"@example.test")},
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(reprinted(given, rows[i].text), rows[i].printed);
}

static void malformed_addresses_are_refused(void **state)
{
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("bob"),
        STR_INIT("@example.test"),
        STR_INIT("bob@"),
        STR_INIT("bob@.test"),
        STR_INIT("bob@example."),
        STR_INIT("bob@a..b"),
        STR_INIT("bob@-a.test"),
        STR_INIT("bob@a-.test"),
        STR_INIT("bob@a_b.test"),
        STR_INIT("bob@a b"),
        STR_INIT("bob@127.0.0.1"),
        STR_INIT("bob@[127.0.0.1"),
        STR_INIT("bob@[]"),
        STR_INIT("bob@[1.2.3]"),
        STR_INIT("bob@[01.2.3.4]"),
        STR_INIT("bob@[IPv6:1.2.3.4]"),
        STR_INIT("bob@[2001:db8::1]"),
        STR_INIT("bob@[x-tag:abc]"),
        STR_INIT("bob@[127.0.0.1\0]"),
        STR_INIT(".bob@example.test"),
        STR_INIT("bob.@example.test"),
        STR_INIT("b..ob@example.test"),
        STR_INIT("b ob@example.test"),
        STR_INIT("bob@a@b.test"),
        STR_INIT("<bob@example.test>"),
        STR_INIT("\"bob@example.test"),
        STR_INIT("\"bob\\"),
        STR_INIT("\"\"@example.test"),
        STR_INIT("\"a\nb\"@example.test"),
        STR_INIT("\"a\"b@example.test"),
        STR_INIT("a\0b@example.test"),
        STR_INIT("bob@exam\0ple.test"),
        STR_INIT("bob@xn--"),
        STR_INIT("bob@xn--a.test"),
        STR_INIT("bob@xn--99999999.test"),
        STR_INIT("bob@a\uff20b"),
        STR_INIT("bob@a_b.例子"),
        STR_INIT("bob@例..测"),
        STR_INIT("\xc0\xaf@example.test"),
        STR_INIT("a\xff@example.test"),
        STR_INIT("bob@\xc0\xaf.test"),
        STR_INIT("a\u202e@example.test"),
        STR_INIT("a\u2066@example.test"),
        STR_INIT("a\u200f@example.test"),
        STR_INIT("a\xc2\x85@example.test"),
        STR_INIT("a\ufeff@example.test"),
        STR_INIT("\"a\u2028\"@example.test"),
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!str_eq(reprinted(given, rows[i]), STR("!")))
            fail_msg("row %zu was taken: %.*s", i, STR_FMT(rows[i]));
}

static void local_part_limit_is_measured_unquoted(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(1000);
    for (size_t n = ADDR_LOCAL_MAX - 1; n <= ADDR_LOCAL_MAX + 1; n++) {
        bool taken = n <= ADDR_LOCAL_MAX;
        buf_clear(&text);
        bytes_fill(&text, n, 'a');
        buf_put(&text, STR("@b.test"));
        assert_int_equal(str_eq(reprinted(given, buf_str(&text)), buf_str(&text)), taken);
        buf_clear(&text);
        buf_putc(&text, '"');
        for (size_t i = 0; i < n; i++)
            buf_put(&text, STR("\\\""));
        buf_put(&text, STR("\"@b.test"));
        assert_int_equal(str_eq(reprinted(given, buf_str(&text)), buf_str(&text)), taken);
    }
    buf_done(&text);
}

static void domain_limits_hold(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(1000);
    struct str domain;
    for (size_t n = ADDR_LABEL_MAX - 1; n <= ADDR_LABEL_MAX + 1; n++) {
        buf_clear(&text);
        bytes_fill(&text, n, 'a');
        assert_int_equal(err_is(domain_parse(buf_str(&text), &given->arena, &domain)),
                         n > ADDR_LABEL_MAX);
    }
    for (size_t n = ADDR_DOMAIN_MAX - 1; n <= ADDR_DOMAIN_MAX + 1; n++) {
        buf_clear(&text);
        for (size_t i = 0; i < n - 3; i++)
            buf_putc(&text, i % 50 == 49 ? '.' : 'a');
        buf_put(&text, STR(".bc"));
        assert_int_equal(text.n, n);
        assert_int_equal(err_is(domain_parse(buf_str(&text), &given->arena, &domain)),
                         n > ADDR_DOMAIN_MAX);
    }
    buf_done(&text);
}

static struct str path_text(struct given *given, bool reverse, struct str text, struct str *rest)
{
    struct path path;
    arena_reset(&given->arena);
    buf_clear(&given->buf);
    struct err e = path_parse(text, reverse, &given->arena, &path, rest);
    if (err_is(e)) {
        assert_int_equal(e.code, reverse ? ERR_SENDER_SYNTAX : ERR_ADDRESS_SYNTAX);
        return STR("!");
    }
    buf_printf(&given->buf, "%d ", (int)path.addr.kind);
    addr_print(&given->buf, &path.addr);
    if (path.has_route)
        buf_printf(&given->buf, " via %.*s", STR_FMT(path.route));
    return buf_str(&given->buf);
}

static void paths_are_read(void **state)
{
    static const struct {
        bool reverse;
        struct str text, printed, rest;
    } rows[] = {
        {true, STR_INIT("<>"), STR_INIT("0 "), STR_INIT("")},
        {true, STR_INIT("<> SIZE=1"), STR_INIT("0 "), STR_INIT(" SIZE=1")},
        {true, STR_INIT(" <a@b.test>"), STR_INIT("2 a@b.test"), STR_INIT("")},
        {false, STR_INIT("<>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<PostMaster>"), STR_INIT("1 postmaster"), STR_INIT("")},
        {true, STR_INIT("<postmaster>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<bob>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<@a.test,@b.test:u@c.test>"), STR_INIT("2 u@c.test via @a.test,@b.test"),
         STR_INIT("")},
        {false, STR_INIT("<@[IPv6:::1]:u@c.test>"), STR_INIT("2 u@c.test via @[IPv6:::1]"),
         STR_INIT("")},
        {false, STR_INIT("<@a.test:>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<@a.test,b.test:u@c.test>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<@a.test,:u@c.test>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<\">\"@b.test> X=>"), STR_INIT("2 \">\"@b.test"), STR_INIT(" X=>")},
        {false, STR_INIT("<a@[192.0.2.1]>"), STR_INIT("3 a@[192.0.2.1]"), STR_INIT("")},
        {false, STR_INIT("a@b.test"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<a@b.test"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<a@b.test>SIZE=1"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT("<<a@b.test>>"), STR_INIT("!"), STR_INIT("")},
        {false, STR_INIT(""), STR_INIT("!"), STR_INIT("")},
        {true, STR_INIT("<> =\""), STR_INIT("0 "), STR_INIT(" =\"")},
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str rest = STR("");
        assert_str(path_text(given, rows[i].reverse, rows[i].text, &rest), rows[i].printed);
        assert_str(rest, rows[i].rest);
    }
}

static void path_limit_counts_the_brackets(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(1000);
    for (size_t n = ADDR_PATH_MAX - 1; n <= ADDR_PATH_MAX + 1; n++) {
        buf_clear(&text);
        buf_put(&text, STR("<a@"));
        for (size_t i = 0; i < n - 7; i++)
            buf_putc(&text, i % 50 == 49 ? '.' : 'a');
        buf_put(&text, STR(".bc>"));
        assert_int_equal(text.n, n);
        struct str rest;
        assert_int_equal(str_eq(path_text(given, false, buf_str(&text), &rest), STR("!")),
                         n > ADDR_PATH_MAX);
    }
    buf_done(&text);
}

/* The address alone would be short enough. */
static void path_limit_counts_the_route(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(1000);
    for (size_t n = ADDR_PATH_MAX - 1; n <= ADDR_PATH_MAX + 1; n++) {
        buf_clear(&text);
        buf_put(&text, STR("<@"));
        for (size_t i = 0; i < n - 9; i++)
            buf_putc(&text, i % 50 == 49 ? '.' : 'a');
        buf_put(&text, STR(":a@b.c>"));
        assert_int_equal(text.n, n);
        struct str rest;
        assert_int_equal(str_eq(path_text(given, false, buf_str(&text), &rest), STR("!")),
                         n > ADDR_PATH_MAX);
    }
    buf_done(&text);
}

/* S10: a shell in the reverse-path of CVE-2020-7247. */
static void shell_in_a_path_is_a_syntax_error(void **state)
{
    struct str rest;
    assert_str(path_text(*state, true, STR("<;for i in 0 1;do read r;done;sh;exit 0;>"), &rest),
               STR("!"));
}

/* S12, S19: expansions and relay tricks are letters like any others. */
static void other_syntaxes_mean_nothing(void **state)
{
    static const struct str rows[] = {
        STR_INIT("${run{x}}@local.test"), STR_INIT("%{x}@local.test"),
        STR_INIT("v%else@us.test"),       STR_INIT("\"v@else\"@us.test"),
        STR_INIT("else!v@us.test"),       STR_INIT("\"$(id)\"@us.test"),
        STR_INIT("\"\\\\x2f\"@us.test"),
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(reprinted(given, rows[i]), rows[i]);
    struct addr addr;
    assert_false(err_is(addr_parse(STR("\"v@else\"@us.test"), &given->arena, &addr)));
    assert_str(addr.local, STR("v@else"));
    assert_str(addr.domain, STR("us.test"));
}

static void utf8_is_told_as_written(void **state)
{
    struct given *given = *state;
    struct addr addr;
    assert_false(err_is(addr_parse(STR("a@例子.测试"), &given->arena, &addr)));
    assert_true(addr.utf8);
    assert_false(addr_needs_utf8(&addr));
    assert_false(err_is(addr_parse(STR("a@xn--fsqu00a"), &given->arena, &addr)));
    assert_false(addr.utf8);
    assert_false(err_is(addr_parse(STR("用户@b.test"), &given->arena, &addr)));
    assert_true(addr.utf8);
    assert_true(addr_needs_utf8(&addr));
}

static struct str key_of(struct given *given, struct str text)
{
    struct addr addr;
    buf_clear(&given->buf);
    assert_false(err_is(addr_parse(text, &given->arena, &addr)));
    addr_local_key(&addr, &given->buf);
    return buf_str(&given->buf);
}

static void keys_fold_what_is_one_mailbox(void **state)
{
    struct given *given = *state;
    assert_str(key_of(given, STR("Bob@Example.TEST")), STR("bob@example.test"));
    assert_str(key_of(given, STR("\"A B\"@example.test")), STR("a b@example.test"));
    assert_str(key_of(given, STR("\u00c9@b.test")), STR("\u00e9@b.test"));
    assert_str(key_of(given, STR("E\u0301@b.test")), STR("\u00e9@b.test"));
    assert_str(key_of(given, STR("\u03a3\u03c2@b.test")), STR("\u03c3\u03c3@b.test"));
    assert_str(key_of(given, STR("Stra\u00dfe@b.test")), STR("stra\u00dfe@b.test"));
    assert_str(key_of(given, STR("\u1e9e@b.test")), STR("\u00df@b.test"));
    assert_str(key_of(given, STR("\u0130@b.test")), STR("\u0130@b.test"));
    assert_str(key_of(given, STR("\u0131@b.test")), STR("\u0131@b.test"));
    assert_str(key_of(given, STR("用户@例子.测试")), STR("用户@xn--fsqu00a.xn--0zwm56d"));
}

static void display_shows_u_labels(void **state)
{
    struct given *given = *state;
    struct addr addr;
    assert_false(err_is(addr_parse(STR("用户@xn--fsqu00a.test"), &given->arena, &addr)));
    addr_print_display(&given->buf, &addr);
    assert_str(buf_str(&given->buf), STR("用户@例子.test"));
}

static void what_is_stored_is_shown_with_u_labels(void **state)
{
    struct given *given = *state;
    static const struct {
        struct str stored, shown;
    } rows[] = {
        {STR_INIT("用户@xn--fsqu00a.xn--0zwm56d"), STR_INIT("用户@例子.测试")},
        {STR_INIT("\"a@xn--fsqu00a\"@xn--fsqu00a.test"), STR_INIT("\"a@xn--fsqu00a\"@例子.test")},
        {STR_INIT("@xn--fsqu00a.test"), STR_INIT("@例子.test")},
        {STR_INIT("xn--fsqu00a.test"), STR_INIT("例子.test")},
        {STR_INIT("bob@example.test"), STR_INIT("bob@example.test")},
        {STR_INIT("bob@[127.0.0.1]"), STR_INIT("bob@[127.0.0.1]")},
        {STR_INIT("bob@xn--a.test"), STR_INIT("bob@xn--a.test")},
        {STR_INIT("bob@XN--FSQU00A.test"), STR_INIT("bob@XN--FSQU00A.test")},
        {STR_INIT(""), STR_INIT("")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&given->buf);
        addr_text_display(&given->buf, rows[i].stored);
        assert_str(buf_str(&given->buf), rows[i].shown);
    }
}

static void tags_are_split_behind_the_first_octet(void **state)
{
    (void)state;
    struct str base, tag;
    assert_true(addr_split_tag(STR("bob+a+b"), '+', &base, &tag));
    assert_str(base, STR("bob"));
    assert_str(tag, STR("a+b"));
    assert_true(addr_split_tag(STR("bob+"), '+', &base, &tag));
    assert_str(tag, STR(""));
    assert_false(addr_split_tag(STR("+bob"), '+', &base, &tag));
    assert_str(base, STR("+bob"));
    assert_false(addr_split_tag(STR("bob"), '+', &base, &tag));
    assert_false(addr_split_tag(STR("bo\0b"), '\0', &base, &tag));
    assert_false(addr_split_tag(STR(""), '+', &base, &tag));
}

/* Far beyond every limit: each fixed buffer inside the parser is checked before it is written. */
static void overlong_input_is_refused(void **state)
{
    static const struct {
        struct str before, filler, after;
    } rows[] = {
        {STR_INIT("\""), STR_INIT("a"), STR_INIT("\"@b.test")},
        {STR_INIT("\""), STR_INIT("\\\""), STR_INIT("\"@b.test")},
        {STR_INIT(""), STR_INIT("a"), STR_INIT("@b.test")},
        {STR_INIT(""), STR_INIT("e\u0301"), STR_INIT("@b.test")},
        {STR_INIT(""), STR_INIT("\U0001d15e"), STR_INIT("@b.test")}, /* NFC makes it longer */
        {STR_INIT("a@"), STR_INIT("b."), STR_INIT("test")},
        {STR_INIT("a@xn--"), STR_INIT("b"), STR_INIT(".test")},
        {STR_INIT("a@"), STR_INIT("例."), STR_INIT("test")},
        {STR_INIT("a@["), STR_INIT("1."), STR_INIT("1]")},
        {STR_INIT("a@[IPv6:"), STR_INIT("1:"), STR_INIT(":1]")},
    };
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t n = 30; n < 3000; n = n * 5 / 4) {
            buf_clear(&text);
            buf_put(&text, rows[i].before);
            for (size_t k = 0; k < n; k++)
                buf_put(&text, rows[i].filler);
            buf_put(&text, rows[i].after);
            if (n > 255)
                assert_str(reprinted(given, buf_str(&text)), STR("!"));
            else
                reprinted(given, buf_str(&text));
        }
    buf_done(&text);
}

static void a_full_arena_is_not_a_syntax_error(void **state)
{
    (void)state;
    struct arena small;
    struct addr addr;
    arena_init(&small, 16);
    assert_int_equal(addr_parse(STR("bob@example.test"), &small, &addr).code, ERR_OVER_LIMIT);
    arena_done(&small);
}

#define given_test(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        given_test(addresses_have_one_form),
        given_test(malformed_addresses_are_refused),
        given_test(local_part_limit_is_measured_unquoted),
        given_test(domain_limits_hold),
        given_test(paths_are_read),
        given_test(path_limit_counts_the_brackets),
        given_test(path_limit_counts_the_route),
        given_test(shell_in_a_path_is_a_syntax_error),
        given_test(other_syntaxes_mean_nothing),
        given_test(utf8_is_told_as_written),
        given_test(keys_fold_what_is_one_mailbox),
        given_test(display_shows_u_labels),
        given_test(what_is_stored_is_shown_with_u_labels),
        given_test(overlong_input_is_refused),
        cmocka_unit_test(tags_are_split_behind_the_first_octet),
        cmocka_unit_test(a_full_arena_is_not_a_syntax_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
