/*
 * The signature of a TLS handshake, as its server: typed parts in, what is signed is built here. So
 * who asks gets handshakes signed and nothing else: no certificate, no client's proof, no token.
 *
 *   TLS 1.3 (RFC 8446 4.4.3)   64 spaces, "TLS 1.3, server CertificateVerify", NUL, transcript hash
 *   TLS 1.2 (RFC 8422 5.4)     client random, server random, ServerECDHParams
 *
 * In TLS 1.2 the parts are the asker's choice but for their form. Demanded are: a named curve that
 * we offer, a point on it of its exact length and form with nothing behind, and the mark at the end
 * of the server's random that a server which knows TLS 1.3 puts there (RFC 8446 4.1.3). That mark
 * also keeps a taken-over edge from talking a 1.3 client down.
 *
 * Pure, but an RSA signature takes a millisecond: a worker lane's work. A key may sign on several
 * threads at once.
 */
#ifndef TRUST_TLS_SIGN_H
#define TRUST_TLS_SIGN_H

#include "base/buf.h"
#include "trust/certificate.h"

enum {
    TLS_SIGN_RANDOMS = 64,                      /* octets: the client's and the server's */
    TLS_SIGNED_MAX = TLS_SIGN_RANDOMS + 4 + 97, /* of what is signed: 1.2 with P-384 */
    TLS_SIGN_MAX = 1024,                        /* of a signature: RSA of 8192 bits */
};

enum tls_group { /* RFC 8446 4.2.7: those we offer */
    TLS_P256 = 0x0017,
    TLS_P384 = 0x0018,
    TLS_X25519 = 0x001d,
};

struct tls_sign {
    uint16_t scheme;    /* SignatureScheme (RFC 8446 4.2.3) */
    struct str randoms; /* TLS 1.2: the client's and the server's; empty: TLS 1.3 */
    struct str what;    /* TLS 1.2: ServerECDHParams; TLS 1.3: the transcript hash */
};

/* The octets that are signed for this, added to `to`. ERR_BUS_BROKEN with a literal as detail: a
 * part is not of its form, or the scheme does not fit this kind of key. */
struct err tls_signed_print(const struct tls_sign *what, enum key_kind kind, struct buf *to);

/* Room for TLS_SIGN_MAX octets. ERR_BUS_BROKEN as above; ERR_NO_MEMORY. */
struct err tls_sign(const struct private_key *key, const struct tls_sign *what,
                    unsigned char signature_r[TLS_SIGN_MAX], size_t *length_r);

#endif
