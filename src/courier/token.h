/*
 * An access token for a route (token_ask): one POST to the token endpoint of its provider (RFC 6749
 * 6), by HTTPS as everything of role/https.h. The grant comes with the question, goes to that
 * endpoint and nowhere else, and is wiped behind the answer; nothing of it is kept or logged.
 */
#ifndef COURIER_TOKEN_H
#define COURIER_TOKEN_H

#include "courier/courier.h"

#define TOKEN_WITHIN (30 * NS_PER_SECOND) /* for the exchange, behind the look-up of its host */

/* Begins a fiber that asks and answers core. ERR_NO_MEMORY. */
struct err token_get(struct courier *courier, const struct msg *asked);

#endif
