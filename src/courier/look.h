/*
 * Looks, for `veredus check`: how a port of this server looks to who connects to it (greeting,
 * STARTTLS, what its certificate proves), and what a domain's web server gives as MTA-STS policy.
 * Core names the addresses, which are this server's own; they are connected though mail never is
 * sent there, and nothing but EHLO, STARTTLS and QUIT is said. A look takes LOOK_WITHIN at most,
 * twice that where TLSA records are held against the certificate: that takes a handshake of its
 * own.
 *
 * Each begins a fiber that answers core; ERR_NO_MEMORY: it did not.
 */
#ifndef COURIER_LOOK_H
#define COURIER_LOOK_H

#include "courier/courier.h"

#define LOOK_WITHIN (10 * NS_PER_SECOND)
#define LOOK_CONNECT (5 * NS_PER_SECOND)

struct err look_begin(struct courier *courier, const struct msg *asked);
struct err look_sts_begin(struct courier *courier, const struct msg *asked);

#endif
