#include "edge/smtp/data.h"

#include "base/buf.h"
#include "base/test.h"

struct result {
    struct buf body;
    enum data_found how;
    size_t left;
    bool nul;
};

/* Feeds pieces of at most `piece` octets. */
static struct result read_cut(struct str input, size_t piece, bool dots, bool normalise)
{
    struct data_reader reader;
    struct result result = {.body = BUF_INIT(1 << 20), .how = DATA_MORE};
    data_init(&reader, dots, normalise);
    while (input.n > 0 && result.how == DATA_MORE) {
        struct str part = str_head(input, piece), run;
        input = str_from_index(input, piece);
        while ((result.how = data_next(&reader, &part, &run)) == DATA_RUN)
            buf_put(&result.body, run);
        result.left = part.n + input.n;
    }
    result.nul = reader.nul;
    return result;
}

static void expect(struct str input, bool normalise, enum data_found how, struct str body,
                   size_t left)
{
    for (size_t piece = 1; piece <= input.n; piece++) {
        struct result result = read_cut(input, piece, true, normalise);
        assert_int_equal(result.how, how);
        if (how != DATA_BARE) {
            assert_str(buf_str(&result.body), body);
            assert_int_equal(result.left, left);
        }
        buf_done(&result.body);
    }
}

static void ends_at_crlf_dot_crlf(void **state)
{
    (void)state;
    expect(STR(".\r\n"), false, DATA_END, STR(""), 0);
    expect(STR("a\r\n.\r\nNOOP\r\n"), false, DATA_END, STR("a\r\n"), 6);
    expect(STR("a\r\nb\r\n\r\n.\r\n"), false, DATA_END, STR("a\r\nb\r\n\r\n"), 0);
    expect(STR("a\r\n.b"), false, DATA_MORE, STR("a\r\nb"), 0);
}

static void takes_stuffing_out(void **state)
{
    (void)state;
    expect(STR("..\r\n...\r\n.a\r\nb.\r\n.\r\n"), false, DATA_END, STR(".\r\n..\r\na\r\nb.\r\n"),
           0);
}

/* Catalogue S01: every form but the one is no end. */
static void finds_bare_newlines(void **state)
{
    (void)state;
    static const struct str forms[] = {
        STR_INIT("\n.\n"), STR_INIT("\n.\r\n"),     STR_INIT("\r\n.\n"),
        STR_INIT("\r.\r"), STR_INIT("\r.\r\n"),     STR_INIT("\r\n.\rx"),
        STR_INIT("\n.\r"), STR_INIT("\r\r\n.\r\n"), STR_INIT("\r\n.\r\r\n"),
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct buf input = BUF_INIT(256);
        buf_put(&input, STR("text"));
        buf_put(&input, forms[i]);
        buf_put(&input, STR("MAIL FROM:<a@victim.example>\r\n.\r\n"));
        expect(buf_str(&input), false, DATA_BARE, STR(""), 0);
        for (size_t piece = 1; piece <= input.n; piece++) {
            struct result result = read_cut(buf_str(&input), piece, true, true);
            assert_int_equal(result.how, DATA_END);
            bool holds_an_end = str_find(forms[i], STR("\r\n.\r\n")) >= 0;
            assert_true(holds_an_end || result.left == 0);
            buf_done(&result.body);
        }
        buf_done(&input);
    }
}

static void normalises_for_those_who_may(void **state)
{
    (void)state;
    expect(STR("a\nb\rc\r\n.\r\n"), true, DATA_END, STR("a\r\nb\r\nc\r\n"), 0);
    expect(STR("a\n.\nb\r\n.\r\n"), true, DATA_END, STR("a\r\n.\r\nb\r\n"), 0);
    expect(STR("a\n.\r\nb\r\n.\r\n"), true, DATA_END, STR("a\r\n.\r\nb\r\n"), 0);
    expect(STR("a\r\n.\nb\r\n.\r\n"), true, DATA_END, STR("a\r\n\r\nb\r\n"), 0);
}

static void sees_nul(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 9; piece++) {
        struct result result = read_cut(STR("a\0b\r\n.\r\n"), piece, true, false);
        assert_true(result.nul);
        assert_int_equal(result.how, DATA_END);
        buf_done(&result.body);
        result = read_cut(STR("a\r\n.\r\n\0"), piece, true, false);
        assert_false(result.nul);
        buf_done(&result.body);
    }
}

static void chunks_have_no_dots(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 14; piece++) {
        struct result result = read_cut(STR(".\r\n..\r\n.\r\n"), piece, false, false);
        assert_int_equal(result.how, DATA_MORE);
        assert_str(buf_str(&result.body), STR(".\r\n..\r\n.\r\n"));
        buf_done(&result.body);
    }
}

static void a_cr_may_not_end_the_last_chunk(void **state)
{
    (void)state;
    struct data_reader reader;
    struct str input = STR("a\r"), run;
    data_init(&reader, false, false);
    assert_int_equal(data_next(&reader, &input, &run), DATA_RUN);
    assert_int_equal(data_finish(&reader, &run), DATA_BARE);
    data_init(&reader, false, true);
    input = STR("a\r");
    assert_int_equal(data_next(&reader, &input, &run), DATA_RUN);
    assert_int_equal(data_finish(&reader, &run), DATA_RUN);
    assert_str(run, STR("\n"));
    assert_int_equal(data_finish(&reader, &run), DATA_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_at_crlf_dot_crlf),
        cmocka_unit_test(takes_stuffing_out),
        cmocka_unit_test(finds_bare_newlines),
        cmocka_unit_test(normalises_for_those_who_may),
        cmocka_unit_test(sees_nul),
        cmocka_unit_test(chunks_have_no_dots),
        cmocka_unit_test(a_cr_may_not_end_the_last_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
