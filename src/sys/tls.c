/*
 * A server has a library context of OpenSSL's for itself: the keys' provider (sys/tls_key.c) is
 * seen by nobody else in the process, and a new set of certificates shares nothing with the old.
 * For each pair of certificates that a name may lead to there is an SSL_CTX, made ahead, all alike
 * but for the certificates; a connection begins with the standard one, and the name it says moves
 * it. (Certificates set by connection were weighed: comparing key and certificate each time costs
 * more than the whole SSL_CTX.)
 *
 * A connection reads and writes by a BIO of ours that calls the world. It answers "later" where the
 * caller wanted no more system calls, so that one busy peer is read as seldom as a plain one. It
 * knows the end of the connection itself and does not tell OpenSSL, which would take an end without
 * close_notify for a fatal error and refuse to write what the peer still waits for.
 *
 * OpenSSL's error queue belongs to the thread, and a handshake yields in its middle: the queue is
 * empty before each call, read at once behind it and emptied again; tls_key.c empties it where the
 * fiber comes back.
 *
 * Nobody waits for a ticket, so it does not leave by itself: it goes out in front of what is said
 * next, which is mostly a greeting. With nothing to say it is pushed by whoever drives the session.
 *
 * TLS 1.2 gets no tickets, for there they open the past; in 1.3 each resumption gets a new one, for
 * a client that minds being recognised uses each once (RFC 8446 C.4). A ticket carries the hash of
 * the certificate of its first handshake: on a resumed connection it is the channel binding.
 */
#include "sys/tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/must.h"
#include "sys/loop.h"
#include "sys/tls_hello.h"
#include "sys/tls_key.h"
#include "sys/tls_names.h"
#include "sys/tls_session.h"

#define SERVER_MAGIC MAGIC('T', 'L', 'S', 'S')
#define SESSION_MAGIC MAGIC('T', 'L', 'S', 'C')

enum {
    TICKET_LIFE = 2 * 60 * 60,    /* seconds */
    TICKET_MAX = 64 * 1024,       /* octets that are held; what a client showed is in them */
    CLIENT_CHAIN_MAX = 32 * 1024, /* octets of a client's certificates */
    STRENGTH = 2,                 /* OpenSSL's security level: 112 bits and more */
    EXPORTER_SIZE = 32,           /* RFC 9266 */
};

#define SUITES13 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define SUITES12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SIGNATURES                                                                                 \
    "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"                      \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512"
#define CLIENT_SIGNATURES "ed25519:ed448:ECDSA+SHA512:" SIGNATURES
#define GROUPS "X25519:P-256:P-384"
#define GROUPS_LATER "X25519MLKEM768:" GROUPS /* from OpenSSL 3.5 on */

/* An identity as OpenSSL knows it. */
struct shown {
    X509 *certificate;
    STACK_OF(X509) * chain; /* behind it */
    EVP_PKEY *key;
};

struct tls_server {
    uint32_t magic;
    size_t holds;
    struct tls_library *library;
    struct tls_signer signer;
    char alpn[TLS_ALPN_MAX];
    bool client_certificates;
    struct shown *shown;
    size_t shown_count;
    struct tls_names *names;
    SSL_CTX **contexts; /* by pair; the first is the standard one */
    size_t context_count;
    BIO_METHOD *method;
    EVP_CIPHER *sealing;
    /* The first is always there: before any was given, and where they were taken away, it is a
     * random one. */
    struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
    size_t key_count; /* that open */
};

struct tls_session {
    uint32_t magic;
    struct tls_server *server;
    struct world *world;
    SSL *ssl; /* NULL: nothing came yet */
    int handle;
    int failed;    /* -errno of the handle */
    unsigned asks; /* recv calls that are left */
    unsigned waits;
    size_t received; /* in the handshake */
    struct tls_hello hello;
    struct buf held; /* a ticket that has not left */
    bool ended, more, wipes;
    const char *failure;
};

/* The connection as a BIO */

static int bio_read(BIO *bio, char *to, int room)
{
    struct tls_session *session = BIO_get_data(bio);
    must_be(session, SESSION_MAGIC);
    BIO_clear_retry_flags(bio);
    if (session->failed)
        return -1;
    ssize_t n = -EAGAIN;
    if (session->asks > 0) {
        session->asks--;
        n = session->world->ops->recv(session->world, session->handle, to, (size_t)room);
    }
    if (n > 0 && !SSL_is_init_finished(session->ssl)) {
        session->received += (size_t)n;
        if (session->received > TLS_HANDSHAKE_MAX ||
            !tls_hello_heard(&session->hello, str_make(to, (size_t)n)))
            n = -EMSGSIZE;
    }
    if (n == -EAGAIN)
        BIO_set_retry_read(bio);
    else if (n < 0)
        session->failed = (int)n;
    session->ended |= n == 0;
    return n < 0 ? -1 : (int)n;
}

static bool ticket_is_held(struct tls_session *session, struct str octets)
{
    return SSL_get_state(session->ssl) == TLS_ST_SW_SESSION_TICKET &&
           SSL_version(session->ssl) >= TLS1_3_VERSION && buf_put(&session->held, octets);
}

/* How many of the octets left, with all that is held before them; or -errno. */
static ssize_t send_behind_held(struct tls_session *session, struct str octets)
{
    struct str held = buf_str(&session->held);
    const struct iovec parts[] = {{(void *)(uintptr_t)held.p, held.n},
                                  {(void *)(uintptr_t)octets.p, octets.n}};
    bool has_held = held.n > 0, has_octets = octets.n > 0;
    ssize_t n = session->world->ops->send(session->world, session->handle, &parts[!has_held],
                                          has_held + has_octets);
    if (!has_held || n < 0)
        return n;
    if ((size_t)n < held.n) {
        buf_drop_front(&session->held, (size_t)n);
        return -EAGAIN;
    }
    buf_done(&session->held);
    n -= (ssize_t)held.n;
    return n == 0 && has_octets ? -EAGAIN : n;
}

static int bio_write(BIO *bio, const char *octets, int count)
{
    struct tls_session *session = BIO_get_data(bio);
    struct str all = str_make(octets, (size_t)count);
    must_be(session, SESSION_MAGIC);
    BIO_clear_retry_flags(bio);
    if (session->failed)
        return -1;
    tls_hello_answered(&session->hello);
    if (ticket_is_held(session, all))
        return count;
    ssize_t n = send_behind_held(session, all);
    if (n == -EAGAIN)
        BIO_set_retry_write(bio);
    else if (n < 0)
        session->failed = (int)n;
    return n < 0 ? -1 : (int)n;
}

static long bio_control(BIO *bio, int what, long number, void *at)
{
    (void)bio;
    (void)number;
    (void)at;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "world");
    if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* What a handshake asks the server */

static int name_said(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *server = arg;
    (void)alert;
    if (SSL_version(ssl) < TLS1_3_VERSION)
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    bool fits;
    struct tls_pair pair = tls_names_find(server->names, str_from(name), &fits);
    const struct tls_pair *pairs;
    size_t count = tls_names_pairs(server->names, &pairs);
    for (size_t i = 0; i < count; i++)
        if (pairs[i].rsa == pair.rsa && pairs[i].ecdsa == pair.ecdsa)
            SSL_set_SSL_CTX(ssl, server->contexts[i]);
    return fits ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int protocol_said(SSL *ssl, const unsigned char **ours_r, unsigned char *length_r,
                         const unsigned char *named, unsigned n, void *arg)
{
    const struct tls_server *server = arg;
    struct str ours = str_from(server->alpn), rest = str_make(named, n);
    (void)ssl;
    while (rest.n > 0) {
        struct str name = str_head(str_from_index(rest, 1), (unsigned char)rest.p[0]);
        rest = str_from_index(rest, 1 + name.n);
        if (str_eq(name, ours)) {
            *ours_r = (const unsigned char *)name.p;
            *length_r = (unsigned char)name.n;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* That the key is the client's, TLS proves; whose it is, the log-in decides. */
static int any_certificate(X509_STORE_CTX *store, void *arg)
{
    (void)arg;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* Tickets */

static struct tls_session *session_of(const SSL *ssl)
{
    struct tls_session *session = SSL_get_app_data(ssl);
    must_be(session, SESSION_MAGIC);
    return session;
}

static const struct tls_ticket_key *ticket_key(const struct tls_server *server,
                                               const unsigned char *name)
{
    for (size_t i = 0; i < server->key_count; i++)
        if (memcmp(server->keys[i].name, name, TLS_TICKET_NAME) == 0)
            return &server->keys[i];
    return NULL;
}

static bool mac_begin(EVP_MAC_CTX *mac, const struct tls_ticket_key *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's answers: 2: opened, and give another. 1: sealed. 0: no such key. -1: failed. */
static int ticket_keys(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                       EVP_MAC_CTX *mac, int sealing)
{
    struct tls_server *server = session_of(ssl)->server;
    if (SSL_version(ssl) < TLS1_3_VERSION)
        return 0;
    const struct tls_ticket_key *key = sealing ? &server->keys[0] : ticket_key(server, name);
    if (!key)
        return 0;
    if (sealing) {
        memcpy(name, key->name, TLS_TICKET_NAME);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(server->sealing)) != 1)
            return -1;
    }
    if (EVP_CipherInit_ex2(cipher, server->sealing, key->aes, iv, sealing, NULL) != 1 ||
        !mac_begin(mac, key))
        return -1;
    return sealing ? 1 : 2;
}

/* The hash function of its signature; 256 bits at least (RFC 5929 4.1). */
static bool certificate_hash(X509 *certificate, unsigned char *to, size_t *length_r)
{
    int hash = NID_undef;
    unsigned n = 0;
    if (!certificate || X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1)
        return false;
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;
    const EVP_MD *function = EVP_get_digestbynid(hash);
    bool done = function && EVP_MD_get_size(function) <= TLS_BINDING_MAX &&
                X509_digest(certificate, function, to, &n) == 1;
    *length_r = n;
    return done;
}

static int ticket_fill(SSL *ssl, void *arg)
{
    unsigned char hash[TLS_BINDING_MAX];
    size_t n;
    (void)arg;
    if (SSL_session_reused(ssl) || !certificate_hash(SSL_get_certificate(ssl), hash, &n))
        return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), hash, n);
}

static SSL_TICKET_RETURN ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t length, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)length;
    (void)arg;
    return status == SSL_TICKET_SUCCESS         ? SSL_TICKET_RETURN_USE
           : status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW
                                                : SSL_TICKET_RETURN_IGNORE_RENEW;
}

static bool keys_forget(struct tls_server *server)
{
    OPENSSL_cleanse(server->keys, sizeof(server->keys));
    server->key_count = 0;
    return RAND_bytes((unsigned char *)server->keys, sizeof(server->keys[0])) == 1;
}

void tls_server_tickets(struct tls_server *server, const struct tls_ticket_key *keys, size_t count)
{
    must_be(server, SERVER_MAGIC);
    must(count <= TLS_TICKET_KEYS_MAX);
    must(keys_forget(server));
    if (count > 0)
        memcpy(server->keys, keys, count * sizeof(keys[0]));
    server->key_count = count;
}

/* The server */

static struct str reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? str_from(text) : STR("OpenSSL failed and does not say why");
}

static X509 *certificate_read(const struct tls_server *server, struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    X509 *certificate = X509_new_ex(tls_library_context(server->library), NULL);
    if (certificate && d2i_X509(&certificate, &at, (long)der.n) &&
        (const char *)at == der.p + der.n)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static struct err shown_read(struct tls_server *server, const struct tls_identity *identity,
                             struct shown *shown)
{
    struct err unreadable = err_detail(ERR_CONFIG, STR("a certificate cannot be read"));
    if (identity->chain_count == 0 || identity->chain_count > TLS_CHAIN_MAX)
        return err_detail(ERR_CONFIG, STR("a chain of no certificate, or of more than 10"));
    shown->chain = sk_X509_new_null();
    shown->certificate = certificate_read(server, identity->chain[0]);
    if (!shown->chain || !shown->certificate)
        return shown->chain ? unreadable : err_make(ERR_NO_MEMORY);
    for (size_t i = 1; i < identity->chain_count; i++) {
        X509 *link = certificate_read(server, identity->chain[i]);
        if (!link)
            return unreadable;
        if (!sk_X509_push(shown->chain, link)) {
            X509_free(link);
            return err_make(ERR_NO_MEMORY);
        }
    }
    const EVP_PKEY *public_key = X509_get0_pubkey(shown->certificate);
    if (public_key)
        shown->key = tls_key_new(server->library, public_key, identity->key, &server->signer);
    return shown->key
               ? err_none()
               : err_detail(ERR_CONFIG, STR("the key of a certificate is neither RSA of 2048 "
                                            "to 8192 bits nor ECDSA on P-256 or P-384"));
}

static bool is_elliptic(const struct shown *shown)
{
    return EVP_PKEY_is_a(shown->key, "EC");
}

/* OpenSSL's macros for these lose the const of a literal. */
static bool list_set(SSL_CTX *context, int what, const char *list)
{
    return SSL_CTX_ctrl(context, what, 0, (void *)(uintptr_t)list) == 1;
}

static bool context_limits(SSL_CTX *context, const struct tls_server *server)
{
    SSL_CTX_set_security_level(context, STRENGTH);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_max_cert_list(context, CLIENT_CHAIN_MAX);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, TICKET_LIFE);
    if (server->client_certificates)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, any_certificate, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, 0) == 1 &&
           SSL_CTX_set_cipher_list(context, SUITES12) == 1 &&
           SSL_CTX_set_ciphersuites(context, SUITES13) == 1 &&
           list_set(context, SSL_CTRL_SET_SIGALGS_LIST, SIGNATURES) &&
           list_set(context, SSL_CTRL_SET_CLIENT_SIGALGS_LIST, CLIENT_SIGNATURES) &&
           (list_set(context, SSL_CTRL_SET_GROUPS_LIST, GROUPS_LATER) ||
            list_set(context, SSL_CTRL_SET_GROUPS_LIST, GROUPS)) &&
           SSL_CTX_set_max_early_data(context, 0) == 1 && SSL_CTX_set_num_tickets(context, 1) == 1;
}

static bool context_answers(SSL_CTX *context, struct tls_server *server)
{
    SSL_CTX_set_tlsext_servername_callback(context, name_said);
    SSL_CTX_set_tlsext_servername_arg(context, server);
    SSL_CTX_set_alpn_select_cb(context, protocol_said, server);
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_keys) == 1 &&
           SSL_CTX_set_session_ticket_cb(context, ticket_fill, ticket_opened, NULL) == 1 &&
           SSL_CTX_set_session_id_context(context, (const unsigned char *)server->alpn,
                                          (unsigned)strlen(server->alpn)) == 1;
}

static bool context_shows(SSL_CTX *context, const struct tls_server *server, int identity)
{
    if (identity < 0)
        return true;
    const struct shown *shown = &server->shown[identity];
    return SSL_CTX_use_cert_and_key(context, shown->certificate, shown->key, shown->chain, 1) == 1;
}

static struct err context_new(struct tls_server *server, struct tls_pair pair)
{
    ERR_clear_error();
    SSL_CTX *context =
        SSL_CTX_new_ex(tls_library_context(server->library), NULL, TLS_server_method());
    if (!context)
        return err_make(ERR_NO_MEMORY);
    server->contexts[server->context_count++] = context;
    bool done = context_limits(context, server) && context_answers(context, server) &&
                context_shows(context, server, pair.rsa) &&
                context_shows(context, server, pair.ecdsa);
    struct err e = done ? err_none() : err_detail(ERR_CONFIG, reason());
    ERR_clear_error();
    return e;
}

static struct err identities_read(struct tls_server *server, const struct tls_identity *identities,
                                  size_t count)
{
    bool elliptic[TLS_IDENTITIES_MAX];
    server->shown = calloc(count, sizeof(server->shown[0]));
    if (!server->shown)
        return err_make(ERR_NO_MEMORY);
    server->shown_count = count;
    for (size_t i = 0; i < count; i++) {
        struct err e = shown_read(server, &identities[i], &server->shown[i]);
        if (err_is(e))
            return e;
        elliptic[i] = is_elliptic(&server->shown[i]);
    }
    server->names = tls_names_new(identities, elliptic, count);
    return server->names ? err_none() : err_make(ERR_NO_MEMORY);
}

static struct err contexts_open(struct tls_server *server)
{
    const struct tls_pair *pairs;
    size_t count = tls_names_pairs(server->names, &pairs);
    server->contexts = calloc(count, sizeof(server->contexts[0]));
    if (!server->contexts)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        struct err e = context_new(server, pairs[i]);
        if (err_is(e))
            return e;
    }
    return err_none();
}

static struct err server_fill(struct tls_server *server, const struct tls_identity *identities,
                              size_t count)
{
    server->library = tls_library_open();
    server->method = bio_method();
    if (server->library)
        server->sealing =
            EVP_CIPHER_fetch(tls_library_context(server->library), "AES-256-CBC", NULL);
    if (!server->method || !server->sealing || !keys_forget(server))
        return err_make(ERR_NO_MEMORY);
    struct err e = identities_read(server, identities, count);
    return err_is(e) ? e : contexts_open(server);
}

struct err tls_server_new(const struct tls_server_settings *settings,
                          const struct tls_identity *identities, size_t count,
                          struct tls_server **server_r)
{
    size_t alpn = strlen(settings->alpn);
    must(count >= 1 && count <= TLS_IDENTITIES_MAX && alpn < TLS_ALPN_MAX);
    struct tls_server *server = calloc(1, sizeof(*server));
    if (!server)
        return err_make(ERR_NO_MEMORY);
    server->magic = SERVER_MAGIC;
    server->holds = 1;
    server->signer = settings->signer;
    server->client_certificates = settings->client_certificates;
    memcpy(server->alpn, settings->alpn, alpn + 1);
    struct err e = server_fill(server, identities, count);
    ERR_clear_error();
    if (err_is(e))
        tls_server_release(server);
    else
        *server_r = server;
    return e;
}

static void server_free(struct tls_server *server)
{
    for (size_t i = 0; i < server->context_count; i++)
        SSL_CTX_free(server->contexts[i]);
    free(server->contexts);
    for (size_t i = 0; i < server->shown_count; i++) {
        X509_free(server->shown[i].certificate);
        sk_X509_pop_free(server->shown[i].chain, X509_free);
        EVP_PKEY_free(server->shown[i].key);
    }
    free(server->shown);
    tls_names_free(server->names);
    EVP_CIPHER_free(server->sealing);
    BIO_meth_free(server->method);
    tls_library_close(server->library);
    OPENSSL_cleanse(server, sizeof(*server));
    free(server);
}

void tls_server_release(struct tls_server *server)
{
    if (!server)
        return;
    must_be(server, SERVER_MAGIC);
    must(server->holds > 0);
    if (--server->holds == 0)
        server_free(server);
}

bool tls_prepare(void)
{
    unsigned char octets[TLS_TICKET_NAME];
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
                             OPENSSL_INIT_LOAD_CONFIG,
                         NULL) != 1)
        return false;
    struct tls_library *library = tls_library_open();
    SSL_CTX *context =
        library ? SSL_CTX_new_ex(tls_library_context(library), NULL, TLS_server_method()) : NULL;
    bool done = context && RAND_bytes(octets, sizeof(octets)) == 1 &&
                RAND_priv_bytes(octets, sizeof(octets)) == 1;
    SSL_CTX_free(context);
    tls_library_close(library);
    ERR_clear_error();
    return done;
}

/* A connection */

struct tls_session *tls_session_new(struct tls_server *server, struct world *world, int handle)
{
    must_be(server, SERVER_MAGIC);
    struct tls_session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    *session = (struct tls_session){.magic = SESSION_MAGIC,
                                    .server = server,
                                    .world = world,
                                    .handle = handle,
                                    .held = BUF_INIT(TICKET_MAX)};
    session->waits = READY_READ;
    server->holds++;
    return session;
}

void tls_session_free(struct tls_session *session)
{
    must_be(session, SESSION_MAGIC);
    session->failed = -ECANCELED;
    SSL_free(session->ssl);
    buf_done(&session->held);
    tls_server_release(session->server);
    session->magic = 0;
    free(session);
}

void tls_session_cut(struct tls_session *session)
{
    session->failed = -ECANCELED;
}

/* Not before the client says something: who only connects costs little. */
static bool session_begin(struct tls_session *session)
{
    const struct tls_server *server = session->server;
    session->ssl = SSL_new(server->contexts[0]);
    BIO *bio = NULL;
    if (session->ssl && SSL_set_app_data(session->ssl, session) == 1)
        bio = BIO_new(server->method);
    if (!bio) {
        SSL_free(session->ssl);
        session->ssl = NULL;
        return false;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_accept_state(session->ssl);
    if (server->key_count == 0)
        SSL_set_num_tickets(session->ssl, 0);
    if (session->wipes)
        SSL_set_options(session->ssl, SSL_OP_CLEANSE_PLAINTEXT);
    return true;
}

/* Why a call of OpenSSL's gave what it gave: -EAGAIN, 0: the peer has ended, else an error. */
static int outcome(struct tls_session *session, int result)
{
    int error = SSL_get_error(session->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        session->waits = error == SSL_ERROR_WANT_READ ? READY_READ : READY_WRITE;
        return -EAGAIN;
    }
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (session->failed)
        return session->failed;
    return session->ended && error == SSL_ERROR_SYSCALL ? 0 : -EPROTO;
}

static bool was_signing(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return state == TLS_ST_SW_CERT_VRFY || state == TLS_ST_SW_KEY_EXCH;
}

static const char *failure_of(const struct tls_session *session)
{
    if (session->failed == -EMSGSIZE)
        return "the client says too much";
    if (session->failed || session->ended)
        return "the client went away";
    if (was_signing(session->ssl))
        return "no signature could be had";
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? text : "OpenSSL does not say why";
}

int tls_session_handshake(struct tls_session *session)
{
    must_be(session, SESSION_MAGIC);
    ERR_clear_error();
    if (!session->ssl && !session_begin(session)) {
        session->failure = "no memory";
        return -ENOMEM;
    }
    session->asks = UINT32_MAX;
    int result = SSL_do_handshake(session->ssl);
    int e = result == 1 ? 0 : outcome(session, result);
    if (result == 1)
        session->more = SSL_has_pending(session->ssl);
    else if (e != -EAGAIN)
        session->failure = failure_of(session);
    ERR_clear_error();
    return result != 1 && e == 0 ? -EPIPE : e;
}

unsigned tls_session_waits(const struct tls_session *session)
{
    return session->waits;
}

struct str tls_session_failure(const struct tls_session *session)
{
    return str_from(session->failure ? session->failure : "the connection broke");
}

ssize_t tls_session_recv(struct tls_session *session, void *to, size_t n, unsigned asks)
{
    must_be(session, SESSION_MAGIC);
    size_t got = 0;
    ERR_clear_error();
    session->asks = asks;
    int result = SSL_read_ex(session->ssl, to, n, &got);
    ssize_t e = result == 1 ? (ssize_t)got : outcome(session, result);
    session->more =
        result == 1 ? SSL_has_pending(session->ssl) : e == -EAGAIN && session->waits == READY_WRITE;
    ERR_clear_error();
    return e;
}

ssize_t tls_session_send(struct tls_session *session, struct str octets)
{
    must_be(session, SESSION_MAGIC);
    size_t sent = 0;
    ERR_clear_error();
    session->asks = 0;
    int result = SSL_write_ex(session->ssl, octets.p, octets.n, &sent);
    int e = result == 1 ? 0 : outcome(session, result);
    ERR_clear_error();
    if (result == 1)
        return (ssize_t)sent;
    return e == 0 || (e == -EAGAIN && session->waits == READY_READ) ? -EPROTO : e;
}

int tls_session_push(struct tls_session *session)
{
    must_be(session, SESSION_MAGIC);
    if (session->held.n == 0)
        return 0;
    ssize_t n = session->failed ? session->failed : send_behind_held(session, STR(""));
    if (n < 0 && n != -EAGAIN)
        session->failed = (int)n;
    return n < 0 ? (int)n : 0;
}

bool tls_session_more(const struct tls_session *session)
{
    return session->more;
}

void tls_session_wipe(struct tls_session *session)
{
    session->wipes = true;
    if (session->ssl)
        SSL_set_options(session->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

int tls_session_finish(struct tls_session *session)
{
    must_be(session, SESSION_MAGIC);
    ERR_clear_error();
    session->asks = 0;
    int result = SSL_shutdown(session->ssl);
    int e = result >= 0 ? 0 : outcome(session, result);
    ERR_clear_error();
    return e == -EAGAIN && session->waits == READY_READ ? -EPROTO : e;
}

/* What was agreed on */

void tls_session_facts(const struct tls_session *session, struct tls_facts *facts_r)
{
    const SSL *ssl = session->ssl;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    *facts_r = (struct tls_facts){
        .version = str_from(SSL_get_version(ssl)),
        .cipher = str_from(SSL_CIPHER_standard_name(cipher)),
        .bits = (unsigned)SSL_CIPHER_get_bits(cipher, NULL),
        .name = str_from(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)),
        .resumed = SSL_session_reused(ssl),
    };
    facts_r->has_certificate =
        certificate && X509_digest(certificate, EVP_sha256(), facts_r->certificate, NULL) == 1;
}

static bool exporter(SSL *ssl, unsigned char *to, size_t *length_r)
{
    struct str label = STR("EXPORTER-Channel-Binding");
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return false;
    *length_r = EXPORTER_SIZE;
    return SSL_export_keying_material(ssl, to, EXPORTER_SIZE, label.p, label.n,
                                      (const unsigned char *)"", 0, 1) == 1;
}

static bool end_point(SSL *ssl, unsigned char *to, size_t *length_r)
{
    void *hash = NULL;
    size_t n = 0;
    if (!SSL_session_reused(ssl))
        return certificate_hash(SSL_get_certificate(ssl), to, length_r);
    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &hash, &n) != 1 || n == 0 ||
        n > TLS_BINDING_MAX)
        return false;
    memcpy(to, hash, n);
    *length_r = n;
    return true;
}

bool tls_session_binding(const struct tls_session *session, enum tls_binding which,
                         unsigned char *binding_r, size_t *length_r)
{
    ERR_clear_error();
    bool done = which == TLS_BINDING_EXPORTER ? exporter(session->ssl, binding_r, length_r)
                                              : end_point(session->ssl, binding_r, length_r);
    ERR_clear_error();
    return done;
}
