/*
 * Certificates (RFC 5280) and private keys as files hold them: PEM (RFC 7468), read into what the
 * rest of the house needs of them. Nothing here yields, has a clock or a descriptor; what is given
 * back lives in the arena, but for private keys, which are OpenSSL's memory and are wiped by it.
 *
 * The files are the operator's own, and a mistake in one is told in words: ERR_CONFIG with a
 * literal as detail. ERR_NO_MEMORY where the arena is full.
 */
#ifndef TRUST_CERTIFICATE_H
#define TRUST_CERTIFICATE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    CERTIFICATE_FILE_MAX = 64 * 1024, /* octets of a chain's or a key's file */
    CERTIFICATE_LINKS_MAX = 10,       /* of a chain */
    CERTIFICATE_NAMES_MAX = 100,
    CERTIFICATE_FINGERPRINT = 32, /* SHA-256 of its DER */
    CERTIFICATE_SERIAL = 16,
    CERTIFICATE_RSA_LEAST = 2048, /* bits */
    CERTIFICATE_RSA_MOST = 8192,
    CERTIFICATE_DAYS = 825, /* of one made here */
};

enum key_kind {
    KEY_RSA,
    KEY_P256,
    KEY_P384
};

struct certificate {
    struct str links[CERTIFICATE_LINKS_MAX]; /* DER, its own first */
    size_t link_count;
    struct str
        names[CERTIFICATE_NAMES_MAX]; /* A-labels in lower case; a wildcard begins with "*." */
    size_t name_count;
    struct str issuer;             /* who signed it, for people: common name, else organisation */
    int64_t not_before, not_after; /* microseconds since 1970 */
    enum key_kind kind;
    unsigned bits;
    unsigned char fingerprint[CERTIFICATE_FINGERPRINT];
};

/*
 * A chain: one certificate or more, each signed by the next where there is one; other PEM blocks
 * are passed over. Names are its dNSNames; the common name only where there is no subject
 * alternative name at all. It is not judged by its dates: an expired one is still shown.
 */
struct err certificate_parse(struct str pem, struct arena *arena,
                             struct certificate *certificate_r);

/* Of the first certificate in a file: PEM or DER. */
struct err certificate_fingerprint(struct str file,
                                   unsigned char fingerprint_r[CERTIFICATE_FINGERPRINT]);
/* SHA-256 of a certificate in DER, or of its key alone (SubjectPublicKeyInfo), as TLSA records name
 * them (RFC 6698 2.1). False: it is none. */
bool certificate_digest(struct str der, bool key_alone,
                        unsigned char digest_r[CERTIFICATE_FINGERPRINT]);
/* "SHA256:" and 64 lower-case hexadecimal digits; str_null where the arena is full. */
struct str certificate_fingerprint_text(const unsigned char fingerprint[CERTIFICATE_FINGERPRINT],
                                        struct arena *arena);
/* "RSA 2048", "P-256" */
struct str certificate_key_text(const struct certificate *certificate, struct arena *arena);

struct private_key;

/* From now on whatever OpenSSL frees in this process is wiped, so that nothing is left of a key
 * that was read and freed. Before anything else of OpenSSL: false, it is too late. */
bool private_keys_leave_no_trace(void);

/* The first key of the file, unencrypted: RSA of 2048 to 8192 bits, or EC on P-256 or P-384. */
struct err private_key_parse(struct str pem, struct private_key **key_r);
/* Wipes it. NULL is allowed. */
void private_key_free(struct private_key *key);
enum key_kind private_key_kind(const struct private_key *key);
/* Is it the key of this certificate? */
bool private_key_fits(const struct private_key *key, const struct certificate *certificate);

/*
 * A self-signed certificate for these host names (A-labels, or "*." and A-labels) and its key, EC
 * on P-256, both as PEM in the arena; the key is for str_wipe after use. From an hour before `now`
 * (wall) on, CERTIFICATE_DAYS long. The serial is given; the key's randomness is OpenSSL's own.
 * ERR_USAGE: no name, or too long.
 */
struct err certificate_make(const struct str *names, size_t count, int64_t now,
                            const unsigned char serial[CERTIFICATE_SERIAL], struct arena *arena,
                            struct str *chain_r, struct str *key_r);

#endif
