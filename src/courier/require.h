/*
 * REQUIRETLS and TLS-Required (RFC 8689): what the sender of a message asks of the way.
 *
 * Required (4.2.1): a host gets the message where its name is proven (MX records that DNSSEC
 * proves, or an MTA-STS policy, enforced or in testing, that names it; the domain itself where it
 * has no MX; a host that the configuration names), its certificate verifies (PKIX or DANE), and it
 * announces REQUIRETLS in TLS. One that lacks any of these for good is missed: the next one is
 * asked, and where all that there are were missed the message goes back at once: 5.7.30 where one
 * lacks the announcement alone, else 5.7.10. What may pass (no connection, no answer of the DNS, a
 * 4yz) makes it wait, as it does for any other message.
 *
 * A report (the null path) is asked for the same; where a host was missed and none took it, all are
 * asked once more as for any other message (5): told without the promise, rather than not at all.
 * LMTP on this machine is the delivery, and no way. What a command submits is no report, whatever
 * its sender: it never leaves without the promise.
 *
 * Optional (4.2.2, 8.4; "TLS-Required: No" in the header): DANE and MTA-STS are as if they were not
 * there. What a route block says holds all the same: that is no word of the recipient's domain.
 *
 * Nothing yields but require_proven (the resolver, a fetch).
 */
#ifndef COURIER_REQUIRE_H
#define COURIER_REQUIRE_H

#include "courier/route.h"

#define REQUIRE_NO_TLS "5.7.10"     /* encryption needed */
#define REQUIRE_NO_PROMISE "5.7.30" /* REQUIRETLS support required */

/* Of the order, once. */
void require_read(struct job *job);

/* Does it hold for the host that is called now? */
bool require_tls(const struct job *job);
/* Has the host to prove its name in TLS? Not the server at the other end of a socket of this host,
 * which has to promise all the same. */
bool require_proof(const struct job *job);
/* Are policies of the recipient's domain to be ignored? */
bool require_is_optional(const struct job *job);

/* Another host is asked from now on. */
void require_begin(struct job *job, const struct route_host *host);
/* It does not have it, and would not later: `status` is one of the two; the text is what was noted,
 * or is to be. */
void require_miss(struct job *job, const char *status, struct str text);
/* Was the host that is called now missed? Then nothing more of it is asked. */
static inline bool require_missed(const struct job *job)
{
    return job->require.missed;
}
/* The host was no use: might it be another time? */
void require_end(struct job *job, bool known_to_be_none);

/* Is the host's name one that is proven to be the domain's? False: it has a note of why. */
bool require_proven(struct job *job, const struct route *route, const struct route_host *host);

/* Behind the last host: a report is to be tried as any other message. */
bool require_relaxes(struct job *job);
/* Behind the last host: true where all were missed, and each recipient has this for his result. */
bool require_decides(struct job *job);

#endif
