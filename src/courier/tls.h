/*
 * TLS on the way to another server. Where nothing asks for more it is opportunistic (RFC 7435):
 * STARTTLS where it is offered, anybody's certificate, and in clear where it is not, or fails. What
 * a message demands (REQUIRETLS, RFC 8689) is kept or it is not sent: nothing that must be
 * encrypted, and nothing that was injected in front of a handshake (catalogue S08), goes on in
 * clear.
 */
#ifndef COURIER_TLS_H
#define COURIER_TLS_H

#include "courier/connection.h"

#define WITHIN_STARTTLS (120 * NS_PER_SECOND)
#define WITHIN_HANDSHAKE (60 * NS_PER_SECOND)

enum tls_need {
    TLS_NEED_NONE, /* it may be in clear */
    TLS_NEED_PKIX, /* never, and its certificate has to be good */
};

/* What this job demands of this host. */
enum tls_need tls_need(const struct job *job, const struct connection *connection);

enum tls_end {
    TLS_OFF,    /* it stays in clear, as it may */
    TLS_ON,     /* what it can do is to be asked anew */
    TLS_FAILED, /* the connection is of no use; in clear there may be another one */
    TLS_REFUSED /* nor may there be: the job has a note of why */
};

/* Behind EHLO. May yield. */
enum tls_end tls_begin(struct job *job, struct connection *connection);

#endif
