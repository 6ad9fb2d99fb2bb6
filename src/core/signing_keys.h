/*
 * What signing.c and signing_keys.c share.
 */
#ifndef CORE_SIGNING_KEYS_H
#define CORE_SIGNING_KEYS_H

#include "core/signing.h"

#define SIGNING_MAGIC MAGIC('S', 'I', 'G', 'N')

struct signing_domain;

struct signing {
    uint32_t magic;
    struct lane lane;
    struct signing_domain *domains; /* those with a key that signs, by name */
    int64_t looked;                 /* mono, of the last look; 0: none yet */
    int64_t reminded;
};

#endif
