/*
 * account certificate, account grant, account app-password (but for add: admin_password.c), and
 * what `account show` says of log-ins and sending. No answer has a hash, a key or a secret: who
 * needs them to move has `export`.
 */
#include "core/admin_command.h"
#include "trust/certificate.h"

/* --- Showing --- */

static void day_put(json_t *object, const char *name, uint32_t day)
{
    if (day)
        json_put_time(object, name, (int64_t)day * 86400 * US_PER_SECOND);
    else
        json_put(object, name, json_null());
}

static json_t *app_password_object(const struct app_password *app)
{
    json_t *object = json_object();
    json_put_text(object, "name", app->name);
    json_put_number(object, "id", app->id);
    json_put(object, "services", admin_services(app->services));
    json_put_flag(object, "scram", app->keys.has_sha_1 || app->keys.has_sha_256);
    json_put_time(object, "created", app->created);
    day_put(object, "last_used", app->last_used);
    return object;
}

static json_t *certificate_object(const struct client_certificate *certificate)
{
    struct buf text = BUF_INIT(2 * SHA256_SIZE);
    json_t *object = json_object();
    directory_fingerprint_print(&text, certificate->fingerprint);
    json_put_text(object, "name", certificate->name);
    json_put_text(object, "sha256", buf_str(&text));
    json_put_time(object, "created", certificate->created);
    buf_done(&text);
    return object;
}

/* Objects for programs; for people each in a line of its own. */
static void item_put(struct admin_call *call, json_t *array, json_t *object)
{
    if (call->admin->json) {
        json_array_append_new(array, object);
        return;
    }
    struct buf line = BUF_INIT(ADMIN_LINE_MAX);
    admin_line_put(&line, object);
    json_array_append_new(array, json_text(str_trim(buf_str(&line))));
    buf_done(&line);
    json_decref(object);
}

static void keys_put(json_t *object, const struct password_keys *keys)
{
    json_t *names = json_array();
    if (keys->has_sha_256)
        json_array_append_new(names, json_text(sasl_name(SASL_SCRAM_SHA_256)));
    if (keys->has_sha_1)
        json_array_append_new(names, json_text(sasl_name(SASL_SCRAM_SHA_1)));
    json_put(object, "scram", names);
}

static void credentials_put(struct admin_call *call, json_t *object,
                            const struct credentials *credentials)
{
    json_t *apps = json_array(), *certificates = json_array();
    keys_put(object, &credentials->password.keys);
    json_put_flag(object, "cram_md5", credentials->password.cram_secret.n > 0);
    for (size_t i = 0; i < credentials->app_password_count; i++)
        item_put(call, apps, app_password_object(&credentials->app_passwords[i]));
    json_put(object, "app_passwords", apps);
    for (size_t i = 0; i < credentials->certificate_count; i++)
        item_put(call, certificates, certificate_object(&credentials->certificates[i]));
    json_put(object, "certificates", certificates);
}

static struct err credentials_read(struct admin *admin, uint64_t account,
                                   struct credentials *credentials_r)
{
    struct err e = directory_credentials(admin->directory, account, admin->arena, credentials_r);
    return err_is(e) ? e : directory_app_passwords_used(admin->directory, account, credentials_r);
}

int admin_access_put(struct admin_call *call, json_t *object, const struct account *account)
{
    struct admin *admin = call->admin;
    struct credentials credentials;
    struct str *grants;
    size_t count;
    struct err e = credentials_read(admin, account->id, &credentials);
    if (!err_is(e))
        e = directory_grant_list(admin->directory, account->id, admin->arena, &grants, &count);
    if (err_is(e))
        return admin_fail(call, e);
    credentials_put(call, object, &credentials);
    json_t *send_as = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(send_as, admin_address(call, grants[i]));
    json_put(object, "send_as", send_as);
    return ADMIN_OK;
}

/* --- A certificate is added --- */

static struct str file_name(struct str path)
{
    return str_from_index(path, (size_t)(str_last_index(path, '/') + 1));
}

/* From --fingerprint, or from the file that came as the input. */
static int certificate_take(struct admin_call *call, struct client_certificate *certificate)
{
    struct str given = admin_value(call, "--fingerprint");
    if ((call->count == 2) == (given.p != NULL))
        return admin_refuse(call, ADMIN_USAGE, "give either a file or --fingerprint", str_null());
    certificate->name = admin_has(call, "--name") ? admin_value(call, "--name")
                        : given.p                 ? STR("")
                                                  : file_name(call->words[1]);
    if (!certificate->name.n || str_eq(certificate->name, STR("-")))
        return admin_refuse(call, ADMIN_USAGE, "give it a name, with --name", str_null());
    if (!given.p)
        return admin_fail(call,
                          certificate_fingerprint(call->admin->input, certificate->fingerprint));
    if (!directory_fingerprint_parse(given, certificate->fingerprint))
        return admin_refuse(call, ADMIN_USAGE, "expected 64 hexadecimal digits of SHA-256, not",
                            given);
    return ADMIN_OK;
}

int admin_certificate_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct client_certificate certificate = {0};
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = certificate_take(call, &certificate);
    if (!code)
        code = admin_fail(
            call, directory_certificate_add(admin->directory, &addr, &certificate, admin->arena));
    return code ? code : admin_done(call, "added", "certificate", certificate.name);
}

/* --- Certificates and application passwords --- */

static void app_passwords_list(struct admin_list *list, const struct credentials *credentials)
{
    for (size_t i = 0; i < credentials->app_password_count; i++)
        admin_list_item(list, app_password_object(&credentials->app_passwords[i]));
}

static void certificates_list(struct admin_list *list, const struct credentials *credentials)
{
    for (size_t i = 0; i < credentials->certificate_count; i++)
        admin_list_item(list, certificate_object(&credentials->certificates[i]));
}

static int credentials_list(struct admin_call *call,
                            void (*list)(struct admin_list *, const struct credentials *))
{
    struct addr addr;
    struct account account;
    struct credentials credentials;
    int code = admin_account(call, &addr, &account);
    if (code)
        return code;
    struct err e = credentials_read(call->admin, account.id, &credentials);
    struct admin_list lines = admin_list_open(call);
    if (!err_is(e))
        list(&lines, &credentials);
    return admin_list_close(&lines, e);
}

int admin_app_password_list(struct admin_call *call)
{
    return credentials_list(call, app_passwords_list);
}

int admin_certificate_list(struct admin_call *call)
{
    return credentials_list(call, certificates_list);
}

typedef struct err (*credential_change)(struct directory *, const struct addr *, struct str,
                                        struct arena *);

/* The one that the second word names. */
static int credential_remove(struct admin_call *call, const char *what, credential_change remove)
{
    struct admin *admin = call->admin;
    struct addr addr;
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = admin_fail(call, remove(admin->directory, &addr, call->words[1], admin->arena));
    return code ? code : admin_done(call, "removed", what, call->words[1]);
}

int admin_app_password_remove(struct admin_call *call)
{
    return credential_remove(call, "app_password", directory_app_password_remove);
}

int admin_certificate_remove(struct admin_call *call)
{
    return credential_remove(call, "certificate", directory_certificate_remove);
}

/* --- Grants --- */

typedef struct err (*grant_change)(struct directory *, const struct addr *, const struct addr *,
                                   struct arena *);

static int grant(struct admin_call *call, const char *done, grant_change change)
{
    struct admin *admin = call->admin;
    struct addr addr, other;
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = admin_addr(call, call->words[1], &other);
    if (!code)
        code = admin_fail(call, change(admin->directory, &addr, &other, admin->arena));
    return code ? code : admin_done(call, done, "grant", admin_stored(call, &other));
}

int admin_grant_add(struct admin_call *call)
{
    return grant(call, "added", directory_grant_add);
}

int admin_grant_remove(struct admin_call *call)
{
    return grant(call, "removed", directory_grant_remove);
}

int admin_grant_list(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct account account;
    struct str *grants;
    size_t count = 0;
    int code = admin_account(call, &addr, &account);
    if (code)
        return code;
    struct err e =
        directory_grant_list(admin->directory, account.id, admin->arena, &grants, &count);
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        json_t *object = json_object();
        admin_put_name(call, object, "grant", grants[i]);
        admin_list_item(&list, object);
    }
    return admin_list_close(&list, e);
}
