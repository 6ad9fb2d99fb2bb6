#include "edge/login_core_test.h"

#include "base/must.h"

static const unsigned char salt[SCRAM_SALT] = "salt of a stage.",
                           nonce[SCRAM_NONCE] = "a nonce of 24 octets ...";

static const struct {
    struct str user;
    enum err_code error;
    bool always; /* whatever the password */
} others[] = {
    {STR_INIT("dave"), ERR_LOGIN_DISABLED, false}, {STR_INIT("off"), ERR_LOGIN_SERVICE_OFF, false},
    {STR_INIT("later"), ERR_LOGIN_LATER, true},    {STR_INIT("fast"), ERR_LOGIN_BACK_OFF, true},
    {STR_INIT("banned"), ERR_BANNED, true},
};

void login_core_open(struct login_core *core)
{
    *core = (struct login_core){.handle = 0};
    arena_init(&core->arena, LOGIN_CORE_ARENA);
    buf_init(&core->password, 1 << 20);
    buf_init(&core->as, 1 << 20);
}

void login_core_close(struct login_core *core)
{
    arena_done(&core->arena);
    buf_done(&core->password);
    buf_done(&core->as);
}

void login_core_forget(struct login_core *core)
{
    core->handle += 1000000;
    core->attempt += 1000000;
}

bool login_core_knows(const struct login_core *core, uint64_t handle)
{
    return handle <= core->handle && handle + 1000 > core->handle;
}

static struct msg decided(struct login_core *core, struct str user, bool right)
{
    struct msg msg = {.kind = MSG_logged_in, .logged_in = {.error = ERR_LOGIN_FAILED}};
    core->logins++;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (str_eq(user, others[i].user) && (right || others[i].always))
            msg.logged_in.error = (uint16_t)others[i].error;
    }
    if (right && str_eq(user, STR("bob")))
        msg.logged_in =
            (struct msg_logged_in){.handle = ++core->handle, .address = STR("bob@example.test")};
    return msg;
}

static bool is_himself(struct str user, struct str as)
{
    return as.n == 0 || str_eq(user, as);
}

static struct msg login(struct login_core *core, const struct msg_login *asked)
{
    core->protocol = asked->protocol;
    core->encrypted = asked->encrypted;
    buf_clear(&core->password);
    buf_put(&core->password, asked->password);
    buf_clear(&core->as);
    buf_put(&core->as, asked->as);
    return decided(core, asked->user,
                   str_eq(asked->password, STR("secret")) && is_himself(asked->user, asked->as));
}

static struct msg begin(struct login_core *core, const struct msg_login_begin *asked)
{
    struct msg msg = {.kind = MSG_login_challenge};
    must(asked->user.n < sizeof core->user);
    arena_reset(&core->arena);
    core->begins++;
    core->mechanism = (enum sasl_mechanism)asked->mechanism;
    memset(core->user, 0, sizeof core->user);
    memcpy(core->user, asked->user.p ? asked->user.p : "", asked->user.n);
    msg.login_challenge.attempt = ++core->attempt;
    if (core->mechanism == SASL_CRAM_MD5) {
        core->server_first = cram_challenge(nonce, 0, STR("mx.example.test"), &core->arena);
    } else {
        core->bare = arena_str(&core->arena, asked->first);
        core->server_first =
            scram_server_first(asked->nonce, nonce, salt, LOGIN_CORE_ROUNDS, &core->arena);
    }
    msg.login_challenge.text = core->server_first;
    if (str_eq(asked->user, STR("banned")))
        msg.login_challenge = (struct msg_login_challenge){.error = ERR_BANNED};
    return msg;
}

static struct msg scram_proof(struct login_core *core, const struct msg_login_proof *asked)
{
    struct scram_keys keys;
    struct str final = str_null();
    must(!err_is(scram_keys_make(core->mechanism, STR("secret"), salt, LOGIN_CORE_ROUNDS, &keys)));
    bool right = scram_proves(core->mechanism, &keys, core->bare, core->server_first, asked->final,
                              asked->proof, &core->arena, &final);
    struct msg msg = decided(core, str_from(core->user), right);
    msg.logged_in.text = final;
    return msg;
}

static struct msg proof(struct login_core *core, const struct msg_login_proof *asked)
{
    must(asked->attempt == core->attempt);
    if (core->mechanism == SASL_CRAM_MD5)
        return decided(core, asked->user,
                       asked->proof.n == 16 && cram_proves(STR("secret"), core->server_first,
                                                           (const unsigned char *)asked->proof.p));
    return scram_proof(core, asked);
}

static struct msg token(struct login_core *core, const struct msg_login_token *asked)
{
    struct str user = asked->user.n > 0 ? asked->user : STR("bob");
    return decided(core, user, str_ends(asked->token, STR(".good")));
}

static struct msg certificate(struct login_core *core, const struct msg_login_certificate *asked)
{
    struct str his = str_make(core->fingerprint, sizeof core->fingerprint);
    return decided(core, STR("bob"),
                   is_himself(STR("bob"), asked->as) && str_eq(asked->fingerprint, his));
}

bool login_core_answer(struct login_core *core, const struct msg *asked, struct msg *answer_r)
{
    *answer_r = (struct msg){.kind = asked->kind};
    if (asked->kind == MSG_login)
        *answer_r = login(core, &asked->login);
    else if (asked->kind == MSG_login_begin)
        *answer_r = begin(core, &asked->login_begin);
    else if (asked->kind == MSG_login_proof)
        *answer_r = proof(core, &asked->login_proof);
    else if (asked->kind == MSG_login_token)
        *answer_r = token(core, &asked->login_token);
    else if (asked->kind == MSG_login_certificate)
        *answer_r = certificate(core, &asked->login_certificate);
    else if (asked->kind == MSG_login_dropped)
        core->drops++;
    else if (asked->kind == MSG_logout)
        core->logouts++;
    else
        return false;
    return true;
}
