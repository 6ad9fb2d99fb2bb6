/*
 * The queue on the disk: what is to be sent, until it is (doc/sending.md, 2).
 *
 * Partition QUEUE/0
 *   'e' message id, number -> an entry: one message to up to QUEUE_RECIPIENTS_MAX recipients of one
 *                             domain; it refers to the message's blob (message_head.h)
 *   'r' name               -> what went by a route lately (sending.h)
 *   't' name               -> the refresh token of a route (route_token.h)
 *   'n' name, NUL, kind    -> when the postmaster was told of a route (core/route_notice.h)
 *   'p' domain             -> a pause: nothing is sent to that destination; empty: to none
 *
 * An entry is written by whoever accepts the message, within that commit, and from then on by
 * core's queue alone (core/queue.h), which keeps changes of one entry apart: each change is the
 * whole record, and a commit that would change one that is gone fails (ERR_CONFLICT).
 *
 * Times are microseconds since 1970.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "store/engine.h"
#include "store/op_list.h"

enum {
    QUEUE_RECIPIENTS_MAX = 100,  /* of an entry (RFC 5321 4.5.3.1.8) */
    QUEUE_WORDS_MAX = 512,       /* octets of what a server said last; longer ones are cut */
    QUEUE_WHY_MAX = 200,         /* octets of why it is held */
    QUEUE_FIELDS_MAX = 16 << 10, /* octets of header fields put in front */
    QUEUE_RECORD_MAX = 60 * 1024,
    QUEUE_PAUSES_MAX = 10000,
};

/* Why an entry waits. Stored: add at the end. */
enum queue_wait {
    QUEUE_NEW = 0,      /* it was not tried yet */
    QUEUE_DEFERRED = 1, /* the other side said "later" */
    QUEUE_TROUBLE = 2,  /* no connection, no answer, no DNS */
    QUEUE_LATER = 3,    /* its sender asked for it (FUTURERELEASE) */
    QUEUE_LIMIT = 4,    /* a limit of its route */
    QUEUE_POLICY = 5,   /* what it demands the other side does not have: TLS, say */
    QUEUE_WAIT_COUNT
};

/* Who holds it; bits, and any one is enough. */
enum queue_hold {
    QUEUE_HELD_BY_OPERATOR = 1,
    QUEUE_HELD_WITH_ACCOUNT = 2, /* the sending of its account is on hold */
};

enum queue_flag {
    QUEUE_UTF8 = 1,       /* it came with SMTPUTF8, and needs it */
    QUEUE_DOTTED = 2,     /* a try ended, or may have, behind the final dot: the next may be a
                             second copy */
    QUEUE_WARNED = 4,     /* its sender was told that it waits */
    QUEUE_OF_LIST = 8,    /* its envelope sender is a list's owner */
    QUEUE_TRUSTED = 16,   /* from a user or smtp.relay_from: may ask for reports of success */
    QUEUE_FORWARDED = 32, /* it is sent on for an address here, by a sender of ours instead of its
                             own (core/forwarding.h) */
    QUEUE_REMOVED = 64,   /* an operator removed it while it was under way: what does not arrive is
                             dropped, and nothing of it is sent again */
    QUEUE_RETURNED = 128, /* so, and its sender is told */
    QUEUE_HERE = 256,     /* its recipients are accounts here, who get it at its time
                             (core/handing.h) */
};

/* What the other side, or the way to it, said last. */
struct queue_words {
    uint16_t code;     /* SMTP reply; 0: it did not come to one */
    struct str status; /* enhanced status code "4.2.2", or empty */
    struct str host;   /* who said so; empty: we */
    struct str text;   /* UTF-8 without controls */
    int64_t when;
};

struct queue_recipient {
    struct str address; /* addr_print form; where it goes */
    struct str given;   /* what the client named, where that is another (alias, list, forward), or
                           empty */
    struct str asked;   /* rcpt_options_keep (format/mail_options.h); empty: nothing */
    struct queue_words last; /* of this recipient, where it is not the entry's; else all empty */
};

struct queue_entry {
    uint64_t message; /* message id: with `number` its name */
    uint32_t number;
    blob_id blob;
    int64_t accepted, next, expires;
    int64_t warn; /* when its sender is to be told that it waits; 0: never */
    enum queue_wait wait;
    uint8_t holds;     /* enum queue_hold */
    uint16_t flags;    /* enum queue_flag */
    int8_t priority;   /* RFC 6710, -9 to 9 */
    uint8_t body_type; /* enum body_type (message_head.h) */
    uint32_t tries;
    uint64_t account;  /* whose user submitted it; 0: nobody here */
    uint64_t size;     /* octets of fields, Received and body */
    uint64_t job;      /* the last one whose outcome is in here: by it a result that is said again
                          is known; 0: none */
    struct str sender; /* the envelope's, addr_print form; empty: the null path */
    struct str domain; /* of the recipients */
    struct str route; /* an operator's choice: "@NAME" of a route, "host:port", "lmtp:host:port", or
                         "mx"; empty: as configured */
    struct str fields; /* header fields for this entry alone, put in front of everything; each ends
                          in CR LF */
    struct str asked;  /* mail_options_keep; empty: nothing */
    struct str why;    /* it is held: in words */
    struct queue_words last;
    struct queue_recipient *recipients; /* that still wait */
    size_t recipient_count;
};

struct partition queue_partition(void);

/* An upper limit of what each of these adds to a commit. */
enum {
    QUEUE_PUT_OPS = 1,
    QUEUE_CHANGE_OPS = 2,
};

/* A new entry, in the commit that puts its blob, or where another entry of that commit or of the
 * store refers to it. Memory is the arena's. ERR_OVER_LIMIT: its record
 * would be too long: make two of it. Never yields, as the next two. */
struct err queue_put_ops(const struct queue_entry *entry, struct arena *arena, struct op_list *ops);
/* It is as `entry` says now. */
struct err queue_change_ops(const struct queue_entry *entry, struct arena *arena,
                            struct op_list *ops);
/* It is over. */
void queue_remove_ops(const struct queue_entry *entry, struct arena *arena, struct op_list *ops);

/* All that follow may yield. ERR_NOT_FOUND. */
struct err queue_read(struct engine *engine, uint64_t message, uint32_t number, struct arena *arena,
                      struct queue_entry *entry_r);

/* Entries behind (message, number), in their order, at most `limit`; 0, 0 begins. A record that is
 * damaged is left out and counted. */
struct queue_page {
    struct queue_entry *entries;
    size_t count;
    size_t damaged;
    uint64_t last_message; /* where the next page begins */
    uint32_t last_number;
    bool more;
};
struct err queue_scan(struct engine *engine, uint64_t after_message, uint32_t after_number,
                      size_t limit, struct arena *arena, struct queue_page *page_r);

/* --- Pauses ---------------------------------------------------------------------------------- */

struct queue_pause {
    struct str domain; /* empty: all */
    struct str why;
    int64_t since;
};

void queue_pause_ops(const struct queue_pause *pause, struct arena *arena, struct op_list *ops);
void queue_resume_ops(struct str domain, struct arena *arena, struct op_list *ops);
struct err queue_pauses(struct engine *engine, struct arena *arena, struct queue_pause **pauses_r,
                        size_t *count_r);

/* --- The record ------------------------------------------------------------------------------ */

void queue_entry_encode(const struct queue_entry *entry, struct buf *to);
/* Texts borrow from the record, the array is the arena's. ERR_STORE_DAMAGED, ERR_NO_MEMORY. */
struct err queue_entry_decode(struct str record, struct arena *arena, struct queue_entry *entry_r);

#endif
