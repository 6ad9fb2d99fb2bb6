/*
 * struct dns_client: how a role asks the resolver. It has the role's end of that link and gives
 * typed values; what came is checked as if the resolver had been taken over.
 *
 * A resolver that dies is started again, and its questions are asked once more of the next one;
 * where none comes within DNS_CLIENT_WAIT, or that one dies too, the answer is ERR_TRY_LATER.
 *
 * What all questions may answer:
 *   NONE          there are records
 *   DNS_NO_NAME   there is no such name (NXDOMAIN)
 *   DNS_NO_DATA   there is the name, and it has no such record (of use)
 *   DNS_FAILED    nobody knows: no server answered in time, or with nothing one can read
 *   DNS_BOGUS     DNSSEC says that the answer is not to be believed: nobody knows, neither
 *   TRY_LATER     we cannot ask now
 *   USAGE         that is no name
 *   OVER_LIMIT    the arena is full
 * The first three are knowledge, the others are none: mail waits for it, is never refused for it.
 *
 * All may yield but dns_client_*. What they give lives in the arena. Names are text without the
 * dot of the root, in any case; given back in lower case.
 */
#ifndef ROLE_DNS_H
#define ROLE_DNS_H

#include "bus/link.h"
#include "format/dns.h"
#include "sys/dns.h"

#define DNS_CLIENT_WAIT (10 * NS_PER_SECOND)
#define DNS_CLIENT_ALONE NS_PER_SECOND /* without a link, before `alone` is called, and again */

struct dns_client_waiter;

struct dns_client {
    struct loop *loop;
    enum bus_role own;
    struct link *link; /* NULL: away */
    bool over;         /* dns_client_done: nobody is waited for */
    TAILQ_HEAD(, dns_client_waiter) waiters;
    struct timer alone_timer;
    /* There is no link for a while: the parent may have to be told (role_unlinked). NULL: nobody
     * wants to know. On the loop's stack. */
    void (*alone)(void *arg);
    void *arg;
    uint64_t asked; /* for status and tests */
};

void dns_client_init(struct dns_client *client, struct loop *loop, enum bus_role own,
                     void (*alone)(void *arg), void *arg);
/* A new link in the place of the one there may be; takes the handle, also where it fails. */
struct err dns_client_attach(struct dns_client *client, int handle);
/* Cuts; who waits, and who asks from now on, gets TRY_LATER. */
void dns_client_done(struct dns_client *client);

/* What is known about an answer beside its records; filled in for every error, too. */
struct dns_found {
    bool secure;          /* proven by DNSSEC; of NO_NAME and NO_DATA: so is the absence */
    uint32_t ttl;         /* seconds it holds */
    struct str canonical; /* where the CNAMEs lead; the name itself where there are none */
    struct str why;       /* an error: more, for the operator; any octets */
};

/* The records as they came. */
struct dns_raw {
    struct dns_found found;
    unsigned rcode;
    enum dns_verdict verdict;
    struct dns_record *records;
    size_t count;
    bool cut; /* there were more than one may have */
};
struct err dns_raw(struct dns_client *client, struct str name, uint16_t type, struct arena *arena,
                   struct dns_raw *raw_r);

/* By preference, equal ones in the order they came. Names that are no host's are left out; a host
 * "" says that there is no mail (RFC 7505). */
struct dns_mxs {
    struct dns_found found;
    struct dns_mx *list;
    size_t count;
};
struct err dns_mx(struct dns_client *client, struct str domain, struct arena *arena,
                  struct dns_mxs *mxs_r);

/* type: DNS_A or DNS_AAAA. */
struct dns_address {
    char text[DNS_ADDRESS_TEXT];
};
struct dns_addresses {
    struct dns_found found;
    struct dns_address *list;
    size_t count;
};
struct err dns_address(struct dns_client *client, struct str host, enum dns_type type,
                       struct arena *arena, struct dns_addresses *addresses_r);

struct dns_txts {
    struct dns_found found;
    struct dns_txt *list;
    size_t count;
};
struct err dns_txt(struct dns_client *client, struct str name, struct arena *arena,
                   struct dns_txts *txts_r);

/* Which certificates a service has: of "_25._tcp.mx.example" (RFC 6698 3). Records that are
 * malformed are left out; where secure, who gets no usable one must not go on as if there were
 * none (RFC 7672 2.1.1: `unusable`). */
struct dns_tlsas {
    struct dns_found found;
    struct dns_tlsa *list;
    size_t count;
    size_t unusable;
};
struct err dns_tlsa(struct dns_client *client, struct str name, struct arena *arena,
                    struct dns_tlsas *tlsas_r);

/* The names of an IP address, as text, by its PTR records; names that are no host's are left out.
 * USAGE: that is no address. What a PTR says is the word of whoever has the address: a name counts
 * only where it leads back (dns_address). */
struct dns_names {
    struct dns_found found;
    struct str *list;
    size_t count;
};
struct err dns_ptr(struct dns_client *client, struct str address, struct arena *arena,
                   struct dns_names *names_r);

#endif
