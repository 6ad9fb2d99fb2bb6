#include "base/test.h"

#include "format/encodings.h"

enum {
    ENOUGH = 1 << 20
};

static void base64_matches_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        struct str plain, text;
    } rows[] = {
        {STR_INIT(""), STR_INIT("")},
        {STR_INIT("f"), STR_INIT("Zg==")},
        {STR_INIT("fo"), STR_INIT("Zm8=")},
        {STR_INIT("foo"), STR_INIT("Zm9v")},
        {STR_INIT("foob"), STR_INIT("Zm9vYg==")},
        {STR_INIT("\xff\xfe\xfd\0"), STR_INIT("//79AA==")},
    };
    struct buf b = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&b);
        base64_print(&b, rows[i].plain);
        assert_str(buf_str(&b), rows[i].text);
        assert_int_equal(base64_encoded_size(rows[i].plain.n, false), rows[i].text.n);
        buf_clear(&b);
        assert_true(base64_parse(rows[i].text, &b));
        assert_str(buf_str(&b), rows[i].plain);
    }
    buf_done(&b);
}

static void strict_base64_refuses_variants(void **state)
{
    (void)state;
    static const struct str rows[] = {
        STR_INIT("Zg"),       STR_INIT("Zg="),  STR_INIT("Zh=="),     STR_INIT("Zm9="),
        STR_INIT("Z==="),     STR_INIT("===="), STR_INIT("Zg==Zg=="), STR_INIT("Zm 9"),
        STR_INIT("Zm9v\r\n"), STR_INIT("Zm-_"),
    };
    struct buf b = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(base64_parse(rows[i], &b));
    buf_done(&b);
}

static void base64url_reads_back_and_refuses_variants(void **state)
{
    (void)state;
    static const struct {
        struct str text, plain;
    } rows[] = {
        {STR_INIT(""), STR_INIT("")},           {STR_INIT("Zg"), STR_INIT("f")},
        {STR_INIT("Zm8"), STR_INIT("fo")},      {STR_INIT("Zm9v"), STR_INIT("foo")},
        {STR_INIT("Zm9vYg"), STR_INIT("foob")}, {STR_INIT("-_-_"), STR_INIT("\xfb\xff\xbf")},
    };
    struct buf b = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&b);
        assert_true(base64url_parse(rows[i].text, &b));
        assert_str(buf_str(&b), rows[i].plain);
    }
    static const struct str wrong[] = {
        STR_INIT("Z"),      STR_INIT("Zm9vZ"), STR_INIT("Zg=="),         STR_INIT("Zh"),
        STR_INIT("Zm9"),    STR_INIT("Zm 9v"), STR_INIT("+/+/"),         STR_INIT("Zm9="),
        STR_INIT("Zm9v\n"), STR_INIT("Zm\0v"), STR_INIT("Zm9v\xc3\xa9"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        buf_clear(&b);
        assert_false(base64url_parse(wrong[i], &b));
        assert_int_equal(b.n, 0);
    }
    buf_done(&b);
}

static struct str base64_lenient(struct buf *b, struct str text, bool *malformed)
{
    struct base64_decode decode;
    base64_decode_init(&decode);
    buf_clear(b);
    base64_decode_feed(&decode, text, b);
    base64_decode_end(&decode, b);
    *malformed = decode.malformed;
    return buf_str(b);
}

static void lenient_base64_takes_what_is_there(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(ENOUGH);
    bool malformed;
    assert_str(base64_lenient(&b, STR("Zm9v\r\nYg==\r\njunk"), &malformed), STR("foob"));
    assert_false(malformed);
    assert_str(base64_lenient(&b, STR("Zm!9vYg"), &malformed), STR("foob"));
    assert_true(malformed);
    assert_str(base64_lenient(&b, STR("Zm9vY"), &malformed), STR("foo"));
    assert_true(malformed);
    buf_done(&b);
}

/* Sizes around a line's 57 octets: what is counted is what comes, in any chunking, and reads back.
 */
static void base64_lines_have_the_size_that_was_told(void **state)
{
    (void)state;
    struct buf at_once = BUF_INIT(ENOUGH), pieces = BUF_INIT(ENOUGH), back = BUF_INIT(ENOUGH);
    char data[200];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 37);
    for (size_t n = 0; n < sizeof(data); n++) {
        struct base64_encode encode;
        base64_encode_init(&encode, true);
        buf_clear(&at_once);
        base64_encode_feed(&encode, str_make(data, n), &at_once);
        base64_encode_end(&encode, &at_once);
        assert_int_equal(at_once.n, base64_encoded_size(n, true));
        for (size_t step = 1; step < 5; step++) {
            buf_clear(&pieces);
            for (size_t i = 0; i < n; i += step)
                base64_encode_feed(&encode, str_head(str_make(data + i, n - i), step), &pieces);
            base64_encode_end(&encode, &pieces);
            assert_str(buf_str(&pieces), buf_str(&at_once));
        }
        bool malformed;
        assert_str(base64_lenient(&back, buf_str(&at_once), &malformed), str_make(data, n));
        assert_false(malformed);
    }
    buf_done(&at_once);
    buf_done(&pieces);
    buf_done(&back);
}

static struct str quoted(struct buf *b, struct str plain, size_t step)
{
    struct quoted_printable_encode encode;
    quoted_printable_encode_init(&encode);
    buf_clear(b);
    for (; plain.n; plain = str_from_index(plain, step))
        quoted_printable_encode_feed(&encode, str_head(plain, step), b);
    quoted_printable_encode_end(&encode, b);
    return buf_str(b);
}

static struct str unquoted(struct buf *b, struct str text, size_t step)
{
    struct quoted_printable_decode decode;
    quoted_printable_decode_init(&decode);
    buf_clear(b);
    for (; text.n; text = str_from_index(text, step))
        quoted_printable_decode_feed(&decode, str_head(text, step), b);
    quoted_printable_decode_end(&decode, b);
    return buf_str(b);
}

static void quoted_printable_is_written(void **state)
{
    (void)state;
    static const struct {
        struct str plain, text;
    } rows[] = {
        {STR_INIT("a=b\xc3\xa9"), STR_INIT("a=3Db=C3=A9")},
        {STR_INIT("a \r\nb\t\r\n c"), STR_INIT("a=20\r\nb=09\r\n c")},
        {STR_INIT("a "), STR_INIT("a=20")},
        {STR_INIT("a\rb\nc\r"), STR_INIT("a=0Db=0Ac=0D")},
        {STR_INIT("a \rb"), STR_INIT("a =0Db")},
        {STR_INIT("\0"), STR_INIT("=00")},
        {STR_INIT("--b\r\n-\r\n --"), STR_INIT("=2D-b\r\n=2D\r\n --")},
        {STR_INIT("123456789012345678901234567890123456789012345678901234567890123456789012345--b"),
         STR_INIT("123456789012345678901234567890123456789012345678901234567890123456789012345"
                  "=\r\n=2D-b")},
        {STR_INIT("12345678901234567890123456789012345678901234567890123456789012345678901234--b"),
         STR_INIT("12345678901234567890123456789012345678901234567890123456789012345678901234-"
                  "=\r\n=2Db")},
        {STR_INIT("1234567890123456789012345678901234567890123456789012345678901234567890123456"),
         STR_INIT("12345678901234567890123456789012345678901234567890123456789012345678901234"
                  "5=\r\n6")},
    };
    struct buf b = BUF_INIT(ENOUGH), back = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t step = 1; step < 9; step++) {
            assert_str(quoted(&b, rows[i].plain, step), rows[i].text);
            assert_str(unquoted(&back, buf_str(&b), step), rows[i].plain);
        }
    buf_done(&b);
    buf_done(&back);
}

static void quoted_printable_is_read(void **state)
{
    (void)state;
    static const struct {
        struct str text, plain;
    } rows[] = {
        {STR_INIT("a=3Db=c3=A9"), STR_INIT("a=b\xc3\xa9")},
        {STR_INIT("a  \t\r\nb= \t\r\nc=\nd"), STR_INIT("a\r\nbcd")},
        {STR_INIT("a=G0=3=\r=4"), STR_INIT("a=G0=3=\r=4")},
        {STR_INIT("==41"), STR_INIT("=A")},
        {STR_INIT("="), STR_INIT("=")},
        {STR_INIT("a b  c "), STR_INIT("a b  c")},
        {STR_INIT("=20\r\n"), STR_INIT(" \r\n")},
    };
    struct buf b = BUF_INIT(ENOUGH);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t step = 1; step < 9; step++)
            assert_str(unquoted(&b, rows[i].text, step), rows[i].plain);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_matches_rfc_4648),
        cmocka_unit_test(strict_base64_refuses_variants),
        cmocka_unit_test(base64url_reads_back_and_refuses_variants),
        cmocka_unit_test(lenient_base64_takes_what_is_there),
        cmocka_unit_test(base64_lines_have_the_size_that_was_told),
        cmocka_unit_test(quoted_printable_is_written),
        cmocka_unit_test(quoted_printable_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
