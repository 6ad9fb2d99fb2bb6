/*
 * How a ticket leaves: with the first words, or pushed, in whatever pieces the kernel takes. The
 * connection is two buffers, and each send is counted.
 */
#include "sys/fake/tls_fixture.h"

#include <errno.h>

#include "sys/tls_session.h"

enum {
    ROOM = 64 * 1024,
    SIGNED_MAX = 256,
};

struct line {
    struct world world;
    struct buf to_server, to_client;
    size_t takes; /* octets for each send; 0: none */
    int sends;
};

static ssize_t line_recv(struct world *world, int handle, void *to, size_t n)
{
    struct line *line = (struct line *)world;
    (void)handle;
    n = n < line->to_server.n ? n : line->to_server.n;
    memcpy(to, line->to_server.p, n);
    buf_drop_front(&line->to_server, n);
    return n > 0 ? (ssize_t)n : -EAGAIN;
}

static ssize_t line_send(struct world *world, int handle, const struct iovec *parts, int count)
{
    struct line *line = (struct line *)world;
    size_t left = line->takes;
    (void)handle;
    line->sends++;
    for (int i = 0; i < count; i++) {
        struct str part = str_head(str_make(parts[i].iov_base, parts[i].iov_len), left);
        assert_true(parts[i].iov_len > 0 && buf_put(&line->to_client, part));
        left -= part.n;
    }
    return left < line->takes ? (ssize_t)(line->takes - left) : -EAGAIN;
}

static const struct world_ops ops = {.recv = line_recv, .send = line_send};

static struct err sign(void *arg, const struct tls_signing *what, unsigned char *signature_r,
                       size_t *length_r)
{
    static const char label[] = "TLS 1.3, server CertificateVerify";
    unsigned char octets[SIGNED_MAX];
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    (void)arg;
    memset(octets, ' ', 64);
    memcpy(octets + 64, label, sizeof(label));
    memcpy(octets + 64 + sizeof(label), what->what.p, what->what.n);
    *length_r = TLS_SIGNATURE_MAX;
    assert_int_equal(EVP_DigestSignInit(signing, NULL, EVP_sha256(), NULL, fixture_key(KEY_P256)),
                     1);
    assert_int_equal(
        EVP_DigestSign(signing, signature_r, length_r, octets, 64 + sizeof(label) + what->what.n),
        1);
    EVP_MD_CTX_free(signing);
    return err_none();
}

static struct tls_server *server;
static struct tls_session *session;
static struct client client;
static struct line line;

static void pump(void)
{
    char octets[ROOM];
    int n;
    while ((n = BIO_read(SSL_get_wbio(client.ssl), octets, sizeof(octets))) > 0)
        assert_true(buf_put(&line.to_server, str_make(octets, (size_t)n)));
    if (line.to_client.n > 0)
        assert_int_equal(
            BIO_write(SSL_get_rbio(client.ssl), line.to_client.p, (int)line.to_client.n),
            line.to_client.n);
    buf_clear(&line.to_client);
}

/* Both sides are done; what the server has for the client since is counted from here. */
static int up(void **state)
{
    static const struct tls_ticket_key key = {.name = "a ticket's name"};
    struct str chain = fixture_certificate(KEY_P256, EVP_sha256());
    const struct tls_identity identity = {.chain = &chain, .chain_count = 1};
    const struct tls_server_settings settings = {.alpn = "pop3", .signer = {.sign = sign}};
    (void)state;
    assert_false(err_is(tls_server_new(&settings, &identity, 1, &server)));
    tls_server_tickets(server, &key, 1);
    line = (struct line){.world = {.ops = &ops},
                         .to_server = BUF_INIT(ROOM),
                         .to_client = BUF_INIT(ROOM),
                         .takes = ROOM};
    session = tls_session_new(server, &line.world, 1);
    client_open(&client, &(struct client_settings){.version = TLS1_3_VERSION}, -1);
    assert_int_equal(SSL_do_handshake(client.ssl), -1);
    pump();
    assert_int_equal(tls_session_handshake(session), -EAGAIN);
    pump();
    assert_int_equal(SSL_do_handshake(client.ssl), 1);
    pump();
    line.sends = 0;
    assert_int_equal(tls_session_handshake(session), 0);
    return 0;
}

static int down(void **state)
{
    (void)state;
    tls_session_free(session);
    client_close(&client);
    tls_server_release(server);
    buf_done(&line.to_server);
    buf_done(&line.to_client);
    return 0;
}

static void assert_hears(const char *words, int tickets)
{
    char got[ROOM];
    pump();
    int n = SSL_read(client.ssl, got, sizeof(got));
    assert_str(str_make(got, n > 0 ? (size_t)n : 0), str_from(words));
    assert_int_equal(client.tickets, tickets);
}

static void it_leaves_with_the_first_words(void **state)
{
    (void)state;
    assert_int_equal(line.sends, 0);
    assert_int_equal(tls_session_send(session, STR("+OK")), 3);
    assert_int_equal(line.sends, 1);
    assert_hears("+OK", 1);
    assert_int_equal(tls_session_push(session), 0);
    assert_int_equal(tls_session_send(session, STR("+OK again")), 9);
    assert_int_equal(line.sends, 2);
    assert_hears("+OK again", 1);
}

static void it_is_pushed_where_there_are_no_words(void **state)
{
    (void)state;
    assert_int_equal(tls_session_push(session), 0);
    assert_int_equal(tls_session_push(session), 0);
    assert_int_equal(line.sends, 1);
    assert_hears("", 1);
}

static void it_leaves_with_the_goodbye(void **state)
{
    (void)state;
    assert_int_equal(tls_session_finish(session), 0);
    assert_int_equal(line.sends, 1);
    assert_hears("", 1);
    assert_int_equal(SSL_get_shutdown(client.ssl), SSL_RECEIVED_SHUTDOWN);
}

/* A kernel that takes a few octets at a time, and now and then none. */
static void it_may_leave_in_pieces(void **state)
{
    ssize_t n = -EAGAIN;
    int times = 0;
    (void)state;
    while (n == -EAGAIN) {
        line.takes = times++ % 3 == 2 ? 0 : 7;
        n = tls_session_send(session, STR("+OK"));
    }
    assert_int_equal(n, 3);
    assert_true(times > 30);
    assert_hears("+OK", 1);
}

static void it_may_be_pushed_in_pieces(void **state)
{
    (void)state;
    line.takes = 0;
    assert_int_equal(tls_session_push(session), -EAGAIN);
    line.takes = 100;
    assert_int_equal(tls_session_push(session), -EAGAIN);
    assert_int_equal(tls_session_push(session), -EAGAIN);
    line.takes = ROOM;
    assert_int_equal(tls_session_send(session, STR("+OK")), 3);
    assert_hears("+OK", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(it_leaves_with_the_first_words), TEST(it_is_pushed_where_there_are_no_words),
        TEST(it_leaves_with_the_goodbye),     TEST(it_may_leave_in_pieces),
        TEST(it_may_be_pushed_in_pieces),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
