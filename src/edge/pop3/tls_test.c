/*
 * POP3 in TLS: STLS (RFC 2595) and a listener in TLS. The log-ins that need TLS are tested with
 * SMTP (smtp/tls_test.c): the same code serves them.
 */
#include "edge/pop3/client_test.h"

static void settle(void *arg)
{
    box_settle(arg);
}

static int with_certificate(void **state)
{
    on_stage(state);
    box_core_certifies(&stage);
    return 0;
}

static void shake_hands(struct tls_client *client, struct fake_client *fake)
{
    static const struct tls_client_settings any;
    tls_client_open(client, &any, fake, settle, &stage);
    assert_true(tls_client_shakes_hands(client));
}

static struct str tell(struct tls_client *client, const char *text)
{
    buf_clear(&replies);
    tls_client_say(client, str_from(text), &replies);
    return buf_str(&replies);
}

static bool holds(struct str text, const char *what)
{
    return str_find(text, str_from(what)) >= 0;
}

static void capabilities_before_and_after(void **state)
{
    (void)state;
    struct tls_client client;
    struct fake_client *fake = box_connect(&stage, "192.0.2.1");
    say(fake, "");
    struct str capa = say(fake, "CAPA\r\n");
    assert_true(holds(capa, "\r\nSTLS\r\n") && !holds(capa, "\r\nUSER\r\n"));
    assert_true(holds(capa, "\r\nSASL SCRAM-SHA-1 SCRAM-SHA-256\r\n"));
    assert_str(say(fake, "STLS\r\n"), STR("+OK Ready for TLS\r\n"));
    shake_hands(&client, fake);
    assert_str(tell(&client, ""), STR("")); /* no second greeting */
    capa = tell(&client, "CAPA\r\n");
    assert_true(!holds(capa, "STLS") && holds(capa, "\r\nUSER\r\n"));
    assert_true(holds(capa, "\r\nSASL PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256\r\n"));
    assert_str(tell(&client, "STLS\r\n"), STR("-ERR This is TLS\r\n"));
    assert_str(tell(&client, ENTER), STR(ENTERED));
    assert_true(holds(tell(&client, "CAPA\r\n"), "\r\nSASL PLAIN "));
    assert_int_equal(stage.core.access.encrypted, 1);
    tls_client_close(&client);
    leave(fake);
}

/* Catalogue S07. */
static void injected_commands_end_it(void **state)
{
    (void)state;
    static const char *const lines[] = {"STLS\r\nCAPA\r\n", "STLS\r\nUSER bob\r\nPASS secret\r\n",
                                        "STLS\r\n\n", "STLS\r\nx"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct fake_client *fake = come();
        assert_str(say(fake, lines[i]), STR("-ERR Sent before it was asked\r\n"));
        assert_true(fake_client_state(fake) != FAKE_CLIENT_OPEN);
        leave(fake);
    }
    struct fake_client *fake = come();
    say(fake, "STLS\r\n");
    assert_false(holds(say(fake, "CAPA\r\n"), "+OK"));
    assert_true(fake_client_state(fake) != FAKE_CLIENT_OPEN);
    leave(fake);
    assert_int_equal(stage.core.access.logins, 0);
}

/* A name that came in clear text is somebody's. */
static void user_is_forgotten(void **state)
{
    (void)state;
    struct tls_client client;
    struct fake_client *fake = come();
    assert_str(say(fake, "USER bob\r\n"), STR("+OK Send PASS\r\n"));
    say(fake, "STLS\r\n");
    shake_hands(&client, fake);
    assert_str(tell(&client, "PASS secret\r\n"), STR("-ERR USER comes first\r\n"));
    assert_int_equal(stage.core.access.logins, 0);
    tls_client_close(&client);
    leave(fake);
}

static void in_tls_from_the_first_octet(void **state)
{
    (void)state;
    struct tls_client client;
    struct fake_client *fake = box_connect_to(&stage, "pop3s", "192.0.2.1");
    assert_str(say(fake, ""), STR(""));
    shake_hands(&client, fake);
    assert_str(tell(&client, ""), STR("+OK Veredus ready\r\n"));
    assert_str(tell(&client, ENTER), STR(ENTERED));
    assert_int_equal(stage.core.access.protocol, LISTEN_POP3S);
    assert_str(tell(&client, "QUIT\r\n"), STR("+OK Goodbye\r\n"));
    tls_client_close(&client);
    leave(fake);
    fake = box_connect_to(&stage, "pop3s", "192.0.2.1");
    assert_false(holds(say(fake, "CAPA\r\n"), "+OK"));
    assert_true(fake_client_state(fake) != FAKE_CLIENT_OPEN);
    leave(fake);
}

/* It was "-ERR ..." in clear text: a broken record to the client, who blamed TLS for it. */
static void turned_away_without_a_word(void **state)
{
    (void)state;
    stage.conf.pop3.sessions = 1;
    struct fake_client *first = come();
    struct fake_client *fake = box_connect_to(&stage, "pop3s", "192.0.2.1");
    assert_str(say(fake, ""), STR(""));
    assert_int_equal(fake_client_state(fake), FAKE_CLIENT_ENDED);
    fake_client_done(fake);
    fake = box_connect_to(&stage, "pop3", "192.0.2.1");
    assert_true(str_starts(say(fake, ""), STR("-ERR ")));
    fake_client_done(fake);
    leave(first);
}

static void handshakes_have_an_end(void **state)
{
    (void)state;
    struct fake_client *mute = box_connect_to(&stage, "pop3s", "192.0.2.1");
    struct fake_client *fake = come();
    say(fake, "STLS\r\n");
    box_pass(&stage, 29 * NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 2);
    box_pass(&stage, 2 * NS_PER_SECOND);
    assert_int_equal(stage.edge.session_count, 0);
    fake_client_done(mute);
    fake_client_done(fake);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, with_certificate, off_stage)
    const struct CMUnitTest tests[] = {
        TEST(capabilities_before_and_after),
        TEST(injected_commands_end_it),
        TEST(user_is_forgotten),
        TEST(in_tls_from_the_first_octet),
        TEST(turned_away_without_a_word),
        TEST(handshakes_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
