/*
 * Where mail may be sent to, by IP address: a stranger's DNS names the hosts that we connect to,
 * and must not lead us to ourselves or into places that only we can reach (catalogue N02). The
 * address itself is judged when the connection is made, not the name before. Pure, never yields.
 *
 * Private networks (RFC 1918, 4193) are places like any other: who wants them closed denies them.
 */
#ifndef BASE_DESTINATION_H
#define BASE_DESTINATION_H

#include "base/network.h"

enum destination {
    DESTINATION_FINE,
    DESTINATION_NO_ADDRESS,  /* not the text of one; an interface's name behind it is none either */
    DESTINATION_UNSPECIFIED, /* 0.0.0.0/8 and :: */
    DESTINATION_LOOPBACK,
    DESTINATION_LINK_LOCAL,
    DESTINATION_MULTICAST,
    DESTINATION_BROADCAST,
    DESTINATION_RESERVED, /* what nobody has */
    DESTINATION_MAPPED,   /* an IPv4 address in one of IPv6's forms for programs (RFC 4291 2.5.5) */
    DESTINATION_OWN,      /* one of ours, as the caller says */
    DESTINATIONS
};

/* Borrowed. */
struct destination_rules {
    const struct network *own;
    size_t own_count;
    /* Stronger than all reasons but DESTINATION_NO_ADDRESS and DESTINATION_MAPPED. */
    const struct network *allowed;
    size_t allowed_count;
};

/* What forbids this address. An address that carries an IPv4 address for a gateway on the way
 * (NAT64: RFC 6052; 6to4: RFC 3056) is judged as that, too. */
enum destination destination_judge(struct str address, const struct destination_rules *rules);
/* Is it one that `allowed` names? */
bool destination_is_allowed(struct str address, const struct destination_rules *rules);
/* For logs and traces: "a loopback address". A literal. */
struct str destination_words(enum destination destination);

#endif
