/* What programs hand to sendmail, and what leaves. */
#include "cli/note.h"

#include "base/test.h"

enum {
    ARENA = 64 * 1024 * 1024
};

static struct arena arena;
static struct letter letter;
static struct str what;

static int opened(void **state)
{
    (void)state;
    arena_init(&arena, ARENA);
    return 0;
}

static int closed(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static const struct note_facts facts = {.user = STR_INIT("joe"),
                                        .host = STR_INIT("vps.example"),
                                        .name = STR_INIT("Joe Döe"),
                                        .id = STR_INIT("1.2"),
                                        .time = 1795240637};

static enum note_trouble made(const struct note *note)
{
    what = str_null();
    return note_letter(note, &facts, &arena, &letter, &what);
}

static enum note_trouble from_header(const char *text)
{
    const struct note note = {.text = str_from(text), .from_header = true};
    return made(&note);
}

static void assert_recipients(const char *expected)
{
    struct buf list = BUF_INIT(10000);
    for (size_t i = 0; i < letter.count; i++)
        buf_printf(&list, "%s%.*s", i ? " " : "", STR_FMT(letter.recipients[i].address));
    assert_str(buf_str(&list), str_from(expected));
    buf_done(&list);
}

static bool has(const char *text)
{
    return str_find(letter.message, str_from(text)) >= 0;
}

static void a_bare_text_becomes_a_message(void **state)
{
    (void)state;
    const struct str to[] = {STR("root")};
    const struct note note = {.text = STR("disk full\n\nall of it"), .named = to, .named_count = 1};
    assert_int_equal(made(&note), NOTE_FINE);
    assert_recipients("root@vps.example");
    assert_str(letter.sender, STR("joe@vps.example"));
    assert_true(has("From: =?utf-8?"));
    assert_true(has("<joe@vps.example>\r\n"));
    assert_true(has("Date: Sat, 21 Nov 2026 05:57:17 +0000\r\n"));
    assert_true(has("Message-ID: <1.2@vps.example>\r\n"));
    assert_true(str_ends(letter.message, STR("\r\n\r\ndisk full\r\n\r\nall of it\r\n")));
    assert_false(letter.eight_bit || letter.utf8);
}

static void cron_s_own_header_is_kept(void **state)
{
    (void)state;
    const struct str to[] = {STR("root")};
    const struct note note = {
        .text = STR("From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@vps> x\n"
                    "MIME-Version: 1.0\n\nout\n"),
        .named = to,
        .named_count = 1,
        .has_sender = true,
        .sender = STR("root")};
    assert_int_equal(made(&note), NOTE_FINE);
    assert_str(letter.sender, STR("root@vps.example"));
    assert_true(has("From: root@vps.example (Cron Daemon)\r\nTo: root@vps.example\r\n"));
    assert_true(has("\r\nMIME-Version: 1.0\r\n\r\nout\r\n"));
}

static void recipients_of_the_header_and_bcc_is_gone(void **state)
{
    (void)state;
    assert_int_equal(
        from_header("To: Ann <ann@a.example>, \"B, C\" <b@b.example>\nCc: team:\n"
                    " x@x.example, joe;\nBcc: secret@s.example,\n ann@A.example\n\nb\n"),
        NOTE_FINE);
    assert_recipients("ann@a.example b@b.example x@x.example joe@vps.example secret@s.example");
    assert_false(has("secret"));
    assert_false(has("Bcc"));
    assert_int_equal(from_header("Subject: x\n\nTo: not@header.example\n"), NOTE_NO_RECIPIENTS);
    assert_int_equal(from_header("To: a b c\n\n"), NOTE_BAD_RECIPIENT);
}

static void who_resends_names_its_own_recipients(void **state)
{
    (void)state;
    assert_int_equal(
        from_header(
            "Resent-To: new@n.example\nResent-Bcc: hid@n.example\nResent-From: joe\n"
            "Received: from x by y; Sat, 21 Nov 2026 05:57:17 +0000\n"
            "From: old@o.example\nResent-To: earlier@e.example\nTo: first@f.example\n\nb\n"),
        NOTE_FINE);
    assert_recipients("new@n.example hid@n.example");
    assert_false(has("hid@"));
    assert_true(has("To: first@f.example\r\n"));
}

static void a_lone_dot_ends_it_or_not(void **state)
{
    (void)state;
    const struct str to[] = {STR("a@b.example")};
    struct note note = {.text = STR("Subject: s\n\none\n.\ntwo\n"),
                        .dot_ends = true,
                        .named = to,
                        .named_count = 1};
    assert_int_equal(made(&note), NOTE_FINE);
    assert_true(str_ends(letter.message, STR("\r\n\r\none\r\n")));
    note.dot_ends = false;
    assert_int_equal(made(&note), NOTE_FINE);
    assert_true(str_ends(letter.message, STR("one\r\n.\r\ntwo\r\n")));
}

static void line_ends_and_old_forms(void **state)
{
    (void)state;
    assert_int_equal(from_header("From joe Sat Nov 21 05:57:17 2026\nTo: a@b.example\r\n"
                                 "Subject: one\n  two\nno field here\nX: y\n\rz\r\n"),
                     NOTE_FINE);
    assert_true(has("Subject: one\r\n  two\r\n\r\nno field here\r\nX: y\r\nz\r\n"));
    assert_false(has("From joe"));
    assert_true(str_find(letter.message, STR("\r\r")) < 0);
}

static void what_the_transport_must_know(void **state)
{
    (void)state;
    assert_int_equal(from_header("To: a@b.example\n\n\xe4\n"), NOTE_FINE);
    assert_true(letter.eight_bit && !letter.utf8);
    assert_int_equal(from_header("To: a@b.example\nSubject: \xc3\xa4\n\nx\n"), NOTE_FINE);
    assert_true(letter.utf8);
    assert_int_equal(from_header("To: a@b.example\nSubject: \xe4\n\nx\n"), NOTE_FINE);
    assert_false(letter.utf8);
    assert_int_equal(from_header("To: \xc3\xa4@b.example\n\nx\n"), NOTE_FINE);
    assert_true(letter.utf8);
}

static void the_sender_that_was_named(void **state)
{
    (void)state;
    const struct str to[] = {STR("a@b.example")};
    struct note note = {
        .text = STR("\n"), .named = to, .named_count = 1, .has_sender = true, .sender = STR("<>")};
    assert_int_equal(made(&note), NOTE_FINE);
    assert_str(letter.sender, STR(""));
    note.sender = STR("x y@z");
    assert_int_equal(made(&note), NOTE_BAD_SENDER);
    note.sender = STR("me@mine.example");
    assert_int_equal(made(&note), NOTE_FINE);
    assert_str(letter.sender, STR("me@mine.example"));
}

static void two_froms_are_read_in_two_ways(void **state)
{
    (void)state;
    assert_int_equal(from_header("From: a@b.example\nFrom: c@d.example\nTo: x@y.example\n\n"),
                     NOTE_BAD_HEADER);
}

static void a_smart_host_gets_its_own_sender(void **state)
{
    (void)state;
    assert_int_equal(from_header("To: x@y.example\nFrom: =?utf-8?Q?J=C3=B6e?= <joe@vps.example>\n"
                                 "Sender: root\nSubject: s\n\nFrom: body\n"),
                     NOTE_FINE);
    assert_true(note_rewrite(&letter, STR("me@gmail.example"), &arena));
    assert_str(letter.sender, STR("me@gmail.example"));
    assert_true(has("<me@gmail.example>\r\nReply-To: =?utf-8?Q?J=C3=B6e?= <joe@vps.example>\r\n"));
    assert_false(has("Sender:"));
    assert_true(str_ends(letter.message, STR("\r\n\r\nFrom: body\r\n")));
    struct str once = letter.message;
    letter.sender = STR("");
    assert_true(note_rewrite(&letter, STR("me@gmail.example"), &arena));
    assert_str(letter.message, once); /* Reply-To stays whose it was */
    assert_str(letter.sender, STR(""));
}

static void a_letter_is_read_back_from_its_text(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(10000);
    struct letter again;
    assert_int_equal(from_header("To: a@b.example, \xc3\xa4@c.example\n\nbody\n\nmore\n"),
                     NOTE_FINE);
    letter.asked = STR("\x01\x00\xff");
    letter.recipients[1].asked = STR("\n ");
    letter_print(&letter, &text);
    assert_false(err_is(letter_parse(buf_str(&text), &arena, &again)));
    assert_str(again.message, letter.message);
    assert_str(again.sender, letter.sender);
    assert_str(again.asked, letter.asked);
    assert_int_equal(again.count, 2);
    assert_str(again.recipients[1].address, letter.recipients[1].address);
    assert_str(again.recipients[1].asked, STR("\n "));
    assert_int_equal(again.utf8, true);
    for (size_t n = 0; n + letter.message.n < text.n; n++)
        assert_true(err_is(letter_parse(str_head(buf_str(&text), n), &arena, &again)));
    buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, opened, closed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bare_text_becomes_a_message),
        TEST(cron_s_own_header_is_kept),
        TEST(recipients_of_the_header_and_bcc_is_gone),
        TEST(who_resends_names_its_own_recipients),
        TEST(a_lone_dot_ends_it_or_not),
        TEST(line_ends_and_old_forms),
        TEST(what_the_transport_must_know),
        TEST(the_sender_that_was_named),
        TEST(two_froms_are_read_in_two_ways),
        TEST(a_smart_host_gets_its_own_sender),
        TEST(a_letter_is_read_back_from_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
