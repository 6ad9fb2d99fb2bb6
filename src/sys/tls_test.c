/*
 * Handshakes: what is agreed on, what is refused, who signs what, and what a client may come back
 * with. What streams do in TLS is in sys/stream_tls_test.c.
 */
#include "sys/fake/tls_fixture.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/tls_session.h"

enum {
    ROOM = 4096,
    TICKET_AT = 0,
};

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static const char *const version_names[] = {"TLSv1.2", "TLSv1.3"};

enum {
    VERSIONS = 2
};

static void assert_talks(struct pair *pair, struct house *house)
{
    char got[ROOM];
    pair->session.echoes = true;
    assert_true(client_says(&pair->client, house, STR("how are you?\r\n")));
    assert_str(client_hears(&pair->client, house, got, sizeof(got)), STR("how are you?\r\n"));
}

/* The certificate that the client was shown is of this key. */
static bool shown(const struct client *client, int key)
{
    X509 *certificate = SSL_get0_peer_certificate(client->ssl);
    return certificate && EVP_PKEY_eq(X509_get0_pubkey(certificate), fixture_key(key)) == 1;
}

static void both_versions_with_each_kind_of_key(void **state)
{
    (void)state;
    struct house house;
    static const int keys[] = {KEY_P256, KEY_P384, KEY_RSA};
    static const uint16_t schemes[] = {0x0403, 0x0503, 0x0804};
    house_open(&house, world_real());
    for (size_t k = 0; k < 3; k++) {
        house_shows_key(&house, keys[k]);
        for (size_t v = 0; v < VERSIONS; v++) {
            struct pair pair;
            struct tls_facts facts;
            struct client_settings settings = {.version = versions[v]};
            house.signatures = 0;
            assert_true(pair_open(&pair, &house, &settings));
            assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_ON);
            assert_int_equal(pair.session.told, 1);
            assert_int_equal(pair.session.ends, 0);
            assert_true(shown(&pair.client, keys[k]));
            assert_int_equal(house.signatures, 1);
            assert_int_equal(house.last.key, keys[k]);
            if (versions[v] == TLS1_3_VERSION)
                assert_int_equal(house.last.scheme, schemes[k]);
            stream_tls_facts(&pair.session.stream, &facts);
            assert_str(facts.version, str_from(version_names[v]));
            assert_str(facts.cipher,
                       str_from(SSL_CIPHER_standard_name(SSL_get_current_cipher(pair.client.ssl))));
            assert_int_equal(facts.bits, 256);
            assert_false(facts.resumed || facts.has_certificate);
            assert_str(facts.name, STR(""));
            assert_talks(&pair, &house);
            pair_close(&pair);
        }
    }
    house_close(&house);
}

/* What a 1.2 client can ask a signature with. */
static void each_scheme_of_1_2(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        int key;
        uint16_t scheme;
    } cases[] = {
        {"ECDSA+SHA256", KEY_P256, 0x0403},  {"ECDSA+SHA384", KEY_P256, 0x0503},
        {"ECDSA+SHA256", KEY_P384, 0x0403},  {"RSA+SHA256", KEY_RSA, 0x0401},
        {"RSA+SHA384", KEY_RSA, 0x0501},     {"RSA+SHA512", KEY_RSA, 0x0601},
        {"RSA-PSS+SHA256", KEY_RSA, 0x0804}, {"RSA-PSS+SHA384", KEY_RSA, 0x0805},
        {"RSA-PSS+SHA512", KEY_RSA, 0x0806},
    };
    struct house house;
    house_open(&house, world_real());
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair pair;
        struct client_settings settings = {.version = TLS1_2_VERSION,
                                           .signatures = cases[i].client};
        house_shows_key(&house, cases[i].key);
        assert_true(pair_open(&pair, &house, &settings));
        assert_int_equal(house.last.scheme, cases[i].scheme);
        assert_int_equal(house.last.randoms.n, TLS_RANDOMS);
        pair_close(&pair);
    }
    house_close(&house);
}

static void assert_refused(struct house *house, const struct client_settings *settings,
                           const char *why)
{
    struct pair pair;
    pair_open(&pair, house, settings);
    assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_FAILED);
    assert_int_equal(pair.session.stream.ended, STREAM_BROKEN);
    assert_int_equal(pair.session.told, 1);
    assert_int_equal(pair.session.ends, 1);
    assert_str(stream_tls_failure(&pair.session.stream), str_from(why));
    pair_close(&pair);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    struct house house;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_RSA);
    struct client_settings settings = {.version = TLS1_1_VERSION, .suites = "ALL:@SECLEVEL=0"};
    assert_refused(&house, &settings, "unsupported protocol");
    assert_int_equal(house.signatures, 0);
    house_close(&house);
}

static void suites_without_forward_secrecy_or_aead_are_refused(void **state)
{
    (void)state;
    static const char *const weak[] = {
        "AES128-SHA",
        "AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CAMELLIA128-SHA256",
    };
    struct house house;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_RSA);
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
        struct client_settings settings = {.version = TLS1_2_VERSION, .suites = weak[i]};
        assert_refused(&house, &settings, "no shared cipher");
    }
    struct client_settings settings = {.version = TLS1_3_VERSION, .signatures = "ECDSA+SHA256"};
    assert_refused(&house, &settings, "no suitable signature algorithm");
    assert_int_equal(house.signatures, 0);
    house_close(&house);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    struct client_settings settings = {.version = TLS1_2_VERSION};
    char got[ROOM];
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    assert_true(pair_open(&pair, &house, &settings));
    assert_int_equal(SSL_renegotiate(pair.client.ssl), 1);
    SSL_do_handshake(pair.client.ssl);
    client_hears(&pair.client, &house, got, sizeof(got));
    assert_int_equal(house.signatures, 1);
    assert_int_equal(stream_tls_state(&pair.session.stream), STREAM_TLS_ON);
    pair_close(&pair);
    house_close(&house);
}

/* --- Tickets --- */

static void key_fill(struct tls_ticket_key *key, char name)
{
    memset(key->name, name, sizeof(key->name));
    memset(key->aes, name + 1, sizeof(key->aes));
    memset(key->mac, name + 2, sizeof(key->mac));
}

/* The first of `names` seals. */
static void house_seals(struct house *house, const char *names)
{
    struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
    for (size_t i = 0; names[i]; i++)
        key_fill(&keys[i], names[i]);
    tls_server_tickets(house->server, keys, strlen(names));
}

/* Whose key sealed it. */
static char ticket_sealer(SSL_SESSION *session)
{
    const unsigned char *ticket = NULL;
    size_t n = 0;
    SSL_SESSION_get0_ticket(session, &ticket, &n);
    assert_true(n > TLS_TICKET_NAME);
    return (char)ticket[TICKET_AT];
}

/* Comes with a session (may be NULL): was it resumed? Gives the ticket that it got. */
static bool comes_back(struct house *house, SSL_SESSION *with, SSL_SESSION **ticket_r)
{
    struct pair pair;
    struct tls_facts facts;
    struct client_settings settings = {.version = TLS1_3_VERSION, .session = with};
    int before = house->signatures;
    assert_true(pair_open(&pair, house, &settings));
    assert_talks(&pair, house);
    stream_tls_facts(&pair.session.stream, &facts);
    assert_int_equal(facts.resumed, SSL_session_reused(pair.client.ssl));
    assert_int_equal(house->signatures - before, facts.resumed ? 0 : 1);
    assert_int_equal(pair.client.tickets, 1);
    *ticket_r = pair.client.kept;
    pair.client.kept = NULL;
    SSL_SESSION_free(with);
    pair_close(&pair);
    return facts.resumed;
}

static void a_ticket_opens_in_another_process(void **state)
{
    (void)state;
    struct house house, other;
    SSL_SESSION *ticket = NULL;
    house_open(&house, world_real());
    house_open(&other, world_real());
    house_shows_key(&house, KEY_P256);
    house_shows_key(&other, KEY_P256);
    house_seals(&house, "A");
    house_seals(&other, "A");
    assert_false(comes_back(&house, NULL, &ticket));
    assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(ticket), 2 * 60 * 60);
    assert_true(comes_back(&house, ticket, &ticket));
    assert_true(comes_back(&other, ticket, &ticket));
    house_seals(&other, "B");
    assert_false(comes_back(&other, ticket, &ticket));
    SSL_SESSION_free(ticket);
    house_close(&house);
    house_close(&other);
}

static void tickets_survive_until_their_key_goes(void **state)
{
    (void)state;
    struct house house;
    SSL_SESSION *ticket = NULL, *old = NULL;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_RSA);
    house_seals(&house, "A");
    assert_false(comes_back(&house, NULL, &old));
    house_seals(&house, "CBA");
    SSL_SESSION_up_ref(old);
    assert_true(comes_back(&house, old, &ticket));
    assert_int_equal(ticket_sealer(ticket), 'C'); /* renewed */
    house_seals(&house, "DCB");
    assert_false(comes_back(&house, old, &old)); /* D seals the one it gets */
    assert_true(comes_back(&house, ticket, &ticket));
    house_seals(&house, "ED");
    house_seals(&house, "F"); /* fewer than before: D is wiped, not left behind */
    assert_false(comes_back(&house, old, &old));
    SSL_SESSION_free(ticket);
    SSL_SESSION_free(old);
    house_close(&house);
}

static void a_ticket_of_another_protocol_does_not_open(void **state)
{
    (void)state;
    struct house house, other;
    SSL_SESSION *ticket = NULL;
    int key = KEY_P256;
    house_open(&house, world_real());
    house_open(&other, world_real());
    struct tls_server_settings settings = house_settings(&other);
    settings.alpn = "imap";
    house_shows_key(&house, key);
    house_shows(&other, &settings, &key, NULL, 1);
    house_seals(&house, "A");
    house_seals(&other, "A");
    assert_false(comes_back(&house, NULL, &ticket));
    assert_false(comes_back(&other, ticket, &ticket));
    SSL_SESSION_free(ticket);
    house_close(&house);
    house_close(&other);
}

static void no_tickets_without_keys_and_none_in_1_2(void **state)
{
    (void)state;
    struct house house;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    for (int i = 0; i < 4; i++) {
        struct pair pair;
        struct client_settings settings = {.version = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION};
        house_seals(&house, i == 3 ? "A" : "");
        assert_true(pair_open(&pair, &house, &settings));
        assert_talks(&pair, &house);
        assert_int_equal(pair.client.tickets, 0);
        assert_false(SSL_SESSION_has_ticket(SSL_get_session(pair.client.ssl)));
        pair_close(&pair);
    }
    house_close(&house);
}

/* The keys go between the hello and the ticket. */
static void a_handshake_outlives_its_ticket_keys(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    int peer;
    struct client_settings settings = {.version = TLS1_3_VERSION};
    SSL_SESSION *ticket;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    house_seals(&house, "A");
    house.turns_to_sign = 5;
    session_open(&pair.session, &house, &peer);
    client_open(&pair.client, &settings, peer);
    SSL_do_handshake(pair.client.ssl);
    client_pump(&pair.client);
    house_turns(&house, 1);
    assert_int_equal(house.signing, 1);
    house_seals(&house, "");
    assert_true(client_shakes_hands(&pair.client, &house));
    assert_talks(&pair, &house);
    ticket = pair.client.kept;
    pair.client.kept = NULL;
    pair_close(&pair);
    house.turns_to_sign = 0;
    house_seals(&house, "A");
    assert_false(comes_back(&house, ticket, &ticket));
    SSL_SESSION_free(ticket);
    house_close(&house);
}

/* --- Names and protocols --- */

static int key_shown_for(struct house *house, const char *name, const char *signatures)
{
    struct pair pair;
    struct tls_facts facts;
    struct client_settings settings = {.name = name, .signatures = signatures};
    int key = -1;
    if (pair_open(&pair, house, &settings)) {
        stream_tls_facts(&pair.session.stream, &facts);
        assert_str(facts.name, str_from(name));
        for (int i = 0; i < KEYS; i++)
            if (shown(&pair.client, i))
                key = i;
        assert_int_equal(house->last.key, key);
    }
    pair_close(&pair);
    return key;
}

static void the_name_chooses_the_certificate(void **state)
{
    (void)state;
    static const int keys[] = {KEY_P384, KEY_P256, KEY_RSA, KEY_P256_OTHER};
    static const char *const names[] = {"first.example.test", "mail.example.test",
                                        "mail.example.test", "*.example.test"};
    static const char rsa[] = "RSA-PSS+SHA256:RSA+SHA256", any[] = "ECDSA+SHA256:ECDSA+SHA384:"
                                                                   "RSA-PSS+SHA256";
    struct house house;
    house_open(&house, world_real());
    struct tls_server_settings settings = house_settings(&house);
    house_shows(&house, &settings, keys, names, 4);
    assert_int_equal(key_shown_for(&house, "mail.example.test", any), KEY_P256);
    assert_int_equal(key_shown_for(&house, "MAIL.Example.test", any), KEY_P256);
    assert_int_equal(key_shown_for(&house, "mail.example.test", rsa), KEY_RSA);
    assert_int_equal(key_shown_for(&house, "other.example.test", any), KEY_P256_OTHER);
    /* S16: what fits nothing is shown the standard one. */
    char long_name[256];
    memset(long_name, 'a', 255);
    long_name[255] = '\0';
    const char *const odd[] = {
        NULL, "a.b.example.test", "example.test", "192.0.2.1", "a\\b\"c", "\xff\x01", ".",
        "*",  long_name};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(key_shown_for(&house, odd[i], any), KEY_P384);
    house_close(&house);
}

static void a_protocol_that_is_not_ours_is_refused(void **state)
{
    (void)state;
    struct house house;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    static const char *const fine[] = {NULL, "pop3", "h2 http/1.1 pop3", "pop3 imap"};
    for (size_t i = 0; i < 4; i++) {
        struct pair pair;
        const unsigned char *got;
        unsigned n;
        struct client_settings settings = {.alpn = fine[i]};
        assert_true(pair_open(&pair, &house, &settings));
        SSL_get0_alpn_selected(pair.client.ssl, &got, &n);
        assert_str(str_make(got, n), fine[i] ? STR("pop3") : STR(""));
        pair_close(&pair);
    }
    static const char *const foreign[] = {"h2", "http/1.1 h2", "pop", "pop33", "POP3", "imap"};
    for (size_t i = 0; i < 6; i++) {
        struct client_settings settings = {.alpn = foreign[i]};
        house.signatures = 0;
        assert_refused(&house, &settings, "no application protocol");
        assert_int_equal(house.signatures, 0);
    }
    house_close(&house);
}

static void assert_noise_is_refused(struct house *house, struct str noise, const char *why)
{
    struct session session;
    int peer;
    session_open(&session, house, &peer);
    assert_int_equal(send(peer, noise.p, noise.n, MSG_NOSIGNAL), (ssize_t)noise.n);
    house_turns(house, 4);
    assert_int_equal(stream_tls_state(&session.stream), STREAM_TLS_FAILED);
    assert_str(stream_tls_failure(&session.stream), str_from(why));
    assert_int_equal(session.ends, 1);
    session_close(&session);
    close(peer);
}

/* S16 */
static void clear_text_on_a_port_of_tls_is_refused(void **state)
{
    (void)state;
    struct house house;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    assert_noise_is_refused(&house, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "http request");
    assert_noise_is_refused(&house, STR("USER postmaster\r\n"), "wrong version number");
    assert_noise_is_refused(&house, STR("EHLO us\r\nMAIL FROM:<>\r\n"), "wrong version number");
    house_close(&house);
}

/* A hello of 16 KB and no octet more; OpenSSL would make room for 128. */
static void a_hello_as_large_as_it_likes_is_refused(void **state)
{
    (void)state;
    struct house house;
    unsigned char head[] = {22, 3, 1, 0, 100, 1, 0, 0x40, 0};
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    struct session session;
    int peer;
    session_open(&session, &house, &peer);
    for (size_t i = 0; i < sizeof(head); i++) {
        assert_int_equal(send(peer, head + i, 1, MSG_NOSIGNAL), 1);
        house_turns(&house, 2);
    }
    assert_int_equal(stream_tls_state(&session.stream), STREAM_TLS_HANDSHAKE);
    session_close(&session);
    close(peer);
    head[8]++;
    assert_noise_is_refused(&house, str_make(head, sizeof(head)), "the client says too much");
    house_close(&house);
}

/* Each octet of a hello in a record of its own. */
static void an_endless_hello_is_refused(void **state)
{
    (void)state;
    static const unsigned char head[] = {22, 3, 1, 0, 4, 1, 0, 0x40, 0};
    static const unsigned char record[] = {22, 3, 1, 0, 1, 'x'};
    struct house house;
    struct session session;
    int peer;
    size_t sent = sizeof(head);
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    session_open(&session, &house, &peer);
    assert_int_equal(send(peer, head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
    for (; sent + sizeof(record) <= TLS_HANDSHAKE_MAX; sent += sizeof(record)) {
        assert_int_equal(send(peer, record, sizeof(record), MSG_NOSIGNAL), sizeof(record));
        house_turns(&house, 1);
    }
    house_turns(&house, 2);
    assert_int_equal(stream_tls_state(&session.stream), STREAM_TLS_HANDSHAKE);
    assert_int_equal(send(peer, record, sizeof(record), MSG_NOSIGNAL), sizeof(record));
    house_turns(&house, 2);
    assert_int_equal(stream_tls_state(&session.stream), STREAM_TLS_FAILED);
    assert_str(stream_tls_failure(&session.stream), STR("the client says too much"));
    session_close(&session);
    close(peer);
    house_close(&house);
}

/* The length of the hello, hidden behind the head of a second record. */
static void a_hello_that_hides_its_size_is_refused(void **state)
{
    (void)state;
    struct house house;
    static const unsigned char octets[] = {22, 3, 1, 0, 2, 1, 0, 22, 3, 1, 0, 2, 0xff, 0xff};
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    assert_noise_is_refused(&house, str_make(octets, sizeof(octets)), "the client says too much");
    house_close(&house);
}

/* A client whose first share is of a group that we do not have. */
static void client_of_another_group(struct client *client, int peer)
{
    client_open(client, &(struct client_settings){.version = TLS1_3_VERSION}, peer);
    assert_int_equal(
        SSL_ctrl(client->ssl, SSL_CTRL_SET_GROUPS_LIST, 0, (void *)(uintptr_t) "P-521:P-384"), 1);
}

static void a_second_hello_is_heard(void **state)
{
    (void)state;
    struct house house;
    struct session session;
    struct client client;
    int peer;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    session_open(&session, &house, &peer);
    client_of_another_group(&client, peer);
    assert_true(client_shakes_hands(&client, &house));
    client_close(&client);
    session_close(&session);
    house_close(&house);
}

/* HelloRetryRequest's second hello had no limit but OpenSSL's. */
static void a_second_hello_as_large_as_it_likes_is_refused(void **state)
{
    (void)state;
    static const unsigned char head[] = {22, 3, 3, 0, 100, 1, 0, 0x40, 1};
    struct house house;
    struct session session;
    struct client client;
    int peer;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    session_open(&session, &house, &peer);
    client_of_another_group(&client, peer);
    assert_int_equal(SSL_do_handshake(client.ssl), -1);
    client_pump(&client);
    house_turns(&house, 4);
    assert_int_equal(stream_tls_state(&session.stream), STREAM_TLS_HANDSHAKE);
    assert_int_equal(send(peer, head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
    house_turns(&house, 4);
    assert_int_equal(stream_tls_state(&session.stream), STREAM_TLS_FAILED);
    assert_str(stream_tls_failure(&session.stream), STR("the client says too much"));
    client_close(&client);
    session_close(&session);
    house_close(&house);
}

/* --- Clients with certificates, and channel bindings --- */

static void assert_fingerprint(const struct tls_facts *facts, int key)
{
    unsigned char hash[32];
    X509 *certificate = fixture_certificate_parsed(key);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), hash, NULL), 1);
    X509_free(certificate);
    assert_true(facts->has_certificate);
    assert_memory_equal(facts->certificate, hash, sizeof(hash));
}

static void a_client_shows_its_certificate(void **state)
{
    (void)state;
    struct house house;
    int key = KEY_RSA;
    house_open(&house, world_real());
    struct tls_server_settings asks = house_settings(&house);
    asks.client_certificates = true;
    house_shows(&house, &asks, &key, NULL, 1);
    house_seals(&house, "A");
    for (size_t v = 0; v < VERSIONS; v++) {
        struct pair pair;
        struct tls_facts facts;
        /* Signed with Ed25519, which has no hash: its fingerprint is SHA-256 all the same. */
        struct client_settings settings = {.version = versions[v], .certificate = KEY_ED25519};
        assert_true(pair_open(&pair, &house, &settings));
        assert_talks(&pair, &house);
        assert_true(sk_X509_NAME_num(SSL_get0_peer_CA_list(pair.client.ssl)) <= 0);
        stream_tls_facts(&pair.session.stream, &facts);
        assert_fingerprint(&facts, KEY_ED25519);
        SSL_SESSION *ticket = pair.client.kept;
        pair.client.kept = NULL;
        pair_close(&pair);

        settings = (struct client_settings){.version = versions[v], .session = ticket};
        assert_true(pair_open(&pair, &house, &settings));
        stream_tls_facts(&pair.session.stream, &facts);
        assert_int_equal(facts.resumed, versions[v] == TLS1_3_VERSION);
        if (facts.resumed)
            assert_fingerprint(&facts, KEY_ED25519);
        else
            assert_false(facts.has_certificate);
        SSL_SESSION_free(ticket);
        pair_close(&pair);
    }
    house_close(&house);
}

static void nobody_is_asked_for_a_certificate_otherwise(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    struct tls_facts facts;
    struct client_settings settings = {.certificate = KEY_P256_OTHER};
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    assert_true(pair_open(&pair, &house, &settings));
    stream_tls_facts(&pair.session.stream, &facts);
    assert_false(facts.has_certificate);
    pair_close(&pair);
    house_close(&house);
}

static void assert_exporter(struct pair *pair)
{
    unsigned char ours[TLS_BINDING_MAX], theirs[32];
    size_t n = 0;
    assert_true(stream_tls_binding(&pair->session.stream, TLS_BINDING_EXPORTER, ours, &n));
    assert_int_equal(n, sizeof(theirs));
    assert_int_equal(SSL_export_keying_material(pair->client.ssl, theirs, sizeof(theirs),
                                                "EXPORTER-Channel-Binding", 24,
                                                (const unsigned char *)"", 0, 1),
                     1);
    assert_memory_equal(ours, theirs, n);
}

static void assert_end_point(struct pair *pair, const EVP_MD *hash)
{
    unsigned char ours[TLS_BINDING_MAX], theirs[EVP_MAX_MD_SIZE];
    size_t n = 0;
    unsigned length = 0;
    assert_true(stream_tls_binding(&pair->session.stream, TLS_BINDING_END_POINT, ours, &n));
    X509 *certificate = SSL_get0_peer_certificate(pair->client.ssl);
    assert_int_equal(X509_digest(certificate, hash, theirs, &length), 1);
    assert_int_equal(n, length);
    assert_memory_equal(ours, theirs, n);
}

static void bindings_are_the_clients(void **state)
{
    (void)state;
    struct house house;
    static const int keys[] = {KEY_RSA, KEY_P256};
    static const char *const names[] = {"mail.example.test", "mail.example.test"};
    house_open(&house, world_real());
    struct tls_server_settings ours = house_settings(&house);
    house_shows(&house, &ours, keys, names, 2);
    house_seals(&house, "A");
    for (size_t v = 0; v < 2 * VERSIONS; v++)
        for (int again = 0; again < 3; again++) {
            static SSL_SESSION *ticket;
            struct pair pair;
            struct client_settings settings = {.version = versions[v % 2], .session = ticket};
            settings.signatures = v < 2 ? "ECDSA+SHA256" : "RSA-PSS+SHA256:RSA+SHA256";
            assert_true(pair_open(&pair, &house, &settings));
            assert_talks(&pair, &house);
            assert_int_equal(SSL_session_reused(pair.client.ssl), ticket != NULL);
            assert_exporter(&pair);
            assert_end_point(&pair, EVP_sha256());
            SSL_SESSION_free(ticket);
            ticket = again < 2 && versions[v % 2] == TLS1_3_VERSION ? pair.client.kept : NULL;
            if (ticket)
                pair.client.kept = NULL;
            pair_close(&pair);
        }
    house_close(&house);
}

static void server_with_hash(struct house *house, const EVP_MD *hash)
{
    struct str chain = fixture_certificate(KEY_RSA, hash);
    struct tls_identity identity = {.key = KEY_RSA, .chain = &chain, .chain_count = 1};
    struct tls_server_settings settings = house_settings(house);
    tls_server_release(house->server);
    assert_false(err_is(tls_server_new(&settings, &identity, 1, &house->server)));
}

/* RFC 5929 4.1: the hash is that of the certificate's signature. */
static void the_end_point_is_hashed_as_it_is_signed(void **state)
{
    (void)state;
    struct house house;
    const EVP_MD *hashes[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
    house_open(&house, world_real());
    for (size_t i = 0; i < 3; i++) {
        struct pair pair;
        struct client_settings settings = {.version = TLS1_3_VERSION};
        server_with_hash(&house, hashes[i]);
        assert_true(pair_open(&pair, &house, &settings));
        assert_end_point(&pair, hashes[i]);
        pair_close(&pair);
    }
    house_close(&house);
}

/* Without an extended master secret an exporter binds nothing (RFC 9266 4.2). */
static void no_exporter_without_extended_master_secret(void **state)
{
    (void)state;
    struct house house;
    struct pair pair;
    struct client_settings settings = {.version = TLS1_2_VERSION};
    unsigned char binding[TLS_BINDING_MAX];
    size_t n;
    int peer;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    session_open(&pair.session, &house, &peer);
    client_open(&pair.client, &settings, peer);
    SSL_set_options(pair.client.ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    assert_true(client_shakes_hands(&pair.client, &house));
    assert_false(stream_tls_binding(&pair.session.stream, TLS_BINDING_EXPORTER, binding, &n));
    assert_true(stream_tls_binding(&pair.session.stream, TLS_BINDING_END_POINT, binding, &n));
    pair_close(&pair);
    house_close(&house);
}

/* --- What cannot be shown --- */

static void assert_unusable(struct house *house, struct str first, size_t count)
{
    struct str chain[TLS_CHAIN_MAX + 1];
    struct tls_server *server = NULL;
    for (size_t i = 0; i <= TLS_CHAIN_MAX; i++)
        chain[i] = i == 0 ? first : fixture_certificate(KEY_P256, EVP_sha256());
    struct tls_identity identity = {.key = KEY_P256, .chain = chain, .chain_count = count};
    struct tls_server_settings settings = house_settings(house);
    struct err e = tls_server_new(&settings, &identity, 1, &server);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_true(e.detail.n > 0);
    assert_null(server);
}

static void certificates_that_cannot_be_shown(void **state)
{
    (void)state;
    struct house house;
    house_open(&house, world_real());
    struct str good = fixture_certificate(KEY_P256_OTHER, EVP_sha256());
    assert_unusable(&house, STR("not a certificate"), 1);
    assert_unusable(&house, STR(""), 1);
    assert_unusable(&house, str_head(good, good.n - 1), 1);
    assert_unusable(&house, good, 0);
    assert_unusable(&house, good, TLS_CHAIN_MAX + 1);
    assert_unusable(&house, fixture_certificate(KEY_ED25519, NULL), 1);
    assert_unusable(&house, fixture_certificate(KEY_RSA_SMALL, EVP_sha256()), 1);
    house_close(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_with_each_kind_of_key),
        cmocka_unit_test(each_scheme_of_1_2),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(suites_without_forward_secrecy_or_aead_are_refused),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_ticket_opens_in_another_process),
        cmocka_unit_test(tickets_survive_until_their_key_goes),
        cmocka_unit_test(a_ticket_of_another_protocol_does_not_open),
        cmocka_unit_test(no_tickets_without_keys_and_none_in_1_2),
        cmocka_unit_test(a_handshake_outlives_its_ticket_keys),
        cmocka_unit_test(the_name_chooses_the_certificate),
        cmocka_unit_test(a_protocol_that_is_not_ours_is_refused),
        cmocka_unit_test(clear_text_on_a_port_of_tls_is_refused),
        cmocka_unit_test(a_hello_as_large_as_it_likes_is_refused),
        cmocka_unit_test(an_endless_hello_is_refused),
        cmocka_unit_test(a_hello_that_hides_its_size_is_refused),
        cmocka_unit_test(a_second_hello_is_heard),
        cmocka_unit_test(a_second_hello_as_large_as_it_likes_is_refused),
        cmocka_unit_test(a_client_shows_its_certificate),
        cmocka_unit_test(nobody_is_asked_for_a_certificate_otherwise),
        cmocka_unit_test(bindings_are_the_clients),
        cmocka_unit_test(the_end_point_is_hashed_as_it_is_signed),
        cmocka_unit_test(no_exporter_without_extended_master_secret),
        cmocka_unit_test(certificates_that_cannot_be_shown),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
