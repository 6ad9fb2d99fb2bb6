/*
 * Which hosts a job may be sent to, in which order (doc/sending.md, 3; RFC 5321 5.1): those of its
 * route block in their order or shuffled, the one that an operator chose ("host:port",
 * "[address]:port", "lmtp:" before them), or the MX of its domain by
 * preference, equal ones shuffled, or the domain itself. What leads back to us is cut. May yield
 * (the resolver); memory is the job's arena's.
 */
#ifndef COURIER_ROUTE_H
#define COURIER_ROUTE_H

#include "courier/job.h"

enum {
    ROUTE_HOSTS_MAX = 20,    /* of the MX records there may be; a domain with more has enough */
    ROUTE_ADDRESSES_MAX = 5, /* that are connected for one job, of all hosts together */
    ROUTE_PORT = 25,
};

struct route_host {
    struct str name;    /* for the log, TLS and results */
    struct str address; /* where no name is to be looked up; else empty */
    uint16_t port;
    uint16_t preference;
    bool lmtp;
    bool local;     /* `address` is the path of a socket of this host */
    bool proven;    /* its name is the configuration's, or of MX records that DNSSEC proves */
    bool is_domain; /* there are no MX records: the domain itself */
    bool named;     /* by the operator, in a route block: it may be on this machine */
};

struct route {
    struct route_host *hosts;
    size_t count;
    /* By MX: the domain that has them, and where its CNAMEs lead; else empty. */
    struct str domain, canonical;
};

/*
 * False: there is none, and each recipient has its result, or the job a note of why it must wait.
 * This is the one place that knows where the hosts of a job come from.
 */
bool route_find(struct job *job, struct route *route_r);

/* The addresses of a host, IPv6 and IPv4 in turn (RFC 8305 4), at most `most`. */
struct route_addresses {
    struct str list[ROUTE_ADDRESSES_MAX];
    size_t count;
    bool secure;          /* DNSSEC proves them */
    struct str canonical; /* where the CNAMEs of the host's name lead; the name itself: nowhere */
};
enum route_found {
    ROUTE_FOUND,
    ROUTE_NO_ADDRESS, /* the DNS knows that there is none */
    ROUTE_UNKNOWN,    /* the DNS does not answer, or with nothing to be believed */
};
enum route_found route_addresses(struct job *job, const struct route_host *host, size_t most,
                                 struct route_addresses *addresses_r);

/* Is it how this server calls itself? */
bool route_is_us(const struct conf *conf, struct str name);

#endif
