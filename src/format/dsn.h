/*
 * Delivery status notifications: what became of a message, told to who sent it (RFC 3461 6, 3464,
 * 6522, 6533, 3834). A report is a multipart/report of
 *   1. a text for people: whom it is about, what the other server said, and what to do next;
 *   2. message/delivery-status for programs, or message/global-delivery-status where an address or
 *      a reply has more than ASCII in it and the reader can have that (reads_utf8); else such
 *      addresses have the utf-8 type in its xtext form, and such words are written as \x{N};
 *   3. the message, or its header (dsn_returns_body, DSN_HEADER_MAX): message/rfc822,
 *      text/rfc822-headers, and message/global or message/global-headers for one with UTF-8 in its
 *      header. A body that no transport of lines can carry (NUL, bare CR or LF, lines of more than
 *      998 octets) is left out. Nothing else is: what came is shown as it is.
 *
 * Whatever the strings of a struct dsn hold, the report has these three parts and the fields that
 * are said here: controls, bidirectional controls and malformed UTF-8 are escaped, ends of line
 * never come out of a string, and the boundary occurs nowhere in the parts (catalogue S30). The
 * first two parts are 7-bit in any language unless part 2 is message/global-delivery-status.
 *
 * The null reverse-path and NOTIFY=NEVER are the caller's matter, and so is whether a report may
 * be sent at all. Pure; nothing yields.
 */
#ifndef FORMAT_DSN_H
#define FORMAT_DSN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "format/language.h"
#include "format/mail_options.h"
#include "format/reply.h"
#include "format/words.h"

/* The gravest first: a report that says several things is named after the first of them. */
enum dsn_action {
    DSN_FAILED,
    DSN_DELAYED,
    DSN_EXPANDED,
    DSN_RELAYED,
    DSN_DELIVERED,
    DSN_ACTIONS
};

/* Why a message did not arrive: each has a sentence and an advice (dsn_texts.def). */
enum dsn_cause {
#define DSN_CAUSE(name, word, english, chinese, english_advice, chinese_advice) DSN_CAUSE_##name,
#include "format/dsn_texts.def"
    DSN_CAUSES
};

/*
 * The cause as a reply tells it. `code` is the reply code, 0 where there was none; `status` the
 * enhanced code, of class 0 where there was none; `text` the words. What a code says for certain
 * counts before words; words count before what a code only hints at, since most servers say 5.7.1
 * to everything. DSN_CAUSE_UNKNOWN: nothing is known; then no advice is better than a wrong one.
 */
enum dsn_cause dsn_cause(unsigned code, struct status_code status, struct str text);
/* "mailbox-full": for traces and lists; and the one of such a word (false: none). */
struct str dsn_cause_word(enum dsn_cause cause);
bool dsn_cause_parse(struct str word, enum dsn_cause *cause_r);
/* "failed", "delayed" ... as in the Action field. */
struct str dsn_action_word(enum dsn_action action);
/* What happened, and what to do next; one paragraph each, UTF-8, no ends of line. */
struct str dsn_cause_text(enum dsn_cause cause, enum language language);
struct str dsn_cause_advice(enum dsn_cause cause, enum language language);

struct dsn_recipient {
    enum dsn_action action;
    struct str original;       /* ORCPT as in struct rcpt_options; empty: none came */
    struct str final;          /* to whom we were to send it, in addr_print form */
    struct status_code status; /* one of a class that does not go with the action becomes X.0.0 */
    struct str remote; /* name of the server that said it; empty: no other server had part */
    /* The reply: its code, and its text as in struct reply. Where none came the code is 0, and the
     * text is what befell us, in English words, or empty. DSN_TEXT_MAX octets are shown. */
    unsigned code;
    struct str text;
    enum dsn_cause cause; /* DSN_CAUSE_UNKNOWN: found by dsn_cause */
    int64_t last_attempt; /* seconds since 1970, 0: none */
    int64_t retry_until;  /* DSN_DELAYED only; 0: not known */
};

struct dsn_original {
    struct str header; /* from its first octet to its empty line, with or without it */
    struct str body;   /* behind the empty line; p == NULL: not at hand, the header is returned */
    bool utf8;         /* it came with SMTPUTF8 */
};

struct dsn {
    enum language language;
    struct str host;       /* our name, A-labels */
    struct str postmaster; /* whom people may ask, addr_print form; empty: postmaster@host */
    struct str to;         /* the reverse-path of the message: who gets this */
    struct str message_id; /* of the report, without angle brackets; never used before */
    int64_t time;          /* now, seconds since 1970 */
    int zone;              /* minutes east of UTC in which times are told */
    struct str queue_id;   /* of the message, as the operator can look it up; may be empty */
    struct str envid;      /* as in struct mail_options; empty: none came */
    int64_t arrival;       /* of the message, seconds since 1970; 0: not known */
    const struct dsn_recipient *recipients;
    size_t recipient_count; /* at least 1 */
    struct dsn_original original;
    bool reads_utf8;    /* `to` can have SMTPUTF8: a mailbox here, or a sender who used it */
    bool tls_optional;  /* as the message was: "TLS-Required: No" (RFC 8689 6) */
    bool double_bounce; /* `to` is our postmaster: who sent the message cannot be told */
    const struct charset_converter *converter; /* for the original's Subject; may be NULL */
};

enum {
    DSN_RETURN_MAX = 64 << 10, /* octets of a message returned whole without RET */
    DSN_HEADER_MAX = 64 << 10, /* octets of a header; cut behind the last field that fits */
    DSN_TEXT_MAX = 4 << 10,    /* octets of a reply; "..." stands for the rest */
    DSN_RECIPIENTS_TOLD = 100, /* the text for people names so many; part 2 names all */
};

/* Whether the body belongs into the report: a failure, RET does not forbid it, and the message has
 * no more than DSN_RETURN_MAX octets; with RET=FULL no more than `full_max`. */
bool dsn_returns_body(bool failed, enum dsn_return ret, uint64_t message_size, uint64_t full_max);

struct dsn_made {
    bool eight_bit; /* octets above 127 are in it: BODY=8BITMIME */
    bool utf8;      /* and it takes SMTPUTF8 */
};

/*
 * Appends the whole report, header and body, lines with CR LF. The arena is for the time of the
 * call: it needs the size of the report about three times. ERR_OVER_LIMIT: the arena or the buf is
 * full; the buf then holds a part.
 */
struct err dsn_print(const struct dsn *dsn, struct arena *scratch, struct buf *buf,
                     struct dsn_made *made_r);

#endif
