/*
 * TLS on a stage: the part of its core that has a certificate, tells the edge of it and signs, and
 * a client, which is OpenSSL's, with its octets going to a fake_client.
 */
#ifndef EDGE_TLS_STAGE_TEST_H
#define EDGE_TLS_STAGE_TEST_H

#include <openssl/ssl.h>

#include "bus/link.h"
#include "sys/fake/fake.h"
#include "sys/tls.h"
#include "trust/certificate.h"

#define TLS_STAGE_NAME "mx.example.test"

/* --- Core's part ----------------------------------------------------------------------------- */

struct tls_core {
    struct arena arena;
    struct str pem, key_pem; /* the chain and its key */
    struct certificate certificate;
    struct private_key *key; /* NULL: no certificates here */
    size_t signatures;
};

/* A certificate for TLS_STAGE_NAME. */
void tls_core_open(struct tls_core *core);
void tls_core_close(struct tls_core *core);
/* Behind welcome; nothing where it was not opened. */
void tls_core_tell(const struct tls_core *core, struct link *link);
/* False: that is not about TLS. */
bool tls_core_answer(struct tls_core *core, const struct msg *asked, struct msg *answer_r);

/* --- The client ------------------------------------------------------------------------------ */

struct tls_client {
    SSL_CTX *context;
    SSL *ssl;
    struct fake_client *fake; /* borrowed */
    void (*settle)(void *arg);
    void *arg;
};

struct tls_client_settings {
    int version;                  /* TLS1_2_VERSION ..., the only one; 0: any */
    const char *alpn;             /* one name; NULL: none */
    const struct tls_core *shows; /* whose certificate it has; NULL: none */
};

/* On a connection that may have talked in the clear before. `settle` runs the world. */
void tls_client_open(struct tls_client *client, const struct tls_client_settings *settings,
                     struct fake_client *fake, void (*settle)(void *arg), void *arg);
void tls_client_close(struct tls_client *client);
/* False: the handshake failed, on either side. */
bool tls_client_shakes_hands(struct tls_client *client);
/* Says it, empty or not, and adds what comes then. */
void tls_client_say(struct tls_client *client, struct str text, struct buf *heard);
/* What channel binding data is on its side (RFC 9266, RFC 5929 4). */
struct str tls_client_binding(struct tls_client *client, enum tls_binding which,
                              unsigned char to[TLS_BINDING_MAX]);

/* SCRAM-SHA-256's last message of "bob" with "secret", in base64: for this GS2 header, binding and
 * server-first-message (in base64); its first one had `first` behind the header. */
void tls_client_scram(struct str gs2, struct str binding, struct str first, struct str challenge,
                      struct buf *to);

#endif
