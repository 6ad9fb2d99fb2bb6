/*
 * Log-ins that somebody else vouches for: bearer tokens (OAUTHBEARER, XOAUTH2) by their signature.
 * The guard counts the name that the client says; who it is, the token says.
 */
#include "core/login_try.h"

#include "trust/prepare.h"
#include "trust/token.h"

enum {
    TOKEN_SKEW = 60 /* seconds by which the clock of who made the token may differ */
};

struct err login_token_keys(struct core *core, struct str json)
{
    struct login_desk *desk = &core->desk;
    struct arena arena;
    struct token_keys *keys = NULL;
    arena_init(&arena, LOGIN_TOKEN_ARENA);
    struct err e = json.n ? token_keys_parse(json, &arena, &keys) : err_none();
    if (err_is(e)) {
        arena_done(&arena);
        return e;
    }
    token_keys_done(desk->token_keys);
    arena_done(&desk->token_arena);
    desk->token_keys = keys;
    desk->token_arena = arena;
    return e;
}

/* A name of somebody else's directory is one of ours, or nobody's. May yield. */
static struct err claimed_find(struct login_try *try, struct str claimed)
{
    struct arena *arena = &try->request->arena;
    struct str name;
    struct account said = try->account;
    struct err e = prepare_name(claimed, arena, &name);
    if (!err_is(e))
        e = directory_login(&try->core->directory, name, arena, &try->account);
    if (e.code == ERR_SASL_SYNTAX)
        e = err_make(ERR_LOGIN_FAILED);
    if (err_is(e))
        return e;
    bool same = try->user.n == 0 || (try->exists && said.id == try->account.id);
    try->exists = true;
    return same ? e : err_make(ERR_LOGIN_FAILED);
}

static struct err token_prove(struct login_try *try)
{
    const struct msg_login_token *asked = &try->request->msg.login_token;
    struct core *core = try->core;
    const struct token_head head = {.algorithm = asked->algorithm, .key = asked->key};
    const struct token_rules rules = {.issuer = core->conf->login.token_issuer,
                                      .audience = core->conf->login.token_audience,
                                      .scope = core->conf->login.token_scope,
                                      .now = world_wall(core->world) / US_PER_SECOND,
                                      .skew = TOKEN_SKEW};
    struct token_claims claims;
    if (!core->desk.token_keys)
        return err_make(ERR_LOGIN_FAILED);
    struct err e = token_check(core->desk.token_keys, &head, asked->token, &rules,
                               &try->request->arena, &claims);
    if (!err_is(e))
        return claimed_find(try, claims.user);
    if (e.detail.n)
        log_event(core->log, LOG_INFO, "token_refused", log_str("client", try->client),
                  log_str("why", e.detail));
    return e;
}

void serve_login_token(struct request *request)
{
    const struct msg_login_token *asked = &request->msg.login_token;
    struct login_try try;
    if (!login_try_init(
            &try, request,
            &(struct login_said){.mechanisms = 1u << SASL_OAUTHBEARER | 1u << SASL_XOAUTH2,
                                 .protocol = asked->protocol,
                                 .mechanism = asked->mechanism,
                                 .client = asked->client,
                                 .user = asked->user}))
        return;
    try.nameless = asked->user.n == 0;
    struct err e = login_admit(&try);
    if (!err_is(e))
        e = login_decide_by(&try, token_prove(&try));
    login_answer(&try, e);
    login_afterwards(&try);
}
