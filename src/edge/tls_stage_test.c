#include "edge/tls_stage_test.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/must.h"
#include "format/encodings.h"
#include "trust/tls_sign.h"

enum {
    KEY = 7, /* core's number for it */
    TURNS = 50,
    CHUNK = 16 * 1024,
};

/* --- Core's part ----------------------------------------------------------------------------- */

void tls_core_open(struct tls_core *core)
{
    static const unsigned char serial[CERTIFICATE_SERIAL] = {1};
    struct str name = STR(TLS_STAGE_NAME);
    *core = (struct tls_core){.key = NULL};
    arena_init(&core->arena, 1 << 20);
    must(!err_is(certificate_make(&name, 1, INT64_C(1795240637) * 1000000, serial, &core->arena,
                                  &core->pem, &core->key_pem)));
    must(!err_is(certificate_parse(core->pem, &core->arena, &core->certificate)));
    must(!err_is(private_key_parse(core->key_pem, &core->key)));
}

void tls_core_close(struct tls_core *core)
{
    private_key_free(core->key);
    arena_done(&core->arena);
    core->key = NULL;
}

void tls_core_tell(const struct tls_core *core, struct link *link)
{
    struct msg_text_line name = {.text = STR(TLS_STAGE_NAME)};
    struct msg_chain_link chain = {.der = core->certificate.links[0]};
    struct msg identity = {.kind = MSG_identity,
                           .identity = {.key = KEY,
                                        .standard = 1,
                                        .names = &name,
                                        .names_count = 1,
                                        .chain = &chain,
                                        .chain_count = 1}};
    struct msg end = {.kind = MSG_identities, .identities = {.count = 1}};
    if (!core->key)
        return;
    must(!err_is(link_send(link, &identity)));
    must(!err_is(link_send(link, &end)));
}

bool tls_core_answer(struct tls_core *core, const struct msg *asked, struct msg *answer_r)
{
    static unsigned char signature[TLS_SIGN_MAX];
    size_t length = 0;
    if (asked->kind != MSG_sign)
        return false;
    const struct msg_sign *sign = &asked->sign;
    struct tls_sign what = {.scheme = sign->scheme, .randoms = sign->randoms, .what = sign->what};
    must(sign->key == KEY && core->key);
    must(!err_is(tls_sign(core->key, &what, signature, &length)));
    core->signatures++;
    *answer_r =
        (struct msg){.kind = MSG_signature, .signature = {.octets = str_make(signature, length)}};
    return true;
}

/* --- The client ------------------------------------------------------------------------------ */

static void show(SSL_CTX *context, const struct tls_core *core)
{
    BIO *chain = BIO_new_mem_buf(core->pem.p, (int)core->pem.n);
    BIO *key = BIO_new_mem_buf(core->key_pem.p, (int)core->key_pem.n);
    X509 *certificate = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    must(SSL_CTX_use_cert_and_key(context, certificate, pkey, NULL, 1) == 1);
    X509_free(certificate);
    EVP_PKEY_free(pkey);
    BIO_free(chain);
    BIO_free(key);
}

void tls_client_open(struct tls_client *client, const struct tls_client_settings *settings,
                     struct fake_client *fake, void (*settle)(void *arg), void *arg)
{
    *client = (struct tls_client){.fake = fake, .settle = settle, .arg = arg};
    client->context = SSL_CTX_new(TLS_client_method());
    must(SSL_CTX_set_min_proto_version(client->context, settings->version) &&
         SSL_CTX_set_max_proto_version(client->context, settings->version));
    if (settings->shows)
        show(client->context, settings->shows);
    client->ssl = SSL_new(client->context);
    if (settings->alpn) {
        unsigned char names[256];
        size_t n = strlen(settings->alpn);
        names[0] = (unsigned char)n;
        memcpy(names + 1, settings->alpn, n);
        must(SSL_set_alpn_protos(client->ssl, names, (unsigned)n + 1) == 0);
    }
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
}

void tls_client_close(struct tls_client *client)
{
    SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    ERR_clear_error();
}

static void pump(struct tls_client *client)
{
    char octets[CHUNK];
    int n;
    size_t got;
    while ((n = BIO_read(SSL_get_wbio(client->ssl), octets, sizeof octets)) > 0) {
        struct str rest = str_make(octets, (size_t)n);
        while (rest.n > 0 && fake_client_state(client->fake) == FAKE_CLIENT_OPEN) {
            rest = str_from_index(rest, fake_client_send(client->fake, rest));
            client->settle(client->arg);
        }
    }
    client->settle(client->arg);
    while ((got = fake_client_recv(client->fake, octets, sizeof octets)) > 0)
        must(BIO_write(SSL_get_rbio(client->ssl), octets, (int)got) == (int)got);
}

bool tls_client_shakes_hands(struct tls_client *client)
{
    int done = 0;
    for (int i = 0; i < TURNS && done != 1; i++) {
        ERR_clear_error();
        done = SSL_do_handshake(client->ssl);
        if (done != 1 && SSL_get_error(client->ssl, done) != SSL_ERROR_WANT_READ)
            break;
        pump(client);
    }
    ERR_clear_error();
    return done == 1;
}

void tls_client_say(struct tls_client *client, struct str text, struct buf *heard)
{
    char octets[CHUNK];
    int n;
    ERR_clear_error();
    if (text.n > 0)
        must(SSL_write(client->ssl, text.p, (int)text.n) == (int)text.n);
    for (int quiet = 0; quiet < 2; quiet++) {
        pump(client);
        ERR_clear_error();
        while ((n = SSL_read(client->ssl, octets, sizeof octets)) > 0) {
            buf_put(heard, str_make(octets, (size_t)n));
            quiet = 0;
        }
    }
    ERR_clear_error();
}

struct str tls_client_binding(struct tls_client *client, enum tls_binding which,
                              unsigned char to[TLS_BINDING_MAX])
{
    static const char label[] = "EXPORTER-Channel-Binding";
    unsigned n = 0;
    if (which == TLS_BINDING_EXPORTER) {
        must(SSL_export_keying_material(client->ssl, to, 32, label, sizeof label - 1,
                                        (const unsigned char *)"", 0, 1) == 1);
        return str_make(to, 32);
    }
    X509 *certificate = SSL_get1_peer_certificate(client->ssl);
    must(certificate && X509_digest(certificate, EVP_sha256(), to, &n) == 1);
    X509_free(certificate);
    return str_make(to, n);
}

/* --- SCRAM ----------------------------------------------------------------------------------- */

static void hmac(const unsigned char key[32], struct str text, unsigned char to[32])
{
    unsigned n = 32;
    must(HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, to, &n));
}

static void prove(struct str server_first, struct str message, unsigned char proof[32])
{
    unsigned char salted[32], key[32], stored[32], signature[32];
    struct buf salt = BUF_INIT(64);
    ssize_t s = str_find(server_first, STR(",s=")), i = str_find(server_first, STR(",i="));
    uint64_t rounds;
    must(s > 0 && i > s && str_to_u64(str_from_index(server_first, (size_t)i + 3), &rounds));
    must(base64_parse(str_make(server_first.p + s + 3, (size_t)(i - s - 3)), &salt));
    must(PKCS5_PBKDF2_HMAC("secret", 6, (const unsigned char *)salt.p, (int)salt.n, (int)rounds,
                           EVP_sha256(), 32, salted));
    hmac(salted, STR("Client Key"), key);
    must(EVP_Digest(key, 32, stored, NULL, EVP_sha256(), NULL));
    hmac(stored, message, signature);
    for (size_t at = 0; at < 32; at++)
        proof[at] = key[at] ^ signature[at];
    buf_done(&salt);
}

void tls_client_scram(struct str gs2, struct str binding, struct str first, struct str challenge,
                      struct buf *to)
{
    unsigned char proof[32];
    struct buf server_first = BUF_INIT(4096), bound = BUF_INIT(4096), last = BUF_INIT(4096),
               message = BUF_INIT(8192);
    must(base64_parse(challenge, &server_first));
    struct str nonce = str_from_index(buf_str(&server_first), 2);
    nonce = str_cut(&nonce, ',');
    buf_put(&bound, gs2);
    buf_put(&bound, binding);
    buf_put(&last, STR("c="));
    base64_print(&last, buf_str(&bound));
    buf_printf(&last, ",r=%.*s", STR_FMT(nonce));
    buf_printf(&message, "%.*s,%.*s,%.*s", STR_FMT(first), STR_FMT(buf_str(&server_first)),
               STR_FMT(buf_str(&last)));
    prove(buf_str(&server_first), buf_str(&message), proof);
    buf_put(&last, STR(",p="));
    base64_print(&last, str_make(proof, sizeof proof));
    base64_print(to, buf_str(&last));
    buf_done(&server_first);
    buf_done(&bound);
    buf_done(&last);
    buf_done(&message);
}
