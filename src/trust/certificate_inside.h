/*
 * What certificates and keys are made of: for src/trust alone.
 */
#ifndef TRUST_CERTIFICATE_INSIDE_H
#define TRUST_CERTIFICATE_INSIDE_H

#include <openssl/evp.h>

#include "trust/certificate.h"

enum {
    KEY_DIGESTS = 3 /* SHA-256, SHA-384, SHA-512 */
};

#define PRIVATE_KEY_MAGIC MAGIC('P', 'K', 'E', 'Y')

struct private_key {
    uint32_t magic;
    EVP_PKEY *pkey;
    enum key_kind kind;
    EVP_MD *digests[KEY_DIGESTS]; /* looked up once: a signature would else search for them */
};

/* Its kind and bits; false: one that we do not take. */
bool key_kind_of(EVP_PKEY *pkey, enum key_kind *kind_r, unsigned *bits_r);

/* Letters, digits, hyphens and underscores in labels; "*" may be the first of them. What has
 * another form is no host that a client could ask for. */
bool certificate_name_is_host(struct str name);

#endif
