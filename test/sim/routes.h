/*
 * The route blocks of the simulated house (doc/sending.md, 3): sets of them, as a table. A set is
 * printed into each configuration; a reload goes from one to another. law_routes.c judges by the
 * same rows.
 */
#ifndef SIM_ROUTES_H
#define SIM_ROUTES_H

#include "base/buf.h"

enum {
    ROUTE_SETS = 3, /* the first one has none */
    ROUTES_MOST = 4,
    ROUTE_PLACES = 2,
};

/* NULL: everybody; all that is given must hold. */
struct route_row {
    const char *name;           /* NULL: none more */
    const char *account, *from; /* from: a domain, or <> */
    const char *to[ROUTE_PLACES];
    const char *hosts[ROUTE_PLACES];
    uint64_t per_message, recipients_per_hour, messages_per_hour; /* 0: no limit */
};

/* The blocks of a set, as they stand in a configuration. */
void routes_print(size_t set, struct buf *to);

/* Whose mail. */
struct route_mail {
    struct str account; /* empty: nobody's */
    struct str from;    /* envelope; empty: the null path */
    struct str domain;  /* of the recipient */
};

/* NULL: it goes by MX. */
const struct route_row *route_of(size_t set, const struct route_mail *mail);
/* Of any set; NULL: none leads there. */
const struct route_row *route_to(size_t set, struct str host);
bool route_leads_to(const struct route_row *row, struct str host);
/* May a block of any set take mail from its domain's MX? */
bool routes_name(struct str domain);

#endif
