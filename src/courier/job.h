/*
 * struct job: one message to recipients of one destination, from the day core orders it until core
 * has recorded what became of it (doc/sending.md, 4).
 *
 *   J1 routing         which hosts
 *   J2 connecting      one of them after the other
 *   J3 in transaction  MAIL, RCPT, the content but for its end
 *   J4 dotted          its end is on its way, or lost
 *   J5 over            there is a result for each recipient; core has not recorded it
 *
 * J1 -> J2 -> J3 -> J4 -> J5; from J3 back to J2 with the next host, from J4 back to J3 where its
 * answer came and there are more recipients than one transaction takes; from each to J5. A job that
 * core no longer knows ends without a result, from anywhere.
 *
 * Whatever befalls core, a job goes on: the next core is told of it behind `hello`, gives the rest
 * of its content, and gets its results.
 */
#ifndef COURIER_JOB_H
#define COURIER_JOB_H

#include "courier/courier.h"
#include "courier/places.h"

enum {
    JOB_ARENA = 1024 * 1024, /* octets of one job: its order, hosts, results */
    JOB_TEXT_MAX = 512,      /* octets of what was said to one recipient */
    JOB_FACTS_MAX = 2048,    /* octets */
    JOB_STATUS_MAX = 12,     /* "5.123.456" */
};

enum job_state {
    JOB_ROUTING,
    JOB_CONNECTING,
    JOB_IN_TRANSACTION,
    JOB_DOTTED,
    JOB_OVER
};

/* What takes time; for facts and log. */
enum job_phase {
    PHASE_DNS,
    PHASE_CONNECT,
    PHASE_TLS,
    PHASE_HELLO,
    PHASE_ENVELOPE,
    PHASE_CONTENT,
    PHASE_DOT, /* from the dot to its answer */
    JOB_PHASES
};

/* Why the last host could not be used. */
struct job_noted {
    enum job_trouble trouble;
    bool host_spoke;
    uint16_t code;
    struct str status, text, host;
};

/* REQUIRETLS and TLS-Required (require.h). */
struct job_require {
    bool tls, optional; /* what its sender asks for */
    bool relaxed;       /* a report, on its way without the promise */
    bool here;          /* the host that is called now delivers on this machine */
    bool by_socket;     /* it is a server of this machine, by a socket that no wire leads to */
    bool missed;        /* that host lacks it for good */
    bool may_come;      /* some host may have it another time */
    const char *status; /* of the best of those that were missed; NULL: none was */
    struct str text, host;
};

#define JOB_MAGIC MAGIC('J', 'O', 'B', ' ')

struct job {
    uint32_t magic;
    RB_ENTRY(job) by_number;
    struct courier *courier;
    const struct conf *conf; /* of its begin; held */
    struct arena arena;
    struct msg message; /* core's order; it borrows from the arena */
    const struct msg_job *order;
    enum job_state state;
    bool dropped; /* core does not want it begun */
    bool unknown; /* core does not know it any more */
    bool told;    /* J5: the link has its results */
    struct fiber_start start;

    /* What job_over will say. */
    struct msg_job_result *results; /* one for each recipient, in their order */
    enum job_trouble trouble;
    bool dotted;  /* it ended in J4 */
    bool reports; /* the other side reports what was asked for */
    struct str host;
    struct str facts;
    char address[IP_TEXT]; /* of that host; empty: none was reached */
    uint16_t port;
    char tls[96];                    /* as in struct connection */
    bool in_clear;                   /* a handshake failed: the next connection does without */
    const struct tls_policy *policy; /* of the host that is called; NULL: not known yet */

    struct job_require require;
    /* For TLS reports (sessions.h). */
    const struct session_policy *session_policy; /* of that host; NULL: not counted */
    struct msg_tls_session *sessions;
    size_t session_count;

    struct place place; /* places.h */

    struct sts_found *sts; /* of its domain; NULL: not looked for yet */
    bool fresh;            /* its policy is to be fetched anew */

    struct job_noted noted;
    bool given_up; /* core does not give its content: who is undecided was not tried */
    /* Hosts that the rules do not let us connect, and others; that have no address, and others. */
    unsigned forbidden, unforbidden, nowhere, somewhere;

    int64_t began;             /* mono */
    int64_t spent[JOB_PHASES]; /* ns */
};

/* An order of core's: begins it on a fiber. ERR_BUS_BROKEN: core breaks the rules. */
struct err job_begin(struct courier *courier, const struct msg *message);
/* NULL: there is none. */
struct job *job_find(struct courier *courier, uint64_t number);

/* The whole of it, until its results are there; on its fiber. */
void job_send(struct job *job);

/* Says what became of it, where core is there to hear. */
void job_tell(struct job *job);
/* Core has recorded the results, or needs none. */
void job_recorded(struct job *job);
/* Is one in J4 or J5? */
bool jobs_are_past_the_dot(struct courier *courier);
/* What is under way, and then the results, to a new core. ERR_NO_MEMORY: nothing was said. */
struct err jobs_tell(struct courier *courier);
/* The results that a full link did not take. */
void jobs_tell_rest(struct courier *courier);

/* What it talks by from now on. */
void job_meets_at(struct job *job, const struct connection *connection);
/* What was begun at `since` (mono) took until now. */
void job_spends(struct job *job, enum job_phase phase, int64_t since);

/* The state, in a place that checks that it may be entered. */
void job_moves(struct job *job, enum job_state to);

#endif
