/*
 * A name and a password: PLAIN, LOGIN, USER and PASS. In the order of what it costs: was it right a
 * while ago, is it an application password, is it the one of the hash.
 */
#include "core/login_try.h"

#include "trust/password.h"

/* What the lane computes, and what came of it. */
struct password_check {
    struct login_try *try;
    struct str password, hash;
    enum login_proof proof;
};

static struct success_of success_of(const struct login_try *try, struct str password)
{
    return (struct success_of){try->account.id, try->account.credential_version, password};
}

static bool was_right(const struct login_try *try, struct str password)
{
    const struct core *core = try->core;
    struct success_of success = success_of(try, password);
    int64_t remembered = core->conf->login.remembered;
    return remembered > 0 &&
           success_known(core->desk.successes, &success, core->loop->now - remembered) &&
           try->exists;
}

/* It may have been found right while this one waited: a program that opens ten connections at once
 * costs one hash. */
static bool check_wanted(void *arg)
{
    struct password_check *check = arg;
    if (was_right(check->try, check->password))
        check->proof = PROOF_RIGHT;
    return check->proof == PROOF_NONE && !check->try->request->peer->gone;
}

static void check_run(void *arg)
{
    struct password_check *check = arg;
    struct arena scratch;
    arena_init(&scratch, 2 * PASSWORD_SCRATCH);
    bool right = password_verify_typed(check->password, check->hash, &scratch);
    check->proof = right ? PROOF_RIGHT : PROOF_WRONG;
    arena_wipe(&scratch);
}

static bool is_app_password(struct login_try *try, struct str password,
                            const struct credentials *credentials)
{
    for (size_t i = 0; i < credentials->app_password_count; i++) {
        const struct app_password *app = &credentials->app_passwords[i];
        if (!password_app_verify(password, app->hash, &try->request->arena))
            continue;
        try->app = app->id;
        try->services = app->services;
        return true;
    }
    return false;
}

static enum hash_turn turn_of(const struct login_try *try)
{
    return try->known ? HASH_FIRST : try->attempt.fresh ? HASH_FRESH : HASH_USUAL;
}

/* May yield. Through the gate, for those whom there are not as well. */
static struct err hash_prove(struct login_try *try, struct str password, enum login_proof *proof_r)
{
    struct login_desk *desk = &try->core->desk;
    struct password_check check = {.try = try, .password = password};
    struct hash_work work = {.wanted = check_wanted, .run = check_run, .arg = &check};
    if (try->exists)
        check.hash = try->account.password;
    struct err e = hash_gate_pass(&desk->gate, turn_of(try), &work);
    *proof_r = check.proof;
    if (!err_is(e) && check.proof == PROOF_NONE)
        e = err_make(ERR_PEER_GONE);
    if (check.proof == PROOF_RIGHT) {
        struct success_of success = success_of(try, password);
        success_note(desk->successes, &success, try->core->loop->now);
    }
    return e;
}

static struct err prove(struct login_try *try, struct str password, enum login_proof *proof_r)
{
    struct credentials credentials;
    *proof_r = PROOF_NONE;
    if (was_right(try, password)) {
        *proof_r = PROOF_RIGHT;
        return err_none();
    }
    struct err e = login_credentials(try, &credentials);
    if (err_is(e))
        return e;
    if (is_app_password(try, password, &credentials)) {
        *proof_r = PROOF_RIGHT;
        return e;
    }
    return hash_prove(try, password, proof_r);
}

void serve_login(struct request *request)
{
    const struct msg_login *asked = &request->msg.login;
    struct login_try try;
    enum login_proof proof;
    if (!login_try_init(&try, request,
                        &(struct login_said){.mechanisms = 1u << SASL_PLAIN | 1u << SASL_LOGIN |
                                                           1u << SASL_USER_PASS,
                                             .protocol = asked->protocol,
                                             .mechanism = asked->mechanism,
                                             .client = asked->client,
                                             .user = asked->user,
                                             .as = asked->as}))
        return;
    struct err e = login_admit(&try);
    if (!err_is(e)) {
        e = prove(&try, asked->password, &proof);
        e = login_decide(&try, proof, e);
    }
    login_answer(&try, e);
    login_afterwards(&try);
    if (try.login && !try.app)
        login_keep(&try, asked->password);
}
