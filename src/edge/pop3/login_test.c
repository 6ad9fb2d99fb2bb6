/*
 * AUTH in POP3 (RFC 5034). What the mechanisms themselves do is told by the transcripts of SMTP
 * (test/transcripts/45 to 49); here are POP3's words around them.
 */
#include "edge/pop3/client_test.h"
#include "sys/stream_pool.h"

#define CHALLENGE "+ \r\n"
#define BOB "AGJvYgBzZWNyZXQ="
#define WRONG "AGJvYgB3cm9uZw=="
#define FAILED "-ERR [AUTH] Authentication failed\r\n"
#define UNREADABLE "-ERR Cannot decode that\r\n"

/* Fixed by login_core_test.c's salt and nonce. */
#define SCRAM_FIRST "biwsbj1ib2Iscj1yT3ByTkdmd0ViZVJXZ2JORWtxTw=="
#define SCRAM_PROOF                                                                                \
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU9ZU0J1YjI1alpTQnZaaUF5TkNCdlkzUmxkSE1nTGk0dSxwPVJsNFBz" \
    "dVNKR2xHSkZrOUsvRjJWZHd0QmtqVW9PSFk3Qms0c3BwMDBSQ289"
#define SCRAM_LAST "+ dj15cC9OVS9jeDRFQllFT2NHT2xrNmMzNzJ5bnI4WXEwdEQ0RmJZeWFGN3dRPQ==\r\n"

static void with_and_without_an_initial_response(void **state)
{
    (void)state;
    static const char *const talks[] = {
        "AUTH PLAIN " BOB "\r\n",
        "auth plain " BOB "\r\n",
    };
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
        struct fake_client *client = come();
        assert_str(say(client, talks[i]), STR("+OK Logged in\r\n"));
        assert_str(say(client, "AUTH PLAIN " BOB "\r\n"),
                   STR("-ERR That command has no place here\r\n"));
        assert_str(say(client, "STAT\r\n"), STR("+OK 0 0\r\n"));
        leave(client);
    }
    struct fake_client *client = come();
    assert_str(say(client, "AUTH PLAIN\r\n"), STR(CHALLENGE));
    assert_str(say(client, BOB "\r\n"), STR("+OK Logged in\r\n"));
    leave(client);
    client = come();
    assert_str(say(client, "AUTH LOGIN\r\n"), STR("+ VXNlcm5hbWU6\r\n"));
    assert_str(say(client, "Ym9i\r\n"), STR("+ UGFzc3dvcmQ6\r\n"));
    assert_str(say(client, "c2VjcmV0\r\n"), STR("+OK Logged in\r\n"));
    leave(client);
    assert_int_equal(stage.core.access.logins, 4);
    assert_int_equal(stage.core.access.logouts, 4);
}

static void what_cannot_be_read_never_reaches_core(void **state)
{
    (void)state;
    static const struct {
        const char *said, *heard;
    } lines[] = {
        {"AUTH\r\n", "-ERR Syntax error in arguments\r\n"},
        {"AUTH PLAIN " BOB " x\r\n", "-ERR Syntax error in arguments\r\n"},
        {"AUTH KERBEROS_V4\r\n", "-ERR Authentication mechanism not supported\r\n"},
        {"AUTH PLAIN =\r\n", UNREADABLE},
        {"AUTH PLAIN ====\r\n", UNREADABLE},
        {"AUTH PLAIN AGJvYgBzZWNyZXQ\r\n", UNREADABLE},
        {"AUTH PLAIN\r\nAGJv YgBzZWNyZXQ=\r\n", CHALLENGE UNREADABLE},
        {"AUTH PLAIN\r\n*\r\n", CHALLENGE "-ERR Authentication cancelled\r\n"},
        {"AUTH LOGIN Ym9i\r\n*\r\n", "+ UGFzc3dvcmQ6\r\n-ERR Authentication cancelled\r\n"},
        {"AUTH SCRAM-SHA-256-PLUS\r\n", "-ERR Authentication mechanism not supported\r\n"},
        {"AUTH OAUTHBEARER\r\n", "-ERR Authentication mechanism not supported\r\n"},
        {"AUTH CRAM-MD5\r\n", "-ERR Authentication mechanism not supported\r\n"},
    };
    struct fake_client *client = come();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_str(say(client, lines[i].said), str_from(lines[i].heard));
    assert_str(say(client, "AUTH PLAIN " BOB "\r\n"), STR("+OK Logged in\r\n"));
    assert_int_equal(stage.core.access.logins, 1);
    leave(client);
}

static void three_failures_end_it(void **state)
{
    (void)state;
    struct fake_client *client = come();
    assert_str(say(client, "AUTH PLAIN " WRONG "\r\n"), STR(FAILED));
    assert_str(say(client, "AUTH LOGIN\r\nYm9i\r\nQQ==\r\n"),
               STR("+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" FAILED));
    assert_str(say(client, "USER bob\r\nPASS wrong\r\n"),
               STR("+OK Send PASS\r\n" FAILED "-ERR Too many errors; closing\r\n"));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
    client = come();
    assert_str(
        say(client, "USER banned\r\nPASS x\r\n"),
        STR("+OK Send PASS\r\n-ERR [SYS/TEMP] Too many failed log-ins from your network; try "
            "again later\r\n"));
    assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    leave(client);
}

static void scram_without_tls(void **state)
{
    (void)state;
    struct fake_client *client = box_connect(&stage, "192.0.2.1");
    say(client, "");
    assert_str(say(client, "AUTH PLAIN " BOB "\r\n"),
               STR("-ERR [AUTH] Encryption required for this\r\n"));
    assert_true(str_starts(say(client, "AUTH SCRAM-SHA-256 " SCRAM_FIRST "\r\n"), STR("+ cj1y")));
    assert_str(say(client, SCRAM_PROOF "\r\n"), STR(SCRAM_LAST));
    assert_str(say(client, "\r\n"), STR("+OK Logged in\r\n"));
    leave(client);
    assert_int_equal(stage.core.access.logins, 1);
    assert_int_equal(stage.core.access.logouts, 1);
}

static void who_goes_in_the_middle_is_logged_out(void **state)
{
    (void)state;
    struct fake_client *client = come();
    say(client, "AUTH SCRAM-SHA-256 " SCRAM_FIRST "\r\n");
    assert_str(say(client, SCRAM_PROOF "\r\n"), STR(SCRAM_LAST));
    leave(client);
    assert_int_equal(stage.core.access.logouts, 1);
    client = come();
    say(client, "AUTH SCRAM-SHA-256 " SCRAM_FIRST "\r\n");
    leave(client);
    assert_int_equal(stage.core.access.drops, 1);
}

static void long_lines_belong_to_the_exchange(void **state)
{
    (void)state;
    char line[EDGE_LOGIN_LINE_MAX + 2];
    memset(line, 'A', sizeof(line));
    struct fake_client *client = come();
    for (size_t over = 0; over < 2; over++) {
        say(client, "AUTH PLAIN\r\n");
        memcpy(line + EDGE_LOGIN_LINE_MAX - 2 + over, "\r\n", 3);
        assert_str(say(client, line), over ? STR("-ERR Line too long\r\n") : STR(UNREADABLE));
        line[EDGE_LOGIN_LINE_MAX - 2] = line[EDGE_LOGIN_LINE_MAX - 1] = 'A';
        assert_str(say(client, "USER bob\r\n"), STR("+OK Send PASS\r\n"));
    }
    leave(client);
}

static void every_cut_is_the_same(void **state)
{
    (void)state;
    static const char text[] = "AUTH PLAIN\r\n*\r\nAUTH SCRAM-SHA-256 " SCRAM_FIRST
                               "\r\n" SCRAM_PROOF "\r\n\r\nSTAT\r\nQUIT\r\n";
    struct buf whole = BUF_INIT(REPLIES_MAX);
    for (size_t piece = sizeof(text); piece > 0; piece = piece > 20 ? piece - 17 : piece - 1) {
        struct fake_client *client = come();
        buf_clear(&replies);
        box_send(&stage, client, str_make(text, sizeof(text) - 1), piece, &replies);
        if (whole.n == 0)
            buf_put(&whole, buf_str(&replies));
        assert_str(buf_str(&replies), buf_str(&whole));
        leave(client);
    }
    assert_true(str_ends(buf_str(&whole), STR("+OK Logged in\r\n+OK 0 0\r\n+OK Goodbye\r\n")));
    buf_done(&whole);
}

static void a_password_stays_in_no_buffer(void **state)
{
    (void)state;
    static const char text[] = "AUTH LOGIN\r\nYm9i\r\nc2VjcmV0\r\n";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct fake_client *client = come();
        box_send(&stage, client, str_from(text), piece, &replies);
        assert_int_equal(stage.core.access.logins, piece);
        char *buffers[2]; /* what came in, and what went out */
        for (size_t i = 0; i < 2; i++) {
            buffers[i] = stream_pool_take(stage.edge.streams);
            assert_true(str_find(str_make(buffers[i], STREAM_READ_SIZE), STR("c2Vj")) < 0);
        }
        for (size_t i = 0; i < 2; i++)
            stream_pool_give(stage.edge.streams, buffers[i]);
        leave(client);
    }
}

/* Disabled, removed, another password: core takes the log-in back. */
static void what_core_takes_back_ends(void **state)
{
    (void)state;
    struct fake_client *client = enter(), *other = enter();
    box_core_ends_login(&stage, stage.core.access.handle);
    assert_str(say(other, ""), STR("-ERR [AUTH] The log-in is over; log in again\r\n"));
    assert_int_equal(fake_client_state(other), FAKE_CLIENT_ENDED);
    assert_str(say(client, "NOOP\r\n"), STR("+OK\r\n"));
    box_core_ends_login(&stage, stage.core.access.handle + 7); /* nobody's */
    fake_client_done(other);
    leave(client);
    assert_int_equal(stage.core.access.logouts, 1);
}

static void without_certificates_no_stls(void **state)
{
    (void)state;
    struct fake_client *client = come();
    assert_int_equal(str_find(say(client, "CAPA\r\n"), STR("STLS")), -1);
    assert_str(say(client, "STLS\r\n"), STR("-ERR [SYS/TEMP] TLS not available at the moment\r\n"));
    assert_str(say(client, ENTER), STR(ENTERED));
    assert_str(say(client, "STLS\r\n"), STR("-ERR That command has no place here\r\n"));
    leave(client);
}

/* Nobody had the handle yet, so nobody ended: it was a session that core knew nothing of. */
static void what_core_takes_back_at_once_is_no_login(void **state)
{
    (void)state;
    struct fake_client *client = come();
    stage.core.takes_back = true;
    assert_str(say(client, "AUTH PLAIN " BOB "\r\n"),
               STR("-ERR [SYS/TEMP] Too many log-ins at once; try again later\r\n"));
    assert_int_equal(first_session()->base.login.handle, 0);
    assert_str(say(client, "AUTH PLAIN " BOB "\r\n"), STR("+OK Logged in\r\n"));
    leave(client);
    assert_int_equal(stage.core.access.logouts, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, on_stage, off_stage)
    const struct CMUnitTest tests[] = {
        TEST(with_and_without_an_initial_response),
        TEST(what_cannot_be_read_never_reaches_core),
        TEST(three_failures_end_it),
        TEST(scram_without_tls),
        TEST(who_goes_in_the_middle_is_logged_out),
        TEST(long_lines_belong_to_the_exchange),
        TEST(every_cut_is_the_same),
        TEST(a_password_stays_in_no_buffer),
        TEST(what_core_takes_back_ends),
        TEST(without_certificates_no_stls),
        TEST(what_core_takes_back_at_once_is_no_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
