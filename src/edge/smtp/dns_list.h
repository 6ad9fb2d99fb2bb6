/*
 * Asking lists in the DNS about an address or a domain (RFC 5782), and whether the lists themselves
 * are in order: one that lists what no list may (127.0.0.1, ::FFFF:7F00:1, "invalid"; section 5)
 * lists everything, as lists do that were given up, or whose domain has a new owner; addresses
 * outside 127.0.0.0/8 are a sign of the same. Such a list counts for nothing, and the log says so.
 *
 * What was found out about a list holds for DNS_LIST_LASTS, for all sessions of an edge.
 */
#ifndef EDGE_SMTP_DNS_LIST_H
#define EDGE_SMTP_DNS_LIST_H

#include "edge/edge.h"
#include "edge/smtp/judgement.h"

#define DNS_LIST_LASTS (3600 * NS_PER_SECOND)

enum {
    DNS_LISTS_KNOWN = 64, /* states that are kept; all are forgotten when there are more */
};

/* How a list behaves to one kind of question. */
struct dns_list_state {
    SLIST_ENTRY(dns_list_state) link;
    char *zone;
    unsigned kind;
    int64_t since; /* mono */
    bool broken;
};

struct dns_lists {
    SLIST_HEAD(, dns_list_state) known;
    size_t count;
};

/*
 * May yield. Is `subject` (an address, or a domain) on the list? False also where that is not
 * known, or the list is out of order. What it says about it goes into *hit_r.
 */
bool dns_list_asks(struct edge *edge, struct dns_lists *lists, const struct conf_dns_list *list,
                   enum conf_subject of, struct str subject, struct arena *arena,
                   struct hit *hit_r);

void dns_lists_close(struct dns_lists *lists);

#endif
