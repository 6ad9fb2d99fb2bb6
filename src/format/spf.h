/*
 * SPF records (RFC 7208): which hosts may send for a domain, as the domain says. Reading alone: who
 * evaluates one asks the DNS for what its terms name. Strings are a stranger's and borrow from the
 * record. Pure; nothing yields.
 */
#ifndef FORMAT_SPF_H
#define FORMAT_SPF_H

#include "base/arena.h"
#include "base/network.h"

enum {
    SPF_LOOKUPS_MAX = 10, /* terms of one evaluation that ask the DNS (4.6.4) */
    SPF_TERMS_MAX = 256,  /* of a record; one that has more is none */
};

enum spf_mechanism {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
};

enum spf_result {
    SPF_PASS,
    SPF_FAIL,
    SPF_SOFTFAIL,
    SPF_NEUTRAL,
};

struct spf_term {
    enum spf_mechanism mechanism;
    enum spf_result result; /* where it matches */
    struct str domain;      /* as written; empty: the domain of the record */
    bool macro;             /* `domain` has macros in it (7) */
    struct network network; /* ip4, ip6 */
    uint8_t v4, v6;         /* a, mx: how many bits of an address count */
};

struct spf_record {
    struct spf_term *terms;
    size_t count;
    struct str redirect; /* where no term matches: the record of this domain; p NULL: none */
    bool redirect_macro;
};

/* The one of the TXT records that is an SPF record. False: there is none, or more than one: then
 * *wrong_r says so; else it is null. */
bool spf_find(const struct str *texts, size_t count, struct str *record_r, struct str *wrong_r);

/* False: a receiver takes it for a permanent error (4.6), and *wrong_r, a literal, says why;
 * *where_r is the term. The terms live in the arena; where that is full arena_over says so. */
bool spf_parse(struct str text, struct arena *arena, struct spf_record *record_r,
               struct str *wrong_r, struct str *where_r);

/* Does the term ask the DNS (4.6.4)? */
static inline bool spf_asks(const struct spf_term *term)
{
    return term->mechanism != SPF_ALL && term->mechanism != SPF_IP4 && term->mechanism != SPF_IP6;
}

#endif
