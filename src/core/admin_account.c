/*
 * account add|set|show|list|remove, mailbox list. A password never stands among the words of a
 * command, where every user of the machine could read it: it comes by the input, or is made up here
 * and printed once.
 */
#include "core/admin_command.h"
#include "store/mailbox.h"
#include "trust/password.h"

/* --- Passwords --- */

struct hashing {
    struct str password;
    unsigned char salt[PASSWORD_SALT];
    struct arena *arena;
    struct err result;
    struct str hash;
};

static void hash_run(void *arg)
{
    struct hashing *hashing = arg;
    hashing->result =
        password_hash(hashing->password, hashing->salt, hashing->arena, &hashing->hash);
}

static struct err hash_make(struct admin *admin, struct str password, struct str *hash_r)
{
    struct arena scratch;
    struct hashing hashing = {.password = password, .arena = &scratch};
    arena_init(&scratch, 2 * PASSWORD_SCRATCH);
    world_random(admin->loop->world, hashing.salt, sizeof(hashing.salt));
    lane_call(admin->hashes, hash_run, &hashing);
    if (!err_is(hashing.result))
        *hash_r = arena_str(admin->arena, hashing.hash);
    arena_done(&scratch);
    return hashing.result;
}

static struct str input_line(const struct admin *admin)
{
    struct str rest = admin->input;
    struct str line = str_cut(&rest, '\n');
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* How the command says the password is given; FIELD_PASSWORD where it does. *made_r is one that was
 * made up, to be printed. */
static int password_take(struct admin_call *call, bool make_up, struct account *account,
                         unsigned *fields, struct str *made_r)
{
    struct admin *admin = call->admin;
    unsigned char random[PASSWORD_SALT];
    int ways = admin_has(call, "--password-stdin") + admin_has(call, "--password-hash") +
               admin_has(call, "--no-password") + admin_has(call, "--new-password");
    if (ways > 1)
        return admin_refuse(call, ADMIN_USAGE, "one option about the password is enough",
                            str_null());
    if (ways == 0 && !make_up)
        return ADMIN_OK;
    *fields |= FIELD_PASSWORD;
    account->password = STR("");
    if (admin_has(call, "--no-password"))
        return ADMIN_OK;
    if (admin_has(call, "--password-hash")) {
        account->password = admin_value(call, "--password-hash");
        return ADMIN_OK;
    }
    if (admin_has(call, "--password-stdin"))
        return admin_fail(call, hash_make(admin, input_line(admin), &account->password));
    world_random(admin->loop->world, random, sizeof(random));
    *made_r = password_make(random, admin->arena);
    return admin_fail(call, hash_make(admin, *made_r, &account->password));
}

/* --- Commands --- */

/* null: the server's default. */
static void quota_put(json_t *object, uint64_t quota)
{
    if (quota == 0)
        json_put(object, "quota", json_null());
    else if (quota == QUOTA_NONE)
        json_put_text(object, "quota", STR("none"));
    else
        json_put_number(object, "quota", quota);
}

/* What the quota comes to, with the default as it is now. */
static void limit_put(json_t *object, uint64_t octets)
{
    if (octets)
        json_put_number(object, "limit", octets);
    else
        json_put_text(object, "limit", STR("none"));
}

static json_t *account_object(struct admin_call *call, const struct account *account)
{
    json_t *object = json_object();
    admin_put_name(call, object, "account", account->address);
    json_put_text(object, "name", account->name);
    quota_put(object, account->quota);
    json_put_flag(object, "disabled", account->disabled);
    json_put_flag(object, "no_password", account->password.n == 0);
    return object;
}

/* "added account x", and the password that was made up. */
static int account_done(struct admin_call *call, const char *done, struct str address,
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

static int fields_take(struct admin_call *call, struct account *account, unsigned *fields)
{
    if (admin_has(call, "--name")) {
        account->name = admin_value(call, "--name");
        *fields |= FIELD_NAME;
    }
    if (admin_has(call, "--quota")) {
        *fields |= FIELD_QUOTA;
        return admin_quota(call, admin_value(call, "--quota"), &account->quota);
    }
    return ADMIN_OK;
}

int admin_account_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct str made = str_null();
    unsigned fields = 0;
    struct account account = {.name = STR(""), .disabled = admin_has(call, "--disabled")};
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = fields_take(call, &account, &fields);
    if (!code)
        code = password_take(call, true, &account, &fields, &made);
    if (!code)
        code = admin_fail(call,
                          directory_account_add(admin->directory, &addr, &account, admin->arena));
    return code ? code : account_done(call, "added", admin_stored(call, &addr), made);
}

int admin_account_set(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct str made = str_null();
    unsigned fields = 0;
    struct account account = {.disabled = admin_has(call, "--disable")};
    if (admin_has(call, "--disable") && admin_has(call, "--enable"))
        return admin_refuse(call, ADMIN_USAGE, "one of --enable and --disable is enough",
                            str_null());
    if (admin_has(call, "--disable") || admin_has(call, "--enable"))
        fields |= FIELD_DISABLED;
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = fields_take(call, &account, &fields);
    if (!code)
        code = password_take(call, false, &account, &fields, &made);
    if (!code && !fields)
        return admin_refuse(call, ADMIN_USAGE, "say what to change", str_null());
    if (!code)
        code = admin_fail(
            call, directory_account_set(admin->directory, &addr, &account, fields, admin->arena));
    return code ? code : account_done(call, "changed", admin_stored(call, &addr), made);
}

static int account_find(struct admin_call *call, struct account *account_r)
{
    struct admin *admin = call->admin;
    struct addr addr;
    int code = admin_addr(call, call->words[0], &addr);
    return code ? code
                : admin_fail(call, directory_account_show(admin->directory, &addr, admin->arena,
                                                          account_r));
}

int admin_account_show(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct account account;
    struct usage usage;
    int code = account_find(call, &account);
    if (!code)
        code = admin_fail(call, mailbox_usage(admin->engine, account.id, admin->arena, &usage));
    if (code)
        return code;
    json_t *object = account_object(call, &account);
    limit_put(object, directory_quota(admin->directory, &account));
    json_put_number(object, "used", usage.octets);
    json_put_number(object, "messages", usage.messages);
    json_put_number(object, "id", account.id);
    json_put_time(object, "created", account.created);
    return admin_show(call, object);
}

static json_t *account_of(struct admin_call *call, const struct name *name)
{
    return account_object(call, &name->account);
}

int admin_account_list(struct admin_call *call)
{
    return admin_names(call, NAME_ACCOUNT, account_of);
}

int admin_account_remove(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = admin_fail(call, directory_account_remove(admin->directory, &addr, admin->arena));
    return code ? code : admin_done(call, "removed", "account", admin_stored(call, &addr));
}

int admin_mailbox_list(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct account account;
    struct mailbox *mailboxes;
    size_t count = 0;
    int code = account_find(call, &account);
    if (code)
        return code;
    struct err e = mailbox_list(admin->engine, account.id, admin->arena, &mailboxes, &count);
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        json_t *object = json_object();
        json_put_text(object, "mailbox", mailboxes[i].name);
        json_put_number(object, "id", mailboxes[i].id);
        json_put_number(object, "uid_validity", mailboxes[i].uid_validity);
        admin_list_item(&list, object);
    }
    return admin_list_close(&list, e);
}
