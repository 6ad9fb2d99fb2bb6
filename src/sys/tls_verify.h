/*
 * What a server has to prove, as OpenSSL is told and as it answers. Only the files of TLS include
 * this.
 */
#ifndef SYS_TLS_VERIFY_H
#define SYS_TLS_VERIFY_H

#include <openssl/ssl.h>

#include "sys/tls.h"

/* Tells the connection whom it wants, at this time (seconds since 1970). Borrows nothing. 0, or
 * -errno, and then the verdict says why: -EINVAL: a name or a certificate that is none, -EPROTO:
 * nobody could prove that, -ENOMEM. `authorities`: we know any. */
int tls_verify_begin(SSL *ssl, const struct tls_peer *peer, int64_t now, bool authorities,
                     struct tls_verdict *verdict_r);
/* In place of OpenSSL's own look at the certificates it got; the same answers. The verdict is set
 * either way. */
int tls_verify_chain(X509_STORE_CTX *store, enum tls_verify verify, struct tls_verdict *verdict);
/* Behind a handshake that was not resumed: what proved it. False: nothing did, whatever OpenSSL
 * says. */
bool tls_verify_over(SSL *ssl, enum tls_verify verify, struct tls_verdict *verdict);

/* It failed before anybody had to prove anything. Words: a literal. */
void tls_verify_failed(struct tls_verdict *verdict, enum tls_result result, const char *words);

#endif
