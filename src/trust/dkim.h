/*
 * DKIM signatures of our own (RFC 6376, 8301, 8463): relaxed/relaxed, rsa-sha256 or ed25519-sha256.
 *
 * The body is hashed while it passes, in any role (dkim_hash_*). Whoever has the keys then makes
 * the field of that hash and the header (dkim_sign); what a key does is behind a pointer, so that a
 * private key lies in one place and its work may be done on a thread. The two algorithms are a
 * field each, over the same hash.
 *
 * Signed are all fields of a message whose names are in the table of dkim.c. Those that a reader is
 * shown, or that say how the body is read, are named once more than they occur, From among them:
 * adding another one breaks the signature (catalogue D02). Never l= (D01), never i=.
 *
 * Whatever octets the header has, it is signed as it is: who may write what into it is decided
 * elsewhere. Fields are told apart as by header_next (format/header.h).
 */
#ifndef TRUST_DKIM_H
#define TRUST_DKIM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sha256.h"
#include "trust/dkim_canonical.h"

enum {
    DKIM_HASH = SHA256_SIZE,
    DKIM_SIGNATURE_MAX = 512,          /* octets: RSA of 4096 bits */
    DKIM_FIELDS_MAX = 1000,            /* fields of a message that are signed; names in h= */
    DKIM_FIELD_MAX = 64 * 1024,        /* octets of a signature's field */
    DKIM_DOMAIN_MAX = 253,             /* octets of d=, of s= */
    DKIM_SIGN_ARENA_MORE = 256 * 1024, /* beside twice the header: what dkim_sign takes */
};

enum dkim_algorithm { /* values are stored */
    DKIM_RSA = 1,     /* rsa-sha256 */
    DKIM_ED25519 = 2, /* ed25519-sha256 */
};

/* --- Body ------------------------------------------------------------------------------------- */

/* A value: may be copied and moved, holds nothing. */
struct dkim_hash {
    struct dkim_body body;
    struct sha256 sha256;
};

/* Of a body in the form that goes on the wire, without dots added for it: from behind the empty
 * line on. In pieces of any size. */
void dkim_hash_begin(struct dkim_hash *hash);
void dkim_hash_update(struct dkim_hash *hash, struct str octets);
/* Once. */
void dkim_hash_end(struct dkim_hash *hash, unsigned char hash_r[DKIM_HASH]);

/* --- Signature -------------------------------------------------------------------------------- */

/* Who has the key: signs the hash of the header as the algorithm says, RSA by PKCS#1 v1.5 (RFC 8017
 * 8.2), Ed25519 the hash as its message (RFC 8463 3). May yield. Its error becomes dkim_sign's. */
struct dkim_signer {
    enum dkim_algorithm algorithm;
    struct err (*sign)(void *arg, const unsigned char hash[DKIM_HASH],
                       unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r);
    void *arg;
};

struct dkim_what {
    struct str headers;             /* from the first field on; to the empty line or to the end */
    const unsigned char *body_hash; /* DKIM_HASH octets */
    struct str domain;              /* d=: A-labels */
    struct str selector;            /* s= */
    int64_t now;                    /* seconds since 1970: t= */
    int64_t expires;                /* the same, x=; 0: it does not expire */
};

/*
 * The DKIM-Signature field, folded, with its CR LF, to be put in front of the message. In the
 * arena, which also takes what is needed on the way: DKIM_SIGN_ARENA_MORE and twice the header.
 * Yields where the signer does; everything in `what` must live as long.
 * ERR_OVER_LIMIT: more than DKIM_FIELDS_MAX fields would be signed, or the arena is full; the
 * signer's errors.
 */
struct err dkim_sign(const struct dkim_what *what, const struct dkim_signer *signer,
                     struct arena *arena, struct str *field_r);

#endif
