/*
 * For the tests of TLS as client: chains of certificates as somebody may show them, with the keys
 * of tls_fixture.h, and an authority that vouches for some of them.
 */
#ifndef SYS_FAKE_TLS_CHAIN_H
#define SYS_FAKE_TLS_CHAIN_H

#include "sys/fake/tls_fixture.h"

enum issuer {
    BY_AUTHORITY, /* the one of chain_authority */
    BY_INTERMEDIATE,
    BY_STRANGER, /* an authority that nobody knows */
    BY_ITSELF
};

struct chain_settings {
    enum issuer issuer;
    int key;                 /* of the leaf: KEY_P256, KEY_RSA */
    const char *names;       /* "DNS:mail.example.test,IP:192.0.2.1"; NULL: none */
    const char *common_name; /* NULL: none */
    int from, until;         /* days from now on; both 0: -1 to 30 */
    bool alone;              /* only the leaf is shown */
    bool with_root;          /* all of it is */
    bool for_clients;        /* its extended key usage */
};

enum {
    CHAIN_LINKS = 3
};

struct chain {
    X509 *certificates[CHAIN_LINKS]; /* leaf, then who signed it; NULL: none */
    struct str ders[CHAIN_LINKS];    /* what is shown */
    size_t count;
    int key;
};

void chain_make(struct chain *chain, const struct chain_settings *settings);
void chain_done(struct chain *chain);
/* House shows it, and nothing else. */
void chain_show(const struct chain *chain, struct house *house);

/* PEM, to the end of the test. */
struct str chain_authority(void);
/* What a TLSA record has of a certificate: its data in `to`, at least 4 KB. */
struct tls_tlsa chain_record(X509 *certificate, int usage, int selector, int matching,
                             unsigned char *to);
/* A certificate of ours, and its key, as PEM; free is the caller's. */
struct str chain_pem(X509 *certificate);
struct str chain_key_pem(int key);

#endif
