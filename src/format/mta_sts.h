/*
 * MTA-STS (RFC 8461): the TXT record that says a domain has a policy, the policy, and whether it
 * allows an MX host. Fetching, caching and deciding are the courier's. Strings are a stranger's:
 * everything is bounded (catalogue N04). Pure; nothing yields.
 */
#ifndef FORMAT_MTA_STS_H
#define FORMAT_MTA_STS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    MTA_STS_ID_MAX = 32,
    MTA_STS_POLICY_MAX = 64 << 10, /* octets of a policy; a longer one is none (RFC 8461 3.3) */
    MTA_STS_LINES_MAX = 1000,
    MTA_STS_MX_MAX = 100,       /* patterns */
    MTA_STS_AGE_MAX = 31557600, /* seconds; a longer max_age counts as this (3.2) */
};

/*
 * The record of _mta-sts.DOMAIN. `texts` are all TXT records there, the strings of each joined.
 * *id_r is the policy's id and borrows. False: the domain has no policy to look for, and *wrong_r
 * says why in a literal, p == NULL where there is no such record at all.
 */
bool mta_sts_record_find(const struct str *texts, size_t count, struct str *id_r,
                         struct str *wrong_r);

enum mta_sts_mode {
    MTA_STS_NONE,
    MTA_STS_TESTING,
    MTA_STS_ENFORCE,
};

struct mta_sts_policy {
    enum mta_sts_mode mode;
    uint32_t max_age; /* seconds */
    const struct str
        *mx; /* host names in lower case, A-labels; or "*." and one. None with mode none */
    size_t mx_count;
};

/*
 * The body of https://mta-sts.DOMAIN/.well-known/mta-sts.txt. Lines may end in LF or CR LF; empty
 * ones and unknown keys are skipped; of a key that comes twice the first counts. False: no policy,
 * and *wrong_r is a literal that says what is wrong; *policy_r is not touched. Its strings live in
 * the arena.
 */
bool mta_sts_policy_parse(struct str text, struct arena *arena, struct mta_sts_policy *policy_r,
                          struct str *wrong_r);
/* As it is kept and reported: one "key: value" a line with LF, what was not understood left out.
 * Parses to the same policy. */
void mta_sts_policy_print(const struct mta_sts_policy *policy, struct buf *buf);

/* "none", "testing", "enforce" */
struct str mta_sts_mode_word(enum mta_sts_mode mode);

/* Whether a pattern names the host (4.1), which is in domain_parse form, a final dot allowed: "*."
 * stands for one whole left-most label. False for a mode none policy. */
bool mta_sts_allows(const struct mta_sts_policy *policy, struct str host);

#endif
