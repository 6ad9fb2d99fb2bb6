/*
 * TLS as client against servers that are not ours: older ones, hostile ones, and such that are no
 * TLS servers at all.
 */
#include "sys/stream_tls_call_rig_test.h"

#include <fcntl.h>
#include <openssl/err.h>

#define HOST "mail.example.test"

enum {
    FINISHED = 12, /* RFC 5246 7.4.9 */
};

static struct house house;
static struct tls_client *client;

static const struct tls_peer anybody = {.verify = TLS_VERIFY_NONE, .name = STR_INIT(HOST)};
static const struct tls_peer pkix = {.verify = TLS_VERIFY_PKIX, .name = STR_INIT(HOST)};

static int begin(void **state)
{
    (void)state;
    house_open(&house, world_real());
    client = tls_client_new();
    must(client && tls_client_authorities(client, chain_authority()) == 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tls_client_release(client);
    house_close(&house);
    return 0;
}

/* --- A server that is OpenSSL's --- */

struct stranger {
    SSL_CTX *context;
    SSL *ssl;
    int key;
    void (*greets)(struct stranger *); /* once, in TLS */
    bool greeted;
    unsigned char finished[FINISHED]; /* of the first handshake */
};

static void stranger_open(struct stranger *stranger, int version, const char *suites)
{
    struct chain chain;
    *stranger = (struct stranger){.context = SSL_CTX_new(TLS_server_method()), .key = KEY_RSA};
    chain_make(&chain, &(struct chain_settings){.key = KEY_RSA, .names = "DNS:" HOST});
    SSL_CTX_set_security_level(stranger->context, 0);
    must(SSL_CTX_set_min_proto_version(stranger->context, version) == 1 &&
         SSL_CTX_set_max_proto_version(stranger->context, version) == 1 &&
         SSL_CTX_use_cert_and_key(stranger->context, chain.certificates[0], fixture_key(KEY_RSA),
                                  NULL, 1) == 1 &&
         (!suites || SSL_CTX_set_cipher_list(stranger->context, suites) == 1));
    SSL_CTX_set_session_id_context(stranger->context, (const unsigned char *)"s", 1);
    chain_done(&chain);
}

static void stranger_close(struct stranger *stranger)
{
    SSL_free(stranger->ssl);
    SSL_CTX_free(stranger->context);
}

/* Serves a call to its end. */
static int stranger_serves(struct stranger *stranger, struct call *call,
                           const struct tls_peer *want, void (*then)(struct call *))
{
    call_open(call, &house, client, want);
    call->then = then;
    SSL_free(stranger->ssl);
    stranger->ssl = SSL_new(stranger->context);
    stranger->greeted = false;
    fcntl(call->peer, F_SETFL, O_NONBLOCK);
    SSL_set_fd(stranger->ssl, call->peer);
    SSL_set_accept_state(stranger->ssl);
    fiber_run(house.fibers, &call->start);
    for (int i = 0; i < CALL_TURNS && !call->over; i++) {
        ERR_clear_error();
        bool shaken = SSL_do_handshake(stranger->ssl) == 1;
        if (shaken && !stranger->greeted && stranger->greets)
            stranger->greets(stranger);
        stranger->greeted |= shaken;
        char octet;
        if (shaken)
            SSL_read(stranger->ssl, &octet, 1);
        ERR_clear_error();
        house_turns(&house, 1);
    }
    ERR_clear_error();
    must(call->over);
    return call->result;
}

static void hears_a_greeting(struct call *call)
{
    assert_int_equal(stream_await(&call->stream, INT64_MAX), 0);
    assert_str(stream_pending(&call->stream), STR("220 there\r\n"));
}

static void greets(struct stranger *stranger)
{
    must(SSL_write(stranger->ssl, "220 there\r\n", 11) == 11);
}

static void older_servers_are_spoken_to(void **state)
{
    (void)state;
    static const char *const suites[] = {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256",
                                         "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256", "AES128-SHA"};
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        struct stranger stranger;
        struct call call;
        stranger_open(&stranger, TLS1_2_VERSION, suites[i]);
        stranger.greets = greets;
        assert_int_equal(stranger_serves(&stranger, &call, &pkix, hears_a_greeting), 0);
        assert_str(call.facts.version, STR("TLSv1.2"));
        assert_int_equal(call.verdict.proof, TLS_PROOF_PKIX);
        call_close(&call);
        stranger_close(&stranger);
    }
}

static void what_is_too_weak_is_refused(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *suites;
        enum tls_least least;
    } rows[] = {
        {TLS1_2_VERSION, NULL, TLS_LEAST_1_3},
        {TLS1_1_VERSION, NULL, TLS_LEAST_1_2},
        {TLS1_2_VERSION, "NULL-SHA256", TLS_LEAST_1_2},
        {TLS1_2_VERSION, "AECDH-AES256-SHA", TLS_LEAST_1_2},
        {TLS1_2_VERSION, "CAMELLIA128-SHA", TLS_LEAST_1_2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stranger stranger;
        struct call call;
        struct tls_peer want = anybody;
        want.least = rows[i].least;
        stranger_open(&stranger, rows[i].version, rows[i].suites);
        assert_int_equal(stranger_serves(&stranger, &call, &want, NULL), -EPROTO);
        assert_int_equal(call.verdict.result, TLS_RESULT_VALIDATION_FAILURE);
        assert_true(call.verdict.words.n > 0);
        call_close(&call);
        stranger_close(&stranger);
    }
}

static void asks_again(struct stranger *stranger)
{
    must(SSL_get_peer_finished(stranger->ssl, stranger->finished, FINISHED) == FINISHED);
    must(SSL_renegotiate(stranger->ssl) == 1);
    SSL_do_handshake(stranger->ssl);
}

static void waits_a_little(struct call *call)
{
    for (int i = 0; i < 20; i++)
        stream_await(&call->stream, call->stream.loop->now);
}

/* A HelloRequest gets no second handshake. */
static void nothing_is_negotiated_anew(void **state)
{
    (void)state;
    struct stranger stranger;
    struct call call;
    stranger_open(&stranger, TLS1_2_VERSION, NULL);
    stranger.greets = asks_again;
    assert_int_equal(stranger_serves(&stranger, &call, &pkix, waits_a_little), 0);
    unsigned char finished[FINISHED];
    assert_int_equal(SSL_get_peer_finished(stranger.ssl, finished, FINISHED), FINISHED);
    assert_memory_equal(finished, stranger.finished, FINISHED);
    call_close(&call);
    stranger_close(&stranger);
}

static void sessions_of_1_2_are_resumed_as_often_as_one_likes(void **state)
{
    (void)state;
    unsigned char octets[4096];
    struct stranger stranger;
    stranger_open(&stranger, TLS1_2_VERSION, NULL);
    struct tls_tlsa record =
        chain_record(SSL_CTX_get0_certificate(stranger.context), 3, 1, 1, octets);
    const struct tls_peer wants[] = {
        {.verify = TLS_VERIFY_PKIX, .name = STR(HOST), .destination = STR("1.2")},
        {.verify = TLS_VERIFY_DANE,
         .name = STR(HOST),
         .tlsa = &record,
         .tlsa_count = 1,
         .destination = STR("1.2")}};
    for (int i = 0; i < 4; i++)
        for (int w = 0; w < 2; w++) {
            struct call call;
            assert_int_equal(stranger_serves(&stranger, &call, &wants[w], NULL), 0);
            assert_int_equal(call.facts.resumed, i > 0);
            assert_int_equal(call.verdict.proof, w ? TLS_PROOF_DANE_EE : TLS_PROOF_PKIX);
            assert_int_equal(call.verdict.selector, w);
            call_close(&call);
        }
    stranger_close(&stranger);
}

static void a_server_that_gives_many_tickets(void **state)
{
    (void)state;
    struct tls_peer want = pkix;
    struct stranger stranger;
    struct call call;
    want.destination = STR("many");
    stranger_open(&stranger, TLS1_3_VERSION, NULL);
    SSL_CTX_set_num_tickets(stranger.context, 200);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stranger_serves(&stranger, &call, &want, waits_a_little), 0);
        assert_int_equal(call.facts.resumed, i > 0);
        call_close(&call);
    }
    stranger_close(&stranger);
}

/* --- What is not TLS --- */

static void says(struct call *call, struct str text)
{
    must(send(call->peer, text.p, text.n, MSG_NOSIGNAL) == (ssize_t)text.n);
}

static bool peer_heard_nothing(const struct call *call)
{
    char octet;
    return recv(call->peer, &octet, 1, MSG_DONTWAIT) <= 0;
}

static void reads_what_is_there(struct call *call)
{
    while (stream_pending(&call->stream).n == 0) {
        stream_read_more(&call->stream);
        house_turns(&house, 1);
    }
}

/* S08: what a man in the middle puts behind the 220 is not used, however it arrives: read with the
 * reply, or a moment later. */
static void octets_in_the_clear_behind_the_agreement(void **state)
{
    (void)state;
    for (int read = 0; read < 2; read++) {
        struct call call;
        call_open(&call, &house, client, &anybody);
        says(&call, STR("250-x\r\n250 AUTH PLAIN\r\n"));
        if (read)
            reads_what_is_there(&call);
        call_run(&call);
        assert_int_equal(call.result, -EPROTO);
        assert_int_equal(call.verdict.result, TLS_RESULT_VALIDATION_FAILURE);
        assert_str(call.verdict.words, STR("octets came in the clear behind the agreement on TLS"));
        assert_true(peer_heard_nothing(&call));
        call_close(&call);
    }
}

static void octets_in_the_clear_behind_our_hello(void **state)
{
    (void)state;
    struct call call;
    call_open(&call, &house, client, &anybody);
    fiber_run(house.fibers, &call.start);
    house_turns(&house, 5);
    says(&call, STR("250-x\r\n250 AUTH PLAIN\r\n"));
    for (int i = 0; i < CALL_TURNS && !call.over; i++)
        house_turns(&house, 1);
    assert_int_equal(call.result, -EPROTO);
    assert_str(call.verdict.words, STR("wrong version number"));
    assert_int_equal(stream_pending(&call.stream).n, 0);
    call_close(&call);
}

static void a_server_that_says_nothing(void **state)
{
    (void)state;
    struct call call;
    call_open(&call, &house, client, &anybody);
    call.deadline = 20 * NS_PER_MS;
    call_run(&call);
    assert_int_equal(call.result, -ETIMEDOUT);
    assert_str(call.verdict.words, STR("the handshake took too long"));
    assert_false(peer_heard_nothing(&call));
    call_close(&call);
}

static void a_server_that_goes(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct call call;
        call_open(&call, &house, client, &anybody);
        if (!late)
            shutdown(call.peer, SHUT_RDWR);
        fiber_run(house.fibers, &call.start);
        house_turns(&house, 5);
        shutdown(call.peer, SHUT_RDWR);
        call_run_on(&call);
        assert_int_equal(call.result, -ECONNRESET);
        assert_str(call.verdict.words, STR("the server went away"));
        call_close(&call);
    }
}

/* A handshake record that goes on and on. */
static void a_server_that_says_too_much(void **state)
{
    (void)state;
    struct call call;
    static char record[5 + 16000] = {22, 3, 3,  16000 >> 8, (char)(16000 & 255),
                                     2,  0, 62, (char)128};
    call_open(&call, &house, client, &anybody);
    fiber_run(house.fibers, &call.start);
    for (int i = 0; i < CALL_TURNS && !call.over; i++) {
        send(call.peer, record, sizeof(record), MSG_NOSIGNAL | MSG_DONTWAIT);
        house_turns(&house, 1);
    }
    assert_int_equal(call.result, -EPROTO);
    call_close(&call);
}

/* What was put in front of the handshake leaves in the clear, all of it. */
static void what_was_said_before_leaves_first(void **state)
{
    (void)state;
    struct call call;
    char got[100];
    call_open(&call, &house, client, &anybody);
    stream_put(&call.stream, STR("STARTTLS\r\n"));
    fiber_run(house.fibers, &call.start);
    house_turns(&house, 5);
    ssize_t n = recv(call.peer, got, sizeof(got), MSG_DONTWAIT);
    assert_true(n > 11);
    assert_memory_equal(got, "STARTTLS\r\n\x16\x03", 12);
    shutdown(call.peer, SHUT_RDWR);
    call_run_on(&call);
    call_close(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_HOUSE(name) cmocka_unit_test_setup_teardown(name, begin, end)
        ON_HOUSE(older_servers_are_spoken_to),
        ON_HOUSE(what_is_too_weak_is_refused),
        ON_HOUSE(nothing_is_negotiated_anew),
        ON_HOUSE(sessions_of_1_2_are_resumed_as_often_as_one_likes),
        ON_HOUSE(a_server_that_gives_many_tickets),
        ON_HOUSE(octets_in_the_clear_behind_the_agreement),
        ON_HOUSE(octets_in_the_clear_behind_our_hello),
        ON_HOUSE(a_server_that_says_nothing),
        ON_HOUSE(a_server_that_goes),
        ON_HOUSE(a_server_that_says_too_much),
        ON_HOUSE(what_was_said_before_leaves_first),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
