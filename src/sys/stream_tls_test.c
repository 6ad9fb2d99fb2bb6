/*
 * Streams in TLS do everything that a plain stream does (sys/stream_test.c).
 */
#include "sys/stream_tls_rig_test.h"

#include <errno.h>

enum {
    MEGABYTE = 1024 * 1024,
    TURNS = 200000,
};

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

/* --- Octets --- */

static void a_megabyte_in_for_a_slow_reader(void **state)
{
    (void)state;
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
}

/* I17 */
static void unread_output_cuts_the_connection(void **state)
{
    (void)state;
    static char much[STREAM_OUT_HARD];
    stream_put(&pair.session.stream, str_make(much, STREAM_OUT_HARD));
    house_turns(&house, 3);
    assert_int_equal(pair.session.stream.ended, STREAM_OPEN);
    stream_put(&pair.session.stream, str_make(much, STREAM_OUT_HARD));
    assert_int_equal(pair.session.stream.ended, STREAM_BROKEN);
    house_turns(&house, 3);
    assert_int_equal(pair.session.ends, 1);
}

static int records(struct client *client)
{
    static unsigned char octets[ROOM];
    house_turns(&house, 1);
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
    struct stream *stream = &pair.session.stream;
    for (int i = 0; i < 100; i++)
        stream_put(stream, STR("250 2.1.5 fine\r\n"));
    assert_int_equal(records(&pair.client), 1);
    stream_hold(stream);
    stream_put(stream, STR("250 held\r\n"));
    assert_int_equal(records(&pair.client), 0);
    stream_put(stream, STR("250 more\r\n"));
    stream_release(stream);
    assert_int_equal(records(&pair.client), 1);
}

/* Records that came together and were read from the kernel together, for a session that stops in
 * their middle: no readiness will tell of the rest. */
static void what_was_read_ahead_is_shown_later(void **state)
{
    (void)state;
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
}

static void a_paused_session_is_shown_nothing(void **state)
{
    (void)state;
    stream_pause(&pair.session.stream);
    assert_true(client_says(&pair.client, &house, STR("one")));
    assert_true(client_says(&pair.client, &house, STR("two")));
    house_turns(&house, 5);
    assert_int_equal(pair.session.told, 1);
    stream_resume(&pair.session.stream);
    house_turns(&house, 5);
    assert_str(buf_str(&pair.session.got), STR("onetwo"));
}

static void an_idle_stream_owns_no_buffer(void **state)
{
    (void)state;
    pair.session.echoes = true;
    assert_true(client_says(&pair.client, &house, STR("x")));
    assert_str(client_hears(&pair.client, &house, heard, sizeof(heard)), STR("x"));
    assert_null(pair.session.stream.in);
    assert_true(TAILQ_EMPTY(&pair.session.stream.out));
}

static void keys_may_be_updated(void **state)
{
    (void)state;
    struct client_settings settings = {.version = TLS1_3_VERSION};
    assert_true(pair_open(&pair, &house, &settings));
    pair.session.echoes = true;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(pair.client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_true(client_says(&pair.client, &house, STR("again")));
        assert_str(client_hears(&pair.client, &house, heard, sizeof(heard)), STR("again"));
    }
    pair_close(&pair);
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
    assert_str(client_hears(&pair.client, &house, heard, sizeof(heard)), STR("again"));
    sockets_are_full = true;
    stream_finish(&pair.session.stream);
    house_turns(&house, 5);
    assert_false(pair.session.stream.finished); /* not before close_notify is said */
    sockets_are_full = false;
    house_turns(&house, 5);
    client_hears(&pair.client, &house, heard, sizeof(heard));
    assert_int_equal(SSL_get_shutdown(pair.client.ssl), SSL_RECEIVED_SHUTDOWN);
    pair_close(&pair);
    house_end(state);
}

/* --- The end --- */

static void close_notify_is_the_end(void **state)
{
    (void)state;
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
    assert_str(client_hears(&pair.client, &house, heard, sizeof(heard)), STR("bye"));
    assert_int_equal(SSL_get_shutdown(pair.client.ssl) & SSL_RECEIVED_SHUTDOWN,
                     SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(pair.session.ends, 2);
}

/* S06 */
static void octets_behind_close_notify_are_dropped(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        house_begin(state);
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
        house_end(state);
    }
}

static void an_end_without_close_notify_is_the_end(void **state)
{
    (void)state;
    for (int in_record = 0; in_record < 2; in_record++) {
        house_begin(state);
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
        assert_str(client_hears(&pair.client, &house, heard, sizeof(heard)), STR("still"));
        pair_close(&pair);
        house_end(state);
    }
}

static void a_damaged_record_breaks_the_connection(void **state)
{
    (void)state;
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
}

/* The last output and close_notify wait for a client that reads late. */
static void a_goodbye_waits_for_its_turn(void **state)
{
    (void)state;
    static char much[STREAM_OUT_HARD], *got;
    octets_fill(much, sizeof(much), 0);
    stream_put(&pair.session.stream, str_make(much, sizeof(much)));
    stream_finish(&pair.session.stream);
    house_turns(&house, 5);
    assert_true(pair.session.stream.out_blocked);
    got = malloc(sizeof(much) + 1);
    assert_non_null(got);
    struct str all = client_hears(&pair.client, &house, got, sizeof(much) + 1);
    assert_int_equal(all.n, sizeof(much));
    assert_octets(all);
    assert_int_equal(SSL_get_shutdown(pair.client.ssl), SSL_RECEIVED_SHUTDOWN);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(a_megabyte_in_for_a_slow_reader),
        WITH_PAIR(a_megabyte_out_to_a_slow_reader),
        WITH_PAIR(unread_output_cuts_the_connection),
        WITH_PAIR(what_a_turn_puts_is_one_record),
        WITH_PAIR(what_was_read_ahead_is_shown_later),
        WITH_PAIR(a_paused_session_is_shown_nothing),
        WITH_PAIR(an_idle_stream_owns_no_buffer),
        ON_HOUSE(keys_may_be_updated),
        cmocka_unit_test(what_tls_has_to_say_waits_for_room),
        WITH_PAIR(close_notify_is_the_end),
        cmocka_unit_test(octets_behind_close_notify_are_dropped),
        cmocka_unit_test(an_end_without_close_notify_is_the_end),
        WITH_PAIR(a_damaged_record_breaks_the_connection),
        WITH_PAIR(a_goodbye_waits_for_its_turn),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
