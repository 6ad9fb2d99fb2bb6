/*
 * A server has a library context of OpenSSL's for itself: the keys' provider (sys/tls_key.c) is
 * seen by nobody else in the process, and a new set of certificates shares nothing with the old.
 * For each pair of certificates that a name may lead to there is an SSL_CTX, made ahead, all alike
 * but for the certificates; a connection begins with the standard one, and the name it says moves
 * it. (Certificates set by connection were weighed: comparing key and certificate each time costs
 * more than the whole SSL_CTX.)
 *
 * TLS 1.2 gets no tickets, for there they open the past; in 1.3 each resumption gets a new one, for
 * a client that minds being recognised uses each once (RFC 8446 C.4). A ticket carries the hash of
 * the certificate of its first handshake: on a resumed connection it is the channel binding.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/must.h"
#include "sys/tls_inside.h"
#include "sys/tls_key.h"
#include "sys/tls_names.h"

#define SERVER_MAGIC MAGIC('T', 'L', 'S', 'S')

enum {
    CLIENT_CHAIN_MAX = 32 * 1024, /* octets of a client's certificates */
    STRENGTH = 2,                 /* OpenSSL's security level: 112 bits and more */
};

#define SUITES12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SIGNATURES                                                                                 \
    "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"                      \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512"
#define CLIENT_SIGNATURES "ed25519:ed448:ECDSA+SHA512:" SIGNATURES

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
    struct tls_server *server = tls_session_of(ssl)->server;
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

static int ticket_fill(SSL *ssl, void *arg)
{
    unsigned char hash[TLS_BINDING_MAX];
    size_t n;
    (void)arg;
    if (SSL_session_reused(ssl) || !tls_certificate_hash(SSL_get_certificate(ssl), hash, &n))
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

static bool context_limits(SSL_CTX *context, const struct tls_server *server)
{
    SSL_CTX_set_security_level(context, STRENGTH);
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_max_cert_list(context, CLIENT_CHAIN_MAX);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (server->client_certificates)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, any_certificate, NULL);
    return tls_context_limits(context) && SSL_CTX_set_cipher_list(context, SUITES12) == 1 &&
           tls_list_set(context, SSL_CTRL_SET_SIGALGS_LIST, SIGNATURES) &&
           tls_list_set(context, SSL_CTRL_SET_CLIENT_SIGALGS_LIST, CLIENT_SIGNATURES) &&
           SSL_CTX_set_num_tickets(context, 1) == 1;
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
    server->method = tls_bio_method();
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
    struct tls_session *session = tls_session_make(world, handle);
    if (!session)
        return NULL;
    session->server = server;
    server->holds++;
    return session;
}

bool tls_server_attach(struct tls_session *session)
{
    const struct tls_server *server = session->server;
    if (!tls_session_attach(session, server->contexts[0], server->method))
        return false;
    SSL_set_accept_state(session->ssl);
    if (server->key_count == 0)
        SSL_set_num_tickets(session->ssl, 0);
    return true;
}
