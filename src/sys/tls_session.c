/*
 * A connection reads and writes by a BIO of ours that calls the world. It answers "later" where the
 * caller wanted no more system calls, so that one busy peer is read as seldom as a plain one. It
 * knows the end of the connection itself and does not tell OpenSSL, which would take an end without
 * close_notify for a fatal error and refuse to write what the peer still waits for.
 *
 * OpenSSL's error queue belongs to the thread, and a server's handshake yields in its middle: the
 * queue is empty before each call, read at once behind it and emptied again; tls_key.c empties it
 * where the fiber comes back.
 *
 * Nobody waits for a ticket, so it does not leave by itself: it goes out in front of what is said
 * next, which is mostly a greeting. With nothing to say it is pushed by whoever drives the session.
 */
#include <errno.h>
#include <openssl/err.h>

#include "base/must.h"
#include "sys/loop.h"
#include "sys/tls_inside.h"

enum {
    TICKET_MAX = 64 * 1024, /* octets that are held; what a client showed is in them */
    EXPORTER_SIZE = 32,     /* RFC 9266 */
};

/* The connection as a BIO */

static int bio_read(BIO *bio, char *to, int room)
{
    struct tls_session *session = BIO_get_data(bio);
    must_be(session, TLS_SESSION_MAGIC);
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
            (session->server && !tls_hello_heard(&session->hello, str_make(to, (size_t)n))))
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
    must_be(session, TLS_SESSION_MAGIC);
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

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "world");
    if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* What both sides have */

struct tls_session *tls_session_of(const SSL *ssl)
{
    struct tls_session *session = SSL_get_app_data(ssl);
    must_be(session, TLS_SESSION_MAGIC);
    return session;
}

bool tls_list_set(SSL_CTX *context, int what, const char *list)
{
    return SSL_CTX_ctrl(context, what, 0, (void *)(uintptr_t)list) == 1;
}

bool tls_context_limits(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_timeout(context, TLS_SESSION_LIFE);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, 0) == 1 &&
           SSL_CTX_set_ciphersuites(context, TLS_SUITES13) == 1 &&
           (tls_list_set(context, SSL_CTRL_SET_GROUPS_LIST, TLS_GROUPS_LATER) ||
            tls_list_set(context, SSL_CTRL_SET_GROUPS_LIST, TLS_GROUPS)) &&
           SSL_CTX_set_max_early_data(context, 0) == 1;
}

bool tls_certificate_hash(X509 *certificate, unsigned char *to, size_t *length_r)
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

/* A connection */

struct tls_session *tls_session_make(struct world *world, int handle)
{
    struct tls_session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    *session = (struct tls_session){.magic = TLS_SESSION_MAGIC,
                                    .world = world,
                                    .handle = handle,
                                    .waits = READY_READ,
                                    .held = BUF_INIT(TICKET_MAX)};
    return session;
}

void tls_session_free(struct tls_session *session)
{
    must_be(session, TLS_SESSION_MAGIC);
    session->failed = -ECANCELED;
    /* Else OpenSSL takes a session that was not taken leave of for one not to be resumed. */
    if (session->client && session->ssl)
        SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN);
    SSL_free(session->ssl);
    buf_done(&session->held);
    free(session->wanted);
    tls_server_release(session->server);
    tls_client_release(session->client);
    session->magic = 0;
    free(session);
}

void tls_session_cut(struct tls_session *session)
{
    session->failed = -ECANCELED;
}

bool tls_session_attach(struct tls_session *session, SSL_CTX *context, BIO_METHOD *method)
{
    session->ssl = SSL_new(context);
    BIO *bio = NULL;
    if (session->ssl && SSL_set_app_data(session->ssl, session) == 1)
        bio = BIO_new(method);
    if (!bio) {
        SSL_free(session->ssl);
        session->ssl = NULL;
        return false;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
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
        return session->server ? "the client says too much" : "the server says too much";
    if (session->failed || session->ended)
        return session->server ? "the client went away" : "the server went away";
    if (was_signing(session->ssl))
        return "no signature could be had";
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? text : "OpenSSL does not say why";
}

int tls_session_handshake(struct tls_session *session)
{
    must_be(session, TLS_SESSION_MAGIC);
    ERR_clear_error();
    if (session->wanted && session->wanted->refused)
        return tls_client_over(session, session->wanted->refused, session->wanted->verdict.words.p);
    if (!session->ssl && !tls_server_attach(session)) {
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
    if (result != 1 && e == 0)
        e = -EPIPE;
    if (session->wanted && e != -EAGAIN)
        e = tls_client_over(session, e, session->failure);
    ERR_clear_error();
    return e;
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
    must_be(session, TLS_SESSION_MAGIC);
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
    must_be(session, TLS_SESSION_MAGIC);
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
    must_be(session, TLS_SESSION_MAGIC);
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
    must_be(session, TLS_SESSION_MAGIC);
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
        return tls_certificate_hash(SSL_get_certificate(ssl), to, length_r);
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
