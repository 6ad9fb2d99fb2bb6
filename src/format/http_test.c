#include "base/test.h"

#include <string.h>

#include "format/http.h"

enum {
    MOST = 100
};

static enum http_end read_cut(const char *text, size_t piece, bool closes, struct http_reader *to)
{
    struct str rest = str_from(text);
    enum http_end end = HTTP_MORE;
    http_begin(to, MOST);
    while (rest.n > 0) {
        end = http_feed(to, str_head(rest, piece));
        rest = str_from_index(rest, piece < rest.n ? piece : rest.n);
    }
    return closes ? http_closed(to) : end;
}

static const struct {
    const char *text;
    bool closes;
    enum http_end end;
    unsigned status;
    const char *body;
} cases[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, HTTP_DONE, 200, "hello"},
    {"HTTP/1.1 200 OK\nContent-Length:5\n\nhello", false, HTTP_DONE, 200, "hello"},
    {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhell", false, HTTP_MORE, 200, "hell"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true, HTTP_BROKEN, 200, "hell"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, more", false, HTTP_DONE, 200, "hello"},
    {"HTTP/1.0 200 OK\r\n\r\nto the end", true, HTTP_DONE, 200, "to the end"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nA: "
     "b\r\n\r\n",
     false, HTTP_DONE, 200, "hello!"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhellox\r\n0\r\n\r\n", false,
     HTTP_BROKEN, 200, "hello"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", false, HTTP_BROKEN, 200,
     ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", false, HTTP_TOO_LARGE, 200, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", false,
     HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", false, HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false, HTTP_BROKEN,
     200, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", false, HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", false, HTTP_TOO_LARGE, 200, ""},
    {"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", false, HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", false, HTTP_BROKEN, 200, ""},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n", false, HTTP_DONE, 204, ""},
    {"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n", false, HTTP_DONE,
     301, ""},
    {"HTTP/2 200\r\n\r\n", false, HTTP_BROKEN, 0, ""},
    {"HTTP/1.1 20 OK\r\n\r\n", false, HTTP_BROKEN, 0, ""},
    {"220 mail.example ESMTP\r\n", false, HTTP_BROKEN, 0, ""},
    {"", true, HTTP_BROKEN, 0, ""},
};

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece <= 200; piece += piece < 4 ? 1 : 49) {
            struct http_reader reader;
            enum http_end end = read_cut(cases[i].text, piece, cases[i].closes, &reader);
            if (end != cases[i].end || reader.status != cases[i].status ||
                !str_eq(buf_str(&reader.body), str_from(cases[i].body)))
                fail_msg("%zu by %zu: %d %u %.*s", i, piece, (int)end, reader.status,
                         STR_FMT(buf_str(&reader.body)));
            http_done(&reader);
        }
}

static void test_type(void **state)
{
    struct http_reader reader;
    (void)state;
    assert_int_equal(read_cut("HTTP/1.1 200 OK\r\ncontent-type: Text/Plain; charset=utf-8\r\n"
                              "Content-Length: 0\r\n\r\n",
                              7, false, &reader),
                     HTTP_DONE);
    assert_string_equal(reader.type, "text/plain");
    http_done(&reader);
}

/* N04: a body at the limit, one beyond it; a head without end; interim answers without end. */
static void test_N04_limits(void **state)
{
    struct buf text = BUF_INIT(1 << 20);
    struct http_reader reader;
    (void)state;
    for (size_t n = MOST - 1; n <= MOST + 1; n++) {
        buf_clear(&text);
        buf_put(&text, STR("HTTP/1.1 200 OK\r\n\r\n"));
        for (size_t i = 0; i < n; i++)
            buf_putc(&text, 'x');
        http_begin(&reader, MOST);
        (void)http_feed(&reader, buf_str(&text));
        assert_int_equal(http_closed(&reader), n <= MOST ? HTTP_DONE : HTTP_TOO_LARGE);
        http_done(&reader);
    }
    buf_clear(&text);
    while (text.n <= HTTP_HEAD_MAX)
        buf_put(&text, STR("HTTP/1.1 103 Early\r\n\r\n"));
    http_begin(&reader, MOST);
    assert_int_equal(http_feed(&reader, buf_str(&text)), HTTP_TOO_LARGE);
    http_done(&reader);
    buf_done(&text);
}

static void test_request(void **state)
{
    struct buf text = BUF_INIT(4096);
    struct http_request request = {
        .method = STR("GET"), .host = STR("a.example"), .path = STR("/x")};
    (void)state;
    assert_true(http_request_print(&request, &text));
    assert_true(str_starts(buf_str(&text), STR("GET /x HTTP/1.1\r\nHost: a.example\r\n")));
    assert_true(str_ends(buf_str(&text), STR("Connection: close\r\n\r\n")));
    buf_clear(&text);
    request.method = STR("POST");
    request.type = STR("application/tlsrpt+gzip");
    request.body = STR("body");
    assert_true(http_request_print(&request, &text));
    assert_true(str_ends(buf_str(&text), STR("Content-Length: 4\r\n\r\nbody")));
    request.path = STR("/x\r\nX: y");
    assert_false(http_request_print(&request, &text));
    request.path = STR("x");
    assert_false(http_request_print(&request, &text));
    request.path = STR("/x");
    request.type = STR("a\r\nb: c");
    assert_false(http_request_print(&request, &text));
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_N04_limits),
        cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
