/*
 * What a peer says it can do: the answer to EHLO or LHLO (RFC 5321 4.1.1.1) as one value. Pure;
 * nothing is borrowed, nothing yields, nothing fails: a line that is no known keyword or has no
 * meaning is passed over, and a peer that answered HELO has the value that is all zero.
 */
#ifndef FORMAT_CAPABILITIES_H
#define FORMAT_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    CAPABILITY_MECHANISMS_MAX = 512, /* octets of names kept; those beyond are not */
};

enum capability {
    CAPABILITY_PIPELINING = 1 << 0,
    CAPABILITY_SIZE = 1 << 1,
    CAPABILITY_8BITMIME = 1 << 2,
    CAPABILITY_SMTPUTF8 = 1 << 3,
    CAPABILITY_CHUNKING = 1 << 4,
    CAPABILITY_BINARYMIME = 1 << 5,
    CAPABILITY_DSN = 1 << 6,
    CAPABILITY_ENHANCEDSTATUSCODES = 1 << 7,
    CAPABILITY_STARTTLS = 1 << 8,
    CAPABILITY_REQUIRETLS = 1 << 9,
    CAPABILITY_LIMITS = 1 << 10,
    CAPABILITY_AUTH = 1 << 11,
    CAPABILITY_MT_PRIORITY = 1 << 12,
    CAPABILITY_FUTURERELEASE = 1 << 13,
    CAPABILITY_DELIVERBY = 1 << 14,
    CAPABILITY_ETRN = 1 << 15,
};

struct capabilities {
    uint32_t has;  /* enum capability; BINARYMIME only beside CHUNKING (RFC 3030 3) */
    uint64_t size; /* octets of a message; 0: no limit that it names (RFC 1870 3) */
    /* LIMITS (RFC 9422); 0: not said. */
    uint32_t mail_max;        /* transactions in a connection */
    uint32_t rcpt_max;        /* recipients in a transaction */
    uint32_t rcpt_domain_max; /* different domains of them */
    uint64_t deliver_by_min;  /* seconds (RFC 2852 2); 0: none */
    uint64_t hold_max;        /* seconds (RFC 4865 3); 0: not said */
    int64_t hold_until_max;   /* since 1970; 0: not said */
    /* Names of SASL mechanisms, in capitals, a space between them. */
    uint16_t mechanisms_n;
    char mechanisms[CAPABILITY_MECHANISMS_MAX];
};

/* `text` as in struct reply: the first line is the greeting. Of two lines with one keyword the
 * first counts, but mechanisms add up, and "AUTH=LOGIN" counts as "AUTH LOGIN". */
void capabilities_parse(struct str text, struct capabilities *capabilities_r);

static inline bool capabilities_have(const struct capabilities *capabilities,
                                     enum capability capability)
{
    return (capabilities->has & capability) != 0;
}

/* Does it take this SASL mechanism? */
bool capabilities_have_mechanism(const struct capabilities *capabilities, struct str name);
static inline struct str capabilities_mechanisms(const struct capabilities *capabilities)
{
    return str_make(capabilities->mechanisms, capabilities->mechanisms_n);
}

#endif
