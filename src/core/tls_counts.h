/*
 * What couriers tell of TLS to other domains, counted for TLS reports (RFC 8460; store/tls_sums.h):
 * the records of today are in memory, at most TLS_COUNTS_DOMAINS of them and TLS_COUNTS_OCTETS
 * together. What comes from further domains is counted in one record for all of them.
 *
 * A count costs no commit: what changed is written every TLS_COUNTS_EVERY, at the end of a day, and
 * when core stops. A core that is killed loses what was counted since; a restart loses nothing. At
 * its beginning core reads the records of today back. Those of days that are over are on the disk
 * alone, until they were reported (core/tls_reports.h).
 *
 * A courier may speak of the domain of its own job alone; what it says otherwise is not believed
 * further than it can be counted.
 */
#ifndef CORE_TLS_COUNTS_H
#define CORE_TLS_COUNTS_H

#include "core/core.h"
#include "store/tls_sums.h"

enum {
    TLS_COUNTS_DOMAINS = 10000,
    TLS_COUNTS_OCTETS = 32 << 20, /* of records */
    TLS_COUNTS_SPREAD = 14400,    /* seconds behind the end of a day, by chance (RFC 8460 4.1) */
};
#define TLS_COUNTS_EVERY (600 * NS_PER_SECOND)

/* Of core_open and core_close. May yield. */
struct err tls_counts_open(struct core *core);
void tls_counts_close(struct core *core);

/* Sessions of a job for this domain; those that there cannot be are left out. Never yields. */
void tls_counts_take(struct core *core, struct str domain, const struct msg_tls_session *sessions,
                     size_t count);

/* May yield: all is on the disk. */
struct err tls_counts_write(struct core *core);
/* May yield; of core's duties. */
struct err tls_counts_duty(struct core *core);

/*
 * Who changes records on the disk does it between these, one at a time; the first may yield.
 */
void tls_counts_lock(struct core *core);
void tls_counts_unlock(struct core *core);
/* May yield, with the lock. These sessions were reported (NULL: the record is of no use): they are
 * gone, also on the disk, and what was counted since is not. */
struct err tls_counts_end(struct core *core, uint32_t day, struct str domain,
                          const struct tls_sums *sent);

/* The day that it is, since 1970, UTC. */
uint32_t tls_counts_today(const struct core *core);

#endif
