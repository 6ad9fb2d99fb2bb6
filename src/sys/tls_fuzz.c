/* Any octets as what a client says in a handshake: the first octet says how the server is made and
 * whether octets come by records, the second how many come at a time. Property: a step ends with
 * success, with a wait, or with words why not; what the server sends is made of records; what it
 * wants signed has the form that core demands; and nobody says more than a handshake may have. */
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "sys/tls_talk_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ASKS_CERTIFICATES = 1, /* of the first octet, beside BY_RECORDS */
    WITHOUT_TICKETS = 4,
    SIGNATURE = 64,
    VALID = 3650 * 86400, /* seconds */
};

/* --- The server ------------------------------------------------------------------------------ */

static struct err sign(void *arg, const struct tls_signing *what, unsigned char *signature_r,
                       size_t *length_r)
{
    (void)arg;
    must(what->key < 2);
    if (what->randoms.n == 0)
        must(what->what.n == 32 || what->what.n == 48);
    else
        must(what->randoms.n == TLS_RANDOMS && str_ends(what->randoms, STR("DOWNGRD\1")));
    memset(signature_r, 's', SIGNATURE);
    *length_r = SIGNATURE;
    return err_none();
}

static struct str certificate(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    X509 *x = X509_new();
    must(key && x && X509_set_version(x, X509_VERSION_3) && X509_set_pubkey(x, key));
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), VALID);
    must(X509_sign(x, key, EVP_sha256()) > 0);
    int n = i2d_X509(x, &der);
    must(n > 0);
    X509_free(x);
    EVP_PKEY_free(key);
    return str_make(der, (size_t)n);
}

static struct tls_server *server_make(bool asks, bool seals)
{
    static struct str chains[2];
    static const struct str name = STR_INIT("mail.example.test");
    static const struct tls_ticket_key key = {.name = "a ticket's name"};
    struct tls_server *server;
    if (!chains[0].p) {
        must(tls_prepare());
        chains[0] = certificate(EVP_EC_gen("P-256"));
        chains[1] = certificate(EVP_RSA_gen(2048));
    }
    const struct tls_identity identities[] = {
        {.key = 0, .names = &name, .name_count = 1, .chain = &chains[0], .chain_count = 1},
        {.key = 1, .names = &name, .name_count = 1, .chain = &chains[1], .chain_count = 1},
    };
    const struct tls_server_settings settings = {
        .alpn = "pop3", .client_certificates = asks, .signer = {.sign = sign}};
    must(!err_is(tls_server_new(&settings, identities, 2, &server)));
    if (seals)
        tls_server_tickets(server, &key, 1);
    return server;
}

/* Made once: it costs more than many handshakes. */
static struct tls_server *server_of(unsigned how)
{
    static struct tls_server *servers[2][2];
    bool asks = how & ASKS_CERTIFICATES, seals = !(how & WITHOUT_TICKETS);
    if (!servers[asks][seals])
        servers[asks][seals] = server_make(asks, seals);
    return servers[asks][seals];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct talk talk = talk_of_input(data, n);
    struct tls_session *session = tls_session_new(server_of(data[0]), &talk.world, HANDLE);
    must(session);
    talk_through(&talk, session);
    tls_session_free(session);
    buf_done(&talk.sent);
    return 0;
}
