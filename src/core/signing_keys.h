/*
 * What signing.c, signing_keys.c and signing_seen.c share.
 */
#ifndef CORE_SIGNING_KEYS_H
#define CORE_SIGNING_KEYS_H

#include "core/signing.h"

#define SIGNING_MAGIC MAGIC('S', 'I', 'G', 'N')

enum {
    SIGNING_NAME_MAX = DKIM_DOMAIN_MAX + DKIM_SELECTOR_MAX + 16, /* octets of a record's name */
    SIGNING_SOUGHT_MAX = 100, /* records that are asked for in one look */
};

struct signing_domain;

struct signing {
    uint32_t magic;
    struct lane lane;
    struct signing_domain *domains; /* those with a key that signs, by name */
    int64_t looked;                 /* mono, of the last look; 0: none yet */
    int64_t reminded;
    char sought[SIGNING_NAME_MAX]; /* the key up to which records were asked for; empty: none */
    size_t sought_n;
};

/* Of signing_duty: asks for the records of keys that wait, SIGNING_SOUGHT_MAX of them, in turn. */
struct err signing_seek_all(struct core *core);

#endif
