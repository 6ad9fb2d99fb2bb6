/*
 * What core does about MTA-STS (doc/sending.md, 3): it keeps the policies that couriers fetch,
 * gives them with each job, has those fetched again that are in use and half over, and lets go of
 * what has ended (sts_upkeep.c, once an hour). It keeps those of STS_DOMAINS_MAX domains at most:
 * where there is no room a tenth goes, first those that demand nothing, then those that mail went
 * to longest ago. Couriers decide; core reads no policy. What a courier says is checked as if it
 * had been taken over: it may speak of domains alone that it has a job or a question about.
 */
#ifndef CORE_STS_H
#define CORE_STS_H

#include "core/peer.h"
#include "store/sts.h"

enum {
    STS_DOMAINS_MAX = 10000,
    STS_ASK_ARENA = 256 << 10, /* of one policy, and what is told of it */
};

/* A question of ours to a courier, while it is under way: what it learns then is heard. */
struct sts_question {
    LIST_ENTRY(sts_question) link;
    const struct peer *peer;
    struct str domain;
};

/* May yield. What goes with a job to this domain's MX; empty texts: nothing is kept, or it has
 * ended. */
void sts_give(struct core *core, struct str domain, struct arena *arena, struct sts_kept *kept_r);

/* May yield: what a courier finds out about the hosts that such a job would go to: `way` has what a
 * job has of its domain, its route (route_tell) and what is asked for. ERR_TRY_LATER: there is no
 * courier. What answer_r borrows lives in the arena. */
struct err sts_ask(struct core *core, const struct msg_job *way, bool fresh, struct arena *arena,
                   struct msg *answer_r);

/* May yield. Nobody knows of a policy of this domain from now on, until it is fetched again.
 * ERR_NOT_FOUND: none was kept. */
struct err sts_drop(struct core *core, struct str domain);

/* The upkeep's life: from core's opening to its end, which may yield. ERR_NO_MEMORY. */
struct err sts_upkeep_open(struct core *core);
void sts_upkeep_close(struct core *core);

/* Inside of this. May yield: there is room for one more domain, which is counted. */
struct err sts_room(struct core *core);
/* One that was counted is not there. */
void sts_gone(struct core *core);
int64_t sts_now(const struct core *core);    /* seconds since 1970 */
uint32_t sts_today(const struct core *core); /* days since 1970 */

#endif
