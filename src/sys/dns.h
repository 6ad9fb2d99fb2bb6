/*
 * struct dns: a resolver that validates (DNSSEC), as narrow as it can be held: a question goes in,
 * a verdict and a DNS message come out. The server has libunbound behind it (dns_unbound_open),
 * which does its own input and output on the loop; tests and the simulator have zones in memory
 * (sys/fake/dns.h). Who asks does not know which.
 *
 * What is the same for both is here: names are checked, DNS_UNDER_WAY questions at most are asked
 * at a time, and each ends within the time limit. Nothing yields. `done` is called once for each
 * question, from a task of the loop, never from within dns_ask; it may ask, cancel and free the
 * question, but not close the resolver.
 *
 * A bogus answer has no message: what failed its check is nothing anybody may look at.
 */
#ifndef SYS_DNS_H
#define SYS_DNS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sys/loop.h"

enum {
    DNS_UNDER_WAY = 4096 /* questions at a time; conf.def may say less */
};

enum dns_verdict {
    DNS_INSECURE, /* from a zone that is not signed, as its parents prove; or nothing is signed */
    DNS_SECURE,   /* signed, up to a trust anchor; absence too */
    DNS_BOGUS     /* should be signed and is not rightly: as good as no answer */
};

struct dns_reply {
    enum dns_verdict verdict;
    struct str why;     /* bogus: for the operator, any octets; else empty */
    struct str message; /* RFC 1035 4; empty where bogus. Valid until `done` returns */
};

struct dns;

/* A question: the asker's memory until `done` is called or it was cancelled. */
struct dns_question {
    /* The asker's. Text without the dot of the root, borrowed until then; the root is "". */
    struct str name;
    uint16_t type;
    /* `e`: TRY_LATER (too many under way), DNS_FAILED (no server answered, or not in time, or said
     * that it cannot), USAGE (not a name); else *reply. */
    void (*done)(struct dns_question *, struct err e, const struct dns_reply *reply);
    void *arg;
    /* The resolver's own. */
    struct dns *dns;
    TAILQ_ENTRY(dns_question) link;
    struct timer limit;
    struct task end;
    struct err error;
    struct dns_reply reply;
    char *kept; /* what the reply points to */
    uint64_t number;
    void *backend;
};

void dns_ask(struct dns *dns, struct dns_question *question);
/* `done` is not called any more. Nothing happens where it was. */
void dns_cancel(struct dns_question *question);
size_t dns_under_way(const struct dns *dns);
/* Questions under way end without `done`. */
void dns_close(struct dns *dns);

/* --- libunbound ------------------------------------------------------------------------------ */

/* Where the names under `zone` are asked, instead of the internet's servers. */
struct dns_stub {
    struct str zone;
    const struct str *servers; /* "192.0.2.1@53", "2001:db8::1@5353" */
    size_t count;
    bool unsigned_zone; /* its answers are taken without DNSSEC */
};

struct dns_settings {
    const struct str *forwarders; /* as servers of a stub; none: the internet's own */
    size_t forwarder_count;
    const struct dns_stub *stubs;
    size_t stub_count;
    struct str anchors;  /* DS and DNSKEY records, a line each, as in a zone file; ';' begins a
                          * comment. Empty: nothing is checked, all is insecure */
    uint64_t cache_size; /* octets, of all caches together */
    int64_t limit;       /* ns, of one question */
    size_t under_way;    /* 1 to DNS_UNDER_WAY */
};

/*
 * Only on a loop of the real world, and with the loop's own stack below: not on a fiber; nor are
 * dns_ask, dns_cancel and dns_close of it. Opens no file, starts no thread. All that is wrong with
 * the settings is found now, an anchor too: ERR_CONFIG, and `why` says what. */
struct err dns_unbound_open(struct loop *loop, const struct dns_settings *settings,
                            struct dns **dns_r, struct buf *why);

#endif
