/*
 * `veredus explain send FROM TO`: what would become of a message, decision by decision, each with
 * the setting or command that decides it. Those that decide are asked, the very functions: who may
 * send what (envelope.h, sending.h), which way (route.h), how much (governor.h), when (schedule.h);
 * and a courier finds the hosts and what each has to prove (policy_ask of the bus). Nothing is
 * counted, written or connected; only the DNS is asked, and an MTA-STS policy fetched as for a
 * message.
 *
 * What cannot be known without connecting (does the host answer, does it take that recipient, that
 * size, REQUIRETLS) is not guessed at.
 *
 * Inside src/core only; all but explain_say may yield. Texts live in the arena.
 */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include "core/admin_command.h"
#include "core/envelope.h"

enum {
    EXPLAIN_TEXT = 4096,
    EXPLAIN_COPIES = 10, /* mailboxes here, and addresses elsewhere, that are told one by one */
};

/* The later stands before the earlier, where one word is to be said of all. */
enum explain_state {
    EXPLAIN_OK,
    EXPLAIN_NOTE,    /* nothing is decided by it */
    EXPLAIN_WAITS,   /* it would be accepted, and wait */
    EXPLAIN_UNKNOWN, /* nobody can say */
    EXPLAIN_RETURNS, /* it would be accepted, and go back to its sender */
    EXPLAIN_REFUSES,
    EXPLAIN_STATES
};

struct explain {
    struct admin_call *call;
    struct core *core;
    struct arena *arena;
    struct transaction *transaction; /* as whom it comes */
    struct str account;              /* its address; empty: without a log-in */
    struct str recipient;
    uint64_t size;    /* 0: any */
    struct str asked; /* mail_options_keep */
    struct str about; /* which address elsewhere is spoken of; empty: all of it */
    enum explain_state worst;
    bool here, elsewhere; /* it would be delivered; it would leave */
    json_t *steps;
};

/* Text in the arena, as printf. */
struct str explain_text(struct explain *explain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* An address, as people are shown it. */
struct str explain_address(struct explain *explain, struct str address);
/* One decision; `because`: the setting or command, or empty. The step, to add members to. */
json_t *explain_say(struct explain *explain, const char *step, enum explain_state state,
                    struct str because, struct str text);

/* explain_sender.c: who sends. 0 or the exit code of what was typed wrong. */
int explain_sender(struct explain *explain);
/* explain_recipient.c: whom it reaches, and then each way out. */
int explain_recipient(struct explain *explain);
/* explain_way.c: what of it leaves for one address. */
void explain_way(struct explain *explain, const struct outside *outside);
/* explain_hosts.c: what a courier finds. `way` is what a job has of its route. */
void explain_hosts(struct explain *explain, const struct msg_job *way);

#endif
