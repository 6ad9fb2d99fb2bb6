/*
 * For the tests of TLS: keys and certificates made at the start, a signer that holds the keys, a
 * house of one loop with sessions on streams, and a client that is OpenSSL's, with its octets in
 * memory, so that a test says how many of them go over at a time.
 */
#ifndef SYS_FAKE_TLS_FIXTURE_H
#define SYS_FAKE_TLS_FIXTURE_H

#include "base/test.h"

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/must.h"
#include "sys/fake/fake.h"
#include "sys/stream.h"

enum {
    KEY_P256,
    KEY_P384,
    KEY_RSA,
    KEY_P256_OTHER,
    KEYS,
    KEY_ED25519 = KEYS, /* of which a server wants nothing */
    KEY_RSA_SMALL,
    KEYS_ALL
};

int fixture_open(void **state);
int fixture_close(void **state);
EVP_PKEY *fixture_key(int key);
/* DER, signed by itself with this hash; valid to the end. */
struct str fixture_certificate(int key, const EVP_MD *hash);
X509 *fixture_certificate_parsed(int key);

/* --- The server --- */

struct house {
    struct world *world;
    struct loop loop;
    struct fiber_pool *fibers;
    struct stream_pool *pool;
    struct tls_server *server;
    int turns_to_sign;      /* the signer yields so often */
    bool refuses;           /* the signer fails */
    size_t signature_extra; /* octets more than it signed */
    int signatures, signing;
    struct tls_signing last;
    struct fake_memory *memory; /* charged while it turns; NULL: nobody's */
};

void house_open(struct house *house, struct world *world);
void house_close(struct house *house);
/* A server as `house->server`, the one before is released: an identity for each key, with the names
 * in `names` (may be NULL). */
void house_shows(struct house *house, const struct tls_server_settings *settings, const int *keys,
                 const char *const *names, size_t count);
/* The same with pop3 and no names. */
void house_shows_key(struct house *house, int key);
struct tls_server_settings house_settings(struct house *house);
void house_turns(struct house *house, int n);

/* A session that keeps what it gets. */
struct session {
    struct stream stream;
    struct buf got;
    int told, ends; /* calls of input: in all, for the end */
    bool echoes, keeps, is_done;
};

/* On a socket, in TLS from the start; *peer_r is the other end. */
void session_open(struct session *session, struct house *house, int *peer_r);
void session_on(struct session *session, struct house *house, int handle);
void session_close(struct session *session);

/* --- The client --- */

struct client {
    SSL_CTX *context;
    SSL *ssl;
    int handle; /* or */
    struct fake_client *fake;
    struct buf unsent;
    size_t piece;      /* octets that go to the server at a time; 0: all */
    SSL_SESSION *kept; /* of the latest ticket */
    int tickets;
};

struct client_settings {
    int version; /* the only one; 0: any */
    const char *name, *alpn, *suites, *signatures;
    int certificate; /* a key; 0: none */
    SSL_SESSION *session;
};

void client_open(struct client *client, const struct client_settings *settings, int handle);
void client_close(struct client *client); /* and the handle */
/* What is ready in either direction. */
void client_pump(struct client *client);
/* True: the handshake is done on its side. False: it failed. */
bool client_shakes_hands(struct client *client, struct house *house);
/* All of it, with turns of the house between. */
bool client_says(struct client *client, struct house *house, struct str text);
/* What comes in some turns. */
struct str client_hears(struct client *client, struct house *house, char *to, size_t room);

/* A session and a client that shook hands. */
struct pair {
    struct session session;
    struct client client;
};

bool pair_open(struct pair *pair, struct house *house, const struct client_settings *settings);
void pair_close(struct pair *pair);

#endif
