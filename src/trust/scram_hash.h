/*
 * What both sides of SCRAM compute with (RFC 5802 2.2): its hash, HMAC by that and Hi. Pure; false
 * is no memory. Results are scram_length(mechanism) octets, at most SCRAM_HASH_MAX.
 */
#ifndef TRUST_SCRAM_HASH_H
#define TRUST_SCRAM_HASH_H

#include "trust/sasl.h"

/* Hi: for long, `rounds` HMACs. */
bool scram_salted(enum sasl_mechanism mechanism, struct str password, struct str salt,
                  uint32_t rounds, unsigned char *to);
/* HMAC; `key` is as long as a result. */
bool scram_sign(enum sasl_mechanism mechanism, const unsigned char *key, struct str what,
                unsigned char *to);
/* H; `what` is as long as a result. */
bool scram_digest(enum sasl_mechanism mechanism, const unsigned char *what, unsigned char *to);

#endif
