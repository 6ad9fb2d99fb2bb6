#include "base/test.h"

#include "format/reply.h"

struct given {
    struct buf text, out;
    struct reply_parser parser;
    size_t used;
};

static int given_open(void **state)
{
    static struct given given;
    buf_init(&given.text, REPLY_TEXT_MAX);
    buf_init(&given.out, 1 << 20);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    buf_done(&given->text);
    buf_done(&given->out);
    return 0;
}

static void same(const struct reply *a, const struct reply *b)
{
    assert_int_equal(a->class, b->class);
    assert_int_equal(a->fault, b->fault);
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->lines, b->lines);
    assert_int_equal(a->cut, b->cut);
    assert_int_equal(a->unclean, b->unclean);
    assert_memory_equal(&a->status, &b->status, sizeof(a->status));
    assert_str(a->text, b->text);
}

/* An octet at a time gives the same as all at once. */
static const struct reply *read_with(struct given *given, struct str octets, size_t room)
{
    struct buf slow_text = BUF_INIT(room);
    struct reply_parser slow;
    given->text.max = room;
    buf_clear(&given->text);
    reply_begin(&given->parser, &given->text);
    given->used = reply_feed(&given->parser, octets);
    reply_begin(&slow, &slow_text);
    size_t used = 0;
    for (size_t i = 0; i < octets.n; i++)
        used += reply_feed(&slow, str_head(str_from_index(octets, i), 1));
    assert_int_equal(used, given->used);
    assert_int_equal(slow.ended, given->parser.ended);
    reply_close(&given->parser);
    reply_close(&slow);
    same(&slow.reply, &given->parser.reply);
    buf_done(&slow_text);
    return &given->parser.reply;
}

static const struct reply *read(struct given *given, struct str octets)
{
    return read_with(given, octets, REPLY_TEXT_MAX);
}

static void broken(struct given *given, struct str octets, enum reply_fault fault)
{
    const struct reply *reply = read(given, octets);
    assert_int_equal(reply->class, REPLY_BROKEN);
    assert_int_equal(reply->fault, fault);
}

static void reads_one_line(void **state)
{
    struct given *given = *state;
    const struct reply *reply = read(given, STR("250 2.1.5 Recipient OK\r\n"));
    assert_int_equal(reply->class, REPLY_SUCCESS);
    assert_int_equal(reply->code, 250);
    assert_int_equal(reply->lines, 1);
    assert_int_equal(reply->status.class, 2);
    assert_int_equal(reply->status.subject, 1);
    assert_int_equal(reply->status.detail, 5);
    assert_str(reply->text, STR("2.1.5 Recipient OK"));
    assert_int_equal(read(given, STR("354 go\r\n"))->class, REPLY_INTERMEDIATE);
    assert_int_equal(read(given, STR("421 bye\r\n"))->class, REPLY_TRANSIENT);
    assert_int_equal(read(given, STR("599 no\r\n"))->class, REPLY_PERMANENT);
}

static void reads_several_lines(void **state)
{
    const struct reply *reply =
        read(*state, STR("250-mx.example greets\r\n250-SIZE 1000\r\n250-\r\n250 HELP\r\n"));
    assert_int_equal(reply->lines, 4);
    assert_str(reply->text, STR("mx.example greets\nSIZE 1000\n\nHELP"));
    assert_int_equal(reply->status.class, 0);
}

/* RFC 5321 4.2.1: a client must be prepared for the space to be left out. */
static void a_code_may_stand_alone(void **state)
{
    const struct reply *reply = read(*state, STR("553-\r\n553\r\n"));
    assert_int_equal(reply->class, REPLY_PERMANENT);
    assert_int_equal(reply->lines, 2);
    assert_str(reply->text, STR("\n"));
    assert_str(read(*state, STR("553\r\n"))->text, STR(""));
    assert_str(read(*state, STR("250\ttab\r\n"))->text, STR("tab"));
}

static void a_status_may_stand_alone(void **state)
{
    const struct reply *reply = read(*state, STR("550 5.7.2\r\n"));
    assert_int_equal(reply->status.subject, 7);
    assert_int_equal(reply->status.detail, 2);
    reply = read(*state, STR("550 5.123.456\r\n"));
    assert_int_equal(reply->status.detail, 456);
}

static void a_status_of_another_class_is_none(void **state)
{
    assert_int_equal(read(*state, STR("550 4.7.1 wait\r\n"))->status.class, 0);
    assert_int_equal(read(*state, STR("250 5.1.1\r\n"))->status.class, 0);
    assert_int_equal(read(*state, STR("550 5.1.1.1 x\r\n"))->status.class, 0);
    assert_int_equal(read(*state, STR("550 5.1.1234\r\n"))->status.class, 0);
    assert_int_equal(read(*state, STR("550 5.1\r\n"))->status.class, 0);
    assert_int_equal(read(*state, STR("550 5.1.1x\r\n"))->status.class, 0);
    assert_int_equal(read(*state, STR("354 3.1.1\r\n"))->status.class, 0);
}

static void the_last_status_counts(void **state)
{
    const struct reply *reply = read(*state, STR("550-5.1.1 a\r\n550-5.7.26 b\r\n550 c\r\n"));
    assert_int_equal(reply->status.subject, 7);
    assert_int_equal(reply->status.detail, 26);
}

static void codes_may_change_within_their_class(void **state)
{
    const struct reply *reply = read(*state, STR("451-a\r\n452 b\r\n"));
    assert_int_equal(reply->class, REPLY_TRANSIENT);
    assert_int_equal(reply->code, 452);
}

static void codes_that_contradict_are_broken(void **state)
{
    broken(*state, STR("250-a\r\n550 b\r\n"), REPLY_FAULT_CHANGED);
    broken(*state, STR("450-a\r\n550 b\r\n"), REPLY_FAULT_CHANGED);
}

static void what_is_no_code_is_broken(void **state)
{
    static const char *const lines[] = {"\r\n",       "hello\r\n",  "150 x\r\n",    "650 x\r\n",
                                        "25 x\r\n",   "2500 x\r\n", "250x\r\n",     " 250 x\r\n",
                                        "250\rx\r\n", "250_x\r\n",  "250-a\r\n\r\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        broken(*state, str_from(lines[i]), REPLY_FAULT_CODE);
}

static void a_reply_without_an_end_is_broken(void **state)
{
    broken(*state, STR(""), REPLY_FAULT_UNENDED);
    broken(*state, STR("250"), REPLY_FAULT_UNENDED);
    broken(*state, STR("250 OK"), REPLY_FAULT_UNENDED);
    broken(*state, STR("250 OK\r"), REPLY_FAULT_UNENDED);
    broken(*state, STR("250-OK\r\n"), REPLY_FAULT_UNENDED);
}

/* Who waits for the CR of a server that sends none waits for ever. */
static void a_bare_lf_ends_a_line(void **state)
{
    const struct reply *reply = read(*state, STR("250-a\n250 b\n"));
    assert_int_equal(reply->class, REPLY_SUCCESS);
    assert_str(reply->text, STR("a\nb"));
    assert_int_equal(read(*state, STR("250\n"))->class, REPLY_SUCCESS);
}

static void a_bare_cr_ends_none(void **state)
{
    const struct reply *reply = read(*state, STR("250 a\r250 b\r\r\n"));
    assert_int_equal(reply->lines, 1);
    assert_str(reply->text, STR("a250 b"));
    assert_true(reply->unclean);
}

/* CVE-2021-38371: lines behind the 220 of STARTTLS, before TLS. */
static void what_lies_behind_is_seen(void **state)
{
    struct given *given = *state;
    struct str octets = STR("220 ok\r\n250-x\r\n250 AUTH PLAIN\r\n");
    const struct reply *reply = read(given, octets);
    assert_int_equal(reply->code, 220);
    assert_str(reply->text, STR("ok"));
    assert_int_equal(given->used, 8);
    assert_int_equal(reply_feed(&given->parser, str_from_index(octets, given->used)), 0);
}

static void text_is_cleaned(void **state)
{
    const struct reply *reply =
        read(*state, STR("550 a\0b\x1b[31mc\td\x7f \xc2\x85\xe2\x80\xae\xe2\x80\xa8"
                         "\xd8\x9c\xe2\x81\xa6\xe5\xa5\xbd \xff\xe4x \xe5\xa5\r\n"));
    assert_str(reply->text, STR("ab[31mc d \xe5\xa5\xbd \xef\xbf\xbd\xef\xbf\xbdx \xef\xbf\xbd"
                                "\xef\xbf\xbd"));
    assert_true(reply->unclean);
    assert_false(read(*state, STR("550 a\tb \xe5\xa5\xbd\r\n"))->unclean);
}

/* A character is kept whole or not at all, and nothing behind it. */
static void text_is_cut_between_characters(void **state)
{
    struct str octets = STR("250-ab\xe5\xa5\xbd\r\n250 c\r\n");
    assert_str(read_with(*state, octets, 4)->text, STR("ab"));
    assert_true(read_with(*state, octets, 4)->cut);
    assert_str(read_with(*state, octets, 5)->text, STR("ab\xe5\xa5\xbd"));
    assert_true(read_with(*state, octets, 5)->cut);
    assert_true(read_with(*state, octets, 6)->cut);
    assert_str(read_with(*state, octets, 7)->text, STR("ab\xe5\xa5\xbd\nc"));
    assert_false(read_with(*state, octets, 7)->cut);
    assert_int_equal(read_with(*state, octets, 0)->class, REPLY_SUCCESS);
}

static void lines_have_a_limit(void **state)
{
    struct given *given = *state;
    for (unsigned n = REPLY_LINES_MAX - 1; n <= REPLY_LINES_MAX + 1; n++) {
        buf_clear(&given->out);
        for (unsigned i = 0; i + 1 < n; i++)
            buf_put(&given->out, STR("250-x\r\n"));
        buf_put(&given->out, STR("250 x\r\n"));
        if (n <= REPLY_LINES_MAX)
            assert_int_equal(read(given, buf_str(&given->out))->lines, n);
        else
            broken(given, buf_str(&given->out), REPLY_FAULT_LINES);
    }
    /* And what follows is not looked at. */
    assert_int_equal(given->used, REPLY_LINES_MAX * 7);
}

static void octets_have_a_limit(void **state)
{
    struct given *given = *state;
    for (unsigned n = REPLY_OCTETS_MAX - 1; n <= REPLY_OCTETS_MAX + 1; n++) {
        buf_clear(&given->out);
        buf_put(&given->out, STR("250 "));
        while (given->out.n < n - 2)
            buf_putc(&given->out, 'x');
        buf_put(&given->out, STR("\r\n"));
        if (n > REPLY_OCTETS_MAX) {
            broken(given, buf_str(&given->out), REPLY_FAULT_LENGTH);
            continue;
        }
        const struct reply *reply = read(given, buf_str(&given->out));
        assert_int_equal(reply->class, REPLY_SUCCESS);
        assert_int_equal(reply->text.n, REPLY_TEXT_MAX);
        assert_true(reply->cut);
    }
}

static void text_is_appended(void **state)
{
    struct given *given = *state;
    read(given, STR("250 a\r\n"));
    reply_begin(&given->parser, &given->text);
    reply_feed(&given->parser, STR("250 b\r\n"));
    assert_str(given->parser.reply.text, STR("b"));
    assert_str(buf_str(&given->text), STR("ab"));
}

static void printed(struct given *given, struct str octets, size_t limit, struct str expected)
{
    const struct reply *reply = read(given, octets);
    buf_clear(&given->out);
    reply_print(&given->out, reply, limit);
    assert_str(buf_str(&given->out), expected);
}

static void prints_one_line(void **state)
{
    printed(*state, STR("550-5.1.1 No\r\n550-\r\n550 5.1.1 such user\r\n"), 100,
            STR("550 5.1.1 No 5.1.1 such user"));
    printed(*state, STR("550 abc\xe5\xa5\xbd\r\n"), 8, STR("550 abc..."));
    printed(*state, STR("550 abc\xe5\xa5\xbd\r\n"), 10, STR("550 abc\xe5\xa5\xbd"));
    printed(*state, STR("550 abc\r\n550"), 0, STR("550 ..."));
    printed(*state, STR("hi"), 100, STR("not a reply of SMTP:"));
    printed(*state, STR("250 hi"), 100, STR("the connection ended within a reply: hi"));
}

static void status_codes_are_printed(void **state)
{
    struct given *given = *state;
    struct status_code status;
    assert_true(status_code_parse(STR("4.4.7"), &status));
    buf_clear(&given->out);
    status_code_print(&given->out, status);
    assert_str(buf_str(&given->out), STR("4.4.7"));
    assert_false(status_code_parse(STR("3.1.1"), &status));
    assert_false(status_code_parse(STR("4..1"), &status));
    assert_false(status_code_parse(STR("4.1."), &status));
    assert_false(status_code_parse(STR(""), &status));
}

#define with(test) cmocka_unit_test_setup_teardown(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(reads_one_line),
        with(reads_several_lines),
        with(a_code_may_stand_alone),
        with(a_status_may_stand_alone),
        with(a_status_of_another_class_is_none),
        with(the_last_status_counts),
        with(codes_may_change_within_their_class),
        with(codes_that_contradict_are_broken),
        with(what_is_no_code_is_broken),
        with(a_reply_without_an_end_is_broken),
        with(a_bare_lf_ends_a_line),
        with(a_bare_cr_ends_none),
        with(what_lies_behind_is_seen),
        with(text_is_cleaned),
        with(text_is_cut_between_characters),
        with(lines_have_a_limit),
        with(octets_have_a_limit),
        with(text_is_appended),
        with(prints_one_line),
        with(status_codes_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
