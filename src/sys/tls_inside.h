/*
 * What the files of TLS share: a connection (tls_session.c) is made by a server (tls_server.c) or a
 * client (tls_client.c). Only they include this.
 */
#ifndef SYS_TLS_INSIDE_H
#define SYS_TLS_INSIDE_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "sys/tls_hello.h"
#include "sys/tls_kept.h"
#include "sys/tls_session.h"

#define TLS_SESSION_MAGIC MAGIC('T', 'L', 'S', 'C')

enum {
    TLS_SESSION_LIFE = 2 * 60 * 60, /* seconds in which one may be resumed */
};

#define TLS_SUITES13 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define TLS_GROUPS "X25519:P-256:P-384"
#define TLS_GROUPS_LATER "X25519MLKEM768:" TLS_GROUPS /* from OpenSSL 3.5 on */

/* What a client wants, and got. */
struct tls_wanted {
    enum tls_verify verify;
    struct tls_verdict verdict;
    struct tls_verdict kept; /* of the session that may be resumed */
    struct tls_kept_key key;
    bool keeps;      /* sessions, under the key */
    uint8_t tickets; /* that came */
    int refused;     /* -errno: there will be no handshake */
};

struct tls_session {
    uint32_t magic;
    struct tls_server *server; /* NULL: we are the client */
    struct tls_client *client; /* NULL: we are the server */
    struct tls_wanted *wanted; /* of a client */
    struct world *world;
    SSL *ssl; /* NULL: nothing came yet */
    int handle;
    int failed;    /* -errno of the handle */
    unsigned asks; /* recv calls that are left */
    unsigned waits;
    size_t received; /* in the handshake */
    struct tls_hello hello;
    struct buf held; /* a ticket that has not left */
    bool ended, more, wipes;
    const char *failure;
};

/* --- tls_session.c --- */

/* NULL: no memory. */
struct tls_session *tls_session_make(struct world *world, int handle);
/* Gives it its SSL, on its handle. */
bool tls_session_attach(struct tls_session *session, SSL_CTX *context, BIO_METHOD *method);
struct tls_session *tls_session_of(const SSL *ssl);
BIO_METHOD *tls_bio_method(void);
/* OpenSSL's macros for this lose the const of a literal. */
bool tls_list_set(SSL_CTX *context, int what, const char *list);
/* The modes and limits that both sides have. */
bool tls_context_limits(SSL_CTX *context);
/* The hash function of its signature; 256 bits at least (RFC 5929 4.1). */
bool tls_certificate_hash(X509 *certificate, unsigned char *to, size_t *length_r);

/* --- tls_server.c --- */

/* Not before the client says something: who only connects costs little. */
bool tls_server_attach(struct tls_session *session);

/* --- tls_client.c --- */

/* The handshake came to this end: 0, or -errno, and why in a literal. What it is to the caller. */
int tls_client_over(struct tls_session *session, int e, const char *why);

#endif
