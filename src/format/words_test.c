#include "base/test.h"

#include "format/words.h"

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

/* Shows what it was asked for; knows everything but EUC-JP. */
static bool fake_convert(void *context, struct str charset, struct str bytes, struct buf *buf)
{
    (void)context;
    if (str_eq(charset, STR("EUC-JP")))
        return false;
    buf_printf(buf, "[%.*s %zu]", STR_FMT(charset), bytes.n);
    buf_put(buf, STR("\x1b\xc2\x80"));
    return true;
}

static const struct charset_converter fake = {NULL, fake_convert};

static struct str decoded(struct given *given, struct str text)
{
    buf_clear(&given->buf);
    words_decode(text, &fake, &given->arena, &given->buf);
    return buf_str(&given->buf);
}

#define R "\xef\xbf\xbd"

static void encoded_words_are_read(void **state)
{
    static const struct {
        struct str text, plain;
    } rows[] = {
        {STR_INIT("plain  text"), STR_INIT("plain  text")},
        {STR_INIT("=?utf-8?B?5L2g5aW9?="), STR_INIT("你好")},
        {STR_INIT("a =?UTF-8?q?b=20_c?= d"), STR_INIT("a b  c d")},
        {STR_INIT("=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?utf-8?q?c?= d"), STR_INIT("abc d")},
        {STR_INIT("=?utf-8?B?5L0=?= =?utf-8?B?oA==?="), STR_INIT("你")},
        {STR_INIT("=?utf-8?Q?=E4=BD?= =?UTF-8?B?oA==?="), STR_INIT("你")},
        {STR_INIT("=?iso-8859-1*fr?Q?caf=E9?="), STR_INIT("café")},
        {STR_INIT("=?gb2312?B?xOO6ww==?="), STR_INIT("[GB18030 4]" R R)},
        {STR_INIT("=?gbk?Q?a?= =?gb2312?Q?b?="), STR_INIT("[GB18030 1]" R R "[GB18030 1]" R R)},
        {STR_INIT("=?euc-jp?Q?a=E4?="), STR_INIT("a" R)},
        {STR_INIT("=?x-unknown?Q?a=E4=BD=A0?="), STR_INIT("a你")},
        {STR_INIT("\"=?utf-8?q?a?=\""), STR_INIT("\"a\"")},
        {STR_INIT("=?utf-8?q?a?=b"), STR_INIT("ab")},
        /* What only looks like one stays. */
        {STR_INIT("=?utf-8?q?a"), STR_INIT("=?utf-8?q?a")},
        {STR_INIT("=?utf-8?x?a?="), STR_INIT("=?utf-8?x?a?=")},
        {STR_INIT("=??q?a?="), STR_INIT("=??q?a?=")},
        {STR_INIT("=?=?utf-8?q?a?="), STR_INIT("=?a")},
        {STR_INIT("=?utf-8?q?=?utf-8?q?a?=?="), STR_INIT("=?utf-8?q?a?=")},
        {STR_INIT("=?"), STR_INIT("=?")},
        /* M08, M09: no control ever comes out. */
        {STR_INIT("a=?utf-8?Q?=00=0A=0d=1b=7F?=b"), STR_INIT("a" R R R R R "b")},
        {STR_INIT("=?utf-8?Q?=09=C2=85?="), STR_INIT(" " R)},
        {STR_INIT("=?iso-8859-1?Q?=85?="), STR_INIT(R)},
        {STR_INIT("=?utf-8?Q?a=E4=BD?="), STR_INIT("a" R R)},
        {STR_INIT("=?utf-8?Q?=C0=80?="), STR_INIT(R R)},
        {STR_INIT("raw \x01\xff"), STR_INIT("raw " R R)},
        {STR_INIT("=?utf-7?Q?+AAo-?="), STR_INIT("+AAo-")},
        {STR_INIT(""), STR_INIT("")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(decoded(*state, rows[i].text), rows[i].plain);
}

static void text_is_encoded_and_reads_back(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH), out = BUF_INIT(ENOUGH);
    words_encode(STR("plain text"), &out);
    assert_str(buf_str(&out), STR("plain text"));
    buf_clear(&out);
    words_encode(STR("=?utf-8?q?a?="), &out);
    assert_str(decoded(given, buf_str(&out)), STR("=?utf-8?q?a?="));
    for (size_t n = 1; n < 100; n++) {
        buf_clear(&text);
        for (size_t i = 0; i < n; i++)
            buf_put(&text, i % 3 ? STR("用") : STR("a"));
        buf_clear(&out);
        words_encode(buf_str(&text), &out);
        assert_str(decoded(given, buf_str(&out)), buf_str(&text));
        struct str rest = buf_str(&out);
        while (rest.p)
            assert_in_range(str_cut(&rest, '\n').n, 1, 77);
    }
    buf_done(&text);
    buf_done(&out);
}

static struct str param_of(struct given *given, struct str value)
{
    struct str disposition;
    struct params params;
    buf_clear(&given->buf);
    assert_true(
        content_disposition_parse(value, WORDS_SEGMENTS_MAX, &given->arena, &disposition, &params));
    if (!params_decode(params, STR("filename"), &fake, &given->arena, &given->buf))
        return STR("!");
    return buf_str(&given->buf);
}

/* RFC 2231, and M06. */
static void parameters_are_put_together(void **state)
{
    static const struct {
        struct str value, plain;
    } rows[] = {
        {STR_INIT("a; filename=x.png"), STR_INIT("x.png")},
        {STR_INIT("a; FileName=\"x \\\"y\\\".png\""), STR_INIT("x \"y\".png")},
        {STR_INIT("a; filename=\"=?utf-8?B?5L2g?=.png\""), STR_INIT("你.png")},
        {STR_INIT("a; filename*=utf-8''%E4%BD%A0.png"), STR_INIT("你.png")},
        {STR_INIT("a; filename*=gbk'zh'%C4%E3"), STR_INIT("[GB18030 2]" R R)},
        {STR_INIT("a; filename*=x.png"), STR_INIT("x.png")},
        {STR_INIT("a; filename*0=\"a b\"; filename*1=c.png"), STR_INIT("a bc.png")},
        {STR_INIT("a; filename*1*=%BD%A0; filename*0*=utf-8''%E4; filename*2=\"%41\""),
         STR_INIT("你%41")},
        {STR_INIT("a; filename*0=a; filename*2=c"), STR_INIT("a")},
        {STR_INIT("a; filename*0=a; filename*0=b; filename*1=c"), STR_INIT("ac")},
        {STR_INIT("a; filename*1=a; filename=b"), STR_INIT("b")},
        {STR_INIT("a; filename*0=a; filename*99999999999999999999=b"), STR_INIT("a")},
        {STR_INIT("a; filename*0=a; filename*99999999=b; filename*1=c"), STR_INIT("ac")},
        {STR_INIT("a; filename*0=a; filename*=b"), STR_INIT("b")},
        {STR_INIT("a; filename*=utf-8''a%00%zz%4"), STR_INIT("a" R "%zz%4")},
        {STR_INIT("a; filename*x=b; filename**=c; filenames=d"), STR_INIT("!")},
        {STR_INIT("a"), STR_INIT("!")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str(param_of(*state, rows[i].value), rows[i].plain);
}

static void segments_beyond_a_thousand_are_ignored(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    for (size_t n = 999; n <= 1001; n++) {
        buf_clear(&text);
        buf_put(&text, STR("a"));
        for (size_t i = 0; i < n; i++)
            buf_printf(&text, "; filename*%zu=x", i);
        assert_int_equal(param_of(given, buf_str(&text)).n, n > 1000 ? 1000 : n);
    }
    buf_done(&text);
}

static void floods_are_decoded_in_one_go(void **state)
{
    static const struct str rows[] = {
        STR_INIT("=?utf-8?Q?a?="), STR_INIT("=?utf-8?Q?"), STR_INIT("=?"),
        STR_INIT("=?a?q?b "),      STR_INIT("?="),         STR_INIT("=?utf-8?Q?a?= "),
        STR_INIT("= ?"),           STR_INIT("=?a?b?="),
    };
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&text);
        while (text.n < 1 << 20)
            buf_put(&text, rows[i]);
        struct str plain = decoded(given, buf_str(&text));
        assert_true(str_is_utf8(plain));
        arena_reset(&given->arena);
    }
    buf_done(&text);
}

static void every_charset_has_one_name(void **state)
{
    (void)state;
    size_t n = 0;
    for (; charset_names(n).p; n++)
        for (size_t i = 0; i < n; i++)
            assert_false(str_eq(charset_names(i), charset_names(n)));
    assert_in_range(n, 30, 60);
    assert_str(charset_name(STR("GB2312")), STR("GB18030"));
    assert_null(charset_name(STR("utf-7")).p);
}

#define given_test(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        given_test(encoded_words_are_read),
        given_test(text_is_encoded_and_reads_back),
        given_test(parameters_are_put_together),
        given_test(segments_beyond_a_thousand_are_ignored),
        given_test(floods_are_decoded_in_one_go),
        cmocka_unit_test(every_charset_has_one_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
