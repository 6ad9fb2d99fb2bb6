#include "base/test.h"

#include "format/downconvert.h"

enum {
    ENOUGH = 8 << 20
};

struct given {
    struct arena arena;
    struct buf out, text;
    struct summary_view view;
    struct downconvert convert;
};

static int given_open(void **state)
{
    static struct given given;
    arena_init(&given.arena, ENOUGH);
    buf_init(&given.out, ENOUGH);
    buf_init(&given.text, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->out);
    buf_done(&given->text);
    return 0;
}

static const struct summary_limits default_limits = SUMMARY_LIMITS_DEFAULT;

static enum downconvert_verdict judge_within(struct given *given, struct str text,
                                             enum downconvert_to to,
                                             const struct summary_limits *limits)
{
    struct summary summary;
    enum downconvert_verdict verdict;
    summary_init(&summary, &given->arena, limits);
    summary_feed(&summary, text);
    assert_false(err_is(summary_end(&summary)));
    assert_false(err_is(summary_read_back(&summary, &given->arena, &given->view)));
    assert_false(err_is(downconvert_init(&given->convert, &given->view, to, &given->arena)));
    downconvert_look(&given->convert, text);
    assert_false(err_is(downconvert_plan(&given->convert, &verdict)));
    assert_true(downconvert_may_need(&given->view, to) || verdict == DOWNCONVERT_NOT_NEEDED);
    return verdict;
}

static enum downconvert_verdict judge(struct given *given, struct str text, enum downconvert_to to)
{
    return judge_within(given, text, to, &default_limits);
}

/* In pieces of several sizes, and only counted: the same. */
static void becomes(struct given *given, struct str text, enum downconvert_to to,
                    struct str expected)
{
    assert_int_equal(judge(given, text, to), DOWNCONVERT_CAN);
    for (size_t piece = 1; piece < 600; piece = piece * 3 + 1) {
        buf_clear(&given->out);
        for (int counted = 1; counted >= 0; counted--) {
            struct buf *buf = counted ? NULL : &given->out;
            downconvert_begin(&given->convert);
            for (size_t at = 0; at < text.n; at += piece)
                downconvert_feed(&given->convert, str_head(str_from_index(text, at), piece), buf);
            downconvert_end(&given->convert, buf);
            assert_int_equal(given->convert.octets, expected.n);
        }
        assert_str(buf_str(&given->out), expected);
    }
}

static void what_fits_is_not_touched(void **state)
{
    struct str seven = STR("Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n");
    struct str eight = STR("Subject: x\r\n\r\n\xc3\xa4\r\n");
    assert_int_equal(judge(*state, seven, DOWNCONVERT_TO_7BIT), DOWNCONVERT_NOT_NEEDED);
    assert_int_equal(judge(*state, eight, DOWNCONVERT_TO_8BIT), DOWNCONVERT_NOT_NEEDED);
    assert_int_equal(judge(*state, STR("Subject: x\r\n"), DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_NOT_NEEDED);
}

static void text_becomes_quoted_printable(void **state)
{
    becomes(*state,
            STR("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\nG\xc3\xbc"
                "te = 1 \r\n.\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\r\nG=C3=BC"
                "te =3D 1=20\r\n.\r\n"));
}

static void labels_are_added_where_there_are_none(void **state)
{
    becomes(*state, STR("Subject: x\r\n\r\n\xe4\r\n"), DOWNCONVERT_TO_7BIT,
            STR("Subject: x\r\nMIME-Version: 1.0\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"));
    /* The name of the first such field, folded, in any case of letters. */
    becomes(*state,
            STR("content-transfer-encoding :\r\n\t8bit\r\n (yes)\r\nSubject: x\r\n\r\n\xe4\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR("MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\nSubject: x"
                "\r\n\r\n=E4\r\n"));
    becomes(*state, STR("A: b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR("A: b\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
                "\r\n=E4\r\n"));
}

static void an_unended_line_stays_unended(void **state)
{
    becomes(*state, STR("MIME-Version: 1\r\n\r\n\xe4"), DOWNCONVERT_TO_7BIT,
            STR("MIME-Version: 1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4=\r\n"));
}

/* Who takes lines alone would end that of DATA. */
static void a_binary_body_that_ends_no_line_is_encoded(void **state)
{
    becomes(*state,
            STR("MIME-Version: 1.0\r\nContent-Type: a/b\r\n"
                "Content-Transfer-Encoding: binary\r\n\r\nab"),
            DOWNCONVERT_TO_8BIT,
            STR("MIME-Version: 1.0\r\nContent-Type: a/b\r\n"
                "Content-Transfer-Encoding: base64\r\n\r\nYWI=\r\n"));
    assert_int_equal(judge(*state,
                           STR("MIME-Version: 1.0\r\nContent-Type: a/b\r\n"
                               "Content-Transfer-Encoding: binary\r\n\r\nab\r\n"),
                           DOWNCONVERT_TO_8BIT),
                     DOWNCONVERT_NOT_NEEDED);
}

#define MIXED                                                                                      \
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"                           \
    "Content-Transfer-Encoding: "

static void parts_are_changed_alone(void **state)
{
    becomes(*state,
            STR(MIXED "8bit\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n"
                      "Content-Type: text/html\r\n\r\n<\xe4>\r\n--b\r\n"
                      "Content-Type: image/png\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\xfe"
                      "\r\n--b--\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR(MIXED "7bit\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n"
                      "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n"
                      "\r\n<=E4>\r\n--b\r\n"
                      "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n//4="
                      "\r\n--b--\r\n"));
}

static void binary_parts_become_lines(void **state)
{
    becomes(*state,
            STR(MIXED "binary\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n--b\r\n"
                      "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n--b"
                      "\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n--b"
                      "\r\nContent-Transfer-Encoding: binary\r\n\r\na\0b\r\n--b"
                      "\r\nContent-Transfer-Encoding: binary\r\n\r\nlines\r\n--b--\r\n"),
            DOWNCONVERT_TO_8BIT,
            STR(MIXED "8bit\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n--b\r\n"
                      "Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpi\r\n--b"
                      "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=0Ab\r\n--b"
                      "\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n--b"
                      "\r\nContent-Transfer-Encoding: 8bit\r\n\r\nlines\r\n--b--\r\n"));
}

static void messages_inside_are_walked(void **state)
{
    becomes(*state,
            STR("MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n\r\n\xe4\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR("MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n"
                "Content-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"));
}

static void what_was_encoded_badly_is_encoded_anew(void **state)
{
    becomes(*state,
            STR("MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                "a=3Db=\r\n=2D\xe4\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR("MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                "a=3Db-=E4\r\n"));
    becomes(*state,
            STR("MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n"
                "\r\nYQ\xe4pi\r\n"),
            DOWNCONVERT_TO_7BIT,
            STR("MIME-Version: 1.0\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n"
                "\r\nYQpi\r\n"));
}

/* A line that is broken in two must not end in a delimiter, nor a decoded one become one. */
static void no_delimiter_comes_to_be(void **state)
{
    struct given *given = *state;
    buf_clear(&given->text);
    buf_put(&given->text, STR(MIXED "8bit\r\n\r\n--b\r\n\r\n\xe4"));
    for (int i = 0; i < 72; i++)
        buf_putc(&given->text, 'x');
    buf_put(&given->text, STR("--b\r\n--b--\r\n"));
    assert_int_equal(judge(given, buf_str(&given->text), DOWNCONVERT_TO_7BIT), DOWNCONVERT_CAN);
    uint32_t parts = given->view.part_count;
    buf_clear(&given->out);
    downconvert_begin(&given->convert);
    downconvert_feed(&given->convert, buf_str(&given->text), &given->out);
    downconvert_end(&given->convert, &given->out);
    assert_true(str_find(buf_str(&given->out), STR("=\r\n=2D-b\r\n--b--")) > 0);
    judge(given, buf_str(&given->out), DOWNCONVERT_TO_7BIT);
    assert_int_equal(given->view.part_count, parts);
}

static void long_lines_are_encoded(void **state)
{
    struct given *given = *state;
    for (unsigned n = SUMMARY_LINE_MAX - 1; n <= SUMMARY_LINE_MAX + 1; n++) {
        buf_clear(&given->text);
        buf_put(&given->text, STR("MIME-Version: 1.0\r\n\r\n"));
        for (unsigned i = 0; i < n; i++)
            buf_putc(&given->text, 'x');
        buf_put(&given->text, STR("\r\nend\r\n"));
        assert_int_equal(judge(given, buf_str(&given->text), DOWNCONVERT_TO_8BIT),
                         n > SUMMARY_LINE_MAX ? DOWNCONVERT_CAN : DOWNCONVERT_NOT_NEEDED);
    }
}

static void what_nobody_reads_is_cleaned(void **state)
{
    becomes(*state, STR(MIXED "8bit\r\n\r\npre\xe4\r\n--b\r\n\r\n\xe4\r\n--b--\r\n\xe4pi"),
            DOWNCONVERT_TO_7BIT,
            STR(MIXED "7bit\r\n\r\npre?\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n"
                      "\r\n=E4\r\n--b--\r\n?pi"));
    becomes(*state, STR(MIXED "7bit\r\n\r\n\xe4\0\r\n--b\r\n\r\nx\r\n--b--\r\n"),
            DOWNCONVERT_TO_8BIT, STR(MIXED "7bit\r\n\r\n\xe4?\r\n--b\r\n\r\nx\r\n--b--\r\n"));
}

static void headers_cannot_be_converted(void **state)
{
    struct str top = STR("Subject: \xe4\r\n\r\nx\r\n");
    struct str inside = STR("Content-Type: message/rfc822\r\n\r\nSubject: \xe4\r\n\r\nx\r\n");
    struct str part = STR(MIXED "8bit\r\n\r\n--b\r\nContent-Description: \xe4\r\n\r\nx\r\n--b--");
    assert_int_equal(judge(*state, top, DOWNCONVERT_TO_7BIT), DOWNCONVERT_HEADER_8BIT);
    assert_int_equal(judge(*state, inside, DOWNCONVERT_TO_7BIT), DOWNCONVERT_HEADER_8BIT);
    assert_int_equal(judge(*state, part, DOWNCONVERT_TO_7BIT), DOWNCONVERT_HEADER_8BIT);
    assert_int_equal(judge(*state, top, DOWNCONVERT_TO_8BIT), DOWNCONVERT_NOT_NEEDED);
}

#define SIGNED(subtype, text)                                                                      \
    "MIME-Version: 1.0\r\nContent-Type: multipart/" subtype "; boundary=b\r\n\r\n--b\r\n"          \
    "Content-Type: multipart/mixed; boundary=c\r\n\r\n" text "\r\n--c--\r\n--b\r\n\r\n"            \
    "sig\r\n--b--\r\n"

static void what_is_signed_is_not_changed(void **state)
{
    assert_int_equal(judge(*state, STR(SIGNED("signed", "--c\r\n\r\n\xe4")), DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_SIGNED);
    assert_int_equal(
        judge(*state, STR(SIGNED("encrypted", "--c\r\n\r\n\xe4")), DOWNCONVERT_TO_7BIT),
        DOWNCONVERT_SIGNED);
    assert_int_equal(
        judge(*state, STR(SIGNED("signed", "\xe4\r\n--c\r\n\r\nx")), DOWNCONVERT_TO_7BIT),
        DOWNCONVERT_SIGNED);
    assert_int_equal(judge(*state, STR(SIGNED("mixed", "--c\r\n\r\n\xe4")), DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_CAN);
    assert_int_equal(judge(*state, STR(SIGNED("signed", "--c\r\n\r\nx")), DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_NOT_NEEDED);
}

static void what_no_one_may_encode_is_told(void **state)
{
    struct given *given = *state;
    assert_int_equal(judge(given, STR("Content-Type: message/delivery-status\r\n\r\nA: \xe4\r\n"),
                           DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_OPAQUE);
    assert_int_equal(judge(given, STR("Content-Type: message/global-headers\r\n\r\nA: \xe4\r\n"),
                           DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_CAN);
    assert_int_equal(judge(given, STR("Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe4\r\n"),
                           DOWNCONVERT_TO_7BIT),
                     DOWNCONVERT_OPAQUE);
    struct summary_limits limits = default_limits;
    limits.parts = 2;
    assert_int_equal(judge_within(given,
                                  STR(MIXED "8bit\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\n\xe4\r\n--b"
                                            "--\r\n"),
                                  DOWNCONVERT_TO_7BIT, &limits),
                     DOWNCONVERT_OPAQUE);
}

static void verdicts_have_words(void **state)
{
    (void)state;
    for (int i = DOWNCONVERT_NOT_NEEDED; i <= DOWNCONVERT_OPAQUE; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(downconvert_verdict_text((enum downconvert_verdict)i),
                                    downconvert_verdict_text((enum downconvert_verdict)j));
}

static void a_full_arena_is_told(void **state)
{
    struct given *given = *state;
    struct str text = STR("Subject: x\r\n\r\n\xe4\r\n");
    enum downconvert_verdict verdict;
    judge(given, text, DOWNCONVERT_TO_7BIT);
    int failed = 0;
    for (size_t cap = 1; cap < 4096; cap *= 2) {
        struct arena small;
        arena_init(&small, cap);
        struct err e = downconvert_init(&given->convert, &given->view, DOWNCONVERT_TO_7BIT, &small);
        if (!err_is(e)) {
            downconvert_look(&given->convert, text);
            e = downconvert_plan(&given->convert, &verdict);
        }
        assert_true(!err_is(e) || e.code == ERR_OVER_LIMIT);
        failed += err_is(e);
        arena_done(&small);
    }
    assert_in_range(failed, 1, 11);
}

#define with(test) cmocka_unit_test_setup_teardown(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(what_fits_is_not_touched),
        with(text_becomes_quoted_printable),
        with(labels_are_added_where_there_are_none),
        with(an_unended_line_stays_unended),
        with(a_binary_body_that_ends_no_line_is_encoded),
        with(parts_are_changed_alone),
        with(binary_parts_become_lines),
        with(messages_inside_are_walked),
        with(what_was_encoded_badly_is_encoded_anew),
        with(no_delimiter_comes_to_be),
        with(long_lines_are_encoded),
        with(what_nobody_reads_is_cleaned),
        with(headers_cannot_be_converted),
        with(what_is_signed_is_not_changed),
        with(what_no_one_may_encode_is_told),
        with(verdicts_have_words),
        with(a_full_arena_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
