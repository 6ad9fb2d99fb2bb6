/*
 * Passwords that are kept in an old way become ones that are kept in today's, when they are known:
 * behind a log-in that went well, and behind its answer. Hashes that were imported get ours, and an
 * account that can have keys for SCRAM gets them. Where the lane is busy it is left to the next
 * log-in.
 */
#include "core/login_try.h"

#include "trust/password.h"
#include "trust/prepare.h"

enum {
    KEEP_ARENA = 256 * 1024
};

struct keeping {
    struct str password;
    struct password_kept kept;
    unsigned char salt[PASSWORD_SALT];
    bool with_keys;
    struct arena arena;
    struct str hash;
    struct err e;
};

static struct err keys_make(struct keeping *keeping)
{
    struct password_kept *kept = &keeping->kept;
    struct str prepared;
    struct err e = prepare_new_password(keeping->password, &keeping->arena, &prepared);
    if (!err_is(e))
        e = scram_keys_make(SASL_SCRAM_SHA_256, prepared, kept->salt, kept->rounds,
                            &kept->keys.sha_256);
    if (!err_is(e))
        e = scram_keys_make(SASL_SCRAM_SHA_1, prepared, kept->salt, kept->rounds,
                            &kept->keys.sha_1);
    kept->keys.has_sha_1 = kept->keys.has_sha_256 = !err_is(e);
    return e;
}

static void keeping_run(void *arg)
{
    struct keeping *keeping = arg;
    struct arena scratch;
    arena_init(&scratch, PASSWORD_SCRATCH);
    struct str hash;
    keeping->e = password_hash(keeping->password, keeping->salt, &scratch, &hash);
    if (!err_is(keeping->e))
        keeping->hash = arena_str(&keeping->arena, hash);
    arena_wipe(&scratch);
    if (!err_is(keeping->e) && keeping->with_keys)
        keeping->e = keys_make(keeping);
}

/* SCRAM's clients prepare what was typed; a password that cannot be stored so has no keys. */
static bool wants_keys(const struct login_try *try, const struct credentials *credentials,
                       struct str password)
{
    const struct password_keys *keys = &credentials->password.keys;
    struct arena scratch;
    struct str prepared;
    if (!try->core->conf->login.scram || (keys->has_sha_1 && keys->has_sha_256))
        return false;
    arena_init(&scratch, KEEP_ARENA);
    bool can = !err_is(prepare_new_password(password, &scratch, &prepared));
    arena_wipe(&scratch);
    return can;
}

/* All keys of an account are by one salt: that of those which are there already. */
static void salt_take(struct login_try *try, const struct credentials *credentials,
                      struct keeping *keeping)
{
    struct core *core = try->core;
    world_random(core->world, keeping->salt, sizeof(keeping->salt));
    keeping->kept = credentials->password;
    if (!keeping->with_keys || credentials->password.rounds)
        return;
    world_random(core->world, keeping->kept.salt, sizeof(keeping->kept.salt));
    keeping->kept.rounds = (uint32_t)core->conf->login.scram_rounds;
}

static struct err keep(struct login_try *try, struct keeping *keeping)
{
    struct core *core = try->core;
    struct hash_work work = {.run = keeping_run, .arg = keeping};
    struct err e = hash_gate_pass(&core->desk.gate, HASH_USUAL, &work);
    if (!err_is(e))
        e = keeping->e;
    if (!err_is(e) && !keeping->hash.p)
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e))
        return e;
    return directory_password_keep(&core->directory, try->account.id,
                                   try->account.credential_version, keeping->hash, &keeping->kept);
}

void login_keep(struct login_try *try, struct str password)
{
    struct login_desk *desk = &try->core->desk;
    struct credentials credentials;
    struct keeping keeping = {.password = password};
    struct err e = login_credentials(try, &credentials);
    keeping.with_keys = !err_is(e) && wants_keys(try, &credentials, password);
    if (err_is(e) || (password_hash_is_current(try->account.password) && !keeping.with_keys))
        return;
    /* One at a time: it takes a processor for half a second, which log-ins are not to wait for; and
     * two of one account would do the same work twice. */
    if (desk->keeps)
        return;
    desk->keeps = true;
    salt_take(try, &credentials, &keeping);
    arena_init(&keeping.arena, KEEP_ARENA);
    e = keep(try, &keeping);
    arena_wipe(&keeping.arena);
    desk->keeps = false;
    explicit_bzero(&keeping, sizeof(keeping));
    if (err_is(e) && e.code != ERR_LOGIN_LATER && e.code != ERR_CONFLICT)
        log_err(try->core->log, "password_not_kept_anew", e);
}
