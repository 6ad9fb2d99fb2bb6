/*
 * Private keys that are elsewhere: an EVP_PKEY that has a certificate's public key, a number, and a
 * struct tls_signer. Where OpenSSL's TLS, as a server, signs with it, what it wants signed is taken
 * apart and handed to the signer. It signs nothing else, and nothing can be got out of it.
 *
 * A small OpenSSL provider built into the program. RSA of 2048 to 8192 bits, ECDSA on P-256 and
 * P-384.
 */
#ifndef SYS_TLS_KEY_H
#define SYS_TLS_KEY_H

#include <openssl/evp.h>

#include "sys/tls.h"

enum {
    TLS_RSA_LEAST = 2048, /* bits */
    TLS_RSA_MOST = 8192,
};

struct tls_library;

/* A library context of OpenSSL's with its own algorithms and ours. NULL: no memory. */
struct tls_library *tls_library_open(void);
/* Nothing made in it may live. NULL is allowed. */
void tls_library_close(struct tls_library *library);
OSSL_LIB_CTX *tls_library_context(const struct tls_library *library);

/* `signer` is borrowed for the key's life; its sign yields, so a key is used on a fiber only. NULL:
 * another kind of key than those above, or no memory. EVP_PKEY_free. */
EVP_PKEY *tls_key_new(const struct tls_library *library, const EVP_PKEY *public_key,
                      uint32_t number, const struct tls_signer *signer);

/*
 * Takes apart what TLS wants signed: 64 spaces, a text, NUL and a transcript hash (RFC 8446 4.4.3),
 * or two randoms and ServerECDHParams of a group that we offer (RFC 8422 5.4). False: neither. Sets
 * `randoms` and `what` to parts of `octets`.
 */
bool tls_signing_parse(struct str octets, struct tls_signing *signing_r);

#endif
