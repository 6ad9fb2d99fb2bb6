/*
 * Sessions of HTTP in the fake world. How a request is read is tested beside its parser
 * (format/http_request_test.c); here is what a client hears, and when it is left.
 */
#include "base/must.h"
#include "base/test.h"
#include "edge/http/stage_test.h"

enum {
    REPLIES_MAX = 4 << 20,
    IDLE_MAX = 1024, /* octets of an idle session */
};

#define CONF                                                                                       \
    "hostname = mail.a.example\n"                                                                  \
    "http {\n requests = 5\n requests_per_minute = 12\n sessions_per_address = 3\n}\n"             \
    "domain a.example {\n mta_sts = enforce\n}\n"                                                  \
    "domain b.example {\n backup = yes\n}\n"
#define STRANGER "192.0.2.1"
#define LOCAL "127.0.0.1"
#define POLICY_PATH "/.well-known/mta-sts.txt"
#define POLICY_HOST "Host: mta-sts.a.example\r\n"
#define GET_POLICY "GET " POLICY_PATH " HTTP/1.1\r\n" POLICY_HOST "\r\n"
#define POLICY "version: STSv1\nmode: enforce\nmx: mail.a.example\nmax_age: 1209600\n"

static struct web_stage stage;
static struct buf replies;

static int on_stage(void **state)
{
    (void)state;
    web_open(&stage, CONF, 1);
    buf_init(&replies, REPLIES_MAX);
    return 0;
}

static int off_stage(void **state)
{
    (void)state;
    web_close(&stage);
    buf_done(&replies);
    return 0;
}

static struct str say(struct fake_client *client, const char *text)
{
    buf_clear(&replies);
    web_send(&stage, client, str_from(text), SIZE_MAX, &replies);
    return buf_str(&replies);
}

static void leave(struct fake_client *client)
{
    fake_client_done(client);
    web_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
}

static bool holds(struct str text, const char *what)
{
    return str_find(text, str_from(what)) >= 0;
}

static unsigned status_of(struct str reply)
{
    uint64_t status = 0;
    if (!str_starts(reply, STR("HTTP/1.1 ")) ||
        !str_to_u64(str_head(str_from_index(reply, 9), 3), &status))
        return 0;
    return (unsigned)status;
}

static struct str body_of(struct str reply)
{
    ssize_t end = str_find(reply, STR("\r\n\r\n"));
    return end < 0 ? str_null() : str_from_index(reply, (size_t)end + 4);
}

/* --- What there is --- */

static void the_policy(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", STRANGER);
    struct str reply = say(client, GET_POLICY);
    assert_int_equal(status_of(reply), 200);
    assert_str(body_of(reply), STR(POLICY));
    assert_true(holds(reply, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
    assert_true(holds(reply, "\r\nContent-Length: 65\r\n"));
    assert_true(holds(reply, "\r\nDate: ") && holds(reply, " GMT\r\n"));
    assert_true(holds(reply, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_true(holds(reply, "\r\nContent-Security-Policy: default-src 'none'; "));
    assert_true(holds(reply, "\r\nReferrer-Policy: no-referrer\r\n"));
    assert_false(holds(reply, "Connection: close"));
    /* Of a HEAD the head alone; the connection stays. */
    reply =
        say(client, "HEAD " POLICY_PATH "?x=y HTTP/1.1\r\nhost: MTA-STS.A.example.:443\r\n\r\n");
    assert_true(status_of(reply) == 200 && holds(reply, "\r\nContent-Length: 65\r\n"));
    assert_str(body_of(reply), STR(""));
    leave(client);
}

static void what_there_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" POLICY_HOST "\r\n", 404},
        {"GET " POLICY_PATH "/ HTTP/1.1\r\n" POLICY_HOST "\r\n", 404},
        {"GET /.well-known/acme-challenge/../mta-sts.txt HTTP/1.1\r\n" POLICY_HOST "\r\n", 404},
        {"GET /.well-known/%6dta-sts.txt HTTP/1.1\r\n" POLICY_HOST "\r\n", 404},
        {"POST " POLICY_PATH " HTTP/1.1\r\n" POLICY_HOST "Content-Length: 0\r\n\r\n", 405},
        /* Catalogue W01: a name that leads here and is not ours */
        {"GET " POLICY_PATH " HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
        {"GET " POLICY_PATH " HTTP/1.1\r\nHost: a.example\r\n\r\n", 421},
        {"GET " POLICY_PATH " HTTP/1.1\r\nHost: mta-sts.b.example\r\n\r\n", 421},
        {"GET " POLICY_PATH " HTTP/1.1\r\nHost: mta-sts.c.example\r\n\r\n", 421},
        {"GET " POLICY_PATH " HTTP/1.1\r\nHost: mta-sts.\r\n\r\n", 421},
        {"GET " POLICY_PATH " HTTP/1.1\r\nHost: 192.0.2.25\r\n\r\n", 421},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_client *client = web_connect(&stage, "http", LOCAL);
        struct str reply = say(client, rows[i].request);
        if (status_of(reply) != rows[i].status)
            print_error("%s%.*s\n", rows[i].request, STR_FMT(reply));
        assert_int_equal(status_of(reply), rows[i].status);
        assert_int_equal(holds(reply, "\r\nAllow: GET, HEAD\r\n"), rows[i].status == 405);
        assert_false(holds(reply, "STSv1"));
        assert_int_equal(fake_client_state(client), FAKE_CLIENT_OPEN);
        leave(client);
    }
}

/* Catalogue W03: what was not read in one way alone ends the connection, and what stands behind it
 * is no request. */
static void what_is_ambiguous_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned status;
    } rows[] = {
        {"GET / HTTP/1.1\n" POLICY_HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" POLICY_HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
        {"POST / HTTP/1.1\r\n" POLICY_HOST
         "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\n" POLICY_HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" POLICY_HOST "Content-Length: 4097\r\n\r\n", 413},
        {"DELETE / HTTP/1.1\r\n" POLICY_HOST "\r\n", 501},
        {"GET / HTTP/3.0\r\n" POLICY_HOST "\r\n", 505},
        {"EHLO a.example\r\n", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_client *client = web_connect(&stage, "http", LOCAL);
        struct buf request = BUF_INIT(REPLIES_MAX);
        buf_printf(&request, "%s%s\r\n\r\n", rows[i].request, GET_POLICY);
        buf_clear(&replies);
        web_send(&stage, client, buf_str(&request), SIZE_MAX, &replies);
        unsigned expected = rows[i].status ? rows[i].status : 400;
        assert_int_equal(status_of(buf_str(&replies)), expected);
        assert_true(holds(buf_str(&replies), "\r\nConnection: close\r\n"));
        assert_false(holds(buf_str(&replies), "STSv1"));
        assert_true(fake_client_state(client) != FAKE_CLIENT_OPEN);
        buf_done(&request);
        leave(client);
    }
}

static void a_body_is_no_request(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", STRANGER);
    struct buf request = BUF_INIT(REPLIES_MAX);
    buf_printf(&request, "POST / HTTP/1.1\r\n%sContent-Length: %zu\r\n\r\n%s", POLICY_HOST,
               sizeof(GET_POLICY) - 1, GET_POLICY);
    for (size_t piece = 1; piece < 4; piece++) {
        buf_clear(&replies);
        web_send(&stage, client, buf_str(&request), piece, &replies);
        assert_int_equal(status_of(buf_str(&replies)), 404);
        assert_false(holds(buf_str(&replies), "STSv1"));
    }
    buf_done(&request);
    leave(client);
}

/* --- Unsubscribing (RFC 8058) --- */

#define LINK_HOST "Host: mail.a.example\r\n"
#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
#define CLICK FORM "Content-Length: 26\r\n\r\nList-Unsubscribe=One-Click"

static void who_looks_changes_nothing(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", LOCAL);
    struct str reply = say(client, "GET /unsubscribe/good HTTP/1.1\r\n" LINK_HOST "\r\n");
    assert_int_equal(status_of(reply), 200);
    assert_true(holds(reply, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    assert_true(holds(reply, "\r\nContent-Language: en\r\n"));
    assert_true(holds(reply, "<form method=\"post\">") && holds(reply, "value=\"One-Click\""));
    /* Catalogue W02 */
    assert_true(holds(reply, "News &#38; &#60;b&#62;&#34;more&#39; &#60;news@a.example&#62;"));
    assert_false(holds(reply, "<b>") || holds(reply, "<script"));
    reply = say(client, "HEAD /unsubscribe/good?utm=1 HTTP/1.1\r\n" LINK_HOST "\r\n");
    assert_int_equal(status_of(reply), 200);
    assert_str(body_of(reply), STR(""));
    reply = say(client, "GET /unsubscribe/good HTTP/1.1\r\n" LINK_HOST
                        "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n\r\n");
    assert_true(holds(reply, "退订") && holds(reply, "\r\nContent-Language: zh-CN\r\n"));
    assert_int_equal(stage.core.looks, 3);
    assert_int_equal(stage.core.leaves, 0);
    leave(client);
}

static void one_click_leaves(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", LOCAL);
    for (size_t i = 1; i <= 2; i++) {
        struct str reply = say(client, "POST /unsubscribe/good HTTP/1.1\r\n" LINK_HOST CLICK);
        assert_int_equal(status_of(reply), 200);
        assert_true(holds(reply, "You will get no more messages of") && !holds(reply, "<form"));
        assert_int_equal(stage.core.leaves, i);
    }
    struct str reply =
        say(client, "POST /unsubscribe/good HTTP/1.1\r\n" LINK_HOST
                    "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 82\r\n\r\n"
                    "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n"
                    "One-Click\r\n--x--\r\n");
    assert_int_equal(status_of(reply), 200);
    assert_int_equal(stage.core.leaves, 3);
    leave(client);
}

static void what_is_no_click(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned status;
    } rows[] = {
        {"POST /unsubscribe/good HTTP/1.1\r\n" LINK_HOST "Content-Length: 0\r\n\r\n", 400},
        {"POST /unsubscribe/good HTTP/1.1\r\n" LINK_HOST FORM
         "Content-Length: 26\r\n\r\nList-Unsubscribe=Two-Click",
         400},
        {"POST /unsubscribe/bad HTTP/1.1\r\n" LINK_HOST CLICK, 404},
        {"POST /unsubscribe/ HTTP/1.1\r\n" LINK_HOST CLICK, 404},
        {"POST /unsubscribe/../unsubscribe/good HTTP/1.1\r\n" LINK_HOST CLICK, 404},
        {"GET /unsubscribe/bad HTTP/1.1\r\n" LINK_HOST "\r\n", 404},
        {"GET /unsubscribe HTTP/1.1\r\n" LINK_HOST "\r\n", 404},
        {"GET /.well-known/mta-sts.txt HTTP/1.1\r\n" LINK_HOST "\r\n", 404},
        {"POST /unsubscribe/good HTTP/1.1\r\n" POLICY_HOST CLICK, 404},
        {"POST /unsubscribe/good HTTP/1.1\r\nHost: evil.example\r\n" CLICK, 421},
        {"PUT /unsubscribe/good HTTP/1.1\r\n" LINK_HOST CLICK, 501},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_client *client = web_connect(&stage, "http", LOCAL);
        struct str reply = say(client, rows[i].request);
        if (status_of(reply) != rows[i].status)
            print_error("%s%.*s\n", rows[i].request, STR_FMT(reply));
        assert_int_equal(status_of(reply), rows[i].status);
        leave(client);
    }
    assert_int_equal(stage.core.leaves, 0);
}

static void core_cannot_now(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", LOCAL);
    stage.core.fails = true;
    struct str reply = say(client, "POST /unsubscribe/good HTTP/1.1\r\n" LINK_HOST CLICK);
    assert_int_equal(status_of(reply), 503);
    assert_true(holds(reply, "\r\nRetry-After: 60\r\n"));
    leave(client);
}

/* --- Connections --- */

static void several_requests(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", STRANGER);
    struct str reply = say(client, GET_POLICY GET_POLICY);
    ssize_t second = str_find(str_from_index(reply, 1), STR("HTTP/1.1 200 OK"));
    assert_true(second > 0 && !holds(reply, "Connection: close"));
    assert_false(holds(say(client, GET_POLICY GET_POLICY), "Connection: close"));
    /* The fifth is the last one (http.requests). */
    reply = say(client, GET_POLICY GET_POLICY);
    assert_true(holds(reply, "\r\nConnection: close\r\n"));
    assert_str(body_of(reply), STR(POLICY));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
}

static void the_client_ends_it(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET " POLICY_PATH " HTTP/1.0\r\n" POLICY_HOST "\r\n",
        "GET " POLICY_PATH " HTTP/1.1\r\n" POLICY_HOST "Connection: close\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct fake_client *client = web_connect(&stage, "http", STRANGER);
        struct str reply = say(client, requests[i]);
        assert_str(body_of(reply), STR(POLICY));
        assert_true(holds(reply, "\r\nConnection: close\r\n"));
        assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
        leave(client);
    }
}

static void a_body_that_waits_is_asked_for(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", STRANGER);
    assert_str(say(client, "POST / HTTP/1.1\r\n" POLICY_HOST
                           "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
               STR("HTTP/1.1 100 Continue\r\n\r\n"));
    assert_str(say(client, "he"), STR(""));
    assert_int_equal(status_of(say(client, "llo")), 404);
    /* Not one that is there, or too long. */
    assert_int_equal(status_of(say(client, "POST / HTTP/1.1\r\n" POLICY_HOST
                                           "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                                           "hello")),
                     404);
    assert_int_equal(status_of(say(client, "POST / HTTP/1.1\r\n" POLICY_HOST
                                           "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")),
                     413);
    leave(client);
}

/* Octets that drip gain no time. */
static void who_is_slow_is_left(void **state)
{
    (void)state;
    struct fake_client *client = web_connect(&stage, "http", STRANGER);
    assert_str(say(client, "GET / HT"), STR(""));
    web_pass(&stage, 9 * NS_PER_SECOND);
    assert_str(say(client, "TP/1.1\r\n"), STR(""));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_OPEN);
    web_pass(&stage, 2 * NS_PER_SECOND);
    assert_str(say(client, ""), STR(""));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
    /* Behind an answer the time begins anew; a 100 is none. */
    client = web_connect(&stage, "http", STRANGER);
    web_pass(&stage, 9 * NS_PER_SECOND);
    assert_int_equal(status_of(say(client, GET_POLICY)), 200);
    web_pass(&stage, 9 * NS_PER_SECOND);
    say(client,
        "POST / HTTP/1.1\r\n" POLICY_HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_OPEN);
    web_pass(&stage, 2 * NS_PER_SECOND);
    say(client, "");
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
}

static void too_many_requests(void **state)
{
    (void)state;
    size_t served = 0;
    for (int i = 0; i < 20; i++) {
        struct fake_client *client = web_connect(&stage, "http", STRANGER);
        struct str reply = say(client, GET_POLICY);
        served += status_of(reply) == 200;
        if (status_of(reply) != 200) {
            assert_int_equal(status_of(reply), 429);
            assert_true(holds(reply, "\r\nRetry-After: 60\r\n"));
            assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
        }
        leave(client);
    }
    assert_int_equal(served, 12);
    /* Nobody else pays for it. */
    struct fake_client *other = web_connect(&stage, "http", "198.51.100.1");
    assert_int_equal(status_of(say(other, GET_POLICY)), 200);
    leave(other);
    for (int i = 0; i < 20; i++) {
        other = web_connect(&stage, "http", LOCAL);
        assert_int_equal(status_of(say(other, GET_POLICY)), 200);
        leave(other);
    }
}

static void too_many_connections(void **state)
{
    (void)state;
    struct fake_client *clients[4];
    for (size_t i = 0; i < 4; i++)
        clients[i] = web_connect(&stage, "http", STRANGER);
    assert_int_equal(stage.edge.session_count, 3);
    assert_int_equal(status_of(say(clients[3], "")), 503);
    for (size_t i = 0; i < 4; i++)
        fake_client_done(clients[i]);
    web_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
}

static void the_edge_stops(void **state)
{
    (void)state;
    struct fake_client *idle = web_connect(&stage, "http", STRANGER);
    struct fake_client *half = web_connect(&stage, "http", STRANGER);
    say(half, "GET / HT");
    fake_client_done(idle);
    fake_client_done(half);
}

static void an_idle_session_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct http_session) <= IDLE_MAX);
}

/* --- TLS --- */

static void settle(void *arg)
{
    web_settle(arg);
}

static void in_tls(void **state)
{
    (void)state;
    static const char *const names[] = {NULL, "http/1.1"};
    web_core_certifies(&stage);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tls_client client;
        const struct tls_client_settings settings = {.alpn = names[i]};
        struct fake_client *fake = web_connect(&stage, "https", STRANGER);
        tls_client_open(&client, &settings, fake, settle, &stage);
        assert_true(tls_client_shakes_hands(&client));
        buf_clear(&replies);
        tls_client_say(&client, STR(GET_POLICY), &replies);
        assert_int_equal(status_of(buf_str(&replies)), 200);
        assert_str(body_of(buf_str(&replies)), STR(POLICY));
        tls_client_close(&client);
        leave(fake);
    }
}

/* Nothing is said in clear text where TLS comes first, and another protocol's name ends it. */
static void tls_comes_first(void **state)
{
    (void)state;
    struct tls_client client;
    const struct tls_client_settings settings = {.alpn = "smtp"};
    struct fake_client *fake = web_connect(&stage, "https", STRANGER);
    assert_str(say(fake, ""), STR("")); /* there is no certificate */
    assert_true(fake_client_state(fake) != FAKE_CLIENT_OPEN);
    leave(fake);
    web_core_certifies(&stage);
    fake = web_connect(&stage, "https", STRANGER);
    assert_false(holds(say(fake, GET_POLICY), "HTTP"));
    leave(fake);
    fake = web_connect(&stage, "https", STRANGER);
    tls_client_open(&client, &settings, fake, settle, &stage);
    assert_false(tls_client_shakes_hands(&client));
    tls_client_close(&client);
    leave(fake);
    fake = web_connect(&stage, "https", STRANGER);
    web_pass(&stage, 31 * NS_PER_SECOND);
    assert_str(say(fake, ""), STR(""));
    assert_true(fake_client_state(fake) != FAKE_CLIENT_OPEN);
    leave(fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, on_stage, off_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_policy),
        TEST(what_there_is_not),
        TEST(what_is_ambiguous_ends_it),
        TEST(a_body_is_no_request),
        TEST(who_looks_changes_nothing),
        TEST(one_click_leaves),
        TEST(what_is_no_click),
        TEST(core_cannot_now),
        TEST(several_requests),
        TEST(the_client_ends_it),
        TEST(a_body_that_waits_is_asked_for),
        TEST(who_is_slow_is_left),
        TEST(too_many_requests),
        TEST(too_many_connections),
        TEST(the_edge_stops),
        TEST(an_idle_session_is_small),
        TEST(in_tls),
        TEST(tls_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
