/*
 * What is known of a client from the DNS, and what follows from it by the configuration: a sum of
 * scores, perhaps a refusal, and words for the trace. Pure; nothing yields. Who finds it out is
 * inquiry.h.
 *
 * What is not known (the DNS was late, or in trouble) counts as nothing: no score, no refusal.
 */
#ifndef EDGE_SMTP_JUDGEMENT_H
#define EDGE_SMTP_JUDGEMENT_H

#include <sys/queue.h>

#include "conf/conf.h"
#include "format/dns.h"

enum finding {
#define FINDING(name, check, score, error, word, text) FINDING_##name,
#include "edge/smtp/findings.def"
    FINDING_COUNT
};

/* Where a name that the client gave leads to. */
enum leads {
    LEADS_UNKNOWN,   /* not asked, not answered yet, or nobody knows */
    LEADS_TO_CLIENT, /* one of its addresses is the client's */
    LEADS_ELSEWHERE, /* it has others */
    LEADS_NOWHERE,   /* it has none, or there is no such name */
};

enum reverse {
    REVERSE_UNKNOWN,
    REVERSE_NONE,      /* the address has no name */
    REVERSE_ELSEWHERE, /* none of them leads back */
    REVERSE_HOLDS,
};

enum sender_domain {
    SENDER_UNKNOWN,
    SENDER_TAKES_MAIL,
    SENDER_NULL_MX, /* RFC 7505 */
    SENDER_NOWHERE, /* neither MX nor address */
};

enum {
    HIT_CODE = 16,    /* octets of "127.255.255.255" and its NUL */
    HIT_REASON = 160, /* of what the list says */
};

/* It is on a list. */
struct hit {
    SLIST_ENTRY(hit) link;
    const struct conf_dns_list *list;
    enum conf_subject of;
    char code[HIT_CODE];
    char reason[HIT_REASON]; /* printable ASCII */
};

SLIST_HEAD(hits, hit);

struct known_of_client {
    struct str client;    /* IP address */
    struct str helo;      /* as checked by HELO; empty: not said */
    struct str recipient; /* addr_print form; empty: none */
    enum reverse reverse;
    enum leads helo_leads;
    enum sender_domain sender;
    const struct hits *hits;
};

enum {
    JUDGEMENT_WORDS = 255,
    JUDGEMENT_TEXT = 256,
};

struct judgement {
    uint64_t score;
    unsigned found;              /* bits 1 << enum finding */
    enum err_code refusal;       /* NONE: none */
    char text[JUDGEMENT_TEXT];   /* of the refusal; safe to send; may be empty */
    char words[JUDGEMENT_WORDS]; /* "score=4 no-reverse list=NAME/127.0.0.2"; empty: nothing */
};

void judgement_of(const struct known_of_client *known, const struct conf *conf,
                  struct judgement *judgement_r);

/* Can anything here lead to a refusal? Then it is worth waiting for. */
bool judgement_may_refuse(const struct conf *conf);
/* Is there anything to be asked? */
bool judgement_asks(const struct conf *conf);

/* Postmaster and abuse are reachable for everybody, also for who is on a list (RFC 5321 4.5.1,
 * RFC 2142). */
bool judgement_spares(struct str recipient);

#endif
