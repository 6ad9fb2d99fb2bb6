/*
 * MTA-STS policies of other domains (RFC 8461), kept so that a restart is no way around one: what a
 * courier fetched, until it ends. Texts are a stranger's, and nobody here reads them; couriers do.
 *
 * Partition STS/0
 *   domain -> struct sts_kept
 */
#ifndef STORE_STS_H
#define STORE_STS_H

#include "store/engine.h"

enum {
    STS_POLICY_MAX = 48 << 10, /* octets; a hundred hosts take half of it */
    STS_ID_MAX = 32,
    STS_MODES = 3, /* enum mta_sts_mode */
};

struct sts_kept {
    struct str domain, id, policy;
    uint8_t mode;
    int64_t fetched, until; /* seconds since 1970 */
    uint32_t used;          /* the day, since 1970, when mail went there last */
};

/* All may yield. ERR_NOT_FOUND; ERR_STORE_DAMAGED. */
struct err sts_kept_read(struct engine *engine, struct str domain, struct arena *arena,
                         struct sts_kept *kept_r);
struct err sts_kept_write(struct engine *engine, const struct sts_kept *kept);
/* Nothing happens where there is none. */
struct err sts_kept_remove(struct engine *engine, struct str domain);
/* Those behind a domain ("" begins), in order, at most `limit`; a damaged one is left out. */
struct sts_page {
    struct sts_kept *kept;
    size_t count;
    struct str last; /* where the next page begins: damaged or not */
    bool more;
};
struct err sts_kept_page(struct engine *engine, struct str after, size_t limit, struct arena *arena,
                         struct sts_page *page_r);

#endif
