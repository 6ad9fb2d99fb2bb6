#include "base/test.h"

#include <string.h>

#include "base/buf.h"
#include "format/http_request.h"

enum {
    MOST = 100,
    REQUEST_MAX = 64 << 10,
};

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: a.example\r\n"
#define GET LINE HOST
#define POST "POST / HTTP/1.1\r\n" HOST

/* However the network cuts it. */
static unsigned read_cut(struct str text, size_t piece, struct http_asked *asked_r)
{
    for (size_t n = piece; n < text.n; n += piece) {
        unsigned status = http_asked_read(str_head(text, n), MOST, asked_r);
        if (status)
            return status;
    }
    return http_asked_read(text, MOST, asked_r);
}

static const struct {
    const char *text;
    unsigned status;
} cases[] = {
    {GET "\r\n", 200},
    {"\r\n" GET "\r\n", 200},
    {"\r\n\r\n" GET "\r\n", 400},
    {GET, 0},
    {"", 0},
    {"HEAD / HTTP/1.0\r\n" HOST "\r\n", 200},
    {"GET / HTTP/1.9\r\n" HOST "\r\n", 200},
    {POST "Content-Length: 0\r\n\r\n", 200},
    {POST "content-length:100\r\n\r\n", 200},
    {GET "Content-Length: 0\r\n\r\n", 200},
    {GET "X-Forwarded-For: 192.0.2.1\r\nAccept: \xe4\xbd\xa0\r\n\r\n", 200},
    {"GET http://A.example/x HTTP/1.1\r\n" HOST "\r\n", 200},
    {"GET HTTPS://a.example HTTP/1.1\r\n" HOST "\r\n", 200},
    {LINE "Host: [2001:db8::1]:8443\r\n\r\n", 200},
    /* The first line */
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
    {"GET /\r\n" HOST "\r\n", 400},
    {"GET /a b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /#x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / http/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.10\r\n" HOST "\r\n", 400},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"get / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 501},
    {"TRACE / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"CONNECT a.example:25 HTTP/1.1\r\n" HOST "\r\n", 501},
    {"G(T / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http://evil.example/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http:///x HTTP/1.1\r\n" HOST "\r\n", 400},
    /* Host */
    {LINE "\r\n", 400},
    {GET "Host: a.example\r\n\r\n", 400},
    {GET "host: b.example\r\n\r\n", 400},
    {LINE "Host:\r\n\r\n", 400},
    {LINE "Host: a.example:port\r\n\r\n", 400},
    {LINE "Host: a.example:123456\r\n\r\n", 400},
    {LINE "Host: a.example/x\r\n\r\n", 400},
    {LINE "Host: a@b.example\r\n\r\n", 400},
    {LINE "Host: a.example, b.example\r\n\r\n", 400},
    {LINE "Host: [::1\r\n\r\n", 400},
    {LINE "Host: [::1]x\r\n\r\n", 400},
    /* Catalogue W03: what two programs read in two ways */
    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
    {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
    {POST "Content-Length: 5, 5\r\n\r\n", 400},
    {POST "Content-Length: +5\r\n\r\n", 400},
    {POST "Content-Length: -5\r\n\r\n", 400},
    {POST "Content-Length: 0x5\r\n\r\n", 400},
    {POST "Content-Length:\r\n\r\n", 400},
    {POST "Content-Length: 101\r\n\r\n", 413},
    {POST "Content-Length: 18446744073709551617\r\n\r\n", 413},
    {POST "\r\n", 411},
    {POST "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", 411},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", 411},
    {GET "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
    {POST "Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n", 400},
    {POST "Transfer-Encoding : chunked\r\n\r\n", 400},
    {POST "Content-Length : 5\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
    {GET "Content-Length: 5\r\n\r\nhello", 400},
    {GET "A: b\r\n folded\r\n\r\n", 400},
    {GET " Content-Length: 5\r\n\r\n", 400},
    {GET ": b\r\n\r\n", 400},
    {GET "nothing\r\n\r\n", 400},
    {GET "A: b\n\r\n", 400},
    {GET "A: b\rContent-Length: 5\r\n\r\n", 400},
    {"GET / HTTP/1.1\n", 400},
    {"GET / HTTP/1.1\n" HOST "\n", 400},
    {GET "A: \x01\r\n\r\n", 400},
    {"EHLO a.example\r\n\r\n", 400},
};

static void requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece < 8; piece++) {
            struct http_asked asked;
            unsigned status = read_cut(str_from(cases[i].text), piece, &asked);
            if (status != cases[i].status)
                print_error("%s\n", cases[i].text);
            assert_int_equal(status, cases[i].status);
        }
    }
}

static void a_nul_is_no_end(void **state)
{
    (void)state;
    struct http_asked asked;
    assert_int_equal(http_asked_read(STR(GET "A: b\0\r\n\r\n"), MOST, &asked), 400);
    assert_int_equal(http_asked_read(STR(GET "A\0: b\r\n\r\n"), MOST, &asked), 400);
    assert_int_equal(http_asked_read(STR("G\0T / HTTP/1.1\r\n" HOST "\r\n"), MOST, &asked), 400);
}

static void what_it_says(void **state)
{
    (void)state;
    struct http_asked asked;
    struct str text = STR("POST /a/../b?c=/d HTTP/1.1\r\nHost: mta-sts.A.example:8080\r\n"
                          "Connection: x , CLOSE\r\nExpect: 100-Continue\r\n"
                          "content-type: text/plain \r\nAccept-Language: zh\r\n"
                          "Content-Length: 007\r\n\r\nbody...");
    assert_int_equal(http_asked_read(text, MOST, &asked), 200);
    assert_int_equal(asked.method, HTTP_POST);
    assert_str(asked.path, STR("/a/../b"));
    assert_str(asked.host, STR("mta-sts.A.example"));
    assert_str(asked.type, STR("text/plain"));
    assert_str(asked.language, STR("zh"));
    assert_int_equal(asked.head, text.n - 7);
    assert_int_equal(asked.length, 7);
    assert_true(asked.last && asked.expects);
    assert_int_equal(http_asked_read(STR(GET "\r\n"), MOST, &asked), 200);
    assert_true(!asked.last && !asked.expects && asked.length == 0 && asked.type.n == 0);
    assert_int_equal(http_asked_read(STR("GET / HTTP/1.0\r\n" HOST "\r\n"), MOST, &asked), 200);
    assert_true(asked.last);
    assert_int_equal(
        http_asked_read(STR("GET http://a.example?x HTTP/1.1\r\n" HOST "\r\n"), MOST, &asked), 400);
}

/* `n` octets between the two. */
static unsigned grown(const char *before, size_t n, const char *behind)
{
    static char text[REQUEST_MAX];
    struct http_asked asked;
    struct buf request = {.p = text, .cap = sizeof text, .max = sizeof text};
    buf_put(&request, str_from(before));
    memset(buf_room(&request, n), 'x', n);
    buf_added(&request, n);
    buf_put(&request, str_from(behind));
    return http_asked_read(buf_str(&request), MOST, &asked);
}

static void limits(void **state)
{
    (void)state;
    size_t rest = sizeof(GET "A: \r\n\r\n") - 1;
    const char *end = " HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(grown(GET "A: ", HTTP_ASKED_HEAD_MAX - rest, "\r\n\r\n"), 200);
    assert_int_equal(grown(GET "A: ", HTTP_ASKED_HEAD_MAX - rest + 1, "\r\n\r\n"), 431);
    assert_int_equal(grown(GET "A: ", HTTP_ASKED_HEAD_MAX, ""), 431);
    assert_int_equal(grown("GET /", HTTP_ASKED_TARGET_MAX - 1, end), 200);
    assert_int_equal(grown("GET /", HTTP_ASKED_TARGET_MAX, end), 414);
    assert_int_equal(grown("GET /", HTTP_ASKED_HEAD_MAX, ""), 414);
    assert_int_equal(grown("", HTTP_ASKED_HEAD_MAX - 1, ""), 0);
}

static void many_fields(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        char text[4096];
        struct http_asked asked;
        struct buf request = {.p = text, .cap = sizeof text, .max = sizeof text};
        buf_put(&request, STR(GET));
        for (int i = 1; i < HTTP_ASKED_FIELDS_MAX + more; i++)
            buf_put(&request, STR("A: b\r\n"));
        buf_put(&request, STR("\r\n"));
        assert_int_equal(http_asked_read(buf_str(&request), MOST, &asked), more ? 431 : 200);
    }
}

/* --- Forms ----------------------------------------------------------------------------------- */

#define PAIRS "application/x-www-form-urlencoded"
#define PARTS "multipart/form-data; boundary="
#define PART "Content-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click"

static const struct {
    const char *type, *body;
    bool says;
} forms[] = {
    {PAIRS, "List-Unsubscribe=One-Click", true},
    {"Application/X-WWW-Form-Urlencoded; charset=UTF-8", "a=b&List-Unsubscribe=One-Click&c", true},
    {PAIRS, "", false},
    {PAIRS, "List-Unsubscribe=One-Clic", false},
    {PAIRS, "List-Unsubscribe=One-Click2", false},
    {PAIRS, "xList-Unsubscribe=One-Click", false},
    {PAIRS, "List-Unsubscribe", false},
    {"", "List-Unsubscribe=One-Click", false},
    {"text/plain", "List-Unsubscribe=One-Click", false},
    {PARTS "xx", "--xx\r\n" PART "\r\n--xx--\r\n", true},
    {PARTS "\"x y\"", "--x y\r\n" PART "\r\n--x y--", true},
    {PARTS "xx",
     "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--xx\r\n" PART
     "\r\n--xx--\r\n",
     true},
    {PARTS "xx", "--xx\r\n" PART "\r\n", false},
    {PARTS "xx", "--xx\r\n" PART "x\r\n--xx--\r\n", false},
    {PARTS "xx", "--xy\r\n" PART "\r\n--xy--\r\n", false},
    {PARTS "xx", "--xx\r\nA: b\r\n\r\nOne-Click\r\n--xx--\r\n", false},
    {PARTS "xx", "--xx\n" PART "\n--xx--\n", false},
    {PARTS "xx", "--xx\r\n\n\r\n\r\n" PART "\r\n--xx--\r\n", false},
    {PARTS "", "--\r\n" PART "\r\n----\r\n", false},
    {"multipart/form-data", "--\r\n" PART "\r\n----\r\n", false},
    {PARTS "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg",
     "--aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg\r\n" PART
     "\r\n--aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg--",
     true},
    {PARTS "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggggggggh",
     "--aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggggggggh\r\n" PART
     "\r\n--aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggggggggh--",
     false},
};

static void what_forms_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        bool says = http_form_says(str_from(forms[i].type), str_from(forms[i].body),
                                   STR("List-Unsubscribe"), STR("One-Click"));
        if (says != forms[i].says)
            print_error("%s\n%s\n", forms[i].type, forms[i].body);
        assert_int_equal(says, forms[i].says);
    }
}

/* --- Languages ------------------------------------------------------------------------------- */

static void languages(void **state)
{
    (void)state;
    static const struct {
        const char *accepted;
        enum language standard, expected;
    } rows[] = {
        {"", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH},
        {"", LANGUAGE_CHINESE, LANGUAGE_CHINESE},
        {"zh", LANGUAGE_ENGLISH, LANGUAGE_CHINESE},
        {"zh-CN,zh;q=0.9,en;q=0.8", LANGUAGE_ENGLISH, LANGUAGE_CHINESE},
        {"en-GB, zh;q=0.999", LANGUAGE_CHINESE, LANGUAGE_ENGLISH},
        {"en;q=0.5, ZH-Hans;q=0.51", LANGUAGE_ENGLISH, LANGUAGE_CHINESE},
        {"en;q=0.5, zh;q=0.5", LANGUAGE_CHINESE, LANGUAGE_ENGLISH},
        {"de, fr;q=0.9, *;q=0.1", LANGUAGE_CHINESE, LANGUAGE_CHINESE},
        {"zh;q=0, de", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH},
        {"zh;q=x, en;q=0.1", LANGUAGE_CHINESE, LANGUAGE_ENGLISH},
        {"zhx", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH},
        {",;,=;q", LANGUAGE_ENGLISH, LANGUAGE_ENGLISH},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(http_language(str_from(rows[i].accepted), rows[i].standard),
                         rows[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),     cmocka_unit_test(a_nul_is_no_end),
        cmocka_unit_test(what_it_says), cmocka_unit_test(limits),
        cmocka_unit_test(many_fields),  cmocka_unit_test(what_forms_say),
        cmocka_unit_test(languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
