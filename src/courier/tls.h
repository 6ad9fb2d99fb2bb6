/*
 * TLS on the way to another server. Where nothing asks for more it is opportunistic (RFC 7435):
 * STARTTLS where it is offered, anybody's certificate, and in clear where it is not, or fails. What
 * a domain publishes (policy.h) or a message demands (REQUIRETLS, RFC 8689) is kept or it is not
 * sent: nothing that must be encrypted, and nothing that was injected in front of a handshake
 * (catalogue S08), goes on in clear. What fails is named in the words of RFC 8460 4.3.
 */
#ifndef COURIER_TLS_H
#define COURIER_TLS_H

#include "courier/connection.h"
#include "courier/policy.h"

#define WITHIN_STARTTLS (120 * NS_PER_SECOND)
#define WITHIN_HANDSHAKE (60 * NS_PER_SECOND)

/* What this job demands of the host it calls: by its policy (policy.h), its route and its own. */
enum tls_need tls_need(const struct job *job);

enum tls_end {
    TLS_OFF,    /* it stays in clear, as it may */
    TLS_ON,     /* what it can do is to be asked anew */
    TLS_FAILED, /* the connection is of no use; in clear there may be another one */
    TLS_REFUSED /* nor may there be: the job has a note of why */
};

/* Behind EHLO. May yield. */
enum tls_end tls_begin(struct job *job, struct connection *connection);
/* From the first octet on (RFC 8314 3.3): TLS_ON or TLS_REFUSED. May yield. */
enum tls_end tls_begin_first(struct job *job, struct connection *connection);

#endif
