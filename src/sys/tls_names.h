/*
 * Which certificates are shown for a host name. An identity has one of two kinds of keys, and the
 * handshake picks the kind; so a name stands for a pair of identities, at most one of each kind.
 *
 * A name fits itself, in any case, with or without a dot at its end; a wildcard "*.example.test"
 * fits one label more. The exact one goes before the wildcard, earlier identities before later.
 */
#ifndef SYS_TLS_NAMES_H
#define SYS_TLS_NAMES_H

#include "sys/tls.h"

struct tls_pair {
    int rsa, ecdsa; /* places of identities; -1: none */
};

struct tls_names;

/* `ecdsa[i]` says the kind of identity i; count >= 1. Copies what it keeps. NULL: no memory. */
struct tls_names *tls_names_new(const struct tls_identity *identities, const bool *ecdsa,
                                size_t count);
void tls_names_free(struct tls_names *names); /* NULL is allowed */

/* As a client says it: any octets. The standard pair where none fits, `fits_r` says which. */
struct tls_pair tls_names_find(const struct tls_names *names, struct str host, bool *fits_r);

/* Every pair that there is, once: the standard one first. */
size_t tls_names_pairs(const struct tls_names *names, const struct tls_pair **pairs_r);

#endif
