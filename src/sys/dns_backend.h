/*
 * What stands behind struct dns: the part that knows answers (dns_unbound.c, fake/dns.c), and
 * dns.c, which counts, limits and tells. Only these include this.
 */
#ifndef SYS_DNS_BACKEND_H
#define SYS_DNS_BACKEND_H

#include "sys/dns.h"

struct dns_backend {
    /* Asks; dns_answered is called once, perhaps before this returns, unless `cancel` came first.
     * An error: it is not asked. */
    struct err (*ask)(struct dns *, struct dns_question *);
    void (*cancel)(struct dns *, struct dns_question *);
    /* No question is under way. Frees what it has, the struct dns too. */
    void (*close)(struct dns *);
};

TAILQ_HEAD(dns_questions, dns_question);

#define DNS_MAGIC MAGIC('D', 'N', 'S', '.')

/* How the struct of every backend begins. */
struct dns {
    uint32_t magic;
    const struct dns_backend *backend;
    struct loop *loop;
    int64_t limit;
    size_t under_way, most;
    struct dns_questions questions;
};

void dns_init(struct dns *dns, const struct dns_backend *backend, struct loop *loop, int64_t limit,
              size_t most);

/* `e` or the reply, which is copied; `why` goes with either, but is told with a reply only. */
void dns_answered(struct dns_question *question, struct err e, const struct dns_reply *reply);

#endif
