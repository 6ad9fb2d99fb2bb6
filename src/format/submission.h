/*
 * The header of a submitted message put right (RFC 6409 8). Who holds the octets back until the
 * header is whole is the caller's matter: submission_scan finds its end, cut anywhere, and
 * submission_header makes of the whole of it what is to be kept. The body is never looked at.
 *
 * What is done, and nothing else; every other octet stays as it came, for it may be signed:
 *   - Bcc and Resent-Bcc go, with their folded lines, and so does Return-Path.
 *   - A local part alone in From, Sender, Reply-To, To, Cc and their Resent- forms gets '@' and the
 *     account's domain, where that makes an address; in a group, too.
 *   - Date, From, To, Message-ID are added where they are missing, in that order, in front of all
 *     other fields. From names the account; To is "undisclosed-recipients:;", and is missing where
 *     there is neither To nor Cc. A Date or Message-ID with nothing in it (white space, comments)
 *     is replaced; one that makes no sense stays.
 * Doing it twice is doing it once.
 *
 * Who wrote it must be readable in one way only (catalogue M10): format/header.h judges From, and
 * Sender, Resent-From and Resent-Sender must be lists of addresses that name somebody.
 *
 * Octets above 127 are kept, with SMTPUTF8 and without: as mail from other servers is (RFC 6532;
 * before it, old charsets).
 */
#ifndef FORMAT_SUBMISSION_H
#define FORMAT_SUBMISSION_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    SUBMISSION_AUTHORS_MAX = 200,
    SUBMISSION_ADDED_MAX = 2048, /* octets of added fields; completed addresses are beside it */
    /* Octets of scratch for each octet that comes and each that may come out, and so many more. */
    SUBMISSION_SCRATCH_TIMES = 16,
    SUBMISSION_SCRATCH_MORE = 64 * 1024,
};

struct submission_scan {
    unsigned matched; /* octets of the CR LF CR LF that ends a header, and were not seen yet: begin
                         with submission_scan_begin */
};

static inline struct submission_scan submission_scan_begin(void)
{
    return (struct submission_scan){.matched = 2}; /* an empty line may come first */
}

/* How many of these octets are the header's, its empty line included. *ended_r: it is whole. */
size_t submission_scan(struct submission_scan *scan, struct str octets, bool *ended_r);

struct submission_facts {
    struct str account;  /* address of the account, addr_print form */
    struct str hostname; /* behind the '@' of a Message-ID */
    struct str id;       /* before it: dot-atom text */
    int64_t time;        /* now, seconds since 1970 */
    size_t most;         /* octets of the header that comes out */
};

struct submission_result {
    struct str header;
    struct str
        *authors; /* in From, Sender, Resent-From, Resent-Sender; each once, addr_print form */
    size_t author_count;
};

/*
 * `header`: from the first octet to the end of the empty line, or of the message where there is
 * none. The results live in `kept`; `scratch` may be emptied afterwards.
 * ERR_MESSAGE_FROM with a literal detail that names the field; ERR_HEADER_TOO_LARGE: more than
 * facts->most comes out; ERR_OVER_LIMIT: an arena is full.
 */
struct err submission_header(struct str header, const struct submission_facts *facts,
                             struct arena *kept, struct arena *scratch,
                             struct submission_result *result_r);

#endif
