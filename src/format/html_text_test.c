/* HTML as plain text: what a person would have written, and no time lost on what is no HTML. */
#include "format/html_text.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/test.h"

enum {
    ROOM = 64 << 20,
    LARGE = 1 << 20,
};

static void becomes(const char *html, const char *wanted)
{
    struct buf text = BUF_INIT(ROOM);
    html_text_put(str_from(html), &text);
    assert_str(buf_str(&text), str_from(wanted));
    buf_done(&text);
}

static void paragraphs_and_lines(void **state)
{
    (void)state;
    becomes("", "");
    becomes("Hello", "Hello\n");
    becomes("<p>Hello\n  Bob,</p>\n<p>how are you?</p>", "Hello Bob,\n\nhow are you?\n");
    becomes("one<br>two<BR/>three", "one\ntwo\nthree\n");
    becomes("<div>a</div><div>b</div>", "a\nb\n");
    becomes("<h1>Title</h1>text", "Title\n\ntext\n");
    becomes("<ul><li>one</li><li>two</ul>end", "- one\n- two\nend\n");
    becomes("<table><tr><td>a</td><td>b</td></tr><tr><th>c<td>d</table>", "a b\nc d\n");
    becomes("a<hr>b", "a\n---\nb\n");
    becomes("x <b>bold</b><i>er</i> y", "x bolder y\n");
    becomes("<pre>a\n  b\n\nc</pre>d", "a\n  b\n\nc\n\nd\n");
    becomes("<p><p><p>a", "a\n");
}

static void links_and_images(void **state)
{
    (void)state;
    becomes("see <a href=\"https://a.example/x?y=1&amp;z\">the report</a>.",
            "see the report <https://a.example/x?y=1&z>.\n");
    becomes("<a href='https://a.example'>https://a.example</a>", "https://a.example\n");
    becomes("<a href=mailto:a@b.example>a@b.example</a>", "a@b.example\n");
    becomes("<a href=\"javascript:alert(1)\">x</a>", "x\n");
    becomes("<a href=\"https://a.example\">x", "x <https://a.example>\n");
    becomes("<a href=https://a.example>x<a href=https://b.example>y</a>",
            "x <https://a.example>y <https://b.example>\n");
    becomes("<img src=x alt=\"A > B\">!", "A > B!\n");
}

static void what_is_not_to_be_read_is_left_out(void **state)
{
    (void)state;
    becomes("<html><head><title>T</title><style>p {}</style></head><body>a</body></html>", "a\n");
    becomes("<style>a</p>b</STYLE>c<script>if (a</b) d</script>e", "ce\n");
    becomes("a<!-- <p>no</p> -->b", "ab\n");
    becomes("<!DOCTYPE html><?xml?>a", "a\n");
    becomes("a<script>b", "a\n");
    becomes("a<!-- b", "a\n");
}

static void entities_are_characters(void **state)
{
    (void)state;
    becomes("&lt;a&gt; &amp;amp; &quot;&#39;&#x4F60;&#22909;", "<a> &amp; \"'你好\n");
    becomes("&euro;&mdash;&#128169;", "€—\xF0\x9F\x92\xA9\n");
    becomes("&#0;&#xD800;&#x110000;&#999999999;",
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n");
    becomes("&nosuch; & &; &#; &#x; AT&T", "&nosuch; & &; &#; &#x; AT&T\n");
    becomes("a&#10;b&#8;c", "a b\xEF\xBF\xBD"
                            "c\n");
}

static void what_is_no_HTML_is_text(void **state)
{
    (void)state;
    becomes("1 < 2 > 1", "1 < 2 > 1\n");
    becomes("a <b", "a <b\n");
    becomes("<a href=\"x>y", "y\n");
    becomes("你好 <中文>", "你好 <中文>\n");
}

static void too_long(int signal)
{
    (void)signal;
    fail_msg("work is done twice");
}

/* Of this process, in seconds; all of it takes one, or three under a sanitizer. */
static void processor_limit(rlim_t seconds)
{
    const struct rlimit limit = {.rlim_cur = seconds, .rlim_max = RLIM_INFINITY};
    assert_true(signal(SIGXCPU, too_long) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_CPU, &limit), 0);
}

/* Whatever is opened again and again: no work is done twice. */
static void it_is_linear(void **state)
{
    static const char *const pieces[] = {"<",      "<a ",        "<!-",    "<p",
                                         "</",     "<a =\"",     "<a ='>", "&#",
                                         "<style", "<style></x", "<div>",  "<a href=https://x>",
                                         "&amp;",  "<!-->"};
    (void)state;
    processor_limit(10);
    char *html = test_malloc(LARGE);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct str piece = str_from(pieces[i]);
        struct buf text = BUF_INIT(HTML_TEXT_GROWTH * (size_t)LARGE + 16);
        for (size_t at = 0; at < LARGE; at++)
            html[at] = piece.p[at % piece.n];
        html_text_put(str_make(html, LARGE), &text); /* hours, if it were not */
        assert_false(buf_over(&text));
        buf_done(&text);
    }
    test_free(html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paragraphs_and_lines),
        cmocka_unit_test(links_and_images),
        cmocka_unit_test(what_is_not_to_be_read_is_left_out),
        cmocka_unit_test(entities_are_characters),
        cmocka_unit_test(what_is_no_HTML_is_text),
        cmocka_unit_test(it_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
