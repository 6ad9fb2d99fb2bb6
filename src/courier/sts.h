/*
 * MTA-STS (RFC 8461) as the courier does it: what a domain publishes, looked for, fetched, and
 * remembered. A policy once known holds until it ends by its own max_age, whatever becomes of the
 * record and the web server meanwhile: who takes those away takes away nothing (5.1). So core keeps
 * what a courier learns, durably, and gives it with each job; what the courier keeps itself only
 * spares others the way.
 *
 * The record (_mta-sts.DOMAIN) is asked for each time, which costs a look into the resolver's
 * cache; the policy is fetched where the record's id is another one, where there is none, and where
 * core asks for it before it ends. One fetch for a domain at a time; one that failed is not
 * repeated for STS_AGAIN, unless the id changes (catalogue N04).
 */
#ifndef COURIER_STS_H
#define COURIER_STS_H

#include "base/tls_result.h"
#include "courier/job.h"
#include "format/mta_sts.h"

enum {
    STS_KEPT = 1000, /* domains in memory; those unused for longest go */
    STS_WHY = 256,
};
#define STS_AGAIN (300 * NS_PER_SECOND) /* RFC 8461 3.3: five minutes or longer */
#define STS_WITHIN (30 * NS_PER_SECOND) /* a fetch, all of it */

/* NULL: no memory. */
struct sts *sts_open(void);
/* Nobody asks; NULL is allowed. */
void sts_close(struct sts *sts);

/* Texts live in the job's arena. */
struct sts_found {
    bool any; /* there is a policy, and it has not ended */
    struct mta_sts_policy policy;
    struct str id, text; /* its record's id; it, as mta_sts_policy_print gives it */
    int64_t until;       /* seconds since 1970 */
    bool fetched;        /* just now */
    bool
        unknown; /* there may be one: no answer of the DNS, or none that could be fetched or read */
    /* What the last look or fetch failed of; OK: nothing, or there is nothing to fetch. */
    enum tls_result trouble;
    struct str why;
};

/* As if it had never been known; a fetch that runs is not stopped. */
void sts_forget(struct sts *sts, struct str domain);

/* May yield. `fresh`: it is fetched though the known one holds. */
void sts_find(struct job *job, struct str domain, bool fresh, struct sts_found *found_r);

/* What a domain's web server gives now; nothing is remembered of it. */
struct sts_order {
    struct courier *courier;
    const struct conf *conf;
    struct str domain;
    const struct network *own; /* as in struct https */
    size_t own_count;
};
struct sts_served {
    enum tls_result result; /* OK: there is a policy */
    char why[STS_WHY];
    struct mta_sts_policy policy;
    struct str text; /* the policy, as mta_sts_policy_print gives it; the arena's, as all of it */
};
/* May yield. */
void sts_fetch(const struct sts_order *order, struct arena *arena, struct sts_served *served_r);

#endif
