/*
 * Sessions of TLS that a client may resume, by what their server was asked to prove: a key is the
 * digest of all of that, so one is never resumed for who asks for something else. With each is kept
 * what was proved, for a resumed handshake proves nothing anew. The one unused for longest goes
 * first where there are TLS_RESUMABLE.
 */
#ifndef SYS_TLS_KEPT_H
#define SYS_TLS_KEPT_H

#include <openssl/ssl.h>

#include "base/sha256.h"
#include "sys/tls.h"

struct tls_kept_key {
    unsigned char octets[SHA256_SIZE];
};

struct tls_kept;

/* NULL: no memory. */
struct tls_kept *tls_kept_open(void);
void tls_kept_close(struct tls_kept *kept); /* NULL is allowed */

void tls_kept_key(const struct tls_peer *peer, struct tls_kept_key *key_r);
/* Takes a hold on the session for itself; false: no memory. `until`: mono. One there was goes. */
bool tls_kept_put(struct tls_kept *kept, const struct tls_kept_key *key, SSL_SESSION *session,
                  const struct tls_verdict *verdict, int64_t until);
/* The caller's hold, or NULL. One of TLS 1.3 is then gone, for each is used once (RFC 8446 C.4). */
SSL_SESSION *tls_kept_take(struct tls_kept *kept, const struct tls_kept_key *key, int64_t now,
                           struct tls_verdict *verdict_r);

#endif
