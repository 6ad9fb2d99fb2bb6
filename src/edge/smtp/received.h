/*
 * The Received field that we put in front (RFC 5321 4.4), and the same facts for the trace. Pure;
 * nothing yields.
 */
#ifndef EDGE_SMTP_RECEIVED_H
#define EDGE_SMTP_RECEIVED_H

#include "base/buf.h"
#include "format/transmission.h"

struct received {
    struct str helo;   /* as checked by EHLO; empty: none was said */
    struct str client; /* IP address as text; empty: a unix socket */
    uint16_t port;
    struct str host; /* ours */
    enum transmission transmission;
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

#endif
