/*
 * The signing keys of domains (DKIM), and where each is on its way from being made to being
 * forgotten. A domain has one pair at a time that signs: an RSA key and an Ed25519 key, each with a
 * selector, which is the name of its record in the DNS.
 *
 *   K1 made      its record is to be published; nothing is signed with it
 *   K2 active    its record was seen, or an operator says that it is there: it signs
 *   K3 retiring  another one signs; the record stays for mail that is on its way. The private key
 *                is gone already
 *   K4 retired   the record may be taken away
 *
 * K1 -> K2 takes the active key of the same kind to K3, in the same commit. Only the operator
 * removes.
 *
 * Selectors say when they were made: "v202611a-rsa", "v202611a-ed"; the next pair of that month is
 * b. None is given twice to a domain, not even after it was removed: resolvers remember.
 *
 * PARTITION_DKIM/0:
 *   'k' domain NUL selector -> algorithm, state, created, since, record, private key (PKCS#8)
 *   'n' domain -> month and letter of its last pair
 *
 * All calls may yield. Domains are A-labels. Times are microseconds since 1970. Details of errors
 * are literals. One writer at a time; where two meet nevertheless, one gets ERR_CONFLICT.
 */
#ifndef STORE_DKIM_H
#define STORE_DKIM_H

#include "store/engine.h"
#include "trust/dkim_key.h"

enum {
    DKIM_SELECTOR_MAX = 24,                                             /* octets of one of ours */
    DKIM_SIGNING_DOMAIN_MAX = DKIM_DOMAIN_MAX - DKIM_SELECTOR_MAX - 12, /* with "._domainkey." */
    DKIM_PAIRS_A_MONTH = 26,
    DKIM_KEYS_MAX = 200, /* of a domain: some have to be removed first */
};

enum dkim_state { /* stored */
    DKIM_MADE = 1,
    DKIM_ACTIVE = 2,
    DKIM_RETIRING = 3,
    DKIM_RETIRED = 4,
};

struct dkim_kept {
    struct str domain, selector;
    enum dkim_algorithm algorithm;
    enum dkim_state state;
    int64_t created;
    int64_t since;          /* it is in this state */
    struct str record;      /* what its TXT record says */
    struct str private_key; /* PKCS#8; empty in K3, K4 */
};

/* Calls `each` for every key of a domain (p == NULL: of all), by domain and selector. Texts are
 * valid during the call, which may yield, and are wiped behind it; it stops at the first error and
 * gives it back. ERR_STORE_DAMAGED: one that cannot be read. */
struct err dkim_kept_each(struct engine *engine, struct str domain,
                          struct err (*each)(void *arg, const struct dkim_kept *), void *arg);

struct dkim_new {
    enum dkim_algorithm algorithm;
    struct str record, private_key;
};

/* A pair in K1. `first`: the domain has none that signs; else it has. ERR_EXISTS: keys wait for
 * their records already, or the first pair is there; ERR_NOT_FOUND: there is no first one;
 * ERR_OVER_LIMIT: the month's letters are used up, or there are too many keys. */
struct err dkim_kept_add(struct engine *engine, struct str domain, bool first,
                         const struct dkim_new *keys, size_t count, int64_t now);

/* K1 -> K2, and the one before -> K3. In K2 already: nothing. ERR_NOT_FOUND: no such key, or one
 * that has signed its time. */
struct err dkim_kept_published(struct engine *engine, struct str domain, struct str selector,
                               int64_t now);

/* K3 -> K4. ERR_NOT_FOUND: it is not in K3. */
struct err dkim_kept_retired(struct engine *engine, struct str domain, struct str selector,
                             int64_t now);

/* In whatever state; p == NULL: all of the domain. ERR_NOT_FOUND. */
struct err dkim_kept_remove(struct engine *engine, struct str domain, struct str selector);

/* "made", "active" ... */
struct str dkim_state_name(enum dkim_state state);

#endif
