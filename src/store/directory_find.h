/*
 * Finding names through a draft (directory_draft.h), and following where they lead. Inside
 * src/store only. All may yield.
 */
#ifndef STORE_DIRECTORY_FIND_H
#define STORE_DIRECTORY_FIND_H

#include "store/directory_draft.h"

struct found {
    struct str name; /* domain '@' folded local part of the name that matched */
    struct name record;
};

/* A name as it is, without looking for tags, postmaster or catch-alls. ERR_NOT_FOUND. */
struct err name_get(struct draft *draft, struct str name, struct found *found_r);
/* The account of this number. ERR_NOT_FOUND. */
struct err account_get(struct draft *draft, uint64_t account, struct found *found_r);
/* The key of its entry, which is there as long as it is. */
struct str account_key(uint64_t account, struct arena *arena);
/* Is the domain ours? ERR_NOT_FOUND. */
struct err domain_get(struct draft *draft, struct str domain, struct domain *domain_r);

/* A local part alone, folded as the directory's names are; str_null where it is none. */
struct str local_fold(struct str text, struct arena *arena);

/* Is it at the literal of the address that the client connected to? */
bool is_at_server(const struct draft *draft, const struct addr *addr);

/* The name that answers for an address, by the order in directory.h. ERR_NOT_FOUND. */
struct err name_find(struct draft *draft, const struct addr *addr, struct found *found_r);

/* Nobody answers for an address: is that so because it is elsewhere? Not at a domain of ours, nor
 * at the host. */
struct err is_elsewhere(struct draft *draft, const struct addr *addr, bool *elsewhere_r);

/* Text of the directory's own making back into an address; "@domain" too. */
struct err stored_addr(struct str text, struct arena *arena, struct addr *addr_r);

/* The same address, which lives as long as its text (addr_print form) and the arena do. */
struct addr addr_in(struct addr addr, struct str text, struct arena *arena);

/* One account that was reached. */
struct reached {
    TAILQ_ENTRY(reached) link;
    struct account account;
    struct str delivered_to;
    struct str list; /* address of the innermost list, or str_null */
    struct str list_owner;
};

TAILQ_HEAD(reached_list, reached);

/* One address elsewhere; the rest is as in struct outside. */
struct reached_outside {
    TAILQ_ENTRY(reached_outside) link;
    struct addr addr;
    struct str text, given;
    struct str list, list_owner;
};

TAILQ_HEAD(reached_outside_list, reached_outside);

/* How addresses are followed. */
struct follow {
    unsigned depth;        /* 0: somebody writes to them; 1: they are targets of a name */
    struct str forbidden;  /* a name that must not be reached; p == NULL: any may */
    bool ends_at_accounts; /* an account is the end of its way, whatever it forwards */
};

/*
 * Everything that addresses lead to, breadth first. Each name is followed once, so loops end.
 */
struct expansion {
    struct reached_list reached;
    size_t count;
    struct reached_outside_list outside;
    size_t outside_count;
    bool looped;   /* a name was met again */
    bool by_list;  /* a list was followed */
    bool too_deep; /* more than DIRECTORY_DEPTH_MAX names inside each other */
};

/* ERR_ALIAS_LOOP: what is forbidden was reached. ERR_OVER_LIMIT: more than DIRECTORY_COPIES_MAX
 * accounts or DIRECTORY_MEMBERS_MAX addresses elsewhere, or twice as many names. Addresses here
 * that nobody answers for are passed over. A disabled account forwards nothing, but when loops are
 * looked for. */
struct err directory_follow(struct draft *draft, const struct str *addresses, size_t count,
                            const struct follow *how, struct expansion *expansion_r);

/* How many it leads to in all. */
size_t expansion_count(const struct expansion *expansion);

#endif
