/*
 * TLS for streams: the only place that knows OpenSSL's SSL. TLS 1.2 and 1.3, no renegotiation,
 * compression or early data. What a stream does with it is in sys/stream.h.
 *
 * As server: certificates are shown, private keys are not here: what a handshake wants signed goes
 * to a struct tls_signer, which may yield (core signs). Forward-secret AEAD suites; tickets in 1.3
 * only (doc/access.md, 2). A struct tls_server is what an edge shows on its listeners: a set of
 * identities, one ALPN name. It does not change but for its ticket keys; a new set of certificates
 * is a new server, and sessions of the old one go on with it until they end.
 *
 * As client: a struct tls_client is what all connections of a process share: the authorities it
 * knows, and the sessions that it may resume. What a server has to prove is said by connection, in
 * a struct tls_peer.
 */
#ifndef SYS_TLS_H
#define SYS_TLS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/tls_result.h"

enum {
    TLS_CHAIN_MAX = 10,  /* certificates of a chain */
    TLS_NAMES_MAX = 100, /* host names of a certificate */
    TLS_IDENTITIES_MAX = 256,
    TLS_SIGNATURE_MAX = 1024, /* octets: RSA of 8192 bits */
    TLS_RANDOMS = 64,
    TLS_TICKET_NAME = 16,
    TLS_TICKET_KEY = 32,
    TLS_TICKET_KEYS_MAX = 3,
    TLS_BINDING_MAX = 64, /* octets of a channel binding */
    TLS_ALPN_MAX = 32,
    TLS_PEER_NAMES_MAX = 16, /* names of which a server's certificate has to have one */
    TLS_TLSA_MAX = 64,       /* records looked at; RFC 7672 has two for each server in mind */
    TLS_RESUMABLE = 1024,    /* sessions that a client keeps */
};

/* What is to be signed, in parts that cannot be mistaken for anything else. */
struct tls_signing {
    uint32_t key;       /* of the identity */
    uint16_t scheme;    /* SignatureScheme (RFC 8446 4.2.3) */
    struct str randoms; /* TLS 1.2: the client's and the server's; empty: TLS 1.3 */
    struct str what;    /* TLS 1.2: ServerECDHParams; TLS 1.3: the transcript hash */
};

struct tls_signer {
    /* May yield. At most TLS_SIGNATURE_MAX octets. */
    struct err (*sign)(void *arg, const struct tls_signing *what, unsigned char *signature_r,
                       size_t *length_r);
    void *arg;
};

/* Texts and arrays are borrowed for the call. */
struct tls_identity {
    uint32_t key;
    bool standard;           /* shown where no name fits; the first, if none is */
    const struct str *names; /* A-labels in lower case; "*.example.test" stands for one label */
    size_t name_count;
    const struct str *chain; /* DER, its own first */
    size_t chain_count;
};

struct tls_server;

struct tls_server_settings {
    /* "pop3", "imap", "smtp", under TLS_ALPN_MAX octets: a client that names others only is
     * refused. A ticket opens where this is the same. */
    const char *alpn;
    /* Asked for; none, and any of 112 bits of strength, is accepted: see tls_facts. */
    bool client_certificates;
    struct tls_signer signer;
};

/* 1 to TLS_IDENTITIES_MAX of them. Several may have the same name: RSA and ECDSA, as the client
 * can. ERR_CONFIG with a literal as detail: a chain that cannot be read or is too weak, or a key
 * that is neither RSA of 2048 to 8192 bits nor ECDSA on P-256 or P-384; ERR_NO_MEMORY. */
struct err tls_server_new(const struct tls_server_settings *settings,
                          const struct tls_identity *identities, size_t count,
                          struct tls_server **server_r);
/* The caller's hold; streams have their own. NULL is allowed. */
void tls_server_release(struct tls_server *server);

struct tls_ticket_key {
    unsigned char name[TLS_TICKET_NAME];
    unsigned char aes[TLS_TICKET_KEY];
    unsigned char mac[TLS_TICKET_KEY];
};

/* The first seals, each opens, TLS_TICKET_KEYS_MAX at most; who comes back by whichever gets a new
 * one by the first. Without any no tickets are given. Copied; older ones are wiped. */
void tls_server_tickets(struct tls_server *server, const struct tls_ticket_key *keys, size_t count);

/* Before the sandbox closes: what OpenSSL loads late. False: no memory. Once in a process; what it
 * holds goes with the process. */
bool tls_prepare(void);

/* --- As client --- */

struct tls_client;

/* NULL: no memory. */
struct tls_client *tls_client_new(void);
/* The caller's hold; streams have their own. NULL is allowed. */
void tls_client_release(struct tls_client *client);
/* Certificates of authorities, PEM, added to those there are; how many, or -ENOMEM. What is not a
 * certificate is passed over. Before the sandbox closes, if they are in a file; Debian's
 * list takes 30 ms. */
int tls_client_authorities(struct tls_client *client, struct str pem);

/* Whose certificate is accepted. */
enum tls_verify {
    TLS_VERIFY_NONE, /* anybody's (RFC 7435); the verdict tells what PKIX would have said */
    TLS_VERIFY_PKIX, /* of one of the names, and an authority vouches for it (RFC 8461 4.1) */
    TLS_VERIFY_DANE, /* as the TLSA records say (RFC 7672 3) */
};

enum tls_least {
    TLS_LEAST_1_2, /* RFC 8996 knows no older one */
    TLS_LEAST_1_3,
};

/* A TLSA record (RFC 6698 2.1). */
struct tls_tlsa {
    uint8_t usage, selector, matching;
    struct str data;
};

/* Of those that can be used for SMTP: DANE-TA and DANE-EE, of which we know selector, matching type
 * and length (RFC 7672 3.1). Where there are records and none of them is that, TLS is a must and
 * the certificate anybody's (RFC 7672 2.2): the caller asks for TLS_VERIFY_NONE then. */
bool tls_tlsa_is_usable(const struct tls_tlsa *record);

/* Texts and arrays are borrowed for the call. */
struct tls_peer {
    enum tls_verify verify;
    enum tls_least least;
    struct str name;         /* for SNI: an A-label host name; the TLSA base domain with DANE (RFC
                              * 7672 8.1).         Empty, or an IP address: none is said */
    const struct str *names; /* any of them is to be in the certificate: host names, or at most one
                              * IP address. With DANE for usage 2 only. None: `name` is */
    size_t name_count;
    const struct tls_tlsa *tlsa;
    size_t tlsa_count;
    /* A session is resumed where this and all else in here is the same: host name, address and port
     * in one. Empty: never. */
    struct str destination;
    /* PEM: a certificate of ours with its chain, if the server asks, and its key. Empty: none. Of
     * the key no copy outlives the stream. */
    struct str certificate, key;
};

enum tls_proof {
    TLS_PROOF_NONE,
    TLS_PROOF_PKIX,
    TLS_PROOF_DANE_EE,
    TLS_PROOF_DANE_TA,
};

/* What a server proved, and what it did not. */
struct tls_verdict {
    enum tls_proof proof;   /* with TLS_VERIFY_NONE also where nothing was asked for */
    enum tls_result result; /* TLS_RESULT_OK, or why it failed. With TLS_VERIFY_NONE of a connection
                             * that is in TLS: why it has no proof */
    struct str words;       /* the same for the log; a literal; empty: OK */
    /* The record that fitted, with a proof by DANE. */
    uint8_t usage, selector, matching;
};

/* What was agreed on; texts are literals or the stream's, until it is done. */
struct tls_facts {
    struct str version; /* "TLSv1.3" */
    struct str cipher;  /* "TLS_AES_256_GCM_SHA384" */
    unsigned bits;      /* of the cipher's key */
    struct str name;    /* SNI; may be empty */
    bool resumed;
    bool has_certificate;          /* the other side's, proved to be its own */
    unsigned char certificate[32]; /* SHA-256 of its DER */
};

enum tls_binding {
    TLS_BINDING_EXPORTER, /* tls-exporter (RFC 9266): TLS 1.3, or 1.2 with extended master secret */
    TLS_BINDING_END_POINT, /* tls-server-end-point (RFC 5929 4) */
};

#endif
