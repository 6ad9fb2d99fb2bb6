/*
 * The Received field that we put in front (RFC 5321 4.4), and the same facts for the trace. Pure;
 * nothing yields.
 */
#ifndef EDGE_SMTP_RECEIVED_H
#define EDGE_SMTP_RECEIVED_H

#include "base/buf.h"

struct received {
    struct str helo;   /* as checked by EHLO; empty: none was said */
    struct str client; /* IP address as text; empty: a unix socket */
    uint16_t port;
    struct str host; /* ours */
    bool lmtp, extended, utf8;
    uint64_t message;        /* id */
    struct str only_one_for; /* the recipient where there is just one, else empty */
    struct str reverse_path;
    const char *body_type;
    int64_t time; /* seconds since 1970 */
};

/* With its CR LF. */
void received_print(const struct received *received, struct buf *to);

/* key="value" words, escaped. */
void received_facts_print(const struct received *received, struct buf *to);

/* "ESMTP", "UTF8SMTP" ...: what follows `with` (RFC 3848, 6531 4.3). */
const char *received_with(const struct received *received);

#endif
