#include "base/test.h"

#include "base/buf.h"
#include "format/submission.h"

enum {
    ENOUGH = 16 << 20,
    MOST = 4000,
};

struct given {
    struct arena kept, scratch;
    struct submission_facts facts;
    struct submission_result result;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.facts = {.account = STR("ann@here.test"),
                                     .hostname = STR("mx.here.test"),
                                     .id = STR("01j9x3k2m7q4r"),
                                     .time = 1795239423,
                                     .most = MOST}};
    arena_init(&given.kept, ENOUGH);
    arena_init(&given.scratch, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->kept);
    arena_done(&given->scratch);
    return 0;
}

static struct err rewrite(struct given *given, struct str header)
{
    return submission_header(header, &given->facts, &given->kept, &given->scratch, &given->result);
}

/* What a header that has all it needs begins with here. */
#define WHOLE "Date: x\r\nMessage-ID: <y@z>\r\n"

/* `in` and `out` stand behind WHOLE; doing it again changes nothing. */
static void becomes_at(struct given *given, struct str in, struct str out, int line)
{
    assert_false(err_is(rewrite(given, in)));
    assert_str_at(given->result.header, out, __FILE__, line);
    size_t authors = given->result.author_count;
    assert_false(err_is(rewrite(given, given->result.header)));
    assert_str_at(given->result.header, out, __FILE__, line);
    assert_int_equal(given->result.author_count, authors);
}

#define becomes(given, in, out) becomes_at(given, STR(WHOLE in), STR(WHOLE out), __LINE__)
#define stays(given, in) becomes(given, in, in)

static void refused_at(struct given *given, struct str in, struct str why, int line)
{
    struct err e = rewrite(given, in);
    if (e.code != ERR_MESSAGE_FROM)
        print_error("error %d\n", e.code);
    _assert_int_equal(e.code, ERR_MESSAGE_FROM, __FILE__, line);
    assert_str_at(e.detail, why, __FILE__, line);
}

#define refused(given, in, why) refused_at(given, STR(in), STR(why), __LINE__)

#define DATE "Date: Sat, 21 Nov 2026 05:37:03 +0000\r\n"
#define ID "Message-ID: <01j9x3k2m7q4r@mx.here.test>\r\n"

static void what_is_missing_is_added_in_front_in_a_fixed_order(void **state)
{
    struct given *given = *state;
    becomes_at(given, STR("\r\n"),
               STR(DATE "From: <ann@here.test>\r\nTo: undisclosed-recipients:;\r\n" ID "\r\n"),
               __LINE__);
    becomes_at(given, STR("From: ann@here.test\r\nto: bob@here.test\r\n\r\n"),
               STR(DATE ID "From: ann@here.test\r\nto: bob@here.test\r\n\r\n"), __LINE__);
    becomes_at(given, STR("MESSAGE-ID: <x>\r\nFROM: ann@here.test\r\nCC: bob@here.test\r\n\r\n"),
               STR(DATE "MESSAGE-ID: <x>\r\nFROM: ann@here.test\r\nCC: bob@here.test\r\n\r\n"),
               __LINE__);
    becomes_at(
        given, STR("date: x\r\nSubject: s\r\nCc: bob@here.test\r\n\r\n"),
        STR("From: <ann@here.test>\r\n" ID "date: x\r\nSubject: s\r\nCc: bob@here.test\r\n\r\n"),
        __LINE__);
}

static void an_empty_message_gets_a_header(void **state)
{
    struct given *given = *state;
    becomes_at(given, STR(""),
               STR(DATE "From: <ann@here.test>\r\nTo: undisclosed-recipients:;\r\n" ID), __LINE__);
}

static void an_empty_date_or_id_is_replaced_and_any_other_stays(void **state)
{
    struct given *given = *state;
    becomes_at(given,
               STR("From: ann@here.test\r\nDate:\r\nTo: b@c.test\r\nMessage-ID: \r\n (x)\r\n\r\n"),
               STR(DATE ID "From: ann@here.test\r\nTo: b@c.test\r\n\r\n"), __LINE__);
    becomes(given, "From: ann@here.test\r\nTo: b@c.test\r\nDate:\r\n\r\n",
            "From: ann@here.test\r\nTo: b@c.test\r\n\r\n");
}

static void blind_copies_and_the_return_path_go_with_their_folds(void **state)
{
    struct given *given = *state;
    becomes(
        given,
        "Bcc: x@y.test,\r\n z@y.test\r\n\t(more)\r\nFrom: ann@here.test\r\nTo: b@c.test\r\n\r\n",
        "From: ann@here.test\r\nTo: b@c.test\r\n\r\n");
    becomes(given,
            "From: ann@here.test\r\nTo: b@c.test\r\nbCC : x@y.test\r\nReturn-Path: <x@y.test>\r\n"
            "RESENT-BCC: x@y.test\r\n\r\n",
            "From: ann@here.test\r\nTo: b@c.test\r\n\r\n");
    becomes(given, "From: ann@here.test\r\nTo: b@c.test\r\nBcc:\r\nBcc: x@y.test",
            "From: ann@here.test\r\nTo: b@c.test\r\n");
    stays(given, "From: ann@here.test\r\nTo: b@c.test\r\nX-Bcc: x\r\nBcc-Not: x\r\n\r\n");
}

static void a_message_to_hidden_recipients_alone_says_so(void **state)
{
    struct given *given = *state;
    becomes_at(given, STR(WHOLE "From: ann@here.test\r\nBcc: x@y.test\r\n\r\n"),
               STR("To: undisclosed-recipients:;\r\n" WHOLE "From: ann@here.test\r\n\r\n"),
               __LINE__);
}

static void local_parts_alone_get_the_domain_of_the_account(void **state)
{
    struct given *given = *state;
    becomes(
        given, "From: ann\r\nTo: bob, Bob <bob> , \"b b\" (c), x@y.test\r\n\r\n",
        "From: ann@here.test\r\nTo: bob@here.test, Bob <bob@here.test> , \"b b\"@here.test (c), "
        "x@y.test\r\n\r\n");
    assert_int_equal(given->result.author_count, 1);
    assert_str(given->result.authors[0], STR("ann@here.test"));
    becomes(given,
            "From: A <ann>\r\nTo: us: bob,\r\n carl ;, dora\r\nCc:eve\r\nReply-To: <ann>\r\n\r\n",
            "From: A <ann@here.test>\r\nTo: us: bob@here.test,\r\n carl@here.test ;, "
            "dora@here.test\r\nCc:eve@here.test\r\nReply-To: <ann@here.test>\r\n\r\n");
    stays(given, "From: ann@here.test\r\nTo: Bob Smith, b b@, , <>, \"c\r\nSubject: bob\r\n\r\n");
    becomes(
        given,
        "From: ann@here.test\r\nSender: ann\r\nResent-From: ann\r\nResent-To: bob\r\nTo:\r\n\r\n",
        "From: ann@here.test\r\nSender: ann@here.test\r\nResent-From: ann@here.test\r\n"
        "Resent-To: bob@here.test\r\nTo:\r\n\r\n");
}

static void authors_are_those_of_all_four_fields_each_once(void **state)
{
    struct given *given = *state;
    stays(given,
          "From: A <ann@here.test>, \"x@y\"@HERE.test\r\nTo: b@c.test\r\nSender: carl@c.test\r\n"
          "Resent-From: d@d.test, ann@Here.Test\r\nResent-Sender: g: e@e.test;\r\n"
          "Resent-From: f@f.test\r\n\r\n");
    static const char *const authors[] = {"carl@c.test", "d@d.test", "ann@here.test",
                                          "e@e.test",    "f@f.test", "\"x@y\"@here.test"};
    assert_int_equal(given->result.author_count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_str(given->result.authors[i], str_from(authors[i]));
}

static void who_wrote_it_can_be_read_in_one_way_only(void **state)
{
    struct given *given = *state;
    refused(given, "From: a@b.test\r\nFrom: a@b.test\r\n\r\n", "there are several From fields");
    refused(given, "From: a@b.test\r\nfrom : a@b.test\r\n\r\n", "there are several From fields");
    refused(given, "From : a@b.test\r\n\r\n", "the From field can be read in several ways");
    refused(given, " x\r\nFrom: a@b.test\r\n\r\n", "the From field can be read in several ways");
    refused(given, "\tx\r\n\r\n", "the From field can be read in several ways");
    refused(given, "X: a\nFrom: a@b.test\r\n\r\n", "the From field can be read in several ways");
    refused(given, "X: a\rFrom: a@b.test\r\n\r\n", "the From field can be read in several ways");
    refused(given, "X: \0\r\nFrom: a@b.test\r\n\r\n", "the From field can be read in several ways");
    refused(given, "From:\r\n\r\n", "the From field names nobody");
    refused(given, "From: g:;\r\n\r\n", "the From field names nobody");
    refused(given, "From: a@b.test, x@c.test\r\n\r\n", "the From field names several domains");
    refused(given, "From: Bob Smith\r\n\r\n", "the From field is malformed");
    refused(given, "From: <a@b.test>:<c@b.test>\r\n\r\n", "the From field is malformed");
    refused(given, "From: a@b.test <c@b.test>\r\n\r\n", "the From field is malformed");
    refused(given, "From: a..b@b.test,\r\n \xff@b.test\r\n\r\n", "the From field is malformed");
    refused(given, "From: a@b.test\r\nSender:\r\n\r\n", "the Sender field is malformed");
    refused(given, "From: a@b.test\r\nSender: a@b.test c\r\n\r\n", "the Sender field is malformed");
    refused(given, "From: a@b.test\r\nResent-From: x y\r\n\r\n",
            "the Resent-From field is malformed");
    refused(given, "From: a@b.test\r\nResent-Sender: x@-\r\n\r\n",
            "the Resent-Sender field is malformed");
}

static void a_second_from_behind_a_line_without_a_name_is_one(void **state)
{
    struct given *given = *state;
    refused(given, "From: a@b.test\r\nnothing\r\nFrom: a@b.test\r\n\r\n",
            "there are several From fields");
    stays(given, "From: a@b.test\r\nTo: x@y.test\r\nnothing\r\nSubject: x\r\n\r\n");
}

static void authors_have_a_limit(void **state)
{
    struct given *given = *state;
    struct buf header = BUF_INIT(100000);
    given->facts.most = 100000;
    for (int most = SUBMISSION_AUTHORS_MAX - 1; most <= SUBMISSION_AUTHORS_MAX + 1; most++) {
        buf_clear(&header);
        buf_put(&header, STR("From: a@b.test"));
        for (int i = 1; i < most; i++)
            buf_printf(&header, ",\r\n a%d@b.test", i);
        buf_put(&header, STR(", a@b.test\r\n\r\n"));
        struct err e = rewrite(given, buf_str(&header));
        if (most <= SUBMISSION_AUTHORS_MAX)
            assert_int_equal(given->result.author_count, most);
        assert_int_equal(e.code, most <= SUBMISSION_AUTHORS_MAX ? ERR_NONE : ERR_MESSAGE_FROM);
    }
    buf_done(&header);
}

static void what_comes_out_has_a_limit(void **state)
{
    struct given *given = *state;
    struct str header = STR(WHOLE "From: ann\r\nTo: bob\r\n\r\n");
    size_t out = header.n + 2 * (sizeof("@here.test") - 1);
    for (size_t most = out - 1; most <= out + 1; most++) {
        given->facts.most = most;
        struct err e = rewrite(given, header);
        assert_int_equal(e.code, most < out ? ERR_HEADER_TOO_LARGE : ERR_NONE);
    }
    assert_int_equal(given->result.header.n, out);
}

static void no_memory_is_no_refusal_for_good(void **state)
{
    struct given *given = *state;
    given->scratch.cap = 16;
    assert_int_equal(rewrite(given, STR("From: ann\r\n\r\n")).code, ERR_OVER_LIMIT);
    arena_done(&given->scratch);
    arena_init(&given->scratch, ENOUGH);
    given->kept.cap = 64;
    assert_int_equal(rewrite(given, STR("From: ann\r\n\r\n")).code, ERR_OVER_LIMIT);
}

/* A comma for each octet is the most that parsing takes from scratch. */
static void scratch_is_in_proportion_to_the_header(void **state)
{
    struct given *given = *state;
    enum {
        OCTETS = 64 << 10
    };
    static char text[OCTETS];
    static const char *const patterns[] = {"a,", "<a>,", "a@b,", "a:;", "\"\"@b,"};
    given->facts.most = 2 * OCTETS + SUBMISSION_ADDED_MAX;
    given->facts.account = STR("a@b");
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        struct buf header = {.p = text, .cap = OCTETS, .max = OCTETS};
        buf_put(&header, STR("From: a@b\r\nTo: "));
        while (buf_put(&header, str_from(patterns[i])))
            continue;
        arena_done(&given->scratch);
        arena_init(&given->scratch, SUBMISSION_SCRATCH_TIMES * (header.n + given->facts.most) +
                                        SUBMISSION_SCRATCH_MORE);
        assert_int_equal(rewrite(given, buf_str(&header)).code, ERR_NONE);
    }
}

static size_t scanned(struct str text, size_t cut, bool *ended_r)
{
    struct submission_scan scan = submission_scan_begin();
    size_t n = submission_scan(&scan, str_head(text, cut), ended_r);
    if (!*ended_r)
        n += submission_scan(&scan, str_from_index(text, cut), ended_r);
    return n;
}

static void the_end_is_found_wherever_it_is_cut(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        size_t end; /* 0: none */
    } cases[] = {
        {STR_INIT("\r\nbody"), 2},
        {STR_INIT("A: b\r\n\r\n"), 8},
        {STR_INIT("A: b\r\n\r\n\r\nx"), 8},
        {STR_INIT("A: b\r\n\r\r\n\r\nx"), 11},
        {STR_INIT("A\r\n \r\n\r\nx\r\n"), 8},
        {STR_INIT("\r\r\n\r\nx"), 5},
        {STR_INIT("A: b\r\n"), 0},
        {STR_INIT("A\n\nb\r\r\n"), 0},
        {STR_INIT("\n\r\n"), 0},
        {STR_INIT(""), 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (size_t cut = 0; cut <= cases[i].text.n; cut++) {
            bool ended;
            size_t n = scanned(cases[i].text, cut, &ended);
            assert_int_equal(n, cases[i].end ? cases[i].end : cases[i].text.n);
            assert_int_equal(ended, cases[i].end != 0);
        }
}

#define with(test) cmocka_unit_test_setup_teardown(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(what_is_missing_is_added_in_front_in_a_fixed_order),
        with(an_empty_message_gets_a_header),
        with(an_empty_date_or_id_is_replaced_and_any_other_stays),
        with(blind_copies_and_the_return_path_go_with_their_folds),
        with(a_message_to_hidden_recipients_alone_says_so),
        with(local_parts_alone_get_the_domain_of_the_account),
        with(authors_are_those_of_all_four_fields_each_once),
        with(who_wrote_it_can_be_read_in_one_way_only),
        with(a_second_from_behind_a_line_without_a_name_is_one),
        with(authors_have_a_limit),
        with(what_comes_out_has_a_limit),
        with(no_memory_is_no_refusal_for_good),
        with(scratch_is_in_proportion_to_the_header),
        cmocka_unit_test(the_end_is_found_wherever_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
