/*
 * Which way an entry of the queue goes (doc/sending.md, 3): an operator's choice, the first route
 * block that holds, or the MX of its domain. Looked at anew each time an entry comes due, so a
 * reload needs to change nothing that is stored.
 *
 * Recipients of one entry may go several ways (a block may name addresses): those of the first one
 * go now, the others after them.
 */
#ifndef CORE_ROUTE_H
#define CORE_ROUTE_H

#include "conf/routes.h"
#include "core/core.h"
#include "store/queue.h"

enum {
    ROUTE_DESTINATION_MAX = 1 + CONF_NAME_MOST + 1 + 255, /* "@NAME/domain" */
};

/* The destination of what is handed in here at its time (QUEUE_HERE): no domain, and no route. */
#define ROUTE_HERE STR("(here)")

/* Where an entry goes together with others; its text lives in `room`. */
struct route_destination {
    struct str name;
    uint32_t connections; /* at most, by its block; 0: as to any */
    bool collected;       /* by whom its block says, and sent nowhere */
    char room[ROUTE_DESTINATION_MAX];
};

/* By what is in the entry alone: where a block asks for accounts, the one behind it may be given,
 * and route_choose puts it right. Never yields. */
void route_destination(const struct conf *conf, const struct queue_entry *entry,
                       struct route_destination *to);

struct route_choice {
    const struct conf_route *block; /* NULL: none holds */
    struct conf_way way;            /* of the block */
    struct str fixed;               /* an operator's "host:port"; else empty */
    bool lost;                      /* an operator's choice of a block that there is not */
    bool denied;
    struct route_destination destination;
    bool goes[QUEUE_RECIPIENTS_MAX]; /* which recipients */
    size_t count;
};

/* May yield before it looks at the configuration, which is core's then: core->conf. The choice must
 * stay where it is. */
void route_choose(struct core *core, const struct queue_entry *entry, struct arena *arena,
                  struct route_choice *choice_r);

/* What a courier is to know of it, but for the recipients. Memory is the arena's, but for the
 * password: that is core's, and for this message alone. False: none is left. */
bool route_tell(const struct core *core, const struct route_choice *choice, struct arena *arena,
                struct msg_job *job);
/* Which access token goes with it (tokens.h); 0: one of a token_file. */
uint32_t route_token_turn(const struct core *core, const struct route_choice *choice,
                          const struct msg_job *job);
/* Is what to log in with here, or nothing known that keeps it from being got? *why_r: if it is not,
 * for the operator; in the arena or a literal.
 */
bool route_is_ready(const struct core *core, const struct route_choice *choice, struct arena *arena,
                    struct str *why_r);
/* Can a job be told what to log in with now? True: also where there is nobody to log in as. */
bool route_has_secret(const struct core *core, const struct route_choice *choice,
                      struct arena *arena);
/* Does its provider take the refresh token no more? */
bool route_wants_new_grant(const struct core *core, const struct route_choice *choice,
                           struct arena *arena);
/* May yield. An access token that can be renewed is good now, or nothing came of it; where it
 * yielded, choose anew. */
void route_prepare(struct core *core, const struct route_choice *choice, struct arena *arena);

/* Never yields. The log-in of this block is refused, with these words: the postmaster is told, once
 * a day (route_notice.h). */
void route_log_in_refused(struct core *core, struct str name, struct str said);

/* Why mail of this sender, by this account (empty: none), is refused for the recipient: the words
 * of the block. Empty: it is not. Never yields. */
struct str route_denies(const struct conf *conf, struct str sender, struct str account,
                        struct str recipient);

#endif
