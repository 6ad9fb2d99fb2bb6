#include "base/test.h"

#include "format/encodings.h"
#include "format/reencode.h"

enum {
    ENOUGH = 1 << 20
};

struct given {
    struct arena arena;
    struct buf record, served;
    struct summary_view view;
    struct reencode_plan plan;
};

static int given_open(void **state)
{
    static struct given given;
    arena_init(&given.arena, ENOUGH);
    buf_init(&given.record, ENOUGH);
    buf_init(&given.served, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->record);
    buf_done(&given->served);
    return 0;
}

static void view_make(struct given *given, struct str text, const struct summary_limits *limits)
{
    struct summary summary;
    summary_init(&summary, &given->arena, limits);
    summary_feed(&summary, text);
    assert_false(err_is(summary_end(&summary)));
    buf_clear(&given->record);
    summary_print(&summary, &given->record);
    assert_false(err_is(summary_parse(buf_str(&given->record), &given->arena, &given->view)));
}

static void segment_serve(struct given *given, struct str text,
                          const struct reencode_segment *segment)
{
    struct str stored = str_head(str_from_index(text, segment->start), segment->length);
    size_t before = given->served.n;
    if (segment->kind == REENCODE_LITERAL) {
        buf_put(&given->served, segment->literal);
    } else if (segment->kind == REENCODE_RAW) {
        buf_put(&given->served, stored);
    } else {
        struct base64_encode encode;
        base64_encode_init(&encode, true);
        base64_encode_feed(&encode, stored, &given->served);
        base64_encode_end(&encode, &given->served);
        buf_cut(&given->served, given->served.n - 2);
    }
    assert_int_equal(given->served.n - before, segment->served);
}

static const struct summary_limits default_limits = SUMMARY_LIMITS_DEFAULT;

static struct str served_within(struct given *given, struct str text,
                                const struct summary_limits *limits)
{
    view_make(given, text, limits);
    assert_false(err_is(reencode_plan(&given->view, &given->arena, &given->plan)));
    buf_clear(&given->served);
    for (uint32_t i = 0; i < given->plan.count; i++)
        segment_serve(given, text, &given->plan.segments[i]);
    assert_int_equal(given->served.n, given->plan.served);
    return buf_str(&given->served);
}

static struct str served(struct given *given, struct str text)
{
    return served_within(given, text, &default_limits);
}

static void what_is_not_binary_is_served_as_stored(void **state)
{
    struct str text = STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                          "Content-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n--b--\r\n");
    assert_str(served(*state, text), text);
    struct given *given = *state;
    assert_false(reencode_needed(&given->view));
    assert_int_equal(given->plan.count, 1);
}

static void binary_leaves_become_base64(void **state)
{
    struct str text = STR(
        "Subject: x\r\nContent-Transfer-Encoding: binary\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n"
        "Content-Transfer-Encoding:\r\n BINARY (really)\r\nContent-Type: a/b\r\n\r\n\0\n\r--b\r\n"
        "--b\r\n\r\nplain\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n--b--\r\nepi");
    assert_str(served(*state, text),
               STR("Subject: x\r\nContent-Transfer-Encoding: 7bit\r\n"
                   "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n"
                   "Content-Transfer-Encoding: base64\r\nContent-Type: a/b\r\n\r\nAAoNLS1i\r\n"
                   "--b\r\n\r\nplain\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n"
                   "--b--\r\nepi"));
    struct given *given = *state;
    assert_true(reencode_needed(&given->view));
}

static void a_binary_message_ends_with_a_line(void **state)
{
    assert_str(served(*state, STR("Content-Transfer-Encoding: binary\r\n\r\na\nb")),
               STR("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpi\r\n"));
    assert_str(served(*state, STR("Content-Transfer-Encoding: binary\r\n\r\n")),
               STR("Content-Transfer-Encoding: base64\r\n\r\n"));
    assert_str(served(*state, STR("Content-Transfer-Encoding: binary")),
               STR("Content-Transfer-Encoding: base64\r\n"));
}

static void eight_bit_text_beside_is_labelled_8bit(void **state)
{
    assert_str(served(*state, STR("Content-Transfer-Encoding: binary\r\n"
                                  "Content-Type: message/rfc822\r\n\r\nSubject: \xc3\xa9\r\n"
                                  "Content-Transfer-Encoding: binary\r\n\r\n\xff")),
               STR("Content-Transfer-Encoding: 8bit\r\nContent-Type: message/rfc822\r\n\r\n"
                   "Subject: \xc3\xa9\r\nContent-Transfer-Encoding: base64\r\n\r\n/w==\r\n"));
}

/* A client may say BODY=BINARYMIME and label nothing. */
static void what_is_no_text_becomes_base64_whatever_its_label(void **state)
{
    static const struct {
        struct str text, served;
    } rows[] = {
        {STR_INIT("Subject: x\r\n\r\nx\0\n"),
         STR_INIT("Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                  "eAAK\r\n")},
        {STR_INIT("\r\n\n"),
         STR_INIT("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nCg==\r\n")},
        {STR_INIT("mime-version: 1.0\r\nContent-Type: text/plain\r\n\r\na\rb\r\n"),
         STR_INIT("mime-version: 1.0\r\nContent-Type: text/plain\r\n"
                  "Content-Transfer-Encoding: base64\r\n\r\nYQ1iDQo=\r\n")},
        {STR_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                  "--b\r\nContent-Transfer-Encoding:\r\n 7bit\r\nX: y\r\n\r\n\n\r\n"
                  "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n"
                  "--b\r\n\r\n\0\r\n--b--\r\n"),
         STR_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                  "--b\r\nContent-Transfer-Encoding: base64\r\nX: y\r\n\r\nCg==\r\n"
                  "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n"
                  "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n--b--\r\n")},
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_str(served(given, rows[i].text), rows[i].served);
        assert_true(reencode_needed(&given->view));
    }
}

static void a_line_of_998_octets_is_text_and_one_of_999_is_not(void **state)
{
    for (int n = SUMMARY_LINE_MAX - 1; n <= SUMMARY_LINE_MAX + 1; n++) {
        char text[2048];
        int length = snprintf(text, sizeof(text), "A: b\r\n\r\n%0*d\r\n", n, 0);
        served(*state, str_make(text, (size_t)length));
        assert_int_equal(reencode_needed(&((struct given *)*state)->view), n > SUMMARY_LINE_MAX);
    }
}

/* What stands outside the leaves cannot be encoded and asks for nothing. */
static void a_preamble_that_is_no_text_changes_no_part(void **state)
{
    struct str text = STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n\n\r\n--b\r\n\r\n"
                          "plain\r\n--b--\r\n\0");
    assert_str(served(*state, text), text);
}

static void the_rest_behind_the_last_part_gets_a_header(void **state)
{
    struct given *given = *state;
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    limits.parts = 2;
    struct str text = STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
                          "one\r\n--b\r\n\r\n\n\r\n--b--\r\n");
    assert_str(served_within(given, text, &limits),
               STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
                   "one\r\n--b\r\nContent-Type: application/octet-stream\r\n"
                   "Content-Transfer-Encoding: base64\r\n\r\nDQoKDQotLWItLQ0K\r\n"));
}

static void lengths_around_a_line_are_told_right(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    for (size_t n = 0; n < 130; n++) {
        buf_clear(&text);
        buf_put(&text, STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                           "Content-Transfer-Encoding: binary\r\n\r\n"));
        for (size_t i = 0; i < n; i++)
            buf_putc(&text, (char)i);
        buf_put(&text, STR("\r\n--b--\r\n"));
        served(given, buf_str(&text)); /* compares the sizes */
        struct str out = buf_copy(&given->served, &given->arena);
        view_make(given, out, &default_limits);
        assert_false(reencode_needed(&given->view));
        const struct summary_part *part = &given->view.parts[1];
        struct base64_decode decode;
        struct buf plain = BUF_INIT(ENOUGH);
        base64_decode_init(&decode);
        base64_decode_feed(&decode, str_make(out.p + part->body_offset, part->body_length), &plain);
        base64_decode_end(&decode, &plain);
        assert_false(decode.malformed);
        assert_int_equal(plain.n, n);
        buf_done(&plain);
        arena_reset(&given->arena);
    }
    buf_done(&text);
}

#define given_test(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        given_test(what_is_not_binary_is_served_as_stored),
        given_test(binary_leaves_become_base64),
        given_test(a_binary_message_ends_with_a_line),
        given_test(eight_bit_text_beside_is_labelled_8bit),
        given_test(what_is_no_text_becomes_base64_whatever_its_label),
        given_test(a_line_of_998_octets_is_text_and_one_of_999_is_not),
        given_test(a_preamble_that_is_no_text_changes_no_part),
        given_test(the_rest_behind_the_last_part_gets_a_header),
        given_test(lengths_around_a_line_are_told_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
