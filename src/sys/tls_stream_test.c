/*
 * Streams in TLS: everything that a plain stream does (sys/stream_test.c), signers that yield and
 * fail, streams that go in the middle of a handshake, and the network of the fake world.
 */
#include "sys/fake/tls_fixture.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/fake/call.h"

enum {
    MEGABYTE = 1024 * 1024,
    ROOM = 64 * 1024,
    TURNS = 200000,
};

static const struct client_settings any = {.version = 0};

static void house_begin(struct house *house)
{
    house_open(house, world_real());
    house_shows_key(house, KEY_P256);
}

static char octet_at(size_t n)
{
    return (char)(n % 251);
}

static void octets_fill(char *to, size_t n, size_t at)
{
    for (size_t i = 0; i < n; i++)
        to[i] = octet_at(at + i);
}

static void assert_octets(struct str octets)
{
    for (size_t i = 0; i < octets.n; i++)
        if (octets.p[i] != octet_at(i))
            fail_msg("octet %zu of %zu is another", i, octets.n);
}

/* --- The handshake --- */

static void octet_by_octet(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        struct house house;
        struct pair pair;
        int peer;
        char got[ROOM];
        struct client_settings settings = {.version = versions[v]};
        house_begin(&house);
        house.turns_to_sign = 2;
        session_open(&pair.session, &house, &peer);
        client_open(&pair.client, &settings, peer);
        pair.client.piece = 1;
        pair.session.echoes = true;
        assert_true(client_shakes_hands(&pair.client, &house));
        assert_int_equal(pair.session.told, 1);
        assert_int_equal(fiber_pool_running(house.fibers), 0);
        assert_true(client_says(&pair.client, &house, STR("slowly")));
        assert_str(client_hears(&pair.client, &house, got, sizeof(got)), STR("slowly"));
        assert_int_equal(pair.session.stream.bytes_in, 6);
        assert_int_equal(pair.session.stream.bytes_out, 6);
        pair_close(&pair);
        house_close(&house);
    }
}

/* A client that stalls has no fiber, one that says nothing not even an SSL. */
static void who_says_nothing_holds_no_fiber(void **state)
{
    (void)state;
    struct house house;
    struct pair pair[3];
    house_begin(&house);
    for (size_t i = 0; i < 3; i++) {
        int peer;
        session_open(&pair[i].session, &house, &peer);
        client_open(&pair[i].client, &any, peer);
        SSL_do_handshake(pair[i].client.ssl);
        pair[i].client.piece = 40 * i;
        if (i > 0)
            client_pump(&pair[i].client);
        house_turns(&house, 3);
        assert_int_equal(fiber_pool_running(house.fibers), 0);
        assert_int_equal(stream_tls_state(&pair[i].session.stream), STREAM_TLS_HANDSHAKE);
        assert_int_equal(pair[i].session.told, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pair[i].client.piece = 0;
        assert_true(client_shakes_hands(&pair[i].client, &house));
        pair_close(&pair[i]);
    }
    house_close(&house);
}

static void a_slow_signature_holds_up_nobody_else(void **state)
{
    (void)state;
    struct house house;
    struct pair talker, waiter;
    int peer;
    char got[ROOM];
    house_begin(&house);
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
        assert_str(client_hears(&talker.client, &house, got, sizeof(got)), STR("meanwhile"));
        assert_int_equal(house.signing, 1);
    }
    assert_true(client_shakes_hands(&waiter.client, &house));
    assert_int_equal(stream_tls_state(&waiter.session.stream), STREAM_TLS_ON);
    pair_close(&talker);
    pair_close(&waiter);
    house_close(&house);
}

/* More handshakes than fibers, all parked in the signer at some time, one fails among them. */
static void many_handshakes_at_once(void **state)
{
    (void)state;
    enum {
        MANY = 12
    };
    struct house house;
    struct pair pair[MANY];
    bool done = false;
    house_begin(&house);
    house.turns_to_sign = 3;
    for (size_t i = 0; i < MANY; i++) {
        int peer;
        session_open(&pair[i].session, &house, &peer);
        client_open(&pair[i].client, &any, peer);
    }
    assert_int_equal(send(pair[5].client.handle, "HELP\r\n", 6, MSG_NOSIGNAL), 6);
    for (int i = 0; i < 1000 && !done; i++) {
        done = true;
        for (size_t k = 0; k < MANY; k++) {
            ERR_clear_error();
            done &= SSL_do_handshake(pair[k].client.ssl) == 1 || k == 5;
            client_pump(&pair[k].client);
        }
        house_turns(&house, 1);
    }
    house_turns(&house, 20);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(stream_tls_state(&pair[i].session.stream),
                         i == 5 ? STREAM_TLS_FAILED : STREAM_TLS_ON);
        pair_close(&pair[i]);
    }
    assert_int_equal(house.signatures, MANY - 1);
    house_close(&house);
}

static void assert_signing_fails(struct house *house)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        struct pair pair;
        struct client_settings settings = {.version = versions[v]};
        assert_false(pair_open(&pair, house, &settings));
        assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_FAILED);
        assert_str(stream_tls_failure(&pair.session.stream), STR("no signature could be had"));
        assert_int_equal(pair.session.ends, 1);
        pair_close(&pair);
    }
}

static void a_signer_that_fails_ends_the_handshake(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    house.refuses = true;
    assert_signing_fails(&house);
    house.turns_to_sign = 3;
    assert_signing_fails(&house);
    house.refuses = false;
    house.signature_extra = 100; /* more than a signature of this key has */
    assert_signing_fails(&house);
    house_close(&house);
}

/* Up to where the signer has parked. */
static void begin_signing(struct pair *pair, struct house *house)
{
    int peer;
    session_open(&pair->session, house, &peer);
    client_open(&pair->client, &any, peer);
    SSL_do_handshake(pair->client.ssl);
    client_pump(&pair->client);
    house_turns(house, 2);
    assert_int_equal(house->signing, 1);
}

/* What the step has begun must not reach the connection that has the handle next. */
static void a_stream_may_go_while_it_waits_for_a_signature(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    house.turns_to_sign = 10;
    begin_signing(&pair, &house);
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
    house_close(&house);
}

/* The server is released, too: the step has the last hold on it. */
static void the_server_lives_as_long_as_the_step(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    house.turns_to_sign = 10;
    begin_signing(&pair, &house);
    tls_server_release(house.server);
    house.server = NULL;
    session_close(&pair.session);
    house_turns(&house, 20);
    client_close(&pair.client);
    house_close(&house);
}

/* All fibers are taken: the step has not even begun. */
static void a_stream_may_go_while_it_waits_for_a_fiber(void **state)
{
    (void)state;
    enum {
        FIBERS = 4
    };
    struct house house;
    struct pair pair[FIBERS], late;
    int peer;
    house_begin(&house);
    house.turns_to_sign = 10;
    for (int i = 0; i < FIBERS; i++) {
        house.signing = 0;
        begin_signing(&pair[i], &house);
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
        pair_close(&pair[i]);
    house_close(&house);
}

static void a_stream_may_finish_in_its_handshake(void **state)
{
    (void)state;
    for (int signing = 0; signing < 2; signing++) {
        struct house house;
        struct pair pair;
        char got[ROOM];
        house_begin(&house);
        house.turns_to_sign = 10;
        begin_signing(&pair, &house);
        if (!signing)
            house_turns(&house, 20); /* now it waits for the client */
        ssize_t before = recv(pair.client.handle, got, sizeof(got), MSG_DONTWAIT);
        assert_int_equal(before > 0, !signing);
        stream_put(&pair.session.stream, STR("421 too slow\r\n"));
        stream_finish(&pair.session.stream);
        house_turns(&house, 20);
        assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_FAILED);
        assert_int_equal(recv(pair.client.handle, got, sizeof(got), MSG_DONTWAIT), 0);
        assert_int_equal(pair.session.ends, 0);
        shutdown(pair.client.handle, SHUT_WR);
        house_turns(&house, 5);
        assert_int_equal(pair.session.ends, 1);
        pair_close(&pair);
        house_close(&house);
    }
}

static void a_client_that_goes_in_the_handshake(void **state)
{
    (void)state;
    for (int signing = 0; signing < 2; signing++) {
        struct house house;
        struct pair pair;
        house_begin(&house);
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
        house_close(&house);
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

static void starting_open(struct starting *s, struct house *house)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    s->session = (struct session){.got = BUF_INIT(ROOM)};
    s->peer = pair[1];
    assert_int_equal(stream_init(&s->session.stream, &house->loop, house->pool, pair[0],
                                 plain_input, &s->session),
                     0);
}

static void tls_begins_behind_clear_text(void **state)
{
    (void)state;
    struct house house;
    struct starting s;
    struct client client;
    char got[ROOM];
    house_begin(&house);
    starting_open(&s, &house);
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
    assert_str(str_make(got, (size_t)recv(s.peer, got, sizeof(got), MSG_DONTWAIT)), STR("+OK\r\n"));
    client_open(&client, &any, s.peer);
    assert_true(client_shakes_hands(&client, &house));
    assert_str(client_hears(&client, &house, got, sizeof(got)), STR("in TLS"));
    assert_int_equal(stream_tls_state(stream), STREAM_TLS_ON);
    session_close(&s.session);
    client_close(&client);
    house_close(&house);
}

/* S07, the stream's part: nothing that came in the clear is read as if it had come in TLS. */
static void clear_octets_never_become_tls(void **state)
{
    (void)state;
    struct house house;
    struct starting s;
    house_begin(&house);
    starting_open(&s, &house);
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
    house_close(&house);
}

static void tls_begins_on_an_open_connection_only(void **state)
{
    (void)state;
    struct house house;
    struct starting s;
    static char much[STREAM_OUT_HARD - 1];
    house_begin(&house);
    starting_open(&s, &house);
    stream_put(&s.session.stream, str_make(much, sizeof(much)));
    assert_int_equal(stream_tls_begin(&s.session.stream, house.server, house.fibers), -EAGAIN);
    session_close(&s.session);
    close(s.peer);

    starting_open(&s, &house);
    shutdown(s.peer, SHUT_WR);
    house_turns(&house, 2);
    assert_int_equal(stream_tls_begin(&s.session.stream, house.server, house.fibers), -EPIPE);
    session_close(&s.session);
    close(s.peer);
    house_close(&house);
}

/* --- Octets --- */

static void a_megabyte_in_for_a_slow_reader(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    pair.session.keeps = true;
    char *octets = malloc(MEGABYTE);
    assert_non_null(octets);
    octets_fill(octets, MEGABYTE, 0);
    assert_int_equal(SSL_write(pair.client.ssl, octets, MEGABYTE), MEGABYTE);
    struct stream *stream = &pair.session.stream;
    for (int i = 0; i < TURNS && pair.session.got.n < MEGABYTE; i++) {
        client_pump(&pair.client);
        house_turns(&house, 1);
        size_t n = stream_pending(stream).n;
        assert_true(n <= STREAM_READ_SIZE);
        n = i % 7 == 0 ? n : n / 3;
        buf_put(&pair.session.got, str_head(stream_pending(stream), n));
        stream_take(stream, n);
        if (i % 5 == 0)
            stream_pause(stream);
        if (i % 5 == 3)
            stream_resume(stream);
        if (i % 11 == 0)
            stream_read_more(stream);
    }
    assert_int_equal(pair.session.got.n, MEGABYTE);
    assert_octets(buf_str(&pair.session.got));
    free(octets);
    pair_close(&pair);
    house_close(&house);
}

struct pouring {
    struct fiber_start start;
    struct stream *stream;
    size_t most_unsent;
    bool drained, over;
};

static void pour(void *arg)
{
    struct pouring *p = arg;
    char piece[10000];
    p->drained = true;
    for (size_t at = 0; at < MEGABYTE && p->drained; at += sizeof(piece)) {
        size_t n = MEGABYTE - at < sizeof(piece) ? MEGABYTE - at : sizeof(piece);
        octets_fill(piece, n, at);
        stream_put(p->stream, str_make(piece, n));
        if (p->stream->unsent > p->most_unsent)
            p->most_unsent = p->stream->unsent;
        p->drained = stream_drain(p->stream, INT64_MAX);
    }
    p->drained &= stream_flush(p->stream, INT64_MAX);
    p->over = true;
}

static void a_megabyte_out_to_a_slow_reader(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    struct pouring p = {.stream = &pair.session.stream, .start = {.run = pour, .arg = &p}};
    char *octets = malloc(MEGABYTE);
    assert_non_null(octets);
    size_t n = 0;
    fiber_run(house.fibers, &p.start);
    house_turns(&house, 50);
    assert_false(p.over);
    for (int i = 0; i < TURNS && n < MEGABYTE; i++) {
        if (i % 3 == 0)
            client_pump(&pair.client);
        int got =
            SSL_read(pair.client.ssl, octets + n, (int)(MEGABYTE - n < 5000 ? MEGABYTE - n : 5000));
        n += got > 0 ? (size_t)got : 0;
        house_turns(&house, 1);
    }
    assert_int_equal(n, MEGABYTE);
    assert_octets(str_make(octets, n));
    house_turns(&house, 2);
    assert_true(p.over && p.drained);
    assert_true(p.most_unsent <= STREAM_OUT_SOFT + 10000);
    free(octets);
    pair_close(&pair);
    house_close(&house);
}

/* I17 */
static void unread_output_cuts_the_connection(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    static char much[STREAM_OUT_HARD];
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    stream_put(&pair.session.stream, str_make(much, STREAM_OUT_HARD));
    house_turns(&house, 3);
    assert_int_equal(pair.session.stream.ended, STREAM_OPEN);
    stream_put(&pair.session.stream, str_make(much, STREAM_OUT_HARD));
    assert_int_equal(pair.session.stream.ended, STREAM_BROKEN);
    house_turns(&house, 3);
    assert_int_equal(pair.session.ends, 1);
    pair_close(&pair);
    house_close(&house);
}

static int records(struct client *client, struct house *house)
{
    static unsigned char octets[ROOM];
    house_turns(house, 1);
    ssize_t n = recv(client->handle, octets, sizeof(octets), MSG_DONTWAIT);
    int count = 0;
    for (ssize_t at = 0; at + 5 <= n; at += 5 + (octets[at + 3] << 8 | octets[at + 4]))
        count++;
    return count;
}

/* A turn's output is one record where it is small, and held output waits. */
static void what_a_turn_puts_is_one_record(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    struct stream *stream = &pair.session.stream;
    for (int i = 0; i < 100; i++)
        stream_put(stream, STR("250 2.1.5 fine\r\n"));
    assert_int_equal(records(&pair.client, &house), 1);
    stream_hold(stream);
    stream_put(stream, STR("250 held\r\n"));
    assert_int_equal(records(&pair.client, &house), 0);
    stream_put(stream, STR("250 more\r\n"));
    stream_release(stream);
    assert_int_equal(records(&pair.client, &house), 1);
    pair_close(&pair);
    house_close(&house);
}

/* Records that came together and were read from the kernel together, for a session that stops in
 * their middle: no readiness will tell of the rest. */
static void what_was_read_ahead_is_shown_later(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    struct stream *stream = &pair.session.stream;
    char piece[3000];
    size_t sent = 0;
    pair.session.keeps = true;
    for (; sent < 21000; sent += sizeof(piece)) {
        octets_fill(piece, sizeof(piece), sent);
        assert_int_equal(SSL_write(pair.client.ssl, piece, sizeof(piece)), sizeof(piece));
        if (sent == 6000) {
            client_pump(&pair.client);
            house_turns(&house, 4);
            assert_int_equal(stream_pending(stream).n, 9000);
        }
    }
    client_pump(&pair.client);
    house_turns(&house, 4);
    assert_int_equal(stream_pending(stream).n, STREAM_READ_SIZE);
    int told = pair.session.told;
    house_turns(&house, 4);
    assert_int_equal(pair.session.told, told);
    char none;
    assert_int_equal(recv(stream->watch.handle, &none, 1, MSG_DONTWAIT), -1);
    pair.session.keeps = false;
    buf_put(&pair.session.got, stream_pending(stream));
    stream_take(stream, STREAM_READ_SIZE);
    house_turns(&house, 4);
    assert_int_equal(pair.session.got.n, sent);
    assert_octets(buf_str(&pair.session.got));
    pair_close(&pair);
    house_close(&house);
}

static void a_paused_session_is_shown_nothing(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    stream_pause(&pair.session.stream);
    assert_true(client_says(&pair.client, &house, STR("one")));
    assert_true(client_says(&pair.client, &house, STR("two")));
    house_turns(&house, 5);
    assert_int_equal(pair.session.told, 1);
    stream_resume(&pair.session.stream);
    house_turns(&house, 5);
    assert_str(buf_str(&pair.session.got), STR("onetwo"));
    pair_close(&pair);
    house_close(&house);
}

static void an_idle_stream_owns_no_buffer(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    char got[ROOM];
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    pair.session.echoes = true;
    assert_true(client_says(&pair.client, &house, STR("x")));
    assert_str(client_hears(&pair.client, &house, got, sizeof(got)), STR("x"));
    assert_null(pair.session.stream.in);
    assert_true(TAILQ_EMPTY(&pair.session.stream.out));
    pair_close(&pair);
    house_close(&house);
}

static void keys_may_be_updated(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    char got[ROOM];
    struct client_settings settings = {.version = TLS1_3_VERSION};
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &settings));
    pair.session.echoes = true;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(pair.client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_true(client_says(&pair.client, &house, STR("again")));
        assert_str(client_hears(&pair.client, &house, got, sizeof(got)), STR("again"));
    }
    pair_close(&pair);
    house_close(&house);
}

/* The real world, but that its sockets may be full. */
static bool sockets_are_full;

static ssize_t full_send(struct world *world, int handle, const struct iovec *parts, int count)
{
    return sockets_are_full ? -EAGAIN : world_real()->ops->send(world, handle, parts, count);
}

/* TLS itself has to say something, too: its own key update, and close_notify. */
static void what_tls_has_to_say_waits_for_room(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    char got[ROOM];
    struct world_ops ops = *world_real()->ops;
    struct world world = {WORLD_MAGIC, &ops};
    struct client_settings settings = {.version = TLS1_3_VERSION};
    ops.send = full_send;
    house_open(&house, &world);
    house_shows_key(&house, KEY_P256);
    assert_true(pair_open(&pair, &house, &settings));
    pair.session.echoes = true;
    sockets_are_full = true;
    assert_int_equal(SSL_key_update(pair.client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_true(client_says(&pair.client, &house, STR("again")));
    house_turns(&house, 5);
    assert_int_equal(pair.session.stream.ended, STREAM_OPEN);
    assert_true(pair.session.stream.out_blocked);
    sockets_are_full = false;
    assert_str(client_hears(&pair.client, &house, got, sizeof(got)), STR("again"));
    sockets_are_full = true;
    stream_finish(&pair.session.stream);
    house_turns(&house, 5);
    assert_false(pair.session.stream.finished); /* not before close_notify is said */
    sockets_are_full = false;
    house_turns(&house, 5);
    client_hears(&pair.client, &house, got, sizeof(got));
    assert_int_equal(SSL_get_shutdown(pair.client.ssl), SSL_RECEIVED_SHUTDOWN);
    pair_close(&pair);
    house_close(&house);
}

/* --- The end --- */

static void close_notify_is_the_end(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    char got[ROOM];
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    assert_int_equal(SSL_write(pair.client.ssl, "last", 4), 4);
    assert_int_equal(SSL_shutdown(pair.client.ssl), 0);
    client_pump(&pair.client);
    house_turns(&house, 3);
    assert_str(buf_str(&pair.session.got), STR("last"));
    assert_int_equal(pair.session.ends, 1);
    assert_int_equal(pair.session.stream.ended, STREAM_CLOSED_BY_PEER);
    /* It half-closed: what we have to say still reaches it, and our close_notify. */
    stream_put(&pair.session.stream, STR("bye"));
    stream_finish(&pair.session.stream);
    assert_str(client_hears(&pair.client, &house, got, sizeof(got)), STR("bye"));
    assert_int_equal(SSL_get_shutdown(pair.client.ssl) & SSL_RECEIVED_SHUTDOWN,
                     SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(pair.session.ends, 2);
    pair_close(&pair);
    house_close(&house);
}

/* S06 */
static void octets_behind_close_notify_are_dropped(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct house house;
        struct pair pair;
        house_begin(&house);
        assert_true(pair_open(&pair, &house, &any));
        assert_int_equal(SSL_write(pair.client.ssl, "seen", 4), 4);
        SSL_shutdown(pair.client.ssl);
        char octets[200];
        int n = BIO_read(SSL_get_wbio(pair.client.ssl), octets, sizeof(octets));
        octets[n++] = 'x';
        assert_int_equal(send(pair.client.handle, octets, (size_t)n - (later ? 1 : 0), 0),
                         n - (later ? 1 : 0));
        house_turns(&house, 3);
        send(pair.client.handle, "DELE 1\r\n", 8, MSG_NOSIGNAL);
        house_turns(&house, 3);
        stream_resume(&pair.session.stream);
        house_turns(&house, 3);
        assert_str(buf_str(&pair.session.got), STR("seen"));
        assert_int_equal(pair.session.ends, 1);
        assert_int_equal(pair.session.stream.ended, STREAM_CLOSED_BY_PEER);
        pair_close(&pair);
        house_close(&house);
    }
}

static void an_end_without_close_notify_is_the_end(void **state)
{
    (void)state;
    for (int in_record = 0; in_record < 2; in_record++) {
        struct house house;
        struct pair pair;
        char got[ROOM];
        house_begin(&house);
        assert_true(pair_open(&pair, &house, &any));
        assert_true(client_says(&pair.client, &house, STR("half")));
        if (in_record) {
            assert_int_equal(SSL_write(pair.client.ssl, "lost", 4), 4);
            pair.client.piece = 10;
            client_pump(&pair.client);
        }
        shutdown(pair.client.handle, SHUT_WR);
        house_turns(&house, 3);
        assert_int_equal(pair.session.stream.ended, STREAM_CLOSED_BY_PEER);
        assert_str(buf_str(&pair.session.got), STR("half"));
        stream_put(&pair.session.stream, STR("still"));
        stream_finish(&pair.session.stream);
        assert_str(client_hears(&pair.client, &house, got, sizeof(got)), STR("still"));
        pair_close(&pair);
        house_close(&house);
    }
}

static void a_damaged_record_breaks_the_connection(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    assert_int_equal(SSL_write(pair.client.ssl, "good", 4), 4);
    client_pump(&pair.client);
    assert_int_equal(SSL_write(pair.client.ssl, "evil", 4), 4);
    char octets[200];
    int n = BIO_read(SSL_get_wbio(pair.client.ssl), octets, sizeof(octets));
    octets[n - 1] ^= 1;
    assert_int_equal(send(pair.client.handle, octets, (size_t)n, 0), n);
    house_turns(&house, 3);
    assert_str(buf_str(&pair.session.got), STR("good"));
    assert_int_equal(pair.session.stream.ended, STREAM_BROKEN);
    assert_int_equal(pair.session.ends, 1);
    stream_put(&pair.session.stream, STR("x"));
    stream_finish(&pair.session.stream);
    house_turns(&house, 3);
    assert_int_equal(pair.session.ends, 2);
    pair_close(&pair);
    house_close(&house);
}

/* The last output and close_notify wait for a client that reads late. */
static void a_goodbye_waits_for_its_turn(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    static char much[STREAM_OUT_HARD], *got;
    house_begin(&house);
    assert_true(pair_open(&pair, &house, &any));
    octets_fill(much, sizeof(much), 0);
    stream_put(&pair.session.stream, str_make(much, sizeof(much)));
    stream_finish(&pair.session.stream);
    house_turns(&house, 5);
    assert_true(pair.session.stream.out_blocked);
    got = malloc(sizeof(much) + 1);
    assert_non_null(got);
    struct str heard = client_hears(&pair.client, &house, got, sizeof(much) + 1);
    assert_int_equal(heard.n, sizeof(much));
    assert_octets(heard);
    assert_int_equal(SSL_get_shutdown(pair.client.ssl), SSL_RECEIVED_SHUTDOWN);
    free(got);
    pair_close(&pair);
    house_close(&house);
}

/* --- The fake world --- */

enum {
    LINES = 40,
};

struct fake_house {
    struct fake_world *fake;
    struct house house;
    int role;
    struct session session;
    struct watch listener;
    bool accepted;
};

static void fake_accept(struct watch *watch, unsigned ready)
{
    struct fake_house *f = watch->arg;
    struct peer_address peer;
    (void)ready;
    int handle = f->fake->world.ops->accept(&f->fake->world, watch->handle, &peer);
    if (handle < 0)
        return;
    session_on(&f->session, &f->house, handle);
    f->session.echoes = true;
    f->accepted = true;
}

static void fake_house_open(struct fake_house *f, uint64_t seed,
                            const struct fake_settings *settings)
{
    *f = (struct fake_house){.fake = fake_world_open(seed, settings)};
    f->role = fake_role_open(f->fake, "edge");
    fake_role_enter(f->fake, f->role);
    house_open(&f->house, &f->fake->world);
    house_shows_key(&f->house, KEY_P256);
    f->listener = (struct watch){.handle = fake_listen(f->fake, f->role, "pop3s"),
                                 .want = READY_READ,
                                 .ready = fake_accept,
                                 .arg = f};
    assert_int_equal(watch_begin(&f->house.loop, &f->listener), 0);
    f->house.turns_to_sign = 2;
    fake_role_enter(f->fake, 0);
}

static void fake_house_close(struct fake_house *f)
{
    fake_role_enter(f->fake, f->role);
    if (f->accepted)
        session_close(&f->session);
    watch_end(&f->house.loop, &f->listener);
    f->fake->world.ops->close(&f->fake->world, f->listener.handle);
    for (int i = 0; i < 100 && fiber_pool_running(f->house.fibers) > 0; i++)
        house_turns(&f->house, 1);
    house_close(&f->house);
    fake_role_enter(f->fake, 0);
    assert_int_equal(fake_role_handles(f->fake, f->role), 0);
    fake_world_close(f->fake);
}

/* What a client in the fake world does when something came. */
struct caller {
    struct client client;
    struct buf heard;
    int said;
    bool failed;
};

static void caller_goes_on(struct fake_client *client, void *arg)
{
    struct caller *c = arg;
    char got[1000];
    int n;
    (void)client;
    client_pump(&c->client);
    ERR_clear_error();
    int done = SSL_do_handshake(c->client.ssl);
    c->failed |= done != 1 && SSL_get_error(c->client.ssl, done) != SSL_ERROR_WANT_READ;
    while (done == 1 && c->said < LINES && SSL_write(c->client.ssl, "a line of it\r\n", 14) == 14)
        c->said++;
    ERR_clear_error();
    while (done == 1 && (n = SSL_read(c->client.ssl, got, sizeof(got))) > 0)
        buf_put(&c->heard, str_make(got, (size_t)n));
    client_pump(&c->client);
}

static void caller_open(struct caller *c, struct fake_house *f)
{
    *c = (struct caller){.heard = BUF_INIT(ROOM)};
    client_open(&c->client, &any, -1);
    c->client.fake = fake_connect(f->fake, "pop3s", &(struct peer_address){.text = "192.0.2.1"});
    assert_non_null(c->client.fake);
    fake_client_watch(c->client.fake, caller_goes_on, c);
    SSL_do_handshake(c->client.ssl);
    client_pump(&c->client);
}

static void caller_close(struct caller *c)
{
    buf_done(&c->heard);
    client_close(&c->client);
}

/* Every read, write and delivery cut anywhere. */
static void a_network_that_cuts_everything_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct fake_house f;
        struct caller c;
        struct fake_settings settings = {
            .split = 300000, .delay_most = NS_PER_MS, .pipe_capacity = 500 + 400 * seed};
        fake_house_open(&f, seed, &settings);
        caller_open(&c, &f);
        assert_int_equal(fake_run(f.fake, world_mono(&f.fake->world) + 100 * NS_PER_SECOND),
                         FAKE_IDLE);
        assert_false(c.failed);
        assert_int_equal(f.session.got.n, LINES * 14);
        assert_str(buf_str(&c.heard), buf_str(&f.session.got));
        caller_close(&c);
        fake_house_close(&f);
    }
}

/* Each call of the world that can fail does, once. What is told at last is an end or all octets;
 * nothing spins, nothing leaks (AddressSanitizer). */
static void each_call_fails_once(void **state)
{
    (void)state;
    static const enum fake_call_kind kinds[] = {FAKE_RECV, FAKE_SEND, FAKE_FINISH};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        uint64_t fired = 1;
        for (uint64_t nth = 1; fired > 0; nth++) {
            struct fake_house f;
            struct caller c;
            struct fake_settings settings = {.split = 200000};
            struct fake_fault fault = {.kind = kinds[k], .nth = nth, .error = -ECONNRESET};
            fake_house_open(&f, 7, &settings);
            fault.role = f.role;
            caller_open(&c, &f);
            fake_fault_add(f.fake, &fault);
            enum fake_end end = fake_run(f.fake, world_mono(&f.fake->world) + 100 * NS_PER_SECOND);
            assert_int_equal(end, FAKE_IDLE);
            fired = fault.fired;
            if (fired > 0)
                assert_true(f.session.ends == 1 || f.session.got.n == LINES * 14);
            else
                assert_int_equal(f.session.got.n, LINES * 14);
            fake_fault_remove(f.fake, &fault);
            caller_close(&c);
            fake_house_close(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octet_by_octet),
        cmocka_unit_test(who_says_nothing_holds_no_fiber),
        cmocka_unit_test(a_slow_signature_holds_up_nobody_else),
        cmocka_unit_test(many_handshakes_at_once),
        cmocka_unit_test(a_signer_that_fails_ends_the_handshake),
        cmocka_unit_test(a_stream_may_go_while_it_waits_for_a_signature),
        cmocka_unit_test(the_server_lives_as_long_as_the_step),
        cmocka_unit_test(a_stream_may_go_while_it_waits_for_a_fiber),
        cmocka_unit_test(a_stream_may_finish_in_its_handshake),
        cmocka_unit_test(a_client_that_goes_in_the_handshake),
        cmocka_unit_test(tls_begins_behind_clear_text),
        cmocka_unit_test(clear_octets_never_become_tls),
        cmocka_unit_test(tls_begins_on_an_open_connection_only),
        cmocka_unit_test(a_megabyte_in_for_a_slow_reader),
        cmocka_unit_test(a_megabyte_out_to_a_slow_reader),
        cmocka_unit_test(unread_output_cuts_the_connection),
        cmocka_unit_test(what_a_turn_puts_is_one_record),
        cmocka_unit_test(what_was_read_ahead_is_shown_later),
        cmocka_unit_test(a_paused_session_is_shown_nothing),
        cmocka_unit_test(an_idle_stream_owns_no_buffer),
        cmocka_unit_test(keys_may_be_updated),
        cmocka_unit_test(what_tls_has_to_say_waits_for_room),
        cmocka_unit_test(close_notify_is_the_end),
        cmocka_unit_test(octets_behind_close_notify_are_dropped),
        cmocka_unit_test(an_end_without_close_notify_is_the_end),
        cmocka_unit_test(a_damaged_record_breaks_the_connection),
        cmocka_unit_test(a_goodbye_waits_for_its_turn),
        cmocka_unit_test(a_network_that_cuts_everything_up),
        cmocka_unit_test(each_call_fails_once),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
