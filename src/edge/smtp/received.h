/*
 * The Received field that we put in front (RFC 5321 4.4), and the same facts for the trace. Pure;
 * nothing yields.
 */
#ifndef EDGE_SMTP_RECEIVED_H
#define EDGE_SMTP_RECEIVED_H

#include "base/buf.h"
#include "format/transmission.h"
#include "sys/tls.h"

struct received {
    bool hidden;       /* where it came from is not told */
    bool local;        /* a program of this host; client says whose: "uid 1000" */
    struct str helo;   /* as checked by EHLO; empty: none was said */
    struct str client; /* IP address as text; empty: a unix socket */
    struct str name;   /* of that address, where it leads back; empty: none is known */
    struct str found;  /* what speaks against the client, words; for the trace */
    uint16_t port;
    struct str host; /* ours */
    enum transmission transmission;
    const struct tls_facts *tls; /* NULL: in clear text */
    struct str login;            /* the account's address; empty: nobody logged in. Trace only */
    uint64_t message;            /* id */
    struct str only_one_for;     /* the recipient where there is just one, else empty */
    struct str reverse_path;
    const char *body_type;
    struct str
        forwarded; /* key="value" words that a trusted client told (XFORWARD); for the trace */
    int64_t time;  /* seconds since 1970 */
};

/*
 * With its CR LF. Where it came from is hidden by leaving the from clause out: "Received: by HOST
 * with ESMTPSA id ..". RFC 5321 4.4 wants the clause from a server that takes mail from another;
 * RFC 5322 3.6.7 and its readers do without it, as for mail that is made on the host itself. A
 * made-up name or address in it would be a lie, and filters judge those. What a program of this
 * host brings is "Received: (from uid 1000)".
 */
void received_print(const struct received *received, struct buf *to);

/* key="value" words, escaped. */
void received_facts_print(const struct received *received, struct buf *to);

#endif
