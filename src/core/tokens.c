/*
 * Why a job waits for the token and not its destination: a request takes a second, and a line that
 * stands still would have to be started again by whoever has the answer, whatever befell the
 * configuration meanwhile.
 */
#include "core/tokens.h"

#include <openssl/crypto.h>

#include "base/must.h"
#include "conf/routes.h"
#include "core/peer.h"
#include "store/route_token.h"
#include "trust/oauth.h"

enum {
    ASK_ARENA = 64 << 10,
    NAMES_MOST = 1000, /* routes that are looked at by one duty */
};

#define KEPT (TOKENS_KEPT_DAYS * INT64_C(86400) * US_PER_SECOND)

/* Text in memory of secrets. */
struct kept {
    char *p;
    size_t n;
};

struct token_waiter {
    TAILQ_ENTRY(token_waiter) link;
    struct wait wait;
};

struct token {
    LIST_ENTRY(token) link;
    char *name, *via;
    unsigned char digest[SHA256_SIZE]; /* of the grant in the file */
    struct kept endpoint, client_id, client_secret, scope, refresh;
    struct kept access;
    int64_t until, old; /* mono */
    int64_t again;      /* mono: it is not asked for before */
    uint32_t turn;      /* of access */
    bool read;          /* what the store has of it */
    bool refused;       /* T4 */
    bool suspect;       /* the host refused one, and has taken none since */
    bool busy;          /* it is being asked for */
    bool gone;          /* and nobody else knows it any more */
    char why[TOKENS_WHY_MAX];
    TAILQ_HEAD(, token_waiter) waiters;
};

struct tokens {
    LIST_HEAD(, token) all;
};

/* --- Memory ---------------------------------------------------------------------------------- */

static void kept_free(struct kept *kept)
{
    OPENSSL_secure_clear_free(kept->p, kept->n);
    *kept = (struct kept){.p = NULL};
}

static bool kept_set(struct kept *kept, struct str text)
{
    char *p = OPENSSL_secure_malloc(text.n + 1);
    if (!p)
        return false;
    if (text.n > 0)
        memcpy(p, text.p, text.n);
    p[text.n] = '\0';
    kept_free(kept);
    *kept = (struct kept){.p = p, .n = text.n};
    return true;
}

static struct str kept_str(const struct kept *kept)
{
    return str_make(kept->p ? kept->p : "", kept->n);
}

static void token_free(struct token *token)
{
    struct kept *all[] = {&token->endpoint, &token->client_id, &token->client_secret,
                          &token->scope,    &token->refresh,   &token->access};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        kept_free(all[i]);
    free(token->name);
    free(token->via);
    free(token);
}

/* Whoever asks for it frees it. */
static void drop(struct token *token)
{
    LIST_REMOVE(token, link);
    token->gone = true;
    if (!token->busy)
        token_free(token);
}

struct tokens *tokens_new(void)
{
    struct tokens *tokens = calloc(1, sizeof(*tokens));
    if (tokens)
        LIST_INIT(&tokens->all);
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    struct token *token;
    while (tokens && (token = LIST_FIRST(&tokens->all))) {
        must(!token->busy);
        drop(token);
    }
    free(tokens);
}

/* --- Files ----------------------------------------------------------------------------------- */

static struct token *find(const struct tokens *tokens, struct str name)
{
    struct token *token;
    if (!tokens)
        return NULL;
    LIST_FOREACH (token, &tokens->all, link)
        if (str_eq(str_from(token->name), name))
            return token;
    return NULL;
}

static struct token *token_new(const struct msg_route_secret *told, const struct oauth_grant *grant)
{
    struct token *token = calloc(1, sizeof(*token));
    if (!token)
        return NULL;
    TAILQ_INIT(&token->waiters);
    token->name = str_to_cstring(told->name);
    token->via = str_to_cstring(told->via);
    oauth_grant_digest(grant, token->digest);
    if (token->name && token->via && kept_set(&token->endpoint, grant->endpoint) &&
        kept_set(&token->client_id, grant->client_id) &&
        kept_set(&token->client_secret, grant->client_secret) &&
        kept_set(&token->scope, grant->scope) && kept_set(&token->refresh, grant->refresh_token))
        return token;
    token_free(token);
    return NULL;
}

static bool is_digest(const struct token *token, const unsigned char other[SHA256_SIZE])
{
    return str_eq_secret(str_make(token->digest, SHA256_SIZE), str_make(other, SHA256_SIZE));
}

/* A secret or a scope that was put right is another grant, too; the refresh token goes on. */
static bool is_same(const struct token *token, const struct msg_route_secret *told,
                    const struct oauth_grant *grant)
{
    unsigned char digest[SHA256_SIZE];
    oauth_grant_digest(grant, digest);
    return is_digest(token, digest) && str_eq(str_from(token->via), told->via) &&
           str_eq_secret(kept_str(&token->client_secret), grant->client_secret) &&
           str_eq(kept_str(&token->scope), grant->scope);
}

static struct err grant_take(struct tokens *tokens, const struct msg_route_secret *told,
                             const struct oauth_grant *grant, bool *changed_r)
{
    struct token *before = find(tokens, told->name);
    if (before && is_same(before, told, grant))
        return err_none();
    *changed_r = true;
    if (before)
        drop(before);
    struct token *token = token_new(told, grant);
    if (!token)
        return err_make(ERR_NO_MEMORY);
    LIST_INSERT_HEAD(&tokens->all, token, link);
    return err_none();
}

struct err tokens_take(struct tokens *tokens, const struct msg_route_secret *told, bool *changed_r)
{
    struct token *before = find(tokens, told->name);
    struct arena arena;
    struct oauth_grant grant;
    struct err e = err_none();
    *changed_r = false;
    arena_init(&arena, ASK_ARENA);
    if (told->grant && told->secret.n > 0)
        e = oauth_grant_parse(told->secret, told->endpoint, &arena, &grant);
    if (told->grant && told->secret.n > 0 && !err_is(e))
        e = grant_take(tokens, told, &grant, changed_r);
    else if (before)
        drop(before);
    arena_wipe(&arena);
    return e;
}

void tokens_forget(struct tokens *tokens, const struct conf *conf)
{
    struct token *next, *token = LIST_FIRST(&tokens->all);
    for (; token; token = next) {
        next = LIST_NEXT(token, link);
        if (!conf_route_named(conf, str_from(token->name)))
            drop(token);
    }
}

/* --- What came of it ------------------------------------------------------------------------- */

static bool is_good(const struct token *token, int64_t now)
{
    return token->access.p && now < token->until;
}

static void failed(struct core *core, struct token *token, struct str error, struct str why)
{
    struct buf text = BUF_INIT(sizeof(token->why) - 1);
    token->refused = str_eq(error, STR("invalid_grant"));
    token->again = core->loop->now + (token->refused ? TOKENS_REFUSED_AGAIN : TOKENS_AGAIN);
    buf_put(&text, str_head(error, sizeof(token->why) / 2));
    if (why.n > 0)
        buf_printf(&text, " (%.*s)", STR_FMT(str_head(why, sizeof(token->why) / 2 - 4)));
    snprintf(token->why, sizeof(token->why), "%.*s", STR_FMT(buf_str(&text)));
    log_event(core->log, LOG_WARN, "token_not_got", log_str("route", str_from(token->name)),
              log_str("endpoint", kept_str(&token->endpoint)), log_str("why", buf_str(&text)));
    buf_done(&text);
}

/* Durable before anything is done with what came beside it. */
static void refresh_keep(struct core *core, struct token *token, struct str refresh)
{
    struct route_token record = {.since = world_wall(core->world), .refresh_token = refresh};
    memcpy(record.grant, token->digest, sizeof(record.grant));
    if (refresh.n == 0 || str_eq_secret(refresh, kept_str(&token->refresh)))
        return;
    struct err e = route_token_write(core->engine, str_from(token->name), &record);
    if (err_is(e))
        log_err(core->log, "refresh_token_not_kept", e);
    (void)kept_set(&token->refresh, refresh);
}

static void answered(struct core *core, struct token *token, const struct msg_token_told *told)
{
    int64_t lasts = told->lasts * NS_PER_SECOND, early = TOKENS_EARLY * NS_PER_SECOND;
    if (told->access_token.n == 0) {
        failed(core, token, told->error.n > 0 ? told->error : STR("no answer"), told->why);
        return;
    }
    refresh_keep(core, token, told->refresh_token);
    if (!kept_set(&token->access, told->access_token)) {
        failed(core, token, STR("no memory"), STR(""));
        return;
    }
    if (lasts / TOKENS_EARLY_PART < early)
        early = lasts / TOKENS_EARLY_PART;
    token->until = core->loop->now + lasts;
    token->old = token->until - early;
    token->turn++;
    token->refused = false;
    token->why[0] = '\0';
    log_event(core->log, LOG_INFO, "token_got", log_str("route", str_from(token->name)),
              log_u64("seconds", told->lasts));
}

/* --- Asking ---------------------------------------------------------------------------------- */

/* What the store has is that of this file, or of an earlier one. */
static struct err store_read(struct core *core, struct token *token, struct arena *arena)
{
    struct route_token record;
    if (token->read)
        return err_none();
    struct err e = route_token_read(core->engine, str_from(token->name), arena, &record);
    if (e.code == ERR_NOT_FOUND || e.code == ERR_STORE_DAMAGED)
        e = err_none();
    else if (!err_is(e) && is_digest(token, record.grant) &&
             !kept_set(&token->refresh, record.refresh_token))
        e = err_make(ERR_NO_MEMORY);
    token->read = !err_is(e);
    return e;
}

static struct peer *courier_of(const struct core *core)
{
    struct peer *peer;
    LIST_FOREACH (peer, &core->peers, link_in_core)
        if (peer->role == ROLE_COURIER && peer->takes_jobs && !peer->gone)
            return peer;
    return NULL;
}

static void ask(struct core *core, struct token *token, struct arena *arena)
{
    struct peer *peer = courier_of(core);
    struct msg answer, msg = {.kind = MSG_token_ask,
                              .token_ask = {.endpoint = kept_str(&token->endpoint),
                                            .client_id = kept_str(&token->client_id),
                                            .client_secret = kept_str(&token->client_secret),
                                            .refresh_token = kept_str(&token->refresh),
                                            .scope = kept_str(&token->scope)}};
    if (!peer) {
        failed(core, token, STR("no courier is there"), STR(""));
        return;
    }
    peer_hold(peer);
    struct err e = link_ask(&peer->link, &msg, arena, &answer);
    peer_release(peer);
    if (err_is(e))
        failed(core, token, STR("the courier that asked has ended"), STR(""));
    else
        answered(core, token, &answer.token_told);
}

/* The token stays where it is: it is busy. */
static void renew(struct core *core, struct token *token)
{
    struct arena arena;
    token->busy = true;
    arena_init(&arena, ASK_ARENA);
    struct err e = store_read(core, token, &arena);
    if (err_is(e))
        failed(core, token, STR("the store does not tell its refresh token"), STR(""));
    else
        ask(core, token, &arena);
    arena_wipe(&arena);
    token->busy = false;
    struct token_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&token->waiters))) {
        TAILQ_REMOVE(&token->waiters, waiter, link);
        wait_over(&waiter->wait);
    }
    if (token->gone)
        token_free(token);
}

static void others_await(struct token *token)
{
    struct token_waiter waiter = {.wait = {.done = false}};
    TAILQ_INSERT_TAIL(&token->waiters, &waiter, link);
    wait_for(&waiter.wait);
}

static struct token *find_for(const struct core *core, struct str name, struct str via)
{
    struct token *token = find(core->tokens, name);
    return token && str_eq(str_from(token->via), via) ? token : NULL;
}

void tokens_renew(struct core *core, struct str name, struct str via)
{
    struct token *token = find_for(core, name, via);
    int64_t now = core->loop->now;
    if (!token || (is_good(token, now) && now < token->old))
        return;
    if (token->busy)
        others_await(token);
    else if (now >= token->again)
        renew(core, token);
}

/* --- What others see ------------------------------------------------------------------------- */

bool tokens_find(const struct core *core, struct str name, struct str via,
                 struct token_found *found_r)
{
    const struct token *token = find_for(core, name, via);
    *found_r = (struct token_found){.token = STR(""), .why = STR("")};
    if (!token)
        return false;
    found_r->turn = token->turn;
    found_r->refused = token->refused;
    found_r->why = str_from(token->why);
    if (is_good(token, core->loop->now)) {
        found_r->token = kept_str(&token->access);
        found_r->left = token->until - core->loop->now;
    }
    return true;
}

bool tokens_refuse(struct core *core, struct str name, uint32_t turn)
{
    struct token *token = find(core->tokens, name);
    if (!token)
        return false;
    if (turn != token->turn) /* of one that was renewed meanwhile */
        return is_good(token, core->loop->now);
    if (token->suspect)
        return false;
    log_event(core->log, LOG_WARN, "token_refused", log_str("route", name));
    token->suspect = true;
    kept_free(&token->access);
    return true;
}

void tokens_accept(struct core *core, struct str name, uint32_t turn)
{
    struct token *token = find(core->tokens, name);
    if (token && turn == token->turn)
        token->suspect = false;
}

/* --- Routes that are no more ----------------------------------------------------------------- */

static struct err token_expire(struct core *core, struct str name)
{
    struct arena arena;
    struct route_token record;
    arena_init(&arena, ASK_ARENA);
    struct err e = route_token_read(core->engine, name, &arena, &record);
    bool over = !err_is(e) && !conf_route_named(core->conf, name) &&
                world_wall(core->world) > record.since + KEPT;
    arena_wipe(&arena);
    return over ? route_token_remove(core->engine, name) : err_none();
}

struct err tokens_duty(struct core *core)
{
    struct arena arena;
    struct str *names = NULL;
    size_t count = 0;
    arena_init(&arena, 16 << 20);
    struct err e = route_token_names(core->engine, NAMES_MOST, &arena, &names, &count);
    for (size_t i = 0; i < count && !err_is(e); i++)
        if (!conf_route_named(core->conf, names[i]))
            e = token_expire(core, names[i]);
    arena_wipe(&arena);
    return e;
}
