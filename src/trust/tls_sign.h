/*
 * The signature of a TLS handshake, as its server: typed parts in, what is signed is built here. So
 * who asks gets handshakes signed and nothing else: no certificate, no client's proof, no token.
 *
 *   TLS 1.3 (RFC 8446 4.4.3)   64 spaces, "TLS 1.3, server CertificateVerify", NUL, transcript hash
 *   TLS 1.2 (RFC 8422 5.4)     client random, server random, ServerECDHParams
 *
 * In TLS 1.2 the parts are the asker's choice but for their form. Demanded are: a named curve that
 * we offer, a point of its exact length and form with nothing behind it, and the mark at the end of
 * the server's random that a server which knows TLS 1.3 puts there (RFC 8446 4.1.3). That mark and
 * the head of the parameters are thirteen octets that stand where no other structure has them, and
 * nobody can use us to talk a 1.3 client down.
 *
 * Pure, but an RSA signature takes a millisecond: a worker lane's work. A key may sign on several
 * threads at once.
 */
#ifndef TRUST_TLS_SIGN_H
#define TRUST_TLS_SIGN_H

#include "base/buf.h"
#include "trust/certificate.h"

enum {
    TLS_SIGNED_MAX = TLS_RANDOMS + 4 + 97, /* octets of what is signed: 1.2 with P-384 */
};

enum tls_group { /* RFC 8446 4.2.7: those we offer */
    TLS_P256 = 0x0017,
    TLS_P384 = 0x0018,
    TLS_X25519 = 0x001d,
};

/* What is to be signed, in the octets of `to`. ERR_BUS_BROKEN with a literal as detail: a part is
 * not of its form, or the scheme does not fit this kind of key. */
struct err tls_signed_print(const struct tls_signing *what, enum key_kind kind, struct buf *to);

/* At most TLS_SIGNATURE_MAX octets. `key` of `what` is not looked at. ERR_BUS_BROKEN as above;
 * ERR_NO_MEMORY. */
struct err tls_sign(const struct private_key *key, const struct tls_signing *what,
                    unsigned char *signature_r, size_t *length_r);

#endif
