/*
 * SMTP TLS reports (RFC 8460): the TXT record that says where a domain wants them, and the report
 * of a day: its JSON, its file name, and the message that carries it. Counting, compressing and
 * sending are others'. Everything follows from the values given, octet for octet. Nothing yields;
 * JSON is built by jansson in memory of its own.
 */
#ifndef FORMAT_TLS_REPORT_H
#define FORMAT_TLS_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    TLS_REPORT_RECORD_MAX = 4096, /* octets of a record; a longer one is none */
    TLS_REPORT_PLACES_MAX = 2,    /* places that are used, the first ones we can reach */
    TLS_REPORT_URL_MAX = 1024,
};

struct tls_report_place {
    struct str mail; /* an address in addr_print form; p == NULL: */
    struct str url;  /* an https URL with a host name and without user, port allowed */
};

struct tls_report_places {
    struct tls_report_place at[TLS_REPORT_PLACES_MAX];
    size_t count; /* at least 1 */
};

/*
 * The record of _smtp._tls.DOMAIN. `texts` are all TXT records there, the strings of each joined.
 * Strings live in the arena. False: the domain wants no reports, or nowhere we can reach; *wrong_r
 * says why in a literal, p == NULL where there is no such record at all.
 */
bool tls_report_record_find(const struct str *texts, size_t count, struct arena *arena,
                            struct tls_report_places *places_r, struct str *wrong_r);

enum tls_report_policy_type {
    TLS_REPORT_NO_POLICY,
    TLS_REPORT_TLSA,
    TLS_REPORT_STS,
    TLS_REPORT_POLICY_TYPES
};

/* RFC 8460 4.3 */
enum tls_report_failure_type {
    TLS_REPORT_STARTTLS_NOT_SUPPORTED,
    TLS_REPORT_CERTIFICATE_HOST_MISMATCH,
    TLS_REPORT_CERTIFICATE_EXPIRED,
    TLS_REPORT_CERTIFICATE_NOT_TRUSTED,
    TLS_REPORT_VALIDATION_FAILURE,
    TLS_REPORT_TLSA_INVALID,
    TLS_REPORT_DNSSEC_INVALID,
    TLS_REPORT_DANE_REQUIRED,
    TLS_REPORT_STS_POLICY_FETCH_ERROR,
    TLS_REPORT_STS_POLICY_INVALID,
    TLS_REPORT_STS_WEBPKI_INVALID,
    TLS_REPORT_FAILURE_TYPES
};

/* "starttls-not-supported" ..., and the type of such a word (false: none). */
struct str tls_report_failure_word(enum tls_report_failure_type type);
bool tls_report_failure_parse(struct str word, enum tls_report_failure_type *type_r);

/* Sessions that failed in one way. Strings that are empty are left out. */
struct tls_report_failure {
    enum tls_report_failure_type type;
    struct str sending_ip, receiving_ip;
    struct str mx;     /* host name */
    struct str helo;   /* as it named itself */
    struct str reason; /* short; a stranger's text is made clean */
    uint64_t count;
};

struct tls_report_policy {
    enum tls_report_policy_type type;
    struct str domain;       /* A-labels */
    const struct str *lines; /* TLSA records, or the lines of the MTA-STS policy */
    size_t line_count;
    const struct str *mx; /* patterns of the MTA-STS policy */
    size_t mx_count;
    uint64_t successes, failures; /* sessions */
    const struct tls_report_failure *details;
    size_t detail_count;
};

struct tls_report {
    struct str organization;
    struct str contact; /* an address of ours, addr_print form; its domain is the submitter's */
    struct str id;      /* letters and digits */
    int64_t begin, end; /* seconds since 1970: a day, 00:00 to 23:59:59 UTC */
    struct str domain;  /* about whom, A-labels */
    const struct tls_report_policy *policies;
    size_t policy_count;
};

/* The JSON text. ERR_NO_MEMORY; ERR_OVER_LIMIT: the buf is full. */
struct err tls_report_json(const struct tls_report *report, struct buf *buf);
/* "sender!domain!begin!end!id.json.gz" (5.1), or ".json" */
void tls_report_file_name(const struct tls_report *report, bool gzip, struct buf *buf);

struct tls_report_mail {
    struct str from; /* an address of ours, of the submitter's domain: it is DKIM-signed */
    struct str to;
    struct str message_id; /* without angle brackets; the Report-ID, too */
    int64_t time;
    int zone;
    struct str content; /* the JSON text, or it in gzip */
    bool gzip;
};

/* Appends the message (5.3), lines with CR LF, 7-bit. ERR_OVER_LIMIT: the buf is full. */
struct err tls_report_mail_print(const struct tls_report *report,
                                 const struct tls_report_mail *mail, struct buf *buf);

#endif
