/*
 * Routes and priorities (doc/sending.md, 2 and 3): which block holds for a message, and what it
 * comes to when its preset is looked at. Pure: everything borrows from the configuration, nothing
 * yields.
 */
#ifndef CONF_ROUTES_H
#define CONF_ROUTES_H

#include "conf/mistakes.h"

/* Whose message to whom. Addresses are addr_print form. */
struct route_question {
    struct str recipient; /* "user@domain", or a domain alone: then addresses in `to` do not fit */
    struct str sender;    /* empty: the null path */
    struct str account;   /* the address of the account that submitted it; empty: none did */
    bool account_unknown; /* there is one, and its address was not looked up */
};

/* Is it the address of one of them? Where none is named, everybody is. */
bool conf_people_hold(const struct conf_texts *people, struct str address);

/* The first block that holds; NULL: none. *unsure_r: an earlier one might, by its account, which is
 * unknown. */
const struct conf_route *conf_route_find(const struct conf *conf,
                                         const struct route_question *question, bool *unsure_r);
/* Of MT-PRIORITY's numbers: what the first `precedence` block says that holds for the message to
 * any of these recipients; 0: none does. */
int8_t conf_priority(const struct conf *conf, const struct route_question *questions, size_t count);
/* Is the domain one of these, as in `to`? None is not all here. */
bool conf_places_hold(const struct conf_texts *places, struct str domain);
/* May the account of this address collect what the block holds for? */
bool conf_route_is_collected_by(const struct conf_route *route, struct str account);
/* And that for this domain? */
bool conf_route_is_for(const struct conf_route *route, struct str domain);
/* Is anything collected at all? */
bool conf_routes_collect(const struct conf *conf);
/* NULL: there is none of that name. */
const struct conf_route *conf_route_named(const struct conf *conf, struct str name);
/* Does any block ask for accounts? */
bool conf_routes_ask_accounts(const struct conf *conf);

/* Numbers of 0: no limit. */
struct route_limits {
    uint64_t recipients_per_message;
    uint64_t messages_per_hour, messages_per_day;
    uint64_t recipients_per_hour, recipients_per_day;
};

/* A block and its preset in one. */
struct conf_way {
    struct conf_texts via;   /* "HOST:PORT"; none: the recipient's MX */
    struct str preset_via;   /* what `via` points to where it is the preset's */
    enum conf_route_tls tls; /* never auto */
    unsigned mechanisms;     /* 1 << enum conf_mechanism; 0: any */
    bool logs_in;
    struct route_limits limits;
    uint64_t connections; /* 0: as for any destination */
};

/* Into `way_r`, which must stay where it is. */
void conf_route_way(const struct conf_route *route, struct conf_way *way_r);

/* Its hosts in one text, a space between; the arena's. p NULL: no memory. */
struct str conf_way_via(const struct conf_way *way, struct arena *arena);
/* The same of any texts. */
struct str conf_texts_join(const struct conf_texts *texts, struct arena *arena);

/* Are there limits of an hour or a day? */
static inline bool route_has_rates(const struct route_limits *limits)
{
    return limits->messages_per_hour || limits->messages_per_day || limits->recipients_per_hour ||
           limits->recipients_per_day;
}

/* A provider, as it documents itself. */
struct route_preset {
    const char *name, *title;
    const char *via;
    enum conf_route_tls tls;
    unsigned mechanisms;
    struct route_limits limits;
    uint64_t connections;
    const char *token_endpoint; /* of OAuth 2.0; empty: none is known */
    const char *source, *date;  /* where and when it was read */
    const char *note;
};
/* CONF_PRESET_NONE has none. */
const struct route_preset *conf_preset(enum conf_preset preset);

/* What cannot be told from one setting alone. */
void routes_check(const struct conf *conf, struct str file, struct mistakes *mistakes);

#endif
