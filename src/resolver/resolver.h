/*
 * The resolver: questions of other roles to the DNS (dns_ask), one cache for all of them. It reads
 * what strangers wrote, so it has nothing: no file, no secret, no mail; its walls are those of a
 * role that may only ask servers of the DNS.
 *
 * One peer has at most half of the questions that may be under way: a role that was taken over
 * cannot keep the others from asking. Nothing here yields.
 */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H

#include "bus/link.h"
#include "sys/dns.h"
#include "sys/log.h"

struct resolver_peer;

#define RESOLVER_MAGIC MAGIC('R', 'S', 'L', 'V')

struct resolver {
    uint32_t magic;
    struct loop *loop;
    struct log *log;
    struct dns *dns;
    size_t questions; /* of all peers, at most */
    LIST_HEAD(resolver_peers, resolver_peer) peers;
};

/* Takes `dns`; `questions` is how many it lets be under way. */
void resolver_open(struct resolver *resolver, struct loop *loop, struct log *log, struct dns *dns,
                   size_t questions);
/* Another one in its place: what is under way is asked there once more. */
void resolver_use(struct resolver *resolver, struct dns *dns, size_t questions);
/* Takes the handle, also where it fails. */
struct err resolver_peer_add(struct resolver *resolver, int handle, enum bus_role role,
                             uint32_t instance);
/* Cuts all peers. */
void resolver_close(struct resolver *resolver);

/* The role's entry: "veredus role resolver". Returns the exit code. */
int resolver_main(void);

#endif
