/*
 * struct internet: the servers of others that the simulated house sends to, found by a DNS of its
 * own. Each site is a host with addresses and ways of its own (`enum quirk`), which it has until
 * the internet heals; what is in `QUIRKS_LASTING` it keeps.
 *
 *     internet.c   the sites, their names, what heals; the ledger
 *     site.c       one connection to a site; site_commands.c what it says to commands
 *     site_tls.c   its TLS; papers.c the certificates
 *     returns.c    reports about mail that was sent, wherever they went
 *     law.c      what the trace, the queue, the ledger and the reports must say together
 *
 * The ledger has what sites took: a row for each message that one said 250 to, or would have, had
 * nothing come between. Its octets are judged when it comes, its count in law.c.
 */
#ifndef SIM_INTERNET_H
#define SIM_INTERNET_H

#include <sys/queue.h>

#include "dialog.h"
#include "papers.h"
#include "people.h"
#include "sys/fake/dns.h"

enum {
    SITES = 32,
    SITE_RECIPIENTS = 100, /* of one transaction */
    SITE_ADDRESS_MAX = 96,
    SITE_SMALL = 2000, /* octets that a small one takes */
    SITE_LIMIT = 2,    /* recipients that a limiting one takes at once */
};

enum quirk {
    QUIRK_GREY = 1 << 0,    /* a sender and recipient that it did not see before come again later */
    QUIRK_REFUSES = 1 << 1, /* connections */
    QUIRK_SILENT = 1 << 2,  /* no answer to calls */
    QUIRK_DRIPS = 1 << 3,   /* some octets at a time */
    QUIRK_RESETS = 1 << 4,  /* at some phase */
    QUIRK_CLOSES = 1 << 5,  /* with 421, at some phase */
    QUIRK_DEAF = 1 << 6,    /* says nothing any more, at some phase */
    QUIRK_GARBAGE = 1 << 7, /* says nonsense, at some phase */
    QUIRK_MIXED = 1 << 8,   /* 4yz to some; 5yz to names that begin with x */
    QUIRK_LIMITS = 1 << 9,  /* 452 behind SITE_LIMIT recipients, announced or not */
    QUIRK_LIES = 1 << 10,   /* has no PIPELINING, though it says so */
    QUIRK_OLD = 1 << 11,    /* HELO alone */
    QUIRK_SMALL = 1 << 12,  /* 552 for what is larger than SITE_SMALL, announced or not */
    QUIRK_VARIES = 1 << 13, /* announces what it likes today */
    QUIRK_RETURNS = 1 << 14,   /* takes reports, but those to every fifth sender */
    QUIRK_FORBIDDEN = 1 << 15, /* stands where nobody may connect to */
    QUIRK_TLS = 1 << 16,       /* offers STARTTLS */
    QUIRK_TLS_OLD = 1 << 17,   /* knows nothing better than TLS 1.2 */
    QUIRK_TLS_FAILS = 1 << 18, /* at some step, now and then (site_tls.h) */
    QUIRK_CLUMSY = 1 << 19,    /* offers it, and can no TLS */
    QUIRK_WRONG = 1 << 20,     /* its certificate is nobody's, and never the one of its records */
    QUIRK_FORGED = 1 << 21,    /* now and then somebody else stands there, with his certificate */
};

#define QUIRKS_LASTING                                                                             \
    (QUIRK_MIXED | QUIRK_LIMITS | QUIRK_OLD | QUIRK_SMALL | QUIRK_VARIES | QUIRK_RETURNS |         \
     QUIRK_FORBIDDEN | QUIRK_TLS | QUIRK_TLS_OLD | QUIRK_CLUMSY | QUIRK_WRONG)

/* What it has to prove. */
enum site_policy {
    POLICY_NONE,
    POLICY_DANE_EE, /* its certificate: 3 1 1 */
    POLICY_DANE_TA, /* that the authority vouches for it: 2 0 1 */
    POLICY_STS,     /* the same and its name, as its domain's MTA-STS policy says (policies.c) */
    POLICY_STS_ANOTHER, /* nothing would do: that policy names other hosts */
};

struct sim;
struct internet;

struct site_row {
    const char *name, *v4, *v6; /* v6 NULL: none */
    const char *domain;         /* whose mail it takes; *: everybody's, and it is nobody's MX */
    unsigned quirks;
    enum site_policy policy;
};

struct site {
    struct internet *internet;
    const struct site_row *row;
    unsigned quirks; /* now */
    struct fake_host v4, v6;
    SSL_CTX *shown;                       /* its own certificate; NULL: no TLS */
    uint64_t handshakes, handshakes_used; /* begun; something was heard behind them */
};

/* Somebody who was told to come again. */
struct grey {
    uint64_t who; /* a hash of site, sender and recipient */
    int64_t since;
};

struct ledger_row {
    uint64_t message;
    struct letter *letter; /* NULL: a report */
    const struct site *site;
    char (*recipients)[SITE_ADDRESS_MAX];
    size_t recipient_count;
    char from[SITE_ADDRESS_MAX];
    int64_t at;                           /* mono */
    int64_t began;                        /* mono: its job, 0: nobody knows */
    int courier;                          /* slot */
    uint64_t courier_deaths, core_deaths; /* when it was taken */
    int64_t courier_died_at;              /* mono: when the one before died */
    bool doubtful;                        /* its answers were not those to what was said */
    bool heard;                           /* the courier went on behind the reply: it has read it */
    bool in_tls;
};

struct site_call;

struct internet {
    struct sim *sim;
    struct fake_zones *zones;
    struct fake_random random;
    struct papers papers;
    struct site sites[SITES];
    LIST_HEAD(site_calls, site_call) calls;
    struct grey *greys;
    size_t grey_count, grey_room;
    struct ledger_row **ledger; /* rows stay where they are */
    size_t ledger_count, ledger_room;
    bool healed;
    int64_t healed_at; /* mono */
    uint64_t taken, taken_in_tls, calls_made;
};

/* Before the house; the DNS is there. */
void internet_open(struct internet *internet, struct sim *sim);
void internet_close(struct internet *internet);
/* All that does not last is over; one site may stay dead for good. */
void internet_heal(struct internet *internet);
/* Did the courier die since? */
bool ledger_courier_died(const struct internet *internet, const struct ledger_row *row);
bool ledger_core_died(const struct internet *internet, const struct ledger_row *row);
bool ledger_row_has(const struct ledger_row *row, struct str recipient);

/* --- site.c's -------------------------------------------------------------------------------- */

void site_called(struct fake_host *host, struct fake_client *client,
                 const struct peer_address *caller);
void site_calls_end(struct internet *internet);
/* True: not yet. */
bool internet_greys(struct internet *internet, const struct site *site, struct str from,
                    struct str to);
/* Takes a message: `content` as it was received; `by`: with BY=. NULL: something is wrong with it.
 */
struct ledger_row *ledger_add(struct internet *internet, const struct site *site, struct str from,
                              char (*to)[SITE_ADDRESS_MAX], size_t to_count, struct str content,
                              bool by, int role);

/* --- returns.c ------------------------------------------------------------------------------- */

enum return_action {
    RETURN_FAILED,
    RETURN_DELAYED,
    RETURN_RELAYED,
    RETURN_EXPANDED,
    RETURN_DELIVERED,
    RETURN_ACTIONS
};

/* One recipient in one report. */
struct returned {
    uint64_t report; /* the report's id */
    uint64_t about;  /* that of the message */
    enum return_action action;
    int account; /* whose mailbox it was found in; below 0: a site took it */
    char recipient[SITE_ADDRESS_MAX];
};

struct returns {
    struct sim *sim;
    struct returned *rows; /* each once */
    size_t count, room;
};

void returns_open(struct returns *returns, struct sim *sim);
void returns_close(struct returns *returns);
bool returns_is_report(struct str text);
/* The id of a report. 0: none. */
uint64_t returns_id(struct str text);
/* A report, as it stands in a mailbox or was taken by a site. What is wrong with it is told. */
void returns_read(struct returns *returns, struct str text, int account);

/* --- law.c --------------------------------------------------------------------------------- */

struct law_totals {
    uint64_t queued, relayed, routed, returned, removed, waiting, doubled, reports;
};

/* Looks at all there is. `over`: nothing may wait any more. */
void law_judge(struct sim *sim, bool over, struct law_totals *totals_r);

#endif
