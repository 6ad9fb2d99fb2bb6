/*
 * SASL (RFC 4422), the client's side: which mechanism is taken, and what is said to a server. The
 * server is a stranger: its challenges are looked at as closely as sasl.h looks at its clients'.
 * Pure: randomness and channel binding are given, results live in the arena. Base64 and "*" are the
 * protocol's.
 *
 * SCRAM proves both ways: a server that takes a proof and has none itself does not know the
 * password, and is refused (RFC 5802 3), which sasl_client_end says.
 */
#ifndef TRUST_SASL_CLIENT_H
#define TRUST_SASL_CLIENT_H

#include "trust/sasl.h"

enum {
    SASL_CLIENT_NONCE = 18,            /* octets of randomness; 24 as text */
    SASL_CLIENT_ROUNDS_MOST = 2000000, /* of SCRAM, that a server may ask of us: some seconds */
    SASL_BINDING_MAX = 64,
};

/* Who we are, and where. Borrowed for as long as the client is used. */
struct sasl_identity {
    struct str user;
    struct str secret; /* a password, or an access token */
    bool is_token;
    struct str host; /* of OAUTHBEARER */
    uint16_t port;
    /* Of the TLS session; binding_type empty: there is none. */
    struct str binding_type; /* "tls-exporter", "tls-server-end-point" */
    struct str binding;
    bool encrypted;  /* the session is in TLS */
    bool in_machine; /* it does not leave this machine */
};

/* The strongest of `offered` and `allowed` (1 << enum sasl_mechanism; 0: any) that this identity
 * can use: nothing that shows a secret leaves the machine in clear. SASL_MECHANISMS: none. */
enum sasl_mechanism sasl_client_choose(const struct sasl_identity *identity, unsigned offered,
                                       unsigned allowed);

enum sasl_client_state {
    SASL_CLIENT_BEGUN,
    SASL_CLIENT_FIRST, /* SCRAM: client-first was said; LOGIN: the name */
    SASL_CLIENT_LAST,  /* all was said, but that an error of OAuth is to be acknowledged */
    SASL_CLIENT_DONE,
};

struct sasl_client {
    enum sasl_mechanism mechanism;
    const struct sasl_identity *identity;
    enum sasl_client_state state;
    bool proved; /* SCRAM: the server has shown that it knows the password, too */
    char nonce[SASL_CLIENT_NONCE * 4 / 3];
    struct str gs2, bare;                 /* SCRAM: of the arena */
    unsigned char server[SCRAM_HASH_MAX]; /* the signature it has to have */
};

/* `would_bind`: the server offers no channel binding at all, and we would (RFC 5802 6). *first_r:
 * what goes with the mechanism's name; p NULL: the server speaks first. ERR_SASL_SYNTAX: the name
 * or password cannot be said by this mechanism; ERR_NO_MEMORY. */
struct err sasl_client_begin(struct sasl_client *client, enum sasl_mechanism mechanism,
                             const struct sasl_identity *identity, bool would_bind,
                             const unsigned char random[SASL_CLIENT_NONCE], struct arena *arena,
                             struct str *first_r);
/* Its challenge, decoded. For long with SCRAM: `rounds` HMACs (a worker lane's work). *answer_r is
 * to be wiped once it was sent. ERR_SASL_SYNTAX: it is none that may come here: cancel. */
struct err sasl_client_step(struct sasl_client *client, struct str challenge, struct arena *arena,
                            struct str *answer_r);
/* Behind its success, with what came with it (p NULL: nothing): has it proved what it has to? */
bool sasl_client_end(struct sasl_client *client, struct str with_success);

#endif
