/*
 * SMTP in TLS: STARTTLS and what must not come with it, listeners in TLS, the log-ins that need
 * TLS. What OpenSSL and sys/tls_server.c agree on is their tests'.
 */
#include "base/must.h"
#include "base/test.h"
#include "edge/smtp/stage_test.h"
#include "format/encodings.h"

enum {
    HEARD_MAX = 1 << 20
};

#define FAR "192.0.2.1"
#define EVERY_MECHANISM                                                                            \
    "{plain, login, scram-sha-1, scram-sha-256, scram-sha-256-plus, oauthbearer, xoauth2, "        \
    "external}"
#define SCRAM_FIRST "n=bob,r=rOprNGfwEbeRWgbNEkqO"

static struct stage stage;
static struct buf heard;

static int on_stage(void **state)
{
    (void)state;
    stage_open_as(&stage, ROLE_SUB,
                  STR("hostname = mx.example.test\n"
                      "login { token_keys = \"/keys\" mechanisms = " EVERY_MECHANISM " }\n"),
                  NULL, 1, STAGE_SLABS);
    stage_core_certifies(&stage);
    buf_init(&heard, HEARD_MAX);
    return 0;
}

static int off_stage(void **state)
{
    (void)state;
    stage_close(&stage);
    buf_done(&heard);
    return 0;
}

static void settle(void *arg)
{
    stage_settle(arg);
}

/* In the clear. */
static struct str say(struct fake_client *client, const char *text)
{
    buf_clear(&heard);
    stage_send(&stage, client, str_from(text), SIZE_MAX, &heard);
    return buf_str(&heard);
}

static struct str tell(struct tls_client *client, const char *text)
{
    buf_clear(&heard);
    tls_client_say(client, str_from(text), &heard);
    return buf_str(&heard);
}

static void shake_hands(struct tls_client *client, struct fake_client *fake,
                        const struct tls_client_settings *settings)
{
    tls_client_open(client, settings, fake, settle, &stage);
    assert_true(tls_client_shakes_hands(client));
}

/* STARTTLS was said, and TLS is on. */
static struct fake_client *start(struct tls_client *client, const char *listener)
{
    static const struct tls_client_settings any;
    struct fake_client *fake = stage_connect_to(&stage, listener, FAR);
    say(fake, "EHLO clear.example\r\n");
    assert_str(say(fake, "STARTTLS\r\n"), STR("220 2.0.0 Ready for TLS\r\n"));
    shake_hands(client, fake, &any);
    return fake;
}

/* On a listener in TLS, behind the greeting and EHLO. */
static struct fake_client *enter(struct tls_client *client,
                                 const struct tls_client_settings *settings)
{
    struct fake_client *fake = stage_connect_to(&stage, "submissions", FAR);
    shake_hands(client, fake, settings);
    assert_str(tell(client, ""), STR("220 mx.example.test ESMTP Veredus\r\n"));
    tell(client, "EHLO c.example\r\n");
    return fake;
}

static void leave(struct tls_client *client, struct fake_client *fake)
{
    tls_client_close(client);
    fake_client_done(fake);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
}

static bool ended(struct fake_client *fake)
{
    return fake_client_state(fake) != FAKE_CLIENT_OPEN;
}

static bool holds(struct str text, const char *what)
{
    return str_find(text, str_from(what)) >= 0;
}

/* --- STARTTLS -------------------------------------------------------------------------------- */

static void everything_is_forgotten(void **state)
{
    (void)state;
    struct tls_client client;
    static const struct tls_client_settings any;
    struct fake_client *fake = stage_connect_to(&stage, "smtp", FAR);
    assert_true(holds(say(fake, "EHLO clear.example\r\n"), "\r\n250-STARTTLS\r\n"));
    say(fake, "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n");
    assert_str(say(fake, "STARTTLS\r\n"), STR("220 2.0.0 Ready for TLS\r\n"));
    assert_int_equal(stage.core.forgets, 1);
    shake_hands(&client, fake, &any);
    /* No second greeting, no name, no transaction. */
    assert_str(tell(&client, ""), STR(""));
    assert_str(tell(&client, "MAIL FROM:<a@b.example>\r\n"),
               STR("503 5.5.1 Bad sequence of commands; EHLO or HELO first\r\n"));
    assert_false(holds(tell(&client, "EHLO c.example\r\n"), "STARTTLS"));
    assert_true(holds(tell(&client, "DATA\r\n"), "503 5.5.1"));
    assert_str(tell(&client, "STARTTLS\r\n"),
               STR("503 5.5.1 Bad sequence of commands; this is TLS\r\n"));
    assert_true(str_starts(tell(&client, "MAIL FROM:<a@b.example>\r\n"), STR("250 ")));
    assert_true(stage.core.tls.signatures == 1);
    leave(&client, fake);
}

/* Catalogue S07: what was sent in the clear is never a command behind the handshake. */
static void injected_commands_end_it(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "STARTTLS\r\nRSET\r\nEHLO x\r\n",
        "STARTTLS\r\nMAIL FROM:<evil@example.test>\r\n",
        "STARTTLS\r\n.",
        "NOOP\r\nSTARTTLS\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct fake_client *fake = stage_connect_to(&stage, "smtp", FAR);
        say(fake, "EHLO clear.example\r\n");
        struct str answer = say(fake, lines[i]);
        assert_true(holds(answer, "501 5.5.1 Sent before it was asked\r\n"));
        assert_true(str_ends(answer, STR("asked\r\n")));
        assert_true(ended(fake));
        fake_client_done(fake);
        stage_settle(&stage);
        assert_int_equal(stage.edge.session_count, 0);
    }
}

/* Later than that it meets the handshake, which fails; nothing is answered. */
static void commands_instead_of_a_handshake(void **state)
{
    (void)state;
    struct fake_client *fake = stage_connect_to(&stage, "smtp", FAR);
    say(fake, "STARTTLS\r\n");
    assert_int_equal(str_find(say(fake, "EHLO x\r\nMAIL FROM:<a@b.example>\r\n"), STR("250")), -1);
    assert_true(ended(fake));
    fake_client_done(fake);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
}

static void starttls_takes_no_argument(void **state)
{
    (void)state;
    struct fake_client *fake = stage_connect_to(&stage, "smtp", FAR);
    say(fake, "EHLO clear.example\r\n");
    assert_true(str_starts(say(fake, "STARTTLS now\r\n"), STR("501 5.5.4 ")));
    assert_true(str_starts(say(fake, "NOOP\r\n"), STR("250 ")));
    fake_client_done(fake);
    stage_settle(&stage);
}

/* A client that says nothing, or half a ClientHello, is gone when handshake_timeout is over. */
static void handshakes_have_an_end(void **state)
{
    (void)state;
    struct fake_client *mute = stage_connect_to(&stage, "submissions", FAR);
    struct fake_client *fake = stage_connect_to(&stage, "smtp", FAR);
    say(fake, "STARTTLS\r\n");
    stage_send(&stage, fake, str_make("\x16\x03\x01\x02", 4), SIZE_MAX, &heard);
    assert_int_equal(fiber_pool_running(stage.fibers), 0);
    stage_pass(&stage, 29 * NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 2);
    stage_pass(&stage, 2 * NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 0);
    fake_client_done(mute);
    fake_client_done(fake);
}

/* The edge stops, or the client goes, in the middle of one. */
static void a_handshake_can_be_left(void **state)
{
    (void)state;
    struct fake_client *fake = stage_connect_to(&stage, "submissions", FAR);
    stage_send(&stage, fake, str_make("\x16\x03\x01\x02", 4), SIZE_MAX, &heard);
    fake_client_done(fake);
    stage_settle(&stage);
    assert_int_equal(stage.edge.session_count, 0);
    stage_connect_to(&stage, "submissions", FAR); /* off_stage must not wait for it */
}

/* --- Listeners in TLS ------------------------------------------------------------------------ */

static void in_tls_from_the_first_octet(void **state)
{
    (void)state;
    static const struct tls_client_settings any;
    struct tls_client client;
    struct fake_client *fake = stage_connect_to(&stage, "submissions", FAR);
    assert_str(say(fake, ""), STR(""));
    shake_hands(&client, fake, &any);
    assert_str(tell(&client, ""), STR("220 mx.example.test ESMTP Veredus\r\n"));
    struct str lines = tell(&client, "EHLO c.example\r\n");
    assert_true(holds(lines, "\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256 "
                             "SCRAM-SHA-256-PLUS OAUTHBEARER XOAUTH2\r\n"));
    assert_false(holds(lines, "STARTTLS"));
    leave(&client, fake);
}

static struct str turned_away(struct stage *from, const char *listener, const char *address)
{
    struct fake_client *fake = stage_connect_to(from, listener, address);
    buf_clear(&heard);
    stage_receive(fake, &heard);
    assert_int_equal(fake_client_state(fake), FAKE_CLIENT_ENDED);
    fake_client_done(fake);
    return buf_str(&heard);
}

/* It was "554 ..." in clear text: a broken record to the client, who blamed TLS for it. */
static void turned_away_without_a_word(void **state)
{
    (void)state;
    static struct stage strict;
    stage_open_as(&strict, ROLE_SUB,
                  STR("hostname = mx.example.test\n"
                      "submission { deny_from = 192.0.2.0/24 new_sessions_per_address = 1 }\n"),
                  NULL, 1, STAGE_SLABS);
    stage_core_certifies(&strict);
    assert_str(turned_away(&strict, "submissions", FAR), STR(""));
    assert_str(turned_away(&strict, "submission", FAR),
               STR("554 5.7.1 mx.example.test Access denied\r\n"));
    struct fake_client *first = stage_connect_to(&strict, "submissions", "198.51.100.1");
    assert_str(turned_away(&strict, "submissions", "198.51.100.1"), STR(""));
    assert_true(str_starts(turned_away(&strict, "submission", "198.51.100.1"), STR("421 4.7.0 ")));
    assert_int_equal(strict.core.refusals, 4);
    fake_client_done(first);
    stage_close(&strict);
}

/* Catalogue S16. */
static void what_is_no_tls_ends_it(void **state)
{
    (void)state;
    static const char *const words[] = {"EHLO c.example\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct fake_client *fake = stage_connect_to(&stage, "submissions", FAR);
        assert_false(holds(say(fake, words[i]), "220"));
        assert_true(ended(fake));
        fake_client_done(fake);
        stage_settle(&stage);
        assert_int_equal(stage.edge.session_count, 0);
    }
}

static void another_protocol_is_refused(void **state)
{
    (void)state;
    struct tls_client client;
    const struct tls_client_settings other = {.alpn = "h2"};
    struct fake_client *fake = stage_connect_to(&stage, "submissions", FAR);
    tls_client_open(&client, &other, fake, settle, &stage);
    assert_false(tls_client_shakes_hands(&client));
    assert_true(ended(fake));
    leave(&client, fake);
}

static void without_certificates_it_closes(void **state)
{
    (void)state;
    struct stage plain;
    stage_open(&plain, STR("hostname = mx.example.test\n"), NULL, 1, STAGE_SLABS);
    struct fake_client *fake = stage_connect_to(&plain, "submissions", FAR);
    assert_true(ended(fake));
    fake_client_done(fake);
    stage_close(&plain);
}

/* Core signs; without it there is no handshake but one resumed. */
static void while_core_is_away(void **state)
{
    (void)state;
    static const struct tls_client_settings any;
    struct tls_client client;
    stage_core_die(&stage);
    struct fake_client *fake = stage_connect_to(&stage, "submissions", FAR);
    tls_client_open(&client, &any, fake, settle, &stage);
    assert_false(tls_client_shakes_hands(&client));
    stage_pass(&stage, EDGE_CORE_WAIT + NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 0);
    leave(&client, fake);
}

/* --- What is told of it ---------------------------------------------------------------------- */

static void received_tells_of_tls(void **state)
{
    (void)state;
    struct tls_client client;
    struct fake_client *fake = start(&client, "smtp");
    tell(&client, "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\n");
    tell(&client, "DATA\r\n");
    assert_true(str_starts(tell(&client, "From: a@b.example\r\n\r\nx\r\n.\r\n"), STR("250 ")));
    struct str received = buf_str(&stage.core.received), facts = buf_str(&stage.core.facts);
    assert_true(holds(received, "\r\n\t(using TLSv1.3 with cipher TLS_"));
    assert_true(holds(received, "/256 bits))\r\n\tby mx.example.test with ESMTPS id "));
    assert_true(holds(facts, " tls=\"TLSv1.3\" cipher=\"TLS_"));
    assert_false(holds(facts, " login="));
    leave(&client, fake);
}

/* RFC 8689 4.2.1: what came without TLS cannot ask for it. */
static void requiretls_is_for_tls(void **state)
{
    (void)state;
    struct tls_client client;
    struct fake_client *fake = start(&client, "smtp");
    assert_true(str_starts(tell(&client, "MAIL FROM:<a@b.example> REQUIRETLS\r\n"), STR("503 ")));
    tell(&client, "EHLO c.example\r\n");
    assert_true(str_starts(tell(&client, "MAIL FROM:<a@b.example> REQUIRETLS\r\n"), STR("250 ")));
    tell(&client, "RCPT TO:<bob@example.test>\r\n");
    assert_str(buf_str(&stage.core.asked), STR(" REQUIRETLS |"));
    leave(&client, fake);
}

/* --- Log-ins --------------------------------------------------------------------------------- */

static void passwords_are_for_tls(void **state)
{
    (void)state;
    struct tls_client client;
    struct fake_client *fake = start(&client, "submission");
    tell(&client, "EHLO c.example\r\n");
    assert_str(tell(&client, "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n"),
               STR("235 2.7.0 Authentication successful\r\n"));
    assert_int_equal(stage.core.access.encrypted, 1);
    assert_int_equal(stage.core.access.protocol, LISTEN_SUBMISSION);
    leave(&client, fake);
    assert_int_equal(stage.core.access.logouts, 1);
}

/* The client's first message, core's challenge, and the last message for this binding. */
static struct str scram(struct tls_client *client, const char *mechanism, const char *gs2,
                        struct str binding)
{
    struct buf line = BUF_INIT(4096), first = BUF_INIT(4096);
    buf_printf(&first, "%s" SCRAM_FIRST, gs2);
    buf_printf(&line, "AUTH %s ", mechanism);
    base64_print(&line, buf_str(&first));
    buf_put(&line, STR("\r\n"));
    buf_clear(&heard);
    tls_client_say(client, buf_str(&line), &heard);
    if (str_starts(buf_str(&heard), STR("334 "))) {
        struct str challenge = str_make(heard.p + 4, heard.n - 6);
        buf_clear(&line);
        tls_client_scram(str_from(gs2), binding, STR(SCRAM_FIRST), challenge, &line);
        buf_put(&line, STR("\r\n"));
        buf_clear(&heard);
        tls_client_say(client, buf_str(&line), &heard);
    }
    buf_done(&line);
    buf_done(&first);
    return buf_str(&heard);
}

static void bound_to_the_channel(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *gs2;
        enum tls_binding which;
    } rows[] = {
        {TLS1_3_VERSION, "p=tls-exporter,,", TLS_BINDING_EXPORTER},
        {TLS1_3_VERSION, "p=tls-server-end-point,,", TLS_BINDING_END_POINT},
        {TLS1_2_VERSION, "p=tls-exporter,,", TLS_BINDING_EXPORTER},
        {TLS1_2_VERSION, "p=tls-server-end-point,,", TLS_BINDING_END_POINT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct tls_client_settings settings = {.version = rows[i].version};
        unsigned char octets[TLS_BINDING_MAX];
        struct tls_client client;
        struct fake_client *fake = enter(&client, &settings);
        struct str binding = tls_client_binding(&client, rows[i].which, octets);
        assert_true(
            str_starts(scram(&client, "SCRAM-SHA-256-PLUS", rows[i].gs2, binding), STR("334 dj")));
        assert_str(tell(&client, "\r\n"), STR("235 2.7.0 Authentication successful\r\n"));
        leave(&client, fake);
    }
}

/* Somebody in the middle has another channel on each side (catalogue I13). */
static void bound_to_another_channel(void **state)
{
    (void)state;
    static const struct tls_client_settings any;
    unsigned char octets[TLS_BINDING_MAX];
    struct tls_client client;
    struct fake_client *fake = enter(&client, &any);
    struct str binding = tls_client_binding(&client, TLS_BINDING_EXPORTER, octets);
    octets[31] ^= 1;
    assert_str(scram(&client, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", binding),
               STR("535 5.7.8 Authentication failed\r\n"));
    octets[31] ^= 1;
    /* The right octets under another name; fewer of them. */
    assert_str(scram(&client, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", binding),
               STR("535 5.7.8 Authentication failed\r\n"));
    assert_true(
        str_starts(scram(&client, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", str_head(binding, 31)),
                   STR("535 5.7.8 Authentication failed\r\n421 ")));
    assert_int_equal(stage.core.access.logins, 0);
    assert_int_equal(stage.core.access.drops, 3);
    leave(&client, fake);
}

/* What does not bind says so, and does not in a mechanism that does; what could, and was told that
 * we cannot, was told by somebody else. */
static void downgrades_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *gs2;
    } rows[] = {
        {"SCRAM-SHA-256", "y,,"},
        {"SCRAM-SHA-1", "y,,"},
        {"SCRAM-SHA-256", "p=tls-exporter,,"},
        {"SCRAM-SHA-256-PLUS", "n,,"},
        {"SCRAM-SHA-256-PLUS", "y,,"},
        {"SCRAM-SHA-256-PLUS", "p=tls-unique,,"},
        {"SCRAM-SHA-256-PLUS", "p=tls-server-end-point-x,,"},
    };
    static const struct tls_client_settings any;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_client client;
        struct fake_client *fake = enter(&client, &any);
        assert_str(scram(&client, rows[i].mechanism, rows[i].gs2, STR("")),
                   STR("535 5.7.8 Authentication failed\r\n"));
        leave(&client, fake);
    }
    assert_int_equal(stage.core.access.begins, 0);
}

static void unbound_scram_in_tls(void **state)
{
    (void)state;
    static const struct tls_client_settings any;
    struct tls_client client;
    struct fake_client *fake = enter(&client, &any);
    assert_true(str_starts(scram(&client, "SCRAM-SHA-256", "n,,", STR("")), STR("334 dj")));
    assert_str(tell(&client, "\r\n"), STR("235 2.7.0 Authentication successful\r\n"));
    leave(&client, fake);
}

/* What a session on submissions offers under these settings; a client that could bind begins. */
static struct str offered(const char *login, const char *begin, char *mechanisms, size_t size)
{
    static const struct tls_client_settings any;
    char conf[256];
    struct stage other;
    struct tls_client client;
    snprintf(conf, sizeof conf, "hostname = mx.example.test\nlogin { %s }\n", login);
    stage_open_as(&other, ROLE_SUB, str_from(conf), NULL, 1, STAGE_SLABS);
    stage_core_certifies(&other);
    struct fake_client *fake = stage_connect_to(&other, "submissions", FAR);
    tls_client_open(&client, &any, fake, settle, &other);
    assert_true(tls_client_shakes_hands(&client));
    tell(&client, "");
    struct str lines = tell(&client, "EHLO c.example\r\n");
    struct str rest = str_from_index(lines, (size_t)str_find(lines, STR("-AUTH ")) + 1);
    struct str auth = str_cut(&rest, '\r');
    snprintf(mechanisms, size, "%.*s", STR_FMT(auth));
    struct str answer = scram(&client, begin, "y,,", STR(""));
    tls_client_close(&client);
    fake_client_done(fake);
    stage_close(&other);
    return answer;
}

/* Programs that cannot bind choose it wherever it is offered; a client that can is told the truth
 * when it says that we do not. */
static void plus_is_offered_where_configured(void **state)
{
    (void)state;
    char mechanisms[256];
    struct str answer = offered("", "SCRAM-SHA-256", mechanisms, sizeof mechanisms);
    assert_true(str_starts(answer, STR("334 dj")));
    assert_str(str_from(mechanisms), STR("AUTH PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256"));
    answer = offered("", "SCRAM-SHA-256-PLUS", mechanisms, sizeof mechanisms);
    assert_true(str_starts(answer, STR("504 ")));
}

static void without_keys_there_is_no_scram(void **state)
{
    (void)state;
    static const char *const names[] = {"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char mechanisms[256];
        struct str answer = offered("scram = no mechanisms = " EVERY_MECHANISM, names[i],
                                    mechanisms, sizeof mechanisms);
        assert_true(str_starts(answer, STR("504 ")));
        assert_str(str_from(mechanisms), STR("AUTH PLAIN LOGIN"));
    }
}

/* {"alg":"RS256","kid":"k"} . {} . "good" or something else; core's rule judges by the end. */
#define TOKEN "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30."

static void auth_with(struct buf *line, const char *mechanism, const char *format,
                      const char *signature)
{
    struct buf message = BUF_INIT(4096);
    buf_put(&message, str_from(format));
    buf_put(&message, STR(TOKEN));
    buf_put(&message, str_from(signature));
    buf_put(&message, STR("\1\1"));
    buf_clear(line);
    buf_printf(line, "AUTH %s ", mechanism);
    base64_print(line, buf_str(&message));
    buf_put(line, STR("\r\n"));
    buf_putc(line, '\0');
    buf_done(&message);
}

static void bearer_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *format, *why, *last_word;
    } rows[] = {
        {"OAUTHBEARER", "n,a=bob,\1auth=Bearer ", "{\"status\":\"invalid_token\"}", "AQ==\r\n"},
        {"XOAUTH2", "user=bob\1auth=Bearer ", "{\"status\":\"401\",\"schemes\":\"bearer\"}",
         "\r\n"},
    };
    static const struct tls_client_settings any;
    struct buf line = BUF_INIT(8192), why = BUF_INIT(256);
    for (size_t i = 0; i < 2; i++) {
        struct tls_client client;
        struct fake_client *fake = enter(&client, &any);
        auth_with(&line, rows[i].mechanism, rows[i].format, "evil");
        buf_clear(&why);
        buf_put(&why, STR("334 "));
        base64_print(&why, str_from(rows[i].why));
        buf_put(&why, STR("\r\n"));
        assert_str(tell(&client, line.p), buf_str(&why));
        assert_str(tell(&client, rows[i].last_word), STR("535 5.7.8 Authentication failed\r\n"));
        auth_with(&line, rows[i].mechanism, rows[i].format, "good");
        assert_str(tell(&client, line.p), STR("235 2.7.0 Authentication successful\r\n"));
        leave(&client, fake);
    }
    buf_done(&line);
    buf_done(&why);
}

/* EXTERNAL: who proved to have bob's certificate. */
static void by_certificate(void **state)
{
    (void)state;
    struct stage asks;
    struct tls_core his;
    struct tls_client client;
    tls_core_open(&his);
    stage_open_as(&asks, ROLE_SUB,
                  STR("hostname = mx.example.test\ntls { client_certificates = yes }\n"), NULL, 1,
                  STAGE_SLABS);
    stage_core_certifies(&asks);
    memcpy(asks.core.access.fingerprint, his.certificate.fingerprint, 32);
    for (int shows = 0; shows < 2; shows++) {
        const struct tls_client_settings settings = {.shows = shows ? &his : NULL};
        struct fake_client *fake = stage_connect_to(&asks, "submissions", FAR);
        tls_client_open(&client, &settings, fake, settle, &asks);
        assert_true(tls_client_shakes_hands(&client));
        assert_int_equal(holds(tell(&client, "EHLO c.example\r\n"), " EXTERNAL"), shows);
        if (!shows) {
            assert_true(str_starts(tell(&client, "AUTH EXTERNAL =\r\n"), STR("504 ")));
        } else {
            assert_true(str_starts(tell(&client, "AUTH EXTERNAL YW15\r\n"), STR("535 "))); /* amy */
            assert_str(tell(&client, "AUTH EXTERNAL =\r\n"),
                       STR("235 2.7.0 Authentication successful\r\n"));
        }
        tls_client_close(&client);
        fake_client_done(fake);
    }
    stage_close(&asks);
    tls_core_close(&his);
}

static void what_core_takes_back_ends(void **state)
{
    (void)state;
    static const struct tls_client_settings any;
    struct tls_client client;
    struct fake_client *fake = enter(&client, &any);
    tell(&client, "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    stage_core_ends_login(&stage, stage.core.access.handle);
    assert_true(str_starts(tell(&client, ""), STR("421 4.7.0 mx.example.test ")));
    leave(&client, fake);
    assert_int_equal(stage.core.access.logouts, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, on_stage, off_stage)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_forgotten),
        TEST(injected_commands_end_it),
        TEST(commands_instead_of_a_handshake),
        TEST(starttls_takes_no_argument),
        TEST(handshakes_have_an_end),
        TEST(a_handshake_can_be_left),
        TEST(in_tls_from_the_first_octet),
        TEST(turned_away_without_a_word),
        TEST(what_is_no_tls_ends_it),
        TEST(another_protocol_is_refused),
        TEST(without_certificates_it_closes),
        TEST(while_core_is_away),
        TEST(received_tells_of_tls),
        TEST(requiretls_is_for_tls),
        TEST(passwords_are_for_tls),
        TEST(bound_to_the_channel),
        TEST(bound_to_another_channel),
        TEST(downgrades_are_refused),
        TEST(unbound_scram_in_tls),
        TEST(plus_is_offered_where_configured),
        TEST(without_keys_there_is_no_scram),
        TEST(bearer_tokens),
        TEST(by_certificate),
        TEST(what_core_takes_back_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
