#include "sys/fake/tls_fixture.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SMALL_RSA = 1024,
    VALID = 3650 * 24 * 60 * 60, /* seconds */
    TURNS = 20000,
    OUT_MAX = 4 * 1024 * 1024,
    CHUNK = 64 * 1024,
    SIGNED_MAX = 256,
};

static struct {
    EVP_PKEY *keys[KEYS_ALL];
    unsigned char *ders[KEYS_ALL];
} made;

/* Keys */

static EVP_PKEY *key_make(int key)
{
    switch (key) {
    case KEY_P384:
        return EVP_EC_gen("P-384");
    case KEY_RSA:
        return EVP_RSA_gen(2048);
    case KEY_RSA_SMALL:
        return EVP_RSA_gen(SMALL_RSA);
    case KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default:
        return EVP_EC_gen("P-256");
    }
}

int fixture_open(void **state)
{
    (void)state;
    must(tls_prepare());
    for (int i = 0; i < KEYS_ALL; i++)
        must((made.keys[i] = key_make(i)));
    return 0;
}

int fixture_close(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS_ALL; i++) {
        EVP_PKEY_free(made.keys[i]);
        OPENSSL_free(made.ders[i]);
    }
    return 0;
}

EVP_PKEY *fixture_key(int key)
{
    return made.keys[key];
}

static X509 *certificate_make(int key, const EVP_MD *hash)
{
    X509 *x = X509_new();
    must(x && X509_set_version(x, X509_VERSION_3));
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1 + key);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), VALID);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"mail.example.test", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, made.keys[key]);
    must(X509_sign(x, made.keys[key], hash) > 0);
    return x;
}

struct str fixture_certificate(int key, const EVP_MD *hash)
{
    X509 *x = certificate_make(key, hash);
    OPENSSL_free(made.ders[key]);
    made.ders[key] = NULL;
    int n = i2d_X509(x, &made.ders[key]);
    must(n > 0);
    X509_free(x);
    return str_make(made.ders[key], (size_t)n);
}

X509 *fixture_certificate_parsed(int key)
{
    return certificate_make(key, key == KEY_ED25519 ? NULL : EVP_sha256());
}

/* The signer */

static size_t signed_octets(const struct tls_signing *what, unsigned char *to)
{
    static const char text[] = "TLS 1.3, server CertificateVerify";
    size_t n = TLS_RANDOMS;
    if (what->randoms.n > 0) {
        memcpy(to, what->randoms.p, n);
    } else {
        memset(to, ' ', n);
        memcpy(to + n, text, sizeof(text));
        n += sizeof(text);
    }
    memcpy(to + n, what->what.p, what->what.n);
    return n + what->what.n;
}

static const EVP_MD *hash_of(uint16_t scheme)
{
    switch (scheme) {
    case 0x0401:
    case 0x0403:
    case 0x0804:
        return EVP_sha256();
    case 0x0501:
    case 0x0503:
    case 0x0805:
        return EVP_sha384();
    default:
        return EVP_sha512();
    }
}

static bool really_sign(const struct tls_signing *what, unsigned char *to, size_t *length_r)
{
    unsigned char octets[SIGNED_MAX];
    EVP_PKEY_CTX *how = NULL;
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    size_t n = signed_octets(what, octets);
    *length_r = TLS_SIGNATURE_MAX;
    bool done =
        EVP_DigestSignInit(signing, &how, hash_of(what->scheme), NULL, made.keys[what->key]) == 1 &&
        (what->scheme >> 8 != 8 ||
         (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) > 0 &&
          EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) > 0)) &&
        EVP_DigestSign(signing, to, length_r, octets, n) == 1;
    EVP_MD_CTX_free(signing);
    return done;
}

/* Leaves what another fiber may leave: an error of somebody else's. */
static struct err house_sign(void *arg, const struct tls_signing *what, unsigned char *signature_r,
                             size_t *length_r)
{
    struct house *house = arg;
    assert_non_null(fiber_current());
    /* Core demands it: a server that knows 1.3 ends its random of 1.2 so (RFC 8446 4.1.3). */
    assert_true(what->randoms.n == 0 || str_ends(what->randoms, STR("DOWNGRD\1")));
    house->signatures++;
    house->signing++;
    house->last = *what;
    for (int i = 0; i < house->turns_to_sign; i++)
        fiber_sleep_until(&house->loop, house->loop.now);
    house->signing--;
    if (house->refuses)
        return err_make(ERR_BUS_BROKEN);
    struct fake_memory *charged = fake_memory_charge(NULL);
    must(really_sign(what, signature_r, length_r));
    fake_memory_charge(charged);
    *length_r += house->signature_extra;
    ERR_raise(ERR_LIB_USER, 1);
    return err_none();
}

/* The house */

void house_open(struct house *house, struct world *world)
{
    *house = (struct house){.world = world};
    must(loop_init(&house->loop, world) == 0);
    house->fibers = fiber_pool_open(&house->loop, 4);
    house->pool = stream_pool_open(&house->loop, 4);
    must(house->fibers && house->pool);
}

void house_close(struct house *house)
{
    tls_server_release(house->server);
    stream_pool_close(house->pool);
    fiber_pool_close(house->fibers);
    loop_done(&house->loop);
}

struct tls_server_settings house_settings(struct house *house)
{
    return (struct tls_server_settings){.alpn = "pop3",
                                        .signer = {.sign = house_sign, .arg = house}};
}

void house_shows(struct house *house, const struct tls_server_settings *settings, const int *keys,
                 const char *const *names, size_t count)
{
    struct tls_identity identities[KEYS];
    struct str chains[KEYS], name[KEYS];
    must(count <= KEYS);
    for (size_t i = 0; i < count; i++) {
        chains[i] = fixture_certificate(keys[i], EVP_sha256());
        name[i] = str_from(names ? names[i] : NULL);
        identities[i] = (struct tls_identity){.key = (uint32_t)keys[i],
                                              .names = &name[i],
                                              .name_count = names ? 1 : 0,
                                              .chain = &chains[i],
                                              .chain_count = 1};
    }
    tls_server_release(house->server);
    struct err e = tls_server_new(settings, identities, count, &house->server);
    assert_str(e.detail, STR(""));
    assert_false(err_is(e));
}

void house_shows_key(struct house *house, int key)
{
    struct tls_server_settings settings = house_settings(house);
    house_shows(house, &settings, &key, NULL, 1);
}

void house_turns(struct house *house, int n)
{
    struct fake_memory *before = house->memory ? fake_memory_charge(house->memory) : NULL;
    for (int i = 0; i < n; i++) {
        house->world->ops->wait(house->world, &house->loop, 0);
        loop_turn(&house->loop);
    }
    if (house->memory)
        fake_memory_charge(before);
}

/* Sessions */

static void session_input(struct stream *stream)
{
    struct session *session = stream->arg;
    assert_null(fiber_current());
    assert_false(stream->paused);
    assert_int_not_equal(stream_tls_state(stream), STREAM_TLS_HANDSHAKE);
    session->told++;
    if (stream->ended != STREAM_OPEN) {
        session->ends++;
        return;
    }
    struct str pending = stream_pending(stream);
    if (session->keeps || pending.n == 0)
        return;
    struct fake_memory *charged = fake_memory_charge(NULL);
    must(buf_put(&session->got, pending));
    fake_memory_charge(charged);
    if (session->echoes)
        stream_put(stream, pending);
    stream_take(stream, pending.n);
}

void session_on(struct session *session, struct house *house, int handle)
{
    *session = (struct session){.got = BUF_INIT(OUT_MAX)};
    must(stream_init(&session->stream, &house->loop, house->pool, handle, session_input, session) ==
         0);
    must(stream_tls_begin(&session->stream, house->server, house->fibers) == 0);
}

void session_open(struct session *session, struct house *house, int *peer_r)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    *peer_r = pair[1];
    session_on(session, house, pair[0]);
}

void session_close(struct session *session)
{
    if (!session->is_done)
        stream_done(&session->stream);
    session->is_done = true;
    buf_done(&session->got);
}

/* Clients */

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct client *client = SSL_get_app_data(ssl);
    SSL_SESSION_free(client->kept);
    client->kept = session;
    client->tickets++;
    return 1;
}

static void client_limits(SSL_CTX *context, const struct client_settings *settings)
{
    SSL_CTX_set_security_level(context, settings->version == TLS1_1_VERSION ? 0 : 1);
    must(SSL_CTX_set_min_proto_version(context, settings->version) &&
         SSL_CTX_set_max_proto_version(context, settings->version));
    if (settings->suites)
        must(SSL_CTX_set_cipher_list(context, settings->suites));
    if (settings->signatures)
        must(SSL_CTX_ctrl(context, SSL_CTRL_SET_SIGALGS_LIST, 0,
                          (void *)(uintptr_t)settings->signatures));
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
}

static void client_shows(SSL_CTX *context, int key)
{
    X509 *certificate = fixture_certificate_parsed(key);
    must(SSL_CTX_use_cert_and_key(context, certificate, made.keys[key], NULL, 1));
    X509_free(certificate);
}

static void client_names(SSL *ssl, const struct client_settings *settings)
{
    unsigned char protocols[256];
    size_t n = 0;
    if (settings->name)
        must(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                      (void *)(uintptr_t)settings->name));
    if (settings->session)
        must(SSL_set_session(ssl, settings->session));
    struct str rest = str_from(settings->alpn);
    while (rest.p) {
        struct str name = str_cut(&rest, ' ');
        protocols[n++] = (unsigned char)name.n;
        memcpy(protocols + n, name.p, name.n);
        n += name.n;
    }
    if (n > 0)
        must(SSL_set_alpn_protos(ssl, protocols, (unsigned)n) == 0);
}

void client_open(struct client *client, const struct client_settings *settings, int handle)
{
    *client = (struct client){.handle = handle, .unsent = BUF_INIT(OUT_MAX)};
    client->context = SSL_CTX_new(TLS_client_method());
    client_limits(client->context, settings);
    if (settings->certificate)
        client_shows(client->context, settings->certificate);
    client->ssl = SSL_new(client->context);
    must(client->ssl);
    SSL_set_app_data(client->ssl, client);
    client_names(client->ssl, settings);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
    ERR_clear_error();
}

void client_close(struct client *client)
{
    SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    SSL_SESSION_free(client->kept);
    buf_done(&client->unsent);
    if (client->fake)
        fake_client_done(client->fake);
    else if (client->handle >= 0)
        close(client->handle);
}

static void client_send(struct client *client)
{
    char octets[CHUNK];
    int n;
    while ((n = BIO_read(SSL_get_wbio(client->ssl), octets, sizeof(octets))) > 0)
        must(buf_put(&client->unsent, str_make(octets, (size_t)n)));
    struct str piece = buf_str(&client->unsent);
    if (client->piece)
        piece = str_head(piece, client->piece);
    ssize_t sent = 0;
    if (client->fake && piece.n > 0)
        sent = (ssize_t)fake_client_send(client->fake, piece);
    else if (piece.n > 0)
        sent = send(client->handle, piece.p, piece.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        buf_drop_front(&client->unsent, (size_t)sent);
}

static void client_recv(struct client *client)
{
    char octets[CHUNK];
    ssize_t n = client->fake ? (ssize_t)fake_client_recv(client->fake, octets, sizeof(octets))
                             : recv(client->handle, octets, sizeof(octets), MSG_DONTWAIT);
    if (n > 0)
        must(BIO_write(SSL_get_rbio(client->ssl), octets, (int)n) == n);
}

void client_pump(struct client *client)
{
    client_send(client);
    client_recv(client);
}

bool client_shakes_hands(struct client *client, struct house *house)
{
    int done = 0;
    for (int i = 0; i < TURNS && done != 1; i++) {
        ERR_clear_error();
        done = SSL_do_handshake(client->ssl);
        if (done != 1 && SSL_get_error(client->ssl, done) != SSL_ERROR_WANT_READ)
            break;
        client_pump(client);
        house_turns(house, 1);
    }
    ERR_clear_error();
    for (int i = 0; i < TURNS && (client->unsent.n > 0 || i < 10 || house->signing); i++) {
        client_pump(client);
        house_turns(house, 1);
    }
    return done == 1;
}

bool client_says(struct client *client, struct house *house, struct str text)
{
    ERR_clear_error();
    if (SSL_write(client->ssl, text.p, (int)text.n) != (int)text.n)
        return false;
    do {
        client_pump(client);
        house_turns(house, 3);
    } while (client->unsent.n > 0);
    return true;
}

struct str client_hears(struct client *client, struct house *house, char *to, size_t room)
{
    size_t n = 0;
    for (int quiet = 0; quiet < 4 && n < room; quiet++) {
        client_pump(client);
        house_turns(house, 1);
        ERR_clear_error();
        int got;
        while ((got = SSL_read(client->ssl, to + n, (int)(room - n))) > 0) {
            n += (size_t)got;
            quiet = 0;
        }
    }
    return str_make(to, n);
}

bool pair_open(struct pair *pair, struct house *house, const struct client_settings *settings)
{
    int peer;
    session_open(&pair->session, house, &peer);
    client_open(&pair->client, settings, peer);
    return client_shakes_hands(&pair->client, house);
}

void pair_close(struct pair *pair)
{
    session_close(&pair->session);
    client_close(&pair->client);
}
