/*
 * How a stream comes into TLS: handshakes in steps, signers that yield and fail, streams that go in
 * the middle of one, and what came in clear text before.
 */
#include "sys/stream_tls_rig_test.h"

#include <errno.h>
#include <openssl/err.h>

/* --- The handshake --- */

static void octet_by_octet(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        int peer;
        struct client_settings settings = {.version = versions[v]};
        house_begin(state);
        house.turns_to_sign = 2;
        session_open(&pair.session, &house, &peer);
        client_open(&pair.client, &settings, peer);
        pair.client.piece = 1;
        pair.session.echoes = true;
        assert_true(client_shakes_hands(&pair.client, &house));
        assert_int_equal(pair.session.told, 1);
        assert_int_equal(fiber_pool_running(house.fibers), 0);
        assert_true(client_says(&pair.client, &house, STR("slowly")));
        assert_str(client_hears(&pair.client, &house, heard, sizeof(heard)), STR("slowly"));
        assert_int_equal(pair.session.stream.bytes_in, 6);
        assert_int_equal(pair.session.stream.bytes_out, 6);
        pair_close(&pair);
        house_end(state);
    }
}

/* A client that stalls has no fiber, one that says nothing not even an SSL. */
static void who_says_nothing_holds_no_fiber(void **state)
{
    (void)state;
    struct pair pairs[3];
    for (size_t i = 0; i < 3; i++) {
        int peer;
        session_open(&pairs[i].session, &house, &peer);
        client_open(&pairs[i].client, &any, peer);
        SSL_do_handshake(pairs[i].client.ssl);
        pairs[i].client.piece = 40 * i;
        if (i > 0)
            client_pump(&pairs[i].client);
        house_turns(&house, 3);
        assert_int_equal(fiber_pool_running(house.fibers), 0);
        assert_int_equal(stream_tls_state(&pairs[i].session.stream), STREAM_TLS_HANDSHAKE);
        assert_int_equal(pairs[i].session.told, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pairs[i].client.piece = 0;
        assert_true(client_shakes_hands(&pairs[i].client, &house));
        pair_close(&pairs[i]);
    }
}

static void a_slow_signature_holds_up_nobody_else(void **state)
{
    (void)state;
    struct pair talker, waiter;
    int peer;
    assert_true(pair_open(&talker, &house, &any));
    talker.session.echoes = true;
    house.turns_to_sign = 60;
    session_open(&waiter.session, &house, &peer);
    client_open(&waiter.client, &any, peer);
    SSL_do_handshake(waiter.client.ssl);
    client_pump(&waiter.client);
    house_turns(&house, 2);
    assert_int_equal(house.signing, 1);
    for (int i = 0; i < 3; i++) {
        assert_true(client_says(&talker.client, &house, STR("meanwhile")));
        assert_str(client_hears(&talker.client, &house, heard, sizeof(heard)), STR("meanwhile"));
        assert_int_equal(house.signing, 1);
    }
    assert_true(client_shakes_hands(&waiter.client, &house));
    assert_int_equal(stream_tls_state(&waiter.session.stream), STREAM_TLS_ON);
    pair_close(&talker);
    pair_close(&waiter);
}

/* More handshakes than fibers, all parked in the signer at some time, one fails among them. */
static void many_handshakes_at_once(void **state)
{
    (void)state;
    enum {
        MANY = 12
    };
    struct pair pairs[MANY];
    bool done = false;
    house.turns_to_sign = 3;
    for (size_t i = 0; i < MANY; i++) {
        int peer;
        session_open(&pairs[i].session, &house, &peer);
        client_open(&pairs[i].client, &any, peer);
    }
    assert_int_equal(send(pairs[5].client.handle, "HELP\r\n", 6, MSG_NOSIGNAL), 6);
    for (int i = 0; i < 1000 && !done; i++) {
        done = true;
        for (size_t k = 0; k < MANY; k++) {
            ERR_clear_error();
            done &= SSL_do_handshake(pairs[k].client.ssl) == 1 || k == 5;
            client_pump(&pairs[k].client);
        }
        house_turns(&house, 1);
    }
    house_turns(&house, 20);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(stream_tls_state(&pairs[i].session.stream),
                         i == 5 ? STREAM_TLS_FAILED : STREAM_TLS_ON);
        pair_close(&pairs[i]);
    }
    assert_int_equal(house.signatures, MANY - 1);
}

static void assert_signing_fails(void)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        struct client_settings settings = {.version = versions[v]};
        assert_false(pair_open(&pair, &house, &settings));
        assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_FAILED);
        assert_str(stream_tls_failure(&pair.session.stream), STR("no signature could be had"));
        assert_int_equal(pair.session.ends, 1);
        pair_close(&pair);
    }
}

static void a_signer_that_fails_ends_the_handshake(void **state)
{
    (void)state;
    house.refuses = true;
    assert_signing_fails();
    house.turns_to_sign = 3;
    assert_signing_fails();
    house.refuses = false;
    house.signature_extra = 100; /* more than a signature of this key has */
    assert_signing_fails();
}

/* Up to where the signer has parked. */
static void begin_signing(struct pair *other)
{
    int peer;
    session_open(&other->session, &house, &peer);
    client_open(&other->client, &any, peer);
    SSL_do_handshake(other->client.ssl);
    client_pump(&other->client);
    house_turns(&house, 2);
    assert_int_equal(house.signing, 1);
}

/* What the step has begun must not reach the connection that has the handle next. */
static void a_stream_may_go_while_it_waits_for_a_signature(void **state)
{
    (void)state;
    house.turns_to_sign = 10;
    begin_signing(&pair);
    int handle = pair.session.stream.watch.handle;
    session_close(&pair.session);
    int next[2];
    char got[50];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
    assert_int_equal(next[0], handle);
    house_turns(&house, 20);
    assert_int_equal(house.signing, 0);
    assert_int_equal(fiber_pool_running(house.fibers), 0);
    assert_int_equal(recv(next[1], got, sizeof(got), MSG_DONTWAIT), -1);
    close(next[0]);
    close(next[1]);
    client_close(&pair.client);
}

/* The server is released, too: the step has the last hold on it. */
static void the_server_lives_as_long_as_the_step(void **state)
{
    (void)state;
    house.turns_to_sign = 10;
    begin_signing(&pair);
    tls_server_release(house.server);
    house.server = NULL;
    session_close(&pair.session);
    house_turns(&house, 20);
    client_close(&pair.client);
}

/* All fibers are taken: the step has not even begun. */
static void a_stream_may_go_while_it_waits_for_a_fiber(void **state)
{
    (void)state;
    enum {
        FIBERS = 4
    };
    struct pair pairs[FIBERS], late;
    int peer;
    house.turns_to_sign = 10;
    for (int i = 0; i < FIBERS; i++) {
        house.signing = 0;
        begin_signing(&pairs[i]);
    }
    session_open(&late.session, &house, &peer);
    client_open(&late.client, &any, peer);
    SSL_do_handshake(late.client.ssl);
    client_pump(&late.client);
    house_turns(&house, 1);
    session_close(&late.session);
    house_turns(&house, 30);
    assert_int_equal(fiber_pool_running(house.fibers), 0);
    assert_int_equal(house.signatures, FIBERS);
    client_close(&late.client);
    for (int i = 0; i < FIBERS; i++)
        pair_close(&pairs[i]);
}

static void a_stream_may_finish_in_its_handshake(void **state)
{
    (void)state;
    for (int signing = 0; signing < 2; signing++) {
        house_begin(state);
        house.turns_to_sign = 10;
        begin_signing(&pair);
        if (!signing)
            house_turns(&house, 20); /* now it waits for the client */
        ssize_t before = recv(pair.client.handle, heard, sizeof(heard), MSG_DONTWAIT);
        assert_int_equal(before > 0, !signing);
        stream_put(&pair.session.stream, STR("421 too slow\r\n"));
        stream_finish(&pair.session.stream);
        house_turns(&house, 20);
        assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_FAILED);
        assert_int_equal(recv(pair.client.handle, heard, sizeof(heard), MSG_DONTWAIT), 0);
        assert_int_equal(pair.session.ends, 0);
        shutdown(pair.client.handle, SHUT_WR);
        house_turns(&house, 5);
        assert_int_equal(pair.session.ends, 1);
        pair_close(&pair);
        house_end(state);
    }
}

static void a_client_that_goes_in_the_handshake(void **state)
{
    (void)state;
    for (int signing = 0; signing < 2; signing++) {
        house_begin(state);
        house.turns_to_sign = signing ? 10 : 0;
        int peer;
        session_open(&pair.session, &house, &peer);
        client_open(&pair.client, &any, peer);
        SSL_do_handshake(pair.client.ssl);
        client_pump(&pair.client);
        house_turns(&house, 2);
        shutdown(peer, SHUT_WR);
        house_turns(&house, 20);
        assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_FAILED);
        assert_int_equal(pair.session.stream.ended, STREAM_BROKEN);
        assert_str(stream_tls_failure(&pair.session.stream), STR("the client went away"));
        assert_int_equal(pair.session.ends, 1);
        pair_close(&pair);
        house_end(state);
    }
}

/* --- STARTTLS --- */

static void plain_input(struct stream *stream)
{
    (void)stream;
}

struct starting {
    struct session session;
    int peer;
};

static void starting_open(struct starting *s)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    s->session = (struct session){.got = BUF_INIT(ROOM)};
    s->peer = ends[1];
    assert_int_equal(
        stream_init(&s->session.stream, &house.loop, house.pool, ends[0], plain_input, &s->session),
        0);
}

static void tls_begins_behind_clear_text(void **state)
{
    (void)state;
    struct starting s;
    struct client client;
    starting_open(&s);
    struct stream *stream = &s.session.stream;
    assert_int_equal(stream_tls_state(stream), STREAM_PLAIN);
    assert_int_equal(send(s.peer, "STLS\r\n", 6, MSG_NOSIGNAL), 6);
    house_turns(&house, 2);
    assert_str(stream_pending(stream), STR("STLS\r\n"));
    stream_pause(stream);
    stream_take(stream, 6);
    stream_put(stream, STR("+OK\r\n"));
    assert_int_equal(stream_tls_begin(stream, house.server, house.fibers), 0);
    stream_put(stream, STR("in TLS"));
    house_turns(&house, 2);
    assert_str(str_make(heard, (size_t)recv(s.peer, heard, sizeof(heard), MSG_DONTWAIT)),
               STR("+OK\r\n"));
    client_open(&client, &any, s.peer);
    assert_true(client_shakes_hands(&client, &house));
    assert_str(client_hears(&client, &house, heard, sizeof(heard)), STR("in TLS"));
    assert_int_equal(stream_tls_state(stream), STREAM_TLS_ON);
    session_close(&s.session);
    client_close(&client);
}

/* S07, the stream's part: nothing that came in the clear is read as if it had come in TLS. */
static void clear_octets_never_become_tls(void **state)
{
    (void)state;
    struct starting s;
    starting_open(&s);
    struct stream *stream = &s.session.stream;
    assert_int_equal(send(s.peer, "STLS\r\nDELE 1\r\n", 14, MSG_NOSIGNAL), 14);
    house_turns(&house, 2);
    stream_take(stream, 6);
    assert_int_equal(stream_tls_begin(stream, house.server, house.fibers), -EPROTO);
    assert_int_equal(stream_tls_state(stream), STREAM_PLAIN);
    stream_take(stream, stream_pending(stream).n);
    stream_pause(stream);
    /* These come later, but before the handshake: it fails. */
    assert_int_equal(send(s.peer, "DELE 1\r\n", 8, MSG_NOSIGNAL), 8);
    house_turns(&house, 2);
    assert_int_equal(stream_tls_begin(stream, house.server, house.fibers), 0);
    house_turns(&house, 3);
    assert_int_equal(stream_tls_state(stream), STREAM_TLS_FAILED);
    assert_int_equal(stream_pending(stream).n, 0);
    session_close(&s.session);
    close(s.peer);
}

static void tls_begins_on_an_open_connection_only(void **state)
{
    (void)state;
    struct starting s;
    static char much[STREAM_OUT_HARD - 1];
    starting_open(&s);
    stream_put(&s.session.stream, str_make(much, sizeof(much)));
    assert_int_equal(stream_tls_begin(&s.session.stream, house.server, house.fibers), -EAGAIN);
    session_close(&s.session);
    close(s.peer);

    starting_open(&s);
    shutdown(s.peer, SHUT_WR);
    house_turns(&house, 2);
    assert_int_equal(stream_tls_begin(&s.session.stream, house.server, house.fibers), -EPIPE);
    session_close(&s.session);
    close(s.peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octet_by_octet),
        ON_HOUSE(who_says_nothing_holds_no_fiber),
        ON_HOUSE(a_slow_signature_holds_up_nobody_else),
        ON_HOUSE(many_handshakes_at_once),
        ON_HOUSE(a_signer_that_fails_ends_the_handshake),
        ON_HOUSE(a_stream_may_go_while_it_waits_for_a_signature),
        ON_HOUSE(the_server_lives_as_long_as_the_step),
        ON_HOUSE(a_stream_may_go_while_it_waits_for_a_fiber),
        cmocka_unit_test(a_stream_may_finish_in_its_handshake),
        cmocka_unit_test(a_client_that_goes_in_the_handshake),
        ON_HOUSE(tls_begins_behind_clear_text),
        ON_HOUSE(clear_octets_never_become_tls),
        ON_HOUSE(tls_begins_on_an_open_connection_only),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
