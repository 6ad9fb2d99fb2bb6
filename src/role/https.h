/*
 * One exchange by HTTPS, for a role that connects out: names by the resolver, our streams and our
 * TLS, so all that holds for what leaves holds here: no address that mail is never sent to
 * (catalogue N02), TLS 1.2 and up, an authority that vouches for the very name of the URL. It does
 * not follow where a server sends it, sends no cookie and no name of ours, and is over, with its
 * octets and its time bounded (catalogue N04). A connection serves one exchange.
 */
#ifndef ROLE_HTTPS_H
#define ROLE_HTTPS_H

#include "conf/networks.h"
#include "format/http.h"
#include "role/dns.h"
#include "sys/stream.h"
#include "sys/tls.h"

enum {
    HTTPS_PORT = 443,
    HTTPS_ADDRESSES_MAX = 4, /* of a host, IPv6 and IPv4 in turn */
    HTTPS_HOST_MAX = 253,
    HTTPS_WHY_MAX = 256,
};

/* What all exchanges of a role share; borrowed for each. */
struct https {
    struct loop *loop;
    struct stream_pool *streams;
    struct tls_client *tls;
    struct dns_client *dns;
    const struct conf_networks *allow, *deny; /* sending.allow_to, sending.deny_to */
    const struct network *own; /* addresses of ours that may be connected for once; or NULL */
    size_t own_count;
};

struct https_order {
    struct str host; /* a host name, never an address */
    uint16_t port;
    struct http_request request; /* its host is made from these */
    size_t body_most;            /* octets of the answer's body */
    bool secret;                 /* what is said and answered is wiped behind it */
    int64_t within;              /* ns, for all of it but the look-up, which has its own limit */
};

enum https_end {
    HTTPS_ANSWERED, /* with whatever status */
    HTTPS_NO_HOST,  /* there is no such name, or it has no address */
    HTTPS_DNS,      /* nobody knows */
    HTTPS_CONNECT,
    HTTPS_TLS, /* `tls` says how */
    HTTPS_LATE,
    HTTPS_BROKEN, /* lost, or no HTTP */
    HTTPS_TOO_LARGE,
    HTTPS_WRONG, /* the order has what no request can have */
};

struct https_answer {
    enum https_end end;
    enum tls_result tls;
    char why[HTTPS_WHY_MAX]; /* not answered: for people */
    struct http_reader response;
    bool secret; /* as ordered */
};

/* May yield. https_answer_done ends the answer, whatever came. */
enum https_end https_call(const struct https *https, const struct https_order *order,
                          struct https_answer *answer_r);
void https_answer_done(struct https_answer *answer);

/* "https://host[:port]/path": its parts, which borrow. False: it is no such URL, has a user, an
 * address for a host, or what a request cannot have. */
bool https_url_parse(struct str url, struct https_order *order_r);

#endif
