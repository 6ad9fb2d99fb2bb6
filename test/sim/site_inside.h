/*
 * What site.c and site_commands.c share of a call. Only they include this.
 */
#ifndef SIM_SITE_INSIDE_H
#define SIM_SITE_INSIDE_H

#include "internet.h"
#include "sim.h"
#include "site_tls.h"

enum phase {
    PHASE_BANNER,
    PHASE_EHLO,
    PHASE_MAIL,
    PHASE_RCPT,
    PHASE_DATA,
    PHASE_CONTENT,
    PHASE_END,    /* the message is there, and not taken */
    PHASE_REPLY,  /* it was taken, and the reply does not leave */
    PHASE_HALF,   /* half of the reply leaves */
    PHASE_BEHIND, /* the reply leaves, and then */
    PHASES,
    PHASE_NEVER = PHASES,
};

enum site_state {
    SITE_COMMANDS,
    SITE_DATA,
    SITE_CHUNK,
    SITE_STUCK, /* says nothing any more */
};

struct site_call {
    LIST_ENTRY(site_call) link;
    struct site *site;
    struct dialog dialog;
    struct fake_event drip; /* the greeting, and what is dripped */
    enum phase fails_at;
    unsigned fails_how; /* one of QUIRK_RESETS, CLOSES, DEAF, GARBAGE */
    enum site_state state;
    struct site_tls tls;
    bool greeted, helloed, mail, chunks_bad;
    bool by;              /* the message is to be there by a time */
    bool announces;       /* its limits */
    bool lies, miscounts; /* miscounts: an answer of its is for another command, or missing */
    bool ends;            /* when all was said */
    size_t chunk_left;
    bool chunk_last;
    char from[SITE_ADDRESS_MAX];
    char to[SITE_RECIPIENTS][SITE_ADDRESS_MAX];
    size_t to_count;
    struct buf content;
    struct ledger_row *row; /* whose reply may not have been read yet */
};

static inline struct sim *sim_of(const struct site_call *call)
{
    return call->site->internet->sim;
}

static inline bool has(const struct site_call *call, unsigned quirk)
{
    return (call->site->quirks & quirk) != 0;
}

static inline uint64_t below(struct site_call *call, uint64_t n)
{
    return fake_random_below(&call->site->internet->random, n);
}

/* --- site.c ---------------------------------------------------------------------------------- */

/* In TLS where the call is. */
void site_put(struct site_call *call, struct str octets);
void site_say(struct site_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Is this where it fails? Then it does; the call may be gone. */
bool site_fails(struct site_call *call, enum phase phase);

/* --- site_commands.c ------------------------------------------------------------------------- */

/* A command; a line of the content behind DATA; the end of a chunk. The call may be gone. */
void site_heard(struct site_call *call, struct str line);
void site_heard_line(struct site_call *call, struct str line);
void site_chunk_ended(struct site_call *call);

#endif
