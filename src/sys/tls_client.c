/*
 * One SSL_CTX for all connections of a process: what differs between them (whom they want, how well
 * it is to be proved, what of ours they show) is set on each. It has OpenSSL's default library
 * context, for its keys are in our memory, not behind a provider of ours.
 *
 * Suites are wider than the server's. A stranger's host that knows nothing better than CBC, or RSA
 * for the exchange of keys, would get its mail in the clear otherwise, or, where a policy forbids
 * that, not at all; who wants better can have it, for the strongest come first.
 *
 * A handshake never yields: it is waited for between its steps only, and these run on the loop's
 * own stack, so that a stranger's chain of certificates may be as deep as OpenSSL likes.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/must.h"
#include "sys/tls_inside.h"
#include "sys/tls_verify.h"

#define CLIENT_MAGIC MAGIC('T', 'L', 'S', 'O')

#define SUITES12                                                                                   \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:kRSA+AESGCM:kRSA+AES:"  \
    "!aNULL:!aPSK:!aDSS:!aSRP"

enum {
    TICKETS_MOST = 4, /* that a server may give in one connection */
};

struct tls_client {
    uint32_t magic;
    size_t holds;
    SSL_CTX *context;
    BIO_METHOD *method;
    struct tls_kept *kept;
    size_t authorities;
};

static int chain_came(X509_STORE_CTX *store, void *arg)
{
    (void)arg;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_wanted *wanted = tls_session_of(ssl)->wanted;
    return tls_verify_chain(store, wanted->verify, &wanted->verdict);
}

static void keep(const struct tls_session *session, SSL_SESSION *kept)
{
    struct tls_wanted *wanted = session->wanted;
    int64_t until = world_mono(session->world) + TLS_SESSION_LIFE * NS_PER_SECOND;
    if (!wanted->keeps || wanted->tickets >= TICKETS_MOST || !SSL_SESSION_is_resumable(kept))
        return;
    wanted->tickets++;
    tls_kept_put(session->client->kept, &wanted->key, kept, &wanted->verdict, until);
}

/* TLS 1.2 has its session before the verdict is spoken: that one is kept behind it. 0: we hold
 * nothing of it. */
static int session_came(SSL *ssl, SSL_SESSION *kept)
{
    if (SSL_version(ssl) >= TLS1_3_VERSION)
        keep(tls_session_of(ssl), kept);
    return 0;
}

static bool context_fill(SSL_CTX *context)
{
    SSL_CTX_set_max_cert_list(context, TLS_HANDSHAKE_MAX);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, session_came);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, chain_came, NULL);
    return tls_context_limits(context) && SSL_CTX_set_cipher_list(context, SUITES12) == 1 &&
           SSL_CTX_dane_enable(context) > 0;
}

static bool client_fill(struct tls_client *client)
{
    client->kept = tls_kept_open();
    client->method = tls_bio_method();
    client->context = SSL_CTX_new(TLS_client_method());
    return client->kept && client->method && client->context && context_fill(client->context);
}

struct tls_client *tls_client_new(void)
{
    struct tls_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->magic = CLIENT_MAGIC;
    client->holds = 1;
    bool filled = client_fill(client);
    ERR_clear_error();
    if (filled)
        return client;
    tls_client_release(client);
    return NULL;
}

void tls_client_release(struct tls_client *client)
{
    if (!client)
        return;
    must_be(client, CLIENT_MAGIC);
    must(client->holds > 0);
    if (--client->holds > 0)
        return;
    tls_kept_close(client->kept);
    SSL_CTX_free(client->context);
    BIO_meth_free(client->method);
    client->magic = 0;
    free(client);
}

int tls_client_authorities(struct tls_client *client, struct str pem)
{
    int count = 0;
    X509 *one;
    must(pem.n <= INT_MAX);
    BIO *from = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_STORE *store = SSL_CTX_get_cert_store(client->context);
    while (from && (one = PEM_read_bio_X509_AUX(from, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(store, one) == 1;
        X509_free(one);
    }
    BIO_free(from);
    ERR_clear_error();
    client->authorities += (size_t)count;
    return from ? count : -ENOMEM;
}

/* --- A connection --- */

static void resume(struct tls_session *session)
{
    struct tls_wanted *wanted = session->wanted;
    SSL_SESSION *kept = tls_kept_take(session->client->kept, &wanted->key,
                                      world_mono(session->world), &wanted->kept);
    if (kept)
        SSL_set_session(session->ssl, kept);
    SSL_SESSION_free(kept);
}

static void begin(struct tls_session *session, const struct tls_peer *peer)
{
    struct tls_client *client = session->client;
    struct tls_wanted *wanted = session->wanted;
    wanted->verify = peer->verify;
    wanted->keeps = peer->destination.n > 0;
    if (!tls_session_attach(session, client->context, client->method)) {
        wanted->refused = -ENOMEM;
        tls_verify_failed(&wanted->verdict, TLS_RESULT_VALIDATION_FAILURE, "no memory");
        return;
    }
    SSL_set_connect_state(session->ssl);
    if (peer->least == TLS_LEAST_1_3)
        SSL_set_min_proto_version(session->ssl, TLS1_3_VERSION);
    wanted->refused =
        tls_verify_begin(session->ssl, peer, world_wall(session->world) / US_PER_SECOND,
                         client->authorities > 0, &wanted->verdict);
    if (wanted->keeps)
        tls_kept_key(peer, &wanted->key);
    if (wanted->keeps && wanted->refused == 0)
        resume(session);
}

struct tls_session *tls_session_call(struct tls_client *client, const struct tls_peer *peer,
                                     struct world *world, int handle)
{
    must_be(client, CLIENT_MAGIC);
    struct tls_session *session = tls_session_make(world, handle);
    struct tls_wanted *wanted = calloc(1, sizeof(*wanted));
    if (!session || !wanted) {
        free(session);
        free(wanted);
        return NULL;
    }
    client->holds++;
    session->client = client;
    session->wanted = wanted;
    ERR_clear_error();
    begin(session, peer);
    ERR_clear_error();
    return session;
}

int tls_client_over(struct tls_session *session, int e, const char *why)
{
    struct tls_wanted *wanted = session->wanted;
    bool resumed = e == 0 && SSL_session_reused(session->ssl);
    if (resumed)
        wanted->verdict = wanted->kept;
    else if (e == 0 && !tls_verify_over(session->ssl, wanted->verify, &wanted->verdict))
        e = -EPROTO;
    if (e != 0 && (wanted->verdict.result == TLS_RESULT_OK || wanted->verify == TLS_VERIFY_NONE))
        tls_verify_failed(&wanted->verdict, TLS_RESULT_VALIDATION_FAILURE, why);
    if (e != 0)
        session->failure = wanted->verdict.words.p;
    else if (!resumed && SSL_version(session->ssl) < TLS1_3_VERSION)
        keep(session, SSL_get0_session(session->ssl));
    return e;
}

void tls_session_refuse(struct tls_session *session, const char *why)
{
    struct tls_wanted *wanted = session->wanted;
    wanted->refused = wanted->refused ? wanted->refused : -EPROTO;
    tls_verify_failed(&wanted->verdict, TLS_RESULT_VALIDATION_FAILURE, why);
    session->failure = why;
}

void tls_session_verdict(const struct tls_session *session, struct tls_verdict *verdict_r)
{
    must(session->wanted);
    *verdict_r = session->wanted->verdict;
}
