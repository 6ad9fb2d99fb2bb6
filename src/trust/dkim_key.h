/*
 * Keys of DKIM: made, kept as PKCS#8 (RFC 5958, DER), and as the record in the DNS that others
 * verify by (RFC 6376 3.6.1, RFC 8463 4). Nothing here yields, has a clock or a descriptor.
 *
 * A key does not change and may sign on several threads at once. Randomness of a new one is
 * OpenSSL's own. RSA: 2048 bits are made (RFC 8301 3.2: what every verifier takes, and what fits
 * into the answers of DNS servers without TCP); 1024 to 4096 are read.
 */
#ifndef TRUST_DKIM_KEY_H
#define TRUST_DKIM_KEY_H

#include "trust/dkim.h"

enum {
    DKIM_RSA_BITS = 2048,    /* of one made here */
    DKIM_KEY_MAX = 4096,     /* octets of a private key */
    DKIM_RECORD_MAX = 1024,  /* octets of a record of ours */
    DKIM_STRING_MAX = 255,   /* octets of one string in a TXT record (RFC 1035 3.3) */
    DKIM_TXT_MAX = 8 * 1024, /* octets of somebody's record that are looked at */
};

struct dkim_key;

/* RSA takes a tenth of a second to a second: a lane's work. ERR_NO_MEMORY. */
struct err dkim_key_make(enum dkim_algorithm algorithm, struct dkim_key **key_r);
/* ERR_STORE_DAMAGED: it is no such key. ERR_NO_MEMORY. */
struct err dkim_key_read(struct str pkcs8, struct dkim_key **key_r);
/* Appends it; the caller wipes what it was written to. ERR_NO_MEMORY. */
struct err dkim_key_write(const struct dkim_key *key, struct buf *pkcs8);
/* Wipes it. NULL is allowed. */
void dkim_key_free(struct dkim_key *key);
enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *key);

/* What struct dkim_signer wants; does not yield. RSA takes half a millisecond: a lane's work.
 * ERR_NO_MEMORY. */
struct err dkim_key_sign(const struct dkim_key *key, const unsigned char hash[DKIM_HASH],
                         unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r);

/* --- The record ------------------------------------------------------------------------------- */

/* "v=DKIM1; k=rsa; p=..." */
struct err dkim_key_record(const struct dkim_key *key, struct buf *to);

/* A record of printable ASCII as a zone file has it: in quotes, in strings of at most
 * DKIM_STRING_MAX octets with a space between them. Others' TXT records, too. */
void dkim_record_quote(struct str record, struct buf *to);

/* Where it stands: "SELECTOR._domainkey.DOMAIN". */
void dkim_record_name(struct str selector, struct str domain, struct buf *to);

/*
 * Does a record that was seen in the DNS (its strings joined) publish what `ours`, a record of
 * dkim_key_record, says? Other tags, white space and their order do not matter. ERR_CONFIG with a
 * literal detail: what is wrong with it, for the operator.
 */
struct err dkim_record_check(struct str seen, struct str ours);

#endif
