#include "base/test.h"

#include "format/screen.h"

static void becomes_at(struct str text, struct str expected, int line)
{
    struct buf out = BUF_INIT(2 * SCREEN_OCTETS), again = BUF_INIT(2 * SCREEN_OCTETS);
    screen_put(&out, text);
    assert_str_at(buf_str(&out), expected, __FILE__, line);
    screen_put(&again, buf_str(&out));
    assert_str_at(buf_str(&again), expected, __FILE__, line);
    buf_done(&out);
    buf_done(&again);
}

#define becomes(text, expected) becomes_at(STR(text), STR(expected), __LINE__)

static void lines_are_kept(void **state)
{
    (void)state;
    becomes("", "");
    becomes("one", "one\n");
    becomes("one\r\n\r\ntwo\nthree\r\n", "one\n\ntwo\nthree\n");
    becomes("a\tb", "a b\n");
    becomes("\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
            "\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80\n");
}

static void controls_go(void **state)
{
    (void)state;
    becomes("a\rb\x08\x07\x00\x7f\x0b\x0c\x1a"
            "c",
            "abc\n");
    /* C1: NEL, and one without a name; behind them U+00A0 */
    becomes("a\xc2\x85\xc2\x99\xc2\xa0z", "a\xc2\xa0z\n");
}

static void sequences_go_as_a_whole(void **state)
{
    (void)state;
    becomes("\x1b[2J\x1b[31;1mred\x1b[0m", "red\n");
    becomes("\x1b]0;title\x07shown", "shown\n");
    becomes("\x1b]0;title\x1b\\shown", "shown\n");
    becomes("\x1bP1$r\xc2\x9cshown", "shown\n");
    becomes("\x1b(Bshown\x1b=\x1b", "shown\n");
    becomes("\x1b%Gshown\x1b#8", "shown\n");
    /* By their C1: CSI, OSC */
    becomes("\xc2\x9b"
            "2Jshown\xc2\x9d"
            "0;t\x07.",
            "shown.\n");
    /* One that is never whole ends with its line. */
    becomes("a\x1b]0;hidden\nb\x1b[1;\nc", "a\nb\nc\n");
    becomes("a\x1b[1;\x01m", "am\n");
    becomes("a\x1b[\xe4\xbd\xa0", "a\xe4\xbd\xa0\n");
}

static void directions_and_the_unseen_go(void **state)
{
    (void)state;
    becomes("a\xe2\x80\xae\xe2\x80\xad\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f"
            "b",
            "ab\n");
    becomes("a\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbe\xf3\xa0\x81\x81\xe2\x80\x8b"
            "b",
            "ab\n");
}

static void octets_of_no_character_are_replaced(void **state)
{
    (void)state;
    becomes("a\xff\x9bz", "a\xef\xbf\xbd\xef\xbf\xbdz\n");
    becomes("\xe4\xbd", "\xef\xbf\xbd\xef\xbf\xbd\n");
    becomes("\xc0\x9b", "\xef\xbf\xbd\xef\xbf\xbd\n");
    becomes("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n");
}

/* Lines of the same text, so many and so long. */
static struct str page_of(struct buf *room, size_t lines, size_t length)
{
    buf_clear(room);
    for (size_t i = 0; i < lines; i++) {
        for (size_t n = 0; n < length; n++)
            buf_putc(room, 'x');
        buf_putc(room, '\n');
    }
    return buf_str(room);
}

static void limits_hold(void **state)
{
    struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
    (void)state;
    for (size_t lines = SCREEN_LINES - 1; lines <= SCREEN_LINES + 1; lines++) {
        buf_clear(&out);
        screen_put(&out, page_of(&text, lines, 3));
        if (lines <= SCREEN_LINES) {
            assert_str(buf_str(&out), buf_str(&text));
            continue;
        }
        page_of(&want, SCREEN_LINES - 1, 3);
        buf_put(&want, STR("[...]\n"));
        assert_str(buf_str(&out), buf_str(&want));
    }
    for (size_t length = SCREEN_LINE_OCTETS - 1; length <= SCREEN_LINE_OCTETS + 1; length++) {
        buf_clear(&out);
        screen_put(&out, page_of(&text, 1, length));
        page_of(&want, 1, length > SCREEN_LINE_OCTETS ? SCREEN_LINE_OCTETS : length);
        if (length > SCREEN_LINE_OCTETS)
            buf_put(&want, STR("x\n"));
        assert_str(buf_str(&out), buf_str(&want));
    }
    for (size_t length = 350; length <= SCREEN_LINE_OCTETS; length++) {
        buf_clear(&out);
        screen_put(&out, page_of(&text, 20, length));
        assert_true(out.n <= SCREEN_OCTETS);
        assert_true(str_ends(buf_str(&out), STR("x\n[...]\n")));
        becomes_at(buf_str(&out), buf_str(&out), __LINE__);
    }
    buf_done(&text);
    buf_done(&out);
    buf_done(&want);
}

static void who_shows_ascii_gets_ascii(void **state)
{
    struct buf out = BUF_INIT(100);
    (void)state;
    screen_put_ascii(&out, STR("a\xc3\x9b \xe4\xbd\xa0\n"));
    assert_str(buf_str(&out), STR("a? ?\n"));
    buf_done(&out);
}

/* --- Messages -------------------------------------------------------------------------------- */

static void shows_at(const char *message, const char *expected, size_t head, int line)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct summary_view view;
    struct arena arena;
    struct buf out = BUF_INIT(SCREEN_OCTETS);
    struct str text = str_from(message);
    arena_init(&arena, SUMMARY_ARENA_MAX);
    summary_init(&summary, &arena, &limits);
    assert_false(err_is(summary_feed(&summary, text)));
    assert_false(err_is(summary_end(&summary)));
    assert_false(err_is(summary_read_back(&summary, &arena, &view)));
    screen_put_message(&out, &view, str_head(text, head), &arena);
    assert_str_at(buf_str(&out), str_from(expected), __FILE__, line);
    buf_done(&out);
    arena_done(&arena);
}

#define shows(message, expected) shows_at((message), (expected), SCREEN_HEAD, __LINE__)

static void subject_and_text_of_a_message(void **state)
{
    (void)state;
    shows("\r\nBlah blah blah...\r\n...etc.\r\n", "Blah blah blah...\n...etc.\n");
    shows("Subject: Tea\r\n =?utf-8?Q?=E4=BD=A0=1B[2J?=\r\nFrom: a@b\r\n\r\nNow?\r\n",
          "Subject: Tea \xe4\xbd\xa0\xef\xbf\xbd[2J\nNow?\n");
    shows("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
          "Gz0bWzJKaGkgw6kN\r\nCgo=\r\n",
          "hi \xc3\xa9\n\n");
    shows("Content-Type: text/plain; charset=iso-8859-1\r\n"
          "Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9=\r\n!\r\nx\r\n",
          "caf\xc3\xa9!\nx\n");
}

static void the_text_among_other_parts(void **state)
{
    (void)state;
    shows("Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
          "--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n"
          "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile\r\n"
          "--b\r\n\r\nthe text\r\n--b--\r\nend\r\n",
          "Subject: s\nthe text\n");
    shows("Content-Type: text/html\r\n\r\n<p>html\r\n", "");
    /* What lies behind the octets that are at hand is not there. */
    shows_at("Subject: s\r\n\r\nabcdef\r\n", "Subject: s\nabc\n", 17, __LINE__);
    shows_at("Subject: s\r\n\r\nabcdef\r\n", "Subject: s\n", 5, __LINE__);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_kept),
        cmocka_unit_test(controls_go),
        cmocka_unit_test(sequences_go_as_a_whole),
        cmocka_unit_test(directions_and_the_unseen_go),
        cmocka_unit_test(octets_of_no_character_are_replaced),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(who_shows_ascii_gets_ascii),
        cmocka_unit_test(subject_and_text_of_a_message),
        cmocka_unit_test(the_text_among_other_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
