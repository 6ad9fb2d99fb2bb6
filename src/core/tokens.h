/*
 * struct tokens: access tokens of routes with an oauth_file (doc/sending.md, 3, "Tokens"). The
 * parent tells the file, a courier asks the token endpoint, and core keeps what came, in the same
 * memory as other secrets (secrets.h):
 *
 *   T1 none       no access token; one is asked for when a job needs it
 *   T2 good       it is used
 *   T3 old        it is used, and the next job asks for another one first
 *   T4 refused    the provider takes the refresh token no more: only a new file helps
 *
 * T1 -> T2 by an answer, T2 -> T3 by the clock, T3 -> T1 at its end; T2, T3 -> T1 where the host
 * refused it, once: a second one that is refused, too, is the log-in itself. T1, T3 -> T4 by
 * invalid_grant; that is asked again each hour. T4 -> T1 by another file.
 *
 * One request at a time for a route: whoever else needs one waits for it. A refresh token that the
 * provider gave in the place of ours is durable before the access token beside it is used
 * (store/route_token.h), and is that of the route until the operator's file is another one.
 *
 * As with secrets, a token is for the hosts that the block named when its file was read.
 */
#ifndef CORE_TOKENS_H
#define CORE_TOKENS_H

#include "bus/messages.h"
#include "conf/conf.h"
#include "core/core.h"

#define TOKENS_AGAIN (30 * NS_PER_SECOND)           /* behind a failure, not before */
#define TOKENS_REFUSED_AGAIN (3600 * NS_PER_SECOND) /* behind invalid_grant */
#define TOKENS_EARLY 300                            /* seconds before its end it is old, or ... */

enum {
    TOKENS_EARLY_PART = 4, /* ... a quarter of its time, where that is less */
    TOKENS_KEPT_DAYS = 30, /* a route that is no more leaves its token so long */
    TOKENS_WHY_MAX = 400,
};

struct tokens;

/* Behind keys_new. NULL: no memory. */
struct tokens *tokens_new(void);
/* Nobody waits. Wipes them; NULL is allowed. */
void tokens_free(struct tokens *tokens);

/* In the place of what was told of this block before; the same file changes nothing. A message of
 * another kind of secret: there is none from now on. *changed_r: it is another one. ERR_CONFIG,
 * ERR_NO_MEMORY: there is none. Never yields. */
struct err tokens_take(struct tokens *tokens, const struct msg_route_secret *told, bool *changed_r);
/* Those of blocks that are not in the configuration any more. */
void tokens_forget(struct tokens *tokens, const struct conf *conf);

/* May yield, as long as a courier asks: gets one where there is none, or an old one. What came of
 * it is told by tokens_find. */
void tokens_renew(struct core *core, struct str name, struct str via);

struct token_found {
    struct str token; /* borrowed until core yields; empty: there is none now */
    uint32_t turn;    /* which it is */
    bool refused;     /* T4 */
    int64_t left;     /* ns that it is good for */
    struct str why;   /* there is none, or it could not be renewed, in words; borrowed; may be "" */
};

/* Never yields. False: this route has no oauth_file, or not for these hosts. */
bool tokens_find(const struct core *core, struct str name, struct str via,
                 struct token_found *found_r);

/* The host has refused the token of this turn. True: another one may be taken: try again. */
bool tokens_refuse(struct core *core, struct str name, uint32_t turn);
/* It took it. */
void tokens_accept(struct core *core, struct str name, uint32_t turn);

/* May yield: lets go of what the store has of routes that are no more. */
struct err tokens_duty(struct core *core);

#endif
