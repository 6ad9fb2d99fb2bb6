/*
 * struct network: an IP network, or one address, as a value. IPv4 is kept as IPv4-mapped IPv6 (RFC
 * 4291 2.5.5.2), so that there is one kind; ::ffff:192.0.2.1 and 192.0.2.1 are one address. The
 * octets behind the prefix are zero, so equal networks are equal octets. Pure, never yields.
 */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/buf.h"
#include "base/str.h"

enum {
    NETWORK_OCTETS = 16,
    NETWORK_BITS = 128,
    NETWORK_V4 = 96,   /* bits in front of an IPv4 address */
    NETWORK_TEXT = 50, /* octets of the longest text */
};

struct network {
    unsigned char octets[NETWORK_OCTETS];
    uint8_t bits; /* of the 128 */
};

/* "192.0.2.7", "2001:db8::/32". False: it is none, or has bits set behind its length. */
bool network_parse(struct str text, struct network *network_r);
/* The address alone, without a length. */
bool network_address(struct str text, struct network *network_r);
/* In the form network_parse reads, always with its length: "192.0.2.7/32". */
void network_print(const struct network *network, struct buf *to);

bool network_is_v4(const struct network *network);
/* The network of `bits` that it lies in; bits <= network->bits. */
struct network network_of(const struct network *network, unsigned bits);
/* The same, with its own length for each family: an IPv4 address gets NETWORK_V4 + v4 bits. */
struct network network_cut(const struct network *network, unsigned v4, unsigned v6);
bool network_eq(const struct network *a, const struct network *b);
/* Does it lie in `outer`, or is the same? */
bool network_within(const struct network *network, const struct network *outer);

#endif
