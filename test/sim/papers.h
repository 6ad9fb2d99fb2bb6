/*
 * struct papers: the certificates of the made-up internet, made from the seed. An authority, which
 * couriers know, vouches for one of each site that does TLS, in that site's name; forgers show
 * others for whichever site they stand in front of. All are valid whatever the clocks say.
 */
#ifndef SIM_PAPERS_H
#define SIM_PAPERS_H

#include <openssl/ssl.h>

#include "base/buf.h"

enum {
    PAPERS_TLSA_MAX = 64, /* octets of a record */
    PAPERS_FORGERS = 2, /* one vouches for himself; for the other the authority does, in his name */
};

struct papers {
    EVP_PKEY *authority_key;
    X509 *authority;
    struct buf authorities; /* PEM */
    SSL_CTX *forgers[PAPERS_FORGERS];
};

void papers_open(struct papers *papers);
void papers_close(struct papers *papers);

/* What a site shows: free it by SSL_CTX_free. `old`: it knows nothing better than TLS 1.2. */
SSL_CTX *papers_issue(const struct papers *papers, const char *name, bool old);
/* TLSA records (RFC 6698): of what it shows, 3 1 1; of the authority, 2 0 1. */
void papers_tlsa_own(SSL_CTX *shown, struct buf *to);
void papers_tlsa_authority(const struct papers *papers, struct buf *to);

#endif
