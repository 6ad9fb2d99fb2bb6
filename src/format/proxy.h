/*
 * The PROXY protocol, versions 1 and 2 (HAProxy's "proxy-protocol.txt", 2020): what a proxy puts in
 * front of a connection to say whose it is. Pure; nothing yields.
 *
 * Only those who are trusted are listened to; that is the caller's rule, not ours.
 */
#ifndef FORMAT_PROXY_H
#define FORMAT_PROXY_H

#include "base/str.h"

enum {
    PROXY_FIRST = 16,     /* octets that tell how many there are: the head of version 2 */
    PROXY_LINE_MAX = 107, /* of version 1, with its CR LF */
    PROXY_MAX = 2048,     /* octets of a header that is taken; its addends are not read */
    PROXY_ADDRESS = 46,   /* of an address as text, with its NUL */
};

enum proxy_found {
    PROXY_MORE, /* so far it may become a header */
    PROXY_WHOLE,
    PROXY_BAD, /* none, or a malformed one, or one that is too long */
};

/* Whose connection it is: "192.0.2.1", "2001:db8::1"; an IPv4-mapped address is given as IPv4. */
struct proxy {
    bool local; /* the proxy's own (a check of its): addresses are those of the connection */
    char client[PROXY_ADDRESS], server[PROXY_ADDRESS];
    uint16_t client_port, server_port;
};

/*
 * How many octets may be read next without reading past the header; at least 1 where proxy_parse
 * says PROXY_MORE. So what follows the header stays where it is.
 */
size_t proxy_wanted(struct str octets);

/* `octets`: from the connection's first. With PROXY_WHOLE *used_r are the header's. */
enum proxy_found proxy_parse(struct str octets, struct proxy *proxy_r, size_t *used_r);

#endif
