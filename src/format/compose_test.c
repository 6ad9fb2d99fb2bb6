#include "base/test.h"

#include "format/compose.h"

enum {
    ROOM = 64 << 20,
};

struct given {
    struct buf out;
    size_t puts, most; /* most: octets that the sink takes */
    struct compose compose;
    struct compose_mailbox to;
    struct compose_head head;
};

static bool put(void *context, struct str octets)
{
    struct given *given = context;
    assert_true(octets.n > 0 && octets.n <= COMPOSE_PIECE);
    given->puts++;
    if (given->out.n + octets.n > given->most)
        return false;
    return buf_put(&given->out, octets);
}

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){
        .out = BUF_INIT(ROOM),
        .most = ROOM,
        .to = {.address = STR("bob@example.net")},
        .head = {.from = {.name = STR("Ann"), .address = STR("ann@example.org")},
                 .subject = STR("Hello"),
                 .time = 1795320000,
                 .message_id = STR("1@example.org"),
                 .text = STR("Hi\nthere")},
    };
    given.head.to = (struct compose_mailboxes){&given.to, 1};
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    buf_done(&given->out);
    return 0;
}

static struct err begin(struct given *given)
{
    buf_clear(&given->out);
    return compose_begin(&given->compose, &given->head, (struct compose_sink){given, put});
}

static struct str message(struct given *given)
{
    assert_false(err_is(begin(given)));
    assert_false(err_is(compose_end(&given->compose)));
    return buf_str(&given->out);
}

static bool says(struct given *given, const char *text)
{
    return str_find(message(given), str_from(text)) >= 0;
}

static void test_plain(void **state)
{
    assert_str(message(*state), STR("From: Ann <ann@example.org>\r\n"
                                    "To: bob@example.net\r\n"
                                    "Subject: Hello\r\n"
                                    "Date: Sun, 22 Nov 2026 04:00:00 +0000\r\n"
                                    "Message-ID: <1@example.org>\r\n"
                                    "MIME-Version: 1.0\r\n"
                                    "Content-Type: text/plain; charset=us-ascii\r\n"
                                    "Content-Transfer-Encoding: 7bit\r\n"
                                    "\r\n"
                                    "Hi\r\nthere\r\n"));
}

static void test_attachment(void **state)
{
    struct given *given = *state;
    given->head.attachments = true;
    assert_false(err_is(begin(given)));
    compose_attach(&given->compose, STR("/tmp/a\"b.png"), STR(""));
    compose_feed(&given->compose, STR("a"));
    compose_feed(&given->compose, STR("bc"));
    compose_attach(&given->compose, STR("\xe4\xbd\xa0.x"), STR("text/x"));
    assert_false(err_is(compose_end(&given->compose)));
    struct str body = buf_str(&given->out);
    body = str_from_index(body, (size_t)str_find(body, STR("MIME-Version")));
    assert_str(body, STR("MIME-Version: 1.0\r\n"
                         "Content-Type: multipart/mixed;\r\n"
                         " boundary=\"=_a09825de1b8b5ee2\"\r\n"
                         "\r\n"
                         "--=_a09825de1b8b5ee2\r\n"
                         "Content-Type: text/plain; charset=us-ascii\r\n"
                         "Content-Transfer-Encoding: 7bit\r\n"
                         "\r\n"
                         "Hi\r\nthere\r\n"
                         "\r\n"
                         "--=_a09825de1b8b5ee2\r\n"
                         "Content-Type: image/png\r\n"
                         "Content-Transfer-Encoding: base64\r\n"
                         "Content-Disposition: attachment;\r\n"
                         " filename=\"a\\\"b.png\"\r\n"
                         "\r\n"
                         "YWJj\r\n"
                         "\r\n"
                         "--=_a09825de1b8b5ee2\r\n"
                         "Content-Type: text/x\r\n"
                         "Content-Transfer-Encoding: base64\r\n"
                         "Content-Disposition: attachment;\r\n"
                         " filename*=utf-8''%E4%BD%A0.x\r\n"
                         "\r\n"
                         "\r\n"
                         "--=_a09825de1b8b5ee2--\r\n"));
}

/* RFC 2046 5.1.4: the same twice, the plainest first, within what has attachments. */
static void test_html(void **state)
{
    struct given *given = *state;
    given->head.html = STR("<p>Hi, 你好\n");
    given->head.attachments = true;
    assert_false(err_is(begin(given)));
    compose_attach_text(&given->compose, STR("a.txt"), STR(""), STR("gb18030"));
    compose_feed(&given->compose, STR("\xc4\xe3"));
    assert_false(err_is(compose_end(&given->compose)));
    struct str all = buf_str(&given->out);
    const struct str begins = STR("Content-Type: multipart/alternative;\r\n boundary=\"=_");
    ssize_t at = str_find(all, begins);
    assert_true(at > 0);
    struct str inner = str_head(str_from_index(all, (size_t)at + begins.n), 16);
    struct str outer = str_make(given->compose.boundary, given->compose.boundary_n);
    assert_true(str_find(outer, inner) < 0);
    char wanted[2000];
    snprintf(wanted, sizeof(wanted),
             "\r\n--%.*s\r\n"
             "Content-Type: multipart/alternative;\r\n boundary=\"=_%.*s\"\r\n"
             "\r\n--=_%.*s\r\n"
             "Content-Type: text/plain; charset=us-ascii\r\n"
             "Content-Transfer-Encoding: 7bit\r\n\r\nHi\r\nthere\r\n"
             "\r\n--=_%.*s\r\n"
             "Content-Type: text/html; charset=utf-8\r\n"
             "Content-Transfer-Encoding: base64\r\n\r\n"
             "PHA+SGksIOS9oOWlvQ0K\r\n"
             "\r\n--=_%.*s--\r\n"
             "\r\n--%.*s\r\n"
             "Content-Type: text/plain;\r\n charset=gb18030\r\n",
             STR_FMT(outer), STR_FMT(inner), STR_FMT(inner), STR_FMT(inner), STR_FMT(inner),
             STR_FMT(outer));
    if (str_find(all, str_from(wanted)) < 0)
        print_error("%.*s\n---\n%s\n", STR_FMT(all), wanted);
    assert_true(str_find(all, str_from(wanted)) > 0);
    given->head.html = str_make(given->out.p, COMPOSE_TEXT_MAX + 1); /* is not read */
    assert_int_equal(begin(given).code, ERR_MESSAGE_TOO_LARGE);
    (void)compose_end(&given->compose);
}

static void test_text_with_the_boundary(void **state)
{
    struct given *given = *state;
    given->head.text = STR("--=_a09825de1b8b5ee2--\r\n");
    given->head.attachments = true;
    assert_true(says(given, "boundary=\"=_a09825de1b8b5ee2"));
    assert_false(says(given, "boundary=\"=_a09825de1b8b5ee2\""));
}

/* 10 MB of a file in pieces of any size: the same octets, and never more than a piece at once. */
static void test_streaming(void **state)
{
    static char piece[100001];
    struct given *given = *state;
    uint64_t size = 0;
    given->head.attachments = true;
    assert_false(err_is(begin(given)));
    compose_attach(&given->compose, STR("big.bin"), STR(""));
    size_t before = given->out.n;
    for (size_t i = 0; i < 100; i++, size += sizeof(piece))
        compose_feed(&given->compose, str_make(piece, sizeof(piece)));
    assert_true(given->compose.out.cap <= COMPOSE_PIECE);
    assert_false(err_is(compose_end(&given->compose)));
    assert_int_equal(given->out.n - before,
                     base64_encoded_size(size, true) + STR("\r\n----\r\n").n + 18);
}

static void test_sink_refuses(void **state)
{
    struct given *given = *state;
    given->head.attachments = true;
    assert_false(err_is(begin(given)));
    given->most = given->out.n;
    compose_attach(&given->compose, STR("a"), STR(""));
    size_t puts = given->puts;
    compose_feed(&given->compose, STR("x"));
    assert_int_equal(compose_end(&given->compose).code, ERR_OS);
    assert_int_equal(given->puts, puts);
}

static void test_refused_values(void **state)
{
    static const char *const urls[] = {"http://a.test/", "https://", "https://a.test/a b",
                                       "https://a.test/>, <https://b.test/", "https://a\r\nX: y"};
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        given->head.unsubscribe_url = str_from(urls[i]);
        assert_int_equal(begin(given).code, ERR_PARAMETER_VALUE);
        assert_int_equal(given->out.n, 0);
        compose_end(&given->compose);
    }
    given->head.unsubscribe_url = STR("");
    given->head.charset = STR("utf-8\r\nX: y");
    assert_int_equal(begin(given).code, ERR_PARAMETER_VALUE);
    given->head.charset = STR("a b");
    assert_int_equal(begin(given).code, ERR_PARAMETER_VALUE);
    given->head.charset = STR("koi8-r");
    assert_true(says(given, "charset=koi8-r\r\n"));
}

static void test_one_click_needs_a_url(void **state)
{
    struct given *given = *state;
    given->head.unsubscribe_mail = STR("leave@example.org");
    assert_true(says(given, "\r\nList-Unsubscribe: <mailto:leave@example.org>\r\n"));
    assert_false(says(given, "List-Unsubscribe-Post"));
    given->head.unsubscribe_url = STR("https://example.org/u");
    assert_true(says(given, "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
}

static void test_charset(void **state)
{
    struct given *given = *state;
    given->head.text = STR("\xe4\xbd\xa0");
    assert_true(says(given, "charset=utf-8\r\n"));
    given->head.text = STR("\xc4\xe3");
    assert_true(says(given, "charset=unknown-8bit\r\n"));
}

static void test_addresses_without_ascii_form(void **state)
{
    struct given *given = *state;
    message(given);
    assert_false(given->compose.utf8);
    given->to.address = STR("\xe4\xbd\xa0@example.net");
    message(given);
    assert_true(given->compose.utf8);
}

static void test_type(void **state)
{
    (void)state;
    assert_str(compose_type(STR("a.PNG")), STR("image/png"));
    assert_str(compose_type(STR("a.tar.gz")), STR("application/gzip"));
    assert_str(compose_type(STR("png")), STR("application/octet-stream"));
    assert_str(compose_type(STR("a.")), STR("application/octet-stream"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)
    const struct CMUnitTest tests[] = {
        TEST(test_plain),          TEST(test_attachment),
        TEST(test_html),           TEST(test_text_with_the_boundary),
        TEST(test_streaming),      TEST(test_sink_refuses),
        TEST(test_refused_values), TEST(test_one_click_needs_a_url),
        TEST(test_charset),        TEST(test_addresses_without_ascii_form),
        TEST(test_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
