/*
 * What a sender asks for beside the addresses, in the parameters of MAIL and RCPT: notifications
 * (DSN, RFC 3461, RFC 6533), a later release (FUTURERELEASE, RFC 4865), a time to be delivered by
 * (DELIVERBY, RFC 2852), a priority (MT-PRIORITY, RFC 6710), TLS all the way (REQUIRETLS,
 * RFC 8689). One value for the transaction, one for each recipient; all zero: nothing was asked.
 *
 * Relative times become absolute ones when they are read, with the `now` of the caller: seconds
 * since 1970 UTC. Texts are kept decoded: nothing of xtext is left in them, and no control
 * character ever was in it (catalogue S13). Pure; nothing yields.
 */
#ifndef FORMAT_MAIL_OPTIONS_H
#define FORMAT_MAIL_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/wire.h"
#include "format/capabilities.h"
#include "format/smtp_words.h"

enum {
    ENVID_MAX = 100,             /* characters in xtext, RFC 3461 4.4 */
    ORCPT_MAX = 500,             /* with its type, in xtext, 4.2 */
    PRIORITY_MAX = 9,            /* and as much below zero, RFC 6710 4.1 */
    DELIVER_BY_MAX = 999999999,  /* seconds, RFC 2852 4 */
    MAIL_OPTIONS_KEPT_MAX = 256, /* octets of a record: those of ENVID and the numbers */
    RCPT_OPTIONS_KEPT_MAX = 512,
    HOLD_MAX = 999999999, /* seconds, RFC 4865 3 */
};

enum dsn_return {
    DSN_RETURN_UNSAID,
    DSN_RETURN_FULL,
    DSN_RETURN_HEADERS,
};

/* 0: not said, which is FAILURE and DELAY (RFC 3461 4.1). NEVER stands alone. */
enum dsn_notify {
    DSN_NOTIFY_NEVER = 1 << 0,
    DSN_NOTIFY_SUCCESS = 1 << 1,
    DSN_NOTIFY_FAILURE = 1 << 2,
    DSN_NOTIFY_DELAY = 1 << 3,
    DSN_NOTIFY_ALL = 15,
};

enum deliver_by_mode {
    DELIVER_BY_NONE,
    DELIVER_BY_NOTIFY, /* N: go on trying, and say that it is late */
    DELIVER_BY_RETURN, /* R: give up then */
};

/* Of MAIL. */
struct mail_options {
    enum dsn_return ret;
    struct str envid;   /* printable ASCII; p == NULL: none */
    int64_t hold_until; /* 0: not held */
    uint32_t hold_for;  /* seconds, where HOLDFOR was said; else 0 (RFC 4865 5.1.2) */
    enum deliver_by_mode deliver_by_mode;
    bool deliver_by_trace; /* T: tell of each relay */
    int64_t deliver_by;    /* may lie in the past where the mode is NOTIFY */
    int8_t priority;
    bool require_tls;
    /* "TLS-Required: No" in the header (RFC 8689 3): no parameter, but what core makes of the field
     * where the parameter was not said. Never said to a peer: the field goes along. */
    bool tls_optional;
};

/* Of RCPT. */
struct rcpt_options {
    uint8_t notify; /* enum dsn_notify */
    /* ORCPT, type and address with ';' between them, as Original-Recipient of a DSN has it
     * (RFC 3464 2.3.1): "rfc822;Bob@example.org"; of type utf-8 with UTF-8 in it (RFC 6533 3).
     * p == NULL: none. */
    struct str orcpt;
};

/*
 * One parameter into the options. ERR_PARAMETER_UNKNOWN: none of these, nothing was done.
 * ERR_PARAMETER_VALUE: not in its form, or too long. ERR_OVER_LIMIT: the arena is full.
 */
struct err mail_options_take(struct mail_options *options, const struct esmtp_param *param,
                             int64_t now, struct arena *arena);
/* `utf8`: SMTPUTF8 was said on MAIL, so ORCPT may hold UTF-8 as it is. */
struct err rcpt_options_take(struct rcpt_options *options, const struct esmtp_param *param,
                             bool utf8, struct arena *arena);

/* Behind the last parameter: ERR_PARAMETER_VALUE where they contradict each other: held longer than
 * the time to be delivered by (RFC 4865 5.2.2). HOLDFOR beside HOLDUNTIL is refused by
 * mail_options_take. */
struct err mail_options_check(const struct mail_options *options);

/*
 * What is to be said to a peer, each with a space in front: only what it can take; all of it is
 * left to the caller to have weighed (what must not be relayed without DELIVERBY or REQUIRETLS).
 * FUTURERELEASE is never passed on: who holds the message is its first host (RFC 4865 4.2).
 */
void mail_options_print(struct buf *buf, const struct mail_options *options,
                        const struct capabilities *peer, int64_t now);
/* `utf8`: SMTPUTF8 is said on this MAIL. */
void rcpt_options_print(struct buf *buf, const struct rcpt_options *options,
                        const struct capabilities *peer, bool utf8);

/* For a record: written behind what stands there, read back from there. Their form has a version of
 * its own. wire_in.bad where it is damaged; texts borrow from it. */
void mail_options_encode(struct buf *buf, const struct mail_options *options);
void mail_options_decode(struct wire_in *in, struct mail_options *options_r);
void rcpt_options_encode(struct buf *buf, const struct rcpt_options *options);
void rcpt_options_decode(struct wire_in *in, struct rcpt_options *options_r);

/* The same for a field of its own: empty where nothing was asked. str_null: the arena is full. */
struct str mail_options_keep(const struct mail_options *options, struct arena *arena);
struct str rcpt_options_keep(const struct rcpt_options *options, struct arena *arena);
/* False: damaged, and nothing is asked. Texts borrow from `kept`. */
bool mail_options_read(struct str kept, struct mail_options *options_r);
bool rcpt_options_read(struct str kept, struct rcpt_options *options_r);

/* Could these have come from mail_options_take? For what crossed the bus. */
bool mail_options_possible(const struct mail_options *options);
bool rcpt_options_possible(const struct rcpt_options *options);

/* "SUCCESS,FAILURE", as NOTIFY has it; nothing for 0. */
void dsn_notify_print(struct buf *buf, uint8_t notify);

#endif
