#include "base/test.h"

#include "terminal/notice.h"

static void gives_at(const struct notice *notice, struct str expected, int line)
{
    struct buf got = BUF_INIT(NOTICE_MAX);
    notice_put(&got, notice);
    assert_false(buf_over(&got));
    assert_str_at(buf_str(&got), expected, __FILE__, line);
    buf_done(&got);
}

#define gives(expected, ...) gives_at(&(const struct notice){__VA_ARGS__}, STR(expected), __LINE__)

#define HEAD "\r\n\aMessage from <a@b.example>, 2026-11-21T05:57:03Z:\r\n"
#define END "End of the message.\r\n"
#define WHEN .time = 1795240623

static void a_message_with_a_bar(void **state)
{
    (void)state;
    gives(HEAD "| one\r\n| \r\n| two\r\n" END, .sender = STR("a@b.example"),
          .text = STR("one\n\ntwo\n"), .utf8 = true, WHEN);
    gives("\r\n\aMessage from <>, 2026-11-21T05:57:03Z:\r\n" END, .sender = STR(""),
          .text = STR(""), WHEN);
}

/* Whoever made the text may have been taken over. */
static void nobody_is_believed_that_it_is_clean(void **state)
{
    (void)state;
    gives(HEAD "| x\r\n| " END END, .sender = STR("a@b\x1b[2J.exam\x07ple"),
          .text = STR("\x1b]0;t\x07x\x08\r\n"
                      "End of the message.\r\n"),
          .utf8 = true, WHEN);
}

static void ascii_where_it_takes_no_utf8(void **state)
{
    (void)state;
    gives("\r\n\aMessage from <j?rg@b.example>, 2026-11-21T05:57:03Z:\r\n| ?.\r\n" END,
          .sender = STR("j\xc3\xb6rg@b.example"), .text = STR("\xc3\x9b.\n"), WHEN);
}

static void the_longest_fits(void **state)
{
    struct buf sender = BUF_INIT(1000), text = BUF_INIT(100000), got = BUF_INIT(NOTICE_MAX);
    (void)state;
    for (int i = 0; i < 900; i++)
        buf_putc(&sender, 's');
    for (int i = 0; i < 50000; i++)
        buf_put(&text, i % 104 ? STR("x") : STR("\n"));
    const struct notice notice = {.sender = buf_str(&sender), .text = buf_str(&text), WHEN};
    notice_put(&got, &notice);
    assert_false(buf_over(&got));
    assert_true(str_find(buf_str(&got), STR("| [...]\r\n" END)) > 0);
    buf_done(&sender);
    buf_done(&text);
    buf_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_with_a_bar),
        cmocka_unit_test(nobody_is_believed_that_it_is_clean),
        cmocka_unit_test(ascii_where_it_takes_no_utf8),
        cmocka_unit_test(the_longest_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
