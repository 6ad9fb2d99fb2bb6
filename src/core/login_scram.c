/*
 * Mechanisms with a challenge: SCRAM (RFC 5802, 7677) and CRAM-MD5 (RFC 2195). An attempt lives
 * between the challenge and the proof, under a number that nobody guesses, on one link; it is used
 * once, and not later than a minute after.
 *
 * Why it keeps no keys: they are read again at the proof, and are good only if the account's
 * credentials are those of the challenge. Why the guard is asked at the proof: a challenge costs
 * nothing and tells nothing, and an attempt that is never finished would hold a place of the
 * counts.
 */
#include "core/login_try.h"

#include "base/must.h"
#include "trust/prepare.h"

enum {
    ATTEMPTS_MOST = 2000, /* of one link; the oldest goes */
    ATTEMPT_ARENA = 64 * 1024,
    CRAM_RANDOM = 16,
    CRAM_DIGEST = 16,
};
#define ATTEMPT_LIFE (60 * NS_PER_SECOND)

#define SCRAMS (1u << SASL_SCRAM_SHA_1 | 1u << SASL_SCRAM_SHA_256 | 1u << SASL_SCRAM_SHA_256_PLUS)

struct login_attempt {
    UT_hash_handle hh;
    TAILQ_ENTRY(login_attempt) order;
    uint64_t number;
    int64_t until;
    uint8_t protocol, mechanism;
    struct str client, user, as;
    struct str bare, challenge;
    uint64_t account, version; /* SCRAM: whose keys the challenge is for; 0: nobody's */
    struct arena arena;
};

/* --- Attempts of a link ---------------------------------------------------------------------- */

static void attempt_free(struct login_attempt *attempt)
{
    arena_done(&attempt->arena);
    free(attempt);
}

static void attempt_remove(struct peer *peer, struct login_attempt *attempt)
{
    HASH_DEL(peer->attempts, attempt);
    TAILQ_REMOVE(&peer->attempts_order, attempt, order);
}

static void attempts_trim(struct peer *peer)
{
    struct login_attempt *oldest;
    int64_t now = peer->core->loop->now;
    while ((oldest = TAILQ_FIRST(&peer->attempts_order)) &&
           (oldest->until <= now || HASH_COUNT(peer->attempts) >= ATTEMPTS_MOST)) {
        attempt_remove(peer, oldest);
        attempt_free(oldest);
    }
}

void login_attempts_drop(struct peer *peer)
{
    struct login_attempt *attempt;
    while ((attempt = TAILQ_FIRST(&peer->attempts_order))) {
        attempt_remove(peer, attempt);
        attempt_free(attempt);
    }
}

static struct login_attempt *attempt_find(struct peer *peer, uint64_t number)
{
    struct login_attempt *attempt;
    HASH_FIND(hh, peer->attempts, &number, sizeof(number), attempt);
    return attempt;
}

/* It is used once: whatever becomes of it, the next one does not find it. NULL: none, or too late.
 */
static struct login_attempt *attempt_take(struct peer *peer, uint64_t number)
{
    struct login_attempt *attempt = attempt_find(peer, number);
    if (!attempt)
        return NULL;
    attempt_remove(peer, attempt);
    if (attempt->until > peer->core->loop->now)
        return attempt;
    attempt_free(attempt);
    return NULL;
}

static struct login_attempt *attempt_make(const struct msg_login_begin *asked)
{
    struct login_attempt *attempt = calloc(1, sizeof(*attempt));
    if (!attempt)
        return NULL;
    arena_init(&attempt->arena, ATTEMPT_ARENA);
    attempt->protocol = asked->protocol;
    attempt->mechanism = asked->mechanism;
    attempt->client = arena_str(&attempt->arena, asked->client);
    attempt->user = arena_str(&attempt->arena, asked->user);
    attempt->as = arena_str(&attempt->arena, asked->as);
    attempt->bare = arena_str(&attempt->arena, asked->first);
    return attempt;
}

/* Takes the attempt: it has a number now, or is gone. */
static struct err attempt_add(struct peer *peer, struct login_attempt **attempt_in)
{
    struct login_attempt *attempt = *attempt_in;
    *attempt_in = NULL;
    attempts_trim(peer);
    attempt->until = peer->core->loop->now + ATTEMPT_LIFE;
    while (attempt->number == 0 || attempt_find(peer, attempt->number))
        world_random(peer->core->world, &attempt->number, sizeof(attempt->number));
    if (!arena_over(&attempt->arena)) {
        HASH_ADD(hh, peer->attempts, number, sizeof(attempt->number), attempt);
        if (HASH_ADDED(attempt)) {
            TAILQ_INSERT_TAIL(&peer->attempts_order, attempt, order);
            *attempt_in = attempt;
            return err_none();
        }
    }
    attempt_free(attempt);
    return err_make(ERR_NO_MEMORY);
}

/* --- The challenge --------------------------------------------------------------------------- */

/* And with it nobody's records (store/directory_nobody.c). */
static struct err salt_key_get(struct core *core)
{
    struct login_desk *desk = &core->desk;
    struct err e = err_none();
    if (!desk->has_salt_key)
        e = directory_salt_key(&core->directory, desk->salt_key);
    desk->has_salt_key = !err_is(e);
    return e;
}

/* Whom there are and whom there are not get a challenge of one shape. May yield. */
static struct err scram_challenge(struct login_try *try, const struct msg_login_begin *asked,
                                  struct login_attempt *attempt)
{
    struct core *core = try->core;
    struct credentials credentials;
    unsigned char salt[SCRAM_SALT], random[SCRAM_NONCE];
    struct err e = login_credentials(try, &credentials);
    if (err_is(e))
        return e;
    uint32_t rounds = credentials.password.rounds;
    scram_salt_made_up(core->desk.salt_key, try->folded, salt);
    if (rounds) {
        memcpy(salt, credentials.password.salt, sizeof(salt));
        attempt->account = try->account.id;
        attempt->version = try->account.credential_version;
    } else {
        rounds = (uint32_t)core->conf->login.scram_rounds;
    }
    world_random(core->world, random, sizeof(random));
    attempt->challenge = scram_server_first(asked->nonce, random, salt, rounds, &attempt->arena);
    return err_none();
}

static void cram_challenge_make(struct core *core, struct login_attempt *attempt)
{
    unsigned char random[CRAM_RANDOM];
    world_random(core->world, random, sizeof(random));
    attempt->challenge = cram_challenge(random, world_wall(core->world),
                                        core->conf->server.hostname, &attempt->arena);
}

static struct err begin(struct login_try *try, struct login_attempt **attempt)
{
    const struct msg_login_begin *asked = &try->request->msg.login_begin;
    struct err e = login_admit_begin(try);
    if (!err_is(e))
        e = salt_key_get(try->core);
    if (!err_is(e) && asked->mechanism == SASL_CRAM_MD5) {
        cram_challenge_make(try->core, *attempt);
    } else if (!err_is(e)) {
        e = login_account_find(try);
        if (!err_is(e))
            e = scram_challenge(try, asked, *attempt);
    }
    if (!err_is(e) && try->request->peer->gone)
        e = err_make(ERR_PEER_GONE);
    return err_is(e) ? e : attempt_add(try->request->peer, attempt);
}

void serve_login_begin(struct request *request)
{
    const struct msg_login_begin *asked = &request->msg.login_begin;
    struct msg answer = {.kind = MSG_login_challenge};
    struct login_try try;
    if (!login_try_init(&try, request,
                        &(struct login_said){.mechanisms = SCRAMS | 1u << SASL_CRAM_MD5,
                                             .protocol = asked->protocol,
                                             .mechanism = asked->mechanism,
                                             .client = asked->client,
                                             .user = asked->user,
                                             .as = asked->as}))
        return;
    struct login_attempt *attempt = attempt_make(asked);
    struct err e = attempt ? begin(&try, &attempt) : err_make(ERR_NO_MEMORY);
    if (!err_is(e)) {
        answer.login_challenge.attempt = attempt->number;
        answer.login_challenge.text = attempt->challenge;
    } else {
        login_event(&try, e);
        if (attempt)
            attempt_free(attempt);
    }
    answer.login_challenge.error = (uint16_t)e.code;
    request_answer(request, &answer);
}

/* --- The proof ------------------------------------------------------------------------------- */

static const struct scram_keys *keys_for(enum sasl_mechanism mechanism,
                                         const struct password_keys *keys)
{
    if (mechanism == SASL_SCRAM_SHA_1)
        return keys->has_sha_1 ? &keys->sha_1 : NULL;
    return keys->has_sha_256 ? &keys->sha_256 : NULL;
}

static bool scram_fits(struct login_try *try, const struct login_attempt *attempt,
                       const struct password_keys *keys)
{
    static const struct scram_keys nobodys;
    const struct msg_login_proof *asked = &try->request->msg.login_proof;
    const struct scram_keys *own = keys ? keys_for(try->mechanism, keys) : NULL;
    return scram_proves(try->mechanism, own ? own : &nobodys, attempt->bare, attempt->challenge,
                        asked->final, asked->proof, &try->request->arena, &try->text) &&
           own;
}

/* Its own password first, then those of programs: all are by one salt. */
static bool scram_prove(struct login_try *try, const struct login_attempt *attempt,
                        const struct credentials *credentials)
{
    bool ours = try->exists && attempt->account && attempt->account == try->account.id &&
                attempt->version == try->account.credential_version;
    if (scram_fits(try, attempt, ours ? &credentials->password.keys : NULL))
        return true;
    for (size_t i = 0; ours && i < credentials->app_password_count; i++) {
        const struct app_password *app = &credentials->app_passwords[i];
        if (!scram_fits(try, attempt, &app->keys))
            continue;
        try->app = app->id;
        try->services = app->services;
        return true;
    }
    try->text = str_null();
    return false;
}

static bool cram_prove(const struct login_try *try, const struct login_attempt *attempt,
                       const struct credentials *credentials)
{
    const struct msg_login_proof *asked = &try->request->msg.login_proof;
    struct str secret = credentials->password.cram_secret;
    if (asked->proof.n != CRAM_DIGEST)
        return false;
    return cram_proves(secret, attempt->challenge, (const unsigned char *)asked->proof.p) &&
           secret.n > 0;
}

static struct err prove(struct login_try *try, const struct login_attempt *attempt)
{
    struct credentials credentials;
    struct err e = login_admit(try);
    if (err_is(e))
        return e;
    e = login_credentials(try, &credentials);
    if (err_is(e))
        return login_decide(try, PROOF_NONE, e);
    bool right = try->mechanism == SASL_CRAM_MD5 ? cram_prove(try, attempt, &credentials)
                                                 : scram_prove(try, attempt, &credentials);
    e = login_decide(try, right ? PROOF_RIGHT : PROOF_WRONG, e);
    /* It proves the server to the client; where there is no log-in, it says nothing. */
    if (err_is(e))
        try->text = str_null();
    return e;
}

/* There is no such attempt (any more): not a guess, for nothing was compared. */
static void refuse(struct request *request)
{
    struct msg answer = {.kind = MSG_logged_in, .logged_in = {.error = ERR_LOGIN_FAILED}};
    request_answer(request, &answer);
}

void serve_login_proof(struct request *request)
{
    const struct msg_login_proof *asked = &request->msg.login_proof;
    struct login_attempt *attempt = attempt_take(request->peer, asked->attempt);
    struct login_try try;
    if (!attempt) {
        refuse(request);
        return;
    }
    bool cram = attempt->mechanism == SASL_CRAM_MD5;
    if (login_try_init(&try, request,
                       &(struct login_said){.mechanisms = SCRAMS | 1u << SASL_CRAM_MD5,
                                            .protocol = attempt->protocol,
                                            .mechanism = attempt->mechanism,
                                            .client = attempt->client,
                                            .user = cram ? asked->user : attempt->user,
                                            .as = attempt->as})) {
        login_answer(&try, prove(&try, attempt));
        login_afterwards(&try);
    }
    attempt_free(attempt);
}

void serve_login_dropped(struct request *request)
{
    struct login_attempt *attempt = attempt_find(request->peer, request->msg.login_dropped.attempt);
    if (!attempt)
        return;
    attempt_remove(request->peer, attempt);
    attempt_free(attempt);
}
