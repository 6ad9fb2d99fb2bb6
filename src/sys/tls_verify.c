/*
 * OpenSSL does the looking: chains, times, names, and TLSA records, whose rules are the ones of RFC
 * 7672 when it is told to look at no name for usage 3. What we add is which records count, and what
 * a failure is called in a report.
 *
 * Where anybody's certificate will do, it is looked at all the same: the log can then say which
 * hosts would pass, before somebody demands it of them. A chain takes half a millisecond, one with
 * signatures on P-384 a whole one; who is resumed is not looked at again.
 */
#include "sys/tls_verify.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/must.h"
#include "base/network.h"

enum {
    CHAIN_DEPTH = 10,
    WEAK = 1,   /* OpenSSL's security level: 80 bits; better than none at all */
    STRONG = 2, /* 112 bits */
    HOST_MAX = 255,
    USAGE_TA = 2, /* RFC 7218 */
    USAGE_EE = 3,
    SELECTOR_MAX = 1,
    MATCHING_FULL = 0,
    MATCHING_SHA256 = 1,
    MATCHING_SHA512 = 2,
    SHA256_OCTETS = 32,
    SHA512_OCTETS = 64,
};

static const struct {
    int error;
    enum tls_result result;
} results[] = {
    {X509_V_ERR_HOSTNAME_MISMATCH, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {X509_V_ERR_CERT_HAS_EXPIRED, TLS_RESULT_CERTIFICATE_EXPIRED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_INVALID_CA, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_INVALID_PURPOSE, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_CERT_UNTRUSTED, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_CERT_REJECTED, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_PERMITTED_VIOLATION, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_EXCLUDED_VIOLATION, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_EE_KEY_TOO_SMALL, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_CA_KEY_TOO_SMALL, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {X509_V_ERR_CA_MD_TOO_WEAK, TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
};

static enum tls_result result_of(int error)
{
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i].error == error)
            return results[i].result;
    return TLS_RESULT_VALIDATION_FAILURE;
}

void tls_verify_failed(struct tls_verdict *verdict, enum tls_result result, const char *words)
{
    *verdict = (struct tls_verdict){.result = result, .words = str_from(words)};
}

static int refuse(struct tls_verdict *verdict, int error, const char *words)
{
    tls_verify_failed(verdict, TLS_RESULT_VALIDATION_FAILURE, words);
    return error;
}

/* --- TLSA records --- */

bool tls_tlsa_is_usable(const struct tls_tlsa *record)
{
    if ((record->usage != USAGE_TA && record->usage != USAGE_EE) ||
        record->selector > SELECTOR_MAX || record->data.n == 0)
        return false;
    return record->matching == MATCHING_FULL ||
           (record->matching == MATCHING_SHA256 && record->data.n == SHA256_OCTETS) ||
           (record->matching == MATCHING_SHA512 && record->data.n == SHA512_OCTETS);
}

/* How many of the records can be used; OpenSSL refuses what is no certificate or key. -ENOMEM. */
static int records_add(SSL *ssl, const struct tls_peer *peer)
{
    int usable = 0;
    for (size_t i = 0; i < peer->tlsa_count && usable < TLS_TLSA_MAX; i++) {
        const struct tls_tlsa *record = &peer->tlsa[i];
        if (!tls_tlsa_is_usable(record))
            continue;
        int added = SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
                                      (const unsigned char *)record->data.p, record->data.n);
        if (added < 0)
            return -ENOMEM;
        usable += added;
    }
    return usable;
}

/* --- Names --- */

static bool is_ip(struct str name)
{
    struct network address;
    return network_address(name, &address);
}

/* As libc has it; false: no host is called so. OpenSSL takes a dot in front for "all below". */
static bool host_name(struct str name, char to[HOST_MAX + 1])
{
    if (name.n == 0 || name.n > HOST_MAX || name.p[0] == '.' || memchr(name.p, '\0', name.n))
        return false;
    memcpy(to, name.p, name.n);
    to[name.n] = '\0';
    return true;
}

static bool name_wanted(X509_VERIFY_PARAM *want, struct str name)
{
    char text[HOST_MAX + 1];
    if (!host_name(name, text))
        return false;
    return is_ip(name) ? X509_VERIFY_PARAM_set1_ip_asc(want, text) == 1
                       : X509_VERIFY_PARAM_add1_host(want, text, name.n) == 1;
}

static bool names_wanted(X509_VERIFY_PARAM *want, const struct tls_peer *peer)
{
    const struct str *names = peer->name_count > 0 ? peer->names : &peer->name;
    size_t count = peer->name_count > 0 ? peer->name_count : 1;
    if (count > TLS_PEER_NAMES_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!name_wanted(want, names[i]))
            return false;
    return true;
}

/* Without any name every certificate would have it. Nobody is called this (RFC 6761 6.4). */
static bool no_name_wanted(X509_VERIFY_PARAM *want)
{
    return X509_VERIFY_PARAM_set1_host(want, "no-name.invalid", 0) == 1;
}

static bool name_shown(SSL *ssl, struct str name)
{
    char text[HOST_MAX + 1];
    if (name.n == 0 || is_ip(name))
        return true;
    return host_name(name, text) &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, text) == 1;
}

/* --- A certificate of ours --- */

/* OpenSSL would ask at the terminal. */
static int no_password(char *to, int room, int writing, void *arg)
{
    (void)to;
    (void)room;
    (void)writing;
    (void)arg;
    return -1;
}

static bool chain_shown(SSL *ssl, struct str pem)
{
    BIO *from = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *one = from ? PEM_read_bio_X509(from, NULL, no_password, NULL) : NULL;
    bool done = one && SSL_use_certificate(ssl, one) == 1;
    X509_free(one);
    for (int i = 1; done && i < TLS_CHAIN_MAX; i++) {
        one = PEM_read_bio_X509(from, NULL, no_password, NULL);
        if (!one)
            break;
        done = SSL_ctrl(ssl, SSL_CTRL_CHAIN_CERT, 1, one) == 1;
        X509_free(one);
    }
    BIO_free(from);
    return done;
}

static bool key_shown(SSL *ssl, struct str pem)
{
    BIO *from = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = from ? PEM_read_bio_PrivateKey(from, NULL, no_password, NULL) : NULL;
    bool done = key && SSL_use_PrivateKey(ssl, key) == 1 && SSL_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    BIO_free(from);
    return done;
}

static bool shows_ours(SSL *ssl, const struct tls_peer *peer)
{
    return peer->certificate.n == 0 ||
           (chain_shown(ssl, peer->certificate) && key_shown(ssl, peer->key));
}

/* --- Before and behind the handshake --- */

static int dane_begin(SSL *ssl, const struct tls_peer *peer, struct tls_verdict *verdict)
{
    char base[HOST_MAX + 1];
    if (!host_name(peer->name, base))
        return refuse(verdict, -EINVAL, "no name to look for");
    if (SSL_dane_enable(ssl, base) <= 0)
        return refuse(verdict, -ENOMEM, "no memory");
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    int usable = records_add(ssl, peer);
    if (usable < 0)
        return refuse(verdict, usable, "no memory");
    if (usable == 0) {
        struct str words = tls_result_text(TLS_RESULT_TLSA_INVALID);
        tls_verify_failed(verdict, TLS_RESULT_TLSA_INVALID, words.p);
        return -EPROTO;
    }
    return 0;
}

int tls_verify_begin(SSL *ssl, const struct tls_peer *peer, int64_t now, bool authorities,
                     struct tls_verdict *verdict_r)
{
    X509_VERIFY_PARAM *want = SSL_get0_param(ssl);
    bool anybody = peer->verify == TLS_VERIFY_NONE, dane = peer->verify == TLS_VERIFY_DANE;
    int e = 0;
    *verdict_r = (struct tls_verdict){.proof = TLS_PROOF_NONE};
    SSL_set_security_level(ssl, peer->verify == TLS_VERIFY_PKIX ? STRONG : WEAK);
    SSL_set_verify_depth(ssl, CHAIN_DEPTH);
    if (anybody)
        SSL_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
    X509_VERIFY_PARAM_set_time(want, (time_t)now);
    X509_VERIFY_PARAM_set_hostflags(want, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                              (dane ? 0 : X509_CHECK_FLAG_NEVER_CHECK_SUBJECT));
    if (dane)
        e = dane_begin(ssl, peer, verdict_r);
    else if (!name_shown(ssl, peer->name) && !anybody)
        e = refuse(verdict_r, -EINVAL, "no name to look for");
    if (e == 0 && !names_wanted(want, peer))
        e = anybody && no_name_wanted(want) ? 0 : refuse(verdict_r, -EINVAL, "no name to look for");
    if (e == 0 && peer->verify == TLS_VERIFY_PKIX && !authorities) {
        tls_verify_failed(verdict_r, TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
                          "no certificates of authorities are known here");
        e = -EPROTO;
    }
    if (e == 0 && !shows_ours(ssl, peer))
        e = refuse(verdict_r, -EINVAL, "our own certificate or its key cannot be read");
    return e;
}

int tls_verify_chain(X509_STORE_CTX *store, enum tls_verify verify, struct tls_verdict *verdict)
{
    int said = X509_verify_cert(store), error = X509_STORE_CTX_get_error(store);
    if (said == 1)
        *verdict = (struct tls_verdict){.proof = TLS_PROOF_PKIX};
    else
        tls_verify_failed(verdict, result_of(error), X509_verify_cert_error_string(error));
    if (verify != TLS_VERIFY_NONE)
        return said;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

bool tls_verify_over(SSL *ssl, enum tls_verify verify, struct tls_verdict *verdict)
{
    if (verify != TLS_VERIFY_DANE)
        return verify == TLS_VERIFY_NONE || verdict->proof == TLS_PROOF_PKIX;
    struct tls_verdict proved = {.proof = TLS_PROOF_NONE};
    if (SSL_get0_dane_tlsa(ssl, &proved.usage, &proved.selector, &proved.matching, NULL, NULL) >= 0)
        proved.proof = proved.usage == USAGE_EE ? TLS_PROOF_DANE_EE : TLS_PROOF_DANE_TA;
    *verdict = proved;
    return proved.proof != TLS_PROOF_NONE;
}
