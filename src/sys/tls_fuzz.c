/* Any octets as what a client says in a handshake: the first octet says how the server is made and
 * whether octets come by records, the second how many come at a time. Property: a step ends with
 * success, with a wait, or with words why not; what the server sends is made of records; what it
 * wants signed has the form that core demands; and nobody says more than a handshake may have. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/must.h"
#include "sys/loop.h"
#include "sys/tls_hello.h"
#include "sys/tls_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ASKS_CERTIFICATES = 1,
    BY_RECORDS = 2,
    WITHOUT_TICKETS = 4,
    FIRST_TYPE = 20, /* RFC 8446 5.1 */
    ALERT = 21,
    LAST_TYPE = 23,
    HANDLE = 3,
    SIGNATURE = 64,
    RECORD_MOST = 16384 + 256, /* octets of a record that is encrypted */
    READ_MOST = RECORD_MOST + TLS_RECORD_HEAD,
    VALID = 3650 * 86400, /* seconds */
};

/* The client: what is left of it, and what of that may be read now. */
struct talk {
    struct world world;
    struct str rest, ready;
    size_t said;
    bool by_records, is_over;
    unsigned pieces;
    struct buf sent;
};

static struct talk *talk_of(struct world *world)
{
    return (struct talk *)world;
}

static ssize_t talk_recv(struct world *world, int handle, void *to, size_t n)
{
    struct talk *talk = talk_of(world);
    must(handle == HANDLE);
    if (talk->ready.n == 0)
        return talk->is_over ? 0 : -EAGAIN;
    n = n < talk->ready.n ? n : talk->ready.n;
    memcpy(to, talk->ready.p, n);
    talk->ready = str_from_index(talk->ready, n);
    talk->said += n;
    return (ssize_t)n;
}

static ssize_t talk_send(struct world *world, int handle, const struct iovec *parts, int count)
{
    struct talk *talk = talk_of(world);
    ssize_t all = 0;
    must(handle == HANDLE);
    for (int i = 0; i < count; i++) {
        must(buf_put(&talk->sent, str_make(parts[i].iov_base, parts[i].iov_len)));
        all += (ssize_t)parts[i].iov_len;
    }
    return all;
}

static const struct world_ops ops = {.recv = talk_recv, .send = talk_send};

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

/* --- What holds ------------------------------------------------------------------------------ */

static void are_records(struct str sent)
{
    while (sent.n > 0) {
        const unsigned char *head = (const unsigned char *)sent.p;
        must(sent.n >= TLS_RECORD_HEAD && head[0] >= FIRST_TYPE && head[0] <= LAST_TYPE);
        must(head[1] == 3 || head[0] == ALERT); /* which repeats the client's version */
        size_t length = (size_t)head[3] << 8 | head[4];
        must(length > 0 && length <= RECORD_MOST && TLS_RECORD_HEAD + length <= sent.n);
        sent = str_from_index(sent, TLS_RECORD_HEAD + length);
    }
}

static size_t record_length(struct str rest)
{
    const unsigned char *head = (const unsigned char *)rest.p;
    return rest.n < TLS_RECORD_HEAD ? rest.n : TLS_RECORD_HEAD + ((size_t)head[3] << 8 | head[4]);
}

static void more_comes(struct talk *talk)
{
    size_t n = talk->by_records ? record_length(talk->rest)
               : talk->pieces   ? talk->pieces
                                : talk->rest.n;
    struct str piece = str_head(talk->rest, n);
    talk->rest = str_from_index(talk->rest, piece.n);
    talk->ready = piece;
}

/* True: it waits for more. */
static bool step(struct tls_session *session)
{
    int e = tls_session_handshake(session);
    if (e == -EAGAIN)
        must(tls_session_waits(session) == READY_READ);
    else if (e != 0)
        must(e < 0 && tls_session_failure(session).n > 0);
    return e == -EAGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct talk talk = {.world = {.ops = &ops},
                        .rest = str_make(data + 2, n - 2),
                        .by_records = data[0] & BY_RECORDS,
                        .pieces = data[1],
                        .sent = BUF_INIT(1 << 20)};
    struct tls_session *session = tls_session_new(server_of(data[0]), &talk.world, HANDLE);
    must(session);
    bool waits = true;
    while (waits && talk.rest.n > 0) {
        more_comes(&talk);
        waits = step(session);
    }
    talk.is_over = true;
    must(!waits || !step(session));
    must(talk.said <= TLS_HANDSHAKE_MAX + READ_MOST);
    are_records(buf_str(&talk.sent));
    tls_session_free(session);
    buf_done(&talk.sent);
    return 0;
}
