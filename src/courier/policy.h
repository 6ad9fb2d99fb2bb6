/*
 * What a host has to prove before mail goes there: the strictest of what its operators publish.
 * DANE (RFC 7672) stands before all else: where the MX records, the host's addresses and its TLSA
 * records are all proven by DNSSEC, the host does TLS and has one of those certificates, or gets no
 * mail. Records of which none can be used: TLS all the same, with anybody's certificate (2.2). No
 * records, or a zone that is not signed: nothing is demanded. Nobody knows: the host is passed over
 * (2.1.1), for whoever can keep an answer from us could else take the policy away.
 *
 * Where no DANE is, the domain's MTA-STS policy (RFC 8461, sts.h): enforced, its MX hosts alone get
 * mail, in TLS and with a good certificate of their name; the others are passed over.
 *
 * A message whose sender requires TLS demands more, and one that says "TLS-Required: No" nothing
 * (require.h).
 *
 * Of a host that the configuration names, the name is as good as proven (2.2.2); an address has no
 * policy. May yield (the resolver); memory is the job's arena's.
 */
#ifndef COURIER_POLICY_H
#define COURIER_POLICY_H

#include "courier/route.h"
#include "sys/tls.h"

enum {
    POLICY_NAMES_MAX = 4, /* that a certificate may have (RFC 7672 3.2.2) */
};

struct tls_policy {
    enum tls_need need;
    struct str base; /* DANE: the TLSA base domain, which SNI says */
    struct str names[POLICY_NAMES_MAX];
    size_t name_count;
    const struct tls_tlsa *tlsa;
    size_t tlsa_count;
    /* For TLS reports (sessions.h): all its TLSA records, and where the host is forbidden, why. */
    const struct dns_tlsa *records;
    size_t record_count;
    enum tls_result failed;
};

/* False: nobody knows, and the job has a note of why. */
bool policy_find(struct job *job, const struct route *route, const struct route_host *host,
                 const struct route_addresses *addresses, struct tls_policy *policy_r);

/* The job's domain's MTA-STS policy, looked for once. NULL: no memory. May yield. */
const struct sts_found *policy_sts(struct job *job, struct str domain);

/* An operator's question (policy_ask): begins a fiber that finds all this and answers. */
struct err policy_tell(struct courier *courier, const struct msg *asked);

#endif
