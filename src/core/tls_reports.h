/*
 * TLS reports (RFC 8460): what was counted of a day and a domain (core/tls_counts.h) is told to
 * whom the domain names at _smtp._tls.DOMAIN, once the day is over, some time within four hours.
 *
 * To each of its places, two at most: by mail, signed with DKIM by the domain of
 * sending.tls_reports_from, into the queue (it goes whatever policy there is,
 * mail_options.tls_optional, is not counted itself, and nobody is told where it does not arrive;
 * without a key it is not sent, for nobody would take it); by HTTPS through a courier. One that
 * takes it is enough; where none does, or the DNS says nothing, it is tried again, after half an
 * hour and then twice as long each time, for 24 hours, then dropped, and the log says so. A domain
 * that names nobody is told nothing. In each case the record goes. Core that dies between a report
 * and that sends it twice, with the same octets and the same report-id.
 */
#ifndef CORE_TLS_REPORTS_H
#define CORE_TLS_REPORTS_H

#include "core/core.h"
#include "store/tls_sums.h"

enum {
    TLS_REPORTS_DROPPED = 24 * 3600, /* seconds behind when it was due (RFC 8460 5.5) */
    TLS_REPORTS_AGAIN = 1800,        /* seconds, doubled with each try */
    TLS_REPORT_JSON_MAX = 256 << 10, /* octets */
    TLS_REPORT_ARENA = 16 << 20,     /* what one report takes at most */
};

/* Of core's duties: looks at what is due on a fiber of its own. Never yields. */
void tls_reports_duty(struct core *core);
/* May yield: until that is over. Peers are gone, so it is soon. */
void tls_reports_close(struct core *core);

/* --- Making one (tls_report_make.c) ---------------------------------------------------------- */

/* What a report of these sums says, in the arena; from and organization as configured. */
struct err tls_report_fill(const struct core *core, const struct tls_sums_row *row,
                           const struct tls_sums *sums, struct arena *arena,
                           struct tls_report *report_r);
/* The address that reports come from. */
struct str tls_report_from(const struct conf *conf, struct arena *arena);

/* --- For an operator ------------------------------------------------------------------------- */

/* May yield. Where a domain wants its reports; ERR_NOT_FOUND: nowhere, with a reason as detail;
 * ERR_TRY_LATER: nobody knows. */
struct err tls_report_places(struct core *core, struct str domain, struct arena *arena,
                             struct tls_report_places *places_r);

/* May yield. Sends the report of a record now, as it is on the disk, and lets the record go. What
 * became of it is in *said_r, in words, in the arena. ERR_NOT_FOUND: nothing was counted;
 * ERR_TRY_LATER: it was not taken, and stays. */
struct err tls_report_send(struct core *core, uint32_t day, struct str domain, struct arena *arena,
                           struct str *said_r);

#endif
