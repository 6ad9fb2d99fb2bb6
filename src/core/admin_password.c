/*
 * Passwords that operators set, and application passwords that are added. A password never stands
 * among the words of a command, where every user of the machine could read it: it comes by the
 * input, or is made up here and printed once.
 *
 * Hash and SCRAM keys are made in one job of the lane. The keys are by the account's salt, where
 * application passwords hold it; else by a new one. If somebody changes that meanwhile, the
 * directory refuses the change (CONFLICT), and the operator says it again.
 */
#include "core/admin_command.h"
#include "store/directory_text.h"
#include "trust/password.h"
#include "trust/prepare.h"

/* --- Making --- */

struct making {
    struct str password; /* prepared */
    bool hash;           /* a hash of it too */
    unsigned char salt[PASSWORD_SALT];
    struct arena *arena;
    struct password_kept kept; /* salt and rounds are given; 0 rounds: no keys */
    struct str hash_made;
    struct err result;
};

static void making_run(void *arg)
{
    struct making *making = arg;
    struct password_kept *kept = &making->kept;
    struct password_keys *keys = &kept->keys;
    struct err e = err_none();
    if (making->hash)
        e = password_hash(making->password, making->salt, making->arena, &making->hash_made);
    if (!err_is(e) && kept->rounds) {
        e = scram_keys_make(SASL_SCRAM_SHA_256, making->password, kept->salt, kept->rounds,
                            &keys->sha_256);
        keys->has_sha_256 = true;
    }
    if (!err_is(e) && kept->rounds) {
        e = scram_keys_make(SASL_SCRAM_SHA_1, making->password, kept->salt, kept->rounds,
                            &keys->sha_1);
        keys->has_sha_1 = true;
    }
    making->result = e;
}

/* The salt that keys of this account are to be by, and their rounds; none where login.scram says
 * so. A new main password lets go of the salt of the one before it. `id`: 0: a new account. */
static struct err salt_choose(struct admin *admin, uint64_t id, bool main_password,
                              struct password_kept *kept)
{
    struct credentials credentials = {0};
    *kept = (struct password_kept){0};
    if (!admin->conf->login.scram)
        return err_none();
    if (id) {
        struct err e = directory_credentials(admin->directory, id, admin->arena, &credentials);
        if (err_is(e))
            return e;
    }
    if (main_password ? directory_salt_is_held(&credentials) : credentials.password.rounds) {
        kept->rounds = credentials.password.rounds;
        memcpy(kept->salt, credentials.password.salt, SCRAM_SALT);
        return err_none();
    }
    kept->rounds = (uint32_t)admin->conf->login.scram_rounds;
    world_random(admin->loop->world, kept->salt, SCRAM_SALT);
    return err_none();
}

/* Hash and keys of a main password. `cram`: the password itself is kept, too. */
static struct err password_keep(struct admin *admin, uint64_t id, struct str typed, bool cram,
                                struct account *account)
{
    struct arena scratch;
    struct making making = {.hash = true, .arena = &scratch};
    struct password_kept *kept = arena_new(admin->arena, struct password_kept);
    if (!kept)
        return err_make(ERR_NO_MEMORY);
    struct err e = prepare_new_password(typed, admin->arena, &making.password);
    if (!err_is(e))
        e = salt_choose(admin, id, true, &making.kept);
    if (err_is(e))
        return e;
    arena_init(&scratch, 2 * PASSWORD_SCRATCH);
    world_random(admin->loop->world, making.salt, sizeof(making.salt));
    lane_call(admin->hashes, making_run, &making);
    if (!err_is(making.result))
        account->password = arena_str(admin->arena, making.hash_made);
    arena_wipe(&scratch);
    *kept = making.kept;
    kept->cram_secret = cram ? making.password : str_null();
    account->kept = kept;
    return making.result;
}

static struct str input_line(const struct admin *admin)
{
    struct str rest = admin->input;
    struct str line = str_cut(&rest, '\n');
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

int admin_password(struct admin_call *call, uint64_t id, bool make_up, struct account *account,
                   unsigned *fields, struct str *made_r)
{
    struct admin *admin = call->admin;
    unsigned char random[PASSWORD_SALT];
    bool typed = admin_has(call, "--password-stdin"), cram = admin_has(call, "--cram-md5");
    bool hash = admin_has(call, "--password-hash"), none = admin_has(call, "--no-password");
    bool fresh = admin_has(call, "--new-password") || admin_has(call, "--new");
    if (typed + hash + none + fresh > 1)
        return admin_refuse(call, ADMIN_USAGE, "one option about the password is enough",
                            str_null());
    fresh |= make_up && !typed && !hash && !none;
    if (cram && !typed && !fresh)
        return admin_refuse(call, ADMIN_USAGE, "--cram-md5 needs a password that is set now",
                            str_null());
    if (!typed && !hash && !none && !fresh)
        return ADMIN_OK;
    *fields |= FIELD_PASSWORD;
    account->password = hash ? admin_value(call, "--password-hash") : STR("");
    if (typed)
        return admin_fail(call, password_keep(admin, id, input_line(admin), cram, account));
    if (!fresh)
        return ADMIN_OK;
    world_random(admin->loop->world, random, sizeof(random));
    *made_r = password_make(random, admin->arena);
    return admin_fail(call, password_keep(admin, id, *made_r, cram, account));
}

int admin_account_done(struct admin_call *call, const char *done, struct str address,
                       struct str made)
{
    if (!made.n)
        return admin_done(call, done, "account", address);
    json_t *object = json_object();
    json_put_text(object, "done", str_from(done));
    admin_put_name(call, object, "account", address);
    json_put_text(object, "password", made);
    return admin_show(call, object);
}

/* --- Application passwords --- */

static int app_services(struct admin_call *call, uint8_t *services_r)
{
    struct str text = admin_value(call, "--services");
    *services_r = SERVICES_ALL;
    if (!text.p || (text_to_services(text, services_r) && *services_r))
        return ADMIN_OK;
    return admin_refuse(call, ADMIN_USAGE, "expected some of smtp,pop3,imap, not", text);
}

static struct err app_make(struct admin *admin, uint64_t id, struct app_password *app,
                           struct password_kept *kept, struct str *password_r)
{
    unsigned char random[PASSWORD_APP_RANDOM];
    struct making making = {0};
    world_random(admin->loop->world, random, sizeof(random));
    making.password = password_app_make(random, admin->arena);
    app->hash = password_app_hash(making.password, admin->arena);
    if (arena_over(admin->arena))
        return err_make(ERR_NO_MEMORY);
    struct err e = salt_choose(admin, id, false, &making.kept);
    if (err_is(e))
        return e;
    if (making.kept.rounds)
        lane_call(admin->hashes, making_run, &making);
    app->keys = making.kept.keys;
    *kept = making.kept;
    *password_r = making.password;
    return making.result;
}

static int app_added(struct admin_call *call, struct str address, const struct app_password *app,
                     struct str password)
{
    json_t *object = json_object();
    json_put_text(object, "done", STR("added"));
    json_put_text(object, "app_password", app->name);
    admin_put_name(call, object, "account", address);
    json_put_number(object, "id", app->id);
    json_put(object, "services", admin_services(app->services));
    json_put_text(object, "password", password);
    return admin_show(call, object);
}

int admin_app_password_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct account account;
    struct password_kept kept;
    struct str password;
    struct app_password app = {.name = call->words[1]};
    int code = app_services(call, &app.services);
    if (!code)
        code = admin_account(call, &addr, &account);
    if (!code)
        code = admin_fail(call, app_make(admin, account.id, &app, &kept, &password));
    if (!code)
        code = admin_fail(
            call, directory_app_password_add(admin->directory, &addr, &app, &kept, admin->arena));
    return code ? code : app_added(call, account.address, &app, password);
}
