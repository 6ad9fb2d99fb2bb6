/*
 * Sums of TLS sessions with other domains' servers, as TLS reports tell them (RFC 8460): one record
 * for each day (UTC) and domain, until it was reported. A record is bounded in octets, whatever a
 * domain does: beyond TLS_SUMS_POLICIES policies, TLS_SUMS_DETAILS failures of one, or
 * TLS_SUMS_MAX octets, sessions are counted without being told apart.
 *
 * Partition TLS_SUMS/0
 *   day since 1970 (4 octets, big endian), domain -> struct tls_sums
 * where the empty domain stands for all those beyond the limit of a day (core/tls_counts.h).
 *
 * The record is versioned (FORMAT 1). Who counts and who writes when: core/tls_counts.h.
 */
#ifndef STORE_TLS_SUMS_H
#define STORE_TLS_SUMS_H

#include "base/tls_result.h"
#include "format/tls_report.h"
#include "store/engine.h"
#include "store/op_list.h"

enum {
    TLS_SUMS_MAX = 16 << 10, /* octets of a record */
    TLS_SUMS_POLICIES = 8,   /* of a domain: each of its hosts may have TLSA records of its own */
    TLS_SUMS_DETAILS = 32,   /* of a policy */
    TLS_SUMS_LINES_MAX = 2048,
    TLS_SUMS_TEXT_MAX = 256,    /* of each other text; longer ones are cut */
    TLS_SUMS_ARENA = 256 << 10, /* what tls_sums_add takes at most */
};

/* Sessions that failed in one way. */
struct tls_sums_detail {
    enum tls_result result; /* never OK */
    struct str mx, sending, receiving, reason;
    uint64_t count;
};

struct tls_sums_policy {
    enum tls_report_policy_type type;
    struct str domain;
    struct str lines; /* LF between */
    uint64_t successes, failures;
    struct tls_sums_detail *details; /* may tell less than all failures */
    size_t detail_count;
};

struct tls_sums {
    int64_t next; /* seconds since 1970: when its report is due, or is tried again */
    uint32_t tries;
    uint64_t left_out; /* sessions of further policies */
    struct tls_sums_policy policies[TLS_SUMS_POLICIES];
    size_t policy_count;
};

/* One session. Texts are borrowed. */
struct tls_sums_session {
    enum tls_report_policy_type type;
    struct str domain, lines;
    enum tls_result result;
    struct str mx, sending, receiving, reason;
};

/* Appends `record` with one session more. Empty: it is the first one, and the report is due at
 * `due`. `work` may be wiped afterwards. ERR_STORE_DAMAGED: that is no record. ERR_NO_MEMORY. */
struct err tls_sums_add(struct str record, const struct tls_sums_session *session, int64_t due,
                        struct arena *work, struct buf *to);

/* Takes away what an earlier state of the same record had, as `sent` tells: what was counted since
 * is left. False: that is nothing. */
bool tls_sums_less(struct tls_sums *sums, const struct tls_sums *sent);

void tls_sums_encode(const struct tls_sums *sums, struct buf *to);
/* Texts borrow from the record, arrays are the arena's. ERR_STORE_DAMAGED, ERR_NO_MEMORY. */
struct err tls_sums_decode(struct str record, struct arena *arena, struct tls_sums *sums_r);

/* --- Kept ------------------------------------------------------------------------------------ */

enum {
    TLS_SUMS_OPS = 1, /* of each of these */
};

void tls_sums_put_ops(uint32_t day, struct str domain, struct str record, struct arena *arena,
                      struct op_list *ops);
void tls_sums_remove_ops(uint32_t day, struct str domain, struct arena *arena, struct op_list *ops);

struct tls_sums_row {
    uint32_t day;
    struct str domain, record;
};
/* May yield. ERR_NOT_FOUND. */
struct err tls_sums_read(struct engine *engine, uint32_t day, struct str domain,
                         struct arena *arena, struct str *record_r);
/* May yield. Rows behind (day, domain), in their order, at most `limit`; to begin with a day:
 * day, str_null. */
struct err tls_sums_page(struct engine *engine, uint32_t day, struct str domain, size_t limit,
                         struct arena *arena, struct tls_sums_row **rows_r, size_t *count_r);

#endif
