/*
 * The private keys of TLS: they live here, and nobody else has them (doc/access.md, 2).
 *
 * The parent gives the files of all certificates, a whole set at a time. A set with a mistake in it
 * is refused whole: at the start core does not begin, later the set before stays. Edges are told
 * the chains that their role may show, and a number for each key; a key that is named by an edge
 * whose role it was not given to cuts its link. Keys of the set before sign for KEYS_LINGER more.
 *
 * Ticket keys are made here, are the same for all edges of a role, change every hour and are wiped
 * when nothing they sealed can be opened any more.
 *
 * Signatures that take long (all but those on P-256) are computed on a lane of their own, so that
 * log-ins do not wait for handshakes nor handshakes for log-ins. Only serve_sign yields.
 */
#ifndef CORE_KEYS_H
#define CORE_KEYS_H

#include "core/peer.h"
#include "sys/tls.h"
#include "trust/certificate.h"

enum {
    KEYS_MAX = TLS_IDENTITIES_MAX, /* certificates of a set */
    KEYS_WAITING_MAX = 1000,       /* signatures that wait; then ERR_TRY_LATER */
    KEYS_THREADS = 2,
    KEYS_OCTETS_MAX = 2 << 20, /* of all chains: an edge is told them in one go */
};
#define KEYS_LINGER (60 * NS_PER_SECOND)
#define KEYS_ROTATE (3600 * NS_PER_SECOND)

struct keys;

/* Before the sandbox closes, once in a process: what OpenSSL loads late, and memory for keys that
 * is neither swapped nor dumped, as far as the system allows. NULL: no memory. */
struct keys *keys_new(void);
/* After keys_end, or where it never began. NULL is allowed. */
void keys_free(struct keys *keys);

/* The next file of a set, as the parent tells them, from place 0 on. They may come before there is
 * a core; else the last one puts the set to use. ERR_CONFIG: the set is refused; `detail`, valid
 * until the next call, says which block and why. ERR_BUS_BROKEN: out of order. */
struct err keys_take(struct keys *keys, const struct msg_certificate_files *files);

/* Puts the set that came early to use, and signs for this core's edges from now on. Errors as in
 * keys_take: then nothing has begun. */
struct err keys_begin(struct keys *keys, struct core *core);
/* With no peer left; its threads end. */
void keys_end(struct keys *keys);

/* All that this edge is to know, behind welcome. */
struct err keys_tell(struct keys *keys, struct peer *peer);

/* A row for `veredus status` and `veredus tls show`; borrowed, until the next keys_take. */
struct keys_row {
    struct str name;         /* of its block */
    const struct str *names; /* host names it is shown for */
    size_t name_count;
    const struct certificate *certificate;
    unsigned roles; /* 1 << enum bus_role: edges that may show it */
};
size_t keys_count(const struct keys *keys);
struct keys_row keys_row(const struct keys *keys, size_t i);

#endif
